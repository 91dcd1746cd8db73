# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scan one TLS endpoint: which hellos, in what order, how many at once. The results are facts, without any judgement.

Only what a server says in clear is read (ClientHello out, first flight in); one connection completes a handshake for
HTTP. Independent lines of questions run side by side.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import enumerate as enumeration
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    flights,
    hellos,
    http_facts,
    probe,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.enumerate import Found, Found13
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply, Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import Target

_OLD_VERSIONS = (registry.TLS11, registry.TLS10)
# What a server answers that wants a key share in the first hello, although it need not get one.
_WANTS_KEY_SHARE = (47, 50, 109)
# No server has that many; a hostile one could show a new certificate in every answer.
_MAX_CERTIFICATES = 16


@dataclass
class _Certificate:
    """One certificate that the server showed, with the chain beside it."""

    chain: list[bytes]
    chain_complete: bool
    key_type: str
    protocols: list[str] = field(default_factory=list)


class EndpointScan:
    """The facts of one endpoint while they are gathered."""

    def __init__(self, target: Target, session: Session) -> None:
        """Start with nothing asked yet of ``target``; ``session`` reaches it and counts the connections."""
        self._target = target
        self._name = target.server_name
        self._session = session
        self._lock = threading.Lock()
        self._found: dict[int, Found] = {}
        self._found13 = Found13()
        self._groups12 = Found()
        self._groups12_version = registry.TLS12
        self._group_picks: dict[int, list[tuple[bool, int]]] = {}
        self._finite_field: list[tuple[str, wire.Flight]] = []
        self._sslv2: str = "not_tested"
        self._not_tested: list[dict[str, str]] = []
        self._certificates: dict[str, _Certificate] = {}
        self._visit = http_facts.Exchange()

    # --- the questions

    def contact_hellos(self) -> tuple[bytes, ...]:
        """Return the hellos of the first contact: one of them is understood by whatever speaks TLS."""
        return (
            self._hello(registry.TLS12, registry.suites_for_version(registry.TLS12)[: enumeration.CHUNK]),
            hellos.tls13(self._name, registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS),
            self._hello(registry.TLS10, registry.suites_for_version(registry.TLS10)[: enumeration.CHUNK]),
        )

    def run(self, contact: probe.Outcome, place: int, at_once: int) -> None:
        """Ask everything; ``contact`` is how the hello number ``place`` of :meth:`contact_hellos` was answered."""
        lines: tuple[Callable[[], None], ...] = (
            lambda: self._tls12(contact if place == 0 else None),
            self._tls13,
            self._old_versions,
            self._http,
        )
        with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(lines)))) as pool:
            for line in [pool.submit(line) for line in lines]:
                line.result()
        self._groups_up_to_tls12()
        self._finite_field_groups()
        self._note_visited_certificate()
        self._key_types_tls13()
        self._doubt()

    def _doubt(self) -> None:
        """Believe no refusal of a server that refuses in the end what it answered in the beginning."""
        reason = self._session.doubt()
        if not reason:
            return
        for version, found in self._lists():
            name = registry.VERSION_NAMES[version]
            found.gap = found.gap or reason
            self._note(f"cipher_suites.{name}" if found.accepted else f"protocols.{name}", reason)
        if self._sslv2 == "not_offered":
            self._sslv2 = "not_tested"
            self._note("protocols.SSLv2", reason)

    def _hello(self, version: int, suites: tuple[int, ...]) -> bytes:
        return hellos.up_to_tls12(self._name, version, suites)

    def _question(self, version: int) -> enumeration.Question:
        """Return the question about suites of a version; after every other answer the groups are reversed."""
        reversed_groups = tuple(reversed(registry.TLS12_GROUPS))

        def question(suites: tuple[int, ...]) -> Reply:
            picks = [was_reversed for was_reversed, _group in self._group_picks.get(version, [])]
            backwards = picks.count(True) < picks.count(False)
            groups = reversed_groups if backwards else registry.TLS12_GROUPS
            reply = self._session.ask(hellos.up_to_tls12(self._name, version, suites, groups))
            self._note_flight(backwards, reply)
            return reply

        return question

    def _note_flight(self, backwards: bool, reply: Reply) -> None:
        """Note group and certificate of an answer, and keep the certificate no longer in the flight."""
        flight = reply.flight
        if flight is None or flight.server_hello is None:
            return
        hello = flight.server_hello
        name = registry.VERSION_NAMES.get(hello.version, "unknown")
        for fact in flights.left_out(name, flight):
            self._note(fact, "an answer broke off before it was shown")
        if flight.key_exchange is not None and flight.key_exchange.group is not None:
            self._group_picks.setdefault(hello.version, []).append((backwards, flight.key_exchange.group))
        if flight.certificates:
            key_type = registry.cipher_suite(hello.cipher_suite).authentication
            self._add_certificate(flight.certificates, True, key_type, name)
            flight.certificates = []

    def _tls12(self, contact: probe.Outcome | None) -> None:
        suites = registry.suites_for_version(registry.TLS12)
        hello = self._hello(registry.TLS12, suites[: enumeration.CHUNK])
        reply = self._session.ask(hello, True) if contact is None else self._session.believe(hello, contact)
        self._enumerate(registry.TLS12, reply)

    def _enumerate(self, version: int, first: Reply) -> Found:
        suites = registry.suites_for_version(version)
        self._note_flight(False, first)
        found = enumeration.enumerate_suites(self._question(version), version, suites, first)
        self._found[version] = found
        name = registry.VERSION_NAMES[version]
        if found.gap:
            self._note(f"cipher_suites.{name}" if found.accepted else f"protocols.{name}", found.gap)
        return found

    def _tls13(self) -> None:
        def question(suites: tuple[int, ...], groups: tuple[int, ...]) -> Reply:
            return self._session.ask(hellos.tls13(self._name, suites, groups))

        found = enumeration.enumerate_tls13(question, registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS)
        if not found.suites.accepted and found.suites.last_alert in _WANTS_KEY_SHARE:
            found = self._tls13_with_share()
        self._found13 = found
        for fact, part in (("cipher_suites.TLSv1.3", found.suites), ("groups.TLSv1.3", found.groups)):
            if part.gap:
                self._note(fact if found.suites.accepted else "protocols.TLSv1.3", part.gap)

    def _tls13_with_share(self) -> Found13:
        """Ask a server that refuses a hello without key share whether it speaks TLS 1.3 at all."""
        hello = hellos.tls13(self._name, registry.TLS13_CIPHER_SUITES, (0x001D, 0x0017, 0x0018), share_of=0x001D)
        reply = self._session.ask(hello)
        found = Found13()
        answer = reply.flight.server_hello if reply.flight else None
        if answer is None or answer.version != registry.TLS13:
            found.suites.gap = found.groups.gap = reply.reason
            return found
        gap = "the server refuses a hello without key share, so it shows one cipher suite and one group"
        found.suites = Found([answer.cipher_suite], gap=gap, preference_gap=gap)
        found.groups = Found([] if answer.group is None else [answer.group], gap=gap, preference_gap=gap)
        return found

    def _old_versions(self) -> None:
        refused: Reply | None = None
        for version in _OLD_VERSIONS:
            if refused is not None:
                self._found[version] = Found(last_alert=refused.alert)
                continue
            suites = registry.suites_for_version(version)
            reply = self._session.ask(self._hello(version, suites[: enumeration.CHUNK]), True)
            answer = reply.flight.server_hello if reply.flight else None
            if version == registry.TLS11 and answer is not None and answer.version == registry.TLS10:
                self._found[version] = Found()  # it stepped down by itself
                self._enumerate(registry.TLS10, reply)
                break
            found = self._enumerate(version, reply)
            # protocol_version refuses all that is below too
            refused = reply if not found.accepted and found.last_alert == 70 and not found.gap else None
        self._sslv3_and_sslv2()

    def _sslv3_and_sslv2(self) -> None:
        suites = registry.suites_for_version(registry.SSL3)
        self._enumerate(registry.SSL3, self._session.ask(self._hello(registry.SSL3, suites[: enumeration.CHUNK]), True))
        reply, answer = self._session.ask_sslv2(hellos.sslv2())
        self._sslv2 = "offered" if answer else "not_offered" if reply.refused else "not_tested"
        if self._sslv2 == "not_tested":
            self._note("protocols.SSLv2", reply.reason)

    def _http(self) -> None:
        name = self._target.reference_name
        shown = f"[{name}]" if ":" in name else name
        host = shown if self._target.port == 443 else f"{shown}:{self._target.port}"
        requested = host if self._target.starttls is None else None
        session = self._session
        for _attempt in range(2):
            with session.turn():
                self._visit = http_facts.visit(session.endpoint, self._name, requested, session.timeout_seconds)
            if self._visit.certificates:  # else the handshake was not completed, which one reset can do
                return

    def _groups_up_to_tls12(self) -> None:
        """Find the groups of TLS 1.2 that TLS 1.3 and the enumeration of the suites have not shown already."""
        version = next((v for v in (registry.TLS12, *_OLD_VERSIONS) if self._suites(v, "ECDHE")), None)
        if version is None:
            return
        self._groups12_version = version
        with_rsa = self._suites(version, "ECDHE", "RSA")
        suites = with_rsa or self._suites(version, "ECDHE")
        last = () if with_rsa else tuple(sorted(self._certificate_curves()))
        between, follows_client = enumeration.groups_between(self._group_picks.get(version, []), registry.TLS12_GROUPS)
        seen = {group for _reversed, group in self._group_picks.get(version, [])}
        candidates = tuple(g for g in between if g not in seen and g not in self._found13.groups.accepted)

        def question(groups: tuple[int, ...]) -> Reply:
            return self._session.ask(hellos.up_to_tls12(self._name, version, suites, groups))

        found = enumeration.enumerate_groups(question, candidates, last)
        self._groups12 = found
        if found.accepted and found.accepted[-1] in last and not follows_client:
            found.gap = "the server prefers the curve of its certificate, which hides what it likes less"
        if found.gap:
            self._note(f"groups.{registry.VERSION_NAMES[version]}", found.gap)

    def _finite_field_groups(self) -> None:
        """Ask a server that showed parameters of its own whether it also takes the groups of RFC 7919."""
        version = next((v for v in (registry.TLS12, *_OLD_VERSIONS) if self._suites(v, "DHE")), None)
        if version is None:
            return
        name, suites = registry.VERSION_NAMES[version], self._suites(version, "DHE")
        reply = self._session.ask(hellos.up_to_tls12(self._name, version, suites, registry.FFDHE_GROUPS))
        if reply.flight is not None:
            self._note_flight(False, reply)
            self._finite_field.append((name, reply.flight))
        elif not reply.refused:
            self._note(f"dh_parameters.{name}", reply.reason)

    def _suites(self, version: int, key_exchange: str, authentication: str | None = None) -> tuple[int, ...]:
        suites = [registry.cipher_suite(number) for number in self._found.get(version, Found()).accepted]
        return tuple(
            suite.id
            for suite in suites
            if suite.key_exchange == key_exchange and authentication in (None, suite.authentication)
        )

    def _certificate_curves(self) -> set[int]:
        return {curve for entry in self._certificates.values() for curve in flights.certificate_curves(entry.chain[0])}

    def _key_types_tls13(self) -> None:
        """Find out whether TLS 1.3 has a certificate beside those that were shown already."""
        if not self._found13.suites.accepted:
            return
        share = next((group for group in self._found13.groups.accepted if hellos.can_share(group)), None)
        shown = {flights.key_type(entry.chain[0]) for entry in self._certificates.values()}
        for key_type, schemes in (
            ("RSA", registry.RSA_SIGNATURE_SCHEMES),
            ("ECDSA", registry.ECDSA_SIGNATURE_SCHEMES),
        ):
            if key_type in shown:
                continue
            fact = f"certificates.{key_type}"
            if share is None:
                self._note(fact, "the server accepts no group that this scan has a key share of")
                continue
            suites = tuple(self._found13.suites.accepted)
            reply = self._session.ask(hellos.tls13(self._name, suites, (share,), schemes, share_of=share))
            if reply.flight is not None:
                self._note(fact, "the server has such a certificate, but TLS 1.3 sends it encrypted")
            elif not reply.refused:
                self._note(fact, reply.reason)

    # --- the notes

    def _note(self, fact: str, reason: str) -> None:
        """Note a fact that could not be measured, with the first reason for it."""
        with self._lock:
            if fact not in (entry["fact"] for entry in self._not_tested):
                self._not_tested.append({"fact": fact, "reason": reason})

    def _add_certificate(self, chain: list[bytes], complete: bool, key_type: str, protocol: str) -> None:
        digest = hashlib.sha256(chain[0]).hexdigest()
        if digest not in self._certificates and len(self._certificates) >= _MAX_CERTIFICATES:
            self._note("certificates.more", f"the server shows more than {_MAX_CERTIFICATES} of them")
            return
        with self._lock:
            entry = self._certificates.setdefault(digest, _Certificate(chain, complete, key_type))
            if protocol not in entry.protocols:
                entry.protocols.append(protocol)

    def _note_visited_certificate(self) -> None:
        visit = self._visit
        if visit.certificates:
            self._add_certificate(visit.certificates, visit.chain_complete, "unknown", visit.protocol or "unknown")
        if visit.http is None:
            self._note("http", visit.failure)
        if not self._certificates and not visit.certificates:
            self._note("certificates", visit.failure or "the server showed none")

    # --- the facts

    def facts(self, addresses: list[str]) -> dict[str, object]:
        """Return all facts in the shape that the module documents."""
        shown = self._flights()
        for name in flights.disagreeing(shown):
            self._note(f"extensions.{name}", "the answers differ: more than one kind of server is behind this address")
        return {
            "target": self._target.as_dict(),
            "address": self._session.endpoint.address,
            "addresses": addresses,
            "reachable": True,
            "error": None,
            "protocols": self._protocols(),
            "cipher_suites": {
                registry.VERSION_NAMES[version]: [registry.cipher_suite(number).as_dict() for number in found.accepted]
                for version, found in self._lists()
                if found.accepted
            },
            "preference": self._preferences(),
            "groups": self._groups(),
            "dh_parameters": flights.dh_parameters((*shown, *self._finite_field)),
            "extensions": flights.extensions(shown),
            "compression": flights.compression(shown),
            "renegotiation": {"secure": flights.secure_renegotiation(shown)},
            "certificates": [
                {
                    "key_type": entry.key_type,
                    "server_name_sent": self._name is not None,
                    "protocols": entry.protocols,
                    "chain_complete": entry.chain_complete,
                    "chain_der": [base64.b64encode(der).decode("ascii") for der in entry.chain],
                }
                for entry in self._certificates.values()
            ],
            "http": self._visit.http,
            "not_tested": self._not_tested,
        }

    def _lists(self) -> list[tuple[int, Found]]:
        versions = (registry.TLS12, registry.TLS11, registry.TLS10, registry.SSL3)
        return [
            (registry.TLS13, self._found13.suites),
            *((version, self._found.get(version, Found())) for version in versions),
        ]

    def _protocols(self) -> list[dict[str, str]]:
        entries = [{"name": "SSLv2", "status": self._sslv2}]
        for version, found in reversed(self._lists()):
            status = "offered" if found.accepted else "not_tested" if found.gap else "not_offered"
            entries.append({"name": registry.VERSION_NAMES[version], "status": status})
        return entries

    def _preferences(self) -> dict[str, str]:
        preferences = {}
        for version, found in self._lists():
            if found.accepted:
                name = registry.VERSION_NAMES[version]
                preferences[name] = found.preference or "not_tested"
                if found.preference is None:
                    self._note(f"preference.{name}", found.preference_gap or found.gap)
        return preferences

    def _groups(self) -> list[dict[str, object]]:
        seen = {registry.TLS13: list(self._found13.groups.accepted)}
        for version in (registry.TLS12, *_OLD_VERSIONS):
            asked = self._groups12.accepted if version == self._groups12_version else []
            seen[version] = [*asked, *(group for _backwards, group in self._group_picks.get(version, []))]
        return [
            {
                **registry.named_group(number).as_dict(),
                "protocols": [registry.VERSION_NAMES[version] for version, groups in seen.items() if number in groups],
            }
            for number in dict.fromkeys(group for groups in seen.values() for group in groups)
        ]

    def _flights(self) -> list[tuple[str, wire.Flight]]:
        return [
            (registry.VERSION_NAMES[version], flight) for version, found in self._lists() for flight in found.flights
        ]
