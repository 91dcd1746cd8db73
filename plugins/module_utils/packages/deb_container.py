# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outer layers of a .deb: the ar archive and the compression of its two members (deb(5)).

Nothing of a .deb is believed: a member may claim any size, and decompress to a million times its own.
"""

from __future__ import annotations

import bz2
import lzma
import os
import re
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands

CHUNK_BYTES = 256 * 1024
#: How far data may grow when it is decompressed: so much in any case, and beyond that so many times.
FREE_GROWTH_BYTES = 64 * 1024 * 1024
MAX_GROWTH = 1000

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_HEADER = re.compile(rb"([!-~][ -~]{15})([0-9 ]{12})([0-9 ]{6})([0-9 ]{6})([0-7 ]{8})([0-9]{1,10}) {0,9}`\n")
_MAX_MEMBERS = 16
#: xz and lzma ask for as much memory as a file tells them to; dpkg-deb's own highest level needs a quarter of this.
_DECODER_MEMORY_BYTES = 256 * 1024 * 1024
_VERSION = re.compile(rb"2\.[0-9]+\n")


class DebError(Exception):
    """A .deb cannot be read, or is not what it must be; the text is a sentence part that says why."""


class ArMember(NamedTuple):
    """One member of the ar archive: its name, and where its content lies in the file."""

    name: str
    offset: int
    size: int


class Parts(NamedTuple):
    """The two members of a .deb that matter."""

    control: ArMember
    data: ArMember


class _Decoder(Protocol):
    """The interface of the decompressors of bz2 and lzma."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the same interface."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DECODER_MEMORY_BYTES)


def _lzma() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_DECODER_MEMORY_BYTES)


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    ".gz": _Gzip,
    ".xz": _xz,
    ".bz2": bz2.BZ2Decompressor,
    ".lzma": _lzma,
}
#: What only dpkg-deb can read.
_FOREIGN = (".zst",)
_CONTROL_SUFFIXES = ("", ".gz", ".xz", ".zst")
_DATA_SUFFIXES = ("", ".gz", ".xz", ".bz2", ".lzma", ".zst")


def parts(descriptor: int) -> Parts:
    """Find the members of an open .deb. Raises `DebError`, `OSError`."""
    found = _members(descriptor)
    first = next(found, None)
    if first is None or first.name != "debian-binary":
        raise DebError("it does not begin with the member debian-binary")
    if not _VERSION.match(os.pread(descriptor, min(first.size, 64), first.offset)):
        raise DebError("it is of another version of the format than 2")
    wanted: list[ArMember] = []
    for member in found:
        if member.name.startswith("_"):
            continue  # deb(5) keeps such names for later extensions, to be passed over.
        stem, suffixes = (("data.tar", _DATA_SUFFIXES), ("control.tar", _CONTROL_SUFFIXES))[not wanted]
        suffix = member.name[len(stem) :]
        if not member.name.startswith(stem):
            raise DebError(f"it has a member {member.name!r} where {stem} must be")
        if suffix not in suffixes:
            raise DebError(f"its {stem} has an unknown compression ({member.name!r})")
        wanted.append(member)
        if len(wanted) == 2:
            return Parts(*wanted)
    raise DebError("it has no data.tar" if wanted else "it has no control.tar")


def _members(descriptor: int) -> Iterator[ArMember]:
    """Yield the members of an ar archive."""
    end = os.fstat(descriptor).st_size
    if os.pread(descriptor, len(_MAGIC), 0) != _MAGIC:
        raise DebError("it is no ar archive")
    position = len(_MAGIC)
    for _number in range(_MAX_MEMBERS):
        if position >= end:
            return
        match = _HEADER.fullmatch(os.pread(descriptor, _HEADER_BYTES, position))
        if match is None:
            raise DebError(f"it has no valid member header at byte {position}")
        position += _HEADER_BYTES
        size = int(match.group(6))
        if size > end - position:
            raise DebError(f"its member at byte {position} ends after the file: it is truncated")
        yield ArMember(match.group(1).decode("ascii").rstrip(" ").rstrip("/"), position, size)
        position += size + size % 2
    raise DebError(f"it has more than {_MAX_MEMBERS} members")


class Reader:
    """The decompressed bytes of one part of a package, read from front to back, to a limit and a deadline."""

    def __init__(
        self, chunks: Generator[bytes, None, None], compressed_bytes: int, deadline: float, limit: int
    ) -> None:
        """Begin to read ``chunks``, which were ``compressed_bytes`` before they were decompressed.

        ``deadline`` is a reading of `time.monotonic`, ``limit`` the most bytes that may come.
        """
        self._deadline = deadline
        self._left = min(limit, max(FREE_GROWTH_BYTES, MAX_GROWTH * compressed_bytes))
        self._chunks = chunks
        self._chunk = memoryview(b"")
        self._taken = 0

    def exactly(self, count: int) -> bytes:
        """Return the next bytes, all of them; only for small counts. Raises `DebError`."""
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        """Yield the next bytes in pieces as they come. Raises `DebError` when they end before."""
        while count:
            if self._taken == len(self._chunk) and not self._next():
                raise DebError("its content ends too early: it is truncated")
            piece = self._chunk[self._taken : self._taken + count]
            self._taken += len(piece)
            count -= len(piece)
            yield piece

    def drain(self) -> None:
        """Read to the end, where the compression's own checksum is. Raises `DebError`."""
        while self._next():
            pass

    def close(self) -> None:
        """Stop reading."""
        self._chunks.close()

    def _next(self) -> bool:
        """Take the next chunk; false when there is none."""
        try:
            chunk = next(self._chunks, b"")
        except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
            raise DebError(f"it cannot be decompressed: {error}") from error
        except MeasurementError as error:
            raise DebError(f"it cannot be decompressed: {error.value}: {error.reason}") from error
        self._left -= len(chunk)
        if self._left < 0:
            raise DebError("it grows beyond all measure when it is decompressed")
        if time.monotonic() > self._deadline:
            raise DebError("it takes too long to read")
        self._chunk, self._taken = memoryview(chunk), 0
        return bool(chunk)


def decompressed(path: str, descriptor: int, member: ArMember, deadline: float) -> Generator[bytes, None, None]:
    """Yield the decompressed bytes of a member of the .deb at ``path``, which is open; for a `Reader`."""
    suffix = member.name.partition(".tar")[2]
    if suffix in _FOREIGN:
        option = "--fsys-tarfile" if member.name.startswith("data") else "--ctrl-tarfile"
        return commands.stream(["dpkg-deb", option, path], deadline)
    compressed = stored(descriptor, member.offset, member.size)
    return decode(compressed, suffix) if suffix else compressed


def stored(descriptor: int, offset: int, size: int) -> Generator[bytes, None, None]:
    """Yield the bytes of a part of an open file as they are. Raises `EOFError` when it has become shorter."""
    position, end = offset, offset + size
    while position < end:
        data = os.pread(descriptor, min(CHUNK_BYTES, end - position), position)
        if not data:
            raise EOFError("the file has become shorter")
        position += len(data)
        yield data


def decode(compressed: Iterator[bytes], suffix: str) -> Generator[bytes, None, None]:
    """Decompress what such files have the suffix of, never more than a chunk at once; several streams are one."""
    decoder: _Decoder | None = None
    for piece in compressed:
        data = piece
        while data or (decoder is not None and not decoder.needs_input):
            if decoder is None:
                decoder = _DECODERS[suffix]()
            chunk = decoder.decompress(data, CHUNK_BYTES)
            data = b""
            if decoder.eof:
                data, decoder = decoder.unused_data, None
            if chunk:
                yield chunk
    if decoder is not None:
        raise EOFError("the compressed data ends too early")
