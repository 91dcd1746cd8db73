# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ChaCha20 and Poly1305 (RFC 8439). Not constant time: see :mod:`primitives`.

All blocks are computed at once: a row of the state is one large integer, in which each word (32 bits) of each block has
a lane of 64 bits, so that what an addition or a rotation carries over is masked away.
"""

from __future__ import annotations

import struct

_BLOCK_BYTES = 64
_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
_PRIME = 2**130 - 5


def keystream(key: bytes, counter: int, nonce: bytes, size_bytes: int) -> bytes:
    """Return the key stream from block ``counter`` on (RFC 8439 2.4)."""
    count = -(-size_bytes // _BLOCK_BYTES)
    key_words = struct.unpack("<8I", key)
    counters = tuple(range(counter, counter + count))
    start = (
        _row(_CONSTANTS, count),
        _row(key_words[:4], count),
        _row(key_words[4:], count),
        _lanes(counters + tuple(word for word in struct.unpack("<3I", nonce) for _block in range(count))),
    )
    mask = _lanes((0xFFFFFFFF,) * 4 * count)
    rows = _ten_double_rounds(start, mask, 64 * count)
    words = [0] * 16 * count
    for row, (initial, final) in enumerate(zip(start, rows)):
        summed = ((initial + final) & mask).to_bytes(32 * count, "little")
        values = struct.unpack(f"<{4 * count}Q", summed)
        for column in range(4):
            words[4 * row + column :: 16] = values[column * count : (column + 1) * count]
    return struct.pack(f"<{16 * count}I", *words)[:size_bytes]


def _row(words: tuple[int, ...], count: int) -> int:
    return _lanes(tuple(word for word in words for _block in range(count)))


def _lanes(words: tuple[int, ...]) -> int:
    return int.from_bytes(struct.pack(f"<{len(words)}Q", *words), "little")


def _ten_double_rounds(start: tuple[int, int, int, int], mask: int, column_bits: int) -> tuple[int, int, int, int]:
    """Return the state after 20 rounds: of the columns and, with the rows turned, of the diagonals (RFC 8439 2.3)."""
    a, b, c, d = start
    all_bits = (1 << 4 * column_bits) - 1
    for number in range(20):
        # The quarter round (RFC 8439 2.1), for all columns of all blocks.
        a = (a + b) & mask
        d ^= a
        d = (d << 16 | d >> 16) & mask
        c = (c + d) & mask
        b ^= c
        b = (b << 12 | b >> 20) & mask
        a = (a + b) & mask
        d ^= a
        d = (d << 8 | d >> 24) & mask
        c = (c + d) & mask
        b ^= c
        b = (b << 7 | b >> 25) & mask
        # To the diagonals, and back.
        turns = (3, 2, 1) if number % 2 else (1, 2, 3)
        b, c, d = (
            (row >> turn * column_bits | row << (4 - turn) * column_bits) & all_bits
            for row, turn in zip((b, c, d), turns)
        )
    return a, b, c, d


def poly1305(key: bytes, message: bytes) -> bytes:
    """Return the authenticator of a message under a one-time key (RFC 8439 2.5)."""
    multiplier, addend = int.from_bytes(key[:16], "little") & _CLAMP, int.from_bytes(key[16:], "little")
    accumulator = 0
    for place in range(0, len(message), 16):
        accumulator += int.from_bytes(message[place : place + 16] + b"\x01", "little")
        accumulator = accumulator * multiplier % _PRIME
    return ((accumulator + addend) & (1 << 128) - 1).to_bytes(16, "little")
