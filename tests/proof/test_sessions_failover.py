# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where sessions are when a server or a load balancer goes and comes back, for each kind of failover.

Two load balancers of different releases share their tables; visitors come by both in turn. The table of what happens is
that of the filter's documentation: `return` does what HAProxy 1.5 did.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.session_fleet import FAILOVERS, SessionFleet
from peers.session_visitors import Answer, Door, Visitor, ask, in_parallel, log_in, visit_all

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

VICTIM = "s1"
# So many sessions that live on the victim, of each kind of failover, and how often each comes back meanwhile, twice.
SESSIONS = 3
ROUNDS = 6
# What a load balancer learns, the other one knows a moment later.
PEERS_SECONDS = 0.3

# Where the victim's sessions are while it is away, and afterwards.
RETURN = ("spread", "home")
MOVE = ("moved", "moved")
STAY = ("home", "home")
AWAY = {"return": RETURN, "first_wins": MOVE, "rebind": MOVE}
EVERYWHERE = dict.fromkeys(FAILOVERS, STAY)


@dataclass(frozen=True)
class Event:
    """What happens to the victim, how it ends, and what is expected.

    ``is_noticed`` says whether the load balancers know; where they do not, each session comes once meanwhile, because
    that is what moves it.
    """

    begin: Callable[[SessionFleet], None]
    end: Callable[[SessionFleet], None]
    expected: dict[str, tuple[str, str]]
    is_noticed: bool = True


def die(fleet: SessionFleet) -> None:
    fleet.kill(VICTIM)
    fleet.wait_until(VICTIM, "DOWN")


def live(fleet: SessionFleet) -> None:
    fleet.start(VICTIM)
    fleet.wait_until(VICTIM, "UP")


def go_away_unnoticed(fleet: SessionFleet) -> None:
    fleet.tell(f"disable health {{backend}}/{VICTIM}")
    fleet.kill(VICTIM)


def come_back_unnoticed(fleet: SessionFleet) -> None:
    fleet.start(VICTIM)
    fleet.tell(f"enable health {{backend}}/{VICTIM}")
    fleet.wait_until(VICTIM, "UP")


def state(name: str, status: str) -> Callable[[SessionFleet], None]:
    def change(fleet: SessionFleet) -> None:
        fleet.tell(f"set server {{backend}}/{VICTIM} state {name}")
        fleet.wait_until(VICTIM, status)

    return change


def weight(percentage: int) -> Callable[[SessionFleet], None]:
    return lambda fleet: fleet.tell(f"set server {{backend}}/{VICTIM} weight {percentage}%")


EVENTS = {
    "killed": Event(die, live, AWAY),
    "maintenance": Event(state("maint", "MAINT"), state("ready", "UP"), AWAY),
    "drain": Event(state("drain", "DRAIN"), state("ready", "UP"), EVERYWHERE),
    "weight 0": Event(weight(0), weight(100), EVERYWHERE),
    # Killed and back before a health check notices: every request is answered, by a survivor.
    "a moment": Event(
        go_away_unnoticed,
        come_back_unnoticed,
        {"return": ("moved", "home"), "first_wins": MOVE, "rebind": MOVE},
        is_noticed=False,
    ),
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionFleet]:
    hosts = {"lb1": "bookworm", "lb2": "trixie", "web1": "bookworm"}
    fleet = SessionFleet("sessions", tmp_path_factory.mktemp("sessions"), hosts, ["lb1", "lb2"], home="web1")
    for server in ("s1", "s2", "s3"):
        fleet.wait_until(server, "UP")
    yield fleet
    fleet.down()


@dataclass
class Guests:
    """The sessions of one kind of failover: those on the victim, and the others."""

    doors: list[Door]
    affected: list[Visitor]
    others: list[Visitor]


def come(every: dict[str, Guests], rounds: int) -> dict[str, list[list[str]]]:
    """Have the affected ones come back, by each door in turn; return the hosts that answered each of them, by kind."""
    seen: dict[str, list[list[str]]] = {kind: [[] for _visitor in each.affected] for kind, each in every.items()}
    asking = [(kind, at, visitor) for kind, each in every.items() for at, visitor in enumerate(each.affected)]
    for number in range(rounds):
        calls = [visits(visitor, every[kind].doors[number % 2]) for kind, _at, visitor in asking]
        for (kind, at, _visitor), answer in zip(asking, in_parallel(calls)):
            seen[kind][at].append(answer.host)
        time.sleep(PEERS_SECONDS)
    return seen


def visits(visitor: Visitor, door: Door) -> Callable[[], Answer]:
    return lambda: visitor.visit(door)


def guests(doors: list[Door]) -> Guests:
    affected: list[Visitor] = []
    others: list[Visitor] = []
    for number in range(20 * SESSIONS):
        visitor = log_in(doors[number % len(doors)])
        (affected if visitor.home == VICTIM else others).append(visitor)
        if len(affected) == SESSIONS and others:
            return Guests(doors, affected, others)
    raise AssertionError(f"{VICTIM} got {len(affected)} of {20 * SESSIONS} visitors")


def place(seen: list[list[str]]) -> str:
    """Say where the victim's sessions are: at home, each moved to one survivor, or spread request by request."""
    if all(set(hosts) == {VICTIM} for hosts in seen):
        return "home"
    assert all(VICTIM not in hosts for hosts in seen), seen
    return "moved" if all(len(set(hosts)) == 1 for hosts in seen) else "spread"


def together(first: list[list[str]], then: list[list[str]]) -> list[list[str]]:
    return [a + b for a, b in zip(first, then)]


@pytest.mark.parametrize("is_reloaded", [False, True], ids=["", "reloaded"])
@pytest.mark.parametrize("name", EVENTS)
def test_the_victims_sessions(fleet: SessionFleet, name: str, is_reloaded: bool) -> None:
    event = EVENTS[name]
    rounds = ROUNDS if event.is_noticed else 1
    every = {kind: guests(fleet.doors(kind)) for kind in FAILOVERS}
    time.sleep(PEERS_SECONDS)
    event.begin(fleet)
    during = come(every, rounds)
    if is_reloaded:
        for host in fleet.balancers:
            fleet.reload(host)
    if event.is_noticed:
        then = come(every, rounds)
        during = {kind: together(during[kind], then[kind]) for kind in FAILOVERS}
        new = {log_in(door).home for kind in FAILOVERS for door in fleet.doors(kind) for _visitor in range(3)}
        assert VICTIM not in new
    event.end(fleet)
    after = come(every, 2)

    assert {kind: (place(during[kind]), place(after[kind])) for kind in FAILOVERS} == event.expected
    for kind in FAILOVERS:
        if event.expected[kind] == MOVE:
            assert place(together(during[kind], after[kind])) == "moved"
    for kind, each in every.items():
        seen = visit_all(each.others, each.doors)
        assert not seen.lost, (kind, seen)
        assert not seen.failures, (kind, seen)


@pytest.mark.parametrize("doors", ["one", "both"])
def test_parallel_first_requests(fleet: SessionFleet, doors: str) -> None:
    """Two servers set the same id, the one that was asked first answers last."""
    # Whose is the session: that of the server that answered first, or last?
    expected = {"return": "first", "first_wins": "first", "rebind": "last"}
    owners: dict[str, set[str]] = {kind: set() for kind in FAILOVERS}
    for kind in FAILOVERS:
        entrances = fleet.doors(kind) if doors == "both" else fleet.doors(kind)[:1] * 2
        for _attempt in range(6):
            log_in(entrances[0])  # the load balancers take servers in turn; in step they would choose the same ones
            session = secrets.token_hex(13)
            last, first = race(entrances, session)
            time.sleep(PEERS_SECONDS)
            if last == first:
                continue  # both load balancers chose the same server
            seen = {Visitor(session, "").visit(door).host for door in fleet.doors(kind)}
            owners[kind].add({frozenset({first}): "first", frozenset({last}): "last"}.get(frozenset(seen), str(seen)))

    assert owners == {kind: {owner} for kind, owner in expected.items()}


def race(doors: Sequence[Door], session: str) -> tuple[str, str]:
    """Return the hosts that answered last and first."""

    def answer(door: Door, after_ms: int, slow_ms: int) -> Answer:
        time.sleep(after_ms / 1000)
        return ask(door, f"/slow/{slow_ms}", headers={"X-Session": session})

    slow, fast = in_parallel([lambda: answer(doors[0], 0, 900), lambda: answer(doors[1], 200, 200)])
    return slow.host, fast.host


@pytest.mark.parametrize("is_reloaded", [False, True], ids=["", "reloaded"])
@pytest.mark.parametrize("lost", ["lb1", "lb2"])
def test_loss_of_a_load_balancer(fleet: SessionFleet, lost: str, is_reloaded: bool) -> None:
    other = next(host for host in fleet.balancers if host != lost)
    at = {host: {kind: Door(fleet.address(host), port) for kind, port in FAILOVERS.items()} for host in fleet.balancers}
    before = {kind: [log_in(door) for door in fleet.doors(kind) for _visitor in range(10)] for kind in FAILOVERS}
    time.sleep(PEERS_SECONDS)
    fleet.ssh(lost, "systemctl kill --signal=KILL haproxy.service; systemctl stop haproxy.service")
    alone = {kind: visit_all(visitors, [at[other][kind]]) for kind, visitors in before.items()}
    meanwhile = {kind: [log_in(at[other][kind]) for _visitor in range(10)] for kind in FAILOVERS}
    if is_reloaded:
        fleet.reload(other)
    fleet.ssh(lost, "systemctl start haproxy.service")
    if is_reloaded:
        fleet.reload(lost)
    else:
        time.sleep(2)
    back = {kind: visit_all(before[kind] + meanwhile[kind], [at[lost][kind], at[other][kind]]) for kind in FAILOVERS}

    for seen in (*alone.values(), *back.values()):
        assert not seen.lost, seen
        assert not seen.failures, seen
    for kind in FAILOVERS:
        assert fleet.entries(lost, kind) == fleet.entries(other, kind) >= 30
