# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all measurements share that complete a handshake of TLS 1.0 to 1.2: what to offer, and a connection for it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake12, registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_APPLICABLE,
    NOT_TESTED,
    Finding,
)

NO_VERSION = "the server speaks no version from TLS 1.0 to TLS 1.2"
NO_SUITE = "no handshake of ours can be completed with what the server accepts up to TLS 1.2"


class NotMeasuredError(Exception):
    """A connection or what was to happen on it failed; the text is the reason, ``alert`` the number of an alert."""

    def __init__(self, reason: str, alert: int | None = None) -> None:
        """Say why."""
        super().__init__(reason)
        self.alert = alert


def best_offer(context: ProbeContext) -> handshake12.Offer | None:
    """Return an offer of the highest version that the server accepts and a handshake can be completed with."""
    for version in context.versions_up_to_tls12:
        suites = tuple(suite for suite in context.suites[version] if handshake12.can_complete(suite))
        if version >= registry.TLS10 and suites:
            return handshake12.Offer(version, suites, context.server_name)
    return None


def without_offer(context: ProbeContext) -> Finding:
    """Return the finding of what needs a handshake, where :func:`best_offer` has none."""
    return Finding(NOT_TESTED, NO_SUITE) if context.versions_up_to_tls12 else Finding(NOT_APPLICABLE, NO_VERSION)


@contextlib.contextmanager
def connection(session: Session, timeout_seconds: float | None = None) -> Iterator[tuple[socket.socket, float]]:
    """Lend a socket and its deadline; raises :class:`NotMeasuredError` for whatever goes wrong on the connection."""
    try:
        with session.connection(timeout_seconds) as connected:
            yield connected
    except ConnectionEndedError as error:
        raise NotMeasuredError(error.reason, error.alert) from error
    except MeasurementError as error:
        raise NotMeasuredError(error.reason) from error
    except OSError as error:
        raise NotMeasuredError(f"no connection: {error.strerror or error}") from error


@contextlib.contextmanager
def client(context: ProbeContext, timeout_seconds: float | None = None) -> Iterator[handshake12.Client]:
    """Lend one connection and close it politely; raises :class:`NotMeasuredError` for whatever goes wrong on it."""
    with connection(context.session, timeout_seconds) as (sock, deadline):
        connected = handshake12.Client(sock, deadline)
        yield connected
        connected.close()


def complete(context: ProbeContext, offer: handshake12.Offer) -> handshake12.Established:
    """Complete one handshake on a connection of its own; raises :class:`NotMeasuredError`."""
    with client(context) as connected:
        return connected.handshake(offer)
