# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headers of rpm's database: what is read agrees with rpm, what is damaged is refused, and nothing else happens."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import DamagedHeaderError, Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_package import (
    Package,
    PackagedFile,
    digest_algorithm,
    read_files,
    read_package,
)

from .....peers.rpm_system import (
    RpmSystem,
    Tags,
    encode_header,
    template,
)

QUERY = (
    "[%{FILENAMES}\t%{FILEMODES}\t%{FILEDIGESTS}\t%{LONGFILESIZES}\t%{FILEUSERNAME}\t%{FILEGROUPNAME}\t%{FILEMTIMES}\t"
    "%{FILERDEVS}\t%{FILELINKTOS}\t%{FILEFLAGS}\t%{FILEVERIFYFLAGS}\t%{FILESTATES}\n]"
)
PACKAGE: Tags = {
    1000: (6, (b"tiny",)),
    1001: (6, (b"1",)),
    1002: (6, (b"2",)),
    1022: (6, (b"noarch",)),
    1028: (4, (5, 7)),
    1030: (3, (0o100644, 0o100755)),
    1033: (3, (0, 0)),
    1034: (4, (1, 2)),
    1035: (8, (b"a" * 64, b"b" * 64)),
    1036: (8, (b"", b"")),
    1037: (4, (0, 1)),
    1039: (8, (b"root", b"root")),
    1040: (8, (b"root", b"mail")),
    1045: (4, (0xFFFFFFFF, 0xFFFFFFFE)),
    1116: (4, (0, 1)),
    1117: (8, (b"one", b"two")),
    1118: (8, (b"/etc/", b"/usr/bin/")),
    5011: (4, (8,)),
}
INSTALLED: Tags = {1008: (4, (1_700_000_000,)), 1029: (1, (0, 0))}


@pytest.fixture
def system() -> RpmSystem:
    return template()


def _files(blob: bytes) -> list[PackagedFile]:
    header = Header(blob)
    header.verify()
    read_package(header)
    return read_files(header)


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma"])
def test_files_are_what_rpm_says(system: RpmSystem, name: str) -> None:
    told = system.rpm("-q", "--qf", QUERY, name).stdout.decode().splitlines()

    ours = [
        "\t".join(
            map(
                str,
                (
                    file.path.decode(),
                    file.mode,
                    file.digest.decode(),
                    file.size,
                    file.owner,
                    file.group,
                    file.modified,
                    file.device,
                    file.target.decode(),
                    file.flags,
                    file.verify_flags,
                    file.state,
                ),
            )
        )
        for file in _files(system.blob(name))
    ]

    assert ours == told


def test_package_is_what_rpm_says(system: RpmSystem) -> None:
    package = read_package(Header(system.blob("alpha")))

    assert package == Package("alpha", 3, "1.0", "1", "noarch")
    assert package.nevra == "alpha-3:1.0-1.noarch"


def test_a_sound_header_matches_both_of_its_digests(system: RpmSystem) -> None:
    assert Header(system.blob("alpha")).verify() == ("sha256", "sha1")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha3_256"])
def test_each_digest_of_a_header_is_known(algorithm: str) -> None:
    assert Header(encode_header(PACKAGE, INSTALLED, (algorithm,))).verify() == (algorithm,)


def test_a_header_without_digest_says_that_nothing_was_verified() -> None:
    assert Header(encode_header(PACKAGE, INSTALLED, ())).verify() == ()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha3_256"])
def test_every_bit_of_the_immutable_region_counts(algorithm: str) -> None:
    blob = encode_header(PACKAGE, {}, (algorithm,))

    for at in range(len(blob)):
        for bit in (at % 8, 7 - at % 8):
            damaged = bytearray(blob)
            damaged[at] ^= 1 << bit
            try:
                verified = Header(bytes(damaged)).verify()
            except DamagedHeaderError:
                continue
            # What is left is a digest under the number of another tag: the header has none then.
            assert verified == (), (at, bit)


def test_a_real_header_with_any_byte_flipped_is_refused_or_has_no_changed_file(system: RpmSystem) -> None:
    """States and times lie outside the region: no digest covers them, and nothing of the files' content is there."""
    blob = system.blob("gamma")
    sound = [file._replace(state=0) for file in _files(blob)]

    for at in range(len(blob)):
        damaged = bytearray(blob)
        damaged[at] ^= 0x10
        try:
            files = _files(bytes(damaged))
        except DamagedHeaderError:
            continue
        assert [file._replace(state=0) for file in files] == sound, at


def test_a_truncated_header_is_refused_at_every_length(system: RpmSystem) -> None:
    blob = system.blob("gamma")

    for length in range(len(blob)):
        with pytest.raises(DamagedHeaderError):
            Header(blob[:length])


def _entry(tag: int, kind: int, offset: int, count: int, data: bytes = b"abc\0def\0", data_bytes: int = 0) -> bytes:
    return struct.pack(">IIIIiI", 1, data_bytes or len(data), tag, kind, offset, count) + data


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 8,
        b"\0" * 4096,
        b"\xff" * 4096,
        struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF),
        struct.pack(">II", 0xFFFF, 0x0FFFFFFF),
        _entry(1000, 6, 8, 1),
        _entry(1000, 6, -1, 1),
        _entry(1000, 8, 0, 0xFFFFFFFF),
        _entry(1000, 8, 0, 0),
        _entry(1000, 6, 0, 2),
        _entry(1000, 4, 2, 1),
        _entry(1000, 4, 0, 0x7FFFFFFF),
        _entry(1000, 10, 0, 1),
        _entry(1000, 0, 0, 1),
        _entry(99, 6, 0, 1),
        _entry(63, 7, 0, 16),
        _entry(63, 7, -16, 16),
        _entry(63, 7, 0, 16, struct.pack(">IIiI", 63, 7, -32, 16)),
        _entry(63, 7, 0, 16, struct.pack(">IIiI", 63, 7, 16, 16)),
        _entry(63, 7, 0, 16, struct.pack(">IIiI", 63, 7, -(2**31), 16)),
    ],
)
def test_what_is_no_header_is_refused(blob: bytes) -> None:
    with pytest.raises(DamagedHeaderError):
        Header(blob)


@pytest.mark.parametrize(("kind", "count", "data"), [(8, 3, b"abc\0def\0"), (6, 1, b"abcdefgh"), (8, 8, b"a\0bcdefg")])
def test_strings_that_do_not_end_are_refused(kind: int, count: int, data: bytes) -> None:
    header = Header(_entry(1117, kind, 0, count, data))

    with pytest.raises(DamagedHeaderError, match="do not end"):
        header.strings(1117)


@pytest.mark.parametrize(
    "changed",
    [
        {1000: (6, (b"",))},
        {1000: (4, (1,))},
        {1030: (3, (0o100644,))},
        {1030: (8, (b"x", b"y"))},
        {1035: (8, (b"a" * 64, b"b" * 63))},
        {1035: (8, (b"a" * 64, b"B" * 64))},
        {1116: (4, (0, 2))},
        {1117: (8, (b"one", b"../two"))},
        {1117: (8, (b"one", b".."))},
        {1118: (8, (b"/etc/", b"usr/bin/"))},
        {1118: (8, (b"/etc/", b"/usr/bin"))},
        {5011: (4, (8, 8))},
    ],
)
def test_a_header_that_contradicts_itself_is_refused(changed: Tags) -> None:
    """Its digest may be right all the same: then it was made like that, and is not rpm's."""
    with pytest.raises(DamagedHeaderError):
        _files(encode_header({**PACKAGE, **changed}, INSTALLED))


@pytest.mark.parametrize("states", [(0,), (0, 0, 0), (0, 5), (0, 200)])
def test_states_that_do_not_fit_the_files_are_refused(states: tuple[int, ...]) -> None:
    with pytest.raises(DamagedHeaderError):
        _files(encode_header(PACKAGE, {1029: (1, states)}))


def test_only_the_files_of_an_installed_package_have_states() -> None:
    header = Header(encode_header(PACKAGE, {}))

    assert [file.state for file in read_files(header, installed=False)] == [0, 0]
    with pytest.raises(DamagedHeaderError, match="1029"):
        read_files(header)


def test_a_tag_behind_the_region_does_not_replace_one_in_it() -> None:
    with pytest.raises(DamagedHeaderError, match="more than once"):
        Header(encode_header(PACKAGE, {**INSTALLED, 1035: (8, (b"c" * 64, b"d" * 64))}))


def test_names_behind_the_region_are_those_of_a_relocated_package() -> None:
    files = _files(encode_header(PACKAGE, {**INSTALLED, 1118: (8, (b"/srv/", b"/opt/"))}))

    assert [file.path for file in files] == [b"/srv/one", b"/opt/two"]


def test_large_sizes_have_a_tag_of_their_own() -> None:
    tags = {tag: value for tag, value in PACKAGE.items() if tag != 1028}

    files = _files(encode_header({**tags, 5008: (5, (5 * 2**32, 1))}, INSTALLED))

    assert [file.size for file in files] == [5 * 2**32, 1]


def test_names_of_a_package_of_rpm_3_are_whole() -> None:
    tags = {tag: value for tag, value in PACKAGE.items() if tag not in (1116, 1117, 1118)}

    files = _files(encode_header({**tags, 1027: (8, (b"/etc/one", b"/usr/bin/two"))}, INSTALLED))

    assert [file.path for file in files] == [b"/etc/one", b"/usr/bin/two"]


def test_md5_is_meant_where_no_algorithm_is_named() -> None:
    tags = {**PACKAGE, 1035: (8, (b"a" * 32, b"b" * 32))}
    del tags[5011]
    blob = encode_header(tags, INSTALLED)

    assert digest_algorithm(Header(blob)) == 1
    assert [file.digest for file in _files(blob)] == [b"a" * 32, b"b" * 32]


def test_a_header_of_many_strings_is_read_in_one_go() -> None:
    """Half a million strings in a megabyte; a reader that copies the rest for each would never end."""
    blob = _entry(1117, 8, 0, 500_000, b"a\0" * 500_000)

    assert len(Header(blob).strings(1117)) == 500_000
