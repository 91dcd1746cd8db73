# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's name servers, as far as lab hosts can use them (resolv.conf(5)). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence


def parse_nameservers(text: str) -> list[str]:
    """Return the IPv4 name servers of a resolv.conf, in order; lab hosts reach the world by IPv4 alone."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(str(ipaddress.IPv4Address(words[1])))
            except ValueError:
                continue
    return found


def choose_nameservers(files: Sequence[str]) -> list[str]:
    """Return the servers of the first resolv.conf with one beyond the machine's loopback; else those on loopback."""
    for text in files:
        reachable = [server for server in parse_nameservers(text) if not server.startswith("127.")]
        if reachable:
            return reachable
    return next((servers for servers in map(parse_nameservers, files) if servers), [])


def hosts_entries(text: str, wanted: Collection[str]) -> list[tuple[str, str]]:
    """(address, name) of the wanted names in an /etc/hosts text (hosts(5)), loopback addresses left out."""
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        for name in words[1:]:
            if name in wanted and not words[0].startswith("127.") and words[0] != "::1":
                found.append((words[0], name))
    return found
