# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the facts of a scan to the result that a person reads: certificates parsed, trust judged, grade given.

A pure function of the facts, the trust anchors and a moment.
"""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, grade, mozilla, policy, registry

SCHEMA_VERSION = "1.1"

_LEAF_ALONE = "the Python that scans is older than 3.10 and shows the leaf of TLS 1.3 alone"
_NOTHING: dict[str, object] = {
    "protocols": [],
    "cipher_suites": {},
    "preference": {},
    "groups": [],
    "dh_parameters": [],
    "extensions": {},
    "compression": None,
    "renegotiation": {"secure": None},
    "certificates": [],
    "http": None,
    "not_tested": [],
}
_NO_GRADE = grade.Grade(None, None, dict.fromkeys(("protocol", "key_exchange", "cipher_strength", "total")), [], [], [])


@dataclass(frozen=True)
class Rules:
    """What results are held against, beside the grade: a version of Mozilla's guideline and further policies."""

    mozilla_version: str = "6.0"
    policies: tuple[policy.Policy, ...] = ()


def assess(
    scans: Sequence[Mapping[str, Any]],
    anchors: certificate.Anchors,
    now: datetime.datetime,
    rules: Rules = Rules(),
) -> dict[str, object]:
    """Return ``results``, ``summary`` and ``schema_version`` for the facts of :func:`scan.scan_targets`."""
    results = [assess_endpoint(facts, anchors, now, rules) for facts in scans]
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


def assess_endpoint(
    facts: Mapping[str, Any], anchors: certificate.Anchors, now: datetime.datetime, rules: Rules = Rules()
) -> dict[str, object]:
    """Return the result of one endpoint; an unreachable one has the same keys, without facts and grade."""
    result: dict[str, object] = {**_NOTHING, **facts}
    if not facts["reachable"]:
        return {**result, **_NO_GRADE.as_dict(), "mozilla": None, "policies": []}
    target = facts["target"]
    reference = str(target["server_name"] or target["host"])
    certificates = [_certificate(entry, anchors, reference, now) for entry in facts["certificates"]]
    result["certificates"] = certificates
    incomplete = [entry for entry in facts["certificates"] if not entry["chain_complete"]]
    notes = list(facts["not_tested"])
    if incomplete:
        notes.append({"fact": "certificates.chain", "reason": _LEAF_ALONE})
    notes.append({"fact": "revocation", "reason": "no CRL or OCSP server is asked"})
    result["not_tested"] = notes
    result.update(grade.grade(view_of(result)).as_dict())
    return {
        **result,
        "mozilla": mozilla.verdict(result, rules.mozilla_version),
        "policies": [policy.check(each, result) for each in rules.policies],
    }


def _certificate(
    entry: Mapping[str, Any],
    anchors: certificate.Anchors,
    reference: str,
    now: datetime.datetime,
) -> dict[str, object]:
    chain = _decode_chain(entry["chain_der"])
    described = [certificate.describe(der, now) for der in chain]
    trust = certificate.judge_trust(chain, anchors, reference, now).as_dict()
    if not entry["chain_complete"] and trust["reason"] in ("chain_incomplete", "unknown_issuer"):
        trust.update(trusted=None, reason="chain_not_seen", detail=_LEAF_ALONE)
    return {
        "key_type": described[0].get("key_type", entry["key_type"]),
        "server_name_sent": entry["server_name_sent"],
        "protocols": entry["protocols"],
        "leaf": described[0],
        "chain": described[1:],
        "trust": trust,
    }


def _decode_chain(encoded: Sequence[str]) -> list[bytes]:
    chain = []
    for text in encoded:
        try:
            chain.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            chain.append(b"")
    return chain or [b""]


def view_of(result: Mapping[str, Any]) -> grade.View:
    """Return what the grade's rules see of a result."""
    http = result["http"] or {}
    return grade.View(
        protocols={entry["name"]: entry["status"] for entry in result["protocols"]},
        suites={
            name: tuple(registry.cipher_suite(int(entry["id"], 16)) for entry in entries)
            for name, entries in result["cipher_suites"].items()
        },
        preference=dict(result["preference"]),
        group_bits={entry["name"]: entry["rsa_equivalent_bits"] for entry in result["groups"]},
        dh_bits=tuple(entry["bits"] for entry in result["dh_parameters"]),
        certificates=tuple(_graded_certificate(entry) for entry in result["certificates"]),
        extensions={name: tuple(names) for name, names in result["extensions"].items()},
        compression=result["compression"],
        secure_renegotiation=result["renegotiation"]["secure"],
        hsts=http.get("strict_transport_security"),
        not_tested=tuple(entry["fact"] for entry in result["not_tested"]),
    )


def _graded_certificate(entry: Mapping[str, Any]) -> grade.Certificate:
    leaf, trust = entry["leaf"], entry["trust"]
    # A root's own signature proves nothing, so it is not looked at.
    signed = [leaf, *(other for other in entry["chain"] if not other.get("self_issued"))]
    return grade.Certificate(
        strength_bits=int(leaf.get("rsa_equivalent_bits", 0)),
        signature_algorithms=tuple(str(each.get("signature_algorithm", "")) for each in signed),
        rsa_public_exponent=leaf.get("rsa_public_exponent"),
        trusted=trust["trusted"] is not False,  # what could not be judged is a missing fact, not distrust
        trust_reason=str(trust["reason"] or ""),
        name_matches=bool(trust["name_matches"]),
    )
