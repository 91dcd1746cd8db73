# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a fleet and a moment -> the report: a row a host, the fleet in numbers, one verdict.

Pure: no file, no socket, no clock. A host that could not be measured is a row with the reason, and what was found never
stands without how much was covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report.endpoint import (
    Certificate,
    Endpoint,
    endpoint_from,
    grade_rank,
    soonest_expiry,
    worst_grade,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.libraries import Libraries, libraries_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.packages import Packages, packages_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import mapping, mappings, text, texts
from ansible_collections.ringmaster.webops.plugins.module_utils.report.verdict import (
    LEVELS,
    UNKNOWN,
    Reason,
    host_reasons,
    worst_level,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import (
    Vulnerabilities,
    count_found,
)

PACKAGES, ENDPOINTS = "packages", "TLS endpoints"


@dataclass(frozen=True)
class Host:
    """One host: verdict and reasons, endpoints, packages, TLS libraries; ``error`` says why it was not measured.

    ``unmeasured``: what should have been measured and was not; a host without endpoints may simply have none.
    """

    name: str
    groups: tuple[str, ...]
    error: str | None
    endpoints: tuple[Endpoint, ...]
    packages: Packages | None
    reasons: tuple[Reason, ...]
    judged_at: datetime
    unmeasured: tuple[str, ...] = ()
    libraries: Libraries | None = None

    @property
    def verdict(self) -> str:
        """The worst level of all reasons."""
        return worst_level(reason.level for reason in self.reasons)

    @property
    def worst(self) -> Endpoint | None:
        """The endpoint with the worst grade."""
        return worst_grade(self.endpoints)

    @property
    def unreachable(self) -> int:
        """How many endpoints gave no TLS answer."""
        return sum(not endpoint.reachable for endpoint in self.endpoints)

    @property
    def expiry(self) -> tuple[Endpoint, Certificate] | None:
        """The certificate that expires first, with its endpoint."""
        return soonest_expiry(self.endpoints)

    @property
    def vulnerabilities(self) -> tuple[Vulnerabilities, ...]:
        """What is said about vulnerabilities of each endpoint that answered."""
        return tuple(endpoint.vulnerabilities for endpoint in self.endpoints if endpoint.reachable)

    @property
    def days_left(self) -> int | None:
        """The whole days until the first certificate expires."""
        return None if self.expiry is None else self.expiry[1].days_left(self.judged_at)


@dataclass(frozen=True)
class Coverage:
    """How much of the fleet's packages was verified; counts add up what the hosts said."""

    hosts: int
    packages_installed: int
    packages_verified: int
    files_listed: int
    files_verified: int
    bytes_read: int


@dataclass(frozen=True)
class Report:
    """The whole fleet at ``generated_at``; ``hosts`` are worst first, then by name."""

    generated_at: datetime
    hosts: tuple[Host, ...]

    @property
    def verdict(self) -> str:
        """The worst verdict of all hosts; a report about nothing is ``unknown``, never ``ok``."""
        return worst_level(host.verdict for host in self.hosts) if self.hosts else UNKNOWN

    @property
    def hosts_by_verdict(self) -> dict[str, int]:
        """How many hosts have each verdict, worst first, zeros included."""
        return {level: sum(host.verdict == level for host in self.hosts) for level in reversed(LEVELS)}

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints of all hosts."""
        return tuple(endpoint for host in self.hosts for endpoint in host.endpoints)

    @property
    def vulnerabilities(self) -> dict[str, int]:
        """How many vulnerabilities of each status all endpoints have, how many were tested, and how many were not."""
        return count_found(one for host in self.hosts for one in host.vulnerabilities)

    @property
    def endpoints_by_grade(self) -> dict[str, int]:
        """How many endpoints have each grade, worst first; those without a grade are not in it."""
        grades = [endpoint.grade for endpoint in self.endpoints if endpoint.grade is not None]
        return {grade: grades.count(grade) for grade in sorted(set(grades), key=lambda one: (-grade_rank(one), one))}

    @property
    def expiry(self) -> Host | None:
        """The host whose certificate expires first."""
        dated = [host for host in self.hosts if host.expiry is not None and host.days_left is not None]
        return min(dated, key=lambda host: (host.days_left, host.name), default=None)

    @property
    def findings_total(self) -> int | None:
        """All package findings that the hosts count; ``None`` rather than 0 where one of them does not count."""
        counts = [host.packages.findings_total for host in self.hosts if host.packages is not None]
        known = [count for count in counts if count is not None]
        return None if not sum(known) and (not known or len(known) < len(counts)) else sum(known)

    @property
    def coverage(self) -> Coverage:
        """How much of the packages of all hosts was verified."""
        verified = [host.packages for host in self.hosts if host.packages is not None]
        return Coverage(
            hosts=len(verified),
            packages_installed=sum(one.packages.total or 0 for one in verified),
            packages_verified=sum(one.packages.verified or 0 for one in verified),
            files_listed=sum(one.files.total or 0 for one in verified),
            files_verified=sum(one.files.verified or 0 for one in verified),
            bytes_read=sum(one.bytes_read or 0 for one in verified),
        )


def build_report(facts: Iterable[Mapping[str, Any]], now: datetime) -> Report:
    """Return the report on ``facts`` at the moment ``now`` (aware).

    Each entry of ``facts`` is a host: ``host``, ``groups``, ``error`` (why it could not be measured, or nothing),
    ``packages`` (a result of ``package_consistency_info``, or nothing), ``tls_endpoints`` (entries of ``results`` of
    ``tls_endpoint_info``, an empty list for a host that has none) and ``tls_libraries`` (a result of
    ``tls_library_info``; nothing where nobody asked). Whatever is missing in an entry stays unknown in the report;
    nothing raises.
    """
    hosts = [_host(entry, number, now) for number, entry in enumerate(facts, start=1)]
    return Report(now, tuple(sorted(hosts, key=lambda host: (-LEVELS.index(host.verdict), host.name))))


def build_host(
    name: str,
    now: datetime,
    groups: tuple[str, ...] = (),
    error: str | None = None,
    packages: Packages | None = None,
    endpoints: tuple[Endpoint, ...] = (),
    unmeasured: tuple[str, ...] = (),
    libraries: Libraries | None = None,
) -> Host:
    """Return one host of the report, judged at ``now``."""
    reasons = host_reasons(error, packages, endpoints, now, unmeasured, libraries)
    return Host(name, groups, error, endpoints, packages, reasons, now, unmeasured, libraries)


def _host(entry: Mapping[str, Any], number: int, now: datetime) -> Host:
    packages, libraries = mapping(entry.get("packages")), mapping(entry.get("tls_libraries"))
    missing = {PACKAGES: not packages, ENDPOINTS: not isinstance(entry.get("tls_endpoints"), (list, tuple))}
    return build_host(
        text(entry.get("host")) or f"(entry {number}, no host name)",
        now,
        groups=texts(entry.get("groups")),
        error=text(entry.get("error")),
        packages=packages_from(packages) if packages else None,
        endpoints=tuple(endpoint_from(result) for result in mappings(entry.get("tls_endpoints"))),
        unmeasured=tuple(what for what, is_missing in missing.items() if is_missing),
        libraries=libraries_from(libraries) if libraries else None,
    )
