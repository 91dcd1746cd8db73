# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send a release to a host, judge what the host finds out about it, and switch to it or not."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade import LETTERS
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import request as requests
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import verdict
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.grade_gate import NO_MINIMUM
from ansible_collections.ringmaster.webops.plugins.plugin_utils import (
    release_contents,
    release_report,
    trust_anchors,
)

_OPTIONS: dict[str, dict[str, Any]] = {
    "server": {"type": "str", "required": True, "choices": ["nginx", "apache", "haproxy"]},
    # These are read entry by entry, with sentences of our own that show no content.
    "files": {"type": "raw"},
    "endpoints": {"type": "raw"},
    "listeners": {"type": "raw"},
    "names": {"type": "raw"},
    "removed_names": {"type": "raw"},
    "minimum_grade": {"type": "str", "default": "A", "choices": [*LETTERS, NO_MINIMUM]},
    "ca_path": {"type": "str"},
    "take_over": {"type": "str", "default": "refuse", "choices": ["refuse", "keep", "replace"]},
    "shadow": {"type": "str", "default": "auto", "choices": ["auto", "required"]},
    "keep_releases": {"type": "int", "default": 5},
    "confirm_timeout": {"type": "int", "default": 120},
    "allow_restart": {"type": "bool", "default": False},
    "release": {"type": "str"},
}
_ONLY_HERE = ("ca_path", "minimum_grade", "files")
_MODULE = "ringmaster.webops.webserver_config"


class ActionModule(ActionBase):
    """The control node's half of M(ringmaster.webops.webserver_config)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the steps of the module one by one, with a verdict between them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars
        trust_anchors.require_cryptography()
        either = [("files", "release")]
        _checked, self._settings = ActionBase.validate_argument_spec(
            self, _OPTIONS, mutually_exclusive=either, required_one_of=either
        )
        try:
            request = self._request()
            files = [] if request.release else release_contents.read_files(self._settings["files"], self._read_source)
        except WebopsError as error:
            raise AnsibleActionFail(str(error)) from error
        self._anchors = trust_anchors.read(self._settings["ca_path"])
        archive = self._send(files) if files else None
        try:
            self._arguments = self._module_arguments(files, archive)
            result.update(self._deploy(request))
        finally:
            self._forget(archive)
        return result

    def cleanup(self, force: bool = False) -> None:
        """Remove temporary files; a connection that is lost must not hide what the result says of it."""
        with contextlib.suppress(AnsibleConnectionFailure):
            ActionBase.cleanup(self, force)

    # --- what is asked for

    def _request(self) -> requests.Request:
        options = self._settings
        return requests.Request(
            server=options["server"],
            names=requests.read_names(options["names"], "names"),
            listeners=requests.read_listeners(options["listeners"]),
            endpoints=requests.read_endpoints(options["endpoints"]),
            minimum_grade=options["minimum_grade"],
            take_over=options["take_over"],
            removed_names=requests.read_names(options["removed_names"], "removed_names"),
            shadow_required=options["shadow"] == "required",
            release=options["release"],
        )

    def _read_source(self, name: str) -> bytes:
        """Return what is in a file of the control node, searched for as copy does; one in a vault is decrypted."""
        try:
            path = self._loader.get_real_file(ActionBase._find_needle(self, "files", name))
            try:
                return Path(path).read_bytes()
            finally:
                self._loader.cleanup_tmp_file(path)
        except (AnsibleError, OSError) as error:
            raise AnsibleActionFail(
                f"src {name}: it cannot be read on the control node ({error}). Give the path of a file, absolute or in "
                "files of the role or beside the playbook"
            ) from error

    # --- to the host and back

    def _send(self, files: list[release_contents.ReleaseFile]) -> str:
        """Send the contents as one file into the task's temporary directory, which only the user there may enter."""
        shell = self._connection._shell
        directory = shell.tmpdir or self._make_tmp_path()
        remote: str = shell.join_path(directory, "release.tar")
        self._transfer_data(remote, release_contents.packed(files))
        ActionBase._fixup_perms2(self, (directory, remote), execute=False)
        return remote

    def _forget(self, archive: str | None) -> None:
        """Remove the archive at once where temporary files are kept: it holds private keys."""
        if archive and constants.config.get_config_value("DEFAULT_KEEP_REMOTE_FILES"):
            with contextlib.suppress(AnsibleConnectionFailure):
                self._low_level_execute_command(self._connection._shell.remove(archive), sudoable=False)

    def _module_arguments(self, files: list[release_contents.ReleaseFile], archive: str | None) -> dict[str, object]:
        given = {name: self._settings[name] for name in self._task.args if name not in _ONLY_HERE}
        if archive is None:
            return given
        return {**given, "files": [entry.as_argument() for entry in files], "archive": archive}

    def _step(self, step: str) -> dict[str, Any]:
        """Run one step of the module. Raises AnsibleConnectionFailure where the host cannot be reached."""
        answer: dict[str, Any] = self._execute_module(
            module_name=_MODULE, module_args={**self._arguments, "step": step}, task_vars=self._task_vars
        )
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(str(answer.get("msg")))
        return answer

    # --- the way of a release

    def _deploy(self, request: requests.Request) -> dict[str, Any]:
        facts = self._step("prepare")
        report = release_report.Report(facts, with_diff=self._task.diff)
        if facts.get("failed"):
            return report.failed(verdict.RENDERED, str(facts.get("msg")))
        if facts["unchanged"]:
            return report.unchanged()
        if request.release is not None:
            request = request.serving(facts)
        if request.endpoints and not self._anchors:
            report.warn(trust_anchors.NO_ANCHORS)
        now = datetime.datetime.now(datetime.timezone.utc)
        plan = verdict.judge_plan(facts, request, self._anchors, now)
        report.plan(plan)
        if plan.reason is not None:
            return report.failed(plan.stage, plan.reason)
        if self._task.check_mode:
            return report.would_change(plan.stage, request.server)
        if not facts["installed"]:
            remedy = "Install its package before this task"
            return report.failed(plan.stage, f"{request.server}: it is not installed on this host. {remedy}")
        # What is switched to must be what was judged, though files of the host may change in between.
        self._arguments["expected_release"] = facts["release"]
        try:
            return self._switch(request, plan, report)
        except AnsibleConnectionFailure as error:
            return report.lost(str(error), self._settings["confirm_timeout"])

    def _switch(self, request: requests.Request, plan: verdict.Plan, report: release_report.Report) -> dict[str, Any]:
        switched = self._step("switch")
        report.note(switched)
        refused = _refusal(switched)
        if refused is not None:
            return self._go_back(report, *refused, done=bool(switched.get("rolled_back")))
        reason = self._wrong_live(switched, request, plan, report)
        if reason is not None:
            return self._go_back(report, verdict.RELOADED, reason)
        confirmed = self._step("confirm")
        report.note(confirmed)
        refused = _refusal(confirmed)
        if refused is not None:
            return self._go_back(report, verdict.RELOADED, refused[1])
        return report.confirmed()

    def _wrong_live(
        self, switched: Mapping[str, Any], request: requests.Request, plan: verdict.Plan, report: release_report.Report
    ) -> str | None:
        """Return why what is live now must not stay; nothing where it may."""
        now = datetime.datetime.now(datetime.timezone.utc)
        try:
            found, live = verdict.judge_live(plan, switched["live_scans"], request, self._anchors, now)
        except Exception as error:  # whatever it is: what is live is not known to be good, so it must go
            return f"What was measured after the switch cannot be judged: {type(error).__name__}: {error}"
        report.live(live, found)
        return ". ".join(found.refusals) or None

    def _go_back(self, report: release_report.Report, stage: str, reason: str, done: bool = False) -> dict[str, Any]:
        """Undo the switch, unless the host did already or never switched, and fail with the reason."""
        never = stage in (verdict.RENDERED, verdict.STAGED, verdict.TESTED, verdict.SHADOWED, verdict.MEASURED)
        if done or never:
            return report.rolled_back(stage, reason, done)
        timeout_seconds = self._settings["confirm_timeout"]
        try:
            undone = self._step("undo")
        except AnsibleConnectionFailure as error:
            return report.stuck(stage, reason, f"the connection to the host was lost: {error}", timeout_seconds)
        report.note(undone)
        if undone.get("rolled_back"):
            return report.rolled_back(stage, reason, True)
        failure = str(undone.get("reason") or undone.get("msg"))
        # A host that has nothing to go back to has no way back either.
        nowhere = not undone.get("failed") and undone.get("release") is None
        return report.stuck(stage, reason, failure, None if nowhere else timeout_seconds)


def _refusal(answer: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return stage and reason of what a step refuses; of one that broke down, where it may have got to."""
    if answer.get("refused"):
        return str(answer["refused"]["stage"]), str(answer["refused"]["reason"])
    if answer.get("failed"):
        return verdict.SWITCHED, str(answer.get("msg"))
    return None
