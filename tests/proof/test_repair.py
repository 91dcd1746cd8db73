# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running host whose files are damaged, ssh's and systemd's among them, is repaired, reboots and is reached again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "repair"
HOST = "web1"
SEED = 20260928
DAMAGES = 120
MORE_PACKAGES = "nginx-light redis-server git vim-nox iputils-ping man-db rsyslog cron build-essential"
#: Those whose files may be damaged at random: nothing that this test itself needs to reach the host.
PACKAGES = (
    *("nginx-common", "nginx", "redis-tools", "git", "git-man", "vim-nox", "vim-runtime", "iputils-ping", "man-db"),
    *("rsyslog", "cron", "cpp-12", "gcc-12", "binutils-common", "openssh-client", "openssh-server", "systemd", "udev"),
    "dbus-bin",
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")


class RepairedHost:
    """One lab host. Everything goes over one connection, which survives that sshd's file is damaged."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._place = ROOT / "build/lab" / NAME
        self._lab("up", NAME, f"--host={HOST}=bookworm")

    def down(self) -> None:
        self._lab("down", NAME)

    def ssh(self, command: str, check: bool = True) -> str:
        return self._module("ansible.builtin.raw", command, check)["stdout"].strip()

    def send(self, source: Path, target: str) -> None:
        self._module("ansible.builtin.copy", json.dumps({"src": str(source), "dest": target, "mode": "0644"}))

    def repair(self, *more: str, **arguments: object) -> dict[str, Any]:
        options = json.dumps({"max_findings": 1000, **arguments})
        return self._module("ringmaster.webops.package_consistency", options, True, *more)

    def reset_connection(self) -> None:
        for socket in self._directory.glob("control-*"):
            subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", HOST], capture_output=True, check=False)

    def _module(self, module: str, arguments: str, check: bool = True, *more: str) -> dict[str, Any]:
        results = self._directory / "results"
        command = [sys.executable, "-m", "ansible", "adhoc", HOST, f"--inventory={self._place / 'inventory.yml'}"]
        environment = {
            **os.environ,
            "ANSIBLE_HOME": str(self._directory),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_SSH_CONTROL_PATH": str(self._directory / "control-%%h"),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=1800s",
        }
        arguments = [*command, f"--module-name={module}", f"--args={arguments}", f"--tree={results}", *more]
        done = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False, timeout=1800)
        result: dict[str, Any] = json.loads((results / HOST).read_text()) if (results / HOST).exists() else {}
        assert not check or done.returncode == 0, done.stdout[-5000:] + done.stderr
        return result if result else {"stdout": ""}

    def _lab(self, *arguments: str) -> None:
        command = [sys.executable, str(ROOT / "extensions/lab/lab.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def host() -> Iterator[RepairedHost]:
    # The name of the connection's socket must be short.
    directory = Path(f"/tmp/rm-repair-{os.getpid()}")
    directory.mkdir()
    host = RepairedHost(directory)
    host.ssh(
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "
        + MORE_PACKAGES
    )
    yield host
    host.reset_connection()
    host.down()


def damaged_by_dpkg(host: RepairedHost) -> list[str]:
    """Return what dpkg itself finds, but for conffiles. It would wait for ever at a FIFO in place of a file."""
    return [
        line
        for line in host.ssh("timeout 300 dpkg --verify", check=False).splitlines()
        if not re.match(r"\S+ +c ", line)
    ]


def failed_units(host: RepairedHost) -> str:
    return host.ssh("systemctl --failed --plain --no-legend --all")


def test_damaged_host_is_repaired_and_reboots(host: RepairedHost) -> None:
    installed = host.ssh("dpkg-query --show | md5sum")
    failed = failed_units(host)
    assert damaged_by_dpkg(host) == []
    host.send(ROOT / "tests/peers/host_damage.py", "/run/host_damage.py")
    damage = json.loads(host.ssh(f"python3 /run/host_damage.py {SEED} {DAMAGES} {' '.join(PACKAGES)}"))
    assert len(damage) == DAMAGES

    began = time.monotonic()
    planned = host.repair("--check")
    assert planned["before"]["findings_total"] >= DAMAGES
    assert planned["plan_totals"]["steps"] > 0

    repaired = host.repair()
    took = time.monotonic() - began
    print(f"| {DAMAGES} damages | {planned['plan_totals']} | {len(repaired['steps'])} steps | {took:.0f} s |")
    assert {step["status"] for step in repaired["steps"]} == {"done"}
    assert {step["trust"] for step in repaired["steps"]} == {"signed"}
    assert repaired["after"]["by_class"].keys() <= {"config_changed", "config_missing"}
    assert repaired["reboot"]["due"]
    assert damaged_by_dpkg(host) == []
    assert host.ssh("dpkg-query --show | md5sum") == installed
    assert not host.repair()["changed"]

    boot = host.ssh("cat /proc/sys/kernel/random/boot_id")
    host._module("ansible.builtin.reboot", "reboot_timeout=300")
    host.reset_connection()
    assert host.ssh("cat /proc/sys/kernel/random/boot_id") != boot
    assert failed_units(host) == failed
    assert host.ssh("systemctl is-active ssh dbus systemd-logind").split() == ["active"] * 3


def test_modes_owners_and_links_are_repaired_from_the_archive(host: RepairedHost) -> None:
    host.ssh(
        "chmod 0777 /usr/bin/ssh-keyscan && truncate --size=100 /usr/bin/ping && chown games:games /usr/bin/git && "
        "ln -sfn /nonexistent /usr/bin/slogin && chmod 0700 /usr/lib/git-core && chmod 0644 /usr/sbin/nginx"
    )
    arguments = {"packages": ["iputils-ping", "git", "openssh-client", "nginx"], "reference": "archive"}
    repaired = host.repair(**arguments)
    assert {step["status"] for step in repaired["steps"]} == {"done"}
    paths = "/usr/bin/ssh-keyscan /usr/bin/git /usr/lib/git-core /usr/sbin/nginx"
    assert host.ssh(f"stat -c '%a %U:%G' {paths}").splitlines() == ["755 root:root"] * 4
    assert host.ssh("readlink /usr/bin/slogin") == "ssh"
    # The kernel took it from the file that was cut off, and a script of the package has set it again.
    assert "cap_net_raw" in host.ssh("getcap /usr/bin/ping")
    assert not host.repair(**arguments)["changed"]


def test_whole_package_is_installed_again_and_no_service_is_restarted(host: RepairedHost) -> None:
    services = "ssh cron redis-server nginx"
    started = f"systemctl show --property=MainPID,ExecMainStartTimestampMonotonic --value {services}"
    before = host.ssh(started)
    # The postinst of nginx has /etc/init.d/nginx exchange all processes, of which systemd knows nothing.
    copyrights = (f"/usr/share/doc/{package}/copyright" for package in ("cron", "openssh-server", "nginx"))
    host.ssh(f"rm /usr/bin/redis-check-rdb {' '.join(copyrights)}")
    repaired = host.repair(strategy="package", packages=["cron", "openssh-server", "redis*", "nginx"])
    assert {step["kind"] for step in repaired["steps"]} == {"install_package"}
    assert {step["status"] for step in repaired["steps"]} == {"done"}
    assert host.ssh(started) == before
    host.ssh("test ! -e /usr/sbin/policy-rc.d")
