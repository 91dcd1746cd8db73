# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from certificates, of which some are odd and some are none."""

from __future__ import annotations

import datetime
import ssl
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.issued import (
    CA,
    DAY,
    FETCH,
    LEAF,
    MIDDLE,
    NOW,
    ROOT,
    RSA_KEY,
    SAN,
    SHA256_WITH_RSA,
    Issued,
    access,
    mutated,
    name,
    openssl,
)

SHA384_WITH_RSA = bytes.fromhex("2a864886f70d01010c")


def test_description() -> None:
    described = certificate.describe(LEAF.der, NOW)
    assert described["names"] == ["www.example.com", "192.0.2.1"]
    assert (described["key_type"], described["key_bits"], described["rsa_equivalent_bits"]) == ("ECDSA", 256, 3072)
    assert described["curve"] == "secp256r1"
    assert described["signature_algorithm"] == "ecdsa-with-sha256"
    assert (described["common_name"], described["issuer"], described["self_issued"]) == ("leaf", "CN=middle", False)
    assert described["serial_number"] == f"{LEAF.certificate.serial_number:x}"


@pytest.mark.parametrize(
    ("from_days", "to_days", "not_after", "days_left", "validity_days"),
    [(-10, 80, "2026-08-20T12:00:00Z", 80, 91), (-10, -3, "2026-05-29T12:00:00Z", -3, 8), (1, 2, None, 2, 2)],
)
def test_validity(from_days: int, to_days: int, not_after: str | None, days_left: int, validity_days: int) -> None:
    described = certificate.describe(Issued("x", from_days=from_days, to_days=to_days).der, NOW)
    assert described["not_after"] == not_after or not_after is None
    assert (described["days_left"], described["validity_days"]) == (days_left, validity_days)


def test_a_certificate_for_ninety_days_less_a_second_is_valid_for_ninety_days() -> None:
    end = NOW + 90 * DAY - datetime.timedelta(seconds=1)
    builder = x509.CertificateBuilder(name("a"), name("a"), RSA_KEY.public_key(), 1, NOW, end)
    der = builder.sign(RSA_KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    assert certificate.describe(der, NOW)["validity_days"] == 90
    assert certificate.describe(der, end + datetime.timedelta(hours=1))["days_left"] == -1


def test_a_certificate_says_its_curve_its_addresses_and_whether_it_must_be_stapled() -> None:
    crl = x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example.com/1")], None, None, None)
    responder = access(AuthorityInformationAccessOID.OCSP, "http://ocsp.example.com")
    both = x509.AuthorityInformationAccess([*FETCH, *responder])
    must_staple = x509.TLSFeature([x509.TLSFeatureType.status_request])
    extensions = [(both, False), (must_staple, False), (x509.CRLDistributionPoints([crl]), False)]
    described = certificate.describe(
        Issued("x", None, extensions, key=ec.generate_private_key(ec.SECP384R1())).der, NOW
    )
    assert described["curve"] == "secp384r1"
    assert described["ocsp_responders"] == ["http://ocsp.example.com"]
    assert described["ca_issuers"] == ["http://ca.example/middle.der"]
    assert described["crl_distribution_points"] == ["http://crl.example.com/1"]
    assert described["must_staple"] is True


def test_a_certificate_without_them_says_so() -> None:
    described = certificate.describe(Issued("x", key=RSA_KEY).der, NOW)
    assert (described["curve"], described["must_staple"]) == (None, False)
    assert [described[key] for key in ("ocsp_responders", "ca_issuers", "crl_distribution_points")] == [[], [], []]


def _self_signed(key: object, digest: hashes.HashAlgorithm | None) -> bytes:
    builder = x509.CertificateBuilder(name("a"), name("a"), key.public_key(), 1, NOW, NOW + DAY)  # type: ignore[attr-defined]
    return builder.sign(key, digest).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("der", "key_type", "bits", "rsa_equivalent_bits", "exponent"),
    [
        (_self_signed(RSA_KEY, hashes.SHA256()), "RSA", 2048, 2048, 65537),
        (_self_signed(rsa.generate_private_key(3, 1024), hashes.SHA256()), "RSA", 1024, 1024, 3),
        (_self_signed(ec.generate_private_key(ec.SECP521R1()), hashes.SHA512()), "ECDSA", 521, 15360, None),
        (_self_signed(ed25519.Ed25519PrivateKey.generate(), None), "Ed25519", 256, 3072, None),
        (_self_signed(ed448.Ed448PrivateKey.generate(), None), "Ed448", 448, 7680, None),
    ],
    ids=["RSA", "RSA-1024", "ECDSA", "Ed25519", "Ed448"],
)
def test_keys(der: bytes, key_type: str, bits: int, rsa_equivalent_bits: int, exponent: int | None) -> None:
    described = certificate.describe(der, NOW)
    assert (described["key_type"], described["key_bits"]) == (key_type, bits)
    assert (described["rsa_equivalent_bits"], described["rsa_public_exponent"]) == (rsa_equivalent_bits, exponent)
    assert len(str(described["spki_sha256"])) == 64


@pytest.mark.parametrize(
    ("parameter_set", "bits", "rsa_equivalent_bits"), [("44", 10496, 3072), ("65", 15616, 7680), ("87", 20736, 15360)]
)
def test_post_quantum_keys(parameter_set: str, bits: int, rsa_equivalent_bits: int) -> None:
    mldsa = pytest.importorskip(
        "cryptography.hazmat.primitives.asymmetric.mldsa", reason="this version of cryptography knows no ML-DSA keys"
    )
    key = getattr(mldsa, f"MLDSA{parameter_set}PrivateKey").generate()
    described = certificate.describe(_self_signed(key, None), NOW)
    assert described["key_type"] == f"ML-DSA-{parameter_set}"
    assert described["signature_algorithm"] == f"ml-dsa-{parameter_set}"
    assert (described["key_bits"], described["rsa_equivalent_bits"]) == (bits, rsa_equivalent_bits)
    assert described["key_bits"] == 8 * len(key.public_key().public_bytes_raw())


_RSA_KEY_WITH_EXPONENT_1 = """
asn1=SEQUENCE:info
[info]
algorithm=SEQUENCE:algorithm
key=BITWRAP,SEQUENCE:key
[algorithm]
oid=OID:rsaEncryption
parameters=NULL
[key]
n=INTEGER:0x{modulus:x}
e=INTEGER:1
"""


def test_case_40_an_rsa_key_with_the_exponent_1_is_read_though_nobody_can_use_it(tmp_path: Path) -> None:
    modulus = RSA_KEY.public_key().public_numbers().n
    (tmp_path / "key.cnf").write_text(_RSA_KEY_WITH_EXPONENT_1.format(modulus=modulus))
    openssl(tmp_path, "asn1parse", "-genconf", "key.cnf", "-noout", "-out", "key.der")
    openssl(tmp_path, "pkey", "-pubin", "-inform", "DER", "-in", "key.der", "-out", "key.pem")
    openssl(
        tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-subj", "/CN=ca", "-out", "ca"
    )
    signing = ("-CA", "ca", "-CAkey", "ca.key", "-subj", "/CN=e1", "-out", "e1.pem")
    openssl(tmp_path, "x509", "-new", "-force_pubkey", "key.pem", *signing)
    described = certificate.describe(ssl.PEM_cert_to_DER_cert((tmp_path / "e1.pem").read_text()), NOW)
    assert (described["key_type"], described["key_bits"], described["rsa_public_exponent"]) == ("RSA", 2048, 1)
    assert described["common_name"] == "e1"


@pytest.mark.parametrize("curve", ["secp160r1", "SM2"])
def test_a_key_on_a_curve_that_the_package_does_not_know_is_no_obstacle(tmp_path: Path, curve: str) -> None:
    openssl(tmp_path, "ecparam", "-name", curve, "-genkey", "-noout", "-out", "key")
    openssl(tmp_path, "req", "-x509", "-key", "key", "-subj", "/CN=odd", "-out", "odd.pem")
    described = certificate.describe(ssl.PEM_cert_to_DER_cert((tmp_path / "odd.pem").read_text()), NOW)
    assert (described["common_name"], described["key_type"], described["curve"]) == ("odd", "ECDSA", None)
    assert (described["key_bits"], described["rsa_equivalent_bits"]) == (0, 0)


BAD_VERSION = LEAF.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x63", 1)


TLS_FEATURE = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24")
UNKNOWN_FEATURE = Issued("x", None, [(x509.UnrecognizedExtension(TLS_FEATURE, b"\x30\x03\x02\x01\x7f"), False)])


@pytest.mark.parametrize(
    "der", [b"", b"\x30\x03\x02\x01\x01", b"\xff" * 300, LEAF.der[:-1], BAD_VERSION, UNKNOWN_FEATURE.der]
)
def test_what_is_no_certificate(der: bytes) -> None:
    described = certificate.describe(der, NOW)
    assert ("error" in described, described["size"]) == (True, len(der))


@given(st.one_of(st.binary(max_size=200), mutated(LEAF.der, ROOT.der, Issued("x", None, [(FETCH, False)]).der)))
def test_damaged_certificates_are_described_or_refused(der: bytes) -> None:
    described = certificate.describe(der, NOW)
    assert "subject" in described or "error" in described


def test_anchors_that_do_not_parse_are_left_out() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    anchors = certificate.Anchors([broken, "nothing", ROOT.pem])
    assert (len(anchors), ROOT.certificate in anchors, LEAF.certificate in anchors) == (1, True, False)


@pytest.mark.parametrize(
    ("oid", "expected"),
    [("2a864886f70d010102", "rsa-with-md2"), ("2a864886f70d010105", "rsa-with-sha1"), ("2a864886f70d01017f", None)],
)
def test_old_and_unknown_signature_algorithms_have_names(oid: str, expected: str | None) -> None:
    der = Issued("x", key=RSA_KEY).with_algorithm(oid).der
    assert certificate.describe(der, NOW)["signature_algorithm"] == (expected or "1.2.840.113549.1.1.127")


def test_the_hash_of_a_pss_signature_is_named() -> None:
    builder = x509.CertificateBuilder(name("a"), name("a"), RSA_KEY.public_key(), 1, NOW, NOW + DAY)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    der = builder.sign(RSA_KEY, hashes.SHA256(), rsa_padding=scheme).public_bytes(Encoding.DER)
    assert certificate.describe(der, NOW)["signature_algorithm"] == "rsassa-pss-with-sha256"


def test_an_odd_certificate_is_read_without_a_warning() -> None:
    der = Issued("www.example.com").der
    version, tag_and_length = b"\x02\x01\x02", 2
    serial_at = der.index(version) + len(version) + tag_and_length
    negative_serial = der[:serial_at] + b"\x80" + der[serial_at + 1 :]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        described = certificate.describe(negative_serial, NOW)

    assert described["common_name"] == "www.example.com"


def test_who_signed_what() -> None:
    forged = Issued("middle", extensions=[(CA, True)]).certificate
    middle = LEAF.issuer
    assert middle is not None
    assert certificate.is_signed_by(LEAF.certificate, middle.certificate) is True
    assert certificate.is_signed_by(LEAF.certificate, forged) is False
    assert certificate.is_signed_by(LEAF.certificate, ROOT.certificate) is False


@pytest.mark.parametrize("oid", ["2a864886f70d010105", "2a864886f70d010104", "2a864886f70d01017f"])
def test_a_signature_of_an_algorithm_that_the_package_refuses_is_neither_good_nor_bad(oid: str) -> None:
    one = Issued("x", key=RSA_KEY).with_algorithm(oid).certificate
    assert certificate.is_signed_by(one, one) is None


def test_a_signature_under_two_names_is_none() -> None:
    der = Issued("x", key=RSA_KEY).der
    place = der.rindex(SHA256_WITH_RSA)
    one = certificate.load_der(der[:place] + SHA384_WITH_RSA + der[place + len(SHA384_WITH_RSA) :])
    assert one is not None
    assert certificate.is_signed_by(one, one) is False


def test_a_broken_key_has_signed_nothing() -> None:
    """A point that is not on the curve."""
    der = ROOT.der
    place = der.index(b"\x03\x42\x00\x04") + 10
    broken = certificate.load_der(der[:place] + bytes([der[place] ^ 1]) + der[place + 1 :])
    assert broken is not None
    assert certificate.is_signed_by(MIDDLE.certificate, broken) is False


def test_certificates_of_a_name_keep_their_order() -> None:
    twins = [Issued("twin", None, [(SAN, False)]).certificate for _one in range(3)]
    found = certificate.by_subject([*twins, ROOT.certificate])
    assert found[name("twin").public_bytes()] == twins
    assert len(found) == 2
