# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package manager's own locks, held while its files are repaired, so that no transaction runs at the same time.

dpkg and apt lock ``lock-frontend`` first, then ``lock``; rpm locks ``.rpm.lock``. All of them use record locks of
fcntl(2) over the whole file. These here belong to the open file instead of the process (``F_OFD_SETLK``): they exclude
each other, but are not lost when another part of this process opens and closes the file. They end with the process and
those that have inherited their descriptor.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from types import TracebackType

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree

#: The locks of each package manager, in the order in which they are taken. The last is that of its program, the one
#: before that of whoever runs it.
DPKG_LOCKS = (b"/var/lib/dpkg/lock-frontend", b"/var/lib/dpkg/lock")
RPM_LOCKS = (b"/usr/lib/sysimage/rpm/.rpm.lock", b"/var/lib/rpm/.rpm.lock")

#: ``struct flock`` with 64-bit offsets, as Python is built with.
_RECORD = "hhqqi0q"


class LockedError(WebopsError):
    """Somebody else holds a lock."""


class DatabaseLocks:
    """The locks of one package database; held from ``with`` to its end, or to the death of the process.

    Raises `LockedError` when somebody else holds one: a transaction that runs now changes what would be repaired.
    """

    def __init__(self, tree: Tree, paths: tuple[bytes, ...]) -> None:
        """Name the locks; they are taken with ``with``."""
        self._tree = tree
        self._paths = paths
        self._descriptors: list[int] = []

    def __enter__(self) -> DatabaseLocks:
        """Take all locks."""
        for path in self._paths:
            try:
                self._descriptors.append(_opened(self._tree, path))
            except OSError as error:
                self._release()
                remedy = "Run as root (become: true), and see whether the database's directory is there"
                raise LockedError(text(path), f"it cannot be opened ({error.strerror})", remedy) from error
            if not _take(self._descriptors[-1]):
                self._release()
                remedy = "Let the package transaction that runs come to its end, and repair again"
                raise LockedError(text(path), "another process holds it", remedy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the locks; the files stay, as the package manager leaves them."""
        self._release()

    def to_inherit(self) -> tuple[int, ...]:
        """Return the descriptors of the locks that are not lent: what inherits one holds it after our death as well."""
        return tuple(self._descriptors[:-1])

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let the package manager's own program take its lock for a while; whoever else runs it stays locked out."""
        _set(self._descriptors[-1], fcntl.F_UNLCK)
        try:
            yield
        finally:
            if not _take(self._descriptors[-1]):
                raise LockedError(text(self._paths[-1]), "another process took it meanwhile", "Repair again")

    def _release(self) -> None:
        while self._descriptors:
            descriptor = self._descriptors.pop()
            # Something that a maintainer script has left running may have inherited it: closing is not enough.
            with contextlib.suppress(OSError):
                _set(descriptor, fcntl.F_UNLCK)
            os.close(descriptor)


def is_locked(tree: Tree, paths: tuple[bytes, ...]) -> bytes | None:
    """Return the first of the locks that somebody else holds; takes none, and makes no file."""
    for path in paths:
        directory, _slash, name = tree.resolve(path).rpartition(b"/")
        walk = DirectoryWalk(tree)
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=walk.enter(directory))
        except OSError:
            continue
        finally:
            walk.close()
        try:
            found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _record(fcntl.F_WRLCK))
        finally:
            os.close(descriptor)
        if struct.unpack(_RECORD, found)[0] != fcntl.F_UNLCK:
            return path
    return None


def make_locks(tree: Tree, paths: tuple[bytes, ...]) -> bool:
    """Make the locks that are not there yet, as the package manager does. Tells whether one was made."""
    made = False
    for path in paths:
        with contextlib.suppress(OSError):  # Taking it says what is wrong.
            os.close(_opened(tree, path, os.O_EXCL))
            made = True
    return made


def _opened(tree: Tree, path: bytes, flags: int = 0) -> int:
    """Open a lock, and make it where it is not there yet. Raises `OSError`."""
    directory, _slash, name = path.rpartition(b"/")
    walk = DirectoryWalk(tree)
    try:
        parent = walk.enter(tree.resolve(directory))
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o640, dir_fd=parent)
    finally:
        walk.close()


def _take(descriptor: int) -> bool:
    try:
        _set(descriptor, fcntl.F_WRLCK)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _set(descriptor: int, kind: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _record(kind))


def _record(kind: int) -> bytes:
    """Return a ``struct flock`` for the whole file; the process in it must be 0 (fcntl_locking(2))."""
    return struct.pack(_RECORD, kind, os.SEEK_SET, 0, 0, 0)
