# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a server run with the release that is current, and see that it really does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import unit as units
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.ports import accepts

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, Server
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.unit import Unit

CONFIRM_SECONDS = 30.0
_PAUSE_SECONDS = 0.2
_ATTEMPTS_TO_COME_BACK = 3
# The kernel tells when a process was made in hundredths of a second, and clocks are read one after the other.
_SAME_MOMENT_SECONDS = 0.05
# HAProxy before 3.0 hands its session table to the next process only so long after a cold start (it waits 5 seconds).
_FIRST_RELOAD_AFTER_SECONDS = 7.0


@dataclass(frozen=True)
class Attempt:
    """A reload that was asked for: what there was before it, and what systemd said against it, if anything.

    ``serving_since_boot`` is in seconds since the host was booted, ``moment`` in seconds since the epoch.
    """

    serving_since_boot: float | None
    moment: float
    known_errors: frozenset[str]
    said: str | None


def begin(server: Server, restart: bool = False) -> Attempt:
    """Reload a server, or restart it, or start one that does not run. Whether it helped, :func:`outcome` says."""
    unit = units.ask(server.unit)
    before = _serving_since_boot(server, unit) if unit.active else None
    moment = time.time()
    known = frozenset(_errors(server, moment))
    if unit.active:
        return Attempt(before, moment, known, units.control("restart" if restart else "reload", server.unit))
    units.control("reset-failed", server.unit)
    return Attempt(before, moment, known, units.control("start", server.unit))


def _serving_since_boot(server: Server, unit: Unit) -> float | None:
    """Return since when a configuration has been in use, by a clock that nobody sets between two questions."""
    since = server.serving_since(unit.main_pid)
    return None if since is None else since - time.time() + time.clock_gettime(time.CLOCK_BOOTTIME)


def outcome(server: Server, attempt: Attempt, listeners: Sequence[Listener]) -> str | None:
    """Return why a server does not serve the current release; None where it does.

    That it does is seen by new processes, no error in its log, and every listener taking connections.
    """
    return _outcome(server, attempt, listeners, errors_decide=True)


def bring_back(server: Server, listeners: Sequence[Listener], restart: bool = False) -> str | None:
    """Make a server serve an earlier release again, by a restart where a socket must move; return why it does not.

    It may still log what it could not do with the one before, or die of it (Apache does) while it is told to reload.
    """
    problem: str | None = None
    for _attempt in range(_ATTEMPTS_TO_COME_BACK):
        problem = _outcome(server, begin(server, restart), listeners, errors_decide=False)
        if problem is None or not units.ask(server.unit).dead:
            break
    return problem


def _outcome(server: Server, attempt: Attempt, listeners: Sequence[Listener], errors_decide: bool) -> str | None:
    deadline = time.monotonic() + CONFIRM_SECONDS
    while True:
        logged = _new_errors(server, attempt) if errors_decide else ""
        if logged or attempt.said is not None:
            return logged or attempt.said
        unit = units.ask(server.unit)
        missing = _missing(server, unit, attempt.serving_since_boot, listeners)
        if missing is None or unit.dead or time.monotonic() > deadline:
            return _new_errors(server, attempt) or missing if missing else None
        time.sleep(_PAUSE_SECONDS)


def _new_errors(server: Server, attempt: Attempt) -> str:
    """Return the errors that were not there before: logs have whole seconds, and an earlier attempt may be in one."""
    return "; ".join(error for error in _errors(server, attempt.moment) if error not in attempt.known_errors)


def _errors(server: Server, moment: float) -> list[str]:
    """Return what the server logged; a configuration that is beyond reading is refused for a better reason."""
    try:
        return server.errors_since(moment)
    except WebopsError:
        return []


def _missing(server: Server, unit: Unit, before: float | None, listeners: Sequence[Listener]) -> str | None:
    """Return what is still missing; None where nothing is."""
    if not unit.active or not unit.main_pid:
        return f"{server.unit} does not run"
    since = _serving_since_boot(server, unit)
    if since is None:
        return f"{server.unit} runs, but no process of it takes connections"
    if before is not None and since <= before + _SAME_MOMENT_SECONDS:
        return (
            f"{server.unit} goes on with the configuration that it had, {CONFIRM_SECONDS:.0f} seconds after the reload"
        )
    silent = [f"{each.address} port {each.port}" for each in listeners if not accepts(each, 2.0)]
    return f"{server.unit} does not answer on {', '.join(silent)}" if silent else None


def wait_until_a_reload_keeps_sessions(server: Server, unit: Unit) -> None:
    """Wait out the first seconds of HAProxy before 3.0, in which a reload would lose its session table."""
    capabilities = server.capabilities() if server.name == "haproxy" and unit.active else None
    if capabilities is not None and int(capabilities.version.split(".")[0]) < 3:
        time.sleep(max(0.0, _FIRST_RELOAD_AFTER_SECONDS - unit.active_seconds))
