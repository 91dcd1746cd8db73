# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One header of an rpm database or a package: its tags, and whether it is what the packager made, without trusting rpm.

Format (rpm's manual, "Package format", section header): two numbers (entries, bytes of data), the index (an entry is
tag, type, offset, count), the data; all numbers big-endian. The first entry is the immutable region, which the digests
of the header cover; what rpm itself added on installing comes behind it. A header lies on the disk that is in doubt:
nothing is taken out of it by a length that was not compared with what is there.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

#: rpm's own limits: an index of more entries or a header with more data is not accepted by it either.
MAX_INDEX_ENTRIES = 0xFFFF
MAX_DATA_BYTES = 0x0FFFFFFF

_MAGIC = bytes.fromhex("8eade80100000000")
_COUNTS = struct.Struct(">II")
_ENTRY = struct.Struct(">IIiI")
_REGION_TAGS = (61, 62, 63)
_BINARY, _STRING, _STRING_ARRAY, _I18N_STRING = 7, 6, 8, 9
#: How many bytes each element of a type has; the types of strings have no fixed size.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, _BINARY: 1}
_FORMATS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}
_STRING_TYPES = (_STRING, _STRING_ARRAY, _I18N_STRING)
#: Tags of digests over the immutable region, the best first: SHA3-256, SHA-256, SHA-1.
_DIGEST_TAGS = {279: "sha3_256", 273: "sha256", 269: "sha1"}
#: Names of files, which rpm replaces behind the region in a package that was relocated.
_RELOCATED_TAGS = frozenset((1116, 1117, 1118, 1099, 1098))


class DamagedHeaderError(Exception):
    """A header is not what rpm writes; ``reason`` says in what, as the end of a sentence."""

    def __init__(self, reason: str) -> None:
        """Say what is wrong."""
        super().__init__(reason)
        self.reason = reason


class _Place(NamedTuple):
    """Where the values of a tag are in the data."""

    kind: int
    offset: int
    elements: int


class Header:
    """The tags of one header. Every method raises `DamagedHeaderError` and nothing else."""

    def __init__(self, blob: bytes) -> None:
        """Take a header as the database holds it, without the magic number before it."""
        if len(blob) < _COUNTS.size:
            raise DamagedHeaderError("it is too short for a header")
        entries, data_bytes = _COUNTS.unpack_from(blob)
        if not 0 < entries <= MAX_INDEX_ENTRIES or data_bytes > MAX_DATA_BYTES:
            raise DamagedHeaderError("its counts are out of bounds")
        start = _COUNTS.size + entries * _ENTRY.size
        if len(blob) != start + data_bytes:
            raise DamagedHeaderError("its length is not what its counts say")
        self._index = blob[_COUNTS.size : start]
        self._data = blob[start:]
        self._region = self._find_region()
        self._places = self._read_index()

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the numbers of a tag, none when it does not occur."""
        place = self._places.get(tag)
        if place is None:
            return ()
        if place.kind not in _FORMATS:
            raise DamagedHeaderError(f"its tag {tag} does not hold numbers")
        return struct.unpack_from(f">{place.elements}{_FORMATS[place.kind]}", self._data, place.offset)

    def strings(self, tag: int) -> list[bytes]:
        """Return the strings of a tag, none when it does not occur."""
        place = self._places.get(tag)
        if place is None:
            return []
        if place.kind not in _STRING_TYPES:
            raise DamagedHeaderError(f"its tag {tag} does not hold strings")
        parts = self._data[place.offset :].split(b"\0", place.elements)
        if len(parts) != place.elements + 1:
            raise DamagedHeaderError(f"the strings of its tag {tag} do not end within it")
        del parts[-1]
        return parts

    def number(self, tag: int) -> int | None:
        """Return the only number of a tag; `None` when it does not occur."""
        found = self.numbers(tag)
        if len(found) > 1:
            raise DamagedHeaderError(f"its tag {tag} holds more than one number")
        return found[0] if found else None

    def text(self, tag: int) -> str | None:
        """Return the first string of a tag as text; `None` when it does not occur."""
        found = self.strings(tag)
        return found[0].decode("utf-8", "backslashreplace") if found else None

    def binary(self, tag: int) -> bytes:
        """Return the bytes of a tag, none when it does not occur."""
        place = self._places.get(tag)
        if place is None:
            return b""
        if place.kind != _BINARY:
            raise DamagedHeaderError(f"its tag {tag} does not hold bytes")
        return self._data[place.offset : place.offset + place.elements]

    def most_elements(self) -> int:
        """Return how many numbers or strings the longest of the tags holds."""
        return max((place.elements for place in self._places.values() if place.kind != _BINARY), default=0)

    def is_whole(self) -> bool:
        """Tell whether the immutable region is all of the header, so that nothing of it escapes its digests."""
        return self._region == (len(self._index) // _ENTRY.size, len(self._data))

    def region(self) -> bytes:
        """Return the immutable region as its digests and signatures cover it."""
        entries, data_bytes = self._require_region()
        return (
            _MAGIC + _COUNTS.pack(entries, data_bytes) + self._index[: entries * _ENTRY.size] + self._data[:data_bytes]
        )

    def region_sha256(self) -> str:
        """Return the SHA-256 of the immutable region, which an installed header and that of its .rpm have in common."""
        return self._digest("sha256", *self._require_region())

    def verify(self, digests: Header | None = None) -> tuple[str, ...]:
        """Compare the immutable region with every digest of it that the header holds; return their algorithms.

        The header of a .rpm has its digests in another one, the signature header: ``digests``.

        None are returned for a header without a digest (a public key, a package made before rpm 4.0): nothing is known
        about it then. Raises `DamagedHeaderError` for one that does not match.
        """
        verified = []
        for tag, name in _DIGEST_TAGS.items():
            expected = (digests or self).text(tag)
            if expected is None:
                continue
            if self._digest(name, *self._require_region()) != expected:
                raise DamagedHeaderError(f"its {name} digest does not match")
            verified.append(name)
        return tuple(verified)

    def _require_region(self) -> tuple[int, int]:
        if self._region is None:
            raise DamagedHeaderError("it has no immutable region")
        return self._region

    def _digest(self, name: str, entries: int, data_bytes: int) -> str:
        hasher = hashlib.new(name, _MAGIC + _COUNTS.pack(entries, data_bytes), usedforsecurity=False)
        hasher.update(memoryview(self._index)[: entries * _ENTRY.size])
        hasher.update(memoryview(self._data)[:data_bytes])
        return hasher.hexdigest()

    def _find_region(self) -> tuple[int, int] | None:
        """Return the entries and the bytes of data of the immutable region; `None` when there is none."""
        tag, kind, offset, count = _ENTRY.unpack_from(self._index)
        if tag not in _REGION_TAGS:
            return None
        if (kind, count) != (_BINARY, _ENTRY.size) or not 0 <= offset <= len(self._data) - _ENTRY.size:
            raise DamagedHeaderError("its immutable region is not described as one")
        tag, kind, offset_back, count = _ENTRY.unpack_from(self._data, offset)
        entries = -offset_back // _ENTRY.size
        sound = (kind, count) == (_BINARY, _ENTRY.size) and tag in _REGION_TAGS and offset_back % _ENTRY.size == 0
        if not sound or not 0 < entries <= len(self._index) // _ENTRY.size:
            raise DamagedHeaderError("the trailer of its immutable region is not one")
        return entries, offset + _ENTRY.size

    def _read_index(self) -> dict[int, _Place]:
        """Read the index, comparing each entry with the data that is there."""
        places: dict[int, _Place] = {}
        repeated: set[int] = set()
        first = 0 if self._region is None else 1
        for number, (tag, *fields) in enumerate(_ENTRY.iter_unpack(self._index)):
            if number < first:
                continue
            place = _Place(*fields)
            self._check_place(tag, place)
            if tag in places:
                repeated.add(tag)
            places[tag] = place
        if not repeated <= _RELOCATED_TAGS:
            raise DamagedHeaderError(f"its tag {min(repeated - _RELOCATED_TAGS)} occurs more than once")
        return places

    def _check_place(self, tag: int, place: _Place) -> None:
        size = _SIZES.get(place.kind, 1)
        room = len(self._data) - place.offset
        if tag < 100 or (place.kind not in _SIZES and place.kind not in _STRING_TYPES):
            raise DamagedHeaderError(f"its tag {tag} is of no known kind")
        if place.offset < 0 or place.elements < 1 or place.elements * size > room:
            raise DamagedHeaderError(f"its tag {tag} lies outside its data")
        if place.kind in _FORMATS and place.offset % size:
            raise DamagedHeaderError(f"its tag {tag} is not aligned")
        if place.kind == _STRING and place.elements != 1:
            raise DamagedHeaderError(f"its tag {tag} is more than one string")
