# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Heartbleed: acceptance case 41, and that nothing is ever asked for that was not sent.

No vulnerable server can be had in a distribution any more: a stub does what OpenSSL 1.0.1f and 1.0.1g were seen to do.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import heartbleed
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
)

from ......peers import servers as peers
from ..conftest import Servers
from .clear_servers import (
    ECDHE_GCM,
    HOSTILE,
    RSA_CBC,
    RSA_GCM,
    Flight,
    Peer,
    after_flight,
    context_of,
    tlslite,
)

SUITES = {registry.TLS12: (ECDHE_GCM, RSA_GCM, RSA_CBC)}
SEEN = {registry.TLS12: frozenset((15, 65281))}
WITH_HEARTBEAT = Flight(extensions=b"\x00\x0f\x00\x01\x01")

HEARTBEAT = 24
FOREIGN = b"what was in memory beside it"
_WRITE_BUFFER_BYTES = 4096
_RECORD_BYTES = 16384


@pytest.fixture(autouse=True)
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbleed, "_WAIT_SECONDS", 1.0)


@dataclass
class OpenSsl:
    """Heartbeats in the middle of a handshake as OpenSSL 1.0.1 answers them; ``checks`` as 1.0.1g does.

    Answers wait in a buffer of 4 kB, and go out when it is full; what is longer than a record goes out in two. Of the
    padding of an answer the library fills 16 bytes by itself.
    """

    checks: bool
    claimed_but_not_sent: list[int] = field(default_factory=list)
    _buffer: bytes = b""

    def __call__(self, peer: Peer) -> None:
        while True:
            content, _version, body = peer.receive()
            if content != HEARTBEAT:
                return
            claimed = int.from_bytes(body[1:3], "big")
            self.claimed_but_not_sent.append(max(0, claimed - (len(body) - 3)))
            if self.checks and 1 + 2 + claimed + 16 > len(body):
                continue
            memory = body[3:] + FOREIGN * 4000
            self._write(peer, b"\x02" + body[1:3] + memory[:claimed] + bytes(16))

    def _write(self, peer: Peer, answer: bytes) -> None:
        for place in range(0, len(answer), _RECORD_BYTES):
            self._buffer += wire.record(HEARTBEAT, peer.version, answer[place : place + _RECORD_BYTES])
            if len(self._buffer) >= _WRITE_BUFFER_BYTES:
                peer.sock.sendall(self._buffer)
                self._buffer = b""


@pytest.mark.parametrize(("checks", "status"), [(False, VULNERABLE), (True, NOT_VULNERABLE)], ids=["1.0.1f", "1.0.1g"])
@pytest.mark.parametrize("version", [registry.TLS10, registry.TLS11, registry.TLS12])
def test_case_41(servers: Servers, version: int, checks: bool, status: str) -> None:
    openssl = OpenSsl(checks)
    stub = servers.stub(after_flight(Flight(version, RSA_CBC, WITH_HEARTBEAT.extensions), openssl))
    context = context_of(stub.port, {version: (RSA_CBC,)}, {version: SEEN[registry.TLS12]})
    found = heartbleed.probe(context)
    assert (found.status, context.session.connections) == (status, 1)
    assert openssl.claimed_but_not_sent == [0, 0]
    assert FOREIGN.decode() not in found.evidence


def _alert_to_the_second(peer: Peer) -> None:
    peer.receive()
    peer.alert(10)


def _other_bytes(peer: Peer) -> None:
    _content, _version, body = peer.receive()
    peer.send(HEARTBEAT, b"\x02" + body[1:3] + bytes(len(body) - 3))


@pytest.mark.parametrize(
    ("to_the_test", "status"),
    [
        (_alert_to_the_second, NOT_VULNERABLE),
        (lambda peer: peer.receive() and None, NOT_VULNERABLE),
        (lambda peer: peer.receive() and peer.reset(), NOT_VULNERABLE),
        (lambda peer: peer.stay_silent(), NOT_VULNERABLE),
        (_other_bytes, NOT_TESTED),
        (lambda peer: peer.sock.sendall(b"500 OOPS"), NOT_TESTED),
    ],
    ids=["alert", "close", "reset", "silence", "other bytes", "text"],
)
def test_answers_to_the_test_after_an_echo_of_the_control(
    servers: Servers, to_the_test: Callable[[Peer], None], status: str
) -> None:
    def go_on(peer: Peer) -> None:
        _content, _version, body = peer.receive()
        peer.send(22, wire.handshake_message(0, b""))  # a HelloRequest is no answer
        peer.send(HEARTBEAT, b"\x02" + body[1:])
        to_the_test(peer)

    context = context_of(servers.stub(after_flight(WITH_HEARTBEAT, go_on)).port, SUITES, SEEN)
    assert (heartbleed.probe(context).status, context.session.connections) == (status, 1)


@pytest.mark.parametrize(
    "go_on",
    [_alert_to_the_second, _other_bytes, lambda peer: peer.stay_silent(), lambda peer: peer.receive() and None],
    ids=["alert", "other bytes", "silence", "close"],
)
def test_without_an_echo_of_the_control_nothing_is_known(servers: Servers, go_on: Callable[[Peer], None]) -> None:
    context = context_of(servers.stub(after_flight(WITH_HEARTBEAT, go_on)).port, SUITES, SEEN)
    found = heartbleed.probe(context)
    assert (found.status, context.session.connections) == (NOT_TESTED, 1)
    assert "no control answer" in found.evidence


@pytest.mark.parametrize(
    ("suites", "extensions", "connections"),
    [
        (SUITES, {registry.TLS12: frozenset((23, 65281))}, 0),
        (SUITES, {}, 1),
        ({registry.TLS13: (0x1301,)}, {}, 0),
        ({registry.SSL3: (RSA_CBC,)}, {}, 0),
    ],
    ids=["not echoed before", "extensions unknown", "TLS 1.3 alone", "SSL 3.0 alone"],
)
def test_without_the_extension_it_does_not_apply(
    servers: Servers, suites: dict[int, tuple[int, ...]], extensions: dict[int, frozenset[int]], connections: int
) -> None:
    context = context_of(servers.openssl("-tls1_2"), suites, extensions)
    assert (heartbleed.probe(context).status, context.session.connections) == (NOT_APPLICABLE, connections)


def test_an_extension_that_was_echoed_before_and_is_not_now(servers: Servers) -> None:
    context = context_of(servers.openssl("-tls1_2"), SUITES, SEEN)
    found = heartbleed.probe(context)
    assert (found.status, context.session.connections) == (NOT_TESTED, 2)
    assert "not this time" in found.evidence


def test_the_highest_version_with_heartbeats_is_asked(servers: Servers) -> None:
    stub = servers.stub(after_flight(Flight(registry.TLS10, RSA_CBC, WITH_HEARTBEAT.extensions), OpenSsl(checks=False)))
    suites = {registry.TLS12: (RSA_GCM,), registry.TLS10: (RSA_CBC,)}
    context = context_of(stub.port, suites, {registry.TLS12: frozenset((23,)), registry.TLS10: frozenset((15,))})
    assert heartbleed.probe(context).status == VULNERABLE


def test_tlslite_discards_a_request_without_padding(servers: Servers) -> None:
    context = context_of(tlslite(servers).port, SUITES, SEEN)
    assert (heartbleed.probe(context).status, context.session.connections) == (NOT_VULNERABLE, 1)


def test_gnutls_answers_no_heartbeat_during_a_handshake(real: peers.Servers) -> None:
    context = context_of(real.gnutls("NORMAL:+RSA", "--heartbeat"), SUITES, SEEN)
    found = heartbleed.probe(context)
    assert (found.status, context.session.connections) == (NOT_TESTED, 1)
    assert found.evidence.endswith("alert unexpected_message")


def test_a_server_that_dislikes_the_name_is_asked_without(servers: Servers) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        peer = Peer(connection)
        _content, _version, hello = peer.receive()
        if b"localhost" in hello:
            peer.alert(112)
        else:
            connection.sendall(WITH_HEARTBEAT.record())
            OpenSsl(checks=False)(peer)

    context = context_of(servers.stub(handler).port, SUITES, SEEN)
    assert (heartbleed.probe(context).status, context.session.connections) == (VULNERABLE, 2)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_server_without_a_flight_is_not_tested(servers: Servers, kind: str) -> None:
    stub = servers.stub(HOSTILE[kind])
    context = context_of(stub.port, SUITES, SEEN, timeout_seconds=0.4)
    found = heartbleed.probe(context)
    assert (found.status, stub.connections) == (NOT_TESTED, 2)
    assert found.evidence


def _drip(peer: Peer) -> None:
    for byte in wire.record(HEARTBEAT, registry.TLS12, b"\x02\x3f\xed"):
        peer.sock.sendall(bytes([byte]))
        time.sleep(0.2)


def _flood(peer: Peer) -> None:
    while True:
        peer.sock.sendall(wire.record(23, registry.TLS12, b"") * 1000)


@pytest.mark.parametrize("go_on", [_drip, _flood], ids=["a byte at a time", "records without end"])
def test_hostile_answers_tell_nothing(servers: Servers, go_on: Callable[[Peer], None]) -> None:
    context = context_of(servers.stub(after_flight(WITH_HEARTBEAT, go_on)).port, SUITES, SEEN)
    assert (heartbleed.probe(context).status, context.session.connections) == (NOT_TESTED, 1)
