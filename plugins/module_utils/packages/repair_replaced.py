# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the installation of a package replaces besides what was found damaged, and the packages that it must not touch.

dpkg unpacks the whole package. So every path of it that is not on disk as the package brings it is replaced, whoever
made it so and whether anybody looked at it or not. What dpkg leaves as it is was measured (dpkg 1.21): conffiles, what
another package has taken over, the mode of a directory, a link to a directory in the place of a directory, a directory
in the place of a link. It removes what the package's list names and the package does not have, and a directory in the
place of a file with everything in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import repair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import read_accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import excluder
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.inode import Inode, read_inode
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    FILE_TYPES,
    SYMLINK,
    UNLISTED,
    DatabaseProblem,
    Entry,
    Finding,
    Metadata,
    Recorded,
    algorithm,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import read_mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.properties import differences
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    UPGRADE_PACKAGES,
    WHOLE_PACKAGES,
    Plan,
    Policy,
    Step,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import RepairError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree, open_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import left_out

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Member, VerifiedPackage
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Facts

#: What differs where content, type or target do; everything else is kept with the metadata.
_WITH_CONTENT = frozenset(
    ("content_changed", "type_changed", "target_changed", "device_changed", "removed", "made_anew")
)
_KERNEL = re.compile(rb"/boot/vmlinuz-(?P<release>[^/]+)")
#: Attributes that a new file has of its own, whatever the old one had.
_SYSTEM_ATTRIBUTES = ("security.selinux", "security.ima", "security.evm", "trusted.overlay.")
#: What is in memory alone is gone at the next start, and nobody misses a directory there or minds one.
_IN_MEMORY = frozenset(("ramfs", "tmpfs"))
_CHUNK_BYTES = 256 * 1024


class Replaced(NamedTuple):
    """A path on disk, its name in the package, in what it differs, and how much there is of it to be kept, in bytes.

    ``differences`` are named as the classes of findings are. ``removed`` is what dpkg takes away, ``missing`` what it
    brings back, ``made_anew`` the initramfs that a kernel's script makes. ``attributes_changed`` is of extended
    attributes, which a new file does not have.
    """

    path: bytes
    listed: bytes
    differences: tuple[str, ...]
    size: int

    @property
    def has_content(self) -> bool:
        """Tell whether more than metadata is replaced."""
        return not _WITH_CONTENT.isdisjoint(self.differences)


def make_plan(
    tree: Tree, findings: Iterable[Finding], problems: Iterable[DatabaseProblem], facts: Facts, policy: Policy
) -> Plan:
    """Plan a repair; its package steps say what they replace, and those that must not be done are refused."""
    findings, problems = list(findings), list(problems)
    unsuited = _by_hand(facts)
    while True:
        plan = repair.make_plan(findings, problems, facts, policy, unsuited)
        refused: dict[str, tuple[str, str]] = {}
        steps = [_examined(tree, step, facts, refused) for step in plan.steps]
        if not refused:
            return Plan(steps, plan.not_repaired)
        # What can be repaired by single files is, then; and packages alone that an upgrade would have taken with it.
        unsuited.update(refused)


def _by_hand(facts: Facts) -> dict[str, tuple[str, str]]:
    """Return the packages that are not installed as a whole, with reason and remedy."""
    references = {label: found for label, found in facts.references.items() if not isinstance(found, str)}
    return {label: found.by_hand for label, found in references.items() if found.by_hand is not None}


def _examined(tree: Tree, step: Step, facts: Facts, refused: dict[str, tuple[str, str]]) -> Step:
    """Return a step, which says what it replaces if it is about whole packages; note why one must not be done."""
    if step.kind not in WHOLE_PACKAGES:
        return step
    try:
        return with_replaced(tree, step, facts)
    except RepairError as error:
        refused[step.package] = (f"{error.value}: {error.reason}", error.remedy)
        return step


def with_replaced(tree: Tree, step: Step, facts: Facts) -> Step:
    """Return a package step that says what it replaces. Raises `RepairError` when it must not be done."""
    found = replaced_by(tree, step, facts)
    _require_not_excluded(step, found, facts)
    damaged = frozenset(step.damaged)
    besides = [each for each in found if each.path not in damaged and each.differences != ("missing",)]
    before = {**step.before, "size": _kept_bytes(tree, damaged, found)}
    if step.kind == UPGRADE_PACKAGES:
        before["replaced_total"] = len(besides)  # Most of a new version differs.
    else:
        before["replaced"] = [f"{text(each.path)} ({', '.join(each.differences)})" for each in besides]
    return step._replace(before=before)


def _kept_bytes(tree: Tree, damaged: frozenset[bytes], found: list[Replaced]) -> int:
    """Return how much is kept: all content of what is damaged, and of the rest that which is replaced."""
    walk = DirectoryWalk(tree)
    try:
        inodes = [_inode(path, walk) for path in sorted(damaged)]
    finally:
        walk.close()
    besides = sum(each.size for each in found if each.path not in damaged)
    return besides + sum(inode.size for inode in inodes if inode is not None and stat.S_ISREG(inode.mode))


def replaced_by(tree: Tree, step: Step, facts: Facts) -> list[Replaced]:
    """Return everything that a step about whole packages changes on disk, sorted by path. Raises `RepairError`.

    What one of several packages has no more and another brings is not removed.
    """
    known, packages = facts.of(step), packages_of(step, facts)
    brought = {known.places[label, listed] for label, package in packages.items() for listed in package.members}
    found: dict[bytes, Replaced] = {}
    for label, package in packages.items():
        for each in _Comparison(tree, label, package, known).compare():
            if each.differences != ("removed",) or each.path not in brought:
                found[each.path] = each
    return sorted(found.values())


def packages_of(step: Step, facts: Facts) -> dict[str, VerifiedPackage]:
    """Return what a step installs, by label. Raises `RepairError`."""
    found = {}
    references = facts.of(step).references
    for label in step.labels:
        package = references[label]
        if isinstance(package, str):
            raise RepairError(label, package, "Repair again")
        if package.by_hand is not None:
            raise RepairError(label, *package.by_hand)
        found[label] = package
    return found


def listed_only(entries: Iterable[Entry], references: Mapping[str, VerifiedPackage | str]) -> dict[str, list[Entry]]:
    """Return, by label, what a package's list names, nobody else's does, and the package does not have."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        reference = references.get(entry.packages[0], "") if len(entry.packages) == 1 else ""
        is_listed = entry.kind not in (CONFFILE, DIRECTORY, UNLISTED)
        if is_listed and not isinstance(reference, str) and entry.listed not in reference.members:
            found.setdefault(entry.packages[0], []).append(entry)
    return found


def _require_not_excluded(step: Step, found: list[Replaced], facts: Facts) -> None:
    why_excluded = excluder(facts.excluded)
    for each in found:
        reason = why_excluded(each.path, each.listed)
        if reason is not None:
            raise RepairError(
                ", ".join(step.labels),
                f"installing it would replace {text(each.path)} ({', '.join(each.differences)}), "
                f"which is excluded ({reason})",
                "Remove the exclusion, or repair its package by hand",
            )


class _Comparison:
    """The comparison of one package with what is on disk."""

    def __init__(self, tree: Tree, label: str, reference: VerifiedPackage, facts: Facts) -> None:
        self.tree = tree
        self.label = label
        self.reference = reference
        self.facts = facts
        self.accounts = read_accounts(tree)
        self.mounts = read_mounts(tree)
        self.conffiles = frozenset(reference.conffiles)

    def compare(self) -> Iterator[Replaced]:
        walk = DirectoryWalk(self.tree)
        try:
            for listed, member in sorted(self.reference.members.items()):
                path = self.facts.places[self.label, listed]
                self._require_near(path)
                entry = self.facts.entries.get(path)
                if listed in self.conffiles:
                    self._require_not_mounted(path)
                    self._require_no_directory(path, walk)
                    yield from self._conffile(path, member, entry, walk)
                elif not self._is_taken_over(member, entry):
                    self._require_unchanged_conffile(path, member, entry, walk)
                    yield from self._compared(path, member, entry, walk)
            for path in self._initramfs():
                self._require_near(path)
                inode = _inode(path, walk)
                if inode is not None:
                    yield Replaced(path, path, ("made_anew",), inode.size)
            for entry in self.facts.listed_only.get(self.label, ()):
                self._require_near(entry.path)
                yield from self._found(entry, walk)
        finally:
            walk.close()

    def _initramfs(self) -> Iterator[bytes]:
        """Yield what the scripts of a kernel's package make for it, by any of the tools for that."""
        for match in filter(None, map(_KERNEL.fullmatch, self.reference.members)):
            for name in (b"initrd.img-%s", b"initramfs-%s.img"):
                yield self.tree.locate(b"/boot/" + name % match["release"])

    def _require_near(self, path: bytes) -> None:
        """Refuse a package with a path where nobody looks, because whoever serves it may never answer."""
        if self.tree.avoided and (path + b"/").startswith(self.tree.avoided):
            reason = f"{text(path)} is on a file system of another host or a process, and was not looked at"
            raise RepairError(self.label, reason, "Repair it by hand")

    def _require_not_mounted(self, path: bytes, is_new_directory: bool = False) -> None:
        """Refuse a package that would be written over what somebody has mounted where its files belong."""
        mount = self.mounts.hiding(path) if self.mounts is not None else None
        if mount is not None and not (is_new_directory and mount.kind in _IN_MEMORY):
            reason = (
                f"installing it would write to {text(path)}, and what is mounted at {text(mount.path)} ({mount.kind}) "
                "is not the package's"
            )
            raise RepairError(self.label, reason, "Unmount it for as long as the repair takes, or repair by hand")

    def _require_no_directory(self, path: bytes, walk: DirectoryWalk) -> None:
        """Refuse what dpkg gives up half-way through the package."""
        inode = _inode(path, walk)
        if inode is not None and FILE_TYPES.get(stat.S_IFMT(inode.mode)) not in (FILE, SYMLINK):
            reason = f"dpkg cannot install it while {text(path)}, a conffile, is no file"
            raise RepairError(self.label, reason, "Move away by hand what is there, and repair again")

    def _conffile(self, path: bytes, member: Member, entry: Entry | None, walk: DirectoryWalk) -> Iterator[Replaced]:
        """Yield a conffile that dpkg replaces by that of another version: one that is as it was delivered."""
        inode = _inode(path, walk)
        if inode is None or entry is None or entry.digest is None or not stat.S_ISREG(inode.mode):
            return
        directory, _slash, name = path.rpartition(b"/")
        parent = walk.enter(directory)
        as_delivered = _digest(parent, name, inode, algorithm(entry.digest)) == entry.digest
        if as_delivered and not _has_content(parent, name, inode, member):
            yield Replaced(path, member.path, ("content_changed",), inode.size)

    def _require_unchanged_conffile(
        self, path: bytes, member: Member, entry: Entry | None, walk: DirectoryWalk
    ) -> None:
        """Refuse a package that has as an ordinary path what is a conffile by now, and that somebody has changed.

        dpkg would write over it.
        """
        inode = _inode(path, walk) if entry is not None and entry.kind == CONFFILE else None
        if inode is None or entry is None:
            return
        directory, _slash, name = path.rpartition(b"/")
        if stat.S_ISREG(inode.mode):
            parent = walk.enter(directory)
            if _has_content(parent, name, inode, member):
                return
            if entry.digest is not None and _digest(parent, name, inode, algorithm(entry.digest)) == entry.digest:
                return
        reason = (
            f"dpkg would write over {text(path)}, a conffile that was changed and that the package has as no conffile"
        )
        raise RepairError(self.label, reason, "Keep your version of it elsewhere, move it away, and repair again")

    def _is_taken_over(self, member: Member, entry: Entry | None) -> bool:
        """Tell whether a path is another package's by now, which dpkg leaves as it is."""
        name = self.label.partition(":")[0]
        owners = {owner.partition(":")[0] for owner in entry.packages} if entry is not None else {name}
        return member.kind != DIRECTORY and name not in owners

    def _found(self, entry: Entry, walk: DirectoryWalk) -> Iterator[Replaced]:
        inode = _inode(entry.path, walk)
        if inode is not None and not stat.S_ISDIR(inode.mode):
            self._require_not_mounted(entry.path)
            yield Replaced(entry.path, entry.listed, ("removed",), inode.size)

    def _compared(self, path: bytes, member: Member, entry: Entry | None, walk: DirectoryWalk) -> Iterator[Replaced]:
        inode = _inode(path, walk)
        if self._is_left(path, member, inode):
            return
        self._require_not_mounted(path, is_new_directory=inode is None and member.kind == DIRECTORY)
        if inode is None:
            yield Replaced(path, member.path, ("missing",), 0)
            return
        try:
            found = self._differences(path, member, entry, inode, walk)
        except OSError as error:
            raise _not_seen(path, error) from error
        if found:
            size = inode.size if stat.S_ISREG(inode.mode) and not _WITH_CONTENT.isdisjoint(found) else 0
            yield Replaced(path, member.path, tuple(found), size)

    def _is_left(self, path: bytes, member: Member, inode: Inode | None) -> bool:
        """Tell whether dpkg leaves a path as it is: what it leaves out, a directory, or a link to one."""
        if inode is None:
            return left_out(member.path, self.facts.filters)
        if stat.S_ISDIR(inode.mode):
            return member.kind in (DIRECTORY, SYMLINK)
        if member.kind != DIRECTORY or not stat.S_ISLNK(inode.mode):
            return False
        target = self.tree.resolve(path)
        self._require_near(target)
        return self.tree.is_directory(target)

    def _differences(
        self, path: bytes, member: Member, entry: Entry | None, inode: Inode, walk: DirectoryWalk
    ) -> list[str]:
        if FILE_TYPES.get(stat.S_IFMT(inode.mode)) != member.kind:
            return ["type_changed"]
        directory, _slash, name = path.rpartition(b"/")
        parent = walk.enter(directory)
        found = ["content_changed"] if member.kind == FILE and not _has_content(parent, name, inode, member) else []
        is_link = member.kind == SYMLINK
        seen = Metadata(
            None if is_link else stat.S_IMODE(inode.mode),
            inode.uid,
            inode.gid,
            inode.modified_ns // 10**9,
            os.readlink(name, dir_fd=parent) if is_link else None,
            inode.device_number,
        )
        found += [each.category for each in differences(_recorded(member, entry), seen, self.accounts)]
        if any(not name.startswith(_SYSTEM_ATTRIBUTES) for name in inode.xattrs):
            found.append("attributes_changed")
        return found


def _recorded(member: Member, entry: Entry | None) -> Recorded:
    """Return what dpkg gives a path: what the package says, unless the administrator has set something else."""
    recorded = Recorded(
        member.mode, member.owner or member.uid, member.group or member.gid, None, member.target, member.device
    )
    if entry is None or entry.recorded is None:
        return recorded
    said = {name: getattr(entry.recorded, name) for name in ("mode", "owner", "group")}
    return recorded._replace(**{name: value for name, value in said.items() if value is not None})


def _inode(path: bytes, walk: DirectoryWalk) -> Inode | None:
    """Return what the inode of a path says; `None` when nothing is there. Raises `RepairError`."""
    directory, _slash, name = path.rpartition(b"/")
    try:
        return read_inode(walk.enter(directory), name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _not_seen(path, error) from error


def _not_seen(path: bytes, error: OSError) -> RepairError:
    reason = f"what is there cannot be looked at ({error.strerror})"
    return RepairError(text(path), reason, "Look into the kernel's log, then repair again")


def _has_content(parent: int, name: bytes, inode: Inode, member: Member) -> bool:
    """Tell whether a regular file has the content of a member; what cannot be read has not."""
    return inode.size == member.size and _digest(parent, name, inode, "sha256") == member.sha256


def _digest(parent: int, name: bytes, inode: Inode, algorithm_name: str) -> bytes | None:
    """Return the hexadecimal digest of a regular file; `None` when it cannot be read."""
    hasher = hashlib.new(algorithm_name, usedforsecurity=False)
    left = inode.size + 1
    try:
        descriptor = open_regular(name, parent)
        try:
            while chunk := os.read(descriptor, min(left, _CHUNK_BYTES)):
                hasher.update(chunk)
                left -= len(chunk)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return hasher.hexdigest().encode()
