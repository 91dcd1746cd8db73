# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two results of one target, one fact apart."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    certificate,
    drift,
    mozilla,
    registry,
    scan,
)

from .configurations import assessed

if TYPE_CHECKING:
    from tests.unit.plugins.module_utils.tls.conftest import Servers


def suites(*numbers: int) -> list[dict[str, object]]:
    return [registry.cipher_suite(number).as_dict() for number in numbers]


def groups(*numbers: int) -> list[dict[str, object]]:
    return [registry.named_group(number).as_dict() for number in numbers]


def result(host: str = "www.example.com", address: str = "192.0.2.1") -> dict[str, Any]:
    leaf = {
        "sha256_fingerprint": "aa",
        "spki_sha256": "bb",
        "issuer": "CN=One",
        "not_after": "2026-12-01T00:00:00Z",
        "days_left": 31,
        "rsa_equivalent_bits": 2048,
    }
    return {
        "target": {"name": host, "host": host, "port": 443, "server_name": host},
        "address": address,
        "reachable": True,
        "error": None,
        "protocols": [{"name": "TLSv1.0", "status": "not_offered"}, {"name": "TLSv1.3", "status": "offered"}],
        "cipher_suites": {"TLSv1.3": suites(0x1301, 0x1302), "TLSv1.2": suites(0xC02F)},
        "preference": {"TLSv1.3": "server"},
        "groups": groups(0x001D),
        "dh_parameters": [{"bits": 2048}],
        "extensions": {"TLSv1.2": ["extended_master_secret"]},
        "compression": False,
        "renegotiation": {"secure": True},
        "certificates": [
            {
                "key_type": "RSA",
                "server_name_sent": True,
                "leaf": leaf,
                "trust": {"trusted": True, "reason": None, "name_matches": True},
            }
        ],
        "http": {
            "speaks_http": True,
            "status": 200,
            "strict_transport_security": {"present": True, "valid": True, "max_age_seconds": 300, "preload": False},
        },
        "vulnerabilities": {"robot": {"status": "not_vulnerable", "evidence": "x"}, "beast": {"status": "not_tested"}},
        "clients": [{"name": "Firefox 31", "connects": True}],
        "grade": "A",
        "grade_trust_ignored": "A",
        "grade_is_upper_bound": False,
        "grade_missing_facts": [],
        "caps": [],
        "warnings": [],
        "not_tested": [],
    }


def put(place: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split("/")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] = value


def directions(found: dict[str, Any]) -> dict[str, str]:
    return {change["fact"]: change["direction"] for change in found["changes"]}


def test_equal_results_have_no_drift() -> None:
    found = drift.drift(result(), result())
    assert (found["changed"], found["changes"], found["unknown"]) == (False, [], [])
    assert (found["grade_before"], found["grade_after"]) == ("A", "A")


OPPOSITE = {"better": "worse", "worse": "better", "neutral": "neutral"}
HSTS = "http/strict_transport_security"
LEAF = "certificates/0/leaf"
TRUST = "certificates/0/trust"


@pytest.mark.parametrize(
    ("path", "value", "fact", "direction"),
    [
        ("grade", "B", "grade", "worse"),
        ("grade", "A+", "grade", "better"),
        ("grade", "T", "grade", "worse"),
        ("caps", [{"rule": "x", "limit": "B"}], "caps.x", "worse"),
        ("protocols/0/status", "offered", "protocols.TLSv1.0", "worse"),
        ("protocols/1/status", "not_offered", "protocols.TLSv1.3", "worse"),
        (
            "cipher_suites/TLSv1.2",
            suites(0xC02F, 0x002F),
            "cipher_suites.TLSv1.2.TLS_RSA_WITH_AES_128_CBC_SHA",
            "worse",
        ),
        ("cipher_suites/TLSv1.3", suites(0x1301), "cipher_suites.TLSv1.3.TLS_AES_256_GCM_SHA384", "neutral"),
        ("preference/TLSv1.3", "client", "preference.TLSv1.3", "neutral"),
        ("groups", groups(0x001D, 0x11EC), "groups.X25519MLKEM768", "better"),
        ("groups", groups(0x001D, 0x0013), "groups.secp192r1", "worse"),
        ("groups", groups(0x001D, 0x0017), "groups.secp256r1", "neutral"),
        ("dh_parameters", [{"bits": 1024}], "dh_bits", "worse"),
        ("extensions/TLSv1.2", [], "extensions.TLSv1.2.extended_master_secret", "worse"),
        ("compression", True, "compression", "worse"),
        ("renegotiation/secure", False, "renegotiation.secure", "worse"),
        (f"{TRUST}/trusted", False, "certificates.RSA.trust.trusted", "worse"),
        (f"{TRUST}/name_matches", False, "certificates.RSA.trust.name_matches", "worse"),
        (f"{HSTS}/max_age_seconds", 200, "http.strict_transport_security.max_age_seconds", "worse"),
        (f"{HSTS}/present", False, "http.strict_transport_security.present", "worse"),
        (f"{HSTS}/preload", True, "http.strict_transport_security.preload", "neutral"),
        ("http/status", 401, "http.status", "neutral"),
        ("vulnerabilities/robot/status", "vulnerable", "vulnerabilities.robot", "worse"),
        ("vulnerabilities/robot/status", "not_applicable", "vulnerabilities.robot", "neutral"),
        ("clients/0/connects", False, "clients.Firefox 31", "worse"),
        ("address", "192.0.2.2", "address", "neutral"),
        (f"{LEAF}/days_left", 29, "certificates.RSA.days_left", "worse"),
    ],
)
def test_one_other_fact_is_one_change(path: str, value: object, fact: str, direction: str) -> None:
    before, after = result(), result()
    put(after, path, value)
    assert directions(drift.drift(before, after)) == {fact: direction}
    if fact != "certificates.RSA.days_left":  # days do not come back
        assert directions(drift.drift(after, before)) == {fact: OPPOSITE[direction]}


def test_a_day_less_is_no_change() -> None:
    after = result()
    after["certificates"][0]["leaf"]["days_left"] = 30
    assert drift.drift(result(), after)["changed"] is False


def test_a_renewed_certificate_says_what_is_new() -> None:
    after = result()
    after["certificates"][0]["leaf"].update(
        sha256_fingerprint="cc", spki_sha256="dd", issuer="CN=Two", not_after="2027-03-01T00:00:00Z", days_left=90
    )
    assert directions(drift.drift(result(), after)) == {
        "certificates.RSA.sha256_fingerprint": "neutral",
        "certificates.RSA.not_after": "better",
        "certificates.RSA.issuer": "neutral",
        "certificates.RSA.spki_sha256": "neutral",
    }


@pytest.mark.parametrize(
    ("path", "value", "fact", "unknown"),
    [
        ("protocols/1/status", "not_tested", "protocols.TLSv1.3", "protocols.TLSv1.3"),
        (
            "cipher_suites/TLSv1.3",
            suites(0x1301),
            "cipher_suites.TLSv1.3",
            "cipher_suites.TLSv1.3.TLS_AES_256_GCM_SHA384",
        ),
        ("groups", [], "groups.TLSv1.3", "groups.x25519"),
        ("certificates", [], "certificates", "certificates.RSA"),
        ("http", None, "http", "http"),
        ("vulnerabilities/robot/status", "not_tested", "vulnerabilities.robot", "vulnerabilities.robot"),
        ("renegotiation/secure", None, "renegotiation", "renegotiation.secure"),
        ("dh_parameters", [], "dh_parameters.TLSv1.2", "dh_bits"),
    ],
)
def test_what_was_not_tested_is_unknown_both_ways(path: str, value: object, fact: str, unknown: str) -> None:
    before, after = result(), result()
    put(after, path, value)
    after["not_tested"] = [{"fact": fact, "reason": "the server went away"}]
    for one, other in ((before, after), (after, before)):
        found: Any = drift.drift(one, other)
        assert found["changes"] == []
        assert unknown in [entry["fact"] for entry in found["unknown"]]


def test_what_is_newly_seen_in_an_incomplete_list_is_a_change() -> None:
    after = result()
    after["cipher_suites"]["TLSv1.3"] = suites(0x1301, 0x1305)
    after["not_tested"] = [{"fact": "cipher_suites.TLSv1.3", "reason": "the server went away"}]
    found: Any = drift.drift(result(), after)
    assert directions(found) == {"cipher_suites.TLSv1.3.TLS_AES_128_CCM_8_SHA256": "neutral"}
    assert "cipher_suites.TLSv1.3.TLS_AES_256_GCM_SHA384" in [entry["fact"] for entry in found["unknown"]]


def test_what_neither_scan_tested_is_said() -> None:
    before, after = result(), result()
    before["not_tested"] = after["not_tested"] = [{"fact": "protocols.SSLv2", "reason": "the server went away"}]
    found: Any = drift.drift(before, after)
    assert (found["changed"], [entry["fact"] for entry in found["unknown"]]) == (False, ["protocols.SSLv2"])


@pytest.mark.parametrize(
    ("before", "before_bound", "after", "after_bound", "changed"),
    [
        ("A", False, "B", True, True),
        ("B", True, "A", False, True),
        ("A", True, "B", False, False),
        ("B", False, "A", True, False),
        ("A", False, None, False, False),
    ],
)
def test_an_upper_bound_proves_a_fall_only(
    before: str, before_bound: bool, after: str | None, after_bound: bool, changed: bool
) -> None:
    old, new = result(), result()
    old.update(grade=before, grade_is_upper_bound=before_bound)
    new.update(grade=after, grade_is_upper_bound=after_bound)
    found: Any = drift.drift(old, new)
    assert found["changed"] is changed
    assert [entry["fact"] for entry in found["unknown"]] == ([] if changed else ["grade"])


@pytest.mark.parametrize(("was", "now", "direction"), [(True, False, "worse"), (False, True, "better")])
def test_an_endpoint_that_is_gone_is_one_change(was: bool, now: bool, direction: str) -> None:
    before, after = result(), result()
    before["reachable"], after["reachable"] = was, now
    for each in (before, after):
        if not each["reachable"]:
            each.update(protocols=[], cipher_suites={}, groups=[], certificates=[], http=None, grade=None)
    assert directions(drift.drift(before, after)) == {"reachable": direction}


@pytest.mark.parametrize("key", ["host", "port", "server_name", "starttls"])
def test_different_targets_are_not_compared(key: str) -> None:
    other = result()
    other["target"][key] = "other"
    with pytest.raises(InvalidInputError, match="they are of different targets"):
        drift.drift(result(), other)


@pytest.mark.parametrize("value", [None, "results", {}, [1], [{}], [{"target": "x"}]])
def test_what_is_no_list_of_results_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match=r"Give (the )?results of ringmaster.webops.tls_endpoint_info"):
        drift.drifts(value, [])


def test_runs_are_compared_target_by_target() -> None:
    previous = [result("a"), result("b", "192.0.2.1"), result("b", "192.0.2.2"), result("c", "192.0.2.3"), result("d")]
    current = [result("c", "192.0.2.9"), result("b", "192.0.2.2"), result("b", "192.0.2.1"), result("e"), result("a")]
    found = drift.drifts(previous, current)
    summary = [(entry["target"]["name"], entry["status"], entry["changed"]) for entry in found]
    assert summary == [
        ("c", "compared", True),
        ("b", "compared", False),
        ("b", "compared", False),
        ("e", "appeared", True),
        ("a", "compared", False),
        ("d", "vanished", True),
    ]


def test_real_servers_before_and_after_a_change_of_configuration(servers: Servers, ca: trustme.CA) -> None:
    anchors = certificate.Anchors([ca.cert_pem.bytes().decode()])
    now = datetime.datetime.now(datetime.timezone.utc)
    results = []
    for options in (
        ("-groups", "X25519"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA", "-groups", "X25519"),
    ):
        (facts,) = scan.scan_targets([f"localhost:{servers.openssl(*options)}"], scan.Options())
        results.append(assessed(facts, anchors, now))
    strong, weak = results
    weak["target"] = strong["target"]  # as if it were the same port
    found = drift.drift(strong, weak)
    assert directions(found)["protocols.TLSv1.3"] == "worse"
    assert "compliant" in str(mozilla.verdict(weak))
    profiles: Any = mozilla.verdict(weak)["profiles"]
    failed = {item["item"] for item in profiles["intermediate"]["items"] if item["status"] == "fail"}
    assert {"protocols", "cipher_suites"} <= failed
    assert "groups" not in failed
