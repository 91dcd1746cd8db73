# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments that are cut off, servers that reload under load: no visitor notices, the next run makes it good."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.visitors import Visitors
from peers.web_fleet import ALL, NAME, UNITS, WebFleet, assert_all_served, server_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

STAGES = ("staging", "testing", "shadow", "measuring", "writing", "arming", "switching", "reloading", "confirming")
RELOADS = 100
MAX_AGE_SECONDS = {"observe": 300, "week": 604800}
WEEK = {server: {f"{server}_hsts_stage": "week"} for server in ALL}
CONFIRM_TIMEOUT_SECONDS = 120
# Waits on a host until the lock of a deployment names a stage, and does something about it then.
_WATCH = r"""
import os, re, signal, subprocess, sys
path, stage, deed = sys.argv[1:]
found = None
while not (found and found[2].decode() == stage):
    try:
        with open(path, "rb") as stream:
            found = re.match(rb"(\d+) (\w+)", stream.read(64))
    except OSError:
        pass
if deed == "kill":
    os.kill(int(found[1]), signal.SIGKILL)
open("/run/watch.done", "w").close()
if deed != "kill":
    subprocess.run(["sh", "-c", deed], check=True)
"""
_CUT_OFF = (
    "nft add table inet lost; nft 'add chain inet lost in { type filter hook input priority 0; }'; "
    f"nft add rule inet lost in tcp dport 22 drop; sleep {CONFIRM_TIMEOUT_SECONDS + 30}; nft delete table inet lost"
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebFleet]:
    fleet = WebFleet("interruptions", tmp_path_factory.mktemp("interruptions"))
    yield fleet
    fleet.down()


def watch(fleet: WebFleet, stage: str, deed: str) -> None:
    script = fleet.directory / "watch.py"
    script.write_text(_WATCH, encoding="utf-8")
    for host in fleet.hosts:
        fleet.send(host, script, "/run/watch.py")
        lock = f"/run/lock/ringmaster-{server_of(host)}.lock"
        fleet.ssh(
            host,
            f"rm -f /run/watch.done {lock}; "
            f'systemd-run --quiet --collect --unit=watch python3 /run/watch.py {lock} {stage} "{deed}"',
        )


def watchers_that_acted(fleet: WebFleet) -> list[str]:
    acted = [host for host in fleet.hosts if fleet.ssh(host, "ls /run/watch.done", check=False)]
    for host in fleet.hosts:
        fleet.ssh(host, "systemctl stop watch.service", check=False)
    return acted


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_a_stage(fleet: WebFleet, stage: str) -> None:
    before = {host: fleet.live(host) for host in fleet.hosts}
    visitors = {host: Visitors(fleet.address(host), 443, NAME) for host in fleet.hosts}
    try:
        watch(fleet, stage, "kill")
        killed = fleet.deploy(WEEK)
        acted = watchers_that_acted(fleet)
        told = {host: fleet.max_age_seconds(host) for host in fleet.hosts}
        repaired = fleet.deploy({})
    finally:
        seen = {host: each.leave() for host, each in visitors.items()}

    assert acted == list(fleet.hosts)
    assert sorted(killed.refusals) == sorted(fleet.hosts), killed.output
    assert set(told.values()) <= set(MAX_AGE_SECONDS.values())
    assert not repaired.refusals, repaired.refusals
    for host in fleet.hosts:
        assert_all_served(host, seen[host])
        assert fleet.live(host) == before[host]
        assert fleet.max_age_seconds(host) == MAX_AGE_SECONDS["observe"]
        assert not fleet.ssh(host, "systemctl list-units --plain --no-legend 'ringmaster-*'").strip()
    assert set(fleet.deploy({}).changed.values()) == {0}


def test_the_way_back_acts_where_the_host_is_lost_after_the_switch(fleet: WebFleet) -> None:
    before = {host: fleet.live(host) for host in fleet.hosts}
    for host in fleet.hosts:
        fleet.ssh(host, "command -v nft >/dev/null || apt-get install --yes --quiet nftables >/dev/null")
    visitors = {host: Visitors(fleet.address(host), 443, NAME) for host in fleet.hosts}
    try:
        watch(fleet, "reloading", _CUT_OFF)
        lost = fleet.deploy(WEEK)
        told = {host: fleet.max_age_seconds(host) for host in fleet.hosts}
        time.sleep(CONFIRM_TIMEOUT_SECONDS + 40)
    finally:
        seen = {host: each.leave() for host, each in visitors.items()}

    assert set(lost.refusals) | lost.unreachable == set(fleet.hosts), lost.output
    assert set(told.values()) == {MAX_AGE_SECONDS["week"]}
    for host in fleet.hosts:
        assert_all_served(host, seen[host])
        assert fleet.live(host) == before[host]
        assert fleet.max_age_seconds(host) == MAX_AGE_SECONDS["observe"]
    assert not fleet.deploy({}).refusals


def test_reloads_under_load(fleet: WebFleet, record_property: pytest.RecordProperty) -> None:
    visitors = {host: Visitors(fleet.address(host), 443, NAME) for host in fleet.hosts}
    try:
        for host in fleet.hosts:
            fleet.ssh(
                host,
                f"systemd-run --quiet --collect --unit=reloads sh -c 'for i in $(seq {RELOADS}); do "
                f"systemctl reset-failed {UNITS[server_of(host)]}; systemctl reload {UNITS[server_of(host)]} || exit; "
                "sleep 0.2; done; touch /run/reloads.done'",
            )
        deadline = time.monotonic() + 300
        while not all(fleet.ssh(host, "ls /run/reloads.done", check=False) for host in fleet.hosts):
            assert time.monotonic() < deadline
            time.sleep(2)
    finally:
        seen = {host: each.leave() for host, each in visitors.items()}

    for host in fleet.hosts:
        print(f"{host}: {RELOADS} reloads, {seen[host]}")
        record_property(host, str(seen[host]))
        assert_all_served(host, seen[host])
