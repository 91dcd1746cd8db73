# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Just enough DER to find the RSA key in a certificate, with the standard library alone (ITU-T X.690; RFC 5280 4.1)."""

from __future__ import annotations

_SEQUENCE = 0x30
_INTEGER = 0x02
_BIT_STRING = 0x03
_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
_MAX_LENGTH_BYTES = 4


class _DerError(Exception):
    """What was read is no DER of the expected kind."""


def rsa_public_key(certificate_der: bytes) -> tuple[int, int] | None:
    """Return modulus and public exponent of a certificate's RSA key; ``None`` for any other key, and for nonsense."""
    try:
        certificate, _rest = _read(certificate_der, _SEQUENCE)
        to_be_signed, _rest = _read(certificate, _SEQUENCE)
        key_info = _subject_public_key_info(to_be_signed)
        algorithm, rest = _read(key_info, _SEQUENCE)
        if not algorithm.startswith(_RSA_ENCRYPTION):
            return None
        bits, _rest = _read(rest, _BIT_STRING)
        numbers, _rest = _read(bits[1:], _SEQUENCE)
        modulus, rest = _read(numbers, _INTEGER)
        exponent, _rest = _read(rest, _INTEGER)
    except _DerError:
        return None
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def _subject_public_key_info(to_be_signed: bytes) -> bytes:
    """Return the content of the sixth mandatory field, behind the optional version."""
    rest = to_be_signed
    if rest[:1] == b"\xa0":
        _version, rest = _element(rest)
    for _field in ("serialNumber", "signature", "issuer", "validity", "subject"):
        _content, rest = _element(rest)
    return _read(rest, _SEQUENCE)[0]


def _read(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the element at the beginning, which must have this tag, and what follows it."""
    if data[:1] != bytes([tag]):
        raise _DerError
    return _element(data)


def _element(data: bytes) -> tuple[bytes, bytes]:
    if len(data) < 2:
        raise _DerError
    start, length = 2, data[1]
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= _MAX_LENGTH_BYTES or len(data) < 2 + count:
            raise _DerError
        start, length = 2 + count, int.from_bytes(data[2 : 2 + count], "big")
    if len(data) < start + length:
        raise _DerError
    return data[start : start + length], data[start + length :]
