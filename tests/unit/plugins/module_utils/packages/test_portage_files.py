# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers of Portage's files, on lines made from the description of the formats."""

from __future__ import annotations

import bz2
import os

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import portage_files
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DIRECTORY,
    FIFO,
    FILE,
    SYMLINK,
    UNKNOWN,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.portage_files import (
    Content,
    check_environment,
    install_mask,
    parse_assignments,
    parse_contents,
    parse_needed,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import left_out

MD5 = b"62ed51c8b23866777552643ec57614b0"
SHA1 = b"a9993e364706816aba3e25717850c26c9cd0d89d"


@pytest.mark.parametrize(
    ("line", "content"),
    [
        (b"obj /bin/bash " + MD5 + b" 1120707577", Content(FILE, b"/bin/bash", MD5, 1120707577)),
        (b"obj /bin/bash " + SHA1 + b" 0", Content(FILE, b"/bin/bash", SHA1, 0)),
        (b"obj /a b  c " + MD5 + b" 1", Content(FILE, b"/a b  c", MD5, 1)),
        (b"obj /a " + MD5 + b" 1 " + MD5 + b" 2", Content(FILE, b"/a " + MD5 + b" 1", MD5, 2)),
        (b"obj /\xe9 " + MD5 + b" 1", Content(FILE, b"/\xe9", MD5, 1)),
        (b"sym /bin/sh -> bash 7", Content(SYMLINK, b"/bin/sh", None, 7, b"bash")),
        (b"sym /a -> b -> c 7", Content(SYMLINK, b"/a", None, 7, b"b -> c")),
        (b"sym /a b -> ../c d 7", Content(SYMLINK, b"/a b", None, 7, b"../c d")),
        (b"dir /usr/share/a b", Content(DIRECTORY, b"/usr/share/a b")),
        (b"fif /run/initctl", Content(FIFO, b"/run/initctl")),
        (b"dev /dev/null", Content(UNKNOWN, b"/dev/null")),
    ],
)
def test_each_kind_of_line(line: bytes, content: Content) -> None:
    assert parse_contents(line + b"\n") == ([content], [])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"obj /bin/bash\0" + MD5 + b" 1", "line 2 contains NUL bytes"),
        (b"obj /bin/bash " + MD5[:-1] + b" 1", "line 2 is not an entry of a package"),
        (b"obj /bin/bash " + MD5, "line 2 is not an entry of a package"),
        (b"sym /bin/sh bash 7", "line 2 is not an entry of a package"),
        (b"obj bin/bash " + MD5 + b" 1", "line 2 is not an entry of a package"),
        (b"obj /bin/../bash " + MD5 + b" 1", "line 2 is not an absolute path"),
        (b"dir /bin/..", "line 2 is not an absolute path"),
        (b"dir /bin/", "line 2 is not an absolute path"),
        (b"", "line 2 is not an entry of a package"),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_kept(line: bytes, complaint: str) -> None:
    contents, complaints = parse_contents(b"dir /bin\n" + line + b"\ndir /usr\n")
    assert [content.path for content in contents] == [b"/bin", b"/usr"]
    assert complaints == [complaint]


def test_a_truncated_file_is_told_and_an_empty_one_is_sound() -> None:
    assert parse_contents(b"") == ([], [])
    assert parse_contents(b"dir /bin\ndir /us")[1] == ["it does not end in a newline: it is truncated"]


PACKED = bz2.compress(b"declare -x A=1\n" * 1000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PACKED, ""),
        (PACKED + PACKED, ""),
        (b"", "truncated"),
        (PACKED[:-1], "truncated"),
        (PACKED[:20], "truncated"),
        (PACKED[:-4] + b"abcd", "cannot be unpacked"),
        (PACKED[:40] + bytes(8) + PACKED[48:], "cannot be unpacked"),
        (PACKED + b"rubbish", "cannot be unpacked"),
        (b"declare -x A=1\n", "cannot be unpacked"),
    ],
)
def test_an_environment_is_proven_by_its_checksums(data: bytes, words: str) -> None:
    complaint = check_environment(data)
    assert (words in complaint) if words else complaint == ""


def test_an_environment_that_unpacks_to_too_much_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portage_files, "MAX_ENVIRONMENT_BYTES", 3 * 1024 * 1024)
    assert check_environment(bz2.compress(bytes(3 * 1024 * 1024))) == ""
    assert "more than" in check_environment(bz2.compress(bytes(64 * 1024 * 1024)))


def test_needed_names_programs_and_libraries() -> None:
    data = b"X86_64;/usr/bin/a b;;;libc.so.6;x86_64\nX86_64;usr/no;;;\nrubbish\nX86_64;/cut;;"
    assert parse_needed(data) == [b"/usr/bin/a b"]


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b'A="b c"\n', [("A", "b c")]),
        (b"A='${b} c'\nB=d\n", [("A", "${b} c"), ("B", "d")]),
        (b"# A=1\nA=1 # 2\n\nexport B=2;C=3", [("A", "1"), ("B", "2"), ("C", "3")]),
        (b'A="x"\nB="${A} $A${C}y"\n', [("A", "x"), ("B", "x xfrom elsewherey")]),
        (b'A="b \\\n  c"\n', [("A", "b   c")]),
        (b'A="b\nc"\n', [("A", "b\nc")]),
        (b'A="\\$b \\"c\\""\n', [("A", '$b "c"')]),
        (b"A=\"b\"c'd'\n", [("A", "bcd")]),
        (b"A=\nB=1\n", [("A", ""), ("B", "1")]),
        (b"source /etc/more.conf\nA=1\n", [("source", "/etc/more.conf"), ("A", "1")]),
        (b'A="$(id)"\nB="`id`"\nC=1\n', [("A", None), ("B", None), ("C", "1")]),
        (b"", []),
    ],
)
def test_assignments(data: bytes, values: list[tuple[str, str | None]]) -> None:
    found = parse_assignments(data, lambda _name: "from elsewhere")
    assert found.values == values
    assert found.complaint == ""


@pytest.mark.parametrize("line", [b"if true; then", b'A="b', b"A = 1", b"echo", b"\0", b"source"])
def test_what_only_a_shell_could_read_ends_the_reading(line: bytes) -> None:
    found = parse_assignments(b"A=1\n" + line + b"\n", lambda _name: "")
    assert found.values[:1] == [("A", "1")]
    assert found.complaint == "line 2 cannot be read without a shell"


@pytest.mark.parametrize(
    ("path", "absent_is_fine"),
    [
        (b"/usr/share/doc/a/b", True),
        (b"/usr/share/doc", True),
        (b"/usr/share/docs", False),
        (b"/usr/lib/a/b.la", True),
        (b"/usr/lib/a.la/b", False),
        (b"/usr/share/locale/fr/x.mo", True),
        (b"/usr/share/locale/de/x.mo", False),
        (b"/opt/usr/share/doc", False),
    ],
)
def test_what_is_masked_may_be_absent(path: bytes, absent_is_fine: bool) -> None:
    words = ["/usr/share/doc/", "*.la", "/usr/share/locale", "-/usr/share/locale/de", "/"]
    assert left_out(path, install_mask(words)) is absent_is_fine


def test_no_parser_raises_on_any_bytes() -> None:
    seeds = [b"obj /a " + MD5 + b" 1\n", b"sym /a -> b 2\n", b'A="${B} c"\n', b"X;/a;b;\n", b"source '/a'\n"]
    for _round in range(300):
        data = bytearray(b"".join(seeds))
        at = int.from_bytes(os.urandom(2), "big") % len(data)
        data[at : at + 4] = os.urandom(4)
        parse_contents(bytes(data))
        parse_needed(bytes(data))
        found = parse_assignments(bytes(data), lambda _name: "")
        install_mask([word for _name, value in found.values for word in (value or "").split()])
        check_environment(bytes(data))
