# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab consists of, and how that is written down (lab.json) and named on the command line (--host)."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from labkit.errors import LabError
from labkit.layout import check_name

DOMAIN = "ringmaster.test"
SUITES = {"bullseye": "11", "bookworm": "12", "trixie": "13"}
DEFAULT_HOSTS = ("lb1=trixie", "web1=bookworm", "web2=trixie")
GROUP_BY_PREFIX = {"lb": "loadbalancers", "web": "webservers"}
FIRST_HOST_NUMBER = 11
MOST_HOSTS = 80


@dataclass(frozen=True)
class HostSpec:
    """A host as asked for: its name, the Debian release it runs, its inventory group ('' for none)."""

    name: str
    suite: str
    group: str


@dataclass(frozen=True)
class Host:
    """A host as it is: the specification, its number in the lab and its address."""

    name: str
    suite: str
    group: str
    number: int
    address: str

    @property
    def fqdn(self) -> str:
        """The name with the lab's domain."""
        return f"{self.name}.{DOMAIN}"


@dataclass(frozen=True)
class Lab:
    """A lab as it is: its network (CIDR) and hosts."""

    name: str
    network: str
    hosts: tuple[Host, ...]

    @property
    def gateway(self) -> str:
        """The machine's own address on the lab's bridge."""
        return str(ipaddress.IPv4Network(self.network)[1])

    @property
    def prefix_length(self) -> int:
        """The network's length in bits."""
        return ipaddress.IPv4Network(self.network).prefixlen

    def host(self, name: str) -> Host:
        """Return the host of that name. Raises LabError."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(
            f"{name}: lab {self.name} has no such host; it has {', '.join(host.name for host in self.hosts)}"
        )


def parse_host(text: str) -> HostSpec:
    """NAME, NAME=SUITE or NAME=SUITE:GROUP. SUITE: a release's name or number (default trixie). Raises LabError."""
    name, _equals, rest = text.partition("=")
    suite, _colon, group = rest.partition(":")
    check_name(name, "host")
    by_number = {number: word for word, number in SUITES.items()}
    suite = by_number.get(suite, suite) or "trixie"
    if suite not in SUITES:
        known = ", ".join(f"{word} ({number})" for word, number in SUITES.items())
        raise LabError(f"{text!r}: unknown Debian release {suite!r}; use one of {known}")
    if not group:
        prefix = re.match(r"[a-z]*", name)
        group = GROUP_BY_PREFIX.get(prefix.group() if prefix else "", "")
    elif not re.fullmatch(r"[a-z_][a-z0-9_]*", group):
        raise LabError(f"{text!r}: {group!r} is no name for an inventory group; use a-z, 0-9 and _")
    return HostSpec(name, suite, group)


def parse_hosts(texts: Sequence[str]) -> list[HostSpec]:
    """All hosts asked for. Raises LabError, also when a name comes twice."""
    specs = [parse_host(text) for text in texts]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise LabError(f"{name}: named twice with --host; give every host a name of its own")
    return specs


def place_hosts(network: str, specs: Sequence[HostSpec], existing: Sequence[Host] = ()) -> tuple[Host, ...]:
    """Give every host a number and an address in the network; what exists keeps its own.

    Raises LabError when a host exists with another release or group, or when there are too many.
    """
    hosts = {host.name: host for host in existing}
    used = {host.number for host in existing}
    base = ipaddress.IPv4Network(network)
    for spec in specs:
        present = hosts.get(spec.name)
        if present:
            _check_same(present, spec)
            continue
        number = next((n for n in range(1, MOST_HOSTS + 1) if n not in used), None)
        if number is None:
            raise LabError(f"{spec.name}: a lab has {MOST_HOSTS} hosts at most; start a second lab")
        used.add(number)
        address = str(base[FIRST_HOST_NUMBER - 1 + number])
        hosts[spec.name] = Host(spec.name, spec.suite, spec.group, number, address)
    return tuple(hosts.values())


def _check_same(present: Host, spec: HostSpec) -> None:
    if (present.suite, present.group) != (spec.suite, spec.group):
        raise LabError(
            f"{spec.name}: asked for as {spec.suite}:{spec.group}, but is {present.suite}:{present.group} in this lab; "
            "take the lab down first, or name the host otherwise"
        )


def write_record(path: Path, lab: Lab) -> None:
    """Write the lab down, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(lab), indent=2) + "\n")
    draft.replace(path)


def read_record(path: Path) -> Lab | None:
    """Return the lab as written down, or None when it is not, or not readably so."""
    try:
        data = json.loads(path.read_text())
        hosts = tuple(Host(**host) for host in data["hosts"])
        return Lab(str(data["name"]), str(ipaddress.IPv4Network(data["network"])), hosts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
