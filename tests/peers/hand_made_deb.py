# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages put together byte by byte: what no tool builds, and what somebody might who means harm."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

CONTROL = (
    b"Package: handmade\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <n@example.org>\nDescription: a test\n"
)
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


def ar(*members: tuple[str, bytes]) -> bytes:
    """Return an ar archive."""
    data = b"!<arch>\n"
    for name, content in members:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        data += header.encode() + content + b"\n" * (len(content) % 2)
    return data


def header(name: bytes, size: int | bytes = 0, kind: bytes = b"0", link: bytes = b"", **fields: bytes) -> bytes:
    """Return one tar header with a right checksum; ``fields`` (``mode``, ``uid``, ``mtime``, ...) replace others."""
    values = {
        "name": (name, 100),
        "mode": (b"0000644\0", 8),
        "uid": (b"0000000\0", 8),
        "gid": (b"0000000\0", 8),
        "size": (size if isinstance(size, bytes) else b"%011o\0" % size, 12),
        "mtime": (b"14000000000\0", 12),
        "checksum": (b" " * 8, 8),
        "kind": (kind, 1),
        "link": (link, 100),
        "magic": (b"ustar  \0", 8),
        "owner": (b"root", 32),
        "group": (b"root", 32),
        "major": (b"", 8),
        "minor": (b"", 8),
        "prefix": (b"", 155),
    }
    for field, value in fields.items():
        values[field] = (value, values[field][1])
    block = b"".join(value.ljust(length, b"\0") for value, length in values.values()).ljust(512, b"\0")
    if "checksum" in fields:
        return block
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def member(name: bytes, content: bytes = b"", kind: bytes = b"0", link: bytes = b"", **fields: bytes) -> bytes:
    """Return one tar member, header and content."""
    return header(name, len(content), kind, link, **fields) + content + bytes(-len(content) % 512)


def tar(*members: bytes) -> bytes:
    """Return a tar archive of members."""
    return b"".join(members) + bytes(1024)


def control_tar(control: bytes = CONTROL, **files: bytes) -> bytes:
    """Return the control archive of a package."""
    named = {"control": control, **files}
    return tar(member(b"./", kind=b"5"), *(member(b"./" + name.encode(), data) for name, data in named.items()))


def deb(data: bytes, control: bytes | None = None, suffix: str = "", name: str = "data.tar") -> bytes:
    """Return a package of an uncompressed data archive, which is compressed as the suffix says."""
    packed = COMPRESSIONS.get(suffix, bytes)(data)
    inner = control_tar() if control is None else control
    return ar(("debian-binary", b"2.0\n"), ("control.tar", inner), (name + suffix, packed))
