# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AES for any number of independent blocks at once (FIPS 197). Not constant time: see :mod:`primitives`.

Byte n of all blocks lies side by side, and the 16 groups are ordered by the rows of FIPS 197's state. So each step is
one call for all blocks: SubBytes is ``bytes.translate``, ShiftRows and the rotation of columns are slices, MixColumns'
multiplications are translations too, and the additions are XORs of large integers.
"""

from __future__ import annotations

import functools

BLOCK_BYTES = 16

# Position in the row-wise state -> position in the block, which goes by columns; the same table leads back.
_BY_ROWS = tuple(4 * column + row for row in range(4) for column in range(4))


def _double(value: int) -> int:
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


def _times(factor: int, table: bytes) -> bytes:
    """Return a translation table multiplied in GF(2^8) (FIPS 197 4.2)."""
    result = []
    for power in table:
        product = 0
        for bit in range(4):
            product ^= power if factor >> bit & 1 else 0
            power = _double(power)
        result.append(product)
    return bytes(result)


def _substitution() -> bytes:
    """Return the S-box (FIPS 197 5.1.1): the inverse in GF(2^8), then an affine transformation."""
    powers = [1]
    while len(powers) < 255:
        powers.append(powers[-1] ^ _double(powers[-1]))  # 3 generates all of the field but 0
    box = bytearray(b"\x63" * 256)
    for exponent, value in enumerate(powers):
        inverse = powers[-exponent % 255]
        for turn in range(5):
            box[value] ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
    return bytes(box)


_IDENTITY = bytes(range(256))
_S_BOX = _substitution()
_S_BOX_2 = _times(2, _S_BOX)
_INVERSE_S_BOX = bytes(_S_BOX.index(value) for value in range(256))
_TIMES_9, _TIMES_11, _TIMES_13, _TIMES_14 = (_times(factor, _IDENTITY) for factor in (9, 11, 13, 14))


@functools.lru_cache(maxsize=128)
def _expand(key: bytes) -> tuple[bytes, ...]:
    """Return the round keys, row-wise (FIPS 197 5.2)."""
    key_words = len(key) // 4
    words = [key[place : place + 4] for place in range(0, len(key), 4)]
    constant = 1
    for place in range(key_words, 4 * (key_words + 7)):
        word = words[-1]
        if place % key_words == 0:
            word = (word[1:] + word[:1]).translate(_S_BOX)
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _double(constant)
        elif key_words == 8 and place % 8 == 4:
            word = word.translate(_S_BOX)
        words.append(bytes(left ^ right for left, right in zip(word, words[-key_words])))
    flat = b"".join(words)
    return tuple(bytes(flat[start + place] for place in _BY_ROWS) for start in range(0, len(flat), BLOCK_BYTES))


def _round_keys(key: bytes, count: int) -> list[int]:
    """Return the round keys for the states of ``count`` blocks."""
    if count == 1:
        return [int.from_bytes(rows, "big") for rows in _expand(key)]
    return [int.from_bytes(b"".join([bytes((byte,)) * count for byte in rows]), "big") for rows in _expand(key)]


def _by_rows(blocks: bytes) -> bytes:
    return b"".join([blocks[place::BLOCK_BYTES] for place in _BY_ROWS])


def _by_blocks(state: bytes, count: int) -> bytes:
    blocks = bytearray(len(state))
    for number, place in enumerate(_BY_ROWS):
        blocks[place::BLOCK_BYTES] = state[number * count : (number + 1) * count]
    return bytes(blocks)


def encrypt_blocks(key: bytes, blocks: bytes) -> bytes:
    """Return each block of 16 bytes encrypted, independently of the others (FIPS 197 5.1)."""
    size = len(blocks)
    count = size // BLOCK_BYTES
    first, *middle, last = _round_keys(key, count)
    row = 4 * count
    number = int.from_bytes(_by_rows(blocks), "big") ^ first
    for round_key in middle:
        state = _shift_rows(number.to_bytes(size, "big"), row, count)
        once, twice = state.translate(_S_BOX), state.translate(_S_BOX_2)
        # The columns times 2, 3, 1, 1, where 3 = 2 + 1 (FIPS 197 5.1.3).
        number = (
            int.from_bytes(twice, "big")
            ^ int.from_bytes(twice[row:] + twice[:row], "big")
            ^ int.from_bytes(once[row:] + once[:row], "big")
            ^ int.from_bytes(once[2 * row :] + once[: 2 * row], "big")
            ^ int.from_bytes(once[3 * row :] + once[: 3 * row], "big")
            ^ round_key
        )
    state = _shift_rows(number.to_bytes(size, "big"), row, count).translate(_S_BOX)
    return _by_blocks((int.from_bytes(state, "big") ^ last).to_bytes(size, "big"), count)


def decrypt_blocks(key: bytes, blocks: bytes) -> bytes:
    """Return each block of 16 bytes decrypted, independently of the others (FIPS 197 5.3)."""
    size = len(blocks)
    count = size // BLOCK_BYTES
    first, *middle, last = _round_keys(key, count)
    row = 4 * count
    number = int.from_bytes(_by_rows(blocks), "big") ^ last
    for round_key in reversed(middle):
        state = _unshift_rows(number.to_bytes(size, "big"), row, count).translate(_INVERSE_S_BOX)
        state = (int.from_bytes(state, "big") ^ round_key).to_bytes(size, "big")
        by_11, by_13, by_9 = state.translate(_TIMES_11), state.translate(_TIMES_13), state.translate(_TIMES_9)
        # The columns times 14, 11, 13, 9 (FIPS 197 5.3.3).
        number = (
            int.from_bytes(state.translate(_TIMES_14), "big")
            ^ int.from_bytes(by_11[row:] + by_11[:row], "big")
            ^ int.from_bytes(by_13[2 * row :] + by_13[: 2 * row], "big")
            ^ int.from_bytes(by_9[3 * row :] + by_9[: 3 * row], "big")
        )
    state = _unshift_rows(number.to_bytes(size, "big"), row, count).translate(_INVERSE_S_BOX)
    return _by_blocks((int.from_bytes(state, "big") ^ first).to_bytes(size, "big"), count)


def _shift_rows(state: bytes, row: int, count: int) -> bytes:
    """Turn row n to the left by n columns (FIPS 197 5.1.2)."""
    one, two, three = state[row : 2 * row], state[2 * row : 3 * row], state[3 * row :]
    return b"".join(
        (state[:row], one[count:], one[:count], two[2 * count :], two[: 2 * count], three[-count:], three[:-count])
    )


def _unshift_rows(state: bytes, row: int, count: int) -> bytes:
    """Turn row n to the right by n columns (FIPS 197 5.3.1)."""
    one, two, three = state[row : 2 * row], state[2 * row : 3 * row], state[3 * row :]
    return b"".join(
        (state[:row], one[-count:], one[:-count], two[2 * count :], two[: 2 * count], three[count:], three[:count])
    )
