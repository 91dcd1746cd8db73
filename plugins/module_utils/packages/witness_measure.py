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
import heapq
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

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
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_fields import (
    MISSING,
    NOT_VERIFIED,
    path_of,
)

#: A larger file is not read here.
MAX_READ_BYTES = 256 * 1024 * 1024

_CHUNK_BYTES = 256 * 1024

#: What a user may not do.
_DENIED = (errno.EACCES, errno.EPERM)


class Verified(NamedTuple):
    """What a verification says of the entries of its manifest, and which it did not look at.

    ``not_done`` are paths, as text, that could not be verified at all. ``damaged`` are those of findings that are not
    as their packages say. ``hidden`` are entries, sorted by path, that mounts cover and the manifest no longer has.
    """

    observations: Iterable[Observation]
    not_done: Collection[str] = ()
    damaged: Collection[bytes] = ()
    hidden: Iterable[Entry] = ()


def write(path: str, tree: Tree, manifest: Manifest, verified: Verified, selection: Mapping[str, object]) -> None:
    """Write the witness of a verification that has ended. Raises `OSError` where the file cannot be written.

    ``selection`` are the options that decide what is verified.
    """
    taken_at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with witness.Writer(path, witness.head(manifest, taken_at, text(tree.root) or "/", selection)) as writer:
        lines = witness.records(manifest, measure(tree, manifest.entries, verified))
        hidden = [entry for entry in verified.hidden if not _comes_and_goes(entry)]
        if hidden:
            lines = heapq.merge(lines, _not_verified(hidden), key=lambda line: path_of(line) or b"")
        writer.add(0, len(manifest.entries), lines)
        writer.commit()


def _not_verified(entries: list[Entry]) -> Iterator[dict[str, object]]:
    """Return a line for each entry that says no more than that nobody has looked: without it, it would be gone."""
    unseen = (witness.Measured(number, NOT_VERIFIED) for number in range(len(entries)))
    return witness.records(Manifest(entries=entries), unseen)


def _comes_and_goes(entry: Entry) -> bool:
    """Tell whether a path comes and goes as it likes, with no content that anybody vouches for (a ghost of rpm)."""
    return entry.digest is None and entry.recorded is not None and not entry.recorded.required


def measure(tree: Tree, entries: list[Entry], verified: Verified) -> Iterator[witness.Measured]:
    """Yield what is at each entry's path, in their order; what comes and goes as it likes is left out."""
    observed = {seen.number: seen for seen in verified.observations}
    walk = DirectoryWalk(tree)
    try:
        for number, entry in enumerate(entries):
            if _comes_and_goes(entry):
                continue
            if verified.not_done and text(entry.path) in verified.not_done:
                yield witness.Measured(number, NOT_VERIFIED)
            else:
                seen = observed.get(number)
                is_sound = seen is None or (_is_unread(entry, seen) and entry.path not in verified.damaged)
                yield _look(number, entry, seen, walk)._replace(sound=is_sound)
    finally:
        walk.close()


def _is_unread(entry: Entry, seen: Observation) -> bool:
    """Tell whether only this user, or this moment, is why a file was not compared with its digest; no disk's error."""
    return entry.digest is not None and seen.file_type == "file" and (seen.busy or seen.error in _DENIED)


def _look(number: int, entry: Entry, seen: Observation | None, walk: DirectoryWalk) -> witness.Measured:
    """Look at one path; whether it is sound is not told."""
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
