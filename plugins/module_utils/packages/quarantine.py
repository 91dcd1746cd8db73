# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where damaged files are kept before a repair replaces them: content and everything that the inode said.

``/var/lib/ringmaster/quarantine/<UTC time>/`` (mode 0700) holds ``records.jsonl``, one line for each path of the repair
in the order of its steps, and ``files/NNNNNN``, what was at that path. A record is on disk before the first name of its
step is made, so the records of a run that was killed say which directories may hold what it left; the file
``finished`` says that the run was not. That is all the journal that a repair needs: what is still damaged is found by
verifying again.

A regular file is copied, so that it stays until its replacement takes its name. A directory that stands where a file
belongs is moved, because a copy would lose what only a rename keeps: owners, sockets, holes. Where it cannot be moved,
it is not replaced either.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import re
import stat
import time
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.inode import (
    Inode,
    copy_readable,
    read_inode,
    rename_to_free_name,
    sync_directory,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import is_utf8, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import read_mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import (
    DIRECTORY_FLAGS,
    READ_FLAGS,
    DirectoryWalk,
    Tree,
)

DIRECTORY = b"/var/lib/ringmaster/quarantine"
RECORDS = b"records.jsonl"

#: What one run keeps at most; more of a system than that is not repaired file by file.
MAX_BYTES = 4 * 1024**3
MAX_RECORDS_BYTES = 64 * 1024 * 1024
#: What must stay free beside what is kept: databases and logs are on the same file system.
SPARE_BYTES = 64 * 1024 * 1024

_RUN = re.compile(rb"^\d{8}T\d{6}Z(?:-\d+)?$")
_PARENTS = (b"ringmaster", b"quarantine")


class QuarantineError(WebopsError):
    """Something cannot be kept, so it is not replaced either."""


class NotMovableError(QuarantineError):
    """A directory cannot be moved into the quarantine; it is where it was, and so is everything else."""


class Unfinished(NamedTuple):
    """A run that was killed: its name, and what it has recorded.

    ``directories`` are those in which it may have left something, ``held`` are packages that are to be held, ``names``
    those of one file that it was giving them. ``triggers`` says whether there are some that it had put off.
    """

    run: bytes
    directories: tuple[bytes, ...]
    held: tuple[str, ...]
    names: tuple[tuple[bytes, ...], ...]
    triggers: bool = False


class Quarantine:
    """The quarantine of one run. Nothing is made on disk before something has to be kept."""

    def __init__(self, tree: Tree, max_bytes: int = MAX_BYTES) -> None:
        """Take a root that is open, and stays so."""
        self._tree = tree
        self._bytes_left = max_bytes
        self._run = -1
        self._files = -1
        self._number = 0
        self._kept: dict[tuple[int, int], str] = {}
        self.path: str | None = None
        #: Whether triggers were put off and have not been run.
        self.triggers_put_off = False

    def keep(self, path: bytes, with_content: bool = True) -> dict[str, object]:
        """Keep a copy of what is at a path, if anything is, or of its metadata alone; returns its record.

        A directory is not copied: it is moved (`move`) when its replacement is ready. Raises `QuarantineError` when the
        copy cannot be made; what cannot be read of a damaged file is left out, and the record says where.
        """
        self._open()
        walk = DirectoryWalk(self._tree)
        try:
            record = self._copied(path, walk, with_content)
        except OSError as error:
            raise _cannot_keep(path, error) from error
        finally:
            walk.close()
        self._record(record)
        return record

    def keep_if_possible(self, path: bytes) -> None:
        """Keep a copy of what is at a path, or a record of why there is none, if that can be."""
        try:
            self.keep(path)
        except QuarantineError as error:
            with contextlib.suppress(QuarantineError):
                self._record({**_named(path), "not_kept": error.reason})

    def require_movable(self, path: bytes, parent: int, name: bytes) -> None:
        """Refuse a directory that `move` could not move as a whole. Raises `NotMovableError`, `QuarantineError`."""
        self._open()
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if status.st_dev != os.fstat(self._files).st_dev:
            raise _not_movable(path, "it is a directory on another file system than the quarantine")
        mounts = read_mounts(self._tree)
        for place in mounts.by_path if mounts is not None else ():
            if (place + b"/").startswith(path + b"/"):
                raise _not_movable(path, f"it is a directory, and a file system is mounted at {text(place)}")

    def move(self, path: bytes, parent: int, name: bytes) -> bytes:
        """Move a directory into the quarantine, and return its name there.

        ``path`` is where it was, ``name`` what it is called now. Raises `NotMovableError` and `QuarantineError`; then
        it still has that name.
        """
        self.require_movable(path, parent, name)
        kept = self._next_name()
        try:
            metadata = read_inode(parent, name)
            os.rename(name, kept, src_dir_fd=parent, dst_dir_fd=self._files)
        except OSError as error:
            if error.errno == errno.EXDEV:
                reason = "it is a directory that the kernel moves no further than its own mount"
                raise _not_movable(path, reason) from error
            raise _cannot_keep(path, error) from error
        try:
            sync_directory(self._files)
            self._record({**_named(path), **_described(metadata), "kept": f"files/{kept.decode()}"})
        except (OSError, QuarantineError) as error:
            # What no record names would not be found again.
            os.rename(kept, name, src_dir_fd=self._files, dst_dir_fd=parent)
            if isinstance(error, OSError):
                raise _cannot_keep(path, error) from error
            raise
        return kept

    def move_back(self, path: bytes, kept: bytes) -> None:
        """Move a directory back to where it was, unless something has taken its place. Raises `QuarantineError`."""
        directory, _slash, name = path.rpartition(b"/")
        walk = DirectoryWalk(self._tree)
        try:
            parent = walk.enter(directory)
            rename_to_free_name(self._files, kept, parent, name)
            sync_directory(parent)
        except FileExistsError:
            return
        except OSError as error:
            raise _cannot_keep(path, error) from error
        finally:
            walk.close()
        self._record({**_named(path), "moved_back": f"files/{kept.decode()}"})

    def note_held(self, label: str) -> None:
        """Record that a package is held, before a step takes that from it. Raises `QuarantineError`."""
        self._open()
        self._record({"held": label})

    def note_triggers(self) -> None:
        """Record that triggers are put off, before the first of them is. Raises `QuarantineError`."""
        if not self.triggers_put_off:
            self._open()
            self._record({"triggers": "put off"})
            self.triggers_put_off = True

    def note_names(self, paths: Sequence[bytes]) -> None:
        """Record that paths are to be names of one file, before the first of them is. Raises `QuarantineError`."""
        self._open()
        self._record({"names_b64": [base64.b64encode(path).decode() for path in paths]})

    def finish(self) -> None:
        """Say that the run came to its end, so that nobody looks for what it left. Raises `QuarantineError`."""
        if self._run >= 0:
            try:
                with contextlib.suppress(FileExistsError):
                    _create(self._run, b"finished")
                sync_directory(self._run)
            except OSError as error:
                raise _not_written(error) from error

    def is_run(self, name: bytes) -> bool:
        """Tell whether this is the run of a name."""
        return self.path is not None and self.path.rpartition("/")[2] == text(name)

    def close(self) -> None:
        """Let go of the directories."""
        for descriptor in (self._files, self._run):
            if descriptor >= 0:
                os.close(descriptor)
        self._files = self._run = -1

    def _open(self) -> None:
        if self._run >= 0:
            return
        try:
            base = _open_base(self._tree, make=True)
            try:
                name = _make_run(base)
                self._run = os.open(name, os.O_RDONLY | DIRECTORY_FLAGS & ~os.O_PATH, dir_fd=base)
            finally:
                os.close(base)
            os.mkdir(b"files", 0o700, dir_fd=self._run)
            self._files = os.open(b"files", DIRECTORY_FLAGS, dir_fd=self._run)
        except OSError as error:
            raise _cannot_keep(DIRECTORY, error) from error
        self.path = text(DIRECTORY + b"/" + name)

    def _copied(self, path: bytes, walk: DirectoryWalk, with_content: bool) -> dict[str, object]:
        """Copy what is at a path, and describe it. Raises `OSError`."""
        directory, _slash, name = path.rpartition(b"/")
        try:
            parent = walk.enter(directory)
            metadata = read_inode(parent, name)
        except (FileNotFoundError, NotADirectoryError):
            return {**_named(path), "type": "missing"}
        record = {**_named(path), **_described(metadata)}
        if stat.S_ISLNK(metadata.mode):
            record["target"] = text(os.readlink(name, dir_fd=parent))
        elif stat.S_ISREG(metadata.mode) and with_content:
            self._copy_file(path, parent, name, metadata, record)
        return record

    def _copy_file(self, path: bytes, parent: int, name: bytes, metadata: Inode, record: dict[str, object]) -> None:
        """Copy a regular file, once for all of its names."""
        key = (metadata.device, metadata.inode)
        if key in self._kept:
            record["kept"] = self._kept[key]
            return
        self._require_space(path, metadata.size)
        kept = self._next_name()
        source = os.open(name, READ_FLAGS, dir_fd=parent)
        try:
            target = _create(self._files, kept, close=False)
            try:
                digest, holes = copy_readable(source, target, metadata.size)
                os.fsync(target)
            finally:
                os.close(target)
        finally:
            os.close(source)
        sync_directory(self._files)
        self._bytes_left -= metadata.size
        record["sha256"] = digest
        if holes:
            record["unreadable"] = holes
        record["kept"] = self._kept[key] = f"files/{kept.decode()}"

    def _require_space(self, path: bytes, size: int) -> None:
        status = os.fstatvfs(self._files)
        is_too_full = size > 0 and size + SPARE_BYTES > status.f_bavail * status.f_frsize
        if size > self._bytes_left or is_too_full:
            raise QuarantineError(
                text(path),
                f"its {size} bytes are more than the quarantine may take",
                f"Move it away by hand, and what is below {text(DIRECTORY)} and not needed any more",
            )

    def _next_name(self) -> bytes:
        self._number += 1
        return b"%06d" % self._number

    def _record(self, record: dict[str, object]) -> None:
        """Append a record, durably, or nothing. Raises `QuarantineError`."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(RECORDS, flags, 0o600, dir_fd=self._run)
            try:
                _append(descriptor, json.dumps(record).encode() + b"\n")
            finally:
                os.close(descriptor)
            sync_directory(self._run)
        except OSError as error:
            raise _not_written(error) from error


def unfinished(tree: Tree) -> list[Unfinished]:
    """Return the runs that were killed, and where they may have left something. Raises `QuarantineError`."""
    try:
        base = _open_base(tree, make=False)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _cannot_keep(DIRECTORY, error) from error
    try:
        runs = sorted(name for name in map(os.fsencode, _names(base)) if _RUN.match(name))
        return [_unfinished(base, run) for run in runs if not _is_finished(base, run)]
    except OSError as error:
        raise _not_readable(DIRECTORY, error) from error
    finally:
        os.close(base)


def mark_finished(tree: Tree, run: bytes) -> None:
    """Say that what a killed run left has been cleared away. Raises `QuarantineError`."""
    try:
        base = _open_base(tree, make=False)
        try:
            with contextlib.suppress(FileExistsError):
                _create(base, run + b"/finished")
        finally:
            os.close(base)
    except OSError as error:
        raise _not_written(error) from error


def _is_finished(base: int, run: bytes) -> bool:
    try:
        os.stat(run + b"/finished", dir_fd=base, follow_symlinks=False)
    except OSError:
        return False
    return True


def _unfinished(base: int, run: bytes) -> Unfinished:
    """Read what a run has recorded; a line cut off by its death is no record. Raises `QuarantineError`."""
    name = run + b"/" + RECORDS
    try:
        with os.fdopen(os.open(name, READ_FLAGS, dir_fd=base), "rb") as stream:
            lines = stream.read(MAX_RECORDS_BYTES).split(b"\n")[:-1]
    except FileNotFoundError:
        return Unfinished(run, (), (), ())
    except OSError as error:
        raise _not_readable(DIRECTORY + b"/" + name, error) from error
    directories: dict[bytes, None] = {}
    held: list[str] = []
    names: list[tuple[bytes, ...]] = []
    triggers = False
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            record = json.loads(line)
            if "triggers" in record:
                triggers = True
            elif "held" in record:
                held.append(str(record["held"]))
            elif "names_b64" in record:
                names.append(tuple(base64.b64decode(path) for path in record["names_b64"]))
            else:
                path = base64.b64decode(record["path_b64"]) if "path_b64" in record else record["path"].encode()
                directories[path.rpartition(b"/")[0]] = None
    return Unfinished(run, tuple(directories), tuple(held), tuple(names), triggers)


def _open_base(tree: Tree, make: bool) -> int:
    """Open the directory of all runs, never through a link that somebody else could have set. Raises `OSError`."""
    walk = DirectoryWalk(tree)
    try:
        descriptor = os.dup(walk.enter(tree.resolve(b"/var/lib")))
    finally:
        walk.close()
    for name in _PARENTS:
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=descriptor)
            inner = os.open(name, DIRECTORY_FLAGS & ~os.O_PATH | os.O_RDONLY, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            os.close(descriptor)
            raise OSError(errno.EPERM, f"{text(name)} belongs to somebody else, or others may write to it")
    if make:
        os.fchmod(descriptor, 0o700)
    return descriptor


def _make_run(base: int) -> bytes:
    """Make the directory of one run; its name is the time, with a number where that is taken."""
    began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()).encode()
    for ending in (b"", *(b"-%d" % number for number in range(1, 1000))):
        with contextlib.suppress(FileExistsError):
            os.mkdir(began + ending, 0o700, dir_fd=base)
            sync_directory(base)
            return began + ending
    raise OSError(errno.EEXIST, "too many runs in one second")


def _names(descriptor: int) -> list[str]:
    with os.scandir(descriptor) as found:
        return [entry.name for entry in found]


def _create(parent: int, name: bytes, close: bool = True) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=parent)
    if close:
        os.close(descriptor)
    return descriptor


def _append(descriptor: int, line: bytes) -> None:
    """Write the whole of a line at the end of a file, durably, or nothing of it. Raises `OSError`."""
    before = os.fstat(descriptor).st_size
    try:
        left = memoryview(line)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        # The next line must not be joined to a part of this one.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, before)
        raise


def _named(path: bytes) -> dict[str, object]:
    named: dict[str, object] = {"path": text(path)}
    if not is_utf8(path):
        named["path_b64"] = base64.b64encode(path).decode()
    return named


def _described(metadata: Inode) -> dict[str, object]:
    """Return metadata as a record holds it; extended attributes as base64, which is exact."""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo"}
    return {
        "type": kinds.get(stat.S_IFMT(metadata.mode), "special"),
        "mode": f"{stat.S_IMODE(metadata.mode):04o}",
        "uid": metadata.uid,
        "gid": metadata.gid,
        "size": metadata.size,
        "modified_ns": metadata.modified_ns,
        "device_number": metadata.device_number,
        "flags": metadata.flags,
        "xattrs": {name: base64.b64encode(value).decode() for name, value in metadata.xattrs.items()},
    }


def _cannot_keep(path: bytes, error: OSError) -> QuarantineError:
    return QuarantineError(
        text(path),
        f"it cannot be kept in the quarantine ({error.strerror})",
        f"Look at {text(DIRECTORY)} and the room on its file system, or move the damaged file away by hand",
    )


def _not_written(error: OSError) -> QuarantineError:
    return QuarantineError(
        text(DIRECTORY),
        f"the records of a repair cannot be written ({error.strerror})",
        "Look at it and the room on its file system, then repair again",
    )


def _not_readable(path: bytes, error: OSError) -> QuarantineError:
    return QuarantineError(
        text(path),
        f"what a repair that was killed has recorded cannot be read ({error.strerror})",
        "Look into the kernel's log; save what can be read, move its directory away, and repair again",
    )


def _not_movable(path: bytes, reason: str) -> NotMovableError:
    return NotMovableError(text(path), reason, "Move it away by hand, and repair again")
