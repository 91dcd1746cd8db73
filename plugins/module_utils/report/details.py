# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host in full, for a person: its reasons, its TLS endpoints, its packages."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ringmaster.webops.plugins.module_utils.report.endpoint import Certificate, Endpoint, Note
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
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import iso, shortened
from ansible_collections.ringmaster.webops.plugins.module_utils.report.words import count, size

# How much of one host the page shows; report.json has the rest.
FINDINGS_SHOWN = 100
NAMES_SHOWN = 40
DIGEST_SHOWN = 20


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
    body = tag("div", reasons, _endpoints(host), _packages(host), id=identifier)
    return Html(f"<details{' open' if is_open else ''}>{summary}{body}</details>\n")


def _endpoints(host: Host) -> Html:
    heading = tag("h3", "TLS endpoints")
    if not host.endpoints:
        return join([heading, tag("p", "No TLS endpoint of this host was measured.")])
    return join([heading, *(_endpoint(endpoint, host) for endpoint in host.endpoints)])


def _endpoint(endpoint: Endpoint, host: Host) -> Html:
    heading = tag("h4", endpoint.label, *([" \u00b7 ", _grade(endpoint)] if endpoint.grade else []))
    facts = pairs(
        [
            ("Name", endpoint.name if endpoint.name not in (host.name, endpoint.label) else None),
            ("Server name sent", endpoint.server_name),
            ("Addresses", ", ".join(endpoint.addresses) or None),
            ("Answer", None if endpoint.reachable else "none"),
            ("Error", endpoint.error),
            ("Remedy", endpoint.remedy),
            (
                "Scores",
                ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in endpoint.scores.items()) or None,
            ),
            ("Not measured for the grade", ", ".join(endpoint.grade_missing_facts) or None),
            ("Grade held down by", _notes(endpoint.caps)),
            ("Warnings", _notes(endpoint.warnings)),
            ("Named groups", ", ".join(endpoint.groups) or None),
        ],
        class_="facts",
    )
    parts = [
        _protocols(endpoint),
        *(_certificate(certificate, host) for certificate in endpoint.certificates),
        pairs(endpoint.http, class_="facts") if endpoint.http else None,
        pairs([("Not tested", _notes(endpoint.not_tested))], class_="facts") if endpoint.not_tested else None,
        _effort(endpoint),
    ]
    return tag("div", heading, facts, *parts, class_="endpoint")


def _grade(endpoint: Endpoint) -> str:
    words = f"grade {endpoint.grade}{' at best' if endpoint.grade_is_upper_bound else ''}"
    ignored = endpoint.grade_trust_ignored
    return f"{words} ({ignored} with trust ignored)" if ignored and ignored != endpoint.grade else words


def _notes(notes: Sequence[Note]) -> Html | None:
    entries = [
        f"{note.subject}{f' (at most {note.limit})' if note.limit else ''}{f': {note.detail}' if note.detail else ''}"
        for note in notes
    ]
    return listing(entries) if entries else None


def _effort(endpoint: Endpoint) -> Html | None:
    parts = [count(endpoint.connections, "connection")] if endpoint.connections is not None else []
    parts += [f"{endpoint.duration_ms:,} ms"] if endpoint.duration_ms is not None else []
    return tag("p", f"Measured with {', '.join(parts)}.", class_="soft") if parts else None


def _protocols(endpoint: Endpoint) -> Html | None:
    names = dict(endpoint.protocols)
    names.update({suite.protocol: "offered" for suite in endpoint.cipher_suites if suite.protocol not in names})
    if not names:
        return None
    rows: list[list[Content]] = []
    for name, status in names.items():
        suites = [
            tag("span", f"{suite.name}{f' ({suite.number})' if suite.number else ''}")
            for suite in endpoint.cipher_suites
            if suite.protocol == name
        ]
        order = endpoint.preference.get(name, "").replace("_", " ")
        rows.append([name, status.replace("_", " "), order, tag("div", join(suites, " "), class_="names suites")])
    headings = ("Protocol", "Status", "Order chosen by", "Cipher suites")
    return table("Protocols, with their cipher suites in the server's order", headings, rows, class_="protocols")


def _certificate(certificate: Certificate, host: Host) -> Html:
    days = certificate.days_left(host.judged_at)
    end = None if certificate.not_after is None else iso(certificate.not_after)
    chain = list(certificate.chain)
    entries: list[tuple[str, Content]] = [
        ("Certificate", certificate.subject or "subject unknown"),
        ("Names", _bounded(certificate.names)),
        ("Issuer", certificate.issuer),
        ("Valid from", None if certificate.not_before is None else iso(certificate.not_before)),
        ("Valid until", end if days is None else f"{end} ({count(days, 'day')} left)"),
        ("Key", certificate.key),
        ("Signature", certificate.signature_algorithm),
        ("Trusted", _trust(certificate)),
        ("Names the server", _yes_or_no(certificate.name_matches)),
        ("Sent without a server name", "yes" if certificate.server_name_sent is False else None),
        ("Chain", " \u2192 ".join(chain) or None),
        (
            "SHA-256",
            tag("span", certificate.sha256_fingerprint, class_="names") if certificate.sha256_fingerprint else None,
        ),
    ]
    return pairs(entries, class_="facts")


def _trust(certificate: Certificate) -> str:
    word = _yes_or_no(certificate.trusted) or "unknown"
    return f"{word}: {certificate.trust_reason}" if certificate.trust_reason else word


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _bounded(names: Sequence[str]) -> str | None:
    rest = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {rest:,} more" if rest > 0 else shown or None


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
