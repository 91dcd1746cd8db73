# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What first flights tell, answer by answer."""

from __future__ import annotations

import ssl

import pytest
import trustme

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import flights, registry, wire

RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET, HEARTBEAT = 65281, 23, 15


def flight(
    *extensions: int, suite: int = 0xC02F, exchange: wire.KeyExchange | None = None, der: bytes = b""
) -> wire.Flight:
    hello = wire.ServerHello(registry.TLS12, bytes(32), suite, 0, dict.fromkeys(extensions, b""), False, None)
    return wire.Flight(server_hello=hello, certificates=[der] if der else [], key_exchange=exchange, complete=True)


def named(name: str, *found: wire.Flight) -> list[tuple[str, wire.Flight]]:
    return [(name, one) for one in found]


def test_what_any_answer_echoes_is_echoed() -> None:
    seen = named("TLSv1.2", flight(RENEGOTIATION_INFO), flight(HEARTBEAT))
    assert flights.extensions(seen) == {"TLSv1.2": ["renegotiation_info", "heartbeat"]}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (named("TLSv1.2", flight(RENEGOTIATION_INFO), flight(RENEGOTIATION_INFO)), True),
        (named("TLSv1.2", flight(RENEGOTIATION_INFO), flight()), False),
        (named("SSLv3", flight()), None),
        ([], None),
    ],
    ids=["all", "one does not", "SSL 3.0 tells nothing", "no answer"],
)
def test_renegotiation_is_secure_in_every_answer_or_not_at_all(
    seen: list[tuple[str, wire.Flight]], expected: bool | None
) -> None:
    assert flights.secure_renegotiation(seen) is expected


def test_answers_that_disagree_are_told() -> None:
    same, other = flight(EXTENDED_MASTER_SECRET), flight()
    assert flights.disagreeing([*named("TLSv1.2", same, same), *named("TLSv1.1", other)]) == []
    assert flights.disagreeing(named("TLSv1.2", same, other)) == ["TLSv1.2"]
    assert flights.disagreeing(named("TLSv1.2", flight(RENEGOTIATION_INFO), other)) == ["TLSv1.2"]


@pytest.mark.parametrize(
    ("version", "end", "accepted", "promised"),
    [
        (registry.TLS12, b"DOWNGRD\x01", (registry.TLS12,), {registry.TLS13}),
        (registry.TLS12, b"DOWNGRD\x01", (registry.TLS12, registry.TLS13), set()),
        (registry.TLS12, bytes(8), (registry.TLS12,), set()),
        (registry.TLS10, b"DOWNGRD\x00", (registry.TLS10,), {registry.TLS12, registry.TLS13}),
        (registry.TLS10, b"DOWNGRD\x00", (registry.TLS10, registry.TLS13), set()),
    ],
)
def test_a_sentinel_promises_a_version_above(
    version: int, end: bytes, accepted: tuple[int, ...], promised: set[int]
) -> None:
    hello = wire.ServerHello(version, bytes(24) + end, 0xC02F, 0, {}, False, None)
    seen = named(registry.VERSION_NAMES[version], wire.Flight(server_hello=hello, complete=True))
    assert flights.versions_above(seen, accepted) == promised


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (flight(), ["certificates.TLSv1.2", "groups.TLSv1.2"]),
        (flight(der=b"x", exchange=wire.KeyExchange(group=29)), []),
        (flight(der=b"x", exchange=wire.KeyExchange()), ["groups.TLSv1.2"]),
        (flight(suite=0x009E, der=b"x"), ["dh_parameters.TLSv1.2"]),
        (flight(suite=0x009E, der=b"x", exchange=wire.KeyExchange(dh_prime_bits=2048)), []),
        (flight(suite=0x009C, der=b"x"), []),
        (flight(suite=0x0034, exchange=wire.KeyExchange(dh_prime_bits=2048)), []),
    ],
    ids=["cut", "ECDHE", "explicit curve", "DHE cut", "DHE", "RSA", "anonymous"],
)
def test_what_a_flight_leaves_out(seen: wire.Flight, expected: list[str]) -> None:
    assert flights.left_out("TLSv1.2", seen) == expected


def test_kinds_of_keys(ca: trustme.CA) -> None:
    for key_type, expected in ((trustme.KeyType.RSA, "RSA"), (trustme.KeyType.ECDSA, "ECDSA")):
        leaf = ca.issue_cert("a.example", key_type=key_type)
        assert flights.key_type(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())) == expected
    assert flights.key_type(b"\x30\x00") == "other"
