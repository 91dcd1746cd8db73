# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An rpm database of the bdb backend (``Packages`` and its indexes, up to rpm 4.16): its records, and what is wrong.

Berkeley DB's files are pages. A record is found on a page of a hash table (or on a leaf of a tree, in an index), and
what is too long for the page is a chain of overflow pages. Every page is looked at in turn; neither hash nor tree is
followed, so that damage in one page costs what lies in that page alone. Format: Berkeley DB 5.3, dbinc/db_page.h.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_copies import copy_files
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: No header is longer (see rpm_header.py).
MAX_RECORD_BYTES = 0x10200000

_META_BYTES = 72
_PAGE_HEADER_BYTES = 26
_MAGICS = (0x061561, 0x053162)
_LEAF, _OVERFLOW, _HASH_PAGES = 5, 7, (2, 13)
#: How an item is kept: in the page itself, or in overflow pages.
_INLINE, _IN_OVERFLOW = 1, 3


class _Page(NamedTuple):
    number: int
    following: int
    entries: int
    free_offset: int
    kind: int
    data: bytes


class _Item(NamedTuple):
    """A key or a value: its bytes, or the first of its overflow pages and its length."""

    value: bytes
    first_page: int = 0
    length: int = 0


class BerkeleyFile:
    """The pairs in one file of Berkeley DB, hash or tree."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        """Take an open file of a size in bytes; what is wrong with its first page is a problem."""
        self.problems: list[str] = []
        self.order = "<"
        self._stream = stream
        self._page_bytes = 0
        self._pages = 0
        meta = stream.read(_META_BYTES)
        if not size:
            self.problems.append("it is empty")
        elif len(meta) < _META_BYTES or not self._read_meta(meta):
            self.problems.append("its first page is not that of a Berkeley DB database")
        else:
            last_page = struct.unpack_from(f"{self.order}I", meta, 32)[0]
            self._pages = size // self._page_bytes
            if size % self._page_bytes or last_page >= self._pages:
                self.problems.append(f"it is truncated: it has {self._pages} pages of {last_page + 1}")

    def _read_meta(self, meta: bytes) -> bool:
        for order in "<>":
            number, magic, _version, page_bytes = struct.unpack_from(f"{order}4I", meta, 8)
            if magic in _MAGICS and number == 0 and 512 <= page_bytes <= 65536 and page_bytes & (page_bytes - 1) == 0:
                self.order, self._page_bytes = order, page_bytes
                return True
        return False

    def pairs(self) -> Iterator[tuple[_Item, _Item]]:
        """Return every pair; a page that is not one is a problem."""
        for number in range(1, self._pages):
            page = self._page(number)
            if page.kind not in (_LEAF, *_HASH_PAGES):
                continue
            items = self._items(page)
            if items is None:
                self.problems.append(f"its page {number} is damaged")
            else:
                yield from zip(items[::2], items[1::2])

    def content(self, item: _Item, reached: set[int] | None = None) -> bytes | None:
        """Return the bytes of an item; `None` when its overflow pages are not what they must be."""
        if not item.first_page:
            return item.value
        chunks: list[bytes] = []
        left, number, pages = item.length, item.first_page, 0
        while left > 0 and 0 < number < self._pages and pages < self._pages:
            page = self._page(number)
            if page.kind != _OVERFLOW or not 0 < page.free_offset <= min(left, self._page_bytes - _PAGE_HEADER_BYTES):
                return None
            if reached is not None:
                reached.add(number)
            chunks.append(page.data[_PAGE_HEADER_BYTES : _PAGE_HEADER_BYTES + page.free_offset])
            left, number, pages = left - page.free_offset, page.following, pages + 1
        return None if left or number else b"".join(chunks)

    def overflow_pages(self) -> set[int]:
        """Return the numbers of all overflow pages."""
        return {number for number in range(1, self._pages) if self._page(number).kind == _OVERFLOW}

    def _page(self, number: int) -> _Page:
        """Read a page; one that bears the number of another is of no kind."""
        self._stream.seek(number * self._page_bytes)
        data = self._stream.read(self._page_bytes)
        own, _before, following, entries, free_offset, _level, kind = struct.unpack_from(f"{self.order}3I2H2B", data, 8)
        return _Page(number, following, entries, free_offset, kind if own == number else 0, data)

    def _items(self, page: _Page) -> list[_Item] | None:
        """Return the items of a page with pairs; `None` when they do not lie within it."""
        top = self._page_bytes
        start = _PAGE_HEADER_BYTES + 2 * page.entries
        if page.entries % 2 or start > top:
            return None
        offsets = struct.unpack_from(f"{self.order}{page.entries}H", page.data, _PAGE_HEADER_BYTES)
        if not all(start <= offset < top for offset in offsets):
            return None
        if page.kind == _LEAF:
            items = [self._leaf_item(page.data, offset) for offset in offsets]
        else:
            ends = (top, *offsets)
            items = [self._hash_item(page.data[offset : ends[index]]) for index, offset in enumerate(offsets)]
        found = [item for item in items if item is not None]
        return found if len(found) == len(items) else None

    def _hash_item(self, data: bytes) -> _Item | None:
        if data[:1] == bytes([_INLINE]):
            return _Item(data[1:])
        if data[:1] == bytes([_IN_OVERFLOW]) and len(data) == 12:
            return self._chain(*struct.unpack_from(f"{self.order}2I", data, 4))
        return None

    def _leaf_item(self, page: bytes, offset: int) -> _Item | None:
        if offset + 3 > len(page):
            return None
        length, kind = struct.unpack_from(f"{self.order}HB", page, offset)
        if kind == _INLINE and offset + 3 + length <= len(page):
            return _Item(page[offset + 3 : offset + 3 + length])
        if kind == _IN_OVERFLOW and offset + 12 <= len(page):
            return self._chain(*struct.unpack_from(f"{self.order}2I", page, offset + 4))
        return None

    def _chain(self, first_page: int, length: int) -> _Item | None:
        return _Item(b"", first_page, length) if first_page and 0 < length <= MAX_RECORD_BYTES else None


class BerkeleyDatabase:
    """The records of one database; its copy goes with `close`."""

    def __init__(self, tree: Tree, path: str) -> None:
        """Copy and check a database. Raises `OSError` when it cannot be read."""
        self.file = path
        self.problems: list[str] = []
        self._places: dict[int, _Item] = {}
        self._highest = 0
        self._copies: dict[str, Path] = {}
        self._streams: list[BinaryIO] = []
        self._directory = tempfile.TemporaryDirectory(prefix="rpmdb-")
        try:
            parent = path.rpartition("/")[0]
            names = {path: "Packages", **{f"{parent}/{index}": index for index in ("Name", "Sha1header")}}
            copies = copy_files(tree, names, Path(self._directory.name))
            self._copies = {copy.name: copy for copy in copies.values()}
            self._packages = self._file("Packages")
            self._find_records()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the copy."""
        for stream in self._streams:
            stream.close()
        self._directory.cleanup()

    def numbers(self) -> list[int]:
        """Return the numbers of the records."""
        return sorted(self._places)

    def blob(self, number: int) -> bytes | None:
        """Return a record; `None` when it cannot be had any more."""
        place = self._places.get(number)
        return self._packages.content(place) if place is not None and self._packages is not None else None

    def names(self) -> dict[int, bytes] | None:
        """Return the name of each record's package as the index of names has it; `None` without that index."""
        return self._index("Name")

    def header_digests(self) -> dict[int, bytes] | None:
        """Return the SHA-1 digest of each record as the index of those has it; `None` without that index."""
        return self._index("Sha1header")

    def basenames(self, _number: int) -> list[bytes] | None:
        """Return nothing: the index of file names is not read."""
        return None

    def highest_number(self) -> int:
        """Return the highest number that a record ever had, 0 when the database has never held any."""
        return self._highest

    def _file(self, name: str) -> BerkeleyFile | None:
        if name not in self._copies:
            return None
        copy = self._copies[name]
        stream = copy.open("rb")
        self._streams.append(stream)
        return BerkeleyFile(stream, copy.stat().st_size)

    def _find_records(self) -> None:
        """Find where the records are, and overflow pages that belong to none of them."""
        packages = self._packages
        if packages is None:
            self.problems.append("it does not exist")
            return
        reached: set[int] = set()
        for key, value in packages.pairs():
            if len(key.value) != 4 or key.first_page:
                self.problems.append("it has a record without a number")
                continue
            number = struct.unpack(f"{packages.order}I", key.value)[0]
            if number in self._places:
                self.problems.append(f"it has more than one record {number}")
            content = packages.content(value, reached)
            if number:
                self._places[number] = value
            elif content is not None and len(content) == 4:
                # The record 0 is the counter of the others.
                self._highest = struct.unpack(f"{packages.order}I", content)[0]
        lost = packages.overflow_pages() - reached
        if lost:
            self.problems.append(f"{len(lost)} of its pages belong to no record, page {min(lost)} first")
        self.problems += packages.problems

    def _index(self, name: str) -> dict[int, bytes] | None:
        """Return what an index has for each record: it holds numbers of record and tag by the value of the tag."""
        file = self._file(name)
        if file is None:
            return None
        found: dict[int, bytes] = {}
        for key, value in file.pairs():
            own, content = file.content(key), file.content(value)
            if own is None or content is None or len(content) % 8:
                file.problems.append("it has an entry that is damaged")
                continue
            for number, _tag in struct.iter_unpack(f"{file.order}2I", content):
                if number in found:
                    file.problems.append(f"it has more than one entry for record {number}")
                found[number] = own
        self.problems += [f"its index {name}: {problem}" for problem in file.problems]
        return found
