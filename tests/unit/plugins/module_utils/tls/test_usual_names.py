# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ssl

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry, usual_names


def test_openssl_names_are_those_of_the_library_at_hand() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    ours = {
        each["name"]: usual_names.openssl_name(registry.cipher_suite(each["id"] & 0xFFFF))
        for each in context.get_ciphers()
    }
    assert {name: found for name, found in ours.items() if name != found} == {}
    assert len(ours) > 20


@pytest.mark.parametrize("value", ["TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES-CBC3-SHA", 0x000A, "0x000A", "0x00,0x0A"])
def test_a_suite_has_many_names(value: object) -> None:
    assert usual_names.find_suite(value).name == "TLS_RSA_WITH_3DES_EDE_CBC_SHA"


@pytest.mark.parametrize("value", ["prime256v1", "secp256r1", "P-256", "NIST P-256", "p256", 23, "0x0017"])
def test_a_group_has_many_names(value: object) -> None:
    assert usual_names.find_group(value).name == "secp256r1"


@pytest.mark.parametrize(
    ("value", "name"), [("TLSv1", "TLSv1.0"), ("TLS 1.2", "TLSv1.2"), ("tls1.3", "TLSv1.3"), ("SSL 3.0", "SSLv3")]
)
def test_a_protocol_has_many_names(value: str, name: str) -> None:
    assert usual_names.protocol(value) == name


@pytest.mark.parametrize(
    ("value", "name"), [("sha256WithRSAEncryption", "rsa-with-sha256"), ("ecdsa-with-SHA384", "ecdsa-with-sha384")]
)
def test_a_certificate_signature_has_two_names(value: str, name: str) -> None:
    assert usual_names.certificate_signature(value) == name


@pytest.mark.parametrize("value", ["", "RC5", None, True, 1.2, [], 0x0A0A, "0xZZ"])
def test_what_has_no_name_is_refused(value: object) -> None:
    for find in (
        usual_names.find_suite,
        usual_names.find_group,
        usual_names.protocol,
        usual_names.signature_scheme,
        usual_names.certificate_signature,
        usual_names.key_type,
    ):
        with pytest.raises(InvalidInputError, match=r"(is no such|is not known)"):
            find(value)  # type: ignore[operator]
