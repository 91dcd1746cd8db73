# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the mapping form means, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import (
    AppSession,
    as_mapping,
    from_mapping,
    render_timeout,
)


def session(**changes: object) -> dict[str, object]:
    return {"cookie": "PHPSESSID", "timeout": "3h", **changes}


def test_defaults_are_for_a_new_site() -> None:
    assert from_mapping(session()) == AppSession(
        cookies=("PHPSESSID",),
        timeout_ms=10_800_000,
        length=None,
        request_learn=False,
        prefix=False,
        mode="none",
        failover="first_wins",
        hash_keys=True,
        ignored_ids=("", "deleted"),
        ignored_conditions=(),
        sessions=None,
    )


def test_null_is_the_same_as_nothing() -> None:
    said = dict.fromkeys(
        ("len", "request_learn", "prefix", "mode", "failover", "hash_keys", "ignore_ids", "ignore", "sessions")
    )
    assert from_mapping(session(**said)) == from_mapping(session())


@pytest.mark.parametrize(
    ("failover", "hash_keys", "ignored"),
    [("first_wins", True, ("", "deleted")), ("rebind", True, ("", "deleted")), ("return", False, ())],
)
def test_return_is_exact_and_the_others_are_careful(failover: str, hash_keys: bool, ignored: tuple[str, ...]) -> None:
    found = from_mapping(session(len=64, failover=failover))
    assert (found.failover, found.hash_keys, found.ignored_ids) == (failover, hash_keys, ignored)


def test_the_argument_overrides_the_key() -> None:
    found = from_mapping(session(len=64, failover="rebind"), failover="return")
    assert (found.failover, found.hash_keys) == ("return", False)


def test_classic_defaults() -> None:
    found = from_mapping(session(len=64), classic=True)
    assert (found.mode, found.failover, found.hash_keys) == ("path-parameters", "return", False)


@pytest.mark.parametrize(
    ("timeout", "milliseconds"),
    [
        ("1ms", 1),
        ("90s", 90_000),
        ("20m", 1_200_000),
        ("24d", 2_073_600_000),
        ("596h", 2_145_600_000),
        ("2147483647ms", 2_147_483_647),
        ("0", 0),
        (0, 0),
        ("0s", 0),
    ],
)
def test_timeout(timeout: object, milliseconds: int) -> None:
    assert from_mapping(session(timeout=timeout)).timeout_ms == milliseconds


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0"), (1, "1ms"), (1500, "1500ms"), (90_000, "90s"), (172_800_000, "2d")]
)
def test_timeouts_are_written_in_the_largest_unit(milliseconds: int, text: str) -> None:
    assert render_timeout(milliseconds) == text


@pytest.mark.parametrize(
    ("given", "ignored"),
    [(True, ("", "deleted")), (False, ()), ([], ()), (["gone", "gone", ""], ("gone", ""))],
)
def test_ignored_ids(given: object, ignored: tuple[str, ...]) -> None:
    assert from_mapping(session(ignore_ids=given)).ignored_ids == ignored


@pytest.mark.parametrize("length", [1, 64, 4096, "64"])
def test_length(length: object) -> None:
    assert from_mapping(session(len=length)).length == int(str(length))


def test_a_condition_may_fill_its_line() -> None:
    assert from_mapping(session(ignore=["a " * 60])).ignored_conditions == (("a " * 60).strip(),)


def test_several_cookies() -> None:
    assert from_mapping(session(cookie=["SID", "ASP.NET_SessionId"])).cookies == ("SID", "ASP.NET_SessionId")


@pytest.mark.parametrize(
    "given",
    [
        session(),
        session(cookie=["A", "B"], len=8, request_learn=True, prefix=True, mode="query-string", failover="rebind"),
        session(timeout=0, len=64, hash_keys=False, ignore_ids=["gone"], ignore=["{ path_beg /a }"], sessions=5),
    ],
)
def test_a_mapping_that_says_everything_means_the_same(given: dict[str, object]) -> None:
    found = from_mapping(given)
    assert from_mapping(as_mapping(found)) == from_mapping(as_mapping(found), classic=True) == found


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"timeout": "3h"}, "app_session.cookie"),
        ({"cookie": "PHPSESSID"}, "app_session.timeout"),
        (session(cookie=None), "app_session.cookie"),
        (session(cookie=[]), "app_session.cookie []"),
        (session(cookie=["A", "A"]), "app_session.cookie ['A', 'A']"),
        (session(timeuot="3h"), "app_session key 'timeuot'"),
        (session(hash_keys=False), "app_session.len"),
        (session(failover="return"), "app_session.len"),
        (session(failover="elsewhere"), "app_session.failover 'elsewhere'"),
        (session(mode="cookie"), "app_session.mode 'cookie'"),
        (session(mode=["none"]), "app_session.mode ['none']"),
        (session(hash_keys="no"), "app_session.hash_keys 'no'"),
        (session(request_learn=1), "app_session.request_learn 1"),
        (session(prefix="yes"), "app_session.prefix 'yes'"),
        (session(ignore_ids="deleted"), "app_session.ignore_ids 'deleted'"),
        (session(ignore_ids=["a b"]), "app_session.ignore_ids 'a b'"),
        (session(ignore_ids=["a\n"]), "app_session.ignore_ids 'a\\n'"),
        (session(ignore_ids=["a;b"]), "app_session.ignore_ids 'a;b'"),
        (session(ignore_ids=["x" * 257]), "app_session.ignore_ids"),
        (session(ignore_ids=[1]), "app_session.ignore_ids 1"),
        (session(ignore="{ path_beg /static/ }"), "app_session.ignore '{ path_beg"),
        *[
            (session(ignore=[text]), f"app_session.ignore {text!r}")
            for text in ("", "  ", "if static", "unless static", "static\nserver evil 10.0.0.1", "x" * 1025, 7)
        ],
        (session(ignore=["a " * 61]), "app_session.ignore 'a a "),
        *[
            (session(cookie=name), f"app_session.cookie {name!r}")
            for name in ("", "a b", "a=b", "a;b", "ä", "a\n", 7, "x" * 129)
        ],
        *[(session(len=length), f"app_session.len {length!r}") for length in (0, 4097, -1, True, 1.5, "abc", "64k")],
        *[(session(sessions=count), f"app_session.sessions {count!r}") for count in (0, -1, True, "many", 10**9 + 1)],
        *[
            (session(timeout=timeout), f"app_session.timeout {timeout!r}")
            for timeout in ("25d", "597h", "2147483648ms", "3600", 3600, "3x", "3 h", "-1s", "1.5h", "1us", "", False)
        ],
    ],
)
def test_refused_with_value_reason_and_remedy(given: dict[str, object], value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        from_mapping(given)
    assert caught.value.value.startswith(value)
    assert caught.value.reason
    assert caught.value.remedy
