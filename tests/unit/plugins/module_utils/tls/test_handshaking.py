# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all measurements share that complete a handshake: the offer, the connection, and how failures are told."""

from __future__ import annotations

import socket
import threading

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake12
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls import stub12
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.conftest import Servers
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.vulnerabilities.clear_servers import (
    context_of,
)

GCM, CBC, CAMELLIA, RC4 = 0xC02F, 0xC013, 0x0041, 0x0005
Suites = dict[int, tuple[int, ...]]


@pytest.mark.parametrize(
    ("suites", "expected"),
    [
        ({0x0303: (GCM, CBC)}, (0x0303, (GCM, CBC))),
        ({0x0301: (CBC,), 0x0303: (GCM,), 0x0304: (0x1301,)}, (0x0303, (GCM,))),
        ({0x0303: (CAMELLIA, CBC)}, (0x0303, (CBC,))),
        ({0x0303: (CAMELLIA,), 0x0302: (CBC,)}, (0x0302, (CBC,))),
        ({0x0300: (RC4,)}, None),
        ({0x0304: (0x1301,)}, None),
        ({}, None),
    ],
)
def test_the_best_offer(suites: Suites, expected: tuple[int, tuple[int, ...]] | None) -> None:
    offer = handshaking.best_offer(context_of(1, suites))
    assert (offer and (offer.version, offer.suites)) == expected
    assert offer is None or offer.server_name == "localhost"


@pytest.mark.parametrize(
    ("suites", "expected"),
    [
        ({0x0304: (0x1301,)}, ("not_applicable", handshaking.NO_VERSION)),
        ({0x0300: (RC4,)}, ("not_tested", handshaking.NO_SUITE)),
        ({0x0303: (CAMELLIA,)}, ("not_tested", handshaking.NO_SUITE)),
    ],
)
def test_why_there_is_none(suites: Suites, expected: tuple[str, str]) -> None:
    found = handshaking.without_offer(context_of(1, suites))
    assert (found.status, found.evidence) == expected


def test_a_connection_is_counted_and_ends_with_goodbye(servers: Servers) -> None:
    """A server may throw a session away whose connection just breaks off (RFC 5246 7.2.1)."""
    heard: list[tuple[int, bytes]] = []
    ended = threading.Event()

    def behave(server: stub12.Server12, _number: int) -> None:
        server.handshake()
        record = server.records.receive()
        heard.append((record.content, record.body))
        ended.set()

    context = context_of(servers.stub(stub12.serving(behave)).port, {0x0303: (stub12.SUITE,)})
    offer = handshaking.best_offer(context)
    assert offer is not None
    established = handshaking.complete(context, offer)
    assert established.hello.cipher_suite == stub12.SUITE
    assert ended.wait(5)
    assert heard == [(21, b"\x01\x00")]
    assert context.session.connections == 1


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with pytest.raises(handshaking.NotMeasuredError, match="no connection: Connection refused"):
        handshaking.complete(context_of(port, {}), handshake12.Offer(0x0303, (GCM,)))


def test_a_server_that_was_given_up_is_not_asked(servers: Servers) -> None:
    context = context_of(servers.openssl("-tls1_2"), {})
    context.session.given_up = "the server is too slow"
    with pytest.raises(handshaking.NotMeasuredError, match="too slow"):
        handshaking.complete(context, handshake12.Offer(0x0303, (GCM,)))
    assert context.session.connections == 0


@pytest.mark.parametrize(
    ("answer", "reason", "alert"),
    [
        (stub12.record(21, b"\x02\x28"), "alert handshake_failure", 40),
        (b"", "it was closed", None),
        (b"HTTP/1.1 400 Bad Request", "no TLS record", None),
        (stub12.record(22, b"\x02\x00\x00\x01x"), "the ServerHello is cut short", None),
    ],
    ids=["an alert", "an end", "no TLS", "nonsense"],
)
def test_a_failure_is_told_in_one_way(servers: Servers, answer: bytes, reason: str, alert: int | None) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    context = context_of(servers.stub(serve).port, {})
    with pytest.raises(handshaking.NotMeasuredError) as failed:
        handshaking.complete(context, handshake12.Offer(0x0303, (GCM,)))
    assert str(failed.value).startswith(reason)
    assert failed.value.alert == alert
    assert context.session.connections == 1


def test_silence_lasts_as_long_as_is_allowed(servers: Servers) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        while connection.recv(4096):
            pass

    context = context_of(servers.stub(serve).port, {}, timeout_seconds=0.2)
    with pytest.raises(handshaking.NotMeasuredError, match="no answer came in time"):
        handshaking.complete(context, handshake12.Offer(0x0303, (GCM,)))
