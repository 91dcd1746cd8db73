# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete client handshake of TLS 1.0 to 1.2, for what can only be measured behind it.

It measures, it does not protect: signatures and certificates of the server are not verified (trust is judged
elsewhere), its Finished is. Key exchanges are RSA, DHE and ECDHE; a server that asks for a client certificate gets
none. SSL 3.0, whose MAC and key derivation are its own, is not spoken.

Sources: RFC 2246, RFC 4346, RFC 5246 7 and 8; RFC 8422 (ECDHE); RFC 5077 (tickets); RFC 5746 (renegotiation); RFC 7627
(extended master secret); RFC 7366 (encrypt-then-MAC).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    der,
    primitives,
    probe,
    records12,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.wire import HandshakeType

GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x001E)
# The size of what is encrypted to an RSA key (RFC 5246 7.4.7.1).
PREMASTER_BYTES = 48

_RENEGOTIATION_INFO = wire.RENEGOTIATION_INFO[0]
_EXTENDED_MASTER_SECRET = wire.EXTENDED_MASTER_SECRET[0]
_ENCRYPT_THEN_MAC = wire.ENCRYPT_THEN_MAC[0]

_NO_RENEGOTIATION = 100
# Numbers larger than what is in use would keep the processor busy for the server's pleasure.
_MAX_FINITE_FIELD_BITS = 8192
_MAX_RSA_EXPONENT_BITS = 64
# A premaster secret with the least padding (RFC 8017 7.2.1).
_MIN_RSA_BYTES = PREMASTER_BYTES + 11
# Messages and records that a server may put between ours before it is not answering any more.
_MAX_IGNORED = 64


@dataclass(frozen=True)
class Resumable:
    """What a session can be taken up with again (RFC 5246 7.3, RFC 5077).

    A lifetime of 0 is one that the server does not tell (RFC 5077 3.3), and is ``None`` here.
    """

    master_secret: bytes
    session_id: bytes
    ticket: bytes | None = None
    ticket_lifetime_seconds: int | None = None


@dataclass(frozen=True)
class Offer:
    """What a handshake offers. ``ticket`` is ``None`` for no extension, empty to ask for a ticket (RFC 5077 3.2)."""

    version: int
    suites: tuple[int, ...]
    server_name: str | None = None
    extended_master_secret: bool = True
    encrypt_then_mac: bool = False
    renegotiation_info: bool = True
    session_id: bytes = b""
    ticket: bytes | None = None
    resume: Resumable | None = None


@dataclass(frozen=True)
class Established:
    """A handshake that is complete on both sides."""

    hello: wire.ServerHello
    resumed: bool
    session: Resumable


def can_complete(number: int) -> bool:
    """Whether a handshake with this cipher suite can be completed."""
    suite = registry.cipher_suite(number)
    signed = suite.key_exchange in ("DHE", "ECDHE") and suite.authentication in ("RSA", "ECDSA", "DSS", "anon")
    plain_rsa = suite.key_exchange == "RSA" and suite.authentication == "RSA"
    return (signed or plain_rsa) and records12.can_protect(suite)


def _key_schedule(
    version: int, suite: registry.CipherSuite, secret: bytes, label: bytes, seed: bytes, size: int
) -> bytes:
    """Return ``size`` bytes of the PRF of a version and suite (RFC 2246 5, RFC 5246 5)."""
    if version >= registry.TLS12:
        return primitives.prf_tls12(secret, label, seed, size, suite.hash_name)
    return primitives.prf_tls10(secret, label, seed, size)


def _transcript_hash(version: int, suite: registry.CipherSuite, messages: bytes) -> bytes:
    """Return the digest of a handshake's messages that its Finished covers."""
    if version >= registry.TLS12:
        return primitives.digest(messages, suite.hash_name)
    return primitives.digest(messages, "md5") + primitives.digest(messages, "sha1")


def key_material(
    version: int,
    suite: registry.CipherSuite,
    master_secret: bytes,
    server_random: bytes,
    client_random: bytes,
    etm: bool,
) -> tuple[records12.Protection, records12.Protection]:
    """Return the protections of what the client and of what the server sends (RFC 5246 6.3)."""
    sizes = records12.key_sizes(suite)
    seed = server_random + client_random
    block = _key_schedule(version, suite, master_secret, b"key expansion", seed, 2 * sum(sizes))
    parts = []
    for size in sizes:
        parts.append((block[:size], block[size : 2 * size]))
        block = block[2 * size :]
    (client_mac, server_mac), (client_key, server_key), (client_iv, server_iv) = parts
    return (
        records12.protection(suite, version, client_mac, client_key, client_iv, etm),
        records12.protection(suite, version, server_mac, server_key, server_iv, etm),
    )


class Client:
    """One connection, on which one handshake or several follow each other.

    Every method raises :class:`ConnectionEndedError` for an alert, an end or silence of the server, and
    :class:`wire.DecodeError` for what breaks the protocol; nothing else, whatever a server sends.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Use a connected socket until ``deadline`` (of :func:`time.monotonic`)."""
        self.records = records12.Records(sock, deadline)
        self._verify_data = (b"", b"")

    def handshake(self, offer: Offer) -> Established:
        """Complete a handshake; on a connection that has one already this is a renegotiation."""
        return _Handshake(self.records, offer, self._verify_data).run(self._remember)

    def server_hello(self, offer: Offer) -> tuple[wire.ServerHello, bool]:
        """Send a hello and return what answers it and whether that resumes a session; nothing can follow on it."""
        return _Handshake(self.records, offer, self._verify_data).hello()

    def close(self) -> None:
        """Say goodbye: without it a server may throw the session away (RFC 5246 7.2.1)."""
        with contextlib.suppress(ConnectionEndedError):
            self.records.send(wire.CONTENT_ALERT, b"\x01\x00")

    def _remember(self, client: bytes, server: bytes) -> None:
        self._verify_data = (client, server)

    def receive_application_data(self) -> bytes:
        """Return the next application data, ignoring what a server may say in between."""
        for _ignored in range(_MAX_IGNORED):
            record = self.records.receive()
            if record.content == wire.CONTENT_APPLICATION_DATA and record.body:
                return record.body
            if record.content == wire.CONTENT_ALERT:
                _raise_alert(record.body)
        raise wire.DecodeError("the server sends records without application data")


def _raise_alert(body: bytes) -> None:
    """Raise :class:`ConnectionEndedError` for an alert that ends something; ignore other warnings."""
    alert = wire.decode_alert(body)
    if alert.ends_connection or alert.description == _NO_RENEGOTIATION:
        raise ConnectionEndedError(probe.ALERT, f"alert {alert.name}", alert.description)


def _exchange_keys(
    suite: registry.CipherSuite, offered_version: int, certificates: list[bytes], parameters: bytes
) -> tuple[bytes, bytes]:
    """Return the body of the ClientKeyExchange and the premaster secret (RFC 5246 7.4.7, RFC 8422 5.7)."""
    if suite.key_exchange == "RSA":
        return _rsa_exchange(*rsa_public_key(certificates), offered_version)
    reader = wire.Reader(parameters, "the ServerKeyExchange")
    if suite.key_exchange == "ECDHE":
        return _ecdhe_exchange(reader)
    prime, generator, public = (int.from_bytes(reader.vector(2), "big") for _part in range(3))
    if not 3 < prime.bit_length() <= _MAX_FINITE_FIELD_BITS or not 1 < generator < prime or not 1 < public < prime:
        raise wire.DecodeError("the server's Diffie-Hellman parameters cannot be used")
    ours, secret = primitives.dh(prime, generator, public)
    # Leading zeros of the shared secret are left out up to TLS 1.2 (RFC 5246 8.1.2).
    return wire.vector(ours, 2), secret.lstrip(b"\x00")


def _ecdhe_exchange(reader: wire.Reader) -> tuple[bytes, bytes]:
    curve_type, group = reader.number(1), reader.number(2)
    if curve_type != 3 or group not in GROUPS:
        raise wire.DecodeError("the server selected a curve that was not offered")
    private, ours = primitives.generate_share(group)
    secret = primitives.shared_secret(group, private, reader.vector(1))
    return wire.vector(ours, 1), secret


def rsa_public_key(certificates: list[bytes]) -> tuple[int, int]:
    """Return modulus and exponent of the first certificate's key, which a premaster secret can be encrypted to.

    Raises :class:`wire.DecodeError` for any other.
    """
    key = der.rsa_public_key(certificates[0]) if certificates else None
    if key is None:
        raise wire.DecodeError("the server's certificate has no RSA key")
    modulus, exponent = key
    too_large = modulus.bit_length() > _MAX_FINITE_FIELD_BITS or exponent.bit_length() > _MAX_RSA_EXPONENT_BITS
    if (modulus.bit_length() + 7) // 8 < _MIN_RSA_BYTES or too_large or exponent < 1:
        raise wire.DecodeError("the RSA key of the server's certificate cannot be used")
    return modulus, exponent


def _rsa_exchange(modulus: int, exponent: int, offered_version: int) -> tuple[bytes, bytes]:
    """Return the encrypted premaster secret behind its length, and the premaster secret (RFC 5246 7.4.7.1)."""
    premaster = offered_version.to_bytes(2, "big") + os.urandom(PREMASTER_BYTES - 2)
    padding = primitives.nonzero_bytes((modulus.bit_length() + 7) // 8 - 3 - PREMASTER_BYTES)
    encrypted = primitives.rsa_encrypt_block(modulus, exponent, b"\x00\x02" + padding + b"\x00" + premaster)
    return wire.vector(encrypted, 2), premaster


@contextlib.contextmanager
def _explained(certificate_requested: bool) -> Iterator[None]:
    """Add to the end of a connection what it is most likely about."""
    try:
        yield
    except ConnectionEndedError as error:
        if not certificate_requested:
            raise
        detail = f"{error.reason}, after the server had asked for a client certificate and got none"
        raise ConnectionEndedError(error.kind, detail, error.alert) from None


class _Handshake:
    """One handshake in progress."""

    def __init__(self, records: records12.Records, offer: Offer, verify_data: tuple[bytes, bytes]) -> None:
        self._records = records
        self._offer = offer
        self._verify_data = verify_data
        self._random = os.urandom(32)
        self._transcript = b""
        self._pending = b""
        self._ignored = 0
        self._change_cipher_spec = False
        self._ticket: tuple[int, bytes] | None = None
        self._master_secret = b""

    def run(self, remember: Callable[[bytes, bytes], None]) -> Established:
        """Complete the handshake and hand the data of both Finished to ``remember``."""
        hello, resumed = self.hello()
        suite = registry.cipher_suite(hello.cipher_suite)
        if resumed:
            if self._offer.resume is None:
                raise wire.DecodeError("the server resumes a session that was not offered")
            self._master_secret = self._offer.resume.master_secret
            client, server = self._keys(hello, suite)
            server_data = self._receive_finished(hello, suite, server)
            client_data = self._send_finished(hello, suite, client)
        else:
            requested = self._full(hello, suite)
            client, server = self._keys(hello, suite)
            client_data = self._send_finished(hello, suite, client)
            with _explained(requested):
                server_data = self._receive_finished(hello, suite, server)
        remember(client_data, server_data)
        return Established(hello, resumed, self._session(hello))

    # --- hellos

    def hello(self) -> tuple[wire.ServerHello, bool]:
        """Exchange hellos; return the server's and whether it goes on with the end of an abbreviated handshake."""
        self._send_hello()
        hello = self._receive_hello()
        return hello, self._peek() in (HandshakeType.NEW_SESSION_TICKET, None)

    def _send_hello(self) -> None:
        offer = self._offer
        extensions: list[tuple[int, bytes]] = []
        if offer.server_name:
            extensions.append(wire.server_name(offer.server_name))
        if offer.renegotiation_info:
            verify_data = self._verify_data[0]
            extensions.append((_RENEGOTIATION_INFO, wire.vector(verify_data, 1)))
        if offer.extended_master_secret:
            extensions.append(wire.EXTENDED_MASTER_SECRET)
        if offer.encrypt_then_mac:
            extensions.append(wire.ENCRYPT_THEN_MAC)
        extensions += [wire.supported_groups(GROUPS), wire.EC_POINT_FORMATS]
        if offer.ticket is not None:
            extensions.append((wire.SESSION_TICKET[0], offer.ticket))
        if offer.version >= registry.TLS12:
            extensions.append(wire.signature_algorithms(tuple(registry.SIGNATURE_SCHEMES)))
        hello = wire.ClientHello(offer.version, offer.suites, self._random, tuple(extensions), offer.session_id)
        self._send(wire.encode_client_hello(hello)[5:])

    def _receive_hello(self) -> wire.ServerHello:
        kind, body = self._message()
        if kind != HandshakeType.SERVER_HELLO:
            raise wire.DecodeError(f"handshake message {kind} came before the ServerHello")
        hello = wire.decode_server_hello(body)
        if not registry.TLS10 <= hello.version <= self._offer.version:
            raise wire.DecodeError(f"the server selected version 0x{hello.version:04x}, which was not offered")
        if hello.cipher_suite not in self._offer.suites or hello.compression_method:
            raise wire.DecodeError("the server selected a cipher suite or compression that was not offered")
        self._check_renegotiation_info(hello)
        self._records.version = hello.version
        return hello

    def _check_renegotiation_info(self, hello: wire.ServerHello) -> None:
        """Check that both sides mean the same connection (RFC 5746 3.5)."""
        answer = hello.extensions.get(_RENEGOTIATION_INFO)
        expected = b"".join(self._verify_data)
        if self._offer.renegotiation_info and answer is not None and answer != wire.vector(expected, 1):
            raise wire.DecodeError("the server's renegotiation_info is not of this connection")

    # --- the full handshake

    def _full(self, hello: wire.ServerHello, suite: registry.CipherSuite) -> bool:
        """Exchange keys; return whether the server asked for a client certificate."""
        certificates: list[bytes] = []
        parameters, requested = b"", False
        for _count in range(_MAX_IGNORED):
            kind, body = self._message()
            if kind == HandshakeType.SERVER_HELLO_DONE:
                break
            if kind == HandshakeType.CERTIFICATE:
                certificates = wire.decode_certificates(body)
            elif kind == HandshakeType.SERVER_KEY_EXCHANGE:
                parameters = body
            elif kind == HandshakeType.CERTIFICATE_REQUEST:
                requested = True
        else:
            raise wire.DecodeError("the server's flight has no end")
        if requested:
            self._send(wire.handshake_message(HandshakeType.CERTIFICATE, bytes(3)))
        exchange, premaster = _exchange_keys(suite, self._offer.version, certificates, parameters)
        self._send(wire.handshake_message(HandshakeType.CLIENT_KEY_EXCHANGE, exchange))
        self._derive_master_secret(hello, suite, premaster)
        return requested

    def _derive_master_secret(self, hello: wire.ServerHello, suite: registry.CipherSuite, premaster: bytes) -> None:
        label, seed = b"master secret", self._random + hello.random
        if self._offer.extended_master_secret and _EXTENDED_MASTER_SECRET in hello.extensions:
            label, seed = b"extended master secret", _transcript_hash(hello.version, suite, self._transcript)
        self._master_secret = _key_schedule(hello.version, suite, premaster, label, seed, 48)

    def _keys(
        self, hello: wire.ServerHello, suite: registry.CipherSuite
    ) -> tuple[records12.Protection, records12.Protection]:
        etm = self._offer.encrypt_then_mac and _ENCRYPT_THEN_MAC in hello.extensions
        return key_material(hello.version, suite, self._master_secret, hello.random, self._random, etm)

    # --- the end of both handshakes

    def _send_finished(
        self, hello: wire.ServerHello, suite: registry.CipherSuite, protection: records12.Protection
    ) -> bytes:
        self._records.send(wire.CONTENT_CHANGE_CIPHER_SPEC, b"\x01")
        self._records.writing = protection
        data = self._finished(hello, suite, b"client finished")
        self._send(wire.handshake_message(HandshakeType.FINISHED, data))
        return data

    def _receive_finished(
        self, hello: wire.ServerHello, suite: registry.CipherSuite, protection: records12.Protection
    ) -> bytes:
        while self._peek() is not None:
            kind, body = self._message()
            if kind != HandshakeType.NEW_SESSION_TICKET:
                raise wire.DecodeError(f"handshake message {kind} came instead of the end of the handshake")
            reader = wire.Reader(body, "the NewSessionTicket")
            self._ticket = reader.number(4), reader.vector(2)
        self._change_cipher_spec = False
        self._records.reading = protection
        expected = self._finished(hello, suite, b"server finished")
        kind, body = self._message()
        if kind != HandshakeType.FINISHED or body != expected:
            raise wire.DecodeError("the server's Finished is wrong")
        return expected

    def _finished(self, hello: wire.ServerHello, suite: registry.CipherSuite, label: bytes) -> bytes:
        digest = _transcript_hash(hello.version, suite, self._transcript)
        return _key_schedule(hello.version, suite, self._master_secret, label, digest, 12)

    def _session(self, hello: wire.ServerHello) -> Resumable:
        lifetime, ticket = self._ticket or (None, None)
        return Resumable(
            master_secret=self._master_secret,
            session_id=hello.session_id,
            ticket=ticket or None,
            ticket_lifetime_seconds=(lifetime or None) if ticket else None,
        )

    # --- messages

    def _send(self, message: bytes) -> None:
        self._transcript += message
        self._records.send(wire.CONTENT_HANDSHAKE, message)

    def _message(self) -> tuple[int, bytes]:
        """Return the next handshake message; it becomes part of the transcript."""
        kind = self._peek()
        if kind is None:
            raise wire.DecodeError("ChangeCipherSpec came in the middle of a handshake")
        while len(self._pending) < 4 or len(self._pending) < 4 + int.from_bytes(self._pending[1:4], "big"):
            if int.from_bytes(self._pending[1:4], "big") > wire.MAX_FLIGHT_BYTES:
                raise wire.DecodeError("a handshake message is too long")
            if not self._more():
                raise wire.DecodeError("ChangeCipherSpec came in the middle of a handshake message")
        end = 4 + int.from_bytes(self._pending[1:4], "big")
        message, self._pending = self._pending[:end], self._pending[end:]
        self._transcript += message
        return kind, message[4:]

    def _peek(self) -> int | None:
        """Return the kind of the next message, ``None`` when ChangeCipherSpec comes first; skip HelloRequests."""
        while True:
            while self._pending[:4] == bytes(4):
                self._pending = self._pending[4:]
            if self._pending and (self._pending[0] != HandshakeType.HELLO_REQUEST or len(self._pending) >= 4):
                return self._pending[0]
            if self._change_cipher_spec or not self._more():
                return None

    def _more(self) -> bool:
        """Read one more record; ``False`` when it was ChangeCipherSpec."""
        record = self._records.receive()
        if record.content == wire.CONTENT_HANDSHAKE and record.body:
            self._pending += record.body
            return True
        if record.content == wire.CONTENT_CHANGE_CIPHER_SPEC:
            self._change_cipher_spec = True
            return False
        if record.content == wire.CONTENT_ALERT:
            _raise_alert(record.body)
        # Application data of before, warnings and empty records; but not without end.
        self._ignored += 1
        if self._ignored > _MAX_IGNORED:
            raise wire.DecodeError("the server sends records that are no answer to the handshake")
        return True
