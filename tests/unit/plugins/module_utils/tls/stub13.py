# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's side of TLS 1.3, message by message: no real server breaks the rules as it is told to."""

from __future__ import annotations

import contextlib
import hmac
import os
import socket
import struct
import time
from collections.abc import Callable

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    key_schedule13,
    primitives,
    records13,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.key_schedule13 import KeySchedule, Transcript
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError

from .conftest import Handler

SUITE = 0x1303
X25519 = 0x001D
DER = b"not a certificate, but nobody looks"


def extensions(*pairs: tuple[int, bytes]) -> bytes:
    return wire.vector(b"".join(kind.to_bytes(2, "big") + wire.vector(content, 2) for kind, content in pairs), 2)


def certificate_message(*chain: bytes, leaf: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    entries = [wire.vector(der, 3) + extensions(*(leaf if place == 0 else ())) for place, der in enumerate(chain)]
    return b"\x00" + wire.vector(b"".join(entries), 3)


def ticket_message(identity: bytes = b"ticket", lifetime_seconds: int = 60, early_data: bytes | None = None) -> bytes:
    early = () if early_data is None else ((42, early_data),)
    begin = lifetime_seconds.to_bytes(4, "big") + bytes(4) + wire.vector(b"\x00", 1)
    return begin + wire.vector(identity, 2) + extensions(*early)


VERIFY = b"\x08\x04" + wire.vector(b"not verified", 2)


class Server13:
    """One connection of a server with one cipher suite and X25519; each method is one step of the handshake."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.records = records13.Records(connection, time.monotonic() + 5)
        self.transcript = Transcript()
        self._suite = registry.cipher_suite(SUITE)

    def receive_hello(self) -> dict[int, bytes]:
        """Read a ClientHello; return its extensions."""
        message = self.records.receive().body
        self.transcript.add(message)
        reader = wire.Reader(message[4:], "the ClientHello")
        reader.take(34)
        self.session_id = reader.vector(1)
        suites = reader.vector(2)
        self.suites = struct.unpack(f"!{len(suites) // 2}H", suites)
        reader.vector(1)
        found = wire.decode_extensions(reader.vector(2))
        shares = wire.Reader(wire.Reader(found[51], "key_share").vector(2), "the shares")
        self._group, self._public = shares.number(2), shares.vector(2)
        return found

    def send_hello(
        self,
        suite: int = SUITE,
        session_id: bytes | None = None,
        random: bytes = bytes(32),
        version: int = registry.TLS13,
        share: bytes | None = None,
        more: tuple[tuple[int, bytes], ...] = (),
    ) -> None:
        """Send a ServerHello; what is not given is right."""
        private, public = primitives.generate_share(X25519)
        if share is None:
            share = X25519.to_bytes(2, "big") + wire.vector(public, 2)
        fields = ((43, version.to_bytes(2, "big")), *(((51, share),) if share else ()), *more)
        body = b"\x03\x03" + random + wire.vector(self.session_id if session_id is None else session_id, 1)
        message = wire.handshake_message(2, body + suite.to_bytes(2, "big") + b"\x00" + extensions(*fields))
        if random == wire.HELLO_RETRY_REQUEST_RANDOM:
            self.transcript.fold("sha256")
        self.transcript.add(message)
        self.records.send(22, message)
        if self._group == X25519:
            self._shared = primitives.shared_secret(X25519, private, self._public)

    def use_handshake_keys(self, psk: bytes = b"") -> None:
        """Protect what follows."""
        self.schedule = KeySchedule("sha256", psk)
        secrets = self.schedule.handshake_secrets(self._shared, self.transcript.digest("sha256"))
        self._client, self.secret = secrets
        self.records.write_with(records13.Protection(self._suite, self.secret))
        self.records.read_with(records13.Protection(self._suite, self._client))

    def send(self, kind: int, body: bytes) -> None:
        """Send a message that is part of the handshake."""
        self.transcript.add(wire.handshake_message(kind, body))
        self.records.send(22, wire.handshake_message(kind, body))

    def send_finished(self) -> None:
        """Send a right Finished, and protect what follows with the last keys."""
        self.send(20, key_schedule13.finished(self.secret, self.transcript.digest("sha256"), "sha256"))
        self._client_data, server_data = self.schedule.application_secrets(self.transcript.digest("sha256"))
        self.records.write_with(records13.Protection(self._suite, server_data))

    def receive_finished(self) -> bytes:
        """Read the client's flight, whose Finished must be right; return what came before it."""
        before = b""
        while True:
            expected = key_schedule13.finished(self._client, self.transcript.digest("sha256"), "sha256")
            message = self.records.receive().body
            self.transcript.add(message)
            if message[0] == wire.HandshakeType.FINISHED:
                break
            before += message
        assert hmac.compare_digest(message[4:], expected)
        self.records.read_with(records13.Protection(self._suite, self._client_data))
        return before

    def begin(self) -> dict[int, bytes]:
        """Do everything up to the server's keys; return the extensions of the ClientHello."""
        found = self.receive_hello()
        self.send_hello(random=os.urandom(32))
        self.use_handshake_keys()
        return found

    def finish(self, alpn: str = "", leaf: tuple[tuple[int, bytes], ...] = ()) -> None:
        """Do everything that follows."""
        self.send(8, extensions(*((wire.alpn((alpn,)),) if alpn else ())))
        self.send(11, certificate_message(DER, leaf=leaf))
        self.send(15, VERIFY)
        self.send_finished()
        self.receive_finished()

    def complete(self) -> None:
        """Do a whole handshake."""
        self.begin()
        self.finish()

    def wait(self) -> None:
        """Wait until the client goes: what it sends is left unread by nobody, so that no reset comes of it."""
        while self.connection.recv(4096):
            pass


def serving(steps: Callable[[Server13], object]) -> Handler:
    """Return the handler of a stub that does these steps, as far as the client lets it."""

    def handler(connection: socket.socket, _number: int) -> None:
        with contextlib.suppress(ConnectionEndedError, wire.DecodeError):
            steps(Server13(connection))

    return handler
