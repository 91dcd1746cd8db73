# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether sessions up to TLS 1.2 can be resumed, by session id (RFC 5246 7.3) and by ticket (RFC 5077).

Three connections at most where sessions are not resumed by id: the first gets an id, the second offers it and asks for
a ticket, the third offers the ticket. Where they are, the second had no reason to issue a ticket or to say how long it
lives, and if tickets are known there, one more connection asks for one.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake12, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext

Facts = dict[str, "bool | int | None"]


@dataclass
class Resumption:
    """The facts for each protocol as they stand in ``sessions``, and the reasons for what was not measured."""

    sessions: dict[str, Facts] = field(default_factory=dict)
    not_tested: list[dict[str, str]] = field(default_factory=list)


def measure(context: ProbeContext) -> Resumption:
    """Measure the highest version up to TLS 1.2; nothing is said of a server that speaks none."""
    result = Resumption()
    if not context.versions_up_to_tls12:
        return result
    offer = handshaking.best_offer(context)
    name = registry.VERSION_NAMES[offer.version if offer else context.versions_up_to_tls12[0]]
    facts: Facts = dict.fromkeys(("session_id", "session_ticket", "ticket_lifetime_seconds", "max_early_data_bytes"))
    result.sessions[name] = facts
    reason = handshaking.NO_SUITE
    if offer is not None:
        try:
            _measure(context, offer, facts)
        except handshaking.NotMeasuredError as error:
            reason = str(error)
    for fact in ("session_id", "session_ticket"):
        if facts[fact] is None:
            result.not_tested.append({"fact": f"sessions.{name}.{fact}", "reason": reason})
    return result


def _measure(context: ProbeContext, offer: handshake12.Offer, facts: Facts) -> None:
    asking = dataclasses.replace(offer, ticket=b"")
    first = handshaking.complete(context, offer).session
    if first.session_id:
        resuming = dataclasses.replace(asking, session_id=first.session_id, resume=first)
        second = handshaking.complete(context, resuming)
        facts["session_id"] = second.resumed
        knows_tickets = wire.SESSION_TICKET[0] in context.extensions.get(offer.version, ())
        if second.resumed and second.session.ticket_lifetime_seconds is None and knows_tickets:
            second = handshaking.complete(context, asking)
    else:
        facts["session_id"] = False
        second = handshaking.complete(context, asking)
    ticket = second.session.ticket
    if ticket is None:
        facts["session_ticket"] = False
        return
    facts["ticket_lifetime_seconds"] = second.session.ticket_lifetime_seconds
    # A session id of our own beside the ticket comes back when the ticket was taken (RFC 5077 3.4).
    resuming = dataclasses.replace(offer, ticket=ticket, session_id=os.urandom(32), resume=second.session)
    facts["session_ticket"] = handshaking.complete(context, resuming).resumed
