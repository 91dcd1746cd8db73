# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a name in a certificate is the name that was asked for (RFC 9525); acceptance cases 36 and 51."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import dns_name_matches, name_matches

CASES = [
    ("the same name", "www.example.com", ["www.example.com"], [], True),
    ("one of several", "www.example.com", ["example.org", "www.example.com"], [], True),
    ("case_36 another name", "other.example.com", ["www.example.com"], [], False),
    ("case_36 no names at all", "www.example.com", [], [], False),
    ("case of the reference", "WWW.Example.COM", ["www.example.com"], [], True),
    ("case of the certificate", "www.example.com", ["WWW.EXAMPLE.COM"], [], True),
    ("an absolute name", "www.example.com.", ["www.example.com"], [], True),
    ("an absolute name and a wildcard", "www.example.com.", ["*.example.com"], [], True),
    ("two dots at the end", "www.example.com..", ["www.example.com"], [], False),
    ("a dot at the end in the certificate", "www.example.com", ["www.example.com."], [], False),
    ("the parent", "www.example.com", ["example.com"], [], False),
    ("the child", "example.com", ["www.example.com"], [], False),
    ("wildcard", "www.example.com", ["*.example.com"], [], True),
    ("wildcard, case", "www.example.com", ["*.EXAMPLE.com"], [], True),
    ("wildcard over two labels", "a.b.example.com", ["*.example.com"], [], False),
    ("wildcard over no label", "example.com", ["*.example.com"], [], False),
    ("wildcard of another domain", "www.example.org", ["*.example.com"], [], False),
    ("wildcard within a label", "www.example.com", ["w*.example.com"], [], False),
    ("wildcard at the end of a label", "www.example.com", ["*w.example.com"], [], False),
    ("wildcard in the middle", "www.example.com", ["www.*.com"], [], False),
    ("two wildcards", "a.b.example.com", ["*.*.example.com"], [], False),
    ("wildcard over a top level", "example.com", ["*.com"], [], False),
    ("wildcard alone", "com", ["*"], [], False),
    ("wildcard as the reference", "*.example.com", ["*.example.com"], [], False),
    ("wildcard for an A-label", "xn--mnchen-3ya.example.com", ["*.example.com"], [], True),
    ("case_51 a U-label", "münchen.example", ["xn--mnchen-3ya.example"], [], True),
    ("case_51 an A-label", "xn--mnchen-3ya.example", ["xn--mnchen-3ya.example"], [], True),
    ("case_51 an A-label in capitals", "XN--MNCHEN-3YA.example", ["xn--mnchen-3ya.example"], [], True),
    ("case_51 a U-label in capitals", "MÜNCHEN.example", ["xn--mnchen-3ya.example"], [], True),
    ("a U-label in the certificate", "xn--mnchen-3ya.example", ["münchen.example"], [], False),
    ("a letter that only looks like one, in the certificate", "k.example.com", ["\u212a.example.com"], [], False),
    ("case_51 an IPv4 address", "192.0.2.1", [], ["192.0.2.1"], True),
    ("another IPv4 address", "192.0.2.1", [], ["192.0.2.2"], False),
    ("an IPv4 address as a DNS name", "192.0.2.1", ["192.0.2.1"], [], False),
    ("an IPv4 address with a dot, as a DNS name", "192.0.2.1.", ["192.0.2.1"], [], False),
    ("a short IPv4 address as a DNS name", "127.1", ["127.1"], [], False),
    ("an IPv4 address and a wildcard", "192.0.2.1", ["*.0.2.1"], [], False),
    ("case_51 an IPv6 address", "2001:db8::1", [], ["2001:0db8:0:0:0:0:0:1"], True),
    ("an IPv6 address with a zone", "fe80::1%eth0", [], ["fe80::1"], True),
    ("an IPv4 address is not its IPv6 form", "::ffff:192.0.2.1", [], ["192.0.2.1"], False),
    ("a name for which there is an address", "www.example.com", [], ["192.0.2.1"], False),
    ("a NUL in the certificate", "www.example.com", ["www.example.com\0.example.org"], [], False),
    ("underscores", "a_b.example.com", ["a_b.example.com"], [], True),
    ("nothing", "", [""], [], False),
    ("a dot", ".", [""], [], False),
    ("an empty label", "a..b", ["a..b"], [], False),
    ("a label that is too long to encode", "ü" * 80, ["x"], [], False),
]


@pytest.mark.parametrize(
    ("reference", "dns", "addresses", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_name_matches(reference: str, dns: list[str], addresses: list[str], expected: bool) -> None:
    assert name_matches(reference, dns, addresses) is expected


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_too_odd(reference: str, presented: str) -> None:
    assert name_matches(reference, [presented], [presented]) in (True, False)


@given(st.from_regex(r"[a-z][a-z0-9]{0,10}(\.[a-z][a-z0-9]{0,10}){2,4}", fullmatch=True))
def test_a_wildcard_stands_for_one_label_alone(host: str) -> None:
    parent = host.partition(".")[2]
    assert dns_name_matches(host, f"*.{parent}")
    assert not dns_name_matches(f"a.{host}", f"*.{parent}")
    assert not dns_name_matches(parent, f"*.{parent}")
