# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a name in a certificate is the name that was asked for (RFC 9525)."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import name_matches

CASES = [
    ("www.example.com", ["www.example.com"], [], True),
    ("WWW.Example.COM", ["www.example.com"], [], True),
    ("www.example.com.", ["www.example.com"], [], True),
    ("www.example.com", ["example.com"], [], False),
    ("www.example.com", ["*.example.com"], [], True),
    ("a.b.example.com", ["*.example.com"], [], False),
    ("example.com", ["*.example.com"], [], False),
    ("www.example.com", ["w*.example.com"], [], False),
    ("www.example.com", ["www.*.com"], [], False),
    ("example.com", ["*.com"], [], False),
    ("com", ["*"], [], False),
    ("münchen.example", ["xn--mnchen-3ya.example"], [], True),
    ("xn--mnchen-3ya.example", ["münchen.example"], [], True),
    ("192.0.2.1", ["192.0.2.1"], [], False),
    ("192.0.2.1", [], ["192.0.2.1"], True),
    ("2001:db8::1", [], ["2001:0db8:0:0:0:0:0:1"], True),
    ("192.0.2.1", ["*.0.2.1"], [], False),
    ("www.example.com", [], ["192.0.2.1"], False),
    ("", [""], [], False),
    ("a..b", ["a..b"], [], False),
]


@pytest.mark.parametrize(("reference", "dns", "addresses", "expected"), CASES)
def test_name_matches(reference: str, dns: list[str], addresses: list[str], expected: bool) -> None:
    assert name_matches(reference, dns, addresses) is expected
