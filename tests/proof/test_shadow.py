# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A shadow on real hosts: servers that write, log and check in it, and a host that is the same before and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = "shadow"
HOSTS = {"web1": "bookworm", "web2": "trixie"}
LIBRARY = "/root/collections/ansible_collections/ringmaster/webops/plugins/module_utils"
# nginx serves, and apache2 cannot on the same port: two servers that live on a host, and one that does not. Timers are
# stopped, because what they do would be taken for the shadow's doing.
PREPARE = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --quiet nginx-light haproxy apache2 >/dev/null
a2enmod --quiet ssl md
systemctl reset-failed
systemctl stop '*.timer'
mkdir -p /var/cache/proof {LIBRARY}
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")


def lab(*arguments: str) -> None:
    command = [sys.executable, str(ROOT / "extensions/lab/lab.py"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def on(host: str, command: str, given: bytes = b"") -> str:
    ssh = ["ssh", "-F", str(ROOT / "build/lab" / LAB / "ssh_config"), host, command]
    done = subprocess.run(ssh, check=False, capture_output=True, timeout=300, input=given)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(name="hosts", scope="module")
def hosts_with_three_servers() -> Iterator[None]:
    lab("up", LAB, *(word for host, suite in HOSTS.items() for word in ("--host", f"{host}={suite}")))
    pack = ["tar", "--create", "--directory", str(ROOT / "plugins/module_utils"), "errors.py", "webserver"]
    library = subprocess.run(pack, check=True, capture_output=True).stdout
    scenarios = (ROOT / "tests/proof/shadow_scenarios.py").read_bytes()
    for host in HOSTS:
        on(host, PREPARE)
        on(host, f"tar --extract --directory {LIBRARY}", library)
        on(host, "cat >/root/scenarios.py", scenarios)
    yield
    lab("down", LAB)


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("scenario", "seen"),
    [
        ("nginx", {"answers": ["HTTP/1.1 200 OK"] * 2, "cache": True, "log": True}),
        ("apache", {"answers": ["HTTP/1.1 200 OK"], "access log": True, "error log": True, "store": True}),
        ("haproxy", {"answers": ["HTTP/1.1 503 Service Unavailable"], "resolved": True}),
        ("deadline", "it did not end within 5 seconds"),
        ("kill", "masters: 1, in a scope: True"),
        ("memory", f"its processes took more than {512 * 1024 * 1024} bytes of memory"),
        (
            "reach",
            {
                "internet": "ECONNREFUSED",
                "live server": "ECONNREFUSED",
                "ssh": "ECONNREFUSED",
                "systemd": "ENOENT",
                "message bus": "ENOENT",
                "journal": "ENOENT",
                "log": "ENOENT",
                "file": "done: 1",
                "root of process 1": "done: 1",
                "kernel setting": "EROFS",
                "cgroup": "EROFS",
                "disk": "EPERM",
                "mount": True,
                "service": True,
            },
        ),
    ],
)
def test_the_host_is_the_same_after_a_shadow(host: str, scenario: str, seen: object) -> None:
    result = json.loads(on(host, f"PYTHONPATH=/root/collections python3 /root/scenarios.py {scenario}"))
    assert result == {"seen": seen, "changed": {}}
