# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The handshake messages that TLS 1.3 sends encrypted. Every decoder raises :class:`wire.DecodeError`.

Sources: RFC 8446 4.3 (extensions, CertificateRequest), 4.4 (Certificate, CertificateVerify), 4.6.1 (tickets).
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import wire

_EARLY_DATA = 42


@dataclass(frozen=True)
class Certificates:
    """The content of a Certificate message: DER in the order sent, and what was stapled to the first of them.

    ``sct_list`` is the content of the extension signed_certificate_timestamp (RFC 6962 3.3.1).
    """

    chain: tuple[bytes, ...]
    stapled_ocsp: bytes | None
    sct_list: bytes | None


NO_CERTIFICATES = Certificates((), None, None)


@dataclass(frozen=True)
class NewSessionTicket:
    """A ticket; ``max_early_data_bytes`` is 0 where early data may not be sent."""

    lifetime_seconds: int
    age_add: int
    nonce: bytes
    identity: bytes
    max_early_data_bytes: int


def decode_encrypted_extensions(body: bytes) -> dict[int, bytes]:
    """Return the extensions by number."""
    return wire.decode_extensions(wire.Reader(body, "the EncryptedExtensions").vector(2))


def decode_certificates(body: bytes) -> Certificates:
    """Decode a Certificate message."""
    reader = wire.Reader(body, "the certificate message")
    reader.vector(1)  # the context, which is empty during a handshake
    entries = wire.Reader(reader.vector(3), "the certificate list")
    chain: list[bytes] = []
    stapled: dict[int, bytes] = {}
    while entries.left:
        der, extensions = entries.vector(3), wire.decode_extensions(entries.vector(2))
        stapled = stapled if chain else extensions
        chain.append(der)
    status = stapled.get(wire.STATUS_REQUEST[0])
    return Certificates(
        tuple(chain),
        None if status is None else wire.decode_certificate_status(status),
        stapled.get(wire.EXT_SIGNED_CERTIFICATE_TIMESTAMP) or None,
    )


def decode_request_context(body: bytes) -> bytes:
    """Return the context of a CertificateRequest, which the answer repeats."""
    return wire.Reader(body, "the CertificateRequest").vector(1)


def decode_signature_scheme(body: bytes) -> int:
    """Return the signature scheme of a CertificateVerify."""
    return wire.Reader(body, "the CertificateVerify").number(2)


def decode_new_session_ticket(body: bytes) -> NewSessionTicket:
    """Decode a NewSessionTicket."""
    reader = wire.Reader(body, "the NewSessionTicket")
    lifetime_seconds, age_add = reader.number(4), reader.number(4)
    nonce, identity = reader.vector(1), reader.vector(2)
    early_data = wire.decode_extensions(reader.vector(2)).get(_EARLY_DATA)
    most = 0 if early_data is None else wire.Reader(early_data, "the early_data of a ticket").number(4)
    return NewSessionTicket(lifetime_seconds, age_add, nonce, identity, most)
