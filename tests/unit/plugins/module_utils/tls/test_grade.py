# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rating guide's numbers and rules: scores, caps, warnings, missing facts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import grade, grade_rules, registry, scores
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade_view import Certificate, View
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import finding, verdict

AES128 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
AES256 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
AES128_13 = "TLS_AES_128_GCM_SHA256"
AES256_13 = "TLS_AES_256_GCM_SHA384"
CBC = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
CBC256 = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"
TDES = "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"
RC4 = "TLS_ECDHE_RSA_WITH_RC4_128_SHA"
RC4_MD5 = "TLS_RSA_WITH_RC4_128_MD5"
KRSA = "TLS_RSA_WITH_AES_128_GCM_SHA256"
ANONYMOUS = "TLS_DH_anon_WITH_AES_128_GCM_SHA256"
EXPORT = "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA"
GOOD = {"TLSv1.2": [AES128, AES256], "TLSv1.3": [AES128_13, AES256_13]}

LONG_HSTS = {"present": True, "valid": True, "max_age_seconds": 63072000, "value": "max-age=63072000"}


def suites(*names: str) -> tuple[registry.CipherSuite, ...]:
    found = [registry.suite_by_name(name) for name in names]
    assert None not in found
    return tuple(suite for suite in found if suite is not None)


def view(accepted: dict[str, list[str]] | None = None, **changes: object) -> View:
    """Return what is known of a server that deserves an A+, with what a test changes about it."""
    accepted = GOOD if accepted is None else accepted
    statuses = dict.fromkeys(("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"), "not_offered")
    values: dict[str, Any] = {
        "protocols": {**statuses, **dict.fromkeys(accepted, "offered")},
        "suites": {name: suites(*names) for name, names in accepted.items() if names},
        "group_bits": {"x25519": 3072},
        "certificates": (Certificate(2048),),
        "secure_renegotiation": True,
        "hsts": LONG_HSTS,
        "fallback_scsv": "supported",
        "vulnerabilities": dict.fromkeys(verdict.NAMES, (finding.NOT_VULNERABLE, "tested")),
    }
    return View(**{**values, **changes})


def extra(**more: list[str]) -> dict[str, list[str]]:
    """Return the good lists, with others for the protocols that are given as ``TLSv1_1``."""
    return {**GOOD, **{name.replace("_", "."): names for name, names in more.items()}}


def client(
    protocol: str | None,
    *names: str,
    name: str = "Browser 1",
    reference: bool = True,
    connects: bool | None = True,
) -> dict[str, Any]:
    """Return an entry of the simulation, of a client that knows every suite; with several it is not known which."""
    return {
        "name": name,
        "reference": reference,
        "connects": connects,
        "protocol": protocol,
        "cipher_suite": names[0] if len(names) == 1 else None,
        "possible_cipher_suites": list(names),
    }


def vulnerable(name: str, status: str = finding.VULNERABLE) -> dict[str, tuple[str, str]]:
    return {**view().vulnerabilities, name: (status, "seen")}


# --- scores


SSL3_TO_TLS12 = {name: [AES128, AES256] for name in ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2")}
ALL_256 = {"TLSv1.2": [AES256], "TLSv1.3": [AES256_13]}
SCORES: dict[str, tuple[View, tuple[float, float, float, float], str]] = {
    "TLS 1.2 and 1.3, RSA 2048, x25519, AES128 and AES256": (view(), (100, 90, 90, 93.0), "A"),
    "TLS 1.0 and 1.1 too": (view(extra(TLSv1_0=[CBC], TLSv1_1=[CBC])), (95, 90, 90, 91.5), "A"),
    "TLS 1.1 and 1.2": (view({"TLSv1.1": [CBC], "TLSv1.2": [AES128, AES256]}), (97.5, 90, 90, 92.25), "A"),
    "SSL 3.0 to TLS 1.2": (view(SSL3_TO_TLS12), (90, 90, 90, 90.0), "A"),
    "SSL 2.0 to TLS 1.2": (view({"SSLv2": [], **SSL3_TO_TLS12}), (50, 90, 90, 78.0), "B"),
    "SSL 3.0 alone, 128 bits": (view({"SSLv3": [CBC]}), (80, 90, 80, 83.0), "A"),
    "3DES too": (view(extra(TLSv1_2=[AES128, AES256, TDES])), (100, 90, 60, 81.0), "A"),
    "RSA 1024": (view(certificates=(Certificate(1024),)), (100, 80, 90, 90.0), "A"),
    "RSA 512": (view(certificates=(Certificate(512),)), (100, 40, 90, 78.0), "B"),
    "anonymous suites too": (view(extra(TLSv1_2=[AES128, ANONYMOUS])), (100, 0, 90, 0), "F"),
    "NULL alone": (view({"TLSv1.2": ["TLS_RSA_WITH_NULL_SHA256"]}), (100, 90, 0, 0), "F"),
    "export, TLS 1.0 and 1.2": (view({"TLSv1.0": [EXPORT], "TLSv1.2": [AES256]}), (95, 40, 60, 64.5), "C"),
    "RSA 4096 and P-384, secp384r1 alone, 256 bits alone": (
        view(ALL_256, certificates=(Certificate(4096), Certificate(7680)), group_bits={"secp384r1": 7680}),
        (100, 100, 100, 100),
        "A",
    ),
    "TLS 1.3 alone, AES128 alone, RSA 3072": (
        view({"TLSv1.3": [AES128_13]}, certificates=(Certificate(3072),)),
        (100, 90, 80, 89.0),
        "A",
    ),
}


@pytest.mark.parametrize(("facts", "expected", "letter"), SCORES.values(), ids=SCORES)
def test_scores(facts: View, expected: tuple[float, float, float, float], letter: str) -> None:
    shown = grade.grade(facts).scores
    assert tuple(shown[name] for name in ("protocol", "key_exchange", "cipher_strength", "total")) == expected
    assert scores.letter_of(expected[3]) == letter


@pytest.mark.parametrize(("bits", "expected"), [(511, 20), (1023, 40), (2047, 80), (4095, 90), (4096, 100)])
def test_the_weakest_of_key_groups_and_parameters_counts(bits: int, expected: float) -> None:
    strong = (Certificate(15360),)
    for weak in (
        view(certificates=(*strong, Certificate(bits)), group_bits={}),
        view(certificates=strong, group_bits={"secp521r1": 15360, "x": bits}),
        view(certificates=strong, group_bits={}, dh_bits=(8192, bits)),
    ):
        assert scores.key_exchange_score(weak) == expected


@pytest.mark.parametrize(
    ("score", "letter"),
    [(80, "A"), (79.9, "B"), (65, "B"), (64.9, "C"), (50, "C"), (49.9, "D"), (35, "D"), (34.9, "E"), (20, "E")],
)
def test_letters(score: float, letter: str) -> None:
    assert scores.letter_of(score) == letter
    assert scores.letter_of(19.9) == "F"


# --- rules: what makes each of them apply, in 2009r, and its limit


def without_hsts(**values: object) -> View:
    return view(hsts={**LONG_HSTS, **values})


RULES: dict[str, tuple[View, str | None]] = {
    "ssl2_offered": (view({"SSLv2": [], **GOOD}), "F"),
    "ssl3_offered": (view(extra(SSLv3=[RC4_MD5])), "B"),
    "no_protocol_above_ssl3": (view({"SSLv3": [CBC]}), "F"),
    "no_tls12_or_tls13": (view({"TLSv1.0": [CBC, CBC256], "TLSv1.1": [CBC]}), "C"),
    "tls10_or_tls11_offered": (view(extra(TLSv1_1=[CBC])), "B"),
    "tls13_not_offered": (view({"TLSv1.2": [AES128, AES256]}), None),
    "key_below_1024": (view(certificates=(Certificate(2048), Certificate(1023))), "F"),
    "key_below_2048": (view(certificates=(Certificate(2048), Certificate(2047))), "B"),
    "parameters_below_1024": (view(dh_bits=(2048, 1023)), "F"),
    "parameters_below_2048": (view(group_bits={"x25519": 3072, "secp192r1": 1536}), "B"),
    "anonymous_suites": (view(extra(TLSv1_2=[AES128, ANONYMOUS])), "F"),
    "export_suites": (view(extra(TLSv1_2=[AES128, EXPORT])), "F"),
    "rsa_public_exponent_1": (view(certificates=(Certificate(2048, (), 1),)), "F"),
    "no_forward_secrecy": (view(clients=(client("TLSv1.3", AES128_13), client("TLSv1.2", KRSA))), "B"),
    "suites_below_112_bits": (view({"TLSv1.3": [AES128_13, "TLS_SHA256_SHA256"]}), "F"),
    "rc4_offered": (view(extra(TLSv1_2=[AES128, AES256, RC4])), "B"),
    "rc4_negotiated": (view(clients=(client("TLSv1.2", RC4),)), "C"),
    "rc4_only": (view({"TLSv1.0": [RC4_MD5], "TLSv1.2": [RC4]}), "F"),
    "block_cipher_of_64_bits_negotiated": (view(clients=(client("TLSv1.1", TDES),)), "C"),
    "no_aead": (view(clients=(client("TLSv1.3", AES128_13), client("TLSv1.2", CBC))), "B"),
    "secure_renegotiation_missing": (view(secure_renegotiation=False), None),
    "insecure_renegotiation": (view(vulnerabilities=vulnerable("insecure_renegotiation")), "F"),
    "compression": (view(vulnerabilities=vulnerable("crime")), "C"),
    "poodle": (view(vulnerabilities=vulnerable("poodle")), "C"),
    "poodle_tls": (view(vulnerabilities=vulnerable("poodle_tls")), "F"),
    "heartbleed": (view(vulnerabilities=vulnerable("heartbleed")), "F"),
    "ccs_injection": (view(vulnerabilities=vulnerable("ccs_injection")), "F"),
    "drown": (view(vulnerabilities=vulnerable("drown")), "F"),
    "cve_2016_2107": (view(vulnerabilities=vulnerable("cve_2016_2107")), "F"),
    "ticketbleed": (view(vulnerabilities=vulnerable("ticketbleed")), "F"),
    "robot": (view(vulnerabilities=vulnerable("robot")), "F"),
    "zombie_poodle": (view(vulnerabilities=vulnerable("zombie_poodle")), "F"),
    "goldendoodle": (view(vulnerabilities=vulnerable("goldendoodle")), "F"),
    "sleeping_poodle": (view(vulnerabilities=vulnerable("sleeping_poodle")), "F"),
    "zero_length_padding_oracle": (view(vulnerabilities=vulnerable("zero_length_padding_oracle")), "F"),
    "md5_or_md2_signature": (view(certificates=(Certificate(2048, ("rsa-with-sha256", "rsa-with-md5")),)), "F"),
    "chain_incomplete": (view(certificates=(Certificate(2048), Certificate(2048, chain_incomplete=True))), "B"),
    "hsts_disabled": (without_hsts(max_age_seconds=0), None),
    "hsts_invalid": (without_hsts(valid=False, max_age_seconds=None), None),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_limits_the_grade(rule: str) -> None:
    facts, limit = RULES[rule]
    found = grade.grade(facts)
    (entry,) = [each for each in [*found.caps, *found.warnings] if each["rule"] == rule]
    assert (entry.get("limit"), bool(entry["evidence"]), entry["since"] <= "2009r") == (limit, True, True)
    assert found.grade is not None
    assert grade.LETTERS.index(found.grade) >= grade.LETTERS.index(limit or "A-")


def test_every_rule_is_tested() -> None:
    assert set(RULES) == {rule.name for rule in grade_rules.rules_of("2009r")}


def test_a_good_server_breaks_no_rule() -> None:
    found = grade.grade(view())
    assert (found.grade, found.caps, found.warnings, found.missing_facts) == ("A+", [], [], [])


@pytest.mark.parametrize(
    "name",
    ["freak", "logjam", "sweet32", "beast", "lucky13", "rc4", "breach", "opossum", "client_initiated_renegotiation"],
)
def test_a_vulnerability_without_a_rule_limits_nothing(name: str) -> None:
    for status in (finding.VULNERABLE, finding.LIKELY, finding.EXPOSED, finding.NOT_TESTED):
        found = grade.grade(view(vulnerabilities=vulnerable(name, status)))
        assert (found.grade, found.missing_facts) == ("A+", [])


def test_starttls_injection_is_no_fault_of_tls() -> None:
    assert grade.grade(view(vulnerabilities=vulnerable("starttls_injection"))).grade == "A+"


# --- the edges of rules


GRADES: dict[str, tuple[View, str]] = {
    "no HSTS": (without_hsts(present=False, valid=False, max_age_seconds=None), "A"),
    "no HTTP": (view(hsts=None), "A"),
    "short HSTS": (without_hsts(max_age_seconds=86400), "A"),
    "just long enough": (without_hsts(max_age_seconds=15552000), "A+"),
    "just too short": (without_hsts(max_age_seconds=15551999), "A"),
    "TLS 1.3 alone": (view({"TLSv1.3": [AES128_13]}), "A+"),
    "SSL 3.0 with CBC": (view(extra(SSLv3=[CBC]), vulnerabilities=vulnerable("poodle")), "C"),
    "RSA 1024": (view(certificates=(Certificate(1024),)), "B"),
    "DH of 1024 bits": (view(dh_bits=(1024,)), "B"),
    "DH of 2048 bits": (view(dh_bits=(2048,)), "A+"),
    "a server that steps no lower": (view({"TLSv1.2": [AES128, AES256]}), "A-"),
    "RSA public exponent 3": (view(certificates=(Certificate(2048, (), 3),)), "A+"),
    "SHA-1 in the chain is no MD5": (view(certificates=(Certificate(2048, ("rsa-with-sha1",)),)), "A+"),
    "a warning does not raise a B": (view(dh_bits=(1024,), secure_renegotiation=False), "B"),
    "two rules, the worse counts": (view(dh_bits=(1024,), vulnerabilities=vulnerable("crime")), "C"),
}


@pytest.mark.parametrize(("facts", "expected"), GRADES.values(), ids=GRADES)
def test_grades(facts: View, expected: str) -> None:
    assert grade.grade(facts).grade == expected


# --- what is negotiated


# It knows no AES-GCM with ECDHE_RSA. It likes CBC with ECDHE most, then GCM with DHE_RSA, then CBC with that.
IE11 = "Internet Explorer 11 on Windows 7"
DHE = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
DHE_CBC = "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"
NEGOTIATED: dict[str, tuple[View, set[str]]] = {
    "weak suites that nobody of the reference gets": (
        view(extra(TLSv1_2=[AES128, KRSA, CBC, TDES]), clients=(client("TLSv1.2", AES128),)),
        set(),
    ),
    "one of two gets them": (
        view(clients=(client("TLSv1.2", AES128), client("TLSv1.2", KRSA))),
        {"no_forward_secrecy"},
    ),
    "no client of the reference": (view(clients=(client("TLSv1.2", KRSA, reference=False),)), set()),
    "it is not known which": (view(clients=(client("TLSv1.2", KRSA, AES128),)), set()),
    "whichever it is": (
        view(clients=(client("TLSv1.2", KRSA, "TLS_RSA_WITH_AES_128_CBC_SHA"),)),
        {"no_forward_secrecy"},
    ),
    "RC4 and 3DES with TLS 1.0": (view(clients=(client("TLSv1.0", RC4), client("TLSv1.0", TDES))), set()),
    "something better that the client does not know": (
        view(extra(TLSv1_2=[AES128, CBC]), clients=(client("TLSv1.2", CBC, name=IE11),)),
        set(),
    ),
    "something better that the client likes less": (
        view(extra(TLSv1_2=[DHE, CBC]), clients=(client("TLSv1.2", CBC, name=IE11),)),
        set(),
    ),
    "something better that the client likes more": (
        view(extra(TLSv1_2=[CBC, DHE]), clients=(client("TLSv1.2", DHE_CBC, name=IE11),)),
        {"no_aead"},
    ),
    "AEAD without forward secrecy is not better": (
        view(extra(TLSv1_2=[KRSA, CBC]), clients=(client("TLSv1.2", CBC, name=IE11),)),
        {"no_aead"},
    ),
    "nothing better": (view(extra(TLSv1_2=[CBC]), clients=(client("TLSv1.2", CBC, name=IE11),)), {"no_aead"}),
    "none connects, nothing better at the top": (
        view({"TLSv1.0": [CBC], "TLSv1.2": [TDES]}, clients=(client(None, connects=False),)),
        {"block_cipher_of_64_bits_negotiated", "no_aead"},
    ),
    "none connects, something better at the top": (view({"TLSv1.2": [KRSA, TDES, AES128]}), set()),
    "none connects, no forward secrecy": (view({"TLSv1.2": [KRSA]}), {"no_forward_secrecy"}),
    "whether it connects is not known": (view(clients=(client("TLSv1.2", KRSA, connects=None),)), set()),
}


@pytest.mark.parametrize(("facts", "expected"), NEGOTIATED.values(), ids=NEGOTIATED)
def test_what_reference_clients_negotiate(facts: View, expected: set[str]) -> None:
    rules = {"no_forward_secrecy", "no_aead", "rc4_negotiated", "block_cipher_of_64_bits_negotiated"}
    assert rules & {cap["rule"] for cap in grade.grade(facts).caps} == expected


def test_the_evidence_names_the_clients() -> None:
    (cap,) = grade.grade(view(clients=(client("TLSv1.2", KRSA),) * 5)).caps
    one = f"Browser 1 (TLSv1.2 with {KRSA})"
    assert cap["evidence"] == f"negotiated by {one}, {one}, {one} and 2 more"


# --- versions of the guide


def test_the_older_criteria_want_no_tls13() -> None:
    facts = view({"TLSv1.2": [AES128, AES256]})
    assert (grade.grade(facts, "2009q").grade, grade.grade(facts, "2009r").grade) == ("A+", "A-")


@pytest.mark.parametrize("hsts", [{"max_age_seconds": 0}, {"valid": False, "max_age_seconds": None}])
def test_the_older_criteria_do_not_warn_of_hsts(hsts: dict[str, object]) -> None:
    assert (grade.grade(without_hsts(**hsts), "2009q").grade, grade.grade(without_hsts(**hsts)).grade) == ("A", "A-")


@pytest.mark.parametrize(
    ("status", "letter", "missing"),
    [
        ("supported", "A+", []),
        ("not_supported", "A", []),
        ("not_applicable", "A+", []),
        ("not_tested", "A+", ["fallback_scsv"]),
    ],
)
def test_only_the_older_criteria_want_the_fallback_signal(status: str, letter: str, missing: list[str]) -> None:
    older, newer = (grade.grade(view(fallback_scsv=status), criteria) for criteria in grade.CRITERIA)
    assert (older.grade, older.missing_facts) == (letter, missing)
    assert (newer.grade, newer.missing_facts) == ("A+", [])


def test_other_criteria_are_refused() -> None:
    with pytest.raises(ValueError, match="'2009k' is no version of the rating guide: use one of 2009q, 2009r"):
        grade.grade(view(), "2009k")


# --- trust


EXPIRED = Certificate(2048, trusted=False, trust_reason="expired")
MD5 = Certificate(2048, ("rsa-with-md5",), trusted=False, trust_reason="weak_signature")
TRUST: dict[str, tuple[tuple[Certificate, ...], str, str]] = {
    "not trusted": ((EXPIRED,), "T", "A+"),
    "another name": ((Certificate(2048, name_matches=False),), "M", "A+"),
    "both": ((Certificate(2048, trusted=False, name_matches=False),), "T", "A+"),
    "one of two not trusted": ((Certificate(2048), EXPIRED), "T", "A+"),
    "signed with MD5": ((MD5,), "F", "F"),
    "signed with SHA-1": ((Certificate(2048, ("rsa-with-sha1",), None, False, "weak_signature"),), "T", "A+"),
    "signed with MD5 and expired": ((Certificate(2048, ("rsa-with-md5",), None, False, "expired"),), "T", "F"),
    "incomplete and not trusted": (
        (Certificate(2048, trusted=False, trust_reason="chain_incomplete", chain_incomplete=True),),
        "T",
        "A+",
    ),
}


@pytest.mark.parametrize(("certificates", "letter", "ignored"), TRUST.values(), ids=TRUST)
def test_trust(certificates: tuple[Certificate, ...], letter: str, ignored: str) -> None:
    found = grade.grade(view(certificates=certificates))
    assert (found.grade, found.grade_trust_ignored) == (letter, ignored)


def test_trust_is_not_hidden_behind_the_letter() -> None:
    found = grade.grade(view(certificates=(EXPIRED,)))
    assert (found.scores["total"], found.caps) == (
        93.0,
        [{"rule": "not_trusted", "limit": "T", "evidence": "expired", "since": "2009"}],
    )


# --- what is not known


ALL_PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
UNDECIDED = view(clients=(client("TLSv1.2", KRSA, AES128),))
MISSING: dict[str, tuple[View, list[str]]] = {
    "nothing": (view(), []),
    "DH parameters": (view(not_tested=("dh_parameters.TLSv1.2",)), ["dh_parameters.TLSv1.2"]),
    "disagreeing answers": (view(not_tested=("extensions.TLSv1.2",)), ["extensions.TLSv1.2"]),
    "a protocol": (view(not_tested=("protocols.SSLv3",)), ["protocols.SSLv3"]),
    "a certificate": (view(not_tested=("certificates.RSA",)), ["certificates.RSA"]),
    "a key of a kind that is not known": (
        view(certificates=(Certificate(2048), Certificate(None))),
        ["certificates.key_strength"],
    ),
    "trust that cannot be told": (view(certificates=(Certificate(2048, trusted=None),)), ["certificates.trust"]),
    "trust of a chain that was not seen": (
        view(certificates=(Certificate(2048, trusted=None),), not_tested=("certificates.chain",)),
        ["certificates.chain"],
    ),
    "HTTP": (view(not_tested=("http",)), ["http"]),
    "HTTP in clear does not count": (view(not_tested=("http.plain",)), []),
    "revocation does not count": (view(not_tested=("revocation",)), []),
    "the order of suites does not matter": (view(not_tested=("preference.TLSv1.2",)), []),
    "the order of suites matters": (UNDECIDED, ["preference.TLSv1.2"]),
    "a vulnerability": (view(vulnerabilities=vulnerable("robot", finding.NOT_TESTED)), ["vulnerabilities.robot"]),
    "a likely one": (view(vulnerabilities=vulnerable("robot", finding.LIKELY)), ["vulnerabilities.robot"]),
    "one of other rules' names": (
        view(vulnerabilities=vulnerable("crime", finding.NOT_TESTED)),
        ["vulnerabilities.crime"],
    ),
}


@pytest.mark.parametrize(("facts", "expected"), MISSING.values(), ids=MISSING)
def test_missing_facts(facts: View, expected: list[str]) -> None:
    found = grade.grade(facts).as_dict()
    assert found["grade_missing_facts"] == expected
    assert found["grade_is_upper_bound"] is bool(expected)
    assert found["grade"] == "A+"


def test_vulnerabilities_that_nobody_mentions_are_not_tested() -> None:
    missing = grade.grade(view(vulnerabilities={})).missing_facts
    assert len(missing) == len([name for name in RULES if name in verdict.NAMES]) + len(["crime"])


def test_a_protocol_that_was_not_asked_for_is_no_finding() -> None:
    statuses = {**dict.fromkeys(ALL_PROTOCOLS, "not_offered"), "TLSv1.2": "offered", "TLSv1.3": "not_tested"}
    found = grade.grade(view({"TLSv1.2": [AES128]}, protocols=statuses, not_tested=("protocols.TLSv1.3",)))
    assert (found.warnings, "protocols.TLSv1.3" in found.missing_facts) == ([], True)


def test_no_certificate_is_no_grade() -> None:
    found = grade.grade(view(certificates=(), not_tested=("certificates",)))
    assert (found.grade, found.scores["total"], found.missing_facts) == (None, None, ["certificates"])


def test_no_protocol_is_no_grade() -> None:
    found = grade.grade(view({}))
    assert (found.grade, found.missing_facts) == (None, ["protocols"])


@pytest.mark.parametrize(
    ("letter", "partial", "minimum", "expected"),
    [
        ("A+", False, "A", True),
        ("A", False, "A", True),
        ("A-", False, "A", False),
        ("B", False, "C", True),
        ("F", False, "F", True),
        ("A+", True, "F", False),
        ("T", False, "F", False),
        ("M", False, "F", False),
        (None, False, "F", False),
        ("A", None, "F", False),
    ],
)
def test_at_least(letter: str | None, partial: bool | None, minimum: str, expected: bool) -> None:
    assert grade.at_least(letter, partial, minimum) is expected


def test_at_least_wants_a_grade() -> None:
    with pytest.raises(ValueError, match="'T' is no grade: use one of A"):
        grade.at_least("A", False, "T")
