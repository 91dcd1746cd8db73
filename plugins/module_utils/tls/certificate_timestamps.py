# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signed certificate timestamps: which logs of Certificate Transparency have seen a certificate (RFC 6962 3).

They come in the certificate, in a TLS extension, or in the stapled OCSP response. Their signatures are not verified:
that takes the keys of the logs, and a list of logs that is not renewed every few weeks says wrong things.
"""

from __future__ import annotations

import datetime

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate as certificates
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import wire

if certificates.CRYPTOGRAPHY_IMPORT_ERROR is None:
    from cryptography import x509
    from cryptography.x509 import ocsp

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_LOG_ID_BYTES = 32
# Policies of browsers want two to five; a hostile list could have more than a thousand.
_MAX_TIMESTAMPS = 64


def describe(certificate_der: bytes, tls_list: bytes | None, response_der: bytes | None) -> list[dict[str, object]]:
    """Return the timestamps of a certificate, of the TLS extension's content, and of a stapled OCSP response.

    Each has ``source`` (``certificate``, ``tls`` or ``ocsp``), ``version`` (1), ``log_id`` (hexadecimal), ``timestamp``
    (ISO 8601) and ``verified``, which is ``None``. One that cannot be read has ``error``, and ``None`` for what is not
    known; ``error`` is ``None`` otherwise. The lists end at 64 timestamps, with an error.
    """
    lists = (
        ("certificate", _list_in_certificate(certificate_der)),
        ("tls", tls_list),
        ("ocsp", _list_in_response(response_der) if response_der else None),
    )
    return [entry for source, data in lists if data is not None for entry in _describe_list(source, data)]


def _list_in_certificate(der: bytes) -> bytes | None:
    certificate = certificates.load_der(der)
    if certificate is None:
        return None
    timestamps = certificates.extension(certificate, x509.PrecertificateSignedCertificateTimestamps)
    return None if timestamps is None else _content(timestamps.public_bytes())


def _list_in_response(der: bytes) -> bytes | None:
    """Return the list beside a response's only answer (RFC 6962 3.3); what cannot be parsed has none."""
    try:
        with certificates.without_warnings():
            values = [extension.value for extension in ocsp.load_der_ocsp_response(der).single_extensions]
    except certificates.PARSE_ERRORS:
        return None
    found = (value for value in values if isinstance(value, x509.SignedCertificateTimestamps))
    return next((_content(value.public_bytes()) for value in found), None)


def _content(octet_string: bytes) -> bytes:
    """Return what stands in a DER OCTET STRING (X.690 8.1.3): the length may take bytes of its own."""
    length = octet_string[1]
    return octet_string[2 + (length & 0x7F if length & 0x80 else 0) :]


def _describe_list(source: str, data: bytes) -> list[dict[str, object]]:
    """Decode a SignedCertificateTimestampList (RFC 6962 3.3); what is wrong ends it with an error."""
    found: list[dict[str, object]] = []
    try:
        outer = wire.Reader(data, "the list of timestamps")
        entries = wire.Reader(outer.vector(2), "the list of timestamps")
        if outer.left or not entries.left:
            raise wire.DecodeError("the list of timestamps has no end, or nothing in it")
        while entries.left:
            if len(found) == _MAX_TIMESTAMPS:
                raise wire.DecodeError(f"there are more than {_MAX_TIMESTAMPS} timestamps")
            found.append({"source": source, **_describe_timestamp(entries.vector(2)), "verified": None})
    except wire.DecodeError as error:
        found.append({"source": source, **_unreadable(error.reason), "verified": None})
    return found


def _describe_timestamp(data: bytes) -> dict[str, object]:
    """Decode a SignedCertificateTimestamp (RFC 6962 3.2); of another version only that is known."""
    reader = wire.Reader(data, "a timestamp")
    try:
        version = reader.number(1) + 1
        if version != 1:
            return _unreadable(f"version {version} is not known", version)
        log_id = reader.take(_LOG_ID_BYTES).hex()
        milliseconds = reader.number(8)
        reader.vector(2)  # extensions: there are none yet
        reader.take(2)  # the algorithms of the hash and of the signature
        reader.vector(2)
        if reader.left:
            raise wire.DecodeError(f"{reader.left} bytes follow a timestamp")
        moment = _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    except wire.DecodeError as error:
        return _unreadable(error.reason)
    except OverflowError:
        return _unreadable("its time lies beyond the year 9999")
    return {"version": version, "log_id": log_id, "timestamp": certificates.iso(moment), "error": None}


def _unreadable(error: str, version: int | None = None) -> dict[str, object]:
    return {"version": version, "log_id": None, "timestamp": None, "error": error}
