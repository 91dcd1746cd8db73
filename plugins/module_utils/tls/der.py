# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Just enough DER to find in a certificate what the standard library does not: RSA key, names, addresses of issuers.

Nothing is verified. Sources: ITU-T X.690 8.1 and 10.1; RFC 5280 4.1 and 4.2.2.1; RFC 8017 A.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_INTEGER = 0x02
_BIT_STRING = 0x03
_OCTET_STRING = 0x04
_SEQUENCE = 0x30
_VERSION = 0xA0
_EXTENSIONS = 0xA3
_UNIFORM_RESOURCE_IDENTIFIER = 0x86
_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
_AUTHORITY_INFORMATION_ACCESS = bytes.fromhex("06082b06010505070101")
_CA_ISSUERS = bytes.fromhex("06082b06010505073002")

_MAX_LENGTH_BYTES = 4
# A certificate has about ten extensions, and one or two addresses.
_MAX_ELEMENTS = 100
_MAX_ADDRESSES = 8
_MAX_ADDRESS_CHARACTERS = 2048


class _DerError(Exception):
    """What was read is no DER of the expected kind."""


def rsa_public_key(certificate_der: bytes) -> tuple[int, int] | None:
    """Return modulus and public exponent of a certificate's RSA key; ``None`` for any other key, and for nonsense."""
    try:
        algorithm, rest = _read(_fields(certificate_der).public_key_info, _SEQUENCE)
        if not algorithm.startswith(_RSA_ENCRYPTION):
            return None
        bits, _rest = _read(rest, _BIT_STRING)
        numbers, _rest = _read(bits[1:], _SEQUENCE)
        modulus, rest = _read(numbers, _INTEGER)
        exponent, _rest = _read(rest, _INTEGER)
    except _DerError:
        return None
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def certificate(data: bytes) -> bytes | None:
    """Return the certificate that data begins with, without what follows it; ``None`` where it begins with none."""
    try:
        _fields(data)
        _content, rest = _read(data, _SEQUENCE)
    except _DerError:
        return None
    return data[: len(data) - len(rest)]


def names(certificate_der: bytes) -> tuple[bytes, bytes] | None:
    """Return issuer and subject of a certificate as DER, to be compared; ``None`` for nonsense."""
    try:
        fields = _fields(certificate_der)
    except _DerError:
        return None
    return fields.issuer, fields.subject


def ca_issuers(certificate_der: bytes) -> list[str]:
    """Return where a certificate says that its issuer's can be fetched: http addresses alone, in their order.

    Others, and those with anything but visible ASCII, are left out; without any, and for nonsense, the list is empty.
    """
    try:
        found = list(_ca_issuers(_fields(certificate_der).optional))
    except _DerError:
        return []
    return found[:_MAX_ADDRESSES]


def _ca_issuers(optional: bytes) -> Iterator[str]:
    explicit = b"".join(content for tag, content in _elements(optional) if tag == _EXTENSIONS)
    for _tag, extension in _elements(_read(explicit, _SEQUENCE)[0]):
        if not extension.startswith(_AUTHORITY_INFORMATION_ACCESS):
            continue
        for tag, value in _elements(extension[len(_AUTHORITY_INFORMATION_ACCESS) :]):
            if tag == _OCTET_STRING:
                for _tag_of_description, description in _elements(_read(value, _SEQUENCE)[0]):
                    yield from _http_address(description)


def _http_address(description: bytes) -> Iterator[str]:
    """Give the address of an AccessDescription, if it is one that a certificate can be fetched from."""
    if not description.startswith(_CA_ISSUERS):
        return
    location = description[len(_CA_ISSUERS) :]
    if location[:1] != bytes([_UNIFORM_RESOURCE_IDENTIFIER]):
        return
    address, _rest = _element(location)
    visible = all(0x21 <= byte <= 0x7E for byte in address)
    if visible and len(address) <= _MAX_ADDRESS_CHARACTERS and address[:7].lower() == b"http://":
        yield address.decode("ascii")


@dataclass(frozen=True)
class _Fields:
    """The contents of fields of a TBSCertificate (RFC 5280 4.1), and the optional fields at its end."""

    issuer: bytes
    subject: bytes
    public_key_info: bytes
    optional: bytes


def _fields(certificate_der: bytes) -> _Fields:
    content, _rest = _read(certificate_der, _SEQUENCE)
    rest, _signature = _read(content, _SEQUENCE)
    if rest[:1] == bytes([_VERSION]):
        _version, rest = _element(rest)
    _serial_number, rest = _element(rest)
    _algorithm, rest = _element(rest)
    issuer, rest = _read(rest, _SEQUENCE)
    _validity, rest = _element(rest)
    subject, rest = _read(rest, _SEQUENCE)
    public_key_info, rest = _read(rest, _SEQUENCE)
    return _Fields(issuer, subject, public_key_info, rest)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give tag and content of elements that follow each other."""
    for _count in range(_MAX_ELEMENTS):
        if not data:
            return
        tag = data[0]
        content, data = _element(data)
        yield tag, content
    raise _DerError


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
