# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""200 people in a PHP application whose session files are local, while its operators do what operators do.

They come without end, by both load balancers in turn; one who does not reach the one tries the other, as browsers do
with two addresses. The tests stand in the order in which the day goes: the last one kills a web server.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.php_fleet import BALANCERS, PhpFleet
from peers.session_visitors import Crowd, Seen, Visitor, log_in, visit_all

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

PEOPLE = 200
# What a load balancer learns, the other one knows a moment later.
PEERS_SECONDS = 1.0
# Three health checks, which wait for an answer that does not come.
NOTICED_SECONDS = 20.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhpFleet]:
    fleet = PhpFleet("php", tmp_path_factory.mktemp("php"))
    yield fleet
    fleet.down()


@pytest.fixture(scope="module")
def people(fleet: PhpFleet) -> list[Visitor]:
    doors = fleet.doors()
    people = [log_in(doors[number % len(doors)]) for number in range(PEOPLE)]
    time.sleep(PEERS_SECONDS)
    homes = Counter(each.home for each in people)
    print(f"{PEOPLE} people have logged in: {dict(homes)}")
    assert len(homes) == 3
    return people


def while_people_come(fleet: PhpFleet, people: list[Visitor], happens: Callable[[], object]) -> Seen:
    crowd = Crowd(people, fleet.doors())
    try:
        happens()
    finally:
        seen = crowd.leave()
    seen.add(visit_all(people, fleet.doors()))
    return seen


def assert_nobody_lost_anything(what: str, seen: Seen) -> None:
    print(f"{what}: {seen}")
    assert not seen.lost
    assert not seen.failures
    assert seen.requests > PEOPLE


def test_reloads(fleet: PhpFleet, people: list[Visitor]) -> None:
    def reload() -> None:
        for host in BALANCERS:
            fleet.reload(host)
            fleet.reload(host, times=2)
            time.sleep(2)

    seen = while_people_come(fleet, people, reload)

    assert_nobody_lost_anything("reloads", seen)
    assert seen.detours == 0


def test_drains(fleet: PhpFleet, people: list[Visitor]) -> None:
    new: dict[str, Counter[str]] = {}

    def drain() -> None:
        for state in ("drain", "ready"):
            fleet.set_server("web2", state)
            new[state] = Counter(log_in(door).home for door in fleet.doors() for _visitor in range(9))

    seen = while_people_come(fleet, people, drain)

    assert_nobody_lost_anything("drain", seen)
    assert seen.detours == 0
    assert "web2" not in new["drain"]
    assert "web2" in new["ready"]


@pytest.mark.parametrize("host", BALANCERS)
def test_reboot_of_a_load_balancer(fleet: PhpFleet, people: list[Visitor], host: str) -> None:
    def reboot() -> None:
        fleet.reboot(host)
        time.sleep(PEERS_SECONDS)

    seen = while_people_come(fleet, people, reboot)

    assert_nobody_lost_anything(f"reboot of {host}", seen)
    assert seen.detours > 0


def test_a_killed_web_server_takes_exactly_its_own_sessions_along(
    fleet: PhpFleet, people: list[Visitor], record_property: Callable[[str, object], None]
) -> None:
    def kill() -> None:
        fleet.kill("web3")
        time.sleep(NOTICED_SECONDS)

    seen = while_people_come(fleet, people, kill)
    its_own = {each.session for each in people if each.home == "web3"}

    others = PEOPLE - len(its_own)
    report = (
        f"web3 was killed: {len(seen.lost)} of {PEOPLE} sessions are lost. {len(its_own)} were in files on web3 alone,"
        f" and of the {others} on the other web servers {len(seen.lost - its_own)} are lost. {seen}"
    )
    print(report)
    record_property("report", report)
    assert its_own
    assert seen.lost == its_own
    assert not seen.failures
