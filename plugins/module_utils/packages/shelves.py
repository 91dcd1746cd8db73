# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that lie in directories already: the package manager's cache, a peer's, a mirror's.

What lies there is only ever used as a private copy, whose digest is taken while it is made.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

MAX_PACKAGE_BYTES = 16 * 1024**3
#: What must stay free where packages are put for a while.
_SPARE_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
#: Caches are this deep: cache, release, repository, packages. One with more names is not read to its end.
_MAX_DEPTH = 5
_MAX_NAMES = 200_000
#: So many files of one name are tried: a repository whose address has changed has a directory for each.
_MAX_SAME = 8


class Candidate(NamedTuple):
    """A private copy of a package that may be the right one; ``label`` says where it came from."""

    path: Path
    sha256: bytes
    size: int
    label: str


class _Shelf(NamedTuple):
    """A directory with packages: inside a tree, what to call it, and the directories of each package by its name."""

    tree: Tree
    label: str
    places: dict[bytes, list[bytes]]


class Shelves:
    """Several directories with packages, in the order in which they are asked."""

    def __init__(self, tree: Tree, caches: Sequence[bytes], directories: Sequence[str], suffix: bytes) -> None:
        """Take the caches of a root, which may have directories in them, and further directories of this system.

        Raises `InvalidInputError` for one of the latter that is none.
        """
        self._suffix = suffix
        self._shelves = [_Shelf(tree, "the package cache", _places(tree, cache, suffix)) for cache in caches]
        self._trees: list[Tree] = []
        for path in directories:
            self._trees.append(_open(path))
            self._shelves.append(_Shelf(self._trees[-1], f"directory {path}", _places(self._trees[-1], b"", suffix)))

    def close(self) -> None:
        """Let go of the directories."""
        for tree in self._trees:
            tree.close()

    def __contains__(self, name: bytes) -> bool:
        """Tell whether a file of this name lies in one of them."""
        return any(name in shelf.places for shelf in self._shelves)

    def candidates(self, names: Sequence[bytes], directory: Path) -> Iterator[Candidate]:
        """Yield a copy, in ``directory``, of each file that has one of the names. Raises `OSError` for want of room."""
        for shelf, path in self._paths(names):
            try:
                descriptor = shelf.tree.open(path)
            except OSError:
                continue
            try:
                yield copy_package(descriptor, directory, shelf.label, self._suffix)
            finally:
                os.close(descriptor)

    def _paths(self, names: Sequence[bytes]) -> Iterator[tuple[_Shelf, bytes]]:
        for shelf in self._shelves:
            for name in names:
                yield from ((shelf, place + b"/" + name) for place in shelf.places.get(name, ()))


def copy_package(descriptor: int, directory: Path, label: str, suffix: bytes) -> Candidate:
    """Copy a package to where nobody changes it, and hash it on the way. Raises `OSError`."""
    size = os.fstat(descriptor).st_size
    require_space(directory, size)
    handle, name = tempfile.mkstemp(suffix=os.fsdecode(suffix), dir=directory)
    hasher = hashlib.sha256()
    total = 0
    with os.fdopen(handle, "wb") as stream:
        while total < size and (data := os.read(descriptor, min(_CHUNK_BYTES, size - total))):
            hasher.update(data)
            stream.write(data)
            total += len(data)
    return Candidate(Path(name), hasher.hexdigest().encode(), total, label)


def require_space(directory: Path, size: int) -> None:
    """Raise `OSError` unless so many bytes can be written."""
    free = shutil.disk_usage(directory).free
    if size > MAX_PACKAGE_BYTES or free < size + _SPARE_BYTES:
        reason = f"{size + _SPARE_BYTES} bytes must be free in {directory.parent}, and {free} are"
        raise OSError(errno.ENOSPC, reason)


def _places(tree: Tree, directory: bytes, suffix: bytes) -> dict[bytes, list[bytes]]:
    """Return where each package is, in a directory and those below it, the highest first."""
    places: dict[bytes, list[bytes]] = {}
    left = _MAX_NAMES
    level = [directory]
    for _depth in range(_MAX_DEPTH):
        below: list[bytes] = []
        for each in level:
            try:
                names = sorted(tree.names(each))[:left]
            except OSError:
                continue
            left -= len(names)
            for name in names:
                if name.endswith(suffix):
                    places.setdefault(name, []).append(each)
                elif tree.is_directory(each + b"/" + name):
                    below.append(each + b"/" + name)
        level = below
    return {name: found[:_MAX_SAME] for name, found in places.items()}


def _open(path: str) -> Tree:
    try:
        return Tree(path)
    except InvalidInputError as error:
        raise InvalidInputError(f"package directory {path!r}", error.reason, "Name a directory of packages") from error
