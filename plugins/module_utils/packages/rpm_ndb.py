# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An rpm database of the ndb backend (``Packages.db``): its records, and what is wrong with it.

The file is a table of slots (number of the record, where it is) and the records, each with its number, its length and
a checksum of Adler-32. rpm fills with zeros what a record has left, so what is there without a slot has lost it; for
that the index, which is a file of its own, need not be read. All numbers are little-endian; a block is 16 bytes.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_copies import copy_files
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

_BLOCK_BYTES = 16
_PAGE_BYTES = 4096
_SLOTS_OF_PAGE = _PAGE_BYTES // _BLOCK_BYTES
#: A table of this many slots is for a million records.
_MAX_SLOT_PAGES = 4096
_HEADER = struct.Struct("<4s4I")
#: The header takes the place of the first two slots.
_FIRST_SLOT = 2
_SLOT = struct.Struct("<4s3I")
_HEAD = struct.Struct("<4s3I")
_TAIL = struct.Struct("<2I4s")
_CHUNK_BYTES = 1024 * 1024


class _Slot(NamedTuple):
    first_block: int
    blocks: int


class NdbDatabase:
    """The records of one database; its copy goes with `close`."""

    def __init__(self, tree: Tree, path: str) -> None:
        """Copy and check a database. Raises `OSError` when it cannot be read."""
        self.file = path
        self.problems: list[str] = []
        self._slots: dict[int, _Slot] = {}
        self._highest = 0
        self._stream: BinaryIO | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="rpmdb-")
        try:
            copies = copy_files(tree, {path: "database"}, Path(self._directory.name))
            if path not in copies:
                self.problems.append("it does not exist")
            else:
                self._stream = copies[path].open("rb")
                self._open(self._stream, copies[path].stat().st_size)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the copy."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._directory.cleanup()

    def numbers(self) -> list[int]:
        """Return the numbers of the records."""
        return sorted(self._slots)

    def blob(self, number: int) -> bytes | None:
        """Return a record; `None` when it is not what its slot and its checksum say."""
        slot = self._slots.get(number)
        if slot is None or self._stream is None:
            return None
        self._stream.seek(slot.first_block * _BLOCK_BYTES)
        data = self._stream.read(slot.blocks * _BLOCK_BYTES)
        if len(data) != slot.blocks * _BLOCK_BYTES or len(data) < _HEAD.size + _TAIL.size:
            return None
        magic, own, _time, length = _HEAD.unpack_from(data)
        checksum, length_again, magic_again = _TAIL.unpack_from(data, len(data) - _TAIL.size)
        if (magic, own, magic_again) != (b"BlbS", number, b"BlbE") or length != length_again:
            return None
        if length > len(data) - _HEAD.size - _TAIL.size or zlib.adler32(data[: len(data) - _TAIL.size]) != checksum:
            return None
        return data[_HEAD.size : _HEAD.size + length]

    def names(self) -> dict[int, bytes] | None:
        """Return nothing: the index is not read."""
        return None

    def header_digests(self) -> dict[int, bytes] | None:
        """Return nothing: the index is not read."""
        return None

    def basenames(self, _number: int) -> list[bytes] | None:
        """Return nothing: the index is not read."""
        return None

    def highest_number(self) -> int:
        """Return the highest number that a record ever had, 0 when the database has never held any."""
        return self._highest

    def _open(self, stream: BinaryIO, size: int) -> None:
        """Read the table of slots."""
        header = stream.read(_HEADER.size)
        if not size:
            self.problems.append("it is empty")
            return
        magic, version, _generation, pages, following = (
            _HEADER.unpack(header) if len(header) == _HEADER.size else (b"", 0, 0, 0, 0)
        )
        if magic != b"RpmP" or version != 0 or not 0 < pages <= _MAX_SLOT_PAGES:
            self.problems.append("its header is not that of an ndb database")
            # There is always one page of slots; what it says can be tried.
            pages = 1
        self._highest = max(following - 1, 0)
        stream.seek(0)
        self._read_slots(stream.read(pages * _PAGE_BYTES), pages, size // _BLOCK_BYTES)
        self._find_lost_records(stream, pages)

    def _read_slots(self, table: bytes, pages: int, blocks: int) -> None:
        damaged = 0
        for number in range(_FIRST_SLOT, pages * _SLOTS_OF_PAGE):
            slot = table[number * _BLOCK_BYTES : (number + 1) * _BLOCK_BYTES]
            magic, record, first_block, count = _SLOT.unpack(slot) if len(slot) == _SLOT.size else (b"", 0, 0, 0)
            if magic == b"Slot" and not first_block:
                continue
            if magic != b"Slot" or not record or first_block < pages * _SLOTS_OF_PAGE or record in self._slots:
                damaged += 1
            elif first_block + count > blocks:
                self.problems.append(f"it is truncated: record {record} lies behind its end")
                self._slots[record] = _Slot(first_block, 0)
            else:
                self._slots[record] = _Slot(first_block, count)
        if damaged:
            self.problems.append(f"{damaged} of the slots in its table are damaged")

    def _find_lost_records(self, stream: BinaryIO, pages: int) -> None:
        """Look for records where no slot says that there is one."""
        lost = 0
        end = pages * _SLOTS_OF_PAGE
        for slot in sorted(slot for slot in self._slots.values() if slot.blocks):
            if slot.first_block < end:
                self.problems.append(f"its records overlap at block {slot.first_block}")
            lost += _records_between(stream, end, slot.first_block)
            end = max(end, slot.first_block + slot.blocks)
        lost += _records_between(stream, end, None)
        if lost:
            self.problems.append(f"{lost} of its records are in no slot of its table")


def _records_between(stream: BinaryIO, first_block: int, end_block: int | None) -> int:
    """Count the beginnings of records in a range of blocks (to the end of the file without ``end_block``)."""
    found = 0
    stream.seek(first_block * _BLOCK_BYTES)
    left = None if end_block is None else max(end_block - first_block, 0) * _BLOCK_BYTES
    while left is None or left > 0:
        chunk = stream.read(_CHUNK_BYTES if left is None else min(left, _CHUNK_BYTES))
        if not chunk:
            break
        found += sum(chunk.startswith(b"BlbS", offset) for offset in range(0, len(chunk), _BLOCK_BYTES))
        if left is not None:
            left -= len(chunk)
    return found
