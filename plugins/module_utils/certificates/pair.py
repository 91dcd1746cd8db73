# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate and its key as they lie on the control node: what they are for, until when, and who trusts them."""

from __future__ import annotations

import datetime
import hashlib
import re
import ssl
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate as certificates
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.chain import judge_trust
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import name_matches

if certificates.CRYPTOGRAPHY_IMPORT_ERROR is None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_MAX_FILE_BYTES = 1024 * 1024
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_CURVES = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}


class Trust(IntEnum):
    """Who trusts a certificate, in order: nobody, who trusts the role's own authority, who trusts the trust store."""

    NOBODY = 0
    OWN_AUTHORITY = 1
    STORE = 2


@dataclass(frozen=True)
class Trusted:
    """The trust anchors: of the store, and the certificate of the role's own authority."""

    store: certificates.Anchors
    authority: certificates.Anchors


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and the key that fits it.

    ``issued_by`` is ``own_ca``, ``self_signed`` or ``other``. ``files`` are the SHA-256 digests of the two files, chain
    and key, in hexadecimal.
    """

    names: frozenset[str]
    key_type: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    trust: Trust
    issued_by: str
    files: tuple[str, str]

    def is_valid(self, now: datetime.datetime) -> bool:
        """Whether a moment is within its life."""
        return self.not_before <= now <= self.not_after

    def not_covered(self, names: tuple[str, ...]) -> list[str]:
        """Return the names that it is not valid for."""
        dns = [name for name in self.names if not _is_address(name)]
        addresses = [name for name in self.names if _is_address(name)]
        return [name for name in names if name not in self.names and not name_matches(name, dns, addresses)]

    def days_left(self, now: datetime.datetime) -> int:
        """Return the whole days until it ends, negative when it has ended."""
        return (self.not_after - now).days


def read_pair(fullchain: Path, private_key: Path, trusted: Trusted, now: datetime.datetime) -> Pair:
    """Read a pair; raises InvalidInputError where it is not there, is none, or its halves do not fit."""
    chain_file, key_file = _read(fullchain), _read(private_key)
    chain = _chain(fullchain, chain_file)
    leaf = chain[0]
    _check_key(fullchain, private_key, key_file, leaf)
    dns, addresses = certificates.subject_names(leaf)
    return Pair(
        names=frozenset(name.lower() for name in (*dns, *addresses)),
        key_type=_key_type(certificates.public_key(leaf)),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        trust=_trust(chain, trusted, now),
        issued_by=_issued_by(leaf, trusted),
        files=(hashlib.sha256(chain_file).hexdigest(), hashlib.sha256(key_file).hexdigest()),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        remedy = "Put it there, on the control node, where the user who runs Ansible can read it"
        raise InvalidInputError(str(path), f"it cannot be read ({error.strerror})", remedy) from error
    if len(content) > _MAX_FILE_BYTES:
        raise InvalidInputError(str(path), "it is larger than 1 MiB", "Put a PEM file there")
    return content


def _chain(path: Path, content: bytes) -> list[x509.Certificate]:
    pems = _PEM.findall(content.decode("ascii", errors="replace"))
    chain = [_load(pem) for pem in pems]
    whole = [certificate for certificate in chain if certificate is not None]
    if not whole or len(whole) < len(chain):
        reason = "it holds no certificate" if not chain else "a certificate in it cannot be read"
        raise InvalidInputError(str(path), reason, "Put the certificate there in PEM, and its intermediates behind it")
    return whole


def _load(pem: str) -> x509.Certificate | None:
    try:
        return certificates.load_der(ssl.PEM_cert_to_DER_cert(pem))
    except ValueError:
        return None


def _check_key(fullchain: Path, path: Path, content: bytes, leaf: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(content, None)
        of_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        of_leaf = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except TypeError as error:  # that is what a key with a passphrase gives
        remedy = "Give it without: a server has nobody to ask for it when it starts"
        raise InvalidInputError(str(path), "the key has a passphrase", remedy) from error
    except certificates.PARSE_ERRORS as error:
        raise InvalidInputError(str(path), "it holds no key that can be used", "Put the key there in PEM") from error
    if of_key != of_leaf:
        remedy = "Give the key that the certificate was requested with"
        raise InvalidInputError(str(path), f"the key does not fit the certificate in {fullchain}", remedy)


def _key_type(key: certificates.PublicKey) -> str:
    if key.type == "RSA":
        return f"rsa-{key.bits}"
    return f"{key.type.lower()}-{_CURVES.get(key.curve or '', key.curve or key.bits)}"


def _trust(chain: list[x509.Certificate], trusted: Trusted, now: datetime.datetime) -> Trust:
    """Tell who trusts it; the own authority first, which someone may have put into the store, too."""
    ders = [certificate.public_bytes(Encoding.DER) for certificate in chain]
    for anchors, trust in ((trusted.authority, Trust.OWN_AUTHORITY), (trusted.store, Trust.STORE)):
        if len(anchors) and judge_trust(ders, anchors, "", now).trusted:
            return trust
    return Trust.NOBODY


def _issued_by(leaf: x509.Certificate, trusted: Trusted) -> str:
    if any(certificates.is_signed_by(leaf, authority) for authority in trusted.authority.named(leaf.issuer)):
        return "own_ca"
    return "self_signed" if certificates.is_signed_by(leaf, leaf) else "other"


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()
