# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for a person: one self-contained HTML page that needs no network, no script and no font of its own."""

from __future__ import annotations

import base64
import hashlib

from ansible_collections.ringmaster.webops.plugins.module_utils.report.details import badge, host_details
from ansible_collections.ringmaster.webops.plugins.module_utils.report.markup import Content, Html, join, table, tag
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import ENDPOINTS, Host, Report
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import iso
from ansible_collections.ringmaster.webops.plugins.module_utils.report.style import STYLE
from ansible_collections.ringmaster.webops.plugins.module_utils.report.verdict import LEVELS, OK, Reason
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import FOUND, count_found
from ansible_collections.ringmaster.webops.plugins.module_utils.report.words import (
    count,
    coverage,
    expiry,
    fleet_coverage,
    grade,
    headline,
    libraries_word,
    packages_word,
)

# The first screen names so many reasons; the rest stands with the hosts.
REASONS_SHOWN = 30


def to_html(report: Report) -> str:
    """Return the whole page as text. Everything from a host is escaped; the page may load nothing at all (CSP)."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = (
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="robots" content="noindex">\n'
        f"{tag('title', f'{headline(report.hosts_by_verdict)} - fleet report')}\n"
        f"<style>{STYLE}</style>\n"
    )
    body = join([_header(report), tag("main", _to_look_at(report), _hosts(report), _details(report)), _footer()], "\n")
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _header(report: Report) -> Html:
    moment = iso(report.generated_at)
    readable = moment.replace("T", " ").replace("Z", " UTC")
    over = tag("p", "Fleet report \u00b7 ", tag("time", readable, datetime=moment), class_="over")
    verdict = tag(
        "div",
        tag("h1", headline(report.hosts_by_verdict)),
        tag("p", fleet_coverage(report)),
        class_=f"verdict {report.verdict}",
    )
    return tag("header", over, verdict, _figures(report))


def _figures(report: Report) -> Html:
    verdicts = [f"{number:,} {level}" for level, number in report.hosts_by_verdict.items() if number]
    grades = [f"{number:,} \u00d7 {name}" for name, number in report.endpoints_by_grade.items()]
    silent = sum(not endpoint.reachable for endpoint in report.endpoints)
    ungraded = sum(endpoint.reachable and endpoint.grade is None for endpoint in report.endpoints)
    grades += [f"{ungraded:,} without a grade"] * bool(ungraded) + [f"{silent:,} without an answer"] * bool(silent)
    findings = report.findings_total
    first = report.expiry
    return tag(
        "dl",
        _figure("Hosts", f"{len(report.hosts):,}", ", ".join(verdicts) or "none"),
        _figure("TLS endpoints", f"{len(report.endpoints):,}", ", ".join(grades) or "none measured"),
        _figure(
            "First certificate to expire",
            (expiry(first) if first else None) or "unknown",
            f"on {first.name}" if first else "no certificate was measured",
        ),
        _figure("Vulnerabilities", *_vulnerability_figure(report)),
        _figure("Package findings", "unknown" if findings is None else f"{findings:,}", _files_verified(report)),
        class_="figures",
    )


def _figure(name: str, large: str, small: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", large, class_="large"), tag("dd", small, class_="soft"))


def _vulnerability_figure(report: Report) -> tuple[str, str]:
    counts = report.vulnerabilities
    total = counts["tested"] + counts["not_tested"]
    found = ", ".join(f"{counts[status]:,} {status}" for status in FOUND if counts[status]) or "none found"
    return (found, f"{counts['tested']:,} of {total:,} tested") if total else ("unknown", "none tested")


def _files_verified(report: Report) -> str:
    covered = report.coverage
    if not covered.hosts:
        return "verified on no host"
    return f"{covered.files_verified:,} of {count(covered.files_listed, 'file')} verified"


def _to_look_at(report: Report) -> Html | None:
    every = [(number, host, reason) for number, host in enumerate(report.hosts) for reason in host.reasons]
    if not every:
        return None
    # Hosts come worst first, but a critical host may also carry lesser reasons: the worst of all hosts stand on top.
    every.sort(key=lambda one: -LEVELS.index(one[2].level))
    shown = [_reason(number, host, reason) for number, host, reason in every[:REASONS_SHOWN]]
    rest = len(every) - len(shown)
    more = (
        tag("p", f"{count(rest, 'more reason')} in the table and the details below.", class_="soft") if rest else None
    )
    return tag("section", tag("h2", "To look at"), tag("ul", *shown, class_="reasons"), more)


def _reason(number: int, host: Host, reason: Reason) -> Html:
    link = tag("a", host.name, href=f"#host-{number}")
    return tag("li", tag("span", badge(reason.level)), tag("span", link), tag("span", reason.text))


def _hosts(report: Report) -> Html:
    # Who asked nothing about libraries has no column that says so.
    libraries = any(host.libraries is not None for host in report.hosts)
    headings = ["Host", "Verdict", "TLS grade", "Certificate", "Packages", "Findings", "Verified"]
    return tag(
        "section",
        tag("h2", "Hosts"),
        table(
            "One row a host, worst first. The grade is the worst of the host's endpoints, the certificate the first to "
            "expire; findings count in what was verified only.",
            headings + ["TLS libraries"] * libraries,
            [
                _host_row(number, host) + [libraries_word(host.libraries)] * libraries
                for number, host in enumerate(report.hosts)
            ],
            class_="hosts",
        ),
    )


def _host_row(number: int, host: Host) -> list[Content]:
    groups = tag("small", ", ".join(host.groups)) if host.groups else None
    error = tag("small", host.error) if host.error else None
    return [
        join([tag("a", host.name, href=f"#host-{number}"), groups]),
        join([badge(host.verdict), error]),
        _grade_cell(host),
        _certificate_cell(host),
        packages_word(host),
        "not measured" if host.packages is None else _findings_cell(host),
        "not measured" if host.packages is None else _coverage_cell(host),
    ]


def _grade_cell(host: Host) -> Html:
    if not host.endpoints:
        return join(["not measured" if host.error or ENDPOINTS in host.unmeasured else "no endpoint"])
    shown = grade(host)
    notes = [count(len(host.endpoints), "endpoint")] * (len(host.endpoints) > 1)
    notes += [f"{host.unreachable:,} without an answer"] * bool(host.unreachable and shown)
    found = count_found(host.vulnerabilities)
    notes += [f"{found[status]:,} {status}" for status in FOUND if found[status]]
    word = "no answer" if host.unreachable == len(host.endpoints) else "no grade"
    main = tag("span", shown, class_="grade") if shown else Html(word)
    return join([main, tag("small", ", ".join(notes)) if notes else None])


def _certificate_cell(host: Host) -> Html:
    left, found = expiry(host), host.expiry
    if left is None or found is None or found[1].not_after is None:
        return join(["not measured" if host.endpoints or host.error or ENDPOINTS in host.unmeasured else "none"])
    return join([left, tag("small", iso(found[1].not_after)[:10])])


def _findings_cell(host: Host) -> Content:
    total = host.packages.findings_total if host.packages else None
    return "unknown" if total is None else total


def _coverage_cell(host: Host) -> Html:
    if host.packages is None:
        return Html("not measured")
    gaps = tag("small", count(len(host.packages.gaps), "gap")) if host.packages.gaps else None
    return join([coverage(host.packages), gaps])


def _details(report: Report) -> Html:
    return tag(
        "section",
        tag("h2", "Details"),
        *(host_details(host, f"host-{number}", host.verdict != OK) for number, host in enumerate(report.hosts)),
    )


def _footer() -> Html:
    return tag(
        "footer",
        tag("p", "The same report for programs, with every fact it rests on: report.json, beside this page."),
        tag(
            "p",
            "ok: nothing to do. attention: look at it in working hours. unknown: something was not measured. "
            "critical: visitors or data are affected, or soon will be.",
        ),
    )
