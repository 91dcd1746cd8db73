# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signed certificate timestamps from all three places, put together as RFC 6962 3.2 and 3.3 say."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate_timestamps
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.issued import (
    LEAF,
    MIDDLE,
    NOW,
    Issued,
    mutated,
)

MILLISECONDS = int(NOW.timestamp() * 1000) + 789
IN_CERTIFICATE = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
OID_IN_RESPONSE = bytes.fromhex("060a2b06010401d679020405")  # 1.3.6.1.4.1.11129.2.4.5


def sct(log: bytes, version: int = 0, milliseconds: int = MILLISECONDS, tail: bytes = b"") -> bytes:
    signature = b"\x04\x03" + vector(b"signature")  # SHA-256 and ECDSA
    return bytes([version]) + log * 32 + struct.pack("!Q", milliseconds) + vector(b"") + signature + tail


def vector(content: bytes) -> bytes:
    return struct.pack("!H", len(content)) + content


def sct_list(*timestamps: bytes) -> bytes:
    return vector(b"".join(map(vector, timestamps)))


# --- just enough DER to put a list where it belongs


def element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    encoded = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(encoded)]) + encoded + content


def first(der: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and content of the first element, and what follows it."""
    start, length = 2, der[1]
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(der[2:start], "big")
    return der[0], der[start : start + length], der[start + length :]


def appended(der: bytes, path: tuple[int, ...], extra: bytes) -> bytes:
    """Append to the content of an element that a path of places leads to, and make all lengths around it fit."""
    tag, content, rest = first(der)
    if not path:
        return element(tag, content + extra) + rest
    before, inside = b"", content
    for _place in range(path[0]):
        skipped = inside[: len(inside) - len(first(inside)[2])]
        before, inside = before + skipped, inside[len(skipped) :]
    return element(tag, before + appended(inside, path[1:], extra)) + rest


def with_list(data: bytes) -> bytes:
    """Return a certificate with a list of timestamps."""
    extension = x509.UnrecognizedExtension(IN_CERTIFICATE, element(0x04, data))
    return Issued("leaf", MIDDLE, [(extension, False)]).der


def response(data: bytes | None) -> bytes:
    """Return an OCSP response with a list beside its answer; the package makes none, so the signature is broken."""
    builder = ocsp.OCSPResponseBuilder().add_response(
        LEAF.certificate, MIDDLE.certificate, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, NOW, None, None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, MIDDLE.certificate)
    der = builder.sign(MIDDLE.key, hashes.SHA256()).public_bytes(Encoding.DER)
    if data is None:
        return der
    extension = element(0x30, OID_IN_RESPONSE + element(0x04, element(0x04, data)))
    # OCSPResponse, [0], ResponseBytes, the OCTET STRING, BasicOCSPResponse, ResponseData, responses, SingleResponse
    return appended(der, (1, 0, 1, 0, 0, 2, 0), element(0xA1, element(0x30, extension)))


# --- what is found


def entry(source: str, log: bytes) -> dict[str, Any]:
    return {
        "source": source,
        "version": 1,
        "log_id": (log * 32).hex(),
        "timestamp": "2026-06-01T12:00:00Z",
        "error": None,
        "verified": None,
    }


def test_all_three_places() -> None:
    found = certificate_timestamps.describe(
        with_list(sct_list(sct(b"a"), sct(b"b"))), sct_list(sct(b"c")), response(sct_list(sct(b"d")))
    )
    places = (("certificate", b"a"), ("certificate", b"b"), ("tls", b"c"), ("ocsp", b"d"))
    assert found == [entry(source, log) for source, log in places]


def test_no_place() -> None:
    assert certificate_timestamps.describe(LEAF.der, None, None) == []
    assert certificate_timestamps.describe(LEAF.der, None, response(None)) == []
    assert certificate_timestamps.describe(b"nothing", None, b"nothing") == []


@pytest.mark.parametrize("count", [1, 3, 6])
def test_the_length_of_the_list_in_a_certificate_may_take_more_than_a_byte(count: int) -> None:
    found = certificate_timestamps.describe(with_list(sct_list(*[sct(b"a")] * count)), None, None)
    assert found == [entry("certificate", b"a")] * count


# --- what is wrong


BAD = [
    ("an empty content", b"", "cut short"),
    ("an empty list", sct_list(), "nothing in it"),
    ("an empty timestamp", sct_list(b""), "cut short"),
    ("a list that is too short", sct_list(sct(b"a"))[:-1], "cut short"),
    ("more behind the list", sct_list(sct(b"a")) + b"x", "no end"),
    ("a timestamp that is too short", sct_list(sct(b"a")[:-1]), "cut short"),
    ("more behind a timestamp", sct_list(sct(b"a", tail=b"xy")), "2 bytes follow"),
    ("another version", sct_list(sct(b"a", version=1)), "version 2 is not known"),
    ("a time beyond all years", sct_list(sct(b"a", milliseconds=(1 << 64) - 1)), "beyond the year 9999"),
]


@pytest.mark.parametrize(("data", "error"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_cannot_be_read_says_why(data: bytes, error: str) -> None:
    (found,) = certificate_timestamps.describe(LEAF.der, data, None)
    assert error in str(found["error"])
    assert (found["source"], found["log_id"], found["timestamp"], found["verified"]) == ("tls", None, None, None)
    assert found["version"] == (2 if "version" in error else None)


def test_a_bad_timestamp_hides_no_good_one() -> None:
    found = certificate_timestamps.describe(LEAF.der, sct_list(b"\0", sct(b"a"), sct(b"b", version=7)), None)
    assert [one["version"] for one in found] == [None, 1, 8]


def test_a_hostile_list_ends_after_64() -> None:
    found = certificate_timestamps.describe(LEAF.der, sct_list(*[sct(b"a")] * 1000), None)
    assert (len(found), found[-1]["error"]) == (65, "there are more than 64 timestamps")


@given(st.one_of(st.binary(max_size=200), mutated(sct_list(sct(b"a"), sct(b"b")))))
def test_a_damaged_list_is_described(data: bytes) -> None:
    found = certificate_timestamps.describe(LEAF.der, data, None)
    assert found
    assert all((one["error"] is None) is (one["log_id"] is not None) for one in found)


@given(mutated(response(sct_list(sct(b"d")))), mutated(with_list(sct_list(sct(b"a")))))
def test_damaged_responses_and_certificates_end_nothing(response_der: bytes, certificate_der: bytes) -> None:
    found = certificate_timestamps.describe(certificate_der, None, response_der)
    assert {one["source"] for one in found} <= {"certificate", "ocsp"}
