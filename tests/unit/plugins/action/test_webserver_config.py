# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half: what it sends, which steps it takes, and what it says. The host's answers are given.

What the host measured was measured: OpenSSL's server on this machine.
"""

from __future__ import annotations

import copy
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Union

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task

from ansible_collections.ringmaster.webops.plugins.action import webserver_config

from ..module_utils.webserver.host_facts import Lab, measured_servers, prepared

CANARY = "c4n4ry-s3cr3t"
KEY = "localhost:443"
Answer = Union[Mapping[str, Any], Exception]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with measured_servers(tmp_path_factory.mktemp("peers")) as found:
        yield found


def switched(lab: Lab, **changes: object) -> dict[str, Any]:
    scans = [copy.deepcopy(lab.good)]
    return {"refused": None, "rolled_back": False, "live_scans": scans, "restart_required": [], **changes}


def arguments(lab: Lab, **changes: object) -> dict[str, Any]:
    given = {
        "server": "nginx",
        "files": [
            {"path": "nginx.conf", "content": f"# {CANARY}\n", "mode": "0640", "group": "www-data"},
            {"path": "tls/privkey.pem", "content": CANARY.encode(), "sensitive": True},
            {"path": "tls/fullchain.pem", "remote_src": "/etc/ssl/own/fullchain.pem"},
        ],
        "endpoints": [{"server_name": "localhost", "certificates": ["tls/fullchain.pem"]}],
        "listeners": [{"address": "0.0.0.0", "port": 443}],
        "names": ["localhost"],
        "ca_path": lab.ca_path,
        **changes,
    }
    return {key: value for key, value in given.items() if value is not None}


@dataclass
class Shell:
    """Paths on the host."""

    tmpdir: str | None = None

    def join_path(self, *parts: str) -> str:
        return "/".join(parts)

    def remove(self, path: str) -> str:
        return f"rm {path}"


@dataclass
class Host(webserver_config.ActionModule):
    """The action with a host that gives the answers that it is told to."""

    answers: dict[str, Answer]
    steps: list[dict[str, Any]] = field(default_factory=list)
    sent: dict[str, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def begin(self, args: Mapping[str, Any], check: bool, diff: bool) -> None:
        task = Task()
        task.args, task.check_mode, task.diff, task.async_val = dict(args), check, diff, 0
        connection: Any = SimpleNamespace(_shell=Shell())
        nothing: Any = None
        webserver_config.ActionModule.__init__(self, task, connection, nothing, DataLoader(), nothing, nothing)

    def _make_tmp_path(self, *_user: object) -> str:
        self._connection._shell.tmpdir = "/tmp/ansible-tmp-1"
        return "/tmp/ansible-tmp-1"

    def _transfer_data(self, remote_path: str, data: str | bytes) -> str:
        assert isinstance(data, bytes)
        self.sent[remote_path] = data
        return remote_path

    def _low_level_execute_command(self, cmd: str, **_options: object) -> Any:  # type: ignore[override]  # noqa: ANN401
        self.commands.append(cmd)
        return {"rc": 0}

    def _is_become_unprivileged(self) -> bool:
        return False

    def _get_remote_user(self) -> str:
        return "root"

    def _execute_module(self, *, module_args: dict[str, Any], **_options: object) -> dict[str, Any]:  # type: ignore[override]
        self.steps.append(module_args)
        answer = self.answers[module_args["step"]]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    @property
    def taken(self) -> list[str]:
        """The steps that were taken."""
        return [step["step"] for step in self.steps]


Play = Callable[..., "tuple[dict[str, Any], Host]"]


@pytest.fixture
def play(lab: Lab) -> Play:
    """Run one task: ``args`` change its arguments, ``check`` and ``diff`` are its modes, the rest are answers."""

    def run(
        args: Mapping[str, Any] | None = None, check: bool = False, diff: bool = False, **answers: Answer
    ) -> tuple[dict[str, Any], Host]:
        host = Host({"prepare": prepared(lab), "switch": switched(lab), "confirm": {"changed": True}, **answers})
        host.begin(arguments(lab, **(args or {})), check, diff)
        return host.run(task_vars={}), host

    return run


# --- what is sent


def test_contents_travel_in_one_archive_and_nowhere_else(play: Play) -> None:
    result, host = play(diff=True)
    ((path, data),) = host.sent.items()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        members = {member.name: (member.mode, archive.extractfile(member).read()) for member in archive}  # type: ignore[union-attr]
    assert members == {
        "nginx.conf": (0o600, f"# {CANARY}\n".encode()),
        "tls/privkey.pem": (0o600, CANARY.encode()),
    }
    assert {step["archive"] for step in host.steps} == {path}
    assert CANARY not in json.dumps([result, host.steps], default=str)


def test_the_module_is_told_digests_and_paths(play: Play) -> None:
    _result, host = play({"keep_releases": 3, "minimum_grade": "B", "removed_names": []})
    assert [step.pop("step") for step in host.steps] == ["prepare", "switch", "confirm"]
    asked = host.steps[0]
    assert [sorted(entry) for entry in asked["files"]] == [
        ["group", "mode", "owner", "path", "sensitive", "sha256"],
        ["group", "mode", "owner", "path", "sensitive", "sha256"],
        ["group", "mode", "owner", "path", "remote_src", "sensitive"],
    ]
    assert (asked["files"][0]["mode"], asked["files"][1]["sensitive"]) == ("0640", True)
    assert (asked["keep_releases"], asked["server"]) == (3, "nginx")
    assert not {"ca_path", "minimum_grade", "release"} & set(asked)


def test_a_file_of_the_control_node_is_read_there(play: Play, tmp_path: Path) -> None:
    source = tmp_path / "own.bin"
    source.write_bytes(b"\x00\xff")
    _result, host = play({"files": [{"path": "own.bin", "src": str(source)}], "endpoints": []})
    (data,) = host.sent.values()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.extractfile("own.bin").read() == b"\x00\xff"  # type: ignore[union-attr]


def test_the_archive_goes_even_where_temporary_files_are_kept(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    assert play()[1].commands == []
    monkeypatch.setattr(constants.config, "get_config_value", lambda _name: True)
    assert play()[1].commands == ["rm /tmp/ansible-tmp-1/release.tar"]
    assert play(switch=AnsibleConnectionFailure("gone"))[1].commands == ["rm /tmp/ansible-tmp-1/release.tar"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": []}, "files: it is no list of files. Give the files of the release, or release"),
        ({"files": "nginx.conf"}, "files: it is no list of files"),
        ({"files": [CANARY]}, "files[0]: it is no dictionary"),
        ({"files": [{"content": CANARY}]}, "files[0]: it has no path"),
        ({"files": [{"path": "/etc/x", "content": CANARY}]}, "the file '/etc/x': its path is absolute"),
        ({"files": [{"path": "../x", "content": CANARY}]}, "the file '../x': this is no path within a release"),
        ({"files": [{"path": "a", "content": CANARY}] * 2}, "the file 'a': it is there twice"),
        ({"files": [{"path": "a", "content": CANARY, "src": "b"}]}, "files[0] (a): content and src exclude each other"),
        ({"files": [{"path": "a"}]}, "files[0] (a): it says nowhere what is in the file"),
        ({"files": [{"path": "a", "content": CANARY, "dest": "b"}]}, "files[0]: unknown key dest"),
        ({"files": [{"path": "a", "content": {"key": CANARY}}]}, "files[0] (a): its content is a dictionary"),
        ({"files": [{"path": "a", "content": [CANARY]}]}, "files[0] (a): its content is a list"),
        ({"files": [{"path": "a", "content": CANARY, "mode": 420}]}, "files[0] (a): its mode is 420"),
        ({"files": [{"path": "a", "content": CANARY, "mode": "4755"}]}, "files[0] (a): its mode is '4755'"),
        ({"files": [{"path": "a", "content": CANARY, "owner": 0}]}, "files[0] (a): its owner is no name"),
        ({"files": [{"path": "a", "content": CANARY, "sensitive": "no"}]}, "files[0] (a): sensitive is neither"),
        ({"files": [{"path": "a", "remote_src": "b"}]}, "files[0] (a): its remote_src is no absolute path"),
        ({"files": [{"path": "a", "src": "/nonexistent/b"}]}, "src /nonexistent/b: it cannot be read on the control"),
        ({"endpoints": ["localhost"]}, "endpoints[0]: it is no dictionary"),
        ({"release": "previous"}, "parameters are mutually exclusive: files|release"),
        ({"files": None}, "one of the following is required: files, release"),
        ({"server": "caddy"}, "value of server must be one of: nginx, apache, haproxy, got: caddy"),
        ({"step": "confirm"}, "Unsupported parameters"),
        ({"minimum_grade": "S"}, "value of minimum_grade must be one of"),
        ({"ca_path": "/nonexistent"}, "ca_path /nonexistent: it cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_before_the_host_is_asked(play: Play, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleActionFail) as caught:
        play(changes)
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)


# --- how it ends


RESULT_KEYS = [
    "changed",
    "clients_shut_out",
    "endpoints",
    "grade_after",
    "grade_before",
    "previous_release",
    "reason",
    "release",
    "removed_names",
    "restart_required",
    "rolled_back",
    "shadow",
    "stage",
]


def test_a_good_release_goes_live(play: Play) -> None:
    result, host = play()
    assert host.taken == ["prepare", "switch", "confirm"]
    assert [step.get("expected_release") for step in host.steps] == [None, *[result["release"]] * 2]
    assert sorted(result) == RESULT_KEYS
    assert (result["changed"], result["stage"], result["rolled_back"]) == (True, "confirmed", False)
    assert (result["release"], result["previous_release"]) == ("0123456789abcdef", "fedcba9876543210")
    assert (result["grade_before"], result["grade_after"]) == ({KEY: "B"}, {KEY: "A"})
    assert "Java 7u25" in result["clients_shut_out"]
    (endpoint,) = result["endpoints"]
    assert (endpoint["target"], endpoint["trusted"]) == (KEY, True)
    assert endpoint["protocols"] == ["TLSv1.2", "TLSv1.3"]


def test_an_unchanged_release_takes_one_step(play: Play, lab: Lab) -> None:
    facts = prepared(lab, unchanged=True, live_scans=[], shadow_scans=[], restart_required=["NoNewPrivileges"])
    result, host = play(prepare=facts)
    assert host.taken == ["prepare"]
    assert sorted(result) == RESULT_KEYS
    assert (result["changed"], result["stage"], result["restart_required"]) == (False, "confirmed", ["NoNewPrivileges"])


def test_check_mode_judges_and_changes_nothing(play: Play) -> None:
    result, host = play(check=True, diff=True)
    assert host.taken == ["prepare"]
    assert (result["changed"], result["stage"]) == (True, "measured")
    assert (result["grade_before"], result["grade_after"]) == ({KEY: "B"}, {KEY: "A"})
    assert [entry["before_header"] for entry in result["diff"]] == ["x", f"clients that can connect to {KEY}"]
    assert "Java 7u25" in result["diff"][1]["before"].splitlines()
    assert "Java 7u25" not in result["diff"][1]["after"].splitlines()


def test_check_mode_refuses_too(play: Play, lab: Lab) -> None:
    result, host = play(check=True, prepare=prepared(lab, shadow_scans=[lab.weak], live_scans=[]))
    assert (result["failed"], result["changed"], host.taken) == (True, False, ["prepare"])


BARE: dict[str, Any] = {
    "installed": False,
    "taken_over": False,
    "live_release": None,
    "previous_names": [],
    "live_scans": [],
    "shadow_scans": [],
    "certificates": {},
    "shadow": {"status": "skipped", "reason": "nginx is not installed"},
}


def test_check_mode_on_a_bare_host_says_what_would_be(play: Play, lab: Lab) -> None:
    result, _host = play(check=True, prepare=prepared(lab, **BARE))
    assert (result["changed"], result["stage"], result.get("failed")) == (True, "rendered", None)
    assert result["msg"].startswith("nginx is not installed on this host: nothing was tested or measured.")


def test_a_bare_host_is_refused(play: Play, lab: Lab) -> None:
    result, host = play(prepare=prepared(lab, **BARE))
    assert (result["failed"], result["changed"], host.taken) == (True, False, ["prepare"])
    assert result["msg"] == "nginx: it is not installed on this host. Install its package before this task"


def test_a_grade_below_the_minimum_is_refused(play: Play, lab: Lab) -> None:
    result, host = play(prepare=prepared(lab, shadow_scans=[lab.weak], live_scans=[lab.good]))
    assert host.taken == ["prepare"]
    assert (result["failed"], result["changed"], result["stage"], result["rolled_back"]) == (
        True,
        False,
        "measured",
        False,
    )
    assert result["msg"].startswith(f"{KEY}: grade B, and minimum_grade is A. The reason is tls10_or_tls11_offered (")
    assert result["reason"] == result["msg"]
    assert (result["grade_before"], result["grade_after"]) == ({KEY: "A"}, {KEY: "B"})


def test_what_the_host_refuses_is_refused(play: Play, lab: Lab) -> None:
    refused = {"stage": "tested", "reason": 'nginx: [emerg] unknown directive "sl" in nginx.conf:3'}
    skipped = {"status": "skipped", "reason": "x"}
    result, _host = play(prepare=prepared(lab, refused=refused, shadow=skipped, shadow_scans=[], live_scans=[]))
    assert (result["failed"], result["stage"], result["msg"]) == (True, "tested", refused["reason"])


def test_a_module_that_breaks_down_before_the_switch_is_a_failure(play: Play) -> None:
    broken = {"failed": True, "msg": "MODULE FAILURE", "rc": 137, "module_stderr": "Killed"}
    result, host = play(prepare=broken)
    assert host.taken == ["prepare"]
    assert (result["failed"], result["changed"], result["msg"], result["rc"]) == (True, False, "MODULE FAILURE", 137)


def test_what_the_host_refuses_before_it_switches_needs_no_undo(play: Play, lab: Lab) -> None:
    refused = {"stage": "staged", "reason": "/etc/nginx/ringmaster: No space left on device"}
    result, host = play(switch=switched(lab, refused=refused, live_scans=[]))
    assert host.taken == ["prepare", "switch"]
    assert (result["failed"], result["rolled_back"], result["msg"]) == (True, False, refused["reason"])


def test_what_the_host_undid_itself_needs_no_undo(play: Play, lab: Lab) -> None:
    refused = {"stage": "reloaded", "reason": "nginx: [emerg] bind() failed"}
    result, host = play(switch=switched(lab, refused=refused, rolled_back=True, live_scans=[]))
    assert host.taken == ["prepare", "switch"]
    assert (result["failed"], result["changed"], result["rolled_back"]) == (True, False, True)
    assert result["msg"] == "nginx: [emerg] bind() failed. What was live before is live again"
    assert result["reason"] == "nginx: [emerg] bind() failed"


UNDONE: dict[str, Any] = {"rolled_back": True, "release": "fedcba9876543210", "reason": None}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("other", f"{KEY}: it does not answer as it did in the shadow: protocols."),
        ("none", f"{KEY}: it was not measured after the switch"),
        ("broken", "MODULE FAILURE. What was live before is live again"),
        ("nonsense", "What was measured after the switch cannot be judged: KeyError"),
    ],
)
def test_what_is_wrong_after_the_switch_is_undone(play: Play, lab: Lab, answer: str, words: str) -> None:
    answers: dict[str, Answer] = {
        "other": switched(lab, live_scans=[lab.weak]),
        "none": switched(lab, live_scans=[]),
        "broken": {"failed": True, "msg": "MODULE FAILURE"},
        "nonsense": switched(lab, live_scans=[{"target": {}}]),
    }
    result, host = play(switch=answers[answer], undo=UNDONE)
    assert host.taken == ["prepare", "switch", "undo"]
    assert (result["failed"], result["changed"], result["rolled_back"]) == (True, False, True)
    assert result["msg"].startswith(words)
    assert result["msg"].endswith("What was live before is live again")


def test_a_release_that_cannot_be_confirmed_is_undone(play: Play) -> None:
    result, host = play(confirm={"failed": True, "msg": "it is not the one to confirm"}, undo=UNDONE)
    assert host.taken == ["prepare", "switch", "confirm", "undo"]
    assert (result["failed"], result["rolled_back"], result["reason"]) == (True, True, "it is not the one to confirm")


def test_an_undo_that_fails_leaves_the_way_back(play: Play, lab: Lab) -> None:
    failed = {"rolled_back": False, "release": "fedcba9876543210", "reason": "nginx does not answer"}
    result, _host = play({"confirm_timeout": 77}, switch=switched(lab, live_scans=[]), undo=failed)
    assert (result["failed"], result["changed"], result["rolled_back"]) == (True, True, False)
    assert "Going back failed too: nginx does not answer." in result["msg"]
    assert "within 77 seconds" in result["msg"]


def test_a_host_with_nothing_to_go_back_to_has_no_way_back(play: Play, lab: Lab) -> None:
    nowhere = {"rolled_back": False, "release": None, "reason": "there is no earlier release to go back to"}
    result, _host = play(switch=switched(lab, live_scans=[]), undo=nowhere)
    assert result["msg"].endswith("Going back failed too: there is no earlier release to go back to.")


def test_every_step_may_warn(play: Play, lab: Lab) -> None:
    facts = prepared(lab, warnings=["went back first"])
    told = switched(lab, warnings=["slow"], restart_required=["PrivateTmp"])
    result, _host = play(prepare=facts, switch=told, confirm={"changed": True, "warnings": ["not enabled"]})
    assert result["warnings"] == ["went back first", "slow", "not enabled"]
    assert result["restart_required"] == ["PrivateTmp"]


@pytest.mark.parametrize("step", ["switch", "confirm"])
def test_a_connection_that_is_lost_after_the_switch_leaves_the_way_back(play: Play, step: str) -> None:
    lost: dict[str, Answer] = {step: AnsibleConnectionFailure("ssh: connection reset")}
    result, _host = play(**lost)
    assert (result["failed"], result["rolled_back"], result.get("unreachable")) == (True, False, None)
    assert result["msg"].startswith("The connection to the host was lost during the switch: ssh: connection reset.")
    assert "within 120 seconds of the switch" in result["msg"]


def test_a_connection_that_is_lost_on_the_way_back_hides_no_reason(play: Play, lab: Lab) -> None:
    result, _host = play(switch=switched(lab, live_scans=[]), undo=AnsibleConnectionFailure("ssh: connection reset"))
    assert (result["failed"], result["rolled_back"]) == (True, False)
    assert result["msg"].startswith(f"{KEY}: it was not measured after the switch. Going back failed too: the conn")
    assert "within 120 seconds of the switch" in result["msg"]


def test_a_host_that_cannot_be_reached_at_all_is_unreachable(play: Play) -> None:
    with pytest.raises(AnsibleConnectionFailure):
        play(prepare=AnsibleConnectionFailure("ssh: no route to host"))


# --- without a shadow, and back to an earlier release

NO_SHADOW: dict[str, Any] = {"status": "unavailable", "reason": "unshare: Operation not permitted"}


def test_without_a_shadow_the_live_answer_decides(play: Play, lab: Lab) -> None:
    facts = prepared(lab, shadow=NO_SHADOW, shadow_scans=[])
    result, host = play(prepare=facts)
    assert (host.taken, result["changed"]) == (["prepare", "switch", "confirm"], True)
    assert result["warnings"][0].startswith("shadow: unavailable, unshare: Operation not permitted.")
    result, host = play(prepare=facts, switch=switched(lab, live_scans=[lab.weak]), undo=UNDONE)
    assert (host.taken, result["rolled_back"]) == (["prepare", "switch", "undo"], True)
    assert result["reason"].startswith(f"{KEY}: grade B, and minimum_grade is A.")


def test_a_shadow_can_be_required(play: Play, lab: Lab) -> None:
    result, host = play({"shadow": "required"}, prepare=prepared(lab, shadow=NO_SHADOW, shadow_scans=[]))
    assert (host.taken, result["failed"], result["stage"]) == (["prepare"], True, "tested")


def back(lab: Lab, **changes: object) -> dict[str, Any]:
    """Return what the module says of an earlier, weaker release on a host that serves a good one."""
    return prepared(
        lab,
        **{
            "live_scans": [lab.good],
            "shadow_scans": [lab.weak],
            "previous_names": ["localhost", "new.example.com"],
            "names": ["localhost"],
            "listeners": [{"address": "0.0.0.0", "port": 443}],
            "endpoints": [{"server_name": "localhost", "port": 443, "certificates": ["tls/fullchain.pem"]}],
            "confirmed_before": True,
            **changes,
        },
    )


BACK: dict[str, Any] = {"files": None, "endpoints": None, "names": None, "listeners": None, "release": "previous"}


def test_a_confirmed_release_comes_back_whatever_its_grade(play: Play, lab: Lab) -> None:
    result, host = play(BACK, prepare=back(lab), switch=switched(lab, live_scans=[lab.weak]))
    assert host.taken == ["prepare", "switch", "confirm"]
    assert host.sent == {}
    assert (host.steps[0]["release"], "files" in host.steps[0]) == ("previous", False)
    assert (result["changed"], result["removed_names"]) == (True, ["new.example.com"])
    assert any("grade B, and minimum_grade is A" in text for text in result["warnings"])
    assert "new.example.com: served now, and not by this release" in result["warnings"]


def test_it_comes_back_without_a_shadow_too(play: Play, lab: Lab) -> None:
    facts = back(lab, shadow=NO_SHADOW, shadow_scans=[])
    result, host = play(BACK, prepare=facts, switch=switched(lab, live_scans=[lab.weak]))
    assert (host.taken, result["changed"]) == (["prepare", "switch", "confirm"], True)


def test_a_release_that_was_never_confirmed_does_not(play: Play, lab: Lab) -> None:
    result, _host = play(BACK, prepare=back(lab, confirmed_before=False))
    assert (result["failed"], result["stage"]) == (True, "measured")


def test_a_release_that_is_not_there_is_refused_for_that_alone(play: Play, lab: Lab) -> None:
    refused = {"stage": "staged", "reason": "release 'previous': the host has no such release of nginx"}
    facts = back(lab, release="", refused=refused, names=[], listeners=[], endpoints=[], live_scans=[], shadow_scans=[])
    result, _host = play(BACK, prepare=facts)
    assert (result["msg"], result["removed_names"], result.get("warnings")) == (refused["reason"], [], None)
