# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A good result, and what a policy says when one fact of it is another."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import mozilla, policy, registry

POLICIES = Path(__file__).parents[5] / "extensions" / "tls_policies"


def suites(*numbers: int) -> list[dict[str, object]]:
    return [registry.cipher_suite(number).as_dict() for number in numbers]


def groups(*numbers: int) -> list[dict[str, object]]:
    return [registry.named_group(number).as_dict() for number in numbers]


def good_result() -> dict[str, Any]:
    """Return the result of a server that complies with Mozilla's `modern`."""
    statuses = dict.fromkeys(registry.VERSION_NAMES.values(), "not_offered")
    statuses["TLSv1.3"] = "offered"
    return {
        "target": {"name": "www", "host": "www.example.com", "port": 443, "server_name": "www.example.com"},
        "reachable": True,
        "error": None,
        "protocols": [{"name": name, "status": status} for name, status in statuses.items()],
        "cipher_suites": {"TLSv1.3": suites(0x1301, 0x1302, 0x1303)},
        "preference": {"TLSv1.3": "client"},
        "groups": groups(0x11EC, 0x001D, 0x0017, 0x0018),
        "dh_parameters": [],
        "extensions": {},
        "compression": None,
        "renegotiation": {"secure": None},
        "certificates": [
            {
                "server_name_sent": True,
                "stapled_ocsp": None,
                "leaf": {
                    "key_type": "ECDSA",
                    "key_bits": 256,
                    "curve": "secp256r1",
                    "signature_algorithm": "ecdsa-with-sha384",
                    "not_before": "2026-10-01T00:00:00Z",
                    "not_after": "2026-12-29T23:59:59Z",
                    "ocsp_responders": [],
                },
            }
        ],
        "http": {"speaks_http": True, "strict_transport_security": hsts(63072000)},
        "not_tested": [],
    }


def hsts(seconds: int, present: bool = True, valid: bool = True) -> dict[str, object]:
    return {"present": present, "valid": valid, "max_age_seconds": seconds, "value": f"max-age={seconds}"}


def intermediate_result() -> dict[str, Any]:
    result = good_result()
    set_protocol(result, "TLSv1.2", "offered")
    result["cipher_suites"]["TLSv1.2"] = suites(0xC02B, 0xC02C, 0xCCA9)
    result["extensions"] = {"TLSv1.2": ["extended_master_secret", "renegotiation_info"]}
    result["compression"] = False
    result["renegotiation"] = {"secure": True}
    result["preference"]["TLSv1.2"] = "client"
    result["certificates"][0]["leaf"]["not_after"] = "2027-09-30T23:59:59Z"
    return result


def set_protocol(result: dict[str, Any], name: str, status: str) -> None:
    for entry in result["protocols"]:
        if entry["name"] == name:
            entry["status"] = status


def change(result: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return the result with another value at a path such as ``certificates.0.leaf.curve``."""
    changed = copy.deepcopy(result)
    if path.startswith("protocols."):
        set_protocol(changed, path[len("protocols.") :], str(value))
        return changed
    *parents, last = path.split(".") if not path.startswith("cipher_suites.") else ("cipher_suites", path[14:])
    place: Any = changed
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] = value
    return changed


def statuses(verdict: dict[str, Any]) -> dict[str, str]:
    return {item["item"]: item["status"] for item in verdict["items"]}


def mozilla_check(profile: str, result: dict[str, Any], version: str = "6.0") -> dict[str, Any]:
    return policy.check(mozilla.policy(version, profile), result)


def test_the_good_result_complies() -> None:
    verdict = mozilla_check("modern", good_result())
    assert (verdict["compliant"], verdict["undecided"]) == (True, [])
    assert {item: status for item, status in statuses(verdict).items() if status != "pass"} == {
        "ocsp_staple": "skipped"
    }


def test_the_intermediate_result_complies_with_advice() -> None:
    verdict = mozilla_check("intermediate", intermediate_result())
    assert verdict["compliant"] is True
    assert statuses(verdict)["certificate_lifetime_days"] == "recommend"


@pytest.mark.parametrize(
    ("path", "value", "item", "status", "reason"),
    [
        ("protocols.TLSv1.1", "offered", "protocols", "fail", "not allowed: TLSv1.1"),
        ("protocols.TLSv1.3", "not_offered", "protocols", "fail", "required and not offered: TLSv1.3"),
        ("protocols.TLSv1.2", "not_offered", "protocols", "recommend", "recommended and not offered: TLSv1.2"),
        ("cipher_suites.TLSv1.2", suites(0xC02F, 0x002F), "cipher_suites", "fail", "TLS_RSA_WITH_AES_128_CBC_SHA"),
        ("cipher_suites.TLSv1.3", suites(0x1301), "cipher_suites", "recommend", "TLS_CHACHA20_POLY1305_SHA256"),
        ("groups", groups(0x001D, 0x0019), "groups", "fail", "not allowed: secp521r1"),
        ("groups", groups(0x001D, 0x0017), "groups", "recommend", "recommended and not offered: X25519MLKEM768"),
        ("preference", {"TLSv1.2": "server"}, "server_preference", "recommend", "it is on"),
        ("preference", {"TLSv1.2": "not_tested"}, "server_preference", "skipped", "TLSv1.2 was not tested"),
        ("dh_parameters", [{"bits": 1024}], "dh_bits", "fail", "1024 is less than 2048"),
        ("dh_parameters", [{"bits": 2048}], "dh_bits", "pass", None),
        ("certificates.0.leaf.curve", "prime256v1", "certificate_curves", "pass", None),
        ("certificates.0.leaf.curve", "secp521r1", "certificate_curves", "fail", "not allowed: secp521r1"),
        ("certificates.0.leaf.curve", None, "certificate_curves", "skipped", "the curve of a certificate is not known"),
        ("certificates.0.leaf.key_type", "Ed25519", "certificate_key_types", "fail", "not allowed: Ed25519"),
        ("certificates.0.leaf.signature_algorithm", "rsa-with-sha256", "certificate_signatures", "pass", None),
        ("certificates.0.leaf.signature_algorithm", "rsa-with-sha1", "certificate_signatures", "fail", "rsa-with-sha1"),
        ("certificates.0.leaf.not_after", "2027-10-02T00:00:00Z", "certificate_lifetime_days", "fail", "367 is more"),
        ("certificates.0.leaf.not_after", "2027-10-01T23:59:59Z", "certificate_lifetime_days", "recommend", "366 is"),
        ("certificates.0.leaf.not_after", "someday", "certificate_lifetime_days", "skipped", "validity"),
        ("certificates.0.leaf.ocsp_responders", ["http://ocsp.example"], "ocsp_staple", "fail", "it is off"),
        ("certificates.0.leaf", {"error": "x"}, "certificate_key_types", "skipped", "cannot be parsed"),
        ("certificates", [], "certificate_signatures", "skipped", "no certificate was seen"),
        ("http.strict_transport_security", hsts(300), "hsts_max_age_seconds", "fail", "300 is less than 63072000"),
        ("http.strict_transport_security", hsts(0, False), "hsts_max_age_seconds", "fail", "0 is less"),
        ("http.strict_transport_security", hsts(63072000, True, False), "hsts_max_age_seconds", "fail", "0 is less"),
        ("http.speaks_http", False, "hsts_max_age_seconds", "skipped", "does not speak HTTP"),
        ("http", None, "hsts_max_age_seconds", "skipped", "no http"),
        ("target.starttls", "smtp", "hsts_max_age_seconds", "skipped", "HTTP alone"),
    ],
)
def test_one_other_fact_changes_one_item(path: str, value: object, item: str, status: str, reason: str | None) -> None:
    verdict = mozilla_check("intermediate", change(intermediate_result(), path, value))
    (found,) = (each for each in verdict["items"] if each["item"] == item)
    assert found["status"] == status
    assert reason is None or reason in found["reason"]
    assert found["source"]
    assert (verdict["compliant"] is False) == (status == "fail")


@pytest.mark.parametrize(
    ("fact", "item"),
    [
        ("protocols.SSLv2", "protocols"),
        ("protocols.TLSv1.3", "protocols"),
        ("cipher_suites.TLSv1.2", "cipher_suites"),
        ("protocols.TLSv1.0", "cipher_suites"),
        ("groups.TLSv1.3", "groups"),
        ("dh_parameters.TLSv1.2", "dh_bits"),
        ("certificates.RSA", "certificate_key_types"),
    ],
)
def test_what_was_not_tested_decides_nothing(fact: str, item: str) -> None:
    result = intermediate_result()
    result["not_tested"] = [{"fact": fact, "reason": "the server went away"}]
    if fact.startswith("protocols."):
        result = change(result, fact, "not_tested")
    verdict = mozilla_check("intermediate", result)
    assert verdict["compliant"] is None
    assert item in verdict["undecided"]
    assert statuses(verdict)[item] == "skipped"
    assert any("the server went away" in (each["reason"] or "") for each in verdict["items"])


def test_what_is_seen_fails_even_where_more_was_not_tested() -> None:
    result = change(intermediate_result(), "cipher_suites.TLSv1.2", suites(0x000A))
    result["not_tested"] = [{"fact": "cipher_suites.TLSv1.2", "reason": "the server went away"}]
    assert mozilla_check("intermediate", result)["compliant"] is False


def test_a_protocol_that_may_be_there_or_not_is_no_question() -> None:
    result = change(good_result(), "protocols.TLSv1.2", "not_tested")
    check = policy.load({"name": "x", "rules": {"protocols": {"allowed": ["TLSv1.2", "TLSv1.3"]}}})
    assert policy.check(check, result)["compliant"] is True


@pytest.mark.parametrize("result", [{}, {"reachable": True}, {"reachable": False, "error": {"message": "refused"}}])
def test_an_empty_result_is_neither_good_nor_bad(result: dict[str, Any]) -> None:
    for item in policy.ITEMS:
        rule: dict[str, object] = {"expected": False}
        if item in ("rsa_key_bits", "dh_bits", "hsts_max_age_seconds"):
            rule = {"minimum": 1}
        elif item == "certificate_lifetime_days":
            rule = {"maximum": 1}
        elif item not in ("server_preference", "ocsp_staple", "compression", "early_data") and item[:3] not in (
            "sec",
            "ext",
        ):
            rule = {"allowed": []}
        verdict = policy.check(policy.load({"name": "x", "rules": {item: rule}}), result)
        assert (verdict["compliant"], verdict["undecided"]) == (None, [item]), item


@pytest.mark.parametrize(
    ("item", "value", "expected"),
    [
        ("secure_renegotiation", True, True),
        ("secure_renegotiation", False, False),
        ("compression", False, False),
        ("compression", True, True),
        ("extended_master_secret", True, True),
        ("extended_master_secret", False, False),
        ("early_data", True, False),
    ],
)
def test_switches_of_a_policy_of_ones_own(item: str, value: bool, expected: bool) -> None:
    result = intermediate_result()
    result["compression"] = expected if item == "compression" else False
    result["renegotiation"]["secure"] = expected
    result["extensions"]["TLSv1.2"] = ["extended_master_secret"] if expected else []
    result["sessions"] = {"TLSv1.3": {"max_early_data_bytes": 0}}
    own = policy.load({"name": "own", "rules": {item: {"expected": value}}})
    assert policy.check(own, result)["compliant"] is (value is expected)


@pytest.mark.parametrize("item", ["secure_renegotiation", "compression", "extended_master_secret"])
def test_tls13_alone_has_no_such_thing(item: str) -> None:
    own = policy.load({"name": "own", "rules": {item: {"expected": True}}})
    verdict = policy.check(own, good_result())
    assert (verdict["compliant"], statuses(verdict)) == (True, {item: "skipped"})


@pytest.mark.parametrize(("profile", "suite", "compliant"), [("5.7", 0x009E, True), ("5.8", 0x009E, False)])
def test_guidelines_differ(profile: str, suite: int, compliant: bool) -> None:
    result = intermediate_result()
    result["certificates"][0]["leaf"].update(key_type="RSA", key_bits=2048, signature_algorithm="rsa-with-sha256")
    result["groups"] = groups(0x001D)
    result["cipher_suites"]["TLSv1.2"] = suites(0xC02F, suite)
    result["dh_parameters"] = [{"bits": 2048}]
    assert mozilla_check("intermediate", result, profile)["compliant"] is compliant


@pytest.mark.parametrize(
    ("result", "best"),
    [(good_result(), "modern"), (intermediate_result(), "intermediate"), ({"reachable": False}, None)],
)
def test_the_strictest_profile_that_fits_is_named(result: dict[str, Any], best: str | None) -> None:
    verdict: Any = mozilla.verdict(result)
    assert (verdict["version"], list(verdict["profiles"]), verdict["best"]) == ("6.0", ["modern", "intermediate"], best)
    assert verdict["best_possible"] == (best or "modern")


@pytest.mark.parametrize(("version", "profile"), [("4.0", "modern"), ("6.0", "old"), (6.0, "modern"), ("6.0", None)])
def test_a_profile_that_there_is_not_is_refused(version: str, profile: str) -> None:
    with pytest.raises(InvalidInputError, match="Choose one of"):
        mozilla.policy(version, profile)


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_policies_can_be_loaded_and_name_their_sources(path: Path) -> None:
    shipped = policy.load(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert shipped.version
    assert shipped.source.startswith("https://")
    assert all(rule.source for rule in shipped.rules.values())
    verdict = policy.check(shipped, intermediate_result())
    assert len(statuses(verdict)) == len(shipped.rules)


def test_there_are_shipped_policies() -> None:
    assert {path.stem for path in POLICIES.glob("*.yml")} == {"bsi-tr-02102-2", "ncsc-nl", "nist-sp-800-52r2"}


@pytest.mark.parametrize(
    ("name", "path", "value", "compliant", "item", "status"),
    [
        ("ncsc-nl", "cipher_suites.TLSv1.2", suites(0xC027), True, "cipher_suites", "recommend"),
        ("ncsc-nl", "cipher_suites.TLSv1.2", suites(0xC013), False, "cipher_suites", "fail"),
        ("bsi-tr-02102-2", "groups", groups(0x001D), False, "groups", "fail"),
        ("bsi-tr-02102-2", "protocols.TLSv1.0", "offered", False, "protocols", "fail"),
        ("nist-sp-800-52r2", "cipher_suites.TLSv1.2", suites(0xCCA9), False, "cipher_suites", "fail"),
        ("nist-sp-800-52r2", "protocols.TLSv1.3", "not_offered", False, "protocols", "fail"),
    ],
)
def test_shipped_policies_judge(name: str, path: str, value: object, compliant: bool, item: str, status: str) -> None:
    shipped = policy.load(yaml.safe_load((POLICIES / f"{name}.yml").read_text(encoding="utf-8")))
    verdict = policy.check(shipped, change(intermediate_result(), path, value))
    assert (verdict["compliant"], statuses(verdict)[item]) == (compliant, status)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (None, "it is no mapping"),
        ([], "it is no mapping"),
        ({"rules": {"dh_bits": {"minimum": 1}}}, "a policy needs a name"),
        ({"name": "x"}, "it is no mapping"),
        ({"name": "x", "rules": {}}, "it has no rules"),
        ({"name": "x", "version": 5.7, "rules": {"dh_bits": {"minimum": 1}}}, "version 5.7: it is no text. Put it in"),
        ({"name": "x", "colour": 1, "rules": {}}, "key 'colour': it is not known. Choose from name"),
        ({"name": "x", "rules": {"ciphers": {}}}, "key 'ciphers': it is not known"),
        ({"name": "x", "rules": {"groups": {"allowed": ["P-257"]}}}, "group 'P-257': there is no such"),
        ({"name": "x", "rules": {"groups": {"allowed": "x25519"}}}, "it is no list"),
        ({"name": "x", "rules": {"groups": {}}}, "it says nothing"),
        ({"name": "x", "rules": {"groups": {"discouraged": ["x25519"]}}}, "needs allowed beside it"),
        ({"name": "x", "rules": {"groups": {"allowed": [], "required": ["x448"]}}}, "wanted but not allowed"),
        ({"name": "x", "rules": {"protocols": {"allowed": ["TLSv1.4"]}}}, "protocol 'TLSv1.4': it is not known"),
        ({"name": "x", "rules": {"cipher_suites": {"allowed": [{}]}}}, "there is no such suite"),
        ({"name": "x", "rules": {"dh_bits": {"minimum": "2048"}}}, "dh_bits minimum '2048': it is no count"),
        ({"name": "x", "rules": {"dh_bits": {"minimum": True}}}, "it is no count"),
        ({"name": "x", "rules": {"dh_bits": {"maximum": 1}}}, "key 'maximum': it is not known"),
        ({"name": "x", "rules": {"dh_bits": {}}}, "it says nothing"),
        ({"name": "x", "rules": {"compression": {"expected": "no"}}}, "it is no boolean"),
        ({"name": "x", "rules": {"compression": {"expected": False, "level": "maybe"}}}, "Choose required or"),
    ],
)
def test_a_form_that_is_none_is_refused_with_the_reason(form: object, message: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        policy.load(form)
    assert message in str(raised.value)


def test_names_of_a_form_become_those_of_results() -> None:
    rules = {
        "groups": {"allowed": ["prime256v1", "X25519", 0x11EC], "recommended": ["P-256"]},
        "cipher_suites": {"required": ["ECDHE-RSA-AES128-GCM-SHA256"]},
    }
    loaded = policy.load({"name": "x", "rules": rules})
    assert loaded.rules["groups"] == policy.ListRule(
        "", ("secp256r1", "x25519", "X25519MLKEM768"), recommended=("secp256r1",)
    )
    assert loaded.rules["cipher_suites"] == policy.ListRule(
        "", None, required=("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",)
    )
