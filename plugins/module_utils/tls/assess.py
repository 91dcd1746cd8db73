# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the facts of a scan to the result that a person reads: certificates parsed, trust judged, grade given.

A pure function of the facts, the trust anchors and a moment.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    certificate,
    clients,
    drift,
    grade,
    grade_view,
    mozilla,
    policy,
    served_certificate,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.offers import Offers
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import verdict

SCHEMA_VERSION = "2.0"

_NOTHING: dict[str, object] = {
    "protocols": [],
    "cipher_suites": {},
    "preference": {},
    "chacha20_priority": None,
    "groups": [],
    "groups_preference": {},
    "signature_schemes": {},
    "dh_parameters": [],
    "key_reuse": {"DHE": None, "ECDHE": None},
    "alpn": {},
    "extensions": {},
    "compression": None,
    "renegotiation": {"secure": None},
    "downgrade_sentinel": "not_tested",
    "fallback_scsv": "not_tested",
    "server_name_required": None,
    "client_certificate": "not_tested",
    "sessions": {},
    "certificates": [],
    "http": None,
    "plain_http": None,
    "vulnerability_tests": None,
    "vulnerabilities": {},
    "clients": [],
    "not_tested": [],
}
_NO_GRADE = grade.Grade(None, None, dict.fromkeys(("protocol", "key_exchange", "cipher_strength", "total")), [], [], [])


@dataclass(frozen=True)
class Rules:
    """What results are held against: criteria of the grade, a version of Mozilla's guideline, further policies."""

    mozilla_version: str = "6.0"
    policies: tuple[policy.Policy, ...] = ()
    criteria: str = grade.CRITERIA[-1]


def assess(
    scans: Sequence[Mapping[str, Any]],
    anchors: certificate.Anchors,
    now: datetime.datetime,
    rules: Rules = Rules(),
) -> dict[str, object]:
    """Return ``results``, ``summary`` and ``schema_version`` for the facts of :func:`scan.scan_targets`.

    The result of an unreachable endpoint has the same keys, without facts and grade.
    """
    described = [_describe(facts, anchors, now) for facts in scans]
    for place, finding in verdict.share_keys(described).items():
        described[place]["vulnerabilities"]["drown"] = finding.as_dict()
    results = [_judge(result, rules) for result in described]
    for result in results:
        result["address_differences"] = _address_differences(result, results)
    grades: dict[str, int] = {}
    for result in results:
        key = str(result["grade"])
        if result["reachable"]:
            grades[key] = grades.get(key, 0) + 1
    reachable = sum(1 for result in results if result["reachable"])
    summary = {
        "endpoints": len(results),
        "reachable": reachable,
        "unreachable": len(results) - reachable,
        "grades": grades,
        "connections": sum(int(facts.get("connections", 0)) for facts in scans),
    }
    return {"results": results, "summary": summary, "schema_version": SCHEMA_VERSION}


def _describe(facts: Mapping[str, Any], anchors: certificate.Anchors, now: datetime.datetime) -> dict[str, Any]:
    """Return the facts with what follows from each endpoint's own: certificates, vulnerabilities, clients."""
    result: dict[str, Any] = {**_NOTHING, **facts}
    if not facts["reachable"]:
        return result
    target = facts["target"]
    reference = str(target["server_name"] or target["host"])
    result["certificates"] = [
        served_certificate.judge(entry, anchors, reference, now) for entry in facts["certificates"]
    ]
    notes = list(facts["not_tested"])
    if not all(entry["chain_complete"] for entry in facts["certificates"]):
        notes.append({"fact": "certificates.chain", "reason": served_certificate.LEAF_ALONE})
    notes.append({"fact": "revocation", "reason": "no CRL or OCSP server is asked"})
    result["not_tested"] = notes
    result["vulnerabilities"] = {name: finding.as_dict() for name, finding in verdict.judge(result).items()}
    del result["probes"]
    result["clients"] = clients.simulate(result)
    return result


def _judge(result: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Return a described result with its grade, and what guideline and policies say of it."""
    if not result["reachable"]:
        return {**result, **_NO_GRADE.as_dict(), "mozilla": None, "policies": []}
    graded = {**result, **grade.grade(view_of(result), rules.criteria).as_dict()}
    return {
        **graded,
        "mozilla": mozilla.verdict(graded, rules.mozilla_version),
        "policies": [policy.check(each, graded) for each in rules.policies],
    }


def _address_differences(result: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is other than at the first address of the same target."""
    first = next(other for other in results if other["target"] == result["target"])
    if first is result or result["address"] == first["address"] or not (first["reachable"] and result["reachable"]):
        return []
    changes: list[dict[str, Any]] = drift.drift(first, result)["changes"]
    return [change for change in changes if change["fact"] != "address"]


def view_of(result: Mapping[str, Any]) -> grade_view.View:
    """Return what the grade's rules see of a result."""
    http = result["http"] or {}
    seen = Offers.of(result)
    return grade_view.View(
        protocols=seen.protocols,
        suites=seen.suites,
        not_tested=seen.not_tested,
        group_bits={entry["name"]: entry["rsa_equivalent_bits"] for entry in result["groups"]},
        dh_bits=tuple(entry["bits"] for entry in result["dh_parameters"]),
        certificates=tuple(
            _graded_certificate(entry) for entry in served_certificate.shown_by_name(result["certificates"])
        ),
        secure_renegotiation=result["renegotiation"]["secure"],
        hsts=http.get("strict_transport_security"),
        fallback_scsv=result["fallback_scsv"],
        vulnerabilities={
            name: (finding["status"], finding["evidence"]) for name, finding in result["vulnerabilities"].items()
        },
        clients=tuple(result["clients"]),
    )


def _graded_certificate(entry: Mapping[str, Any]) -> grade_view.Certificate:
    leaf, trust = entry["leaf"], entry["trust"]
    # A root's own signature proves nothing, so it is not looked at.
    signed = [leaf, *(other for other in entry["chain"] if not other.get("self_issued"))]
    return grade_view.Certificate(
        strength_bits=leaf.get("rsa_equivalent_bits") or None,
        signature_algorithms=tuple(str(each.get("signature_algorithm", "")) for each in signed),
        rsa_public_exponent=leaf.get("rsa_public_exponent"),
        trusted=trust["trusted"],
        trust_reason=str(trust["reason"] or ""),
        name_matches=bool(trust["name_matches"]),
        chain_incomplete=bool(trust.get("chain_incomplete")),
    )
