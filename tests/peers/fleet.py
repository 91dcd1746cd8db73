# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lab hosts with one web server each, and the roles run against them as an operator would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.M)

# Whatever a role says ends up in one file a host; a play that was refused is not the end of the other hosts.
_PLAYBOOK: list[dict[str, Any]] = [
    {
        "name": "Deploy",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Certificates",
                "ansible.builtin.include_role": {"name": "ringmaster.webops.certificate"},
                "when": "certificate_certificates is defined",
            },
            {
                "name": "Try it",
                "block": [
                    {
                        "name": "Deploy the web server",
                        "ansible.builtin.include_role": {"name": "ringmaster.webops.{{ webserver }}"},
                    }
                ],
                "rescue": [
                    {
                        "name": "Keep the reason",
                        "ansible.builtin.copy": {
                            "dest": "{{ refusals }}/{{ inventory_hostname }}",
                            "content": "{{ ansible_failed_result.msg | default(ansible_failed_result | to_json) }}",
                            "mode": "0600",
                        },
                        "delegate_to": "localhost",
                    }
                ],
            },
        ],
    }
]


@dataclass(frozen=True)
class Play:
    """What a run said: its output, the reasons of hosts that refused, and how many tasks ran and changed a host."""

    output: str
    refusals: Mapping[str, str]
    executed: Mapping[str, int]
    changed: Mapping[str, int]
    unreachable: frozenset[str]


class Fleet:
    """The hosts of one lab: ``hosts`` maps a host's name to its Debian release. Files go into ``directory``."""

    def __init__(self, name: str, hosts: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self.hosts = dict(hosts)
        self.directory = directory
        self._place = ROOT / "build" / "lab" / name
        directory.mkdir(parents=True, exist_ok=True)
        arguments = [f"--host={host}={suite}" for host, suite in hosts.items()]
        self._lab("up", name, *arguments)

    def down(self) -> None:
        """Take the lab down."""
        self._lab("down", self.name)

    @staticmethod
    def _lab(*arguments: str) -> str:
        command = [sys.executable, str(ROOT / "extensions/lab/lab.py"), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def address(self, host: str) -> str:
        """Return a host's address."""
        inventory = json.loads((self._place / "inventory.yml").read_text(encoding="utf-8").partition("\n")[2])
        for group in inventory["all"]["children"].values():
            if host in group["hosts"]:
                return str(group["hosts"][host]["ansible_host"])
        raise KeyError(host)

    def ssh(self, host: str, command: str, *, check: bool = True) -> str:
        """Run a command on a host and return its output."""
        done = subprocess.run(
            ["ssh", "-F", str(self._place / "ssh_config"), host, command],
            check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{host}: {command}: {done.stderr}"
        return done.stdout

    def send(self, host: str, file: Path, destination: str) -> None:
        """Copy a file to a host."""
        command = ["scp", "-q", "-F", str(self._place / "ssh_config"), str(file), f"{host}:{destination}"]
        subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)

    def ansible(
        self, playbook: Path, *options: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook on the lab."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        settings = {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_HOME": str(ROOT / ".ansible"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_FORKS": "6",
            **(environment or {}),
        }
        return subprocess.run(
            [program, f"--inventory={self._place / 'inventory.yml'}", *options, str(playbook)],
            check=False, capture_output=True, text=True, timeout=900, env={**os.environ, **settings},
        )  # fmt: skip

    def play(
        self, variables: Mapping[str, Mapping[str, Any]], *options: str, environment: Mapping[str, str] | None = None
    ) -> Play:
        """Deploy the hosts named in ``variables`` with these host variables."""
        refusals = self.directory / "refusals"
        refusals.mkdir(exist_ok=True)
        for old in refusals.iterdir():
            old.unlink()
        hosts = {host: {**values, "refusals": str(refusals)} for host, values in variables.items()}
        inventory = self.directory / "variables.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        playbook = self.directory / "deploy.json"
        playbook.write_text(json.dumps(_PLAYBOOK), encoding="utf-8")
        limit = f"--limit={','.join(variables)}"
        done = self.ansible(playbook, f"--inventory={inventory}", limit, *options, environment=environment)
        output = done.stdout + done.stderr
        recap = {row[0]: [int(number) for number in row[1:]] for row in _RECAP.findall(output)}
        assert set(recap) - {"localhost"} == set(variables), output
        return Play(
            output,
            {path.name: path.read_text(encoding="utf-8") for path in refusals.iterdir()},
            {host: counts[0] for host, counts in recap.items()},
            {host: counts[1] for host, counts in recap.items()},
            frozenset(host for host, counts in recap.items() if counts[2]),
        )
