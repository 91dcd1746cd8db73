# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A conversation in clear: what begins one, what is heard, and that a server can do nothing worse than fail it."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import dialogue
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.handshaking import NotMeasuredError

from ..conftest import Servers
from .clear_servers import HOSTILE, RSA_CBC, RSA_GCM, Flight, Peer, after_flight, context_of

SUITES = {registry.TLS12: (RSA_GCM,)}


def begin(port: int) -> AbstractContextManager[dialogue.Conversation]:
    return dialogue.begin(context_of(port, SUITES), registry.TLS12, (RSA_GCM,))


@pytest.mark.parametrize("version", [registry.TLS10, registry.TLS11, registry.TLS12])
def test_a_real_server_says_all_up_to_its_server_hello_done(servers: Servers, version: int) -> None:
    port = servers.openssl("-no_tls1_3", "-cipher", "ALL:@SECLEVEL=0")
    with dialogue.begin(context_of(port, {}), version, (RSA_CBC,)) as conversation:
        assert (conversation.hello.version, conversation.hello.cipher_suite) == (version, RSA_CBC)
        assert len(conversation.flight.certificates) == 1


REASONS = {
    "silent": "no answer came in time",
    "reset": "it broke",
    "closed": "it was closed",
    "a refusal": "alert handshake_failure",
    "plain text": "no TLS record",
    "garbage in a record": "cut short",
    "a byte at a time": "in time",
    "endless warnings": "more than|longer than",
    "cut short": "it was closed",
    "another version": "another version or cipher suite",
    "another suite": "another version or cipher suite",
    "TLS 1.3": "another version or cipher suite",
    "no ServerHelloDone": "no end",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_whatever_is_no_such_flight_is_not_measured(servers: Servers, kind: str) -> None:
    stub = servers.stub(HOSTILE[kind])
    # What never ends is stopped by its size, however slow the machine is.
    context = context_of(stub.port, SUITES, timeout_seconds=30 if kind.startswith("endless") else 0.5)
    with pytest.raises(NotMeasuredError, match=REASONS[kind]), dialogue.begin(context, registry.TLS12, (RSA_GCM,)):
        pass
    assert stub.connections == context.session.connections == 1


def test_nothing_listens() -> None:
    with pytest.raises(NotMeasuredError, match="refused"), begin(1):
        pass


def test_a_session_that_was_given_up_makes_no_connection(servers: Servers) -> None:
    context = context_of(servers.stub(HOSTILE["closed"]).port, SUITES)
    context.session.given_up = "the server is too slow"
    with pytest.raises(NotMeasuredError, match="too slow"), dialogue.begin(context, registry.TLS12, (RSA_GCM,)):
        pass
    assert context.session.connections == 0


def _drip(peer: Peer) -> None:
    for byte in wire.record(21, registry.TLS12, b"\x02\x14"):
        peer.sock.sendall(bytes([byte]))
        time.sleep(0.2)


def _many_empty_records(peer: Peer) -> None:
    while True:
        peer.sock.sendall(wire.record(24, registry.TLS12, b"") * 1000)


@pytest.mark.parametrize(
    ("go_on", "heard"),
    [
        (lambda peer: peer.alert(20), dialogue.Answer("alert", "alert bad_record_mac", 20)),
        (lambda peer: peer.alert(20, level=1), dialogue.Answer("alert", "alert bad_record_mac (a warning)", 20)),
        (lambda peer: peer.alert(99), dialogue.Answer("alert", "alert alert_99", 99)),
        (lambda peer: peer.receive() and None, dialogue.Answer("closed", "the connection was closed")),
        (lambda peer: peer.receive() and peer.reset(), dialogue.Answer("reset", "the connection was reset")),
        (lambda peer: peer.stay_silent(), dialogue.Answer("timeout", "silence")),
        (_drip, dialogue.Answer("timeout", "silence")),
        (lambda peer: peer.send(22, b"\x00\x00\x00\x00"), dialogue.Answer("answer", "a record of type 22")),
        (lambda peer: peer.send(21, b"\x02"), dialogue.Answer("malformed", "something that is no TLS")),
        (lambda peer: peer.sock.sendall(b"HTTP/1.1 400"), dialogue.Answer("malformed", "something that is no TLS")),
        (
            lambda peer: peer.sock.sendall(b"\x17\x03\x03\xff\xff"),
            dialogue.Answer("malformed", "something that is no TLS"),
        ),
    ],
    ids=["alert", "warning", "unknown", "close", "reset", "silence", "drip", "record", "half", "text", "too long"],
)
def test_what_is_heard(servers: Servers, go_on: Callable[[Peer], None], heard: dialogue.Answer) -> None:
    stub = servers.stub(after_flight(Flight(), go_on))
    with begin(stub.port) as conversation:
        conversation.say(0.4, (24, b"anything"))
        assert conversation.hear() == heard


def test_records_without_a_name_are_passed_over_but_not_for_ever(servers: Servers) -> None:
    stub = servers.stub(after_flight(Flight(), _many_empty_records))
    with begin(stub.port) as conversation:
        conversation.say(5, (24, b"anything"))
        assert conversation.hear(lambda _received: "").kind == "malformed"


def test_what_comes_in_one_piece_with_the_flight_is_heard(servers: Servers) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        peer = Peer(connection)
        peer.receive()
        peer.sock.sendall(Flight().record() + wire.record(21, registry.TLS12, b"\x02\x50"))

    with begin(servers.stub(handler).port) as conversation:
        conversation.say(2, (24, b"anything"))
        assert conversation.hear().text == "alert internal_error"


def test_what_was_said_before_a_reset_is_heard(servers: Servers) -> None:
    """The records are sent to a connection that is dead already."""

    def go_on(peer: Peer) -> None:
        peer.alert(40)
        peer.sock.close()  # what the client sends now is answered with a reset

    with begin(servers.stub(after_flight(Flight(), go_on)).port) as conversation:
        for _time in range(20):
            conversation.say(2, (24, bytes(1000)))
        assert conversation.hear().text == "alert handshake_failure"


def test_records_are_sent_in_one_piece_with_the_version_of_the_server(servers: Servers) -> None:
    received: list[tuple[int, int, bytes]] = []

    def go_on(peer: Peer) -> None:
        received.extend([peer.receive(), peer.receive()])
        peer.alert(10)

    stub = servers.stub(after_flight(Flight(version=registry.TLS11, suite=RSA_CBC), go_on))
    with dialogue.begin(context_of(stub.port, {}), registry.TLS11, (RSA_CBC,)) as conversation:
        conversation.say(2, (20, b"\x01"), (wire.CONTENT_APPLICATION_DATA, b"\x00\x00"))
        assert conversation.hear().alert == 10
    assert received == [(20, registry.TLS11, b"\x01"), (23, registry.TLS11, b"\x00\x00")]


def test_damaged_flights_and_answers_are_measured_or_not_and_nothing_else(servers: Servers) -> None:
    """Whatever a server sends, what comes of it is an answer or a reason."""
    chance = random.Random(1)

    def damaged(data: bytes) -> bytes:
        changed = bytearray(data)
        for _byte in range(chance.randrange(4)):
            changed[chance.randrange(len(changed))] = chance.choice((0, 1, 2, 14, 20, 21, 22, 0x7F, 0xFF))
        return bytes(changed)

    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(damaged(Flight().record()) + damaged(wire.record(21, registry.TLS12, b"\x02\x14") * 2))

    port = servers.stub(handler).port
    heard = []
    for _round in range(150):
        try:
            with begin(port) as conversation:
                conversation.say(1, (24, b"anything"))
                heard.append(conversation.hear().kind)
        except NotMeasuredError as error:
            assert str(error)
            heard.append("not measured")
    assert {"alert", "malformed", "not measured"} <= set(heard)
