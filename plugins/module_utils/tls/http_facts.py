# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a web server says over TLS: status and header fields, and the certificates of a complete handshake.

The handshake is our own where the server offers a TLS 1.3 that we can do, since the interpreter's does not show all of
it, else the interpreter's. Neither verifies: trust is judged elsewhere, from the certificates.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import time
import warnings
from dataclasses import dataclass, field
from typing import cast

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake13, http_head, probe, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session

_MAX_CHAIN = 32
# What the interpreter calls otherwise.
_NAMES = {"TLSv1": "TLSv1.0"}
# SSL_OP_LEGACY_SERVER_CONNECT of OpenSSL: talk to a server without RFC 5746 too. Python names it from 3.12 on.
_LEGACY_SERVER_CONNECT = 0x4


@dataclass
class Exchange:
    """What one complete handshake and one request told.

    ``certificates`` is the chain in DER as sent, the leaf alone where the interpreter cannot give more
    (``chain_complete`` is false then). ``failure`` says what kept the handshake or the answer from being had. The rest
    is what only a handshake of our own shows: what was stapled to the leaf, whether a client certificate was asked for
    (``None`` where it is not known), and the tickets that came, whose secrets are no facts.
    """

    certificates: list[bytes] = field(default_factory=list)
    chain_complete: bool = True
    protocol: str | None = None
    http: dict[str, object] | None = None
    failure: str = ""
    stapled_ocsp: bytes | None = None
    sct_list: bytes | None = None
    client_certificate_requested: bool | None = None
    tickets: tuple[handshake13.Ticket, ...] = ()


def visit_tls13(session: Session, offer: handshake13.Offer13, host_header: str | None) -> Exchange:
    """Do a handshake of our own and one ``GET /``; everything that goes wrong is in the result.

    One connection. Where the handshake comes to nothing, the interpreter's library has a try on a second one, with what
    is left of the session's timeout. Both wait for their turn and are counted by the session. Without a ``host_header``
    nothing is requested.
    """
    exchange, deadline = Exchange(), 0.0
    try:
        with session.connection() as (sock, deadline):
            client = handshake13.Client(sock, deadline)
            _visit_with(client, offer, host_header, deadline, exchange)
    except socket.timeout:
        exchange.failure = f"no connection within {session.timeout_seconds:g} seconds"
    except OSError as error:
        exchange.failure = f"no connection ({error.strerror or error})"
    except MeasurementError as error:
        exchange.failure = f"no handshake was completed ({error.reason})"
    left_seconds = deadline - time.monotonic()
    if exchange.certificates or left_seconds <= 0:
        return exchange
    with session.turn():
        return visit(session.endpoint, offer.server_name, host_header, left_seconds)


def _visit_with(
    client: handshake13.Client,
    offer: handshake13.Offer13,
    host_header: str | None,
    deadline: float,
    exchange: Exchange,
) -> None:
    protocols = () if host_header is None else ("http/1.1",)
    established = client.handshake(dataclasses.replace(offer, alpn=protocols))
    exchange.protocol = "TLSv1.3"
    exchange.certificates = list(established.certificates[:_MAX_CHAIN])
    exchange.stapled_ocsp, exchange.sct_list = established.stapled_ocsp, established.sct_list
    exchange.client_certificate_requested = established.client_certificate_requested
    if host_header is None:
        exchange.http = http_head.parse_response(b"")
        with contextlib.suppress(MeasurementError):  # the certificates are there already
            client.wait_for_ticket()
    else:
        exchange.http, exchange.failure = _request(cast("socket.socket", _Stream(client)), host_header, deadline)
        client.close()
    exchange.tickets = tuple(client.tickets)


class _Stream:
    """A connection of our own, as far as :func:`http_head.exchange` needs a socket; the deadline is the client's."""

    def __init__(self, client: handshake13.Client) -> None:
        self._client = client

    def settimeout(self, _seconds: float) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        try:
            self._client.send_application_data(data)
        except ConnectionEndedError as ended:
            raise _as_os_error(ended) from ended

    def recv(self, _most: int) -> bytes:
        try:
            return self._client.receive_application_data()
        except ConnectionEndedError as ended:
            if ended.kind == probe.CLOSED or ended.alert == 0:
                return b""
            raise _as_os_error(ended) from ended
        except wire.DecodeError as error:
            raise OSError(error.reason) from error


def _as_os_error(ended: ConnectionEndedError) -> OSError:
    return socket.timeout("timed out") if ended.kind == probe.TIMEOUT else OSError(ended.reason)


def visit(
    endpoint: probe.Endpoint, server_name: str | None, host_header: str | None, timeout_seconds: float
) -> Exchange:
    """Do one handshake by the interpreter and one ``GET /``; everything that goes wrong is in the result.

    Without a ``host_header`` nothing is requested: the endpoint is known to speak something else than HTTP.
    """
    exchange = Exchange()
    deadline = time.monotonic() + timeout_seconds
    try:
        with probe.connect(endpoint, deadline) as plain:
            plain.settimeout(seconds_left(deadline))
            with permissive_context().wrap_socket(plain, server_hostname=server_name) as secure:
                exchange.protocol = _NAMES.get(secure.version() or "", secure.version())
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


def _request(secure: socket.socket, host_header: str, deadline: float) -> tuple[dict[str, object] | None, str]:
    request = (
        f"GET / HTTP/1.1\r\nHost: {host_header}\r\nUser-Agent: ringmaster.webops\r\nAccept: */*\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: close\r\n\r\n"
    )
    received, failure = http_head.exchange(secure, request.encode("ascii"), deadline)
    return (None, failure) if failure else (http_head.parse_response(received), "")
