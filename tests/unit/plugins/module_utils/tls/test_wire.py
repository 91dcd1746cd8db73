# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records and hellos: what is sent, and what is read from hostile bytes."""

from __future__ import annotations

import hashlib
import random
import ssl
import struct

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import hellos, registry, wire


def record(content: int, body: bytes) -> bytes:
    return struct.pack("!BHH", content, 0x0303, len(body)) + body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def server_hello(
    suite: int = 0xC02F, extensions: bytes = b"", version: int = 0x0303, random: bytes = bytes(32)
) -> bytes:
    body = struct.pack("!H", version) + random + b"\x00" + struct.pack("!HB", suite, 0)
    return message(2, body + (struct.pack("!H", len(extensions)) + extensions if extensions else b""))


CERTIFICATE = message(11, b"\x00\x00\x0a" + b"\x00\x00\x03abc" + b"\x00\x00\x01d")
KEY_EXCHANGE = message(12, b"\x03\x00\x1d\x20" + bytes(32) + b"\x08\x04\x00\x01x")
FLIGHT = server_hello(extensions=b"\xff\x01\x00\x01\x00") + CERTIFICATE + KEY_EXCHANGE + message(14, b"")
RETRY = server_hello(
    0x1302, b"\x00\x2b\x00\x02\x03\x04" + b"\x00\x33\x00\x02\x11\xec", random=wire.HELLO_RETRY_REQUEST_RANDOM
)


def decode(data: bytes, step: int = 0) -> wire.Flight:
    decoder = wire.FlightDecoder()
    for start in range(0, len(data), step or max(1, len(data))):
        decoder.feed(data[start : start + (step or len(data))])
    return decoder.flight


@pytest.mark.parametrize("step", [0, 1, 7])
def test_a_flight_up_to_tls12(step: int) -> None:
    flight = decode(record(22, FLIGHT), step)
    assert flight.complete
    assert flight.server_hello is not None
    assert flight.server_hello.cipher_suite == 0xC02F
    assert 65281 in flight.server_hello.extensions
    assert flight.certificates == [b"abc", b"d"]
    public_sha256 = hashlib.sha256(bytes(32)).hexdigest()
    assert flight.key_exchange == wire.KeyExchange(0x001D, signature_scheme=0x0804, public_sha256=public_sha256)


def test_messages_may_be_split_over_records() -> None:
    data = b"".join(record(22, FLIGHT[start : start + 5]) for start in range(0, len(FLIGHT), 5))
    assert decode(data) == decode(record(22, FLIGHT))


def test_a_hello_retry_request_names_suite_and_group() -> None:
    hello = decode(record(22, RETRY)).server_hello
    assert hello is not None
    assert (hello.version, hello.cipher_suite, hello.group, hello.is_retry_request) == (0x0304, 0x1302, 0x11EC, True)


def test_dh_parameters() -> None:
    prime = (1 << 1023 | 1).to_bytes(129, "big")
    body = struct.pack("!H", 129) + prime + b"\x00\x01\x02" + b"\x00\x01\x05" + b"\x04\x01\x00\x00"
    exchange = wire.decode_key_exchange(body, 0x009E, registry.TLS12)
    assert exchange is not None
    assert (exchange.dh_prime_bits, exchange.signature_scheme) == (1024, 0x0401)


def test_alerts() -> None:
    fatal = decode(record(21, b"\x02\x28"))
    assert fatal.alert == wire.Alert(2, 40)
    assert fatal.alert is not None
    assert fatal.alert.name == "handshake_failure"
    warned = decode(record(21, b"\x01\x70") + record(22, FLIGHT))
    assert (warned.alert, warned.complete) == (None, True)


@pytest.mark.parametrize("length", range(len(FLIGHT)))
def test_a_flight_cut_short_is_never_complete(length: int) -> None:
    assert not decode(record(22, FLIGHT[:length]) if length else b"").complete


LYING = [
    record(22, message(2, b"\x03\x03")),  # a ServerHello without a random
    record(22, message(2, struct.pack("!H", 0x0303) + bytes(32) + b"\xff")),  # a session id that is not there
    record(22, server_hello() + message(11, b"\x00\xff\xff")),
    record(22, server_hello() + message(12, b"\x03\x00")),
    record(22, server_hello(extensions=b"\x00\x2b\x00\xff")),
    record(22, CERTIFICATE),  # before the ServerHello
    record(21, b"\x02"),
    b"\x16\x03\x03\xff\xff",  # a record longer than any
    b"\x16\x03\x03\x00\x04\x02\xff\xff\xff",  # a message longer than any
    record(23, b"x"),
]


@pytest.mark.parametrize("data", LYING, ids=range(len(LYING)))
def test_lies_about_lengths_and_order_are_told(data: bytes) -> None:
    with pytest.raises(wire.DecodeError):
        decode(data)


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"SSH-2.0-x", b"S", b"220 mail\r\n", b"\x00" * 20])
def test_plain_text_is_told_apart(data: bytes) -> None:
    with pytest.raises(wire.NotTlsError):
        decode(data)


def test_an_endless_answer_is_ended() -> None:
    decoder = wire.FlightDecoder()
    junk = record(22, message(99, bytes(16000)))
    decoder.feed(record(22, server_hello()))
    with pytest.raises(wire.DecodeError, match="longer than"):
        for _again in range(100):
            decoder.feed(junk)


def test_a_server_hello_longer_than_a_record_is_refused() -> None:
    extension = struct.pack("!HH", 16, 20000) + bytes(20000)
    long = message(2, b"\x03\x03" + bytes(33) + b"\xc0\x2f\x00" + struct.pack("!H", len(extension)) + extension)
    with pytest.raises(wire.DecodeError, match="a ServerHello of"):
        decode(record(22, long[:16000]) + record(22, long[16000:]))


def test_mutated_flights_raise_nothing_else() -> None:
    source = random.Random(7)
    flight = record(22, FLIGHT) + record(22, RETRY)
    for _again in range(3000):
        mutated = bytearray(flight)
        for _byte in range(source.randrange(1, 6)):
            mutated[source.randrange(len(mutated))] = source.randrange(256)
        try:
            decode(bytes(mutated), source.choice((0, 3)))
        except wire.DecodeError as error:
            assert error.reason


def server_name_seen(hello: bytes) -> str | None:
    """Give a hello to a server of the local library that has no certificate; return the name that it understood."""
    seen: list[str | None] = []

    def note(_connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        seen.append(name)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = note
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    with pytest.raises(ssl.SSLError, match=r"(?i)no.shared.cipher|no.suitable"):
        server.do_handshake()
    return seen[0]


def test_the_local_library_understands_the_hellos() -> None:
    everything = tuple(number for number in registry.CIPHER_SUITE_NAMES if number)
    for hello in (
        hellos.up_to_tls12("www.example.com", registry.TLS12, everything),
        hellos.tls13("www.example.com", registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS),
        hellos.any_version("www.example.com"),
    ):
        assert server_name_seen(hello) == "www.example.com"


@pytest.mark.parametrize("count", [1, 20, 64, 100, 200, 350])
def test_no_hello_has_a_length_that_servers_choke_on(count: int) -> None:
    hello = hellos.up_to_tls12("a.example", registry.TLS12, registry.suites_for_version(registry.TLS12)[:count])
    (length,) = struct.unpack("!H", hello[3:5])
    assert length == len(hello) - 5
    assert not 256 <= length < 512
    assert length < 1500


def test_sslv2() -> None:
    hello = hellos.sslv2()
    assert hello[0] & 0x80
    assert int.from_bytes(hello[:2], "big") & 0x7FFF == len(hello) - 2
    answer = b"\x80\x0b\x04\x00\x01\x00\x02\x00\x00\x00\x06\x00\x10"
    assert wire.decode_sslv2_server_hello(answer) == wire.SslV2ServerHello(2)
    assert wire.decode_sslv2_server_hello(answer[:12]) is None
    assert wire.decode_sslv2_server_hello(b"\xc8TTP/1.1 400 Bad Request") is None


@pytest.mark.parametrize(
    ("body", "name", "ends"),
    [
        (b"\x02\x28", "handshake_failure", True),
        (b"\x01\x00", "close_notify", True),
        (b"\x01\x5a", "user_canceled", True),
        (b"\x01\x70", "unrecognized_name", False),
        (b"\x01\x64", "no_renegotiation", False),
    ],
)
def test_which_alerts_end_a_connection(body: bytes, name: str, ends: bool) -> None:
    alert = wire.decode_alert(body)
    assert (alert.name, alert.ends_connection) == (name, ends)
