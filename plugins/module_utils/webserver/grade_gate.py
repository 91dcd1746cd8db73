# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is what was measured good enough to go live? Its grade, and the trust in its certificate beside what is live."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade import LETTERS, LONG_HSTS_SECONDS
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.findings import Findings, named
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.measured import (
    Result,
    answers,
    is_trusted,
)

NO_MINIMUM = "none"
_NO_WARNING_LETTERS = ("A+", "A")
# What a configuration decides. When one of these is unknown, so is what a visitor gets.
_DECIDED = ("protocols", "cipher_suites")
_NEWER_PROTOCOLS = "Take the TLS profile intermediate or modern"
_REMEDIES = {
    "ssl2_offered": _NEWER_PROTOCOLS,
    "ssl3_offered": _NEWER_PROTOCOLS,
    "tls10_or_tls11_offered": _NEWER_PROTOCOLS,
    "tls13_not_offered": _NEWER_PROTOCOLS,
    "no_tls12_or_tls13": _NEWER_PROTOCOLS,
    "no_aead": _NEWER_PROTOCOLS,
    "no_forward_secrecy": _NEWER_PROTOCOLS,
    "key_below_1024": "Use an ECDSA key, or an RSA key of 2048 bits or more",
    "key_below_2048": "Use an ECDSA key, or an RSA key of 2048 bits or more",
    "chain_incomplete": "Put the intermediate certificates behind the site's own in its file",
    "hsts_disabled": "Set the HSTS stage to observe or a later one",
    "hsts_invalid": "Send one valid Strict-Transport-Security header",
}
_LONGER_HSTS = "Set the HSTS stage to full"


def judge_grade(key: str, result: Result, live: Result | None, minimum: str) -> Findings:
    """Judge the grade of an endpoint, trust ignored: it must reach the minimum, or be better than what is live."""
    if not result["reachable"]:
        return Findings((f"{key}: it does not answer: {result['error']['message']}",))
    if minimum == NO_MINIMUM:
        return Findings()
    letter = result["grade_trust_ignored"]
    unknown = [fact for fact in result["grade_missing_facts"] if not fact.startswith("vulnerabilities.")]
    if letter is None or any(fact.startswith(_DECIDED) for fact in unknown):
        reason = f"{key}: its grade is not known, because these facts could not be measured: {named(unknown)}"
        return Findings((f"{reason}. Run again when the host is less busy, or set minimum_grade to none",))
    warnings = (f"{key}: {letter} is its grade at best, not measured: {named(unknown)}",) if unknown else ()
    before = live["grade_trust_ignored"] if live is not None and answers(live) else None
    if _is_at_least(letter, minimum):
        fell = before is not None and not _is_at_least(letter, before)
        return Findings(warnings=(*warnings, f"{key}: its grade falls from {before} to {letter}") if fell else warnings)
    if before is not None and LETTERS.index(letter) < LETTERS.index(before):
        better = f"{key}: grade {letter} is below minimum_grade {minimum}, but better than {before}, which is live"
        return Findings(warnings=(*warnings, f"{better}. {_why(result, minimum)}"))
    return Findings((f"{key}: grade {letter}, and minimum_grade is {minimum}. {_why(result, minimum)}",), warnings)


def _is_at_least(letter: str, minimum: str) -> bool:
    return LETTERS.index(letter) <= LETTERS.index(minimum)


def _why(result: Result, minimum: str) -> str:
    """Say what keeps a grade below the minimum, and what to do about it."""
    limits = [cap for cap in result["caps"] if cap["limit"] in LETTERS and not _is_at_least(cap["limit"], minimum)]
    # A warning makes an A into an A-, and does nothing to a lower grade.
    limits += result["warnings"] if minimum in _NO_WARNING_LETTERS else []
    remedies = dict.fromkeys(_REMEDIES[limit["rule"]] for limit in limits if limit["rule"] in _REMEDIES)
    reasons = [f"{limit['rule']} ({limit['evidence']})" for limit in limits]
    if not reasons and result["grade_trust_ignored"] == "A":
        reasons, remedies = [_hsts(result)], {_LONGER_HSTS: None}
    if not reasons:
        scores = {name: value for name, value in result["scores"].items() if name != "total"}
        reasons = [f"its scores are {', '.join(f'{name} {value:g}' for name, value in scores.items())}"]
    advice = f"{'; '.join(remedies) or 'Change what is named here'}, or lower minimum_grade"
    return f"The reason is {named(reasons)}. {advice}"


def _hsts(result: Result) -> str:
    policy = (result["http"] or {}).get("strict_transport_security") or {}
    sent = f"{policy['max_age_seconds']} s" if policy.get("max_age_seconds") else "none"
    return f"Strict-Transport-Security ({sent}; A+ takes {LONG_HSTS_SECONDS} s)"


def judge_trust(key: str, result: Result, live: Result | None) -> Findings:
    """Judge the trust in an endpoint's certificate: only worse than what is live it must not be."""
    if not answers(result) or is_trusted(result) is not False:
        return Findings()
    reason = f"{key}: its certificate is not trusted ({named(_distrust(result))})"
    if live is not None and answers(live) and is_trusted(live):
        return Findings((f"{reason}, and the one that is live is. Deploy a certificate that is trusted",))
    return Findings(warnings=(reason,))


def _distrust(result: Result) -> list[str]:
    verdicts = [entry["trust"] for entry in result["certificates"] if is_trusted({"certificates": [entry]}) is False]
    return [str(trust["detail"] or trust["reason"] or "it is for other names") for trust in verdicts]
