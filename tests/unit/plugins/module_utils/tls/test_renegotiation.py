# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renegotiation that a client begins, with servers that refuse it, limit it, or do it without RFC 5746."""

from __future__ import annotations

import dataclasses
import socket
import struct
import time
from collections.abc import Callable

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking, renegotiation
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls import stub12
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.conftest import Servers
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.vulnerabilities.clear_servers import (
    context_of,
)

from .....peers import servers as peers

TLS12 = 0x0303
SUITES = (0xC02F, 0x009C)
RENEGOTIATION_INFO = 65281


def context(
    port: int, secure: bool, suites: tuple[int, ...] = SUITES, speaks_http: bool = False, timeout_seconds: float = 5
) -> ProbeContext:
    extensions = frozenset({RENEGOTIATION_INFO} if secure else ())
    asked = context_of(port, {TLS12: suites}, {TLS12: extensions}, timeout_seconds)
    return dataclasses.replace(asked, speaks_http=speaks_http)


def statuses(asked: ProbeContext) -> tuple[str, str, int]:
    """Return the statuses of both findings and the number of connections."""
    found = renegotiation.probe(asked)
    insecure, client_initiated = found["insecure_renegotiation"], found["client_initiated_renegotiation"]
    return insecure.status, client_initiated.status, asked.session.connections


# --- real servers


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("not_vulnerable", "not_vulnerable", 1)),
        (["-no_renegotiation"], ("not_vulnerable", "not_vulnerable", 1)),
        (["-client_renegotiation"], ("not_vulnerable", "vulnerable", 2)),
        (["-client_renegotiation", "-legacy_renegotiation"], ("vulnerable", "vulnerable", 2)),
    ],
    ids=["as it comes", "none", "of clients", "of clients, old ones too"],
)
def test_openssl(servers: Servers, options: list[str], expected: tuple[str, str, int]) -> None:
    """As a web server it would wait a second before each renegotiation."""
    port = servers.openssl_terminal("-tls1_2", *options)
    assert statuses(context(port, secure=True)) == expected


@pytest.mark.parametrize(
    ("priorities", "secure", "expected"),
    [
        ("%SAFE_RENEGOTIATION", True, ("not_vulnerable", "vulnerable", 2)),
        ("%UNSAFE_RENEGOTIATION", True, ("vulnerable", "vulnerable", 2)),
        ("%DISABLE_SAFE_RENEGOTIATION", False, ("vulnerable", "vulnerable", 1)),
    ],
)
def test_gnutls(real: peers.Servers, priorities: str, secure: bool, expected: tuple[str, str, int]) -> None:
    port = real.gnutls(f"NORMAL:-VERS-TLS1.3:{priorities}")
    assert statuses(context(port, secure)) == expected


@pytest.mark.parametrize(
    ("start", "connections"),
    [
        (lambda real: real.nginx("ssl_protocols TLSv1.2;"), 1),
        (lambda real: real.apache("SSLProtocol TLSv1.2"), 1),
        (lambda real: real.haproxy("ssl-max-ver TLSv1.2"), 1),
    ],
    ids=["nginx", "Apache", "HAProxy"],
)
def test_servers_that_refuse(real: peers.Servers, start: Callable[[peers.Servers], int], connections: int) -> None:
    assert statuses(context(start(real), secure=True)) == ("not_vulnerable", "not_vulnerable", connections)


# --- limits and other ends, by a stub with real handshakes: each is what some product does


End = Callable[[stub12.Server12, int], None]


def alert(server: stub12.Server12, _number: int) -> None:
    server.receive_hello()
    server.records.send(21, b"\x02\x28")


def close(server: stub12.Server12, _number: int) -> None:
    server.receive_hello()


def reset(server: stub12.Server12, _number: int) -> None:
    server.receive_hello()
    server.records._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(server: stub12.Server12, _number: int) -> None:
    while True:
        server.records.receive()


def go_on(server: stub12.Server12, _number: int) -> None:
    while server.records.receive().content != 23:
        pass
    server.records.send(23, b"HTTP/1.0 200 OK\r\n\r\n")
    silence(server, 0)


def garbage(server: stub12.Server12, _number: int) -> None:
    server.receive_hello()
    server.records.send_raw(22, bytes(64))


def differently(server: stub12.Server12, number: int) -> None:
    (close if number == 1 else silence)(server, number)


def stub(servers: Servers, allowed: int, end: End, secure: bool) -> int:
    """Allow so many renegotiations, then do what ``end`` does."""
    extensions = b"\xff\x01\x00\x01\x00" if secure else b""

    def behave(server: stub12.Server12, number: int) -> None:
        server.handshake(extensions=extensions)
        for _renegotiation in range(allowed):
            server.handshake()
        end(server, number)

    return servers.stub(stub12.serving(behave)).port


LIMITS = [
    ("Node.js", 3, close, False, "limited: after 3 renegotiations, the connection was ended", 2),
    ("F5", 5, alert, False, "limited: after 5 renegotiations, alert handshake_failure", 1),
    ("Stormshield", 9, alert, False, "limited: after 9 renegotiations", 1),
    ("an alert", 0, alert, False, "refused: alert handshake_failure", 1),
    ("an end", 0, close, False, "refused: the connection was ended", 2),
    ("a reset", 0, reset, False, "refused: the connection was ended", 2),
    ("Netty", 0, silence, False, "refused: it was not answered", 2),
    ("silence where HTTP is spoken", 0, silence, True, "refused: it was not answered", 2),
    ("as if nothing were", 0, go_on, True, "refused: it was ignored and the connection went on", 1),
]


@pytest.mark.parametrize(
    ("allowed", "end", "speaks_http", "evidence", "connections"),
    [case[1:] for case in LIMITS],
    ids=[case[0] for case in LIMITS],
)
def test_an_end_of_it(
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    allowed: int,
    end: End,
    speaks_http: bool,
    evidence: str,
    connections: int,
) -> None:
    if end in (silence, go_on):
        monkeypatch.setattr(renegotiation, "_PATIENCE_SECONDS", 0.3 if end is silence else 1.0)
    port = stub(servers, allowed, end, secure=False)
    asked = context(port, secure=False, suites=(stub12.SUITE,), speaks_http=speaks_http)
    found = renegotiation.probe(asked)
    assert found["client_initiated_renegotiation"].status == "not_vulnerable"
    assert evidence in found["client_initiated_renegotiation"].evidence
    assert found["insecure_renegotiation"].status == ("vulnerable" if allowed else "not_vulnerable")
    assert asked.session.connections == connections


@pytest.mark.parametrize("secure", [False, True], ids=["without RFC 5746", "with it"])
def test_what_the_hellos_say(servers: Servers, secure: bool) -> None:
    """What is called a renegotiation without the extension has none, and one with it says what went before."""
    said: list[bytes | None] = []

    def behave(server: stub12.Server12, _number: int) -> None:
        for _handshake in range(2):
            hello = server.receive_hello()
            said.append(hello.extensions.get(RENEGOTIATION_INFO))
            server.handshake(hello)
        alert(server, 0)

    port = servers.stub(stub12.serving(behave)).port
    renegotiation.probe(context(port, secure, (stub12.SUITE,)))
    lengths = [None if content is None else len(content) for content in said]
    assert lengths[:2] == ([1, 1 + 12] if secure else [None, None])
    assert lengths[2:] == ([None, None] if secure else [])


def test_no_more_than_ten_are_asked_for(servers: Servers) -> None:
    """An eleventh would be answered with an alert."""
    asked = context(stub(servers, 10, alert, secure=False), secure=False, suites=(stub12.SUITE,))
    assert statuses(asked) == ("vulnerable", "vulnerable", 1)


@pytest.mark.parametrize(
    ("end", "secure", "insecure", "reason"),
    [
        (garbage, False, "not_tested", "wrong"),
        (differently, False, "not_tested", "two attempts ended differently"),
        (differently, True, "not_vulnerable", "two attempts ended differently"),
    ],
    ids=["garbage", "differently", "differently, with RFC 5746"],
)
def test_what_cannot_be_believed_is_not_tested(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, end: End, secure: bool, insecure: str, reason: str
) -> None:
    monkeypatch.setattr(renegotiation, "_PATIENCE_SECONDS", 0.3)
    found = renegotiation.probe(context(stub(servers, 0, end, secure), secure, (stub12.SUITE,)))
    assert found["insecure_renegotiation"].status == insecure
    assert found["client_initiated_renegotiation"].status == "not_tested"
    assert reason in found["client_initiated_renegotiation"].evidence


def test_a_server_that_fails_beside_is_not_tested_for_old_clients(servers: Servers) -> None:
    """It renegotiates with RFC 5746, and ends each connection without it before the handshake is complete."""
    port = servers.openssl_terminal("-tls1_2", "-client_renegotiation")
    proxy = servers.forward(port, lambda _connection, number: number > 1)
    found = renegotiation.probe(context(proxy.port, secure=True))
    assert found["client_initiated_renegotiation"].status == "vulnerable"
    assert found["insecure_renegotiation"].status == "not_tested"


@pytest.mark.parametrize(
    ("suites", "status", "reason"),
    [
        ({0x0304: (0x1301,)}, "not_applicable", handshaking.NO_VERSION),
        ({TLS12: (0x0041,)}, "not_tested", handshaking.NO_SUITE),
    ],
    ids=["TLS 1.3 alone", "Camellia alone"],
)
def test_nothing_to_ask_with(suites: dict[int, tuple[int, ...]], status: str, reason: str) -> None:
    asked = context_of(1, suites)
    found = renegotiation.probe(asked)
    assert {(finding.status, finding.evidence) for finding in found.values()} == {(status, reason)}
    assert asked.session.connections == 0


def test_a_byte_at_a_time_ends_at_the_deadline(servers: Servers) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        for byte in stub12.record(22, bytes(1000)):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    port = servers.stub(serve).port
    found = renegotiation.probe(context(port, secure=False, timeout_seconds=0.2))
    assert {finding.status for finding in found.values()} == {"not_tested"}
