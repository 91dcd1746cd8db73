# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts that take complete handshakes of TLS 1.3: the certificate of a kind of key, and the resumption of sessions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import handshake13, hellos, registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake13 import Established13, Offer13, Ticket
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.resumption import Facts, Resumption
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import REFUSING_ALERTS, Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking

NO_OFFER = "no handshake can be completed with the cipher suites and groups that the server accepts in TLS 1.3"


@dataclass(frozen=True)
class KeyTypeAnswer:
    """A handshake with the certificate that was asked for, a refusal, or the reason why it is not known."""

    established: Established13 | None = None
    refused: bool = False
    reason: str = ""


def certificate_of_key_type(session: Session, offer: Offer13, schemes: tuple[int, ...]) -> KeyTypeAnswer:
    """Ask for the certificate whose key signs with one of these schemes.

    One connection when it is answered with the certificate or a clear refusal; else the same hello is asked again, as
    often as the session needs to be sure that it is refused. A server that answers with another kind of key refuses.
    """
    if session.given_up:
        return KeyTypeAnswer(reason=session.given_up)
    try:
        with handshaking.connection(session) as (sock, deadline):
            client = handshake13.Client(sock, deadline)
            established = client.handshake(dataclasses.replace(offer, schemes=schemes))
            client.close()
    except handshaking.NotMeasuredError as error:
        if error.alert in REFUSING_ALERTS:
            return KeyTypeAnswer(refused=True)
        reason = str(error)
    else:
        known = established.signature_scheme in schemes
        return KeyTypeAnswer(established) if known else KeyTypeAnswer(refused=True)
    shared = offer.groups[:1]
    reply = session.ask(hellos.tls13(offer.server_name, offer.suites, shared, schemes, shared=shared))
    return KeyTypeAnswer(refused=reply.refused, reason="" if reply.refused else reason)


def application_protocol(session: Session, offer: Offer13) -> tuple[list[str], str]:
    """Return the protocol that is selected of h2 and http/1.1 (RFC 7301), if any, and why that is not known."""
    try:
        with handshaking.connection(session) as (sock, deadline):
            client = handshake13.Client(sock, deadline)
            established = client.handshake(dataclasses.replace(offer, alpn=hellos.ALPN_PROTOCOLS))
            client.close()
    except handshaking.NotMeasuredError as error:
        return [], str(error)
    return [established.alpn] if established.alpn else [], ""


def sessions(session: Session, offer: Offer13 | None, tickets: tuple[Ticket, ...] = ()) -> Resumption:
    """Measure ``sessions["TLSv1.3"]``; ``offer`` is ``None`` where no handshake can be completed.

    ``tickets`` are those that a handshake before has brought. One connection with them, else two: one to be given a
    ticket and one to resume with it. ``session_ticket`` is true when a ticket was given and did resume;
    ``max_early_data_bytes`` is 0 where no early data may be sent. TLS 1.3 has no resumption by session id (RFC 8446
    2.2), so ``session_id`` is ``None``.
    """
    facts: Facts = {
        "session_id": None,
        "session_ticket": None,
        "ticket_lifetime_seconds": None,
        "max_early_data_bytes": None,
    }
    reason = NO_OFFER if offer is None else _measure(session, offer, tickets, facts)
    missing = [fact for fact in ("session_ticket", "max_early_data_bytes") if facts[fact] is None]
    return Resumption(
        {registry.VERSION_NAMES[registry.TLS13]: facts},
        [{"fact": f"sessions.TLSv1.3.{fact}", "reason": reason} for fact in missing],
    )


def _measure(session: Session, offer: Offer13, tickets: tuple[Ticket, ...], facts: Facts) -> str:
    """Fill in the facts; return why that could not be done."""
    if session.given_up:
        return session.given_up
    try:
        tickets = tickets or _tickets(session, offer)
        if not tickets:
            facts.update(session_ticket=False, max_early_data_bytes=0)
            return ""
        facts["ticket_lifetime_seconds"] = max(ticket.lifetime_seconds for ticket in tickets)
        facts["max_early_data_bytes"] = max(ticket.max_early_data_bytes for ticket in tickets)
        ticket = next((ticket for ticket in tickets if ticket.can_be_offered), None)
        if ticket is None:
            return "the server's tickets are too long to be offered"
        facts["session_ticket"] = _resumes(session, offer, ticket)
    except handshaking.NotMeasuredError as error:
        return str(error)
    return ""


def _tickets(session: Session, offer: Offer13) -> tuple[Ticket, ...]:
    """Return the tickets of a new session; none is certain to mean that there are none."""
    with handshaking.connection(session) as (sock, deadline):
        client = handshake13.Client(sock, deadline)
        client.handshake(offer)
        client.wait_for_ticket()
        return tuple(client.tickets)


def _resumes(session: Session, offer: Offer13, ticket: Ticket) -> bool:
    """Return whether a new connection takes up the session of a ticket."""
    with handshaking.connection(session) as (sock, deadline):
        client = handshake13.Client(sock, deadline)
        established = client.handshake(dataclasses.replace(offer, suites=(ticket.cipher_suite,), resume=ticket))
        client.close()
        return established.resumed
