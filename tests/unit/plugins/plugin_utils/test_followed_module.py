# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that is followed: what a person sees, what comes back, and what is left. The host's answers are given."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.playbook.task import Task

from ansible_collections.ringmaster.webops.plugins.plugin_utils import followed_module, host_job
from ansible_collections.ringmaster.webops.plugins.plugin_utils.followed_module import FollowedModule

TMPDIR = "/root/.ansible/tmp/ansible-tmp-1"
STARTED = {"ansible_job_id": "j1.2", "started": True, "finished": False, "results_file": "/x/j1.2", "changed": True}
OF_THE_JOB = {"ansible_job_id": "j1.2", "finished": True}
WHOLE = "webops-answer-begins\n{}\nwebops-answer-ends\n"
PROGRESS = '{"stage": "verifying", "files_done": %d, "files_total": 100, "findings": 1}'
RUNNING = WHOLE.format('{"started":\n' + PROGRESS)
ENDED = WHOLE.format('{"changed": \n')
REPAIRING = RUNNING.replace("verifying", "repairing") % 1
EMPTY = WHOLE.format("\n" + PROGRESS % 1)
GONE = WHOLE.format("0")
ALIVE = WHOLE.format("0\n4711 4712")
UNFINISHED = {"ansible_job_id": "j1.2", "started": True, "finished": False}
NO_RECORD = {**OF_THE_JOB, "failed": True, "msg": "could not find job"}
MAX = followed_module.MAX_FAILED_LOOKS
Answer = object


class Host(FollowedModule):
    """The plugin on a host that answers what it is told to."""

    module_name = "ringmaster.webops.package_consistency_info"

    def __init__(self, looks: list[Answer], answers: list[Any], async_val: int = 0, processes: str = GONE) -> None:
        self._task = Task()
        self._task.args = {"root": "/srv"}
        self._task.async_val = async_val
        connection: Any = SimpleNamespace(_shell=SimpleNamespace(tmpdir=TMPDIR), reset=lambda: None)
        self._connection = connection
        self._cleanup_remote_tmp = True
        self._supports_check_mode = True
        self._looks = looks
        self._answers = answers
        self._found = processes
        self.modules: list[tuple[str, dict[str, Any], bool, int]] = []
        self.commands: list[str] = []
        self.unreachable_for = ""

    def _early_needs_tmp_path(self) -> bool:
        return False

    def get_shell_option(self, option: str, default: object = None) -> object:
        del option
        return default

    def _module(self, name: str, arguments: dict[str, Any], wrap_async: bool = False) -> dict[str, Any]:
        self.modules.append((name, dict(arguments), wrap_async, self._task.async_val))
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return dict(answer)

    def _low_level_execute_command(self, cmd: str, **_options: object) -> Any:  # type: ignore[override]  # noqa: ANN401
        self.commands.append(cmd)
        if self.unreachable_for and cmd.startswith(self.unreachable_for):
            raise AnsibleConnectionFailure("lost")
        if "echo $found" in cmd:
            return {"stdout": self._found}
        if not cmd.startswith("echo webops-answer-begins"):
            return {"stdout": ""}
        answer = self._looks.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return {"stdout": answer() if callable(answer) else answer}


class Repair(Host):
    """The plugin of a module that changes the host."""

    module_name = "ringmaster.webops.package_consistency"


@pytest.fixture(autouse=True)
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have time pass by sleeping alone."""
    now = [0.0]

    def sleep(duration: float) -> None:
        now[0] += duration

    monkeypatch.setattr(followed_module, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now[0]))
    return now


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(followed_module, "Display", lambda: SimpleNamespace(display=lines.append))
    return lines


def test_a_person_sees_how_far_it_is_and_gets_the_modules_own_result(shown: list[str]) -> None:
    looks: list[Answer] = [*(RUNNING % done for done in range(20)), ENDED]
    host = Host(looks, [STARTED, {**OF_THE_JOB, "changed": False, "summary": {}}])

    result = host.run(task_vars={"inventory_hostname": "web1"})

    assert result == {"changed": False, "summary": {}}
    assert shown[0] == "[web1] verifies: 4 of 100 files (4 %), 1 finding"
    assert len(shown) == 4
    (name, arguments, wrap_async, limit), (status, _arguments, _wrap, _limit) = host.modules
    assert (name, wrap_async, limit) == (Host.module_name, True, followed_module.LIMIT_SECONDS)
    assert arguments["root"] == "/srv"
    assert arguments["progress_path"].startswith("~/.ansible_async/webops-")
    assert status == "ansible.legacy.async_status"
    assert host.commands[-1].startswith("rm -rf ~/.ansible_async/webops-")
    assert host._task.async_val == 0


def test_a_short_run_shows_nothing(shown: list[str]) -> None:
    Host([RUNNING % 1, ENDED], [STARTED, OF_THE_JOB]).run()

    assert shown == []


def test_under_async_of_the_user_it_just_runs() -> None:
    host = Host([], [STARTED], async_val=60)

    assert host.run() == STARTED
    assert host.modules == [(Host.module_name, {"root": "/srv"}, True, 60)]


def test_where_it_cannot_be_started_so_it_runs_without_progress() -> None:
    host = Host([], [{"failed": True, "msg": "could not create directory"}, {"changed": False, "summary": {}}])

    assert host.run() == {"changed": False, "summary": {}}
    assert host.modules[1] == (Host.module_name, {"root": "/srv"}, False, 0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"failed": True, "msg": "no", "value": "x"}, {"failed": True, "msg": "no", "value": "x"}),
        ({"failed": True, "cmd": "x", "data": "out", "stderr": "err", "msg": "Traceback"}, {"module_stdout": "out"}),
        ({"failed": True, "msg": "could not find job"}, {"failed": True}),
    ],
    ids=["failure", "crash", "record lost"],
)
def test_a_failure_comes_through(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    result = Host([ENDED], [STARTED, *[{**answer, **OF_THE_JOB}] * 2]).run()

    assert result["failed"] is True
    assert {key: result[key] for key in expected} == expected
    assert "ansible_job_id" not in result
    assert "Traceback" not in result["msg"]


def test_a_module_that_died_with_its_watcher_is_noticed() -> None:
    host = Host([RUNNING % 1] * 20, [STARTED, UNFINISHED, UNFINISHED])

    result = host.run()

    assert result["failed"] is True
    assert "ended without a result" in result["msg"]
    assert host_job.find(_job(host)) in host.commands


def test_what_is_left_of_a_module_that_is_lost_is_ended() -> None:
    """As when the record of its job is gone, and not the job."""
    host = Host([ENDED], [STARTED, NO_RECORD], processes=ALIVE)

    assert host.run()["failed"] is True
    assert host_job.end(_job(host), remove_directory=True) in host.commands


def test_a_module_is_followed_where_the_host_cannot_show_its_record() -> None:
    """As where ``head`` is damaged: Ansible's own module, and the processes, tell that it runs."""
    host = Repair(
        [RUNNING % 1, *[EMPTY] * 3 * MAX],
        [STARTED, UNFINISHED, AnsibleError("no space"), {**OF_THE_JOB, "a": 1}],
        processes=ALIVE,
    )

    assert host.run() == {"a": 1}
    assert host._looks == []
    assert not any("kill" in command for command in host.commands)


def test_a_result_that_comes_between_two_questions_is_not_lost() -> None:
    host = Host([ENDED], [STARTED, UNFINISHED, {**OF_THE_JOB, "changed": True}])

    assert host.run() == {"changed": True}
    assert not any("kill" in command for command in host.commands)


def test_a_module_whose_result_cannot_be_read_has_none() -> None:
    """As where the disk was full when it was written."""
    host = Repair([EMPTY] * MAX, [STARTED, UNFINISHED, UNFINISHED])

    assert "ended without a result" in host.run()["msg"]
    assert host.commands[-1].startswith("rm -rf")


LEFT_ALONE = {
    # name: (what is seen, what Ansible's module says, what is said of the processes)
    "no answer": ([""] * MAX, UNFINISHED, ""),
    "no answer while it repaired": ([REPAIRING, *[""] * MAX], UNFINISHED, ""),
    "damaged": ([REPAIRING, *[EMPTY] * MAX], UNFINISHED, WHOLE.format("")),
    "Ansible's module damaged as well": ([EMPTY] * MAX, {"failed": True, "msg": "MODULE FAILURE"}, WHOLE.format("")),
    "record removed": ([REPAIRING, *[EMPTY] * MAX], NO_RECORD, ALIVE),
}


@pytest.mark.parametrize(("looks", "status", "processes"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_a_module_that_may_repair_is_left_to_its_end(
    looks: list[Answer], status: dict[str, Any], processes: str
) -> None:
    host = Repair([*looks], [STARTED, status], processes=processes)

    with pytest.raises(AnsibleActionFail, match="may be repairing") as raised:
        host.run()
    job = _job(host)
    assert f"cat {job.own}/j1.2'" in str(raised.value)
    assert '{"started" runs' in str(raised.value)
    assert not any(command.startswith("rm") or "kill" in command for command in host.commands)


def test_a_repair_in_check_mode_only_reads() -> None:
    host = Repair([""] * MAX, [STARTED, UNFINISHED], processes="")
    host._task.check_mode = True

    with pytest.raises(AnsibleActionFail, match="The module was ended"):
        host.run()
    assert host.commands[-1] == host_job.end(_job(host), remove_directory=True)


@pytest.mark.parametrize("processes", ["", "webops-answer-begins\n", WHOLE.format(""), ALIVE])
def test_a_module_that_is_silent_is_not_given_up_while_it_may_run(processes: str) -> None:
    looks = [RUNNING % 1] * 40 + [ENDED]
    host = Host([*looks], [STARTED, {**OF_THE_JOB, "changed": False}], processes=processes)

    assert host.run() == {"changed": False}
    assert host.commands.count(host_job.find(_job(host))) > 1
    assert host._looks == []


@pytest.mark.parametrize(
    "part", ["", "\n", "webops-answer-begins\n", (RUNNING % 1)[:40], ENDED.rpartition("webops")[0], ENDED[5:]]
)
def test_an_answer_that_is_not_whole_is_asked_for_again(part: str) -> None:
    host = Host([part, RUNNING % 1, part, ENDED], [STARTED, {**OF_THE_JOB, "changed": False}])

    assert host.run() == {"changed": False}
    assert host._looks == []


def test_a_host_that_never_answers_is_asked_a_few_times_and_the_module_ended() -> None:
    host = Host([""] * MAX, [STARTED, UNFINISHED], processes="")

    with pytest.raises(AnsibleActionFail, match="no whole answer"):
        host.run()
    assert host.commands[-1] == host_job.end(_job(host), remove_directory=True)


def test_a_result_is_not_lost_when_the_host_is_gone_before_its_files_are() -> None:
    host = Host([ENDED], [STARTED, {**OF_THE_JOB, "changed": True}])
    host.unreachable_for = "rm "

    assert host.run() == {"changed": True}
    assert host.commands[-1].startswith("rm ")


def test_a_connection_that_comes_back_is_no_failure() -> None:
    lost = AnsibleConnectionFailure("lost")

    assert Host([lost, lost, ENDED], [STARTED, {**OF_THE_JOB, "changed": False}]).run() == {"changed": False}


def test_a_connection_that_stays_away_makes_the_host_unreachable() -> None:
    host = Host([AnsibleConnectionFailure("lost")] * MAX, [STARTED])

    with pytest.raises(AnsibleConnectionFailure):
        host.run()


def test_an_error_of_the_plugin_ends_the_module() -> None:
    host = Host([ValueError("unforeseen")], [STARTED])

    with pytest.raises(ValueError, match="unforeseen"):
        host.run()
    assert host.commands[-1] == host_job.end(_job(host), remove_directory=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_module_and_then_takes_effect(number: signal.Signals) -> None:
    received: list[int] = []

    def interrupt() -> str:
        os.kill(os.getpid(), number)
        time.sleep(5)
        return ENDED

    host = Host([RUNNING % 1, interrupt], [STARTED])
    before = signal.signal(number, lambda received_number, _frame: received.append(received_number))
    try:
        with pytest.raises(followed_module.Interrupted):
            host.run()
    finally:
        signal.signal(number, before)

    assert host.commands[-1] == host_job.end(_job(host), remove_directory=True)
    assert received == [number]


def _job(host: Host) -> host_job.Job:
    own = str(host.modules[0][1]["progress_path"]).rpartition("/")[0]
    return host_job.Job(TMPDIR, own)
