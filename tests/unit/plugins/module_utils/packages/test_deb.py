# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages of hostile and of honest origin: what is read of them, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import deb, deb_container
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Contents, Member, VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError

from .....peers.hand_made_deb import COMPRESSIONS, CONTROL, ar, control_tar, header, member, tar
from .....peers.hand_made_deb import deb as make

FILES = tar(member(b"./usr/", kind=b"5"), member(b"./usr/a", b"first\n"), member(b"./usr/b", b"second\n" * 1000))


def read(base: Path, data: bytes, md5: bool = False) -> Contents:
    path = base / "package.deb"
    path.write_bytes(data)
    return deb.read(str(path), md5)


def broken_gzip(padding: int = 0) -> bytes:
    packed = gzip.compress(FILES + bytes(padding))
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


def broken_xz() -> bytes:
    packed = bytearray(lzma.compress(FILES))
    packed[len(packed) // 2] ^= 1
    return bytes(packed)


ZEROS = bytes(deb_container.FREE_GROWTH_BYTES + 1024)
BOMB = lzma.compress(ZEROS, preset=0)
VERSION, CONTROL_MEMBER = ("debian-binary", b"2.0\n"), ("control.tar", control_tar())
#: What is wrong -> the package, and what must be said about it.
REFUSED = {
    "nothing": (b"", "no ar archive"),
    "no ar archive": (b"PK\3\4" + bytes(100), "no ar archive"),
    "another ar archive": (ar(("other", b"2.0\n")), "debian-binary"),
    "another version": (ar(("debian-binary", b"3.0\n"), CONTROL_MEMBER, ("data.tar", FILES)), "another version"),
    "no control archive": (ar(VERSION), "no control.tar"),
    "no data archive": (ar(VERSION, CONTROL_MEMBER), "no data.tar"),
    "wrong order": (ar(VERSION, ("data.tar", FILES), CONTROL_MEMBER), "where control.tar must be"),
    "unknown compression": (make(FILES, suffix=".rar"), "unknown compression"),
    "unknown compression of control": (ar(VERSION, ("control.tar.bz2", b""), ("data.tar", FILES)), "unknown compr"),
    "endless ar archive": (ar(VERSION, *[("_x", b"")] * 20), "more than 16 members"),
    "cut": (make(FILES)[:-600], "truncated"),
    "no ar header": (make(FILES)[:9] + b"\xff" + make(FILES)[10:], "no valid member header"),
    "archive without end": (make(FILES[:-1024]), "truncated"),
    "compressed data cut": (ar(VERSION, CONTROL_MEMBER, ("data.tar.xz", lzma.compress(FILES)[:-40])), "too early"),
    "compressed data flipped": (ar(VERSION, CONTROL_MEMBER, ("data.tar.xz", broken_xz())), "cannot be decompressed"),
    "checksum flipped": (ar(VERSION, CONTROL_MEMBER, ("data.tar.gz", broken_gzip())), "cannot be decompressed"),
    "checksum flipped behind much padding": (
        ar(VERSION, CONTROL_MEMBER, ("data.tar.gz", broken_gzip(4 * deb_container.CHUNK_BYTES))),
        "cannot be decompressed",
    ),
    "rubbish after the data": (
        ar(VERSION, CONTROL_MEMBER, ("data.tar.gz", gzip.compress(FILES) + b"rubbish")),
        "cannot be decompressed",
    ),
    "bomb": (ar(VERSION, CONTROL_MEMBER, ("data.tar.xz", BOMB)), "beyond all measure"),
    "bomb in a file": (
        ar(
            VERSION,
            CONTROL_MEMBER,
            ("data.tar.xz", lzma.compress(member(b"./a", ZEROS), preset=0)),
        ),
        "beyond all measure",
    ),
    "bomb in control": (ar(VERSION, ("control.tar.xz", BOMB), ("data.tar", FILES)), "beyond all measure"),
    "absurd size": (make(tar(header(b"./a", size=0o77777777777))), "truncated"),
    "more absurd size": (make(tar(header(b"./a", size=b"\x80" + b"\x7f" * 11))), "absurd number"),
    "negative size": (make(tar(header(b"./a", size=b"\xff" * 12))), "negative number"),
    "no number": (make(tar(header(b"./a", uid=b"12x45"))), "no number"),
    "wrong checksum": (make(tar(header(b"./a", checksum=b"000000\0 "))), "wrong checksum"),
    "path escape": (make(tar(member(b"./usr/../../etc/passwd", b"x"))), "outside the root"),
    "path escape of a hard link": (
        make(tar(member(b"./a", b"x"), member(b"./b", kind=b"1", link=b"../../etc/passwd"))),
        "outside the root",
    ),
    "hard link to nothing": (make(tar(member(b"./b", kind=b"1", link=b"./etc/passwd"))), "what it does not have"),
    "hard link to a link": (
        make(tar(member(b"./a", kind=b"2", link=b"/etc/passwd"), member(b"./b", kind=b"1", link=b"./a"))),
        "what it does not have",
    ),
    "link to nothing": (make(tar(member(b"./a", kind=b"2"))), "leads nowhere"),
    "newline": (make(tar(member(b"./a\nb", b"x"))), "newline"),
    "same path twice": (make(tar(member(b"./a", b"x"), member(b"./a", b"y"))), "/a twice"),
    "same path, another spelling": (make(tar(member(b"./a", b"x"), member(b"//./a", b"y"))), "/a twice"),
    "directory and file": (make(tar(member(b"./a", kind=b"5"), member(b"./a", b"y"))), "/a twice"),
    "pax header": (make(tar(member(b"pax", b"19 path=./etc/a\n", b"x"), member(b"./a"))), "does not unpack"),
    "sparse file": (make(tar(member(b"./a", kind=b"S"))), "does not unpack"),
    "endless name": (make(tar(member(b"././@LongLink", b"a" * 5000, b"L"), member(b"x"))), "too long"),
    "name without a member": (make(tar(member(b"././@LongLink", b"a" * 50, b"L"))[:-1024]), "truncated"),
    "no name": (make(tar(member(b""))), "empty"),
    "file in control that is none": (make(FILES, tar(member(b"./sub/control", CONTROL))), "no control file"),
    "control twice": (make(FILES, tar(*[member(b"control", CONTROL)] * 2)), "there twice"),
    "link in control": (make(FILES, tar(member(b"control", kind=b"2", link=b"/etc/passwd"))), "no control file"),
    "no name of the package": (make(FILES, control_tar(b"Version: 1\nArchitecture: all\n")), "the field Package once"),
    "two names of the package": (make(FILES, control_tar(CONTROL + b"Package: other\n")), "the field Package once"),
    "damaged digests": (make(FILES, control_tar(md5sums=b"0123 usr/a\n")), "md5sums is damaged"),
    "damaged conffiles": (make(FILES, control_tar(conffiles=b"etc/a\n")), "conffiles is damaged"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_package_that_is_none_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(DebError, match=reason):
        read(tmp_path, data)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_each_compression_is_read(tmp_path: Path, suffix: str) -> None:
    found = read(tmp_path, make(FILES, suffix=suffix))

    assert list(found.members) == [b"/usr", b"/usr/a", b"/usr/b"]
    assert found.members[b"/usr/b"].sha256 == hashlib.sha256(b"second\n" * 1000).hexdigest().encode()
    assert (found.name, found.version, found.architecture) == ("handmade", "1.0", "all")


@pytest.mark.parametrize("suffix", (".gz", ".xz"))
def test_streams_after_each_other_are_one(tmp_path: Path, suffix: str) -> None:
    compress = COMPRESSIONS[suffix]
    found = read(
        tmp_path, ar(VERSION, CONTROL_MEMBER, (f"data.tar{suffix}", compress(FILES[:700]) + compress(FILES[700:])))
    )

    assert len(found.members) == 3


def test_members_of_later_formats_are_passed_over(tmp_path: Path) -> None:
    data = ar(VERSION, ("_one", b"x"), CONTROL_MEMBER, ("_two", b"xx"), ("data.tar", FILES), ("rest", b""))

    assert len(read(tmp_path, data).members) == 3


def test_all_kinds_of_members_are_described(tmp_path: Path) -> None:
    long = b"usr/" + b"n" * 200
    found = read(
        tmp_path,
        make(
            tar(
                member(b"./d/", kind=b"5", mode=b"0001777\0"),
                member(b"./f", b"abc", mode=b"0104755\0", uid=b"\x80\0\0\0\0\x30\0\0", owner=b"other"),
                member(b"./s", kind=b"2", link=b"../x y"),
                member(b"./h", kind=b"1", link=b"./f"),
                member(b"./c", kind=b"3", major=b"0000001\0", minor=b"0000003\0"),
                member(b"./p", kind=b"6"),
                member(b"././@LongLink", long + b"\0", b"L"),
                member(b"cut", b"long"),
                member(b"name", b"prefixed", magic=b"ustar\x0000", prefix=b"./pre"),
                member(b"./\xff", b"", mtime=b"\xff" * 12),
                member(b"old/", b""),
                member(b"./m", b"", mode=b"\x80\0\0\x01\0\0\x01\xa4"),
            )
        ),
    ).members

    sha256 = hashlib.sha256(b"abc").hexdigest().encode()
    modified = 0o14000000000
    plain = Member(b"", "", 0o644, 0, 0, "root", "root", 0, modified, None, None, None, None)
    file = plain._replace(path=b"/f", kind="file", mode=0o4755, uid=0x300000, owner="other", size=3, sha256=sha256)
    assert found[b"/d"] == plain._replace(path=b"/d", kind="directory", mode=0o1777)
    assert found[b"/f"] == file
    assert found[b"/s"] == plain._replace(path=b"/s", kind="symlink", target=b"../x y")
    assert found[b"/h"] == file._replace(path=b"/h", linked_to=b"/f")
    assert found[b"/c"] == plain._replace(path=b"/c", kind="character_device", device=os.makedev(1, 3))
    assert found[b"/p"] == plain._replace(path=b"/p", kind="fifo")
    assert found[b"/" + long].size == 4
    assert found[b"/pre/name"].size == 8
    assert found[b"/\xff"].modified == -1
    assert found[b"/old"].kind == "directory"
    assert found[b"/m"].mode == 0o644


@pytest.mark.parametrize("compression", ("none", "gzip", "xz", "zstd"))
def test_what_dpkg_deb_builds_is_read_as_tarfile_reads_it(tmp_path: Path, compression: str) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_bytes(CONTROL)
    deep = tree / "usr/share" / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(os.urandom(300_000))
    os.link(deep / "file", tree / "usr/hard")
    (tree / "usr/link").symlink_to("t" * 150)
    os.mkfifo(tree / "usr/fifo")
    (tree / "usr/set").write_bytes(b"")
    (tree / "usr/set").chmod(0o6755)
    package = tmp_path / "built.deb"
    built = subprocess.run(["dpkg-deb", f"-Z{compression}", "-b", tree, package], capture_output=True, check=False)
    if built.returncode:
        pytest.skip(f"this dpkg-deb does not compress with {compression}")
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout

    found = deb.read(str(package), md5=True)

    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo"}
    with tarfile.open(fileobj=io.BytesIO(archive)) as expected:
        assert len(expected.getmembers()) - 1 == len(found.members) == 9
        for info in expected.getmembers()[1:]:
            mine = found.members[info.name[1:].encode()]
            assert (mine.mode, mine.uid, mine.owner, mine.modified) == (info.mode, info.uid, info.uname, info.mtime)
            assert mine.kind == kinds[stat.S_IFMT(os.lstat(tree / info.name).st_mode)]
            content = expected.extractfile(info) if mine.kind == "file" else None
            if content is not None:
                data = content.read()
                assert (mine.size, mine.sha256) == (len(data), hashlib.sha256(data).hexdigest().encode())
                assert found.members_md5[mine.path] == hashlib.md5(data).hexdigest().encode()


def test_a_damaged_package_that_only_dpkg_deb_can_read_is_refused(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb, which reads what Python cannot, is not installed")
    with pytest.raises(DebError, match="cannot be decompressed: dpkg-deb"):
        read(tmp_path, make(b"no zstd", suffix=".zst"))


@pytest.fixture
def package(tmp_path: Path) -> VerifiedPackage:
    data = tar(member(b"./a", b"content\n"), member(b"./h", kind=b"1", link=b"a"), member(b"./s", kind=b"2", link=b"a"))
    contents = read(tmp_path, make(data, control_tar(postinst=b"#!/bin/sh\n"), ".xz"))
    return VerifiedPackage(contents, "signed", "a test", str(tmp_path / "package.deb"))


@pytest.mark.parametrize("path", (b"/a", b"/h"))
def test_a_single_file_is_copied(tmp_path: Path, package: VerifiedPackage, path: bytes) -> None:
    with (tmp_path / "copy").open("wb") as stream:
        package.copy(path, stream.fileno())

    assert (tmp_path / "copy").read_bytes() == b"content\n"


def test_a_control_file_is_copied(tmp_path: Path, package: VerifiedPackage) -> None:
    with (tmp_path / "copy").open("wb") as stream:
        package.copy_control(b"postinst", stream.fileno())

    assert (tmp_path / "copy").read_bytes() == b"#!/bin/sh\n"


@pytest.mark.parametrize("path", (b"/s", b"/none", b"a"))
def test_what_is_no_file_is_not_copied(tmp_path: Path, package: VerifiedPackage, path: bytes) -> None:
    with (tmp_path / "copy").open("wb") as stream, pytest.raises(DebError, match="no regular file"):
        package.copy(path, stream.fileno())


def test_a_file_is_not_copied_out_of_a_package_that_has_changed(tmp_path: Path, package: VerifiedPackage) -> None:
    Path(package.path).write_bytes(make(tar(member(b"./a", b"CONTENT\n")), suffix=".xz"))

    with (tmp_path / "copy").open("wb") as stream, pytest.raises(DebError, match="not what it was"):
        package.copy(b"/a", stream.fileno())


def test_a_slow_package_ends_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "READ_SECONDS", -1.0)
    with pytest.raises(DebError, match="too long"):
        read(tmp_path, make(FILES))


def test_a_link_in_place_of_a_package_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.deb").write_bytes(make(FILES))
    (tmp_path / "link.deb").symlink_to("real.deb")
    with pytest.raises(OSError, match="symbolic links"):
        deb.read(str(tmp_path / "link.deb"))
