# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a result says of a certificate and all that came with it."""

from __future__ import annotations

import base64
import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, served_certificate
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.issued import (
    FETCH,
    LEAF,
    MIDDLE,
    NOW,
    ROOT,
    SAN,
    Issued,
    RealAuthority,
)

ANCHORS = certificate.Anchors([ROOT.pem])
NO_ANCHORS = certificate.Anchors([])
MUST_STAPLE = Issued(
    "leaf", MIDDLE, [(SAN, False), (x509.TLSFeature([x509.TLSFeatureType.status_request]), False), (FETCH, False)]
)


def encoded(*ders: bytes) -> list[str]:
    return [base64.b64encode(der).decode() for der in ders]


def facts(*sent: bytes, **more: object) -> dict[str, Any]:
    return {
        "key_type": "unknown",
        "server_name_sent": True,
        "protocols": ["TLSv1.2"],
        "chain_complete": True,
        "staple_asked": True,
        "chain_der": encoded(*sent),
        **more,
    }


def judge(anchors: certificate.Anchors = ANCHORS, **more: object) -> dict[str, Any]:
    sent = more.pop("sent", (LEAF.der, MIDDLE.der))
    assert isinstance(sent, tuple)
    return served_certificate.judge(facts(*sent, **more), anchors, "www.example.com", NOW)


def test_everything_is_there_and_nothing_is_made_up() -> None:
    result = judge()
    assert (result["leaf"]["common_name"], [one["common_name"] for one in result["chain"]]) == ("leaf", ["middle"])
    assert (result["key_type"], result["server_name_sent"], result["protocols"]) == ("ECDSA", True, ["TLSv1.2"])
    assert (result["trust"]["trusted"], result["trust"]["chain_incomplete"]) == (True, False)
    assert (result["chain_order"], result["extra_certificates"], result["contains_anchor"]) == ("correct", [], False)
    assert (result["stapled_ocsp"], result["must_staple_satisfied"], result["scts"]) == (None, None, [])


def test_fetched_issuers_count_as_fetched() -> None:
    trust = judge(sent=(MUST_STAPLE.der,), issuers_der=encoded(MIDDLE.der))["trust"]
    assert (trust["trusted"], trust["chain_incomplete"]) == (True, True)


@pytest.mark.parametrize(
    ("leaf", "anchors", "trusted", "reason"),
    [
        (LEAF, ANCHORS, None, "chain_not_seen"),
        (MUST_STAPLE, ANCHORS, None, "chain_not_seen"),
        (LEAF, certificate.Anchors([MIDDLE.pem]), True, None),
        (Issued("leaf", MIDDLE, [(SAN, False)], to_days=-1), ANCHORS, False, "expired"),
    ],
    ids=["no issuer", "the address of an issuer", "the issuer is an anchor", "expired"],
)
def test_a_chain_of_which_the_leaf_alone_was_seen(
    leaf: Issued, anchors: certificate.Anchors, trusted: bool | None, reason: str | None
) -> None:
    result = judge(anchors, sent=(leaf.der,), chain_complete=False)
    assert (result["trust"]["trusted"], result["trust"]["reason"]) == (trusted, reason)
    assert result["trust"]["chain_incomplete"] is False
    assert (result["chain_order"], result["extra_certificates"], result["contains_anchor"]) == (None, None, None)


def test_nothing_is_missed_in_a_chain_that_was_not_seen() -> None:
    trust = judge(sent=(LEAF.der,), chain_complete=False, issuers_der=encoded(MIDDLE.der))["trust"]
    assert (trust["trusted"], trust["detail"], trust["chain_incomplete"]) == (True, None, False)


@pytest.mark.parametrize(
    ("asked", "staple", "satisfied"), [(True, None, False), (False, None, None), (True, b"nonsense", False)]
)
def test_a_staple_is_missing_only_where_it_was_asked_for(
    asked: bool, staple: bytes | None, satisfied: bool | None
) -> None:
    stapled = None if staple is None else encoded(staple)[0]
    result = judge(sent=(MUST_STAPLE.der, MIDDLE.der), staple_asked=asked, stapled_ocsp_der=stapled)
    assert (result["must_staple_satisfied"], result["trust"]["trusted"]) == (satisfied, True)


@pytest.mark.parametrize(
    ("status", "anchor", "sent", "trusted", "reason", "valid"),
    [
        ("V", True, False, True, None, True),
        ("R", True, False, False, "revoked", True),
        ("R", False, False, False, "unknown_issuer", None),
        ("R", False, True, False, "untrusted_root", True),
    ],
    ids=["good", "revoked", "by an unknown authority", "by an authority that is not trusted"],
)
def test_a_certificate_that_a_valid_staple_revokes_is_not_trusted(
    tmp_path: Path, status: str, anchor: bool, sent: bool, trusted: bool, reason: str | None, valid: bool | None
) -> None:
    authority = RealAuthority(tmp_path)
    chain = [authority.issue(), *([ssl.PEM_cert_to_DER_cert(authority.pem)] if sent else [])]
    entry = facts(*chain, stapled_ocsp_der=encoded(authority.respond(status))[0])
    now = datetime.datetime.now(datetime.timezone.utc)
    anchors = certificate.Anchors([authority.pem]) if anchor else NO_ANCHORS
    result: Any = served_certificate.judge(entry, anchors, "localhost", now)
    assert (result["trust"]["trusted"], result["trust"]["reason"]) == (trusted, reason)
    assert result["stapled_ocsp"]["valid"] is valid
    assert reason != "revoked" or "2026-01-01" in result["trust"]["detail"]


def test_the_issuer_that_signed_a_staple_may_have_been_fetched(tmp_path: Path) -> None:
    authority = RealAuthority(tmp_path)
    fetched = encoded(ssl.PEM_cert_to_DER_cert(authority.pem))
    entry = facts(authority.issue(), stapled_ocsp_der=encoded(authority.respond())[0], issuers_der=fetched)
    now = datetime.datetime.now(datetime.timezone.utc)
    result: Any = served_certificate.judge(entry, NO_ANCHORS, "localhost", now)
    assert result["stapled_ocsp"]["valid"] is True


def test_an_expired_staple_revokes_nothing(tmp_path: Path) -> None:
    authority = RealAuthority(tmp_path)
    entry = facts(authority.issue(), stapled_ocsp_der=encoded(authority.respond("R"))[0])
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
    result: Any = served_certificate.judge(entry, certificate.Anchors([authority.pem]), "localhost", later)
    assert (result["trust"]["trusted"], result["stapled_ocsp"]["reason"]) == (True, "expired")


@pytest.mark.parametrize("chain_der", [[], ["***"], ["AAAA", "***"], ["äöü"]])
def test_facts_that_are_no_certificates(chain_der: list[str]) -> None:
    entry = {**facts(), "chain_der": chain_der, "stapled_ocsp_der": "***", "sct_list": "***", "issuers_der": ["***"]}
    result: Any = served_certificate.judge(entry, ANCHORS, "www.example.com", NOW)
    assert (result["trust"]["trusted"], result["trust"]["reason"]) == (False, "unreadable")
    assert (result["key_type"], result["chain_order"]) == ("unknown", None)
    assert (result["stapled_ocsp"]["valid"], result["stapled_ocsp"]["reason"]) == (False, "malformed")
    assert [one["source"] for one in result["scts"]] == ["tls"]
