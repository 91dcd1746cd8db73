# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates made on the spot: what is read from them, and which chains are trusted."""

from __future__ import annotations

import datetime
import ipaddress
import warnings
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
SAN = x509.SubjectAlternativeName([x509.DNSName("www.example.com"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))])
CA = x509.BasicConstraints(ca=True, path_length=None)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Issued:
    """A certificate and its key."""

    common_name: str
    issuer: Issued | None = None
    extensions: list[tuple[x509.ExtensionType, bool]] = field(default_factory=list)
    from_days: int = -10
    to_days: int = 80
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        issuer = self.issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(self.common_name))
            .issuer_name(name(issuer.common_name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + self.from_days * DAY)
            .not_valid_after(NOW + self.to_days * DAY)
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


ROOT = Issued("root", extensions=[(CA, True)])
MIDDLE = Issued("middle", ROOT, [(CA, True)])
LEAF = Issued("leaf", MIDDLE, [(SAN, False)])


def judge(*chain: Issued, anchor: Issued = ROOT, reference: str = "www.example.com") -> certificate.Trust:
    return certificate.judge_trust([entry.der for entry in chain], certificate.Anchors([anchor.pem]), reference, NOW)


def test_a_good_chain() -> None:
    assert judge(LEAF, MIDDLE) == certificate.Trust(True, "", "", True)


def test_order_and_strangers_do_not_matter() -> None:
    stranger = Issued("stranger", extensions=[(CA, True)])
    assert judge(LEAF, stranger, ROOT, MIDDLE).trusted


def test_an_anchor_may_be_the_leaf_itself() -> None:
    alone = Issued("alone", extensions=[(SAN, False)])
    assert judge(alone, anchor=alone).trusted


def limited(length: int) -> Issued:
    return Issued("limited", extensions=[(x509.BasicConstraints(ca=True, path_length=length), True)])


def constrained(**trees: list[x509.GeneralName]) -> Issued:
    constraints = x509.NameConstraints(trees.get("permitted"), trees.get("excluded"))
    return Issued("constrained", extensions=[(CA, True), (constraints, True)])


def leaf_of(issuer: Issued, *more: tuple[x509.ExtensionType, bool]) -> Issued:
    return Issued("leaf", issuer, [(SAN, False), *more])


def usage(sign: bool, server: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(server, False, False, False, False, sign, False, False, False)


EXPIRED = Issued("leaf", MIDDLE, [(SAN, False)], to_days=-1)
FUTURE = Issued("leaf", MIDDLE, [(SAN, False)], from_days=1)
OLD_MIDDLE = Issued("old middle", ROOT, [(CA, True)], to_days=-1)
OTHER_ROOT = Issued("other root", extensions=[(CA, True)])
NO_CA = Issued("no authority", ROOT, [(x509.BasicConstraints(ca=False, path_length=None), True)])
BARE = Issued("bare", ROOT)
NO_SIGN = Issued("may not sign", ROOT, [(CA, True), (usage(False), True)])
RSA_ROOT = Issued("rsa root", extensions=[(CA, True)], key=rsa.generate_private_key(65537, 2048))
SHA1_MIDDLE = Issued("sha1 middle", RSA_ROOT, [(CA, True)])
# No library signs with SHA-1 any more: the algorithm's name is put into a finished certificate.
SHA1_MIDDLE.certificate = x509.load_der_x509_certificate(
    SHA1_MIDDLE.der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
)
CLIENT_MIDDLE = Issued(
    "client middle", ROOT, [(CA, True), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]
)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
STRANGE_MIDDLE = Issued("strange middle", ROOT, [(CA, True), (STRANGE, True)])
FETCH = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example/middle.der")
        )
    ]
)
CLIENT_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
FORGED = Issued("root", extensions=[(CA, True)])

UNTRUSTED = [
    ("expired", [EXPIRED, MIDDLE], "expired"),
    ("not yet valid", [FUTURE, MIDDLE], "not_yet_valid"),
    ("intermediate missing", [leaf_of(MIDDLE, (FETCH, False))], "chain_incomplete"),
    ("issuer neither sent nor known", [LEAF], "unknown_issuer"),
    ("intermediate expired", [leaf_of(OLD_MIDDLE), OLD_MIDDLE], "expired"),
    ("another root", [leaf_of(OTHER_ROOT), OTHER_ROOT], "untrusted_root"),
    ("another root, not sent", [leaf_of(OTHER_ROOT)], "unknown_issuer"),
    ("self-signed", [Issued("alone", extensions=[(SAN, False)])], "self_signed"),
    ("issuer is no authority", [leaf_of(NO_CA), NO_CA], "invalid_chain"),
    ("issuer without constraints", [leaf_of(BARE), BARE], "invalid_chain"),
    ("issuer may not sign", [leaf_of(NO_SIGN), NO_SIGN], "invalid_chain"),
    ("for clients", [leaf_of(MIDDLE, (CLIENT_ONLY, False)), MIDDLE], "not_for_servers"),
    ("issuer for clients", [leaf_of(CLIENT_MIDDLE), CLIENT_MIDDLE], "not_for_servers"),
    ("key for certificates alone", [leaf_of(MIDDLE, (usage(True, server=False), True)), MIDDLE], "not_for_servers"),
    ("unknown critical extension", [leaf_of(MIDDLE, (STRANGE, True)), MIDDLE], "invalid_chain"),
    ("unknown critical extension above", [leaf_of(STRANGE_MIDDLE), STRANGE_MIDDLE], "invalid_chain"),
    ("root's name on another key", [leaf_of(FORGED)], "unknown_issuer"),
    ("sha-1 intermediate", [leaf_of(SHA1_MIDDLE), SHA1_MIDDLE], "weak_signature"),
]


@pytest.mark.parametrize(("chain", "reason"), [case[1:] for case in UNTRUSTED], ids=[case[0] for case in UNTRUSTED])
def test_untrusted(chain: list[Issued], reason: str) -> None:
    trust = judge(*chain)
    assert (trust.trusted, trust.reason, bool(trust.detail), trust.name_matches) == (False, reason, True, True)


def test_path_length() -> None:
    root = limited(0)
    assert judge(leaf_of(root), anchor=root).trusted
    middle = Issued("middle", root, [(CA, True)])
    assert judge(leaf_of(middle), middle, anchor=root).reason == "invalid_chain"


@pytest.mark.parametrize(
    ("trees", "trusted"),
    [
        ({"permitted": [x509.DNSName("example.com")]}, True),
        ({"permitted": [x509.DNSName("example.org")]}, False),
        ({"excluded": [x509.DNSName("www.example.com")]}, False),
        ({"excluded": [x509.DNSName("example.org")]}, True),
        ({"permitted": [x509.DirectoryName(name("leaf"))]}, True),
        ({"permitted": [x509.DirectoryName(name("other"))]}, False),
        ({"excluded": [x509.DirectoryName(name("leaf"))]}, False),
        ({"permitted": [x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))]}, True),
        ({"permitted": [x509.IPAddress(ipaddress.ip_network("198.51.100.0/24"))]}, False),
    ],
)
def test_name_constraints(trees: dict[str, list[x509.GeneralName]], trusted: bool) -> None:
    root = constrained(**trees)
    assert judge(leaf_of(root), anchor=root).trusted is trusted


def test_directory_names_bind_authorities_too() -> None:
    root = constrained(excluded=[x509.DirectoryName(name("middle"))])
    middle = Issued("middle", root, [(CA, True)])
    assert judge(leaf_of(middle), middle, anchor=root).reason == "invalid_chain"


@pytest.mark.parametrize(("permitted", "excluded"), [("www.example.com", None), (None, "www.example.com")])
def test_a_wildcard_is_not_within_one_of_its_names(permitted: str | None, excluded: str | None) -> None:
    trees = {"permitted": permitted, "excluded": excluded}
    root = constrained(**{kind: [x509.DNSName(tree)] for kind, tree in trees.items() if tree})
    wildcard = x509.SubjectAlternativeName([x509.DNSName("*.example.com")])
    assert judge(Issued("leaf", root, [(wildcard, False)]), anchor=root).reason == "invalid_chain"


def test_many_certificates_of_one_name_end() -> None:
    crowd = [Issued("crowd", Issued("crowd", extensions=[(CA, True)]), [(CA, True)]) for _one in range(8)]
    assert not judge(Issued("leaf", crowd[0], [(SAN, False)]), *crowd).trusted


@pytest.mark.parametrize(
    ("reference", "matches"), [("www.example.com", True), ("192.0.2.1", True), ("example.com", False), ("leaf", False)]
)
def test_names(reference: str, matches: bool) -> None:
    assert judge(LEAF, MIDDLE, reference=reference).name_matches is matches


def test_description() -> None:
    described = certificate.describe(LEAF.der, NOW)
    assert described["names"] == ["www.example.com", "192.0.2.1"]
    assert (described["not_after"], described["days_left"]) == ("2026-08-20T12:00:00Z", 80)
    assert (described["key_type"], described["key_bits"], described["rsa_equivalent_bits"]) == ("ECDSA", 256, 3072)
    assert described["signature_algorithm"] == "ecdsa-with-sha256"
    assert described["issuer"] == "CN=middle"


BAD_VERSION = LEAF.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x63", 1)


@pytest.mark.parametrize("der", [b"", b"\x30\x03\x02\x01\x01", b"\xff" * 300, LEAF.der[:-1], BAD_VERSION])
def test_what_is_no_certificate(der: bytes) -> None:
    assert "error" in certificate.describe(der, NOW)
    trust = certificate.judge_trust([der], certificate.Anchors([ROOT.pem]), "www.example.com", NOW)
    assert (trust.trusted, trust.reason, trust.name_matches) == (False, "unreadable", False)


def test_anchors_that_do_not_parse_are_left_out() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    anchors = certificate.Anchors([broken, ROOT.pem])
    assert certificate.judge_trust([LEAF.der, MIDDLE.der], anchors, "www.example.com", NOW).trusted
    assert len(anchors) == 1


@pytest.mark.parametrize(
    ("oid", "expected"), [("2a864886f70d010102", "rsa-with-md2"), ("2a864886f70d010105", "rsa-with-sha1")]
)
def test_old_signature_algorithms_have_names(oid: str, expected: str) -> None:
    der = RSA_ROOT.der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex(oid))
    assert certificate.describe(der, NOW)["signature_algorithm"] == expected


def test_the_hash_of_a_pss_signature_is_named() -> None:
    builder = x509.CertificateBuilder(name("a"), name("a"), RSA_ROOT.key.public_key(), 1, NOW, NOW + DAY)
    assert isinstance(RSA_ROOT.key, rsa.RSAPrivateKey)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    der = builder.sign(RSA_ROOT.key, hashes.SHA256(), rsa_padding=scheme).public_bytes(Encoding.DER)
    assert certificate.describe(der, NOW)["signature_algorithm"] == "rsassa-pss-with-sha256"


def test_an_odd_certificate_is_read_without_a_warning() -> None:
    der = Issued("www.example.com").certificate.public_bytes(Encoding.DER)
    version, tag_and_length = b"\x02\x01\x02", 2
    serial_at = der.index(version) + len(version) + tag_and_length
    negative_serial = der[:serial_at] + b"\x80" + der[serial_at + 1 :]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parsed = certificate.load_der(negative_serial)

    assert parsed is not None


def test_a_certificate_says_its_curve_its_responders_and_whether_it_must_be_stapled() -> None:
    places = (
        (AuthorityInformationAccessOID.CA_ISSUERS, "http://ca.example.com/ca.der"),
        (AuthorityInformationAccessOID.OCSP, "http://ocsp.example.com"),
    )
    access = x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in places]
    )
    must_staple = x509.TLSFeature([x509.TLSFeatureType.status_request])
    key = ec.generate_private_key(ec.SECP384R1())
    leaf = Issued("www.example.com", extensions=[(access, False), (must_staple, False)], key=key)
    described = certificate.describe(leaf.der, NOW)
    assert described["curve"] == "secp384r1"
    assert described["ocsp_responders"] == ["http://ocsp.example.com"]
    assert described["must_staple"] is True


def test_a_certificate_without_them_says_so() -> None:
    described = certificate.describe(Issued("x", key=rsa.generate_private_key(65537, 2048)).der, NOW)
    assert (described["curve"], described["ocsp_responders"], described["must_staple"]) == (None, [], False)
