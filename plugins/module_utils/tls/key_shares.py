# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Public values of named groups that are valid without a private key of ours.

They are the generators: SEC 2 (P-256, P-384, P-521), RFC 7748 4.1 and 4.2 (X25519, X448), RFC 5639 3 (Brainpool), RFC
8998 (SM2), RFC 7919 (finite fields). An ML-KEM encapsulation key of zeros passes the check of FIPS 203 7.2. The server
computes with them what nobody needs; nothing is secret, so nothing may be protected by them.
"""

from __future__ import annotations

from collections.abc import Iterable

# A hello with more than this may be split on its way or be refused; each group beyond it gets a hello of its own.
_MOST_BYTES = 1000

_X25519 = b"\x09" + bytes(31)
_P256 = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_P384 = bytes.fromhex(
    "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"
)
_SM2 = bytes.fromhex(
    "0432c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)
_ML_KEM_512, _ML_KEM_768, _ML_KEM_1024 = bytes(800), bytes(1184), bytes(1568)

_PUBLIC_VALUES: dict[int, bytes] = {
    0x0017: _P256,
    0x0018: _P384,
    0x0019: bytes.fromhex(
        "0400c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1"
        "856a429bf97e7e31c2e5bd66011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c5"
        "50b9013fad0761353c7086a272c24088be94769fd16650"
    ),
    0x001D: _X25519,
    0x001E: b"\x05" + bytes(55),
    0x001F: bytes.fromhex(
        "048bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262"
        "547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997"
    ),
    0x0020: bytes.fromhex(
        "041d1c64f068cf45ffa2a63a81b7c13f6b8847a3e77ef14fe3db7fcafe0cbd10e8e826e03436d646aaef87b2e247d4af1e"
        "8abe1d7520f9c2a45cb1eb8e95cfd55262b70b29feec5864e19c054ff99129280e4646217791811142820341263c5315"
    ),
    0x0021: bytes.fromhex(
        "0481aee4bdd82ed9645a21322e9c4c6a9385ed9f70b5d916c1b43b62eef4d0098eff3b1f78e2d0d48d50d1687b93b97d5f7c6d50474"
        "06a5e688b352209bcb9f8227dde385d566332ecc0eabfa9cf7822fdf209f70024a57b1aa000c55b881f8111b2dcde494a5f485e5bca4"
        "bd88a2763aed1ca2b2fa8f0540678cd1e0f3ad80892"
    ),
    0x0029: _SM2,
    # 2 generates the subgroup of prime order; a share is as long as the prime (RFC 8446 4.2.8.1).
    **{
        number: bytes(bits // 8 - 1) + b"\x02"
        for number, bits in zip(range(0x100, 0x105), (2048, 3072, 4096, 6144, 8192))
    },
    0x0200: _ML_KEM_512,
    0x0201: _ML_KEM_768,
    0x0202: _ML_KEM_1024,
    0x11EB: _P256 + _ML_KEM_768,
    0x11EC: _ML_KEM_768 + _X25519,
    0x11ED: _P384 + _ML_KEM_1024,
    0x11EE: _SM2 + _ML_KEM_768,
    0x6399: _X25519 + _ML_KEM_768,
}


def public_value(group: int) -> bytes | None:
    """Return a valid public value of a named group for a key_share, or ``None`` (the GOST curves)."""
    return _PUBLIC_VALUES.get(group)


def first_shareable(groups: Iterable[int]) -> tuple[int, ...]:
    """Return the first of the groups that there is a public value of, as a list of at most one."""
    return next(((group,) for group in groups if group in _PUBLIC_VALUES), ())


def in_few_hellos(groups: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the groups that can be shared in parts, each small enough to share all of it in one hello."""
    parts: list[tuple[int, ...]] = []
    used = _MOST_BYTES + 1
    shareable = [(len(_PUBLIC_VALUES[group]), group) for group in groups if group in _PUBLIC_VALUES]
    for length, group in sorted(shareable, key=lambda pair: (pair[0] > _MOST_BYTES // 2, groups.index(pair[1]))):
        if used + length > _MOST_BYTES:
            parts.append(())
            used = 0
        parts[-1] += (group,)
        used += length
    return parts
