# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names that people use for suites, groups, signatures and protocols, and the one name of each in the results.

IANA's registry, OpenSSL and the guidelines of the authorities call the same thing by different names: ``secp256r1`` is
``prime256v1`` and ``P-256``, ``TLS_RSA_WITH_AES_128_CBC_SHA`` is ``AES128-SHA``. Everything here raises
InvalidInputError for what it does not know.
"""

from __future__ import annotations

import functools
import re

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry

_GROUP_ALIASES = {
    "prime192v1": "secp192r1",
    "prime256v1": "secp256r1",
    "p192": "secp192r1",
    "p224": "secp224r1",
    "p256": "secp256r1",
    "p384": "secp384r1",
    "p521": "secp521r1",
    "curve25519": "x25519",
    "curve448": "x448",
}
_HASH = r"(?:md5|sha1|sha224|sha256|sha384|sha512|sha3-224|sha3-256|sha3-384|sha3-512)"
_SIGNATURE = re.compile(rf"(?:rsa|ecdsa|dsa|rsassa-pss)-with-{_HASH}|ed25519|ed448|ml-dsa-(?:44|65|87)")
_KEY_TYPES = {name.lower(): name for name in ("RSA", "ECDSA", "Ed25519", "Ed448", "DSA")}


def openssl_name(suite: registry.CipherSuite) -> str:
    """Return OpenSSL's name of a suite (ciphers(1)); export suites keep IANA's, which no OpenSSL since 1.1 has."""
    left, separator, right = suite.name[len("TLS_") :].partition("_WITH_")
    if not separator or suite.export or not suite.name.startswith("TLS_"):
        return suite.name
    if left.startswith("SRP_SHA"):
        return f"{left.replace('_SHA', '', 1)}_{right}".replace("_", "-")
    key_exchange = {"RSA": "", "DH_anon": "ADH-", "ECDH_anon": "AECDH-"}.get(left, left.replace("_", "-") + "-")
    if left == "ECDHE_RSA" and right.startswith("ARIA"):
        key_exchange = "ECDHE-"
    if right.startswith("3DES") and "PSK" not in left:
        return key_exchange + "DES-CBC3-SHA"
    right = re.sub(r"^(AES|CAMELLIA|ARIA)_(\d+)", r"\1\2", right).replace("CCM_8", "CCM8").replace("RC4_128", "RC4")
    if not (right.startswith("AES") and "PSK" in left) and not right.startswith(("IDEA", "3DES", "DES")):
        right = right.replace("_CBC", "")
    if right.startswith("CHACHA20_POLY1305"):
        right = "CHACHA20-POLY1305"
    return key_exchange + right.replace("_", "-")


@functools.cache
def _suites_by_openssl_name() -> dict[str, registry.CipherSuite]:
    table: dict[str, registry.CipherSuite] = {}
    for number in registry.CIPHER_SUITE_NAMES:
        suite = registry.cipher_suite(number)
        if not suite.name.endswith("_DRAFT"):
            table.setdefault(openssl_name(suite), suite)
    return table


def find_suite(value: object) -> registry.CipherSuite:
    """Return the suite of an IANA name, an OpenSSL name or a number (``4865``, ``"0x1301"``)."""
    number = _number(value)
    if number is not None and number in registry.CIPHER_SUITE_NAMES:
        return registry.cipher_suite(number)
    if isinstance(value, str):
        suite = registry.suite_by_name(value) or _suites_by_openssl_name().get(value)
        if suite is not None:
            return suite
    raise InvalidInputError(
        f"cipher suite {value!r}",
        "there is no such suite",
        "Give IANA's name (TLS_AES_128_GCM_SHA256), OpenSSL's (ECDHE-RSA-AES128-GCM-SHA256) or the number (0xC02F)",
    )


def _number(value: object) -> int | None:
    """Read 4865, "0x1301" or "0x13,0x01"; ``None`` for what is no number. YAML reads 0x1301 as a number itself."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"0x[0-9A-Fa-f]{2},0x[0-9A-Fa-f]{2}|0x[0-9A-Fa-f]{1,4}", value):
        return int(value.replace(",0x", ""), 16)
    return None


@functools.cache
def _groups_by_name() -> dict[str, registry.NamedGroup]:
    return {_group_key(group.name): group for group in registry.GROUPS.values()}


def _group_key(name: str) -> str:
    key = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    key = key[len("nist") :] if key.startswith("nist") else key
    return _GROUP_ALIASES.get(key, key)


def find_group(value: object) -> registry.NamedGroup:
    """Return the group of a name in any usual spelling (``prime256v1``, ``P-256``, ``X25519``) or of a number."""
    number = _number(value)
    if number is not None and number in registry.GROUPS:
        return registry.GROUPS[number]
    if isinstance(value, str) and _group_key(value) in _groups_by_name():
        return _groups_by_name()[_group_key(value)]
    raise InvalidInputError(
        f"group {value!r}", "there is no such named group", "Give its name, such as x25519 or secp256r1, or its number"
    )


def group_name(name: str) -> str:
    """Return the results' name of a curve that a certificate names; one that is not known keeps the name it has."""
    group = _groups_by_name().get(_group_key(name))
    return group.name if group else name


def protocol(value: object) -> str:
    """Return the name that results have for a protocol: ``TLSv1`` is ``TLSv1.0``, ``TLS 1.2`` is ``TLSv1.2``."""
    text = value.replace(" ", "").lower() if isinstance(value, str) else ""
    text = re.sub(r"^(tls|ssl)v?", r"\1v", text)
    text = {"tlsv1": "tlsv1.0", "sslv2.0": "sslv2", "sslv3.0": "sslv3"}.get(text, text)
    for name in registry.VERSION_NAMES.values():
        if name.lower() == text:
            return name
    raise InvalidInputError(
        f"protocol {value!r}", "it is not known", f"Choose from {', '.join(registry.VERSION_NAMES.values())}"
    )


def signature_scheme(value: object) -> str:
    """Return a signature scheme of TLS by IANA's name (RFC 8446 4.2.3)."""
    if isinstance(value, str) and value in registry.SIGNATURE_SCHEMES.values():
        return value
    raise InvalidInputError(
        f"signature scheme {value!r}",
        "there is no such scheme",
        "Give IANA's name, such as ecdsa_secp256r1_sha256 or rsa_pss_rsae_sha256",
    )


def certificate_signature(value: object) -> str:
    """Return the name that results have for a certificate's signature algorithm.

    ``sha256WithRSAEncryption`` and ``ecdsa-with-SHA256`` are OpenSSL's; ``rsa-with-sha256`` is ours.
    """
    text = value.lower() if isinstance(value, str) else ""
    text = re.sub(r"^(\w+)withrsaencryption$", r"rsa-with-\1", text)
    if _SIGNATURE.fullmatch(text):
        return text
    raise InvalidInputError(
        f"certificate signature {value!r}",
        "there is no such algorithm",
        "Give it as in ecdsa-with-sha256, sha256WithRSAEncryption, rsassa-pss-with-sha256 or ed25519",
    )


def key_type(value: object) -> str:
    """Return the name that results have for the type of a certificate's key: ``rsa`` is ``RSA``."""
    if isinstance(value, str) and value.lower() in _KEY_TYPES:
        return _KEY_TYPES[value.lower()]
    raise InvalidInputError(f"key type {value!r}", "it is not known", f"Choose from {', '.join(_KEY_TYPES.values())}")
