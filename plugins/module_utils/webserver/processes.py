# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``/proc`` says of processes: whose children they are, since when they run, what they call themselves.

Source: proc_pid_stat(5), proc_pid_cmdline(5). A process may end at any moment: what is not there any more has no start,
no children and no command line. ``proc`` is where the file system is mounted.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_ENDED_STATES = (b"Z", b"X", b"x")
_MAX_BYTES = 64 * 1024


class _Status(NamedTuple):
    state: bytes
    parent: int
    start_ticks: int


def start_moment(pid: int, proc: Path = _PROC) -> float | None:
    """Return when a process was made, in seconds since the epoch; ``None`` where there is no such process.

    The kernel keeps it in hundredths of a second and rounds down, so this is up to that much too early. It counts from
    the boot, so a clock that was set in between moves it.
    """
    status = _status(pid, proc)
    if status is None:
        return None
    since_boot_seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - since_boot_seconds + status.start_ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int, proc: Path = _PROC) -> list[int]:
    """Return the children of a process that have not ended, by number."""
    found = []
    for name in _names(proc):
        status = _status(int(name), proc) if name.isdecimal() else None
        if status is not None and status.parent == pid and status.state not in _ENDED_STATES:
            found.append(int(name))
    return sorted(found)


def command_line(pid: int, proc: Path = _PROC) -> bytes:
    r"""Return the arguments of a process, separated by ``\0``; empty where there is no such process.

    A process may write there what it likes: servers say what each of their processes is for.
    """
    return _read(proc / str(pid) / "cmdline").rstrip(b"\0")


def _status(pid: int, proc: Path) -> _Status | None:
    """Read the fields 3, 4 and 22; the second is the name in parentheses, and may hold spaces and parentheses."""
    fields = _read(proc / str(pid) / "stat").rpartition(b")")[2].split()
    try:
        return _Status(fields[0], int(fields[1]), int(fields[19]))
    except (IndexError, ValueError):
        return None


def _names(proc: Path) -> list[str]:
    try:
        return [entry.name for entry in proc.iterdir()]
    except OSError:
        return []


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError:
        return b""
