# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all measurements share that complete a handshake of TLS 1.0 to 1.2: what to offer, and a connection for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake12, registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext

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


def why_no_offer(context: ProbeContext) -> tuple[bool, str]:
    """Return whether nothing could apply to the server where :func:`best_offer` has none, and the reason."""
    return not context.versions_up_to_tls12, NO_SUITE if context.versions_up_to_tls12 else NO_VERSION


@contextlib.contextmanager
def client(context: ProbeContext, timeout_seconds: float | None = None) -> Iterator[handshake12.Client]:
    """Lend one connection and close it politely; raises :class:`NotMeasuredError` for whatever goes wrong on it."""
    try:
        with context.session.connection(timeout_seconds) as (sock, deadline):
            connected = handshake12.Client(sock, deadline)
            yield connected
            connected.close()
    except ConnectionEndedError as error:
        raise NotMeasuredError(error.reason, error.alert) from error
    except MeasurementError as error:
        raise NotMeasuredError(error.reason) from error
    except OSError as error:
        raise NotMeasuredError(f"no connection: {error.strerror or error}") from error


def complete(context: ProbeContext, offer: handshake12.Offer) -> handshake12.Established:
    """Complete one handshake on a connection of its own; raises :class:`NotMeasuredError`."""
    with client(context) as connected:
        return connected.handshake(offer)
