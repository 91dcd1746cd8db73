# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to a running HAProxy, and undone when it fails. HAProxy is simulated; a real one is in the integration
tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy import drain, plan
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.runtime import RuntimeSocket
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import Server
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock

from .simulated import Simulated, listening, server

AT_ONCE = drain.Patience(0, 0)
SHORTLY = drain.Patience(0.1, 0.1)
LONG = drain.Patience(10, 10)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "_PAUSE_SECONDS", 0.01)


@contextmanager
def run(directory: Path, haproxy: Simulated) -> Iterator[RuntimeSocket]:
    with listening(directory, lambda command: haproxy.answer(command).encode()) as path:
        yield RuntimeSocket(path)


def carry_out(
    directory: Path,
    haproxy: Simulated,
    state: str | None,
    patience: drain.Patience = AT_ONCE,
    weight: str | None = None,
) -> list[drain.Outcome]:
    request = plan.Request("*", "s1", state, weight, 1)
    with run(directory, haproxy) as runtime:
        return drain.carry_out(runtime, request, patience, Lock("test", directory))


def two_backends(**changes: object) -> list[Server]:
    return [server("s1", **changes), server("s2"), server("s1", "api", **changes), server("s2", "api")]


def leaving(haproxy: Simulated, looks: int) -> None:
    """Have the open session of s1 end once it was looked at so many times in drain."""
    seen = iter(range(looks))

    def reply(command: str) -> str | None:
        in_drain = any(each.state == "drain" for each in haproxy.servers)
        if command.startswith("show stat") and in_drain and next(seen, None) is None:
            haproxy.servers = [replace(each, open_sessions=0) for each in haproxy.servers]
        return None

    haproxy.reply = reply


def test_maintenance_waits_in_drain_for_open_sessions(tmp_path: Path) -> None:
    haproxy = Simulated([server("s1", open_sessions=2), server("s2")])
    leaving(haproxy, looks=3)

    (outcome,) = carry_out(tmp_path, haproxy, "maintenance", LONG)

    assert haproxy.orders == ["set server app/s1 state drain", "set server app/s1 state maint"]
    assert (outcome.open_sessions, outcome.after.state) == (0, "maintenance")


def test_maintenance_comes_when_the_time_is_over(tmp_path: Path) -> None:
    haproxy = Simulated([server("s1", open_sessions=2), server("s2")])

    (outcome,) = carry_out(tmp_path, haproxy, "maintenance", SHORTLY)

    assert haproxy.orders == ["set server app/s1 state drain", "set server app/s1 state maint"]
    assert outcome.open_sessions == 2


def test_maintenance_without_time_is_at_once(tmp_path: Path) -> None:
    haproxy = Simulated([server("s1", open_sessions=2), server("s2")])

    carry_out(tmp_path, haproxy, "maintenance")

    assert haproxy.orders == ["set server app/s1 state maint"]


@pytest.mark.parametrize(("state", "admin"), [("ready", 0), ("drain", 8), ("maintenance", 1), ("maintenance", 5)])
def test_what_is_so_already_gets_no_order(tmp_path: Path, state: str, admin: int) -> None:
    haproxy = Simulated(two_backends(admin=admin))

    outcomes = carry_out(tmp_path, haproxy, state, SHORTLY)

    assert haproxy.orders == []
    assert [outcome.step.is_change for outcome in outcomes] == [False, False]


def test_a_server_comes_back_by_way_of_drain_once_it_is_checked(tmp_path: Path) -> None:
    haproxy = Simulated([server("s1", admin=1, is_checked=False), server("s2")])
    looks = iter(range(3))

    def check(command: str) -> str | None:
        if command.startswith("show stat") and next(looks, None) is None:
            assert "set server app/s1 state ready" not in haproxy.orders
            haproxy.reply = lambda _command: None
            haproxy.servers = [replace(each, is_checked=True) for each in haproxy.servers]
        return None

    haproxy.reply = check

    carry_out(tmp_path, haproxy, "ready", LONG)

    assert haproxy.orders == ["set server app/s1 state drain", "set server app/s1 state ready"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"operational": 0}, r"app/s1, api/s1: after 0\.1 s it is DOWN"),
        ({"is_checked": False}, "it has not passed a health check"),
        ({"admin": 0x21}, "it is without an address"),
    ],
)
def test_a_server_that_does_not_come_up_goes_back(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    haproxy = Simulated(two_backends(**{"admin": 1, **changes}))

    with pytest.raises(MeasurementError, match=f"{words}.*What was changed is put back"):
        carry_out(tmp_path, haproxy, "ready", SHORTLY)

    assert [each.state for each in haproxy.servers if each.name == "s1"] == ["maintenance", "maintenance"]


def test_weight_is_set_before_visitors_come_and_after_they_went(tmp_path: Path) -> None:
    coming, going = Simulated([server("s1", admin=1), server("s2")]), Simulated([server("s1"), server("s2")])
    (tmp_path / "going").mkdir()

    carry_out(tmp_path, coming, "ready", weight="5")
    carry_out(tmp_path / "going", going, "drain", weight="5")

    assert coming.orders == ["set server app/s1 weight 5", "set server app/s1 state ready"]
    assert going.orders == ["set server app/s1 state drain", "set server app/s1 weight 5"]


def test_a_refusal_in_one_backend_puts_back_the_others(tmp_path: Path) -> None:
    haproxy = Simulated(two_backends())
    haproxy.reply = {"set server api/s1 weight 5": "static LB algorithm\n"}.get

    with pytest.raises(MeasurementError, match=r"HAProxy answers: static LB algorithm.*What was changed is put back"):
        carry_out(tmp_path, haproxy, "drain", weight="5")

    assert haproxy.servers == two_backends()


def restless(haproxy: Simulated) -> None:
    """Have an agent check set another weight of s1 at each look."""
    numbers = iter(range(20, 200))

    def reply(command: str) -> str | None:
        if command == "show servers state":
            weight = next(numbers)
            haproxy.servers = [replace(each, weight=weight) if each.name == "s1" else each for each in haproxy.servers]
        return None

    haproxy.reply = reply


@pytest.mark.parametrize(("admin", "state"), [(0, "maintenance"), (0, "drain"), (1, "ready")])
def test_an_agent_may_set_a_weight_that_nobody_asked_for(tmp_path: Path, admin: int, state: str) -> None:
    haproxy = Simulated([server("s1", admin=admin, has_agent=True), server("s2")])
    restless(haproxy)

    (outcome,) = carry_out(tmp_path, haproxy, state, SHORTLY)

    assert outcome.after.state == state
    assert not [order for order in haproxy.orders if " weight " in order]


def test_an_agents_weight_is_left_when_the_state_is_put_back(tmp_path: Path) -> None:
    haproxy = Simulated([server("s1", admin=1, operational=0, has_agent=True), server("s2")])
    restless(haproxy)

    with pytest.raises(MeasurementError, match=r"it is DOWN.*What was changed is put back"):
        carry_out(tmp_path, haproxy, "ready", SHORTLY)

    assert haproxy.orders == ["set server app/s1 state drain", "set server app/s1 state maint"]


def test_a_weight_that_was_asked_for_must_stay(tmp_path: Path) -> None:
    haproxy = Simulated([server("s1", has_agent=True), server("s2")])
    restless(haproxy)

    with pytest.raises(MeasurementError, match=r"it was set to drain with weight 5, and now it is in state drain with"):
        carry_out(tmp_path, haproxy, "drain", weight="5")


def test_what_cannot_be_put_back_is_told(tmp_path: Path) -> None:
    haproxy = Simulated(two_backends())
    haproxy.reply = {
        "set server api/s1 state maint": "no\n", "set server app/s1 state ready": "never\n",
    }.get  # fmt: skip

    with pytest.raises(MeasurementError, match=r"HAProxy answers: no.*Not put back:.*HAProxy answers: never"):
        carry_out(tmp_path, haproxy, "maintenance")


@pytest.mark.parametrize("reloaded", [two_backends(), [server("s2")]], ids=["state lost", "server gone"])
def test_a_reload_in_the_middle_is_noticed(tmp_path: Path, reloaded: list[Server]) -> None:
    haproxy = Simulated(two_backends(open_sessions=1))

    def reload(command: str) -> str | None:
        if command == "show servers state" and len(haproxy.orders) == 2:
            haproxy.servers = reloaded
        return None

    haproxy.reply = reload

    with pytest.raises(MeasurementError, match=r"app/s1: it was set to drain, .*See who else changes it"):
        carry_out(tmp_path, haproxy, "maintenance", LONG)

    assert haproxy.orders == ["set server app/s1 state drain", "set server api/s1 state drain"]


@pytest.mark.parametrize("level", ["operator", "user"])
def test_a_socket_without_the_right_is_refused_before_anything_changes(tmp_path: Path, level: str) -> None:
    haproxy = Simulated(two_backends(), level=level)

    with pytest.raises(MeasurementError, match=f"orders need its level to be admin, and it is: {level}"):
        carry_out(tmp_path, haproxy, "drain")

    assert haproxy.orders == []


def test_a_refused_plan_gives_no_orders(tmp_path: Path) -> None:
    haproxy = Simulated([*two_backends(), server("s1", "lonely")])

    with pytest.raises(InvalidInputError, match="lonely would keep 0"):
        carry_out(tmp_path, haproxy, "drain")

    assert haproxy.orders == []


def test_one_decision_at_a_time(tmp_path: Path) -> None:
    haproxy = Simulated(two_backends())
    request = plan.Request("*", "s1", "drain", None, 1)

    with (
        run(tmp_path, haproxy) as runtime,
        Lock("test", tmp_path),
        pytest.raises(MeasurementError, match="another run holds it"),
    ):
        drain.carry_out(runtime, request, AT_ONCE, Lock("test", tmp_path, patience_seconds=0))

    assert haproxy.orders == []


def test_foreseeing_gives_no_orders(tmp_path: Path) -> None:
    table = "# table: app, type: string\n0x1: key=a use=0 exp=1 server_id=1 server_key=s1\n"
    haproxy = Simulated(two_backends(open_sessions=3), {"show table app": table}.get)

    with run(tmp_path, haproxy) as runtime:
        outcomes = drain.foresee(runtime, plan.Request("*", "s1", "maintenance", None, 1))

    assert [(each.step.is_change, each.open_sessions, each.sessions_moved) for each in outcomes] == [
        (True, 3, 1),
        (True, 3, 0),
    ]
    assert haproxy.orders == []
