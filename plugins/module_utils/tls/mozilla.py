# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server-side TLS profiles of Mozilla, as published in their guidelines.

Source: the guideline files of mozilla/ssl-config-generator (MPL-2.0), ``src/static/guidelines/5.7.json`` (2023-05-15),
``5.8.json`` and ``6.0.json`` (both of 2026-04-06). Guideline 6.0 has no profile ``old`` any more; where a profile is
asked for without a version, ours is the last one, of 5.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import policy as tls_policy
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import usual_names
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.policy import LimitRule, ListRule, SwitchRule


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
    dh_bits: int | None
    certificate_maximum_days: int
    certificate_recommended_days: int
    ocsp_staple: bool = True


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
_DHE_AEAD_SUITES = ("DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305")
_DHE_CBC_SUITES = ("DHE-RSA-AES128-SHA256", "DHE-RSA-AES256-SHA256")
_OLD_ECDHE_SUITES = (
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
)
_RSA_SUITES = (
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA256",
    "AES256-SHA256",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
)

_GUIDELINE_58 = {
    "modern": Profile(
        name="modern",
        guideline_version="5.8",
        source=_SOURCE.format(version="5.8"),
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
        dh_bits=None,
        certificate_maximum_days=90,
        certificate_recommended_days=90,
    ),
    "intermediate": Profile(
        name="intermediate",
        guideline_version="5.8",
        source=_SOURCE.format(version="5.8"),
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
        dh_bits=2048,
        certificate_maximum_days=366,
        certificate_recommended_days=90,
    ),
    "old": Profile(
        name="old",
        guideline_version="5.8",
        source=_SOURCE.format(version="5.8"),
        protocols=("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
        tls13_suites=_TLS13_SUITES,
        cipher_suites=_AEAD_SUITES + _OLD_ECDHE_SUITES + _RSA_SUITES,
        groups=_GROUPS,
        server_preference=True,
        hsts_min_age_seconds=63072000,
        certificate_types=("rsa",),
        certificate_curves=_CERTIFICATE_CURVES,
        certificate_signatures=("sha256WithRSAEncryption",),
        rsa_key_bits=2048,
        dh_bits=2048,
        certificate_maximum_days=366,
        certificate_recommended_days=90,
    ),
}


def _in_57(profile: Profile) -> Profile:
    """Return what 5.8 changed as it was: no hybrid group, suites with DHE, 1024 bits of it in ``old``."""
    suites = {
        "modern": (),
        "intermediate": _AEAD_SUITES + _DHE_AEAD_SUITES,
        "old": _AEAD_SUITES + _DHE_AEAD_SUITES + _OLD_ECDHE_SUITES + _DHE_CBC_SUITES + _RSA_SUITES,
    }
    return replace(
        _of_version(profile, "5.7"),
        cipher_suites=suites[profile.name],
        groups=_GROUPS[1:],
        dh_bits=1024 if profile.name == "old" else profile.dh_bits,
    )


def _of_version(profile: Profile, version: str) -> Profile:
    return replace(profile, guideline_version=version, source=_SOURCE.format(version=version))


GUIDELINES: dict[str, dict[str, Profile]] = {
    "5.7": {name: _in_57(profile) for name, profile in _GUIDELINE_58.items()},
    "5.8": _GUIDELINE_58,
    "6.0": {name: _of_version(profile, "6.0") for name, profile in _GUIDELINE_58.items() if name != "old"},
}
"""Guideline version -> profile name -> profile, the strictest profile first."""
DEFAULT_VERSION = "6.0"
PROFILES = {**GUIDELINES[DEFAULT_VERSION], "old": GUIDELINES["5.8"]["old"]}
"""Each profile in its last version."""


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


def profiles_of(version: str) -> dict[str, Profile]:
    """Return the profiles of a guideline version; raises InvalidInputError for one that is not kept here."""
    if not isinstance(version, str) or version not in GUIDELINES:
        raise InvalidInputError(
            f"Mozilla guideline {version!r}", "it is not known", f"Choose one of {', '.join(GUIDELINES)}, in quotes"
        )
    return GUIDELINES[version]


def policy(version: str, name: str) -> tls_policy.Policy:
    """Return a profile as a policy that a result can be held against.

    The guideline says what a server is configured with. Of that, what makes a server weaker fails, what only serves
    fewer clients is a recommendation: TLS 1.3 is required, its suites and, where the profile has it, TLS 1.2 are
    recommended, and nobody is told to offer TLS 1.0. A missing hybrid group is a recommendation, since OpenSSL has it
    from 3.5 on only; so is the server's own order where the guideline leaves the choice to the client. Session tickets
    and TLS_FALLBACK_SCSV are not part of the guideline. Raises InvalidInputError for a version or a profile that there
    is not.
    """
    profiles = profiles_of(version)
    if not isinstance(name, str) or name not in profiles:
        raise InvalidInputError(
            f"Mozilla profile {name!r}", f"guideline {version} has none", f"Choose one of {', '.join(profiles)}"
        )
    profile = profiles[name]
    rules: dict[str, tls_policy.Rule] = {**_negotiation_rules(profile), **_certificate_rules(profile)}
    rules["hsts_max_age_seconds"] = LimitRule("hsts_min_age", profile.hsts_min_age_seconds)
    return tls_policy.Policy(f"Mozilla {name}", version, profile.source, rules)


def _negotiation_rules(profile: Profile) -> dict[str, tls_policy.Rule]:
    groups = tuple(usual_names.find_group(name) for name in profile.groups)
    suites = (*profile.tls13_suites, *profile.cipher_suites)
    wanted = tuple(name for name in ("TLSv1.2", "TLSv1.3") if name in profile.protocols)
    rules: dict[str, tls_policy.Rule] = {
        "protocols": ListRule("tls_versions", profile.protocols, required=("TLSv1.3",), recommended=wanted),
        "cipher_suites": ListRule(
            "ciphers, ciphersuites",
            tuple(usual_names.find_suite(suite).name for suite in suites),
            recommended=profile.tls13_suites,
        ),
        "groups": ListRule(
            "tls_curves",
            tuple(group.name for group in groups),
            recommended=tuple(group.name for group in groups if group.post_quantum),
        ),
        "server_preference": SwitchRule(
            "server_preferred_order", profile.server_preference, only_recommended=not profile.server_preference
        ),
    }
    if profile.dh_bits is not None:
        rules["dh_bits"] = LimitRule("dh_param_size", profile.dh_bits)
    return rules


def _certificate_rules(profile: Profile) -> dict[str, tls_policy.Rule]:
    rules: dict[str, tls_policy.Rule] = {
        "certificate_key_types": ListRule(
            "certificate_types", tuple(usual_names.key_type(name) for name in profile.certificate_types)
        ),
        "certificate_curves": ListRule(
            "certificate_curves", tuple(usual_names.find_group(name).name for name in profile.certificate_curves)
        ),
        "certificate_signatures": ListRule(
            "certificate_signatures",
            tuple(usual_names.certificate_signature(name) for name in profile.certificate_signatures),
        ),
        "certificate_lifetime_days": LimitRule(
            "maximum_certificate_lifespan, recommended_certificate_lifespan",
            profile.certificate_maximum_days,
            profile.certificate_recommended_days,
            upper=True,
        ),
        "ocsp_staple": SwitchRule("ocsp_staple", profile.ocsp_staple),
    }
    if profile.rsa_key_bits is not None:
        rules["rsa_key_bits"] = LimitRule("rsa_key_size", profile.rsa_key_bits)
    return rules


def verdict(result: Mapping[str, Any], version: str = DEFAULT_VERSION) -> dict[str, object]:
    """Hold a result against every profile of a guideline.

    Returns ``version``, ``profiles`` (name -> :func:`policy.check`), ``best``: the strictest profile that the endpoint
    complies with, null if there is none; ``best_possible``: the same if everything that was not tested is taken to be
    good. Raises InvalidInputError for a version that is not kept here.
    """
    checked = {name: tls_policy.check(policy(version, name), result) for name in profiles_of(version)}
    return {
        "version": version,
        "profiles": checked,
        "best": next((name for name, each in checked.items() if each["compliant"] is True), None),
        "best_possible": next((name for name, each in checked.items() if each["compliant"] is not False), None),
    }
