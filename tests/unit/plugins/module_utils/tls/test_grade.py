# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rating guide's numbers: scores, caps, warnings, missing facts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import grade, registry

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
GOOD = {"TLSv1.2": [AES128, AES256], "TLSv1.3": [AES128_13, AES256_13]}
MODERN_ECHO = ("renegotiation_info", "extended_master_secret", "session_ticket")


def suites(*names: str) -> tuple[registry.CipherSuite, ...]:
    found = [registry.suite_by_name(name) for name in names]
    assert None not in found
    return tuple(suite for suite in found if suite is not None)


def view(accepted: dict[str, list[str]] | None = None, **changes: object) -> grade.View:
    """Return a good server's view, with what a test changes about it."""
    accepted = GOOD if accepted is None else accepted
    statuses = dict.fromkeys(("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"), "not_offered")
    old = [name for name in accepted if name not in ("SSLv2", "SSLv3", "TLSv1.3")]
    values: dict[str, Any] = {
        "protocols": {**statuses, **dict.fromkeys(accepted, "offered")},
        "suites": {name: suites(*names) for name, names in accepted.items() if names},
        "preference": dict.fromkeys(accepted, "server"),
        "group_bits": {"x25519": 3072},
        "certificates": (grade.Certificate(2048),),
        "extensions": dict.fromkeys(old, MODERN_ECHO),
        "compression": False if old else None,
        "secure_renegotiation": True if old else None,
    }
    return grade.View(**{**values, **changes})


def hsts(**values: object) -> dict[str, object]:
    return {"present": True, "valid": True, "max_age_seconds": 63072000, "value": "...", **values}


V2_TO_12 = {name: [AES128, AES256] for name in ("SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2")}
SCORES: list[tuple[str, grade.View, tuple[float, float, float, float], str]] = [
    ("tls12+13", view(), (100, 90, 90, 93.0), "A"),
    ("+tls10,11", view({**GOOD, "TLSv1.0": [CBC], "TLSv1.1": [CBC]}), (95, 90, 90, 91.5), "A"),
    ("tls11+12", view({"TLSv1.1": [CBC], "TLSv1.2": [AES128, AES256]}), (97.5, 90, 90, 92.25), "A"),
    ("ssl3..tls12", view(V2_TO_12), (90, 90, 90, 90.0), "A"),
    ("ssl2..tls12", view({"SSLv2": [], **V2_TO_12}), (50, 90, 90, 78.0), "B"),
    ("ssl3 only", view({"SSLv3": [CBC]}), (80, 90, 80, 83.0), "A"),
    ("3des also", view({**GOOD, "TLSv1.2": [AES128, AES256, TDES]}), (100, 90, 60, 81.0), "A"),
    ("rsa1024", view(certificates=(grade.Certificate(1024),)), (100, 80, 90, 90.0), "A"),
    ("rsa512", view(certificates=(grade.Certificate(512),)), (100, 40, 90, 78.0), "B"),
    ("anonymous", view({**GOOD, "TLSv1.2": [AES128, "TLS_DH_anon_WITH_AES_128_GCM_SHA256"]}), (100, 0, 90, 0), "F"),
    ("null only", view({"TLSv1.2": ["TLS_RSA_WITH_NULL_SHA256"]}), (100, 90, 0, 0), "F"),
    (
        "export",
        view({"TLSv1.0": ["TLS_RSA_EXPORT_WITH_RC4_40_MD5"], "TLSv1.2": [AES256]}),
        (95, 40, 60, 64.5),
        "C",
    ),
    (
        "all 100",
        view(
            {"TLSv1.2": [AES256], "TLSv1.3": [AES256_13]},
            certificates=(grade.Certificate(4096), grade.Certificate(7680)),
            group_bits={"secp384r1": 7680},
        ),
        (100, 100, 100, 100),
        "A",
    ),
    ("tls13 aes128", view({"TLSv1.3": [AES128_13]}, certificates=(grade.Certificate(3072),)), (100, 90, 80, 89.0), "A"),
]


@pytest.mark.parametrize(
    ("facts", "expected", "letter"), [case[1:] for case in SCORES], ids=[case[0] for case in SCORES]
)
def test_scores(facts: grade.View, expected: tuple[float, float, float, float], letter: str) -> None:
    scores = grade.grade(facts).scores
    assert tuple(scores[name] for name in ("protocol", "key_exchange", "cipher_strength", "total")) == expected
    assert grade.letter_of(expected[3]) == letter


def with_extra(**extra: list[str]) -> dict[str, list[str]]:
    return {**GOOD, **{name.replace("_", "."): names for name, names in extra.items()}}


GRADES: list[tuple[str, grade.View, str]] = [
    ("long HSTS", view(hsts=hsts()), "A+"),
    ("no HSTS", view(hsts={"present": False, "valid": False, "max_age_seconds": None}), "A"),
    ("max-age=0", view(hsts=hsts(max_age_seconds=0)), "A-"),
    ("invalid HSTS", view(hsts=hsts(valid=False, max_age_seconds=None)), "A-"),
    ("short HSTS", view(hsts=hsts(max_age_seconds=86400)), "A"),
    ("just long enough", view(hsts=hsts(max_age_seconds=15552000)), "A+"),
    ("just too short", view(hsts=hsts(max_age_seconds=15551999)), "A"),
    ("tls12 only", view({"TLSv1.2": [AES128, AES256]}, hsts=hsts()), "A-"),
    ("tls13 only", view({"TLSv1.3": [AES128_13]}, hsts=hsts()), "A+"),
    ("+tls11", view(with_extra(TLSv1_1=[CBC]), hsts=hsts()), "B"),
    ("tls10 only", view({"TLSv1.0": [CBC, CBC256]}), "C"),
    ("ssl3 with cbc", view({"SSLv3": [CBC], "TLSv1.2": [AES128, AES256]}), "C"),
    ("ssl3 with rc4 only", view({"SSLv3": [RC4_MD5], "TLSv1.2": [AES128, AES256]}), "B"),
    ("ssl3 only", view({"SSLv3": [CBC]}), "F"),
    ("ssl2 too", view({"SSLv2": [], **GOOD}), "F"),
    ("rsa 1024", view(certificates=(grade.Certificate(1024),)), "B"),
    ("rsa 512", view(certificates=(grade.Certificate(512),)), "F"),
    ("dh 1024", view(dh_bits=(1024,)), "B"),
    ("dh 512", view(dh_bits=(512,)), "F"),
    ("dh 2048", view(dh_bits=(2048,), hsts=hsts()), "A+"),
    ("group secp192r1", view(group_bits={"x25519": 3072, "secp192r1": 1536}), "B"),
    ("no aead", view({"TLSv1.2": [CBC256]}), "B"),
    ("no aead below tls13", view(with_extra(TLSv1_2=[CBC256])), "B"),
    ("no forward secrecy", view({"TLSv1.2": [KRSA]}), "B"),
    ("no forward secrecy below tls13", view(with_extra(TLSv1_2=[KRSA])), "B"),
    ("no suite of the reference client", view({"TLSv1.2": ["TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256"]}), "B"),
    ("only a block of 64 bits", view({"TLSv1.2": ["TLS_RSA_WITH_IDEA_CBC_SHA"]}), "C"),
    ("krsa preferred", view({"TLSv1.2": [KRSA, AES128]}), "B"),
    ("krsa, client's order", view({"TLSv1.2": [KRSA, AES128]}, preference={"TLSv1.2": "client"}), "A-"),
    ("3des last", view(with_extra(TLSv1_2=[AES128, AES256, TDES]), hsts=hsts()), "A+"),
    ("3des first", view(with_extra(TLSv1_2=[TDES, AES256])), "C"),
    ("rc4 first", view(with_extra(TLSv1_2=[RC4, AES256])), "C"),
    ("rc4 last", view(with_extra(TLSv1_2=[AES128, AES256, RC4])), "B"),
    ("rc4 only", view({"TLSv1.2": [RC4]}), "F"),
    ("null suite", view(with_extra(TLSv1_2=[AES128, "TLS_RSA_WITH_NULL_SHA"])), "F"),
    ("integrity only", view({"TLSv1.3": [AES128_13, "TLS_SHA256_SHA256"]}), "F"),
    ("anonymous", view(with_extra(TLSv1_2=[AES128, "TLS_DH_anon_WITH_AES_128_GCM_SHA256"])), "F"),
    ("export", view(with_extra(TLSv1_2=[AES128, "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA"])), "F"),
    ("compression", view(compression=True), "C"),
    ("no secure renegotiation", view(secure_renegotiation=False, hsts=hsts()), "A-"),
    ("md5 signature", view(certificates=(grade.Certificate(2048, ("rsa-with-md5",)),)), "F"),
    ("exponent 1", view(certificates=(grade.Certificate(2048, (), 1),)), "F"),
    ("not trusted", view(certificates=(grade.Certificate(2048, trusted=False, trust_reason="expired"),)), "T"),
    ("other name", view(certificates=(grade.Certificate(2048, name_matches=False),)), "M"),
    ("both", view(certificates=(grade.Certificate(2048, trusted=False, name_matches=False),)), "T"),
    (
        "one of two not trusted",
        view(certificates=(grade.Certificate(2048), grade.Certificate(2048, trusted=False))),
        "T",
    ),
]


@pytest.mark.parametrize(("facts", "expected"), [case[1:] for case in GRADES], ids=[case[0] for case in GRADES])
def test_grades(facts: grade.View, expected: str) -> None:
    assert grade.grade(facts).grade == expected


def test_a_protocol_that_was_not_asked_for_is_no_finding() -> None:
    statuses = {"TLSv1.2": "offered", "TLSv1.3": "not_tested", "TLSv1.1": "not_offered"}
    found = grade.grade(view({"TLSv1.2": [AES128]}, protocols=statuses, not_tested=("protocols.TLSv1.3",)))
    assert (found.warnings, "protocols.TLSv1.3" in found.missing_facts) == ([], True)


def test_trust_is_not_hidden_behind_the_letter() -> None:
    found = grade.grade(
        view(certificates=(grade.Certificate(2048, trusted=False, trust_reason="expired"),), hsts=hsts())
    )
    assert (found.grade, found.grade_trust_ignored, found.scores["total"]) == ("T", "A+", 93.0)
    assert {"rule": "not_trusted", "limit": "T", "evidence": "expired"} in found.caps


def test_every_cap_has_a_rule_a_limit_and_evidence() -> None:
    found = grade.grade(view({"TLSv1.0": [CBC]}, dh_bits=(1024,)))
    assert {cap["rule"] for cap in found.caps} >= {
        "tls10_or_tls11_offered",
        "no_tls12_or_tls13",
        "parameters_below_2048",
    }
    assert all(cap["evidence"] for cap in found.caps)


MISSING: list[tuple[str, grade.View, list[str]]] = [
    ("nothing", view(), []),
    ("tls13 only", view({"TLSv1.3": [AES128_13]}), []),
    ("cbc", view(with_extra(TLSv1_2=[AES128, CBC])), ["vulnerabilities.padding_oracles"]),
    ("rsa key exchange", view(with_extra(TLSv1_2=[AES128, KRSA])), ["vulnerabilities.robot"]),
    ("heartbeat", view(extensions={"TLSv1.2": (*MODERN_ECHO, "heartbeat")}), ["vulnerabilities.heartbleed"]),
    (
        "old stack with tickets",
        view(extensions={"TLSv1.2": ("renegotiation_info", "session_ticket")}),
        ["vulnerabilities.ccs_injection"],
    ),
    ("tickets without tls13", view({"TLSv1.2": [AES128]}), ["vulnerabilities.ticketbleed"]),
    ("no tickets", view({"TLSv1.2": [AES128]}, extensions={"TLSv1.2": MODERN_ECHO[:2]}), []),
    (
        "one version of an old stack",
        view(with_extra(TLSv1_1=[CBC]), extensions={"TLSv1.2": MODERN_ECHO, "TLSv1.1": MODERN_ECHO[:1]}),
        ["vulnerabilities.ccs_injection", "vulnerabilities.padding_oracles"],
    ),
    (
        "SSL 3.0 has no extensions to tell by",
        view({"SSLv3": [RC4_MD5], **GOOD}),
        ["vulnerabilities.ccs_injection", "vulnerabilities.robot"],
    ),
    ("DH parameters", view(not_tested=("dh_parameters.TLSv1.2",)), ["dh_parameters.TLSv1.2"]),
    ("disagreeing answers", view(not_tested=("extensions.TLSv1.2",)), ["extensions.TLSv1.2"]),
    ("old stack", view(extensions={"TLSv1.2": ("renegotiation_info",)}), ["vulnerabilities.ccs_injection"]),
    ("no renegotiation_info", view(secure_renegotiation=False), ["vulnerabilities.insecure_renegotiation"]),
    ("a protocol", view(not_tested=("protocols.SSLv3",)), ["protocols.SSLv3"]),
    ("a certificate", view(not_tested=("certificates.RSA",)), ["certificates.RSA"]),
    ("revocation does not count", view(not_tested=("revocation",)), []),
    ("the order does not matter", view(not_tested=("preference.TLSv1.2",), preference={}), []),
    (
        "the order matters",
        view(with_extra(TLSv1_2=[KRSA, AES128]), preference={}, not_tested=("preference.TLSv1.2",)),
        ["preference.TLSv1.2", "vulnerabilities.robot"],
    ),
]


@pytest.mark.parametrize(("facts", "expected"), [case[1:] for case in MISSING], ids=[case[0] for case in MISSING])
def test_missing_facts(facts: grade.View, expected: list[str]) -> None:
    found = grade.grade(facts).as_dict()
    assert found["grade_missing_facts"] == expected
    assert found["grade_is_upper_bound"] is bool(expected)


def test_no_certificate_is_no_grade() -> None:
    found = grade.grade(view(certificates=(), not_tested=("certificates",)))
    assert (found.grade, found.scores["total"], found.missing_facts) == (None, None, ["certificates"])


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
