# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One TLS endpoint as the report sees it: the result of a scan, read without trust in its shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report import endpoint_words
from ansible_collections.ringmaster.webops.plugins.module_utils.report.clients import Client, clients_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.policies import (
    Policy,
    guideline_from,
    policies_from,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import (
    boolean,
    integer,
    items,
    mapping,
    mappings,
    moment,
    text,
    texts,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import (
    Vulnerabilities,
    vulnerabilities_from,
)

# From best to worst. M: the name does not match, T: the certificate is not trusted (SSL Labs, SSL Server Rating Guide).
GRADES = ("A+", "A", "A-", "B", "C", "D", "E", "F", "M", "T")


@dataclass(frozen=True)
class Certificate:
    """The leaf of one certificate chain that the endpoint sends, and what the scan says about its trust."""

    subject: str | None
    issuer: str | None
    names: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    key: str | None
    signature_algorithm: str | None
    sha256_fingerprint: str | None
    server_name_sent: bool | None
    trusted: bool | None
    trust_reason: str | None
    name_matches: bool | None
    chain: tuple[str, ...]
    chain_problems: tuple[str, ...]
    stapled_ocsp: str | None

    def days_left(self, now: datetime) -> int | None:
        """Return the whole days until it expires, negative afterwards; ``None`` when the date is not known."""
        return None if self.not_after is None else (self.not_after - now) // timedelta(days=1)


@dataclass(frozen=True)
class CipherSuite:
    """A cipher suite that the endpoint accepts under ``protocol``, in the endpoint's order."""

    protocol: str
    name: str
    number: str | None


@dataclass(frozen=True)
class Note:
    """Something said about one subject: a cap and its evidence, a fact and why it was not measured."""

    subject: str
    detail: str | None
    limit: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """A TLS endpoint: who it is, whether it answered, its grade, and the facts behind the grade."""

    label: str
    name: str | None
    server_name: str | None
    address: str | None
    addresses: tuple[str, ...]
    address_differences: tuple[str, ...]
    reachable: bool
    error: str | None
    remedy: str | None
    grade: str | None
    grade_trust_ignored: str | None
    grade_is_upper_bound: bool
    grade_missing_facts: tuple[str, ...]
    scores: dict[str, str]
    protocols: tuple[tuple[str, str], ...]
    cipher_suites: tuple[CipherSuite, ...]
    preference: dict[str, str]
    groups: tuple[str, ...]
    post_quantum: str
    sessions: tuple[str, ...]
    certificates: tuple[Certificate, ...]
    http: tuple[tuple[str, str], ...]
    plain_http: str | None
    vulnerabilities: Vulnerabilities
    clients: tuple[Client, ...]
    guideline: tuple[Policy, ...]
    policies: tuple[Policy, ...]
    caps: tuple[Note, ...]
    warnings: tuple[Note, ...]
    not_tested: tuple[Note, ...]
    connections: int | None
    duration_ms: int | None


def endpoint_from(result: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint that an entry of ``results`` of ``tls_endpoint_info`` describes; a missing key is unknown."""
    target = mapping(result.get("target"))
    error = mapping(result.get("error"))
    reachable = boolean(result.get("reachable"))
    return Endpoint(
        label=_label(target),
        name=text(target.get("name")),
        server_name=text(target.get("server_name")),
        address=text(result.get("address")),
        addresses=texts(result.get("addresses")),
        address_differences=tuple(_difference(entry) for entry in mappings(result.get("address_differences"))),
        reachable=not error if reachable is None else reachable,
        error=_error_text(result.get("error")),
        remedy=text(error.get("remedy")),
        grade=text(result.get("grade")),
        grade_trust_ignored=text(result.get("grade_trust_ignored")),
        grade_is_upper_bound=result.get("grade_is_upper_bound") is True or bool(result.get("grade_missing_facts")),
        grade_missing_facts=texts(result.get("grade_missing_facts")),
        scores=_texts_by_name(result.get("scores")),
        protocols=_protocols(result.get("protocols")),
        cipher_suites=tuple(_cipher_suites(mapping(result.get("cipher_suites")))),
        preference=_texts_by_name(result.get("preference")),
        groups=tuple(_group(group) for group in items(result.get("groups"))),
        post_quantum=endpoint_words.post_quantum(result),
        sessions=endpoint_words.sessions(result.get("sessions")),
        certificates=tuple(_certificate(entry) for entry in mappings(result.get("certificates"))),
        http=endpoint_words.http(mapping(result.get("http"))),
        plain_http=endpoint_words.plain_http(mapping(result.get("plain_http"))),
        vulnerabilities=vulnerabilities_from(result),
        clients=clients_from(result.get("clients")),
        guideline=guideline_from(result.get("mozilla")),
        policies=policies_from(result.get("policies")),
        caps=_notes(result.get("caps"), "rule", "evidence"),
        warnings=_notes(result.get("warnings"), "rule", "evidence"),
        not_tested=_notes(result.get("not_tested"), "fact", "reason"),
        connections=integer(result.get("connections")),
        duration_ms=integer(result.get("duration_ms")),
    )


def worst_grade(endpoints: Iterable[Endpoint]) -> Endpoint | None:
    """Return the endpoint with the worst grade; an upper bound is worse than the same grade that is certain."""
    graded = [endpoint for endpoint in endpoints if endpoint.grade is not None]
    return max(graded, key=lambda one: (grade_rank(one.grade), one.grade_is_upper_bound), default=None)


def grade_rank(grade: str | None) -> int:
    """Return the place of ``grade`` from best (0) to worst; a grade that is not known counts as the worst."""
    return GRADES.index(grade) if grade in GRADES else len(GRADES)


def soonest_expiry(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, Certificate] | None:
    """Return the certificate that expires first, with its endpoint; ``None`` when no expiry is known."""
    dated = [
        (certificate.not_after, position, endpoint, certificate)
        for position, endpoint in enumerate(endpoints)
        for certificate in endpoint.certificates
        if certificate.not_after is not None
    ]
    soonest = min(dated, key=lambda one: one[:2], default=None)
    return None if soonest is None else soonest[2:]


def _label(target: Mapping[str, Any]) -> str:
    host, port = text(target.get("host")), text(target.get("port"))
    if host is None:
        return text(target.get("name")) or "(unnamed target)"
    bracketed = f"[{host}]" if ":" in host else host
    return f"{bracketed}:{port}" if port else bracketed


def _error_text(error: object) -> str | None:
    entry = mapping(error)
    if not entry:
        return text(error)
    return text(entry.get("message")) or text(entry.get("kind")) or "error without a message"


def _difference(entry: Mapping[str, Any]) -> str:
    fact, before, after, direction = (text(entry.get(key)) for key in ("fact", "before", "after", "direction"))
    return f"{fact or 'unknown'}: {before or 'none'} \u2192 {after or 'none'} ({direction or 'unknown'})"


def _texts_by_name(value: object) -> dict[str, str]:
    return {name: text(item) or "unknown" for name, item in mapping(value).items()}


def _protocols(value: object) -> tuple[tuple[str, str], ...]:
    return tuple(
        (text(entry.get("name")) or "unknown", text(entry.get("status")) or "unknown") for entry in mappings(value)
    )


def _cipher_suites(by_protocol: Mapping[str, Any]) -> Iterable[CipherSuite]:
    for protocol, suites in by_protocol.items():
        for suite in items(suites):
            entry = mapping(suite)
            number = entry.get("id")
            yield CipherSuite(
                protocol=protocol,
                name=text(entry.get("name") if entry else suite) or "unknown",
                number=f"0x{number:04x}" if isinstance(number, int) else text(number),
            )


def _group(value: object) -> str:
    entry = mapping(value)
    name = text(entry.get("name") if entry else value) or "unknown"
    return f"{name} (post-quantum)" if entry.get("post_quantum") is True else name


def _certificate(entry: Mapping[str, Any]) -> Certificate:
    leaf, trust = mapping(entry.get("leaf")), mapping(entry.get("trust"))
    key = (text(leaf.get("key_type")) or text(entry.get("key_type")), text(leaf.get("key_bits")))
    return Certificate(
        subject=text(leaf.get("subject")),
        issuer=text(leaf.get("issuer")),
        names=texts(leaf.get("names")),
        not_before=moment(leaf.get("not_before")),
        not_after=moment(leaf.get("not_after")),
        key=" ".join(part for part in key if part) or None,
        signature_algorithm=text(leaf.get("signature_algorithm")),
        sha256_fingerprint=text(leaf.get("sha256_fingerprint")),
        server_name_sent=boolean(entry.get("server_name_sent")),
        trusted=boolean(trust.get("trusted")),
        trust_reason=text(trust.get("reason")),
        name_matches=boolean(trust.get("name_matches")),
        chain=tuple(text(mapping(link).get("subject")) or "unknown" for link in items(entry.get("chain"))),
        chain_problems=_chain_problems(entry),
        stapled_ocsp=_stapled_ocsp(entry),
    )


def _chain_problems(entry: Mapping[str, Any]) -> tuple[str, ...]:
    extra = len(items(entry.get("extra_certificates")))
    problems = ["an issuer is not sent"] * (mapping(entry.get("trust")).get("chain_incomplete") is True)
    problems += ["the order is wrong"] * (entry.get("chain_order") == "wrong")
    return (*problems, *[f"{extra} of no use"] * bool(extra))


def _stapled_ocsp(entry: Mapping[str, Any]) -> str | None:
    stapled = mapping(entry.get("stapled_ocsp"))
    demanded = ", though the certificate demands one" if entry.get("must_staple_satisfied") is False else ""
    if not stapled:
        return f"none{demanded}" if "stapled_ocsp" in entry else None
    valid = stapled.get("valid")
    verified = [] if valid is True else ["not valid" if valid is False else "not verified"]
    return ", ".join([text(stapled.get("status")) or "no status", *verified, *texts([stapled.get("reason")])])


def _notes(value: object, subject: str, detail: str) -> tuple[Note, ...]:
    notes = []
    for item in items(value):
        entry = mapping(item)
        notes.append(
            Note(
                subject=text(entry.get(subject) if entry else item) or "unknown",
                detail=text(entry.get(detail)),
                limit=text(entry.get("limit")),
            )
        )
    return tuple(notes)
