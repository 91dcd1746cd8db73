# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host in full, for a person: its reasons, what a visitor sees of it, and what it has."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.report.endpoint_details import endpoint_details
from ansible_collections.ringmaster.webops.plugins.module_utils.report.libraries import Libraries, Library, Period
from ansible_collections.ringmaster.webops.plugins.module_utils.report.markup import (
    Content,
    Html,
    join,
    listing,
    pairs,
    table,
    tag,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import Host
from ansible_collections.ringmaster.webops.plugins.module_utils.report.packages import Count, Finding, Gap, Packages
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import shortened
from ansible_collections.ringmaster.webops.plugins.module_utils.report.words import count, size

# How much of one host the page shows; report.json has the rest.
FINDINGS_SHOWN = 100
PROCESSES_SHOWN = 40
DIGEST_SHOWN = 20

_YES_NO_UNKNOWN = {True: "yes", False: "no", None: "not known"}
SYMBOLS = {"ok": "\u2713", "attention": "!", "unknown": "?", "critical": "\u2715"}


def badge(level: str) -> Html:
    """Return a verdict as a word with a symbol, so that colour alone says nothing."""
    return tag("span", tag("span", SYMBOLS[level], aria_hidden="true"), f" {level}", class_=f"badge {level}")


def host_details(host: Host, identifier: str, is_open: bool) -> Html:
    """Return one host as a part that opens; ``identifier`` is the target of the links to it."""
    summary = tag(
        "summary", tag("h3", host.name), badge(host.verdict), tag("span", ", ".join(host.groups), class_="soft")
    )
    reasons = tag("ul", *(tag("li", f"{one.level}: {one.text}") for one in host.reasons)) if host.reasons else None
    body = tag("div", reasons, _endpoints(host), _libraries(host), _packages(host), id=identifier)
    return Html(f"<details{' open' if is_open else ''}>{summary}{body}</details>\n")


def _endpoints(host: Host) -> Html:
    heading = tag("h3", "TLS endpoints: what a visitor sees")
    if not host.endpoints:
        return join([heading, tag("p", "No TLS endpoint of this host was measured.")])
    return join([heading, *(endpoint_details(endpoint, host) for endpoint in host.endpoints)])


def _libraries(host: Host) -> Html:
    heading, libraries = tag("h3", "TLS libraries: what the host has"), host.libraries
    if libraries is None:
        return join([heading, tag("p", "The TLS libraries of this host were not looked at.")])
    if libraries.missing:
        return join([heading, tag("p", f"The result does not say about {', '.join(libraries.missing)}.")])
    rows = [_library(one) for one in libraries.libraries]
    headings = ("File", "Library", "Answers heartbeats")
    return join(
        [
            heading,
            _about_libraries(libraries),
            table("The library files", headings, rows, class_="compact") if rows else None,
        ]
    )


def _library(library: Library) -> list[Content]:
    answer = _YES_NO_UNKNOWN[library.heartbeat]
    return [
        tag("span", library.path, class_="names"),
        library.version or f"{library.family}, which states no version",
        f"{answer}: {library.heartbeat_evidence}" if library.heartbeat_evidence else answer,
    ]


def _about_libraries(libraries: Libraries) -> Html:
    return pairs(
        [
            ("Restart due", _restarts(libraries)),
            ("Heartbleed now", _heartbleed_now(libraries)),
            ("Heartbleed in the past", _heartbleed_before(libraries)),
            ("Advice", libraries.advice),
            ("Not seen", listing(libraries.gaps) if libraries.gaps else None),
            ("Library packages", ", ".join(libraries.packages) or None),
        ],
        class_="facts",
    )


def _restarts(libraries: Libraries) -> Content:
    if not libraries.restart_needed:
        total = libraries.processes_total
        seen = "the processes" if total is None else count(total, "process", "processes")
        return f"none: of {seen} seen with a TLS library none runs on one that was replaced"
    shown = [
        f"{one.program} ({'unknown' if one.pid is None else one.pid}) runs on {', '.join(one.libraries)}"
        for one in libraries.restart_needed[:PROCESSES_SHOWN]
    ]
    rest = len(libraries.restart_needed) - len(shown)
    return listing([*shown, *[f"and {rest:,} more"] * bool(rest)])


def _heartbleed_now(libraries: Libraries) -> str:
    if libraries.vulnerable_now is None:
        return "not known"
    return f"installed: {', '.join(libraries.vulnerable_packages)}" if libraries.vulnerable_now else "not installed"


def _heartbleed_before(libraries: Libraries) -> Content:
    covered = f"the logs go from {libraries.logs_from} to {libraries.logs_to}"
    if libraries.logs_from is None:
        return "not known: there are no package logs"
    if not libraries.vulnerable_periods:
        return f"never installed, as far as {covered}"
    return listing([*(_period(one) for one in libraries.vulnerable_periods), covered])


def _period(period: Period) -> str:
    start = period.installed_at or "before the logs begin"
    return f"{period.package}: from {start} to {period.ended_at or 'now'}"


def _packages(host: Host) -> Html:
    heading, packages = tag("h3", "Packages"), host.packages
    if packages is None:
        return join([heading, tag("p", "The packages of this host were not verified.")])
    verdict = (packages.verdict or "no verdict").replace("_", " ")
    effort = "" if packages.duration_ms is None else f", in {packages.duration_ms:,} ms"
    read = "" if packages.bytes_read is None else f"; {size(packages.bytes_read)} read{effort}"
    return join(
        [
            heading,
            tag("p", f"Verdict: {verdict}{read}."),
            table("Coverage", ("What", "In all", "Verified", "Not verified"), _coverage(packages), class_="compact"),
            pairs(
                [
                    ("The packages do not record", ", ".join(packages.not_recorded) or None),
                    ("Went wrong", listing(packages.failures) if packages.failures else None),
                ],
                class_="facts",
            ),
            _gaps(packages),
            _database_problems(packages),
            _findings(packages),
        ]
    )


def _coverage(packages: Packages) -> list[list[Content]]:
    def row(name: str, one: Count) -> list[Content]:
        return [name, *("unknown" if value is None else value for value in (one.total, one.verified, one.not_verified))]

    return [row("Packages", packages.packages), row("Files", packages.files)]


def _gaps(packages: Packages) -> Html | None:
    if not packages.gaps:
        return None
    rows: list[list[Content]] = [
        [_gap_reason(gap), gap.packages, gap.files, tag("span", ", ".join(gap.examples), class_="names")]
        for gap in packages.gaps
    ]
    return table("Not verified, and why", ("Reason", "Packages", "Files", "Examples"), rows)


def _gap_reason(gap: Gap) -> str:
    words = gap.reason.replace("_", " ")
    return f"{words}: {gap.detail}" if gap.detail else words


def _database_problems(packages: Packages) -> Html | None:
    if not packages.database_problems:
        return None
    rows: list[list[Content]] = [
        [tag("span", one.file, class_="names"), one.problem, one.remedy] for one in packages.database_problems
    ]
    return table("The package database itself", ("File", "Problem", "Remedy"), rows)


def _findings(packages: Packages) -> Html:
    shown = packages.findings[:FINDINGS_SHOWN]
    total = packages.findings_total if packages.findings_total is not None else len(packages.findings)
    if not total and not shown:
        return tag("p", "No finding in what was verified.")
    rows: list[list[Content]] = [
        [tag("span", one.path, class_="names"), one.kind.replace("_", " "), ", ".join(one.packages), _changes(one)]
        for one in shown
    ]
    caption = count(total, "finding") if len(shown) >= total else f"{len(shown):,} of {count(total, 'finding')}"
    place = tag("p", "The full list lies on the host: ", tag("span", packages.report_path, class_="names"), ".")
    whole = table(f"{caption} in what was verified", ("Path", "Class", "Packages", "Expected \u2192 found"), rows)
    return join([whole, place if packages.report_path else None])


def _changes(finding: Finding) -> Html:
    return join(
        [
            tag(
                "div",
                f"{name.replace('_', ' ')}: ",
                tag("span", f"{_short(expected)} \u2192 {_short(found)}", class_="names"),
            )
            for name, expected, found in finding.changes
        ]
    )


def _short(value: str | None) -> str:
    return (
        "none"
        if value is None
        else shortened(value, DIGEST_SHOWN * 3 if " " in value or "/" in value else DIGEST_SHOWN)
    )
