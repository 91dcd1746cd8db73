# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses a network that nobody on this machine uses. Pure: what is in use comes as an argument."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from labkit.errors import LabError

# Private ranges (RFC 1918) that homes, offices and container engines rarely hand out, in the order tried.
POOLS = ("10.213.0.0/16", "172.29.0.0/16", "192.168.192.0/18")
PREFIX_LENGTH = 24


def _candidates(pools: Iterable[str]) -> Iterator[ipaddress.IPv4Network]:
    for pool in pools:
        yield from ipaddress.IPv4Network(pool).subnets(new_prefix=PREFIX_LENGTH)


def _conflict(network: ipaddress.IPv4Network, in_use: Mapping[str, str]) -> str | None:
    for used, user in in_use.items():
        if network.overlaps(ipaddress.IPv4Network(used, strict=False)):
            return f"{used} is in use ({user})"
    return None


def choose_network(in_use: Mapping[str, str], requested: str | None = None, pools: Iterable[str] = POOLS) -> str:
    """Return a free /24, or the requested network when it is free.

    `in_use` maps networks and addresses (CIDR) to the words that say who uses them. Raises LabError.
    """
    if requested:
        network = _parse(requested)
        conflict = _conflict(network, in_use)
        if conflict:
            raise LabError(
                f"{network}: cannot be the lab's network: {conflict}; name another, or none and one is chosen"
            )
        return str(network)
    for network in _candidates(pools):
        if not _conflict(network, in_use):
            return str(network)
    raise LabError(
        f"{', '.join(pools)}: no free /24 left for a lab; take other labs down, or name a network (--network)"
    )


def _parse(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise LabError(f"{text!r}: not an IPv4 network ({error}); write it like 10.213.7.0/24") from None
    if network.prefixlen != PREFIX_LENGTH or not network.is_private:
        raise LabError(f"{text}: the lab's network must be a private /24; write it like 10.213.7.0/24")
    return network
