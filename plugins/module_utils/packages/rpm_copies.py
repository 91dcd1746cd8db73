# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private copies of an rpm database's files: what reads them may write beside them, and nobody writes into them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: The database of a system with every package of a distribution has some 500 megabytes.
MAX_DATABASE_BYTES = 2 * 1024**3

#: How often files are copied again that change while they are copied.
ATTEMPTS = 3
_CHUNK_BYTES = 1024 * 1024


def copy_files(tree: Tree, names: dict[str, str], directory: Path) -> dict[str, Path]:
    """Copy files of one database into a directory, all in one state. Returns the copies of those that exist.

    ``names`` are the names of the copies by the paths inside the root, that of the database first.

    Raises `OSError` when one cannot be read, `MeasurementError` when one is larger than any database, when they keep
    changing, or when the copies cannot be written.
    """
    for _attempt in range(ATTEMPTS):
        before = _versions(tree, names)
        copies = {path: directory / name for path, name in names.items() if before[path] is not None}
        for path, copy in copies.items():
            _copy(tree, path, copy)
        if _versions(tree, names) == before:
            return copies
    raise MeasurementError(
        next(iter(names)), "it keeps changing while it is read", "Verify again when the package transaction has ended"
    )


def _versions(tree: Tree, paths: Iterable[str]) -> dict[str, tuple[int, ...] | None]:
    """Return what changes when a file is written or exchanged; `None` for one that does not exist."""
    versions: dict[str, tuple[int, ...] | None] = {}
    for path in paths:
        try:
            descriptor = tree.open(path.encode())
        except FileNotFoundError:
            versions[path] = None
            continue
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        versions[path] = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return versions


def _copy(tree: Tree, path: str, copy: Path) -> None:
    descriptor = tree.open(path.encode())
    try:
        with copy.open("wb") as target:
            left = MAX_DATABASE_BYTES
            while chunk := os.read(descriptor, _CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise MeasurementError(path, f"it is larger than {MAX_DATABASE_BYTES} bytes", "Look what it is")
                _write(target.fileno(), chunk, copy)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes, copy: Path) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise MeasurementError(
            str(copy.parent),
            f"the database cannot be copied there to be read: {error.strerror}",
            "Make room there, or name another directory in TMPDIR",
        ) from error
