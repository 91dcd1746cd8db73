# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment leaves behind: nothing in check mode, and a private key nowhere but in its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.web_fleet import ALL, DIRECTORIES, UNITS, WebFleet, server_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

WEEK = {server: {f"{server}_hsts_stage": "week"} for server in ALL}
# Everything below /etc and /var but the logs of logins, and every socket that listens with its process.
_STATE = (
    "{ find /etc /var -xdev ! -path '/var/log/journal*' ! -path /var/log/wtmp ! -path /var/log/lastlog "
    "-printf '%p %y %m %U %G %l %T@ ' \\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\) ; "
    "ss -Hlntup | awk '{print $1, $5, $7}' | sort; cat /proc/self/mountinfo | sort; } 2>/dev/null"
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebFleet]:
    fleet = WebFleet("traces", tmp_path_factory.mktemp("traces"))
    yield fleet
    fleet.down()


def state(fleet: WebFleet, host: str) -> list[str]:
    return fleet.ssh(host, _STATE).splitlines()


def test_check_mode_changes_nothing(fleet: WebFleet) -> None:
    before = {host: state(fleet, host) for host in fleet.hosts}
    previewed = fleet.deploy(WEEK, "--check", "--diff")

    assert not previewed.refusals
    assert all(previewed.changed.values())
    assert "604800" in previewed.output
    for host in fleet.hosts:
        assert state(fleet, host) == before[host], host


def test_a_refused_release_leaves_nothing(fleet: WebFleet) -> None:
    before = {host: state(fleet, host) for host in fleet.hosts}
    refused = fleet.deploy(
        {server: {f"{server}_minimum_grade": "A+", f"{server}_hsts_stage": "disabled"} for server in ALL}
    )

    assert set(refused.refusals) == set(fleet.hosts)
    for host in fleet.hosts:
        assert state(fleet, host) == before[host], host


@pytest.mark.parametrize("option", ["--check", "--diff"])
def test_a_private_key_occurs_nowhere_but_in_its_place(fleet: WebFleet, option: str) -> None:
    canaries = {host: fleet.ssh(host, "sed -n 2p /etc/ssl/ringmaster/site/privkey.pem").strip() for host in fleet.hosts}
    loud = fleet.deploy(WEEK if option == "--check" else {}, option, "-vvv")

    for host, canary in canaries.items():
        assert len(canary) == 64
        assert canary not in loud.output
        found = fleet.ssh(
            host,
            f"journalctl -o cat | grep -cF '{canary}'; grep -rlF '{canary}' /etc /var /root /tmp /run",
            check=False,
        )
        count, *files = found.splitlines()
        directory = DIRECTORIES[server_of(host)]
        assert count == "0"
        assert {name.partition("/ringmaster/")[0] for name in files} <= {directory, "/etc/ssl"}, files
        assert not [name for name in files if f"{directory}/ringmaster/releases" in name], files


@pytest.mark.parametrize("stage", ["week", "observe"])
def test_a_real_run_leaves_no_process_and_no_unit(fleet: WebFleet, stage: str) -> None:
    deployed = fleet.deploy({server: {f"{server}_hsts_stage": stage} for server in ALL})

    assert not deployed.refusals, deployed.refusals
    for host in fleet.hosts:
        assert not fleet.ssh(host, "systemctl list-units --all --plain --no-legend 'ringmaster-*'").strip()
        assert not fleet.ssh(host, "find /run /tmp -path '*ringmaster*' ! -name '*.lock'").strip()
        masters = fleet.ssh(host, "ps -eo pid=,ppid=,comm=").split("\n")
        program = UNITS[server_of(host)].partition(".")[0]
        assert len([line for line in masters if line.split()[1:] == ["1", program]]) == 1, masters
