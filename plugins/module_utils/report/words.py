# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the report that a page and a terminal share: sentences and numbers about hosts and the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.ringmaster.webops.plugins.module_utils.report.libraries import Libraries
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import Host, Report
from ansible_collections.ringmaster.webops.plugins.module_utils.report.packages import Packages
from ansible_collections.ringmaster.webops.plugins.module_utils.report.verdict import (
    ATTENTION,
    CRITICAL,
    OK,
    UNKNOWN,
    worst_level,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import FOUND


def count(number: int, one: str, many: str | None = None) -> str:
    """Return ``number`` with its noun: ``1 host``, ``2,000 hosts``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: int) -> str:
    """Return a number of bytes with a decimal unit: ``1.9 GB``."""
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{number:,} B" if unit == "B" else f"{value:.1f} {unit}"


def headline(hosts_by_verdict: Mapping[str, int]) -> str:
    """Return the verdict on a fleet as a sentence: the worst thing first, and how many hosts it is about."""
    total = sum(hosts_by_verdict.values())
    if not total:
        return "Nothing was measured: there is no host"
    worst = worst_level(level for level, number in hosts_by_verdict.items() if number)
    number = hosts_by_verdict[worst]
    of = f"{number:,} of {count(total, 'host')}"
    return {
        CRITICAL: f"{of} {'is' if number == 1 else 'are'} critical",
        UNKNOWN: f"{of} could not be measured in full",
        ATTENTION: f"{of} {'needs' if number == 1 else 'need'} attention",
        OK: f"{count(total, 'host')} in order",
    }[worst]


def fleet_coverage(report: Report) -> str:
    """Return what was found and how much was looked at, in one or two sentences; the one never without the other."""
    return f"{_packages_sentence(report)} {_endpoints_sentence(report)}"


def _packages_sentence(report: Report) -> str:
    covered = report.coverage
    if not covered.hosts:
        return "Packages were verified on no host."
    findings = report.findings_total
    found = "Package findings unknown" if findings is None else count(findings, "package finding")
    found = "No package finding" if findings == 0 else found
    return (
        f"{found}: {covered.files_verified:,} of {count(covered.files_listed, 'file')} and "
        f"{covered.packages_verified:,} of {count(covered.packages_installed, 'package')} verified on "
        f"{covered.hosts:,} of {count(len(report.hosts), 'host')}, {size(covered.bytes_read)} read."
    )


def _endpoints_sentence(report: Report) -> str:
    if not report.endpoints:
        return "No TLS endpoint was measured."
    silent = sum(not endpoint.reachable for endpoint in report.endpoints)
    measured = count(len(report.endpoints) - silent, "TLS endpoint")
    found = vulnerabilities_found(report.vulnerabilities)
    vulnerabilities = f" Vulnerabilities: {found}." if silent < len(report.endpoints) else ""
    return f"{measured} measured{f', {silent:,} without an answer' if silent else ''}.{vulnerabilities}"


def vulnerabilities_found(counts: Mapping[str, int]) -> str:
    """Return which vulnerabilities were found and how many were tested (counts of ``count_found``), never one alone."""
    found = [f"{counts[status]:,} {status}" for status in FOUND if counts[status]]
    total = counts["tested"] + counts["not_tested"]
    return f"{', '.join(found) or 'none found'}, {counts['tested']:,} of {total:,} tested"


def grade(host: Host, at_best: str = "{} at best") -> str | None:
    """Return the host's worst grade, marked when it is an upper bound; ``None`` when no endpoint has one."""
    worst = host.worst
    if worst is None or worst.grade is None:
        return None
    return at_best.format(worst.grade) if worst.grade_is_upper_bound else worst.grade


def expiry(host: Host) -> str | None:
    """Return when the host's first certificate expires: ``89 days``, ``today``, ``expired 3 days ago``."""
    days, found = host.days_left, host.expiry
    if days is None or found is None or found[1].not_after is None:
        return None
    if found[1].not_after <= host.judged_at:
        past = -days - 1
        return f"expired {count(past, 'day')} ago" if past else "expired today"
    return count(days, "day") if days else "today"


def packages_word(host: Host) -> str:
    """Return the verdict on the host's packages in words."""
    if host.packages is None:
        return "not measured"
    return (host.packages.verdict or "no verdict").replace("_", " ")


def libraries_word(libraries: Libraries | None) -> str:
    """Return the worst thing about the host's TLS libraries in words."""
    if libraries is None:
        return "not measured"
    if libraries.vulnerable_now:
        return "Heartbleed"
    if libraries.restart_needed:
        return f"{count(len(libraries.restart_needed), 'restart')} due"
    if libraries.vulnerable_periods:
        return "Heartbleed in the past"
    if libraries.missing or libraries.vulnerable_now is None:
        return "unknown"
    return "incomplete" if libraries.gaps else "in order"


def grouped_by_reason(named: Iterable[tuple[str, str | None]]) -> list[str]:
    """Return a line for each reason, after the names that share it: ``Java 6u45, Java 7u25: no common protocol``."""
    names_by_reason: dict[str | None, list[str]] = {}
    for name, reason in named:
        names_by_reason.setdefault(reason, []).append(name)
    return [f"{', '.join(names)}: {reason or 'no reason given'}" for reason, names in names_by_reason.items()]


def coverage(packages: Packages) -> str:
    """Return how many files of the host's packages were verified."""
    verified, listed = packages.files.verified, packages.files.total
    if verified is None or listed is None:
        return "coverage unknown"
    return f"{verified:,} of {count(listed, 'file')}"
