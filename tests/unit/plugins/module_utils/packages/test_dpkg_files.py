# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers of dpkg's files: what is sound is kept, what is not is named."""

from __future__ import annotations

import os

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    Conffile,
    Diversion,
    Override,
    parse_diversions,
    parse_list,
    parse_locale_purge,
    parse_md5sums,
    parse_path_filters,
    parse_statoverride,
    parse_status,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import left_out

MD5 = b"9" * 32
PARAGRAPH = b"Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n"


@pytest.mark.parametrize(
    ("data", "digests"),
    [
        (MD5 + b"  usr/a\n", {b"/usr/a": MD5}),
        (MD5 + b" usr/a\n", {b"/usr/a": MD5}),
        (MD5 + b" *usr/a\n", {b"/usr/a": MD5}),
        (MD5 + b"  ./usr/a\n", {b"/usr/a": MD5}),
        (MD5 + b"  /usr/a\n", {b"/usr/a": MD5}),
        (b"\\" + MD5 + b"  usr/a\\\\b\\nc\n", {b"/usr/a\\b\nc": MD5}),
        (MD5 + b"  usr/a\\x2db\n", {b"/usr/a\\x2db": MD5}),
        (b"8" * 64 + b"  usr/a\n", {b"/usr/a": b"8" * 64}),
        (b"8" * 40 + b"  usr/a\n", {b"/usr/a": b"8" * 40}),
        (MD5 + b"  \xe9\n", {b"/\xe9": MD5}),
        (b"", {}),
    ],
)
def test_digests_in_every_form_that_is_seen(data: bytes, digests: dict[bytes, bytes]) -> None:
    assert parse_md5sums(data) == (digests, [])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (MD5 + b"  usr/a\n" + MD5 + b"  us", "it does not end in a newline: it is truncated"),
        (MD5 + b"  usr/a\n" + MD5[:8] + bytes(8) + b"\n", "line 2 contains NUL bytes"),
        (MD5 + b"  usr/a\nrubbish\n\n", "line 2 is not a digest and a path, and 1 more like it"),
        (MD5 + b"  usr/a\n" + MD5 + b"  ../..\n", "line 2 is not a digest and a path"),
    ],
)
def test_what_is_wrong_with_digests_is_named_and_the_rest_kept(data: bytes, complaint: str) -> None:
    assert parse_md5sums(data) == ({b"/usr/a": MD5}, [complaint])


@pytest.mark.parametrize(
    ("data", "paths", "complaints"),
    [
        (b"/.\n/usr\n/usr/a\n", [b"/usr", b"/usr/a"], []),
        (b"/.\n", [], []),
        (b"/usr\n/usr/a b\n", [b"/usr", b"/usr/a b"], []),
        (b"", [], ["it is empty"]),
        (b"/.\n/usr\n/us", [b"/usr"], ["it does not end in a newline: it is truncated"]),
        (b"/.\n/usr\n/\0\n", [b"/usr"], ["line 3 contains NUL bytes"]),
        (b"/.\n/usr\nusr/a\n", [b"/usr"], ["line 3 is not an absolute path"]),
        (b"/.\n/usr\n\n", [b"/usr"], ["line 3 is not an absolute path"]),
        (b"/.\n/usr\n/usr/../a\n/usr/..\n", [b"/usr"], ["line 3 is not an absolute path, and 1 more like it"]),
    ],
)
def test_file_lists(data: bytes, paths: list[bytes], complaints: list[str]) -> None:
    assert parse_list(data) == (paths, complaints)


def test_conffiles_are_read_from_the_right() -> None:
    rows = b"Conffiles:\n /etc/a b " + MD5 + b"\n /etc/c " + MD5 + b" obsolete\n /etc/d newconffile remove-on-upgrade\n"
    packages, complaints = parse_status(PARAGRAPH + rows + b"\n")
    assert complaints == []
    assert packages[0].conffiles == (
        Conffile(b"/etc/a b", MD5, False, False),
        Conffile(b"/etc/c", MD5, True, False),
        Conffile(b"/etc/d", None, False, True),
    )


@pytest.mark.parametrize(
    ("data", "count", "complaint"),
    [
        (b"", 0, "it is empty"),
        (PARAGRAPH, 1, "it ends inside a paragraph: it is truncated"),
        (PARAGRAPH + b"\n" + PARAGRAPH.replace(b"Package: a\n", b"") + b"\n", 1, "without a valid package name"),
        (PARAGRAPH + b"\n" + PARAGRAPH.replace(b": a\n", b": /a\n") + b"\n", 1, "without a valid package name"),
        (PARAGRAPH + b"\n" + PARAGRAPH.replace(b"ok", b"good") + b"\n", 1, "without a valid status"),
        (PARAGRAPH + b"\n" + PARAGRAPH.replace(b"Version: 1\n", b"") + b"\n", 2, "valid version"),
        (PARAGRAPH + b"\n" + PARAGRAPH.replace(b": 1\n", b": 1\xff 2\n") + b"\n", 2, "valid version"),
        (PARAGRAPH + b"\n" + PARAGRAPH.replace(b": all", b": a/b") + b"\n", 1, "valid architecture"),
        (PARAGRAPH + b" more\nrubbish\n\n", 1, "neither a field nor a continuation"),
        (b" more\n" + PARAGRAPH + b"\n", 1, "continues no field"),
        (PARAGRAPH + b"Version: 2\n\n", 1, "repeats a field"),
        (PARAGRAPH + b"Conffiles:\n etc/a 12\n\n", 1, "invalid conffile"),
        (PARAGRAPH + b"Description: \0\n\n", 1, "NUL"),
    ],
)
def test_what_is_wrong_with_a_status_file_is_named_and_the_rest_kept(data: bytes, count: int, complaint: str) -> None:
    packages, complaints = parse_status(data)
    assert len(packages) == count
    assert any(complaint in sentence for sentence in complaints), complaints


def test_diversions() -> None:
    data = b"/a\n/a.real\npkg\n/b\n/b.distrib\n:\n"
    expected = {b"/a": Diversion(b"/a.real", "pkg"), b"/b": Diversion(b"/b.distrib", ":")}
    assert parse_diversions(data) == (expected, [])
    assert parse_diversions(data + b"/c\n") == (expected, ["its number of lines is not a multiple of three"])
    assert parse_diversions(data + b"c\nd\ne\n")[1] == [
        "line 7 begins a diversion that is not two absolute paths and a package"
    ]


def test_statoverride() -> None:
    expected = {b"/usr/bin/a b": Override("root", "messagebus", 0o4754), b"/b": Override(0, 12, 0o755)}
    data = b"root messagebus 4754 /usr/bin/a b\n#0 #12 755 /b\n"
    assert parse_statoverride(data) == (expected, [])
    assert parse_statoverride(b"") == ({}, [])
    assert parse_statoverride(data + b"root ro") == (expected, ["it does not end in a newline: it is truncated"])


@pytest.mark.parametrize(
    "line", [b"root root 999 /a", b"root root 755 a", b"root 755 /a", b"#x root 755 /a", b"a\0 b 1 /c"]
)
def test_what_is_no_override_is_named(line: bytes) -> None:
    overrides, complaints = parse_statoverride(b"root root 644 /etc\n" + line + b"\n")
    assert list(overrides) == [b"/etc"]
    assert complaints[0].startswith("line 2 ")


@pytest.mark.parametrize(
    ("path", "absent_is_fine"),
    [
        (b"/usr/share/doc/a/b", True),
        (b"/usr/share/doc/a/copyright", False),
        (b"/usr/share/locale/de/LC_MESSAGES/x.mo", True),
        (b"/usr/share/docs", False),
    ],
)
def test_the_last_path_filter_that_matches_decides(path: bytes, absent_is_fine: bool) -> None:
    rules = b"path-exclude=/usr/share/doc/*\n# path-exclude=*\npath-exclude /usr/share/locale/??/*\n"
    assert left_out(path, parse_path_filters(rules + b"path-include = /usr/share/doc/*/copyright\n")) is absent_is_fine


@pytest.mark.parametrize(
    ("path", "absent_is_fine"),
    [
        (b"/usr/share/locale/fr/LC_MESSAGES/x.mo", True),
        (b"/usr/share/locale/de/LC_MESSAGES/x.mo", False),
        (b"/usr/share/locale/de_AT/LC_MESSAGES/x.mo", True),
        (b"/usr/share/locale/locale.alias", False),
        (b"/usr/share/man/fr/man1/ls.1.gz", True),
        (b"/usr/share/man/man1/ls.1.gz", False),
        (b"/usr/share/zoneinfo/fr/x", False),
    ],
)
def test_localepurge_takes_away_the_locales_that_are_not_listed(path: bytes, absent_is_fine: bool) -> None:
    configuration = b"# comment\nMANDELETE\nDONTBOTHERNEWLOCALE\nde\nen_GB.UTF-8\n"
    assert left_out(path, parse_locale_purge(configuration)) is absent_is_fine


@pytest.mark.parametrize("configuration", [b"", b"de\nNEEDSCONFIGFIRST\n", b"de\nUSE_DPKG\n", b"MANDELETE\n"])
def test_localepurge_that_does_nothing_excuses_nothing(configuration: bytes) -> None:
    assert parse_locale_purge(configuration) == []


def test_no_parser_raises_on_any_bytes() -> None:
    seeds = [PARAGRAPH + b"\n", MD5 + b"  a\n", b"/.\n/a\n", b"/a\n/b\nc\n", b"root root 755 /a\n", b"path-exclude=[\n"]
    for _round in range(300):
        data = bytearray(b"".join(seeds))
        at = int.from_bytes(os.urandom(2), "big") % len(data)
        data[at : at + 8] = os.urandom(8)
        for parser in (parse_status, parse_md5sums, parse_list, parse_diversions, parse_statoverride):
            parser(bytes(data))
        parse_path_filters(bytes(data))
        parse_locale_purge(bytes(data))
