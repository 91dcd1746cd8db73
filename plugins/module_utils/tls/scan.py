# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scan TLS endpoints: which hellos, in what order, how many at once. The results are facts, without any judgement.

Only what a server says in clear is read (ClientHello out, first flight in); one connection completes a handshake for
HTTP. Independent lines of questions run side by side.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import enumerate as enumeration
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import hellos, http, probe, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.enumerate import Found, Found13
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply, Session, alert_of
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import (
    ResolveError,
    Target,
    parse_target,
    resolve,
)

_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_CURVES: dict[bytes, int] = {
    bytes.fromhex("06082a8648ce3d030107"): 0x0017,
    bytes.fromhex("06052b81040022"): 0x0018,
    bytes.fromhex("06052b81040023"): 0x0019,
}
_OLD_VERSIONS = (registry.TLS11, registry.TLS10)
# What a server answers that wants a key share in the first hello, although it need not get one.
_WANTS_KEY_SHARE = (47, 50, 109)


@dataclass(frozen=True)
class Options:
    """How to scan: see the options of the module tls_endpoint_info."""

    timeout_seconds: float = 5.0
    concurrency: int = 8
    connections_per_host: int = 4
    delay_seconds: float = 0.0
    all_addresses: bool = False


def scan_targets(targets: Sequence[object], options: Options) -> list[dict[str, object]]:
    """Scan targets as :func:`parse_target` reads them; return the facts of each, in their order.

    A target that cannot be scanned has ``reachable: false`` and an ``error`` of ``kind``, ``message`` and ``remedy``.
    With ``all_addresses`` a target has one entry for each of its addresses.
    """
    pacers = probe.Pacers(options.connections_per_host, options.delay_seconds)
    with ThreadPoolExecutor(max_workers=max(1, options.concurrency)) as pool:
        results = list(pool.map(lambda value: _scan_target(value, options, pacers), targets))
    return [facts for entries in results for facts in entries]


def _scan_target(value: object, options: Options, pacers: probe.Pacers) -> list[dict[str, object]]:
    try:
        target = parse_target(value)
    except InvalidInputError as error:
        nobody: dict[str, object] = {"name": str(value), "host": "", "port": None, "server_name": None}
        return [_unreachable(nobody, [], "", _error("invalid_target", str(error), error.remedy))]
    try:
        endpoints = resolve(target, options.timeout_seconds)
    except ResolveError as error:
        return [_unreachable(target.as_dict(), [], "", _error("name_not_resolved", str(error), error.remedy))]
    chosen = endpoints if options.all_addresses else endpoints[:1]
    addresses = [endpoint.address for endpoint in endpoints]
    return [scan_endpoint(target, endpoint, addresses, options, pacers) for endpoint in chosen]


def scan_endpoint(
    target: Target, endpoint: probe.Endpoint, addresses: list[str], options: Options, pacers: probe.Pacers
) -> dict[str, object]:
    """Scan one address of a target and return its facts."""
    started = time.monotonic()
    session = Session(endpoint, pacers.of(endpoint), options.timeout_seconds)
    scan = _Scan(target, session)
    outcome, place = session.first(scan.contact_hellos())
    if outcome.kind in (probe.ANSWER, probe.ALERT) and alert_of(outcome) != 112:
        scan.run(outcome, place, options.connections_per_host)
        facts = scan.facts(addresses)
    else:
        facts = _unreachable(target.as_dict(), addresses, endpoint.address, _contact_error(target, endpoint, outcome))
    facts["connections"] = session.connections
    facts["duration_ms"] = round((time.monotonic() - started) * 1000)
    return facts


def _error(kind: str, message: str, remedy: str) -> dict[str, str]:
    return {"kind": kind, "message": message, "remedy": remedy}


def _contact_error(target: Target, endpoint: probe.Endpoint, outcome: probe.Outcome) -> dict[str, str]:
    remedies = {
        probe.REFUSED: ("connection_refused", "Check the port, and that the server runs and listens on this address"),
        probe.UNREACHABLE: ("unreachable", "Check the route and the firewall between the scanning host and the target"),
        probe.TIMEOUT: ("timeout", "Check for a firewall that drops packets, or raise timeout"),
        probe.NOT_TLS: ("not_tls", "Check the port: TLS must begin with the first byte"),
        probe.MALFORMED: ("malformed", "Check what listens there: it does not speak TLS as defined"),
        probe.ALERT: ("server_name_refused", "Set server_name to a name that the server knows"),
    }
    kind, remedy = remedies.get(outcome.kind, ("connection_closed", "Check that this port speaks TLS, and its log"))
    where = target.name if endpoint.address == target.host else f"{target.name} ({endpoint.address})"
    detail = outcome.detail
    if outcome.kind == probe.ALERT:
        name = f"the name {target.server_name!r}" if target.server_name else "a client that asks for no name"
        detail = f"the server does not know {name} (alert unrecognized_name)"
    return _error(kind, f"{where}: {detail}. {remedy}", remedy)


def _unreachable(
    target: dict[str, object], addresses: list[str], address: str, error: dict[str, str]
) -> dict[str, object]:
    return {
        "target": target,
        "address": address or None,
        "addresses": addresses,
        "reachable": False,
        "error": error,
        "connections": 0,
        "duration_ms": 0,
    }


@dataclass
class _Certificate:
    """One certificate that the server showed, with the chain beside it."""

    chain: list[bytes]
    chain_complete: bool
    key_type: str
    protocols: list[str] = field(default_factory=list)


class _Scan:
    """The facts of one endpoint while they are gathered."""

    def __init__(self, target: Target, session: Session) -> None:
        self._target = target
        self._name = target.server_name
        self._session = session
        self._lock = threading.Lock()
        self._found: dict[int, Found] = {}
        self._found13 = Found13()
        self._groups12 = Found()
        self._group_picks: dict[int, list[tuple[bool, int]]] = {}
        self._sslv2: str = "not_tested"
        self._not_tested: list[dict[str, str]] = []
        self._certificates: dict[str, _Certificate] = {}
        self._visit = http.Exchange()

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
        self._key_types_tls13()

    def _hello(self, version: int, suites: tuple[int, ...]) -> bytes:
        return hellos.up_to_tls12(self._name, version, suites)

    def _question(self, version: int) -> enumeration.Question:
        """Return the question about suites of a version; every other one has the groups in reversed order."""
        reversed_groups = tuple(reversed(registry.TLS12_GROUPS))
        turns = itertools.cycle((True, False))

        def question(suites: tuple[int, ...]) -> Reply:
            backwards = next(turns)
            groups = reversed_groups if backwards else registry.TLS12_GROUPS
            reply = self._session.ask(hellos.up_to_tls12(self._name, version, suites, groups))
            self._note_group(version, backwards, reply)
            return reply

        return question

    def _note_group(self, version: int, backwards: bool, reply: Reply) -> None:
        exchange = reply.flight.key_exchange if reply.flight else None
        if exchange is not None and exchange.group is not None:
            self._group_picks.setdefault(version, []).append((backwards, exchange.group))

    def _tls12(self, contact: probe.Outcome | None) -> None:
        suites = registry.suites_for_version(registry.TLS12)
        hello = self._hello(registry.TLS12, suites[: enumeration.CHUNK])
        reply = self._session.ask(hello, True) if contact is None else self._session.believe(hello, contact)
        self._enumerate(registry.TLS12, reply)

    def _enumerate(self, version: int, first: Reply) -> Found:
        suites = registry.suites_for_version(version)
        self._note_group(version, False, first)
        found = enumeration.enumerate_suites(self._question(version), version, suites, first)
        self._found[version] = found
        name = registry.VERSION_NAMES[version]
        if found.gap:
            self._note(f"cipher_suites.{name}" if found.accepted else f"protocols.{name}", found.gap)
        for flight in found.flights:
            self._note_certificate(flight, name)
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
        session = self._session
        with session.turn().turn():
            self._visit = http.visit(session.endpoint, self._name, host, session.timeout_seconds)

    def _groups_up_to_tls12(self) -> None:
        """Find the groups of TLS 1.2 that TLS 1.3 and the enumeration of the suites have not shown already."""
        version = next((v for v in (registry.TLS12, *_OLD_VERSIONS) if self._suites(v, "ECDHE")), None)
        if version is None:
            return
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
            self._note("groups.TLSv1.2", found.gap)

    def _suites(self, version: int, key_exchange: str, authentication: str | None = None) -> tuple[int, ...]:
        suites = [registry.cipher_suite(number) for number in self._found.get(version, Found()).accepted]
        return tuple(
            suite.id
            for suite in suites
            if suite.key_exchange == key_exchange and authentication in (None, suite.authentication)
        )

    def _certificate_curves(self) -> set[int]:
        return {curve for entry in self._certificates.values() for curve in certificate_curves(entry.chain[0])}

    def _key_types_tls13(self) -> None:
        """Where only TLS 1.3 is spoken, find out whether there is a certificate beside the one the handshake showed."""
        self._note_visited_certificate()
        if any(found.accepted for found in self._found.values()) or not self._found13.suites.accepted:
            return
        share = next((group for group in self._found13.groups.accepted if hellos.can_share(group)), None)
        shown = {"ECDSA" if certificate_curves(entry.chain[0]) else "RSA" for entry in self._certificates.values()}
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
        with self._lock:
            self._not_tested.append({"fact": fact, "reason": reason})

    def _note_certificate(self, flight: wire.Flight, protocol: str) -> None:
        hello = flight.server_hello
        if hello is None or not flight.certificates:
            return
        self._add_certificate(
            flight.certificates, True, registry.cipher_suite(hello.cipher_suite).authentication, protocol
        )

    def _add_certificate(self, chain: list[bytes], complete: bool, key_type: str, protocol: str) -> None:
        digest = hashlib.sha256(chain[0]).hexdigest()
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
            "dh_parameters": self._dh_parameters(),
            "extensions": self._extensions(),
            "compression": self._compression(),
            "renegotiation": {"secure": self._secure_renegotiation()},
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
        tls13, tls12 = self._found13.groups.accepted, list(self._groups12.accepted)
        tls12 += [group for picks in self._group_picks.values() for _backwards, group in picks]
        return [
            {
                **registry.named_group(number).as_dict(),
                "protocols": [name for name, numbers in (("TLSv1.3", tls13), ("TLSv1.2", tls12)) if number in numbers],
            }
            for number in dict.fromkeys((*tls13, *tls12))
        ]

    def _flights(self) -> list[tuple[str, wire.Flight]]:
        return [
            (registry.VERSION_NAMES[version], flight) for version, found in self._lists() for flight in found.flights
        ]

    def _dh_parameters(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for name, flight in self._flights():
            exchange = flight.key_exchange
            if exchange is None or exchange.dh_prime_bits is None:
                continue
            entry: dict[str, object] = {
                "protocol": name,
                "bits": exchange.dh_prime_bits,
                "prime_sha256": exchange.dh_prime_sha256,
            }
            if entry not in found:
                found.append(entry)
        return found

    def _extensions(self) -> dict[str, list[str]]:
        extensions: dict[str, list[str]] = {}
        for name, flight in self._flights():
            hello = flight.server_hello
            if hello is not None and name != "SSLv3":
                seen = extensions.setdefault(name, [])
                seen += [text for text in map(registry.extension_name, hello.extensions) if text not in seen]
        return extensions

    def _compression(self) -> bool | None:
        chosen = [flight.server_hello.compression_method for _name, flight in self._flights() if flight.server_hello]
        return any(chosen) if chosen else None

    def _secure_renegotiation(self) -> bool | None:
        # SSL 3.0 is asked without extensions, so its answers tell nothing.
        hello = [flight.server_hello for name, flight in self._flights() if name != "SSLv3"]
        answers = [65281 in answer.extensions for answer in hello if answer is not None]
        return all(answers) if answers else None


def certificate_curves(der: bytes) -> set[int]:
    """Return the named group of a certificate's elliptic curve key, as a set of at most one (RFC 5480 2.1.1)."""
    place = der.find(_EC_PUBLIC_KEY)
    if place < 0:
        return set()
    parameters = der[place + len(_EC_PUBLIC_KEY) :]
    return {group for oid, group in _CURVES.items() if parameters.startswith(oid)} or {0x0017}
