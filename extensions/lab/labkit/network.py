# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network on this machine: a bridge, a network namespace and a cable a host, the way to the world."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from labkit.commands import run, succeeds
from labkit.layout import HostPlace, Place
from labkit.model import Host, Lab
from labkit.progress import say

INTERFACE = "eth0"


def _json(command: list[str]) -> list[dict[str, Any]]:
    text = run(command).stdout.strip()
    return [item for item in json.loads(text or "[]") if item]


def in_use() -> dict[str, str]:
    """Networks and addresses of this machine and its routes (CIDR) -> words that say whose they are."""
    found: dict[str, str] = {}
    for link in _json(["ip", "-4", "-json", "address", "show"]):
        for entry in link.get("addr_info", []):
            found[f"{entry['local']}/{entry['prefixlen']}"] = f"address of interface {link['ifname']}"
    for route in _json(["ip", "-4", "-json", "route", "show", "table", "all"]):
        target = route.get("dst", "default")
        if target != "default" and route.get("type") not in ("broadcast", "local"):
            found[target] = f"route by {route.get('dev', 'another interface')}"
    return found


def in_use_by(tag: str) -> set[str]:
    """Those of them that are the lab's own bridge's."""
    own = _json(["ip", "-4", "-json", "address", "show"])
    found = {
        f"{e['local']}/{e['prefixlen']}" for link in own if link["ifname"] == tag for e in link.get("addr_info", [])
    }
    routes = _json(["ip", "-4", "-json", "route", "show", "table", "all"])
    return found | {route["dst"] for route in routes if route.get("dev") == tag and "dst" in route}


def cable(place: Place, host: Host) -> str:
    """Return the machine's end of a host's network cable."""
    return f"{place.tag}{host.number:02d}"


def _exists(link: str) -> bool:
    return succeeds(["ip", "link", "show", "dev", link])


def ensure_bridge(place: Place, lab: Lab) -> None:
    """Make the lab's bridge with the gateway's address."""
    if not _exists(place.tag):
        run(["ip", "link", "add", "name", place.tag, "type", "bridge", "stp_state", "0", "forward_delay", "0"])
    run(["ip", "address", "replace", f"{lab.gateway}/{lab.prefix_length}", "dev", place.tag])
    run(["ip", "link", "set", place.tag, "up"])


def namespaces() -> list[str]:
    """Return the names of all network namespaces that have one."""
    return [entry["name"] for entry in _json(["ip", "-json", "netns", "list"])]


def ensure_host(place: HostPlace, lab: Lab, host: Host) -> None:
    """Make the host's network namespace with its interface and address, plugged into the bridge.

    Configured from outside: it is there before the host boots, and a reboot of the host leaves it as it is.
    """
    name, link = place.machine, cable(place.lab, host)
    if name not in namespaces():
        run(["ip", "netns", "add", name])
        # A new namespace takes this over from the machine, where the lab has switched it on; a plain server has it off.
        run(["ip", "netns", "exec", name, "tee", "/proc/sys/net/ipv4/ip_forward"], stdin="0\n")
    inside = ["ip", "-netns", name]
    if not succeeds([*inside, "link", "show", "dev", INTERFACE]):
        if _exists(link):
            run(["ip", "link", "delete", link])
        run(["ip", "link", "add", link, "type", "veth", "peer", "name", INTERFACE, "netns", name])
    run(["ip", "link", "set", link, "master", place.lab.tag, "up"])
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "address", "replace", f"{host.address}/{lab.prefix_length}", "dev", INTERFACE])
    run([*inside, "link", "set", INTERFACE, "up"])
    run([*inside, "route", "replace", "default", "via", lab.gateway])


def nat_rules(tag: str, lab: Lab, loopback_services: Iterable[tuple[str, int]]) -> str:
    """Return the lab's nft table (nft(8)), replacing a former one in one transaction.

    `loopback_services`: address and port on the machine's loopback that hosts reach by the gateway (apt proxy).
    """
    redirects = "".join(
        f"        iifname {tag} ip daddr {lab.gateway} meta l4proto {{ tcp, udp }} th dport {port}"
        f" dnat to {address}:{port}\n"
        for address, port in sorted(set(loopback_services))
    )
    return (
        f"table ip {tag}\ndelete table ip {tag}\n"
        f"table ip {tag} {{\n"
        "    chain prerouting {\n        type nat hook prerouting priority dstnat\n"
        f"{redirects}    }}\n"
        "    chain postrouting {\n        type nat hook postrouting priority srcnat\n"
        f"        ip saddr {lab.network} ip daddr != {lab.network} masquerade\n    }}\n"
        "}\n"
    )


def ensure_nat(place: Place, lab: Lab, loopback_services: Iterable[tuple[str, int]]) -> None:
    """Address translation for the lab, and the way to the named services on the machine's loopback."""
    services = list(loopback_services)
    run(["nft", "-f", "-"], stdin=nat_rules(place.tag, lab, services))
    if services:
        # Lets the bridge, and it alone, bring in packets for 127.0.0.0/8 (Linux ip-sysctl: route_localnet).
        Path(f"/proc/sys/net/ipv4/conf/{place.tag}/route_localnet").write_text("1")
    for family, table, chain in closed_forward_chains():
        _open_chain(place.tag, family, table, chain)


def _ruleset() -> list[dict[str, Any]]:
    text = run(["nft", "-json", "-a", "list", "ruleset"]).stdout.strip()
    return list(json.loads(text).get("nftables", [])) if text else []


def closed_forward_chains() -> list[tuple[str, str, str]]:
    """Return the machine's own nft chains (family, table, name) that drop forwarded packets unless a rule accepts."""
    chains = [item["chain"] for item in _ruleset() if "chain" in item]
    return [
        (chain["family"], chain["table"], chain["name"])
        for chain in chains
        if chain.get("hook") == "forward" and chain["family"] in ("ip", "inet") and chain.get("policy") == "drop"
    ]


def _rules_of(prefix: str) -> list[tuple[str, str, str, int]]:
    found = []
    for item in _ruleset():
        rule = item.get("rule")
        if rule and str(rule.get("comment", "")).startswith(prefix):
            found.append((rule["family"], rule["table"], rule["chain"], rule["handle"]))
    return found


def _open_chain(tag: str, family: str, table: str, chain: str) -> None:
    if any(rule[:3] == (family, table, chain) for rule in _rules_of(tag)):
        return
    say(
        f"this machine drops forwarded packets (nft chain {family} {table} {chain}): "
        f"two rules for {tag} are added, `down` removes them"
    )
    for match in (["iifname", tag], ["oifname", tag, "ct", "state", "established,related"]):
        run(["nft", "insert", "rule", family, table, chain, *match, "accept", "comment", f'"{tag}"'])


def remove_host(machine: str) -> None:
    """Remove a host's network namespace; its cable goes with it."""
    if machine in namespaces():
        run(["ip", "netns", "delete", machine])


def remove(prefix: str) -> None:
    """All namespaces, links, tables and rules whose names begin so. Where a program is missing, it has made nothing."""
    if shutil.which("ip"):
        _remove_links(prefix)
    if shutil.which("nft"):
        _remove_rules(prefix)


def _remove_links(prefix: str) -> None:
    for name in namespaces():
        if name.startswith(prefix):
            remove_host(name)
    for link in _json(["ip", "-json", "link", "show"]):
        if str(link.get("ifname", "")).startswith(prefix):
            run(["ip", "link", "delete", link["ifname"]], check=False)


def _remove_rules(prefix: str) -> None:
    for item in _ruleset():
        table = item.get("table")
        if table and str(table["name"]).startswith(prefix):
            run(["nft", "delete", "table", table["family"], table["name"]])
    for family, table_name, chain, handle in _rules_of(prefix):
        run(["nft", "delete", "rule", family, table_name, chain, "handle", str(handle)])
