# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages of rpm put together byte by byte: what rpmbuild does not make, and what somebody might who means harm."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import NamedTuple

from . import hand_made_deb
from .rpm_system import Tags, encode_header

#: Of all of it, rpm reads the magic number, the version 3.0, and the kind of signatures: a header, 5.
LEAD = bytes.fromhex("edabeedb0300") + bytes(72) + b"\0\5" + bytes(16)
MAGIC = bytes.fromhex("8eade80100000000")
COMPRESSIONS = {
    name: hand_made_deb.COMPRESSIONS[suffix]
    for name, suffix in (("", ""), ("gzip", ".gz"), ("xz", ".xz"), ("bzip2", ".bz2"), ("lzma", ".lzma"))
}


class File(NamedTuple):
    """What a header says of a file; its digest and size are those of ``content`` unless they are given."""

    path: bytes
    content: bytes = b""
    mode: int = 0o100644
    flags: int = 0
    target: bytes = b""
    inode: int = 0
    device: int = 0
    owner: bytes = b"root"
    capabilities: bytes = b""
    size: int | None = None
    digest: bytes | None = None

    def recorded_digest(self) -> bytes:
        if self.digest is not None:
            return self.digest
        return hashlib.sha256(self.content).hexdigest().encode() if self.mode >> 12 == 0o10 else b""


def tags(*files: File) -> Tags:
    """Return the tags of the header of a package ``handmade`` with these files."""
    found: Tags = {1000: (6, (b"handmade",)), 1001: (6, (b"1",)), 1002: (6, (b"2",)), 1022: (6, (b"noarch",))}
    if files:
        splits = [file.path.rpartition(b"/") for file in files]
        found |= {
            1028: (4, [len(file.content) if file.size is None else file.size for file in files]),
            1030: (3, [file.mode for file in files]),
            1033: (3, [file.device for file in files]),
            1034: (4, [1_700_000_000] * len(files)),
            1035: (8, [file.recorded_digest() for file in files]),
            1036: (8, [file.target for file in files]),
            1037: (4, [file.flags for file in files]),
            1039: (8, [file.owner for file in files]),
            1040: (8, [b"root"] * len(files)),
            1045: (4, [0xFFFFFFFF] * len(files)),
            1095: (4, [1] * len(files)),
            1096: (4, [file.inode or number + 1000 for number, file in enumerate(files)]),
            1116: (4, list(range(len(files)))),
            1117: (8, [name for _directory, _slash, name in splits]),
            1118: (8, [directory + b"/" for directory, _slash, _name in splits]),
            5011: (4, (8,)),
        }
        if any(file.capabilities for file in files):
            found[5010] = (8, [file.capabilities for file in files])
    return found


def entry(name: bytes, content: bytes = b"", magic: bytes = b"070701", **fields: int) -> bytes:
    """Return one entry of a cpio archive; ``fields`` (``size``, ``name_bytes``, ``mode``) lie."""
    values = [0] * 13
    values[1] = fields.get("mode", 0o100777)
    values[6] = fields.get("size", len(content))
    values[11] = fields.get("name_bytes", len(name) + 1)
    head = magic + b"".join(b"%08x" % value for value in values) + name + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def stripped(number: int, content: bytes = b"") -> bytes:
    """Return one entry of rpm's own kind of archive."""
    return b"07070X%08x\0\0" % number + content + bytes(-len(content) % 4)


TRAILER = entry(b"TRAILER!!!")


def payload_of(*files: File) -> bytes:
    """Return the archive of some files, none of them a hard link."""
    return b"".join(entry(b"." + file.path, file.target or file.content) for file in files) + TRAILER


class Parts(NamedTuple):
    """The parts of an .rpm, to be taken apart and put together again."""

    lead: bytes
    signatures: bytes
    padding: bytes
    header: bytes
    payload: bytes

    def joined(self) -> bytes:
        return b"".join(self)


def rpm(
    header: Tags,
    payload: bytes,
    *,
    compressor: str = "gzip",
    signatures: Tags | None = None,
    digests: Sequence[str] = ("sha256", "sha1"),
    with_payload_digest: bool = True,
) -> Parts:
    """Return an .rpm; ``header`` gets what describes the payload, where it does not have that already."""
    packed = COMPRESSIONS[compressor](payload)
    described: Tags = {1124: (6, (b"cpio",)), 5093: (4, (8,))}
    if compressor:
        described[1125] = (6, (compressor.encode(),))
    if with_payload_digest:
        described[5092] = (8, (hashlib.sha256(packed).hexdigest().encode(),))
        described[5097] = (8, (hashlib.sha256(payload).hexdigest().encode(),))
    main = MAGIC + encode_header({**described, **header}, {}, ())
    numbers = {"sha1": 269, "sha256": 273, "sha3_256": 279}
    found: Tags = {numbers[name]: (6, (hashlib.new(name, main).hexdigest().encode(),)) for name in digests}
    first = MAGIC + encode_header(
        {**found, **(signatures or {1000: (4, (len(main) + len(packed),))})}, {}, (), region=62
    )
    return Parts(LEAD, first, bytes(-len(first) % 8), main, packed)


def split(data: bytes) -> Parts:
    """Take an .rpm apart."""
    signatures_end = _header_end(data, len(LEAD))
    header_start = signatures_end + -signatures_end % 8
    header_end = _header_end(data, header_start)
    return Parts(
        data[: len(LEAD)],
        data[len(LEAD) : signatures_end],
        data[signatures_end:header_start],
        data[header_start:header_end],
        data[header_end:],
    )


def _header_end(data: bytes, start: int) -> int:
    index_entries, data_bytes = struct.unpack_from(">II", data, start + len(MAGIC))
    end: int = start + len(MAGIC) + 8 + 16 * index_entries + data_bytes
    return end


def binary(data: bytes) -> tuple[int, Sequence[int]]:
    """Return the value of a tag of bytes."""
    return 7, tuple(data)
