# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CCS injection: acceptance case 42. The vulnerable side is a stub: no distribution has such a server any more."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import ccs_injection
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
)

from ......peers import servers as peers
from ..conftest import Handler, Servers
from .clear_servers import ECDHE_GCM, HOSTILE, RSA_CBC, RSA_GCM, Flight, Peer, after_flight, context_of, tlslite

SUITES = {registry.TLS12: (ECDHE_GCM, RSA_GCM, RSA_CBC)}
CHANGE_CIPHER_SPEC, APPLICATION_DATA = 20, 23
BAD_RECORD_MAC, DECRYPTION_FAILED, UNEXPECTED_MESSAGE, HANDSHAKE_FAILURE = 20, 21, 10, 40


def in_turn(flight: Flight, *answers: Callable[[Peer], object]) -> Handler:
    """Return a stub that answers the early records of one connection after the other; the last answer repeats."""

    def handler(connection: socket.socket, number: int) -> None:
        def go_on(peer: Peer) -> None:
            early = [peer.receive(), peer.receive()]
            expected = [(CHANGE_CIPHER_SPEC, flight.version, b"\x01"), (APPLICATION_DATA, flight.version, b"\x00\x00")]
            assert early == expected, early
            answers[min(number, len(answers)) - 1](peer)

        after_flight(flight, go_on)(connection, number)

    return handler


def alert(number: int) -> Callable[[Peer], object]:
    return lambda peer: peer.alert(number)


def close(_peer: Peer) -> None:
    """Close by returning."""


CASES: dict[str, tuple[Sequence[Callable[[Peer], object]], str, int]] = {
    "bad_record_mac": ([alert(BAD_RECORD_MAC)], VULNERABLE, 2),
    "decryption_failed": ([alert(DECRYPTION_FAILED)], VULNERABLE, 2),
    "unexpected_message": ([alert(UNEXPECTED_MESSAGE)], NOT_VULNERABLE, 1),
    "handshake_failure": ([alert(HANDSHAKE_FAILURE)], NOT_VULNERABLE, 1),
    "closed": ([close], NOT_VULNERABLE, 2),
    "reset": ([Peer.reset], NOT_VULNERABLE, 2),
    "closed, then reset": ([close, Peer.reset], NOT_VULNERABLE, 2),
    "closed, then refused": ([close, alert(UNEXPECTED_MESSAGE)], NOT_VULNERABLE, 2),
    "silence": ([Peer.stay_silent], NOT_TESTED, 1),
    "one after the other": ([alert(BAD_RECORD_MAC), alert(DECRYPTION_FAILED)], NOT_TESTED, 2),
    "only once": ([alert(BAD_RECORD_MAC), alert(UNEXPECTED_MESSAGE)], NOT_TESTED, 2),
    "closed the second time": ([alert(BAD_RECORD_MAC), close], NOT_TESTED, 2),
    "closed once": ([close, alert(BAD_RECORD_MAC)], NOT_TESTED, 2),
    "another record": ([lambda peer: peer.send(22, b"\x00\x00\x00\x00")], NOT_TESTED, 1),
    "text": ([lambda peer: peer.sock.sendall(b"500 OOPS: I do not know")], NOT_TESTED, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_case_42(servers: Servers, case: str) -> None:
    answers, status, connections = CASES[case]
    stub = servers.stub(in_turn(Flight(), *answers))
    context = context_of(stub.port, SUITES, timeout_seconds=1)
    found = ccs_injection.probe(context)
    assert (found.status, stub.connections, context.session.connections) == (status, connections, connections)


@pytest.mark.parametrize("version", [registry.SSL3, registry.TLS10, registry.TLS11, registry.TLS12])
def test_every_version_up_to_tls12(servers: Servers, version: int) -> None:
    """OpenSSL 1.0.1f says decryption_failed with TLS 1.1 and a CBC suite."""
    stub = servers.stub(in_turn(Flight(version, RSA_CBC), alert(DECRYPTION_FAILED)))
    found = ccs_injection.probe(context_of(stub.port, {version: (RSA_CBC,), registry.TLS13: (0x1301,)}))
    assert (found.status, stub.connections) == (VULNERABLE, 2)


def test_real_servers_are_not_vulnerable(servers: Servers, real: peers.Servers) -> None:
    for port in (servers.openssl("-tls1_2"), tlslite(servers).port, real.gnutls("NORMAL:+RSA")):
        context = context_of(port, SUITES)
        assert (ccs_injection.probe(context).status, context.session.connections) == (NOT_VULNERABLE, 1)


def test_tls13_alone_does_not_know_early_records(servers: Servers) -> None:
    context = context_of(servers.stub(HOSTILE["closed"]).port, {registry.TLS13: (0x1301,)})
    assert (ccs_injection.probe(context).status, context.session.connections) == (NOT_APPLICABLE, 0)


def test_a_hello_that_fails_once_is_said_again(servers: Servers) -> None:
    vulnerable = in_turn(Flight(), alert(BAD_RECORD_MAC))

    def handler(connection: socket.socket, number: int) -> None:
        (HOSTILE["reset"] if number == 1 else vulnerable)(connection, number)

    stub = servers.stub(handler)
    assert (ccs_injection.probe(context_of(stub.port, SUITES)).status, stub.connections) == (VULNERABLE, 3)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_server_without_a_flight_is_not_tested(servers: Servers, kind: str) -> None:
    stub = servers.stub(HOSTILE[kind])
    found = ccs_injection.probe(context_of(stub.port, SUITES, timeout_seconds=0.4))
    assert (found.status, stub.connections) == (NOT_TESTED, 2)
    assert found.evidence
