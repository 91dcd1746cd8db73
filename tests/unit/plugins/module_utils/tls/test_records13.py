# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record layer of TLS 1.3: protection, and which contents make which messages."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    primitives,
    probe,
    records13,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError, Record

SECRET = bytes(range(32))
SUITE = registry.cipher_suite(0x1303)
MESSAGE = wire.handshake_message(4, b"content")


def protection(secret: bytes = SECRET) -> records13.Protection:
    return records13.Protection(SUITE, secret)


def record(content: int, body: bytes) -> bytes:
    return bytes([content, 3, 3]) + len(body).to_bytes(2, "big") + body


class Pair:
    """Our records, and the other end of their connection."""

    def __init__(self) -> None:
        ours, self.other = socket.socketpair()
        self.other.settimeout(5)
        self.records = records13.Records(ours, time.monotonic() + 5)
        self.sockets = (ours, self.other)


@pytest.fixture
def pair() -> Iterator[Pair]:
    connected = Pair()
    yield connected
    for sock in connected.sockets:
        sock.close()


# --- protection


@pytest.mark.parametrize("number", [0x1301, 0x1302, 0x1303, 0x1304, 0x1305])
def test_what_is_sealed_can_be_opened_in_order(number: int) -> None:
    suite = registry.cipher_suite(number)
    sealing, opening = records13.Protection(suite, SECRET), records13.Protection(suite, SECRET)
    first, second = sealing.seal(22, b"one"), sealing.seal(23, b"two")
    assert opening.open(first) == Record(22, b"one")
    assert opening.open(second) == Record(23, b"two")


@pytest.mark.parametrize("place", [0, 1], ids=["out of order", "after a KeyUpdate"])
def test_a_record_with_another_nonce_or_key_is_refused(place: int) -> None:
    sealing, opening = protection(), protection()
    if place:
        opening = opening.updated()
    else:
        sealing.seal(23, b"lost")
    with pytest.raises(wire.DecodeError):
        opening.open(sealing.seal(23, b"text"))


@pytest.mark.parametrize(
    ("inner", "record_or_error"),
    [
        (b"text\x17", Record(23, b"text")),
        (b"text\x17\x00\x00\x00", Record(23, b"text")),
        (b"\x16", Record(22, b"")),
        (b"text\x00\x17", Record(23, b"text\x00")),
        (b"\x00\x00", None),
        (b"", None),
    ],
    ids=["plain", "padded", "empty", "zero in the text", "padding alone", "nothing"],
)
def test_the_content_type_stands_before_the_padding(inner: bytes, record_or_error: Record | None) -> None:
    expand = primitives.hkdf_expand_label
    key, iv = expand(SECRET, "key", b"", 32, "sha256"), expand(SECRET, "iv", b"", 12, "sha256")
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    sealed = primitives.aead_encrypt("CHACHA20_POLY1305", key, iv, inner, header)
    if record_or_error is None:
        with pytest.raises(wire.DecodeError, match="content type"):
            protection().open(sealed)
    else:
        assert protection().open(sealed) == record_or_error


# --- what is received


@pytest.mark.parametrize(
    "received",
    [
        record(22, MESSAGE),
        record(22, MESSAGE[:2]) + record(22, MESSAGE[2:]),
        b"".join(record(22, bytes([byte])) for byte in MESSAGE),
        record(20, b"\x01") + record(22, MESSAGE),
        record(22, b"") + record(22, MESSAGE),
    ],
    ids=["whole", "two parts", "bytes", "after ChangeCipherSpec", "after an empty record"],
)
def test_a_message_is_put_together(pair: Pair, received: bytes) -> None:
    pair.other.sendall(received)
    assert pair.records.receive() == Record(22, MESSAGE)


def test_messages_of_one_record_come_one_by_one(pair: Pair) -> None:
    other = wire.handshake_message(24, b"\x00")
    pair.other.sendall(record(22, MESSAGE + other + MESSAGE[:3]) + record(22, MESSAGE[3:]))
    assert [pair.records.receive().body for _message in range(3)] == [MESSAGE, other, MESSAGE]


REFUSED = [
    (record(22, MESSAGE[:5]) + record(23, b"text"), "type 23 came where none may be"),
    (record(24, b"heartbeat"), "type 24 came where none may be"),
    (record(22, b"\x0b\xff\xff\xff"), "longer than 262144"),
    (record(20, b"\x01") * 65, "without content"),
    (record(21, b"\x02"), "an alert is cut short"),
    (b"HTTP/1.1 400 Bad Request\r\n", "no TLS record"),
    (record(22, bytes(16384 + 2049))[:100], "longer than TLS allows"),
]


@pytest.mark.parametrize(("received", "reason"), REFUSED)
def test_what_breaks_the_rules(pair: Pair, received: bytes, reason: str) -> None:
    pair.other.sendall(received)
    with pytest.raises(wire.DecodeError, match=reason):
        pair.records.receive()


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("encrypted", [False, True])
def test_every_alert_ends_the_connection(pair: Pair, level: int, encrypted: bool) -> None:
    pair.records.read_with(protection())
    body = bytes([level, 40])
    pair.other.sendall(record(23, protection().seal(21, body)) if encrypted else record(21, body))
    with pytest.raises(ConnectionEndedError) as ended:
        pair.records.receive()
    assert (ended.value.kind, ended.value.alert, ended.value.reason) == (probe.ALERT, 40, "alert handshake_failure")


def test_a_handshake_message_in_clear_is_refused_once_there_are_keys(pair: Pair) -> None:
    pair.records.read_with(protection())
    pair.other.sendall(record(22, MESSAGE))
    with pytest.raises(wire.DecodeError, match="not encrypted"):
        pair.records.receive()


def test_keys_do_not_change_in_the_middle_of_a_message(pair: Pair) -> None:
    pair.other.sendall(record(22, MESSAGE + MESSAGE[:1]))
    pair.records.receive()
    with pytest.raises(wire.DecodeError, match="change of keys"):
        pair.records.read_with(protection())


@pytest.mark.parametrize("beginning", [0, 3, 5, 8])
def test_an_end_in_the_middle(pair: Pair, beginning: int) -> None:
    pair.other.sendall(record(22, MESSAGE)[:beginning])
    pair.other.close()
    with pytest.raises(ConnectionEndedError) as ended:
        pair.records.receive()
    assert ended.value.kind == probe.CLOSED


# --- what is sent


def test_what_does_not_fit_into_a_record_is_sent_in_several(pair: Pair) -> None:
    pair.records.write_with(protection())
    text = bytes(range(256)) * 70
    pair.records.send(23, text)
    other = records13.Records(pair.other, time.monotonic() + 5)
    other.read_with(protection())
    assert other.receive().body + other.receive().body == text


def test_the_first_record_alone_says_version_3_1(pair: Pair) -> None:
    for _record in range(2):
        pair.records.send(22, MESSAGE)
    sent = pair.other.recv(4096)
    assert sent == b"\x16\x03\x01\x00\x0b" + MESSAGE + record(22, MESSAGE)


def test_updated_keys_go_together(pair: Pair) -> None:
    other = records13.Records(pair.other, time.monotonic() + 5)
    pair.records.write_with(protection())
    other.read_with(protection())
    pair.records.update_writing()
    other.update_reading()
    pair.records.send(23, b"text")
    assert other.receive() == Record(23, b"text")
