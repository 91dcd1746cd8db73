# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person has to look at: facts of one host and a moment -> reasons, each with a level.

A level says what it asks of the reader, from best to worst: ``ok`` nothing; ``attention`` a look in working hours;
``unknown`` something could not be measured, so it may be anything; ``critical`` visitors or data are affected, or soon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.ringmaster.webops.plugins.module_utils.report.endpoint import Certificate, Endpoint
from ansible_collections.ringmaster.webops.plugins.module_utils.report.libraries import Libraries, programs
from ansible_collections.ringmaster.webops.plugins.module_utils.report.packages import Packages
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import iso, shortened
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import Vulnerability, fact_title

OK, ATTENTION, UNKNOWN, CRITICAL = "ok", "attention", "unknown", "critical"
LEVELS = (OK, ATTENTION, UNKNOWN, CRITICAL)

GOOD_GRADES = ("A+", "A", "A-")
FAIR_GRADES = ("B", "C")

# A certificate that nobody renewed: at most so long before its end, and for short-lived ones at most this part of its
# life. Automatic renewal comes earlier, usually when a third of the life is left.
EXPIRY_ATTENTION = (timedelta(days=21), 4)
EXPIRY_CRITICAL = (timedelta(days=7), 10)

# So many facts, and so much of a piece of evidence or of a list of processes, stand in one sentence.
_FACTS_SHOWN = 3
_EVIDENCE_LIMIT = 120
_PROGRAMS_LIMIT = 300

# What follows from a vulnerability that was found. To be exposed depends on more than the server, and every site that
# compresses its pages is (BREACH): it is told with the endpoint, and asks nobody to look.
_LEVEL_OF_FINDING = {"vulnerable": CRITICAL, "likely": ATTENTION}


@dataclass(frozen=True)
class Reason:
    """Why a host is not simply ``ok``: a level, the rule that says so, and a sentence with the value."""

    level: str
    rule: str
    text: str


def worst_level(levels: Iterable[str]) -> str:
    """Return the worst of ``levels``; ``ok`` when there is none."""
    return max(levels, key=LEVELS.index, default=OK)


def host_reasons(
    error: str | None,
    packages: Packages | None,
    endpoints: Iterable[Endpoint],
    now: datetime,
    unmeasured: Iterable[str] = (),
    libraries: Libraries | None = None,
) -> tuple[Reason, ...]:
    """Return everything that is to be said about a host at ``now``, worst first. Same facts, same reasons.

    ``unmeasured`` names what should have been measured and was not; an ``error`` explains it already.
    """
    endpoints = tuple(endpoints)
    reasons = []
    if error is not None:
        extent = "measured in part" if packages is not None or libraries is not None or endpoints else "not measured"
        reasons.append(Reason(UNKNOWN, "host_error", f"{extent}: {error}"))
    else:
        reasons.extend(Reason(UNKNOWN, "not_measured", f"{what} were not measured") for what in unmeasured)
    if packages is not None:
        reasons.extend(_package_reasons(packages))
    if libraries is not None:
        reasons.extend(_library_reasons(libraries))
    for endpoint in endpoints:
        reasons.extend(_endpoint_reasons(endpoint, now))
    return tuple(sorted(reasons, key=lambda reason: -LEVELS.index(reason.level)))


def _endpoint_reasons(endpoint: Endpoint, now: datetime) -> Iterable[Reason]:
    if not endpoint.reachable:
        yield Reason(
            CRITICAL, "endpoint_unreachable", f"{endpoint.label} gave no TLS answer: {endpoint.error or 'no reason'}"
        )
        return
    if endpoint.error is not None:
        yield Reason(UNKNOWN, "endpoint_error", f"{endpoint.label} was measured in part: {endpoint.error}")
    yield from _vulnerability_reasons(endpoint)
    yield from _grade_reasons(endpoint)
    if not endpoint.certificates or any(certificate.not_after is None for certificate in endpoint.certificates):
        yield Reason(UNKNOWN, "certificate_missing", f"{endpoint.label}: the end of a certificate was not measured")
    for certificate in endpoint.certificates:
        yield from _certificate_reasons(endpoint.label, certificate, now, endpoint.grade in ("T", "M"))


def _vulnerability_reasons(endpoint: Endpoint) -> Iterable[Reason]:
    said = endpoint.vulnerabilities
    if not said.entries or said.unread:
        about = ", ".join(entry.title for entry in said.unread) or "vulnerabilities"
        yield Reason(UNKNOWN, "vulnerability_unknown", f"{endpoint.label}: the result does not say about {about}")
    for entry in said.found:
        if entry.status in _LEVEL_OF_FINDING:
            yield Reason(_LEVEL_OF_FINDING[entry.status], f"vulnerability_{entry.status}", _found(endpoint, entry))


def _found(endpoint: Endpoint, entry: Vulnerability) -> str:
    degree = "is" if entry.status == "vulnerable" else "is likely to be"
    return f"{endpoint.label} {degree} vulnerable to {entry.title}: {entry.evidence or 'no evidence given'}"


def _grade_reasons(endpoint: Endpoint) -> Iterable[Reason]:
    grade = endpoint.grade
    if grade is None:
        yield Reason(UNKNOWN, "grade_missing", f"{endpoint.label} has no grade")
    elif grade not in GOOD_GRADES:
        level = ATTENTION if grade in FAIR_GRADES else CRITICAL
        yield Reason(level, "grade", f"{endpoint.label} has grade {grade}{_because(endpoint)}")
    elif endpoint.grade_is_upper_bound:
        missing = _facts(endpoint.grade_missing_facts)
        yield Reason(
            ATTENTION, "grade_upper_bound", f"{endpoint.label} has grade {grade} at best; not known: {missing}"
        )


def _facts(names: tuple[str, ...]) -> str:
    """Return names of facts for a person, the first few of many."""
    more = [f"{len(names) - _FACTS_SHOWN} more"] * (len(names) > _FACTS_SHOWN)
    return ", ".join([*map(fact_title, names[:_FACTS_SHOWN]), *more]) or "facts that the result does not name"


def _because(endpoint: Endpoint) -> str:
    """Return what explains the grade: for T and M the trust, else the caps that hold it down."""
    if endpoint.grade in ("T", "M"):
        trust = [one.trust_reason for one in endpoint.certificates if one.trust_reason and one.trusted is not True]
        names = ["the certificate does not name the server"] * (endpoint.grade == "M")
        ignored = [f"{endpoint.grade_trust_ignored} without that"] * (endpoint.grade_trust_ignored is not None)
        causes = list(dict.fromkeys([*names, *trust, *ignored]))
    else:
        caps = [cap for cap in endpoint.caps if cap.limit in (None, endpoint.grade)]
        causes = [
            f"{cap.subject} ({shortened(cap.detail, _EVIDENCE_LIMIT)})" if cap.detail else cap.subject for cap in caps
        ]
    return ": " + "; ".join(causes) if causes else ""


def _certificate_reasons(
    label: str, certificate: Certificate, now: datetime, untrusted_by_grade: bool
) -> Iterable[Reason]:
    if certificate.not_before is not None and now < certificate.not_before:
        since = iso(certificate.not_before)
        yield Reason(CRITICAL, "certificate_not_yet_valid", f"the certificate of {label} is valid from {since} only")
    if certificate.trusted is False and not untrusted_by_grade:
        why = certificate.trust_reason or "no reason given"
        yield Reason(CRITICAL, "certificate_untrusted", f"a certificate of {label} is not trusted: {why}")
    days, end = certificate.days_left(now), certificate.not_after
    if days is None or end is None:
        return
    if end <= now:
        yield Reason(CRITICAL, "certificate_expired", f"the certificate of {label} expired on {iso(end)}")
        return
    for level, limit in ((CRITICAL, EXPIRY_CRITICAL), (ATTENTION, EXPIRY_ATTENTION)):
        if end - now < _notice(certificate, limit):
            left = "today" if days == 0 else f"in {days} day{'s' * (days != 1)}"
            yield Reason(level, "certificate_expires", f"the certificate of {label} expires {left}, on {iso(end)}")
            return


def _notice(certificate: Certificate, limit: tuple[timedelta, int]) -> timedelta:
    longest, part = limit
    if certificate.not_before is None or certificate.not_after is None:
        return longest
    return min(longest, (certificate.not_after - certificate.not_before) / part)


def _package_reasons(packages: Packages) -> Iterable[Reason]:
    """Say what the verdict means; it is never believed against worse facts that stand beside it."""
    verdict = packages.verdict
    if verdict == "inconsistent":
        classes = ", ".join(f"{count} {name}" for name, count in packages.by_class.items() if count)
        yield Reason(CRITICAL, "packages_inconsistent", f"package content differs: {classes or 'see the findings'}")
    elif verdict not in ("consistent", "incomplete", "database_unsound"):
        said = f"the verdict is {verdict!r}" if verdict else "the result has no verdict"
        yield Reason(UNKNOWN, "packages_verdict_unknown", f"packages: {said}")
    if verdict == "database_unsound" or packages.database_problems:
        files = ", ".join(dict.fromkeys(problem.file for problem in packages.database_problems)) or "no file named"
        yield Reason(CRITICAL, "package_database_unsound", f"the package database cannot be believed: {files}")
    yield from _coverage_reasons(packages)


def _coverage_reasons(packages: Packages) -> Iterable[Reason]:
    """Say what was not verified; beside a worse verdict only that nothing was, or that it went wrong."""
    if packages.failures:
        yield Reason(UNKNOWN, "packages_failures", f"the verification went wrong: {'; '.join(packages.failures)}")
    if packages.files.verified is None or packages.packages.verified is None:
        yield Reason(UNKNOWN, "packages_coverage_unknown", "packages: the result does not say how much was verified")
    elif not packages.files.verified:
        yield Reason(UNKNOWN, "packages_nothing_verified", "packages: not one file was verified")
    elif packages.verdict == "incomplete" or (packages.verdict == "consistent" and _has_gaps(packages)):
        yield Reason(
            ATTENTION, "packages_incomplete", f"nothing wrong in what was verified, but {_uncovered(packages)}"
        )


def _has_gaps(packages: Packages) -> bool:
    return bool(packages.gaps or packages.packages.not_verified or packages.files.not_verified)


def _uncovered(packages: Packages) -> str:
    missing = [
        f"{count} {name}"
        for name, count in (("packages", packages.packages.not_verified), ("files", packages.files.not_verified))
        if count
    ]
    return f"{' and '.join(missing)} were not verified" if missing else "the verification was not complete"


def _library_reasons(libraries: Libraries) -> Iterable[Reason]:
    """Say what a host's own side asks for; a past with Heartbleed asks for new keys, however long it is over."""
    if libraries.missing:
        yield Reason(
            UNKNOWN, "libraries_unknown", f"TLS libraries: the result does not say about {', '.join(libraries.missing)}"
        )
        return
    yield from _heartbleed_reasons(libraries)
    if libraries.restart_needed:
        names = shortened(programs(libraries.restart_needed), _PROGRAMS_LIMIT)
        yield Reason(ATTENTION, "restart_due", f"to be restarted, since their TLS library was replaced: {names}")
    if libraries.gaps:
        yield Reason(ATTENTION, "libraries_incomplete", f"TLS libraries: not all was seen; {'; '.join(libraries.gaps)}")


def _heartbleed_reasons(libraries: Libraries) -> Iterable[Reason]:
    advice = f". {libraries.advice}" if libraries.advice else ""
    if libraries.vulnerable_now:
        packages = ", ".join(libraries.vulnerable_packages) or "no package named"
        yield Reason(CRITICAL, "heartbleed_installed", f"a library with Heartbleed is installed: {packages}{advice}")
    elif libraries.vulnerable_periods:
        packages = ", ".join(dict.fromkeys(period.package for period in libraries.vulnerable_periods))
        yield Reason(
            ATTENTION, "heartbleed_in_the_past", f"a library with Heartbleed was installed: {packages}{advice}"
        )
    if libraries.vulnerable_now is None:
        paths = ", ".join(one.path for one in libraries.libraries if one.heartbeat) or "no library named"
        yield Reason(UNKNOWN, "heartbleed_unknown", f"a library of no known package answers heartbeats: {paths}")
