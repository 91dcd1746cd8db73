# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a repair: which services still run what was replaced, and whether the system must be rebooted, and why.

A file that is replaced by a rename lives on in the processes that have mapped it; the kernel calls it ``(deleted)``
there (proc_pid_maps(5)). The control group of a process says to which unit it belongs (cgroups(7)). A script leaves no
such trace: who was started with it has it in the command line or the unit, and what an interpreter has loaded since, it
knows; so of all services that it runs it is said that they may have.

What a process has mapped, and its command line, can be read only while nobody changes its memory. One that waits for a
disk or a server that does not answer may hold that up for ever, so of a process that waits nothing is asked.
"""

from __future__ import annotations

import os
import re
import shlex
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import unit_files
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text

_DELETED = b" (deleted)"
_MAX_BYTES = 4 * 1024 * 1024
_MAX_PROCESSES = 100_000
_MAX_FILES = 5
#: A command names so many files, or their directories.
_MAX_NAMED = 20
_MAX_WORDS = 64
_MAX_WORDS_BYTES = 64 * 1024

#: How long all processes may take, and one. What has not been looked at by then is said.
_MAX_SECONDS = 60.0
_MAX_PROCESS_SECONDS = 2.0
#: PF_KTHREAD of the kernel's include/linux/sched.h, in the flags of a process.
_KERNEL_THREAD = 0x00200000
#: Pauses before those that wait for a disk are looked at again: mostly that is over in a moment.
_PAUSES_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0)

MAPPED = "it has the old file in use"
STARTED = "it was started with the old file"
UNIT = "its unit is, or starts with, what was replaced"
INTERPRETED = "its interpreter may have loaded the old file"
NOT_SEEN = "it is not known what it uses: it waits for a disk or a server, or there was no time left to look"

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
_ANY = re.compile(rb"(?s:.+)")
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


def is_in_initramfs(path: bytes) -> bool:
    """Tell whether an initramfs may have a copy of what is at a path."""
    return _INITRAMFS.fullmatch(path) is not None


class Aftermath(NamedTuple):
    """What is to be done after a repair.

    ``restart`` is one dictionary for each unit (``unit``; empty for processes of none) with the ``processes`` and
    ``files`` that it concerns, and the ``reasons`` (`NOT_SEEN`, of no unit, for processes that could not be looked at);
    ``reboot`` one for each reason (``file``, ``reason``); ``commands`` what must be run for the repair to have its
    effect (``command``, ``reason``, ``files``).
    """

    restart: list[dict[str, object]]
    reboot: list[dict[str, str]]
    commands: list[dict[str, object]]


NOTHING = Aftermath([], [], [])


class _Process(NamedTuple):
    """A process: its number and name, its unit, the files that it has mapped (true when they are deleted).

    ``words`` are those of its command line, ``program`` is the name of what it runs.
    """

    number: str
    name: str
    unit: str
    mapped: dict[bytes, bool]
    words: list[bytes]
    program: str


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
            self.processes += [] if process.name in self.processes else [process.name]
            self.files |= found
            self.reasons.add(reason)


class _Search:
    """The search for the processes that use what was replaced."""

    def __init__(self, files: frozenset[bytes], proc: Path, places: unit_files.Places) -> None:
        self.uses: dict[str, _Use] = {}
        self.used_by_first: set[bytes] = set()
        self.not_seen: list[str] = []
        self._files = files
        self._proc = proc
        self._places = places
        self._own = _ancestors(proc, os.getpid())
        self._of_units: dict[str, frozenset[bytes]] = {}
        self._end = time.monotonic() + _MAX_SECONDS

    def run(self) -> None:
        """Look at all processes, at those that wait for a disk several times."""
        left = _processes(self._proc)
        for pause in _PAUSES_SECONDS:
            if left:
                time.sleep(pause)
            left = [place for place in left if not self._look(place)]
        self.not_seen += [_name(place) for place in left]

    def _look(self, place: Path) -> bool:
        """Look at a process; tell whether that need not be tried again."""
        if time.monotonic() > self._end or _waits(place):
            return False
        process = _examined(place)
        if process is None:
            self.not_seen.append(_name(place))
        elif process.number == "1":
            self.used_by_first = {path for path, deleted in process.mapped.items() if deleted} & self._files
        else:
            self._note(process)
        return True

    def _note(self, process: _Process) -> None:
        files, mapped = self._files, process.mapped
        use = self.uses.setdefault(process.unit, _Use())
        use.add(process, (path for path, deleted in mapped.items() if deleted and path in files), MAPPED)
        self._places.begin()
        use.add(process, unit_files.real_paths(process.words, self._places) & files - mapped.keys(), STARTED)
        if process.unit and process.number not in self._own:
            use.add(process, _modules(process.program, files), INTERPRETED)
            use.add(process, self._files_of(process.unit) & files - mapped.keys(), UNIT)

    def _files_of(self, unit: str) -> frozenset[bytes]:
        if unit not in self._of_units:
            self._places.begin()
            self._of_units[unit] = unit_files.files_of(unit, self._places)
        return self._of_units[unit]


def look(replaced: Iterable[bytes], proc: Path = Path("/proc"), root: Path = Path("/")) -> Aftermath:
    """Return what the replacement of files means for the processes of this machine."""
    files = frozenset(replaced)
    if not files:
        return NOTHING
    places = unit_files.Places(str(root))
    try:
        search = _Search(files, proc, places)
        search.run()
    finally:
        places.close()
    reboot = {path: why for path in files for pattern, why in _REBOOT if pattern.fullmatch(path)}
    reboot.update(dict.fromkeys(search.used_by_first - reboot.keys(), "the first process runs it"))
    reasons = [{"file": text(path), "reason": reboot[path]} for path in sorted(reboot)]
    return Aftermath([*_restarts(search.uses), *_not_seen(search.not_seen)], reasons, _commands(files, root))


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


def _not_seen(names: list[str]) -> list[dict[str, object]]:
    """Say which processes could not be looked at; no unit is to be restarted for that."""
    if not names:
        return []
    reason = f"{NOT_SEEN} ({len(names)} in all)"
    return [{"unit": "", "processes": names[:_MAX_FILES], "files": [], "reasons": [reason]}]


def _waits(place: Path) -> bool:
    """Tell whether a process waits for a disk or a server, and cannot be interrupted (proc_pid_stat(5)).

    The kernel's own threads often do; they have no memory that could not be asked about.
    """
    fields = _read(place / "stat").rpartition(b")")[2].split()
    is_kernel = len(fields) > 6 and fields[6].isdigit() and int(fields[6]) & _KERNEL_THREAD
    return fields[:1] == [b"D"] and not is_kernel


def _examined(place: Path) -> _Process | None:
    """Return what is known of a process; `None` when reading that takes too long.

    A thread that is still reading is left behind. It does not keep this process from ending.
    """
    found: list[_Process] = []
    reader = threading.Thread(target=lambda: found.append(_examine(place)), daemon=True)
    reader.start()
    reader.join(_MAX_PROCESS_SECONDS)
    return found[0] if found else None


def _examine(place: Path) -> _Process:
    try:
        program = (place / "exe").readlink().name
    except OSError:
        program = ""
    unit, mapped = unit_of(_read(place / "cgroup")), mapped_files(_read(place / "maps"))
    return _Process(place.name, _name(place), unit, mapped, _words(place), program)


def _name(place: Path) -> str:
    return f"{_read(place / 'comm').decode('utf-8', 'replace').strip()} ({place.name})"


def _words(place: Path) -> list[bytes]:
    """Return the first words of a process's command line, but none that was cut off."""
    line = _read(place / "cmdline", _MAX_WORDS_BYTES)
    words = line.split(b"\0")
    return (words[:-1] if len(line) == _MAX_WORDS_BYTES else words)[:_MAX_WORDS]


def _modules(program: str, files: frozenset[bytes]) -> set[bytes]:
    """Return the files that an interpreter may have loaded."""
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
        (
            _ANY,
            _labels_command(files, root),
            "what was missing has the SELinux label of its directory",
        ),
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


def _labels_command(files: frozenset[bytes], root: Path) -> str:
    """Return how SELinux's labels are set anew; nothing where it is not in use (selinux(8), restorecon(8))."""
    if not (root / "sys/fs/selinux/enforce").exists():
        return ""
    directories = {path.rpartition(b"/")[0] or b"/" for path in files}
    named = sorted(files if len(files) <= _MAX_NAMED else directories)
    arguments = [shlex.quote(text(path)) for path in named]
    return " ".join(["restorecon", *([] if len(files) <= _MAX_NAMED else ["-R"]), *arguments])


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


def _read(path: Path, limit: int = _MAX_BYTES) -> bytes:
    """Return what is in a file of a process; nothing when it has ended, or may not be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(limit)
    except OSError:
        return b""
