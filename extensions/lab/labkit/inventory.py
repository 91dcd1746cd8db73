# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach the lab's hosts, written for Ansible and for ssh. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from labkit.layout import Place
from labkit.model import Lab


def known_hosts(lab: Lab, host_keys: Mapping[str, str]) -> str:
    """Return the hosts' public keys, pinned before their first boot (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    lines = []
    for host in lab.hosts:
        kind, key = host_keys[host.name].split()[:2]
        lines.append(f"{host.address},{host.name},{host.fqdn} {kind} {key}\n")
    return "".join(lines)


def ssh_config(place: Place, lab: Lab) -> str:
    """Return a configuration for `ssh -F` (ssh_config(5)): every host by its short and its full name."""
    stanzas = [
        f"Host {host.name} {host.fqdn}\n    HostName {host.address}\n    HostKeyAlias {host.name}\n"
        for host in lab.hosts
    ]
    common = (
        "Host *\n"
        "    User root\n"
        f'    IdentityFile "{place.private_key}"\n'
        "    IdentitiesOnly yes\n"
        f'    UserKnownHostsFile "{place.known_hosts}"\n'
        "    GlobalKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking yes\n"
        "    PasswordAuthentication no\n"
        "    ConnectTimeout 10\n"
        "    LogLevel ERROR\n"
    )
    return "\n".join([*stanzas, common])


def _ssh_arguments(place: Place) -> str:
    options = [
        "IdentitiesOnly=yes",
        f'UserKnownHostsFile="{place.known_hosts}"',
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "ControlMaster=auto",
        "ControlPersist=60s",
        f"ControlPath={place.control_sockets}/%C",
    ]
    return " ".join(f"-o {shlex.quote(option)}" for option in options)


def ansible_inventory(place: Place, lab: Lab) -> str:
    """Return the inventory (YAML, written as its subset JSON): hosts by group, with addresses and the way in."""
    groups: dict[str, Any] = {}
    for host in lab.hosts:
        group = groups.setdefault(host.group or "ungrouped", {"hosts": {}})
        group["hosts"][host.name] = {"ansible_host": host.address, "lab_address": host.address}
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(place.private_key),
        "ansible_ssh_common_args": _ssh_arguments(place),
        "ansible_python_interpreter": "/usr/bin/python3",
        "lab_name": lab.name,
    }
    return "---\n" + json.dumps({"all": {"vars": variables, "children": groups}}, indent=2) + "\n"
