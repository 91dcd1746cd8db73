# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A verification's manifest and observations, and lstat -> a witness.

What nothing was observed of has the expected content, which is why nothing was; of what else was read, the observation
has the digest. Only files that the database has no digest for are read here.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    FILE_TYPES,
    Entry,
    Manifest,
    Observation,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree, open_regular

#: A larger file without a digest is not read.
MAX_UNDIGESTED_BYTES = 256 * 1024 * 1024

_CHUNK_BYTES = 256 * 1024


def write(
    path: str,
    tree: Tree,
    manifest: Manifest,
    observations: Iterable[Observation],
    not_done: Collection[str],
    selection: Mapping[str, object],
) -> None:
    """Write the witness of a verification that has ended. Raises `OSError` where the file cannot be written.

    ``not_done`` are paths, as text, that could not be verified at all, which are left out; ``selection`` are the
    options that decide what is verified.
    """
    taken_at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with witness.Writer(path, witness.head(manifest, taken_at, text(tree.root) or "/", selection)) as writer:
        found = measure(tree, manifest.entries, observations, not_done)
        writer.add(0, len(manifest.entries), witness.records(manifest, found))
        writer.commit()


def measure(
    tree: Tree, entries: list[Entry], observations: Iterable[Observation], not_done: Collection[str]
) -> Iterator[witness.Measured]:
    """Yield what is at each entry's path, in their order; what is gone or was not verified is left out."""
    observed = {seen.number: seen for seen in observations}
    walk = DirectoryWalk(tree)
    try:
        for number, entry in enumerate(entries):
            if not not_done or text(entry.path) not in not_done:
                with contextlib.suppress(OSError):
                    yield _look(number, entry, observed.get(number), walk)
    finally:
        walk.close()


def _look(number: int, entry: Entry, seen: Observation | None, walk: DirectoryWalk) -> witness.Measured:
    """Look at one path. Raises `OSError` when it is not there, or not for this user."""
    directory, _slash, name = entry.path.rpartition(b"/")
    name = name or b"."
    parent = walk.enter(directory)
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    kind = stat.S_IFMT(status.st_mode)
    return witness.Measured(
        number,
        FILE_TYPES.get(kind, "unknown"),
        status.st_size,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        int(status.st_mtime),
        _digest(entry, seen, name, parent, status.st_size) if kind == stat.S_IFREG else None,
        os.readlink(name, dir_fd=parent) if kind == stat.S_IFLNK else None,
    )


def _digest(entry: Entry, seen: Observation | None, name: bytes, parent: int, size: int) -> bytes | None:
    if entry.digest is None:
        return _read(name, parent) if size <= MAX_UNDIGESTED_BYTES else None
    if seen is None or seen.sound:
        return entry.digest
    # What the disk has counts: the page cache is gone after an incident.
    return seen.disk_digest or (seen.digest if seen.disk_error is None else None)


def _read(name: bytes, parent: int) -> bytes | None:
    """Return the SHA-256 of a regular file; `None` when it cannot be read or grows."""
    hasher = hashlib.sha256()
    try:
        descriptor = open_regular(name, parent)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        for _chunk in range(MAX_UNDIGESTED_BYTES // _CHUNK_BYTES + 1):
            try:
                data = stream.read(_CHUNK_BYTES)
            except OSError:
                return None
            if not data:
                return hasher.hexdigest().encode()
            hasher.update(data)
    return None
