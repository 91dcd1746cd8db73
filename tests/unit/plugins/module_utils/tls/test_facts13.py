# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate of a kind of key and the resumption of sessions, with what they cost in connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    facts13,
    flights,
    handshake13,
    hellos,
    probe,
    registry,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake13 import Offer13, Ticket
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session

from .conftest import Handler, Servers
from .stub13 import SUITE, Server13, serving, ticket_message

OFFER = Offer13(handshake13.SUITES, handshake13.GROUPS, "localhost")
RSA, ECDSA = registry.RSA_SIGNATURE_SCHEMES, registry.ECDSA_SIGNATURE_SCHEMES
NAMES = ("session_id", "session_ticket", "ticket_lifetime_seconds", "max_early_data_bytes")


def session_with(port: int) -> Session:
    return Session(probe.Endpoint(socket.AF_INET, "127.0.0.1", port), probe.Pacer(2, 0), 5)


def closing(count: int) -> Callable[[socket.socket, int], bool]:
    """Return what closes the first connections without an answer to the hello."""

    def disturb(connection: socket.socket, number: int) -> bool:
        return number <= count and bool(connection.recv(16384))

    return disturb


# --- the certificate of a kind of key


@pytest.mark.parametrize(("schemes", "key_type"), [(RSA, "RSA"), (ECDSA, "ECDSA")])
def test_both_certificates_take_one_connection_each(servers: Servers, schemes: tuple[int, ...], key_type: str) -> None:
    chain, key = servers.files(key_type=trustme.KeyType.ECDSA)
    session = session_with(servers.openssl("-dcert", chain, "-dkey", key))
    answer = facts13.certificate_of_key_type(session, OFFER, schemes)
    assert answer.established is not None
    assert flights.key_type(answer.established.certificates[0]) == key_type
    assert (answer.refused, answer.reason, session.connections) == (False, "", 1)


def test_an_alert_that_refuses_is_believed_at_once(servers: Servers) -> None:
    session = session_with(servers.openssl())
    assert facts13.certificate_of_key_type(session, OFFER, ECDSA) == facts13.KeyTypeAnswer(refused=True)
    assert session.connections == 1


def test_another_kind_of_key_than_asked_for_is_a_refusal(servers: Servers) -> None:
    """A stub: it signs with RSA whatever it is asked for."""
    session = session_with(servers.stub(serving(Server13.complete)).port)
    assert facts13.certificate_of_key_type(session, OFFER, ECDSA).refused
    assert facts13.certificate_of_key_type(session, OFFER, RSA).established is not None


@pytest.mark.parametrize(("schemes", "refused"), [(ECDSA, True), (RSA, False)])
def test_a_closed_connection_is_no_refusal(servers: Servers, schemes: tuple[int, ...], refused: bool) -> None:
    session = session_with(servers.forward(servers.openssl(), closing(1)).port)
    answer = facts13.certificate_of_key_type(session, OFFER, schemes)
    assert (answer.established, answer.refused) == (None, refused)
    assert answer.reason == ("" if refused else "it was closed")


def test_a_broken_flight_is_no_refusal(servers: Servers) -> None:
    def steps(server: Server13) -> None:
        server.begin()
        server.send(99, b"")
        server.wait()

    answer = facts13.certificate_of_key_type(session_with(servers.stub(serving(steps)).port), OFFER, RSA)
    assert (answer.refused, answer.reason) == (False, "handshake message 99 came instead of 8")


def test_a_server_that_is_gone_has_refused_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        session = session_with(free.getsockname()[1])
    answer = facts13.certificate_of_key_type(session, OFFER, RSA)
    assert (answer.established, answer.refused) == (None, False)
    assert answer.reason.startswith("no connection")


def test_nothing_is_asked_of_a_server_that_was_given_up(servers: Servers) -> None:
    session = session_with(servers.openssl())
    session.given_up = "enough"
    assert facts13.certificate_of_key_type(session, OFFER, RSA) == facts13.KeyTypeAnswer(reason="enough")
    assert facts13.sessions(session, OFFER).not_tested[0]["reason"] == "enough"
    assert session.connections == 0


# --- sessions


@pytest.mark.parametrize(
    ("options", "facts", "connections"),
    [
        ((), (None, True, 7200, 0), 2),
        (("-max_early_data", "5000"), (None, True, 7200, 5000), 2),
        (("-groups", "P-384"), (None, True, 7200, 0), 2),
        (("-num_tickets", "0"), (None, False, None, 0), 1),
    ],
)
def test_sessions(servers: Servers, options: tuple[str, ...], facts: tuple[object, ...], connections: int) -> None:
    session = session_with(servers.openssl(*options))
    found = facts13.sessions(session, OFFER)
    assert found.sessions == {"TLSv1.3": dict(zip(NAMES, facts))}
    assert (found.not_tested, session.connections) == ([], connections)


def test_a_ticket_of_before_saves_a_connection(servers: Servers) -> None:
    session = session_with(servers.openssl("-max_early_data", "5000"))
    with session.connection() as (sock, deadline):
        client = handshake13.Client(sock, deadline)
        client.handshake(OFFER)
        client.wait_for_ticket()
    found = facts13.sessions(session, OFFER, tuple(client.tickets))
    assert found.sessions["TLSv1.3"]["session_ticket"] is True
    assert session.connections == 2


def giving(*tickets: bytes) -> Handler:
    """A stub: it hands out tickets, and resumes no session."""

    def steps(server: Server13) -> None:
        server.complete()
        for ticket in tickets:
            server.send(4, ticket)
        server.wait()

    return serving(steps)


def test_a_ticket_that_resumes_nothing_is_no_resumption(servers: Servers) -> None:
    session = session_with(servers.stub(giving(ticket_message(early_data=b"\x00\x00\x10\x00"))).port)
    found = facts13.sessions(session, OFFER)
    assert found.sessions == {"TLSv1.3": dict(zip(NAMES, (None, False, 60, 4096)))}
    assert found.not_tested == []


def not_tested(found: facts13.Resumption) -> dict[str, str]:
    return {entry["fact"].removeprefix("sessions.TLSv1.3."): entry["reason"] for entry in found.not_tested}


def test_what_cannot_be_offered_is_not_tested(servers: Servers) -> None:
    session = session_with(servers.stub(giving(ticket_message(bytes(20000)))).port)
    found = facts13.sessions(session, OFFER)
    assert found.sessions == {"TLSv1.3": dict(zip(NAMES, (None, None, 60, 0)))}
    assert not_tested(found) == {"session_ticket": "the server's tickets are too long to be offered"}


def test_silence_is_not_the_lack_of_tickets(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake13, "_TICKET_PATIENCE_SECONDS", 0.1)

    def late(server: Server13) -> None:
        server.complete()
        time.sleep(2)
        server.send(4, ticket_message())

    found = facts13.sessions(session_with(servers.stub(serving(late)).port), OFFER)
    assert found.sessions == {"TLSv1.3": dict.fromkeys(NAMES)}
    assert not_tested(found) == dict.fromkeys(("session_ticket", "max_early_data_bytes"), "no answer came in time")


def test_a_session_is_resumed_with_its_own_suite_alone(servers: Servers) -> None:
    """With others beside it, a server may select one with another hash, and then nothing can be resumed."""
    seen: list[tuple[int, ...]] = []

    def steps(server: Server13) -> None:
        server.begin()
        seen.append(server.suites)
        server.finish()
        server.send(4, ticket_message())
        server.wait()

    facts13.sessions(session_with(servers.stub(serving(steps)).port), OFFER)
    assert seen == [OFFER.suites, (SUITE,)]


def test_a_failed_resumption_is_not_tested(servers: Servers) -> None:
    session = session_with(servers.forward(servers.openssl(), closing(1)).port)
    ticket = Ticket(60, 0, 0, b"identity", bytes(32), SUITE, 0.0)
    found = facts13.sessions(session, OFFER, (ticket,))
    assert found.sessions == {"TLSv1.3": dict(zip(NAMES, (None, None, 60, 0)))}
    assert not_tested(found) == {"session_ticket": "it was closed"}


def test_without_an_offer_there_is_no_connection(servers: Servers) -> None:
    session = session_with(servers.openssl())
    found = facts13.sessions(session, None)
    assert found.sessions == {"TLSv1.3": dict.fromkeys(NAMES)}
    assert set(not_tested(found).values()) == {facts13.NO_OFFER}
    assert session.connections == 0


def test_a_server_that_is_gone_is_not_tested() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        session = session_with(free.getsockname()[1])
    reasons = not_tested(facts13.sessions(session, OFFER))
    assert all(reason.startswith("no connection") for reason in reasons.values())
    assert len(reasons) == 2


def test_the_question_that_is_asked_again_is_about_the_same(servers: Servers) -> None:
    seen: list[bytes] = []

    def handler(connection: socket.socket, _number: int) -> None:
        seen.append(connection.recv(4096))

    session = session_with(servers.stub(handler).port)
    facts13.certificate_of_key_type(session, OFFER, ECDSA)
    restricted = hellos.wire.signature_algorithms(ECDSA)[1]
    assert len(seen) > 1
    assert all(restricted in hello for hello in seen)
