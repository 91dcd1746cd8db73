# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tar archives in a .deb, read as dpkg reads them: old, ustar and GNU headers (tar(5)), and no others.

What dpkg refuses to unpack cannot have come by way of dpkg, so pax headers, sparse files and newlines in names are
refused here too. A member that would lie outside the root is no mistake, and refused as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError, Reader
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    FILE,
    SYMLINK,
    text,
)

#: A further name of an earlier member.
HARD_LINK = "hard_link"

_BLOCK_BYTES = 512
_MAX_NAME_BYTES = 4096  # PATH_MAX
_MAX_HEADERS = 400_000
_MAX_NUMBER = 2**62
_TYPES = {
    b"0": FILE,
    b"\0": FILE,
    b"7": FILE,
    b"1": HARD_LINK,
    b"2": SYMLINK,
    b"3": CHARACTER_DEVICE,
    b"4": BLOCK_DEVICE,
    b"5": DIRECTORY,
    b"6": FIFO,
}
_LONG_NAMES = {b"L": "name", b"K": "link"}


class Header(NamedTuple):
    """One member of a tar archive: an absolute path inside the root (``b"/"`` is the root itself), and what it is.

    ``mode`` are the permission bits, ``modified`` is in seconds since 1970, ``link`` is where a symbolic link leads or,
    as an absolute path inside the root, what a hard link is a name of. ``device`` is a device number (`os.makedev`).
    """

    path: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    owner: str
    group: str
    size: int
    modified: int
    link: bytes | None
    device: int | None


def members(reader: Reader) -> Iterator[tuple[Header, Iterator[memoryview]]]:
    """Yield each member with its content, which is lost when the next one is asked for. Raises `DebError`.

    All is read to the end, so that a checksum of the compression has been checked when this is over.
    """
    long_names: dict[str, bytes] = {}
    for _number in range(_MAX_HEADERS):
        block = reader.exactly(_BLOCK_BYTES)
        if not block.strip(b"\0"):
            reader.drain()
            return
        _check(block)
        kind = block[156:157]
        if kind in _LONG_NAMES:
            long_names[_LONG_NAMES[kind]] = _long_name(reader, _number_in(block, 124, 12))
            continue
        header = _header(block, long_names)
        long_names = {}
        content = reader.pieces(header.size)
        yield header, content
        for _piece in content:
            pass
        reader.exactly(-header.size % _BLOCK_BYTES)
    raise DebError(f"it has more than {_MAX_HEADERS} members")


def _check(block: bytes) -> None:
    """Compare the checksum of a header, in which the checksum itself counts as spaces."""
    if sum(block) - sum(block[148:156]) + 8 * 32 != _number_in(block, 148, 8):
        raise DebError("a header in it has a wrong checksum")


def _number_in(block: bytes, start: int, length: int) -> int:
    """Return a number: octal digits, or, where the first bit is set, GNU's binary form in two's complement."""
    field = block[start : start + length]
    if field[0] & 0x80:
        number = int.from_bytes(field, "big") & (1 << 8 * length - 1) - 1
        if field[0] & 0x40:
            number -= 1 << 8 * length - 1
    else:
        digits = field.partition(b"\0")[0].strip(b" ")
        if digits.strip(b"01234567"):
            raise DebError("a header in it holds no number where one must be")
        number = int(digits or b"0", 8)
    if abs(number) > _MAX_NUMBER:
        raise DebError("a header in it holds an absurd number")
    return number


def _natural(block: bytes, start: int, length: int) -> int:
    number = _number_in(block, start, length)
    if number < 0:
        raise DebError("a header in it holds a negative number")
    return number


def _string(block: bytes, start: int, length: int) -> bytes:
    return block[start : start + length].partition(b"\0")[0]


def _long_name(reader: Reader, size: int) -> bytes:
    """Read the name that a GNU header holds for the next one."""
    if not 0 < size <= _MAX_NAME_BYTES:
        raise DebError("a name in it is too long")
    name = reader.exactly(size).partition(b"\0")[0]
    reader.exactly(-size % _BLOCK_BYTES)
    return name


def _header(block: bytes, long_names: dict[str, bytes]) -> Header:
    name = _string(block, 0, 100)
    if block[257:263] == b"ustar\0":
        prefix = _string(block, 345, 155)
        name = prefix + b"/" + name if prefix else name
    name = long_names.get("name", name)
    kind = _TYPES.get(block[156:157])
    if kind is None:
        raise DebError(f"its member {text(name[:200])} has a type that dpkg does not unpack ({block[156:157]!r})")
    if kind == FILE and name.endswith(b"/"):
        kind = DIRECTORY  # The oldest form of tar has no other sign of one.
    link = long_names.get("link", _string(block, 157, 100))
    number = os.makedev(_natural(block, 329, 8) & 0xFFF, _natural(block, 337, 8) & 0xFFFFF)
    return Header(
        path=_inside(name),
        kind=kind,
        mode=_natural(block, 100, 8) & 0o7777,
        uid=_natural(block, 108, 8),
        gid=_natural(block, 116, 8),
        owner=sys.intern(text(_string(block, 265, 32))),
        group=sys.intern(text(_string(block, 297, 32))),
        size=_natural(block, 124, 12) if kind == FILE else 0,
        modified=_number_in(block, 136, 12),
        link=_link(kind, link),
        device=number if kind in (CHARACTER_DEVICE, BLOCK_DEVICE) else None,
    )


def _link(kind: str, link: bytes) -> bytes | None:
    if kind == HARD_LINK:
        return _inside(link)
    if kind != SYMLINK:
        return None
    if not link or len(link) >= _MAX_NAME_BYTES:
        raise DebError("a symbolic link in it leads nowhere, or has too long a target")
    return link


def _inside(name: bytes) -> bytes:
    """Return a member's name as an absolute path inside the root."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise DebError(f"its member {text(name[:200])} may lie outside the root")
    if b"\n" in name:
        raise DebError("a name in it holds a newline")
    if not name or len(name) >= _MAX_NAME_BYTES:
        raise DebError("a name in it is empty or too long")
    return b"/" + b"/".join(parts)
