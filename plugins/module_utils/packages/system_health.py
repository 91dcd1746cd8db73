# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""May this system be repaired at all: what speaks against it, each with its reason and what to do instead.

Sources: proc_pid_mountinfo(5), the kernel's documentation of ext4 (``errors_count``) and of block devices
(``device/state``), ostree(1), bootc(8). What cannot be asked speaks against nothing; what is asked says so.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount, Mounts, read_mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    INSTALL_PACKAGE,
    NotRepaired,
    Plan,
    Step,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: A file system is left with so many times the room that the plan needs.
ROOM_FACTOR = 2
#: Where the kernel says what it knows of disks.
SYS = Path("/sys")
#: What belongs to the directories that the plan writes to, the database and the quarantine.
_ALWAYS_WRITTEN = (b"/var/lib/dpkg", b"/var/lib/rpm", b"/var/lib")
_IMAGES = frozenset(("cramfs", "erofs", "iso9660", "squashfs"))
_MARKERS = (
    (b"/run/ostree-booted", "it was booted from an ostree deployment", "Use ostree fsck, and deploy again"),
    (b"/usr/lib/bootc/install", "it is managed by bootc", "Use bootc upgrade, or bootc install again"),
    (b"/nix/var/nix/db", "its files belong to Nix", "Use nix-store --verify --check-contents --repair"),
    (b"/.dockerenv", "it is a container, made from an image", "Build its image anew"),
    (b"/run/.containerenv", "it is a container, made from an image", "Build its image anew"),
)
_DEAD_STATES = ("offline", "transport-offline", "blocked", "quiesce", "cancel", "deleted")


class Refusal(NamedTuple):
    """Why a system is not repaired, and what to do about it."""

    reason: str
    remedy: str


def refusals(tree: Tree, plan: Plan, sys: Path = SYS) -> list[Refusal]:
    """Return everything that speaks against a plan; an empty plan is not spoken against."""
    if not plan.steps:
        return []
    found = _database(plan) + _image_based(tree) + _mounts(tree, plan, sys)
    return list(dict.fromkeys(found + _space(tree, plan)))


def without_the_running_kernel(plan: Plan, tree: Tree, release: str) -> Plan:
    """Return a plan without the packages of the running kernel, unless there is a second kernel that boots.

    ``release`` is the running kernel's (uname(2)). A second one has an image, modules, and nothing to be repaired.
    """
    mine = [step for step in plan.steps if step.kind == INSTALL_PACKAGE and _is_of_kernel(step, release)]
    if not mine or _second_kernels(tree, release, plan):
        return plan
    reason = f"it is the running kernel's ({release}), and no second kernel is there that could be booted instead"
    remedy = "Install another kernel first, or use the strategy file"
    refused = [NotRepaired(step.path, (step.package,), step.why, reason, remedy) for step in mine]
    return Plan([step for step in plan.steps if step not in mine], plan.not_repaired + refused)


def _database(plan: Plan) -> list[Refusal]:
    """Refuse while the database says what nobody can vouch for."""
    return [
        Refusal(f"the package database is unsound: {text(each.path)}: {each.reason}", each.remedy)
        for each in plan.not_repaired
        if each.category == "database_problem"
    ]


def _image_based(tree: Tree) -> list[Refusal]:
    """Refuse a system whose files come from an image, which the next start or deployment brings back as they were."""
    found = []
    for path, reason, remedy in _MARKERS:
        directory, _slash, name = tree.resolve(path).rpartition(b"/")
        try:
            present = name in tree.names(directory)
        except OSError:
            continue
        if present:
            found.append(Refusal(reason, remedy))
    return found


def _mounts(tree: Tree, plan: Plan, sys: Path) -> list[Refusal]:
    """Refuse file systems that are read-only, or an image, or whose kernel or disk reports errors."""
    mounts = read_mounts(tree)
    if mounts is None:
        return []
    found: list[Refusal] = []
    for directory in sorted(_directories(plan)):
        place = tree.resolve(directory)
        mount = mounts.at(place) or mounts.by_path.get(b"")
        if mount is not None:
            found += _mount(mount, _is_read_only(tree.root + place), mounts, sys)
    return found


def _mount(mount: Mount, is_read_only: bool, mounts: Mounts, sys: Path) -> list[Refusal]:
    where = f"the file system at {text(mount.path) or '/'}"
    found = []
    if mount.kind in _IMAGES:
        found.append(Refusal(f"{where} is an image ({mount.kind})", "Build its image anew"))
    elif _is_on_image(mount, mounts):
        found.append(Refusal(f"{where} is laid over an image, or over memory", "Build its image anew"))
    elif is_read_only or "ro" in mount.options:
        remedy = "See in the kernel's log why; if it is meant to be so, mount it writable for the repair"
        found.append(Refusal(f"{where} is mounted read-only", remedy))
    return found + _disk(mount, where, sys)


def _is_read_only(path: bytes) -> bool:
    """Ask the mount itself: one can be read-only of a file system that is not."""
    try:
        return bool(os.statvfs(path or b"/").f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _is_on_image(mount: Mount, mounts: Mounts) -> bool:
    """Tell whether an overlay has an image below it, or keeps what is written nowhere but in memory.

    Layers that cannot be seen from here (this machine's root was mounted by another) are those of a disk.
    """
    if mount.kind != "overlay":
        return False
    layers = dict(option.partition("=")[::2] for option in mount.options)
    lower = [mounts.at(os.fsencode(path)) for path in layers.get("lowerdir", "").split(":") if path]
    upper = mounts.at(os.fsencode(layers.get("upperdir", "")))
    kinds = {each.kind for each in lower if each is not None}
    return (upper is not None and upper.kind == "tmpfs") or not kinds.isdisjoint(_IMAGES)


def _disk(mount: Mount, where: str, sys: Path) -> list[Refusal]:
    device = sys / "dev/block" / f"{os.major(mount.device)}:{os.minor(mount.device)}"
    name = _resolved_name(device)
    found = []
    errors = _first_line(sys / "fs/ext4" / name / "errors_count") if name else ""
    if errors.isdecimal() and int(errors) > 0:
        remedy = "Replace the disk if it is the cause; then let e2fsck repair the file system, unmounted"
        found.append(Refusal(f"the kernel has counted {errors} errors of {where} ({name})", remedy))
    for place in (device / "device", device / ".." / "device"):
        state = _first_line(place / "state")
        if state in _DEAD_STATES:
            found.append(Refusal(f"the disk of {where} ({name}) is {state}", "Replace the disk first"))
            break
    return found


def _directories(plan: Plan) -> set[bytes]:
    paths = [path for step in plan.steps for path in (step.path, *step.damaged) if path.startswith(b"/")]
    return {path.rpartition(b"/")[0] for path in paths} | set(_ALWAYS_WRITTEN)


def _space(tree: Tree, plan: Plan) -> list[Refusal]:
    """Refuse where a file system has too little room for what is written, and kept, on it."""
    needed: dict[int, int] = {}
    places: dict[int, bytes] = {}
    kept = 0
    for step in plan.steps:
        size = step.after.get("size", len(step.content))
        written = size if isinstance(size, int) else 0
        old = step.before.get("size", 0)
        kept += old if isinstance(old, int) else 0
        _add(needed, places, tree, step.path if step.path.startswith(b"/") else b"/usr/x", written)
    _add(needed, places, tree, b"/var/lib/x", kept)
    found = []
    for device, size in needed.items():
        status = os.statvfs(places[device])
        if status.f_bavail * status.f_frsize < ROOM_FACTOR * size:
            reason = f"the file system of {text(places[device])} has not {ROOM_FACTOR * size} bytes left for the repair"
            found.append(Refusal(reason, "Make room on it first"))
    return found


def _add(needed: dict[int, int], places: dict[int, bytes], tree: Tree, path: bytes, size: int) -> None:
    """Count bytes on the file system of a path, or of the next directory above it that exists."""
    directory = Path(os.fsdecode(tree.root + tree.resolve(path.rpartition(b"/")[0])) or "/")
    while not directory.is_dir():
        directory = directory.parent
    device = directory.stat().st_dev
    places.setdefault(device, bytes(directory))
    needed[device] = needed.get(device, 0) + size


def _is_of_kernel(step: Step, release: str) -> bool:
    name = step.package.partition(":")[0]
    return name.startswith(("linux-image", "linux-modules", "linux-signed", "kernel")) and (
        release in name or any(release.encode() in path for path in step.damaged)
    )


def _second_kernels(tree: Tree, release: str, plan: Plan) -> list[str]:
    """Return the other kernels that have an image and modules, and nothing that the plan repairs."""
    try:
        names = [name.decode("utf-8", "replace") for name in tree.names(b"/boot")]
    except OSError:
        return []
    others = [name[len("vmlinuz-") :] for name in names if name.startswith("vmlinuz-")]
    damaged = b"\n".join(path for step in plan.steps for path in (step.path, *step.damaged))
    damaged += b"\n".join(each.path for each in plan.not_repaired)
    return [
        other
        for other in others
        if other != release
        and other.encode() not in damaged
        and tree.is_directory(tree.resolve(b"/lib/modules/" + other.encode()))
    ]


def _resolved_name(device: Path) -> str:
    try:
        return device.resolve(strict=True).name
    except OSError:
        return ""


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as stream:
            return stream.readline(200).strip()
    except OSError:
        return ""
