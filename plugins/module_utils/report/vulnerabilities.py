# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The known vulnerabilities of an endpoint as the report sees them: what was found, and how much was tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import mapping, text

# From worst to best. Vulnerable was shown, likely has no proof, exposed depends on more than the server.
FOUND = ("vulnerable", "likely", "exposed")
_HARMLESS = ("not_vulnerable", "not_applicable")
_NOT_TESTED = "not_tested"

_TITLES = {
    "heartbleed": "Heartbleed",
    "ccs_injection": "CCS injection",
    "robot": "ROBOT",
    "ticketbleed": "Ticketbleed",
    "poodle": "POODLE on SSL 3.0",
    "poodle_tls": "POODLE on TLS",
    "zombie_poodle": "Zombie POODLE",
    "goldendoodle": "GOLDENDOODLE",
    "sleeping_poodle": "Sleeping POODLE",
    "zero_length_padding_oracle": "0-length padding oracle",
    "cve_2016_2107": "CVE-2016-2107",
    "freak": "FREAK",
    "logjam": "Logjam",
    "drown": "DROWN",
    "sweet32": "SWEET32",
    "beast": "BEAST",
    "lucky13": "Lucky Thirteen",
    "rc4": "RC4",
    "crime": "CRIME",
    "breach": "BREACH",
    "opossum": "Opossum",
    "insecure_renegotiation": "insecure renegotiation",
    "client_initiated_renegotiation": "client-initiated renegotiation",
    "starttls_injection": "STARTTLS injection",
}


@dataclass(frozen=True)
class Vulnerability:
    """One vulnerability: its status, as a result has it, and the evidence, which for ``not_tested`` is the reason."""

    name: str
    status: str | None
    evidence: str | None

    @property
    def title(self) -> str:
        """The name that people know it by."""
        return title(self.name)


@dataclass(frozen=True)
class Vulnerabilities:
    """What a result says of all of them; ``level`` is how far the search went."""

    entries: tuple[Vulnerability, ...]
    level: str | None

    @property
    def found(self) -> tuple[Vulnerability, ...]:
        """What was found, the worst first."""
        return tuple(entry for status in FOUND for entry in self.entries if entry.status == status)

    @property
    def tested(self) -> int:
        """How many were decided, by a test or by what the endpoint accepts."""
        return sum(entry.status in (*FOUND, *_HARMLESS) for entry in self.entries)

    @property
    def not_tested(self) -> tuple[Vulnerability, ...]:
        """Those of which nothing is known."""
        return tuple(entry for entry in self.entries if entry.status not in (*FOUND, *_HARMLESS))

    @property
    def unread(self) -> tuple[Vulnerability, ...]:
        """Those with a status that nobody here understands."""
        return tuple(entry for entry in self.not_tested if entry.status != _NOT_TESTED)


def vulnerabilities_from(result: Mapping[str, Any]) -> Vulnerabilities:
    """Return what an entry of ``results`` of ``tls_endpoint_info`` says about vulnerabilities."""
    entries = []
    for name, value in mapping(result.get("vulnerabilities")).items():
        finding = mapping(value)
        entries.append(Vulnerability(name, text(finding.get("status")), text(finding.get("evidence"))))
    return Vulnerabilities(tuple(entries), text(result.get("vulnerability_tests")))


def count_found(every: Iterable[Vulnerabilities]) -> dict[str, int]:
    """Return how many there are of each status of :data:`FOUND`, how many were ``tested`` and how many were not."""
    every = tuple(every)
    found = [entry.status for one in every for entry in one.found]
    return {
        **{status: found.count(status) for status in FOUND},
        "tested": sum(one.tested for one in every),
        "not_tested": sum(len(one.not_tested) for one in every),
    }


def title(name: str) -> str:
    """Return the name that people know a vulnerability by."""
    return _TITLES.get(name, name.replace("_", " "))


def fact_title(fact: str) -> str:
    """Return a fact that a grade lacks as people call it: ``vulnerabilities.robot`` is ROBOT, others are themselves."""
    subject, dot, name = fact.partition(".")
    return title(name) if dot and subject == "vulnerabilities" else fact
