# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Command injection before STARTTLS, with stubs that speak each protocol in clear and within real TLS.

Real servers, most of them sound, are in tests/proof/test_starttls_servers.py.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import probe
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import starttls_injection
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

from ..conftest import Handler, Servers, Stub
from ..test_starttls import SCRIPTS, Script, play


@dataclass(frozen=True)
class Speech:
    """How a server speaks a protocol: in clear to the go-ahead, then what it answers to each line within TLS.

    Answers are looked up by the beginning of a line; the last one closes the connection.
    """

    clear: Script
    answers: Mapping[bytes, bytes]
    greeting: bytes = b""
    end: re.Pattern[bytes] = field(default=re.compile(rb"\n"))


IRC: Script = ((b"STARTTLS\r\n", b":irc 670 * :go\r\n"),)
SIEVE_CAPABILITIES = b'"IMPLEMENTATION" "x"\r\nOK "TLS negotiated"\r\n'
CAPABILITIES = b"+OK\r\nUSER\r\n.\r\n"

SPEECHES: dict[str, Speech] = {
    "smtp": Speech(SCRIPTS["smtp"], {b"NOOP": b"250 ok\r\n", b"QUIT": b"221-good\r\n221 bye\r\n"}),
    "lmtp": Speech(SCRIPTS["lmtp"], {b"NOOP": b"503 LHLO first\r\n", b"QUIT": b"221 bye\r\n"}),
    "ftp": Speech(SCRIPTS["ftp"], {b"NOOP": b"530 log in\r\n", b"QUIT": b"221 bye\r\n"}),
    "nntp": Speech(SCRIPTS["nntp"], {b"DATE": b"111 20260101000000\r\n", b"QUIT": b"205 bye\r\n"}),
    "imap": Speech(SCRIPTS["imap"], {b"x1 NOOP": b"x1 OK done\r\n", b"x2 LOGOUT": b"* BYE bye\r\nx2 OK done\r\n"}),
    "pop3": Speech(SCRIPTS["pop3"], {b"CAPA": CAPABILITIES, b"QUIT": b"+OK bye\r\n"}),
    "sieve": Speech(
        SCRIPTS["sieve"],
        {
            b'NOOP "injected"': b'OK (TAG {8}\r\ninjected) "done"\r\n',
            b'NOOP "farewell"': b'ok (tag "farewell") "done"\r\n',
            b"LOGOUT": b'OK "bye"\r\n',
        },
        SIEVE_CAPABILITIES,
    ),
    "irc": Speech(
        IRC,
        {
            b"PING injected": b":irc PONG irc :injected\r\n",
            b"TIME": b":irc 391 * irc :now\r\n",
            b"QUIT": b"ERROR :bye\r\n",
        },
    ),
    # As PostgreSQL's ProcessStartupPacket refuses a version, before and after the correction of CVE-2021-23214.
    "postgres": Speech(
        SCRIPTS["postgres"],
        {
            b"\x00\x00\x00\x08\x10\xe1\x00\x01": b"E\x00\x00\x00\x2fSFATAL\x00C0A000\x00Mprotocol 4321.1: no\x00\x00",
            b"\x00\x00\x00\x08\x10\xe1\x00\x02": b"E\x00\x00\x00\x2fSFATAL\x00C0A000\x00Mprotocol 4321.2: no\x00\x00",
        },
        end=re.compile(rb"(?s).{8}"),
    ),
}

# What a server does with the bytes that came in one piece with the request for TLS.
KEEPS, DISCARDS, LEAVES = "keeps", "discards", "leaves to TLS"


def serving(servers: Servers, speech: Speech, does: str) -> Handler:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*servers.files())
    wanted, go_ahead = speech.clear[-1]

    def handler(connection: socket.socket, _number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a reset overtakes the last answer
        if not play(connection, speech.clear[:-1]):
            return
        heard = connection.recv(len(wanted) if does == LEAVES else 4096)
        assert heard.startswith(wanted)
        connection.sendall(go_ahead)
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.sendall(speech.greeting)
            obey(secure, speech, heard[len(wanted) :] if does == KEEPS else b"")

    return handler


def obey(secure: ssl.SSLSocket, speech: Speech, pending: bytes) -> None:
    """Answer each command that is pending or comes."""
    while True:
        while (found := speech.end.search(pending)) is None:
            data = secure.recv(4096)
            if not data:
                return
            pending += data
        command, pending = pending[: found.end()], pending[found.end() :]
        answers = [answer for beginning, answer in speech.answers.items() if command.startswith(beginning)]
        secure.sendall(answers[0])
        if answers[0] == list(speech.answers.values())[-1]:
            return


def examine(stub: Stub, protocol: str | None, timeout_seconds: float = 5) -> Finding:
    endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", stub.port, protocol, "localhost")
    session = Session(endpoint, probe.Pacer(2, 0), timeout_seconds)
    finding = starttls_injection.probe(ProbeContext(session, "localhost", {}, starttls=protocol))
    assert session.connections == stub.connections
    return finding


@pytest.mark.parametrize(
    ("does", "status", "connections"),
    [(KEEPS, VULNERABLE, 1), (DISCARDS, NOT_VULNERABLE, 1), (LEAVES, NOT_VULNERABLE, 3)],
)
@pytest.mark.parametrize("protocol", SPEECHES)
def test_what_a_server_does_with_an_injected_command(
    servers: Servers, protocol: str, does: str, status: str, connections: int
) -> None:
    stub = servers.stub(serving(servers, SPEECHES[protocol], does))
    finding = examine(stub, protocol)
    assert (finding.status, stub.connections) == (status, connections), finding.evidence


GREETING_AGAIN = {"smtp": b"220 mail\r\n", "ftp": b"220 x\r\n", "nntp": b"200 x\r\n", "pop3": b"+OK x\r\n"}


@pytest.mark.parametrize(("does", "status"), [(KEEPS, VULNERABLE), (DISCARDS, NOT_VULNERABLE)])
@pytest.mark.parametrize("protocol", GREETING_AGAIN)
def test_a_greeting_within_tls_is_no_answer(servers: Servers, protocol: str, does: str, status: str) -> None:
    speech = Speech(SPEECHES[protocol].clear, SPEECHES[protocol].answers, GREETING_AGAIN[protocol])
    finding = examine(servers.stub(serving(servers, speech, does)), protocol)
    assert finding.status == status, finding.evidence


REFUSING = {
    "pop3": {b"CAPA": b"-ERR log in\r\n", b"QUIT": b"+OK bye\r\n"},
    # As InspIRCd does.
    "irc": {
        b"PING": b":irc 451 * PING :You have not registered.\r\n",
        b"TIME": b":irc 451 * TIME :You have not registered.\r\n",
        b"QUIT": b"ERROR :Closing link\r\n",
    },
}


@pytest.mark.parametrize(("does", "status"), [(KEEPS, VULNERABLE), (DISCARDS, NOT_VULNERABLE)])
@pytest.mark.parametrize("protocol", REFUSING)
def test_a_refusal_of_the_injected_command_is_an_answer(
    servers: Servers, protocol: str, does: str, status: str
) -> None:
    speech = Speech(SPEECHES[protocol].clear, REFUSING[protocol])
    finding = examine(servers.stub(serving(servers, speech, does)), protocol)
    assert finding.status == status, finding.evidence


def test_postgres_that_closes_because_of_the_injected_data(servers: Servers) -> None:
    error = b"E\x00\x00\x00\x51SFATAL\x00C08P01\x00Mreceived unencrypted data after SSL request\x00\x00"
    speech = Speech(SCRIPTS["postgres"], {b"": error}, end=re.compile(rb""))
    finding = examine(servers.stub(serving(servers, speech, DISCARDS)), "postgres")
    assert finding.status == NOT_VULNERABLE, finding.evidence


@pytest.mark.parametrize(
    "said",
    [b"", b"421 closing\r\n", b"250 ok\r\n", b"500 what\r\n", b"\x00\xff\x1b[31m", b"x" * 70000 + b"\r\n221 bye\r\n"],
)
def test_what_cannot_be_judged_is_not_tested(servers: Servers, said: bytes) -> None:
    speech = Speech(SCRIPTS["smtp"], {b"": said})
    stub = servers.stub(serving(servers, speech, DISCARDS))
    finding = examine(stub, "smtp")
    assert (finding.status, stub.connections, finding.evidence.isprintable()) == (NOT_TESTED, 1, True)


def test_silence_within_tls_is_not_tested(servers: Servers) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*servers.files())

    def handler(connection: socket.socket, _number: int) -> None:
        play(connection, SCRIPTS["smtp"][:-1])
        connection.recv(4096)
        connection.sendall(b"220 go\r\n")
        with context.wrap_socket(connection, server_side=True) as secure:
            while secure.recv(4096):
                pass

    stub = servers.stub(handler)
    assert (examine(stub, "smtp", 0.5).status, stub.connections) == (NOT_TESTED, 1)


def test_silence_instead_of_a_handshake_is_not_tested(servers: Servers) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        play(connection, SCRIPTS["smtp"])
        while connection.recv(4096):
            pass

    stub = servers.stub(handler)
    finding = examine(stub, "smtp", 0.5)
    assert (finding.status, finding.evidence, stub.connections) == (NOT_TESTED, "there was no answer in time", 2)


def interrupted(usual: Handler, instead: Callable[[socket.socket], None], numbers: tuple[int, ...]) -> Handler:
    """Return a handler that does something else for the connections of these numbers."""

    def handler(connection: socket.socket, number: int) -> None:
        if number in numbers:
            instead(connection)
        else:
            usual(connection, number)

    return handler


def busy(connection: socket.socket) -> None:
    connection.sendall(b"421 too many connections\r\n")


def closing(connection: socket.socket) -> None:
    connection.sendall(b"220 x\r\n")


def plain(connection: socket.socket) -> None:
    play(connection, SCRIPTS["smtp"][:-1])
    connection.recv(4096)
    connection.sendall(b"220 go\r\n250 ok\r\n")


@pytest.mark.parametrize(
    ("instead", "numbers", "does", "status", "connections"),
    [
        (busy, (1,), KEEPS, NOT_TESTED, 1),
        (closing, (1,), KEEPS, VULNERABLE, 3),
        (closing, (1,), DISCARDS, NOT_VULNERABLE, 3),
        (closing, (1, 2), DISCARDS, NOT_TESTED, 2),
        (closing, (1, 3), DISCARDS, NOT_VULNERABLE, 3),
        (busy, (2,), LEAVES, NOT_TESTED, 2),
        (busy, (3,), LEAVES, NOT_TESTED, 3),
        (plain, (1, 3), DISCARDS, NOT_VULNERABLE, 3),  # answered in clear, which no client takes for an answer in TLS
    ],
)
def test_a_server_that_does_not_go_on_is_asked_again(
    servers: Servers,
    instead: Callable[[socket.socket], None],
    numbers: tuple[int, ...],
    does: str,
    status: str,
    connections: int,
) -> None:
    stub = servers.stub(interrupted(serving(servers, SPEECHES["smtp"], does), instead, numbers))
    finding = examine(stub, "smtp")
    assert (finding.status, stub.connections) == (status, connections), finding.evidence


@pytest.mark.parametrize(
    ("protocol", "status"), [(None, NOT_APPLICABLE), ("ldap", NOT_TESTED), ("xmpp", NOT_TESTED), ("mysql", NOT_TESTED)]
)
def test_where_nothing_can_be_injected_nothing_is_asked(servers: Servers, protocol: str | None, status: str) -> None:
    stub = servers.stub(serving(servers, SPEECHES["smtp"], DISCARDS))
    assert (examine(stub, protocol).status, stub.connections) == (status, 0)
