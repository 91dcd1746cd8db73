# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two measurements of the same endpoints: which clients lose, and what differs."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import measured
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.request import Endpoint

from ..report import builders

WWW = Endpoint("www.example.com")


def without(result: dict[str, Any], protocol: str) -> dict[str, Any]:
    statuses = [{**each, "status": "not_offered"} if each["name"] == protocol else each for each in result["protocols"]]
    return {**result, "protocols": statuses}


def with_leaf(fingerprint: str, **changes: object) -> dict[str, Any]:
    entry = builders.certificate()
    entry["leaf"] = {**entry["leaf"], "sha256_fingerprint": fingerprint, **changes}
    return builders.endpoint(certificates=[entry])


def with_hsts(seconds: int | None) -> dict[str, Any]:
    result = builders.endpoint()
    result["http"]["strict_transport_security"].update(max_age_seconds=seconds, present=seconds is not None)
    return result


SAME = builders.endpoint()


@pytest.mark.parametrize(
    ("live", "fact"),
    [
        (without(SAME, "TLSv1.2"), "protocols.TLSv1.2"),
        (builders.endpoint(cipher_suites={**builders.SUITES, "TLSv1.3": builders.SUITES["TLSv1.3"][:2]}), "cipher_s"),
        (builders.endpoint(groups=[builders.group("x25519", "0x001D")]), "groups.X25519MLKEM768"),
        (with_leaf("00" * 32), "certificates.ECDSA.sha256_fingerprint"),
        (builders.endpoint(certificates=[]), "certificates.ECDSA"),
        (with_hsts(63072000), "http.strict_transport_security.max_age_seconds"),
        (with_hsts(None), "http.strict_transport_security.present"),
    ],
)
def test_what_is_live_must_answer_as_the_shadow_did(live: dict[str, Any], fact: str) -> None:
    (text,) = measured.judge_sameness({WWW: SAME}, {WWW: live}).refusals
    assert text.startswith("www.example.com:443: it does not answer as it did in the shadow: ")
    assert fact in text


@pytest.mark.parametrize(
    "live",
    [
        SAME,
        builders.endpoint(address="192.0.2.1", grade="B", clients=[]),
        builders.endpoint(http={**builders.HTTP, "status": 502, "server": None}),
        with_leaf("5a" * 32, days_left=13),
        builders.endpoint(sessions={}, alpn={}, preference={}),
    ],
)
def test_other_facts_may_differ(live: dict[str, Any]) -> None:
    assert measured.judge_sameness({WWW: SAME}, {WWW: live}).refusals == ()


def test_an_endpoint_that_is_gone_after_the_switch_is_refused() -> None:
    gone = {**builders.unreachable(message="refused"), "target": SAME["target"]}
    assert measured.judge_sameness({WWW: SAME}, {WWW: gone}).refusals == (
        "www.example.com:443: it does not answer after the switch (refused)",
    )
    assert measured.judge_sameness({WWW: SAME}, {}).refusals == (
        "www.example.com:443: it was not measured after the switch",
    )


@pytest.mark.parametrize(
    "live",
    [
        builders.endpoint(http=None),
        builders.endpoint(groups=[], not_tested=[{"fact": "groups", "reason": "timeout"}]),
    ],
)
def test_a_fact_that_is_missing_is_a_warning(live: dict[str, Any]) -> None:
    found = measured.judge_sameness({WWW: SAME}, {WWW: live})
    assert found.refusals == ()
    assert [text.startswith("www.example.com:443: not compared with the shadow") for text in found.warnings] == [True]


def test_clients_that_lose_are_named_per_endpoint() -> None:
    before = builders.endpoint(clients=[builders.client(name, True) for name in ("Chrome 156", "Java 7u25", "curl")])
    after = builders.endpoint(
        clients=[
            builders.client("Chrome 156", True),
            builders.client("Java 7u25", False),
            builders.client("curl", None),
        ]
    )
    assert measured.clients_shut_out({WWW: before}, {WWW: after}) == {
        "www.example.com:443": (["Chrome 156", "Java 7u25", "curl"], ["Chrome 156", "curl"])
    }
    unknown = builders.endpoint(clients=[builders.client("Java 7u25", None)])
    assert measured.clients_shut_out({WWW: before}, {WWW: unknown}) == {}
    assert measured.clients_shut_out({}, {WWW: after}) == measured.clients_shut_out({WWW: after}, {WWW: after}) == {}


def test_the_worst_address_of_an_endpoint_gives_its_grade() -> None:
    other = Endpoint("www.example.com", address="::1")
    results = {WWW: builders.endpoint(grade="A"), other: builders.endpoint(grade="B")}
    assert measured.grades(results) == {"www.example.com:443": "B"}
    results[other] = builders.endpoint(grade_trust_ignored=None)
    assert measured.grades(results) == {"www.example.com:443": None}


def test_certificates_that_only_others_are_shown_do_not_count() -> None:
    named, other = builders.certificate(), builders.certificate()
    other["server_name_sent"] = False
    other["trust"]["trusted"] = False
    assert measured.is_trusted(builders.endpoint(certificates=[named, other])) is True
    assert measured.is_trusted(builders.endpoint(certificates=[other])) is False
    assert measured.is_trusted(builders.endpoint(certificates=[])) is None


def test_the_summary_is_short() -> None:
    assert measured.summary(builders.endpoint("www.example.com")) == {
        "target": "www.example.com:443",
        "grade_trust_ignored": "A",
        "grade": "A",
        "trusted": True,
        "protocols": ["TLSv1.2", "TLSv1.3"],
        "caps": [],
        "hsts_max_age_seconds": 300,
        "negotiated_group": "x25519",
    }
