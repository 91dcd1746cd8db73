# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a certificate for this name? RFC 9525 (Service Identity in TLS), section 6."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def name_matches(reference: str, dns_names: Iterable[str], ip_addresses: Iterable[str]) -> bool:
    """Whether the subject alternative names cover the name or address that a client asked for.

    Names are compared without case; a wildcard stands for exactly one label and only as the whole leftmost one (6.3);
    an address matches an address entry only, never a name (6.4); the subject's common name never counts (6.1).
    """
    address = _address(reference)
    if address is not None:
        return any(_address(entry) == address for entry in ip_addresses)
    return any(dns_name_matches(reference, presented) for presented in dns_names)


def dns_name_matches(reference: str, presented: str) -> bool:
    """Whether one presented DNS name, perhaps with a wildcard, covers a reference name."""
    wanted = _labels(reference)
    offered = _labels(presented)
    if not wanted or len(wanted) != len(offered):
        return False
    if offered[0] == "*":
        # A wildcard over a whole top level is nobody's name; it never stands for an A-label's part either.
        return len(offered) > 2 and wanted[1:] == offered[1:]
    return "*" not in presented and wanted == offered


def _labels(name: str) -> list[str]:
    labels = name.rstrip(".").split(".")
    if not all(labels):
        return []
    folded = []
    for label in labels:
        try:
            folded.append(label.lower() if label.isascii() else label.lower().encode("idna").decode("ascii"))
        except UnicodeError:
            return []
    return folded


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
