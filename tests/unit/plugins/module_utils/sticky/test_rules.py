# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines for HAProxy 2.2 and newer; what HAProxy does with them is an integration test."""

from __future__ import annotations

import re

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.expressions import url_parameter
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.rules import render
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import from_mapping

# Another server than the owner has answered.
MOVED = "srv_id,sub(txn.sid_owner),mul(txn.sid_owner),bool"


def lines(**changes: object) -> list[str]:
    given = {"cookie": "PHPSESSID", "timeout": "3h", "peers": "lbs", **changes}
    peers = given.pop("peers")
    return render(from_mapping(given), table="app", peers=str(peers) if peers else None)


def rules(keyword: str, **changes: object) -> list[str]:
    return [line for line in lines(**changes) if line.startswith(keyword)]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "stick-table type binary len 32 size 100k expire 3h peers lbs"),
        ({"timeout": "90s"}, "stick-table type binary len 32 size 100k expire 90s peers lbs"),
        ({"timeout": 0}, "stick-table type binary len 32 size 100k peers lbs"),
        ({"peers": None}, "stick-table type binary len 32 size 100k expire 3h"),
        ({"sessions": 50_000}, "stick-table type binary len 32 size 100000 expire 3h peers lbs"),
        ({"hash_keys": False, "len": 64}, "stick-table type string len 64 size 100k expire 3h peers lbs"),
    ],
)
def test_table(changes: dict[str, object], line: str) -> None:
    assert lines(**changes)[0] == line


def test_first_wins_in_order() -> None:
    assert lines()[1:] == [
        "acl sid_read res.cook(PHPSESSID),set-var(txn.sid_set) -m str ;",
        "acl sid_is_set var(txn.sid_set) -m found",
        "acl sid_is_ignored var(txn.sid_set) -m len 0",
        "acl sid_is_ignored var(txn.sid_set) -m str -- deleted",
        "acl sid_set_is_due var(txn.sid_set),sha2(256),in_table(app),not",
        "acl sid_set_is_due srv_id,sub(txn.sid_owner),mul(txn.sid_owner),bool",
        "acl sid_sent_is_due srv_id,sub(txn.sid_owner),mul(txn.sid_owner),bool",
        "http-request set-var(txn.sid) req.cook(PHPSESSID),sha2(256)",
        "http-request set-var(txn.sid_owner) var(txn.sid),table_server_id(app)",
        "stick match var(txn.sid)",
        "stick store-response var(txn.sid_set),sha2(256) if !sid_read sid_is_set !sid_is_ignored sid_set_is_due",
        "stick store-response var(txn.sid) if sid_sent_is_due !sid_is_set",
    ]


@pytest.mark.parametrize(
    ("failover", "learns", "given", "sent"),
    [
        ("return", False, ["var(txn.sid_set),in_table(app),not"], []),
        ("return", True, ["var(txn.sid_set),in_table(app),not"], ["var(txn.sid),in_table(app),not"]),
        ("rebind", False, [], ["var(txn.sid),in_table(app)"]),
        ("rebind", True, [], []),
        ("first_wins", False, ["var(txn.sid_set),in_table(app),not", MOVED], [MOVED]),
        ("first_wins", True, ["var(txn.sid_set),in_table(app),not", MOVED], [MOVED, "var(txn.sid),in_table(app),not"]),
    ],
)
def test_when_the_server_that_answered_is_to_have_the_session(
    failover: str, learns: bool, given: list[str], sent: list[str]
) -> None:
    found = lines(failover=failover, request_learn=learns, hash_keys=False, len=64)
    for acl, alternatives in (("sid_set_is_due", given), ("sid_sent_is_due", sent)):
        assert [line for line in found if line.startswith(f"acl {acl} ")] == [
            f"acl {acl} {one}" for one in alternatives
        ]
        assert [line for line in found if line.startswith("stick ") and acl in line] or not alternatives


def test_rebind_in_order() -> None:
    assert [line for line in lines(failover="rebind") if not line.startswith("acl")][1:] == [
        "http-request set-var(txn.sid) req.cook(PHPSESSID),sha2(256)",
        "stick match var(txn.sid)",
        "stick store-response var(txn.sid_set),sha2(256) if !sid_read sid_is_set !sid_is_ignored",
        "stick store-response var(txn.sid) if sid_sent_is_due !sid_is_set",
    ]


def test_return_in_order() -> None:
    assert [line for line in lines(failover="return", len=64, mode="path-parameters") if "acl" not in line][1:] == [
        r"""stick match 'path,regsub("^.*;PHPSESSID=([^;]+).*$","\1",i)' if sid_in_url { method GET HEAD POST }""",
        "stick match req.cook(PHPSESSID)",
        "stick store-response var(txn.sid_set) if !sid_read sid_is_set sid_set_is_due",
    ]


def test_return_that_learns_from_requests() -> None:
    assert [line for line in lines(failover="return", len=64, request_learn=True) if "acl" not in line][1:] == [
        "http-request set-var(txn.sid) req.cook(PHPSESSID)",
        "stick match var(txn.sid)",
        "stick store-response var(txn.sid_set) if !sid_read sid_is_set sid_set_is_due",
        "stick store-response var(txn.sid) if sid_sent_is_due !sid_is_set",
    ]


@pytest.mark.parametrize(
    ("mode", "prefix", "url", "found"),
    [
        ("path-parameters", False, "/x;phpsessid=a;b=c", "a"),
        ("path-parameters", False, "/x;PHPSESSID=;b=c", None),
        ("path-parameters", False, "/x;PHPSESSID=a;PHPSESSID=", "a"),
        ("path-parameters", True, "/x;PHPSESSIDb", "b"),
        ("path-parameters", True, "/x;PHPSESSID;b=c", None),
        ("query-string", False, "b=c&PHPSESSID=a", "a"),
        ("query-string", False, "PHPSESSID=&b=c", None),
    ],
)
def test_parameters_without_a_value_are_no_ids(mode: str, prefix: bool, url: str, found: str | None) -> None:
    """A table of strings has an empty key, which all such visitors would share."""
    source = url_parameter("PHPSESSID", mode, prefix=prefix)
    guard = str(source.guard).partition(" -m reg -i ")[2].strip("'")
    substitution = source.fetch.partition('regsub("')[2].partition('"')[0]
    assert bool(re.search(guard, url, re.IGNORECASE)) == (found is not None)
    if found is not None:
        assert re.sub(substitution, r"\1", url, flags=re.IGNORECASE) == found


def test_the_cookie_beats_the_url_where_requests_teach() -> None:
    """The last rule that succeeds is the one that counts."""
    learning = rules("http-request", request_learn=True, mode="query-string", ignore_ids=False)
    assert ["query" in line for line in learning] == [True, False, False]


def test_a_known_url_beats_the_cookie_where_requests_teach_nothing() -> None:
    found = rules("http-request", mode="query-string")
    assert ["query" in line for line in found] == [False, True, False]
    assert found[1].endswith("if sid_in_url { method GET HEAD POST } sid_in_url_is_known")


def test_ids_that_are_no_sessions_are_not_learnt_from_requests() -> None:
    assert rules("http-request", request_learn=True)[:2] == [
        "http-request set-var(txn.sid_sent) req.cook(PHPSESSID)",
        "http-request set-var(txn.sid) var(txn.sid_sent),sha2(256) if !sid_sent_is_ignored",
    ]


def test_http_response_never_sets_what_stick_rules_need() -> None:
    """Those variables come too late, and HAProxy says nothing about it."""
    for failover in ("return", "rebind", "first_wins"):
        assert rules("http-response", failover=failover, len=8) == []


@pytest.mark.parametrize("failover", ["return", "rebind", "first_wins"])
def test_all_cookies_match_before_any_is_stored(failover: str) -> None:
    """The first rule that wants to store has HAProxy skip all later rules of the table."""
    kinds = [line.split()[1] for line in rules("stick ", failover=failover, len=64, cookie=["A", "B"])]
    assert kinds == sorted(kinds)
    assert kinds.count("match") == 2


def test_length_cuts_the_id_before_it_is_hashed_on_every_path() -> None:
    changes: dict[str, object] = {"request_learn": True, "mode": "path-parameters", "ignore_ids": False}
    cut = [line for line in lines(len=64, **changes) if ",bytes(0,64),sha2(256)" in line]
    assert len(cut) == len([line for line in lines(**changes) if ",sha2(256)" in line])


def test_ignored_requests_take_no_part_in_any_rule() -> None:
    """What is asked about a request cannot be asked when the answer is there, so it is kept."""
    found = lines(ignore=["{ path_beg /static/ }", "{ method OPTIONS }"], cookie=["A", "B"], request_learn=True)
    assert found[1:4] == [
        "http-request set-var(txn.sid_off) bool(true) if { path_beg /static/ }",
        "http-request set-var(txn.sid_off) bool(true) if { method OPTIONS }",
        "acl sid_off var(txn.sid_off) -m found",
    ]
    assert not [line for line in found if line.startswith("stick ") and " if !sid_off" not in line]


def test_nothing_ignored() -> None:
    assert not [line for line in lines(ignore_ids=False, request_learn=True) if "ignored" in line]


def test_each_ignored_id_has_a_line_of_its_own() -> None:
    """A line of HAProxy has 64 words at most."""
    assert len(rules("acl sid_is_ignored", ignore_ids=[f"end{number}" for number in range(100)])) == 100


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
    assert rules("http-request", cookie=cookie)[0] == f"http-request set-var(txn.sid) {fetch}"


@pytest.mark.parametrize(
    ("cookie", "expression"),
    [
        ("ASP.NET_SessionId", "ASP[.]NET_SessionId"),
        ("a$b", "a[$]b"),
        ("a^b", "a\\^b"),
        ("a|b*c+", "a[|]b[*]c[+]"),
    ],
)
def test_cookie_names_mean_themselves_in_regular_expressions(cookie: str, expression: str) -> None:
    for changes in ({"prefix": True}, {"mode": "path-parameters"}):
        searching = [line for line in lines(cookie=cookie, **changes) if "-m reg" in line]
        assert searching
        assert not [line for line in searching if expression not in line]


def test_ignored_ids_are_quoted_where_needed() -> None:
    words = [line.rpartition(" -- ")[2] for line in rules("acl sid_is_ignored", ignore_ids=["it's", "-x", "#"])]
    assert words == ["'it'\\''s'", "-x", "'#'"]


def test_prefix_looks_at_the_header_that_it_reads() -> None:
    """An ACL on the header itself looks at each Cookie line, a fetch at the last; both must see the same."""
    found = lines(prefix=True)
    assert found.index("http-request set-var(txn.sid_header) req.fhdr(cookie)") < found.index(
        next(line for line in found if line.startswith("http-request set-var(txn.sid) "))
    )
    assert [line for line in found if line.startswith("acl sid_in_header var(txn.sid_header) -m reg ")]
    assert [
        line
        for line in found
        if "set-var(txn.sid) 'var(txn.sid_header),regsub(" in line and " if sid_in_header" in line
    ]


def test_prefix_reads_an_answer_only_where_it_has_the_cookie() -> None:
    """regsub gives its input where nothing fits."""
    reading = [line for line in rules("stick store-response", prefix=True) if "!sid_read" in line]
    assert reading
    assert not [line for line in reading if " sid_in_answer !sid_read " not in line]
