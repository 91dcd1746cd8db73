# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Protected records of TLS 1.0 to 1.2, and a record layer that nothing on its socket can upset."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import probe, records12, registry, wire

NAMES = {name: number for number, name in registry.CIPHER_SUITE_NAMES.items()}
SUITES = (
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_RC4_128_MD5",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CCM_8",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
LENGTHS = (0, 1, 15, 16, 17, 255, 1000)


def pair(name: str, version: int, etm: bool) -> tuple[records12.Protection, records12.Protection]:
    """Return the protection of a direction twice: for the one who seals, and for the one who opens."""
    suite = registry.cipher_suite(NAMES[name])
    source = random.Random(name)
    mac_key, key, iv = (source.randbytes(size) for size in records12.key_sizes(suite))
    sealing, opening = (records12.protection(suite, version, mac_key, key, iv, etm) for _side in range(2))
    return sealing, opening


@pytest.mark.parametrize("etm", [False, True], ids=["mac then encrypt", "encrypt then mac"])
@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303], ids=["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("name", SUITES)
def test_what_is_sealed_is_opened(name: str, version: int, etm: bool) -> None:
    sealing, opening = pair(name, version, etm)
    bodies = [sealing.seal(23, b"a" * length) for length in LENGTHS]
    assert [opening.open(23, body) for body in bodies] == [b"a" * length for length in LENGTHS]


@pytest.mark.parametrize("etm", [False, True], ids=["mac then encrypt", "encrypt then mac"])
@pytest.mark.parametrize("name", SUITES)
def test_another_record_is_not_authentic(name: str, etm: bool) -> None:
    """Content type, order, the first and the last byte, and the length are all part of it."""
    body = pair(name, 0x0303, etm)[0].seal(23, b"some text that is longer than a block")
    changed = [bytes([body[0] ^ 1]) + body[1:], body[:-1] + bytes([body[-1] ^ 1]), body[:-16], body[16:], body[:5], b""]
    for content, altered in [(22, body), *((23, altered) for altered in changed)]:
        with pytest.raises(wire.DecodeError):
            pair(name, 0x0303, etm)[1].open(content, altered)
    opening = pair(name, 0x0303, etm)[1]
    opening.open(23, body)
    with pytest.raises(wire.DecodeError):
        opening.open(23, body)


@pytest.mark.parametrize("etm", [False, True], ids=["mac then encrypt", "encrypt then mac"])
@pytest.mark.parametrize("name", SUITES)
def test_nothing_but_a_decode_error_comes_of_garbage(name: str, etm: bool) -> None:
    source = random.Random(name)
    for length in (*range(70), 256, 16384):
        with pytest.raises(wire.DecodeError):
            pair(name, 0x0303, etm)[1].open(23, source.randbytes(length))


def test_tls_1_0_chains_its_records_and_1_1_does_not() -> None:
    for version, chained in ((0x0301, True), (0x0302, False)):
        sealing, _opening = pair("TLS_RSA_WITH_AES_128_CBC_SHA", version, False)
        first, again = (pair("TLS_RSA_WITH_AES_128_CBC_SHA", version, False)[0].seal(23, b"a") for _time in range(2))
        assert (first == again) is chained
        assert len(sealing.seal(23, b"a")) == (32 if chained else 48)


def test_padding_may_be_longer_than_it_must_be() -> None:
    for count in (1, 2, 16):
        sealing, opening = pair("TLS_RSA_WITH_AES_128_CBC_SHA", 0x0303, False)
        assert isinstance(sealing, records12.CbcProtection)
        right = b"some text.." + sealing.mac(23, b"some text..")  # 31 bytes
        padding = bytes([16 * count]) * (16 * count + 1) if count < 16 else bytes([240]) * 241
        assert opening.open(23, sealing.encrypt(right + padding)) == b"some text.."


def test_padding_that_is_not_all_alike_is_refused() -> None:
    sealing, opening = pair("TLS_RSA_WITH_AES_128_CBC_SHA", 0x0303, False)
    assert isinstance(sealing, records12.CbcProtection)
    right = b"some text.." + sealing.mac(23, b"some text..")
    with pytest.raises(wire.DecodeError, match="padding"):
        opening.open(23, sealing.encrypt(right + bytes(16) + b"\x10"))


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("TLS_RSA_WITH_AES_128_CBC_SHA", (20, 16, 16)),
        ("TLS_RSA_WITH_AES_256_CBC_SHA256", (32, 32, 16)),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", (48, 32, 16)),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", (20, 24, 8)),
        ("TLS_RSA_WITH_RC4_128_MD5", (16, 16, 0)),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", (0, 32, 4)),
        ("TLS_RSA_WITH_AES_128_CCM_8", (0, 16, 4)),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", (0, 32, 12)),
    ],
)
def test_key_sizes(name: str, sizes: tuple[int, int, int]) -> None:
    """RFC 5246, appendix C; RFC 5288 3; RFC 6655 3; RFC 7905 2."""
    assert records12.key_sizes(registry.cipher_suite(NAMES[name])) == sizes


# --- over a socket


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(5)
        yield ours, theirs


def layer(sock: socket.socket, seconds: float = 5.0) -> records12.Records:
    return records12.Records(sock, time.monotonic() + seconds)


def test_records_in_clear(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    records = layer(ours)
    records.version = 0x0303
    records.send(22, b"hello")
    assert theirs.recv(100) == b"\x16\x03\x03\x00\x05hello"
    theirs.sendall(b"\x16\x03\x01\x00\x02hi\x15\x03\x03\x00\x00\x17\x03\x03\x00\x01x")
    received = [records.receive() for _record in range(3)]
    assert received == [records12.Record(22, b"hi"), records12.Record(21, b""), records12.Record(23, b"x")]


@pytest.mark.parametrize(
    ("sent", "error", "reason"),
    [
        (b"HTTP/1.1 400", wire.NotTlsError, "no TLS record"),
        (b"\x16\x02\x00\x00\x01x", wire.NotTlsError, "no TLS record"),
        (b"\x19\x03\x03\x00\x01x", wire.NotTlsError, "no TLS record"),
        (b"\x16\x03\x03\x48\x01x", wire.DecodeError, "longer than TLS allows"),
        (b"", records12.ConnectionEndedError, "closed"),
        (b"\x16\x03", records12.ConnectionEndedError, "closed"),
        (b"\x16\x03\x03\x00\x05abc", records12.ConnectionEndedError, "closed"),
    ],
)
def test_what_is_no_record(
    sockets: tuple[socket.socket, socket.socket], sent: bytes, error: type[Exception], reason: str
) -> None:
    ours, theirs = sockets
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(error, match=reason):
        layer(ours).receive()


def test_a_server_that_sends_too_much(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    records = layer(ours)
    record = b"\x17\x03\x03\x40\x00" + bytes(16384)
    received = 0
    with pytest.raises(wire.DecodeError, match="more than"):
        while received <= records12.MAX_CONNECTION_BYTES:
            theirs.sendall(record)
            received += len(records.receive().body)
    assert received <= records12.MAX_CONNECTION_BYTES


@pytest.mark.parametrize("sent", [b"", b"\x17\x03", b"\x17\x03\x03\x00\x05a"])
def test_silence(sockets: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    sockets[1].sendall(sent)
    with pytest.raises(records12.ConnectionEndedError) as ended:
        layer(sockets[0], 0.05).receive()
    assert ended.value.kind == probe.TIMEOUT


def test_a_deadline_that_has_passed(sockets: tuple[socket.socket, socket.socket]) -> None:
    records = layer(sockets[0], -1.0)
    for action in (records.receive, lambda: records.send(23, b"x")):
        with pytest.raises(records12.ConnectionEndedError) as ended:
            action()
        assert ended.value.kind == probe.TIMEOUT


def test_nobody_reads(sockets: tuple[socket.socket, socket.socket]) -> None:
    records = layer(sockets[0], 0.2)
    with pytest.raises(records12.ConnectionEndedError) as ended:
        while True:
            records.send(23, bytes(16000))
    assert ended.value.kind == probe.TIMEOUT


def test_sending_to_nobody(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[1].close()
    with pytest.raises(records12.ConnectionEndedError) as ended:
        layer(sockets[0]).send(23, b"x")
    assert ended.value.kind == probe.RESET


def test_patience_ends_before_the_deadline_and_never_after(sockets: tuple[socket.socket, socket.socket]) -> None:
    records = layer(sockets[0], 60)
    deadline = records.deadline
    with pytest.raises(records12.ConnectionEndedError), records.patience(0.05):
        records.receive()
    assert records.deadline == deadline
    with records.patience(100):
        assert records.deadline == deadline


def test_a_record_of_our_own_making(sockets: tuple[socket.socket, socket.socket]) -> None:
    records = layer(sockets[0])
    records.writing = pair("TLS_RSA_WITH_AES_128_CBC_SHA", 0x0303, False)[0]
    records.send_raw(23, b"not encrypted")
    assert sockets[1].recv(100) == struct.pack("!BHH", 23, registry.TLS10, 13) + b"not encrypted"
