# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SSL-Labs-style grade: a pure function of facts, by the SSL Server Rating Guide in its versions 2009q and 2009r.

Scores (scores.py) give a letter, rules (grade_rules.py) limit it. A rule whose facts are not known is never passed in
silence: what could still lower the grade is in ``missing_facts``, and the grade is then an upper bound. Outside the
grade are revocation (no CRL or OCSP server is asked) and keys that are known to be weak (Debian's of 2008).
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import grade_rules, scores
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade_view import Certificate, View

LETTERS = ("A+", "A", "A-", "B", "C", "D", "E", "F")
CRITERIA = ("2009q", "2009r")
LONG_HSTS_SECONDS = 180 * 86400

_DECISIVE = ("protocols.", "cipher_suites.", "groups.", "dh_parameters.", "extensions.", "certificates")


@dataclass(frozen=True)
class Grade:
    """A grade and all that explains it."""

    grade: str | None
    grade_trust_ignored: str | None
    scores: dict[str, float | None]
    caps: list[dict[str, str]]
    warnings: list[dict[str, str]]
    missing_facts: list[str]

    def as_dict(self) -> dict[str, object]:
        """Return the grade as it stands in a result."""
        return {
            "grade": self.grade,
            "grade_trust_ignored": self.grade_trust_ignored,
            "grade_is_upper_bound": bool(self.missing_facts),
            "grade_missing_facts": self.missing_facts,
            "scores": self.scores,
            "caps": self.caps,
            "warnings": self.warnings,
        }


def grade(view: View, criteria: str = CRITERIA[-1]) -> Grade:
    """Grade an endpoint by one of :data:`CRITERIA`.

    The letters are ``None`` when the facts do not even suffice for the scores. Each cap has ``rule``, ``limit``,
    ``evidence`` and ``since`` (the version of the guide that brought the rule), each warning the same without a limit.
    """
    if criteria not in CRITERIA:
        raise ValueError(f"{criteria!r} is no version of the rating guide: use one of {', '.join(CRITERIA)}")
    rules = grade_rules.rules_of(criteria)
    parts = (scores.protocol_score(view), scores.key_exchange_score(view), scores.cipher_strength_score(view))
    total = scores.total_score(*parts)
    caps, warnings = _findings(view, rules)
    ignored = None if total is None else _letter(total, caps, bool(warnings), view)
    missing = missing_facts(view, rules)
    if total is None and not missing:
        missing = ["protocols"]
    shown = dict(zip(("protocol", "key_exchange", "cipher_strength", "total"), (*parts, total)))
    trust_caps = _trust_caps(view)
    return Grade(_with_trust(ignored, trust_caps), ignored, shown, caps + trust_caps, warnings, missing)


def _findings(view: View, rules: list[grade_rules.Rule]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the caps and the warnings of the rules that apply."""
    caps, warnings = [], []
    for rule in rules:
        evidence = rule.check(view)
        if evidence is None:
            continue
        finding = {"rule": rule.name, "evidence": evidence, "since": rule.since}
        if rule.limit is None:
            warnings.append(finding)
        else:
            caps.append({**finding, "limit": rule.limit})
    return caps, warnings


def missing_facts(view: View, rules: list[grade_rules.Rule]) -> list[str]:
    """Return the facts that are not known and could lower the grade."""
    missing = [fact for fact in view.not_tested if fact.startswith(_DECISIVE) or fact == "http"]
    # Without the issuers that could not be fetched the trust is what the server made it.
    missing = [fact for fact in missing if fact != "certificates.issuers"]
    missing += [fact for rule in rules for fact in rule.missing(view)]
    if any(certificate.trusted is None for certificate in view.certificates) and "certificates.chain" not in missing:
        missing.append("certificates.trust")
    if any(certificate.strength_bits is None for certificate in view.certificates):
        missing.append("certificates.key_strength")
    return list(dict.fromkeys(missing))


def _letter(total: float, caps: list[dict[str, str]], warned: bool, view: View) -> str:
    limits = [cap["limit"] for cap in caps]
    letter = max([scores.letter_of(total), *limits], key=LETTERS.index)
    if letter != "A":
        return letter
    if warned:
        return "A-"
    max_age = (view.hsts or {}).get("max_age_seconds")
    deserves_more = isinstance(max_age, int) and max_age >= LONG_HSTS_SECONDS and "A" not in limits
    return "A+" if deserves_more else "A"


def _trust_caps(view: View) -> list[dict[str, str]]:
    caps = []
    for certificate in view.certificates:
        if certificate.trusted is False and not _only_broken_signature(certificate):
            caps.append({"rule": "not_trusted", "limit": "T", "evidence": certificate.trust_reason, "since": "2009"})
        if not certificate.name_matches:
            evidence = "the certificate is for other names"
            caps.append({"rule": "name_mismatch", "limit": "M", "evidence": evidence, "since": "2009"})
    return [cap for place, cap in enumerate(caps) if cap not in caps[:place]]


def _only_broken_signature(certificate: Certificate) -> bool:
    """Whether nothing but a signature with MD5 or older is held against a certificate: that is an F already."""
    broken = grade_rules.broken_signatures(certificate.signature_algorithms)
    return certificate.trust_reason == "weak_signature" and bool(broken)


def _with_trust(letter: str | None, trust_caps: list[dict[str, str]]) -> str | None:
    """T beats M beats any letter, also one that the facts do not suffice for."""
    limits = [cap["limit"] for cap in trust_caps]
    if not limits:
        return letter
    return "T" if "T" in limits else "M"


def at_least(result_grade: object, is_upper_bound: object, minimum: str) -> bool:
    """Whether a grade is known to be at least ``minimum``; never for T, M, no grade, or an upper bound."""
    if minimum not in LETTERS:
        raise ValueError(f"{minimum!r} is no grade: use one of {', '.join(LETTERS)}")
    if result_grade not in LETTERS or is_upper_bound is not False:
        return False
    return LETTERS.index(str(result_grade)) <= LETTERS.index(minimum)
