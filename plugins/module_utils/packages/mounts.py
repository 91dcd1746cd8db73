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

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Entry, Gap, text
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
        """Tell whether it covers what packages have installed: no disk's own file system belongs there."""
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

    def remote(self) -> tuple[bytes, ...]:
        """Return the places below the root that are not to be entered."""
        return tuple(sorted(path for path, mount in self.by_path.items() if path and mount.is_remote))

    def without_remote(self, entries: list[Entry]) -> tuple[list[Entry], list[Gap]]:
        """Take out the entries, sorted by path, that lie in another host's or a process's file system."""
        gaps: list[Gap] = []
        left_out: set[int] = set()
        paths = [entry.path for entry in entries] if self.remote() else []
        for place in self.remote():
            first, end = bisect.bisect_left(paths, place + b"/"), bisect.bisect_left(paths, place + b"0")
            at_place = bisect.bisect_left(paths, place)
            numbers = set(range(first, end)) | ({at_place} if paths[at_place : at_place + 1] == [place] else set())
            mount = self.by_path[place]
            detail = f"a file system of type {mount.kind} is mounted there, which may never answer"
            gaps += [
                Gap("remote_file_system", detail, tuple(entries[number].packages), 1, text(entries[number].path))
                for number in sorted(numbers - left_out)
            ]
            left_out |= numbers
        return [entry for number, entry in enumerate(entries) if number not in left_out], gaps


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
        found.insert(0, around._replace(path=b""))
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
