# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The RSA key in a certificate, read without a library."""

from __future__ import annotations

import random
import ssl

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import load_der_x509_certificate

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.der import rsa_public_key


def _leaf(ca: trustme.CA, key_type: trustme.KeyType) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ca.issue_cert("localhost", key_type=key_type).cert_chain_pems[0].bytes().decode())


def test_modulus_and_exponent_are_those_of_the_certificate(ca: trustme.CA) -> None:
    der = _leaf(ca, trustme.KeyType.RSA)
    key = load_der_x509_certificate(der).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert rsa_public_key(der) == (key.public_numbers().n, key.public_numbers().e)


def test_another_key_is_none(ca: trustme.CA) -> None:
    assert rsa_public_key(_leaf(ca, trustme.KeyType.ECDSA)) is None


@pytest.mark.parametrize("garbage", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 50, bytes(300)])
def test_nonsense_is_none(garbage: bytes) -> None:
    assert rsa_public_key(garbage) is None


def test_a_damaged_certificate_never_raises(ca: trustme.CA) -> None:
    der, chance = _leaf(ca, trustme.KeyType.RSA), random.Random(1)
    for _round in range(2000):
        damaged = bytearray(der)
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        found = rsa_public_key(bytes(damaged[: chance.randrange(1, len(damaged) + 1)]))
        assert found is None or found[0] >= 0
