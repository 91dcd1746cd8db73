# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages of rpm, of hostile and of honest origin: what is read of them, and what is refused."""

from __future__ import annotations

import hashlib
import os
import random
import struct
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import deb_container, rpm_file, rpm_payload
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import NO_NUMBER, Member
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_file import Contents
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_payload import RpmError

from .....peers.hand_made_rpm import (
    COMPRESSIONS,
    MAGIC,
    TRAILER,
    File,
    Parts,
    entry,
    payload_of,
    rpm,
    split,
    stripped,
    tags,
)
from .....peers.rpm_system import RpmSystem, encode_header, require_rpm, sha256

A, B = File(b"/usr/a", b"first\n"), File(b"/usr/b", b"second\n" * 100)
FILES = (A, B)
SOUND = rpm(tags(*FILES), payload_of(*FILES))
H, G = A._replace(path=b"/usr/h", inode=7), A._replace(path=b"/usr/i", inode=7)
LINKED = (B, H, G)


def read(base: Path, package: Parts | bytes) -> Contents:
    path = base / "package.rpm"
    path.write_bytes(package if isinstance(package, bytes) else package.joined())
    return rpm_file.read(str(path))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def made(payload: bytes, *files: File) -> Parts:
    """Return a package whose digests are right whatever is in it; none of its payload, which would say it first."""
    return rpm(tags(*(files or FILES)), payload, compressor="", with_payload_digest=False)


def counted(index_entries: int, data_bytes: int) -> bytes:
    """Return a package whose header claims to be of some size."""
    header = SOUND.header[:8] + struct.pack(">II", index_entries, data_bytes) + SOUND.header[16:]
    return SOUND._replace(header=header).joined()


def single(file: File) -> Parts:
    return made(payload_of(file), file)


ZEROS = bytes(deb_container.FREE_GROWTH_BYTES + 1024)
#: A header with a tag behind its immutable region: a script that nobody has signed.
TAGGED = MAGIC + encode_header({**tags(*FILES), 1124: (6, (b"cpio",))}, {1024: (6, (b"evil",))}, ())
#: What is wrong -> the package, and what must be said about it.
REFUSED: dict[str, tuple[Parts | bytes, str]] = {
    "nothing": (b"", "no .rpm"),
    "no package": (b"!<arch>\n" + bytes(200), "no .rpm"),
    "a lead alone": (SOUND.lead, "truncated"),
    "no signature header": (SOUND._replace(signatures=b"x" * 48), "no header at byte 96"),
    "no padding": (rpm(tags(A), TRAILER)._replace(padding=b"", header=bytes(64)), "no header at byte"),
    "header of another version": (SOUND._replace(header=flipped(SOUND.header, 3)), "no header at byte"),
    "absurd index": (counted(0xFFFFFFFF, 16), "absurdly large"),
    "absurd data": (counted(16, 0xFFFFFFFF), "absurdly large"),
    "data beyond the end": (counted(16, 0x100000), "truncated"),
    "no entries": (counted(0, 16), "counts are out of bounds"),
    "byte of the header flipped": (SOUND._replace(header=flipped(SOUND.header, len(SOUND.header) - 30)), "digest does"),
    "byte of the payload flipped": (SOUND._replace(payload=flipped(SOUND.payload, 40)), "payload does not match"),
    "payload longer": (SOUND._replace(payload=SOUND.payload + b"\0"), "payload does not match"),
    "tag behind the region": (rpm(tags(A), b"")._replace(header=TAGGED), "not in its immutable region"),
    "signature that is no base64": (rpm(tags(A), payload_of(A), signatures={278: (8, (b"%%",))}), "no base64"),
    "signature that is text": (rpm(tags(A), payload_of(A), signatures={268: (6, (b"x",))}), "does not hold bytes"),
    "no name": (rpm({**tags(*FILES), 1000: (6, (b"",))}, payload_of(*FILES)), "names no package"),
    "no digest of the format": (rpm({**tags(A), 5092: (8, (b"abc",))}, TRAILER), "unknown kind"),
    "other digest of the payload": (rpm({**tags(A), 5092: (8, (b"0" * 64,))}, payload_of(A)), "payload does not"),
    "other digest, decompressed": (rpm({**tags(A), 5097: (8, (b"0" * 64,))}, payload_of(A)), "decompressed, does not"),
    "file digests of no known kind": (rpm({**tags(A), 5011: (4, (99,))}, payload_of(A)), "unknown kind"),
    "no cpio archive": (rpm({**tags(A), 1124: (6, (b"drpm",))}, payload_of(A)), "no cpio archive"),
    "other archive": (made(b"!<arch>\n" + bytes(200)), "no cpio archive of a kind"),
    "unknown compression": (rpm({**tags(A), 1125: (6, (b"rar",))}, payload_of(A)), "unknown compression"),
    "no compression that it says": (rpm({**tags(A), 1125: (6, (b"xz",))}, payload_of(A)), "cannot be decompressed"),
    "no zstd": (rpm({**tags(A), 1125: (6, (b"zstd",))}, payload_of(A), compressor=""), "cannot be decompressed"),
    "bomb in a name": (made(entry(b"./usr/a", name_bytes=0xFFFFFFFF)), "too long"),
    "no name in the payload": (made(entry(b"./usr/a", name_bytes=0)), "empty"),
    "name without end": (made(entry(b"./usr/a", name_bytes=7)), "does not list"),
    "name that goes on": (made(entry(b"./usr/aX", A.content, name_bytes=8) + payload_of(B)), "does not list"),
    "no number": (
        made(entry(b"./usr/a").replace(b"000081ff", b"0x0081ff").replace(b"00000008", b"0000+008")),
        "number",
    ),
    "file that is not listed": (made(entry(b"./etc/passwd", b"x") + payload_of(*FILES)), "does not list"),
    "file outside": (made(entry(b"./../etc/passwd", b"x") + payload_of(*FILES)), "does not list"),
    "absolute link outside": (made(entry(b"/../usr/a", A.content) + payload_of(*FILES)), "does not list"),
    "number that is not listed": (made(stripped(2) + TRAILER), "does not list"),
    "file twice": (made(entry(b"./usr/a", A.content) + payload_of(*FILES)), "/usr/a twice"),
    "file twice, by number": (made(stripped(0, A.content) + payload_of(*FILES)), "/usr/a twice"),
    "file missing": (made(payload_of(A)), "lacks /usr/b"),
    "no files": (made(TRAILER), "lacks /usr/a"),
    "no end": (made(payload_of(*FILES)[: -len(TRAILER)]), "truncated"),
    "another content": (made(payload_of(A._replace(content=b"FIRST\n"), B)), "/usr/a in it does not match"),
    "shorter content": (made(payload_of(A._replace(content=b"first"), B)), "another size"),
    "longer content": (made(payload_of(A._replace(content=b"first\n\n"), B)), "another size"),
    "size that lies": (made(entry(b"./usr/a", A.content, size=0xFFFFFFFF) + TRAILER), "another size"),
    "size that lies in the header": (single(File(b"/a", b"x", size=0xFFFFFFFF)), "another size"),
    "size that lies everywhere": (
        made(entry(b"./a", size=0xFFFFFFFF), File(b"/a", b"x", size=0xFFFFFFFF)),
        "truncated",
    ),
    "content of a directory": (made(entry(b"./d", bytes(5000)) + TRAILER, File(b"/d", mode=0o40755)), "no regular"),
    "hard link without content": (made(entry(b"./usr/h") + entry(b"./usr/i") + TRAILER, H, G), "lacks /usr/h"),
    "hard link missing": (made(payload_of(H), H, G), "lacks /usr/i"),
    "hard links of different content": (made(TRAILER, H, G._replace(content=b"FIRST\n")), "not one file"),
    "empty file that is no hard link": (made(entry(b"./usr/a") + payload_of(B)), "another size"),
    "path outside": (single(File(b"/usr/../etc/passwd", b"x")), "outside the root"),
    "path in another spelling": (single(File(b"/usr//a", b"x")), "outside the root"),
    "path of a directory": (single(File(b"/usr/a/", b"x")), "outside the root"),
    "path that is not absolute": (single(File(b"usr/a", b"x")), "not absolute"),
    "newline": (single(File(b"/usr/a\nb", b"x")), "newline"),
    "endless path": (single(File(b"/a" * 2100, b"x")), "too long"),
    "listed twice": (made(payload_of(A), A, A), "/usr/a twice"),
    "link to nothing": (single(File(b"/a", mode=0o120777)), "leads nowhere"),
    "endless link": (made(entry(b"./a") + TRAILER, File(b"/a", mode=0o120777, target=b"x" * 4096)), "too long"),
    "socket": (single(File(b"/a", mode=0o140777)), "type that rpm does not unpack"),
    "no type": (single(File(b"/a", mode=0o777, digest=b"")), "type that rpm does not unpack"),
}


@pytest.mark.parametrize(("package", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_package_that_is_none_is_refused(tmp_path: Path, package: Parts | bytes, reason: str) -> None:
    with pytest.raises(RpmError, match=reason):
        read(tmp_path, package)


@pytest.mark.parametrize("algorithm", ("sha1", "sha256", "sha3_256"))
def test_each_digest_of_the_header_is_verified(tmp_path: Path, algorithm: str) -> None:
    sound = rpm(tags(*FILES), payload_of(*FILES), digests=[algorithm])
    assert len(read(tmp_path, sound).members) == 2

    with pytest.raises(RpmError, match=f"{algorithm} digest does not match"):
        read(tmp_path, sound._replace(header=sound.header.replace(b"handmade", b"handMade")))


@pytest.mark.parametrize("compressor", ("xz", "bzip2", "lzma"))
def test_a_bomb_is_not_decompressed_to_its_end(tmp_path: Path, compressor: str) -> None:
    bomb = rpm(tags(A, File(b"/z", ZEROS)), entry(b"./z", ZEROS), compressor=compressor)

    with pytest.raises(RpmError, match="beyond all measure"):
        read(tmp_path, bomb)


@pytest.mark.parametrize("compressor", COMPRESSIONS)
def test_each_compression_is_read(tmp_path: Path, compressor: str) -> None:
    found = read(tmp_path, rpm(tags(*FILES), payload_of(*FILES), compressor=compressor))

    assert list(found.members) == [b"/usr/a", b"/usr/b"]
    assert found.members[b"/usr/b"].sha256 == sha256(B.content)
    assert found.package.nevra == "handmade-1-2.noarch"


def test_the_checksum_of_the_compression_is_read_behind_the_end_of_the_archive(tmp_path: Path) -> None:
    padding = bytes(4 * deb_container.CHUNK_BYTES)
    sound = rpm(tags(*FILES), payload_of(*FILES) + padding, with_payload_digest=False)
    assert len(read(tmp_path, sound).members) == 2

    with pytest.raises(RpmError, match="cannot be decompressed"):
        read(tmp_path, sound._replace(payload=flipped(sound.payload, len(sound.payload) - 8)))


@pytest.mark.parametrize(
    "payload",
    [
        payload_of(*FILES),
        entry(b"./usr/a", A.content, b"070702") + entry(b"./usr/b", B.content) + TRAILER,
        entry(b"/usr/b", B.content) + entry(b"./usr/a", A.content) + TRAILER,
        stripped(1, B.content) + stripped(0, A.content) + TRAILER,
    ],
    ids=["newc", "with checksums", "another order", "stripped"],
)
def test_each_kind_of_archive_is_read(tmp_path: Path, payload: bytes) -> None:
    found = read(tmp_path, rpm(tags(*FILES), payload))

    assert [member.sha256 for member in found.members.values()] == [sha256(A.content), sha256(B.content)]


@pytest.mark.parametrize(
    "payload",
    [
        entry(b"./usr/h") + entry(b"./usr/i", A.content) + entry(b"./usr/b", B.content) + TRAILER,
        entry(b"./usr/h", A.content) + entry(b"./usr/i") + entry(b"./usr/b", B.content) + TRAILER,
        entry(b"./usr/h", A.content) + entry(b"./usr/i", A.content) + entry(b"./usr/b", B.content) + TRAILER,
        stripped(1) + stripped(2, A.content) + stripped(0, B.content) + TRAILER,
    ],
    ids=["content last", "content first", "content twice", "stripped"],
)
def test_hard_links_are_one_file(tmp_path: Path, payload: bytes) -> None:
    found = read(tmp_path, rpm(tags(*LINKED), payload)).members

    assert found[b"/usr/h"].linked_to is None
    assert found[b"/usr/i"] == found[b"/usr/h"]._replace(path=b"/usr/i", linked_to=b"/usr/h")
    for name in (b"/usr/h", b"/usr/i"):
        assert found[name].sha256 == sha256(A.content)
        with (tmp_path / "copy").open("wb") as stream:
            rpm_file.copy(str(tmp_path / "package.rpm"), found[name], stream.fileno())
        assert (tmp_path / "copy").read_bytes() == A.content


def test_all_kinds_of_members_are_described_by_the_header_alone(tmp_path: Path) -> None:
    files = (
        File(b"/d", mode=0o41777),
        File(b"/f", b"abc", 0o104755, owner=b"other", capabilities=b"cap_net_raw=ep"),
        File(b"/s", mode=0o120777, target=b"../x y", size=6),
        File(b"/c", mode=0o20600, device=0x103),
        File(b"/b", mode=0o60600, device=0x800),
        File(b"/p", mode=0o10644),
        File(b"/\xff", b""),
        File(b"/g", b"ghost", flags=64),
        File(b"/conf", b"1", flags=1),
        File(b"/bare", b"no digest", digest=b""),
        File(b"/", mode=0o40755),
    )
    found = read(tmp_path, rpm({**tags(*files), 1024: (6, (b"setcap x\n",))}, payload_of(*files)))

    plain = Member(b"", "", 0o644, NO_NUMBER, NO_NUMBER, "root", "root", 0, 1_700_000_000, None, None, None, None)
    file = plain._replace(kind="file", size=3, sha256=sha256(b"abc"))
    assert found.members == {
        b"/d": plain._replace(path=b"/d", kind="directory", mode=0o1777),
        b"/f": file._replace(path=b"/f", mode=0o4755, owner="other"),
        b"/s": plain._replace(path=b"/s", kind="symlink", mode=0o777, target=b"../x y"),
        b"/c": plain._replace(path=b"/c", kind="character_device", mode=0o600, device=os.makedev(1, 3)),
        b"/b": plain._replace(path=b"/b", kind="block_device", mode=0o600, device=os.makedev(8, 0)),
        b"/p": plain._replace(path=b"/p", kind="fifo"),
        b"/\xff": file._replace(path=b"/\xff", size=0, sha256=sha256(b"")),
        b"/conf": file._replace(path=b"/conf", size=1, sha256=sha256(b"1")),
    }
    assert found.conffiles == (b"/conf",)
    assert found.scripts == (b"setcap x\n",)
    assert found.capabilities == {b"/f": "cap_net_raw=ep"}
    assert found.signatures == ()


def test_a_file_without_a_digest_in_the_header_cannot_be_had(tmp_path: Path) -> None:
    files = (A, File(b"/bare", b"no digest", digest=b""))
    found = read(tmp_path, rpm(tags(*files), payload_of(*files)))

    assert list(found.members) == [A.path]


def test_a_package_without_files_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, rpm(tags(), TRAILER)).members == {}


@pytest.mark.parametrize(("number", "name"), [(1, "md5"), (2, "sha1"), (9, "sha384"), (10, "sha512"), (11, "sha224")])
def test_each_kind_of_file_digest_is_compared(tmp_path: Path, number: int, name: str) -> None:
    file = A._replace(digest=hashlib.new(name, A.content).hexdigest().encode())
    header = {**tags(file), 5011: (4, (number,))}

    assert read(tmp_path, rpm(header, payload_of(file))).members[A.path].sha256 == sha256(A.content)
    with pytest.raises(RpmError, match="does not match"):
        read(tmp_path, rpm(header, payload_of(file._replace(content=b"FIRST\n"))))


def test_a_package_that_ends_anywhere_is_refused(tmp_path: Path) -> None:
    data = made(payload_of(*FILES)).joined()
    assert len(read(tmp_path, data).members) == 2

    for length in range(len(data)):
        with pytest.raises(RpmError):
            read(tmp_path, data[:length])


@pytest.mark.parametrize("part", Parts._fields)
def test_a_flipped_byte_in_any_part_is_refused_or_changes_nothing(tmp_path: Path, part: str) -> None:
    """Nothing covers the lead, the signature header and the padding: what they say must not matter then."""
    sound = read(tmp_path, SOUND)
    data = getattr(SOUND, part)

    refused = 0
    for at in range(len(data)):
        try:
            found = read(tmp_path, SOUND._replace(**{part: flipped(data, at)}))
        except RpmError:
            refused += 1
            continue
        assert found[:1] + found[2:6] == sound[:1] + sound[2:6], (part, at)
    if part in ("header", "payload"):
        assert refused == len(data)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_package_is_filled_with_is_refused(tmp_path: Path, seed: int) -> None:
    """Digests that fit would keep hostile content from the parser of the payload: there are none here."""
    generator = random.Random(seed)
    payload = payload_of(*FILES) if seed % 2 else stripped(1, B.content) + stripped(0, A.content) + TRAILER
    sound = read(tmp_path, made(payload)).members

    for _attempt in range(200):
        damaged = bytearray(payload)
        for _change in range(generator.randrange(1, 4)):
            damaged[generator.randrange(len(damaged))] = generator.choice(b"\0\xff0178fX/.") ^ generator.randrange(2)
        try:
            found = read(tmp_path, made(bytes(damaged))).members
        except RpmError:
            continue
        assert found == sound  # What was changed is what nobody reads: times, owners and the like.


@pytest.mark.parametrize(
    "package",
    [
        rpm({**tags(*FILES), 1117: (8, [b"a"] * 3)}, payload_of(*FILES)),
        rpm(tags(*FILES), payload_of(*FILES), digests=(), signatures={273: (8, [b""] * 3)}),
    ],
    ids=["header", "signature header"],
)
def test_a_header_with_too_much_of_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: Parts
) -> None:
    monkeypatch.setattr(rpm_payload, "MAX_FILES", 2)
    assert len(read(tmp_path, SOUND).members) == 2

    with pytest.raises(RpmError, match="more than 2 of something"):
        read(tmp_path, package)


def test_a_slow_package_ends_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_file, "READ_SECONDS", -1.0)
    unread = SOUND._replace(payload=flipped(SOUND.payload, 40))
    for package in (unread, made(payload_of(*FILES))):
        with pytest.raises(RpmError, match="too long"):
            read(tmp_path, package)


def test_a_link_in_place_of_a_package_is_not_followed(tmp_path: Path) -> None:
    read(tmp_path, SOUND)
    (tmp_path / "link.rpm").symlink_to("package.rpm")
    with pytest.raises(OSError, match="symbolic links"):
        rpm_file.read(str(tmp_path / "link.rpm"))


@pytest.mark.parametrize("kind", ("directory", "fifo"))
def test_what_is_no_file_is_no_package(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "package.rpm"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(RpmError, match=r"no \.rpm"):
        rpm_file.read(str(path))


# Single files


def copy(base: Path, member: Member) -> bytes:
    with (base / "copy").open("wb") as stream:
        rpm_file.copy(str(base / "package.rpm"), member, stream.fileno())
    return (base / "copy").read_bytes()


@pytest.mark.parametrize("compressor", COMPRESSIONS)
def test_a_single_file_is_copied(tmp_path: Path, compressor: str) -> None:
    found = read(tmp_path, rpm(tags(*FILES), payload_of(*FILES), compressor=compressor)).members

    assert [copy(tmp_path, found[file.path]) for file in FILES] == [file.content for file in FILES]


def test_what_is_no_file_is_not_copied(tmp_path: Path) -> None:
    files = (File(b"/s", mode=0o120777, target=b"a", size=1), *FILES)
    found = read(tmp_path, rpm(tags(*files), payload_of(*files))).members

    for member in (found[b"/s"], found[b"/usr/a"]._replace(path=b"/none")):
        with pytest.raises(RpmError, match="no regular file"):
            copy(tmp_path, member)


@pytest.mark.parametrize(
    "changed",
    [
        made(payload_of(A._replace(content=b"FIRST\n"), B), A._replace(content=b"FIRST\n"), B),
        made(payload_of(B), A, B),
        made(payload_of(A._replace(content=b"FIRST\n"), B)),
    ],
    ids=["other package", "without the file", "other content"],
)
def test_a_file_is_not_copied_out_of_a_package_that_has_changed(tmp_path: Path, changed: Parts) -> None:
    member = read(tmp_path, SOUND).members[A.path]
    (tmp_path / "package.rpm").write_bytes(changed.joined())

    with pytest.raises(RpmError, match="not what it was"):
        copy(tmp_path, member)


def test_a_hand_made_package_is_one_to_rpm(tmp_path: Path) -> None:
    """What these tests build by hand is what rpm takes for a package: its digests are right to rpm too."""
    require_rpm()
    (tmp_path / "root/var/lib/rpm").mkdir(parents=True)
    read(tmp_path, SOUND)

    done = RpmSystem(tmp_path).rpm("-qp", "--qf", "[%{FILENAMES} ]", tmp_path / "package.rpm")

    assert done.stdout == b"/usr/a /usr/b ", done.stderr


def test_a_package_is_taken_apart_as_it_was_put_together() -> None:
    assert split(SOUND.joined()) == SOUND
