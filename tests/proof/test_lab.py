# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's promises, on real hosts: several labs side by side, reboots, and nothing left of runs that were killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
TAG = re.compile(r"\brml[a-z2-7]{9}")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")


class Lab:
    """The lab of a clone of its own, so that `clean` meets no other clone's labs."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone

    def run(self, *arguments: str) -> str:
        command = [sys.executable, str(self.clone / "extensions/lab/lab.py"), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def addresses(self, name: str) -> list[str]:
        rows = [line.split("\t") for line in self.run("list").splitlines()]
        return [row[3] for row in rows if row[0] == name]

    def ansible(self, name: str, *arguments: str) -> str:
        inventory = str(self.clone / "build/lab" / name / "inventory.yml")
        command = [sys.executable, "-m", "ansible", "adhoc", "all", "--inventory", inventory, *arguments]
        environment = {**os.environ, "ANSIBLE_HOME": str(self.clone / ".ansible")}
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=300, env=environment, cwd=self.clone
        ).stdout

    def boot_ids(self, name: str) -> set[str]:
        output = self.ansible(name, "--module-name=ansible.builtin.slurp", "--args=src=/proc/sys/kernel/random/boot_id")
        return set(re.findall(r'"content": "([^"]+)"', output))

    def tag(self, name: str) -> str:
        found = TAG.search(self.run("plan", name))
        assert found is not None
        return found.group()

    def traces(self) -> list[str]:
        """Return what of this clone's labs is on the machine: processes, links, namespaces, rules and mounts."""
        prefix = self.tag("any")[:8]
        listings = [
            ["ps", "-ewwo", "pid,args"],
            ["ip", "-o", "link"],
            ["ip", "netns", "list"],
            ["nft", "list", "tables"],
            ["cat", "/proc/mounts"],
        ]
        return [
            line
            for listing in listings
            for line in subprocess.run(listing, check=True, capture_output=True, text=True).stdout.splitlines()
            if prefix in line or (str(self.clone) in line and "plan" not in line)
        ]


@pytest.fixture(name="lab", scope="module")
def clone_of_the_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    clone = tmp_path_factory.mktemp("clone") / "web ops"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    if (ROOT / ".lab/base").is_dir():
        (clone / ".lab").mkdir()
        subprocess.run(["cp", "--archive", "--link", ROOT / ".lab/base", clone / ".lab/base"], check=True)
    lab = Lab(clone)
    yield lab
    lab.run("distclean")
    shutil.rmtree(clone.parent)


def test_labs_side_by_side_reboot_and_leave_nothing(lab: Lab) -> None:
    lab.run("up", "first", "--host", "web1=bookworm", "--host", "old1=bullseye")
    lab.run("up", "second", "--host", "web1=trixie")
    before = {name: lab.boot_ids(name) for name in ("first", "second")}
    lab.ansible("first", "--module-name=ansible.builtin.reboot")

    assert not set(lab.addresses("first")) & set(lab.addresses("second"))
    assert len(before["first"]) == 2
    assert not before["first"] & lab.boot_ids("first")
    assert before["second"] == lab.boot_ids("second")

    assert lab.traces() != []
    lab.run("down", "--all")
    assert lab.traces() == []


def test_a_taken_network_is_refused(lab: Lab) -> None:
    lab.run("up", "first", "--host", "web1=trixie")
    network = re.sub(r"\.\d+$", ".0/24", lab.addresses("first")[0])
    command = [sys.executable, str(lab.clone / "extensions/lab/lab.py"), "up", "second", "--network", network]
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    lab.run("down", "first")

    assert refused.returncode == 1
    assert network in refused.stderr


@pytest.mark.parametrize("victim", ["_supervise", "systemd-nspawn"])
def test_clean_leaves_nothing_of_a_killed_run(lab: Lab, victim: str) -> None:
    forwarding = FORWARDING.read_text(encoding="ascii")
    lab.run("up", "killed", "--host", "web1=trixie")
    numbers = [re.match(rf"\s*(\d+) .*{victim}", line) for line in lab.traces()]
    victims = [int(number.group(1)) for number in numbers if number]
    assert victims
    for process in victims:
        os.kill(process, signal.SIGKILL)
    shutil.rmtree(lab.clone / "build")
    lab.run("clean")

    assert lab.traces() == []
    assert FORWARDING.read_text(encoding="ascii") == forwarding
