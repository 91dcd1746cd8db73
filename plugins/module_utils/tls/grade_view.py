# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of one endpoint as the rules of the grade see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.offers import Offers

NOT_TESTED = "not_tested"


@dataclass(frozen=True)
class Certificate:
    """What the grade has to know of one certificate: its key as RSA-equivalent bits, its signatures, its trust.

    ``strength_bits`` and ``trusted`` are ``None`` where that cannot be told: a missing fact. ``chain_incomplete`` is
    said of a certificate that is trusted, though an issuer had to be fetched that was not sent.
    """

    strength_bits: int | None
    signature_algorithms: tuple[str, ...] = ()
    rsa_public_exponent: int | None = None
    trusted: bool | None = True
    trust_reason: str = ""
    name_matches: bool = True
    chain_incomplete: bool = False


@dataclass(frozen=True)
class View(Offers):
    """What an endpoint offers, and the other facts that the rules look at.

    ``group_bits`` is group name -> RSA-equivalent bits, ``dh_bits`` the sizes of the finite field parameters, ``hsts``
    the facts of the header (``None`` when the endpoint speaks no HTTP), ``fallback_scsv`` a status (RFC 7507),
    ``vulnerabilities`` name -> (status, evidence) of :mod:`verdict`, ``clients`` the entries of the simulation.
    """

    group_bits: dict[str, int] = field(default_factory=dict)
    dh_bits: tuple[int, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    secure_renegotiation: bool | None = None
    hsts: dict[str, object] | None = None
    fallback_scsv: str = NOT_TESTED
    vulnerabilities: dict[str, tuple[str, str]] = field(default_factory=dict)
    clients: tuple[Mapping[str, Any], ...] = ()

    def vulnerability(self, name: str) -> tuple[str, str]:
        """Return status and evidence of a vulnerability; one that nothing is said of was not tested."""
        return self.vulnerabilities.get(name, (NOT_TESTED, ""))
