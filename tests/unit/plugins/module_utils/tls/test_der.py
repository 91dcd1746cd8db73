# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from a certificate without a library, held against what a library reads, and on damaged certificates."""

from __future__ import annotations

import datetime
import random
import ssl
from collections.abc import Sequence

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import der

OCSP, CA_ISSUERS = AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS
KEY = ec.generate_private_key(ec.SECP256R1())


def _leaf(ca: trustme.CA, key_type: trustme.KeyType) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ca.issue_cert("localhost", key_type=key_type).cert_chain_pems[0].bytes().decode())


def _with_access(*access: tuple[x509.ObjectIdentifier, str | x509.GeneralName], critical: bool = False) -> bytes:
    """Return a certificate with an authorityInfoAccess extension between two others; none without entries."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if access:
        entries = [
            x509.AccessDescription(method, x509.UniformResourceIdentifier(where) if isinstance(where, str) else where)
            for method, where in access
        ]
        builder = builder.add_extension(x509.AuthorityInformationAccess(entries), critical=critical)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def rsa_leaf(ca: trustme.CA) -> bytes:
    return _leaf(ca, trustme.KeyType.RSA)


def test_modulus_and_exponent_are_those_of_the_certificate(rsa_leaf: bytes) -> None:
    key = load_der_x509_certificate(rsa_leaf).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert der.rsa_public_key(rsa_leaf) == (key.public_numbers().n, key.public_numbers().e)


def test_another_key_is_none(ca: trustme.CA) -> None:
    assert der.rsa_public_key(_leaf(ca, trustme.KeyType.ECDSA)) is None


def test_names_are_those_of_the_certificate(ca: trustme.CA, rsa_leaf: bytes) -> None:
    root = ssl.PEM_cert_to_DER_cert(ca.cert_pem.bytes().decode())
    own, issuer = der.names(rsa_leaf), der.names(root)
    assert own is not None
    assert issuer is not None
    assert own[0] == issuer[1] == issuer[0]
    assert own[0] != own[1]
    # a Name is a SEQUENCE, of which the content is returned
    assert load_der_x509_certificate(rsa_leaf).subject.public_bytes().endswith(own[1])


@pytest.mark.parametrize("behind", [b"", b"\n", b"\x30\x00"])
def test_a_certificate_is_cut_from_what_follows(rsa_leaf: bytes, behind: bytes) -> None:
    assert der.certificate(rsa_leaf + behind) == rsa_leaf


A, B = "http://ca.example/a.der", "HTTP://ca.example:8080/b?c=%20"


@pytest.mark.parametrize(
    ("access", "found"),
    [
        ((), []),
        (((CA_ISSUERS, A),), [A]),
        (((OCSP, "http://ocsp.example/"), (CA_ISSUERS, A), (CA_ISSUERS, B)), [A, B]),
        (((OCSP, "http://ocsp.example/"),), []),
        (((CA_ISSUERS, "ldap://ca.example/cn=a"), (CA_ISSUERS, "https://ca.example/"), (CA_ISSUERS, A)), [A]),
        (((CA_ISSUERS, "file:///etc/passwd"),), []),
        (((CA_ISSUERS, "http://ca.example/a b"),), []),
        (((CA_ISSUERS, "http://ca.example/\r\nX-Header: b"),), []),
        (((CA_ISSUERS, "http://ca.example/" + "a" * 4096),), []),
        (((CA_ISSUERS, x509.DNSName("http://ca.example/")),), []),
        (tuple((CA_ISSUERS, f"{A}{number}") for number in range(20)), [f"{A}{number}" for number in range(8)]),
        (((CA_ISSUERS, A),) * 101, []),
    ],
    ids=[
        "no extension",
        "one",
        "two beside OCSP",
        "OCSP alone",
        "other schemes",
        "a file",
        "a space",
        "a line end",
        "long",
        "no address",
        "many",
        "too many to be read",
    ],
)
def test_addresses_of_the_issuer(access: Sequence[tuple[x509.ObjectIdentifier, str]], found: list[str]) -> None:
    assert der.ca_issuers(_with_access(*access)) == found
    assert der.ca_issuers(_with_access(*access, critical=True)) == found


@pytest.mark.parametrize("garbage", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 50, bytes(300)])
def test_nonsense_is_nothing(garbage: bytes) -> None:
    assert der.rsa_public_key(garbage) is der.names(garbage) is der.certificate(garbage) is None
    assert der.ca_issuers(garbage) == []


def _read_all(data: bytes) -> None:
    """Read everything: nothing may be raised, and nothing be longer than what it was read from."""
    key, names, certificate = der.rsa_public_key(data), der.names(data), der.certificate(data)
    assert key is None or (key[0].bit_length() <= 8 * len(data) and key[1] >= 0)
    assert names is None or sum(map(len, names)) < len(data)
    assert certificate is None or data.startswith(certificate)
    assert all(address.isascii() and address.lower().startswith("http://") for address in der.ca_issuers(data))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_never_raise(data: bytes) -> None:
    _read_all(data)
    _read_all(b"\x30\x81" + bytes([len(data)]) + data)


def test_a_damaged_certificate_never_raises(rsa_leaf: bytes) -> None:
    chance = random.Random(1)
    for sound in (rsa_leaf, _with_access((OCSP, A), (CA_ISSUERS, A), (CA_ISSUERS, B))):
        for _round in range(3000):
            damaged = bytearray(sound)
            for _byte in range(chance.randrange(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x30, 0x7F, 0x80, 0x84, 0xFF))
            _read_all(bytes(damaged))
            _read_all(bytes(damaged[: chance.randrange(1, len(damaged) + 1)]))


def test_a_certificate_of_many_tiny_elements_is_not_read_to_its_end() -> None:
    """Each element costs a copy of the rest."""
    elements = b"\x05\x00" * 100_000
    inside = b"\x30\x83" + len(elements).to_bytes(3, "big") + elements
    _read_all(inside)
    fields = b"\x02\x01\x01" + b"\x30\x00" * 5 + elements
    inner = b"\x30\x83" + len(fields).to_bytes(3, "big") + fields
    assert der.ca_issuers(b"\x30\x83" + len(inner).to_bytes(3, "big") + inner) == []
