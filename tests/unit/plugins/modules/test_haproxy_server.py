# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module: what is documented is what it returns."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy import drain, plan
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import Server
from ansible_collections.ringmaster.webops.plugins.modules import haproxy_server as module

RETURNED: dict[str, Any] = yaml.safe_load(module.RETURN)


def run(capsys: pytest.CaptureFixture[str], **arguments: object) -> dict[str, Any]:
    with patch_module_args({"server": "s1", **arguments}), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    result.pop("invocation", None)
    return result


def outcome(
    backend: str,
    before: str,
    state: str,
    *,
    open_sessions: int = 0,
    moved: int | None = 0,
    agent: bool = False,
    weight: int = 1,
) -> drain.Outcome:
    admin = {"ready": 0, "drain": 8, "maintenance": 1}
    was = Server(backend, "s1", 1, "192.0.2.1:80", admin[before], 2, 1, 1, 0, "UP", "", True, False, "", agent)
    now = Server(backend, "s1", 1, "192.0.2.1:80", admin[state], 2, weight, 1, 0, "UP", "", True, False, "", agent)
    return drain.Outcome(plan.Step(was, state, weight), now, open_sessions, moved)


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[drain.Outcome]:
    found: list[drain.Outcome] = []
    monkeypatch.setattr(drain, "carry_out", lambda *_arguments: found)
    monkeypatch.setattr(drain, "foresee", lambda *_arguments: found)
    return found


def test_the_result_is_the_documented_one(capsys: pytest.CaptureFixture[str], outcomes: list[drain.Outcome]) -> None:
    outcomes += [outcome("app", "ready", "drain")]

    result = run(capsys, state="drain")

    assert sorted(result.keys() - {"changed", "diff"}) == sorted(RETURNED)
    assert sorted(result["backends"][0]) == sorted(RETURNED["backends"]["contains"])


@pytest.mark.parametrize(
    ("found", "check_mode", "sentence"),
    [
        ([outcome("app", "ready", "drain")], False, "s1 is set to drain in app. 0 sessions were open at the end"),
        (
            [outcome("app", "drain", "maintenance", open_sessions=2, moved=3), outcome("api", "ready", "maintenance")],
            False,
            "s1 is set to maintenance in app, api. 2 sessions were open at the end. 3 sessions moved",
        ),
        (
            [outcome("app", "drain", "maintenance", moved=3), outcome("api", "ready", "maintenance", moved=None)],
            True,
            "s1 would be set to maintenance in app, api. 0 sessions are open now. 3 sessions would move."
            " How many sessions move in api is not known",
        ),
        (
            [outcome("app", "drain", "drain", weight=2), outcome("api", "ready", "ready")],
            False,
            "s1 is set to drain with weight 2 in app and ready in api. 0 sessions were open at the end",
        ),
        ([outcome("app", "ready", "ready")], True, "s1 is set to ready in app. 0 sessions are open now"),
    ],
)
def test_what_happened_is_told_in_sentences(
    capsys: pytest.CaptureFixture[str],
    outcomes: list[drain.Outcome],
    found: list[drain.Outcome],
    check_mode: bool,
    sentence: str,
) -> None:
    outcomes += found

    assert run(capsys, state="drain", _ansible_check_mode=check_mode)["msg"] == sentence


def test_sums_and_the_diff_are_of_all_backends(
    capsys: pytest.CaptureFixture[str], outcomes: list[drain.Outcome]
) -> None:
    outcomes += [
        outcome("app", "ready", "maintenance", open_sessions=1, moved=None),
        outcome("api", "maintenance", "maintenance", open_sessions=2, moved=5),
    ]

    result = run(capsys, state="drain")

    assert (result["changed"], result["open_sessions"], result["sessions_moved"]) == (True, 3, 5)
    assert result["diff"] == {
        "before": {"app/s1": {"state": "ready", "weight": 1}, "api/s1": {"state": "maintenance", "weight": 1}},
        "after": {"app/s1": {"state": "maintenance", "weight": 1}, "api/s1": {"state": "maintenance", "weight": 1}},
    }


def test_what_can_be_known_for_no_backend_is_null(
    capsys: pytest.CaptureFixture[str], outcomes: list[drain.Outcome]
) -> None:
    outcomes += [outcome("app", "ready", "maintenance", moved=None)]

    assert run(capsys, state="drain")["sessions_moved"] is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (outcome("app", "ready", "drain", agent=True), "app/s1: the agent check of HAProxy can set another"),
        (outcome("app", "ready", "ready", weight=0), "app/s1: ready, but of weight 0"),
    ],
)
def test_what_may_surprise_is_warned_of(found: drain.Outcome, words: str) -> None:
    (warning,) = module._warnings([found])

    assert words in warning


def test_a_refusal_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise InvalidInputError("app/s1", "no", "Do something else")

    monkeypatch.setattr(drain, "carry_out", refuse)

    assert run(capsys, state="drain")["msg"] == "app/s1: no. Do something else"


@pytest.mark.parametrize("option", ["minimum_up", "drain_timeout_seconds", "up_timeout_seconds"])
def test_less_than_nothing_is_refused(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert run(capsys, state="drain", **{option: -1})["msg"] == f"{option}: -1 is less than 0. Give 0 or more"


def test_a_socket_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, state="drain", socket="/nonexistent/admin.sock", _ansible_check_mode=True)

    assert result["failed"]
    assert "the socket /nonexistent/admin.sock: HAProxy cannot be asked there" in result["msg"]


def test_nothing_to_do_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "one of the following is required: state, weight" in run(capsys)["msg"]
