# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Peers as they are asked for, and what they come to."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_peers import Peers, decide_peers

TWO = {"lb1": "192.0.2.1", "lb2": "192.0.2.2"}
GIVEN = {"certificate": "/srv/lb1.pem", "ca_file": "/srv/ca.pem"}


def decide(addresses: dict[str, str] | None = None, **given: object) -> Peers:
    return decide_peers({"ca_directory": "/ca", **given}, "lb1", addresses or {})


@pytest.mark.parametrize("addresses", [{}, {"lb1": "192.0.2.1"}])
def test_alone_the_table_stays_on_loopback(addresses: dict[str, str]) -> None:
    peers = decide(addresses)
    assert (peers.name, peers.address, peers.port, peers.tls) == ("ringmaster", "127.0.0.1", 1023, "")
    assert peers.servers == [{"name": "lb1", "address": None, "parameters": ""}]
    assert peers.files == []
    assert peers.own == {}


def test_several_are_peers_of_each_other_and_know_each_other_by_certificate() -> None:
    peers = decide(TWO)
    assert peers.address == "192.0.2.1"
    assert "verify required" in peers.tls
    assert peers.servers == [
        {"name": "lb1", "address": None, "parameters": ""},
        {"name": "lb2", "address": "192.0.2.2", "parameters": " verifyhost lb2.peers.haproxy.internal"},
    ]


def test_the_key_of_its_own_certificate_is_sensitive() -> None:
    pair, authority = decide(TWO).files
    assert pair == {"path": "peers/peer.pem", "src": "/ca/hosts/lb1/peer/peer.pem", "mode": "0600", "sensitive": True}
    assert authority == {"path": "peers/ca.pem", "src": "/ca/ca.pem", "mode": "0644"}


def test_given_files_take_the_place_of_its_own() -> None:
    peers = decide(TWO, **GIVEN, server_name="{name}.example.org")
    assert peers.own == {}
    assert [file["src"] for file in peers.files] == ["/srv/lb1.pem", "/srv/ca.pem"]
    assert peers.servers[1]["parameters"] == " verifyhost lb2.example.org"


@pytest.mark.parametrize(
    ("own", "label"), [("lb1", "lb1"), ("LB_1.example.org", "lb-1-example-org"), ("192.0.2.7", "192-0-2-7")]
)
def test_whatever_the_inventory_calls_a_host_can_stand_in_its_certificate(own: str, label: str) -> None:
    assert decide_peers({}, own, {own: "192.0.2.1", "b": "192.0.2.2"}).own["name"] == f"{label}.peers.haproxy.internal"


@pytest.mark.parametrize(
    ("addresses", "given", "address"),
    [
        ({"lb1": "lb1.example.org", "lb2": "192.0.2.2"}, {}, "*"),
        ({"lb1": "", "lb2": ""}, {}, "*"),
        ({"lb1": "2001:db8::1", "lb2": "2001:db8::2"}, {}, "2001:db8::1"),
        (TWO, {"address": "10.0.0.1"}, "10.0.0.1"),
    ],
)
def test_where_it_listens(addresses: dict[str, str], given: dict[str, Any], address: str) -> None:
    assert decide(addresses, **given).address == address


def test_a_host_without_an_address_is_reached_by_its_name() -> None:
    assert decide({"lb1": "", "lb2": ""}).servers[1]["address"] == "lb2"


@pytest.mark.parametrize(
    ("addresses", "given", "tls"),
    [
        ({"lb1": "127.0.0.1", "lb2": "127.0.0.2"}, {}, False),
        ({}, {"address": "192.0.2.1"}, True),
        ({}, {"address": "::1"}, False),
        (TWO, {"tls": False}, False),
        ({}, {"tls": True}, True),
    ],
)
def test_what_leaves_loopback_is_encrypted_unless_asked_otherwise(
    addresses: dict[str, str], given: dict[str, Any], tls: bool
) -> None:
    assert bool(decide(addresses, **given).tls) is tls


def test_peers_in_the_clear_are_warned_about() -> None:
    assert re.search("192.0.2.1 port 1023 can read and write", decide(TWO, tls=False).warnings[0])
    assert decide(TWO).warnings == []
    assert decide(tls=False).warnings == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"address": "127.0.0.1"}, "haproxy_peers.address 127.0.0.1: lb2 cannot reach lb1 there"),
        ({"certificate": "/srv/lb1.pem"}, "haproxy_peers with certificate alone"),
        ({"ca_file": "/srv/ca.pem"}, "haproxy_peers with ca_file alone"),
        ({"name": "a b"}, "haproxy_peers.name 'a b'"),
        ({"tls": "no"}, "haproxy_peers.tls 'no'"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(sentence)):
        decide(TWO, **given)


def test_two_load_balancers_with_one_address_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"load balancers lb1 and lb3: both have the address 127\.0\.0\.1"):
        decide({"lb1": "127.0.0.1", "lb2": "127.0.0.2", "lb3": "127.0.0.1"})


@pytest.mark.parametrize(("own", "addresses"), [("lb 1", {}), ("lb2", {"lb2": "192.0.2.2", "lb 1": "192.0.2.1"})])
def test_a_name_that_haproxy_cannot_read_is_said_whosever_it_is(own: str, addresses: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="inventory name 'lb 1'"):
        decide_peers({}, own, addresses)


def test_addresses_may_be_in_brackets() -> None:
    peers = decide({"lb1": "[2001:db8::1]", "lb2": "[2001:DB8:0::2]"})
    assert (peers.address, peers.servers[1]["address"]) == ("2001:db8::1", "2001:db8::2")
    assert decide(address="[::1]").address == "::1"


def test_the_same_address_is_the_same_however_it_is_written() -> None:
    with pytest.raises(InvalidInputError, match="both have the address 2001:db8::1"):
        decide({"lb1": "[2001:db8::1]", "lb2": "2001:DB8:0::1"})


@pytest.mark.parametrize("address", ["192.0.2.2:1023", "[2001:db8::2", "lb2;x", "2001:db8::2]:1023"])
def test_what_is_neither_an_address_nor_a_name_is_said(address: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(f"haproxy_peers: address {address!r} of lb2")):
        decide({**TWO, "lb2": address})


def test_names_are_warned_about_because_somebody_must_resolve_them() -> None:
    (said,) = decide({**TWO, "lb2": "lb2.example.org"}).warnings
    assert "lb2.example.org are known by name" in said
    assert decide(TWO).warnings == []


def test_a_host_with_a_name_says_that_it_listens_on_ipv4_alone() -> None:
    named = {**TWO, "lb1": "lb1.example.org"}
    (said,) = decide(named).warnings
    assert "every IPv4 address" in said
    assert decide(named, address="192.0.2.1").warnings == []
