# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Key shares without a key."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import key_shares, registry

CURVES: dict[int, ec.EllipticCurve] = {
    0x0017: ec.SECP256R1(),
    0x0018: ec.SECP384R1(),
    0x0019: ec.SECP521R1(),
    0x001F: ec.BrainpoolP256R1(),
    0x0020: ec.BrainpoolP384R1(),
    0x0021: ec.BrainpoolP512R1(),
}


@pytest.mark.parametrize(("group", "curve"), CURVES.items(), ids=[curve.name for curve in CURVES.values()])
def test_a_share_is_the_generator(group: int, curve: ec.EllipticCurve) -> None:
    numbers = ec.derive_private_key(1, curve).public_key().public_numbers()
    length = (curve.key_size + 7) // 8
    point = b"\x04" + numbers.x.to_bytes(length, "big") + numbers.y.to_bytes(length, "big")
    assert key_shares.public_value(group) == point


def test_the_point_of_sm2_is_on_its_curve() -> None:
    prime = 2**256 - 2**224 - 2**96 + 2**64 - 1
    b = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
    point = key_shares.public_value(0x0029) or b""
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    assert (y * y - x**3 + 3 * x - b) % prime == 0


def test_every_group_but_those_of_gost_can_be_shared() -> None:
    without = [group for group in registry.TLS13_GROUPS if key_shares.public_value(group) is None]
    assert [registry.named_group(group).name[:2] for group in without] == ["GC"] * 7


def test_a_hello_stays_small_and_nothing_is_lost() -> None:
    parts = key_shares.in_few_hellos(registry.TLS13_GROUPS)
    assert parts[0][:5] == (0x001D, 0x0017, 0x0018, 0x0019, 0x001E)
    shared = [group for part in parts for group in part]
    assert sorted(shared) == sorted(g for g in registry.TLS13_GROUPS if key_shares.public_value(g) is not None)
    lengths = [sum(len(key_shares.public_value(group) or b"") for group in part) for part in parts]
    assert all(length <= 1000 for length, part in zip(lengths, parts) if len(part) > 1)
