# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole configurations of HAProxy 1.5."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.legacy import (
    MAXIMUM_CHARACTERS,
    _Section,
    find_sessions,
)

LINE = "appsession PHPSESSID len 64 timeout 3h"
MEANT = {
    "cookie": "PHPSESSID",
    "len": 64,
    "timeout": "3h",
    "request_learn": False,
    "prefix": False,
    "mode": "path-parameters",
    "failover": "return",
    "hash_keys": False,
    "ignore_ids": [],
    "ignore": [],
}


def found(*lines: str, before: tuple[str, ...] = ("defaults", "mode http")) -> list[dict[str, Any]]:
    return find_sessions("\n".join([*before, *lines]), "old.cfg")


def only(*lines: str, before: tuple[str, ...] = ("defaults", "mode http")) -> dict[str, Any]:
    [entry] = found(*lines, before=before)
    return entry


def test_a_line_without_a_problem() -> None:
    assert only("backend app", "  " + LINE + "  # keep", "  server s1 10.0.0.1") == {
        "file": "old.cfg", "line": 4, "section": "backend", "backend": "app", "session": MEANT, "problems": [],
    }  # fmt: skip


def test_every_line_is_found_in_its_order() -> None:
    entries = found("backend a", LINE, "frontend b", "listen c :80", LINE, "#" + LINE, "backend d")
    assert [(entry["line"], entry["section"], entry["backend"]) for entry in entries] == [
        (4, "backend", "a"),
        (7, "listen", "c"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", LINE, "# appsession", "backend a\n\n", "\x00\n\\\nbackend"])
def test_nothing_to_find(text: str) -> None:
    assert find_sessions(text, "old.cfg") == []


def test_windows_line_ends() -> None:
    [entry] = find_sessions(f"defaults\r\nmode http\r\nbackend a\r\n{LINE}\r\n", "old.cfg")
    assert (entry["line"], entry["session"], entry["problems"]) == (4, MEANT, [])


def test_a_byte_order_mark_hides_no_section() -> None:
    [entry] = find_sessions(f"\ufeffdefaults\nmode http\nbackend a\n{LINE}\n", "old.cfg")
    assert entry["problems"] == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (("defaults", LINE), "stands in a defaults section: HAProxy 1.5 does not start with it"),
        (("frontend web", LINE), "stands in a frontend section, where HAProxy 1.5 ignored it"),
        (("backend a", "appsession X timeout 3h len 64"), "swapped"),
        (("backend a", "appsession X len 64 timeout 60d"), "24 days"),
        (("backend a", "appsession X"), "not complete"),
        (("backend a", "appsession"), "not complete"),
    ],
)
def test_lines_without_a_meaning(lines: tuple[str, ...], problem: str) -> None:
    entry = only(*lines)
    assert entry["session"] is None
    assert problem in entry["problems"][0]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((LINE + " request-lean",), "'request-lean' is not known"),
        (("appsession PHPSESSID len 64 timeout 10800000",), "'10800000' has no unit: it is milliseconds"),
        ((LINE, "mode tcp"), "the mode is not http"),
        ((LINE, "cookie SRV insert indirect"), "a cookie of HAProxy's own"),
        ((LINE, "cookie PHPSESSID prefix"), "a cookie of HAProxy's own"),
    ],
)
def test_lines_with_a_meaning_and_a_problem(lines: tuple[str, ...], problem: str) -> None:
    entry = only("backend app", *lines)
    assert entry["session"] == MEANT
    assert len(entry["problems"]) == 1
    assert problem in entry["problems"][0]


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        (("defaults",), "the mode is not http"),
        ((), "the mode is not http"),
        (("defaults", "mode http", "cookie SRV insert"), "a cookie of HAProxy's own"),
        (("global", "nbproc 4", "defaults", "mode http"), "there are 4 processes"),
    ],
)
def test_other_sections_count(before: tuple[str, ...], problem: str) -> None:
    assert problem in only("backend app", LINE, before=before)["problems"][0]


def test_later_defaults_forget_the_earlier_ones() -> None:
    assert only("backend app", LINE, before=("defaults", "cookie S insert", "defaults", "mode http"))["problems"] == []


def test_the_second_line_replaces_the_first_but_for_prefix() -> None:
    first, second = found("backend app", LINE + " prefix request-learn", LINE)
    assert first["session"] is None
    assert first["problems"] == ["the appsession of line 5 replaces it: HAProxy 1.5 knew one a backend"]
    assert second["session"] == {**MEANT, "prefix": True}
    assert "prefix is on" in second["problems"][0]


@pytest.mark.parametrize(
    ("line", "ignored"),
    [
        ("ignore-persist if { path_beg /static/ }", ["{ path_beg /static/ }"]),
        ("ignore-persist  if static or  media # both", ["static or media"]),
        ("ignore-persist if { path_beg /my\\ files }", ["{ path_beg /my\\ files }"]),
        ("ignore-persist unless { path_beg /app/ }", ["!{ path_beg /app/ }"]),
        ("ignore-persist unless dynamic", ["!dynamic"]),
    ],
)
def test_ignored_requests(line: str, ignored: list[str]) -> None:
    entry = only("backend app", line, LINE)
    assert entry["session"] == {**MEANT, "ignore": ignored}
    assert entry["problems"] == []


def test_acls_that_conditions_need_are_named() -> None:
    entry = only("backend app", "acl static path_beg /s/", "acl a src 10.0.0.1", "ignore-persist if !static or b", LINE)
    assert entry["problems"] == ["ignore needs these ACLs above the rules: static"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ignore-persist unless a b", "cannot be turned round"),
        ("ignore-persist", "cannot be turned round"),
        ("ignore-persist if { hdr(x) \"a\" }", "has quotes"),
    ],
)  # fmt: skip
def test_conditions_to_look_at(line: str, problem: str) -> None:
    assert problem in only("backend app", line, LINE)["problems"][0]


def test_a_section_is_not_searched_again_for_each_of_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration of 4 MB would take an hour."""
    searches: list[tuple[str, ...]] = []
    having = _Section.having

    def counted(section: _Section, *keywords: str) -> list[Any]:
        searches.append(keywords)
        return having(section, *keywords)

    monkeypatch.setattr(_Section, "having", counted)
    found("backend a", "acl b src 10.0.0.1", *["ignore-persist if b"] * 50, *[LINE] * 50)
    assert len(searches) < 20


def test_a_text_without_end_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"old\.cfg.*more than"):
        find_sessions("\n" * (MAXIMUM_CHARACTERS + 1), "old.cfg")
