# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one endpoint has shown so far: lists, flights, certificates, and what could not be measured."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import flights, http_facts, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.enumerate import Found, Found13
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake12 import Resumable
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import Finding

# No server has that many; a hostile one could show a new certificate in every answer.
_MAX_CERTIFICATES = 16


@dataclass
class ShownCertificate:
    """One certificate that the server showed, with the chain beside it and what was stapled to it.

    ``staple_asked`` is whether a hello asked for a stapled response; ``issuers`` are what was fetched of the chain.
    """

    chain: list[bytes]
    chain_complete: bool
    key_type: str
    server_name_sent: bool
    protocols: list[str] = field(default_factory=list)
    stapled_ocsp: bytes | None = None
    sct_list: bytes | None = None
    staple_asked: bool = True
    issuers: tuple[bytes, ...] = ()


@dataclass
class Evidence:
    """What was gathered of one endpoint; filled from several threads.

    ``found`` has the suites up to TLS 1.2 by version; ``group_picks`` by version (list was reversed, group picked);
    ``flights`` every answer up to TLS 1.2, without its certificates.
    """

    server_name: str | None
    vulnerability_tests: str = "passive"
    found: dict[int, Found] = field(default_factory=dict)
    found13: Found13 = field(default_factory=Found13)
    groups12: Found = field(default_factory=Found)
    groups12_version: int = registry.TLS12
    group_picks: dict[int, list[tuple[bool, int]]] = field(default_factory=dict)
    flights: list[tuple[str, wire.Flight]] = field(default_factory=list)
    certificates: dict[str, ShownCertificate] = field(default_factory=dict)
    sslv2: str = "not_tested"
    fallback_scsv: str = "not_tested"
    alpn: dict[str, list[str]] = field(default_factory=dict)
    chacha20_priority: bool | None = None
    server_name_required: bool | None = None
    signature_schemes: dict[str, list[int]] = field(default_factory=dict)
    ticket_session: Resumable | None = None
    sessions: dict[str, dict[str, bool | int | None]] = field(default_factory=dict)
    probes: dict[str, Finding] = field(default_factory=dict)
    plain_http: dict[str, object] | None = None
    visit: http_facts.Exchange = field(default_factory=http_facts.Exchange)
    not_tested: list[dict[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, fact: str, reason: str) -> None:
        """Note a fact that could not be measured, with the first reason for it."""
        with self._lock:
            if fact not in (entry["fact"] for entry in self.not_tested):
                self.not_tested.append({"fact": fact, "reason": reason})

    def note_flight(self, flight: wire.Flight | None, backwards: bool = False) -> None:
        """Note what an answer up to TLS 1.2 shows; ``backwards`` when the groups were offered in reversed order."""
        if flight is None or flight.server_hello is None:
            return
        hello = flight.server_hello
        name = registry.VERSION_NAMES.get(hello.version, "unknown")
        for fact in flights.left_out(name, flight):
            self.note(fact, "an answer broke off before it was shown")
        with self._lock:
            self.flights.append((name, flight))
            if flight.key_exchange is not None and flight.key_exchange.group is not None:
                self.group_picks.setdefault(hello.version, []).append((backwards, flight.key_exchange.group))
        self.note_certificates(flight)

    def note_certificates(self, flight: wire.Flight, name_sent: bool = True) -> None:
        """Move the certificates of an answer up to TLS 1.2, and what was stapled to them, to the certificates."""
        hello = flight.server_hello
        if hello is None or not flight.certificates:
            return
        shown = ShownCertificate(
            flight.certificates,
            True,
            registry.cipher_suite(hello.cipher_suite).authentication,
            name_sent and self.server_name is not None,
            [registry.VERSION_NAMES.get(hello.version, "unknown")],
            flight.stapled_ocsp,
            hello.extensions.get(wire.EXT_SIGNED_CERTIFICATE_TIMESTAMP) or None,
            hello.version != registry.SSL3,
        )
        self.add_certificate(shown)
        flight.certificates, flight.stapled_ocsp = [], None

    def add_certificate(self, shown: ShownCertificate) -> None:
        """Add a certificate, or what a second sight of it adds to the first."""
        digest = hashlib.sha256(shown.chain[0]).hexdigest()
        if digest not in self.certificates and len(self.certificates) >= _MAX_CERTIFICATES:
            self.note("certificates.more", f"the server shows more than {_MAX_CERTIFICATES} of them")
            return
        with self._lock:
            known = self.certificates.setdefault(digest, shown)
            known.protocols += [name for name in shown.protocols if name not in known.protocols]
            known.server_name_sent = known.server_name_sent or shown.server_name_sent
            known.stapled_ocsp = known.stapled_ocsp or shown.stapled_ocsp
            known.sct_list = known.sct_list or shown.sct_list
            known.staple_asked = known.staple_asked or shown.staple_asked
            if shown.chain_complete and not known.chain_complete:
                known.chain, known.chain_complete = shown.chain, True

    def suites(self, version: int, key_exchange: str, authentication: str | None = None) -> tuple[int, ...]:
        """Return the accepted suites of a version up to TLS 1.2 with a key exchange and an authentication."""
        suites = [registry.cipher_suite(number) for number in self.accepted(version)]
        return tuple(
            suite.id
            for suite in suites
            if suite.key_exchange == key_exchange and authentication in (None, suite.authentication)
        )

    def accepted(self, version: int) -> tuple[int, ...]:
        """Return the accepted suites of a version."""
        found = self.found13.suites if version == registry.TLS13 else self.found.get(version)
        return tuple(found.accepted) if found else ()

    def gap(self, version: int) -> str:
        """Return why the accepted suites of a version up to TLS 1.2 may be more than are known."""
        return self.found[version].gap if version in self.found else "it was not asked for"

    def lists(self) -> list[tuple[int, Found]]:
        """Return the suites of each version from TLS 1.3 down to SSL 3.0."""
        versions = (registry.TLS12, registry.TLS11, registry.TLS10, registry.SSL3)
        return [
            (registry.TLS13, self.found13.suites),
            *((version, self.found.get(version, Found())) for version in versions),
        ]
