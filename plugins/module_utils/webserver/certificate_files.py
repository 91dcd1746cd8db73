# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate files of a release before anything serves them: each valid today, and for its endpoint's name."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
from collections.abc import Mapping, Sequence

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import name_matches
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.findings import Findings, named, together
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.request import Endpoint


def judge_files(
    endpoint: Endpoint, files: Mapping[str, Sequence[str]], live_leaves: set[str], now: datetime.datetime
) -> Findings:
    """Judge the files that an endpoint serves: path -> certificates in DER and base64, the site's own one first.

    Refused are certificates that have expired, are not valid yet or do not cover the name. One that is live now
    (``live_leaves`` are SHA-256 fingerprints) stays with a warning: to refuse it would mend nothing.
    """
    return together(_judge_file(endpoint, path, chain, live_leaves, now) for path, chain in files.items())


def _judge_file(
    endpoint: Endpoint, path: str, chain: Sequence[str], live_leaves: set[str], now: datetime.datetime
) -> Findings:
    der = _decoded(chain[0]) if chain else b""
    wrong = _wrong_with(der, endpoint.server_name, now)
    if not wrong:
        return Findings()
    found = Findings((f"{path}, the certificate of {endpoint.key}: {wrong}",))
    return found.as_warnings() if hashlib.sha256(der).hexdigest() in live_leaves else found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _wrong_with(der: bytes, server_name: str, now: datetime.datetime) -> str:
    """Say what is wrong with a certificate, and what to do; nothing where it is good."""
    leaf = certificate.load_der(der)
    if leaf is None:
        return "it holds no certificate that can be read. Give a PEM file with the certificate and its chain"
    if now > leaf.not_valid_after_utc:
        return f"it expired on {certificate.iso(leaf.not_valid_after_utc)}. Renew it"
    if now < leaf.not_valid_before_utc:
        valid_from = certificate.iso(leaf.not_valid_before_utc)
        return f"it is not valid before {valid_from}. Check the clock, or wait until then"
    dns, addresses = certificate.subject_names(leaf)
    if not name_matches(server_name, dns, addresses):
        return f"it is for {named([*dns, *addresses]) or 'no name'}. Give one that covers {server_name}"
    return ""
