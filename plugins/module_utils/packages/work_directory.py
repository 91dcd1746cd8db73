# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private directory for as long as it is needed; what a killed process has left of its own is removed by the next.

Whoever has one holds a lock (flock(2)) on the directory itself, which ends with the last process that has it open. So
a directory whose lock can be had is nobody's any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

_PREFIX = "ringmaster-archive-"
#: Others may pass through, since apt's own user works in directories below it, but not look.
_MODE = 0o711
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_STALE = 100


class WorkDirectory:
    """One private directory; ``path`` is where it is.

    A program that has inherited ``descriptor`` keeps it from being removed, however this process ends.
    """

    def __init__(self, parent: str) -> None:
        """Remove what killed processes have left in a directory, and make a new one there. Raises `OSError`."""
        remove_stale(Path(parent))
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            try:
                self.descriptor = os.open(self.path, _FLAGS)
            except FileNotFoundError:
                continue  # Somebody who looked for stale ones was faster than our lock.
            if _is_ours_alone(self.descriptor, self.path):
                break
            os.close(self.descriptor)
        self.path.chmod(_MODE)

    def close(self) -> None:
        """Remove it, and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.descriptor)


def make_work_directory(parent: str) -> WorkDirectory:
    """Make one where an administrator wants it. Raises `InvalidInputError` where that cannot be."""
    try:
        return WorkDirectory(parent)
    except OSError as error:
        reason = f"no directory can be made in it: {error.strerror}"
        raise InvalidInputError(f"directory {parent!r}", reason, "Name one that can be written") from error


def remove_stale(parent: Path) -> None:
    """Remove the directories of processes that were killed; what others own or use, or what is a link, is left."""
    with contextlib.suppress(OSError):
        for path in sorted(parent.glob(f"{_PREFIX}*"))[:_MAX_STALE]:
            with contextlib.suppress(OSError):
                _remove_if_stale(path)


def _remove_if_stale(path: Path) -> None:
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        is_own = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) in (0o700, _MODE)
        if is_own and _is_ours_alone(descriptor, path):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _is_ours_alone(descriptor: int, path: Path) -> bool:
    """Take the lock of a directory; tells whether that was possible, and the directory is still what the path names."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
