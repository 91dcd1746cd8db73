# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP facts: the Strict-Transport-Security grammar (RFC 6797), the head of a response, and a whole visit."""

from __future__ import annotations

import socket
import time

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake13, http_facts, probe
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake13 import Offer13
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.http_head import parse_hsts, parse_response
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session

from .conftest import Handler, Servers
from .stub13 import DER, Server13, serving, ticket_message

VALID = [
    ("max-age=31536000", 31536000, False, False),
    ("max-age=0", 0, False, False),
    ('max-age="600"', 600, False, False),
    ("MAX-AGE=600; IncludeSubDomains", 600, True, False),
    (" ; max-age=600 ;; preload ; includeSubDomains;", 600, True, True),
    ("max-age = 600", 600, False, False),
    ('max-age=600; unknown="a;b"', 600, False, False),
]
INVALID = [
    "",
    "max-age",
    "max-age=",
    "max-age=abc",
    "max-age=-1",
    "max-age=1.5",
    "includeSubDomains",
    "max-age=1; max-age=2",
    "max-age=1; includeSubDomains; includesubdomains",
    "max-age=1; includeSubDomains=1",
    'max-age="1',
    "max-age=1 2",
    "max-age=1, includeSubDomains",
    "max-age=1; =x",
]


@pytest.mark.parametrize(("value", "max_age", "subdomains", "preload"), VALID)
def test_valid(value: str, max_age: int, subdomains: bool, preload: bool) -> None:
    facts = parse_hsts([value])
    assert facts["valid"] is True
    assert (facts["max_age_seconds"], facts["include_subdomains"], facts["preload"]) == (max_age, subdomains, preload)


@pytest.mark.parametrize("value", INVALID)
def test_invalid(value: str) -> None:
    facts = parse_hsts([value])
    assert (facts["present"], facts["valid"], facts["max_age_seconds"]) == (True, False, None)


def test_absent() -> None:
    assert parse_hsts([])["present"] is False


def test_only_the_first_field_counts() -> None:
    assert parse_hsts(["max-age=1", "max-age=2"])["max_age_seconds"] == 1
    assert parse_hsts(["nonsense=", "max-age=2"])["valid"] is False


@pytest.mark.parametrize("status", [200, 301, 401, 404, 503])
def test_hsts_counts_on_whatever_status(status: int) -> None:
    head = f"HTTP/1.1 {status} Whatever\r\nStrict-Transport-Security: max-age=7\r\n\r\nbody".encode()
    facts = parse_response(head)
    assert facts["status"] == status
    assert facts["strict_transport_security"] == parse_hsts(["max-age=7"])


def test_a_header_in_the_body_does_not_count() -> None:
    facts = parse_response(b"HTTP/1.0 200 OK\r\n\r\nStrict-Transport-Security: max-age=7\r\n")
    assert facts["strict_transport_security"] == parse_hsts([])


@pytest.mark.parametrize("received", [b"", b"* OK IMAP4rev1\r\n", b"\x00\xff" * 20, b"HTTP/1.1 abc\r\n\r\n"])
def test_no_http(received: bytes) -> None:
    assert parse_response(received)["speaks_http"] is False


# --- visits

OFFER = Offer13(handshake13.SUITES, handshake13.GROUPS, "localhost")
HEAD = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=7\r\n\r\n"


def session_with(port: int, timeout_seconds: float = 5) -> Session:
    return Session(probe.Endpoint(socket.AF_INET, "127.0.0.1", port), probe.Pacer(2, 0), timeout_seconds)


def status(exchange: http_facts.Exchange) -> object:
    return exchange.http and exchange.http["status"]


def test_a_protocol_has_the_same_name_from_the_interpreter(servers: Servers) -> None:
    port = servers.openssl("-tls1", "-cipher", "ALL:@SECLEVEL=0")
    visit = http_facts.visit(session_with(port).endpoint, "localhost", "localhost", 5)
    assert (visit.protocol, visit.failure) == ("TLSv1.0", "")


def test_a_visit_of_our_own_tells_more_than_the_interpreters(servers: Servers) -> None:
    port = servers.openssl("-verify", "1")
    session = session_with(port)
    ours = http_facts.visit_tls13(session, OFFER, "localhost")
    theirs = http_facts.visit(session.endpoint, "localhost", "localhost", 5)
    for exchange in (ours, theirs):
        assert (exchange.protocol, exchange.chain_complete, exchange.failure) == ("TLSv1.3", True, "")
        assert status(exchange) == 200
    assert ours.certificates == theirs.certificates
    assert (ours.client_certificate_requested, len(ours.tickets)) == (True, 2)
    assert (theirs.client_certificate_requested, theirs.tickets) == (None, ())
    assert session.connections == 1


def test_the_answer_of_a_web_server(servers: Servers) -> None:
    stub = servers.https(HEAD)
    exchange = http_facts.visit_tls13(session_with(stub.port), OFFER, "localhost")
    assert exchange.http is not None
    assert exchange.http["strict_transport_security"] == parse_hsts(["max-age=7"])
    assert stub.connections == 1


def test_what_is_stapled_comes_with_the_visit(servers: Servers) -> None:
    def steps(server: Server13) -> None:
        server.begin()
        server.finish(leaf=((5, b"\x01\x00\x00\x01x"), (18, b"scts")), alpn="http/1.1")
        server.send(4, ticket_message(early_data=b"\x00\x00\x00\x07"))
        server.records.receive()
        server.records.send(23, HEAD)

    exchange = http_facts.visit_tls13(session_with(servers.stub(serving(steps)).port), OFFER, "localhost")
    assert (exchange.certificates, exchange.stapled_ocsp, exchange.sct_list) == ([DER], b"x", b"scts")
    assert [ticket.max_early_data_bytes for ticket in exchange.tickets] == [7]
    assert status(exchange) == 200


@pytest.mark.parametrize("host_header", ["localhost", None])
def test_http_is_offered_only_where_it_is_spoken(servers: Servers, host_header: str | None) -> None:
    seen: list[bool] = []

    def steps(server: Server13) -> None:
        seen.append(16 in server.begin())
        server.finish()
        server.records.receive()

    http_facts.visit_tls13(session_with(servers.stub(serving(steps)).port), OFFER, host_header)
    assert seen == [host_header is not None]


@pytest.mark.parametrize(("options", "tickets"), [((), 1), (("-num_tickets", "0"), 0)])
def test_nothing_is_requested_without_a_host(servers: Servers, options: tuple[str, ...], tickets: int) -> None:
    session = session_with(servers.openssl(*options))
    exchange = http_facts.visit_tls13(session, OFFER, None)
    assert (len(exchange.certificates), len(exchange.tickets), exchange.failure) == (1, tickets, "")
    assert exchange.http == parse_response(b"")
    assert session.connections == 1


@pytest.mark.parametrize(
    ("options", "offer"),
    [
        (("-groups", "P-384"), Offer13(handshake13.SUITES, (0x001D,), "localhost")),
        (("-alpn", "h2"), OFFER),
        (("-tls1_2",), OFFER),
    ],
    ids=["no common group", "no HTTP/1.1", "no TLS 1.3"],
)
def test_the_interpreter_has_a_try_where_we_are_refused(
    servers: Servers, options: tuple[str, ...], offer: Offer13
) -> None:
    session = session_with(servers.openssl(*options))
    exchange = http_facts.visit_tls13(session, offer, "localhost")
    assert (len(exchange.certificates), status(exchange), exchange.failure) == (1, 200, "")
    assert exchange.client_certificate_requested is None
    assert session.connections == 2


def test_a_broken_connection_gives_the_interpreter_a_try_too(servers: Servers) -> None:
    def garbage(connection: socket.socket, number: int) -> bool:
        if number == 1:
            connection.recv(4096)
            connection.sendall(b"\x16\x03\x03\x00\x04garb")
        return number == 1

    session = session_with(servers.forward(servers.openssl(), garbage).port)
    assert status(http_facts.visit_tls13(session, OFFER, "localhost")) == 200
    assert session.connections == 2


def test_no_time_is_left_for_another_try_at_a_silent_server(servers: Servers) -> None:
    session = session_with(servers.stub(silent).port, timeout_seconds=0.3)
    exchange = http_facts.visit_tls13(session, OFFER, "localhost")
    assert (exchange.certificates, exchange.http) == ([], None)
    assert exchange.failure == "no handshake was completed (no answer came in time)"
    assert session.connections == 1


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        session = session_with(free.getsockname()[1])
    exchange = http_facts.visit_tls13(session, OFFER, "localhost")
    assert exchange.failure == "no connection (Connection refused)"
    assert session.connections == 1


def test_a_required_client_certificate_does_not_cost_the_certificates(servers: Servers) -> None:
    session = session_with(servers.openssl("-Verify", "1"))
    exchange = http_facts.visit_tls13(session, OFFER, "localhost")
    assert (len(exchange.certificates), exchange.http) == (1, None)
    assert "alert certificate_required" in exchange.failure
    assert session.connections == 1


@pytest.mark.parametrize(
    ("content", "body", "failure"),
    [
        (21, b"\x01\x00", "closed before the end of a header"),
        (21, b"\x02\x50", "alert internal_error"),
        (22, b"\x63\x00\x00\x00", "99 came after the handshake"),
        (None, b"", "closed before the end of a header"),
    ],
    ids=["goodbye", "alert", "nonsense", "end"],
)
def test_an_answer_that_breaks_off_is_none(servers: Servers, content: int | None, body: bytes, failure: str) -> None:
    def steps(server: Server13) -> None:
        server.complete()
        server.records.receive()
        server.records.send(23, HEAD[:40])
        if content is not None:
            server.records.send(content, body)

    session = session_with(servers.stub(serving(steps)).port)
    exchange = http_facts.visit_tls13(session, OFFER, "localhost")
    assert (exchange.certificates, exchange.http) == ([DER], None)
    assert failure in exchange.failure
    assert session.connections == 1


def test_an_answer_that_takes_too_long_is_none(servers: Servers) -> None:
    def steps(server: Server13) -> None:
        server.complete()
        for byte in HEAD:
            server.records.send(23, bytes([byte]))
            time.sleep(0.05)

    session = session_with(servers.stub(serving(steps)).port, timeout_seconds=0.4)
    exchange = http_facts.visit_tls13(session, OFFER, "localhost")
    assert (exchange.certificates, exchange.failure) == ([DER], "the header did not arrive in time")


def test_a_goodbye_that_is_answered_with_garbage_costs_nothing(servers: Servers) -> None:
    def steps(server: Server13) -> None:
        server.complete()
        server.records.send(22, b"\x63\x00\x00\x00")
        server.wait()

    exchange = http_facts.visit_tls13(session_with(servers.stub(serving(steps)).port), OFFER, None)
    assert (exchange.certificates, exchange.failure) == ([DER], "")


def silent(connection: socket.socket, _number: int) -> None:
    while connection.recv(4096):
        pass


def plain(connection: socket.socket, _number: int) -> None:
    connection.sendall(b"220 mail.example.org\r\n")
    silent(connection, 1)


def test_a_dialogue_that_never_comes_to_tls_takes_one_connection(servers: Servers) -> None:
    endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", servers.stub(silent).port, "smtp", "localhost")
    session = Session(endpoint, probe.Pacer(2, 0), 0.3)
    exchange = http_facts.visit_tls13(session, OFFER, None)
    assert (exchange.certificates, exchange.failure) == ([], "no connection within 0.3 seconds")
    assert session.connections == 1


@pytest.mark.parametrize(
    ("handler", "failure"),
    [
        (silent, "no complete answer within 0.3 seconds"),
        (plain, "the scanner's own TLS library completed no handshake"),
    ],
)
def test_why_the_interpreter_completes_no_handshake(servers: Servers, handler: Handler, failure: str) -> None:
    endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", servers.stub(handler).port)
    exchange = http_facts.visit(endpoint, "localhost", "localhost", 0.3)
    assert exchange.failure.startswith(failure)
    assert (exchange.certificates, exchange.http) == ([], None)


def test_the_interpreter_requests_nothing_without_a_host(servers: Servers) -> None:
    endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", servers.openssl())
    exchange = http_facts.visit(endpoint, "localhost", None, 5)
    assert (len(exchange.certificates), exchange.http) == (1, parse_response(b""))
