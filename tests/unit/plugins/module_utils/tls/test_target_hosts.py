# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets on known hosts, and others."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.target_hosts import is_on

HOSTS = ["web1.example.com", "192.0.2.1", "2001:db8:0:0::1", "short."]


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("web1.example.com", True),
        ("WEB1.example.com.:8443", True),
        ("192.0.2.1:8443", True),
        ("[2001:db8::1]:443", True),
        ("2001:DB8::1", True),
        ({"host": "192.0.2.1", "server_name": "www.example.com"}, True),
        ({"host": "short", "starttls": "smtp"}, True),
        ("example.com", False),
        ("web1.example.com.evil.test", False),
        ("192.0.2.10", False),
        ({"host": "www.example.com", "server_name": "web1.example.com"}, False),
        ({"host": "www.example.com", "name": "web1.example.com"}, False),
        ("https://web1.example.com/", False),
        ({"host": "web1.example.com", "prot": 1}, False),
        (443, False),
        ("", False),
    ],
)
def test_a_target_is_on_a_host_by_its_own_host_alone(target: object, known: bool) -> None:
    assert is_on(target, HOSTS) is known


def test_nothing_is_on_no_host() -> None:
    assert not is_on("web1.example.com", [])
