# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configurations of HAProxy made of translated sessions: those whose behaviour is recorded, and every combination."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ansible_collections.ringmaster.webops.plugins.filter.appsession_rules import appsession_rules
from peers.sticky_behaviours import PROXIES, SERVERS

# The second one has every character that RFC 6265 permits besides letters.
COOKIES: tuple[object, ...] = ("PHPSESSID", "a!#$%&'*+.^_`|~-9", ["PHPSESSID", "ASP.NET_SessionId", "it's"])


def recorded(base: int, haproxy_version: str) -> str:
    """Return the configuration for sticky_behaviours.py at a base port: each of its lines, translated."""
    lines = _frame(base + 20)
    for number, (name, line) in enumerate(PROXIES.items(), start=1):
        lines += [f"frontend at_{name}", f"    bind 127.0.0.1:{base + number}", f"    default_backend {name}"]
        lines += _backend(name, line, haproxy_version, failover="return")
        lines += [f"    server {server} 127.0.0.1:{base + offset}" for server, offset in SERVERS.items()]
    return "\n".join(lines) + "\n"


def combinations() -> Iterator[dict[str, Any]]:
    """Yield a session for every combination of what can be said of one."""
    for learns, prefix, mode, failover, hashes, ignores, length, cookie, conditions, timeout in itertools.product(
        (False, True), (False, True), ("path-parameters", "query-string", "none"), ("return", "first_wins", "rebind"),
        (False, True), (False, ["", "deleted", "it's", "-x", "#"]), (64, None), COOKIES,
        ([], ["{ path_beg /static/ }", "!{ method GET } { path -m end .png }"]), ("3h", "0"),
    ):  # fmt: skip
        if hashes or length:
            yield {
                "request_learn": learns, "prefix": prefix, "mode": mode, "failover": failover, "hash_keys": hashes,
                "ignore_ids": ignores, "len": length, "cookie": cookie, "ignore": conditions, "timeout": timeout,
            }  # fmt: skip


def all_combinations(haproxy_version: str) -> tuple[int, str]:
    """Return how many combinations there are, and a configuration with a backend for each."""
    lines, count = _frame(1023), 0
    for count, session in enumerate(combinations(), start=1):
        lines += [*_backend(f"app{count}", session, haproxy_version), "    server s1 127.0.0.1:1"]
    return count, "\n".join(lines) + "\n"


def _frame(peer_port: int) -> list[str]:
    return [
        "global", "    localpeer lb1",
        "peers local", f"    peer lb1 127.0.0.1:{peer_port}",
        "defaults", "    mode http", "    timeout client 10s", "    timeout server 10s", "    timeout connect 2s",
    ]  # fmt: skip


def _backend(name: str, session: object, haproxy_version: str, failover: str | None = None) -> list[str]:
    lines = appsession_rules(session, haproxy_version=haproxy_version, backend=name, failover=failover, peers="local")
    return [f"backend {name}", "    balance roundrobin", *(f"    {line}" for line in lines)]
