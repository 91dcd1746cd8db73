# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS on the wire: encode ClientHellos, decode what a server answers in clear. No socket, no key, no opinion.

Sources: RFC 5246 (TLS 1.2) 6.2, 7.2, 7.4; RFC 8446 (TLS 1.3) 4.1, 4.2, 5.1; RFC 6101 (SSL 3.0); RFC 8422 5.4 (curves);
the SSL 2.0 draft (Hickman, 1995) 2.5 and 2.6. Every length that a server sends is checked before it is used, and
nothing grows beyond :data:`MAX_FLIGHT_BYTES`.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry

MAX_FLIGHT_BYTES = 256 * 1024
MAX_RECORD_BYTES = 16384 + 2048

CONTENT_CHANGE_CIPHER_SPEC = 20
CONTENT_ALERT = 21
CONTENT_HANDSHAKE = 22
CONTENT_APPLICATION_DATA = 23

HELLO_RETRY_REQUEST_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()

EXT_ALPN = 16
EXT_SIGNED_CERTIFICATE_TIMESTAMP = 18
_EXT_PADDING = 21
_EXT_SUPPORTED_VERSIONS = 43
_EXT_KEY_SHARE = 51


class HandshakeType(enum.IntEnum):
    """The kinds of handshake messages (RFC 5246 7.4, RFC 8446 4)."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_STATUS = 22
    KEY_UPDATE = 24


class DecodeError(MeasurementError):
    """What a server sent does not follow the protocol."""

    def __init__(self, reason: str) -> None:
        """Say which rule was broken."""
        super().__init__("the server's answer", reason, "Check what listens there: it does not speak TLS as defined")


class NotTlsError(DecodeError):
    """What a server sent is no TLS record at all; ``seen`` is its beginning."""

    def __init__(self, seen: bytes) -> None:
        """Keep the beginning of what was seen."""
        super().__init__("no TLS record")
        self.seen = seen[:64]


# --- what a client says


@dataclass(frozen=True)
class ClientHello:
    """A ClientHello before it is bytes; ``extensions`` are (type, content) in the order they are sent."""

    version: int
    cipher_suites: tuple[int, ...]
    random: bytes
    extensions: tuple[tuple[int, bytes], ...] = ()
    session_id: bytes = b""
    compression_methods: tuple[int, ...] = (0,)


def encode_client_hello(hello: ClientHello) -> bytes:
    """Return the records of a ClientHello (RFC 5246 7.4.1.2).

    Two lengths that servers and balancers are known to choke on are avoided by padding (RFC 7685): a handshake message
    of 256 to 511 bytes.
    """
    body = _hello_body(hello, hello.extensions)
    if hello.extensions and 256 <= len(body) + 4 < 512:
        padding = bytes(max(0, 512 - (len(body) + 4) - 4))
        body = _hello_body(hello, (*hello.extensions, (_EXT_PADDING, padding)))
    message = handshake_message(HandshakeType.CLIENT_HELLO, body)
    # The record version of a first hello is 3.1 whatever follows (RFC 8446 5.1), except for SSL 3.0.
    return record(CONTENT_HANDSHAKE, min(hello.version, registry.TLS10), message)


def _hello_body(hello: ClientHello, extensions: tuple[tuple[int, bytes], ...]) -> bytes:
    body = struct.pack("!H", hello.version) + hello.random + vector(hello.session_id, 1)
    body += vector(_numbers(hello.cipher_suites), 2) + vector(bytes(hello.compression_methods), 1)
    if extensions:
        body += vector(b"".join(struct.pack("!H", kind) + vector(content, 2) for kind, content in extensions), 2)
    return body


def encode_sslv2_hello(challenge: bytes) -> bytes:
    """Return an SSL 2.0 CLIENT-HELLO that offers every SSL 2.0 cipher kind."""
    kinds = (0x010080, 0x020080, 0x030080, 0x040080, 0x050080, 0x060040, 0x0700C0, 0x080080)
    ciphers = b"".join(kind.to_bytes(3, "big") for kind in kinds)
    body = b"\x01\x00\x02" + struct.pack("!HHH", len(ciphers), 0, len(challenge)) + ciphers + challenge
    return struct.pack("!H", 0x8000 | len(body)) + body


def server_name(name: str) -> tuple[int, bytes]:
    """Return the server_name extension (RFC 6066 3) for a host name in ASCII."""
    return 0, vector(b"\x00" + vector(name.encode("ascii"), 2), 2)


def supported_groups(groups: tuple[int, ...]) -> tuple[int, bytes]:
    """Return the supported_groups extension (RFC 8446 4.2.7)."""
    return 10, vector(_numbers(groups), 2)


def signature_algorithms(schemes: tuple[int, ...]) -> tuple[int, bytes]:
    """Return the signature_algorithms extension (RFC 8446 4.2.3)."""
    return 13, vector(_numbers(schemes), 2)


def supported_versions(versions: tuple[int, ...]) -> tuple[int, bytes]:
    """Return the supported_versions extension of a client (RFC 8446 4.2.1)."""
    return _EXT_SUPPORTED_VERSIONS, vector(_numbers(versions), 1)


def key_share(shares: tuple[tuple[int, bytes], ...]) -> tuple[int, bytes]:
    """Return the key_share extension of a client; without shares the server must name its group (RFC 8446 4.2.8)."""
    entries = b"".join(struct.pack("!H", group) + vector(public, 2) for group, public in shares)
    return _EXT_KEY_SHARE, vector(entries, 2)


def alpn(protocols: tuple[str, ...]) -> tuple[int, bytes]:
    """Return the application_layer_protocol_negotiation extension (RFC 7301 3.1)."""
    return EXT_ALPN, vector(b"".join(vector(name.encode("ascii"), 1) for name in protocols), 2)


# A stapled OCSP response, of whatever responder (RFC 6066 8).
STATUS_REQUEST = (5, b"\x01\x00\x00\x00\x00")
EC_POINT_FORMATS = (11, b"\x01\x00")
HEARTBEAT = (15, b"\x01")
SIGNED_CERTIFICATE_TIMESTAMP = (18, b"")
ENCRYPT_THEN_MAC = (22, b"")
EXTENDED_MASTER_SECRET = (23, b"")
SESSION_TICKET = (35, b"")
RENEGOTIATION_INFO = (65281, b"\x00")

# A polite end of a connection that asked only one question: warning user_canceled, then close_notify (RFC 8446 6.1).
FAREWELL = b"\x15\x03\x03\x00\x02\x01\x5a\x15\x03\x03\x00\x02\x01\x00"


def vector(content: bytes, length_bytes: int) -> bytes:
    """Return bytes behind their length (RFC 5246 4.3)."""
    return len(content).to_bytes(length_bytes, "big") + content


def record(content: int, version: int, body: bytes) -> bytes:
    """Return one record, whose body is in clear or encrypted already (RFC 5246 6.2.1)."""
    return struct.pack("!BHH", content, version, len(body)) + body


def handshake_message(kind: int, body: bytes) -> bytes:
    """Return one handshake message (RFC 5246 7.4, RFC 8446 4)."""
    return bytes([kind]) + vector(body, 3)


def _numbers(numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(numbers)}H", *numbers)


# --- what a server says


class Reader:
    """A cursor over bytes; reading past the end is a :class:`DecodeError`, never a short answer."""

    def __init__(self, data: bytes, what: str) -> None:
        """Begin before the first byte; ``what`` names the data in errors."""
        self._data = data
        self._at = 0
        self._what = what

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        end = self._at + count
        if end > len(self._data):
            raise DecodeError(f"{self._what} is cut short: {count} bytes wanted at {self._at} of {len(self._data)}")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, length_bytes: int) -> int:
        """Return the next bytes as a number."""
        return int.from_bytes(self.take(length_bytes), "big")

    def vector(self, length_bytes: int) -> bytes:
        """Return the bytes that stand behind their length."""
        return self.take(self.number(length_bytes))

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at


@dataclass(frozen=True)
class ServerHello:
    """A ServerHello or HelloRetryRequest; ``version`` is the negotiated one, ``group`` what TLS 1.3 selected."""

    version: int
    random: bytes
    cipher_suite: int
    compression_method: int
    extensions: dict[int, bytes]
    is_retry_request: bool
    group: int | None
    session_id: bytes = b""


@dataclass(frozen=True)
class KeyExchange:
    """The ephemeral parameters of a ServerKeyExchange: a named group, or a prime's size and digest.

    ``public_sha256`` is the digest of the server's public value: one that is seen twice was used twice.
    """

    group: int | None = None
    dh_prime_bits: int | None = None
    dh_prime_sha256: str | None = None
    signature_scheme: int | None = None
    public_sha256: str | None = None


@dataclass(frozen=True)
class Alert:
    """A TLS alert (RFC 8446 6)."""

    level: int
    description: int

    @property
    def name(self) -> str:
        """The alert's name."""
        return registry.alert_name(self.description)

    @property
    def ends_connection(self) -> bool:
        """Whether nothing can follow: fatal, close_notify or user_canceled; a warning else (RFC 6066 3, for one)."""
        return self.level == 2 or self.description in (0, 90)


def decode_alert(body: bytes) -> Alert:
    """Decode the body of an alert (RFC 5246 7.2)."""
    reader = Reader(body, "an alert")
    return Alert(reader.number(1), reader.number(1))


@dataclass
class Flight:
    """What a server said so far, up to the point where its answer is encrypted or complete."""

    server_hello: ServerHello | None = None
    certificates: list[bytes] = field(default_factory=list)
    stapled_ocsp: bytes | None = None
    key_exchange: KeyExchange | None = None
    client_certificate_requested: bool = False
    alert: Alert | None = None
    complete: bool = False


class FlightDecoder:
    """Decode a server's first flight from bytes as they arrive.

    :meth:`feed` raises :class:`NotTlsError` for what is no TLS, :class:`DecodeError` for what breaks its rules or is
    larger than :data:`MAX_FLIGHT_BYTES`.
    """

    def __init__(self) -> None:
        """Begin with nothing received."""
        self.flight = Flight()
        self._records = b""
        self._messages = b""
        self._fed = 0

    def feed(self, data: bytes) -> None:
        """Take more bytes; afterwards ``flight`` holds all that they tell."""
        self._fed += len(data)
        if self._fed > MAX_FLIGHT_BYTES:
            raise DecodeError(f"the answer is longer than {MAX_FLIGHT_BYTES} bytes")
        self._records += data
        while len(self._records) >= 5 and not self.flight.complete:
            content, version, length = struct.unpack("!BHH", self._records[:5])
            if version >> 8 != 3 or content not in (CONTENT_ALERT, CONTENT_HANDSHAKE, 20, 23):
                raise NotTlsError(self._records)
            if length > MAX_RECORD_BYTES:
                raise DecodeError(f"a record of {length} bytes is longer than TLS allows")
            if len(self._records) < 5 + length:
                return
            body, self._records = self._records[5 : 5 + length], self._records[5 + length :]
            self._record(content, body)
        # Four bytes of something else must not look like a slow TLS server.
        if self._records and not self.flight.complete and self._records[0] not in (20, 21, 22, 23):
            raise NotTlsError(self._records)

    def _record(self, content: int, body: bytes) -> None:
        if content == CONTENT_ALERT:
            self._alert(body)
        elif content == CONTENT_HANDSHAKE:
            self._messages += body
            self._drain()
        elif self.flight.server_hello is None:
            raise DecodeError(f"a record of type {content} came before the ServerHello")
        else:
            self.flight.complete = True  # from here on it is encrypted

    def _alert(self, body: bytes) -> None:
        alert = decode_alert(body)
        if alert.ends_connection:
            self.flight.alert = alert
            self.flight.complete = True

    def _drain(self) -> None:
        while len(self._messages) >= 4 and not self.flight.complete:
            kind, length = self._messages[0], int.from_bytes(self._messages[1:4], "big")
            if length > MAX_FLIGHT_BYTES:
                raise DecodeError(f"a handshake message of {length} bytes is longer than {MAX_FLIGHT_BYTES}")
            if len(self._messages) < 4 + length:
                return
            body, self._messages = self._messages[4 : 4 + length], self._messages[4 + length :]
            self._message(kind, body)

    def _message(self, kind: int, body: bytes) -> None:
        flight = self.flight
        if kind == HandshakeType.SERVER_HELLO:
            if len(body) > MAX_RECORD_BYTES:
                raise DecodeError(f"a ServerHello of {len(body)} bytes is longer than {MAX_RECORD_BYTES}")
            flight.server_hello = decode_server_hello(body)
            flight.complete = flight.server_hello.version >= registry.TLS13
        elif flight.server_hello is None:
            raise DecodeError(f"handshake message {kind} came before the ServerHello")
        elif kind == HandshakeType.CERTIFICATE:
            flight.certificates = decode_certificates(body)
        elif kind == HandshakeType.CERTIFICATE_STATUS:
            flight.stapled_ocsp = decode_certificate_status(body)
        elif kind == HandshakeType.SERVER_KEY_EXCHANGE:
            hello = flight.server_hello
            flight.key_exchange = decode_key_exchange(body, hello.cipher_suite, hello.version)
        elif kind == HandshakeType.CERTIFICATE_REQUEST:
            flight.client_certificate_requested = True
        elif kind == HandshakeType.SERVER_HELLO_DONE:
            flight.complete = True


def decode_server_hello(body: bytes) -> ServerHello:
    """Decode the body of a ServerHello or HelloRetryRequest (RFC 8446 4.1.3, 4.1.4)."""
    reader = Reader(body, "the ServerHello")
    version, random = reader.number(2), reader.take(32)
    session_id = reader.vector(1)
    suite, compression = reader.number(2), reader.number(1)
    extensions = decode_extensions(reader.vector(2)) if reader.left else {}
    retry = random == HELLO_RETRY_REQUEST_RANDOM
    if _EXT_SUPPORTED_VERSIONS in extensions:
        version = Reader(extensions[_EXT_SUPPORTED_VERSIONS], "supported_versions").number(2)
    group = None
    if _EXT_KEY_SHARE in extensions:
        group = Reader(extensions[_EXT_KEY_SHARE], "key_share").number(2)
    return ServerHello(version, random, suite, compression, extensions, retry, group, session_id)


def decode_extensions(data: bytes) -> dict[int, bytes]:
    """Return the extensions of a message by their number (RFC 8446 4.2)."""
    reader = Reader(data, "the extensions")
    found: dict[int, bytes] = {}
    while reader.left:
        kind = reader.number(2)
        found[kind] = reader.vector(2)
    return found


def decode_certificates(body: bytes) -> list[bytes]:
    """Decode a Certificate message up to TLS 1.2 into DER, in the order sent (RFC 5246 7.4.2)."""
    chain = Reader(Reader(body, "the certificate message").vector(3), "the certificate list")
    found = []
    while chain.left:
        found.append(chain.vector(3))
    return found


def decode_certificate_status(body: bytes) -> bytes | None:
    """Return the DER of the OCSPResponse of a CertificateStatus message (RFC 6066 8); ``None`` for another kind."""
    reader = Reader(body, "the certificate status")
    return (reader.vector(3) or None) if reader.number(1) == 1 else None


def decode_alpn(content: bytes) -> str:
    """Return the protocol that a server selected, from the content of its extension (RFC 7301 3.1)."""
    name = Reader(Reader(content, "the selected protocols").vector(2), "the selected protocol").vector(1)
    return name.decode("ascii", "backslashreplace")


def decode_key_exchange(body: bytes, suite_number: int, version: int) -> KeyExchange | None:
    """Decode the parameters of a ServerKeyExchange (RFC 5246 7.4.3, RFC 8422 5.4); ``None`` where there are none."""
    suite = registry.cipher_suite(suite_number)
    reader = Reader(body, "the ServerKeyExchange")
    if suite.authentication == "PSK":
        reader.vector(2)  # the identity hint (RFC 4279 2)
    if suite.key_exchange == "ECDHE":
        if reader.number(1) != 3:
            return KeyExchange()  # explicit parameters: no named group
        group = reader.number(2)
        public = reader.vector(1)
        return KeyExchange(
            group=group, signature_scheme=_signature_scheme(reader, suite, version), public_sha256=_sha256(public)
        )
    if suite.key_exchange != "DHE":
        return None
    prime = reader.vector(2).lstrip(b"\x00")
    reader.vector(2)
    public = reader.vector(2)
    return KeyExchange(
        dh_prime_bits=int.from_bytes(prime, "big").bit_length(),
        dh_prime_sha256=_sha256(prime),
        signature_scheme=_signature_scheme(reader, suite, version),
        public_sha256=_sha256(public),
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _signature_scheme(reader: Reader, suite: registry.CipherSuite, version: int) -> int | None:
    signed = suite.authentication not in ("anon", "PSK") and version == registry.TLS12
    return reader.number(2) if signed else None


@dataclass(frozen=True)
class SslV2ServerHello:
    """An SSL 2.0 SERVER-HELLO: the number of cipher kinds that it accepts."""

    cipher_kinds: int


def decode_sslv2_server_hello(data: bytes) -> SslV2ServerHello | None:
    """Decode an SSL 2.0 SERVER-HELLO; ``None`` for anything else, plain text that begins with a high bit included."""
    if len(data) < 13 or not data[0] & 0x80 or data[2] != 4:
        return None
    version, _certificate, ciphers, _connection = struct.unpack("!HHHH", data[5:13])
    return SslV2ServerHello(ciphers // 3) if version == registry.SSL2 and ciphers % 3 == 0 else None
