# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A verification's manifest and observations, and lstat -> a witness.

What nothing was observed of has the expected content, which is why nothing was; of what else was read, the observation
has the digest. Only files of which neither tells the digest are read here: those that the database has none for, or
several.
"""

from __future__ import annotations

import datetime
import errno
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
    algorithm,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree, open_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_fields import MISSING, NOT_VERIFIED

#: A larger file is not read here.
MAX_READ_BYTES = 256 * 1024 * 1024

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

    ``not_done`` are paths, as text, that could not be verified at all; ``selection`` are the options that decide what
    is verified.
    """
    taken_at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with witness.Writer(path, witness.head(manifest, taken_at, text(tree.root) or "/", selection)) as writer:
        found = measure(tree, manifest.entries, observations, not_done)
        writer.add(0, len(manifest.entries), witness.records(manifest, found))
        writer.commit()


def measure(
    tree: Tree, entries: list[Entry], observations: Iterable[Observation], not_done: Collection[str]
) -> Iterator[witness.Measured]:
    """Yield what is at each entry's path, in their order.

    What comes and goes as it likes, and has no content that anybody vouches for (a ghost of rpm), is left out.
    """
    observed = {seen.number: seen for seen in observations}
    walk = DirectoryWalk(tree)
    try:
        for number, entry in enumerate(entries):
            if entry.digest is None and entry.recorded is not None and not entry.recorded.required:
                continue
            if not_done and text(entry.path) in not_done:
                yield witness.Measured(number, NOT_VERIFIED)
            else:
                yield _look(number, entry, observed.get(number), walk)
    finally:
        walk.close()


def _look(number: int, entry: Entry, seen: Observation | None, walk: DirectoryWalk) -> witness.Measured:
    """Look at one path."""
    directory, _slash, name = entry.path.rpartition(b"/")
    name = name or b"."
    try:
        parent = walk.enter(directory)
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        target = os.readlink(name, dir_fd=parent) if kind == stat.S_IFLNK else None
    except OSError as error:
        return witness.Measured(number, MISSING if error.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_VERIFIED)
    return witness.Measured(
        number,
        FILE_TYPES.get(kind, "unknown"),
        status.st_size,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        int(status.st_mtime),
        _digest(entry, seen, name, parent, status.st_size) if kind == stat.S_IFREG else None,
        target,
        seen is None,
    )


def _digest(entry: Entry, seen: Observation | None, name: bytes, parent: int, size: int) -> bytes | None:
    """Return the digest of a regular file; `None` where it could not be read.

    What the disk has counts, where it was read: the page cache is gone after an incident.
    """
    if seen is not None and entry.digest is not None and not seen.sound:
        return seen.disk_digest or (seen.digest if seen.disk_error is None else None)
    if entry.digest is not None and not entry.other_digests:
        return entry.digest
    if size > MAX_READ_BYTES:
        return None
    return _read(name, parent, algorithm(entry.digest) if entry.digest is not None else "sha256")


def _read(name: bytes, parent: int, algorithm_name: str) -> bytes | None:
    """Return the digest of a regular file; `None` when it cannot be read or grows."""
    hasher = hashlib.new(algorithm_name, usedforsecurity=False)
    try:
        descriptor = open_regular(name, parent)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        for _chunk in range(MAX_READ_BYTES // _CHUNK_BYTES + 1):
            try:
                data = stream.read(_CHUNK_BYTES)
            except OSError:
                return None
            if not data:
                return hasher.hexdigest().encode()
            hasher.update(data)
    return None
