# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Multiplication on elliptic curves, of both shapes that TLS uses. Not constant time: see :mod:`primitives`.

Sources: SP 800-186 3.2.1 (P-256, P-384, P-521), SEC 1 2.3 (points as bytes), RFC 7748 (X25519, X448).
"""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import key_shares, wire

_WINDOW_BITS = 4

# X, Y and Z of a point with the affine coordinates X/Z^2 and Y/Z^3; Z is 0 at infinity.
_Point = tuple[int, int, int]
_INFINITY = (1, 1, 0)


class WeierstrassCurve:
    """A curve y^2 = x^3 - 3x + b over a prime field, with points in Jacobian coordinates."""

    def __init__(self, group: int, prime: int) -> None:
        """Take b from the generator, which lies on the curve."""
        self._prime = prime
        self._size_bytes = (prime.bit_length() + 7) // 8
        generator = key_shares.public_value(group) or b""
        x, y = self._coordinates(generator)
        self._b = (y * y - x * x * x + 3 * x) % prime

    def multiply(self, scalar: int, point: bytes) -> bytes:
        """Return a multiple of an uncompressed point; raises :class:`wire.DecodeError` for what is no point."""
        x, y = self._coordinates(point)
        if max(x, y) >= self._prime or (y * y - x * x * x + 3 * x - self._b) % self._prime:
            raise wire.DecodeError("a public value is no point of its curve")
        product_x, product_y = self._affine(self._product(scalar, (x, y, 1)))
        size = self._size_bytes
        return b"\x04" + product_x.to_bytes(size, "big") + product_y.to_bytes(size, "big")

    def shared_secret(self, scalar: int, public: bytes) -> bytes:
        """Return the x-coordinate of a multiple of a point (RFC 8422 5.10)."""
        return self.multiply(scalar, public)[1 : 1 + self._size_bytes]

    def _coordinates(self, point: bytes) -> tuple[int, int]:
        size = self._size_bytes
        if len(point) != 1 + 2 * size or point[0] != 4:
            raise wire.DecodeError("a public value is no uncompressed point of its curve")
        return int.from_bytes(point[1 : 1 + size], "big"), int.from_bytes(point[1 + size :], "big")

    def _affine(self, point: _Point) -> tuple[int, int]:
        x, y, z = point
        if not z:
            raise wire.DecodeError("a key exchange ended at infinity")
        inverse = pow(z, -1, self._prime)
        square = inverse * inverse % self._prime
        return x * square % self._prime, y * square * inverse % self._prime

    def _product(self, scalar: int, point: _Point) -> _Point:
        """Take the scalar from its most significant window to its least."""
        multiples = [_INFINITY, point]
        while len(multiples) < 1 << _WINDOW_BITS:
            multiples.append(self._add(multiples[-1], point))
        product = _INFINITY
        windows = -(-scalar.bit_length() // _WINDOW_BITS)
        for window in range(windows - 1, -1, -1):
            for _bit in range(_WINDOW_BITS):
                product = self._double(product)
            product = self._add(product, multiples[scalar >> window * _WINDOW_BITS & (1 << _WINDOW_BITS) - 1])
        return product

    def _double(self, point: _Point) -> _Point:
        x, y, z = point
        prime = self._prime
        y_square, z_square = y * y % prime, z * z % prime
        middle = 4 * x * y_square % prime
        slope = 3 * (x - z_square) * (x + z_square) % prime  # of the tangent, because a is -3
        new_x = (slope * slope - 2 * middle) % prime
        return new_x, (slope * (middle - new_x) - 8 * y_square * y_square) % prime, 2 * y * z % prime

    def _add(self, left: _Point, right: _Point) -> _Point:
        if not left[2]:
            return right
        if not right[2]:
            return left
        prime = self._prime
        (x1, y1, z1), (x2, y2, z2) = left, right
        z1_square, z2_square = z1 * z1 % prime, z2 * z2 % prime
        u1, s1 = x1 * z2_square % prime, y1 * z2_square * z2 % prime
        width, height = (x2 * z1_square - u1) % prime, (y2 * z1_square * z1 - s1) % prime
        if not width:
            return _INFINITY if height else self._double(left)
        square = width * width % prime
        cube, middle = square * width % prime, u1 * square % prime
        new_x = (height * height - cube - 2 * middle) % prime
        return new_x, (height * (middle - new_x) - s1 * cube) % prime, z1 * z2 * width % prime


class MontgomeryCurve:
    """A curve of RFC 7748, whose points are their u-coordinates."""

    def __init__(self, prime: int, coefficient: int, size_bytes: int) -> None:
        """Take the prime and the constant ``a24`` of RFC 7748 5."""
        self._prime = prime
        self._coefficient = coefficient
        self._size_bytes = size_bytes

    def multiply(self, scalar: int, point: bytes) -> bytes:
        """Return a multiple of a point by the ladder of RFC 7748 5; raises :class:`wire.DecodeError` for its size."""
        if len(point) != self._size_bytes:
            raise wire.DecodeError(f"a public value of {len(point)} bytes is no point of its curve")
        prime, coefficient = self._prime, self._coefficient
        u = (int.from_bytes(point, "little") & (1 << prime.bit_length()) - 1) % prime
        x2, z2, x3, z3 = 1, 0, u, 1
        for place in range(scalar.bit_length() - 1, -1, -1):
            bit = scalar >> place & 1
            if bit:
                x2, z2, x3, z3 = x3, z3, x2, z2
            total, difference = x2 + z2, x2 - z2
            total_square, difference_square = total * total % prime, difference * difference % prime
            width = total_square - difference_square
            crossed = (x3 - z3) * total % prime
            mirrored = (x3 + z3) * difference % prime
            x3 = (crossed + mirrored) ** 2 % prime
            z3 = u * (crossed - mirrored) ** 2 % prime
            x2 = total_square * difference_square % prime
            z2 = width * (total_square + coefficient * width) % prime
            if bit:
                x2, z2, x3, z3 = x3, z3, x2, z2
        return (x2 * pow(z2, prime - 2, prime) % prime).to_bytes(self._size_bytes, "little")

    def shared_secret(self, scalar: int, public: bytes) -> bytes:
        """Return what both sides know; raises :class:`wire.DecodeError` where that is zero (RFC 8446 7.4.2)."""
        secret = self.multiply(scalar, public)
        if not any(secret):
            raise wire.DecodeError("a public value has a low order")
        return secret


CURVES: dict[int, WeierstrassCurve | MontgomeryCurve] = {
    0x0017: WeierstrassCurve(0x0017, 2**256 - 2**224 + 2**192 + 2**96 - 1),
    0x0018: WeierstrassCurve(0x0018, 2**384 - 2**128 - 2**96 + 2**32 - 1),
    0x0019: WeierstrassCurve(0x0019, 2**521 - 1),
    0x001D: MontgomeryCurve(2**255 - 19, 121665, 32),
    0x001E: MontgomeryCurve(2**448 - 2**224 - 1, 39081, 56),
}
