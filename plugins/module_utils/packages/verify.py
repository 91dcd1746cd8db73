# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifest and disk -> observations: what is at each path that is not plainly what was expected.

This file measures and judges nothing. Paths that are as expected leave no trace but their number, so a verification of
a sound system returns next to nothing from its processes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DIRECTORY,
    UNKNOWN,
    Entry,
    Observation,
    algorithm,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import (
    READ_FLAGS,
    DirectoryWalk,
    Tree,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.workers import run_batches

BATCH_ENTRIES = 128
CHUNK_BYTES = 256 * 1024

#: A larger file at the end of an unexpected link is not read.
MAX_TARGET_BYTES = 1024 * 1024 * 1024

#: A larger file at a package's path is not read: no package can hold it, and a sparse one would never end.
MAX_FILE_BYTES = 64 * 1024**3

#: How far a file is read beyond the size that it had, before it counts as one that grows.
MAX_GROWTH_BYTES = 1024 * 1024

#: How often a file is read again that changes while it is read.
READ_ATTEMPTS = 3

_SELF_TEST = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}
_HASHERS = {name: getattr(hashlib, name) for name in _SELF_TEST}
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character_device",
    stat.S_IFBLK: "block_device",
}


class BatchOutcome(NamedTuple):
    """What one batch of entries gave: entries ``first`` to before ``end``, why they were not done if they were not."""

    first: int
    end: int
    observations: tuple[Observation, ...]
    bytes_read: int
    failure: str | None


class _Digested(NamedTuple):
    digest: bytes | None
    size: int
    error: int | None = None
    growing: bool = False


def verify(tree: Tree, entries: list[Entry], jobs: int) -> Iterator[BatchOutcome]:
    """Look at every entry on disk, in ``jobs`` processes; yields batch after batch, in any order.

    ``entries`` are sorted by path. Raises `MeasurementError` when this Python cannot be trusted with a digest.
    """
    self_test()
    count = -(-len(entries) // BATCH_ENTRIES)
    verifier = _Verifier(tree, entries)
    for done in run_batches(count, verifier.batch, jobs):
        first = done.batch * BATCH_ENTRIES
        end = min(first + BATCH_ENTRIES, len(entries))
        if done.failure is not None or not isinstance(done.result, tuple):
            yield BatchOutcome(first, end, (), 0, done.failure or "it returned nothing")
        else:
            yield BatchOutcome(first, end, done.result[0], done.result[1], None)


def self_test() -> None:
    """Hash a known text with each algorithm (the examples of RFC 1321 and FIPS 180). Raises `MeasurementError`.

    The Python that verifies may itself lie on the damaged disk.
    """
    for name, expected in _SELF_TEST.items():
        try:
            digest = _HASHERS[name](b"abc", usedforsecurity=False).hexdigest()
        except ValueError as error:
            raise MeasurementError(f"digest algorithm {name}", str(error), "Use a Python that has it") from error
        if digest != expected:
            raise MeasurementError(
                f"digest algorithm {name}",
                f"this Python's hashlib gives {digest} for 'abc' instead of {expected}",
                "Its files are damaged: verify this system from another one, with root= on the mounted file system",
            )


class _Verifier:
    """The work of one process; made before it is forked."""

    def __init__(self, tree: Tree, entries: list[Entry]) -> None:
        self.tree = tree
        self.entries = entries
        self.bytes_read = 0
        self._walk: DirectoryWalk | None = None
        self._buffer = bytearray(0)
        self._links: dict[tuple[int, int], bytes] = {}

    def batch(self, number: int) -> tuple[tuple[Observation, ...], int]:
        """Look at one batch of entries. Returns what is worth telling, and the number of bytes read."""
        if self._walk is None:
            self._walk = DirectoryWalk(self.tree)
            self._buffer = bytearray(CHUNK_BYTES)
        self.bytes_read = 0
        first = number * BATCH_ENTRIES
        observations = []
        for index in range(first, min(first + BATCH_ENTRIES, len(self.entries))):
            observation = self._look(index, self.entries[index], self._walk)
            if observation is not None:
                observations.append(observation)
        return tuple(observations), self.bytes_read

    def _look(self, index: int, entry: Entry, walk: DirectoryWalk) -> Observation | None:
        """Look at one entry; `None` when it is as expected."""
        directory, _slash, name = entry.path.rpartition(b"/")
        try:
            descriptor = walk.enter(directory)
            status = os.stat(name or b".", dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
            return Observation(index, "missing" if missing else "", error=error.errno)
        kind = stat.S_IFMT(status.st_mode)
        if entry.digest is None:
            return self._look_at_type(index, entry, kind, descriptor, name)
        if kind != stat.S_IFREG:
            return self._other_type(index, kind, descriptor, name, entry)
        return self._look_at_content(index, entry, descriptor, name, status)

    def _look_at_type(self, index: int, entry: Entry, kind: int, parent: int, name: bytes) -> Observation | None:
        """Look at a path of which the database holds no content."""
        if kind == stat.S_IFDIR or (kind == stat.S_IFLNK and entry.kind == UNKNOWN):
            return None
        observation = self._other_type(index, kind, parent, name, entry)
        if observation.target_is_directory and entry.kind == DIRECTORY:
            return None
        return observation

    def _other_type(self, index: int, kind: int, parent: int, name: bytes, entry: Entry) -> Observation:
        """Describe what is there instead of a regular file; of a link, where it leads and what is there."""
        if kind != stat.S_IFLNK:
            return Observation(index, _TYPES.get(kind, "unknown"))
        try:
            target = os.readlink(name, dir_fd=parent)
        except OSError as error:
            return Observation(index, "symlink", error=error.errno)
        end = self.tree.resolve(entry.path)
        found = self._read_target(end, algorithm(entry.digest)) if entry.digest else None
        if found is not None:
            return Observation(index, "symlink", size=found.size, target=target, target_digest=found.digest)
        is_directory = self.tree.is_directory(end)
        return Observation(index, "symlink", target=target, target_is_directory=is_directory)

    def _read_target(self, path: bytes, name: str) -> _Digested | None:
        """Hash what a link leads to, if it is a regular file of a sane size (/proc/kcore is one of another)."""
        try:
            descriptor = self.tree.open(path)
        except OSError:
            return None
        try:
            size = os.fstat(descriptor).st_size
            return self._read(descriptor, name, size) if size <= MAX_TARGET_BYTES else None
        finally:
            os.close(descriptor)

    def _look_at_content(
        self, index: int, entry: Entry, parent: int, name: bytes, status: os.stat_result
    ) -> Observation | None:
        """Compare the content of what lstat called a regular file."""
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in self._links and _expected(entry, self._links[key]):
            return None
        if status.st_size > MAX_FILE_BYTES:
            return Observation(index, "file", size=status.st_size, error=errno.EFBIG)
        for _attempt in range(READ_ATTEMPTS):
            try:
                descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
            except OSError as error:
                return Observation(index, "file", size=status.st_size, error=error.errno)
            try:
                found = self._read(descriptor, algorithm(entry.digest or b""), status.st_size)
                if found.digest is not None and _expected(entry, found.digest):
                    if status.st_nlink > 1:
                        self._links[key] = found.digest
                    return None
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            if _version(after) == _version(status) and not found.growing:
                return _content(index, found)
            try:
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                return Observation(index, "missing", error=error.errno)
            if not stat.S_ISREG(status.st_mode):
                return self._other_type(index, stat.S_IFMT(status.st_mode), parent, name, entry)
            key = (status.st_dev, status.st_ino)
        return Observation(index, "file", size=status.st_size, busy=True)

    def _read(self, descriptor: int, name: str, size: int) -> _Digested:
        """Hash a file to its end, but none that grows faster than it is read. ``size`` is what it had before."""
        hasher = _HASHERS[name](usedforsecurity=False)
        total = 0
        buffer = memoryview(self._buffer)
        try:
            while True:
                count = os.readv(descriptor, [buffer])
                hasher.update(buffer[:count])
                total += count
                # A read that comes back short of a regular file's recorded size has not ended it; one at it has.
                if count == 0 or (total == size and count < len(buffer)):
                    break
                if total > size + MAX_GROWTH_BYTES:
                    return _Digested(None, total, growing=True)
        except OSError as error:
            return _Digested(None, total, error.errno)
        finally:
            self.bytes_read += total
        return _Digested(hasher.hexdigest().encode(), total)


def _expected(entry: Entry, digest: bytes) -> bool:
    return digest == entry.digest or digest in entry.other_digests


def _version(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is written or exchanged."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)


def _content(index: int, found: _Digested) -> Observation:
    if found.error is not None:
        return Observation(index, "file", error=found.error, offset=found.size)
    return Observation(index, "file", digest=found.digest, size=found.size)
