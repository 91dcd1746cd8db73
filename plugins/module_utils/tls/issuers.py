# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch the certificates that a server should have sent, from where the certificates below them say (RFC 5280 4.2.2.1).

**To be used only where a person asked for it.** The addresses come from the server that is scanned: a hostile one can
name any host and port that the scanning host reaches, an internal one included, and learn from the time it takes
whether something answers there. So it is one GET without credentials over plain http to each address, no redirect is
followed, and nothing of an answer is kept or shown that is not the certificate that was missing. Who is in doubt scans
from a host that reaches nothing but the Internet.

What is fetched is trusted no more than what a server sends: plain http is enough, as a chain is verified by signatures.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import der, http_head, probe
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import parse_target, resolve

MAX_CERTIFICATE_BYTES = 64 * 1024
_MOST_FETCHED = 3
_MOST_ADDRESSES = 2
_HTTP_PORT = 80

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
# The type of a CMS message (RFC 5652 4), as which a whole chain may be offered (RFC 5280 4.2.2.1: .p7c).
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")


class NotFetchedError(Exception):
    """There is no certificate at an address; the text is the reason."""


@dataclass(frozen=True)
class Issuers:
    """The certificates that were missing, as DER from the leaf upwards; ``reason`` says why there are no more.

    ``reason`` is empty where nothing is missing any more.
    """

    certificates: tuple[bytes, ...] = ()
    reason: str = ""


def subjects(certificates: Iterable[bytes]) -> frozenset[bytes]:
    """Return the subjects of certificates in DER, as :func:`fetch_missing` wants those of the trust anchors."""
    return frozenset(found[1] for found in map(der.names, certificates) if found is not None)


def fetch_missing(chain: Sequence[bytes], trusted: Collection[bytes], timeout_seconds: float) -> Issuers:
    """Fetch what is missing of a chain between its leaf and a trust anchor or a self-signed certificate, three at most.

    ``chain`` is DER as it was sent, the leaf first; ``trusted`` are the :func:`subjects` of the trust anchors, which
    are not fetched. All of it together takes no longer than ``timeout_seconds``; nothing is raised for what a server
    does.
    """
    deadline = time.monotonic() + timeout_seconds
    sent = {found[1]: certificate for certificate in chain for found in [der.names(certificate)] if found is not None}
    fetched: list[bytes] = []
    current = chain[0] if chain else b""
    while True:
        found = der.names(current)
        if found is None:
            return Issuers(tuple(fetched), "the server sent no certificate that can be read")
        issuer, subject = found
        if issuer == subject or issuer in trusted:
            return Issuers(tuple(fetched))
        if issuer in sent:
            current = sent.pop(issuer)  # once: names may go round in a circle
            continue
        if len(fetched) == _MOST_FETCHED:
            return Issuers(tuple(fetched), f"more than {_MOST_FETCHED} certificates are missing")
        try:
            current = _fetch_issuer(current, issuer, deadline)
        except NotFetchedError as error:
            return Issuers(tuple(fetched), str(error))
        fetched.append(current)


def _fetch_issuer(certificate: bytes, issuer: bytes, deadline: float) -> bytes:
    """Return the issuer's certificate of one; raises :class:`NotFetchedError`."""
    reasons = []
    for address in der.ca_issuers(certificate)[:_MOST_ADDRESSES]:
        try:
            fetched = fetch(address, deadline - time.monotonic())
        except NotFetchedError as error:
            reasons.append(str(error))
            continue
        found = der.names(fetched)
        if found is not None and found[1] == issuer:
            return fetched
        reasons.append(f"{address}: it is not the certificate of the issuer")
    raise NotFetchedError("; ".join(reasons) or "the certificate names no http address of its issuer's")


def fetch(address: str, timeout_seconds: float) -> bytes:
    """Return the DER of the certificate at an http address, all within ``timeout_seconds``.

    It may be DER or PEM; a CMS message (PKCS #7) is not supported. Raises :class:`NotFetchedError` with the reason.
    """
    deadline = time.monotonic() + timeout_seconds
    shown = http_head.printable(address)
    try:
        return _certificate(_get(address, deadline))
    except NotFetchedError as error:
        raise NotFetchedError(f"{shown}: {error}") from None
    except socket.timeout:
        raise NotFetchedError(f"{shown}: it did not arrive in time") from None
    except OSError as error:
        raise NotFetchedError(f"{shown}: {error.strerror or error}") from None
    except WebopsError as error:  # a host that is none, or has no address
        raise NotFetchedError(f"{shown}: {error.reason}") from None


def _get(address: str, deadline: float) -> bytes:
    """Return the body that an address answers with; ``OSError`` passes through."""
    parts, port = _split(address)
    target = parse_target({"host": parts.hostname, "port": port})
    host = http_head.host_field(target.host, port, _HTTP_PORT)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: ringmaster.webops\r\nAccept: */*\r\n\r\n"
    with _connect(resolve(target, seconds_left(deadline)), deadline) as sock:
        received, failure = http_head.exchange(sock, request.encode("ascii"), deadline)
        if failure:
            raise NotFetchedError(failure)
        status, fields = http_head.parse_head(received)
        if status != 200:
            raise NotFetchedError("it does not speak HTTP" if status is None else f"status {status}")
        body = re.split(rb"\r?\n\r?\n", received, maxsplit=1)[1]
        return _rest(sock, body, _length(fields), deadline)


def _split(address: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(address)
        port = parts.port or _HTTP_PORT
    except ValueError:
        raise NotFetchedError("it is no address") from None
    if parts.scheme != "http":
        raise NotFetchedError("it is no http address")
    if "@" in parts.netloc:
        raise NotFetchedError("it has credentials in it, and none are sent")
    if not address.isascii() or not address.isprintable() or " " in address:
        raise NotFetchedError("it has characters that no address may have")
    return parts, port


def _connect(endpoints: Sequence[probe.Endpoint], deadline: float) -> socket.socket:
    """Connect to the first address that takes a connection."""
    *others, last = endpoints
    for endpoint in others:
        try:
            return probe.connect(endpoint, deadline)
        except OSError:
            continue
    return probe.connect(last, deadline)


def _length(fields: http_head.Fields) -> int | None:
    """Return the length that the body says it has (RFC 9110 8.6)."""
    value = next(iter(fields.values("content-length")), "")
    if not re.fullmatch("[0-9]{1,18}", value):
        return None
    if int(value) > MAX_CERTIFICATE_BYTES:
        raise NotFetchedError(f"it is longer than {MAX_CERTIFICATE_BYTES} bytes")
    return int(value)


def _rest(sock: socket.socket, body: bytes, length: int | None, deadline: float) -> bytes:
    """Return the whole body: up to its length, or to the end of the connection where it has none."""
    while length is None or len(body) < length:
        if len(body) > MAX_CERTIFICATE_BYTES:
            raise NotFetchedError(f"it is longer than {MAX_CERTIFICATE_BYTES} bytes")
        sock.settimeout(seconds_left(deadline))
        data = sock.recv(4096)
        if not data:
            if length is not None:
                raise NotFetchedError("it is cut short")
            break
        body += data
    return body


def _certificate(body: bytes) -> bytes:
    """Return the DER of a certificate in DER or PEM."""
    pem = _PEM.search(body)
    if pem is not None:
        try:
            body = ssl.PEM_cert_to_DER_cert(pem.group().decode("ascii"))
        except ValueError:
            raise NotFetchedError("it is PEM that cannot be read") from None
    found = der.certificate(body)
    if found is not None:
        return found
    if b"-----BEGIN PKCS7-----" in body or (body[:1] == b"\x30" and _SIGNED_DATA in body[:32]):
        raise NotFetchedError("it is a CMS message (PKCS #7, .p7c), which is not supported")
    raise NotFetchedError("it is no certificate in DER or PEM")
