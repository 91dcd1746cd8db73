# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.pair import Pair, Trust, Trusted, read_pair
from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.certificate import Anchors
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.certificates.made import (
    DAY,
    LOCKED,
    NOW,
    OWN_CA,
    PUBLIC_CA,
    TRUSTED,
    Made,
)

NAMES = ("www.example.org", "2001:db8::1")


def read(directory: Path, made: Made, trusted: Trusted = TRUSTED) -> Pair:
    return read_pair(*made.write(directory), trusted, NOW)


@pytest.mark.parametrize(
    ("made", "trust", "issued_by"),
    [
        (Made(NAMES, PUBLIC_CA), Trust.STORE, "other"),
        (Made(NAMES, OWN_CA), Trust.OWN_AUTHORITY, "own_ca"),
        (Made(NAMES), Trust.NOBODY, "self_signed"),
        (Made(NAMES, Made(common_name="stranger")), Trust.NOBODY, "other"),
        (Made(NAMES, Made(common_name="own authority")), Trust.NOBODY, "other"),
        (Made(NAMES, OWN_CA, days=-1), Trust.NOBODY, "own_ca"),
    ],
    ids=["public", "own authority", "itself", "a stranger", "another authority of the same name", "ended"],
)
def test_who_trusts_it_and_who_issued_it(tmp_path: Path, made: Made, trust: Trust, issued_by: str) -> None:
    pair = read(tmp_path, made)

    assert (pair.trust, pair.issued_by) == (trust, issued_by)


def test_own_authority_in_the_trust_store_stays_what_it_is(tmp_path: Path) -> None:
    everything = Trusted(Anchors([OWN_CA.pem.decode()]), Anchors([OWN_CA.pem.decode()]))

    assert read(tmp_path, Made(NAMES, OWN_CA), everything).trust is Trust.OWN_AUTHORITY


def test_names_and_life_are_those_of_the_certificate(tmp_path: Path) -> None:
    pair = read(tmp_path, Made(NAMES, PUBLIC_CA))

    assert (pair.names, pair.not_before, pair.not_after) == (frozenset(NAMES), NOW - 30 * DAY, NOW + 60 * DAY)
    assert (pair.days_left(NOW), pair.is_valid(NOW), pair.is_valid(NOW + 61 * DAY)) == (60, True, False)
    assert pair.not_covered(("www.example.org", "2001:db8::1", "2001:db8::2", "example.org")) == [
        "2001:db8::2",
        "example.org",
    ]


@pytest.mark.parametrize(
    ("key", "key_type"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa-p256"),
        (ec.generate_private_key(ec.SECP384R1()), "ecdsa-p384"),
        (rsa.generate_private_key(65537, 2048), "rsa-2048"),
    ],
)
def test_key_type(tmp_path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, key_type: str) -> None:
    assert read(tmp_path, Made(NAMES, PUBLIC_CA, key=key)).key_type == key_type


CHAIN, KEY = "fullchain.pem", "privkey.pem"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (CHAIN, None, "it cannot be read (No such file or directory)"),
        (CHAIN, b"", "it holds no certificate"),
        (CHAIN, Made(NAMES).key_pem(), "it holds no certificate"),
        (CHAIN, Made(NAMES).pem[:200] + b"\n-----END CERTIFICATE-----\n", "a certificate in it cannot be read"),
        (CHAIN, b"\0" * (1024 * 1024 + 1), "it is larger than 1 MiB"),
        (KEY, None, "it cannot be read (No such file or directory)"),
        (KEY, b"nothing", "it holds no key that can be used"),
        (KEY, Made(NAMES).key_pem(), "the key does not fit the certificate in"),
        (KEY, Made(NAMES).key_pem(LOCKED), "the key has a passphrase"),
    ],
)
def test_what_is_no_pair_is_refused_with_the_file_and_the_reason(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    paths = Made(NAMES, PUBLIC_CA).write(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidInputError) as caught:
        read_pair(*paths, TRUSTED, NOW)
    assert caught.value.value == str(tmp_path / name)
    assert reason in caught.value.reason
