# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back of a switch that nobody confirms: gone by the real script, or by the real systemd-tmpfiles at boot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import activate
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import wanted as wanted_module
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.state import read_state

from . import simulated
from .simulated import STOCK, WAY_BACK, SimulatedHost, boot_files, deploy, wanted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
host, layout, lock = simulated.host, simulated.layout, simulated.lock


@pytest.fixture(autouse=True)
def _nothing_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted_module, "held_sockets", lambda _unit: [])


@pytest.mark.parametrize("was_active", [True, False])
def test_the_script_of_the_way_back(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, was_active: bool
) -> None:
    """The real script, with a systemctl that notes what it is told."""
    deploy(layout, lock, tmp_path, "old")
    host.active = was_active
    activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    (programs / "systemctl").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    subprocess.run(list(host.timers[WAY_BACK]), check=True, env={"PATH": path})
    assert host.configuration() == "old"
    assert (tmp_path / "told").read_text() == ("reload nginx.service\n" if was_active else "stop nginx.service\n")
    assert sorted(path.name for path in layout.directory.iterdir()) == ["current", "keys", "releases", "state.json"]


def boot(host: SimulatedHost, *options: str) -> None:
    """Do with them what a host does when it boots, with the real program."""
    host.timers = {}
    subprocess.run(["systemd-tmpfiles", "--create", *options, f"--root={host.root}", *boot_files(host)], check=True)


@pytest.mark.parametrize("first", [True, False], ids=["taking over", "later"])
def test_a_host_that_is_restarted_before_the_switch_is_confirmed_boots_with_the_old_release(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, first: bool
) -> None:
    old = STOCK.decode() if first else "old"
    if not first:
        deploy(layout, lock, tmp_path, "old")
    activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    boot(host, "--boot")
    assert host.configuration() == old
    assert activate.repair(layout, check_mode=False)
    assert (host.served, read_state(layout).pending, boot_files(host)) == (old, None, [])


def test_the_way_back_of_a_restarted_host_is_gone_by_nobody_else(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    boot(host)
    assert host.configuration() == "new"


def test_a_host_that_is_restarted_after_the_switch_is_confirmed_boots_with_the_new_release(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    deploy(layout, lock, tmp_path, "new")
    assert boot_files(host) == []
