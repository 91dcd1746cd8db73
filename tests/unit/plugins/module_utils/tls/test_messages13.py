# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decoding what TLS 1.3 sends encrypted, whole, cut short and at random."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import messages13, wire

from .stub13 import certificate_message, extensions, ticket_message

OCSP = b"\x01" + wire.vector(b"response", 3)
DECODERS: tuple[Callable[[bytes], object], ...] = (
    messages13.decode_encrypted_extensions,
    messages13.decode_certificates,
    messages13.decode_request_context,
    messages13.decode_signature_scheme,
    messages13.decode_new_session_ticket,
)


def test_what_is_stapled_to_the_leaf_alone_counts() -> None:
    body = certificate_message(b"leaf", b"issuer", leaf=((5, OCSP), (18, b"scts")))
    assert messages13.decode_certificates(body) == messages13.Certificates((b"leaf", b"issuer"), b"response", b"scts")
    entries = wire.vector(b"leaf", 3) + extensions() + wire.vector(b"issuer", 3) + extensions((5, OCSP), (18, b"scts"))
    certificates = messages13.decode_certificates(b"\x00" + wire.vector(entries, 3))
    assert (certificates.stapled_ocsp, certificates.sct_list) == (None, None)


@pytest.mark.parametrize("leaf", [(), ((5, b"\x02" + wire.vector(b"list", 3)),), ((5, b"\x01\x00\x00\x00"), (18, b""))])
def test_nothing_is_stapled(leaf: tuple[tuple[int, bytes], ...]) -> None:
    certificates = messages13.decode_certificates(certificate_message(b"leaf", leaf=leaf))
    assert (certificates.stapled_ocsp, certificates.sct_list) == (None, None)


@pytest.mark.parametrize(("early_data", "most"), [(None, 0), (bytes(4), 0), (b"\x00\x00\x40\x00", 16384)])
def test_a_ticket(early_data: bytes | None, most: int) -> None:
    ticket = messages13.decode_new_session_ticket(ticket_message(b"identity", 7200, early_data))
    assert (ticket.lifetime_seconds, ticket.identity, ticket.nonce) == (7200, b"identity", b"\x00")
    assert ticket.max_early_data_bytes == most


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (messages13.decode_encrypted_extensions, extensions((16, b"\x00\x03\x02h2"))),
        (messages13.decode_certificates, certificate_message(b"leaf", leaf=((5, OCSP),))),
        (messages13.decode_request_context, wire.vector(b"context", 1)),
        (messages13.decode_signature_scheme, b"\x08\x04"),
        (messages13.decode_new_session_ticket, ticket_message(early_data=bytes(4))),
    ],
)
def test_every_shorter_beginning_is_refused(decode: Callable[[bytes], object], body: bytes) -> None:
    decode(body)
    for length in range(len(body)):
        with pytest.raises(wire.DecodeError):
            decode(body[:length])


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(body: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(wire.DecodeError):
            decode(body)
