# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backends as they are asked for, and what they come to."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_backends import (
    Backend,
    Surroundings,
    decide_backend,
)

SERVER = {"name": "s", "address": "192.0.2.1", "port": 80}
BACKUP = {**SERVER, "name": "b", "backup": True}
SESSION = {"cookie": "PHPSESSID", "timeout": "3h"}
LEARNING = {**SESSION, "request_learn": True}
LIMITED = {"new_session_ids_per_minute": 60}


def decide(around: dict[str, Any] | None = None, **backend: object) -> Backend:
    surroundings = Surroundings(**{"groups": {"web": ["w1", "w2"]}, "haproxy_version": "2.6.12", **(around or {})})
    return decide_backend({"name": "app", "servers": [SERVER], **backend}, surroundings)


# --- servers


def test_servers_of_a_group_come_first_and_have_the_address_of_their_host() -> None:
    servers = decide(servers_group="web", server={"port": 443}).written["servers"]
    assert [(one["name"], one["address"], one["port"]) for one in servers] == [
        ("w1", None, 443),
        ("w2", None, 443),
        ("s", "192.0.2.1", 80),
    ]


@pytest.mark.parametrize(
    ("server", "parameters"),
    [
        ({}, "check"),
        ({"weight": 0, "extra": "maxconn 10"}, "check weight 0 maxconn 10"),
        (
            {"tls": {}},
            "check ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt verifyhost s sni str(s) alpn http/1.1"
            " check-ssl check-sni s",
        ),
        (
            {"tls": {"ca_file": "/ca.pem", "server_name": "{name}.example.org", "alpn": ["h2"]}},
            "check ssl verify required ca-file /ca.pem verifyhost s.example.org sni str(s.example.org) alpn h2"
            " check-ssl check-sni s.example.org",
        ),
        ({"tls": {"verify": False}}, "check ssl verify none sni str(s) alpn http/1.1 check-ssl check-sni s"),
        ({"backup": True}, "check backup"),
    ],
)
def test_parameters_of_a_server(server: dict[str, Any], parameters: str) -> None:
    assert decide(servers=[{**SERVER, **server}]).written["servers"][0]["parameters"] == parameters


def test_no_session_is_kept_on_a_backup() -> None:
    servers = decide(servers=[SERVER, BACKUP], app_session=SESSION).written["servers"]
    assert [one["parameters"] for one in servers] == ["check", "check backup non-stick"]


# --- sessions


@pytest.mark.parametrize(
    ("session", "table"),
    [
        (SESSION, "stick-table type binary len 32 size 100k expire 3h peers lbs"),
        ({**SESSION, "sessions": 300_000}, "stick-table type binary len 32 size 600000 expire 3h peers lbs"),
        (
            "appsession PHPSESSID len 64 timeout 3h request-learn prefix",
            "stick-table type string len 64 size 100k expire 3h peers lbs",
        ),
    ],
)
def test_a_session_is_a_mapping_or_the_classic_line(session: object, table: str) -> None:
    assert decide({"peers": "lbs"}, app_session=session).written["session_lines"][0] == table


def test_without_a_session_there_is_no_line() -> None:
    assert decide().written["session_lines"] == []


def test_a_session_is_checked_before_the_host_is_known() -> None:
    around = {"haproxy_version": None}
    assert decide(around, app_session=SESSION).written["session_lines"] == []
    with pytest.raises(InvalidInputError, match="timeout"):
        decide(around, app_session={"cookie": "PHPSESSID", "timeout": "3 hours"})


def test_a_condition_of_the_session_may_name_an_acl_of_the_backend() -> None:
    extra = ["http-request deny if bad", "acl static path_end .css", " acl bad path /x"]
    written = decide(app_session={**SESSION, "ignore": ["static"]}, extra=extra).written
    assert written["acls"] == extra[1:]
    assert written["extra"] == extra[:1]


@pytest.mark.parametrize("holds", [False, True])
def test_a_worker_waits_where_its_haproxy_has_the_program(holds: bool) -> None:
    lines = decide({"holds": holds}, app_session=SESSION).written["session_lines"]
    assert any("lua.ringmaster_hold app " in line for line in lines) is holds


def test_who_invents_ids_can_be_limited() -> None:
    lines = decide({"rate_limits": LIMITED}, app_session=LEARNING).written["session_lines"]
    unknown = "{ var(txn.sid) -m found } !{ var(txn.sid),in_table(app) }"
    assert lines[-2:] == [
        f"http-request sc-inc-gpc0(2) if {unknown}",
        f"http-request deny deny_status 429 if {unknown} {{ sc_gpc0_rate(2) gt 60 }}",
    ]


def test_requests_that_take_no_part_do_not_count_towards_the_limit() -> None:
    session = {**LEARNING, "ignore": ["{ path_end .css }"]}
    lines = decide({"rate_limits": LIMITED}, app_session=session).written["session_lines"]
    assert all("!sid_off" in line for line in lines[-2:])


def test_every_cookie_is_limited() -> None:
    session = {**LEARNING, "cookie": ["A", "B"]}
    lines = decide({"rate_limits": LIMITED}, app_session=session).written["session_lines"]
    assert [line for line in lines if line.startswith("http-request sc-inc") and "txn.sid2" in line]


def test_where_ids_come_from_the_application_alone_nobody_is_limited() -> None:
    lines = decide({"rate_limits": LIMITED}, app_session=SESSION).written["session_lines"]
    assert not [line for line in lines if "429" in line]


@pytest.mark.parametrize(
    ("around", "backend", "sentence"),
    [
        ({}, {"app_session": LEARNING}, "app_session.request_learn learns whatever id a visitor sends"),
        ({}, {"app_session": SESSION, "extra": ["cookie SRV insert indirect"]}, "`cookie SRV insert indirect` beside"),
        ({}, {"app_session": SESSION, "extra": ["  option persist"]}, "`option persist` beside app_session"),
        ({}, {"app_session": {**SESSION, "prefix": True}}, "With prefix"),
    ],
)
def test_what_a_person_should_know(around: dict[str, Any], backend: dict[str, Any], sentence: str) -> None:
    assert any(sentence in warning for warning in decide(around, **backend).warnings)


@pytest.mark.parametrize(
    ("around", "backend"),
    [
        ({}, {"app_session": SESSION}),
        ({"rate_limits": LIMITED}, {"app_session": LEARNING}),
        ({}, {"extra": ["cookie SRV insert", "option persist"]}),
    ],
)
def test_what_is_right_is_not_talked_about(around: dict[str, Any], backend: dict[str, Any]) -> None:
    assert decide(around, **backend).warnings == []


# --- what cannot be


@pytest.mark.parametrize(
    ("around", "backend", "sentence"),
    [
        ({}, {"servers": []}, "entry app: servers none"),
        ({}, {"servers": [SERVER, SERVER]}, "servers s, s"),
        ({}, {"servers": [{**SERVER, "name": "w1"}], "servers_group": "web", "server": {"port": 80}}, "w1, w2, w1"),
        ({}, {"servers_group": "none", "server": {}}, "servers_group none"),
        ({}, {"servers_group": "web"}, "servers_group needs server"),
        ({}, {"app_session": SESSION, "extra": ["mode tcp"]}, "app_session with mode tcp"),
        ({"defaults_extra": ["mode tcp"]}, {"app_session": SESSION}, "app_session with mode tcp"),
        ({}, {"app_session": SESSION, "extra": ["stick-table type ip size 1k"]}, "app_session with a line stick-table"),
        (
            {},
            {"app_session": SESSION, "servers": [SERVER, {**SERVER, "name": "b", "extra": "backup"}]},
            "server b is a backup without non-stick",
        ),
        (
            {},
            {"app_session": SESSION, "extra": ["default-server backup"]},
            "server s is a backup without non-stick",
        ),
    ],
)
def test_what_cannot_be_is_said(around: dict[str, Any], backend: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(sentence)):
        decide(around, **backend)


@pytest.mark.parametrize(
    ("around", "backend"),
    [
        ({"defaults_extra": ["mode tcp"]}, {"app_session": SESSION, "extra": ["mode http"]}),
        ({}, {"extra": ["mode tcp", "stick-table type ip size 1k"]}),
        ({}, {"app_session": SESSION, "servers": [{**SERVER, "extra": "backup non-stick"}]}),
        ({}, {"servers": [{**SERVER, "extra": "backup"}]}),
    ],
)
def test_what_can_be_is_not_refused(around: dict[str, Any], backend: dict[str, Any]) -> None:
    assert decide(around, **backend).warnings == []
