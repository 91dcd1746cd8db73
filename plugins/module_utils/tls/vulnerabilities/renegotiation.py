# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renegotiation that a client begins: without RFC 5746 (CVE-2009-3555), and without a limit (CVE-2011-1473).

One connection as a rule. A second is needed where the server ends the first or does not answer, and where it
renegotiates with RFC 5746: then the question is whether it does so without. At most 10 handshakes follow the first on a
connection.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake12, http_head, records12, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.probe import ALERT, CLOSED, RESET
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import REFUSING_ALERTS
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

_INSECURE = "insecure_renegotiation"
_CLIENT_INITIATED = "client_initiated_renegotiation"

# Servers that limit renegotiation stop before the tenth: Node.js at 3, F5 at 5, Stormshield at 9.
_MOST = 10
_PATIENCE_SECONDS = 3.0

_KNOWS_RFC_5746 = Finding(NOT_VULNERABLE, "the server answers with renegotiation_info (RFC 5746)")


@dataclass(frozen=True)
class _Attempt:
    """How many renegotiations a connection saw, how it ended, and whether that end can be believed at once."""

    accepted: int
    end: str
    certain: bool


def probe(context: ProbeContext) -> dict[str, Finding]:
    """Return the findings ``insecure_renegotiation`` and ``client_initiated_renegotiation``."""
    offer = handshaking.best_offer(context)
    if offer is None:
        return dict.fromkeys((_INSECURE, _CLIENT_INITIATED), handshaking.without_offer(context))
    secure = wire.RENEGOTIATION_INFO[0] in context.extensions.get(offer.version, ())
    without_extension = dataclasses.replace(offer, renegotiation_info=False)
    try:
        attempt = _believable(context, offer if secure else without_extension, _MOST)
    except handshaking.NotMeasuredError as error:
        failed = Finding(NOT_TESTED, str(error))
        return {_INSECURE: _KNOWS_RFC_5746 if secure else failed, _CLIENT_INITIATED: failed}
    if not secure:
        insecure = _insecure(attempt)
    elif attempt.accepted:
        insecure = _insecure_beside_secure(context, without_extension)
    else:
        insecure = _KNOWS_RFC_5746
    return {_INSECURE: insecure, _CLIENT_INITIATED: _client_initiated(attempt)}


def _insecure_beside_secure(context: ProbeContext, without_extension: handshake12.Offer) -> Finding:
    """Test a server that knows RFC 5746 and lets clients renegotiate: it may do so with old ones, too."""
    try:
        return _insecure(_believable(context, without_extension, 1))
    except handshaking.NotMeasuredError as error:
        if error.alert in REFUSING_ALERTS:
            return Finding(NOT_VULNERABLE, f"clients without the extension of RFC 5746 are refused: {error}")
        return Finding(NOT_TESTED, str(error))


def _insecure(attempt: _Attempt) -> Finding:
    what = "a renegotiation without the extension of RFC 5746"
    if attempt.accepted:
        return Finding(VULNERABLE, f"{what} was completed")
    return Finding(NOT_VULNERABLE, f"{what} was refused: {attempt.end}")


def _client_initiated(attempt: _Attempt) -> Finding:
    if attempt.accepted == _MOST:
        return Finding(VULNERABLE, f"{_MOST} renegotiations in one connection were completed")
    if attempt.accepted:
        return Finding(NOT_VULNERABLE, f"limited: after {attempt.accepted} renegotiations, {attempt.end}")
    return Finding(NOT_VULNERABLE, f"refused: {attempt.end}")


def _believable(context: ProbeContext, offer: handshake12.Offer, most: int) -> _Attempt:
    """Try once, and again where the end of the first attempt is no clear refusal; raises ``NotMeasuredError``."""
    first = _attempt(context, offer, most)
    if first.certain:
        return first
    second = _attempt(context, offer, most)
    if second.certain or (second.accepted, second.end) == (first.accepted, first.end):
        return second
    raise handshaking.NotMeasuredError(f"two attempts ended differently: {first.end}; {second.end}")


def _attempt(context: ProbeContext, offer: handshake12.Offer, most: int) -> _Attempt:
    accepted = 0
    with handshaking.client(context, 3 * context.session.timeout_seconds) as connected:
        connected.handshake(offer)
        try:
            while accepted < most:
                with connected.records.patience(_PATIENCE_SECONDS):
                    connected.handshake(offer)
                accepted += 1
        except records12.ConnectionEndedError as error:
            if error.kind == ALERT:
                return _Attempt(accepted, error.reason, certain=True)
            if error.kind in (CLOSED, RESET):
                return _Attempt(accepted, "the connection was ended", certain=False)
            alive = context.speaks_http and _still_answers(connected)
            end = "it was ignored and the connection went on" if alive else "it was not answered"
            return _Attempt(accepted, end, certain=alive)
    return _Attempt(accepted, "", certain=True)


def _still_answers(connected: handshake12.Client) -> bool:
    try:
        with connected.records.patience(_PATIENCE_SECONDS):
            connected.records.send(wire.CONTENT_APPLICATION_DATA, http_head.SHORT_REQUEST)
            connected.receive_application_data()
    except (records12.ConnectionEndedError, wire.DecodeError):
        return False
    return True
