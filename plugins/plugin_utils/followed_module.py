# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a long module so that a person sees how far it is, and so that it ends with the play.

The module is started as Ansible's own asynchronous tasks are, and writes how far it is to a small file. The control
node looks at that every few seconds and takes the result when there is one; it is the result that the module would have
given without all this.

What ends a module that repairs may leave a package half installed. So a module that may repair is ended only when the
play is: where the host does not tell how far it is, it is left to its end.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
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

#: What a module is called that only reads, by Ansible's convention. It can be ended at any time.
_READS_ONLY = "_info"

_NO_ANSWER = (
    f"the host was asked {MAX_FAILED_LOOKS} times how far the module is, and gave no whole answer. The module was "
    "ended. See with ansible -m ansible.builtin.raw -a 'echo answer' whether commands on the host print anything, then "
    "try again"
)
_LEFT = (
    f"the host was asked {MAX_FAILED_LOOKS} times how far the module is, and did not tell. The module may be "
    "repairing, so it was not ended and may still run. See with ansible -m ansible.builtin.raw -a 'cat {record}' (as "
    'the user whom the module ran as): what begins with {{"started" runs, anything else is the result. Do not try '
    "again and do not restart the host before it has ended; then see with ringmaster.webops.package_consistency_info "
    "how the host is"
)

_Answer = TypeVar("_Answer")


class Interrupted(BaseException):
    """The play is to end: a signal came."""

    def __init__(self, number: int) -> None:
        """Hold the number of the signal."""
        super().__init__(number)
        self.number = number


class LeftAlone(Exception):
    """It is not known how far the module is, and it may be repairing: it was not ended."""


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
        """Start the module and follow it. The module and its files are gone afterwards, unless it was `LeftAlone`."""
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
        except LeftAlone:
            raise AnsibleActionFail(_LEFT.format(record=job.record)) from None
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
            seen = self._ask(host_job.look(job), host_job.glance)
            now = time.monotonic()
            may_have_ended = seen is None or not seen.is_running
            if seen is not None and seen.progress is not None and seen.progress != last:
                last, changed = seen.progress, now
                if timetable.is_due(now - begun):
                    Display().display(progress_line.line(self._name, last))
            elif now - changed > SILENCE_SECONDS:
                changed = now
                may_have_ended = may_have_ended or self._processes(job) == []
            result = self._collect(job, job_id) if may_have_ended else None
            if result is not None:
                return result
        raise AssertionError("looking has no end")

    def _may_repair(self) -> bool:
        """Tell whether the module may be changing the host.

        The stage that was seen last does not count: the next one may have begun since.
        """
        return not self.module_name.endswith(_READS_ONLY) and not self._task.check_mode

    def _ask(self, command: str, understand: Callable[[str], _Answer | None]) -> _Answer | None:
        """Run a command until its answer is understood, several times; a connection that is lost may come back.

        Raises AnsibleConnectionFailure. Where the host can be reached and does not answer, it is `None`.
        """
        for attempt in range(1, MAX_FAILED_LOOKS + 1):
            try:
                answer = understand(self._shell_command(command))
            except AnsibleConnectionFailure:
                if attempt == MAX_FAILED_LOOKS:
                    raise
                answer = None
            if answer is not None:
                return answer
            with contextlib.suppress(AttributeError, AnsibleConnectionFailure):
                self._connection.reset()
            time.sleep(PAUSES_SECONDS[-1])
        return None

    def _processes(self, job: host_job.Job) -> list[int] | None:
        return self._ask(host_job.find(job), host_job.processes)

    def _collect(self, job: host_job.Job, job_id: str) -> dict[str, Any] | None:
        """Take the result of a module that seems to have ended; `None` while it runs.

        Where there is no result and none is to come, what is left of the module is ended. Raises AnsibleActionFail
        where that is not known, and `LeftAlone` where it could break a repair.
        """
        try:
            result = self._result(job, job_id)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError:
            result = {}  # As where there is no room for Ansible's own module: that says nothing about this one.
        if _has_result(result):
            return result
        processes = self._processes(job)
        if processes and not _is_lost(result):
            return None
        if processes == []:
            result = self._result(job, job_id)  # It may have come meanwhile.
            if _has_result(result):
                return result
        elif self._may_repair():
            raise LeftAlone
        elif processes is None and not _is_lost(result):
            raise AnsibleActionFail(_NO_ANSWER)
        self._end(job)
        return _lost()

    def _result(self, job: host_job.Job, job_id: str) -> dict[str, Any]:
        """Return what Ansible's own module says of the job."""
        arguments = {"jid": job_id, "mode": "status", "_async_dir": job.own}
        return self._module("ansible.legacy.async_status", arguments)

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


def _is_lost(status: dict[str, Any]) -> bool:
    """Tell whether there is no record of the job any more."""
    return "could not find job" in str(status.get("msg"))


def _has_result(status: dict[str, Any]) -> bool:
    return bool(status.get("finished")) and not _is_lost(status)


def _lost() -> dict[str, Any]:
    return {
        "failed": True,
        "changed": False,
        "msg": "MODULE FAILURE: the module ended without a result, and what watched it did too, as when the host was "
        "restarted or ran out of memory. Look into the host's log, then try again",
    }
