# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry out a plan on a running HAProxy: first no new visitors, then time for the old ones, then maintenance.

What fails in between is put back. A run that is killed leaves a server in drain, which loses nobody.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy import plan
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.runtime import RuntimeSocket, printable
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import (
    DRAIN,
    MAINTENANCE,
    READY,
    Server,
    read_servers,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.stick_table import sessions_of
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock

_PAUSE_SECONDS = 0.2
_WORDS = {READY: "ready", DRAIN: "drain", MAINTENANCE: "maint"}


@dataclass(frozen=True)
class Patience:
    """How long to wait: for open sessions to end, and for a server that was made ready to be up. 0: not at all."""

    drain_timeout_seconds: float
    up_timeout_seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of one server of one backend.

    ``open_sessions`` had not ended when the work was done; HAProxy lets them end. ``sessions_moved`` are the sessions
    of its stick table that go to other servers from now on, None where they cannot be counted.
    """

    step: plan.Step
    after: Server
    open_sessions: int
    sessions_moved: int | None


def foresee(runtime: RuntimeSocket, request: plan.Request) -> list[Outcome]:
    """Return what would become of it, without waiting; raises as :func:`carry_out` does before it changes anything."""
    return [
        Outcome(step, step.server, step.server.open_sessions, _moved(runtime, step)) for step in _plan(runtime, request)
    ]


def carry_out(runtime: RuntimeSocket, request: plan.Request, patience: Patience, lock: Lock) -> list[Outcome]:
    """Do what is asked for, and return what became of it.

    Raises InvalidInputError for what is refused before anything changed, and MeasurementError for what did not work, in
    which case all backends have been put back to what they were, or the text says which have not.
    """
    # The decision and its first orders are one, or two runs at once would take out one server too many.
    with lock:
        steps = _plan(runtime, request)
        first = [_first(step, patience) for step in steps]
        with _put_back_on_failure(runtime, steps):
            _order(runtime, first)
    with _put_back_on_failure(runtime, steps):
        if request.state == READY:
            _wait_until_up(runtime, first, patience.up_timeout_seconds)
        elif request.state is not None:
            _wait_for_sessions(runtime, first, patience.drain_timeout_seconds)
        moved = [_moved(runtime, step) for step in steps]
        before_the_end = _current(runtime, first)
        _order(runtime, [step.seen_from(at) for at, step in zip(before_the_end, steps)])
        after = _current(runtime, steps)
    return [
        Outcome(step, now, at_end.open_sessions, count)
        for step, now, at_end, count in zip(steps, after, before_the_end, moved)
    ]


def _plan(runtime: RuntimeSocket, request: plan.Request) -> list[plan.Step]:
    level = runtime.ask("show cli level").strip()
    if level != "admin":
        raise MeasurementError(
            f"the socket {runtime.path}",
            f"orders need its level to be admin, and it is: {printable(level)}",
            "Give the path of a 'stats socket' of level admin",
        )
    return plan.make(read_servers(runtime), request)


def _first(step: plan.Step, patience: Patience) -> plan.Step:
    """Return what comes first: drain on the way to maintenance and back, where there is time to wait.

    On the way back HAProxy takes a server for up until its first health check, which is made in drain too.
    """
    is_down = step.changes_state and step.state == MAINTENANCE and patience.drain_timeout_seconds > 0
    is_back = step.server.state == MAINTENANCE and step.state == READY and patience.up_timeout_seconds > 0
    return plan.Step(step.server, DRAIN, step.weight) if is_down or is_back else step


def _moved(runtime: RuntimeSocket, step: plan.Step) -> int | None:
    if step.state == MAINTENANCE and step.changes_state:
        return sessions_of(runtime, step.server)
    return 0


def _order(runtime: RuntimeSocket, steps: Sequence[plan.Step]) -> None:
    """Give the orders, out before the weight, and ready after it."""
    for step in steps:
        orders = []
        if step.changes_weight:
            orders.append(f"set server {step.server.label} weight {step.weight}")
        if step.changes_state:
            orders.append(f"set server {step.server.label} state {_WORDS[step.state]}")
        for order in orders if step.state == READY else reversed(orders):
            runtime.order(order)


def _current(runtime: RuntimeSocket, steps: Sequence[plan.Step]) -> list[Server]:
    """Return the servers as they are now; raises MeasurementError where one is not as it was ordered to be.

    A weight that nobody asked for may change meanwhile: agent checks set one every few seconds.
    """
    now = {each.label: each for each in read_servers(runtime)}
    for step in steps:
        server = now.get(step.server.label)
        if server is None or server.state != step.state or (step.changes_weight and server.weight != step.weight):
            found = f"in state {server.state} with weight {server.weight}" if server else "gone"
            ordered = f"{step.state} with weight {step.weight}" if step.changes_weight else step.state
            raise MeasurementError(
                step.server.label,
                f"it was set to {ordered}, and now it is {found}",
                "See who else changes it: a reload of HAProxy, its agent check, or another administrator",
            )
    return [now[step.server.label] for step in steps]


def _wait_for_sessions(runtime: RuntimeSocket, steps: Sequence[plan.Step], timeout_seconds: float) -> None:
    """Wait until no session is open, or the time is over; only in drain do sessions end."""
    give_up_at = time.monotonic() + timeout_seconds
    while time.monotonic() < give_up_at:
        if not any(each.open_sessions for each in _current(runtime, steps) if each.state == DRAIN):
            return
        time.sleep(_PAUSE_SECONDS)


def _wait_until_up(runtime: RuntimeSocket, steps: Sequence[plan.Step], timeout_seconds: float) -> None:
    """Wait until all are up; raises MeasurementError when they are not in time, unless there is none."""
    give_up_at = time.monotonic() + timeout_seconds
    while timeout_seconds > 0:
        late = [each for each in _current(runtime, steps) if not (each.is_running and each.is_checked)]
        if not late:
            return
        if time.monotonic() > give_up_at:
            why = "it has not passed a health check" if late[0].is_running else f"it is {late[0].hindrance}"
            raise MeasurementError(
                ", ".join(each.label for each in late),
                f"after {timeout_seconds:g} s {why}",
                "Mend the server, or what checks its health, and run again",
            )
        time.sleep(_PAUSE_SECONDS)


@contextlib.contextmanager
def _put_back_on_failure(runtime: RuntimeSocket, steps: Sequence[plan.Step]) -> Iterator[None]:
    try:
        yield
    except WebopsError as error:
        failures = [failure for step in steps if step.is_change for failure in _put_back(runtime, step)]
        if not any(step.is_change for step in steps):
            raise
        done = f"Not put back: {'; '.join(failures)}" if failures else "What was changed is put back"
        raise MeasurementError(error.value, error.reason, f"{error.remedy}. {done}") from error


def _put_back(runtime: RuntimeSocket, step: plan.Step) -> list[str]:
    """Give a server the state and the weight that it had; return why that failed, in no or one sentence."""
    try:
        now = [step.undone_from(each) for each in read_servers(runtime) if each.label == step.server.label]
        _order(runtime, now)
        _current(runtime, now or [step.undone_from(step.server)])
    except WebopsError as error:
        return [str(error)]
    return []
