# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which answers are believed."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import hellos, probe, registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session

if TYPE_CHECKING:
    from tests.unit.plugins.module_utils.tls.conftest import Servers

HELLO = hellos.up_to_tls12(None, registry.TLS12, (0xC02F,))
OTHER = hellos.up_to_tls12(None, registry.TLS12, (0xC030,))
SERVER_HELLO = b"\x02\x00\x00\x26\x03\x03" + bytes(33) + b"\xc0\x2f\x00"
DONE = b"\x0e\x00\x00\x00"
ANSWER = b"\x16\x03\x03\x00" + bytes([len(SERVER_HELLO + DONE)]) + SERVER_HELLO + DONE


def alert(number: int) -> bytes:
    return b"\x15\x03\x03\x00\x02\x02" + bytes([number])


class CountingPacer(probe.Pacer):
    """A pacer that counts how often it was waited for."""

    waits = 0

    def wait(self) -> None:
        """Count."""
        self.waits += 1


def session_with(servers: Servers, *answers: bytes) -> tuple[Session, CountingPacer]:
    """Return a session whose first hello got the first answer; the last answer repeats."""

    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(4096)
        connection.sendall(answers[min(number, len(answers)) - 1])

    pacer = CountingPacer(2, 0)
    session = Session(probe.Endpoint(socket.AF_INET, "127.0.0.1", servers.stub(handler).port), pacer, 2)
    session.believe(HELLO, session.first((HELLO,))[0])
    return session, pacer


@pytest.mark.parametrize(
    ("answers", "flight", "refused"),
    [
        ((alert(40),), False, True),
        ((alert(80), ANSWER), True, False),
        ((alert(80), alert(80), ANSWER), False, True),
        ((alert(80), alert(80), alert(80)), False, False),
        ((b"", ANSWER), True, False),
        ((b"", b"", ANSWER), False, False),
    ],
    ids=["refusal", "80 once", "80 twice", "80 to the canary too", "closed once", "closed twice"],
)
def test_what_is_believed(servers: Servers, answers: tuple[bytes, ...], flight: bool, refused: bool) -> None:
    session, _pacer = session_with(servers, ANSWER, *answers)
    reply = session.ask(OTHER)
    assert (reply.flight is not None, reply.refused) == (flight, refused)
    assert bool(reply.reason) is not (flight or refused)


def test_every_connection_waits_for_the_delay(servers: Servers) -> None:
    session, pacer = session_with(servers, ANSWER, b"", b"", ANSWER)
    session.ask(OTHER)
    session.ask_sslv2(hellos.sslv2())
    assert pacer.waits == session.connections > 4


@pytest.mark.parametrize(
    ("answers", "doubtful"),
    [((alert(40), alert(40)), True), ((alert(40), ANSWER), False), ((alert(40), alert(40), ANSWER), False)],
    ids=["refuses all", "answers", "answers the second time"],
)
def test_a_last_refusal_is_doubted(servers: Servers, answers: tuple[bytes, ...], doubtful: bool) -> None:
    session, _pacer = session_with(servers, ANSWER, *answers)
    assert session.ask(OTHER).refused
    assert bool(session.doubt()) is doubtful


def connect(session: Session) -> str:
    with contextlib.suppress(OSError), session.connection():
        return "connected"
    return session.given_up


@pytest.mark.parametrize(
    "question",
    [
        lambda session: session.ask(OTHER).reason,
        lambda session: session.ask_sslv2(hellos.sslv2())[0].reason,
        connect,
        lambda session: session.believe(OTHER, probe.Outcome(probe.RESET), True).reason,
    ],
    ids=["a hello", "SSL 2.0", "a connection", "a confirmation"],
)
def test_who_waits_for_a_place_asks_nothing_more_of_a_server_that_was_given_up(
    servers: Servers, question: Callable[[Session], str]
) -> None:
    session, pacer = session_with(servers, ANSWER)
    reasons: list[str] = []
    waiting = threading.Thread(target=lambda: reasons.append(question(session)))
    with pacer.alone():
        waiting.start()
        waiting.join(0.2)
        session.given_up = "the server is too slow"
    waiting.join(5)
    assert (reasons, session.connections) == (["the server is too slow"], 1)


SSLV2_ANSWER = b"\x80\x0b\x04\x00\x01\x00\x02\x00\x00\x00\x03\x00\x10"


@pytest.mark.parametrize(
    ("answer", "offered", "refused"),
    [
        (SSLV2_ANSWER, True, False),
        (SSLV2_ANSWER[:6], False, False),
        (SSLV2_ANSWER[:1], False, False),
        (b"HTTP/1.1 400 Bad Request\r\n", False, True),
        (alert(70), False, True),
        (b"", False, True),
    ],
    ids=["a hello", "half of one", "a byte of one", "plain text", "an alert", "nothing"],
)
def test_the_beginning_of_an_answer_is_no_refusal_of_sslv2(
    servers: Servers, answer: bytes, offered: bool, refused: bool
) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.sendall(answer if connection.recv(4096)[:1] == b"\x80" else ANSWER)

    session = Session(probe.Endpoint(socket.AF_INET, "127.0.0.1", servers.stub(handler).port), probe.Pacer(2, 0), 2)
    session.believe(HELLO, session.first((HELLO,))[0])
    reply, hello = session.ask_sslv2(hellos.sslv2())
    assert (hello is not None, reply.refused) == (offered, refused)
    assert bool(reply.reason) is not (offered or refused)
