# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether sessions up to TLS 1.2 are resumed, and in how many connections that is found out."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import resumption
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.conftest import Servers
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.vulnerabilities.clear_servers import (
    context_of,
)

from .....peers import servers as peers

TLS12 = 0x0303
SUITES = (0xC02F, 0x009C)
SESSION_TICKET = 35
TICKETS = frozenset({SESSION_TICKET})


def facts(session_id: bool | None, session_ticket: bool | None, lifetime: int | None = None) -> dict[str, object]:
    return {
        "session_id": session_id,
        "session_ticket": session_ticket,
        "ticket_lifetime_seconds": lifetime,
        "max_early_data_bytes": None,
    }


def knowing_tickets(port: int) -> ProbeContext:
    return context_of(port, {TLS12: SUITES}, {TLS12: TICKETS})


@pytest.mark.parametrize(
    ("options", "expected", "connections"),
    [
        ([], facts(True, True), 3),
        (["-no_ticket"], facts(True, False), 2),
        (["-no_cache"], facts(False, True, 7200), 3),
        (["-no_ticket", "-no_cache"], facts(False, False), 2),
    ],
    ids=["both", "by session id", "by ticket", "neither"],
)
def test_openssl(servers: Servers, options: list[str], expected: dict[str, object], connections: int) -> None:
    port = servers.openssl("-tls1_2", *options)
    context = context_of(port, {TLS12: SUITES}, {TLS12: frozenset() if "-no_ticket" in options else TICKETS})
    found = resumption.measure(context)
    assert found.sessions == {"TLSv1.2": expected}
    assert found.not_tested == []
    assert context.session.connections == connections


@pytest.mark.parametrize(("version", "name"), [(0x0301, "TLSv1.0"), (0x0302, "TLSv1.1")])
def test_older_versions(servers: Servers, version: int, name: str) -> None:
    port = servers.openssl("-cipher", "ALL:@SECLEVEL=0")
    context = context_of(port, {version: (0xC013,)}, {version: TICKETS})
    assert resumption.measure(context).sessions == {name: facts(True, True)}


@pytest.mark.parametrize(
    ("directives", "expected", "connections"),
    [
        ("", facts(False, True, 300), 3),
        ("ssl_session_tickets off;", facts(False, False), 2),
        ("ssl_session_tickets off; ssl_session_cache shared:a:1m;", facts(True, False), 2),
        ("ssl_session_cache shared:a:1m; ssl_session_timeout 1h;", facts(True, True), 3),
    ],
    ids=["as it comes", "neither", "by session id", "both"],
)
def test_nginx(real: peers.Servers, directives: str, expected: dict[str, object], connections: int) -> None:
    """Without a cache nginx gives a session id, and does not take it."""
    port = real.nginx(f"ssl_protocols TLSv1.2; {directives}")
    context = context_of(port, {TLS12: SUITES}, {TLS12: TICKETS if "tickets off" not in directives else frozenset()})
    assert resumption.measure(context).sessions == {"TLSv1.2": expected}
    assert context.session.connections == connections


@pytest.mark.parametrize(
    ("options", "expected", "connections"),
    [((), facts(True, True, 21600), 4), (("--noticket",), facts(True, False), 2)],
    ids=["both", "by session id"],
)
def test_gnutls(real: peers.Servers, options: tuple[str, ...], expected: dict[str, object], connections: int) -> None:
    """A session that is resumed by its id gets no new ticket there."""
    port = real.gnutls("NORMAL:-VERS-TLS1.3", *options)
    context = context_of(port, {TLS12: SUITES}, {TLS12: frozenset() if options else TICKETS})
    assert resumption.measure(context).sessions == {"TLSv1.2": expected}
    assert context.session.connections == connections


@pytest.mark.parametrize(
    ("failing", "expected", "missing"),
    [
        (1, facts(None, None), ["session_id", "session_ticket"]),
        (2, facts(None, None), ["session_id", "session_ticket"]),
        (3, facts(True, None), ["session_ticket"]),
    ],
)
def test_what_fails_is_not_tested(
    servers: Servers, failing: int, expected: dict[str, object], missing: list[str]
) -> None:
    stub = servers.forward(servers.openssl("-tls1_2"), lambda _connection, number: number == failing)
    found = resumption.measure(knowing_tickets(stub.port))
    assert found.sessions == {"TLSv1.2": expected}
    assert [entry["fact"] for entry in found.not_tested] == [f"sessions.TLSv1.2.{fact}" for fact in missing]
    assert all("closed" in entry["reason"] or "broke" in entry["reason"] for entry in found.not_tested)


@pytest.mark.parametrize(
    ("suites", "sessions"),
    [
        ({}, {}),
        ({0x0304: (0x1301,)}, {}),
        ({0x0300: (0x0005,)}, {"SSLv3": facts(None, None)}),
        ({0x0303: (0x0041,)}, {"TLSv1.2": facts(None, None)}),
        ({0x0303: (0x0041,), 0x0301: (0x002F,)}, {"TLSv1.0": facts(None, None)}),
    ],
    ids=["nothing", "TLS 1.3 alone", "SSL 3.0 alone", "Camellia alone", "a version that cannot be had any more"],
)
def test_without_a_suite_of_ours(suites: dict[int, tuple[int, ...]], sessions: dict[str, object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    found = resumption.measure(context_of(port, suites))
    assert found.sessions == sessions
    assert len(found.not_tested) == 2 * len(sessions)
