# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a repair: which services still run what was replaced, and whether the system must be rebooted, and why.

A file that is replaced by a rename lives on in the processes that have mapped it; the kernel calls it ``(deleted)``
there (proc_pid_maps(5)). The control group of a process says to which unit it belongs (cgroups(7)).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text

_DELETED = b" (deleted)"
_MAX_BYTES = 4 * 1024 * 1024
_MAX_PROCESSES = 100_000
_MAX_FILES = 5

#: What only a reboot exchanges everywhere, and why.
_REBOOT = (
    (re.compile(rb"(?:/usr)?/lib(?:/[^/]+)?/(?:libc|ld-linux[^/]*|ld)[-.][^/]*"), "every process runs it (C library)"),
    (re.compile(rb"(?:/usr)?/lib/systemd/(?:systemd|systemd-executor|libsystemd-[^/]*\.so)"), "it is the init system"),
    (
        re.compile(rb"(?:/usr)?/bin/dbus-(?:daemon|broker[^/]*)"),
        "the message bus cannot be restarted while it is in use",
    ),
    (re.compile(rb"/boot/.*", re.DOTALL), "it is read when the system starts"),
    (re.compile(rb"(?:/usr)?/lib/(?:modules|firmware)/.*", re.DOTALL), "the running kernel has loaded what was there"),
)
#: What an initramfs is made of.
_INITRAMFS = re.compile(
    rb"(?:/usr)?/lib/(?:modules|firmware|udev|systemd/systemd-udevd)(?:/.*)?|(?:/usr)?/s?bin/(?:kmod|udevadm|busybox)"
    rb"|/usr/share/initramfs-tools/.*|/etc/initramfs-tools/.*",
    re.DOTALL,
)
_UNIT_FILE = re.compile(rb"(?:/usr)?(?:/lib|/etc)/systemd/system/.*|/etc/init\.d/[^/]*", re.DOTALL)


class Aftermath(NamedTuple):
    """What is to be done after a repair.

    ``restart`` is one dictionary for each unit (``unit``; empty for processes of none) with the ``processes`` and
    ``files`` that it concerns; ``reboot`` one for each reason (``file``, ``reason``); ``commands`` what must be run for
    the repair to have its effect.
    """

    restart: list[dict[str, object]]
    reboot: list[dict[str, str]]
    commands: list[str]


NOTHING = Aftermath([], [], [])


def look(replaced: Iterable[bytes], proc: Path = Path("/proc")) -> Aftermath:
    """Return what the replacement of files means for the processes of this machine."""
    files = frozenset(replaced)
    uses: dict[str, tuple[list[str], set[bytes]]] = {}
    reboot = {path: why for path in files for pattern, why in _REBOOT if pattern.fullmatch(path)}
    for process in _processes(proc):
        used = _old_files(process) & files
        if not used:
            continue
        if process.name == "1":
            reboot.update(dict.fromkeys(used - reboot.keys(), "the first process runs it"))
            continue
        processes, paths = uses.setdefault(unit_of(_read(process / "cgroup")), ([], set()))
        processes.append(f"{_read(process / 'comm').decode('utf-8', 'replace').strip()} ({process.name})")
        paths |= used
    restart: list[dict[str, object]] = [
        {
            "unit": unit,
            "processes": processes[:_MAX_FILES],
            "files": [text(path) for path in sorted(paths)[:_MAX_FILES]],
        }
        for unit, (processes, paths) in sorted(uses.items())
    ]
    reasons = [{"file": text(path), "reason": reboot[path]} for path in sorted(reboot)]
    return Aftermath(restart, reasons, _commands(files))


def _commands(files: frozenset[bytes]) -> list[str]:
    commands = []
    if any(_INITRAMFS.fullmatch(path) for path in files):
        commands.append("update-initramfs -u")
    if any(_UNIT_FILE.fullmatch(path) for path in files):
        commands.append("systemctl daemon-reload")
    return commands


def mapped_files(maps: bytes) -> dict[bytes, bool]:
    """Return the files in ``/proc/PID/maps``, and of each whether it is deleted; names as the kernel escapes them."""
    found: dict[bytes, bool] = {}
    for line in maps.splitlines():
        fields = line.split(None, 5)
        path = fields[5] if len(fields) == 6 else b""
        if path.startswith(b"/"):
            deleted = path.endswith(_DELETED)
            found[path[: -len(_DELETED)] if deleted else path] = deleted
    return found


def unit_of(cgroup: bytes) -> str:
    """Return the unit in the text of ``/proc/PID/cgroup``; empty for a process of none, or of a session."""
    for line in cgroup.decode("utf-8", "replace").splitlines():
        parts = line.partition(":")[2].partition(":")[2].split("/")
        units = [part for part in parts if part.endswith(".service")]
        if units:
            return units[0] if units[0].startswith("user@") else units[-1]
    return ""


def _old_files(process: Path) -> set[bytes]:
    return {path for path, deleted in mapped_files(_read(process / "maps")).items() if deleted}


def _processes(proc: Path) -> list[Path]:
    try:
        found = [entry for entry in proc.iterdir() if entry.name.isdecimal()]
    except OSError:
        return []
    return sorted(found, key=lambda entry: int(entry.name))[:_MAX_PROCESSES]


def _read(path: Path) -> bytes:
    """Return what is in a file of a process; nothing when it has ended, or may not be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError:
        return b""
