# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reloads of one load balancer alone, on each release, while everybody comes back without end: no session is lost.

Nobody else has the table: what the new process does not get from the old one is gone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.session_fleet import FAILOVERS, SERVERS, SessionFleet
from peers.session_visitors import Crowd, Door, Visitor, log_in, visit_all

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

HOSTS = {"haproxy11": "bullseye", "haproxy12": "bookworm", "haproxy13": "trixie"}
SESSIONS = 100
_RELOAD = "systemctl reset-failed haproxy.service; systemctl reload haproxy.service"


def once(fleet: SessionFleet, host: str) -> None:
    fleet.reload(host)


def in_quick_succession(fleet: SessionFleet, host: str) -> None:
    fleet.ssh(host, f"{_RELOAD}; {_RELOAD}")
    fleet.reload(host)


def right_after_a_cold_start(fleet: SessionFleet, host: str) -> None:
    """The crowd has logged in by then: see :func:`people`."""
    fleet.reload(host)


OCCASIONS: dict[str, Callable[[SessionFleet, str], None]] = {
    "once": once, "in quick succession": in_quick_succession, "right after a cold start": right_after_a_cold_start,
}  # fmt: skip


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionFleet]:
    fleet = SessionFleet("sessions", tmp_path_factory.mktemp("sessions"), HOSTS, list(HOSTS))
    yield fleet
    fleet.down()


def people(doors: dict[str, Door]) -> dict[str, list[Visitor]]:
    return {kind: [log_in(door) for _visitor in range(SESSIONS)] for kind, door in doors.items()}


@pytest.mark.parametrize("occasion", OCCASIONS)
@pytest.mark.parametrize("host", HOSTS)
def test_no_reload_loses_a_session(
    fleet: SessionFleet, host: str, occasion: str, record_property: Callable[[str, object], None]
) -> None:
    doors = {kind: Door(fleet.address(host), port) for kind, port in FAILOVERS.items()}
    for server in SERVERS:
        fleet.wait_until(server, "UP", [host])
    if occasion == "right after a cold start":
        fleet.ssh(host, "systemctl restart haproxy.service")
    visitors = people(doors)
    crowds = {kind: Crowd(visitors[kind], [door], threads=2) for kind, door in doors.items()}
    try:
        OCCASIONS[occasion](fleet, host)
        time.sleep(2)
    finally:
        seen = {kind: crowd.leave() for kind, crowd in crowds.items()}

    # Whoever met a process that did not know the session yet is lost, even where it is known again afterwards.
    afterwards = {kind: visit_all(visitors[kind], [door]) for kind, door in doors.items()}
    for kind in doors:
        report = f"{SESSIONS} sessions; during: {seen[kind]}; afterwards: {afterwards[kind]}"
        print(f"{host}, {occasion}, {kind}: {report}")
        record_property(kind, report)
    for each in (*seen.values(), *afterwards.values()):
        assert not each.lost, each
        assert not each.failures, each
        assert each.requests > 0
