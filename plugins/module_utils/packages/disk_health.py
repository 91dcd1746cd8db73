# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says of a file system and of the disks below it, and what it does not say of them.

Sources: the kernel's documentation of ``errors_count`` (ext4), ``error_stats`` (btrfs), ``md/`` (RAID) and
``device/state`` (SCSI, NVMe); the bits of ``device/status`` are those of the virtio specification (2.1). XFS counts
its errors nowhere, and no kernel says what a disk itself knows: that something is not known is said, too.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Verification

#: Where the kernel says what it knows of disks.
SYS = Path("/sys")
#: What a read returns whose bytes the disk, or what is between, does not give. Past the page cache each of the block
#: layer's own reasons has an error of its own (ENODATA is a sector that cannot be read).
DISK_ERRORS = frozenset(
    (
        *(errno.EIO, errno.ENODATA, errno.EREMOTEIO, errno.ENOLINK, errno.EILSEQ),
        *(errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO),
    )
)
#: What a file system returns whose own structures make no sense, or have a wrong checksum.
STRUCTURE_ERRORS = frozenset((errno.EUCLEAN, errno.EBADMSG))

_DEAD_STATES = frozenset(
    (
        *("offline", "transport-offline", "blocked", "quiesce", "cancel", "deleted"),  # SCSI
        *("dead", "deleting", "deleting (no IO)", "resetting", "connecting"),  # NVMe
    )
)
_GIVEN_UP = frozenset(("shutdown", "emergency_ro"))
_VIRTIO_BROKEN = 0x40 | 0x80  # the device needs a reset; the driver has given up
_COUNT = re.compile(r"(\w+)\s+(\d+)")
_MAX_DEVICES = 256
_MAX_DATABASE_BYTES = 256 * 1024 * 1024
_MAX_EXAMPLES = 3


class Refusal(NamedTuple):
    """Why a system is not repaired, and what to do about it."""

    reason: str
    remedy: str


class Health(NamedTuple):
    """What speaks against writing to a file system, and what nobody says of its health, in sentences."""

    refusals: list[Refusal]
    unknown: list[str]


def of_mount(mount: Mount, where: str, sys: Path = SYS) -> Health:
    """Ask about a file system and all devices below it; ``where`` is what to call it."""
    health = Health([], [])
    given_up = sorted(mount.options & _GIVEN_UP)
    if given_up:
        remedy = "Replace the disk if it is the cause; then let the file system be checked, unmounted"
        health.refusals.append(Refusal(f"the kernel has given up {where} ({', '.join(given_up)})", remedy))
    _file_system(mount, where, sys, health)
    top = [place for number in _devices(mount, sys) for place in [_place(sys, number)] if place is not None]
    if not top:
        health.unknown.append(f"on which disk {where} lies cannot be seen from here")
    for device in _below(top):
        _array(device, where, health)
        if not _slaves(device):
            _disk(device, where, health)
    return health


def of_reading(errors: Mapping[bytes, int], where: str) -> list[Refusal]:
    """Return what speaks against writing where reading gave these errors, by path."""
    found = []
    unreadable = sorted(path for path, number in errors.items() if number in DISK_ERRORS)
    if unreadable:
        remedy = "Save what is on its disk and replace that, or repair what lies below it, and restore or repair there"
        found.append(
            Refusal(f"{where} cannot be read in places ({_few(unreadable, errors)}), as when its disk fails", remedy)
        )
    broken = sorted(path for path, number in errors.items() if number in STRUCTURE_ERRORS)
    if broken:
        remedy = "Replace the disk if it is the cause; then let the file system be checked and repaired, unmounted"
        found.append(Refusal(f"{where} is damaged itself ({_few(broken, errors)})", remedy))
    return found


def read_errors(tree: Tree, found: Verification) -> dict[bytes, int]:
    """Return what a verification could not read for an error of the disk or the file system: the errno by path.

    Files of the package database that it complains of are read once more, since it does not say why they are damaged.
    """
    errors: dict[bytes, int] = {}
    for seen in found.observations:
        for number in (seen.disk_error, seen.error):
            if number in DISK_ERRORS | STRUCTURE_ERRORS:
                errors[found.manifest.entries[seen.number].path] = number
    for problem in found.problems:
        path = os.fsencode(problem.file)
        try:
            tree.read(path, _MAX_DATABASE_BYTES)
        except OSError as error:
            if error.errno in DISK_ERRORS | STRUCTURE_ERRORS:
                errors[path] = error.errno
    return errors


def _few(paths: list[bytes], errors: Mapping[bytes, int]) -> str:
    named = [f"{text(path)}: {errno.errorcode.get(errors[path], '')}" for path in paths[:_MAX_EXAMPLES]]
    return ", ".join(named) + (f" and {len(paths) - _MAX_EXAMPLES} more" if len(paths) > _MAX_EXAMPLES else "")


# File systems


def _file_system(mount: Mount, where: str, sys: Path, health: Health) -> None:
    """Ask what a file system counts."""
    if mount.kind in ("ext2", "ext3", "ext4"):
        counted = _ext4_errors(mount, sys)
    elif mount.kind == "btrfs":
        counted = _btrfs_errors(_btrfs(mount, sys))
    else:
        counted = None
    if counted is None:
        health.unknown.append(
            f"whether {where} ({mount.kind}) has had errors is not known: the kernel shows no count of them here"
        )
    elif counted:
        remedy = "Replace the disk if it is the cause; then let the file system be checked and repaired, unmounted"
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
        health.refusals.append(Refusal(f"the kernel has counted errors of {where} ({kinds})", remedy))


def _ext4_errors(mount: Mount, sys: Path) -> dict[str, int] | None:
    place = _place(sys, mount.device)
    count = _first_line(sys / "fs/ext4" / place.name / "errors_count") if place is not None else ""
    return ({"errors_count": int(count)} if int(count) else {}) if count.isdecimal() else None


def _btrfs(mount: Mount, sys: Path) -> Path | None:
    """Return where the kernel tells of a btrfs: a file system of several devices has no device number of its own."""
    number = _number_of(mount.source)
    place = _place(sys, number) if number is not None else None
    for directory in _entries(sys / "fs/btrfs"):
        if place is not None and (directory / "devices" / place.name).exists():
            return directory
    return None


def _btrfs_errors(directory: Path | None) -> dict[str, int] | None:
    lines = [_lines(entry / "error_stats") for entry in _entries(directory / "devinfo")] if directory else []
    if not any(lines):
        return None
    counts: dict[str, int] = {}
    for name, count in (match for each in lines for match in _COUNT.findall(each)):
        if int(count):
            counts[name] = counts.get(name, 0) + int(count)
    return counts


# Devices


def _devices(mount: Mount, sys: Path) -> list[int]:
    """Return the numbers of the block devices that a file system lies on, as far as they are known."""
    if os.major(mount.device):
        return [mount.device]
    directory = _btrfs(mount, sys) if mount.kind == "btrfs" else None
    names = [_first_line(entry / "dev") for entry in _entries(directory / "devices")] if directory else []
    pairs = [name.partition(":") for name in names]
    return [os.makedev(int(major), int(minor)) for major, _colon, minor in pairs if (major + minor).isdecimal()]


def _below(places: Iterable[Path]) -> list[Path]:
    """Return devices and all that are below them, each once; a partition is its disk."""
    found: dict[Path, None] = {}
    todo = list(places)
    while todo and len(found) < _MAX_DEVICES:
        place = todo.pop(0)
        device = place.parent if (place / "partition").exists() else place
        if device not in found:
            found[device] = None
            todo += _slaves(device)
    return list(found)


def _slaves(device: Path) -> list[Path]:
    return [entry.resolve() for entry in _entries(device / "slaves")]


def _array(device: Path, where: str, health: Health) -> None:
    """Ask about a RAID array of the kernel's own."""
    if not (device / "md").is_dir():
        return
    found = []
    missing = _first_line(device / "md/degraded")
    if missing.isdecimal() and int(missing):
        found.append(f"{missing} of its disks are missing")
    for member in _entries(device / "md"):
        name = member.name.partition("dev-")[2]
        errors = _first_line(member / "errors") if name else ""
        if "faulty" in _first_line(member / "state").split(","):
            found.append(f"{name} is faulty")
        elif errors.isdecimal() and int(errors):
            found.append(f"{name} has returned {errors} read errors")
    if found:
        reason = f"the array of {where} ({device.name}) is not sound: {', '.join(found)}"
        health.refusals.append(Refusal(reason, "Replace the disk that fails, and let the array become whole again"))


def _disk(device: Path, where: str, health: Health) -> None:
    """Ask about one disk, which has nothing below it."""
    state = _first_line(device / "device/state")
    status = _first_line(device / "device/status")
    if state in _DEAD_STATES:
        health.refusals.append(Refusal(f"the disk of {where} ({device.name}) is {state}", "Replace the disk first"))
    elif re.fullmatch(r"0x[0-9a-f]{1,8}", status) and int(status, 16) & _VIRTIO_BROKEN:
        reason = f"the disk of {where} ({device.name}) has failed (virtio status {status})"
        health.refusals.append(Refusal(reason, "Look at the storage below this machine, and restart it"))
    whom = "it with smartctl" if (device / "device/state").exists() else "whoever keeps it, such as the hypervisor"
    health.unknown.append(f"what the disk {device.name} knows of its own errors is not known here: ask {whom}")


def _place(sys: Path, number: int) -> Path | None:
    try:
        return (sys / "dev/block" / f"{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    except OSError:
        return None


def _number_of(source: str) -> int | None:
    """Return the number of a block device by its name."""
    try:
        status = Path(source).stat()
    except (OSError, ValueError):
        return None
    return status.st_rdev if stat.S_ISBLK(status.st_mode) else None


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())[:_MAX_DEVICES]
    except OSError:
        return []


def _first_line(path: Path) -> str:
    return _lines(path).partition("\n")[0].strip()


def _lines(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as stream:
            return stream.read(1000)
    except (OSError, ValueError):
        return ""
