# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change what a real server said, and see that a decoder refuses it or reads it: nothing else may happen."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies

# No decoder is given more than this; what is longer is for the tests of memory.
_MAX_BYTES = 64 * 1024
_TELLING_NUMBERS = (0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, 0x100, 0x3FFF, 0x4000, 0x4800, 0x7FFF, 0xFFFF, 0xFFFFFF)


@dataclass(frozen=True)
class Target:
    """A decoder: ``decode`` may raise only ``refusals``, and asserts what must hold of what it has read."""

    name: str
    seeds: tuple[bytes, ...]
    decode: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = ()


class FoundError(AssertionError):
    """A decoder did what it may not do; the text has the input as hexadecimal digits."""


def run(target: Target, data: bytes) -> bool:
    """Return whether the decoder read the data (true) or refused it; raises :class:`FoundError` for anything else."""
    try:
        target.decode(data)
    except target.refusals:
        return False
    except Exception as error:
        raise FoundError(f"{target.name}: {type(error).__name__}: {error}; the input was {data.hex()}") from error
    return True


def mutations(target: Target) -> strategies.SearchStrategy[bytes]:
    """Return a strategy of Hypothesis for what comes of the target's seeds."""
    chances = strategies.randoms(use_true_random=False)
    return strategies.builds(mutate, strategies.sampled_from(target.seeds), strategies.just(target.seeds), chances)


def mutate(seed: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a seed with a few changes, some of which take parts of other seeds."""
    data = seed
    for _change in range(chance.choice((1, 1, 1, 2, 2, 3, 6))):
        data = chance.choice(_CHANGES)(data, seeds, chance)[:_MAX_BYTES]
    return data


def _flip_bit(data: bytes, _seeds: Sequence[bytes], chance: random.Random) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _set_byte(data: bytes, _seeds: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _set_number(data: bytes, _seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """Put a telling number where a length may stand, or change the one that stands there by a little."""
    size = chance.choice((1, 2, 3))
    at = chance.randrange(len(data) + 1)
    number = chance.choice(_TELLING_NUMBERS)
    if chance.randrange(2):
        number = int.from_bytes(data[at : at + size], "big") + chance.choice((-2, -1, 1, 2))
    return data[:at] + (number % (1 << 8 * size)).to_bytes(size, "big") + data[at + size :]


def _cut(data: bytes, _seeds: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _part(data: bytes, chance: random.Random) -> tuple[int, int]:
    begin = chance.randrange(len(data) + 1)
    return begin, min(len(data), begin + chance.choice((1, 2, 4, 5, 9, 64, 1024)))


def _leave_out(data: bytes, _seeds: Sequence[bytes], chance: random.Random) -> bytes:
    begin, end = _part(data, chance)
    return data[:begin] + data[end:]


def _repeat(data: bytes, _seeds: Sequence[bytes], chance: random.Random) -> bytes:
    begin, end = _part(data, chance)
    return data[:end] + data[begin:end] * chance.choice((1, 1, 2, 40)) + data[end:]


def _insert(data: bytes, _seeds: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    added = bytes(chance.randrange(256) for _byte in range(chance.choice((1, 2, 3, 8))))
    return data[:at] + added + data[at:]


def _splice(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(seeds)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


_CHANGES = (_flip_bit, _flip_bit, _set_byte, _set_number, _set_number, _cut, _leave_out, _repeat, _insert, _splice)
