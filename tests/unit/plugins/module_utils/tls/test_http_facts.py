# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP facts: the Strict-Transport-Security grammar (RFC 6797) and the head of a response."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.http_head import parse_hsts, parse_response

VALID = [
    ("max-age=31536000", 31536000, False, False),
    ("max-age=0", 0, False, False),
    ('max-age="600"', 600, False, False),
    ("MAX-AGE=600; IncludeSubDomains", 600, True, False),
    (" ; max-age=600 ;; preload ; includeSubDomains;", 600, True, True),
    ("max-age = 600", 600, False, False),
    ('max-age=600; unknown="a;b"', 600, False, False),
]
INVALID = [
    "",
    "max-age",
    "max-age=",
    "max-age=abc",
    "max-age=-1",
    "max-age=1.5",
    "includeSubDomains",
    "max-age=1; max-age=2",
    "max-age=1; includeSubDomains; includesubdomains",
    "max-age=1; includeSubDomains=1",
    'max-age="1',
    "max-age=1 2",
    "max-age=1, includeSubDomains",
    "max-age=1; =x",
]


@pytest.mark.parametrize(("value", "max_age", "subdomains", "preload"), VALID)
def test_valid(value: str, max_age: int, subdomains: bool, preload: bool) -> None:
    facts = parse_hsts([value])
    assert facts["valid"] is True
    assert (facts["max_age_seconds"], facts["include_subdomains"], facts["preload"]) == (max_age, subdomains, preload)


@pytest.mark.parametrize("value", INVALID)
def test_invalid(value: str) -> None:
    facts = parse_hsts([value])
    assert (facts["present"], facts["valid"], facts["max_age_seconds"]) == (True, False, None)


def test_absent() -> None:
    assert parse_hsts([])["present"] is False


def test_only_the_first_field_counts() -> None:
    assert parse_hsts(["max-age=1", "max-age=2"])["max_age_seconds"] == 1
    assert parse_hsts(["nonsense=", "max-age=2"])["valid"] is False


@pytest.mark.parametrize("status", [200, 301, 401, 404, 503])
def test_hsts_counts_on_whatever_status(status: int) -> None:
    head = f"HTTP/1.1 {status} Whatever\r\nStrict-Transport-Security: max-age=7\r\n\r\nbody".encode()
    facts = parse_response(head)
    assert facts["status"] == status
    assert facts["strict_transport_security"] == parse_hsts(["max-age=7"])


def test_a_header_in_the_body_does_not_count() -> None:
    facts = parse_response(b"HTTP/1.0 200 OK\r\n\r\nStrict-Transport-Security: max-age=7\r\n")
    assert facts["strict_transport_security"] == parse_hsts([])


@pytest.mark.parametrize("received", [b"", b"* OK IMAP4rev1\r\n", b"\x00\xff" * 20, b"HTTP/1.1 abc\r\n\r\n"])
def test_no_http(received: bytes) -> None:
    assert parse_response(received)["speaks_http"] is False
