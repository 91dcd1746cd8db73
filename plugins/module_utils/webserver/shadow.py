# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run something on a host as if for real, while the host sees nothing of it and nothing of it stays.

Three processes do it. The *supervisor*, a child of the caller, is on the host and ends everything when time is up. The
*first process* of the new namespaces builds the shadow, watches its memory and takes everything with it when it ends
(pid_namespaces(7)). The *worker* runs the caller's function in it. Each dies with the one before.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import namespaces
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.host_files import (
    Growing,
    bound_sockets,
    growing_files,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import run
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.shadow_root import (
    append_hosts,
    empty_files,
    enter_shadow_root,
    hide_sockets,
    private_bytes,
    protect_proc,
)

_RESULT_MAX_BYTES = 32 * 1024 * 1024
#: How long ending may take once it was asked for.
_ENDING_SECONDS = 15
_WATCH_INTERVAL_SECONDS = 0.1
_SCOPE_WAIT_SECONDS = 3
_TASKS_MAX = 2048
#: Larger files that somebody appends to are empty in the shadow.
_COPIED_MAX_BYTES = 1024 * 1024

# Statuses of the supervisor and the first process.
_ENDED = 0
_DEADLINE = 71
_STOPPED = 72
_KILLED = 73
_MEMORY = 74
_WORKER_KILLED = 75

_MEANINGS = {
    errno.EPERM: "the process may not do that: it is not root, or in a container that withholds it",
    errno.EACCES: "a security module forbids it",
    errno.ENOSPC: "a limit of the host is reached, such as one of user.max_*_namespaces, or the memory set aside",
    errno.EINVAL: "the kernel or the file system below cannot do that, such as overlays stacked too deep",
    errno.ENODEV: "the kernel has no such file system, or its module is not loaded",
    errno.ENOSYS: "the kernel has no such call",
}


class ShadowUnavailableError(WebopsError):
    """A shadow cannot be had on this host, or did not come to an end in it: this says nothing about a configuration."""


@dataclass(frozen=True)
class Limits:
    """What a shadow may use: memory of all its processes together, CPU time of each, and time from beginning to end."""

    memory_bytes: int = 512 * 1024 * 1024
    cpu_seconds: int = 60
    wall_seconds: float = 90


_NO_HOSTS: Mapping[str, Sequence[str]] = MappingProxyType({})
_USUAL_LIMITS = Limits()


def run_in_shadow(
    work: Callable[[], dict[str, Any]],
    *,
    hosts: Mapping[str, Sequence[str]] = _NO_HOSTS,
    limits: Limits = _USUAL_LIMITS,
) -> dict[str, Any]:
    """Run a function in a shadow of this host and return its result, which must be what JSON can say.

    In the shadow the file system is the host's, but changes go to memory; the network is a loopback that has every
    address; there is no other process, no socket of the host, no log. ``hosts`` (name to addresses) is appended to its
    ``/etc/hosts``. ``/run`` and ``/var/log`` have the host's directories and no files, and a large
    file that some process appends to is empty. Afterwards all processes that
    were started in it are gone.

    Raises what ``work`` raises if that is a WebopsError, RuntimeError with the traceback if it is something else, and
    ShadowUnavailableError where the host permits no shadow or a limit was reached.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    supervisor = os.fork()
    if supervisor == 0:
        os.close(reading)
        _in_child(writing, lambda: _supervise(work, hosts, limits, writing, parent))
    os.close(writing)
    message = None
    try:
        message = _read_all(reading, time.monotonic() + limits.wall_seconds + _ENDING_SECONDS)
    finally:
        os.close(reading)
        status = _ended(supervisor, by_itself=message is not None)
    return _outcome(message, status, limits)


def _read_all(descriptor: int, deadline: float) -> bytes | None:
    """Read to the end; None if that is too far or takes too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        ready, _writable, _failed = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        part = os.read(descriptor, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > _RESULT_MAX_BYTES:
            return None


def _ended(supervisor: int, *, by_itself: bool) -> int:
    """See to it that the supervisor has ended, and everything with it; return its status, negative for a signal."""
    status = _status_within(supervisor, _ENDING_SECONDS) if by_itself else None
    for number in (signal.SIGTERM, signal.SIGKILL):
        if status is None:
            os.kill(supervisor, number)
            status = _status_within(supervisor, _ENDING_SECONDS)
    return _STOPPED if status is None else status


def _status_within(process: int, seconds: float) -> int | None:
    """Return the status of a child if it ends within a time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ended, status = os.waitpid(process, os.WNOHANG)
        except ChildProcessError:
            # The caller has the kernel collect its children.
            return _KILLED
        if ended:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def _outcome(message: bytes | None, status: int, limits: Limits) -> dict[str, Any]:
    """Return the result that a message carries, or raise the exception that it or the status stands for."""
    try:
        answer = json.loads(message or b"")
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise _unavailable(_reason(status, limits))
    if "result" in answer:
        result: dict[str, Any] = answer["result"]
        return result
    if "traceback" in answer:
        raise RuntimeError(answer["traceback"])
    raise _error_class(answer["error"])(*answer["parts"])


def _reason(status: int, limits: Limits) -> str:
    """Say why there is no result."""
    reasons = {
        _DEADLINE: f"it did not end within {limits.wall_seconds} seconds",
        _STOPPED: f"its result was larger than {_RESULT_MAX_BYTES} bytes, or did not come to an end",
        _MEMORY: f"its processes took more than {limits.memory_bytes} bytes of memory",
        _WORKER_KILLED: f"it was killed: for more than {limits.cpu_seconds} seconds of CPU time, or for lack of memory",
    }
    return reasons.get(status, f"it ended without a result (status {status})")


def _unavailable(reason: str) -> ShadowUnavailableError:
    return ShadowUnavailableError(
        "Shadow start", reason, "The configuration can be tested by the server's own test and measured once it is live"
    )


def _error_class(name: str) -> type[WebopsError]:
    """Return the exception class of that name, WebopsError if this process has none."""
    waiting: list[type[WebopsError]] = [WebopsError]
    while waiting:
        candidate = waiting.pop()
        if candidate.__name__ == name:
            return candidate
        waiting.extend(candidate.__subclasses__())
    return WebopsError


def _in_child(writing: int, task: Callable[[], int]) -> NoReturn:
    """Run what is to happen in a forked process and end it there: nothing of the caller's may run on."""
    status = _ENDED
    try:
        status = task()
    except OSError as error:
        meaning = _MEANINGS.get(error.errno or 0, "the host does not permit it")
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        _tell_error(writing, _unavailable(f"{what} ({meaning})"))
    except BaseException:
        _tell(writing, {"traceback": traceback.format_exc()})
    finally:
        os._exit(status)


def _tell(writing: int, message: Mapping[str, Any]) -> None:
    """Write a message; whoever does not read it any more does not need it."""
    remaining = memoryview(json.dumps(message).encode("ascii"))
    with contextlib.suppress(BrokenPipeError):
        while remaining:
            remaining = remaining[os.write(writing, remaining) :]


def _tell_error(writing: int, error: WebopsError) -> None:
    _tell(writing, {"error": type(error).__name__, "parts": [error.value, error.reason, error.remedy]})


def _supervise(
    work: Callable[[], dict[str, Any]],
    hosts: Mapping[str, Sequence[str]],
    limits: Limits,
    writing: int,
    parent: int,
) -> int:
    """Be the supervisor: make the namespaces and their first process, and wait for it until time is up."""
    deadline = time.monotonic() + limits.wall_seconds
    namespaces.die_with_parent()
    if os.getppid() != parent:
        return _STOPPED
    _leave_terminal()
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    _enter_scope(limits)
    sockets, growing = bound_sockets(), growing_files(_COPIED_MAX_BYTES)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
    namespaces.unshare(
        namespaces.CLONE_NEWNS
        | namespaces.CLONE_NEWNET
        | namespaces.CLONE_NEWPID
        | namespaces.CLONE_NEWIPC
        | namespaces.CLONE_NEWUTS
    )
    first = _first_process(writing, lambda: _build_and_watch(work, hosts, limits, writing, sockets, growing))
    os.close(writing)
    return _wait_for(first, deadline)


def _first_process(writing: int, task: Callable[[], int]) -> int:
    """Start the first process of the new namespaces, which stands or falls with the supervisor; return its number."""
    alive, held = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(held)

        def stand_or_fall() -> int:
            namespaces.die_with_parent()
            # The supervisor may be dead already: then nobody holds the other end.
            if select.select([alive], [], [], 0)[0]:
                return _STOPPED
            os.close(alive)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            return task()

        _in_child(writing, stand_or_fall)
    return first


def _build_and_watch(
    work: Callable[[], dict[str, Any]],
    hosts: Mapping[str, Sequence[str]],
    limits: Limits,
    writing: int,
    sockets: Sequence[Path],
    growing: Sequence[Growing],
) -> int:
    """Be the first process: build the shadow and watch what happens in it."""
    enter_shadow_root(limits.memory_bytes // 2)
    hide_sockets(sockets)
    empty_files(growing)
    append_hosts(hosts)
    namespaces.make_every_address_local()
    protect_proc()
    _limit(limits)
    return _watch(work, limits, writing)


def _leave_terminal() -> None:
    """Leave the terminal and the signal handlers of the caller."""
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)


def _enter_scope(limits: Limits) -> None:
    """Move this process into a transient scope of systemd that limits it, where there is a systemd that does it.

    Source: org.freedesktop.systemd1(5), StartTransientUnit; systemd.resource-control(5).
    """
    if not Path("/run/systemd/system").is_dir():
        return
    scope = f"ringmaster-shadow-{os.getpid()}.scope"
    properties = (
        ("PIDs", "au", "1", str(os.getpid())),
        # Twice, because it counts what is written too, and would end one process alone: first to act is the watch.
        ("MemoryMax", "t", str(2 * limits.memory_bytes)),
        ("MemorySwapMax", "t", "0"),
        ("CPUQuotaPerSecUSec", "t", "1000000"),
        ("TasksMax", "t", str(_TASKS_MAX)),
        ("RuntimeMaxUSec", "t", str(int((limits.wall_seconds + 2 * _ENDING_SECONDS) * 1_000_000))),
        # A scope that was killed would stay in the list of failed units.
        ("CollectMode", "s", "inactive-or-failed"),
    )
    systemd = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
    values = [word for one in properties for word in one]
    argv = ["busctl", "--timeout=5", "call", *systemd, "StartTransientUnit", "ssa(sv)a(sa(sv))", scope, "fail"]
    try:
        if run([*argv, str(len(properties)), *values, "0"], 10).status != 0:
            return
    except MeasurementError:
        return
    deadline = time.monotonic() + _SCOPE_WAIT_SECONDS
    while scope not in Path("/proc/self/cgroup").read_text(encoding="utf-8") and time.monotonic() < deadline:
        time.sleep(0.01)


def _wait_for(first: int, deadline: float) -> int:
    """Wait for the first process, kill it when time is up or when told to; its end is the end of all the others."""
    reason = None
    while True:
        ended, status = os.waitpid(first, os.WNOHANG)
        if ended:
            break
        remaining = deadline - time.monotonic()
        caught = signal.sigtimedwait({signal.SIGCHLD, signal.SIGTERM}, remaining) if remaining > 0 else None
        if caught is None or caught.si_signo == signal.SIGTERM:
            reason = _DEADLINE if caught is None else _STOPPED
            os.kill(first, signal.SIGKILL)
            os.waitpid(first, 0)
            break
    if reason is not None:
        return reason
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else _KILLED


def _limit(limits: Limits) -> None:
    """Limit each process of the shadow, and take from root what it does not need here."""
    _lower(resource.RLIMIT_CPU, limits.cpu_seconds)
    # One byte, not none: that also keeps core dumps from a program on the host that collects them (core(5)).
    _lower(resource.RLIMIT_CORE, 1)
    # Against what grows faster than it is looked at; not less, because threads reserve far more than they use.
    _lower(resource.RLIMIT_DATA, 4 * limits.memory_bytes)
    namespaces.keep_capabilities()


def _lower(limit: int, value: int) -> None:
    """Set a limit of this process, unless it is lower already."""
    _soft, hard = resource.getrlimit(limit)
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (lowest, lowest))


def _watch(work: Callable[[], dict[str, Any]], limits: Limits, writing: int) -> int:
    """Start the worker, collect the dead, and end everything with it or for lack of memory."""
    worker = os.fork()
    if worker == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        _in_child(writing, lambda: _work(work, writing))
    os.close(writing)
    while True:
        signal.sigtimedwait({signal.SIGCHLD}, _WATCH_INTERVAL_SECONDS)
        status = _collected(worker)
        if status is not None:
            return _ENDED if os.WIFEXITED(status) else _WORKER_KILLED
        if private_bytes() > limits.memory_bytes:
            return _MEMORY


def _collected(worker: int) -> int | None:
    """Collect every process that has ended; return the worker's status if it is among them."""
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == worker:
            return status
        if not ended:
            return None


def _work(work: Callable[[], dict[str, Any]], writing: int) -> int:
    """Be the worker: run the caller's function and tell its result."""
    try:
        result = work()
    except WebopsError as error:
        _tell_error(writing, error)
    except Exception:
        # Not left to others: an OSError of the work is not one of the namespaces.
        _tell(writing, {"traceback": traceback.format_exc()})
    else:
        _tell(writing, {"result": result})
    return _ENDED
