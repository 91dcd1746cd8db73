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
    an address matches an address entry only, never a name (6.4); the subject's common name never counts (6.1). The
    name that was asked for may end in the dot of an absolute name and may be written in any script.
    """
    address = _address(reference)
    if address is not None:
        return any(_address(entry) == address for entry in ip_addresses)
    return any(dns_name_matches(reference, presented) for presented in dns_names)


def dns_name_matches(reference: str, presented: str) -> bool:
    """Whether one presented DNS name, perhaps with a wildcard, covers a reference name.

    What is presented is ASCII and never ends in a dot (RFC 5280 4.2.1.6, 7.2).
    """
    wanted = _labels(reference)
    offered = presented.lower().split(".")
    if len(wanted) != len(offered) or not presented.isascii():
        return False
    if offered[0] == "*":
        # A wildcard over a whole top level is nobody's name: libraries and browsers refuse it.
        return len(offered) > 2 and wanted[1:] == offered[1:]
    return wanted == offered


def _labels(reference: str) -> list[str]:
    """Return the labels of a DNS name in the form of the DNS; none of what cannot be one."""
    labels = _without_final_dot(reference).split(".")
    # Digits alone in the last place are an address in one of its shorter forms, never a top level (RFC 1123 2.1).
    if "*" in reference or not all(labels) or labels[-1].isdigit():
        return []
    try:
        return [label.lower() if label.isascii() else label.encode("idna").decode("ascii") for label in labels]
    except UnicodeError:
        return []


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(_without_final_dot(text).partition("%")[0])
    except ValueError:
        return None


def _without_final_dot(text: str) -> str:
    return text[:-1] if text.endswith(".") else text
