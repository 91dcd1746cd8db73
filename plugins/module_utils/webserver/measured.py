# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The endpoints of a release as they were measured: what is live, what the shadow answers, and what differs."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, drift, grade
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.assess import assess
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.served_certificate import shown_by_name
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import is_address
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.findings import Findings
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.request import Endpoint

Result = Mapping[str, Any]
"""One entry of ``results`` of ``tls_endpoint_info``."""

_COMPARED = ("protocols.", "cipher_suites.", "groups.", "http.strict_transport_security")
# The fact that is missing where no answer over HTTP was seen.
_WHOLE_ANSWER = "http"
_MOST_DIFFERENCES = 3
_CURRENT_CLIENT = "Chrome "


def judged(
    scans: Sequence[Mapping[str, Any]],
    endpoints: Sequence[Endpoint],
    anchors: certificate.Anchors,
    now: datetime.datetime,
) -> dict[Endpoint, Result]:
    """Return the result of each endpoint; ``scans`` are the facts of all of them in their order, or none at all.

    Results name their target as the endpoint does, wherever the facts were measured.
    """
    if len(scans) != len(endpoints):
        return {}
    facts = [{**scan, "target": _target(scan["target"], endpoint)} for scan, endpoint in zip(scans, endpoints)]
    results: Any = assess(facts, anchors, now)["results"]
    return dict(zip(endpoints, results))


def _target(scanned: Mapping[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """Return what was asked for, as a visitor asks: an address has no server name (RFC 6066 3)."""
    bare = is_address(endpoint.server_name)
    return {
        "name": endpoint.key,
        "host": endpoint.server_name,
        "port": endpoint.port,
        "server_name": None if bare else scanned.get("server_name") or endpoint.server_name,
        "starttls": None,
        "http_port": scanned.get("http_port"),
    }


def answers(result: Result | None) -> bool:
    """Whether an endpoint was measured and speaks TLS."""
    return result is not None and bool(result["reachable"])


def grades(results: Mapping[Endpoint, Result]) -> dict[str, str | None]:
    """Return the grade, trust ignored, of each endpoint by its key; the worst where it has several addresses."""
    found: dict[str, list[str | None]] = {}
    for endpoint, result in results.items():
        found.setdefault(endpoint.key, []).append(result["grade_trust_ignored"])
    return {key: max(each, key=_badness) for key, each in found.items()}


def _badness(letter: str | None) -> int:
    return len(grade.LETTERS) if letter is None else grade.LETTERS.index(letter)


def is_trusted(result: Result) -> bool | None:
    """Whether all that a visitor is shown is trusted and for the name; ``None`` where it cannot be told."""
    entries = result["certificates"]
    shown = [entry["trust"] for entry in shown_by_name(entries)]
    if not shown:
        return None
    if any(trust["trusted"] is False or not trust["name_matches"] for trust in shown):
        return False
    return True if all(trust["trusted"] for trust in shown) else None


def leaves(result: Result) -> set[str]:
    """Return the SHA-256 fingerprints of the certificates that an endpoint shows."""
    return {str(entry["leaf"]["sha256_fingerprint"]) for entry in result["certificates"]}


def clients_shut_out(
    before: Mapping[Endpoint, Result], after: Mapping[Endpoint, Result]
) -> dict[str, tuple[list[str], list[str]]]:
    """Return, for each endpoint that loses clients, the well-known ones that connect, and those of them that stay."""
    found = {}
    for endpoint, result in after.items():
        old = [entry["name"] for entry in before.get(endpoint, {}).get("clients", ()) if entry["connects"]]
        lost = {entry["name"] for entry in result["clients"] if entry["connects"] is False}
        if lost.intersection(old):
            found[endpoint.key] = (old, [name for name in old if name not in lost])
    return found


def judge_sameness(shadow: Mapping[Endpoint, Result], live: Mapping[Endpoint, Result]) -> Findings:
    """Judge whether each endpoint answers live as it did in the shadow.

    Held against each other are protocols, cipher suites, groups, leaf certificates and the HSTS header. What was not
    measured on one side is a warning.
    """
    refusals, warnings = [], []
    for endpoint, expected in shadow.items():
        if endpoint not in live:
            refusals.append(f"{endpoint.key}: it was not measured after the switch")
            continue
        found = drift.drift(expected, live[endpoint])
        changes = [change for change in found["changes"] if _is_compared(change["fact"])]
        if not live[endpoint]["reachable"]:
            refusals.append(
                f"{endpoint.key}: it does not answer after the switch ({live[endpoint]['error']['message']})"
            )
        elif changes:
            refusals.append(f"{endpoint.key}: it does not answer as it did in the shadow: {_differences(changes)}")
        unknown = [entry["fact"] for entry in found["unknown"] if entry["fact"].startswith((*_COMPARED, _WHOLE_ANSWER))]
        if unknown and answers(live[endpoint]):
            warnings.append(f"{endpoint.key}: not compared with the shadow, for want of facts: {', '.join(unknown)}")
    return Findings(tuple(refusals), tuple(warnings))


def _is_compared(fact: str) -> bool:
    """Whether a change means another configuration; what else changes of a certificate follows from it or from time."""
    if fact.startswith("certificates."):
        return fact.count(".") == 1 or fact.endswith(".sha256_fingerprint")
    return fact.startswith(_COMPARED)


def _differences(changes: Sequence[Mapping[str, Any]]) -> str:
    shown = [f"{each['fact']} is {each['after']}, not {each['before']}" for each in changes[:_MOST_DIFFERENCES]]
    more = f" and {len(changes) - _MOST_DIFFERENCES} more" if len(changes) > _MOST_DIFFERENCES else ""
    return f"{'; '.join(shown)}{more}"


def summary(result: Result) -> dict[str, object]:
    """Return the short facts of a result: the key ``endpoints`` of the module's own result has one for each."""
    hsts = (result["http"] or {}).get("strict_transport_security") or {}
    return {
        "target": result["target"]["name"],
        "grade_trust_ignored": result["grade_trust_ignored"],
        "grade": result["grade"],
        "trusted": is_trusted(result),
        "protocols": [entry["name"] for entry in result["protocols"] if entry["status"] == "offered"],
        "caps": [cap["rule"] for cap in result["caps"]],
        "hsts_max_age_seconds": hsts.get("max_age_seconds"),
        "negotiated_group": _negotiated_group(result),
    }


def _negotiated_group(result: Result) -> str | None:
    """Return the group that a current browser negotiates: the newest one of a kind stands last in the table."""
    groups = [entry["group"] for entry in result["clients"] if entry["name"].startswith(_CURRENT_CLIENT)]
    return groups[-1] if groups else None
