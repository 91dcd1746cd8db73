# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Triple DES with three keys, block by block (FIPS 46-3, SP 800-67). Not constant time: see :mod:`primitives`."""

from __future__ import annotations

import functools

BLOCK_BYTES = 8

_Key = tuple[int, ...]


def _places(text: str) -> tuple[int, ...]:
    return tuple(int(place) for place in text.split())


# Bit positions count from 1 at the most significant bit, as in FIPS 46-3.
_INITIAL = tuple(8 * column - offset for offset in (6, 4, 2, 0, 7, 5, 3, 1) for column in range(8, 0, -1))
_FINAL = tuple(_INITIAL.index(place) + 1 for place in range(1, 65))
_P = _places("16 7 20 21 29 12 28 17 1 15 23 26 5 18 31 10 2 8 24 14 32 27 3 9 19 13 30 6 22 11 4 25")
_CHOICE_1 = _places(
    "57 49 41 33 25 17 9 1 58 50 42 34 26 18 10 2 59 51 43 35 27 19 11 3 60 52 44 36 "
    "63 55 47 39 31 23 15 7 62 54 46 38 30 22 14 6 61 53 45 37 29 21 13 5 28 20 12 4"
)
_CHOICE_2 = _places(
    "14 17 11 24 1 5 3 28 15 6 21 10 23 19 12 4 26 8 16 7 27 20 13 2 "
    "41 52 31 37 47 55 30 40 51 45 33 48 44 49 39 56 34 53 46 42 50 36 29 32"
)
_ROTATIONS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
# One hexadecimal digit for each output, four rows a box from S1 to S8 (FIPS 46-3, appendix 1).
_S_BOXES = (
    "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
    "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
    "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
    "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
    "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
    "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
    "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
    "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
)


def _permute(value: int, size_bits: int, places: tuple[int, ...]) -> int:
    bits = f"{value:0{size_bits}b}"
    return int("".join([bits[place - 1] for place in places]), 2)


def _substitution(box: int) -> tuple[int, ...]:
    """Return what six bits become by the S-box and the permutation P, at their places in a half block."""
    table = []
    for bits in range(64):
        row, column = bits >> 4 & 2 | bits & 1, bits >> 1 & 0xF
        table.append(_permute(int(_S_BOXES[box][16 * row + column], 16) << 28 - 4 * box, 32, _P))
    return tuple(table)


_S1, _S2, _S3, _S4, _S5, _S6, _S7, _S8 = (_substitution(box) for box in range(8))


def _round_keys(key: bytes) -> list[_Key]:
    """Return the 16 round keys of one DES key, each as eight numbers of six bits."""
    chosen = _permute(int.from_bytes(key, "big"), 64, _CHOICE_1)
    left, right = chosen >> 28, chosen & 0xFFFFFFF
    keys = []
    for turn in _ROTATIONS:
        left = (left << turn | left >> 28 - turn) & 0xFFFFFFF
        right = (right << turn | right >> 28 - turn) & 0xFFFFFFF
        bits = _permute(left << 28 | right, 56, _CHOICE_2)
        keys.append(tuple(bits >> shift & 0x3F for shift in range(42, -1, -6)))
    return keys


@functools.lru_cache(maxsize=32)
def _schedule(key: bytes) -> tuple[list[list[_Key]], list[list[_Key]]]:
    """Return the round keys of the three passes for encryption and for decryption (SP 800-67 3.1)."""
    first, second, third = (_round_keys(key[place : place + 8]) for place in (0, 8, 16))
    return [first, second[::-1], third], [third[::-1], second, first[::-1]]


def encrypt_block(key: bytes, block: bytes) -> bytes:
    """Return a block of 8 bytes encrypted with a key of 24 bytes."""
    return _crypt(_schedule(key)[0], block)


def decrypt_block(key: bytes, block: bytes) -> bytes:
    """Return a block of 8 bytes decrypted with a key of 24 bytes."""
    return _crypt(_schedule(key)[1], block)


def _crypt(passes: list[list[_Key]], block: bytes) -> bytes:
    mixed = _permute(int.from_bytes(block, "big"), 64, _INITIAL)
    left, right = mixed >> 32, mixed & 0xFFFFFFFF
    for keys in passes:
        for k1, k2, k3, k4, k5, k6, k7, k8 in keys:
            # The expansion E: six bits for each box, overlapping and going round (FIPS 46-3, figure 2).
            wide = (right & 1) << 33 | right << 1 | right >> 31
            mixed = (
                _S1[wide >> 28 ^ k1]
                ^ _S2[wide >> 24 & 0x3F ^ k2]
                ^ _S3[wide >> 20 & 0x3F ^ k3]
                ^ _S4[wide >> 16 & 0x3F ^ k4]
                ^ _S5[wide >> 12 & 0x3F ^ k5]
                ^ _S6[wide >> 8 & 0x3F ^ k6]
                ^ _S7[wide >> 4 & 0x3F ^ k7]
                ^ _S8[wide & 0x3F ^ k8]
            )
            left, right = right, left ^ mixed
        # The halves change places at the end of a pass; the permutations between two passes cancel each other.
        left, right = right, left
    return _permute(left << 32 | right, 64, _FINAL).to_bytes(8, "big")
