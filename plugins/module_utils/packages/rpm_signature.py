# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has signed an .rpm, among the keys that the rpm of a root trusts.

Only a signature over the header counts: that holds the digests of all files, which have been compared when an .rpm has
been read (``rpm_file.py``). Older ones over header and payload together (tags 1002, 1005) are left to rpm.
"""

from __future__ import annotations

import binascii
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import archive_release
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_sources import (
    MAX_FILE_BYTES,
    dearmour,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import explain
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_database import (
    DIRECTORIES,
    Database,
    open_database,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_file import Contents, decode_base64
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import DamagedHeaderError, Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_payload import RpmError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: No package has more, none of them is larger.
MAX_SIGNATURES = 16
MAX_SIGNATURE_BYTES = 64 * 1024
MAX_KEYS = 100

_KEY_PACKAGE = "gpg-pubkey"
_NAME, _DESCRIPTION, _PUBLIC_KEYS = 1000, 1005, 266
_KEY_FILE = re.compile(rb"[A-Za-z0-9_.-]+\.key")

#: A signature packet (RFC 9580, 4.2 and 5.2): its tag in the old and the new format, and where the type of the
#: signature is in each version. Type 0 is over a binary document; others may be over nothing.
_SIGNATURE_PACKET, _BINARY_DOCUMENT = 2, 0
_TYPE_AT = {3: 2, 4: 1, 6: 1}

#: What gpgv says of a signature that does not count, the worst first.
_REASONS = {
    "BADSIG": "its signature is not of this header: one of them was changed",
    "REVKEYSIG": "it is signed with a key that has been revoked",
    "EXPKEYSIG": "it is signed with a key that has expired",
    "EXPSIG": "its signature has expired",
    "GOODSIG": "its signature is over a digest that can be forged today (MD5, SHA-1)",
    "NO_PUBKEY": "it is signed with a key that the rpm of this system does not trust",
}


class Keyrings(NamedTuple):
    """The keys that the rpm of a root trusts: the ``paths`` of a file for gpgv for each, and ``complaints``.

    Those are sentence parts on what could not be used. A damaged key in a file of its own spoils no other.
    """

    paths: list[str]
    complaints: list[str]


# Signatures


def signed_by(contents: Contents, keyrings: list[str], directory: Path) -> str:
    """Return the fingerprint of the key that has signed an .rpm's header, one of those in files ``keyrings``.

    ``directory`` is a private one, for files that gpgv needs meanwhile. Raises `RpmError` when none of them has, and
    when one signature is bad, whoever else has signed it too.
    """
    if not contents.signatures:
        raise RpmError("its header is not signed")
    if not keyrings:
        raise RpmError("the rpm of this system trusts no key")
    if len(contents.signatures) > MAX_SIGNATURES:
        raise RpmError("it has an absurd number of signatures")
    statuses: list[str] = []
    signers: list[str] = []
    with tempfile.TemporaryDirectory(dir=directory) as private:
        signature_file, header_file = Path(private) / "signature", Path(private) / "header"
        header_file.write_bytes(contents.header.region())
        for signature in contents.signatures:
            require_signature(signature)
            signature_file.write_bytes(signature)
            for keyring in keyrings:  # One by one: gpgv leaves off at a damaged one, whatever comes after it.
                done = _verify(keyring, [str(signature_file), str(header_file)])
                statuses.append(done.status)
                signers += [fingerprints[0] for fingerprints in done.signers]
    status = "".join(statuses)
    if not signers or re.search(r"^\[GNUPG:\] BADSIG ", status, re.MULTILINE):
        raise RpmError(_reason(status))
    return signers[0]


def _verify(keyring: str, files: list[str]) -> archive_release.Verification:
    try:
        return archive_release.verify([keyring], files, None)
    except MeasurementError as error:
        raise RpmError(f"its signature cannot be verified: {error.value}: {error.reason}") from error


def _reason(status: str) -> str:
    """Say why no signature counts; with the key, where it is known."""
    for word, reason in _REASONS.items():
        found = re.search(rf"^\[GNUPG:\] {word} ([0-9A-F]{{16,64}})", status, re.MULTILINE)
        if found is not None:
            return f"{reason} ({found.group(1)})"
    return "its signature is not good, or not made with a key that the rpm of this system trusts"


def require_signature(data: bytes) -> None:
    """Raise `RpmError` for all but one signature over a binary document: gpgv would read other messages too."""
    body = _packet_body(data)
    if not body or body[_TYPE_AT.get(body[0], 0) : _TYPE_AT.get(body[0], 0) + 1] != bytes([_BINARY_DOCUMENT]):
        raise RpmError("what it has for a signature is none over a file")


def _packet_body(data: bytes) -> bytes:
    """Return what is in a signature packet, when that is all there is; nothing otherwise."""
    first = data[0] if 2 < len(data) <= MAX_SIGNATURE_BYTES else 0
    if first >> 2 == 0b100000 | _SIGNATURE_PACKET and first & 3 != 3:
        length_bytes = 1 << (first & 3)
        length = int.from_bytes(data[1 : 1 + length_bytes], "big")
        body = data[1 + length_bytes :]
    elif first == 0b11000000 | _SIGNATURE_PACKET:
        length, body = _new_length(data[1:])
    else:
        return b""
    return body if len(body) == length else b""


def _new_length(data: bytes) -> tuple[int, bytes]:
    """Return a length in the new format and what follows it; a partial one is not accepted."""
    first = data[0]
    if first < 192:
        return first, data[1:]
    if first < 224:
        return ((first - 192) << 8) + data[1] + 192, data[2:]
    return (int.from_bytes(data[1:5], "big"), data[5:]) if first == 255 else (0, b"")


# Keys


def write_keyrings(tree: Tree, directory: Path) -> Keyrings:
    """Write the keys that the rpm of a root trusts into files in a directory, in binary form.

    Those are the entries ``gpg-pubkey`` of its database, and the files in ``pubkeys`` beside it, where rpm 6 has them.
    """
    complaints: list[str] = []
    keys: dict[bytes, None] = {}
    for data, label in (*_of_database(tree, complaints), *_of_files(tree, complaints)):
        key = dearmour(data)
        if key is None:
            complaints.append(f"{label} is no OpenPGP key: it is damaged")
        elif len(keys) < MAX_KEYS:
            keys[key] = None
    if not keys:
        complaints.append("the rpm of this system trusts no key")
    paths = [directory / f"rpm-key{number}.gpg" for number in range(len(keys))]
    for path, key in zip(paths, keys):
        path.write_bytes(key)
    return Keyrings([str(path) for path in paths], complaints)


def _of_database(tree: Tree, complaints: list[str]) -> list[tuple[bytes, str]]:
    try:
        database = open_database(tree)
    except (InvalidInputError, MeasurementError) as error:
        complaints.append(f"the keys in the rpm database cannot be read: {error.reason}")
        return []
    try:
        return list(_keys_in(database, complaints))
    finally:
        database.close()


def _keys_in(database: Database, complaints: list[str]) -> Iterator[tuple[bytes, str]]:
    """Yield the keys in a database; where it has an index of names, only their entries are read."""
    names = database.names()
    for number in database.numbers():
        if names is not None and names.get(number) != _KEY_PACKAGE.encode():
            continue
        try:
            header = Header(database.blob(number) or b"")
            if header.text(_NAME) == _KEY_PACKAGE:
                header.verify()
                yield from ((key, f"key {number} of the rpm database") for key in _keys_of(header))
        except (DamagedHeaderError, binascii.Error):
            if names is not None:
                complaints.append(f"key {number} of the rpm database is damaged")


def _keys_of(header: Header) -> list[bytes]:
    """Return the keys in one entry; those of old rpms have no more than the armour in the description."""
    keys = [decode_base64(value) for value in header.strings(_PUBLIC_KEYS)]
    return keys or header.strings(_DESCRIPTION)[:1]


def _of_files(tree: Tree, complaints: list[str]) -> Iterator[tuple[bytes, str]]:
    for place in DIRECTORIES:
        directory = f"{place}/pubkeys".encode()
        try:
            names = [name for name in tree.names(directory) if _KEY_FILE.fullmatch(name)]
        except OSError:
            continue
        for name in names[:MAX_KEYS]:
            path = directory + b"/" + name
            try:
                yield tree.read(path, MAX_FILE_BYTES), path.decode()
            except OSError as error:
                complaints.append(f"{path.decode()} cannot be read: {explain(error)}")
