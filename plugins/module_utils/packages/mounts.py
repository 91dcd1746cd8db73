# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is mounted below a root: what a mount hides, what may never answer, and where reading past the cache is real.

Sources: proc_pid_mountinfo(5), the kernel's Documentation/filesystems.
"""

from __future__ import annotations

import bisect
import os
import re
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DIRECTORY,
    UNKNOWN,
    Entry,
    Gap,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

MOUNTINFO = "/proc/self/mountinfo"

#: Served by another host or by a process, and so may never answer.
_REMOTE = frozenset(
    (
        *("9p", "afs", "autofs", "beegfs", "ceph", "cifs", "fuse", "fuseblk", "gfs2", "glusterfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "smb3", "smbfs", "virtiofs"),
    )
)
#: File systems of a disk, on which packages are installed: mounted at a directory, they are where its files belong.
_DISK = frozenset(
    (
        *("bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "msdos", "nilfs2", "ntfs3"),
        *("reiserfs", "squashfs", "vfat", "xfs", "zfs"),
    )
)
#: File systems that hold neither mode nor owner of a file.
_WITHOUT_OWNERS = frozenset(("exfat", "msdos", "ntfs3", "vfat"))


class Mount(NamedTuple):
    """A line of mountinfo: device number, the part of the file system that is mounted, where, type and options.

    ``path`` is inside the root and is the root itself when empty. ``options`` are those of the file system.
    """

    device: int
    part: bytes
    path: bytes
    kind: str
    source: str
    options: frozenset[str]

    @property
    def is_remote(self) -> bool:
        """Tell whether the file system is served by another host or by a process."""
        return self.kind in _REMOTE or self.kind.startswith("fuse.")

    @property
    def hides(self) -> bool:
        """Tell whether it covers what packages have installed: no disk's own file system belongs there.

        `Mounts.hiding` knows better: what is mounted may be what is there without the mount.
        """
        is_part = self.part != b"/" and not (self.kind == "btrfs" and f"subvol={text(self.part)}" in self.options)
        return self.kind not in _DISK or is_part

    @property
    def keeps_owners(self) -> bool:
        """Tell whether files in it have a mode and an owner of their own."""
        return self.kind not in _WITHOUT_OWNERS


class Mounts:
    """The mounts below a root, that on which it lies included; none where the system does not tell."""

    def __init__(self, mounts: list[Mount]) -> None:
        """Take the mounts; of several at one path the last covers the others."""
        self.by_path = {mount.path: mount for mount in mounts}
        self.by_device = {mount.device: mount for mount in mounts}

    def at(self, path: bytes) -> Mount | None:
        """Return the mount below the root that a path lies in; `None` for the file system of the root itself."""
        while path:
            if path in self.by_path:
                return self.by_path[path]
            path = path.rpartition(b"/")[0]
        return None

    def hiding(self, path: bytes) -> Mount | None:
        """Return the mount that covers what packages have installed at a path; `None` when none does."""
        mount = self.at(path)
        while mount is not None:
            around = self.at(mount.path.rpartition(b"/")[0])
            if not _is_in_place(mount, around or self.by_path.get(b"")):
                return mount if mount.hides else None
            # It shows what is there without it, as the sandbox of a service does; what that is, the next one decides.
            mount = around
        return None

    def remote(self) -> tuple[bytes, ...]:
        """Return the places below the root that are not to be entered."""
        return tuple(sorted(path for path, mount in self.by_path.items() if path and mount.is_remote))

    def without_remote(self, entries: list[Entry]) -> tuple[list[Entry], list[Gap]]:
        """Take out the entries, sorted by path, that lie in another host's or a process's file system."""
        paths = [entry.path for entry in entries] if self.remote() else []
        found: dict[int, Gap] = {}
        for place in self.remote():
            detail = f"a file system of type {self.by_path[place].kind} is mounted there, which may never answer"
            for number in _numbers_in(paths, place):
                packages = tuple(entries[number].packages)
                found.setdefault(number, Gap("remote_file_system", detail, packages, 1, text(paths[number])))
        return _without(entries, found)

    def without_hidden(self, entries: list[Entry]) -> tuple[list[Entry], list[Gap]]:
        """Take out the entries, sorted by path, in whose place something is that no package has installed.

        It is not the package's file even where it is equal to it. The directory at which something is mounted stays:
        it is there, or nothing could be mounted, and what programs see of it can be compared. So does what need not be
        there at all: nothing is hidden.
        """
        paths = [entry.path for entry in entries]
        covered = {number for place in self.by_path if place for number in _numbers_in(paths, place)}
        found: dict[int, Gap] = {}
        for number in covered:
            entry = entries[number]
            mount = self.hiding(entry.path)
            if mount is not None and _is_covered(entry, mount):
                found[number] = hidden(entry, mount)
        return _without(entries, found)


def hidden(entry: Entry, mount: Mount) -> Gap:
    """Return the gap of an entry that a mount covers."""
    where = f"what is mounted at {text(mount.path)} ({mount.kind}) hides it"
    return Gap("hidden_by_mount", where, tuple(entry.packages), 1, text(entry.path))


def _is_in_place(mount: Mount, around: Mount | None) -> bool:
    """Tell whether a mount shows the part of the file system that lies below it (``mount --bind /usr /usr``)."""
    if around is None or mount.device != around.device or mount.path == around.path:
        return False
    return mount.part == around.part.rstrip(b"/") + mount.path[len(around.path) :]


def _is_covered(entry: Entry, mount: Mount) -> bool:
    """Tell whether nothing can be said of an entry in the place of which there is a mount, or something in it."""
    if entry.recorded is not None and not entry.recorded.required:
        return False
    return entry.path != mount.path or entry.digest is not None or entry.kind not in (DIRECTORY, UNKNOWN)


def _numbers_in(paths: list[bytes], place: bytes) -> list[int]:
    """Return the numbers of the paths, which are sorted, that are a place or below it."""
    first, end = bisect.bisect_left(paths, place + b"/"), bisect.bisect_left(paths, place + b"0")
    itself = bisect.bisect_left(paths, place)
    return [*([itself] if paths[itself : itself + 1] == [place] else []), *range(first, end)]


def _without(entries: list[Entry], found: dict[int, Gap]) -> tuple[list[Entry], list[Gap]]:
    """Take out the entries with these numbers."""
    if not found:
        return entries, []
    kept = [entry for number, entry in enumerate(entries) if number not in found]
    return kept, [found[number] for number in sorted(found)]


def read_mounts(tree: Tree) -> Mounts | None:
    """Return what is mounted below the root of a tree; `None` when the system does not tell."""
    try:
        data = Path(MOUNTINFO).read_bytes()
    except OSError:
        return None
    top = os.path.realpath(tree.root or b"/").rstrip(b"/")
    return Mounts(parse_mountinfo(data, top))


def parse_mountinfo(data: bytes, top: bytes) -> list[Mount]:
    """Return the mounts at or below a directory, and the one it lies in; lines that make no sense are left out."""
    found: list[Mount] = []
    around: Mount | None = None
    for line in data.splitlines():
        mount = _parse_line(line)
        if mount is None:
            continue
        if mount.path == top or mount.path.startswith(top + b"/"):
            found.append(mount._replace(path=mount.path[len(top) :]))
        elif top.startswith(mount.path + b"/") and (around is None or len(mount.path) >= len(around.path)):
            around = mount
    if around is not None and not any(mount.path == b"" for mount in found):
        part = around.part.rstrip(b"/") + top[len(around.path) :]
        found.insert(0, around._replace(part=part, path=b""))
    return found


def _parse_line(line: bytes) -> Mount | None:
    before, separator, after = line.partition(b" - ")
    fields, rest = before.split(b" "), after.split(b" ")
    device = re.fullmatch(rb"(\d{1,9}):(\d{1,9})", fields[2]) if len(fields) > 5 else None
    if not separator or device is None or len(rest) < 3:
        return None
    return Mount(
        os.makedev(int(device.group(1)), int(device.group(2))),
        _unescape(fields[3]),
        _unescape(fields[4]).rstrip(b"/"),
        text(rest[0]),
        text(_unescape(rest[1])),
        frozenset(text(rest[2]).split(",")),
    )


def _unescape(field: bytes) -> bytes:
    return re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match.group(1), 8)]), field)
