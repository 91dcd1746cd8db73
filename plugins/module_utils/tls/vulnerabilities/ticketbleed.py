# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ticketbleed (CVE-2016-9244): a session id beside a ticket is echoed as 32 bytes, however short it was.

The id that is sent is 31 bytes long, so that a vulnerable server can show one byte that is not ours; it is compared and
not kept. Two connections as a rule, four at most.
"""

from __future__ import annotations

import dataclasses
import os

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake12, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    LIKELY,
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

_TRIES = 3
_ID_BYTES = 31
_FULL_ID_BYTES = 32


def probe(context: ProbeContext) -> Finding:
    """Return whether the server pads the session id that it echoes with bytes that are not the client's."""
    offer = handshaking.best_offer(context)
    if offer is None:
        return handshaking.without_offer(context)
    if not any(wire.SESSION_TICKET[0] in seen for seen in context.extensions.values()):
        return Finding(NOT_APPLICABLE, "the server does not answer with the session ticket extension")
    if context.always_extended_master_secret and registry.TLS13 in context.suites:  # the fault was repaired in 2017
        return Finding(NOT_VULNERABLE, "excluded: it speaks TLS 1.3, as no BIG-IP with this fault does")
    try:
        session = context.ticket_session
        if session is None:
            session = handshaking.complete(context, dataclasses.replace(offer, ticket=b"")).session
        if session.ticket is None:
            return Finding(NOT_APPLICABLE, "the server issues no session ticket")
        return _resume(context, dataclasses.replace(offer, ticket=session.ticket, resume=session))
    except handshaking.NotMeasuredError as error:
        return Finding(NOT_TESTED, str(error))


def _resume(context: ProbeContext, offer: handshake12.Offer) -> Finding:
    foreign: list[bytes] = []
    resumed_once = False
    for _try in range(_TRIES):
        ours = os.urandom(_ID_BYTES)
        with handshaking.client(context) as connected:
            hello, resumed = connected.server_hello(dataclasses.replace(offer, session_id=ours))
        resumed_once = resumed_once or resumed
        if len(hello.session_id) == _FULL_ID_BYTES and hello.session_id.startswith(ours):
            foreign.append(hello.session_id[_ID_BYTES:])
        elif resumed:
            break
    if len(foreign) == _TRIES:
        return _judge(foreign)
    if foreign:
        return Finding(NOT_TESTED, "the server pads a short session id in some answers and not in others")
    if not resumed_once:
        return Finding(NOT_TESTED, f"the server took its own ticket in none of {_TRIES} connections")
    return Finding(NOT_VULNERABLE, f"a session id of {_ID_BYTES} bytes beside a ticket was not padded")


def _judge(foreign: list[bytes]) -> Finding:
    padded = f"a session id of {_ID_BYTES} bytes beside a ticket came back as {_FULL_ID_BYTES}"
    if len(set(foreign)) > 1:
        return Finding(VULNERABLE, f"{padded}, with another last byte each time")
    if foreign[0] == b"\x00":
        return Finding(NOT_TESTED, f"{padded}, filled up with zero {_TRIES} times: padding, or memory that is empty")
    return Finding(LIKELY, f"{padded}, filled up with the same byte {_TRIES} times")
