# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scan one TLS endpoint: which hellos, in what order, how many at once. The results are facts, without any judgement.

Only what a server says in clear is read (ClientHello out, first flight in), wherever that is enough. Each line of
questions runs as soon as what it builds on is known; the session's manners decide how many connections that makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    endpoint_facts,
    flights,
    hellos,
    key_shares,
    probe,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import enumerate as enumeration
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.endpoint_behaviour import EndpointBehaviour
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.enumerate import Found, Found13
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.evidence import Evidence
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply, Session, alert_of
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import Target
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.together import at_once

_OLD_VERSIONS = (registry.TLS11, registry.TLS10)
_MOST_LINES = 16
_PROTOCOL_VERSION = 70
_INAPPROPRIATE_FALLBACK = 86
_NO_APPLICATION_PROTOCOL = 120
_MIXED = "some answers show a version that others refuse: more than one kind of server is behind this address"
# Shares of these are tried on a server that seems to want one in the first hello: some of them every server has.
_USUAL_SHARES = (0x11EC, 0x001D, 0x0017, 0x0018, 0x0019)


class EndpointScan:
    """The facts of one endpoint while they are gathered."""

    def __init__(self, target: Target, session: Session, plain: Session | None, vulnerability_tests: str) -> None:
        """Start with nothing asked yet of ``target``; ``session`` reaches it and counts the connections.

        ``plain`` does so where the same site answers in clear; ``vulnerability_tests`` is a level of ``probes``.
        """
        self._target = target
        self._name = target.server_name
        self._session = session
        self._evidence = Evidence(target.server_name, vulnerability_tests)
        self._behaviour = EndpointBehaviour(target, session, plain, self._evidence)

    def contact_hellos(self) -> tuple[bytes, ...]:
        """Return the hellos of the first contact: one of them is understood by whatever speaks TLS."""
        return (
            self._first_hello(registry.TLS12, self._protocols),
            hellos.tls13(self._name, registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS),
            self._first_hello(registry.TLS11),
            self._first_hello(registry.SSL3),
        )

    def run(self, contacts: Sequence[probe.Outcome]) -> None:
        """Ask everything; ``contacts`` is how the hellos of :meth:`contact_hellos` were answered."""
        behaviour = self._behaviour
        early, early13 = behaviour.context_of(contacts[0].flight), behaviour.offer_of(contacts[1].flight)
        with ThreadPoolExecutor(max_workers=_MOST_LINES) as pool:

            def start(line: Callable[[], None], *builds_on: Future[None]) -> Future[None]:
                return pool.submit(_after, builds_on, line)

            tls12, tls13 = start(lambda: self._tls12(contacts[0])), start(lambda: self._tls13(contacts[1]))
            tls11, sslv3 = start(lambda: self._tls11(contacts[2])), start(lambda: self._sslv3(contacts[3]))
            # What one answer suffices for does not wait for the lists, and what is short waits for what is long.
            if early:
                resumption = start(lambda: behaviour.resume(early))
                tls10 = start(self._tls10, tls11, resumption)
                lists = (tls12, tls13, tls11, tls10, sslv3)
            else:
                tls10 = start(self._tls10, tls11)
                lists = (tls12, tls13, tls11, tls10, sslv3)
                resumption = start(lambda: behaviour.resume(behaviour.context()), *lists)
            ready, ready13 = () if early else lists, () if early13 else lists
            visit = start(lambda: behaviour.visit(early13), *ready13)
            lines = [
                start(lambda: behaviour.probe_one_version(early or behaviour.context()), visit, *ready),
                start(self._sslv2, resumption, tls10),
                start(self._without_name, resumption, *lists),
                start(self._groups_up_to_tls12, *lists),
                start(self._finite_field_groups, *lists),
                start(self._chacha20_priority, tls12),
                start(self._fallback_scsv, *lists),
                start(behaviour.resume_tls13, visit, tls13),
                start(behaviour.ask_for_application_protocol, *lists),
                start(behaviour.probe_all_versions, *lists, visit, resumption),
                start(behaviour.ask_signature_schemes, *lists),
                start(behaviour.look_in_clear),
            ]
            for running in (*lists, resumption, visit, *lines):
                running.result()
        behaviour.ask_for_certificates_of_tls13()
        self._doubt()

    def fetch_issuers(self) -> None:
        """Fetch what the chains lack; this contacts other hosts, which the certificates name."""
        self._behaviour.fetch_issuers()

    def facts(self, addresses: list[str]) -> dict[str, object]:
        """Return all facts in the shape that the module documents."""
        return {
            "target": self._target.as_dict(),
            "address": self._session.endpoint.address,
            "addresses": addresses,
            "reachable": True,
            "error": None,
            **endpoint_facts.facts_of(self._evidence),
        }

    # --- which suites, up to TLS 1.2

    def _hello(self, version: int, suites: tuple[int, ...], groups: tuple[int, ...] = registry.TLS12_GROUPS) -> bytes:
        return hellos.up_to_tls12(self._name, version, suites, groups)

    def _first_hello(self, version: int, protocols: tuple[str, ...] = ()) -> bytes:
        suites = enumeration.first_list(registry.suites_for_version(version))
        return hellos.up_to_tls12(self._name, version, suites, protocols=protocols)

    def _question(self, version: int) -> enumeration.Question:
        """Return the question about suites of a version; with the suites in reversed order the groups are too."""
        place = {suite: at for at, suite in enumerate(registry.suites_for_version(version))}

        def question(suites: tuple[int, ...]) -> Reply:
            backwards = len(suites) > 1 and place[suites[0]] > place[suites[-1]]
            groups = tuple(reversed(registry.TLS12_GROUPS)) if backwards else registry.TLS12_GROUPS
            reply = self._session.ask(self._hello(version, suites, groups))
            self._evidence.note_flight(reply.flight, backwards)
            return reply

        return question

    @property
    def _protocols(self) -> tuple[str, ...]:
        return () if self._target.starttls else hellos.ALPN_PROTOCOLS

    def _tls12(self, contact: probe.Outcome) -> None:
        if alert_of(contact) == _NO_APPLICATION_PROTOCOL:
            self._enumerate(registry.TLS12, self._session.ask(self._first_hello(registry.TLS12), True))
            return
        reply = self._session.believe(self._first_hello(registry.TLS12, self._protocols), contact, True)
        self._enumerate(registry.TLS12, reply)
        if self._protocols:
            self._note_alpn(reply)

    def _note_alpn(self, reply: Reply) -> None:
        """Note what was selected of the protocols that the first contact offered, where that was TLS 1.2."""
        shown = reply.flight.server_hello if reply.flight else None
        if shown is None or shown.version != registry.TLS12:
            return
        name = registry.VERSION_NAMES[shown.version]
        content = shown.extensions.get(wire.EXT_ALPN)
        try:
            selected = [] if content is None else [wire.decode_alpn(content)]
        except wire.DecodeError as error:
            self._evidence.note(f"alpn.{name}", error.reason)
            return
        self._evidence.alpn[name] = selected

    def _enumerate(self, version: int, first: Reply) -> None:
        suites = registry.suites_for_version(version)
        self._evidence.note_flight(first.flight)
        question = self._question(version)
        found = enumeration.enumerate_suites(question, version, suites, first, at_once)
        enumeration.enumerate_behind_ecdsa(question, version, suites, found, at_once)
        self._evidence.found[version] = found
        name = registry.VERSION_NAMES[version]
        if found.gap:
            self._note(f"cipher_suites.{name}" if found.accepted else f"protocols.{name}", found.gap)

    def _tls11(self, contact: probe.Outcome) -> None:
        reply = self._session.believe(self._first_hello(registry.TLS11), contact, True)
        answer = reply.flight.server_hello if reply.flight else None
        if answer is not None and answer.version == registry.TLS10:  # it stepped down by itself
            self._evidence.found[registry.TLS11] = Found()
            self._enumerate(registry.TLS10, reply)
        else:
            self._enumerate(registry.TLS11, reply)

    def _tls10(self) -> None:
        """Ask for TLS 1.0 even where TLS 1.1 was refused: GnuTLS does not step over a version that is switched off."""
        if registry.TLS10 not in self._evidence.found:
            self._enumerate(registry.TLS10, self._session.ask(self._first_hello(registry.TLS10), True))

    def _sslv3(self, contact: probe.Outcome) -> None:
        self._enumerate(registry.SSL3, self._session.believe(self._first_hello(registry.SSL3), contact, True))

    def _sslv2(self) -> None:
        reply, answer = self._session.ask_sslv2(hellos.sslv2())
        self._evidence.sslv2 = "offered" if answer else "not_offered" if reply.refused else "not_tested"
        if self._evidence.sslv2 == "not_tested":
            self._note("protocols.SSLv2", reply.reason)

    # --- TLS 1.3

    def _tls13(self, contact: probe.Outcome) -> None:
        suites, groups = registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS
        first = self._session.believe(hellos.tls13(self._name, suites, groups), contact)
        found = enumeration.enumerate_tls13(self._question13(), suites, groups, first, at_once)
        if not found.suites.accepted and found.suites.last_alert != _PROTOCOL_VERSION:
            found = self._tls13_with_shares(found)
        self._evidence.found13 = found
        for fact, part in (("cipher_suites.TLSv1.3", found.suites), ("groups.TLSv1.3", found.groups)):
            if part.gap:
                self._note(fact if found.suites.accepted else "protocols.TLSv1.3", part.gap)

    def _question13(self, shared: tuple[int, ...] | None = ()) -> enumeration.JointQuestion:
        """Return the question about both lists, with shares of some groups or, with ``None``, of all that it asks."""

        def question(suites: tuple[int, ...], groups: tuple[int, ...]) -> Reply:
            shares = groups if shared is None else shared
            return self._session.ask(hellos.tls13(self._name, suites, groups, shared=shares))

        return question

    def _tls13_with_shares(self, without: Found13) -> Found13:
        """Ask a server again that does not answer a hello without key share, which it need not be able to.

        It also need not know HelloRetryRequest, so each group is asked for together with a share of it.
        """
        reply = self._question13(_USUAL_SHARES)(registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS)
        answer = reply.flight.server_hello if reply.flight else None
        if answer is None or answer.version != registry.TLS13:
            if reply.refused:
                return Found13()
            return without
        parts = key_shares.in_few_hellos(registry.TLS13_GROUPS)
        return enumeration.enumerate_tls13_by_parts(
            self._question13(None), registry.TLS13_CIPHER_SUITES, parts, at_once
        )

    # --- what builds on the lists

    def _best_version_with(self, key_exchange: str) -> int | None:
        """Return the highest version up to TLS 1.2 that has suites with a key exchange."""
        versions = (registry.TLS12, *_OLD_VERSIONS)
        return next((version for version in versions if self._evidence.suites(version, key_exchange)), None)

    def _groups_up_to_tls12(self) -> None:
        """Find the groups of TLS 1.2 that TLS 1.3 and the enumeration of the suites have not shown already."""
        evidence = self._evidence
        version = self._best_version_with("ECDHE")
        if version is None:
            return
        evidence.groups12_version = version
        with_rsa = evidence.suites(version, "ECDHE", "RSA")
        suites = with_rsa or evidence.suites(version, "ECDHE")
        last = () if with_rsa else tuple(sorted(self._certificate_curves()))
        picks = evidence.group_picks.get(version, [])
        between, follows_client = enumeration.groups_between(picks, registry.TLS12_GROUPS)
        known = {group for _reversed, group in picks} | set(evidence.found13.groups.accepted)
        candidates = tuple(group for group in between if group not in known)
        if not candidates and known.issuperset(last):
            return

        def question(groups: tuple[int, ...]) -> Reply:
            return self._session.ask(self._hello(version, suites, groups))

        found = enumeration.enumerate_groups(question, candidates, last)
        evidence.groups12 = found
        if found.accepted and found.accepted[-1] in last and not follows_client:
            found.gap = "the server prefers the curve of its certificate, which hides what it likes less"
        if found.gap:
            self._note(f"groups.{registry.VERSION_NAMES[version]}", found.gap)

    def _certificate_curves(self) -> set[int]:
        shown = self._evidence.certificates.values()
        return {curve for entry in list(shown) for curve in flights.certificate_curves(entry.chain[0])}

    def _finite_field_groups(self) -> None:
        """Ask a server that showed parameters of its own whether it also takes the groups of RFC 7919."""
        version = self._best_version_with("DHE")
        if version is None:
            return
        suites = self._evidence.suites(version, "DHE")
        reply = self._session.ask(self._hello(version, suites, registry.FFDHE_GROUPS))
        self._evidence.note_flight(reply.flight)
        if reply.flight is None and not reply.refused:
            self._note(f"dh_parameters.{registry.VERSION_NAMES[version]}", reply.reason)

    def _without_name(self) -> None:
        """Ask for no name: old clients and scanners of addresses get another certificate where there are several."""
        version = next(filter(self._evidence.accepted, (registry.TLS12, *_OLD_VERSIONS)), None)
        if version is None or self._name is None:
            return
        reply = self._session.ask(hellos.up_to_tls12(None, version, self._evidence.accepted(version)))
        if reply.flight is not None:
            self._evidence.server_name_required = False
            self._evidence.note_certificates(reply.flight, name_sent=False)
        elif reply.refused:
            self._evidence.server_name_required = True
        else:
            self._note("certificates.without_server_name", reply.reason)

    def _chacha20_priority(self) -> None:
        """Put ChaCha20 first in the list for a server that has an order of its own, and likes something else best."""
        found = self._evidence.found[registry.TLS12]
        first = tuple(suite for suite in found.accepted if enumeration.is_chacha20(suite))
        others = tuple(suite for suite in found.accepted if suite not in first)
        if found.preference != enumeration.SERVER or not first or not others or found.accepted[0] in first:
            return
        reply = self._session.ask(self._hello(registry.TLS12, (*first, *others)))
        self._evidence.note_flight(reply.flight)
        answer = reply.flight.server_hello if reply.flight else None
        if answer is None:
            self._note("chacha20_priority", reply.reason or "the server refused what it had accepted")
        else:
            self._evidence.chacha20_priority = answer.cipher_suite in first

    def _fallback_scsv(self) -> None:
        """Pretend to fall back to a version below the best (RFC 7507): a server that knows better refuses."""
        evidence = self._evidence
        versions = [version for version in (registry.TLS12, *_OLD_VERSIONS) if evidence.accepted(version)]
        if len(versions) < 2:
            unknown = [version for version in (registry.TLS12, *_OLD_VERSIONS) if evidence.gap(version)]
            evidence.fallback_scsv = "not_tested" if unknown else "not_applicable"
            if unknown:
                self._note("fallback_scsv", "it is not known which versions are accepted")
            return
        # Some servers look for it at the end of the list alone.
        suites = (*evidence.accepted(versions[1])[: enumeration.CHUNK], registry.FALLBACK_SCSV)
        reply = self._session.ask(self._hello(versions[1], suites))
        if reply.flight is not None:
            evidence.fallback_scsv = "not_supported"
        elif reply.alert == _INAPPROPRIATE_FALLBACK:
            evidence.fallback_scsv = "supported"
        else:
            self._note("fallback_scsv", reply.reason or "the server refused with another alert")

    # --- the notes

    def _note(self, fact: str, reason: str) -> None:
        self._evidence.note(fact, reason)

    def _doubt(self) -> None:
        """Believe no refusal of a server that refuses in the end what it answered before, or whose answers differ."""
        reason = self._session.doubt() or self._contradiction()
        if not reason:
            return
        for version, found in self._evidence.lists():
            name = registry.VERSION_NAMES[version]
            found.gap = found.gap or reason
            self._note(f"cipher_suites.{name}" if found.accepted else f"protocols.{name}", reason)
            if found.accepted and version != registry.SSL3:
                self._note(f"groups.{name}", reason)
        self._note("certificates.more", reason)
        if self._evidence.sslv2 == "not_offered":
            self._evidence.sslv2 = "not_tested"
            self._note("protocols.SSLv2", reason)

    def _contradiction(self) -> str:
        """Return why no refusal can be believed where answers show a version that others refuse, or nothing."""
        evidence = self._evidence
        accepted = {version: found for version, found in evidence.lists() if found.accepted}
        refused = {version for version, found in evidence.lists() if not found.accepted and not found.gap}
        shown = {flight.server_hello.version for _name, flight in evidence.flights if flight.server_hello}
        shown |= flights.versions_above(evidence.flights, accepted)
        in_part = any(found.version_refused for found in (*accepted.values(), evidence.found13.groups))
        return _MIXED if in_part or shown & refused else ""


def _after(builds_on: Sequence[Future[None]], line: Callable[[], None]) -> None:
    """Run a line of questions when those that it builds on have ended."""
    for running in builds_on:
        running.result()
    line()
