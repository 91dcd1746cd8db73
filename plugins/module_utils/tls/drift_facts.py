# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts and verdicts in which two results of one endpoint can differ, and which way is better."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import policy_facts, registry

BETTER, WORSE, NEUTRAL = "better", "worse", "neutral"
_OPPOSITE = {BETTER: WORSE, WORSE: BETTER, NEUTRAL: NEUTRAL}

_GRADES = ("F", "E", "D", "C", "B", "A-", "A", "A+")
# Without trust or with another name a visitor is stopped, whatever the letter would be.
_GRADE_RANKS: dict[object, int] = {"T": -2, "M": -1, **{letter: rank for rank, letter in enumerate(_GRADES)}}
_VULNERABILITY_RANKS: dict[object, int] = {
    "vulnerable": 0,
    "likely": 1,
    "exposed": 2,
    "not_vulnerable": 3,
    "not_applicable": 3,
}
_ON_IS_GOOD: dict[object, int] = {False: 0, True: 1}
_OFF_IS_GOOD: dict[object, int] = {True: 0, False: 1}
_PROTOCOL_ADDED = {"SSLv2": WORSE, "SSLv3": WORSE, "TLSv1.0": WORSE, "TLSv1.1": WORSE, "TLSv1.3": BETTER}
_EXPIRY_THRESHOLDS_DAYS = (0, 7, 14, 30)
_WEAK_GROUP_BITS = 2048
# Facts of one word: its values from bad to good; an empty mapping where neither is better.
_WORDS: dict[str, dict[object, int]] = {
    "compression": _OFF_IS_GOOD,
    "fallback_scsv": {"not_supported": 0, "supported": 1, "not_applicable": 1},
    "downgrade_sentinel": {"missing": 0, "present": 1, "not_applicable": 1},
    "client_certificate": {},
    "chacha20_priority": {},
    "server_name_required": {},
}
_NESTED: dict[str, dict[str, dict[object, int]]] = {
    "renegotiation": {"secure": _ON_IS_GOOD},
    "key_reuse": {"DHE": _OFF_IS_GOOD, "ECDHE": _OFF_IS_GOOD},
}
_HSTS_RANKS: dict[str, dict[object, int]] = {"present": _ON_IS_GOOD, "valid": _ON_IS_GOOD}


class Comparison:
    """The changes and the unknowns found so far."""

    def __init__(self) -> None:
        """Begin without any."""
        self.changes: list[dict[str, object]] = []
        self.unknown: list[dict[str, str]] = []

    def change(self, fact: str, before: object, after: object, direction: str) -> None:
        """Note that a fact is another."""
        self.changes.append({"fact": fact, "before": before, "after": after, "direction": direction})

    def cannot_tell(self, fact: str, reason: str) -> None:
        """Note that a fact may have changed."""
        self.unknown.append({"fact": fact, "reason": reason})

    def value(self, fact: str, before: object, after: object, ranks: Mapping[object, int] | None = None) -> None:
        """Compare two measured values; ``ranks`` orders those of which one is better than the other."""
        if before != after:
            known = ranks is not None and before in ranks and after in ranks
            difference = ranks[after] - ranks[before] if known and ranks is not None else 0
            self.change(fact, before, after, _direction(difference))

    def measured(self, fact: str, before: object, after: object, ranks: Mapping[object, int] | None = None) -> None:
        """Compare two values that may not have been measured (null, or the word ``not_tested``)."""
        if before == after:
            return
        if any(value is None or value == "not_tested" for value in (before, after)):
            self.cannot_tell(fact, "one of the results does not have it")
        else:
            self.value(fact, before, after, ranks)

    def number(self, fact: str, before: int, after: int) -> None:
        """Compare two numbers of which the greater is the better."""
        if before != after:
            self.change(fact, before, after, _direction(after - before))

    def members(
        self, fact: str, before: Mapping[str, object], after: Mapping[str, object], added: Mapping[str, str], gaps: Gaps
    ) -> None:
        """Compare two sets, name -> what is shown of it; ``added`` says what the arrival of a name is.

        A name that is new to a list of which the earlier one is incomplete may have been there before.
        """
        for name in (*after, *(name for name in before if name not in after)):
            if name in before and name in after:
                continue
            gap = gaps.before if name in after else gaps.after
            if gap:
                self.cannot_tell(f"{fact}.{name}", gap)
                continue
            direction = added.get(name, NEUTRAL)
            self.change(
                f"{fact}.{name}",
                before.get(name),
                after.get(name),
                direction if name in after else _OPPOSITE[direction],
            )


class Gaps:
    """Why a fact of the earlier and of the later result is incomplete; empty where it is not."""

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any], *facts: str) -> None:
        """Look the facts up in what was not tested."""
        self.before = policy_facts.gap(before, *facts)
        self.after = policy_facts.gap(after, *facts)


def compare(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    """Compare the results of an endpoint that was reached both times."""
    for step in (
        _grade,
        _limits,
        _protocols,
        _suites,
        _groups,
        _dh_parameters,
        _words,
        _extensions,
        _certificates,
        _http,
        _vulnerabilities,
        _clients,
        _mozilla,
    ):
        step(before, after, found)
    for when, result in (("before", before), ("after", after)):
        for note in result.get("not_tested") or ():
            if note["fact"] not in (entry["fact"] for entry in found.unknown):
                found.cannot_tell(note["fact"], f"not tested {when}: {note['reason']}")


def _direction(difference: int) -> str:
    return BETTER if difference > 0 else WORSE if difference < 0 else NEUTRAL


def _grade(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    for fact in ("grade", "grade_trust_ignored"):
        old, new = before.get(fact), after.get(fact)
        if old == new:
            continue
        if old not in _GRADE_RANKS or new not in _GRADE_RANKS:
            found.cannot_tell(fact, "one of the results has no grade")
            continue
        # An upper bound may hide a worse grade: it proves that a grade fell to it, never that one rose to it.
        rose = _GRADE_RANKS[new] > _GRADE_RANKS[old]
        if (after if rose else before).get("grade_is_upper_bound"):
            found.cannot_tell(fact, f"{new if rose else old} is an upper bound, facts are missing")
        else:
            found.value(fact, old, new, _GRADE_RANKS)


def _limits(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    """Compare what limits the grade; a rule that lacks facts cannot be said to apply no more."""
    gaps = Gaps({}, {})
    gaps.before, gaps.after = (
        ", ".join(f"{fact} was not tested" for fact in result.get("grade_missing_facts") or ())
        for result in (before, after)
    )
    for fact in ("caps", "warnings"):
        old, new = (
            {entry["rule"]: entry.get("limit") or entry.get("evidence") for entry in result.get(fact) or ()}
            for result in (before, after)
        )
        found.members(fact, old, new, dict.fromkeys((*old, *new), WORSE), gaps)


def _statuses(result: Mapping[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["status"] for entry in result.get("protocols") or ()}


def _protocols(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old, new = _statuses(before), _statuses(after)
    for name in registry.VERSION_NAMES.values():
        added = _PROTOCOL_ADDED.get(name, NEUTRAL)
        good = {BETTER: 1, WORSE: -1, NEUTRAL: 0}[added]
        found.measured(f"protocols.{name}", old.get(name), new.get(name), {"not_offered": 0, "offered": good})


def _quality(entry: Mapping[str, Any]) -> str:
    """Say ``strong`` (AEAD, forward secrecy), ``insecure`` (encryption that is none, no authentication) or ``weak``."""
    suite = registry.cipher_suite(int(entry["id"], 16))
    if suite.bits < 112 or suite.export or suite.authentication == "anon" or suite.encryption.startswith("RC4"):
        return "insecure"
    return "strong" if suite.aead and suite.forward_secrecy else "weak"


def _suites(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    """Compare the suites of the protocols that were offered both times; the protocols themselves are facts too."""
    old_lists, new_lists = before.get("cipher_suites") or {}, after.get("cipher_suites") or {}
    for protocol in new_lists:
        if protocol in old_lists:
            old, new = (
                {entry["name"]: _quality(entry) for entry in lists[protocol]} for lists in (old_lists, new_lists)
            )
            added = {name: NEUTRAL if quality == "strong" else WORSE for name, quality in {**old, **new}.items()}
            fact = f"cipher_suites.{protocol}"
            found.members(fact, old, new, added, Gaps(before, after, fact))
            was, now = ((result.get("preference") or {}).get(protocol) for result in (before, after))
            if was and now:  # with one suite there is no choice
                found.measured(f"preference.{protocol}", was, now)


def _groups(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old, new = ({entry["name"]: "offered" for entry in result.get("groups") or ()} for result in (before, after))
    added = {}
    for entry in (*(before.get("groups") or ()), *(after.get("groups") or ())):
        weak = entry.get("rsa_equivalent_bits", 0) < _WEAK_GROUP_BITS
        added[entry["name"]] = BETTER if entry.get("post_quantum") else WORSE if weak else NEUTRAL
    found.members("groups", old, new, added, Gaps(before, after, "groups"))


def _dh_parameters(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old, new = ([entry["bits"] for entry in result.get("dh_parameters") or ()] for result in (before, after))
    gaps = Gaps(before, after, "dh_parameters")
    if gaps.before or gaps.after:
        if old != new:
            found.cannot_tell("dh_bits", gaps.before or gaps.after)
    elif old and new:
        found.number("dh_bits", min(old), min(new))


def _words(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    for fact, ranks in _WORDS.items():
        found.measured(fact, before.get(fact), after.get(fact), ranks)
    for fact, parts in _NESTED.items():
        for part, ranks in parts.items():
            old, new = ((result.get(fact) or {}).get(part) for result in (before, after))
            found.measured(f"{fact}.{part}", old, new, ranks)
    for fact in ("sessions", "alpn"):
        _flat(fact, before.get(fact), after.get(fact), found)


def _flat(fact: str, before: object, after: object, found: Comparison) -> None:
    """Compare whatever is nested below a fact, leaf by leaf; neither side is better."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*after, *(key for key in before if key not in after)):
            _flat(f"{fact}.{key}", before.get(key), after.get(key), found)
    else:
        found.measured(fact, before, after)


def _extensions(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old_lists, new_lists = before.get("extensions") or {}, after.get("extensions") or {}
    good = dict.fromkeys(("extended_master_secret", "encrypt_then_mac", "renegotiation_info"), BETTER)
    for protocol in new_lists:
        if protocol in old_lists:
            old, new = (dict.fromkeys(lists[protocol], "echoed") for lists in (old_lists, new_lists))
            fact = f"extensions.{protocol}"
            found.members(fact, old, new, good, Gaps(before, after, fact))


def _certificates(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    olds, news = (_by_kind(result.get("certificates") or ()) for result in (before, after))
    old, new = (
        {kind: entry["leaf"].get("sha256_fingerprint") for kind, entry in kinds.items()} for kinds in (olds, news)
    )
    found.members("certificates", old, new, {}, Gaps(before, after, "certificates"))
    for kind in news:
        if kind in olds:
            _certificate(f"certificates.{kind}", olds[kind], news[kind], found)


def _by_kind(entries: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Name each certificate by its key type; one that is shown without the server's name is another."""
    kinds: dict[str, Mapping[str, Any]] = {}
    some_named = any(entry.get("server_name_sent") for entry in entries)
    for entry in entries:
        kind = str(entry.get("key_type"))
        if some_named and not entry.get("server_name_sent"):
            kind += " without server name"
        kinds.setdefault(kind, entry)
    return kinds


def _certificate(fact: str, before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old, new = before["leaf"], after["leaf"]
    if old.get("sha256_fingerprint") != new.get("sha256_fingerprint"):
        found.value(f"{fact}.sha256_fingerprint", old.get("sha256_fingerprint"), new.get("sha256_fingerprint"))
        for part in ("not_after", "issuer", "spki_sha256", "signature_algorithm", "names", "curve"):
            _certificate_part(f"{fact}.{part}", old.get(part), new.get(part), found)
        if old.get("rsa_equivalent_bits") and new.get("rsa_equivalent_bits"):
            found.number(f"{fact}.rsa_equivalent_bits", old["rsa_equivalent_bits"], new["rsa_equivalent_bits"])
    elif isinstance(old.get("days_left"), int) and isinstance(new.get("days_left"), int):
        crossed = [days for days in _EXPIRY_THRESHOLDS_DAYS if new["days_left"] < days <= old["days_left"]]
        if crossed:
            found.number(f"{fact}.days_left", old["days_left"], new["days_left"])
    old_trust, new_trust = before.get("trust") or {}, after.get("trust") or {}
    for part in ("trusted", "name_matches"):
        found.measured(f"{fact}.trust.{part}", old_trust.get(part), new_trust.get(part), _ON_IS_GOOD)
    if None not in (old_trust.get("trusted"), new_trust.get("trusted")):
        found.value(f"{fact}.trust.reason", old_trust.get("reason"), new_trust.get("reason"))


def _certificate_part(fact: str, before: object, after: object, found: Comparison) -> None:
    if fact.endswith(".not_after") and isinstance(before, str) and isinstance(after, str):
        if before != after:  # ISO 8601 in UTC sorts as text
            found.change(fact, before, after, BETTER if after > before else WORSE)
    else:
        found.measured(fact, before, after)


def _http(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old, new = before.get("http"), after.get("http")
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        if old != new:
            found.cannot_tell(
                "http", policy_facts.gap(before, "http") or policy_facts.gap(after, "http") or "no answer"
            )
        return
    for key in (*new, *(key for key in old if key not in new)):
        if key != "strict_transport_security":
            _flat(f"http.{key}", old.get(key), new.get(key), found)
    fact = "http.strict_transport_security"
    old_hsts, new_hsts = old.get("strict_transport_security"), new.get("strict_transport_security")
    if not isinstance(old_hsts, Mapping) or not isinstance(new_hsts, Mapping):
        found.measured(fact, old_hsts, new_hsts)
        return
    for part, ranks in _HSTS_RANKS.items():
        found.measured(f"{fact}.{part}", old_hsts.get(part), new_hsts.get(part), ranks)
    if old_hsts.get("valid") and new_hsts.get("valid"):
        found.number(
            f"{fact}.max_age_seconds", old_hsts.get("max_age_seconds") or 0, new_hsts.get("max_age_seconds") or 0
        )
        for part in ("include_subdomains", "preload"):
            found.measured(f"{fact}.{part}", old_hsts.get(part), new_hsts.get(part))


def _vulnerabilities(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old, new = before.get("vulnerabilities") or {}, after.get("vulnerabilities") or {}
    for name in _union(old, new):
        was, now = ((each.get(name) or {}).get("status") for each in (old, new))
        found.measured(f"vulnerabilities.{name}", was, now, _VULNERABILITY_RANKS)


def _clients(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    """Compare which clients can connect; one that is in one list alone belongs to another list of clients."""
    old, new = (
        {entry["name"]: entry.get("connects") for entry in result.get("clients") or ()} for result in (before, after)
    )
    for name in _union(old, new):
        found.measured(f"clients.{name}", old.get(name), new.get(name), _ON_IS_GOOD)


def _mozilla(before: Mapping[str, Any], after: Mapping[str, Any], found: Comparison) -> None:
    old, new = before.get("mozilla") or {}, after.get("mozilla") or {}
    if old.get("version") != new.get("version"):
        found.cannot_tell("mozilla", "the results were held against different versions of the guideline")
        return
    for name in _union(old.get("profiles") or {}, new.get("profiles") or {}):
        was, now = (((each.get("profiles") or {}).get(name) or {}).get("compliant") for each in (old, new))
        found.measured(f"mozilla.{name}", was, now, _ON_IS_GOOD)


def _union(before: Collection[str], after: Collection[str]) -> list[str]:
    return [*after, *(name for name in before if name not in after)]
