# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificate files before anything serves them."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress

import pytest
from cryptography import x509

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.certificate_files import judge_files
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.request import Endpoint

from ..tls.issued import NOW, Issued

PATH = "certificates/www/fullchain.pem"
NAMES = x509.SubjectAlternativeName(
    [
        x509.DNSName("www.example.com"),
        x509.DNSName("*.shop.example.com"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    ]
)
LEAF = Issued("www.example.com", extensions=[(NAMES, False)])
DAY = datetime.timedelta(days=1)


def judged(name: str, der: bytes | None, live: set[str], now: datetime.datetime = NOW) -> tuple[int, int]:
    """Return how many refusals and warnings there are."""
    chain = [] if der is None else [base64.b64encode(der).decode()]
    found = judge_files(Endpoint(name, certificates=(PATH,)), {PATH: chain}, live, now)
    return len(found.refusals), len(found.warnings)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("www.example.com", True),
        ("a.shop.example.com", True),
        ("a.b.shop.example.com", False),
        ("shop.example.com", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("example.com", False),
    ],
)
def test_a_certificate_must_cover_the_name(name: str, good: bool) -> None:
    assert judged(name, LEAF.der, set()) == ((0, 0) if good else (1, 0))


@pytest.mark.parametrize(
    ("now", "good"), [(NOW, True), (NOW + 81 * DAY, False), (NOW - 11 * DAY, False), (NOW + 79 * DAY, True)]
)
def test_a_certificate_must_be_valid_now(now: datetime.datetime, good: bool) -> None:
    assert judged("www.example.com", LEAF.der, set(), now) == ((0, 0) if good else (1, 0))


@pytest.mark.parametrize("der", [None, b"", b"no certificate"])
def test_a_file_without_a_certificate_is_refused(der: bytes | None) -> None:
    assert judged("www.example.com", der, set()) == (1, 0)


def test_text_that_is_no_base64_is_refused() -> None:
    found = judge_files(Endpoint("www.example.com", certificates=(PATH,)), {PATH: ["%"]}, set(), NOW)
    assert len(found.refusals) == 1


def test_the_very_certificate_that_is_live_is_a_warning() -> None:
    live = {hashlib.sha256(LEAF.der).hexdigest()}
    assert judged("other.example.com", LEAF.der, live) == (0, 1)
    assert judged("other.example.com", Issued("x", extensions=[(NAMES, False)]).der, live) == (1, 0)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (NOW + 81 * DAY, "it expired on 2026-08-20T12:00:00Z. Renew it"),
        (NOW - 11 * DAY, "it is not valid before 2026-05-22T12:00:00Z."),
    ],
)
def test_a_refusal_names_file_endpoint_and_date(now: datetime.datetime, words: str) -> None:
    chain = [base64.b64encode(LEAF.der).decode()]
    (text,) = judge_files(Endpoint("www.example.com", 8443), {PATH: chain}, set(), now).refusals
    assert text.startswith(f"{PATH}, the certificate of www.example.com:8443: {words}")
