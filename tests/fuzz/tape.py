# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in for a socket: a tape of what a server says, and a real server of Python's ssl that a tape distorts."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import cast


class Tape:
    """A socket that plays bytes in pieces of various sizes, whatever it is told, and then ends in one of three ways."""

    def __init__(self, data: bytes) -> None:
        """Play ``data``; its checksum decides about the pieces and the end."""
        self._data = data
        self._at = self._arrived = 0
        self._chance = sum(data[:64]) + len(data)
        self._end = self._chance % 3

    @property
    def socket(self) -> socket.socket:
        """Itself, where a socket is wanted."""
        return cast("socket.socket", self)

    def recv(self, most: int, flags: int = 0) -> bytes:
        """Return the next piece; at the end close, reset or say nothing more."""
        if self._at >= len(self._data):
            if self._end == 0:
                return b""
            raise socket.timeout("timed out") if self._end == 1 else ConnectionResetError(104, "reset")
        if self._at == self._arrived:
            self._chance = (self._chance * 31 + 7) % 65536
            self._arrived += (1, 3, 17, 600, 16384)[self._chance % 5]
        piece = self._data[self._at : min(self._at + most, self._arrived)]
        if not flags & socket.MSG_PEEK:
            self._at += len(piece)
            self._arrived = max(self._at, min(self._arrived, len(self._data)))
        return piece

    def sendall(self, data: bytes) -> None:
        """Take what is said without listening."""

    def settimeout(self, seconds: float) -> None:
        """Be as patient as one likes."""

    def getsockname(self) -> tuple[str, int]:
        """Return an address of this end."""
        return ("127.0.0.1", 40000)


class DistortedServer(Tape):
    """A real server of Python's ssl module in memory; what it says is distorted at ``place``: a byte is added to one.

    ``place`` counts the bytes that it sends; a place beyond them distorts nothing.
    """

    def __init__(self, context: ssl.SSLContext, place: int, add: int) -> None:
        """Wait for a client."""
        super().__init__(b"")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._place = place
        self._add = add
        self._said = 0

    def sendall(self, data: bytes) -> None:
        """Let the server answer."""
        self._incoming.write(data)
        with contextlib.suppress(ssl.SSLError):  # it waits for more, or gave up with an alert
            self._tls.do_handshake()
            self._tls.write(b"HTTP/1.0 200 OK\r\n\r\n")
        said = bytearray(self._outgoing.read())
        if 0 <= self._place - self._said < len(said):
            said[self._place - self._said] = (said[self._place - self._said] + self._add) % 256
        self._said += len(said)
        self._data += bytes(said)
