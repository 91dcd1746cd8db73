# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts take over from the machine: apt's settings, name servers, names."""

from __future__ import annotations

import pytest
from labkit.aptconfig import Setting, files_named, parse_dump, render, seen_from_lab, with_environment_proxies
from labkit.resolver import choose_nameservers, hosts_entries, parse_nameservers

DUMP = """\
APT::Architecture "amd64";
Acquire::http::Proxy "http://proxy.example.test:3128";
Acquire::http::Proxy::near.example.test "DIRECT";
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::Check-Valid-Until "false";
Acquire::AllowInsecureRepositories "true";
Acquire::http::Proxy-Auto-Detect "/usr/bin/find-proxy";
Acquire::http "";
APT::Get::AllowUnauthenticated "true";
"""


def test_ways_to_the_archive_are_inherited() -> None:
    assert render(parse_dump(DUMP)) == (
        'Acquire::http::Proxy "http://proxy.example.test:3128";\n'
        'Acquire::http::Proxy::near.example.test "DIRECT";\n'
        'Acquire::https::CaInfo "/etc/ssl/own.pem";\n'
        'Acquire::Check-Valid-Until "false";\n'
    )


@pytest.mark.parametrize("key", ["AllowInsecureRepositories", "AllowUnauthenticated", "AllowWeakRepositories"])
def test_nothing_that_skips_a_signature_is_inherited(key: str) -> None:
    assert parse_dump(f'Acquire::{key} "true";\nAPT::Get::{key} "true";\n') == []


def test_files_that_settings_name_are_known() -> None:
    assert files_named(parse_dump(DUMP)) == ["/etc/ssl/own.pem"]


def test_environments_proxy_counts_where_apt_names_none() -> None:
    environment = {"http_proxy": "other:1", "https_proxy": "other:2", "no_proxy": "localhost, .example.test"}
    settings = with_environment_proxies([Setting("Acquire::http::Proxy", "http://own:3128")], environment)
    assert settings == [
        Setting("Acquire::http::Proxy", "http://own:3128"),
        Setting("Acquire::https::Proxy", "http://other:2"),
        Setting("Acquire::https::Proxy::localhost", "DIRECT"),
        Setting("Acquire::https::Proxy::example.test", "DIRECT"),
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:3142", ("http://10.213.0.1:3142", 3142)),
        ("http://user:word@localhost:3142/", ("http://user:word@10.213.0.1:3142/", 3142)),
        ("http://localhost/debian", ("http://10.213.0.1:80/debian", 80)),
        ("http://proxy.example.test:3128", ("http://proxy.example.test:3128", None)),
        ("http://[::1/", ("http://[::1/", None)),
    ],
)
def test_services_on_loopback_are_reached_by_the_gateway(url: str, expected: tuple[str, int | None]) -> None:
    assert seen_from_lab(url, "10.213.0.1") == expected


def test_nameservers_are_ipv4_and_nonsense_is_passed_over() -> None:
    text = "search example.test\nnameserver 192.0.2.53\nnameserver fd00::53\nnameserver\nnameserver x\n"
    assert parse_nameservers(text) == ["192.0.2.53"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["nameserver 192.0.2.1\n", "nameserver 192.0.2.2\n"], ["192.0.2.1"]),
        (["nameserver 127.0.0.53\n", "nameserver 192.0.2.2\n"], ["192.0.2.2"]),
        (["nameserver 127.0.0.1\n", ""], ["127.0.0.1"]),
        (["", ""], []),
    ],
)
def test_servers_behind_a_stub_are_preferred_to_the_stub(files: list[str], expected: list[str]) -> None:
    assert choose_nameservers(files) == expected


def test_only_wanted_names_of_etc_hosts_and_never_loopback() -> None:
    text = "127.0.0.1 localhost cache\n192.0.2.9 mirror.example.test mirror # near\n192.0.2.8 other\n"
    assert hosts_entries(text, {"mirror.example.test", "cache"}) == [("192.0.2.9", "mirror.example.test")]
