# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive the command that started them: recorded so that a reused process id deceives nobody."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path


def _start_time(pid: int) -> str | None:
    """When a process started, in ticks since boot (proc_pid_stat(5), field 22); None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def record(path: Path) -> None:
    """Write down this process."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"pid": os.getpid(), "start_time": _start_time(os.getpid())}))
    draft.replace(path)


def recorded(path: Path) -> int | None:
    """Return the id of the recorded process when it lives."""
    try:
        data = json.loads(path.read_text())
        pid = int(data["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if data.get("start_time") == _start_time(pid) else None


def end(pid: int, timeout_seconds: float) -> None:
    """Ask a process to end, and make it after a while."""
    started = _start_time(pid)
    for number, wait_seconds in ((signal.SIGTERM, timeout_seconds), (signal.SIGKILL, timeout_seconds)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + wait_seconds
        while time.monotonic() < deadline:
            if started is None or _start_time(pid) != started:
                return
            time.sleep(0.02)


def with_argument(prefix: str) -> list[int]:
    """All processes that have an argument beginning so: `--machine=<prefix>` names a host's nspawn and supervisor."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and int(directory.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (directory / "cmdline").read_bytes().split(b"\0")
                if any(word.startswith(prefix.encode()) for word in words):
                    found.append(int(directory.name))
    return found
