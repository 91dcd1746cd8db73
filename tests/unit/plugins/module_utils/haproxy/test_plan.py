# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided before anything changes."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy import plan
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import Server

from .simulated import server


def request(
    name: str = "s1",
    state: str | None = "maintenance",
    weight: str | None = None,
    backend: str = "*",
    minimum_up: int = 1,
) -> plan.Request:
    return plan.Request(backend, name, state, weight, minimum_up)


TWO = [server("s1"), server("s2"), server("s1", "api"), server("s2", "api"), server("s3", "api")]


def test_every_backend_that_has_the_server() -> None:
    assert [step.server.label for step in plan.make(TWO, request())] == ["app/s1", "api/s1"]
    assert [step.server.label for step in plan.make(TWO, request("s3"))] == ["api/s3"]
    assert [step.server.label for step in plan.make(TWO, request(backend="api"))] == ["api/s1"]


@pytest.mark.parametrize(
    ("state", "weight", "changes"),
    [("ready", None, False), ("drain", None, True), (None, "10", False), (None, "9", True), ("ready", "100%", False)],
)
def test_only_what_differs_is_a_change(state: str | None, weight: str | None, changes: bool) -> None:
    assert [step.is_change for step in plan.make(TWO, request(state=state, weight=weight, backend="app"))] == [changes]


@pytest.mark.parametrize(
    ("weight", "initial", "becomes"),
    [("0", 10, 0), ("256", 10, 256), ("50%", 10, 5), ("55%", 10, 5), ("0%", 10, 0), ("99999%", 10, 256)],
)
def test_weights_are_what_haproxy_makes_of_them(weight: str, initial: int, becomes: int) -> None:
    servers = [server("s1", initial_weight=initial), server("s2")]

    assert [step.weight for step in plan.make(servers, request(state=None, weight=weight))] == [becomes]


@pytest.mark.parametrize("weight", ["257", "-1", "ten", "5 0", "5%%", "50%\n", "٣", "50%; disable server app/s2", ""])
def test_weights_that_are_none_are_refused(weight: str) -> None:
    with pytest.raises(InvalidInputError, match="it is neither a number from 0 to 256 nor a percentage"):
        plan.make(TWO, request(state=None, weight=weight))


def test_a_percentage_that_comes_to_nothing_is_refused() -> None:
    servers = [server("s1", initial_weight=1), server("s2")]

    with pytest.raises(InvalidInputError, match="of its initial weight 1 that is 0"):
        plan.make(servers, request(state=None, weight="50%"))


def test_an_unknown_backend_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInputError, match="the backend 'web': HAProxy has servers in these: app, api"):
        plan.make(TWO, request(backend="web"))


def test_an_unknown_server_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInputError, match="the server 's3': HAProxy has these servers: app/s1, app/s2"):
        plan.make(TWO, request("s3", backend="app"))


def test_lists_of_names_end() -> None:
    with pytest.raises(InvalidInputError, match="s29 and 70 more"):
        plan.make([server(f"s{number}") for number in range(100)], request("s1;"))


OTHERS: list[tuple[str, list[Server], str]] = [
    ("nobody", [], r"app would keep 0 usable without s1 \(none\)\."),
    ("down", [server("s2", operational=0)], r"\(none\), as s2 is DOWN \(L4OK\)"),
    ("drain", [server("s2", admin=8)], "as s2 is in drain"),
    ("weight", [server("s2", weight=0)], "as s2 is of weight 0"),
    ("backup", [server("s2", is_backup=True)], "as s2 is a backup"),
]
FOLLOWERS: list[tuple[str, list[Server], str]] = [
    ("tracks", [server("s2", tracked="app/s1")], r"without s1, s2 \(none\)"),
    ("tracks one that tracks", [server("s2", tracked="x/s3"), server("s3", "x", tracked="app/s1")], "without s1, s2"),
]


@pytest.mark.parametrize(("others", "words"), [pytest.param(*row[1:], id=row[0]) for row in OTHERS])
def test_the_last_usable_server_stays(others: list[Server], words: str) -> None:
    for wanted in (request(), request(state="drain"), request(state=None, weight="0")):
        with pytest.raises(InvalidInputError, match=words):
            plan.make([server("s1"), *others], wanted)


@pytest.mark.parametrize(("followers", "words"), [pytest.param(*row[1:], id=row[0]) for row in FOLLOWERS])
def test_followers_go_out_with_the_state_and_stay_with_the_weight(followers: list[Server], words: str) -> None:
    for wanted in (request(), request(state="drain"), request(weight="0", state="drain")):
        with pytest.raises(InvalidInputError, match=words):
            plan.make([server("s1"), *followers], wanted)

    assert [step.weight for step in plan.make([server("s1"), *followers], request(state=None, weight="0"))] == [0]


def test_all_backends_are_in_one_refusal() -> None:
    with pytest.raises(
        InvalidInputError, match=r"minimum_up is 3: app would keep 1 .*; api would keep 2 .*\(s2, s3\)\."
    ):
        plan.make(TWO, request(minimum_up=3))


def test_a_backend_that_only_tracks_is_reckoned_with() -> None:
    servers = [server("s1"), server("s2"), server("w1", "static", tracked="app/s1")]

    with pytest.raises(InvalidInputError, match="static would keep 0 usable without w1"):
        plan.make(servers, request())


@pytest.mark.parametrize(
    "servers",
    [
        pytest.param([server("s1", operational=0), server("s2", operational=0)], id="it is down"),
        pytest.param([server("s1", admin=8), server("s2", admin=1)], id="it is in drain"),
        pytest.param([server("s1", is_backup=True), server("s2")], id="it is a backup that nobody uses"),
        pytest.param([server("s1"), server("s2"), server("s3", "lost", operational=0)], id="another backend is down"),
    ],
)
def test_what_makes_nobody_worse_off_is_allowed(servers: list[Server]) -> None:
    assert [step.is_change for step in plan.make(servers, request())] == [True]


def test_a_backup_in_use_counts() -> None:
    servers = [server("s1", is_backup=True), server("s2", operational=0)]

    with pytest.raises(InvalidInputError, match="app would keep 0 usable without s1"):
        plan.make(servers, request())


def test_minimum_up_0_allows_everything() -> None:
    assert [step.state for step in plan.make([server("s1")], request(minimum_up=0))] == ["maintenance"]


def test_a_server_that_follows_one_that_is_out_cannot_be_made_ready() -> None:
    servers = [server("s1", admin=2, tracked="app/s2"), server("s2", admin=1)]

    with pytest.raises(
        InvalidInputError, match="app/s1: it cannot be made ready, because it tracks app/s2, which is out"
    ):
        plan.make(servers, request(state="ready"))


def test_a_server_that_follows_one_that_is_made_ready_too_can_be() -> None:
    servers = [server("s1", admin=1), server("s1", "static", admin=2, tracked="app/s1")]

    assert [step.is_change for step in plan.make(servers, request(state="ready"))] == [True, False]
