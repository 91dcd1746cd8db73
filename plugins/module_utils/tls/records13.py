# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record layer of TLS 1.3 (RFC 8446 5): records over a connected socket, and the handshake messages in them.

The framing of records, their bounds and the deadline are those of :mod:`records12`.
"""

from __future__ import annotations

import socket
import struct
from contextlib import AbstractContextManager

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    aead,
    primitives,
    probe,
    records12,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError, Record

_MAX_PLAINTEXT_BYTES = 16384

_NONCE_BYTES = 12
# Records without content that a server may send one after the other.
_MAX_IGNORED = 64


class Protection:
    """One direction of a connection, with the keys of one traffic secret (RFC 8446 5.2, 5.3, 7.3)."""

    def __init__(self, suite: registry.CipherSuite, secret: bytes) -> None:
        """Begin with record 0."""
        self._suite = suite
        self._secret = secret
        self._key = self._expand("key", primitives.KEY_BYTES[suite.encryption])
        self._iv = self._expand("iv", _NONCE_BYTES)
        self._sequence = 0

    def _expand(self, label: str, size: int) -> bytes:
        return primitives.hkdf_expand_label(self._secret, label, b"", size, self._suite.hash_name)

    def _nonce(self) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return aead.xor(self._iv, number.to_bytes(_NONCE_BYTES, "big"))

    def seal(self, content: int, plaintext: bytes) -> bytes:
        """Return the body of a record with this content."""
        inner = plaintext + bytes([content])
        header = _header(len(inner) + primitives.tag_bytes(self._suite.encryption))
        return primitives.aead_encrypt(self._suite.encryption, self._key, self._nonce(), inner, header)

    def open(self, body: bytes) -> Record:
        """Return what a record's body holds; raises :class:`wire.DecodeError` when it is not authentic or empty."""
        encryption, header = self._suite.encryption, _header(len(body))
        inner = primitives.aead_decrypt(encryption, self._key, self._nonce(), body, header).rstrip(b"\x00")
        if not inner:
            raise wire.DecodeError("an encrypted record has no content type")
        return Record(inner[-1], inner[:-1])

    def updated(self) -> Protection:
        """Return the protection that follows a KeyUpdate (RFC 8446 7.2)."""
        return Protection(self._suite, self._expand("traffic upd", len(self._secret)))


def _header(length: int) -> bytes:
    return struct.pack("!BHH", wire.CONTENT_APPLICATION_DATA, registry.TLS12, length)


class Records:
    """The content of one connection; a direction is in clear until it is given keys."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Talk over ``sock`` until ``deadline`` (of :func:`time.monotonic`)."""
        self._framing = records12.Records(sock, deadline)
        self._writing: Protection | None = None
        self._reading: Protection | None = None
        self._message = b""

    def write_with(self, protection: Protection) -> None:
        """Protect what is sent from now on."""
        self._writing = protection

    def read_with(self, protection: Protection) -> None:
        """Expect protection from now on; raises :class:`wire.DecodeError` in the middle of a message (RFC 8446 5.1)."""
        if self._message:
            raise wire.DecodeError("a handshake message goes on beyond a change of keys")
        self._reading = protection

    def update_reading(self) -> None:
        """Expect the next keys from now on (RFC 8446 4.6.3); raises as :meth:`read_with`."""
        if self._reading is not None:
            self.read_with(self._reading.updated())

    def update_writing(self) -> None:
        """Use the next keys from now on."""
        if self._writing is not None:
            self._writing = self._writing.updated()

    def patience(self, seconds: float) -> AbstractContextManager[None]:
        """Wait no longer than this within the block, and never beyond the deadline."""
        return self._framing.patience(seconds)

    def send(self, content: int, plaintext: bytes) -> None:
        """Send content in as many records as it needs; raises :class:`ConnectionEndedError` when it cannot be sent."""
        for at in range(0, len(plaintext), _MAX_PLAINTEXT_BYTES):
            part = plaintext[at : at + _MAX_PLAINTEXT_BYTES]
            if self._writing is None:
                self._framing.send_raw(content, part)
            else:
                self._framing.send_raw(wire.CONTENT_APPLICATION_DATA, self._writing.seal(content, part))
        # The version says 3.1 in the first hello alone (RFC 8446 5.1).
        self._framing.version = registry.TLS12

    def receive(self) -> Record:
        """Return the next content: a whole handshake message with its header, or application data.

        Raises :class:`ConnectionEndedError` when there is none, or an alert, each of which ends a connection (RFC 8446
        6); :class:`wire.DecodeError` for what is no right record.
        """
        while True:
            message = self._whole_message()
            if message is not None:
                return Record(wire.CONTENT_HANDSHAKE, message)
            record = self._receive_content()
            if record.content == wire.CONTENT_HANDSHAKE:
                self._message += record.body
            elif record.content == wire.CONTENT_APPLICATION_DATA and not self._message:
                return record
            else:
                raise wire.DecodeError(f"a record of type {record.content} came where none may be")

    def _whole_message(self) -> bytes | None:
        size = 4 + int.from_bytes(self._message[1:4], "big")
        if size > wire.MAX_FLIGHT_BYTES:
            raise wire.DecodeError(f"a handshake message of {size} bytes is longer than {wire.MAX_FLIGHT_BYTES}")
        if len(self._message) < max(4, size):
            return None
        message, self._message = self._message[:size], self._message[size:]
        return message

    def _receive_content(self) -> Record:
        for _ignored in range(_MAX_IGNORED):
            record = self._open(self._framing.receive())
            if record.content == wire.CONTENT_ALERT:
                alert = wire.decode_alert(record.body)
                raise ConnectionEndedError(probe.ALERT, f"alert {alert.name}", alert.description)
            if record.body and record.content != wire.CONTENT_CHANGE_CIPHER_SPEC:
                return record
        raise wire.DecodeError("the server sends records without content")

    def _open(self, record: Record) -> Record:
        # ChangeCipherSpec means nothing any more (RFC 8446 5), and who has no keys yet says so in clear.
        if self._reading is None or record.content in (wire.CONTENT_CHANGE_CIPHER_SPEC, wire.CONTENT_ALERT):
            return record
        if record.content != wire.CONTENT_APPLICATION_DATA:
            raise wire.DecodeError(f"a record of type {record.content} is not encrypted")
        return self._reading.open(record.body)
