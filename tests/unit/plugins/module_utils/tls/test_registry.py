# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the names of cipher suites, and which suites a version is asked for."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry

# number, key exchange, authentication, encryption, bits, mac
SUITES = [
    (0x1301, "any", "any", "AES_128_GCM", 128, "AEAD"),
    (0x1305, "any", "any", "AES_128_CCM_8", 128, "AEAD"),
    (0x1306, "any", "any", "AEGIS_256", 256, "AEAD"),
    (0xC0B4, "any", "any", "NULL", 0, "SHA256"),
    (0xC02F, "ECDHE", "RSA", "AES_128_GCM", 128, "AEAD"),
    (0xCCA9, "ECDHE", "ECDSA", "CHACHA20_POLY1305", 256, "AEAD"),
    (0x0033, "DHE", "RSA", "AES_128_CBC", 128, "SHA"),
    (0x000A, "RSA", "RSA", "3DES_EDE_CBC", 112, "SHA"),
    (0x0005, "RSA", "RSA", "RC4_128", 128, "SHA"),
    (0x0003, "RSA", "RSA", "RC4_40", 40, "MD5"),
    (0x0008, "RSA", "RSA", "DES40_CBC", 40, "SHA"),
    (0x0064, "RSA", "RSA", "RC4_56", 56, "SHA"),
    (0x0009, "RSA", "RSA", "DES_CBC", 56, "SHA"),
    (0x0018, "DHE", "anon", "RC4_128", 128, "MD5"),
    (0xC018, "ECDHE", "anon", "AES_128_CBC", 128, "SHA"),
    (0x003B, "RSA", "RSA", "NULL", 0, "SHA256"),
    (0xC0AA, "DHE", "PSK", "AES_128_CCM_8", 128, "AEAD"),
    (0xC01B, "SRP", "RSA", "3DES_EDE_CBC", 112, "SHA"),
    (0x00C6, "any", "any", "SM4_GCM", 128, "AEAD"),
]


@pytest.mark.parametrize(("number", "key_exchange", "authentication", "encryption", "bits", "mac"), SUITES)
def test_suite(number: int, key_exchange: str, authentication: str, encryption: str, bits: int, mac: str) -> None:
    suite = registry.cipher_suite(number)
    assert (suite.key_exchange, suite.authentication) == (key_exchange, authentication)
    assert (suite.encryption, suite.bits, suite.mac) == (encryption, bits, mac)


def test_only_a_null_cipher_has_no_bits() -> None:
    suites = [registry.cipher_suite(number) for number in registry.CIPHER_SUITE_NAMES]
    assert [suite.name for suite in suites if (suite.bits == 0) != (suite.encryption == "NULL")] == []


def test_every_suite_has_an_integrity_protection() -> None:
    suites = [registry.cipher_suite(number) for number in registry.CIPHER_SUITE_NAMES]
    assert [suite.name for suite in suites if suite.mac == "none"] == []


def test_versions_are_asked_for_all_that_they_can_have() -> None:
    tls12 = registry.suites_for_version(registry.TLS12)
    assert len(tls12) == len(set(tls12)) == len(registry.CIPHER_SUITE_NAMES) - len(registry.TLS13_CIPHER_SUITES) - 1
    assert 0xC02F not in registry.suites_for_version(registry.TLS11)
    assert 0xC013 in registry.suites_for_version(registry.TLS10)
    assert 0xC013 in registry.suites_for_version(registry.SSL3)  # no standard has it, some servers do
    assert 0x008C not in registry.suites_for_version(registry.SSL3)


def test_the_first_hello_has_what_servers_commonly_accept() -> None:
    first = {registry.CIPHER_SUITE_NAMES[number] for number in registry.suites_for_version(registry.TLS12)[:64]}
    for key_exchange in ("ECDHE_ECDSA", "ECDHE_RSA", "DHE_RSA", "RSA"):
        for encryption in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "AES_128_CBC_SHA", "AES_256_CBC_SHA"):
            assert f"TLS_{key_exchange}_WITH_{encryption}" in first
    assert "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" in first


def test_names_are_unique() -> None:
    assert len(set(registry.CIPHER_SUITE_NAMES.values())) == len(registry.CIPHER_SUITE_NAMES)
    assert all(group in registry.GROUPS for group in (*registry.TLS13_GROUPS, *registry.TLS12_GROUPS))
