# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All signature schemes of a server, and what is said where an answer does not tell."""

from __future__ import annotations

from typing import Any

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry, scan, signature_schemes, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply

from .conftest import Servers

RSA_PSS = ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"]
RSA_PKCS1 = ["rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512", "rsa_pkcs1_sha224"]
# TLS 1.2 ties ECDSA to no curve (RFC 5246 7.4.1.4.1), TLS 1.3 ties each scheme to one.
ECDSA = ["ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512", "ecdsa_sha224"]


@pytest.mark.parametrize(
    ("key_type", "expected"),
    [
        (trustme.KeyType.RSA, {"TLSv1.2": RSA_PSS + RSA_PKCS1, "TLSv1.3": RSA_PSS}),
        (trustme.KeyType.ECDSA, {"TLSv1.2": ECDSA, "TLSv1.3": ECDSA[:1]}),
    ],
)
def test_openssl(servers: Servers, key_type: trustme.KeyType, expected: dict[str, list[str]]) -> None:
    port = servers.openssl("-cipher", "ECDHE+AESGCM", key_type=key_type)
    (facts,) = scan.scan_targets([f"localhost:{port}"], scan.Options(vulnerability_tests="deep"))
    found: Any = facts["signature_schemes"]
    assert {name: {entry["name"] for entry in entries} for name, entries in found.items()} == {
        name: set(schemes) for name, schemes in expected.items()
    }
    assert facts["not_tested"] == []


def answer(version: int, scheme: int | None = None) -> Reply:
    hello = wire.ServerHello(version, bytes(32), 0xC02F, 0, {}, False, None)
    return Reply(wire.Flight(hello, key_exchange=wire.KeyExchange(group=0x1D, signature_scheme=scheme)))


REFUSED = Reply(refused=True, alert=40)


@pytest.mark.parametrize(
    ("reply", "gap"),
    [
        (REFUSED, ""),
        (Reply(reason="silence, twice"), "silence, twice"),
        (answer(registry.TLS12), "an answer showed no signature scheme"),
        (answer(registry.TLS12, 0xABCD), "the server signed with 0xABCD, which was not offered"),
        (answer(registry.TLS12, 0x0401), "the server signed with 0x0401, which was not offered"),
    ],
    ids=["refuses", "is silent", "shows none", "signs with another", "signs with the same again"],
)
def test_the_end_of_a_list(reply: Reply, gap: str) -> None:
    replies = iter((answer(registry.TLS12, 0x0401), reply))
    found = signature_schemes.by_removal(lambda _schemes: next(replies))
    assert (found.accepted, found.gap) == ([0x0401], gap)


def test_a_server_that_accepts_all_there_is_ends_too() -> None:
    found = signature_schemes.by_removal(lambda schemes: answer(registry.TLS12, schemes[-1]))
    assert (sorted(found.accepted), found.gap) == (sorted(registry.SIGNATURE_SCHEMES), "")


@pytest.mark.parametrize(
    ("other", "gap"),
    [
        (REFUSED, ""),
        (Reply(reason="silence, twice"), "silence, twice"),
        (answer(registry.TLS12), "the server answered with an older version"),
    ],
    ids=["refuses", "is silent", "steps down"],
)
def test_one_by_one(other: Reply, gap: str) -> None:
    asked: list[int] = []

    def question(schemes: tuple[int, ...]) -> Reply:
        asked.extend(schemes)
        return answer(registry.TLS13) if schemes == (0x0804,) else other

    found = signature_schemes.one_by_one(question)
    assert (found.accepted, found.gap) == ([0x0804], gap)
    assert len(asked) == len(set(asked))
    assert {0x0401, 0x0203, 0x0402, 0x0101}.isdisjoint(asked)
