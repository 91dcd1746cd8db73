# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file system of a shadow: the host's, but what is written to it is in memory and vanishes.

Everything here happens in a mount namespace that nobody else is in, so that nothing has to be unmounted. Sources:
mount_namespaces(7), the kernel's Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import namespaces
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.host_files import Growing

#: Where the tmpfs is mounted that holds all changes: directories that exist on every host, so that none is made.
_SCAFFOLDS = (Path("/run"), Path("/mnt"), Path("/media"), Path("/srv"))
_RUN = Path("/run")
#: Replaced by its directories and links alone: a log would be copied to memory whole as soon as the server opens it.
_LOGS = Path("/var/log")
#: What is not carried into the shadow, because it gets its own.
_OWN = (Path("/proc"), Path("/dev"), _RUN)

_PSEUDO = frozenset({"binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs"}) | {
    *("efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs"),
    *("smackfs", "sysfs", "tracefs"),
}
_REMOTE = frozenset({"9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs"}) | {
    *("nfs4", "ocfs2", "smb3", "smbfs", "virtiofs"),
}
_FLAGS = {"nosuid": namespaces.MS_NOSUID, "nodev": namespaces.MS_NODEV, "noexec": namespaces.MS_NOEXEC}

_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_PROC_FLAGS = namespaces.MS_NOSUID | namespaces.MS_NODEV | namespaces.MS_NOEXEC
#: Parts of /proc by which root, even without capabilities, changes the whole machine.
_PROC_READ_ONLY = ("acpi", "bus", "fs", "irq", "sys", "sysrq-trigger")

_PLACES_MAX = 20_000


class Mount(NamedTuple):
    """A line of mountinfo (proc_pid_mountinfo(5)): its number, where it is, its options and its file system."""

    number: int
    path: Path
    options: frozenset[str]
    kind: str


class Place(NamedTuple):
    """A directory or a symbolic link, relative to a directory: what ``stat`` says of it, and where a link leads."""

    path: Path
    mode: int
    owner: int
    group: int
    target: str = ""


def mounts_in(mountinfo: bytes) -> list[Mount]:
    """Read mountinfo; lines that make no sense are left out."""
    found = []
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(b" - ")
        fields = before.split(b" ")
        if not separator or len(fields) < 6 or not fields[0].isdigit():
            continue
        path = re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match.group(1), 8)]), fields[4])
        options = frozenset(fields[5].decode("utf-8", "replace").split(","))
        kind = after.split(b" ")[0].decode("utf-8", "replace")
        found.append(Mount(int(fields[0]), Path(os.fsdecode(path)), options, kind))
    return found


def is_remote(kind: str) -> bool:
    """Tell whether a file system is served by another host or by a process, and so may never answer."""
    return kind in _REMOTE or kind.startswith("fuse.")


def may_be_overlaid(mount: Mount) -> bool:
    """Tell whether writing to a mount can be diverted to memory; others become read-only."""
    return "ro" not in mount.options and mount.kind not in _PSEUDO and not is_remote(mount.kind)


def skeleton(top: Path, excluded: Iterable[Path] = ()) -> list[Place]:
    """Return the directories and links below a directory, outer ones first and at most 20,000 of them."""
    found: list[Place] = []
    left_out = frozenset(excluded)
    waiting = [top]
    while waiting:
        directory = waiting.pop(0)
        # A user's own mount shuts even root out, and directories come and go.
        with contextlib.suppress(OSError):
            for path in sorted(directory.iterdir()):
                status = path.lstat()
                if path in left_out or len(found) >= _PLACES_MAX:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    found.append(_directory(path.relative_to(top), status))
                    waiting.append(path)
                elif stat.S_ISLNK(status.st_mode):
                    link = _directory(path.relative_to(top), status)
                    found.append(link._replace(target=os.fspath(path.readlink())))
    return found


def _directory(path: Path, status: os.stat_result) -> Place:
    return Place(path, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _make(place: Place, top: Path) -> None:
    made = top / place.path
    if place.target:
        made.symlink_to(place.target)
        return
    made.mkdir(exist_ok=True)
    os.chown(made, place.owner, place.group)
    made.chmod(place.mode)


def enter_shadow_root(size_bytes: int) -> None:
    """Make this process, first of its mount and PID namespaces, see a host whose changes go to memory.

    ``size_bytes`` is how much may be written in all. Raises OSError.
    """
    namespaces.mount(None, "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    mounts = _visible_mounts()
    remote = [mount.path for mount in mounts if is_remote(mount.kind)]
    logs = _LOGS.resolve()
    fresh = {path: skeleton(path, remote) for path in (_RUN, logs)}
    scaffold = _scaffold(size_bytes)
    own = {*_OWN, logs}
    new_root = _carry(scaffold, [mount for mount in mounts if own.isdisjoint((mount.path, *mount.path.parents))])
    for path, places in fresh.items():
        _replace_by_skeleton(scaffold, _inside(new_root, path), places)
    _make_devices(scaffold, new_root / "dev")
    namespaces.change_root(new_root)
    namespaces.mount("proc", "/proc", "proc", _PROC_FLAGS)


def _inside(new_root: Path, path: Path) -> Path:
    return new_root / path.relative_to("/")


def _visible_mounts() -> list[Mount]:
    """Return the mounts that a path leads to, outer ones first; what another mount covers is left out."""
    mounts = mounts_in(Path("/proc/self/mountinfo").read_bytes())
    return sorted((mount for mount in mounts if _is_visible(mount)), key=lambda mount: mount.path)


def _is_visible(mount: Mount) -> bool:
    if mount.kind == "autofs":
        # Bound, it would have a daemon of the host mount things.
        return False
    try:
        descriptor = os.open(mount.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        facts = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    finally:
        os.close(descriptor)
    return re.search(rf"^mnt_id:\s*{mount.number}$", facts, re.MULTILINE) is not None


def _scaffold(size_bytes: int) -> Path:
    """Mount the tmpfs that holds all changes over a directory that is there, for us alone; return its path."""
    place = next(path for path in _SCAFFOLDS if path.is_dir() and not path.is_symlink())
    namespaces.mount("tmpfs", place, "tmpfs", namespaces.MS_NOSUID, f"size={size_bytes},mode=0700")
    (place / "root").mkdir()
    return place


def _carry(scaffold: Path, mounts: Sequence[Mount]) -> Path:
    """Put the host's mounts together again below the scaffold, none of them writable; return the new root."""
    new_root = scaffold / "root"
    for number, mount in enumerate(mounts):
        target = _inside(new_root, mount.path)
        # One below an automount has no place to be.
        if os.path.lexists(target):
            _carry_one(mount, target, scaffold / str(number))
    return new_root


def _carry_one(mount: Mount, target: Path, changes: Path) -> None:
    flags = sum(value for name, value in _FLAGS.items() if name in mount.options)
    if may_be_overlaid(mount) and mount.path.is_dir():
        try:
            _overlay(mount.path, target, changes, flags)
        except OSError:
            # Not every file system can be the lower layer; that of the root must be.
            if mount.path == Path("/"):
                raise
        else:
            return
    namespaces.bind_read_only(mount.path, target, flags)


def _overlay(path: Path, target: Path, changes: Path, flags: int) -> None:
    """Mount an overlay whose lower layer is a directory and whose upper one is below ``changes``."""
    changes.mkdir()
    (changes / "work").mkdir()
    # The top of an overlay is its upper directory.
    _make(_directory(Path("upper"), path.stat()), changes)
    # Relative, because a path may hold what separates options.
    os.chdir(path)
    try:
        layers = f"lowerdir=.,upperdir={changes}/upper,workdir={changes}/work"
        namespaces.mount("overlay", target, "overlay", flags, layers)
    finally:
        os.chdir("/")


def _replace_by_skeleton(scaffold: Path, covered: Path, places: Sequence[Place]) -> None:
    """Cover a directory of the new root by one that has the same directories and links in it and nothing else."""
    if not covered.is_dir():
        return
    fresh = _directory(Path(f"fresh-{covered.name}"), covered.stat())
    _make(fresh, scaffold)
    for place in places:
        _make(place, scaffold / fresh.path)
    namespaces.mount(scaffold / fresh.path, covered, flags=namespaces.MS_BIND)


def _make_devices(scaffold: Path, covered: Path) -> None:
    """Give the new root a /dev in which nothing leads to a disk, to a terminal or to the log."""
    devices = scaffold / "fresh-dev"
    for path, mode in ((Path(), 0o755), (Path("pts"), 0o755), (Path("shm"), 0o1777)):
        _make(Place(path, mode, 0, 0), devices)
    for name, target in _DEVICE_LINKS.items():
        (devices / name).symlink_to(target)
    for name in _DEVICES:
        device = Path("/dev") / name
        if device.exists():
            (devices / name).touch()
            # Bound, not made: a container may use its devices and not make any.
            namespaces.mount(device, devices / name, flags=namespaces.MS_BIND)
    namespaces.mount(devices, covered, flags=namespaces.MS_BIND | namespaces.MS_REC)


def protect_proc() -> None:
    """Make read-only what root could still change the host by; the network must have been made before."""
    for name in _PROC_READ_ONLY:
        path = Path("/proc") / name
        if path.exists():
            namespaces.bind_read_only(path, path, _PROC_FLAGS)


def hide_sockets(paths: Iterable[Path]) -> None:
    """Remove sockets from sight: none is to be connected to, and a server must be able to bind its own there."""
    for path in paths:
        if not path.is_socket():
            continue
        try:
            path.unlink()
        except OSError:
            namespaces.mount("/dev/null", path, flags=namespaces.MS_BIND)


def empty_files(files: Iterable[Growing]) -> None:
    """Replace files by empty ones: a file that is opened for appending is copied to memory whole."""
    for file in files:
        with contextlib.suppress(OSError):
            file.path.unlink()
            file.path.touch(0o600, exist_ok=False)
            os.chown(file.path, file.owner, file.group)
            file.path.chmod(file.mode)


def append_hosts(hosts: Mapping[str, Sequence[str]]) -> None:
    """Append names and their addresses to ``/etc/hosts``."""
    lines = [f"{address} {name}\n" for name, addresses in hosts.items() for address in addresses]
    if lines:
        with Path("/etc/hosts").open("a", encoding="ascii") as file:
            file.writelines(["\n", *lines])


def private_bytes(proc: Path = Path("/proc")) -> int:
    """Return how much memory the processes of a /proc have for themselves, all together (proc_pid_statm(5)).

    What a process still shares with the one that it was forked from counts for both: to read the exact sum of another
    user's process (Pss in smaps_rollup) takes CAP_SYS_PTRACE, which no shadow has.
    """
    pages = 0
    for process in proc.iterdir():
        if not process.name.isdigit():
            continue
        # It may end while we look.
        with contextlib.suppress(OSError, ValueError):
            _size, resident, shared = (process / "statm").read_text(encoding="ascii").split()[:3]
            pages += max(0, int(resident) - int(shared))
    return pages * os.sysconf("SC_PAGE_SIZE")
