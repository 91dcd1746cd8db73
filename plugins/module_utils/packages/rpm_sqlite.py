# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An rpm database of the sqlite backend (``rpmdb.sqlite``): its records, and what is wrong with it.

A private copy is opened together with its write-ahead log, so that nothing is written where it lies, no lock is taken,
and what a transaction has committed last is seen. SQLite takes what is damaged in a log for the end of it and says
nothing; so the log's extent is compared with what SQLite read of it (https://www.sqlite.org/fileformat2.html#walformat).
"""

from __future__ import annotations

import importlib
import struct
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_copies import copy_files
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: A damaged tree of pages can lead around in it almost without end.
MAX_SECONDS = 600
#: SQLite asks after so many instructions whether to go on.
_INSTRUCTIONS = 100_000
#: What SQLite may hold in memory: several times the largest header.
MAX_HEAP_BYTES = 1024**3
#: No table of a package database is longer where it is read whole; a damaged tree can repeat its rows.
MAX_ROWS = 1_000_000
_ROWS_AT_ONCE = 1000

_TABLES = frozenset((b"Packages", b"Name", b"Basenames", b"Sha1header"))
_LOG_HEADER = struct.Struct(">8I")
_FRAME_HEADER = struct.Struct(">6I")
_LOG_MAGICS = (0x377F0682, 0x377F0683)


class SqliteDatabase:
    """The records of one database; its copy goes with `close`."""

    def __init__(self, tree: Tree, path: str) -> None:
        """Copy and check a database. Raises `OSError` when it cannot be read, `MeasurementError` without SQLite."""
        self.file = path
        self.problems: list[str] = []
        self._sqlite = _load_sqlite()
        self._connection: Any = None
        self._tables: frozenset[bytes] = frozenset()
        self._deadline = time.monotonic() + MAX_SECONDS
        self._directory = tempfile.TemporaryDirectory(prefix="rpmdb-")
        try:
            names = {f"{path}{part}": f"database{part}" for part in ("", "-wal", "-journal")}
            copies = copy_files(tree, names, Path(self._directory.name))
            if path not in copies:
                self.problems.append("it does not exist")
            elif copies[path].stat().st_size == 0:
                self.problems.append("it is empty")
            else:
                self._open(copies[path], copies.get(f"{path}-wal"))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the copy."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._directory.cleanup()

    def numbers(self) -> list[int]:
        """Return the numbers of the records, as far as the table can be read."""
        found = {number for (number,) in self._rows("SELECT hnum FROM Packages", "Packages") if isinstance(number, int)}
        return sorted(found)

    def blob(self, number: int) -> bytes | None:
        """Return a record; `None` when it cannot be had any more."""
        found = self._rows(f"SELECT blob FROM Packages WHERE hnum = {number:d}", "Packages", complain=False)
        return found[0][0] if len(found) == 1 and isinstance(found[0][0], bytes) else None

    def names(self) -> dict[int, bytes] | None:
        """Return the name of each record's package as the index of names has it; `None` without that index."""
        return self._index("Name")

    def header_digests(self) -> dict[int, bytes] | None:
        """Return the SHA-1 digest of each record as the index of those has it; `None` without that index."""
        return self._index("Sha1header")

    def basenames(self, number: int) -> list[bytes] | None:
        """Return the last components of a record's file names, in any order; `None` without that index."""
        if b"Basenames" not in self._tables:
            return None
        rows = self._rows(f"SELECT key FROM Basenames WHERE hnum = {number:d}", "Basenames", complain=False)
        return [key for (key,) in rows if isinstance(key, bytes)]

    def highest_number(self) -> int:
        """Return the highest number that a record ever had, 0 when the database has never held any."""
        if self._connection is None:
            return 0
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'Packages'", "", complain=False)
        return max((seq for (seq,) in rows if isinstance(seq, int)), default=0)

    def _index(self, name: str) -> dict[int, bytes] | None:
        if name.encode() not in self._tables:
            return None
        rows = [row for row in self._rows(f"SELECT hnum, key FROM {name}", name) if _is_pair(row)]
        index = dict(rows)
        if len(index) != len(rows):
            self.problems.append(f"its index {name} has more than one entry for a record")
        return index

    def _open(self, copy: Path, log: Path | None) -> None:
        """Open the copy and let SQLite check it."""
        # SQLite may begin the log anew, so it is looked at first.
        frames = _frames(log) if log is not None and log.stat().st_size else 0
        connection = self._sqlite.connect(f"{copy.as_uri()}?mode=rw", uri=True, isolation_level=None)
        connection.text_factory = bytes
        connection.set_progress_handler(self._is_late, _INSTRUCTIONS)
        self._connection = connection
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", f"hard_heap_limit = {MAX_HEAP_BYTES}"):
            self._rows(f"PRAGMA {setting}", "", complain=False)
        answer = self._rows("PRAGMA wal_checkpoint(PASSIVE)", "", complain=False)
        self._check_log(frames, answer[0][1] if answer and isinstance(answer[0][1], int) else 0)
        complaints = [row[0] for row in self._rows("PRAGMA integrity_check(100)", "")]
        texts = [text.decode("utf-8", "backslashreplace") for text in complaints if isinstance(text, bytes)]
        if texts and texts != ["ok"]:
            first = texts[0].replace("\n", " ")[:200]
            self.problems.append(f"SQLite's integrity check finds {len(texts)} faults in it, first: {first}")
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
        self._tables = _TABLES.intersection(row[0] for row in self._rows(query, "", complain=False))
        # rpm has this index, early versions perhaps not; the copy is ours, and looking through it all takes minutes.
        self._rows("CREATE INDEX IF NOT EXISTS Basenames_hnum_idx ON Basenames (hnum)", "Basenames", complain=False)
        lost = sorted(name.decode() for name in _TABLES - self._tables)
        if lost:
            self.problems.append(f"it has no table {lost[0]}")

    def _check_log(self, frames: int | None, frames_read: int) -> None:
        """Compare how many pages of the write-ahead log SQLite took with how many belong to it."""
        if frames is None:
            self.problems.append(f"the header of its log {self.file}-wal is damaged, so what is in it is lost")
        elif frames > max(frames_read, 0):
            lost = frames - max(frames_read, 0)
            self.problems.append(f"the last {lost} of {frames} pages in its log {self.file}-wal are not valid")

    def _rows(self, query: str, table: str, complain: bool = True) -> list[tuple[Any, ...]]:
        """Return the rows of a query as far as they can be read; what stops it is a problem."""
        rows: list[tuple[Any, ...]] = []
        if self._connection is None or (table and table.encode() not in self._tables):
            return rows
        try:
            cursor = self._connection.execute(query)
            while some := cursor.fetchmany(_ROWS_AT_ONCE):
                rows += some
                if len(rows) > MAX_ROWS:
                    raise self._sqlite.DatabaseError(f"more than {MAX_ROWS} rows")
        # The names of columns are text that may not be any: that is a ValueError.
        except (self._sqlite.Error, self._sqlite.Warning, ValueError, OverflowError, MemoryError) as error:
            if complain:
                self.problems.append(f"{table or 'it'} cannot be read: {error}")
        return rows

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline


def _frames(log: Path) -> int | None:
    """Return how many pages a write-ahead log holds, up to the last that bears the marks of its header.

    `None` means that the header is damaged. What an earlier round of the log has left behind bears other marks.
    """
    with log.open("rb") as stream:
        header = stream.read(_LOG_HEADER.size)
        if len(header) < _LOG_HEADER.size:
            return None
        magic, _version, page_bytes, _round, *salts, first, second = _LOG_HEADER.unpack(header)
        if magic not in _LOG_MAGICS or _checksum(header[:24], magic == _LOG_MAGICS[1]) != (first, second):
            return None
        frame_bytes = _FRAME_HEADER.size + page_bytes
        for number in range((log.stat().st_size - _LOG_HEADER.size) // frame_bytes, 0, -1):
            stream.seek(_LOG_HEADER.size + (number - 1) * frame_bytes)
            if list(_FRAME_HEADER.unpack(stream.read(_FRAME_HEADER.size))[2:4]) == salts:
                return number
    return 0


def _checksum(data: bytes, big_endian: bool) -> tuple[int, int]:
    """Return the checksum of a write-ahead log over whole pairs of numbers."""
    first = second = 0
    numbers: Iterable[tuple[int, int]] = struct.iter_unpack(">II" if big_endian else "<II", data)
    for even, odd in numbers:
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _is_pair(row: tuple[Any, ...]) -> bool:
    return isinstance(row[0], int) and isinstance(row[1], bytes)


def _load_sqlite() -> ModuleType:
    """Return Python's sqlite3, which not every Python has; the other databases must be readable without it."""
    try:
        return importlib.import_module("sqlite3")
    except ImportError as error:
        raise MeasurementError(
            "rpm's database",
            f"this Python cannot read SQLite: {error}",
            "Name a Python with the module sqlite3 in ansible_python_interpreter, or install it",
        ) from error
