# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a verification is: counted by its processes, written to a small file for whoever follows it.

The file holds one JSON object: ``stage`` (``reading_database``, ``fetching``, ``verifying``, ``verifying_again``,
``done``), ``files_done`` and ``files_total`` (packages, when they are fetched; 0 where nothing can be counted),
``bytes_read``, ``findings``. It is replaced as a whole, so that a reader never sees
half of it, and seldom, so that it costs nothing. Whatever goes wrong with it is no matter of the verification.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import tempfile
import time
from pathlib import Path

#: The file is not written more often.
INTERVAL_SECONDS = 0.5

_PAIR = struct.Struct("=QQ")


class Counters:
    """Entries done and bytes read of each batch, in memory that forked processes share.

    Each batch has a place of its own, in which only the process that has the batch writes: nobody waits for anybody.
    """

    def __init__(self, batches: int) -> None:
        """Begin with nothing done."""
        self._memory = mmap.mmap(-1, max(batches, 1) * _PAIR.size)

    def set(self, batch: int, entries: int, size: int) -> None:
        """Say how far a batch is."""
        _PAIR.pack_into(self._memory, batch * _PAIR.size, entries, size)

    def totals(self) -> tuple[int, int]:
        """Return how many entries were done and how many bytes were read, in all batches."""
        with memoryview(self._memory) as view, view.cast("Q") as numbers:
            return sum(numbers[0::2]), sum(numbers[1::2])


class Progress:
    """The progress file; without a path nothing is written."""

    def __init__(self, path: str | None) -> None:
        """Take the file's path, in a directory that exists."""
        self._path = Path(path) if path is not None else None
        self._next = 0.0
        self._state: dict[str, object] = {
            "stage": "reading_database",
            "files_done": 0,
            "files_total": 0,
            "bytes_read": 0,
            "findings": 0,
        }

    def update(self, **changes: object) -> None:
        """Take over what changed; the file is written now when its last version is old enough or the stage is new."""
        is_new_stage = changes.get("stage", self._state["stage"]) != self._state["stage"]
        self._state.update(changes)
        now = time.monotonic()
        if self._path is not None and (is_new_stage or now >= self._next):
            self._next = now + INTERVAL_SECONDS
            with contextlib.suppress(OSError):
                self._write(self._path)

    def begin(self, stage: str, total: int = 0) -> None:
        """Say that a stage begins, and how much is to be done in it."""
        self.update(stage=stage, files_done=0, files_total=total, findings=0)

    def _write(self, path: Path) -> None:
        """Replace the file. Raises `OSError`."""
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(self._state, stream)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
