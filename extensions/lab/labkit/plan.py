# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what `up` will do to the machine, before it does."""

from __future__ import annotations

from collections.abc import Sequence

from labkit import base, lifecycle, machine, network, registry
from labkit.layout import Place


def describe(place: Place, texts: Sequence[str], requested_network: str | None) -> str:
    """Return the plan of `up`, as text for a person. Raises LabError when `up` would refuse."""
    machine.require_root()
    lines = []
    missing = machine.missing_packages()
    if missing:
        lines.append(f"Debian packages missing on this machine, to be installed first: {' '.join(missing)}")
        lab_lines = ["which network it will have cannot be said before they are installed"]
    else:
        with registry.lock():
            lab = lifecycle.draft(place, lifecycle.specs_of(place, texts), requested_network)
        lab_lines = [
            f"network {lab.network} on bridge {place.tag}, this machine is {lab.gateway}",
            *(
                f"host {host.name}: {host.address}, Debian {host.suite}, group {host.group or 'none'}"
                for host in lab.hosts
            ),
            *_base_lines(place, sorted({host.suite for host in lab.hosts})),
        ]
    lines += [
        f"lab {place.name}, in {place.directory}:",
        *lab_lines,
        f"nft table ip {place.tag}: address translation for the lab, nothing else",
        *_filter_lines(bool(missing)),
        f"IP forwarding: {_forwarding()}",
        "one process tree a host (systemd-nspawn), in network namespaces and control groups of their own",
        f"no service of this machine is installed, enabled or started; `lab.py down {place.name}` undoes all of this",
    ]
    return "\n".join(lines)


def _filter_lines(unknown: bool) -> list[str]:
    chains = [] if unknown else network.closed_forward_chains()
    return [f"nft chain {' '.join(chain)} drops forwarded packets: two rules let the lab's through" for chain in chains]


def _forwarding() -> str:
    if registry.FORWARDING.read_text().strip() == "0":
        return "is off, switched on until the last lab is gone"
    if registry.labs_switched_forwarding_on():
        return "was switched on for a lab, until the last one is gone"
    return "is on already, stays on"


def _base_lines(place: Place, suites: Sequence[str]) -> list[str]:
    return [
        f"base tree of {suite}: to be built in {place.clone.bases} (under a minute)"
        for suite in suites
        if not base.base_path(place.clone, suite).is_dir()
    ]
