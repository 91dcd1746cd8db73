# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server-side TLS profiles of Mozilla, as published in their guidelines.

Source: the guideline files of mozilla/ssl-config-generator, ``guidelines/6.0.json`` and ``guidelines/5.8.json`` (both
of 2026-04-06). Guideline 6.0 has no profile ``old`` any more; ours is the last one, of 5.8.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError


@dataclass(frozen=True)
class Profile:
    """One profile of one guideline version.

    Protocols carry the names of this library's facts (``TLSv1.0``, not ``TLSv1``). ``cipher_suites`` are those of TLS
    1.2 and before by their OpenSSL names, ``tls13_suites`` by their IANA names, ``groups`` by their OpenSSL names; all
    in the guideline's order of preference.
    """

    name: str
    guideline_version: str
    source: str
    protocols: tuple[str, ...]
    tls13_suites: tuple[str, ...]
    cipher_suites: tuple[str, ...]
    groups: tuple[str, ...]
    server_preference: bool
    hsts_min_age_seconds: int
    certificate_types: tuple[str, ...]
    certificate_curves: tuple[str, ...]
    certificate_signatures: tuple[str, ...]
    rsa_key_bits: int | None
    certificate_maximum_days: int
    certificate_recommended_days: int


_SOURCE = "https://ssl-config.mozilla.org/guidelines/{version}.json"
_TLS13_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_GROUPS = ("X25519MLKEM768", "X25519", "prime256v1", "secp384r1")
_CERTIFICATE_CURVES = ("prime256v1", "secp384r1")
_ECDSA_SIGNATURES = ("ecdsa-with-SHA256", "ecdsa-with-SHA384", "ecdsa-with-SHA512")
_AEAD_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
_OLD_SUITES = (
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA256",
    "AES256-SHA256",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
)

PROFILES = {
    "modern": Profile(
        name="modern",
        guideline_version="6.0",
        source=_SOURCE.format(version="6.0"),
        protocols=("TLSv1.3",),
        tls13_suites=_TLS13_SUITES,
        cipher_suites=(),
        groups=_GROUPS,
        server_preference=False,
        hsts_min_age_seconds=63072000,
        certificate_types=("ecdsa",),
        certificate_curves=_CERTIFICATE_CURVES,
        certificate_signatures=_ECDSA_SIGNATURES,
        rsa_key_bits=None,
        certificate_maximum_days=90,
        certificate_recommended_days=90,
    ),
    "intermediate": Profile(
        name="intermediate",
        guideline_version="6.0",
        source=_SOURCE.format(version="6.0"),
        protocols=("TLSv1.2", "TLSv1.3"),
        tls13_suites=_TLS13_SUITES,
        cipher_suites=_AEAD_SUITES,
        groups=_GROUPS,
        server_preference=False,
        hsts_min_age_seconds=63072000,
        certificate_types=("ecdsa", "rsa"),
        certificate_curves=_CERTIFICATE_CURVES,
        certificate_signatures=("sha256WithRSAEncryption", *_ECDSA_SIGNATURES),
        rsa_key_bits=2048,
        certificate_maximum_days=366,
        certificate_recommended_days=90,
    ),
    "old": Profile(
        name="old",
        guideline_version="5.8",
        source=_SOURCE.format(version="5.8"),
        protocols=("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
        tls13_suites=_TLS13_SUITES,
        cipher_suites=_AEAD_SUITES + _OLD_SUITES,
        groups=_GROUPS,
        server_preference=True,
        hsts_min_age_seconds=63072000,
        certificate_types=("rsa",),
        certificate_curves=_CERTIFICATE_CURVES,
        certificate_signatures=("sha256WithRSAEncryption",),
        rsa_key_bits=2048,
        certificate_maximum_days=366,
        certificate_recommended_days=90,
    ),
}


def profile_named(name: str) -> Profile:
    """Return the profile called ``name``.

    Raises InvalidInputError for a name that no guideline has.
    """
    try:
        return PROFILES[name]
    except (KeyError, TypeError):
        raise InvalidInputError(
            f"TLS profile {name!r}", "there is no such Mozilla profile", f"Choose one of {', '.join(PROFILES)}"
        ) from None
