# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate that lies on a host -> what it is, and whether it is trusted. Needs cryptography: control node only."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.chain import judge_trust

_NOTHING: dict[str, Any] = {
    "key_type": None,
    "trusted": False,
    "reason": None,
    "detail": None,
    "names": [],
    "not_after": None,
    "days_left": None,
    "ocsp_responder": False,
}


def judge(
    found: Mapping[str, Any], chain: Sequence[str], anchors: certificate.Anchors, now: datetime.datetime
) -> dict[str, Any]:
    """Return what was found of a certificate on the host, and what its chain (DER in base64) says.

    ``trusted`` is about the chain and the moment; whether it is for a certain name is for who knows the name.
    """
    ders = [_decoded(text) for text in chain]
    described = certificate.describe(ders[0], now) if ders else {"error": "no certificate"}
    if "error" in described:
        missing = {"reason": "unreadable", "detail": f"{found['fullchain']} holds no certificate that can be read"}
        return {**found, **_NOTHING, **(missing if found["exists"] else {})}
    names = described["names"]
    trust = judge_trust(ders, anchors, str(names[0]) if isinstance(names, list) and names else "", now)
    return {
        **found,
        "key_type": str(described["key_type"]).lower(),
        "trusted": trust.trusted is True,
        "reason": trust.reason or None,
        "detail": trust.detail or None,
        "names": names,
        "not_after": described["not_after"],
        "days_left": described["days_left"],
        "ocsp_responder": bool(described["ocsp_responders"]),
    }


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
