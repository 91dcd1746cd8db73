# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one TLS endpoint does beyond agreeing to something: sessions, probes, and what the site says in clear."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import ssl
from collections.abc import Sequence

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    facts13,
    flights,
    handshake12,
    handshake13,
    hellos,
    http_facts,
    http_head,
    http_plain,
    issuers,
    key_shares,
    registry,
    resumption,
    signature_schemes,
    trust_store,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.evidence import Evidence, ShownCertificate
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake13 import Offer13
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import DEFAULT_PORT, Target
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.together import at_once
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import probes
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext

_OPOSSUM = "opossum"


class EndpointBehaviour:
    """The behaviour of one endpoint, while it is observed; everything that is found goes to ``evidence``."""

    def __init__(self, target: Target, session: Session, plain: Session | None, evidence: Evidence) -> None:
        """Observe with ``session``, and with ``plain`` where the site answers in clear."""
        self._target = target
        self._session = session
        self._plain = plain
        self._evidence = evidence

    def context_of(self, flight: wire.Flight | None) -> ProbeContext | None:
        """Return what one answer up to TLS 1.2 shows; ``None`` where no handshake can be completed with its suite."""
        hello = flight.server_hello if flight else None
        if hello is None or not handshake12.can_complete(hello.cipher_suite):
            return None
        return self._context({hello.version: (hello.cipher_suite,)}, {hello.version: frozenset(hello.extensions)})

    def context(self) -> ProbeContext:
        """Return what the complete lists show, and every answer to a hello with extensions."""
        suites = {version: tuple(found.accepted) for version, found in self._evidence.lists() if found.accepted}
        extensions: dict[int, frozenset[int]] = {}
        for _name, flight in self._evidence.flights:
            hello = flight.server_hello
            if hello is not None:
                seen = extensions.get(hello.version, frozenset())
                extensions[hello.version] = seen | frozenset(hello.extensions)
        return dataclasses.replace(
            self._context(suites, extensions),
            always_extended_master_secret=flights.always_extended_master_secret(self._evidence.flights),
            ticket_session=self._evidence.ticket_session,
        )

    def _context(self, suites: dict[int, tuple[int, ...]], extensions: dict[int, frozenset[int]]) -> ProbeContext:
        http = self._evidence.visit.http
        return ProbeContext(
            session=self._session,
            server_name=self._target.server_name,
            suites=suites,
            extensions=extensions,
            speaks_http=bool(http and http["speaks_http"]),
            starttls=self._target.starttls,
        )

    def offer_of(self, flight: wire.Flight | None) -> Offer13 | None:
        """Return the offer of TLS 1.3 that one answer shows; ``None`` where no handshake can be completed with it."""
        hello = flight.server_hello if flight else None
        if hello is None or hello.version != registry.TLS13 or hello.group is None:
            return None
        return handshake13.best_offer((hello.cipher_suite,), (hello.group,), self._target.server_name)

    def _offer(self) -> Offer13 | None:
        found = self._evidence.found13
        return handshake13.best_offer(
            tuple(found.suites.accepted), tuple(found.groups.accepted), self._target.server_name
        )

    def visit(self, early: Offer13 | None) -> None:
        """Complete a handshake, of TLS 1.3 where there is an offer, and ask for a page where HTTP may be spoken."""
        target, session, evidence, offer = self._target, self._session, self._evidence, early or self._offer()
        host = http_head.host_field(target.reference_name, target.port, DEFAULT_PORT)
        requested = host if target.starttls is None else None
        for _attempt in range(2):
            if offer is not None:
                visit = http_facts.visit_tls13(session, offer, requested)
            else:
                with session.turn():
                    visit = http_facts.visit(session.endpoint, target.server_name, requested, session.timeout_seconds)
            evidence.visit = visit
            if visit.certificates:  # else the handshake was not completed, which one reset can do
                session.answered()
                break
        self._note_visit(visit)

    def _note_visit(self, visit: http_facts.Exchange) -> None:
        evidence = self._evidence
        if visit.certificates:
            protocols = [visit.protocol or "unknown"]
            evidence.add_certificate(
                ShownCertificate(
                    visit.certificates,
                    visit.chain_complete,
                    "unknown",
                    self._target.server_name is not None,
                    protocols,
                    visit.stapled_ocsp,
                    visit.sct_list,
                    # Only a handshake of our own asks, and knows this.
                    visit.client_certificate_requested is not None,
                )
            )
        if visit.http is None:
            evidence.note("http", visit.failure)

    def ask_for_certificates_of_tls13(self) -> None:
        """Find the certificates that only TLS 1.3 shows, beside those that were seen already."""
        evidence, offer = self._evidence, self._offer()
        shown = {flights.key_type(entry.chain[0]) for entry in evidence.certificates.values()}
        for key_type, schemes in (
            ("RSA", registry.RSA_SIGNATURE_SCHEMES),
            ("ECDSA", registry.ECDSA_SIGNATURE_SCHEMES),
        ):
            if key_type in shown or not evidence.found13.suites.accepted:
                continue
            fact = f"certificates.{key_type}"
            if offer is None:
                evidence.note(fact, facts13.NO_OFFER)
                continue
            answer = facts13.certificate_of_key_type(self._session, offer, schemes)
            if answer.established is not None:
                evidence.add_certificate(self._shown_in_tls13(key_type, answer.established))
            elif not answer.refused:
                evidence.note(fact, answer.reason)
        if not evidence.certificates:
            evidence.note("certificates", evidence.visit.failure or "the server showed none")

    def _shown_in_tls13(self, key_type: str, established: handshake13.Established13) -> ShownCertificate:
        return ShownCertificate(
            list(established.certificates),
            True,
            key_type,
            self._target.server_name is not None,
            [registry.VERSION_NAMES[registry.TLS13]],
            established.stapled_ocsp,
            established.sct_list,
        )

    def ask_for_application_protocol(self) -> None:
        """Ask TLS 1.3 for the protocol above it where TLS 1.2 has not shown it, in clear and for nothing."""
        evidence, name, offer = self._evidence, registry.VERSION_NAMES[registry.TLS13], self._offer()
        if offer is None or self._target.starttls or evidence.accepted(registry.TLS12):
            return
        selected, reason = facts13.application_protocol(self._session, offer)
        if reason:
            evidence.note(f"alpn.{name}", reason)
        else:
            evidence.alpn[name] = selected

    def fetch_issuers(self) -> None:
        """Fetch what the chains lack from where their certificates say."""
        for entry in self._evidence.certificates.values():
            found = issuers.fetch_missing(entry.chain, _trusted_subjects(), self._session.timeout_seconds)
            entry.issuers = found.certificates
            if found.reason:
                self._evidence.note("certificates.issuers", found.reason)

    def resume_tls13(self) -> None:
        """Find out whether sessions of TLS 1.3 can be resumed, with the tickets of the visit where it brought some."""
        if self._evidence.found13.suites.accepted:
            self._note_sessions(facts13.sessions(self._session, self._offer(), self._evidence.visit.tickets))

    def resume(self, context: ProbeContext) -> None:
        """Find out whether sessions up to TLS 1.2 can be resumed."""
        found = resumption.measure(context)
        self._evidence.ticket_session = found.ticket_session
        self._note_sessions(found)

    def _note_sessions(self, found: resumption.Resumption) -> None:
        self._evidence.sessions.update(found.sessions)
        if any(facts["session_ticket"] is not None for facts in found.sessions.values()):
            self._session.answered()
        for entry in found.not_tested:
            self._evidence.note(entry["fact"], entry["reason"])

    def probe_one_version(self, context: ProbeContext) -> None:
        """Run the probes that need no more than one version."""
        self._run(probes.of_one_version(context, self._evidence.vulnerability_tests))

    def probe_all_versions(self) -> None:
        """Run the probes that need all that is accepted."""
        self._run(probes.of_all_versions(self.context(), self._evidence.vulnerability_tests))

    def _run(self, tasks: Sequence[probes.Task]) -> None:
        for findings in at_once(tasks):
            self._evidence.probes.update(findings)

    def ask_signature_schemes(self) -> None:
        """Ask for every signature scheme, where that many questions were asked for."""
        if self._evidence.vulnerability_tests != probes.DEEP:
            return
        session, name = self._session, self._target.server_name
        signed = tuple(
            number
            for number in self._evidence.accepted(registry.TLS12)
            if registry.cipher_suite(number).key_exchange in ("ECDHE", "DHE")
        )
        if signed:
            found = signature_schemes.by_removal(
                lambda schemes: session.ask(hellos.up_to_tls12(name, registry.TLS12, signed, schemes=schemes))
            )
            self._note_signature_schemes(registry.TLS12, found)
        suites = self._evidence.accepted(registry.TLS13)
        shared = key_shares.first_shareable(self._evidence.found13.groups.accepted)
        if suites and shared:
            found = signature_schemes.one_by_one(
                lambda schemes: session.ask(hellos.tls13(name, suites, shared, schemes, shared)), at_once
            )
            self._note_signature_schemes(registry.TLS13, found)

    def _note_signature_schemes(self, version: int, found: signature_schemes.Schemes) -> None:
        name = registry.VERSION_NAMES[version]
        self._evidence.signature_schemes[name] = found.accepted
        if found.gap:
            self._evidence.note(f"signature_schemes.{name}", found.gap)

    def look_in_clear(self) -> None:
        """Ask what the site says without TLS, where it is known to answer so."""
        plain, host = self._plain, self._target.reference_name
        if plain is None:
            return
        with plain.turn():
            self._evidence.plain_http = http_plain.inspect(plain.endpoint, host, plain.timeout_seconds)
        if self._evidence.vulnerability_tests in (probes.ACTIVE, probes.DEEP):
            with plain.turn():
                self._evidence.probes[_OPOSSUM] = http_plain.opossum(plain.endpoint, host, plain.timeout_seconds)


@functools.lru_cache(maxsize=1)
def _trusted_subjects() -> frozenset[bytes]:
    """Return the subjects of the scanning host's own anchors, which need not be fetched."""
    with contextlib.suppress(WebopsError, ValueError):  # without a store, one certificate more may be fetched
        return issuers.subjects(map(ssl.PEM_cert_to_DER_cert, trust_store.read_anchors(None)))
    return frozenset()
