# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd unit of a server: what it is doing, and telling it what to do."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import run

_PROPERTIES = (
    "ActiveState",
    "MainPID",
    "ActiveEnterTimestampMonotonic",
    "ExecMainStartTimestampMonotonic",
    "NeedDaemonReload",
    "FragmentPath",
    "DropInPaths",
)
_RUNNING = ("active", "reloading", "refreshing")
_DEAD = ("inactive", "failed")
# systemd itself gives up after 90 s (DefaultTimeoutStopSec, systemd-system.conf(5)); its answer is better than ours.
_CONTROL_TIMEOUT_SECONDS = 100


@dataclass(frozen=True)
class Unit:
    """A unit at one moment; one that is neither active nor dead is on its way to one of them.

    ``active_seconds`` is for how long it has been active, 0 where it is not.
    """

    name: str
    active: bool
    dead: bool
    main_pid: int
    active_seconds: float
    main_started_at: float
    needs_daemon_reload: bool
    files: tuple[str, ...]


def ask(name: str) -> Unit:
    """Ask systemd about a unit; raises MeasurementError where it does not answer."""
    output = run(["systemctl", "show", "--property=" + ",".join(_PROPERTIES), name])
    if output.status != 0:
        raise MeasurementError(
            name, f"systemctl does not show it ({(output.stderr or output.stdout).strip()})", "systemd must be running"
        )
    return parse(name, output.stdout, time.clock_gettime(time.CLOCK_MONOTONIC), time.time())


def parse(name: str, shown: str, monotonic: float, now: float) -> Unit:
    """Read what ``systemctl show`` says at a moment of both clocks, in seconds."""
    said = dict(line.partition("=")[::2] for line in shown.splitlines())
    active = said.get("ActiveState") in _RUNNING
    files = [said.get("FragmentPath", ""), *said.get("DropInPaths", "").split(" ")]
    return Unit(
        name,
        active,
        said.get("ActiveState") in _DEAD,
        int(_number(said.get("MainPID"))),
        max(0.0, monotonic - _number(said.get("ActiveEnterTimestampMonotonic")) / 1e6) if active else 0.0,
        now - monotonic + _number(said.get("ExecMainStartTimestampMonotonic")) / 1e6,
        said.get("NeedDaemonReload") == "yes",
        tuple(path for path in files if path),
    )


def _number(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0


def restart_required(unit: Unit) -> list[str]:
    """Return what of the unit itself a reload does not apply: what was written after its main process started."""
    if not unit.active:
        return []
    found = []
    for path in unit.files:
        with contextlib.suppress(OSError):
            if Path(path).stat().st_mtime > unit.main_started_at:
                found.append(f"{path} was changed after {unit.name} was started: systemctl restart {unit.name}")
    if unit.needs_daemon_reload:
        found.append(f"the files of {unit.name} were changed on disk: systemctl daemon-reload")
    return found


def control(verb: str, *arguments: str) -> str | None:
    """Tell systemd to do something; return what it said where it could not, None where it did.

    Raises MeasurementError where it does not end in time.
    """
    output = run(["systemctl", verb, *arguments], _CONTROL_TIMEOUT_SECONDS)
    if output.status == 0:
        return None
    return (output.stderr or output.stdout).strip() or f"systemctl {verb} ended with status {output.status}"
