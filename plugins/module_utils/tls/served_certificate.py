# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the facts of one certificate that a server showed, with all that came with it, to what a result says of it.

A pure function of the facts, the trust anchors and a moment.
"""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    certificate,
    certificate_timestamps,
    chain,
    stapled_ocsp,
)

LEAF_ALONE = "the Python that scans is older than 3.10 and shows the leaf of TLS 1.3 alone"


def shown_by_name(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the certificates that a client gets that sends the server's name; all where there is none such.

    ``entries`` are facts or results. What others are shown says nothing about a site: it may be one of nobody.
    """
    return [entry for entry in entries if entry.get("server_name_sent")] or list(entries)


def judge(
    facts: Mapping[str, Any], anchors: certificate.Anchors, reference_name: str, now: datetime.datetime
) -> dict[str, object]:
    """Return what a result says of one certificate: leaf, chain, trust, order, staple and timestamps.

    ``facts`` is an entry of ``certificates`` of :func:`endpoint_facts.facts_of`. A certificate that a valid stapled
    response calls revoked is not trusted (reason ``revoked``). ``must_staple_satisfied`` is ``None`` for a certificate
    that demands no staple, and where none was asked for.
    """
    sent = _decoded(facts["chain_der"]) or [b""]
    fetched = _decoded(facts.get("issuers_der") or ())
    response, tls_list = _blob(facts.get("stapled_ocsp_der")), _blob(facts.get("sct_list"))
    leaf, *others = (certificate.describe(der, now) for der in sent)
    staple = None if response is None else stapled_ocsp.judge(response, sent[0], [*sent[1:], *fetched], anchors, now)
    return {
        "key_type": leaf.get("key_type", facts["key_type"]),
        "server_name_sent": facts["server_name_sent"],
        "protocols": facts["protocols"],
        "leaf": leaf,
        "chain": others,
        "trust": _trust(facts, sent, fetched, anchors, reference_name, now, staple),
        **(chain.describe_order(sent, anchors) if facts["chain_complete"] else chain.NOT_SEEN),
        "stapled_ocsp": staple,
        "must_staple_satisfied": _must_staple_satisfied(facts, leaf, staple),
        "scts": certificate_timestamps.describe(sent[0], tls_list, response),
    }


def _trust(
    facts: Mapping[str, Any],
    sent: Sequence[bytes],
    fetched: Sequence[bytes],
    anchors: certificate.Anchors,
    reference_name: str,
    now: datetime.datetime,
    staple: Mapping[str, object] | None,
) -> dict[str, object]:
    trust = chain.judge_trust(sent, anchors, reference_name, now, fetched).as_dict()
    if not facts["chain_complete"]:
        trust = _of_leaf_alone(trust)
    if trust["trusted"] is not False and staple and staple["valid"] and staple["status"] == "revoked":
        detail = f"its authority revoked it on {staple['revoked_at']} and the server staples that"
        trust.update(trusted=False, reason="revoked", detail=detail)
    return trust


def _of_leaf_alone(trust: dict[str, object]) -> dict[str, object]:
    """Take back what cannot be said of a chain of which only the leaf was seen."""
    if trust["reason"] in ("chain_incomplete", "unknown_issuer"):
        trust.update(trusted=None, reason="chain_not_seen", detail=LEAF_ALONE)
    elif trust["trusted"]:
        trust.update(detail=None)
    return {**trust, "chain_incomplete": False}


def _must_staple_satisfied(
    facts: Mapping[str, Any], leaf: Mapping[str, object], staple: dict[str, object] | None
) -> bool | None:
    if staple is None and not facts.get("staple_asked"):
        return None
    return stapled_ocsp.must_staple_satisfied(leaf.get("must_staple") is True, staple)


def _decoded(encoded: Iterable[str]) -> list[bytes]:
    return [_blob(text) or b"" for text in encoded]


def _blob(encoded: str | None) -> bytes | None:
    """Decode base64; what is none counts as bytes that say nothing."""
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
