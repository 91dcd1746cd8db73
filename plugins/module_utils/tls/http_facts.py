# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a web server says over TLS: status and header fields, and the certificates of a complete handshake.

The handshake is the interpreter's own, without verification: trust is judged elsewhere, from the certificates.
"""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import http_head, probe

_MAX_CHAIN = 32
# SSL_OP_LEGACY_SERVER_CONNECT of OpenSSL: talk to a server without RFC 5746 too. Python names it from 3.12 on.
_LEGACY_SERVER_CONNECT = 0x4


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
            with permissive_context().wrap_socket(plain, server_hostname=server_name) as secure:
                exchange.protocol = secure.version()
                exchange.certificates, exchange.chain_complete = peer_chain(secure)
                if host_header is None:
                    exchange.http = http_head.parse_response(b"")
                else:
                    exchange.http, exchange.failure = _request(secure, host_header, deadline)
    except socket.timeout:
        exchange.failure = exchange.failure or f"no complete answer within {timeout_seconds:g} seconds"
    except ssl.SSLError as error:
        exchange.failure = f"the scanner's own TLS library completed no handshake ({error.reason or error})"
    except (OSError, ValueError) as error:
        exchange.failure = exchange.failure or f"no handshake was completed ({error})"
    return exchange


def permissive_context() -> ssl.SSLContext:
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
    request = (
        f"GET / HTTP/1.1\r\nHost: {host_header}\r\nUser-Agent: ringmaster.webops\r\nAccept: */*\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: close\r\n\r\n"
    )
    received, failure = http_head.exchange(secure, request.encode("ascii"), deadline)
    return (None, failure) if failure else (http_head.parse_response(received), "")
