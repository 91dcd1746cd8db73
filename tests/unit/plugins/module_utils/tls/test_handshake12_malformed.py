# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Handshakes with servers that break the rules: no real one does, so these send bytes as they are told to."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    handshake12,
    primitives,
    probe,
    records12,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake12 import Offer
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls import stub12
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.conftest import Servers

ANON = Offer(0x0303, (stub12.SUITE,))
ENDED = records12.ConnectionEndedError
BROKEN = wire.DecodeError


def attempt(port: int, offer: Offer = ANON, seconds: float = 5.0) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        client = handshake12.Client(sock, time.monotonic() + seconds)
        client.handshake(offer)
        client.receive_application_data()


def hello(extensions: bytes = b"", suite: int = stub12.SUITE) -> bytes:
    return stub12.server_hello(bytes(32), extensions=extensions, suite=suite)


def handshake(*messages: bytes) -> bytes:
    return stub12.record(22, b"".join(messages))


def anonymous(public: bytes = b"\x09" + bytes(31), group: int = 0x001D) -> bytes:
    return handshake(hello(), stub12.key_exchange(public, group), stub12.message(14))


def finite_field(prime: int, generator: int, public: int) -> bytes:
    numbers = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (prime, generator, public)]
    body = b"".join(struct.pack("!H", len(number)) + number for number in numbers)
    return handshake(hello(suite=0x0034), stub12.message(12, body), stub12.message(14))


def certified(*chain: bytes) -> bytes:
    listed = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    certificate = stub12.message(11, len(listed).to_bytes(3, "big") + listed)
    return handshake(hello(suite=0x002F), certificate, stub12.message(14))


CHANGE_CIPHER_SPEC = stub12.record(20, b"\x01")
ANY = Offer(0x0303, (stub12.SUITE, 0x0034, 0x002F))
MALFORMED: list[tuple[str, bytes, type[Exception], str]] = [
    ("nothing", b"", ENDED, "closed"),
    ("half a flight", anonymous()[:-20], ENDED, "closed"),
    ("garbage", random.Random(1).randbytes(500), BROKEN, "no TLS record"),
    ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", BROKEN, "no TLS record"),
    ("a fatal alert", stub12.record(21, b"\x02\x28"), ENDED, "alert handshake_failure"),
    ("close_notify", stub12.record(21, b"\x01\x00"), ENDED, "alert close_notify"),
    ("half an alert", stub12.record(21, b"\x02"), BROKEN, "cut short"),
    ("warnings without end", stub12.record(21, b"\x01\x70") * 100, BROKEN, "no answer to the handshake"),
    ("empty records without end", stub12.record(22, b"") * 100, BROKEN, "no answer to the handshake"),
    ("HelloRequests without end", stub12.record(22, bytes(16000)) * 80, BROKEN, "more than"),
    ("a record that is too long", b"\x16\x03\x03\xff\xff", BROKEN, "longer than TLS allows"),
    ("a message that is too long", handshake(b"\x02\xff\xff\xff"), BROKEN, "too long"),
    ("no ServerHello", handshake(stub12.message(14)), BROKEN, "before the ServerHello"),
    ("half a ServerHello", handshake(stub12.message(2, bytes(20))), BROKEN, "cut short"),
    ("ChangeCipherSpec first", CHANGE_CIPHER_SPEC, BROKEN, "in the middle of a handshake"),
    (
        "ChangeCipherSpec in a message",
        handshake(hello()[:9]) + CHANGE_CIPHER_SPEC,
        BROKEN,
        "middle of a handshake message",
    ),
    ("a session nobody asked for", handshake(hello()) + CHANGE_CIPHER_SPEC, BROKEN, "that was not offered"),
    ("ChangeCipherSpec later", handshake(hello(), stub12.message(12)) + CHANGE_CIPHER_SPEC, BROKEN, "in the middle"),
    ("messages without end", handshake(hello(), stub12.message(30) * 100), BROKEN, "has no end"),
    ("another suite", handshake(hello(suite=0x0035)), BROKEN, "cipher suite or compression"),
    ("TLS 1.3", handshake(hello(b"\x00\x2b\x00\x02\x03\x04")), BROKEN, "version 0x0304"),
    ("SSL 3.0", handshake(hello(b"\x00\x2b\x00\x02\x03\x00")), BROKEN, "version 0x0300"),
    ("another connection's data", handshake(hello(b"\xff\x01\x00\x02\x01\x07")), BROKEN, "renegotiation_info"),
    ("no key exchange", handshake(hello(), stub12.message(14)), BROKEN, "cut short"),
    ("a curve nobody offered", anonymous(group=0x0016), BROKEN, "curve that was not offered"),
    (
        "an explicit curve",
        handshake(hello(), stub12.message(12, b"\x01\x00\x1d\x20\x09" + bytes(31)), stub12.message(14)),
        BROKEN,
        "curve",
    ),
    ("a point of low order", anonymous(b"\x00" * 32), BROKEN, "low order"),
    ("a point that is none", anonymous(b"\x04" + b"\x07" * 64, 0x0017), BROKEN, "no point"),
    ("a prime of 0", finite_field(0, 2, 2), BROKEN, "cannot be used"),
    ("a prime of 1", finite_field(1, 2, 2), BROKEN, "cannot be used"),
    ("a generator of 1", finite_field(2**512 - 569, 1, 2), BROKEN, "cannot be used"),
    ("a public value of 0", finite_field(2**512 - 569, 2, 0), BROKEN, "cannot be used"),
    ("a public value beyond the prime", finite_field(2**512 - 569, 2, 2**512), BROKEN, "cannot be used"),
    ("a prime of 9000 bits", finite_field(2**9000 - 1, 2, 2), BROKEN, "cannot be used"),
    ("a modulus that is even", finite_field(2**512, 2, 2), ENDED, "closed|broke"),
    ("no certificate", certified(), BROKEN, "no RSA key"),
    ("a certificate that is none", certified(b"abc"), BROKEN, "no RSA key"),
]


@pytest.mark.parametrize(
    ("answer", "error", "reason"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_a_malformed_answer(servers: Servers, answer: bytes, error: type[Exception], reason: str) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass

    with pytest.raises(error, match=reason):
        attempt(servers.stub(serve).port, ANY)


def test_an_rsa_key_that_costs_too_much(servers: Servers, ca: trustme.CA) -> None:
    leaf = x509.load_pem_x509_certificate(ca.issue_cert("localhost").cert_chain_pems[0].bytes())
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)

    def certificate(exponent: int, modulus: int) -> bytes:
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        builder = x509.CertificateBuilder(leaf.issuer, leaf.subject, public, 7)
        builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
        return builder.sign(key, SHA256()).public_bytes(Encoding.DER)

    for der in (certificate(65537, 2**9000 + 1), certificate(2**70 + 1, 2**2047 + 1)):
        stub = servers.stub(lambda connection, _number, der=der: connection.sendall(certified(der)))
        with pytest.raises(BROKEN, match="cannot be used"):
            attempt(stub.port, ANY)


@pytest.mark.parametrize("answer", [b"", anonymous()[:-1]], ids=["silence", "silence before the last byte"])
def test_silence_ends_at_the_deadline(servers: Servers, answer: bytes) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        connection.sendall(answer)
        while connection.recv(4096):
            pass

    with pytest.raises(ENDED) as ended:
        attempt(servers.stub(serve).port, seconds=0.3)
    assert ended.value.kind == probe.TIMEOUT


def test_a_byte_at_a_time_ends_at_the_deadline(servers: Servers) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        for byte in anonymous():
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with pytest.raises(ENDED) as ended:
        attempt(servers.stub(serve).port, seconds=0.3)
    assert ended.value.kind == probe.TIMEOUT


def test_a_deadline_that_has_passed(servers: Servers) -> None:
    with pytest.raises(ENDED) as ended:
        attempt(servers.stub(lambda _connection, _number: None).port, seconds=-1)
    assert ended.value.kind == probe.TIMEOUT


def test_a_reset(servers: Servers) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        connection.recv(10)  # what stays unread makes the end a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with pytest.raises(ENDED) as ended:
        attempt(servers.stub(serve).port)
    assert ended.value.kind == probe.RESET


def test_mutated_flights_end_in_one_of_two_ways(servers: Servers) -> None:
    source = random.Random(20)
    flights = [anonymous(primitives.generate_share(group)[1], group) for group in (0x001D, 0x0017)]
    flights += [finite_field(2**1024 - 105, 2, 3), anonymous() + CHANGE_CIPHER_SPEC + stub12.record(22, bytes(64))]
    mutated = []
    for _number in range(400):
        data = bytearray(source.choice(flights))
        for _change in range(source.choice((1, 1, 2, 5))):
            data[source.randrange(len(data))] = source.choice((0, 1, 0xFF, source.randrange(256)))
        mutated.append(bytes(data[: source.choice((len(data), source.randrange(len(data))))]))

    def serve(connection: socket.socket, number: int) -> None:
        connection.sendall(mutated[number - 1])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass

    stub = servers.stub(serve)
    for _flight in mutated:
        with pytest.raises((ENDED, BROKEN)):
            attempt(stub.port, ANY)
    assert stub.connections == len(mutated)


# --- the same behind encryption


def garbage_behind(server: stub12.Server12, _number: int) -> None:
    server.handshake()
    server.records.send_raw(23, bytes(64))


def no_whole_blocks(server: stub12.Server12, _number: int) -> None:
    server.handshake()
    server.records.send_raw(23, bytes(63))


def empty_records(server: stub12.Server12, _number: int) -> None:
    server.handshake()
    for _record in range(100):
        server.records.send(23, b"")


def alert_behind(server: stub12.Server12, _number: int) -> None:
    server.handshake()
    server.records.send(21, b"\x02\x50")


def half_a_record(server: stub12.Server12, _number: int) -> None:
    server.handshake()
    server.records._sock.sendall(b"\x17\x03\x03\x00\x40" + bytes(10))


ENCRYPTED: list[tuple[str, Callable[[stub12.Server12, int], object], type[Exception], str]] = [
    ("a wrong Finished", lambda server, _number: server.handshake(wrong_finished=True), BROKEN, "Finished is wrong"),
    ("a wrong MAC", garbage_behind, BROKEN, "wrong (MAC|padding)"),
    ("a part of a block", no_whole_blocks, BROKEN, "whole blocks"),
    ("empty records without end", empty_records, BROKEN, "without application data"),
    ("an alert", alert_behind, ENDED, "alert internal_error"),
    ("half a record", half_a_record, ENDED, "closed"),
    ("an end without goodbye", lambda server, _number: server.handshake(), ENDED, "closed"),
]


@pytest.mark.parametrize(
    ("behave", "error", "reason"), [case[1:] for case in ENCRYPTED], ids=[case[0] for case in ENCRYPTED]
)
def test_a_malformed_record(
    servers: Servers, behave: Callable[[stub12.Server12, int], object], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        attempt(servers.stub(stub12.serving(behave)).port)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (stub12.record(22, stub12.message(20, bytes(12))), "instead of the end"),
        (stub12.record(22, stub12.message(4, b"x")), "NewSessionTicket is cut short"),
        (stub12.record(22, b"\x04\x00") + CHANGE_CIPHER_SPEC, "middle of a handshake message"),
        (CHANGE_CIPHER_SPEC + CHANGE_CIPHER_SPEC, "whole blocks|wrong"),
        (CHANGE_CIPHER_SPEC + stub12.record(22, bytes(64)), "wrong"),
    ],
    ids=["Finished in clear", "a ticket that is none", "half a ticket", "two changes", "a Finished that is none"],
)
def test_a_malformed_end_of_a_handshake(servers: Servers, end: bytes, reason: str) -> None:
    def serve(connection: socket.socket, _number: int) -> None:
        connection.sendall(anonymous() + end)
        while connection.recv(4096):
            pass

    with pytest.raises(BROKEN, match=reason):
        attempt(servers.stub(serve).port)


def test_a_server_may_ask_for_a_renegotiation_and_send_data_in_between(servers: Servers) -> None:
    """HelloRequest is no part of the handshake and needs no answer (RFC 5246 7.4.1.1)."""

    def behave(server: stub12.Server12, _number: int) -> None:
        server.records.send(22, bytes(4))
        server.handshake(extensions=b"\xff\x01\x00\x01\x00")
        server.records.send(22, bytes(4))
        server.records.send(21, b"\x01\x70")
        server.records.send(23, b"some data")

    attempt(servers.stub(stub12.serving(behave)).port)
