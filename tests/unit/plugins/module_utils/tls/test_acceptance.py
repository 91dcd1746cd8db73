# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The acceptance cases of the inspection by their numbers: verdicts on the facts of a good server, each changed.

``pytest -k case_17`` runs one. What needs a server of its own is in test_acceptance_servers.py.
"""

from __future__ import annotations

import base64
import copy
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import assess, certificate, grade, registry, scan

from .....peers import servers as peers
from .configurations import ROOT, Result, judge, leaf, p256, rsa_key, rules, site, with_exponent_1, with_key
from .issued import CA, FETCH, NOW, Issued, RealAuthority


@pytest.fixture(scope="module")
def good_facts(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Return what a scan of a good web server finds: one with a certificate of ROOT, for a P-256 key."""
    try:
        with peers.Servers(tmp_path_factory.mktemp("good")) as started:
            port = with_key(p256, site())(started)
            (facts,) = scan.scan_targets([f"localhost:{port}"], scan.Options())
    except peers.MissingProgramError as missing:
        pytest.skip(f"the program {missing} is not installed")
    return facts


@pytest.fixture
def facts(good_facts: Result) -> Result:
    return copy.deepcopy(good_facts)


def certified(facts: Result, *chain: bytes, issuers: Sequence[bytes] = ()) -> Result:
    """Return the facts with another certificate."""
    (entry,) = facts["certificates"]
    sent, fetched = ([base64.b64encode(der).decode() for der in ders] for ders in (chain, issuers))
    return {**facts, "certificates": [{**entry, "chain_der": sent, "issuers_der": fetched}]}


def probed(facts: Result, name: str, status: str) -> Result:
    return {**facts, "probes": {name: {"status": status, "evidence": "what the probe saw"}}}


def suite_facts(name: str) -> dict[str, object]:
    found = registry.suite_by_name(name)
    assert found is not None
    return found.as_dict()


def test_the_good_server_deserves_an_a_plus(facts: Result) -> None:
    result = judge(facts, [ROOT.pem])
    assert (result["grade"], rules(result), result["grade_missing_facts"]) == ("A+", set(), [])


def test_case_14_ssl2_elsewhere_with_the_same_key(facts: Result) -> None:
    shown = leaf(key=rsa_key(2048)).der
    good, bad = certified(facts, shown), certified(copy.deepcopy(facts), shown)
    bad["protocols"] = [
        {**entry, "status": "offered"} if entry["name"] == "SSLv2" else entry for entry in bad["protocols"]
    ]
    found: Any = assess.assess([good, bad], certificate.Anchors([ROOT.pem]), NOW)
    assert [(result["grade"], "drown" in rules(result)) for result in found["results"]] == [("F", True), ("F", True)]


def test_case_28_integrity_alone_in_tls13(facts: Result) -> None:
    facts["cipher_suites"]["TLSv1.3"].append(suite_facts("TLS_SHA256_SHA256"))
    result = judge(facts, [ROOT.pem])
    assert (result["grade"], rules(result)) == ("F", {"suites_below_112_bits"})


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        (lambda: leaf(to_days=-1), "expired"),
        (lambda: leaf(from_days=1), "not_yet_valid"),
        (lambda: leaf(None), "self_signed"),
    ],
    ids=["case_32", "case_33", "case_34"],
)
def test_a_certificate_that_is_not_trusted_hides_no_letter(
    facts: Result, issue: Callable[[], Issued], reason: str
) -> None:
    result = judge(certified(facts, issue().der), [ROOT.pem])
    (entry,) = result["certificates"]
    assert (result["grade"], result["grade_trust_ignored"], entry["trust"]["reason"]) == ("T", "A+", reason)
    assert (entry["leaf"]["days_left"] < 0) == (reason == "expired")


def test_case_35_a_private_authority(facts: Result) -> None:
    unknown, known = judge(facts, []), judge(facts, [ROOT.pem])
    assert (unknown["grade"], unknown["certificates"][0]["trust"]["reason"]) == ("T", "unknown_issuer")
    assert known["grade"] == "A+"


def test_case_36_another_name(facts: Result) -> None:
    facts["target"]["server_name"] = "www.example.com"
    result = judge(facts, [ROOT.pem])
    assert (result["grade"], result["grade_trust_ignored"], rules(result)) == ("M", "A+", {"name_mismatch"})


def test_case_37_an_intermediate_is_missing(facts: Result) -> None:
    middle = Issued("middle", ROOT, [(CA, True)])
    alone = leaf(middle, more=[(FETCH, False)])
    not_fetched = judge(certified(facts, alone.der), [ROOT.pem])
    fetched = judge(certified(facts, alone.der, issuers=[middle.der]), [ROOT.pem])
    trust = not_fetched["certificates"][0]["trust"]
    assert (not_fetched["grade"], trust["reason"], "fetch" in trust["detail"]) == ("T", "chain_incomplete", True)
    assert (fetched["grade"], rules(fetched)) == ("B", {"chain_incomplete"})


@pytest.mark.parametrize(
    ("root", "signed_with", "letter", "ignored"),
    [("sha256", "sha1", "T", "A+"), ("sha1", "sha256", "A+", "A+"), ("sha256", "md5", "F", "F")],
    ids=["case_38 SHA-1 leaf", "case_38 SHA-1 root", "case_39 MD5 leaf"],
)
def test_old_hashes(facts: Result, tmp_path: Path, root: str, signed_with: str, letter: str, ignored: str) -> None:
    authority = RealAuthority(tmp_path, root)
    changed = certified(facts, authority.issue(signed_with))
    result = judge(changed, [authority.pem], datetime.datetime.now(datetime.timezone.utc))
    assert (result["grade"], result["grade_trust_ignored"]) == (letter, ignored)


def test_case_40_an_rsa_exponent_of_1(facts: Result) -> None:
    root = Issued("rsa root", extensions=[(CA, True)], key=rsa_key(2048))
    result = judge(certified(facts, with_exponent_1(root)), [root.pem])
    assert (result["grade_trust_ignored"], "rsa_public_exponent_1" in rules(result)) == ("F", True)


# Cases 41 to 44: how each probe tells a sound server from another, on the wire, is in tests/unit/plugins/module_utils/
# tls/vulnerabilities/test_<name>.py; here is what becomes of its finding.
PROBED = {
    "case_41": "heartbleed",
    "case_42": "ccs_injection",
    "case_43": "robot",
    "case_44": "ticketbleed",
}


@pytest.mark.parametrize("case", PROBED)
@pytest.mark.parametrize(
    ("status", "letter", "bound"), [("vulnerable", "F", False), ("likely", "A+", True), ("not_vulnerable", "A+", False)]
)
def test_what_a_probe_found(facts: Result, case: str, status: str, letter: str, bound: bool) -> None:
    result = judge(probed(facts, PROBED[case], status), [ROOT.pem])
    assert (result["grade"], result["grade_is_upper_bound"]) == (letter, bound)
    assert rules(result) == ({PROBED[case]} if letter == "F" else set())


def test_case_43_inconsistent_answers_are_no_verdict(facts: Result) -> None:
    facts["cipher_suites"]["TLSv1.2"].append(suite_facts("TLS_RSA_WITH_AES_128_GCM_SHA256"))
    result = judge(probed(facts, "robot", "not_tested"), [ROOT.pem])
    assert (result["grade"], result["grade_missing_facts"]) == ("A+", ["vulnerabilities.robot"])


def test_case_45_no_secure_renegotiation(facts: Result) -> None:
    facts["renegotiation"] = {"secure": False}
    result = judge(probed(facts, "insecure_renegotiation", "not_vulnerable"), [ROOT.pem])
    assert (result["grade"], rules(result)) == ("A-", {"secure_renegotiation_missing"})


def test_case_46_a_hybrid_group_changes_no_grade(facts: Result) -> None:
    facts["groups"].insert(0, {**registry.named_group(0x11EC).as_dict(), "protocols": ["TLSv1.3"]})
    result = judge(facts, [ROOT.pem])
    assert (result["grade"], result["scores"]["key_exchange"]) == ("A+", 90.0)


def test_case_55_what_was_not_tested_makes_a_bound(facts: Result) -> None:
    facts["cipher_suites"]["TLSv1.2"] += map(
        suite_facts, ["TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"]
    )
    result = judge(facts, [ROOT.pem])
    missing = {"robot", "poodle_tls", "zombie_poodle", "goldendoodle", "sleeping_poodle", "cve_2016_2107"}
    assert {f"vulnerabilities.{name}" for name in missing} <= set(result["grade_missing_facts"])
    assert result["grade_is_upper_bound"] is True
    assert grade.at_least(result["grade"], result["grade_is_upper_bound"], "F") is False


def test_every_case_has_a_test() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_acceptance*.py"))
    assert [number for number in range(1, 56) if f"case_{number:02}" not in source] == []
