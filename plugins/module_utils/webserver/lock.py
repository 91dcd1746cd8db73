# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time for each server of a host, and how far it has come, for whoever wants to know."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError

_DIRECTORY = Path("/run/lock")
_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.2


class Lock:
    """Held from ``with`` to its end, or to the death of the process. The file says ``<pid> <stage>``.

    Raises MeasurementError when another run does not let go of it in time.
    """

    def __init__(
        self, server_name: str, directory: Path = _DIRECTORY, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        """Name the lock; it is taken with ``with``."""
        self.path = directory / f"ringmaster-{server_name}.lock"
        self._patience_seconds = patience_seconds
        self._descriptor = -1
        self._pid = os.getpid()

    def __enter__(self) -> Lock:
        """Wait for the lock, and take it."""
        self._descriptor = self._opened()
        give_up_at = time.monotonic() + self._patience_seconds
        while not self._taken():
            if time.monotonic() > give_up_at:
                holder = os.pread(self._descriptor, 100, 0).decode("utf-8", "replace").strip()
                os.close(self._descriptor)
                raise MeasurementError(
                    str(self.path), f"another run holds it (process and stage: {holder})", "Let it end, and run again"
                )
            time.sleep(_PAUSE_SECONDS)
        return self

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            try:
                # Not made at once: root may not open with O_CREAT what somebody else has there (fs.protected_regular).
                return os.open(self.path, flags)
            except FileNotFoundError:
                return os.open(self.path, flags | os.O_CREAT, 0o600)
        except OSError as error:
            remedy = "Run as root (become: true), or see who made it, and remove it"
            raise MeasurementError(str(self.path), f"it cannot be opened ({error.strerror})", remedy) from error

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def stage(self, name: str) -> None:
        """Say what the run is doing from now on; a child of the run may say so too."""
        content = f"{self._pid} {name}\n".encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the lock; the file stays, because another run may be waiting for it."""
        os.close(self._descriptor)
