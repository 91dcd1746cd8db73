# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets as people write them."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target import ResolveError, parse_target, resolve

GOOD = [
    ("www.example.com", "www.example.com", 443, "www.example.com", "www.example.com:443"),
    ("WWW.Example.com.:8443", "WWW.Example.com", 8443, "www.example.com", "WWW.Example.com:8443"),
    ("192.0.2.1:443", "192.0.2.1", 443, None, "192.0.2.1:443"),
    ("[2001:db8::1]:8443", "2001:db8::1", 8443, None, "[2001:db8::1]:8443"),
    ("[2001:db8::1]", "2001:db8::1", 443, None, "[2001:db8::1]:443"),
    ("2001:db8::1", "2001:db8::1", 443, None, "[2001:db8::1]:443"),
    ("münchen.example", "münchen.example", 443, "xn--mnchen-3ya.example", "münchen.example:443"),
    ({"host": "a.example"}, "a.example", 443, "a.example", "a.example:443"),
    (
        {"host": "192.0.2.1", "port": "8443", "server_name": "B.example"},
        "192.0.2.1",
        8443,
        "b.example",
        "192.0.2.1:8443",
    ),
    ({"host": "a.example", "name": "the shop"}, "a.example", 443, "a.example", "the shop"),
]


@pytest.mark.parametrize(("value", "host", "port", "server_name", "name"), GOOD)
def test_good(value: object, host: str, port: int, server_name: str | None, name: str) -> None:
    assert parse_target(value).as_dict() == {
        "host": host,
        "port": port,
        "server_name": server_name,
        "name": name,
        "starttls": None,
        "http_port": 80 if port == 443 else None,
    }


@pytest.mark.parametrize(
    ("value", "http_port"),
    [
        ({"host": "a.example", "port": 8443, "http_port": "8080"}, 8080),
        ({"host": "a.example", "http_port": 8080}, 8080),
        ({"host": "a.example", "port": 443, "starttls": "smtp"}, None),
        ("a.example:8443", None),
    ],
)
def test_where_the_site_answers_in_clear(value: object, http_port: int | None) -> None:
    assert parse_target(value).http_port == http_port


BAD = [
    ("a.example:0", "the port '0' is none"),
    ("a.example:65536", "the port '65536' is none"),
    ("a.example:", "the port '' is none"),
    ("a.example:https", "the port 'https' is none"),
    ("a.example:١٢", "is none"),
    ({"host": "a.example", "port": True}, "the port 'True' is none"),
    ({"host": "a.example", "http_port": 0}, "the port '0' is none"),
    ({"host": "a.example", "prot": 443}, "unknown option prot"),
    ({"port": 443}, "it has no host"),
    ({"host": ""}, "it has no host"),
    ("", "is no host name"),
    ("a b.example", "is no host name"),
    ("a..example", "is no host name"),
    ("[2001:db8::1", "is not closed"),
    ("[2001:db8::1]8443", "is not closed"),
    (443, "it is a int"),
    (None, "it is a NoneType"),
    ("x" * 64 + ".example", "is no host name"),
    ("a.example/path", "is no host name"),
    ("https://a.example/", "it is a URL"),
    ({"host": "https://a.example"}, "it is a URL"),
    ("stra\u00dfe.example", "encode differently"),
    ({"host": "192.0.2.1", "server_name": "fa\u00df.example"}, "encode differently"),
    ("a\r\n.example", "is no host name"),
]


@pytest.mark.parametrize(("value", "reason"), BAD)
def test_bad(value: object, reason: str) -> None:
    with pytest.raises(InvalidInputError, match="target") as caught:
        parse_target(value)
    assert reason in caught.value.reason
    assert caught.value.remedy


def test_an_address_needs_no_resolver() -> None:
    (endpoint,) = resolve(parse_target("127.0.0.1:1"), 5)
    assert (endpoint.address, endpoint.port) == ("127.0.0.1", 1)


def test_a_name_without_address_is_told() -> None:
    with pytest.raises(ResolveError, match="the name does not resolve") as caught:
        resolve(parse_target("nothing.invalid"), 30)
    assert caught.value.value == "nothing.invalid"
