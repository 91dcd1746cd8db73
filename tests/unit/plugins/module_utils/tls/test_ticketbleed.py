# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ticketbleed: real servers, and stubs that do what F5's BIG-IP did (none of which can be had)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import resumption
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking, ticketbleed
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls import stub12
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.conftest import Servers
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.vulnerabilities.clear_servers import (
    context_of,
)

from .....peers import servers as peers

TLS12 = 0x0303
SUITES = (0xC02F, 0x009C)
TICKETS = frozenset({35})


def context(port: int, suites: tuple[int, ...] = SUITES, tickets: bool = True) -> ProbeContext:
    return context_of(port, {TLS12: suites}, {TLS12: TICKETS if tickets else frozenset()})


@pytest.mark.parametrize(
    ("options", "tickets", "status", "reason", "connections"),
    [
        ([], True, "not_vulnerable", "was not padded", 2),
        (["-no_ticket"], False, "not_applicable", "does not answer with the session ticket extension", 0),
        (["-no_ticket"], True, "not_applicable", "issues no session ticket", 1),
    ],
    ids=["tickets", "no tickets", "tickets in some answers only"],
)
def test_openssl(
    servers: Servers, options: list[str], tickets: bool, status: str, reason: str, connections: int
) -> None:
    asked = context(servers.openssl("-tls1_2", *options), tickets=tickets)
    finding = ticketbleed.probe(asked)
    assert finding.status == status
    assert reason in finding.evidence
    assert asked.session.connections == connections


def test_a_session_that_was_had_before_saves_a_connection(servers: Servers) -> None:
    asked = context(servers.openssl("-tls1_2"))
    had = dataclasses.replace(asked, ticket_session=resumption.measure(asked).ticket_session)
    before = asked.session.connections
    assert ticketbleed.probe(had).status == "not_vulnerable"
    assert asked.session.connections == before + 1


def test_gnutls(real: peers.Servers) -> None:
    asked = context(real.gnutls("NORMAL:-VERS-TLS1.3"))
    finding = ticketbleed.probe(asked)
    assert finding.status == "not_vulnerable", finding
    assert asked.session.connections == 2


@pytest.mark.parametrize(
    ("suites", "status", "reason"),
    [
        ({0x0304: (0x1301,)}, "not_applicable", handshaking.NO_VERSION),
        ({TLS12: (0x0041,)}, "not_tested", handshaking.NO_SUITE),
        ({0x0300: (0x0005,)}, "not_tested", handshaking.NO_SUITE),
    ],
    ids=["TLS 1.3 alone", "Camellia alone", "SSL 3.0 alone"],
)
def test_nothing_to_ask_with(suites: dict[int, tuple[int, ...]], status: str, reason: str) -> None:
    asked = context_of(1, suites, {TLS12: TICKETS})
    finding = ticketbleed.probe(asked)
    assert (finding.status, finding.evidence) == (status, reason)
    assert asked.session.connections == 0


# --- F5, played: real tickets and real handshakes, with the memory that is sent along made up


Echo = Callable[[bytes, int], bytes]


def f5(servers: Servers, echo: Echo, takes_tickets: bool = True) -> int:
    """Answer a session id in the n-th resumption with ``echo(session_id, n)``."""
    tickets: dict[bytes, bytes] = {}

    def behave(server: stub12.Server12, number: int) -> None:
        hello = server.receive_hello()
        ticket = hello.extensions[35]
        if ticket and takes_tickets:
            server.resume(hello, tickets[ticket], echo(hello.session_id, number - 1))
        else:
            issued = bytes([number]) * 48
            tickets[issued] = server.handshake(hello, ticket=issued)

    return servers.stub(stub12.serving(behave)).port


@pytest.mark.parametrize(
    ("echo", "status", "reason", "connections"),
    [
        (lambda ours, number: ours + bytes([0x40 + number]), "vulnerable", "another last byte each time", 4),
        (lambda ours, number: ours + bytes([0x40 + number // 3]), "vulnerable", "another last byte each time", 4),
        (lambda ours, _number: ours + b"\x41", "likely", "the same byte 3 times", 4),
        (lambda ours, _number: ours + b"\x00", "not_tested", "padding, or memory that is empty", 4),
        (lambda ours, _number: ours, "not_vulnerable", "was not padded", 2),
        (lambda ours, number: ours + b"A" if number == 1 else ours, "not_tested", "and not in others", 3),
        (lambda _ours, number: bytes([number]) * 32, "not_vulnerable", "was not padded", 2),
    ],
    ids=[
        "other bytes",
        "two of three the same",
        "the same byte",
        "zero",
        "as it should be",
        "sometimes",
        "an id of its own",
    ],
)
def test_acceptance_case_44(servers: Servers, echo: Echo, status: str, reason: str, connections: int) -> None:
    asked = context(f5(servers, echo), (stub12.SUITE,))
    finding = ticketbleed.probe(asked)
    assert finding.status == status, finding
    assert reason in finding.evidence
    assert asked.session.connections == connections


def test_a_server_that_takes_no_ticket_of_its_own(servers: Servers) -> None:
    asked = context(f5(servers, lambda ours, _number: ours, takes_tickets=False), (stub12.SUITE,))
    finding = ticketbleed.probe(asked)
    assert (finding.status, asked.session.connections) == ("not_tested", 4)
    assert "took its own ticket in none of 3" in finding.evidence


@pytest.mark.parametrize("failing", [1, 2])
def test_a_connection_that_ends(servers: Servers, failing: int) -> None:
    stub = servers.forward(servers.openssl("-tls1_2"), lambda _connection, number: number == failing)
    finding = ticketbleed.probe(context(stub.port))
    assert finding.status == "not_tested"
    assert "closed" in finding.evidence or "broke" in finding.evidence
