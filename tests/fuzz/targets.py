# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decoders of what a TLS server, or what is taken for one, sends: what they may raise, and what must hold."""

from __future__ import annotations

import datetime
import functools
import json
import socket
import ssl
import time
from collections.abc import Callable
from typing import cast

import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    certificate,
    certificate_timestamps,
    der,
    endpoint_facts,
    flights,
    handshake12,
    handshake13,
    http_head,
    issuers,
    messages13,
    records12,
    records13,
    registry,
    served_certificate,
    stapled_ocsp,
    starttls,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.evidence import Evidence
from fuzz import corpus
from fuzz.engine import Target
from fuzz.tape import DistortedServer, Tape

_ANSWERS, _AUTHORITY = corpus.read()
_REFUSED = (wire.DecodeError,)
_ENDED = (wire.DecodeError, records12.ConnectionEndedError)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


# --- flights


def _flight(data: bytes) -> wire.Flight:
    """Decode a flight whole; what is kept of it must be no more than what came."""
    decoder = wire.FlightDecoder()
    decoder.feed(data)
    kept = sum(map(len, decoder.flight.certificates)) + len(decoder.flight.stapled_ocsp or b"")
    assert kept <= len(data) <= wire.MAX_FLIGHT_BYTES
    return decoder.flight


def _flight_in_pieces(data: bytes) -> None:
    """Decode a flight as it would arrive; that must come to the same as the whole of it."""
    whole, pieces = _outcome(_flight, data), _outcome(_read_pieces, data)
    assert pieces == whole, f"{pieces} and not {whole}"


def _read_pieces(data: bytes) -> wire.Flight:
    decoder = wire.FlightDecoder()
    size = 1 + sum(data[:16]) % 40
    for start in range(0, len(data), size):
        decoder.feed(data[start : start + size])
        if decoder.flight.complete:
            break
    return decoder.flight


def _outcome(decode: Callable[[bytes], wire.Flight], data: bytes) -> object:
    try:
        return decode(data)
    except wire.NotTlsError:
        return wire.NotTlsError
    except wire.DecodeError as error:
        return error.reason


def _facts_of_flight(data: bytes) -> dict[str, object]:
    """Let everything that reads a flight read it: the facts must be plain values."""
    evidence = Evidence("localhost")
    flight = _flight(data)
    evidence.note_flight(flight, backwards=bool(len(data) % 2))
    evidence.note_certificates(flight)
    facts = endpoint_facts.facts_of(evidence)
    json.dumps(facts)
    return facts


# --- messages


def _key_exchange(data: bytes) -> None:
    """Take suite and version from the first bytes: those decide how the rest is read."""
    suite, version = int.from_bytes(data[:2], "big"), 0x0300 + data[2] % 4 if data[2:] else registry.TLS12
    wire.decode_key_exchange(data[3:], suite, version)


def _key_exchange_seeds() -> tuple[bytes, ...]:
    suites = (0xC02B, 0xC02F, 0x009E, 0x0034, 0xC018, 0x008C, 0xC035, 0x002F)
    bodies = corpus.messages(_ANSWERS, 12)
    return tuple(suite.to_bytes(2, "big") + b"\x03" + body for suite in suites for body in bodies)


def _sslv2(data: bytes) -> None:
    hello = wire.decode_sslv2_server_hello(data)
    assert hello is None or hello.cipher_kinds <= 0xFFFF // 3


def _tls13_certificates(body: bytes) -> None:
    found = messages13.decode_certificates(body)
    assert sum(map(len, found.chain)) <= len(body)


def _in_tls13(certificates: bytes) -> bytes:
    """Return a Certificate message of TLS 1.2 as one of TLS 1.3, with a stapled response and timestamps."""
    stapled = corpus.messages(_ANSWERS, 22)[0]
    extensions = b"".join(
        kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content
        for kind, content in ((5, stapled), (18, b"\x00\x04\x00\x02ab"))
    )
    entries = b"".join(
        len(each).to_bytes(3, "big") + each + len(extensions).to_bytes(2, "big") + extensions
        for each in wire.decode_certificates(certificates)
    )
    return b"\x00" + len(entries).to_bytes(3, "big") + entries


_TICKET = (
    b"\x00\x00\x1c\x20\x01\x02\x03\x04\x08nonce678\x00\x20" + bytes(32) + b"\x00\x08\x00\x2a\x00\x04\x00\x00\x40\x00"
)
_ENCRYPTED_EXTENSIONS = b"\x00\x11\x00\x10\x00\x05\x00\x03\x02h2\x00\x0a\x00\x04\x00\x02\x00\x1d"


# --- certificates


ANCHORS = certificate.Anchors([ssl.DER_cert_to_PEM_cert(_AUTHORITY)])


def _describe(data: bytes) -> None:
    """Describe what may be a certificate, as the control node does."""
    json.dumps(certificate.describe(data, NOW))


def _judge_certificates(data: bytes) -> None:
    """Judge the certificates of a flight: chain, trust, stapled response, timestamps."""
    for entry in cast("list[dict[str, object]]", _facts_of_flight(data)["certificates"]):
        json.dumps(served_certificate.judge(entry, ANCHORS, "localhost", NOW))


def _stapled_response(data: bytes) -> None:
    leaf, *chain = _CERTIFICATES[:2]
    json.dumps(stapled_ocsp.judge(data, leaf, chain, ANCHORS, NOW))


def _timestamps(data: bytes) -> None:
    json.dumps(certificate_timestamps.describe(b"", data, None))


# --- records and handshakes


def _records12(data: bytes) -> None:
    """Read records, the second half of them as if they were encrypted."""
    records = records12.Records(Tape(data).socket, _deadline())
    records.receive()
    suite = registry.cipher_suite((0xC02F, 0xCCA8, 0x002F, 0x0005)[len(data) % 4])
    mac_key, key, iv = map(bytes, records12.key_sizes(suite))
    records.reading = records12.protection(suite, registry.TLS12, mac_key, key, iv, len(data) % 8 < 4)
    while True:
        records.receive()


def _records13(data: bytes) -> None:
    suite = registry.cipher_suite((0x1301, 0x1303)[len(data) % 2])
    records = records13.Records(Tape(data).socket, _deadline())
    records.receive()
    records.read_with(records13.Protection(suite, bytes(32)))
    while True:
        records.receive()


def _handshake12(data: bytes) -> None:
    suites = tuple(filter(handshake12.can_complete, registry.suites_for_version(registry.TLS12)))
    offer = handshake12.Offer(registry.TLS12, suites, "localhost")
    handshake12.Client(Tape(data).socket, _deadline()).handshake(offer)
    raise AssertionError("a handshake was completed with a tape")


def _handshake13(data: bytes) -> None:
    offer = handshake13.Offer13(handshake13.SUITES, handshake13.GROUPS, "localhost")
    handshake13.Client(Tape(data).socket, _deadline()).handshake(offer)
    raise AssertionError("a handshake was completed with a tape")


@functools.lru_cache
def _server_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


def _distorted(version: ssl.TLSVersion, data: bytes) -> DistortedServer:
    """Return a real server, one byte of which is another: which one and how is in the data."""
    return DistortedServer(_server_context(version), int.from_bytes(data[:2], "big") % 4096, sum(data[2:]))


def _distorted12(data: bytes) -> None:
    suites = tuple(filter(handshake12.can_complete, registry.suites_for_version(registry.TLS12)))
    client = handshake12.Client(_distorted(ssl.TLSVersion.TLSv1_2, data).socket, _deadline())
    client.handshake(handshake12.Offer(registry.TLS12, suites, "localhost"))
    client.receive_application_data()


def _distorted13(data: bytes) -> None:
    client = handshake13.Client(_distorted(ssl.TLSVersion.TLSv1_3, data).socket, _deadline())
    client.handshake(handshake13.Offer13(handshake13.SUITES, handshake13.GROUPS, "localhost"))
    client.receive_application_data()


def _deadline() -> float:
    return time.monotonic() + 60


# --- HTTP


def _http_response(data: bytes) -> None:
    json.dumps(http_head.parse_response(data))


def _http_exchange(data: bytes) -> None:
    received, failure = http_head.exchange(Tape(data).socket, b"GET / HTTP/1.1\r\n\r\n", _deadline())
    assert len(received) <= http_head.MAX_HEADER_BYTES + 4096
    assert not (received and failure)


def _hsts(data: bytes) -> None:
    facts = http_head.parse_hsts([data.decode("latin-1")])
    assert facts["valid"] is (facts["max_age_seconds"] is not None)


_RESPONSES = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.2.3\r\nStrict-Transport-Security: max-age=63072000; includeSubDomains\r\n"
    b"Set-Cookie: a=b; Secure; HttpOnly; SameSite=Lax\r\nContent-Encoding: gzip\r\nX-Frame-Options: DENY\r\n\r\n<html>",
    b"HTTP/1.1 301 Moved\r\nLocation: https://user:secret@[::1]:443/path?query#fragment\r\n\r\n",
    b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 404\nAlt-Svc: h3=":443"\nX-Powered-By: PHP/8.1\n\n',
    b"SSH-2.0-OpenSSH_9.2\r\n",
)
_HSTS = (
    b'max-age=31536000; includeSubDomains; preload; other="quoted \\" text"',
    b'  max-age="1" ;;; ',
    b"max-age=0, max-age=1",
)


# --- before TLS

_DIALOGUES: dict[str, tuple[bytes, ...]] = {
    "smtp": (b"220-mail\r\n220 here\r\n250-mail\r\n250-PIPELINING\r\n250 STARTTLS\r\n220 go\r\n", b"421 later\r\n"),
    "imap": (
        b"* OK ready\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\na2 OK begin\r\n",
        b"* BYE [UNAVAILABLE] later\r\n",
    ),
    "pop3": (b"+OK ready\r\n+OK\r\nUIDL\r\nSTLS\r\n.\r\n+OK begin\r\n", b"-ERR [SYS/TEMP] later\r\n"),
    "ftp": (b"220-hello\r\n there\r\n220 ready\r\n234 begin\r\n",),
    "sieve": (
        b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\n"VERSION" {3}\r\n1.0\r\nOK\r\nOK "begin"\r\n',
        b'BYE (TRYLATER) "no"\r\n',
    ),
    "xmpp": (
        b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:features>"
        b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
        b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:error><host-unknown/></stream:error>",
    ),
    "ldap": (
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x34\x04\x00\x04\x00",
    ),
    "postgres": (b"S", b"N", b"E\x00\x00\x00\x12SFATAL\x00C53300\x00\x00", b"EFATAL: too many\n"),
    "mysql": (
        b"\x4a\x00\x00\x00\x0a8.0.1\x00\x01\x00\x00\x0012345678\x00\xff\xff" + bytes(60),
        b"\x10\x00\x00\x00\xff\x10\x04Too many links",
    ),
    "nntp": (b"200 hi\r\n101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n382 go\r\n",),
    "irc": (b":here NOTICE * :hello\r\nPING :1\r\n:here 670 you :go\r\n", b"ERROR :closing\r\n"),
}
_DIALOGUES["lmtp"], _DIALOGUES["xmpp-server"] = _DIALOGUES["smtp"], _DIALOGUES["xmpp"]


def _upgrade(protocol: str) -> Callable[[bytes], None]:
    def talk(data: bytes) -> None:
        starttls.upgrade(Tape(data).socket, protocol, "localhost", _deadline())

    return talk


_TALKS = tuple(
    Target(f"starttls {protocol}", _DIALOGUES[protocol], _upgrade(protocol), (starttls.StartTlsError, socket.timeout))
    for protocol in starttls.PROTOCOLS
)


# --- all of them

_CERTIFICATES = tuple(
    each for body in corpus.messages(_ANSWERS, 11) if len(body) > 3 for each in wire.decode_certificates(body)
)
_IN_PEM = tuple(ssl.DER_cert_to_PEM_cert(each).encode() for each in _CERTIFICATES)
_STAPLED = tuple(body[4:] for body in corpus.messages(_ANSWERS, 22))


def _timestamp_lists() -> tuple[bytes, ...]:
    hellos = map(wire.decode_server_hello, corpus.messages(_ANSWERS, 2))
    lists = (hello.extensions.get(wire.EXT_SIGNED_CERTIFICATE_TIMESTAMP) for hello in hellos)
    return tuple(each for each in lists if each)


_PLACES = tuple(place.to_bytes(2, "big") + b"\x01" for place in (10, 200, 600, 1200, 1800, 4000))
#: Each takes microseconds.
TARGETS = (
    Target("flight", _ANSWERS, _flight, _REFUSED),
    Target("flight in pieces", _ANSWERS, _flight_in_pieces),
    Target("facts of a flight", _ANSWERS, _facts_of_flight, _REFUSED),
    Target("ServerHello", corpus.messages(_ANSWERS, 2), wire.decode_server_hello, _REFUSED),
    Target("Certificate", corpus.messages(_ANSWERS, 11), wire.decode_certificates, _REFUSED),
    Target("CertificateStatus", corpus.messages(_ANSWERS, 22), wire.decode_certificate_status, _REFUSED),
    Target("ServerKeyExchange", _key_exchange_seeds(), _key_exchange, _REFUSED),
    Target("ALPN", (b"\x00\x03\x02h2", b"\x00\x09\x08http/1.1"), wire.decode_alpn, _REFUSED),
    Target("SSLv2 SERVER-HELLO", (b"\x80\x13\x04\x00\x01\x00\x02\x00\x00\x00\x06\x00\x02\x01\x00\x80ab",), _sslv2),
    Target("EncryptedExtensions", (_ENCRYPTED_EXTENSIONS,), messages13.decode_encrypted_extensions, _REFUSED),
    Target(
        "Certificate of TLS 1.3",
        tuple(map(_in_tls13, filter(lambda body: len(body) > 3, corpus.messages(_ANSWERS, 11)))),
        _tls13_certificates,
        _REFUSED,
    ),
    Target("NewSessionTicket", (_TICKET,), messages13.decode_new_session_ticket, _REFUSED),
    Target("CertificateRequest", (b"\x00\x00\x02ab", b"\x04abcd"), messages13.decode_request_context, _REFUSED),
    Target("CertificateVerify", (b"\x08\x04\x00\x02ab",), messages13.decode_signature_scheme, _REFUSED),
    Target("RSA key in DER", _CERTIFICATES, der.rsa_public_key),
    Target("certificate in DER", _CERTIFICATES, der.certificate),
    Target("names in DER", _CERTIFICATES, der.names),
    Target("addresses of issuers in DER", _CERTIFICATES, der.ca_issuers),
    Target("certificate timestamps", _timestamp_lists(), _timestamps),
    Target("fetched certificate", (*_CERTIFICATES, *_IN_PEM), issuers._certificate, (issuers.NotFetchedError,)),
    Target("kind of key in DER", _CERTIFICATES, flights.key_type),
    Target("curve in DER", _CERTIFICATES, flights.certificate_curves),
    Target("records up to TLS 1.2", _ANSWERS, _records12, _ENDED),
    Target("records of TLS 1.3", _ANSWERS, _records13, _ENDED),
    Target("HTTP response", _RESPONSES, _http_response),
    Target("HTTP exchange", _RESPONSES, _http_exchange),
    Target("HSTS", _HSTS, _hsts),
    *_TALKS,
)
#: Each takes a millisecond or more, since keys are computed or certificates parsed by other code.
SLOW_TARGETS = (
    Target("certificate", _CERTIFICATES, _describe),
    Target("verdict about certificates", _ANSWERS, _judge_certificates, _REFUSED),
    Target("stapled OCSP response", _STAPLED, _stapled_response),
    Target("handshake up to TLS 1.2", _ANSWERS, _handshake12, _ENDED),
    Target("handshake of TLS 1.3", _ANSWERS, _handshake13, _ENDED),
    Target("distorted server of TLS 1.2", _PLACES, _distorted12, _ENDED),
    Target("distorted server of TLS 1.3", _PLACES, _distorted13, _ENDED),
)
