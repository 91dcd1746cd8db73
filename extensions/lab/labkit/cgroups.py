# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One control group a host (cgroups(7)): it holds all its processes, so that they can be found and ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from labkit.errors import LabError

PARENT = "ringmaster-lab"


def _mounted(kind: str, option: str = "") -> list[Path]:
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(words[1]) for words in lines if words[2] == kind and (not option or option in words[3].split(","))]


def unified_root() -> Path:
    """Where the unified hierarchy is mounted, alone (cgroup v2) or beside the old ones. Raises LabError."""
    for path in _mounted("cgroup2"):
        return path
    raise LabError("/proc/self/mounts: no cgroup2 file system; mount one (mount -t cgroup2 none PATH)")


def group(machine: str) -> Path:
    """Return the control group of a host."""
    return unified_root() / PARENT / machine


def _shadows() -> list[Path]:
    """Where systemd-nspawn repeats control groups in systemd's old hierarchy, when that is mounted too."""
    return [path / PARENT for path in _mounted("cgroup", "name=systemd")]


def all_groups(prefix: str) -> list[Path]:
    """Return the control groups of all hosts whose machine names begin so."""
    return sorted((unified_root() / PARENT).glob(f"{prefix}*"))


def enter(path: Path) -> None:
    """Move this process into a control group, made when it is not there. Raises LabError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        raise LabError(
            f"{path}: cannot enter this control group ({error.strerror}); inside a container, "
            "start that one with rights on its cgroups"
        ) from None


def _members(path: Path) -> list[int]:
    found = []
    for listing in [path / "cgroup.procs", *path.rglob("cgroup.procs")]:
        with contextlib.suppress(OSError):
            found += [int(word) for word in listing.read_text().split()]
    return [pid for pid in dict.fromkeys(found) if pid > 0]


def kill(path: Path, timeout_seconds: float = 10.0) -> None:
    """End all processes of a control group and remove it. Raises LabError when some stay."""
    deadline = time.monotonic() + timeout_seconds
    while path.is_dir():
        for pid in _members(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        remove_empty(path)
        if path.is_dir() and time.monotonic() > deadline:
            raise LabError(
                f"{path}: processes {_members(path)} do not end; see what they wait for (ps -o pid,stat,wchan)"
            )
        if path.is_dir():
            time.sleep(0.05)


def remove_empty(path: Path) -> None:
    """Remove a control group and those below it, as far as they are empty."""
    relative = path.relative_to(unified_root() / PARENT)
    for top in (path, *(shadow / relative for shadow in _shadows())):
        for directory, _directories, _files in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
