# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other side of our own TLS 1.2, for what no real server does: real keys and records, with a fault on request.

It speaks one anonymous cipher suite, so that it needs no certificate.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    handshake12,
    primitives,
    records12,
    registry,
    wire,
)

SUITE = 0xC018  # TLS_ECDH_anon_WITH_AES_128_CBC_SHA
GROUP = 0x001D
VERSION = registry.TLS12


def message(kind: int, body: bytes = b"") -> bytes:
    return wire.handshake_message(kind, body)


def record(content: int, body: bytes) -> bytes:
    return wire.record(content, VERSION, body)


def server_hello(random: bytes, session_id: bytes = b"", extensions: bytes = b"", suite: int = SUITE) -> bytes:
    body = struct.pack("!H", VERSION) + random + wire.vector(session_id, 1) + struct.pack("!HB", suite, 0)
    return message(2, body + wire.vector(extensions, 2))


def key_exchange(public: bytes, group: int = GROUP) -> bytes:
    return message(12, b"\x03" + struct.pack("!H", group) + wire.vector(public, 1))


@dataclass
class ClientHello:
    """What a client said."""

    random: bytes
    session_id: bytes
    extensions: dict[int, bytes]


def decode_client_hello(body: bytes) -> ClientHello:
    reader = wire.Reader(body, "the ClientHello")
    reader.number(2)
    random, session_id = reader.take(32), reader.vector(1)
    reader.vector(2), reader.vector(1)
    return ClientHello(random, session_id, wire.decode_extensions(reader.vector(2)))


def serving(behave: Callable[[Server12, int], object]) -> Callable[[socket.socket, int], None]:
    """Return the handler of a stub; that a client goes away, or says goodbye, ends it without a word."""

    def serve(connection: socket.socket, number: int) -> None:
        with contextlib.suppress(MeasurementError):
            behave(Server12(connection), number)

    return serve


class Server12:
    """One connection of a server."""

    def __init__(self, sock: socket.socket) -> None:
        self.records = records12.Records(sock, time.monotonic() + 5)
        self.records.version = VERSION
        self._transcript = b""

    def handshake(
        self,
        hello: ClientHello | None = None,
        *,
        extensions: bytes = b"",
        session_id: bytes = b"",
        ticket: bytes = b"",
        wrong_finished: bool = False,
    ) -> bytes:
        """Complete a handshake, or the next one on the same connection; return the master secret."""
        hello = hello or self.receive_hello()
        random = os.urandom(32)
        private, public = primitives.generate_share(GROUP)
        self.send(server_hello(random, session_id, extensions), key_exchange(public), message(14))
        share = wire.Reader(self._receive(16), "the ClientKeyExchange").vector(1)
        premaster = primitives.shared_secret(GROUP, private, share)
        master = primitives.prf_tls12(premaster, b"master secret", hello.random + random, 48, "sha256")
        client, server = self._keys(master, hello.random, random)
        self._receive_finished(client)
        if ticket:
            self.send(message(4, struct.pack("!I", 300) + wire.vector(ticket, 2)))
        self._send_finished(server, master, wrong_finished)
        return master

    def resume(self, hello: ClientHello, master: bytes, session_id: bytes) -> None:
        """Go on with a session, answering with ``session_id``."""
        random = os.urandom(32)
        client, server = self._keys(master, hello.random, random)
        self.send(server_hello(random, session_id))
        self._send_finished(server, master)
        self._receive_finished(client)

    def receive_hello(self) -> ClientHello:
        self._transcript = b""
        return decode_client_hello(self._receive(1))

    def send(self, *messages: bytes) -> None:
        """Send handshake messages in one record."""
        self._transcript += b"".join(messages)
        self.records.send(22, b"".join(messages))

    def _receive(self, kind: int) -> bytes:
        found = self.records.receive()
        if (found.content, found.body[0]) != (22, kind):
            raise wire.DecodeError(f"{found} came instead of handshake message {kind}")
        self._transcript += found.body
        return found.body[4:]

    def _keys(
        self, master: bytes, client_random: bytes, server_random: bytes
    ) -> tuple[records12.Protection, records12.Protection]:
        suite = registry.cipher_suite(SUITE)
        return handshake12.key_material(VERSION, suite, master, server_random, client_random, False)

    def _receive_finished(self, protection: records12.Protection) -> None:
        if self.records.receive().content != 20:
            raise wire.DecodeError("something else came instead of ChangeCipherSpec")
        self.records.reading = protection
        self._receive(20)

    def _send_finished(self, protection: records12.Protection, master: bytes, wrong: bool = False) -> None:
        self.records.send(20, b"\x01")
        self.records.writing = protection
        digest = primitives.digest(self._transcript, "sha256")
        data = primitives.prf_tls12(master, b"server finished", digest, 12, "sha256")
        self.send(message(20, bytes(12) if wrong else data))
