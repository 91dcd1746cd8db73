# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From facts to results, without a network."""

from __future__ import annotations

import base64
import datetime
import ssl
from typing import Any

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import assess, certificate, policy, registry

from .configurations import assessed

NOW = datetime.datetime.now(datetime.timezone.utc)


def facts(ca: trustme.CA, complete: bool, host: str = "www.example.com") -> dict[str, Any]:
    """Return the facts of a server that speaks TLS 1.3 alone and was seen with its leaf alone."""
    pem = ca.issue_cert("www.example.com", key_type=trustme.KeyType.ECDSA).cert_chain_pems[0].bytes().decode()
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(pem)).decode()
    return {
        "target": {
            "name": host,
            "host": host,
            "port": 443,
            "server_name": host,
            "starttls": None,
            "http_port": 80,
        },
        "address": "192.0.2.1",
        "addresses": ["192.0.2.1"],
        "reachable": True,
        "error": None,
        "protocols": [
            {"name": name, "status": "offered" if name == "TLSv1.3" else "not_offered"}
            for name in registry.VERSION_NAMES.values()
        ],
        "cipher_suites": {"TLSv1.3": [registry.cipher_suite(0x1301).as_dict()]},
        "preference": {"TLSv1.3": "server"},
        "groups": [],
        "dh_parameters": [],
        "extensions": {},
        "compression": None,
        "renegotiation": {"secure": None},
        "certificates": [
            {
                "key_type": "unknown",
                "server_name_sent": True,
                "protocols": ["TLSv1.3"],
                "chain_complete": complete,
                "chain_der": [der],
            }
        ],
        "http": None,
        "vulnerability_tests": "passive",
        "probes": {},
        "not_tested": [],
        "connections": 1,
        "duration_ms": 1,
    }


@pytest.mark.parametrize(
    ("complete", "trusted", "reason", "letter", "missing"),
    [(True, False, "unknown_issuer", "T", []), (False, None, "chain_not_seen", "A", ["certificates.chain"])],
)
def test_a_chain_that_was_not_seen_is_no_distrust(
    ca: trustme.CA, complete: bool, trusted: bool | None, reason: str, letter: str, missing: list[str]
) -> None:
    result: Any = assessed(facts(ca, complete), certificate.Anchors([]), NOW)
    trust = result["certificates"][0]["trust"]
    assert (trust["trusted"], trust["reason"], bool(trust["detail"])) == (trusted, reason, True)
    assert (result["grade"], result["grade_missing_facts"]) == (letter, missing)


def test_a_leaf_that_an_anchor_issued_needs_no_chain(ca: trustme.CA) -> None:
    anchors = certificate.Anchors([ca.cert_pem.bytes().decode()])
    result: Any = assessed(facts(ca, False), anchors, NOW)
    assert result["certificates"][0]["trust"]["trusted"] is True


def test_the_name_that_was_asked_for_counts(ca: trustme.CA) -> None:
    anchors = certificate.Anchors([ca.cert_pem.bytes().decode()])
    result: Any = assessed(facts(ca, True, "other.example.com"), anchors, NOW)
    assert (result["grade"], result["grade_trust_ignored"]) == ("M", "A")


def test_certificates_that_are_no_certificates_end_nothing(ca: trustme.CA) -> None:
    broken = facts(ca, True)
    broken["certificates"][0]["chain_der"] = ["***", base64.b64encode(b"nothing").decode()]
    results: Any = assess.assess([broken, facts(ca, True)], certificate.Anchors([]), NOW)
    assert [one["certificates"][0]["trust"]["reason"] for one in results["results"]] == ["unreadable", "unknown_issuer"]
    assert results["summary"]["grades"] == {"T": 2}


@pytest.mark.parametrize(("leaf", "chain"), [("rsa-with-md5", "rsa-with-sha256"), ("rsa-with-sha256", "rsa-with-md5")])
def test_the_signatures_of_leaf_and_chain_count_and_a_roots_does_not(ca: trustme.CA, leaf: str, chain: str) -> None:
    result: Any = assessed(facts(ca, True), certificate.Anchors([]), NOW)
    result["certificates"][0]["leaf"]["signature_algorithm"] = leaf
    result["certificates"][0]["chain"] = [
        {"signature_algorithm": chain, "self_issued": False},
        {"signature_algorithm": "rsa-with-md2", "self_issued": True},
    ]
    (graded,) = assess.view_of(result).certificates
    assert graded.signature_algorithms == (leaf, chain)


def test_a_result_is_held_against_the_guideline_and_the_policies(ca: trustme.CA) -> None:
    own = policy.load(
        {
            "name": "ours",
            "version": "1",
            "source": "the test",
            "rules": {"protocols": {"source": "1", "allowed": ["TLSv1.2"]}},
        }
    )
    rules = assess.Rules("5.8", (own,))
    result: Any = assessed(facts(ca, True), certificate.Anchors([]), NOW, rules)
    assert (result["mozilla"]["version"], sorted(result["mozilla"]["profiles"])) == (
        "5.8",
        ["intermediate", "modern", "old"],
    )
    assert [(each["name"], each["compliant"]) for each in result["policies"]] == [("ours", False)]
    staple = [each for each in result["mozilla"]["profiles"]["modern"]["items"] if each["item"] == "ocsp_staple"]
    assert [(each["status"], each["reason"]) for each in staple] == [
        ("skipped", "no certificate names an OCSP responder")
    ]


def test_what_cannot_be_measured_is_held_against_nothing(ca: trustme.CA) -> None:
    keys = ("target", "address", "addresses", "connections", "duration_ms", "not_tested")
    unreachable = {key: value for key, value in facts(ca, True).items() if key in keys}
    error = {"kind": "timeout", "message": "no connection", "remedy": "Check the firewall"}
    unreachable.update(reachable=False, error=error)
    result = assessed(unreachable, certificate.Anchors([]), NOW)
    assert (result["mozilla"], result["policies"]) == (None, [])


def test_addresses_of_a_target_are_compared(ca: trustme.CA) -> None:
    first, second, other = facts(ca, True), facts(ca, True), facts(ca, True, "other.example.com")
    second.update(address="192.0.2.2", cipher_suites={"TLSv1.3": [registry.cipher_suite(0x1302).as_dict()]})
    second["certificates"] = first["certificates"]
    results: Any = assess.assess([first, second, other], certificate.Anchors([]), NOW)
    found = [[change["fact"] for change in result["address_differences"]] for result in results["results"]]
    assert found[0] == found[2] == []
    assert "address" not in found[1]
    assert {fact for fact in found[1] if fact.startswith("cipher_suites")} == {
        "cipher_suites.TLSv1.3.TLS_AES_128_GCM_SHA256",
        "cipher_suites.TLSv1.3.TLS_AES_256_GCM_SHA384",
    }


def test_a_key_that_ssl2_uses_elsewhere_lowers_the_grade(ca: trustme.CA) -> None:
    pem = ca.issue_cert("www.example.com", key_type=trustme.KeyType.RSA).cert_chain_pems[0].bytes().decode()
    shared = [base64.b64encode(ssl.PEM_cert_to_DER_cert(pem)).decode()]
    good, bad = facts(ca, True), facts(ca, True, "other.example.com")
    for each in (good, bad):
        each["certificates"][0]["chain_der"] = shared
    bad["protocols"] = [{"name": "SSLv2", "status": "offered"}, *bad["protocols"][1:]]
    anchors = certificate.Anchors([ca.cert_pem.bytes().decode()])
    results: Any = assess.assess([good, bad], anchors, NOW)
    assert results["results"][0]["vulnerabilities"]["drown"]["status"] == "vulnerable"
    assert results["results"][0]["grade"] == "F"
    alone: Any = assess.assess([good], anchors, NOW)
    assert alone["results"][0]["vulnerabilities"]["drown"]["status"] == "not_vulnerable"
