# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An endpoint in words: what a person reads of a result of ``tls_endpoint_info``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.report import endpoint_words
from ansible_collections.ringmaster.webops.plugins.module_utils.report.endpoint import endpoint_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.policies import guideline_from, policies_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.vulnerabilities import vulnerabilities_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.words import grouped_by_reason
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import (
    HTTP,
    PLAIN_HTTP,
    certificate,
    endpoint,
    group,
    policy,
    vulnerabilities,
)

SCHEMA = Path(__file__).parents[5] / "docs/schemas/tls_endpoint_info-2.0.json"
CLASSICAL = [group("x25519", "0x001D")]
WITHOUT_TLS13 = [{"name": "TLSv1.2", "status": "offered"}, {"name": "TLSv1.3", "status": "not_offered"}]


def test_these_tests_are_about_results_as_they_are() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator({**schema, **schema["$defs"]["result"]}).validate(endpoint())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "yes: X25519MLKEM768"),
        ({"groups": CLASSICAL}, "none: what is recorded today may be read by a quantum computer later"),
        ({"groups": [], "protocols": WITHOUT_TLS13}, "none: TLS 1.3, which has such groups, is not offered"),
        (
            {"groups": CLASSICAL, "not_tested": [{"fact": "groups.TLSv1.3", "reason": "rate limited"}]},
            "not known: rate limited",
        ),
        ({"groups": [], "not_tested": [{"fact": "protocols.TLSv1.3", "reason": "reset"}]}, "not known: reset"),
        ({"groups": None}, "not known"),
        ({"groups": CLASSICAL, "protocols": None}, "not known"),
    ],
)
def test_post_quantum_is_said_either_way(changes: dict[str, Any], words: str) -> None:
    assert endpoint_words.post_quantum(endpoint(**changes)) == words


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (PLAIN_HTTP, "redirects to https://www.ringmaster.test/"),
        (
            {**PLAIN_HTTP, "redirects_to_https": False, "location": None, "status": 200},
            "does not redirect to https: it answers 200",
        ),
        (
            {**PLAIN_HTTP, "redirects_to_https": False, "location": "http://other.test/"},
            "does not redirect to https: it answers 301, and redirects to http://other.test/",
        ),
        ({**PLAIN_HTTP, "reachable": False, "redirects_to_https": None}, "nothing listens there"),
        ({**PLAIN_HTTP, "speaks_http": False, "redirects_to_https": None}, "something that is no HTTP answers"),
        ({"reachable": None, "redirects_to_https": None, "reason": "no connection"}, "not known: no connection"),
        ({}, None),
    ],
)
def test_where_a_visitor_without_tls_is_sent(facts: dict[str, Any], words: str | None) -> None:
    assert endpoint_words.plain_http(facts) == words


@pytest.mark.parametrize(
    ("protocol", "facts", "words"),
    [
        ("TLSv1.2", {"session_id": True, "session_ticket": True}, "by session ID, by ticket"),
        ("TLSv1.2", {"session_id": False, "session_ticket": None}, "not by session ID, by ticket: not known"),
        ("TLSv1.3", {"session_ticket": True, "max_early_data_bytes": 0}, "by ticket, no 0-RTT data"),
        (
            "TLSv1.3",
            {"session_ticket": True, "ticket_lifetime_seconds": 7200, "max_early_data_bytes": 16384},
            "by ticket (valid for 7,200 s), 0-RTT data up to 16,384 bytes",
        ),
    ],
)
def test_sessions(protocol: str, facts: dict[str, Any], words: str) -> None:
    assert endpoint_words.sessions({protocol: facts}) == (f"{protocol}: {words}",)


def test_http_is_named_as_in_a_header_and_says_what_is_not_sent() -> None:
    named = dict(endpoint_words.http(HTTP))

    assert named["Content-Security-Policy"] == "default-src 'self'"
    assert "X-Frame-Options" in named["Headers not sent"]
    assert "Content-Security-Policy" not in named["Headers not sent"]
    assert named["Headers that tell a version"] == "server"
    assert named["Cookies without httponly"] == "basket"
    assert "Cookies without secure" not in named


def test_what_speaks_no_http_has_no_headers() -> None:
    assert endpoint_words.http({**HTTP, "speaks_http": False}) == (("HTTP", "not spoken here"),)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (policy("Own", True), "Own 1.0: complies"),
        (
            policy("Own", False, ("groups", "fail", "not allowed: x448"), ("dh_bits", "pass", "2048")),
            "Own 1.0: does not comply: groups (not allowed: x448)",
        ),
        (
            policy("Own", None, undecided=("protocols", "groups")),
            "Own 1.0: not known, since these were not measured: protocols, groups",
        ),
        (
            policy("Own", True, ("groups", "recommend", "X25519MLKEM768")),
            "Own 1.0: complies. Recommended: groups (X25519MLKEM768)",
        ),
    ],
)
def test_policy_in_one_line(given: dict[str, Any], verdict: str) -> None:
    assert [one.verdict for one in policies_from([given])] == [verdict]


def test_reason_of_a_policy_stays_short() -> None:
    many = policy("Own", False, ("cipher_suites", "fail", "not allowed: TLS_X; " * 100))

    assert len(policies_from([many])[0].verdict) < 250


def test_profiles_of_the_guideline_have_its_version() -> None:
    mozilla = {"version": "5.8", "profiles": {"old": policy("Mozilla old", True)}}

    assert [one.verdict for one in guideline_from(mozilla)] == ["Mozilla 5.8 old: complies"]


def test_vulnerabilities_come_worst_first_and_with_how_many_were_tested() -> None:
    said = vulnerabilities_from(
        endpoint(
            vulnerabilities=vulnerabilities(
                breach=("exposed", "compressed"),
                crime=("vulnerable", "compressed"),
                opossum=("likely", "offered"),
                robot=("not_tested", "deep"),
                sweet32=("dangerous", "?"),
                rc4=("not_applicable", "refused"),
            )
        )
    )

    assert [one.title for one in said.found] == ["CRIME", "Opossum", "BREACH"]
    assert {one.title for one in said.not_tested} == {"ROBOT", "SWEET32"}
    assert [one.title for one in said.unread] == ["SWEET32"]
    assert said.tested == 22


def test_names_with_one_reason_share_a_line() -> None:
    named = [("Java 6u45", "no common protocol"), ("Java 25", None), ("Java 7u25", "no common protocol")]

    assert grouped_by_reason(named) == ["Java 6u45, Java 7u25: no common protocol", "Java 25: no reason given"]


def test_differences_between_addresses() -> None:
    change = {"fact": "protocols.TLSv1.0", "before": "not_offered", "after": "offered", "direction": "worse"}

    assert endpoint_from(endpoint(address_differences=[change])).address_differences == (
        "protocols.TLSv1.0: not_offered \u2192 offered (worse)",
    )


@pytest.mark.parametrize(
    ("changes", "problems", "stapled"),
    [
        ({}, (), "none"),
        ({"must_staple_satisfied": False}, (), "none, though the certificate demands one"),
        ({"stapled_ocsp": {"status": "good", "valid": True, "reason": None}}, (), "good"),
        (
            {"stapled_ocsp": {"status": "good", "valid": False, "reason": "out_of_date"}},
            (),
            "good, not valid, out_of_date",
        ),
        ({"chain_order": "wrong", "extra_certificates": ["5a" * 32]}, ("the order is wrong", "1 of no use"), "none"),
        ({"trust": {"chain_incomplete": True}}, ("an issuer is not sent",), "none"),
    ],
)
def test_chain_and_staple(changes: dict[str, Any], problems: tuple[str, ...], stapled: str) -> None:
    (shown,) = endpoint_from(endpoint(certificates=[{**certificate(), **changes}])).certificates

    assert (shown.chain_problems, shown.stapled_ocsp) == (problems, stapled)
