# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialogue before TLS, with stubs that speak the protocol in clear and then real TLS."""

from __future__ import annotations

import queue
import socket
import ssl
import time
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import hellos, probe, starttls
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.scan import Options, scan_targets
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import parse_target

from .conftest import Handler, Servers

# What a server says, each time after what it must have heard; a script begins with what is said at once.
Script = tuple[tuple[bytes, bytes], ...]

_HEADER_END = b" xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
_STREAM = b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='1'>"
_FEATURES = b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
_MYSQL_GREETING = b"\x0a8.0\x00" + bytes(4) + b"12345678\x00" + b"\xff\xff" + b"\x21\x02\x00" + bytes(30)
_LDAP_SUCCESS = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"

SCRIPTS: dict[str, Script] = {
    "smtp": (
        (b"", b"220-mail\r\n220 ready\r\n"),
        (b"EHLO [127.0.0.1]\r\n", b"250-mail\r\n250-SIZE 1\r\n250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", b"220 go\r\n"),
    ),
    "lmtp": (
        (b"", b"220 ready\r\n"),
        (b"LHLO [127.0.0.1]\r\n", b"250-mail\r\n250-STARTTLS\r\n250 X\r\n"),
        (b"STARTTLS\r\n", b"220 go\r\n"),
    ),
    "imap": (
        (b"", b"* OK ready\r\n"),
        (b"a1 CAPABILITY\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n"),
        (b"a2 STARTTLS\r\n", b"a2 OK go\r\n"),
    ),
    "pop3": (
        (b"", b"+OK ready\r\n"),
        (b"CAPA\r\n", b"+OK\r\nUSER\r\nSTLS\r\n.\r\n"),
        (b"STLS\r\n", b"+OK go\r\n"),
    ),
    "ftp": ((b"", b"220 ready\r\n"), (b"AUTH TLS\r\n", b"234 go\r\n")),
    "sieve": (
        (b"", b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK "ready"\r\n'),
        (b"STARTTLS\r\n", b'OK "go"\r\n'),
    ),
    "xmpp": (
        (b"xmlns='jabber:client'" + _HEADER_END, _STREAM + _FEATURES),
        (b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ),
    "xmpp-server": (
        (b"xmlns='jabber:server'" + _HEADER_END, _STREAM + _FEATURES),
        (b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ),
    "ldap": ((b"1.3.6.1.4.1.1466.20037", _LDAP_SUCCESS),),
    "postgres": ((b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"S"),),
    "mysql": ((b"", len(_MYSQL_GREETING).to_bytes(3, "little") + b"\x00" + _MYSQL_GREETING), (bytes(23), b"")),
    "nntp": (
        (b"", b"200 ready\r\n"),
        (b"CAPABILITIES\r\n", b"101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"),
        (b"STARTTLS\r\n", b"382 go\r\n"),
    ),
    "irc": ((b"STARTTLS\r\n", b":irc NOTICE * :looking\r\nPING :1\r\n"), (b"PONG :1\r\n", b":irc 670 * :go\r\n")),
}


def play(connection: socket.socket, script: Script, a_byte_at_a_time: bool = False) -> bool:
    """Speak a script; return whether the client said what it had to."""
    for wanted, said in script:
        heard = b""
        while wanted not in heard:
            data = connection.recv(1)  # what follows may be the hello already, and is for TLS
            if not data:
                return False
            heard += data
        for piece in [said[place : place + 1] for place in range(len(said))] if a_byte_at_a_time else [said]:
            connection.sendall(piece)
    return True


def serving(servers: Servers, script: Script, a_byte_at_a_time: bool = False) -> Handler:
    """Return a handler that speaks a script and then TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*servers.files())

    def handler(connection: socket.socket, _number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if play(connection, script, a_byte_at_a_time):
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)

    return handler


def ask(port: int, protocol: str, timeout_seconds: float = 5) -> probe.Outcome:
    endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", port, protocol, "localhost")
    return probe.ask(endpoint, hellos.any_version("localhost"), timeout_seconds)


def test_every_protocol_has_a_script() -> None:
    assert list(SCRIPTS) == list(starttls.PROTOCOLS)


@pytest.mark.parametrize("a_byte_at_a_time", [False, True])
@pytest.mark.parametrize("protocol", SCRIPTS)
def test_the_hello_is_answered_after_the_dialogue(servers: Servers, protocol: str, a_byte_at_a_time: bool) -> None:
    stub = servers.stub(serving(servers, SCRIPTS[protocol], a_byte_at_a_time))
    assert ask(stub.port, protocol).kind == probe.ANSWER


@pytest.mark.parametrize(
    ("protocol", "script", "kind"),
    [
        ("smtp", ((b"", b"220 x\r\n"), (b"EHLO", b"250-x\r\n250 SIZE\r\n")), probe.STARTTLS_REFUSED),
        ("smtp", ((b"", b"421 too many\r\n"),), probe.BUSY),
        ("smtp", ((b"", b"220 x\r\n"), (b"EHLO", b"250 STARTTLS\r\n")), probe.STARTTLS_REFUSED),
        (
            "smtp",
            ((b"", b"220 x\r\n"), (b"EHLO", b"250-x\r\n250 STARTTLS\r\n"), (b"STARTTLS", b"454 not now\r\n")),
            probe.BUSY,
        ),
        ("smtp", ((b"", b"* OK imap\r\n"),), probe.NOT_THAT_PROTOCOL),
        ("lmtp", ((b"", b"220 x\r\n"), (b"LHLO", b"500 what\r\n")), probe.STARTTLS_REFUSED),
        ("imap", ((b"", b"* PREAUTH x\r\n"),), probe.STARTTLS_REFUSED),
        ("imap", ((b"", b"* BYE later\r\n"),), probe.BUSY),
        ("imap", ((b"", b"* OK x\r\n"), (b"a1", b"* CAPABILITY IMAP4rev1\r\na1 OK\r\n")), probe.STARTTLS_REFUSED),
        ("pop3", ((b"", b"+OK\r\n"), (b"CAPA", b"-ERR\r\n"), (b"STLS", b"-ERR [SYS/TEMP] x\r\n")), probe.BUSY),
        ("pop3", ((b"", b"+OK\r\n"), (b"CAPA", b"+OK\r\nUSER\r\n.\r\n")), probe.STARTTLS_REFUSED),
        ("ftp", ((b"", b"220 x\r\n"), (b"AUTH", b"502 no\r\n")), probe.STARTTLS_REFUSED),
        ("ftp", ((b"", b"220 x\r\n"), (b"AUTH", b"431 later\r\n")), probe.BUSY),
        ("sieve", ((b"", b'"SASL" ""\r\nOK\r\n'),), probe.STARTTLS_REFUSED),
        ("sieve", ((b"", b'BYE (TRYLATER) "x"\r\n'),), probe.BUSY),
        ("xmpp", ((b"jabber", _STREAM + b"<stream:features/>"),), probe.STARTTLS_REFUSED),
        ("ldap", ((b"1466", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"),), probe.STARTTLS_REFUSED),
        ("ldap", ((b"1466", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x33\x04\x00\x04\x00"),), probe.BUSY),
        ("postgres", ((b"\x16\x2f", b"N"),), probe.STARTTLS_REFUSED),
        ("postgres", ((b"\x16\x2f", b"H"),), probe.NOT_THAT_PROTOCOL),
        ("mysql", ((b"", b"\x17\x00\x00\x00\xff\x69\x04Host is blocked, sorry"),), probe.BUSY),
        ("nntp", ((b"", b"400 later\r\n"),), probe.BUSY),
        ("nntp", ((b"", b"200 x\r\n"), (b"CAPA", b"101\r\nVERSION 2\r\n.\r\n")), probe.STARTTLS_REFUSED),
        ("irc", ((b"STARTTLS", b":irc 421 * STARTTLS :what\r\n"),), probe.STARTTLS_REFUSED),
        ("irc", ((b"STARTTLS", b"ERROR :too many\r\n"),), probe.BUSY),
        ("irc", ((b"STARTTLS", b"HTTP/1.1 400 Bad Request\r\n"),), probe.NOT_THAT_PROTOCOL),
    ],
)
def test_a_dialogue_without_a_go_ahead_says_why(servers: Servers, protocol: str, script: Script, kind: str) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        play(connection, script)
        connection.recv(4096)

    outcome = ask(servers.stub(handler).port, protocol)
    assert (outcome.kind, bool(outcome.detail)) == (kind, True)


@pytest.mark.parametrize("protocol", SCRIPTS)
@pytest.mark.parametrize("noise", [b"", b"\x00" * 70000, b"\xff\xfe\r\n" * 20000, b"x" * 70000])
def test_noise_is_an_outcome(servers: Servers, protocol: str, noise: bytes) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.sendall(noise)

    assert ask(servers.stub(handler).port, protocol).kind in (
        *probe.BEFORE_TLS,
        probe.NOT_TLS,
        probe.CLOSED,
        probe.RESET,
        probe.MALFORMED,
    )


@pytest.mark.parametrize("protocol", ["smtp", "xmpp", "ldap", "postgres", "mysql"])
def test_silence_is_a_timeout(servers: Servers, protocol: str) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        time.sleep(0.6)

    assert ask(servers.stub(handler).port, protocol, 0.3).kind == probe.TIMEOUT


def scan(port: int, protocol: str) -> dict[str, Any]:
    target = {"host": "127.0.0.1", "port": port, "server_name": "localhost", "starttls": protocol}
    (facts,) = scan_targets([target], Options(timeout_seconds=5))
    return facts


@pytest.mark.parametrize("protocol", ["smtp", "postgres", "ldap", "mysql", "xmpp"])
def test_an_endpoint_behind_a_dialogue_is_scanned_whole(servers: Servers, protocol: str) -> None:
    facts = scan(servers.stub(serving(servers, SCRIPTS[protocol])).port, protocol)
    offered = [entry["name"] for entry in facts["protocols"] if entry["status"] == "offered"]
    assert (facts["reachable"], offered, facts["target"]["starttls"]) == (True, ["TLSv1.2", "TLSv1.3"], protocol)
    assert len(facts["certificates"]) == 1
    assert facts["http"]["speaks_http"] is False
    assert [entry for entry in facts["not_tested"] if entry["fact"].startswith(("cipher", "protocol", "http"))] == []


def test_nothing_is_requested_by_http_behind_a_dialogue(servers: Servers) -> None:
    heard: queue.Queue[bytes] = queue.Queue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*servers.files())

    def handler(connection: socket.socket, _number: int) -> None:
        if play(connection, SCRIPTS["smtp"]):
            with context.wrap_socket(connection, server_side=True) as secure:
                try:
                    heard.put(secure.recv(100))
                except OSError:  # it was closed without a word
                    heard.put(b"")

    scan(servers.stub(handler).port, "smtp")
    assert heard.get(timeout=5) == b""


@pytest.mark.parametrize("busy_from", [1, 5, 12])
def test_a_server_that_is_busy_for_a_moment_loses_no_facts(servers: Servers, busy_from: int) -> None:
    usual = serving(servers, SCRIPTS["smtp"])
    refused: list[float] = []

    def handler(connection: socket.socket, number: int) -> None:
        now = time.monotonic()
        if number >= busy_from and (not refused or now - refused[0] < 0.3):  # less than is waited before asking again
            refused.append(now)
            connection.sendall(b"421 too many connections\r\n")
        else:
            usual(connection, number)

    facts = scan(servers.stub(handler).port, "smtp")
    offered = [entry["name"] for entry in facts["protocols"] if entry["status"] == "offered"]
    assert offered == ["TLSv1.2", "TLSv1.3"]
    assert (bool(refused), "not_tested" in [entry["status"] for entry in facts["protocols"]]) == (True, False)


def test_a_server_without_tls_is_an_error_with_a_remedy(servers: Servers) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.sendall(b"220 x\r\n")
        connection.recv(100)
        connection.sendall(b"250 x\r\n")
        connection.recv(100)

    facts = scan(servers.stub(handler).port, "smtp")
    assert (facts["reachable"], facts["error"]["kind"]) == (False, "starttls_refused")
    assert facts["error"]["remedy"] in facts["error"]["message"]


@pytest.mark.parametrize(("protocol", "port"), [("smtp", 25), ("imap", 143), ("xmpp-server", 5269), ("postgres", 5432)])
def test_a_protocol_has_its_port(protocol: str, port: int) -> None:
    target = parse_target({"host": "mail.example.com", "starttls": protocol})
    assert (target.port, target.starttls) == (port, protocol)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"host": "x.example", "starttls": "gopher"}, "no known protocol"),
        ({"host": "x.example", "starttls": ["smtp"]}, "no known protocol"),
        ({"host": "x.example", "starttls": "lmtp"}, "no port of its own"),
    ],
)
def test_a_bad_protocol_is_refused_with_a_reason(target: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        parse_target(target)
