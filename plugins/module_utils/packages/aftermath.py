# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a repair: which services still run what was replaced, and whether the system must be rebooted, and why.

A file that is replaced by a rename lives on in the processes that have mapped it; the kernel calls it ``(deleted)``
there (proc_pid_maps(5)). The control group of a process says to which unit it belongs (cgroups(7)). A script leaves no
such trace: who was started with it has it in the command line or the unit, and what an interpreter has loaded since, it
alone knows; so of all services that it runs it is said that they may have.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import unit_files
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text

_DELETED = b" (deleted)"
_MAX_BYTES = 4 * 1024 * 1024
_MAX_PROCESSES = 100_000
_MAX_FILES = 5
_MAX_WORDS = 64

MAPPED = "it has the old file in use"
STARTED = "it was started with the old file"
UNIT = "its unit is, or starts with, what was replaced"
INTERPRETED = "its interpreter may have loaded the old file"

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
#: What an initramfs is made of: what finds, opens and checks the disk of the root, what makes the initramfs, and the
#: libraries and settings of all these.
_INITRAMFS = re.compile(
    rb"(?:/usr)?/lib/(?:modules|firmware|udev|cryptsetup|dracut|initramfs-tools|klibc|plymouth|systemd/systemd-udevd)"
    rb"(?:/.*)?"
    rb"|(?:/usr)?/s?bin/(?:kmod|modprobe|insmod|udevadm|busybox|lvm|dmsetup|dmeventd|cryptsetup|mdadm|mdmon|multipathd?"
    rb"|kpartx|iscsistart|nbd-client|bcache-[^/]*|btrfs|zpool|zfs|blkid|mount|switch_root|e2fsck|fsck(?:\.[^/]*)?"
    rb"|plymouthd?|dracut|update-initramfs|mkinitramfs)"
    rb"|(?:/usr)?/lib(?:/[^/]+)?/(?:ld|ld-linux[^/]*|klibc-[^/]*|lib(?:c|m|blkid|uuid|mount|kmod|udev|devmapper[^/]*"
    rb"|cryptsetup|crypto|argon2|json-c|aio|lzma|zstd|z|selinux|pcre2-8|gcc_s))[-.][^/]*"
    rb"|/usr/share/(?:initramfs-tools|dracut|plymouth)/.*"
    rb"|/etc/(?:initramfs-tools|cryptsetup-initramfs|dracut\.conf\.d|lvm|mdadm|modprobe\.d|udev)/.*"
    rb"|/etc/(?:crypttab|dracut\.conf|fstab|modules)",
    re.DOTALL,
)
_INITRAMFS_IMAGE = re.compile(r"initrd|initramfs")
_UNIT_FILE = re.compile(rb"(?:/usr)?(?:/lib|/etc)/systemd/system/.*|/etc/init\.d/[^/]*", re.DOTALL)
#: What an interpreter loads and forgets where from, by the beginning of its program's name.
_MODULES = (
    (re.compile(rb".*\.py", re.DOTALL), "python"),
    (re.compile(rb".*\.p[lm]", re.DOTALL), "perl"),
    (re.compile(rb".*\.rb", re.DOTALL), "ruby"),
    (re.compile(rb".*/node[^/]*/.*\.[cm]?js", re.DOTALL), "node"),
    (re.compile(rb".*\.php", re.DOTALL), "php"),
    (re.compile(rb".*\.jar", re.DOTALL), "java"),
)


class Aftermath(NamedTuple):
    """What is to be done after a repair.

    ``restart`` is one dictionary for each unit (``unit``; empty for processes of none) with the ``processes`` and
    ``files`` that it concerns, and the ``reasons``; ``reboot`` one for each reason (``file``, ``reason``);
    ``commands`` what must be run for the repair to have its effect (``command``, ``reason``, ``files``).
    """

    restart: list[dict[str, object]]
    reboot: list[dict[str, str]]
    commands: list[dict[str, object]]


NOTHING = Aftermath([], [], [])


class _Process(NamedTuple):
    """A process: its directory, its unit, the files that it has mapped (true when they are deleted)."""

    place: Path
    unit: str
    mapped: dict[bytes, bool]


class _Use:
    """Which processes of one unit use what was replaced, and why that is thought."""

    def __init__(self) -> None:
        self.processes: list[str] = []
        self.files: set[bytes] = set()
        self.reasons: set[str] = set()

    def add(self, process: _Process, files: Iterable[bytes], reason: str) -> None:
        """Note that a process uses files, if there are any."""
        found = set(files)
        if found:
            name = f"{_read(process.place / 'comm').decode('utf-8', 'replace').strip()} ({process.place.name})"
            self.processes += [] if name in self.processes else [name]
            self.files |= found
            self.reasons.add(reason)


def look(replaced: Iterable[bytes], proc: Path = Path("/proc"), root: Path = Path("/")) -> Aftermath:
    """Return what the replacement of files means for the processes of this machine."""
    files = frozenset(replaced)
    uses: dict[str, _Use] = {}
    reboot = {path: why for path in files for pattern, why in _REBOOT if pattern.fullmatch(path)}
    own = _ancestors(proc, os.getpid())
    for place in _processes(proc) if files else []:
        process = _Process(place, unit_of(_read(place / "cgroup")), mapped_files(_read(place / "maps")))
        if place.name == "1":
            used = {path for path, deleted in process.mapped.items() if deleted} & files
            reboot.update(dict.fromkeys(used - reboot.keys(), "the first process runs it"))
            continue
        use = uses.setdefault(process.unit, _Use())
        use.add(process, (path for path, deleted in process.mapped.items() if deleted and path in files), MAPPED)
        use.add(process, _words(process, root) & files - process.mapped.keys(), STARTED)
        if process.unit and place.name not in own:
            use.add(process, _modules(process, files), INTERPRETED)
            use.add(process, unit_files.files_of(process.unit, root) & files - process.mapped.keys(), UNIT)
    reasons = [{"file": text(path), "reason": reboot[path]} for path in sorted(reboot)]
    return Aftermath(_restarts(uses), reasons, _commands(files, root))


def _restarts(uses: dict[str, _Use]) -> list[dict[str, object]]:
    return [
        {
            "unit": unit,
            "processes": use.processes[:_MAX_FILES],
            "files": [text(path) for path in sorted(use.files)[:_MAX_FILES]],
            "reasons": sorted(use.reasons),
        }
        for unit, use in sorted(uses.items())
        if use.files
    ]


def _words(process: _Process, root: Path) -> frozenset[bytes]:
    """Return the real paths of the files in a process's command line."""
    return unit_files.real_paths(_read(process.place / "cmdline").split(b"\0")[:_MAX_WORDS], root)


def _modules(process: _Process, files: frozenset[bytes]) -> set[bytes]:
    """Return the files that the interpreter which a process runs may have loaded."""
    try:
        program = (process.place / "exe").readlink().name
    except OSError:
        return set()
    patterns = [pattern for pattern, name in _MODULES if program.startswith(name)]
    return {path for path in files for pattern in patterns if pattern.fullmatch(path)}


def _ancestors(proc: Path, number: int) -> frozenset[str]:
    """Return the numbers of a process and of those that started it: they are the repair's own, and end with it."""
    found: list[str] = []
    while number > 1 and str(number) not in found:
        found.append(str(number))
        match = re.search(rb"^PPid:\s*(\d+)", _read(proc / str(number) / "status"), re.MULTILINE)
        number = int(match.group(1)) if match is not None else 0
    return frozenset(found)


def _commands(files: frozenset[bytes], root: Path) -> list[dict[str, object]]:
    """Return what must be made anew of what was replaced, and by whom."""
    made = (
        (_INITRAMFS, _initramfs_command(root), "the initramfs has copies of it, with which the next start begins"),
        (_UNIT_FILE, "systemctl daemon-reload", "systemd has the unit as it was when it read it"),
    )
    commands: list[dict[str, object]] = []
    for pattern, command, reason in made:
        concerned = sorted(path for path in files if pattern.fullmatch(path))
        if command and concerned:
            named = [text(path) for path in concerned[:_MAX_FILES]]
            commands.append({"command": command, "reason": reason, "files": named})
    return commands


def _initramfs_command(root: Path) -> str:
    """Return how this system makes its initramfs; nothing where it starts without one."""
    try:
        names = [path.name for path in (root / "boot").iterdir()]
    except OSError:
        names = []
    if not any(_INITRAMFS_IMAGE.match(name) for name in names):
        return ""
    if (root / "usr/sbin/update-initramfs").exists():
        return "update-initramfs -u -k all"
    return "dracut --force --regenerate-all"


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
