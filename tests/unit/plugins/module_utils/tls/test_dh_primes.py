# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of known primes, computed again from their definitions."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import dh_primes

# More bits than wanted: what the divisions cut off must not reach the wanted ones.
GUARD_BITS = 64


def scaled_pi(bits: int) -> int:
    """Return floor(2^bits * pi), by Machin's formula."""
    one = 1 << (bits + GUARD_BITS)

    def arc_tangent_of_inverse(x: int) -> int:
        term = total = one // x
        for divisor in range(3, 2 * one.bit_length(), 2):
            term //= -x * x
            total += term // divisor
        return total

    return (16 * arc_tangent_of_inverse(5) - 4 * arc_tangent_of_inverse(239)) >> GUARD_BITS


def scaled_e(bits: int) -> int:
    """Return floor(2^bits * e)."""
    term = total = 1 << (bits + GUARD_BITS)
    divisor = 0
    while term:
        divisor += 1
        term //= divisor
        total += term
    return total >> GUARD_BITS


FORMULAS = [
    ("RFC 2409 group 1", 768, scaled_pi, 149686),
    ("RFC 2409 group 2", 1024, scaled_pi, 129093),
    ("RFC 3526 group 5", 1536, scaled_pi, 741804),
    ("RFC 3526 group 14", 2048, scaled_pi, 124476),
    ("RFC 3526 group 15", 3072, scaled_pi, 1690314),
    ("RFC 3526 group 16", 4096, scaled_pi, 240904),
    ("RFC 3526 group 17", 6144, scaled_pi, 929484),
    ("RFC 3526 group 18", 8192, scaled_pi, 4743158),
    ("RFC 7919 ffdhe2048", 2048, scaled_e, 560316),
    ("RFC 7919 ffdhe3072", 3072, scaled_e, 2625351),
    ("RFC 7919 ffdhe4096", 4096, scaled_e, 5736041),
    ("RFC 7919 ffdhe6144", 6144, scaled_e, 15705020),
    ("RFC 7919 ffdhe8192", 8192, scaled_e, 10965728),
]


@pytest.mark.parametrize("name, bits, constant, added", FORMULAS, ids=[entry[0] for entry in FORMULAS])
def test_primes_with_a_formula(name: str, bits: int, constant: Callable[[int], int], added: int) -> None:
    prime = 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (constant(bits - 130) + added)
    assert dh_primes.name_of(hashlib.sha256(prime.to_bytes(bits // 8, "big")).hexdigest()) == name


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_primes_of_rfc_5114(number: int) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl, which has these primes, is not installed")
    generate = [program, "genpkey", "-genparam", "-algorithm", "DHX", "-pkeyopt", f"dh_rfc5114:{number}"]
    pem = subprocess.run(generate, capture_output=True, check=True).stdout
    shown = subprocess.run([program, "asn1parse"], input=pem, capture_output=True, check=True).stdout
    prime = re.search(rb"INTEGER +:([0-9A-F]+)", shown)
    assert prime is not None
    digest = hashlib.sha256(bytes.fromhex(prime.group(1).decode())).hexdigest()
    assert dh_primes.name_of(digest) == f"RFC 5114 group {number + 21}"


def test_a_prime_of_ones_own_has_no_name() -> None:
    assert dh_primes.name_of(hashlib.sha256(b"\xff" * 256).hexdigest()) is None
