# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does a file look damaged? What its bytes alone say, where nothing says what they should be.

A suspicion is evidence for a person and never a reason to replace a file. Each kind is one that healthy files all but
never show; a block of NUL bytes in an executable or a database, which healthy ones have, is none.
"""

from __future__ import annotations

import math
from collections import Counter

#: As much of a file is looked at; storage damage comes in blocks, and few files without a digest are larger.
MAX_BYTES = 8 * 1024 * 1024

#: The block of most file systems. Damage that begins and ends at its edges is that of storage, not of a program.
BLOCK_BYTES = 4096

#: Bits for each byte: a block of text has 3.5 to 5.5, one of ideographs less than 7, a random one more than 7.9.
_RANDOM_ENTROPY = 7.5

_TEXT_EXTENSIONS = frozenset(
    (
        *(b".bash", b".c", b".cfg", b".cnf", b".conf", b".cpp", b".crt", b".css", b".csv", b".desktop", b".env", b".h"),
        *(
            b".htm",
            b".html",
            b".ini",
            b".js",
            b".json",
            b".list",
            b".log",
            b".lua",
            b".md",
            b".mount",
            b".path",
            b".pem",
        ),
        *(b".php", b".pl", b".pm", b".properties", b".py", b".rb", b".repo", b".rst", b".rules", b".service", b".sh"),
        *(
            b".socket",
            b".sources",
            b".sql",
            b".svg",
            b".target",
            b".timer",
            b".toml",
            b".ts",
            b".txt",
            b".xml",
            b".yaml",
        ),
        b".yml",
    )
)
_GZIP, _ZIP = (b"\x1f\x8b",), (b"PK\x03\x04", b"PK\x05\x06")
_MAGIC = {
    b".bz2": (b"BZh",),
    b".class": (b"\xca\xfe\xba\xbe",),
    b".deb": (b"!<arch>\n",),
    b".gif": (b"GIF8",),
    b".gz": _GZIP,
    b".jar": _ZIP,
    b".jpeg": (b"\xff\xd8\xff",),
    b".jpg": (b"\xff\xd8\xff",),
    b".mo": (b"\xde\x12\x04\x95", b"\x95\x04\x12\xde"),
    b".pdf": (b"%PDF",),
    b".png": (b"\x89PNG\r\n\x1a\n",),
    b".rpm": (b"\xed\xab\xee\xdb",),
    b".tgz": _GZIP,
    b".whl": _ZIP,
    b".woff": (b"wOFF",),
    b".woff2": (b"wOF2",),
    b".xz": (b"\xfd7zXZ\x00",),
    b".zip": _ZIP,
    b".zst": (b"\x28\xb5\x2f\xfd",),
}
#: Text in two or four bytes a character.
_WIDE_TEXT = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def suspicions(path: bytes, data: bytes) -> tuple[str, ...]:
    """Return why a file looks damaged, a sentence for each reason; none is no proof that it is sound.

    ``data`` is the beginning of the file's content, at most `MAX_BYTES`.
    """
    if not data:
        return ()
    stem, dot, rest = path.rpartition(b"/")[2].rpartition(b".")
    extension = (dot + rest).lower() if stem else b""
    if not data.strip(b"\0"):
        return (f"all of it is NUL bytes ({len(data)})",)
    found = []
    magic = _MAGIC.get(extension)
    if magic is not None and not data.startswith(magic):
        found.append(f"it does not begin as a {extension[1:].decode()} file does")
    is_text = _is_text(path, extension, data)
    if is_text or magic is not None:
        found += _zero_blocks(data)
    if is_text:
        found += _random_blocks(data)
    if is_text and not found and b"\0" in data:
        found.append(f"there is a NUL byte in text, at {data.index(0)}")
    return tuple(found)


def _is_text(path: bytes, extension: bytes, data: bytes) -> bool:
    """Tell whether a file should be text, by its name or its first line: its bytes may be what is damaged."""
    if data.startswith(_WIDE_TEXT):
        return False
    plain_configuration = path.startswith(b"/etc/") and not extension and not data.startswith(b"\x7fELF")
    return extension in _TEXT_EXTENSIONS or data.startswith(b"#!") or plain_configuration


def _zero_blocks(data: bytes) -> list[str]:
    """Find whole blocks of NUL bytes; the last one may be shorter than a block."""
    zero = bytes(BLOCK_BYTES)
    starts = [
        start
        for start in range(0, len(data), BLOCK_BYTES)
        if data[start : start + BLOCK_BYTES] == zero[: len(data) - start]
    ]
    if not starts:
        return []
    return [
        f"{len(starts)} of its {-(-len(data) // BLOCK_BYTES)} blocks hold NUL bytes alone, the first at {starts[0]}"
    ]


def _random_blocks(data: bytes) -> list[str]:
    """Find whole blocks that are as random as encrypted or compressed data."""
    starts = [
        start
        for start in range(0, len(data) - BLOCK_BYTES + 1, BLOCK_BYTES)
        if _entropy(data[start : start + BLOCK_BYTES]) > _RANDOM_ENTROPY
    ]
    return [f"{len(starts)} of its blocks of text hold random bytes, the first at {starts[0]}"] if starts else []


def _entropy(block: bytes) -> float:
    """Return Shannon's entropy, in bits for each byte."""
    return -sum(count / len(block) * math.log2(count / len(block)) for count in Counter(block).values())
