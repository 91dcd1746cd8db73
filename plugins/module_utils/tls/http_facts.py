# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a web server says over TLS: status and HSTS, and the certificates of a complete handshake.

This is the one place where a scan completes a handshake, with the interpreter's own TLS and without verification:
trust is judged elsewhere, from the certificates. Sources: RFC 9112 (messages), RFC 6797 (HSTS).
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import probe

MAX_HEADER_BYTES = 64 * 1024
_MAX_CHAIN = 32
# SSL_OP_LEGACY_SERVER_CONNECT of OpenSSL: talk to a server without RFC 5746 too. Python names it from 3.12 on.
_LEGACY_SERVER_CONNECT = 0x4

# token and quoted-string of RFC 9110 5.6.2 and 5.6.4
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_DIRECTIVE = re.compile(rf"\s*({_TOKEN})\s*(?:=\s*({_TOKEN}|\"(?:[^\"\\]|\\.)*\")\s*)?$")
_PART = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*")+')
_FIELD = re.compile(r'(?:[^"]|"(?:[^"\\]|\\.)*")*')


@dataclass
class Exchange:
    """What one complete handshake and one request told.

    ``certificates`` is the chain in DER as sent, the leaf alone where the interpreter cannot give more
    (``chain_complete`` is false then). ``failure`` says what kept the handshake or the answer from being had.
    """

    certificates: list[bytes] = field(default_factory=list)
    chain_complete: bool = True
    protocol: str | None = None
    http: dict[str, object] | None = None
    failure: str = ""


def visit(
    endpoint: probe.Endpoint, server_name: str | None, host_header: str | None, timeout_seconds: float
) -> Exchange:
    """Do one handshake and one ``GET /``; everything that goes wrong is in the result.

    Without a ``host_header`` nothing is requested: the endpoint is known to speak something else than HTTP.
    """
    exchange = Exchange()
    deadline = time.monotonic() + timeout_seconds
    try:
        with probe.connect(endpoint, deadline) as plain:
            plain.settimeout(max(0.001, deadline - time.monotonic()))
            with _context().wrap_socket(plain, server_hostname=server_name) as secure:
                exchange.protocol = secure.version()
                exchange.certificates, exchange.chain_complete = peer_chain(secure)
                if host_header is None:
                    exchange.http = parse_response(b"")
                else:
                    exchange.http, exchange.failure = _request(secure, host_header, deadline)
    except socket.timeout:
        exchange.failure = exchange.failure or f"no complete answer within {timeout_seconds:g} seconds"
    except ssl.SSLError as error:
        exchange.failure = f"the scanner's own TLS library completed no handshake ({error.reason or error})"
    except (OSError, ValueError) as error:
        exchange.failure = exchange.failure or f"no handshake was completed ({error})"
    return exchange


def _context() -> ssl.SSLContext:
    """Return a context that talks to whatever the local library still can, and verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.options |= _LEGACY_SERVER_CONNECT
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
    except ssl.SSLError:
        context.set_ciphers("ALL")
    return context


def peer_chain(secure: ssl.SSLSocket) -> tuple[list[bytes], bool]:
    """Return the chain that the server sent, and whether it is all of it (Python 3.9 knows the leaf alone)."""
    read_chain = getattr(secure, "get_unverified_chain", None)  # 3.13
    if read_chain is None:
        read_chain = getattr(getattr(secure, "_sslobj", None), "get_unverified_chain", None)  # 3.10 to 3.12
    if read_chain is not None:
        chain = list(read_chain() or ())[:_MAX_CHAIN]
        der = [entry if isinstance(entry, bytes) else bytes(entry.public_bytes(2)) for entry in chain]
        if der:
            return der, True
    leaf = secure.getpeercert(binary_form=True)
    return ([leaf] if leaf else []), False


def _request(secure: ssl.SSLSocket, host_header: str, deadline: float) -> tuple[dict[str, object] | None, str]:
    request = f"GET / HTTP/1.1\r\nHost: {host_header}\r\nUser-Agent: ringmaster.webops\r\nConnection: close\r\n\r\n"
    received = b""
    try:
        secure.sendall(request.encode("ascii"))
        while b"\r\n\r\n" not in received and b"\n\n" not in received:
            if len(received) > MAX_HEADER_BYTES:
                return None, f"the header is longer than {MAX_HEADER_BYTES} bytes"
            left = deadline - time.monotonic()
            if left <= 0:
                return None, "the header did not arrive in time"
            secure.settimeout(left)
            data = secure.recv(4096)
            if not data:
                break
            received += data
    except socket.timeout:
        return None, "the header did not arrive in time"
    except OSError as error:
        if not received:
            return None, f"no answer to an HTTP request ({getattr(error, 'reason', None) or error})"
    return parse_response(received), ""


def parse_response(received: bytes) -> dict[str, object]:
    """Return ``speaks_http``, ``status`` and ``strict_transport_security`` of a response's head."""
    head = re.split(rb"\r?\n\r?\n", received, maxsplit=1)[0].decode("latin-1")
    lines = head.replace("\r\n", "\n").split("\n")
    status = re.match(r"HTTP/\d\.\d (\d{3})(?: |$)", lines[0])
    if status is None:
        return {"speaks_http": False, "status": None, "strict_transport_security": parse_hsts(())}
    fields = [line.partition(":") for line in lines[1:]]
    hsts = [value.strip() for name, _colon, value in fields if name.strip().lower() == "strict-transport-security"]
    return {"speaks_http": True, "status": int(status.group(1)), "strict_transport_security": parse_hsts(hsts)}


def parse_hsts(values: Sequence[str]) -> dict[str, object]:
    """Read the Strict-Transport-Security header fields of one response (RFC 6797 6.1, 8.1).

    Only the first field counts. A field that breaks the grammar, names a directive twice or has no usable max-age is
    not ``valid``, and a browser ignores it; unknown directives are ignored. ``max_age_seconds`` is ``None`` unless the
    field is valid.
    """
    facts: dict[str, object] = {
        "present": bool(values),
        "valid": False,
        "max_age_seconds": None,
        "include_subdomains": False,
        "preload": False,
        "value": values[0][:1024] if values else None,
    }
    directives = _directives(values[0]) if values else None
    if directives is None:
        return facts
    max_age = (directives.get("max-age") or "").strip('"')
    if not re.fullmatch(r"[0-9]{1,18}", max_age) or directives.get("includesubdomains") is not None:
        return facts
    facts.update(
        valid=True,
        max_age_seconds=int(max_age),
        include_subdomains="includesubdomains" in directives,
        preload="preload" in directives,
    )
    return facts


def _directives(value: str) -> dict[str, str | None] | None:
    """Split a field into directives by lower-case name; ``None`` where the grammar is broken or a name comes twice."""
    directives: dict[str, str | None] = {}
    if _FIELD.fullmatch(value) is None:
        return None
    for part in _PART.findall(value):
        if not part.strip():
            continue
        found = _DIRECTIVE.match(part)
        if found is None or found.group(1).lower() in directives:
            return None
        directives[found.group(1).lower()] = found.group(2)
    return directives
