# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether sessions up to TLS 1.2 can be resumed, by session id (RFC 5246 7.3) and by ticket (RFC 5077).

Three connections as a rule: the first gets a session id, the second offers it and asks for a ticket, the third offers
the ticket. A server that resumes by id without issuing a ticket needs a fourth, and one that issues one then often does
not say again how long it lives.
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
    """The facts for each protocol as they stand in ``sessions``, and the reasons for what was not measured.

    ``ticket_session`` is a session up to TLS 1.2 with its ticket, for whoever goes on with it.
    """

    sessions: dict[str, Facts] = field(default_factory=dict)
    not_tested: list[dict[str, str]] = field(default_factory=list)
    ticket_session: handshake12.Resumable | None = None


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
            result.ticket_session = _measure(context, offer, facts)
        except handshaking.NotMeasuredError as error:
            reason = str(error)
    for fact in ("session_id", "session_ticket"):
        if facts[fact] is None:
            result.not_tested.append({"fact": f"sessions.{name}.{fact}", "reason": reason})
    return result


def _measure(context: ProbeContext, offer: handshake12.Offer, facts: Facts) -> handshake12.Resumable | None:
    """Fill in the facts; return the session of the ticket that was issued, if one was."""
    asking = dataclasses.replace(offer, ticket=b"")
    first = handshaking.complete(context, offer).session
    if first.session_id:
        resuming = dataclasses.replace(asking, session_id=first.session_id, resume=first)
        second = handshaking.complete(context, resuming)
        facts["session_id"] = second.resumed
        knows_tickets = wire.SESSION_TICKET[0] in context.extensions.get(offer.version, ())
        if second.resumed and second.session.ticket is None and knows_tickets:
            second = handshaking.complete(context, asking)
    else:
        facts["session_id"] = False
        second = handshaking.complete(context, asking)
    ticket = second.session.ticket
    if ticket is None:
        facts["session_ticket"] = False
        return None
    facts["ticket_lifetime_seconds"] = second.session.ticket_lifetime_seconds
    # A session id of our own beside the ticket comes back when the ticket was taken (RFC 5077 3.4).
    resuming = dataclasses.replace(offer, ticket=ticket, session_id=os.urandom(32), resume=second.session)
    facts["session_ticket"] = handshaking.complete(context, resuming).resumed
    return second.session
