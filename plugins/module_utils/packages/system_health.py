# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""May this system be repaired at all: what speaks against it, each with its reason and what to do instead.

Sources: proc_pid_mountinfo(5), ostree(1), bootc(8). What cannot be asked speaks against nothing, and is told.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import disk_health
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.disk_health import SYS, Health, Refusal
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import FILE, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount, Mounts, read_mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import DIRECTORY as QUARANTINE
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import SPARE_BYTES
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    SET_METADATA,
    WHOLE_PACKAGES,
    NotRepaired,
    Plan,
    Step,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage

#: A file system is left with so many times the room that the plan needs.
ROOM_FACTOR = 2
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
_BLOCK_BYTES = 4096


def assess(
    tree: Tree,
    plan: Plan,
    read_errors: Mapping[bytes, int],
    references: Mapping[str, VerifiedPackage | str],
    sys: Path = SYS,
) -> Health:
    """Return everything that speaks against a plan, and what could not be known; nothing about an empty plan.

    ``read_errors`` are what the verification could not read, ``references`` the packages that the plan takes from.
    """
    if not plan.steps:
        return Health([], [])
    disks = _mounts(tree, plan, read_errors, sys)
    found = _database(plan) + _image_based(tree) + disks.refusals + _space(tree, plan, references)
    return Health(list(dict.fromkeys(found)), list(dict.fromkeys(disks.unknown)))


def without_the_running_kernel(plan: Plan, tree: Tree, release: str) -> Plan:
    """Return a plan without the packages of the running kernel, unless there is a second kernel that boots.

    ``release`` is the running kernel's (uname(2)). A second one has an image, modules, and nothing to be repaired.
    """
    mine = [step for step in plan.steps if step.kind in WHOLE_PACKAGES and _is_of_kernel(step, release)]
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


def _mounts(tree: Tree, plan: Plan, read_errors: Mapping[bytes, int], sys: Path) -> Health:
    """Refuse file systems that are read-only, or an image, or whose kernel, disk or content reports errors."""
    mounts = read_mounts(tree)
    if mounts is None:
        reason = "what is mounted, and how its disks are, is not known: there is no /proc to ask"
        blind = Refusal(reason, "Mount /proc where the repair runs (mount -t proc proc /proc), and repair again")
        return Health([blind, *disk_health.of_reading(read_errors, "the root")], [])
    health = Health([], [])
    errors: dict[Mount | None, dict[bytes, int]] = {}
    for path, number in read_errors.items():
        errors.setdefault(_mount_of(tree, mounts, path), {})[path] = number
    places = {_mount_of(tree, mounts, directory): tree.resolve(directory) for directory in sorted(_directories(plan))}
    for mount, place in places.items():
        if mount is None:
            health.unknown.append(f"on what file system {text(place) or '/'} lies is not known")
            continue
        where = f"the file system at {text(mount.path) or '/'}"
        asked = disk_health.of_mount(mount, where, sys)
        health.refusals.extend(_mount(mount, where, _is_read_only(tree.root + place), mounts) + asked.refusals)
        health.refusals.extend(disk_health.of_reading(errors.get(mount, {}), where))
        health.unknown.extend(asked.unknown)
    return health


def _mount_of(tree: Tree, mounts: Mounts, path: bytes) -> Mount | None:
    return mounts.at(tree.resolve(path)) or mounts.by_path.get(b"")


def _mount(mount: Mount, where: str, is_read_only: bool, mounts: Mounts) -> list[Refusal]:
    if mount.kind in _IMAGES:
        return [Refusal(f"{where} is an image ({mount.kind})", "Build its image anew")]
    if _is_on_image(mount, mounts):
        return [Refusal(f"{where} is laid over an image, or over memory", "Build its image anew")]
    if is_read_only or "ro" in mount.options:
        remedy = "See in the kernel's log why; if it is meant to be so, mount it writable for the repair"
        return [Refusal(f"{where} is mounted read-only", remedy)]
    return []


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


def _directories(plan: Plan) -> set[bytes]:
    paths = [path for step in plan.steps for path in (step.path, *step.damaged) if path.startswith(b"/")]
    return {path.rpartition(b"/")[0] for path in paths} | set(_ALWAYS_WRITTEN)


def _space(tree: Tree, plan: Plan, references: Mapping[str, VerifiedPackage | str]) -> list[Refusal]:
    """Refuse where a file system has too little room for what is written to it, and what is kept on it.

    Packages that were fetched are there already, and leave so much less.
    """
    try:
        return _too_full(tree, plan, references)
    except OSError as error:
        reason = f"how much room there is for the repair cannot be told ({error.strerror})"
        return [Refusal(reason, "Look into the kernel's log, then repair again")]


def _too_full(tree: Tree, plan: Plan, references: Mapping[str, VerifiedPackage | str]) -> list[Refusal]:
    """Return the file systems with too little room. Raises `OSError`."""
    needed: dict[int, list[int]] = {}
    places: dict[int, bytes] = {}
    for number, sizes in enumerate((_written(tree, plan, references), _kept(tree, plan))):
        for path, size in sizes:
            directory = _existing_directory(tree, path)
            device = directory.stat().st_dev
            places.setdefault(device, bytes(directory))
            needed.setdefault(device, [0, 0])[number] += -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
    found = []
    for device, (written, kept) in needed.items():
        status = os.statvfs(places[device])
        free, used = status.f_bavail * status.f_frsize, written + kept
        wanted = max(ROOM_FACTOR * used, used + SPARE_BYTES if kept else 0)
        if free < wanted:
            reason = (
                f"the file system of {text(places[device])} has not {wanted} bytes left for the repair, but {free}: "
                f"{written} are written, {kept} are kept in the quarantine, and {wanted - used} must remain"
            )
            found.append(Refusal(reason, f"Make room for {wanted - free} bytes on it first"))
    return found


def _written(tree: Tree, plan: Plan, references: Mapping[str, VerifiedPackage | str]) -> Iterator[tuple[bytes, int]]:
    """Yield what the steps write: each path and its size."""
    for step in plan.steps:
        found = [references.get(label, "") for label in step.labels] if step.kind in WHOLE_PACKAGES else []
        packages = [package for package in found if not isinstance(package, str)]
        size = step.after.get("size", len(step.content))
        if packages:
            for member in [member for package in packages for member in package.members.values()]:
                if member.kind == FILE and member.linked_to is None:
                    yield tree.locate(member.path), member.size
        elif step.kind != SET_METADATA and isinstance(size, int):
            yield step.path, size


def _kept(tree: Tree, plan: Plan) -> Iterator[tuple[bytes, int]]:
    """Yield what the quarantine keeps: with a package all that it replaces, else what is at the paths of the steps."""
    for step in plan.steps:
        size = step.before.get("size")
        if step.kind in WHOLE_PACKAGES and isinstance(size, int):
            yield QUARANTINE, size
    alone = (step for step in plan.steps if step.kind not in (SET_METADATA, *WHOLE_PACKAGES))
    paths = {path for step in alone for path in (step.path, *step.damaged) if path.startswith(b"/")}
    for path in paths:
        try:
            status = os.lstat(tree.root + tree.locate(path))
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield QUARANTINE, status.st_size


def _existing_directory(tree: Tree, path: bytes) -> Path:
    """Return the directory of a path, or the next above it that exists."""
    directory = Path(os.fsdecode(tree.root + tree.resolve(path.rpartition(b"/")[0])) or "/")
    while not directory.is_dir():
        directory = directory.parent
    return directory


def _is_of_kernel(step: Step, release: str) -> bool:
    names = [label.partition(":")[0] for label in step.labels]
    return any(
        name.startswith(("linux-image", "linux-modules", "linux-signed", "kernel"))
        and (release in name or any(release.encode() in path for path in step.damaged))
        for name in names
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
