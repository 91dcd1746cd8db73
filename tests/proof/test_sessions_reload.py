# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reloads of one load balancer alone, on each release, while everybody comes back without end: no session is lost.

Of an unchanged configuration, and of one that has changed, as the role deploys it.

Nobody else has the table: what the new process does not get from the old one is gone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.session_fleet import FAILOVERS, SERVERS, WAYS, SessionFleet
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


def again_and_again(fleet: SessionFleet, host: str) -> None:
    for _reload in range(15):
        fleet.ssh(host, f"{_RELOAD}; sleep 0.5")


def right_after_a_cold_start(fleet: SessionFleet, host: str) -> None:
    """The crowd has logged in by then: see :func:`people`."""
    fleet.reload(host)


OCCASIONS: dict[str, Callable[[SessionFleet, str], None]] = {
    "once": once, "in quick succession": in_quick_succession, "again and again": again_and_again,
    "right after a cold start": right_after_a_cold_start,
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """Variables before and after, and how it shows: what the runtime socket answers to ``command`` then."""

    command: str
    shows: str
    after: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)


def change(name: str, fleet: SessionFleet, host: str) -> Change:
    peers = {"ca_directory": str(fleet.directory / "peers"), "address": fleet.address(host)}
    other = next(each for each in HOSTS if each != host)
    return {
        "another port": Change("show servers state app_return", f" {WAYS['plain']} ", {"way": "plain"}),
        "TLS to a server": Change("show servers state app_return", f" {WAYS['tls']} ", {"way": "tls"}),
        # Its peers listen where the other one will look for them: they cannot move without forgetting.
        "another load balancer": Change(
            "show peers",
            f"id={other}(remote",
            {"haproxy_peers": peers, "haproxy_load_balancers": "all"},
            {"haproxy_peers": peers},
        ),
    }[name]


CHANGES = ("another port", "TLS to a server", "another load balancer")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionFleet]:
    fleet = SessionFleet("sessions", tmp_path_factory.mktemp("sessions"), HOSTS, list(HOSTS))
    yield fleet
    fleet.down()


def people(doors: dict[str, Door]) -> dict[str, list[Visitor]]:
    return {kind: [log_in(door) for _visitor in range(SESSIONS)] for kind, door in doors.items()}


def watch(
    fleet: SessionFleet,
    host: str,
    what: str,
    happens: Callable[[], object],
    record_property: Callable[[str, object], None],
) -> None:
    """Have people log in and come back without end while something happens; nobody may lose anything."""
    doors = {kind: Door(fleet.address(host), port) for kind, port in FAILOVERS.items()}
    visitors = people(doors)
    crowds = {kind: Crowd(visitors[kind], [door], threads=2) for kind, door in doors.items()}
    try:
        happens()
        time.sleep(2)
    finally:
        seen = {kind: crowd.leave() for kind, crowd in crowds.items()}

    # Whoever met a process that did not know the session yet is lost, even where it is known again afterwards.
    afterwards = {kind: visit_all(visitors[kind], [door]) for kind, door in doors.items()}
    for kind in doors:
        report = f"{SESSIONS} sessions; during: {seen[kind]}; afterwards: {afterwards[kind]}"
        print(f"{host}, {what}, {kind}: {report}")
        record_property(kind, report)
    for each in (*seen.values(), *afterwards.values()):
        assert not each.lost, each
        assert not each.failures, each
        assert each.requests > 0


@pytest.mark.parametrize("occasion", OCCASIONS)
@pytest.mark.parametrize("host", HOSTS)
def test_no_reload_loses_a_session(
    fleet: SessionFleet, host: str, occasion: str, record_property: Callable[[str, object], None]
) -> None:
    for server in SERVERS:
        fleet.wait_until(server, "UP", [host])
    if occasion == "right after a cold start":
        fleet.ssh(host, "systemctl restart haproxy.service")
    watch(fleet, host, occasion, lambda: OCCASIONS[occasion](fleet, host), record_property)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("host", HOSTS)
def test_no_change_of_the_configuration_loses_a_session(
    fleet: SessionFleet, host: str, name: str, record_property: Callable[[str, object], None]
) -> None:
    changed = change(name, fleet, host)
    fleet.deploy([host], **changed.before)
    for server in SERVERS:
        fleet.wait_until(server, "UP", [host])
    assert changed.shows not in fleet.runtime(host, changed.command)
    watch(fleet, host, name, lambda: fleet.deploy([host], **changed.after), record_property)
    assert changed.shows in fleet.runtime(host, changed.command)
