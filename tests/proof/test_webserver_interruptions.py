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
from peers.web_fleet import ALL, DIRECTORIES, HOSTS, NAME, UNITS, WebFleet, assert_all_served, server_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

STAGES = ("staging", "testing", "shadow", "measuring", "writing", "arming", "switching", "reloading", "confirming")
RELOADS = 100
MAX_AGE_SECONDS = {"observe": 300, "week": 604800}
WEEK = {server: {f"{server}_hsts_stage": "week"} for server in ALL}
CONFIRM_TIMEOUT_SECONDS = 120
# Waits on a host until the lock of a deployment names a stage, and does something about it then. It is told of every
# change (inotify(7)): a process that kept looking would take the time that the deployment needs.
_WATCH = r"""
import ctypes, os, re, signal, subprocess, sys
path, stages, deed = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
IN_MODIFY = 2
libc = ctypes.CDLL(None, use_errno=True)
events = libc.inotify_init()
lock = os.open(path, os.O_RDONLY)
assert libc.inotify_add_watch(events, path.encode(), IN_MODIFY) >= 0, os.strerror(ctypes.get_errno())
found = None
while not (found and found[2].decode() in stages):
    os.read(events, 65536)
    found = re.match(rb"(\d+) (\w+)", os.pread(lock, 64, 0))
if deed == "kill":
    os.kill(int(found[1]), signal.SIGKILL)
with open("/run/watch.done", "wb") as stream:
    stream.write(found[2])
if deed != "kill":
    subprocess.run(["sh", "-c", deed], check=True)
"""
# Keeps what is live at that moment, and lets nobody in to port 22 until the way back has acted.
_CUT_OFF = (
    "readlink {current} > /run/live; nft add table inet lost; "
    "nft 'add chain inet lost in {{ type filter hook input priority 0; }}'; "
    f"nft add rule inet lost in tcp dport 22 drop; sleep {CONFIRM_TIMEOUT_SECONDS + 30}; nft delete table inet lost"
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebFleet]:
    fleet = WebFleet("interruptions", tmp_path_factory.mktemp("interruptions"))
    yield fleet
    fleet.down()


def watch(fleet: WebFleet, host: str, stages: str, deed: str) -> None:
    script = fleet.directory / "watch.py"
    script.write_text(_WATCH, encoding="utf-8")
    fleet.send(host, script, "/run/watch.py")
    lock = f"/run/lock/ringmaster-{server_of(host)}.lock"
    fleet.ssh(
        host,
        f"rm -f /run/watch.done {lock}; install -m 0600 /dev/null {lock}; "
        f'systemd-run --quiet --collect --unit=watch python3 /run/watch.py {lock} {stages} "{deed}"',
    )


def stage_of_the_deed(fleet: WebFleet, host: str) -> str:
    """Return the stage at which the watcher acted, empty if it did not."""
    stage = fleet.ssh(host, "cat /run/watch.done", check=False)
    fleet.ssh(host, "systemctl stop watch.service", check=False)
    return stage


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("host", HOSTS)
def test_killed_at_a_stage(fleet: WebFleet, host: str, stage: str) -> None:
    server = server_of(host)
    before = fleet.live(host)
    visitors = Visitors(fleet.address(host), 443, NAME)
    try:
        # One that is over within a millisecond may be another by the time that the watcher looks.
        watch(fleet, host, ",".join(STAGES[STAGES.index(stage) :]), "kill")
        killed = fleet.deploy({server: WEEK[server]}, hosts=[host])
        killed_at = stage_of_the_deed(fleet, host)
        told = fleet.max_age_seconds(host)
        repaired = fleet.deploy({server: {}}, hosts=[host])
    finally:
        seen = visitors.leave()

    print(f"| {host} | {stage} | {killed_at} | {told} | {seen} |")
    assert killed_at
    assert host in killed.refusals, killed.output
    assert told in MAX_AGE_SECONDS.values()
    assert not repaired.refusals, repaired.refusals
    assert_all_served(host, seen)
    assert fleet.live(host) == before
    assert fleet.max_age_seconds(host) == MAX_AGE_SECONDS["observe"]
    assert not fleet.ssh(host, "systemctl list-units --plain --no-legend 'ringmaster-*-way-back*'").strip()


@pytest.mark.parametrize("host", HOSTS)
def test_the_way_back_acts_where_the_host_is_lost_after_the_switch(fleet: WebFleet, host: str) -> None:
    server = server_of(host)
    before = fleet.live(host)
    fleet.ssh(host, "command -v nft >/dev/null || apt-get install --yes --quiet nftables >/dev/null")
    visitors = Visitors(fleet.address(host), 443, NAME)
    try:
        watch(fleet, host, "reloading,confirming", _CUT_OFF.format(current=f"{DIRECTORIES[server]}/ringmaster/current"))
        lost = fleet.deploy({server: WEEK[server]}, hosts=[host])
        time.sleep(CONFIRM_TIMEOUT_SECONDS + 40)
    finally:
        seen = visitors.leave()

    print(f"| {host} | lost after the switch | {seen} |")
    assert lost.refusals.get(host) or host in lost.unreachable, lost.output
    assert fleet.ssh(host, "cat /run/live").strip() not in ("", before)
    assert fleet.live(host) == before
    assert "Started" in fleet.ssh(host, f"journalctl --output=cat --unit=ringmaster-{server}-way-back.service")
    assert_all_served(host, seen)
    assert fleet.max_age_seconds(host) == MAX_AGE_SECONDS["observe"]
    assert not fleet.deploy({server: {}}, hosts=[host]).refusals


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_reboots_after_the_switch_comes_up_with_what_it_had(fleet: WebFleet, host: str) -> None:
    server = server_of(host)
    before = fleet.live(host)
    boot = fleet.ssh(host, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1")
    watch(fleet, host, "reloading,confirming", "systemctl reboot --force")
    lost = fleet.deploy({server: WEEK[server]}, hosts=[host])
    deadline = time.monotonic() + 120
    while fleet.ssh(host, f"stat -c %Y /proc/1; systemctl is-active {UNITS[server]}", check=False).split()[1:] != [
        "active"
    ]:
        assert time.monotonic() < deadline
        time.sleep(1)

    assert lost.refusals.get(host) or host in lost.unreachable, lost.output
    assert fleet.ssh(host, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1") != boot
    assert fleet.live(host) == before
    assert fleet.max_age_seconds(host) == MAX_AGE_SECONDS["observe"]
    assert not fleet.deploy({server: {}}, hosts=[host]).refusals
    assert not fleet.ssh(host, "ls /etc/tmpfiles.d").strip()


@pytest.mark.parametrize("host", HOSTS)
def test_reloads_under_load(fleet: WebFleet, host: str) -> None:
    unit = UNITS[server_of(host)]
    visitors = Visitors(fleet.address(host), 443, NAME)
    try:
        fleet.ssh(
            host,
            f"rm -f /run/reloads.done; systemd-run --quiet --collect --unit=reloads sh -c 'for i in $(seq {RELOADS}); "
            f"do systemctl reset-failed {unit}; systemctl reload {unit} || exit; sleep 0.2; done; "
            "touch /run/reloads.done'",
        )
        deadline = time.monotonic() + 300
        while not fleet.ssh(host, "ls /run/reloads.done", check=False):
            assert time.monotonic() < deadline
            time.sleep(2)
    finally:
        seen = visitors.leave()

    print(f"| {host} | {RELOADS} reloads | {seen} |")
    assert_all_served(host, seen)
