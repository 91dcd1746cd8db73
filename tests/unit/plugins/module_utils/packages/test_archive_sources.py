# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources and keyrings of a root, as they are given to an apt of its own; and who has signed a Release."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import archive_apt, archive_sources
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_release import signers_of_status
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

KEY = b"\x99\x01" + bytes(range(100))

LINES = {
    b"deb http://a.example.org/debian stable main contrib": [("http://a.example.org/debian", "stable", "main contrib")],
    b"  deb\thttp://a stable main # and so on": [("http://a", "stable", "main")],
    b"deb [ arch=amd64,i386 trusted=yes ] file:/srv ./": [("file:/srv", "./", "")],
    b"deb-src http://a stable main": [],
    b"# deb http://a stable main": [],
    b"deb http://a": [],
    b"deb http://a stable \0main": [],
    b"rpm http://a stable main": [],
    b"deb http://a b c\ndeb http://d e f": [("http://a", "b", "c"), ("http://d", "e", "f")],
}


@pytest.mark.parametrize(("line", "expected"), LINES.items(), ids=[repr(line) for line in LINES])
def test_one_line_sources(line: bytes, expected: list[tuple[str, str, str]]) -> None:
    found = archive_sources.parse_list(line)

    assert [(fields["uris"], fields["suites"], fields["components"]) for fields in found] == expected
    assert not any("trusted" in fields for fields in found)


PARAGRAPHS = {
    b"Types: deb\nURIs: http://a\nSuites: b c\nComponents: main": [("http://a", "b c")],
    b"Types: deb deb-src\nURIs: http://a\n http://b\nSuites: c\n": [("http://a http://b", "c")],
    b"types: deb\nuris: http://a\n# in between\nsuites: b\n": [("http://a", "b")],
    b"Types: deb\nURIs: http://a\nSuites: b\n\n\nTypes: deb\nURIs: http://c\nSuites: d\n": [
        ("http://a", "b"),
        ("http://c", "d"),
    ],
    b"Types: deb-src\nURIs: http://a\nSuites: b\n": [],
    b"Types: deb\nURIs: http://a\nSuites: b\nEnabled: no\n": [],
    b"Types: deb\nURIs: http://a\n": [],
    b"Types: deb\nURIs: http://a\nSuites: b\nX: \0\n": [],
}


@pytest.mark.parametrize(("text", "expected"), PARAGRAPHS.items(), ids=[repr(text)[:60] for text in PARAGRAPHS])
def test_sources_in_paragraphs(text: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(fields["uris"], fields["suites"]) for fields in archive_sources.parse_sources(text)] == expected


def armour(data: bytes, checksum: bytes = b"=abcd\n", head: bytes = b"") -> bytes:
    border = b"PGP PUBLIC KEY BLOCK-----\n"
    return b"-----BEGIN " + border + head + b"\n" + base64.encodebytes(data) + checksum + b"-----END " + border


KEYRINGS = {
    "binary": (KEY, KEY),
    "armoured": (armour(KEY), KEY),
    "with a comment": (armour(KEY, head=b"Comment: of a test\n"), KEY),
    "without a checksum": (armour(KEY, b""), KEY),
    "two": (armour(KEY) + armour(KEY), KEY + KEY),
    "text": (b"<html>not found</html>", None),
    "empty": (b"", None),
    "zeros": (bytes(1000), None),
    "a keybox": (b"\0\0\0\x20\1\1\0\2KBXf" + bytes(20), None),
    "another armour": (armour(b"text"), None),
}


@pytest.mark.parametrize(("data", "expected"), KEYRINGS.values(), ids=KEYRINGS)
def test_keyrings(data: bytes, expected: bytes | None) -> None:
    assert archive_sources.dearmour(data) == expected


def test_what_is_written_for_apt_cannot_make_it_accept_an_unsigned_archive(tmp_path: Path) -> None:
    root, private = tmp_path / "root", tmp_path / "private"
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    private.mkdir()
    (root / "key.gpg").write_bytes(KEY)
    (root / "etc/apt/sources.list").write_text(
        "deb [trusted=yes allow-insecure=yes signed-by=/key.gpg arch=amd64] http://a/debian stable main\n"
        "deb cdrom:[disc]/ stable main\n"
    )
    (root / "etc/apt/sources.list.d/b.sources").write_text(
        "Types: deb\nURIs: http://b\nSuites: s/\nTrusted: yes\nAllow-Insecure: yes\nSigned-By: /key.gpg\n"
    )
    tree = Tree(str(root))
    setup = archive_sources.write(tree, ("deb [signed-by=/key.gpg] http://c x y", "nonsense"), private)
    tree.close()
    written = (private / "sources.list.d/root.sources").read_text()

    assert [source.bases for source in setup.sources] == [
        ("http://a/debian/dists/stable/",),
        ("http://b/s/",),
        ("http://c/dists/x/",),
    ]
    assert setup.complaints == [
        "a line of archive_sources is no package source",
        "/etc/apt/sources.list has a source of a kind that is not used (cdrom:)",
    ]
    assert "rusted" not in written and "nsecure" not in written
    assert written.count("Signed-By: ") == 3
    assert all(Path(keyring).read_bytes() == KEY for source in setup.sources for keyring in source.keyrings)


NEW, OLD = "A" * 40, "B" * 40
GOOD, VALID = "[GNUPG:] GOODSIG 01 x\n", f"[GNUPG:] VALIDSIG {NEW} 2026-01-01 1 0 4 0 22 10 01 {OLD}\n"
STATUS = {
    "good": (GOOD + VALID, [(OLD, NEW)]),
    "two": ((GOOD + VALID) * 2, [(OLD, NEW)] * 2),
    "one of an unknown key": ("[GNUPG:] ERRSIG 02 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY 02\n" + GOOD + VALID, [(OLD, NEW)]),
    "only of an unknown key": ("[GNUPG:] ERRSIG 02 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY 02\n", []),
    "one bad": (GOOD + VALID + "[GNUPG:] BADSIG 02 x\n", []),
    "expired key": (GOOD.replace("GOODSIG", "EXPKEYSIG") + VALID, []),
    "revoked key": (GOOD.replace("GOODSIG", "REVKEYSIG") + VALID, []),
    "expired": (GOOD.replace("GOODSIG", "EXPSIG") + VALID, []),
    "over SHA-1": (GOOD + VALID.replace(" 10 01 ", " 2 01 "), []),
    "not of gpgv": ("gpgv: GOODSIG\n" + VALID, []),
    "nothing": ("", []),
}


@pytest.mark.parametrize(("text", "expected"), STATUS.values(), ids=STATUS)
def test_who_has_signed(text: str, expected: list[tuple[str, ...]]) -> None:
    assert signers_of_status(text) == expected


SETTINGS = {
    'Acquire::http::Proxy "http://127.0.0.1:3142";': True,
    'Acquire::https::Proxy::mirror.example.org "DIRECT";': True,
    'Acquire::https::mirror.example.org::CaInfo "/etc/ssl/ca.pem";': True,
    'Acquire::Check-Valid-Until "false";': True,
    'Acquire::http::Proxy-Auto-Detect "/usr/bin/program";': False,
    'Acquire::http::ProxyAutoDetect "/usr/bin/program";': False,
    'Acquire::AllowInsecureRepositories "true";': False,
    'APT::Get::AllowUnauthenticated "true";': False,
    'APT::Update::Post-Invoke:: "rm -rf /";': False,
    'Dir::Bin::gpg "/bin/true";': False,
    'Acquire::gpgv::Options:: "--ignore-time-conflict";': False,
}


@pytest.mark.parametrize(("line", "taken"), SETTINGS.items(), ids=SETTINGS)
def test_only_how_to_reach_a_server_is_taken_over(tmp_path: Path, line: str, taken: bool) -> None:
    root, private = tmp_path / "root", tmp_path / "private"
    (root / "etc/apt").mkdir(parents=True)
    (root / "etc/apt/apt.conf").write_text(f"{line}\n")
    private.mkdir()
    tree = Tree(str(root))
    archive_apt.Apt(tree, private, (), ())
    tree.close()

    assert (line.partition(" ")[2] in (private / "apt.conf").read_text()) is taken
