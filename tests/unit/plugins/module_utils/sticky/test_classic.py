# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy 1.5's line: what it means, what it accepted although it means something else, and how it is written."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.classic import parse, render, split, unescape
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import AppSession, from_mapping


def session(**changes: object) -> AppSession:
    return from_mapping({"cookie": "PHPSESSID", "len": 64, "timeout": "3h", **changes}, classic=True)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("appsession PHPSESSID len 64 timeout 3h", session()),
        ("PHPSESSID len 64 timeout 3h", session()),
        ("  appsession\tPHPSESSID  len 64 timeout 3h  # why\n", session()),
        ("PHPSESSID len 64 timeout 3h request-learn prefix", session(request_learn=True, prefix=True)),
        ("PHPSESSID len 64 timeout 3h prefix request-learn", session(request_learn=True, prefix=True)),
        ("PHPSESSID len 64 timeout 3h mode path-parameters", session()),
        ("PHPSESSID len 64 timeout 3h mode query-string", session(mode="query-string")),
        ("PHPSESSID len 4096 timeout 10800000", session(len=4096)),
        ("PHPSESSID len 64 timeout 1500us", session(timeout="2ms")),
        ("PHPSESSID len 64 timeout 0", session(timeout=0)),
        ("a\\#b len 64 timeout 3h", session(cookie="a#b")),
        ("a\\x23b len 64 timeout 3h", session(cookie="a#b")),
        ("PHPSESSID len 64 timeout 3h\r", session()),
        ("appsession len 64 timeout 3h", None),
    ],
)
def test_line(line: str, meant: AppSession | None) -> None:
    if meant is None:
        with pytest.raises(InvalidInputError, match="not complete"):
            parse(line)
    else:
        assert parse(line) == meant


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("PHPSESSID timeout 3h len 64", "swapped: HAProxy 1.5 took '3h' for the length and '64' for the time"),
        ("PHPSESSID length 64 timeout 3h", "'length' and 'timeout' stand where len and timeout must"),
        ("PHPSESSID len 64 timeout 3h request-lean", r"'request-lean' is not known.* \(is it 'request-learn'\?\)"),
        ("PHPSESSID len 64 timeout 3h whatever", "'whatever' is not known: HAProxy 1.5 ignored it"),
        ("PHPSESSID len 64 timeout 3h len 32", "'len' is not known.*'32' is not known"),
        ("PHPSESSID len 64 timeout 3h prefix prefix", "'prefix' is there twice"),
        ("PHPSESSID len 64 timeout 60d", "more than HAProxy's timers hold .* counted 32 bits of it, 889032704ms"),
        ("PHPSESSID len 64 timeout 3x", "'3x' is not a whole number with a unit: HAProxy 1.5 does not start with it"),
        ("PHPSESSID len 64 timeout 3hours", "'3hours' is not a whole number with a unit: HAProxy 1.5 took it for 3h"),
        ("PHPSESSID len 64 timeout 1h30m", "HAProxy 1.5 took it for 1h"),
        ("PHPSESSID len 64 timeout 5u", "HAProxy 1.5 took it for 5s"),
        ("PHPSESSID len 64 timeout h", "HAProxy 1.5 took it for 0h"),
        ("a\\b len 64 timeout 3h", r"is no cookie"),
        ("PHPSESSID\u00a0len 64 timeout 3h x", r"is no cookie"),
        ("PHPSESSID len abc timeout 3h", "'abc' is not a number from 1 to 4096: HAProxy 1.5 took it for 0"),
        ("PHPSESSID len 64k timeout 3h", "'64k' is not a number.*took it for 64"),
        ("PHPSESSID len 0 timeout 3h", "'0' is not a number from 1"),
        ("PHPSESSID len 64 timeout 3h mode cookie", "mode 'cookie' is not one of path-parameters and query-string"),
        ("PHPSESSID len 64 timeout 3h mode", "mode '' is not one of"),
        ("PHPSESSID len 64 timeout", "not complete"),
        ("PHP=SESSID len 64 timeout 3h", "'PHP=SESSID' is no cookie"),
        ("PHPSESSID len abc timeout 3x prefx", "'abc' is not a number.*; .*'3x' is not.*; .*'prefx' is not known"),
    ],
)  # fmt: skip
def test_each_thing_that_is_wrong_is_named(line: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as caught:
        parse(line)
    assert caught.value.value == f"app_session {line!r}"
    assert "appsession COOKIE len LENGTH timeout TIME" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a\\ b\tc", ["a b", "c"]),
        ("a\\\\ b", ["a\\", "b"]),
        ("a\\\tb \\.png$", ["a\\", "b", "\\.png$"]),
        ("a\\#b c#d", ["a#b", "c"]),
        ("a\\tb\\x41 \\", ["a\tbA", "\\"]),
        ("a\u00a0b 'c d'", ["a\u00a0b", "'c", "d'"]),
    ],
)
def test_words_are_those_of_1_5(line: str, words: list[str]) -> None:
    assert [unescape(word) for word in split(line)] == words


def test_a_line_is_not_read_beyond_what_1_5_read() -> None:
    assert len(split("a " * 5000)) == 1024


@pytest.mark.parametrize("given", [None, 7, ["PHPSESSID"], "", "a len 1 timeout 1s\nserver evil 10.0.0.1", "x" * 2049])
def test_what_is_no_line_is_refused(given: object) -> None:
    with pytest.raises(InvalidInputError, match="neither a mapping nor one line"):
        parse(given)


@pytest.mark.parametrize(
    "line",
    [
        "appsession PHPSESSID len 64 timeout 3h request-learn prefix",
        "appsession PHPSESSID len 64 timeout 3h mode query-string",
        "appsession a\\#b len 8 timeout 1500ms request-learn",
        "appsession PHPSESSID len 8 timeout 0",
    ],
)
def test_written_as_read(line: str) -> None:
    assert render(parse(line)) == [line]


def test_ignored_requests_are_persisted_nowhere() -> None:
    assert render(session(ignore=["{ path_beg /static/ }", "static"]))[1:] == [
        "ignore-persist if { path_beg /static/ }",
        "ignore-persist if static",
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cookie": ["A", "B"]}, "more than one cookie"),
        ({"mode": "none"}, "mode none"),
        ({"failover": "rebind"}, "failover rebind .*, hash_keys, ignore_ids"),
        ({"hash_keys": True}, "hash_keys"),
        ({"ignore_ids": True}, "ignore_ids"),
    ],
)
def test_what_it_cannot_do_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidInputError, match=f"HAProxy cannot do {named}"):
        render(session(**changes))
