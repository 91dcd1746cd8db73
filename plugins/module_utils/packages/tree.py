# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file system below a root directory, seen as a process sees it that has been chrooted there.

Symbolic links are resolved by hand, so that an absolute target or a ``..`` never leads out of the root: what lies
below the root may belong to another machine, or to somebody who wants another file read.
"""

from __future__ import annotations

import errno
import os
import stat

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

#: As many links on one path as the kernel follows (path_resolution(7)).
MAX_LINKS = 40
#: The longest path that it takes (PATH_MAX).
MAX_PATH_BYTES = 4096

#: Never follow a link, never wait for the writer of a FIFO, never leave the descriptor to a child.
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DIRECTORY_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """Names below one root. All paths are bytes, absolute inside the root, without a slash at the end."""

    def __init__(self, root: str) -> None:
        """Take a root directory. Raises `InvalidInputError` when it is none, or may not be entered."""
        try:
            self.root_descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"root {root!r}", _reason(error), "Give the root directory of an installed system; / is this one"
            ) from error
        self.root = os.fsencode(root).rstrip(b"/")
        #: Places (with a slash at the end) that are not to be touched, not even to see whether they are links: whoever
        #: serves them may be dead, and would never answer. What leads there is refused with ``EREMOTE``.
        self.avoided: tuple[bytes, ...] = ()
        self._directories: dict[bytes, bytes] = {b"": b""}
        self._targets: dict[bytes, bytes | None] = {}
        self._walk = DirectoryWalk(self)

    def close(self) -> None:
        """Let go of the root."""
        self._walk.close()
        os.close(self.root_descriptor)

    def forget(self) -> None:
        """Forget where links led: the tree may have changed."""
        self._walk.close()
        self._walk = DirectoryWalk(self)
        self._directories = {b"": b""}
        self._targets = {}

    def resolve_directory(self, directory: bytes) -> bytes:
        """Return a directory's name without links in it (``b""`` is the root); remembered, so that it costs one lstat.

        What does not exist, cannot be searched or is a loop keeps its name: opening it will say what is the matter.
        """
        known = self._directories.get(directory)
        if known is None:
            known = self._directories[directory] = self.resolve(directory)
        return known

    def known_directories(self) -> frozenset[bytes]:
        """Return the directories resolved so far, under the names asked for and under those they came to."""
        return frozenset(self._directories) | frozenset(self._directories.values())

    def locate(self, path: bytes) -> bytes:
        """Return where a path is: links in its directory resolved, its last component left as it is."""
        directory, _slash, name = path.rpartition(b"/")
        known = self._directories.get(directory)
        if known is None:
            known = self.resolve_directory(directory)
        if name in (b"", b".", b".."):
            return self.resolve(path)
        return path if known == directory else known + b"/" + name

    def resolve(self, path: bytes) -> bytes:
        """Return a path without links in it, its last component included.

        One that is a loop, or becomes longer than the kernel takes (path_resolution(7)), comes back as it is.
        """
        resolved = b""
        links = 0
        pending = path.split(b"/")[::-1]
        while pending:
            name = pending.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                resolved = resolved.rpartition(b"/")[0]
                continue
            candidate = resolved + b"/" + name
            if len(candidate) > MAX_PATH_BYTES:
                return path
            target = self._target(candidate)
            if target is None:
                resolved = candidate
                continue
            links += 1
            if links > MAX_LINKS:
                return path
            if target.startswith(b"/"):
                resolved = b""
            pending.extend(target.split(b"/")[::-1])
        return resolved

    def _target(self, path: bytes) -> bytes | None:
        """Return where a link leads, `None` for what is no link; remembered."""
        if self._is_avoided(path):
            return None
        if path not in self._targets:
            try:
                is_link = stat.S_ISLNK(os.lstat(self.root + path).st_mode)
                self._targets[path] = os.readlink(path[1:], dir_fd=self.root_descriptor) if is_link else None
            except OSError:
                self._targets[path] = None
        return self._targets[path]

    def _is_avoided(self, path: bytes) -> bool:
        return bool(self.avoided) and (path + b"/").startswith(self.avoided)

    def refuse_avoided(self, path: bytes) -> None:
        """Raise `OSError` with ``EREMOTE`` for a resolved path that is not to be touched."""
        if self._is_avoided(path):
            raise OSError(errno.EREMOTE, "it lies in a file system that may never answer")

    def open(self, path: bytes) -> int:
        """Open a file for reading; links are followed inside the root. Raises `OSError`, also for what is no file."""
        resolved = self.resolve(path)
        self.refuse_avoided(resolved)
        directory, _slash, name = resolved.rpartition(b"/")
        return open_regular(name or b".", self._walk.enter(directory))

    def read(self, path: bytes, limit: int) -> bytes:
        """Return the bytes of a regular file of at most ``limit`` bytes. Raises `OSError` (``EFBIG`` when larger)."""
        descriptor = self.open(path)
        try:
            return _read_all(descriptor, limit)
        finally:
            os.close(descriptor)

    def is_directory(self, path: bytes) -> bool:
        """Tell whether a resolved path is a directory itself."""
        try:
            self._walk.enter(path)
        except OSError:
            return False
        return True

    def directory_status(self, path: bytes) -> os.stat_result:
        """Return what stat says of a resolved directory. Raises `OSError`."""
        return os.fstat(self._walk.enter(path))

    def names(self, directory: bytes) -> list[bytes]:
        """Return the names in a directory, sorted. Raises `OSError`."""
        parent = self._walk.enter(self.resolve(directory))
        descriptor = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
        try:
            with os.scandir(descriptor) as found:
                return sorted(os.fsencode(entry.name) for entry in found)
        finally:
            os.close(descriptor)


class DirectoryWalk:
    """Descriptors of one directory and those above it, entered one component at a time and never through a link.

    Paths that come in sorted order share most of the way. A directory that turned into a link after it was resolved
    is not entered, so that nobody can exchange one under a verification that runs.
    """

    def __init__(self, tree: Tree) -> None:
        """Begin at the root of a tree, which must stay open."""
        self._tree = tree
        self._stack: list[tuple[bytes, int]] = [(b"", tree.root_descriptor)]
        self._current: bytes | None = b""

    def enter(self, directory: bytes) -> int:
        """Return a descriptor of a resolved directory (``b""`` is the root).

        Raises `OSError`: ``ELOOP`` for a link, ``EREMOTE`` for what the tree avoids.
        """
        if directory != self._current:
            self._tree.refuse_avoided(directory)
            self._current = None
            self._descend(directory.split(b"/"))
            self._current = directory
        return self._stack[-1][1]

    def close(self) -> None:
        """Let go of all directories but the root, which belongs to the tree."""
        self._current = None
        while len(self._stack) > 1:
            os.close(self._stack.pop()[1])

    def _descend(self, names: list[bytes]) -> None:
        stack = self._stack
        common = 1
        while common < len(names) and common < len(stack) and stack[common][0] == names[common]:
            common += 1
        while len(stack) > common:
            os.close(stack.pop()[1])
        for name in names[common:]:
            try:
                descriptor = os.open(name, DIRECTORY_FLAGS, dir_fd=stack[-1][1])
            except NotADirectoryError:
                if stat.S_ISLNK(os.stat(name, dir_fd=stack[-1][1], follow_symlinks=False).st_mode):
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                raise
            stack.append((name, descriptor))


def open_regular(name: bytes, directory: int) -> int:
    """Open a regular file in a directory and nothing else: opening a device can be enough to make it do something.

    Raises `OSError`, with ``EINVAL`` for what is of another type, a link included.
    """
    if stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        descriptor = os.open(name, READ_FLAGS, dir_fd=directory)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file")


def _read_all(descriptor: int, limit: int) -> bytes:
    """Read to the end of a file, at most ``limit`` bytes."""
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0:
        chunk = os.read(descriptor, min(left, max(os.fstat(descriptor).st_size + 1, 65536)))
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        left -= len(chunk)
    raise OSError(errno.EFBIG, f"larger than {limit} bytes")


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
