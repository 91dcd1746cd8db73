# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repair that is interrupted or killed while dpkg runs leaves dpkg alone: the package is installed to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check, commands
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import DPKG_LOCKS, is_locked
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.dpkg_system import System
from .....peers.repairable import CONTENT, photograph

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")

BINARY = "/usr/bin/alpha"
INTERRUPTED = 7
#: dpkg that says when it installs, and does so when it is allowed to.
WAITING_DPKG = """#!/bin/sh
case "$*" in *--install*)
    : > {base}/started
    for round in $(seq 1200); do [ -e {base}/go ] && break; sleep 0.05; done
esac
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec dpkg "$@"
"""


@pytest.fixture
def system(repairable_system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setattr(check, "WORK_DIRECTORY", str(tmp_path))
    selection = ["dpkg", f"--root={repairable_system.root}", "--set-selections"]
    subprocess.run(selection, input=b"alpha hold\n", check=True, capture_output=True)
    program = tmp_path / "bin/dpkg"
    program.parent.mkdir()
    program.write_text(WAITING_DPKG.format(base=repairable_system.base))
    program.chmod(0o755)
    monkeypatch.setattr(commands, "PATH", f"{program.parent}:{commands.PATH}")
    return repairable_system


def run(system: System) -> dict[str, Any]:
    return repair(RepairOptions(Options(root=str(system.root), jobs=1), Policy("package", "digest")))


def wait_until(is_so: Callable[[], bool]) -> None:
    for _round in range(1200):
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("it never came to that")


def begin(system: System) -> int:
    """Repair in a process of its own; returns its number when dpkg has begun."""
    pid = os.fork()
    if pid == 0:
        status = 0
        try:
            run(system)
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            os._exit(status)
    wait_until((system.base / "started").exists)
    return pid


def frontend_is_locked(system: System) -> bool:
    tree = Tree(str(system.root))
    try:
        return is_locked(tree, DPKG_LOCKS[:1]) is not None
    finally:
        tree.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interruption_waits_for_dpkg(system: System, number: signal.Signals) -> None:
    sound = photograph(system.root)
    system.path(BINARY).write_bytes(b"x")
    pid = begin(system)
    os.kill(pid, number)
    time.sleep(0.2)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    (system.base / "go").touch()
    _pid, status = os.waitpid(pid, 0)
    if number == signal.SIGINT:
        assert os.waitstatus_to_exitcode(status) == INTERRUPTED
    else:
        assert os.waitstatus_to_exitcode(status) == -number
    assert photograph(system.root) == sound
    assert "Status: hold ok installed" in system.status.read_text()


def test_dpkg_outlives_a_repair_that_is_killed_and_keeps_its_lock(system: System) -> None:
    system.path(BINARY).write_bytes(b"x")
    pid = begin(system)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert "transaction is running" in run(system)["refusals"][0]["reason"]
    (system.base / "go").touch()
    wait_until(lambda: not frontend_is_locked(system))
    assert system.path(BINARY).read_bytes() == CONTENT[BINARY]
    assert "Status: hold" not in system.status.read_text()

    # Nothing is damaged any more, and the package is to be held all the same.
    result = run(system)
    assert result["failures"] == []
    assert (result["changed"], result["plan_totals"]["steps"]) == (True, 0)
    assert "Status: hold ok installed" in system.status.read_text()
    assert not run(system)["changed"]
