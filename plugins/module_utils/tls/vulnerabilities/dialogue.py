# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A conversation of records with a server up to TLS 1.2, before anything is encrypted.

What the probes share that must say more than a hello: send records, read the answers one by one.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import wire

CONTENT_CHANGE_CIPHER_SPEC = 20
CONTENT_APPLICATION_DATA = 23
CONTENT_HEARTBEAT = 24

CHANGE_CIPHER_SPEC = b"\x01"
CLIENT_KEY_EXCHANGE = 16
FINISHED = 20


class Closed(Exception):
    """The connection ended; ``by_reset`` says how."""

    def __init__(self, by_reset: bool) -> None:
        """Keep how it ended."""
        super().__init__("reset" if by_reset else "closed")
        self.by_reset = by_reset


class Dialogue:
    """Records to and from one server over a connected socket.

    Every method that reads raises :class:`socket.timeout` (``TimeoutError``) at its deadline, :class:`Closed` when the
    server ends the connection, and :class:`wire.DecodeError` for what is no record of TLS.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Talk over ``sock``; nothing is waited for after ``deadline`` (of :func:`time.monotonic`)."""
        self._sock = sock
        self._deadline = deadline
        self._received = b""

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.settimeout(max(0.001, self._deadline - time.monotonic()))
        try:
            self._sock.sendall(data)
        except (BrokenPipeError, ConnectionError) as error:
            raise Closed(True) from error

    def hello(self, hello: bytes) -> wire.Flight:
        """Send a ClientHello and return the whole flight that answers it."""
        self.send(hello)
        decoder = wire.FlightDecoder()
        while not decoder.flight.complete:
            decoder.feed(self._receive(self._deadline))
        return decoder.flight

    def records(self, wait_seconds: float) -> Iterator[tuple[int, int, bytes]]:
        """Give (content type, version, content) of each record that arrives within ``wait_seconds``."""
        deadline = min(self._deadline, time.monotonic() + wait_seconds)
        while True:
            while len(self._received) < 5:
                self._received += self._receive(deadline)
            content, version, length = struct.unpack("!BHH", self._received[:5])
            if version >> 8 != 3 or length > wire.MAX_RECORD_BYTES:
                raise wire.NotTlsError(self._received)
            while len(self._received) < 5 + length:
                self._received += self._receive(deadline)
            body, self._received = self._received[5 : 5 + length], self._received[5 + length :]
            yield content, version, body

    def _receive(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        self._sock.settimeout(left)
        try:
            data = self._sock.recv(16384)
        except ConnectionError as error:
            raise Closed(True) from error
        if not data:
            raise Closed(False)
        return data


def record(content: int, version: int, body: bytes) -> bytes:
    """Return one record (RFC 5246 6.2.1)."""
    return struct.pack("!BHH", content, version, len(body)) + body


def handshake_message(kind: int, body: bytes) -> bytes:
    """Return one handshake message (RFC 5246 7.4)."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body
