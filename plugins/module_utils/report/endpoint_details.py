# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One TLS endpoint in full, for a person: what is wrong with it first, then what it offers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
from ansible_collections.ringmaster.webops.plugins.module_utils.report.policies import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import iso
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import (
    FOUND,
    count_found,
    fact_title,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.words import (
    count,
    grouped_by_reason,
    vulnerabilities_found,
)

# So many names of a certificate stand on the page; report.json has the rest.
NAMES_SHOWN = 40


def endpoint_details(endpoint: Endpoint, host: Host) -> Html:
    """Return one endpoint of ``host`` in full; of one that gave no answer, why."""
    heading = tag("h4", endpoint.label, *([" \u00b7 ", _grade(endpoint)] if endpoint.grade else []))
    target = _facts(
        [
            ("Name", endpoint.name if endpoint.name not in (host.name, endpoint.label) else None),
            ("Server name sent", endpoint.server_name),
            ("Address", _address(endpoint)),
            ("Other than at the first address", _listing(endpoint.address_differences)),
            ("Answer", None if endpoint.reachable else "none"),
            ("Error", endpoint.error),
            ("Remedy", endpoint.remedy),
        ]
    )
    parts = _answers(endpoint, host) if endpoint.reachable else []
    return tag("div", heading, target, *parts, _effort(endpoint), class_="endpoint")


def _answers(endpoint: Endpoint, host: Host) -> list[Html | None]:
    """Return what follows from an endpoint's answers, the verdicts before the facts that they rest on."""
    certificates = [_certificate(certificate, host) for certificate in endpoint.certificates]
    http = [*endpoint.http, ("Without TLS", endpoint.plain_http)]
    return [
        _part("Vulnerabilities", _vulnerabilities(endpoint)),
        _part("Grade", _why_this_grade(endpoint)),
        _part("Guidelines and clients", _guidelines_and_clients(endpoint)),
        _part("Protocols", _protocols(endpoint), _negotiation(endpoint)),
        _part("Certificates", *certificates),
        _part("HTTP", _facts(http)),
        _part("Not tested", _notes(endpoint.not_tested)),
    ]


def _part(heading: str, *contents: Html | None) -> Html | None:
    """Return contents under a heading; nothing where they are empty."""
    return join([tag("h5", heading), *contents]) if any(contents) else None


def _facts(entries: Iterable[tuple[str, Content]]) -> Html:
    return pairs(entries, class_="facts")


def _address(endpoint: Endpoint) -> str | None:
    others = [address for address in endpoint.addresses if address != endpoint.address]
    if endpoint.address is None or not others:
        return ", ".join(endpoint.addresses) or endpoint.address
    return f"{endpoint.address}; not measured here: {', '.join(others)}"


def _vulnerabilities(endpoint: Endpoint) -> Html:
    said = endpoint.vulnerabilities
    found = [
        (status.capitalize(), _listing([f"{one.title}: {one.evidence}" for one in said.found if one.status == status]))
        for status in FOUND
    ]
    level = f" (tests: {said.level})" if said.level else ""
    not_tested = grouped_by_reason((one.title, one.evidence) for one in said.not_tested)
    return _facts(
        [
            *found,
            ("Searched", f"{vulnerabilities_found(count_found([said]))}{level}"),
            ("Not tested", _listing(not_tested)),
        ]
    )


def _why_this_grade(endpoint: Endpoint) -> Html:
    scores = [f"{name.replace('_', ' ')} {value}" for name, value in endpoint.scores.items()]
    return _facts(
        [
            ("Held down by", _notes(endpoint.caps)),
            ("Warnings", _notes(endpoint.warnings)),
            ("Not known, and could lower it", ", ".join(map(fact_title, endpoint.grade_missing_facts)) or None),
            ("Scores", ", ".join(scores) or None),
        ]
    )


def _guidelines_and_clients(endpoint: Endpoint) -> Html:
    clients = endpoint.clients
    connecting = sum(one.connects is True for one in clients)
    turned_away = grouped_by_reason((one.name, one.reason) for one in clients if one.connects is False)
    unknown = grouped_by_reason((one.name, one.reason) for one in clients if one.connects is None)
    return _facts(
        [
            ("Mozilla's guideline", _verdicts(endpoint.guideline)),
            ("Policies", _verdicts(endpoint.policies)),
            ("Well-known clients", f"{connecting:,} of {len(clients):,} can connect" if clients else None),
            ("Turned away", _listing(turned_away)),
            ("Not known of", _listing(unknown)),
        ]
    )


def _verdicts(policies: Sequence[Policy]) -> Html | None:
    return _listing([policy.verdict for policy in policies])


def _negotiation(endpoint: Endpoint) -> Html:
    return _facts(
        [
            ("Named groups", ", ".join(endpoint.groups) or None),
            ("Post-quantum group", endpoint.post_quantum),
            ("Sessions are resumed", _listing(endpoint.sessions)),
        ]
    )


def _grade(endpoint: Endpoint) -> str:
    words = f"grade {endpoint.grade}{' at best' if endpoint.grade_is_upper_bound else ''}"
    ignored = endpoint.grade_trust_ignored
    return f"{words} ({ignored} with trust ignored)" if ignored and ignored != endpoint.grade else words


def _notes(notes: Sequence[Note]) -> Html | None:
    entries = [
        f"{note.subject}{f' (at most {note.limit})' if note.limit else ''}{f': {note.detail}' if note.detail else ''}"
        for note in notes
    ]
    return _listing(entries)


def _listing(entries: Sequence[str]) -> Html | None:
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
        ("Wrong with the chain", ", ".join(certificate.chain_problems) or None),
        ("Stapled OCSP response", certificate.stapled_ocsp),
        (
            "SHA-256",
            tag("span", certificate.sha256_fingerprint, class_="names") if certificate.sha256_fingerprint else None,
        ),
    ]
    return _facts(entries)


def _trust(certificate: Certificate) -> str:
    word = _yes_or_no(certificate.trusted) or "unknown"
    return f"{word}: {certificate.trust_reason}" if certificate.trust_reason else word


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _bounded(names: Sequence[str]) -> str | None:
    rest = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {rest:,} more" if rest > 0 else shown or None
