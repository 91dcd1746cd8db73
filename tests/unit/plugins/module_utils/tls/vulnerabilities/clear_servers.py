# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers for the probes that need nothing encrypted: real ones, and stubs that go on in clear after their flight."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import trustme
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey  # type: ignore[import-untyped]

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import probe, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.wire import HandshakeType

from ..conftest import Handler, Servers, Stub

RSA_GCM, RSA_CBC, ECDHE_GCM = 0x009C, 0x002F, 0xC02F


def context_of(
    port: int,
    suites: Mapping[int, tuple[int, ...]],
    extensions: Mapping[int, frozenset[int]] | None = None,
    timeout_seconds: float = 5,
) -> ProbeContext:
    """Return what the enumeration would have found at ``port``, with a session of its own."""
    session = Session(probe.Endpoint(socket.AF_INET, "127.0.0.1", port), probe.Pacer(5, 0), timeout_seconds)
    return ProbeContext(session, "localhost", suites, extensions or {})


# --- real servers


def tlslite(servers: Servers, version: tuple[int, int] = (3, 3)) -> Stub:
    """Start a server of tlslite-ng, which answers heartbeats and has every suite of its library."""
    chain_path, key_path = servers.files(key_type=trustme.KeyType.RSA)
    chain = X509CertChain()
    chain.parsePemList(Path(chain_path).read_text(encoding="ascii"))
    key = parsePEMKey(Path(key_path).read_text(encoding="ascii"), private=True)
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    settings.use_heartbeat_extension = True

    def handler(connection: socket.socket, _number: int) -> None:
        with contextlib.suppress(Exception):  # whatever a client does, the server goes on
            TLSConnection(connection).handshakeServer(certChain=chain, privateKey=key, settings=settings)

    return servers.stub(handler)


# --- stubs


class Peer:
    """The server's side of a connection, in records in clear."""

    def __init__(self, sock: socket.socket, version: int = registry.TLS12) -> None:
        self.sock = sock
        self.version = version

    def receive(self) -> tuple[int, int, bytes]:
        """Return content type, version and body of the next record."""
        content, version, length = struct.unpack("!BHH", self._exactly(5))
        return content, version, self._exactly(length)

    def send(self, content: int, body: bytes) -> None:
        self.sock.sendall(wire.record(content, self.version, body))

    def alert(self, number: int, level: int = 2) -> None:
        self.send(21, bytes([level, number]))

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def stay_silent(self) -> None:
        """Say nothing until the client has gone away."""
        while self.sock.recv(65536):
            pass

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise ConnectionError("the client has gone away")
            data += more
        return data


@dataclass(frozen=True)
class Flight:
    """What a stub says up to its ServerHelloDone, in one record."""

    version: int = registry.TLS12
    suite: int = RSA_GCM
    extensions: bytes = b""
    certificate: bytes = b""
    requests_certificate: bool = False

    def messages(self) -> bytes:
        extensions = wire.vector(self.extensions, 2) if self.extensions else b""
        hello = struct.pack("!H", self.version) + bytes(33) + struct.pack("!HB", self.suite, 0) + extensions
        chain = wire.vector(self.certificate, 3) if self.certificate else b""
        messages = [(HandshakeType.SERVER_HELLO, hello), (HandshakeType.CERTIFICATE, wire.vector(chain, 3))]
        if self.requests_certificate:
            messages.append((HandshakeType.CERTIFICATE_REQUEST, b"\x01\x01\x00\x02\x04\x01\x00\x00"))
        messages.append((HandshakeType.SERVER_HELLO_DONE, b""))
        return b"".join(wire.handshake_message(kind, body) for kind, body in messages)

    def record(self) -> bytes:
        return wire.record(22, self.version, self.messages())


def after_flight(flight: Flight, go_on: Callable[[Peer], None]) -> Handler:
    """Return the handler of a stub that reads a hello, says its flight, and goes on with ``go_on``."""

    def handler(connection: socket.socket, _number: int) -> None:
        peer = Peer(connection, flight.version)
        peer.receive()
        connection.sendall(flight.record())
        go_on(peer)

    return handler


# --- servers that come to no ServerHelloDone


def _saying(answer: bytes) -> Handler:
    def handler(connection: socket.socket, _number: int) -> None:
        Peer(connection).receive()
        connection.sendall(answer)
        Peer(connection).stay_silent()

    return handler


def _reset(connection: socket.socket, _number: int) -> None:
    peer = Peer(connection)
    peer.receive()
    peer.reset()


def _slow(connection: socket.socket, _number: int) -> None:
    for byte in Flight(certificate=bytes(10000)).record():
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def _endless(connection: socket.socket, _number: int) -> None:
    while True:
        connection.sendall(wire.record(21, registry.TLS12, b"\x01\x70") * 100)


def _cut_short(connection: socket.socket, _number: int) -> None:
    Peer(connection).receive()
    connection.sendall(Flight(certificate=bytes(1000)).record()[:200])


HOSTILE: dict[str, Handler] = {
    "silent": _saying(b""),
    "reset": _reset,
    "closed": lambda connection, _number: Peer(connection).receive() and None,
    "a refusal": _saying(wire.record(21, registry.TLS12, b"\x02\x28")),
    "plain text": _saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "garbage in a record": _saying(wire.record(22, registry.TLS12, b"\x02\x00\x00\x04\xff\xff\xff\xff")),
    "a byte at a time": _slow,
    "endless warnings": _endless,
    "cut short": _cut_short,
    "another version": _saying(Flight(version=registry.TLS10).record()),
    "another suite": _saying(Flight(suite=0x1301).record()),
    "TLS 1.3": _saying(Flight(extensions=b"\x00\x2b\x00\x02\x03\x04").record()),
    "no ServerHelloDone": _saying(
        wire.record(22, registry.TLS12, Flight().messages()[:-4]) + wire.record(20, registry.TLS12, b"\x01")
    ),
}
