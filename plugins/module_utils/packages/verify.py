# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifest and disk -> observations: what is at each path that is not plainly what was expected.

This file measures and judges nothing. Paths that are as expected leave no trace but their number, so a verification of
a sound system returns next to nothing from its processes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Callable, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.files.content import MAX_BYTES as MAX_SUSPECT_BYTES
from ansible_collections.ringmaster.webops.plugins.module_utils.files.content import suspicions
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import capabilities
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import ROOT_ALONE, Accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    ANYTHING,
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    FILE_TYPES,
    SYMLINK,
    UNKNOWN,
    Entry,
    Metadata,
    Observation,
    Recorded,
    algorithm,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Counters
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.properties import differences
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import (
    HASHERS,
    Digested,
    Reader,
    Reading,
    be_gentle,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import (
    READ_FLAGS,
    DirectoryWalk,
    Tree,
    open_regular,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.workers import run_batches

BATCH_ENTRIES = 128
#: A larger file at the end of an unexpected link is not read.
MAX_TARGET_BYTES = 1024 * 1024 * 1024

#: A larger file at a package's path is not read: no package can hold it, and a sparse one would never end.
MAX_FILE_BYTES = 64 * 1024**3

#: How often a file is read again that changes while it is read.
READ_ATTEMPTS = 3

#: What may be at a path of which no digest is recorded. A link in place of a directory is looked into besides.
_ALLOWED = {
    UNKNOWN: (stat.S_IFDIR, stat.S_IFLNK),
    DIRECTORY: (stat.S_IFDIR,),
    SYMLINK: (stat.S_IFLNK,),
    FIFO: (stat.S_IFIFO,),
    CHARACTER_DEVICE: (stat.S_IFCHR,),
    BLOCK_DEVICE: (stat.S_IFBLK,),
}

#: What opening says of a path that is of another type, or that does not exist. Anything else leaves it unknown.
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)

_SELF_TEST = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha224": "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    "sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
}


#: In place of an observation: the file changed while it was read.
_CHANGING = Observation(-1, "file", busy=True)


class BatchOutcome(NamedTuple):
    """What one batch of entries gave: entries ``first`` to before ``end``, why they were not done if they were not.

    ``passes`` counts files that were read past the cache, by file system and why that proves nothing (empty: it does).
    ``not_gentle`` says why the process could not make way for others.
    """

    first: int
    end: int
    observations: tuple[Observation, ...] = ()
    bytes_read: int = 0
    passes: tuple[tuple[str, str, int], ...] = ()
    not_gentle: str = ""
    failure: str | None = None


def verify(
    tree: Tree,
    entries: list[Entry],
    jobs: int,
    accounts: Accounts = ROOT_ALONE,
    reading: Reading | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> Iterator[BatchOutcome]:
    """Look at every entry on disk, in ``jobs`` processes; yields batch after batch, in any order.

    ``entries`` are sorted by path, ``accounts`` say which numbers their owners should have, ``reading`` how files are
    read (its rate is that of all processes together). ``tick`` is called again and again meanwhile, with the number of
    entries looked at and of bytes read so far. Raises `MeasurementError` when this Python cannot be trusted with a
    digest.
    """
    self_test()
    count = -(-len(entries) // BATCH_ENTRIES)
    reading = reading or Reading()
    if reading.max_rate is not None:
        reading = reading._replace(max_rate=reading.max_rate / min(jobs, max(count, 1)))
    counters = Counters(count)
    verifier = _Verifier(tree, entries, accounts, reading, counters)

    def report() -> None:
        if tick is not None:
            tick(*counters.totals())

    for done in run_batches(count, verifier.batch, jobs, report if tick is not None else None):
        first = done.batch * BATCH_ENTRIES
        end = min(first + BATCH_ENTRIES, len(entries))
        if isinstance(done.result, BatchOutcome):
            yield done.result
        else:
            yield BatchOutcome(first, end, failure=done.failure or "it returned nothing")


def self_test() -> None:
    """Hash a known text with each algorithm (the examples of RFC 1321 and FIPS 180). Raises `MeasurementError`.

    The Python that verifies may itself lie on the damaged disk.
    """
    for name, expected in _SELF_TEST.items():
        try:
            digest = HASHERS[name](b"abc", usedforsecurity=False).hexdigest()
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

    def __init__(
        self, tree: Tree, entries: list[Entry], accounts: Accounts, reading: Reading, counters: Counters
    ) -> None:
        self.tree = tree
        self.entries = entries
        self.accounts = accounts
        self.counters = counters
        self.reader = Reader(reading)
        self._walk: DirectoryWalk | None = None
        self._not_gentle = ""
        self._links: dict[tuple[int, int], bytes] = {}

    def batch(self, number: int) -> BatchOutcome:
        """Look at one batch of entries."""
        if self._walk is None:
            self._walk = DirectoryWalk(self.tree)
            self._not_gentle = be_gentle()
        self.reader.bytes_read = 0
        self.reader.passes.clear()
        first = number * BATCH_ENTRIES
        end = min(first + BATCH_ENTRIES, len(self.entries))
        observations = []
        for index in range(first, end):
            observation = self._look(index, self.entries[index], self._walk)
            if observation is not None:
                observations.append(observation)
            self.counters.set(number, index - first + 1, self.reader.bytes_read)
        passes = tuple((kind, reason, files) for (kind, reason), files in self.reader.passes.items())
        return BatchOutcome(first, end, tuple(observations), self.reader.bytes_read, passes, self._not_gentle)

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
            observation = self._look_at_type(index, entry, kind, descriptor, name)
        elif kind != stat.S_IFREG:
            observation = self._other_type(index, kind, descriptor, name, entry)
        else:
            observation = self._look_at_content(index, entry, descriptor, name, status)
        if entry.recorded is None:
            return observation
        return self._with_metadata(observation, index, entry.recorded, descriptor, name)

    def _look_at_type(self, index: int, entry: Entry, kind: int, parent: int, name: bytes) -> Observation | None:
        """Look at a path of which the database holds no content."""
        if kind in _ALLOWED.get(entry.kind, ()):
            return None
        if entry.kind == ANYTHING:
            return self._look_at_ghost(index, entry, kind, parent, name)
        if kind == stat.S_IFREG and (entry.kind == UNKNOWN or entry.kind not in _ALLOWED):
            return self._look_at_undigested(index, entry, parent, name)
        observation = self._other_type(index, kind, parent, name, entry)
        if observation.target_is_directory and entry.kind == DIRECTORY:
            return None
        return observation

    def _look_at_undigested(self, index: int, entry: Entry, parent: int, name: bytes) -> Observation:
        """Look at a regular file of which nothing says what should be in it, but perhaps that it is damaged."""
        try:
            descriptor = open_regular(name, parent)
        except OSError as error:
            return Observation(index, "file", error=error.errno)
        try:
            size = os.fstat(descriptor).st_size
            return Observation(index, "file", size=size, suspicions=self._suspicions(entry, descriptor))
        except OSError as error:
            return Observation(index, "file", error=error.errno, offset=0)
        finally:
            os.close(descriptor)

    def _look_at_ghost(self, index: int, entry: Entry, kind: int, parent: int, name: bytes) -> Observation | None:
        """Look at what a package does not vouch for at all: only what looks damaged, or cannot be read, is told of."""
        if kind != stat.S_IFREG:
            return None
        seen = self._look_at_undigested(index, entry, parent, name)
        is_sound = not seen.suspicions and seen.error in (None, errno.EACCES, errno.EPERM)
        return None if is_sound else seen

    def _suspicions(self, entry: Entry, descriptor: int) -> tuple[str, ...]:
        """Look at the beginning of an open file's content. Raises `OSError`."""
        data = os.pread(descriptor, MAX_SUSPECT_BYTES, 0)
        self.reader.bytes_read += len(data)
        return suspicions(entry.path, data)

    def _with_metadata(
        self, observation: Observation | None, index: int, recorded: Recorded, parent: int, name: bytes
    ) -> Observation | None:
        """Add what was seen besides the content, where it is of use: it differs, or it explains what does.

        A path of another type has nothing that could be compared, but a link to a directory has that directory's.
        """
        entry = self.entries[index]
        if observation is not None and observation.file_type != _type_of(entry):
            return observation
        try:
            status = os.stat(name or b".", dir_fd=parent, follow_symlinks=False)
            seen = self._metadata(entry, recorded, status, parent, name)
        except OSError as error:
            return observation or Observation(index, "missing", error=error.errno)
        if observation is not None:
            return observation._replace(metadata=seen)
        if not seen.errors and not differences(recorded, seen, self.accounts):
            return None
        file_type = FILE_TYPES.get(stat.S_IFMT(status.st_mode), "unknown")
        return Observation(index, file_type, metadata=seen, sound=True)

    def _metadata(self, entry: Entry, recorded: Recorded, status: os.stat_result, parent: int, name: bytes) -> Metadata:
        """Look at everything but the content. Raises `OSError` when it is gone meanwhile."""
        errors: list[tuple[str, int]] = []
        target = text = None
        if stat.S_ISLNK(status.st_mode) and entry.kind == DIRECTORY:
            status = self.tree.directory_status(self.tree.resolve(entry.path))
        elif stat.S_ISLNK(status.st_mode) and recorded.target is not None:
            try:
                target = os.readlink(name, dir_fd=parent)
            except OSError as error:
                errors.append(("target", error.errno or errno.EIO))
        elif stat.S_ISREG(status.st_mode) and recorded.capabilities is not None:
            try:
                text = _capabilities(name, parent)
            except OSError as error:
                errors.append(("capabilities", error.errno or errno.EIO))
        is_device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
        return Metadata(
            None if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            int(status.st_mtime),
            target,
            status.st_rdev if is_device else None,
            text,
            tuple(errors),
        )

    def _other_type(self, index: int, kind: int, parent: int, name: bytes, entry: Entry) -> Observation:
        """Describe what is there instead of a regular file; of a link, where it leads and what is there."""
        if kind != stat.S_IFLNK:
            return Observation(index, FILE_TYPES.get(kind, "unknown"))
        try:
            target = os.readlink(name, dir_fd=parent)
        except OSError as error:
            return Observation(index, "symlink", error=error.errno)
        end = self.tree.resolve(entry.path)
        try:
            found = self._read_target(end, algorithm(entry.digest)) if entry.digest else None
            if found is None:
                self.tree.directory_status(end)
        except OSError as error:
            failed = None if error.errno in _NOTHING_THERE else error.errno
            return Observation(index, "symlink", target=target, error=failed)
        if found is not None:
            return Observation(index, "symlink", size=found.size, target=target, target_digest=found.digest)
        return Observation(index, "symlink", target=target, target_is_directory=True)

    def _read_target(self, path: bytes, name: str) -> Digested | None:
        """Hash what a link leads to, if it is a regular file of a sane size (/proc/kcore is one of another).

        Raises `OSError` where this cannot be told.
        """
        try:
            descriptor = self.tree.open(path)
        except OSError as error:
            if error.errno in _NOTHING_THERE:
                return None
            raise
        try:
            size = os.fstat(descriptor).st_size
            return self.reader.read_cached(descriptor, name, size) if size <= MAX_TARGET_BYTES else None
        finally:
            os.close(descriptor)

    def _look_at_content(
        self, index: int, entry: Entry, parent: int, name: bytes, status: os.stat_result
    ) -> Observation | None:
        """Compare the content of what lstat called a regular file."""
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in self._links and _is_expected(entry, self._links[key]):
            return None
        if status.st_size > MAX_FILE_BYTES:
            return Observation(index, "file", size=status.st_size, error=errno.EFBIG)
        if _has_another_size(entry, status.st_size):
            seen = self._look_at_undigested(index, entry, parent, name)
            return seen if seen.error is None else Observation(index, "file", size=status.st_size)
        for _attempt in range(READ_ATTEMPTS):
            try:
                descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
            except OSError as error:
                return Observation(index, "file", size=status.st_size, error=error.errno)
            try:
                found = self._read_content(index, entry, descriptor, status)
            finally:
                os.close(descriptor)
            if found is not _CHANGING:
                return found
            try:
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                return Observation(index, "missing", error=error.errno)
            if not stat.S_ISREG(status.st_mode):
                return self._other_type(index, stat.S_IFMT(status.st_mode), parent, name, entry)
        return Observation(index, "file", size=status.st_size, busy=True)

    def _read_content(self, index: int, entry: Entry, descriptor: int, status: os.stat_result) -> Observation | None:
        """Read an open file and compare it; `_CHANGING` when it was not the same file all the while."""
        found, disk = self.reader.read(descriptor, algorithm(entry.digest or b""), status)
        if _is_sound(entry, found) and (disk is None or _is_sound(entry, disk)):
            if status.st_nlink > 1 and found.digest is not None:
                self._links[status.st_dev, status.st_ino] = found.digest
            return None
        if found.growing or (disk is not None and disk.growing) or _version(os.fstat(descriptor)) != _version(status):
            return _CHANGING
        observation = _content(index, found)
        if not _is_sound(entry, found) and found.error is None:
            with contextlib.suppress(OSError):  # It could be read just now, and that is what counts.
                observation = observation._replace(suspicions=self._suspicions(entry, descriptor))
        if disk is not None:
            offset = disk.size if disk.error is not None else None
            observation = observation._replace(disk_digest=disk.digest, disk_error=disk.error, disk_offset=offset)
        return observation


def _has_another_size(entry: Entry, size: int) -> bool:
    """Tell whether a file's size alone shows that its content is not what was recorded."""
    return entry.recorded is not None and entry.recorded.size not in (None, size) and not entry.other_digests


def _is_sound(entry: Entry, found: Digested) -> bool:
    return found.error is None and found.digest is not None and _is_expected(entry, found.digest)


def _is_expected(entry: Entry, digest: bytes) -> bool:
    return digest == entry.digest or digest in entry.other_digests


def _type_of(entry: Entry) -> str:
    """Return the type that an entry should have; for one of unknown type, the one that says most."""
    return FILE_TYPES[_ALLOWED[entry.kind][0]] if entry.kind in _ALLOWED and entry.digest is None else "file"


def _capabilities(name: bytes, parent: int) -> str:
    """Return a regular file's capabilities as text. Raises `OSError`."""
    descriptor = open_regular(name, parent)
    try:
        value = os.getxattr(descriptor, capabilities.ATTRIBUTE)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return ""
        raise
    finally:
        os.close(descriptor)
    parsed = capabilities.parse_attribute(value)
    return capabilities.to_text(parsed) if parsed is not None else "malformed"


def _version(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is written or exchanged."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)


def _content(index: int, found: Digested) -> Observation:
    if found.error is not None:
        return Observation(index, "file", error=found.error, offset=found.size)
    return Observation(index, "file", digest=found.digest, size=found.size)
