# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete client handshake of TLS 1.3, for what it shows encrypted alone: certificates, what is stapled, tickets.

It measures, it does not protect: signatures and certificates of the server are not verified (trust is judged
elsewhere), its Finished is. A client certificate that is asked for is answered with none; early data is never sent.

Sources: RFC 8446 (TLS 1.3), RFC 6066 8 (OCSP), RFC 6962 3.3.1 (certificate timestamps), RFC 7301 (ALPN).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import socket
import time
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    key_schedule13,
    messages13,
    primitives,
    probe,
    records13,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.key_schedule13 import KeySchedule, Transcript
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.wire import HandshakeType

# The suites and groups that a handshake can be completed with, each by what it costs to compute.
SUITES = (0x1303, 0x1301, 0x1302, 0x1305, 0x1304)
GROUPS = (0x001D, 0x0017, 0x0018, 0x001E, 0x0100, 0x0019, 0x0101, 0x0102)

_CLOSE_NOTIFY = 0

_EXT_PADDING = 21
_EXT_PRE_SHARED_KEY = 41
_EXT_COOKIE = 44
_EXT_SIGNATURE_ALGORITHMS_CERT = 50
_EXT_KEY_SHARE = 51
# A resumption with a new key exchange, never one without (RFC 8446 4.2.9).
_PSK_KEY_EXCHANGE_MODES = (45, b"\x01\x01")

_ALL_SCHEMES = tuple(registry.SIGNATURE_SCHEMES)
# A ticket with more would make a hello that servers refuse.
_MAX_IDENTITY_BYTES = 12 * 1024
_MAX_COOKIE_BYTES = 2 * 1024
# How long a server may take to hand out a ticket or to answer a goodbye, which it need not do.
_TICKET_PATIENCE_SECONDS = 2.0
# Messages that a server may put between application data.
_MAX_MESSAGES = 64


@dataclass(frozen=True)
class Ticket:
    """A ticket, and what its session can be taken up with again (RFC 8446 4.6.1); ``received_at`` is monotonic time.

    ``max_early_data_bytes`` is 0 where the server takes no early data.
    """

    lifetime_seconds: int
    max_early_data_bytes: int
    age_add: int = field(repr=False)
    identity: bytes = field(repr=False)
    psk: bytes = field(repr=False)
    cipher_suite: int
    received_at: float

    @property
    def hash_name(self) -> str:
        """The hash of the session's suite: only a suite with the same one can take it up again."""
        return registry.cipher_suite(self.cipher_suite).hash_name

    @property
    def can_be_offered(self) -> bool:
        """Whether the ticket fits into a hello."""
        return 0 < len(self.identity) <= _MAX_IDENTITY_BYTES


@dataclass(frozen=True)
class Offer13:
    """What a handshake offers; :func:`best_offer` makes one that can be completed.

    ``suites`` are of :data:`SUITES`, ``groups`` of :data:`GROUPS`; a share of the first is sent at once. ``resume`` is
    a ticket of the same server that :attr:`Ticket.can_be_offered`, with a suite of the same hash among ``suites``.
    """

    suites: tuple[int, ...]
    groups: tuple[int, ...]
    server_name: str | None = None
    schemes: tuple[int, ...] = _ALL_SCHEMES
    alpn: tuple[str, ...] = ()
    resume: Ticket | None = None


@dataclass(frozen=True)
class Established13:
    """A handshake that is complete on both sides.

    A ``resumed`` one has neither certificates nor a signature. ``sct_list`` is the content of the TLS extension.
    """

    cipher_suite: int
    group: int
    certificates: tuple[bytes, ...]
    stapled_ocsp: bytes | None
    sct_list: bytes | None
    signature_scheme: int | None
    alpn: str | None
    client_certificate_requested: bool
    resumed: bool


@dataclass
class _Flight:
    """What the server's encrypted flight says; without a CertificateRequest there is no context of one."""

    certificates: messages13.Certificates = messages13.NO_CERTIFICATES
    signature_scheme: int | None = None
    alpn: str | None = None
    request_context: bytes | None = None


def best_offer(suites: tuple[int, ...], groups: tuple[int, ...], server_name: str | None) -> Offer13 | None:
    """Return an offer of what a server accepts and a handshake can be completed with, the cheapest first.

    ``None`` where nothing is left: a server with post-quantum groups alone, for instance.
    """
    usable_suites = tuple(suite for suite in SUITES if suite in suites)
    usable_groups = tuple(group for group in GROUPS if group in groups)
    return Offer13(usable_suites, usable_groups, server_name) if usable_suites and usable_groups else None


class Client:
    """One connection with one handshake, and what follows it.

    Every method raises :class:`ConnectionEndedError` for an alert, an end or silence of the server, and
    :class:`wire.DecodeError` for what breaks the protocol; nothing else, whatever a server sends. ``tickets`` are those
    that have come so far: a server sends them when it likes, mostly before its first application data.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Use a connected socket until ``deadline`` (of :func:`time.monotonic`)."""
        self.tickets: list[Ticket] = []
        self._records = records13.Records(sock, deadline)
        self._cipher_suite = 0
        self._resumption_secret = b""

    def handshake(self, offer: Offer13) -> Established13:
        """Complete the handshake."""
        established, self._resumption_secret = _Handshake(self._records, offer).run()
        self._cipher_suite = established.cipher_suite
        return established

    def send_application_data(self, data: bytes) -> None:
        """Send application data."""
        self._records.send(wire.CONTENT_APPLICATION_DATA, data)

    def receive_application_data(self) -> bytes:
        """Return the next application data, and take in what a server says in between."""
        for _message in range(_MAX_MESSAGES):
            data = self._receive()
            if data:
                return data
        raise wire.DecodeError("the server sends messages without application data")

    def wait_for_ticket(self) -> None:
        """Say goodbye and wait until a ticket comes, or the server ends the connection: then it hands out none.

        Raises as the other methods do, also where neither happens within two seconds.
        """
        self.close()
        try:
            with self._records.patience(_TICKET_PATIENCE_SECONDS):
                for _message in range(_MAX_MESSAGES):
                    if self.tickets:
                        return
                    self._receive()
        except ConnectionEndedError as ended:
            if ended.kind != probe.CLOSED and ended.alert != _CLOSE_NOTIFY:
                raise
            return
        raise wire.DecodeError("the server goes on sending after our goodbye")

    def close(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(ConnectionEndedError):
            self._records.send(wire.CONTENT_ALERT, b"\x01\x00")

    def _receive(self) -> bytes:
        """Return the next application data; nothing when a message came instead."""
        record = self._records.receive()
        if record.content == wire.CONTENT_APPLICATION_DATA:
            return record.body
        kind, body = record.body[0], record.body[4:]
        if kind == HandshakeType.NEW_SESSION_TICKET:
            self._note_ticket(messages13.decode_new_session_ticket(body))
        elif kind == HandshakeType.KEY_UPDATE:
            self._update_keys(body)
        else:
            raise wire.DecodeError(f"handshake message {kind} came after the handshake")
        return b""

    def _note_ticket(self, ticket: messages13.NewSessionTicket) -> None:
        hash_name = registry.cipher_suite(self._cipher_suite).hash_name
        self.tickets.append(
            Ticket(
                lifetime_seconds=ticket.lifetime_seconds,
                max_early_data_bytes=ticket.max_early_data_bytes,
                age_add=ticket.age_add,
                identity=ticket.identity,
                psk=key_schedule13.ticket_psk(self._resumption_secret, ticket.nonce, hash_name),
                cipher_suite=self._cipher_suite,
                received_at=time.monotonic(),
            )
        )

    def _update_keys(self, body: bytes) -> None:
        """Change keys as the server does, and where it asks for it (RFC 8446 4.6.3)."""
        self._records.update_reading()
        if body == b"\x01":
            self._records.send(wire.CONTENT_HANDSHAKE, wire.handshake_message(HandshakeType.KEY_UPDATE, b"\x00"))
            self._records.update_writing()


class _Handshake:
    """One handshake in progress."""

    def __init__(self, records: records13.Records, offer: Offer13) -> None:
        self._records = records
        self._offer = offer
        self._ticket = offer.resume
        self._cookie = b""
        self._random = os.urandom(32)
        # A session id of 32 bytes makes it look like TLS 1.2 to what stands between (RFC 8446 D.4).
        self._session_id = os.urandom(32)
        self._transcript = Transcript()
        self._choose_group(offer.groups[0])

    def _choose_group(self, group: int) -> None:
        self._group = group
        self._private, self._public = primitives.generate_share(group)

    def run(self) -> tuple[Established13, bytes]:
        """Complete the handshake; return it with the secret of its tickets."""
        hello = self._exchange_hellos()
        suite = registry.cipher_suite(hello.cipher_suite)
        hash_name = suite.hash_name
        psk = self._accepted_psk(hello)
        schedule = KeySchedule(hash_name, psk)
        client, server = schedule.handshake_secrets(self._shared_secret(hello), self._transcript.digest(hash_name))
        self._records.read_with(records13.Protection(suite, server))
        flight = self._receive_flight(hash_name, server, resumed=bool(psk))
        client_data, server_data = schedule.application_secrets(self._transcript.digest(hash_name))
        self._records.read_with(records13.Protection(suite, server_data))
        self._records.write_with(records13.Protection(suite, client))
        self._send_flight(hash_name, client, flight.request_context)
        self._records.write_with(records13.Protection(suite, client_data))
        established = Established13(
            cipher_suite=hello.cipher_suite,
            group=self._group,
            certificates=flight.certificates.chain,
            stapled_ocsp=flight.certificates.stapled_ocsp,
            sct_list=flight.certificates.sct_list,
            signature_scheme=flight.signature_scheme,
            alpn=flight.alpn,
            client_certificate_requested=flight.request_context is not None,
            resumed=bool(psk),
        )
        return established, schedule.resumption_secret(self._transcript.digest(hash_name))

    # --- hellos

    def _exchange_hellos(self) -> wire.ServerHello:
        """Return the ServerHello, to a second hello of ours if the server wants one (RFC 8446 4.1.4)."""
        self._send_hello()
        message, hello = self._receive_hello()
        if hello.is_retry_request:
            hash_name = registry.cipher_suite(hello.cipher_suite).hash_name
            self._transcript.fold(hash_name)
            self._transcript.add(message)
            self._heed_retry_request(hello, hash_name)
            self._send_change_cipher_spec()
            self._send_hello()
            suite = hello.cipher_suite
            message, hello = self._receive_hello()
            if hello.is_retry_request or hello.cipher_suite != suite:
                raise wire.DecodeError("the server does not keep to its HelloRetryRequest")
            self._transcript.add(message)
        else:
            self._transcript.add(message)
            self._send_change_cipher_spec()
        return hello

    def _send_change_cipher_spec(self) -> None:
        """Send what stands before the second flight of TLS 1.2, for what stands between (RFC 8446 D.4)."""
        self._records.send(wire.CONTENT_CHANGE_CIPHER_SPEC, b"\x01")

    def _send_hello(self) -> None:
        self._send(self._encode_hello(self._extensions()) if self._ticket is None else self._with_ticket(self._ticket))

    def _extensions(self) -> list[tuple[int, bytes]]:
        offer = self._offer
        extensions = [wire.server_name(offer.server_name)] if offer.server_name else []
        extensions += [
            wire.supported_versions((registry.TLS13,)),
            wire.supported_groups(offer.groups),
            wire.signature_algorithms(offer.schemes),
            wire.key_share(((self._group, self._public),)),
            wire.STATUS_REQUEST,
            wire.SIGNED_CERTIFICATE_TIMESTAMP,
            _PSK_KEY_EXCHANGE_MODES,
        ]
        if offer.schemes != _ALL_SCHEMES:  # it is the server's key that is asked for, its issuers may have others
            extensions.append((_EXT_SIGNATURE_ALGORITHMS_CERT, wire.signature_algorithms(_ALL_SCHEMES)[1]))
        if offer.alpn:
            extensions.append(wire.alpn(offer.alpn))
        if self._cookie:
            extensions.append((_EXT_COOKIE, self._cookie))
        return extensions

    def _encode_hello(self, extensions: list[tuple[int, bytes]]) -> bytes:
        suites = self._offer.suites
        hello = wire.ClientHello(registry.TLS12, suites, self._random, tuple(extensions), session_id=self._session_id)
        return wire.encode_client_hello(hello)[5:]

    def _with_ticket(self, ticket: Ticket) -> bytes:
        """Return a hello that ends with a ticket and the proof that its key is known (RFC 8446 4.2.11)."""
        hash_name = ticket.hash_name
        age_ms = int((time.monotonic() - ticket.received_at) * 1000)
        identity = wire.vector(ticket.identity, 2) + ((age_ms + ticket.age_add) % 2**32).to_bytes(4, "big")
        size = hashlib.new(hash_name).digest_size
        binders = wire.vector(wire.vector(bytes(size), 1), 2)
        # With this the hello is too long to be padded at its end, where the ticket must stand.
        extensions = [*self._extensions(), (_EXT_PADDING, bytes(512))]
        hello = self._encode_hello([*extensions, (_EXT_PRE_SHARED_KEY, wire.vector(identity, 2) + binders)])
        digest = self._transcript.digest(hash_name, hello[: -len(binders)])
        return hello[:-size] + KeySchedule(hash_name, ticket.psk).binder(digest)

    def _receive_hello(self) -> tuple[bytes, wire.ServerHello]:
        """Return a ServerHello or HelloRetryRequest as a message, and decoded; it is not in the transcript yet."""
        message = self._next_message()
        if message[0] != HandshakeType.SERVER_HELLO:
            raise wire.DecodeError(f"handshake message {message[0]} came before the ServerHello")
        hello = wire.decode_server_hello(message[4:])
        if hello.version != registry.TLS13:
            raise wire.DecodeError(f"the server selected version 0x{hello.version:04x}, which was not offered")
        if hello.cipher_suite not in self._offer.suites or hello.compression_method:
            raise wire.DecodeError("the server selected a cipher suite or compression that was not offered")
        if hello.session_id != self._session_id:
            raise wire.DecodeError("the ServerHello has another session id than the ClientHello")
        return message, hello

    def _heed_retry_request(self, hello: wire.ServerHello, hash_name: str) -> None:
        cookie = hello.extensions.get(_EXT_COOKIE, b"")
        if hello.group is not None:
            if hello.group not in self._offer.groups or hello.group == self._group:
                raise wire.DecodeError("the HelloRetryRequest asks for a group that cannot be meant")
            self._choose_group(hello.group)
        elif not cookie:
            raise wire.DecodeError("the HelloRetryRequest asks for nothing")
        if len(cookie) > _MAX_COOKIE_BYTES:
            raise wire.DecodeError(f"the HelloRetryRequest has a cookie of {len(cookie)} bytes")
        self._cookie = cookie
        if self._ticket is not None and self._ticket.hash_name != hash_name:
            self._ticket = None

    def _accepted_psk(self, hello: wire.ServerHello) -> bytes:
        """Return the key of the ticket when the server takes it, else nothing."""
        selected = hello.extensions.get(_EXT_PRE_SHARED_KEY)
        if selected is None:
            return b""
        hash_name = registry.cipher_suite(hello.cipher_suite).hash_name
        if self._ticket is None or self._ticket.hash_name != hash_name or selected != b"\x00\x00":
            raise wire.DecodeError("the server resumes a session that was not offered")
        return self._ticket.psk

    def _shared_secret(self, hello: wire.ServerHello) -> bytes:
        if hello.group != self._group:
            raise wire.DecodeError("the server has no key share of the group that ours is of")
        reader = wire.Reader(hello.extensions[_EXT_KEY_SHARE], "the server's key share")
        reader.number(2)
        return primitives.shared_secret(self._group, self._private, reader.vector(2))

    # --- what is encrypted

    def _receive_flight(self, hash_name: str, secret: bytes, resumed: bool) -> _Flight:
        """Return what the server's flight says, up to a right Finished."""
        flight = _Flight()
        extensions = messages13.decode_encrypted_extensions(self._expect(HandshakeType.ENCRYPTED_EXTENSIONS))
        if wire.EXT_ALPN in extensions:
            flight.alpn = wire.decode_alpn(extensions[wire.EXT_ALPN])
        if not resumed:
            self._receive_certificates(flight)
        expected = key_schedule13.finished(secret, self._transcript.digest(hash_name), hash_name)
        if not hmac.compare_digest(self._expect(HandshakeType.FINISHED), expected):
            raise wire.DecodeError("the server's Finished is wrong")
        return flight

    def _receive_certificates(self, flight: _Flight) -> None:
        kind, body = self._receive()
        if kind == HandshakeType.CERTIFICATE_REQUEST:
            flight.request_context = messages13.decode_request_context(body)
            kind, body = self._receive()
        if kind != HandshakeType.CERTIFICATE:
            raise wire.DecodeError(f"handshake message {kind} came instead of the certificates")
        flight.certificates = messages13.decode_certificates(body)
        flight.signature_scheme = messages13.decode_signature_scheme(self._expect(HandshakeType.CERTIFICATE_VERIFY))

    def _send_flight(self, hash_name: str, secret: bytes, request_context: bytes | None) -> None:
        if request_context is not None:
            self._send(wire.handshake_message(HandshakeType.CERTIFICATE, wire.vector(request_context, 1) + bytes(3)))
        verify_data = key_schedule13.finished(secret, self._transcript.digest(hash_name), hash_name)
        self._send(wire.handshake_message(HandshakeType.FINISHED, verify_data))

    # --- messages

    def _send(self, message: bytes) -> None:
        self._transcript.add(message)
        self._records.send(wire.CONTENT_HANDSHAKE, message)

    def _expect(self, kind: int) -> bytes:
        """Return the content of the next message, which must be of this kind."""
        found, body = self._receive()
        if found != kind:
            raise wire.DecodeError(f"handshake message {found} came instead of {kind}")
        return body

    def _receive(self) -> tuple[int, bytes]:
        """Return kind and content of the next message; it becomes part of the transcript."""
        message = self._next_message()
        self._transcript.add(message)
        return message[0], message[4:]

    def _next_message(self) -> bytes:
        record = self._records.receive()
        if record.content != wire.CONTENT_HANDSHAKE:
            raise wire.DecodeError("application data came in the middle of the handshake")
        if len(self._transcript) + len(record.body) > wire.MAX_FLIGHT_BYTES:
            raise wire.DecodeError(f"the handshake is longer than {wire.MAX_FLIGHT_BYTES} bytes")
        return record.body
