# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The payload of an .rpm: which files it must hold, and the cpio archive that they come in.

Formats: cpio's "newc" (070701, 070702: cpio(5)), and rpm's own without metadata (07070X: rpm's manual, "Package
format", section payload), whose entries are the number of a file in the header and its content. What an entry says of
its file besides its name and size is not even read: the header is what is signed.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import Reader
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_package import (
    GHOST,
    PackagedFile,
    read_files,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import MAX_PATH_BYTES

#: More files than any package has; a header that holds more of anything is refused (``rpm_file.py``).
MAX_FILES = 400_000

_FILE_DEVICES, _FILE_INODES = 1095, 1096
_MAGICS = (b"070701", b"070702")
_STRIPPED = b"07070X"
_TRAILER = b"TRAILER!!!\0"
_NUMBER = re.compile(rb"[0-9A-Fa-f]{8}")
#: Where an entry's fields of eight digits are, counted from behind its magic number, and how long they are together.
_SIZE_AT, _NAME_SIZE_AT, _FIELDS_BYTES = 48, 88, 104
_ALIGNMENT = 4


class RpmError(Exception):
    """An .rpm cannot be read, or is not what it must be; the text is a sentence part that says why."""


class Entry(NamedTuple):
    """One entry of a payload: the number of its file in the header, and how many bytes of content follow."""

    number: int
    size: int


class Listed:
    """The files that a header lists, by their numbers in it: ``files``; ``numbers`` finds them by path."""

    def __init__(self, header: Header) -> None:
        """Read them. Raises `RpmError` for names that no package may have, `DamagedHeaderError`."""
        self.files = read_files(header, installed=False)
        self.numbers: dict[bytes, int] = {}
        for number, file in enumerate(self.files):
            _require_path(file.path)
            if file.path in self.numbers:
                raise RpmError(f"it has {text(file.path[:200])} twice")
            self.numbers[file.path] = number
        self._firsts: dict[int, int] = {}
        self._lasts: dict[int, int] = {}
        self._find_links(header)

    def first(self, number: int) -> int:
        """Return the first of the names that are one file with this one, hard links; itself where there are none."""
        return self._firsts.get(number, number)

    def is_linked(self, number: int) -> bool:
        """Tell whether a file has further names."""
        return number in self._firsts

    def is_packaged(self, number: int) -> bool:
        """Tell whether a file is a regular one that the payload must hold."""
        file = self.files[number]
        return stat.S_ISREG(file.mode) and not file.flags & GHOST

    def stripped_size(self, number: int) -> int:
        """Return how much content follows an entry that does not say so: hard links have theirs with the last."""
        file = self.files[number]
        if self.is_packaged(number):
            return file.size if self._lasts.get(self.first(number), number) == number else 0
        return file.size if stat.S_ISLNK(file.mode) else 0

    def _find_links(self, header: Header) -> None:
        inodes, devices = header.numbers(_FILE_INODES), header.numbers(_FILE_DEVICES)
        if not inodes or not devices:
            return
        if not len(inodes) == len(devices) == len(self.files):
            raise RpmError("its header does not have an inode for each file")
        groups: dict[tuple[int, int], list[int]] = {}
        for number, identity in enumerate(zip(devices, inodes)):
            if self.is_packaged(number) and identity[1]:
                groups.setdefault(identity, []).append(number)
        for group in groups.values():
            if len(group) > 1:
                self._join(group)

    def _join(self, group: list[int]) -> None:
        """Note that these are names of one file."""
        first = self.files[group[0]]
        for number in group:
            file = self.files[number]
            if _content(file) != _content(first):
                raise RpmError(f"its hard links {text(first.path[:200])} and {text(file.path[:200])} are not one file")
            self._firsts[number] = group[0]
        self._lasts[group[0]] = group[-1]


def _content(file: PackagedFile) -> tuple[bytes, int]:
    """Return what names of one file have in common; a packager may have given each another mode or owner."""
    return file.digest, file.size


def _require_path(path: bytes) -> None:
    """Refuse what would lie outside the root, or under another name than it says."""
    parts = path.split(b"/")[1:]
    if path != b"/" and not {b"", b".", b".."}.isdisjoint(parts):
        raise RpmError(f"its file {text(path[:200])} may lie outside the root")
    if b"\n" in path:
        raise RpmError("a name in it holds a newline")
    if len(path) >= MAX_PATH_BYTES:
        raise RpmError("a name in it is too long")


def entries(reader: Reader, listed: Listed) -> Iterator[tuple[Entry, Iterator[memoryview]]]:
    """Yield each entry with its content, which is lost when the next one is asked for.

    All is read to the end, so that a checksum of the compression has been checked when this is over. Raises `RpmError`,
    and `DebError`, which is the reader's.
    """
    for _number in range(MAX_FILES + 1):
        entry = _entry(reader, listed)
        if entry is None:
            reader.drain()
            return
        content = reader.pieces(entry.size)
        yield entry, content
        for _piece in content:
            pass
        reader.exactly(-entry.size % _ALIGNMENT)
    raise RpmError(f"its payload has more than {MAX_FILES} entries")


def _entry(reader: Reader, listed: Listed) -> Entry | None:
    """Read what is before the content of an entry; `None` for the one that ends the archive."""
    magic = reader.exactly(len(_STRIPPED))
    if magic == _STRIPPED:
        number = _number(reader.exactly(8))
        reader.exactly(2)  # Six bytes of magic and eight of number are not a multiple of four.
        if number >= len(listed.files):
            raise RpmError(f"its payload holds a file {number}, which its header does not list")
        return Entry(number, listed.stripped_size(number))
    if magic not in _MAGICS:
        raise RpmError("its payload is no cpio archive of a kind that rpm makes")
    fields = reader.exactly(_FIELDS_BYTES)
    name_bytes = _number(fields[_NAME_SIZE_AT : _NAME_SIZE_AT + 8])
    if not 1 < name_bytes <= MAX_PATH_BYTES + 2:
        raise RpmError("a name in its payload is empty or too long")
    name = reader.exactly(name_bytes)
    reader.exactly(-(len(magic) + len(fields) + name_bytes) % _ALIGNMENT)
    if name == _TRAILER:
        return None
    return Entry(_find(name, listed), _number(fields[_SIZE_AT : _SIZE_AT + 8]))


def _number(field: bytes) -> int:
    if _NUMBER.fullmatch(field) is None:
        raise RpmError("an entry of its payload holds no number where one must be")
    return int(field, 16)


def _find(name: bytes, listed: Listed) -> int:
    """Return the number of the file that an entry's name means; rpm puts a dot before the path."""
    path = name[:-1].removeprefix(b".")
    number = listed.numbers.get(path)
    if name[-1:] != b"\0" or number is None:
        raise RpmError(f"its payload holds {text(path[:200])}, which its header does not list")
    return number
