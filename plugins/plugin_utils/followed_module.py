# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a long module so that a person sees how far it is, and so that it ends with the play.

The module is started as Ansible's own asynchronous tasks are, and writes how far it is to a small file. The control
node looks at that every few seconds and takes the result when there is one; it is the result that the module would have
given without all this.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ringmaster.webops.plugins.plugin_utils import host_job, progress_line

#: How long a module may take, in seconds. Ansible's watcher on the host ends it then, if nobody else is there to.
LIMIT_SECONDS = 7 * 24 * 3600

#: Pauses in seconds between two looks; the last one repeats. A short run is noticed soon, a long one costs little.
PAUSES_SECONDS = (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0)

#: How many looks may fail in a row because the host cannot be reached, or gives no whole answer.
MAX_FAILED_LOOKS = 5

#: After how long without progress it is asked whether the module is alive at all.
SILENCE_SECONDS = 30.0

# What Ansible's record of a job adds to the module's own result.
_OF_THE_JOB = ("ansible_job_id", "started", "finished", "results_file")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_NO_ANSWER = (
    f"the host was asked {MAX_FAILED_LOOKS} times how far the module is, and gave no whole answer. The module was "
    "ended. See with ansible -m ansible.builtin.raw -a 'echo answer' whether commands on the host print anything, then "
    "try again"
)


class Interrupted(BaseException):
    """The play is to end: a signal came."""

    def __init__(self, number: int) -> None:
        """Hold the number of the signal."""
        super().__init__(number)
        self.number = number


class FollowedModule(ActionBase):
    """The control node's half of a module that has the parameter ``progress_path``."""

    _supports_async = True

    #: The module's full name.
    module_name = ""

    _async_directory: str | None = None

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module of the same name and show how far it is."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars
        if self._task.async_val:  # Then it is followed already, or not to be followed.
            result.update(self._module(self.module_name, self._task.args, wrap_async=True))
            return result
        self._name = _host_name(self._task.delegate_to, task_vars or {})
        with _interruptible():
            result.update(self._run_followed())
        return result

    def _module(self, name: str, arguments: dict[str, Any], wrap_async: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=name, module_args=arguments, task_vars=self._task_vars, wrap_async=wrap_async
        )
        return answer

    def _run_followed(self) -> dict[str, Any]:
        """Start the module and follow it. However this ends, the module and its files are gone afterwards."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        job = host_job.Job(str(self._connection._shell.tmpdir), self._own_directory())
        try:
            started = self._start({**self._task.args, "progress_path": job.progress}, job.own)
            job_id = started.get("ansible_job_id")
            if not job_id:  # As for a user without a home: then without progress, and with Ansible's own words.
                self._end(job)
                return self._module(self.module_name, self._task.args)
            job = job._replace(record=posixpath.join(job.own, str(job_id)))
            result = self._follow(job, str(job_id))
        except AnsibleConnectionFailure:
            raise  # The host is out of reach, so that nothing can be ended there either.
        except BaseException:
            self._end(job)
            raise
        with contextlib.suppress(AnsibleConnectionFailure):  # What the module did is known, and must not be lost.
            self._shell_command(host_job.forget(job))
        return _own_result(result)

    def _own_directory(self) -> str:
        """Return a new name for the directory of the job's record. Ansible makes it as the user who runs the module."""
        parent = ActionBase.get_shell_option(self, "async_dir", default="~/.ansible_async")
        return posixpath.join(str(parent), f"webops-{secrets.token_hex(16)}")

    def get_shell_option(self, option: str, default: object = None) -> object:
        """Return an option of the shell, but for the directory of the job while that is started."""
        if option == "async_dir" and self._async_directory is not None:
            return self._async_directory
        return ActionBase.get_shell_option(self, option, default=default)

    def _start(self, arguments: dict[str, Any], own_directory: str) -> dict[str, Any]:
        self._task.async_val = LIMIT_SECONDS
        self._async_directory = own_directory
        try:
            return self._module(self.module_name, arguments, wrap_async=True)
        finally:
            self._task.async_val = 0
            self._async_directory = None
            # Only the directory of the module, which is removed by what watches it on the host, is no concern of ours.
            self._cleanup_remote_tmp = True

    def _follow(self, job: host_job.Job, job_id: str) -> dict[str, Any]:
        """Look at the module until it has ended, and return what it says."""
        begun = changed = time.monotonic()
        timetable = progress_line.Timetable()
        last = None
        for pause in _pauses():
            time.sleep(pause)
            seen = self._look(job)
            now = time.monotonic()
            if not seen.is_running:
                return self._collect(job, job_id)
            if seen.progress is not None and seen.progress != last:
                last, changed = seen.progress, now
                if timetable.is_due(now - begun):
                    Display().display(progress_line.line(self._name, last))
            elif now - changed > SILENCE_SECONDS:
                changed = now
                if host_job.processes(self._shell_command(host_job.find(job))) == []:
                    return self._collect(job, job_id)
        raise AssertionError("looking has no end")

    def _look(self, job: host_job.Job) -> host_job.Glance:
        """Look at the module once; a connection that is lost may come back.

        Raises AnsibleConnectionFailure, and AnsibleActionFail where the host can be reached and does not answer.
        """
        for attempt in range(1, MAX_FAILED_LOOKS + 1):
            try:
                seen = host_job.glance(self._shell_command(host_job.look(job)))
            except AnsibleConnectionFailure:
                if attempt == MAX_FAILED_LOOKS:
                    raise
                seen = None
            if seen is not None:
                return seen
            with contextlib.suppress(AttributeError, AnsibleConnectionFailure):
                self._connection.reset()
            time.sleep(PAUSES_SECONDS[-1])
        raise AnsibleActionFail(_NO_ANSWER)

    def _collect(self, job: host_job.Job, job_id: str) -> dict[str, Any]:
        """Take the result of a module that has ended. Where there is none, what is left of the module is ended."""
        arguments = {"jid": job_id, "mode": "status", "_async_dir": job.own}
        result = self._module("ansible.legacy.async_status", arguments)
        if result.get("finished") and "could not find job" not in str(result.get("msg")):
            return result
        self._end(job)
        return _lost()

    def _end(self, job: host_job.Job) -> None:
        """End the module and remove its files; where the host cannot be reached, nothing can be done."""
        remove = bool(ActionBase._should_remove_tmp_path(self, job.directory))
        with contextlib.suppress(AnsibleConnectionFailure):
            self._shell_command(host_job.end(job, remove))

    def _shell_command(self, command: str) -> str:
        return str(self._low_level_execute_command(command)["stdout"])


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have a signal to end raise `Interrupted`, so that there is time to clean up; it takes effect afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def interrupt(number: int, frame: object) -> NoReturn:
        del frame
        for each in _SIGNALS:  # The end is under way: a second signal must not interrupt it.
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    for number in _SIGNALS:
        signal.signal(number, interrupt)
    pending = None
    try:
        yield
    except Interrupted as interruption:
        pending = interruption.number
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if pending is not None:
            os.kill(os.getpid(), pending)


def _pauses() -> Iterator[float]:
    yield from PAUSES_SECONDS
    while True:
        yield PAUSES_SECONDS[-1]


def _host_name(delegate_to: object, task_vars: dict[str, Any]) -> str:
    name = str(task_vars.get("inventory_hostname", "host"))
    return f"{name} -> {delegate_to}" if delegate_to else name


def _own_result(result: dict[str, Any]) -> dict[str, Any]:
    """Return the module's own result out of Ansible's record of its job."""
    own = {key: value for key, value in result.items() if key not in _OF_THE_JOB}
    if own.get("failed") and "cmd" in own and "data" in own:
        return _crashed(own)
    invocation = own.get("invocation")
    if isinstance(invocation, dict) and isinstance(invocation.get("module_args"), dict):
        invocation["module_args"].pop("progress_path", None)
    return own


def _crashed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a module's failure to give a result, as Ansible words it."""
    return {
        "failed": True,
        "changed": False,
        "msg": "MODULE FAILURE: the module ended without a result; module_stdout and module_stderr say what it printed",
        "module_stdout": str(record.get("data")),
        "module_stderr": str(record.get("stderr", "")),
    }


def _lost() -> dict[str, Any]:
    return {
        "failed": True,
        "changed": False,
        "msg": "MODULE FAILURE: the module ended without a result, and what watched it did too, as when the host was "
        "restarted or ran out of memory. Look into the host's log, then try again",
    }
