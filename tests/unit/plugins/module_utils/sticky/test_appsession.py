# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the mapping form means, what is refused, and the lines; what HAProxy does with them is an integration test."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.appsession import (
    AppSession,
    backend_lines,
    parse_session,
)


def session(**changes: object) -> dict[str, object]:
    return {"cookie": "PHPSESSID", "timeout": "3h", **changes}


def lines(**changes: object) -> list[str]:
    return backend_lines(parse_session(session(**changes)), haproxy_version="3.0.11", backend="app", peers="lbs")


def test_defaults_hash_the_whole_id_and_ignore_the_usual_ends() -> None:
    assert parse_session(session()) == AppSession("PHPSESSID", None, 10_800_000, True, ("", "deleted"))


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
    assert parse_session(session(timeout=timeout)).timeout_ms == milliseconds


@pytest.mark.parametrize(
    ("given", "ignored"),
    [(True, ("", "deleted")), (False, ()), ([], ()), (["gone", "gone", ""], ("gone", ""))],
)
def test_ignored_ids(given: object, ignored: tuple[str, ...]) -> None:
    assert parse_session(session(ignore_ids=given)).ignored_ids == ignored


@pytest.mark.parametrize("length", [1, 64, 4096, "64"])
def test_length(length: object) -> None:
    assert parse_session(session(len=length)).length == int(str(length))


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("PHPSESSID", "app_session 'PHPSESSID'"),
        ({"timeout": "3h"}, "app_session.cookie"),
        ({"cookie": "PHPSESSID"}, "app_session.timeout"),
        (session(cookie=None), "app_session.cookie"),
        (session(request_learn=True), "app_session key 'request_learn'"),
        (session(timeuot="3h"), "app_session key 'timeuot'"),
        (session(hash_keys=False), "app_session.hash_keys false"),
        (session(hash_keys="no"), "app_session.hash_keys 'no'"),
        (session(ignore_ids="deleted"), "app_session.ignore_ids 'deleted'"),
        (session(ignore_ids=["a b"]), "app_session.ignore_ids 'a b'"),
        (session(ignore_ids=["a\n"]), "app_session.ignore_ids 'a\\n'"),
        (session(ignore_ids=["a;b"]), "app_session.ignore_ids 'a;b'"),
        (session(ignore_ids=["x" * 257]), "app_session.ignore_ids"),
        (session(ignore_ids=[1]), "app_session.ignore_ids 1"),
        *[(session(cookie=name), f"app_session.cookie {name!r}") for name in ("", "a b", "a=b", "a;b", "ä", "a\n", 7)],
        *[(session(len=length), f"app_session.len {length!r}") for length in (0, 4097, -1, True, 1.5, "abc", "64k")],
        *[
            (session(timeout=timeout), f"app_session.timeout {timeout!r}")
            for timeout in ("25d", "597h", "2147483648ms", "3600", 3600, "3x", "3 h", "-1s", "1.5h", "1us", "", False)
        ],
    ],
)
def test_refused_with_value_reason_and_remedy(given: object, value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_session(given)
    assert caught.value.value.startswith(value)
    assert caught.value.reason
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("version", "reason"),
    [("2.1.12", "2.2 or newer"), ("1.5.0", "2.2 or newer"), ("three", "not a version"), ("", "not a version")],
)
def test_version_refused(version: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        backend_lines(parse_session(session()), haproxy_version=version, backend="app")


@pytest.mark.parametrize("version", ["2.2.9-2+deb11u6", "2.6.12-1+deb12u4", "3.0.11", "2.10.0"])
def test_version_accepted(version: str) -> None:
    assert backend_lines(parse_session(session()), haproxy_version=version, backend="app")


@pytest.mark.parametrize(
    "arguments", [{"failover": "nowhere"}, {"backend": "a b"}, {"backend": "a\nb"}, {"backend": ""}, {"peers": "a b"}]
)
def test_other_arguments_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        backend_lines(parse_session(session()), **{"haproxy_version": "3.0.11", "backend": "app", **arguments})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "stick-table type binary len 32 size 100k expire 3h peers lbs"),
        ({"timeout": "90s"}, "stick-table type binary len 32 size 100k expire 90s peers lbs"),
        ({"timeout": "1500ms"}, "stick-table type binary len 32 size 100k expire 1500ms peers lbs"),
        ({"timeout": "48h"}, "stick-table type binary len 32 size 100k expire 2d peers lbs"),
        ({"timeout": 0}, "stick-table type binary len 32 size 100k peers lbs"),
        ({"hash_keys": False, "len": 64}, "stick-table type string len 64 size 100k expire 3h peers lbs"),
    ],
)
def test_table(changes: dict[str, object], line: str) -> None:
    assert lines(**changes)[0] == line


def test_table_without_peers() -> None:
    rendered = backend_lines(parse_session(session()), haproxy_version="3.0.11", backend="app")
    assert rendered[0] == "stick-table type binary len 32 size 100k expire 3h"


def test_rules_in_order() -> None:
    assert lines()[1:] == [
        "http-request set-var(txn.sid) req.cook(PHPSESSID),sha2(256)",
        "http-request set-var(txn.sid_owner) var(txn.sid),table_server_id(app) if { var(txn.sid),in_table(app) }",
        "acl sid_read res.cook(PHPSESSID),set-var(txn.sid_set) -m str ;",
        "acl sid_is_set var(txn.sid_set) -m found",
        "acl sid_is_empty var(txn.sid_set) -m len 0",
        "acl sid_is_ignored var(txn.sid_set) -m str -- deleted",
        "acl sid_is_known var(txn.sid_set),sha2(256),in_table(app)",
        "acl sid_had_owner var(txn.sid_owner) -m found",
        "acl sid_owner_answered srv_id,sub(txn.sid_owner) eq 0",
        "stick match var(txn.sid)",
        "stick store-response var(txn.sid_set),sha2(256)"
        " if !sid_read sid_is_set !sid_is_empty !sid_is_ignored !sid_is_known",
        "stick store-response var(txn.sid_set),sha2(256)"
        " if sid_is_set !sid_is_empty !sid_is_ignored sid_is_known sid_had_owner !sid_owner_answered",
        "stick store-response var(txn.sid) if !sid_is_set sid_had_owner !sid_owner_answered",
    ]


def test_http_response_never_sets_what_stick_rules_need() -> None:
    """Those variables come too late, and HAProxy says nothing about it."""
    assert not [line for line in lines() if line.startswith("http-response")]


def test_length_cuts_the_id_before_it_is_hashed_on_every_path() -> None:
    cut = [line for line in lines(len=64) if ",bytes(0,64),sha2(256)" in line]
    assert len(cut) == len([line for line in lines() if ",sha2(256)" in line])


def test_nothing_ignored() -> None:
    assert not [line for line in lines(ignore_ids=False) if "sid_is_empty" in line or "sid_is_ignored" in line]


@pytest.mark.parametrize(
    ("cookie", "fetch"),
    [
        ("ASP.NET_SessionId", "req.cook(ASP.NET_SessionId),sha2(256)"),
        ("__Host-SID", "req.cook(__Host-SID),sha2(256)"),
        ("a#b$c", "'req.cook(\"a#b$c\"),sha2(256)'"),
        ("it's", "'req.cook(\"it'\\''s\"),sha2(256)'"),
    ],
)
def test_cookie_names_are_quoted_where_needed(cookie: str, fetch: str) -> None:
    assert lines(cookie=cookie)[1] == f"http-request set-var(txn.sid) {fetch}"


def test_ignored_ids_are_quoted_where_needed() -> None:
    assert "acl sid_is_ignored var(txn.sid_set) -m str -- 'it'\\''s' -x '#'" in lines(ignore_ids=["it's", "-x", "#"])
