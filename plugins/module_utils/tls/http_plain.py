# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a web server says in clear, on port 80 beside its TLS: where it sends a visitor, and whether it upgrades to TLS.

Sources: RFC 9110 15.4 (redirects), RFC 2817 (upgrade to TLS within HTTP/1.1), CVE-2025-49812 (Opossum).
"""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import http_head, probe
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    LIKELY,
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

PORT = 80
# Request Timeout, Too Many Requests: what a server says for the moment, without looking at the request.
_TRY_LATER = (408, 429)


def inspect(endpoint: probe.Endpoint, host: str, timeout_seconds: float) -> dict[str, object]:
    """Ask for ``/`` in clear; one connection, and everything that goes wrong is in the result.

    ``host`` is the name or address that a browser would show. ``reachable`` is false where the connection is refused,
    ``None`` where nothing came of it; ``speaks_http`` and ``redirects_to_https`` are ``None`` where no answer tells.
    ``redirects_to_https`` is true for a redirect to https on the same host, which is what HSTS needs; ``reason`` says
    what is missing.
    """
    facts: dict[str, object] = {
        "reachable": None,
        "speaks_http": None,
        "status": None,
        "redirects_to_https": None,
        "location": None,
        "reason": "",
    }
    reachable, received, facts["reason"] = _ask(endpoint, "GET /", host, "", timeout_seconds)
    facts["reachable"] = reachable
    if facts["reason"]:
        return facts
    status, fields = http_head.parse_head(received)
    facts["speaks_http"], facts["status"] = status is not None, status
    facts["location"] = http_head.location(status, fields)
    facts["redirects_to_https"] = _leads_to_https(str(facts["location"] or ""), host)
    return facts


def opossum(endpoint: probe.Endpoint, host: str, timeout_seconds: float) -> Finding:
    """Ask for an upgrade to TLS in clear (CVE-2025-49812): one connection, which is closed when the answer is there.

    A server that upgrades on the port in clear, beside a port where TLS begins with the first byte, lets an attacker
    in between bring the answers of the two out of step. 101 shows it; to offer the upgrade without doing it is likely.
    The request is HEAD, which every proxy passes on, unlike the ``OPTIONS *`` of RFC 2817 3.2.
    """
    upgrade = "Upgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n"
    reachable, received, reason = _ask(endpoint, "HEAD /", host, upgrade, timeout_seconds)
    if reachable is False:
        return Finding(NOT_APPLICABLE, f"nothing listens on port {endpoint.port}")
    if reason:
        return Finding(NOT_TESTED, f"port {endpoint.port}: {reason}")
    status, fields = http_head.parse_head(received)
    if status is None:
        return Finding(NOT_APPLICABLE, f"port {endpoint.port} does not speak HTTP")
    return _judge_upgrade(endpoint.port, status, fields)


def _judge_upgrade(port: int, status: int, fields: http_head.Fields) -> Finding:
    offered = [name.strip() for value in fields.values("upgrade") for name in value.split(",")]
    to_tls = http_head.printable(", ".join(name for name in offered if name.upper().partition("/")[0] == "TLS"))
    if status == 101 and to_tls:
        return Finding(VULNERABLE, f"port {port} switched from HTTP to {to_tls} when it was asked to")
    if status == 101:  # without the field that RFC 9110 7.8 demands; TLS is all that was asked for
        return Finding(LIKELY, f"port {port} switched from HTTP when it was asked for TLS, without saying to what")
    if to_tls:
        return Finding(LIKELY, f"port {port} offers the upgrade to {to_tls} (status {status})")
    if status >= 500 or status in _TRY_LATER:
        return Finding(NOT_TESTED, f"port {port} failed to answer a request for an upgrade to TLS (status {status})")
    return Finding(NOT_VULNERABLE, f"port {port} answered {status} to a request for an upgrade to TLS")


def _ask(
    endpoint: probe.Endpoint, request: str, host: str, fields: str, timeout_seconds: float
) -> tuple[bool | None, bytes, str]:
    """Return whether something listens (``None``: it cannot be said), what was answered, and why there is no answer."""
    deadline = time.monotonic() + timeout_seconds
    shown = http_head.host_field(host, endpoint.port, PORT)
    connection = fields or "Connection: close\r\n"
    head = f"{request} HTTP/1.1\r\nHost: {shown}\r\nUser-Agent: ringmaster.webops\r\nAccept: */*\r\n{connection}\r\n"
    try:
        with probe.connect(endpoint, deadline) as sock:
            received, failure = http_head.exchange(sock, head.encode("ascii", "replace"), deadline)
            return True, received, failure
    except socket.timeout:
        return None, b"", f"no connection within {timeout_seconds:g} seconds"
    except ConnectionRefusedError:
        return False, b"", "the connection was refused"
    except OSError as error:
        return None, b"", f"no connection ({error.strerror or error})"


def _leads_to_https(target: str, host: str) -> bool:
    try:
        parts = urlsplit(target)
        return parts.scheme == "https" and (parts.hostname or "").rstrip(".") == host.lower().rstrip(".")
    except ValueError:
        return False
