# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Diffie-Hellman in the finite fields of TLS 1.3 (RFC 7919). Not constant time: see :mod:`primitives`."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import wire


def _euler(bits: int) -> int:
    """Return the integer part of e * 2^bits."""
    guard = 64
    total, term, divisor = 0, 1 << bits + guard, 1
    while term:
        total, term, divisor = total + term, term // divisor, divisor + 1
    return total >> guard


def _prime(bits: int, offset: int) -> int:
    """Return a prime by the formula of RFC 7919, appendix A."""
    return (1 << bits) - (1 << bits - 64) + ((_euler(bits - 130) + offset) << 64) - 1


class FiniteField:
    """The group of a safe prime; a public value and a secret are as long as the prime (RFC 8446 4.2.8.1, 7.4.1)."""

    def __init__(self, prime: int) -> None:
        """Take the prime."""
        self.prime = prime
        self._size_bytes = (prime.bit_length() + 7) // 8

    def multiply(self, scalar: int, public: bytes) -> bytes:
        """Return a power of a public value; raises :class:`wire.DecodeError` for one out of range (RFC 7919 5.1)."""
        value = int.from_bytes(public, "big")
        if len(public) != self._size_bytes or not 1 < value < self.prime - 1:
            raise wire.DecodeError("a public value is not in the range of its finite field")
        return pow(value, scalar, self.prime).to_bytes(self._size_bytes, "big")

    shared_secret = multiply


FIELDS = {
    0x0100: FiniteField(_prime(2048, 560316)),
    0x0101: FiniteField(_prime(3072, 2625351)),
    0x0102: FiniteField(_prime(4096, 5736041)),
}
