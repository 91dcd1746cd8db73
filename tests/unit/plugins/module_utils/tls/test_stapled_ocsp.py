# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stapled OCSP responses: real ones that the program openssl makes, and every way in which one can be wrong."""

from __future__ import annotations

import dataclasses
import datetime
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, stapled_ocsp
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.issued import (
    CA,
    DAY,
    LEAF,
    MIDDLE,
    NOW,
    ROOT,
    RSA_KEY,
    SAN,
    Issued,
    RealAuthority,
    mutated,
    name,
)

HOUR = datetime.timedelta(hours=1)
NO_ANCHORS = certificate.Anchors([])


def judge(response: bytes, *sent: Issued, anchors: certificate.Anchors = NO_ANCHORS) -> dict[str, Any]:
    leaf, *others = sent or (LEAF, MIDDLE)
    return stapled_ocsp.judge(response, leaf.der, [one.der for one in others], anchors, NOW)


# --- responses of openssl


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("V", ("good", None, None)), ("R", ("revoked", "2026-01-01T00:00:00Z", "keyCompromise"))],
    ids=["good", "revoked"],
)
def test_a_real_response(tmp_path: Path, status: str, expected: tuple[str, str | None, str | None]) -> None:
    authority = RealAuthority(tmp_path)
    leaf = authority.issue()
    verdict = stapled_ocsp.judge(authority.respond(status), leaf, [], certificate.Anchors([authority.pem]), _now())
    assert (verdict["valid"], verdict["reason"], verdict["detail"]) == (True, None, None)
    assert (verdict["status"], verdict["revoked_at"], verdict["revocation_reason"]) == expected
    assert verdict["responder"] == "CN=ca"
    assert str(verdict["produced_at"]) >= str(verdict["this_update"])
    assert str(verdict["this_update"]) < str(verdict["next_update"])


def test_a_real_response_of_a_delegated_responder(tmp_path: Path) -> None:
    authority = RealAuthority(tmp_path)
    (tmp_path / "responder.pem").write_text(ssl.DER_cert_to_PEM_cert(authority.issue(extendedKeyUsage="OCSPSigning")))
    (tmp_path / "responder.key").write_text((tmp_path / "leaf.key").read_text())
    leaf = authority.issue()
    response = authority.respond("V", "-rsigner", "responder.pem", "-rkey", "responder.key")
    verdict = stapled_ocsp.judge(response, leaf, [], certificate.Anchors([authority.pem]), _now())
    assert (verdict["valid"], verdict["status"], verdict["responder"]) == (True, "good", "CN=leaf")


def test_a_real_response_about_another_certificate(tmp_path: Path) -> None:
    authority = RealAuthority(tmp_path)
    other = authority.issue()
    authority.issue()
    verdict = stapled_ocsp.judge(authority.respond(), other, [], certificate.Anchors([authority.pem]), _now())
    assert (verdict["valid"], verdict["reason"], verdict["status"]) == (False, "wrong_certificate", None)


@pytest.mark.parametrize(("days", "reason"), [(-1, "not_yet_valid"), (4, "expired")])
def test_a_real_response_at_another_time(tmp_path: Path, days: int, reason: str) -> None:
    authority = RealAuthority(tmp_path)
    leaf, moment = authority.issue(), _now() + days * DAY
    verdict = stapled_ocsp.judge(authority.respond(), leaf, [], certificate.Anchors([authority.pem]), moment)
    assert (verdict["valid"], verdict["reason"], verdict["status"]) == (False, reason, "good")


# --- responses made to measure


@dataclass
class Response:
    """A response, good as it stands."""

    leaf: Issued = LEAF
    issuer: Issued = MIDDLE
    signer: Issued = MIDDLE
    by_name: bool = False
    certificates: list[Issued] = field(default_factory=list)
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    algorithm: hashes.HashAlgorithm = field(default_factory=hashes.SHA1)
    digest: hashes.HashAlgorithm | None = field(default_factory=hashes.SHA256)
    this_update: datetime.datetime = NOW - HOUR
    next_update: datetime.datetime | None = NOW + DAY
    extensions: list[tuple[x509.ExtensionType, bool]] = field(default_factory=list)

    @property
    def der(self) -> bytes:
        revoked = self.status is ocsp.OCSPCertStatus.REVOKED
        encoding = ocsp.OCSPResponderEncoding.NAME if self.by_name else ocsp.OCSPResponderEncoding.HASH
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                self.leaf.certificate,
                self.issuer.certificate,
                self.algorithm,
                self.status,
                self.this_update,
                self.next_update,
                NOW - DAY if revoked else None,
                x509.ReasonFlags.superseded if revoked else None,
            )
            .responder_id(encoding, self.signer.certificate)
        )
        if self.certificates:
            builder = builder.certificates([one.certificate for one in self.certificates])
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.signer.key, self.digest).public_bytes(Encoding.DER)


OCSP_SIGNING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
ANY_USAGE = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)
DELEGATE = Issued("responder", MIDDLE, [OCSP_SIGNING])
OF_ROOT = Issued("responder", ROOT, [OCSP_SIGNING])
SELF_MADE = Issued("responder", None, [OCSP_SIGNING])
NO_USAGE = Issued("responder", MIDDLE)
SERVER = Issued("responder", MIDDLE, [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)])
ANYTHING = Issued("responder", MIDDLE, [ANY_USAGE])
OLD_DELEGATE = Issued("responder", MIDDLE, [OCSP_SIGNING], to_days=-1)
FUTURE_DELEGATE = Issued("responder", MIDDLE, [OCSP_SIGNING], from_days=1)
OTHER_LEAF = Issued("other", MIDDLE, [(SAN, False)])
TWIN = Issued("middle", ROOT, [(CA, True)])
RSA_MIDDLE = Issued("rsa middle", ROOT, [(CA, True)], key=RSA_KEY)
RSA_LEAF = Issued("leaf", RSA_MIDDLE, [(SAN, False)])
NONCE = x509.OCSPNonce(b"0123456789abcdef")
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


def delegated(signer: Issued, response: Response | None = None) -> Response:
    return dataclasses.replace(response or Response(), signer=signer, certificates=[signer])


VALID = [
    ("signed by the issuer, named by key", Response()),
    ("signed by the issuer, named by name", Response(by_name=True)),
    ("the issuer's certificate is in it too", Response(certificates=[MIDDLE])),
    ("hashes of SHA-256", Response(algorithm=hashes.SHA256())),
    ("delegated, named by key", delegated(DELEGATE)),
    ("delegated, named by name", delegated(DELEGATE, Response(by_name=True))),
    ("delegated, among others", Response(signer=DELEGATE, certificates=[SELF_MADE, DELEGATE], by_name=True)),
    ("unknown", Response(status=ocsp.OCSPCertStatus.UNKNOWN)),
    ("revoked", Response(status=ocsp.OCSPCertStatus.REVOKED)),
    ("no next update, an hour old", Response(next_update=None)),
    ("a clock that is four minutes ahead", Response(this_update=NOW + HOUR / 15)),
    ("a clock that is four minutes behind", Response(next_update=NOW - HOUR / 15)),
    ("a nonce", Response(extensions=[(NONCE, False)])),
    ("another extension", Response(extensions=[(STRANGE, False)])),
]


@pytest.mark.parametrize("response", [case[1] for case in VALID], ids=[case[0] for case in VALID])
def test_valid(response: Response) -> None:
    verdict = judge(response.der)
    assert (verdict["valid"], verdict["reason"]) == (True, None)
    assert verdict["status"] == response.status.name.lower()


def test_an_rsa_authority() -> None:
    response = Response(RSA_LEAF, RSA_MIDDLE, RSA_MIDDLE)
    assert judge(response.der, RSA_LEAF, RSA_MIDDLE)["valid"] is True
    assert judge(Response(RSA_LEAF, RSA_MIDDLE, MIDDLE).der, RSA_LEAF, RSA_MIDDLE)["reason"] == "unknown_responder"


def test_an_authority_with_an_edwards_key() -> None:
    authority, leaf, forger = Issued("ed"), Issued("leaf", Issued("ed")), Issued("ed")
    for one in (authority, forger):
        one.key = ed25519.Ed25519PrivateKey.generate()  # type: ignore[assignment]
        builder = x509.CertificateBuilder(name("ed"), name("ed"), one.key.public_key(), 1, NOW - DAY, NOW + DAY)
        one.certificate = builder.add_extension(CA, True).sign(one.key, None)
    builder = x509.CertificateBuilder(name("ed"), name("leaf"), leaf.key.public_key(), 2, NOW - DAY, NOW + DAY)
    leaf.certificate = builder.sign(authority.key, None)
    for signer, valid in ((authority, True), (forger, False)):
        response = Response(leaf, authority, signer, by_name=True, digest=None)
        assert judge(response.der, leaf, authority)["valid"] is valid


# It says that the issuer has signed it.
FORGED = Response(signer=Issued("middle"), by_name=True)
NOT_VALID = [
    ("about another certificate", Response(leaf=OTHER_LEAF), "wrong_certificate"),
    ("about a certificate of another issuer", Response(issuer=TWIN), "wrong_certificate"),
    ("about one of the issuer's key and another name", Response(issuer=RSA_MIDDLE), "wrong_certificate"),
    ("signed with another key", FORGED, "bad_signature"),
    ("signed with another kind of key", Response(signer=Issued("middle", key=RSA_KEY), by_name=True), "bad_signature"),
    ("signed by a stranger who is not in it", Response(signer=DELEGATE), "unknown_responder"),
    (
        "delegated, signed with another key",
        Response(signer=Issued("responder"), certificates=[DELEGATE], by_name=True),
        "bad_signature",
    ),
    ("delegated by the root", delegated(OF_ROOT), "unauthorized_responder"),
    ("delegated by nobody", delegated(SELF_MADE), "unauthorized_responder"),
    ("delegated, for nothing", delegated(NO_USAGE), "unauthorized_responder"),
    ("delegated, for servers", delegated(SERVER), "unauthorized_responder"),
    ("delegated, for anything", delegated(ANYTHING), "unauthorized_responder"),
    ("delegated, expired", delegated(OLD_DELEGATE), "unauthorized_responder"),
    ("delegated, not yet valid", delegated(FUTURE_DELEGATE), "unauthorized_responder"),
    ("signed by the leaf itself", Response(signer=LEAF, certificates=[LEAF]), "unauthorized_responder"),
    ("of tomorrow", Response(this_update=NOW + DAY, next_update=NOW + 2 * DAY), "not_yet_valid"),
    ("of yesterday", Response(this_update=NOW - 2 * DAY, next_update=NOW - DAY), "expired"),
    ("no next update, two days old", Response(this_update=NOW - 2 * DAY, next_update=None), "expired"),
    ("a critical extension", Response(extensions=[(STRANGE, True)]), "unknown_extension"),
]


@pytest.mark.parametrize(("response", "reason"), [case[1:] for case in NOT_VALID], ids=[case[0] for case in NOT_VALID])
def test_not_valid(response: Response, reason: str) -> None:
    verdict = judge(response.der)
    assert (verdict["valid"], verdict["reason"], bool(verdict["detail"])) == (False, reason, True)


SHA256_RSA, SHA1_RSA, UNKNOWN_RSA = (bytes.fromhex(f"2a864886f70d0101{end}") for end in ("0b", "05", "7f"))


@pytest.mark.parametrize(
    ("oid", "valid", "reason"),
    [(SHA1_RSA, False, "weak_signature"), (UNKNOWN_RSA, None, "unsupported_algorithm")],
    ids=["sha-1", "unknown"],
)
def test_old_and_unknown_signatures(oid: bytes, valid: bool | None, reason: str) -> None:
    """The name of the algorithm is put into a finished response, as no library signs so."""
    response = Response(RSA_LEAF, RSA_MIDDLE, RSA_MIDDLE).der.replace(SHA256_RSA, oid)
    verdict = judge(response, RSA_LEAF, RSA_MIDDLE)
    assert (verdict["valid"], verdict["reason"], verdict["status"]) == (valid, reason, "good")


@pytest.mark.parametrize(
    ("oid", "valid", "reason"),
    [("2a864886f70d010105", False, "weak_signature"), ("2a864886f70d01017f", None, "unsupported_algorithm")],
    ids=["sha-1", "unknown"],
)
def test_old_and_unknown_signatures_of_a_delegated_responder(oid: str, valid: bool | None, reason: str) -> None:
    signer = Issued("responder", RSA_MIDDLE, [OCSP_SIGNING]).with_algorithm(oid)
    response = Response(RSA_LEAF, RSA_MIDDLE, signer, certificates=[signer])
    verdict = judge(response.der, RSA_LEAF, RSA_MIDDLE)
    assert (verdict["valid"], verdict["reason"]) == (valid, reason)


@pytest.mark.parametrize("status", [one for one in ocsp.OCSPResponseStatus if one.value])
def test_a_refusal(status: ocsp.OCSPResponseStatus) -> None:
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    verdict = judge(response)
    assert (verdict["valid"], verdict["reason"], verdict["status"]) == (False, "responder_error", None)
    assert status.name.lower() in str(verdict["detail"])


# --- the issuer


def test_the_issuer_may_be_an_anchor_that_was_not_sent() -> None:
    assert judge(Response().der, LEAF, anchors=certificate.Anchors([MIDDLE.pem]))["valid"] is True


def test_without_the_issuer_nothing_can_be_told_but_what_the_response_says() -> None:
    verdict = judge(Response().der, LEAF, ROOT)
    assert (verdict["valid"], verdict["reason"], verdict["status"]) == (None, "issuer_unknown", "good")
    assert judge(Response(leaf=OTHER_LEAF).der, LEAF, ROOT)["reason"] == "wrong_certificate"


def test_the_issuer_is_not_just_anybody_with_its_name() -> None:
    assert judge(Response().der, LEAF, TWIN, MIDDLE)["valid"] is True
    assert judge(Response(issuer=TWIN, signer=TWIN).der, LEAF, TWIN)["reason"] == "issuer_unknown"


def test_a_leaf_that_cannot_be_parsed() -> None:
    verdict = stapled_ocsp.judge(Response().der, b"nothing", [], NO_ANCHORS, NOW)
    assert (verdict["valid"], verdict["reason"]) == (None, "issuer_unknown")


# --- damaged responses


DAMAGED = mutated(
    Response().der,
    Response(status=ocsp.OCSPCertStatus.REVOKED, by_name=True).der,
    delegated(DELEGATE, Response(extensions=[(NONCE, True)])).der,
    ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
)


@pytest.mark.parametrize("response", [b"", b"\x30", b"\x30\x03\x0a\x01\x00", b"\xff" * 200, Response().der[:-1]])
def test_nonsense_is_malformed(response: bytes) -> None:
    verdict = judge(response)
    assert (verdict["valid"], verdict["reason"]) == (False, "malformed")


@given(st.one_of(DAMAGED, st.binary(max_size=200)))
def test_a_damaged_response_gets_a_verdict_and_is_believed_only_unchanged(response: bytes) -> None:
    verdict = judge(response)
    assert bool(verdict["reason"]) is (verdict["valid"] is not True)


GOOD = Response().der


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_no_byte_of_a_response_can_be_changed(place: int, value: int) -> None:
    changed = GOOD[:place] + bytes([value]) + GOOD[place + 1 :]
    assert (judge(changed)["valid"] is True) is (changed == GOOD)


# --- certificates that demand a staple


@pytest.mark.parametrize(
    ("must_staple", "response", "satisfied"),
    [
        (False, None, None),
        (False, Response(), None),
        (True, None, False),
        (True, Response(), True),
        (True, FORGED, False),
        (True, Response(status=ocsp.OCSPCertStatus.REVOKED), False),
        (True, Response(status=ocsp.OCSPCertStatus.UNKNOWN), False),
    ],
)
def test_must_staple(must_staple: bool, response: Response | None, satisfied: bool | None) -> None:
    verdict = None if response is None else judge(response.der)
    assert stapled_ocsp.must_staple_satisfied(must_staple, verdict) is satisfied
