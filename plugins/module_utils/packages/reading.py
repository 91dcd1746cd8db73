# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the content of a file is read: through the page cache, past it, or both; and how gently.

What lies in the page cache is what programs see; what lies on the disk is what they will see after the next boot.
``O_DIRECT`` reads the disk only where the file system honours it. Many take the flag and read through the cache all
the same, so only file systems of which it is known count as proven. Caches below this kernel (a hypervisor's, a
disk's, that of the file behind a loop device) are not passed in any case.

Sources: open(2), posix_fadvise(2), ioprio_set(2), the kernel's Documentation/filesystems/ext4.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import platform
import struct
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.inode import get_flags
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount, Mounts

CACHED = "cached"
UNCACHED = "uncached"
BOTH = "both"

CHUNK_BYTES = 256 * 1024
_DIRECT_CHUNK_BYTES = 1024 * 1024
_ALIGNMENT_BYTES = 4096

#: How far a file is read beyond the size that it had, before it counts as one that grows.
MAX_GROWTH_BYTES = 1024 * 1024

#: Lower rates make no progress that anybody would wait for.
MIN_RATE = 64 * 1024
#: Shortest pieces between which a limited rate is kept, in seconds.
_PACE_SECONDS = 0.125

_NICE = 5
_IDLE_CLASS = 3 << 13
_IOPRIO_SET = {
    "x86_64": 251,
    "i386": 289,
    "i686": 289,
    "aarch64": 30,
    "armv7l": 314,
    "armv6l": 314,
    "ppc64le": 273,
    "ppc64": 273,
    "s390x": 282,
    "riscv64": 30,
    "loongarch64": 30,
}

#: Inode flags of ext4 with which it reads through the cache: compressed, encrypted, journalled data, verity, inline.
_BUFFERED_FLAGS = 0x4 | 0x800 | 0x4000 | 0x100000 | 0x10000000
_EXT = ("ext2", "ext3", "ext4")

#: By name, each algorithm that a package database or a package may use.
HASHERS = {name: getattr(hashlib, name) for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}


class Reading(NamedTuple):
    """How to read.

    ``mode`` is one of the constants above, ``max_rate`` is in bytes per second. ``unproven`` has, for each device
    (`st_dev`), its file system's type and why ``O_DIRECT`` proves nothing there (empty: it does); devices that are not
    in it are unknown.
    """

    mode: str = CACHED
    max_rate: float | None = None
    unproven: Mapping[int, tuple[str, str]] = {}


class Digested(NamedTuple):
    """What was read: the digest (`None` when it could not be read to the end), how much, and what was in the way."""

    digest: bytes | None
    size: int
    error: int | None = None
    growing: bool = False


class Reader:
    """Reads files for one process, and counts what it read and how."""

    def __init__(self, reading: Reading) -> None:
        """Take the way of reading; nothing is allocated before the first file."""
        self.reading = reading
        self.bytes_read = 0
        #: Files by the type of their file system and why reading past the cache is not proven there (empty: it is).
        self.passes: Counter[tuple[str, str]] = Counter()
        self._buffer = memoryview(b"")
        self._next_read = 0.0

    def read(self, descriptor: int, name: str, status: os.stat_result) -> tuple[Digested, Digested | None]:
        """Hash a file, with the algorithm of this name. Returns what counts, and with ``both`` what the disk has."""
        if self.reading.mode == CACHED:
            return self.read_cached(descriptor, name, status.st_size), None
        if self.reading.mode == UNCACHED:
            return self._from_disk(descriptor, name, status), None
        return self.read_cached(descriptor, name, status.st_size), self._from_disk(descriptor, name, status)

    def read_cached(self, descriptor: int, name: str, size: int) -> Digested:
        """Hash a file through the page cache; after an error of the disk, once more past it.

        What can be read only past it keeps its error: whatever else reads the file gets that.
        """
        found = self._hash(descriptor, name, size, CHUNK_BYTES)
        if found.error == errno.EIO and _set_direct(descriptor, True):
            again = self._hash(descriptor, name, size, _DIRECT_CHUNK_BYTES)
            _set_direct(descriptor, False)
            return again._replace(error=errno.EIO, size=found.size) if again.error is None else found
        return found

    def _from_disk(self, descriptor: int, name: str, status: os.stat_result) -> Digested:
        """Hash what the disk has, as far as the file system lets one."""
        kind, reason = self.reading.unproven.get(status.st_dev, ("unknown", "its file system is not known"))
        if not reason and kind in _EXT and not _is_plain(descriptor):
            reason = "the file's attributes (encryption, verity, journalled or inline data) make ext4 use the cache"
        direct = _set_direct(descriptor, True)
        if not direct:
            reason = reason or "it refuses O_DIRECT"
        if reason:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self.passes[kind, reason] += 1
        try:
            return self._hash(descriptor, name, status.st_size, _DIRECT_CHUNK_BYTES if direct else CHUNK_BYTES)
        finally:
            if direct:
                _set_direct(descriptor, False)

    def _hash(self, descriptor: int, name: str, size: int, chunk_bytes: int) -> Digested:
        """Hash a file to its end, but none that grows faster than it is read. ``size`` is what it had before."""
        hasher = HASHERS[name](usedforsecurity=False)
        total = 0
        buffer = self._chunk(chunk_bytes)
        try:
            while True:
                self._wait()
                count = os.preadv(descriptor, [buffer], total)
                self._charge(count)
                hasher.update(buffer[:count])
                total += count
                # A read that comes back short of a regular file's recorded size has not ended it; one at it has.
                if count == 0 or (total == size and count < len(buffer)):
                    break
                if total > size + MAX_GROWTH_BYTES:
                    return Digested(None, total, growing=True)
        except OSError as error:
            # Past the cache one reads whole blocks: a file that has become longer meanwhile cannot be read on.
            if error.errno == errno.EINVAL and total % _ALIGNMENT_BYTES:
                return Digested(None, total, growing=True)
            return Digested(None, total, error.errno)
        finally:
            self.bytes_read += total
        return Digested(hasher.hexdigest().encode(), total)

    def _chunk(self, size: int) -> memoryview:
        """Return a buffer that is aligned to pages, as O_DIRECT wants it, made once in each process."""
        if not self._buffer:
            self._buffer = memoryview(mmap.mmap(-1, _DIRECT_CHUNK_BYTES))
        if self.reading.max_rate is not None:
            pieces = int(self.reading.max_rate * _PACE_SECONDS) // _ALIGNMENT_BYTES
            size = min(size, max(pieces, 1) * _ALIGNMENT_BYTES)
        return self._buffer[:size]

    def _wait(self) -> None:
        """Sleep until the next piece is due."""
        pause_seconds = self._next_read - time.monotonic()
        if pause_seconds > 0:
            time.sleep(pause_seconds)

    def _charge(self, size: int) -> None:
        """Plan the next piece after one of ``size`` bytes; what was not used before is not made up for."""
        if self.reading.max_rate is not None:
            self._next_read = max(self._next_read, time.monotonic()) + size / self.reading.max_rate


def unproven_devices(mounts: Mounts | None) -> dict[int, tuple[str, str]]:
    """Return, for each device, its file system's type and why ``O_DIRECT`` proves nothing there (empty: it does)."""
    return {device: (mount.kind, _why_unproven(mount)) for device, mount in mounts.by_device.items()} if mounts else {}


def _why_unproven(mount: Mount) -> str:
    if mount.kind == "xfs":
        return ""
    if mount.kind in ("tmpfs", "ramfs"):
        return f"{mount.kind} is in memory"
    if mount.kind not in _EXT:
        return f"{mount.kind} is not known to read past the page cache for every file"
    options = _ext_options(mount)
    if options is None:
        return "" if mount.kind == "ext2" else "its journal mode cannot be told"
    return "it journals data, and so reads through the page cache" if "data=journal" in options else ""


def _ext_options(mount: Mount) -> list[str] | None:
    """Return all options of an ext4 file system; those of mountinfo leave out what its superblock says."""
    device = Path(f"/sys/dev/block/{os.major(mount.device)}:{os.minor(mount.device)}")
    for path in (device, Path(mount.source)):
        with contextlib.suppress(OSError):
            return Path(f"/proc/fs/ext4/{path.resolve().name}/options").read_text().splitlines()
    return None


def be_gentle() -> str:
    """Let everybody else on the machine go first, to the CPU and to disks. Returns why not, empty when it is so."""
    os.nice(_NICE)
    number = _IOPRIO_SET.get(platform.machine())
    if number is None or (struct.calcsize("P") == 4 and "64" in platform.machine()):
        return f"the number of ioprio_set(2) is not known for this Python on {platform.machine()}"
    try:
        import ctypes
    except ImportError as error:
        return f"this Python has no ctypes: {error}"
    if ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, _IDLE_CLASS):
        return f"ioprio_set(2) says: {os.strerror(ctypes.get_errno())}"
    return ""


def _is_plain(descriptor: int) -> bool:
    flags = get_flags(descriptor)
    return flags is not None and not flags & _BUFFERED_FLAGS


def _set_direct(descriptor: int, on: bool) -> bool:
    """Switch ``O_DIRECT`` on or off for an open file; tells whether the file system took it."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return True
