# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of the roles costs on a lab host: executed tasks, changed tasks, and the time of the whole process.

A host gets certificate, nginx and haproxy in one play, as a small site has them; another gets each role in a play of
its own. Every play runs first on a host that lacks what it deploys, and then again, unchanged; of the later runs the
fastest counts. Time is reported; counts are held against what they must be. The roles that people use most for the
same were measured once: their numbers are recorded here, and they are not run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from peers.fleet import Fleet

TOGETHER = ("certificate", "nginx", "haproxy")
MOST_TASKS = 20
PEERS = "the three best-known roles for the same (recorded, not run): 36 tasks, 9 of them changed, 22 to 26 s unchanged"
_HOSTS = {"together1": "bookworm", "alone1": "bookworm"}
_NAME = "www.ringmaster.test"
_SITE = {
    "name": "app", "server_names": [_NAME], "certificate": "www", "kind": "static", "root": "/srv/www/app",
}  # fmt: skip
# HAProxy has the usual ports; what is behind it or beside it has others.
_VARIABLES: dict[str, Any] = {
    "certificate_certificates": [{"name": "www", "names": [_NAME]}],
    "nginx_sites": [_SITE],
    "nginx_http_port": 8080,
    "nginx_https_port": 8443,
    "apache_sites": [_SITE],
    "apache_http_port": 9080,
    "apache_https_port": 9443,
    "haproxy_frontends": [
        {"name": "http", "binds": [{"port": 80}], "redirect_to_https": True},
        {
            "name": "https",
            "binds": [{"port": 443, "tls": True, "certificates": ["www"]}],
            "default_backend": "app",
        },
    ],
    "haproxy_backends": [
        {
            "name": "app",
            "servers": [
                {
                    "name": "nginx",
                    "address": "127.0.0.1",
                    "port": 8443,
                    "tls": {"ca_file": "/etc/ssl/ringmaster/ca.pem", "server_name": _NAME},
                }
            ],
            "health_check": {"path": "/", "host": _NAME},
        }
    ],
}
_RECAP = re.compile(r": ok=(\d+)\s+changed=(\d+)\s+unreachable=0\s+failed=0\s")


@dataclass(frozen=True)
class Run:
    """One play: tasks that ran (not those that were skipped), tasks that changed the host, seconds of the process."""

    executed: int
    changed: int
    seconds: float


def deploy(fleet: Fleet, host: str, roles: Sequence[str]) -> Run:
    """Run a play of these roles on one host."""
    authority = fleet.directory / f"pki-{host}"
    trusted = {f"{server}_ca_path": str(authority / "ca.pem") for server in ("nginx", "apache", "haproxy")}
    play = {
        "name": "Deploy",
        "hosts": host,
        "gather_facts": False,
        "vars": {**_VARIABLES, **trusted, "certificate_ca_directory": str(authority)},
        "roles": [f"ringmaster.webops.{role}" for role in roles],
    }
    playbook = fleet.directory / "play.json"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    inventory = ROOT / "build" / "lab" / fleet.name / "inventory.yml"
    command = [str(Path(sys.executable).with_name("ansible-playbook")), f"--inventory={inventory}", str(playbook)]
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(ROOT / ".ansible"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_NOCOLOR": "true",
    }
    begin = time.perf_counter()
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=900, env={**os.environ, **settings}
    )
    seconds = time.perf_counter() - begin
    found = _RECAP.search(done.stdout)
    assert done.returncode == 0 and found is not None, done.stdout + done.stderr
    return Run(int(found[1]), int(found[2]), seconds)


def measure(fleet: Fleet, host: str, roles: Sequence[str], rounds: int) -> tuple[Run, Run]:
    """Return the first run, and the fastest of the later ones; their counts are the largest of any."""
    first = deploy(fleet, host, roles)
    later = [deploy(fleet, host, roles) for _round in range(rounds)]
    return first, Run(
        max(run.executed for run in later), max(run.changed for run in later), min(run.seconds for run in later)
    )


def main() -> int:
    """Read the command line; return 1 where a count is not what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how many unchanged runs")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("the roles are measured on lab hosts, which root alone can boot")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        fleet = Fleet("bench", _HOSTS, Path(directory))
        try:
            measured = {" + ".join(TOGETHER): measure(fleet, "together1", TOGETHER, arguments.rounds)}
            for role in ("certificate", "nginx", "haproxy", "apache"):
                measured[f"{role} alone"] = measure(fleet, "alone1", [role], arguments.rounds)
        finally:
            fleet.down()
    print(f"{'':32}{'first run':>30}{'unchanged run':>32}")
    print(f"{'':32}" + f"{'executed':>12}{'changed':>9}{'time':>11}" * 2)
    for name, runs in measured.items():
        print(f"{name:32}" + "".join(f"{run.executed:>12}{run.changed:>9}{run.seconds:>9.1f} s" for run in runs))
    print(f"against: {PEERS}")
    unchanged = [runs[1] for runs in measured.values()]
    reached = not any(run.changed for run in unchanged) and unchanged[0].executed <= MOST_TASKS
    print(f"unchanged runs: no change and at most {MOST_TASKS} tasks: {'reached' if reached else 'MISSED'}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
