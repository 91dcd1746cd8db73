# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in a certificate: names, validity, key, signature, and what its extensions say.

Whether it is trusted is for chain.py. It needs the Python package cryptography, on the control node only.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import ssl
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import der as der_reader
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry

# Managed nodes do not have the package, and every file of the library must be importable there.
CRYPTOGRAPHY_IMPORT_ERROR: ImportError | None = None
try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, SignatureAlgorithmOID

    if not hasattr(x509.Certificate, "public_key_algorithm_oid"):
        raise ImportError("it is older than version 43")

    # What the package raises for bytes that are not what they should be, or that it does not know: a LookupError
    # for a TLS feature without a name, for one.
    PARSE_ERRORS: tuple[type[Exception], ...] = (
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )
    _SIGNATURE_NAMES = {
        oid.dotted_string: name.strip("_").lower().replace("_", "-")
        for name, oid in vars(SignatureAlgorithmOID).items()
        if name.isupper()
    }
    # What the package has forgotten already (RFC 3279 2.2.1).
    _SIGNATURE_NAMES.update({"1.2.840.113549.1.1.2": "rsa-with-md2", "1.2.840.113549.1.1.3": "rsa-with-md4"})
    _Extension = TypeVar("_Extension", bound=x509.ExtensionType)
except ImportError as import_error:
    CRYPTOGRAPHY_IMPORT_ERROR = import_error

_DAY_SECONDS = 86400
# The same intermediates and roots come again and again in one run.
_PARSED_CERTIFICATES = 256
_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_ML_DSA_BASE = "2.16.840.1.101.3.4.3"
# By object identifier, since the older versions of the package do not know these keys: the name, the size of the public
# key in bits (FIPS 204, table 2), and the RSA equivalent of its security category 2, 3 or 5 (table 1).
_ML_DSA = {
    f"{_ML_DSA_BASE}.17": ("ML-DSA-44", 1312 * 8, 3072),
    f"{_ML_DSA_BASE}.18": ("ML-DSA-65", 1952 * 8, 7680),
    f"{_ML_DSA_BASE}.19": ("ML-DSA-87", 2592 * 8, 15360),
}


@dataclass(frozen=True)
class PublicKey:
    """A public key: ``bits`` and ``rsa_equivalent_bits`` are 0 where its size cannot be told."""

    type: str
    bits: int = 0
    rsa_equivalent_bits: int = 0
    curve: str | None = None
    rsa_public_exponent: int | None = None


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Keep off the screen what cryptography says of odd certificates, such as a serial number of zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.lru_cache(maxsize=_PARSED_CERTIFICATES)
def load_der(der: bytes) -> x509.Certificate | None:
    """Parse a certificate; ``None`` where it is not one. A key of an unknown kind is no obstacle."""
    try:
        with without_warnings():
            certificate = x509.load_der_x509_certificate(der)
            _parts = (certificate.subject, certificate.issuer, certificate.extensions)
    except PARSE_ERRORS:
        return None
    return certificate


def by_subject(certificates: Iterable[x509.Certificate]) -> dict[bytes, list[x509.Certificate]]:
    """Return certificates by the DER of their subject, in their order."""
    found: dict[bytes, list[x509.Certificate]] = {}
    for certificate in certificates:
        found.setdefault(certificate.subject.public_bytes(), []).append(certificate)
    return found


def _load_pem(pem: str) -> x509.Certificate | None:
    try:
        return load_der(ssl.PEM_cert_to_DER_cert(pem))
    except ValueError:
        return None


class Anchors:
    """Trust anchors, found by their subject."""

    def __init__(self, pems: Sequence[str]) -> None:
        """Parse PEM certificates; what cannot be parsed is left out, since nothing can chain to it."""
        self._by_subject = by_subject(filter(None, map(_load_pem, pems)))

    def __len__(self) -> int:
        """Return how many names are trusted."""
        return len(self._by_subject)

    def __contains__(self, certificate: x509.Certificate) -> bool:
        """Whether a certificate is itself an anchor."""
        return certificate in self.named(certificate.subject)

    def named(self, subject: x509.Name) -> list[x509.Certificate]:
        """Return the anchors of a name."""
        return self._by_subject.get(subject.public_bytes(), [])


def describe(der: bytes, now: datetime.datetime) -> dict[str, object]:
    """Return what is in a certificate; only size and fingerprint where it cannot be parsed (``error`` says so).

    ``validity_days`` counts begun days, both ends included (RFC 5280 4.1.2.5); ``days_left`` whole ones, negative when
    it has expired. ``spki_sha256`` is ``None`` for a key of a kind that is not known.
    """
    fingerprint = hashlib.sha256(der).hexdigest()
    certificate = load_der(der)
    if certificate is None:
        return {"error": "not a certificate that can be parsed", "sha256_fingerprint": fingerprint, "size": len(der)}
    with without_warnings():
        return {**_describe(certificate, now), "sha256_fingerprint": fingerprint}


def _describe(certificate: x509.Certificate, now: datetime.datetime) -> dict[str, object]:
    key = public_key(certificate)
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    dns, addresses = subject_names(certificate)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "common_name": _common_name(certificate.subject),
        "names": [*dns, *addresses],
        "serial_number": f"{certificate.serial_number:x}",
        "not_before": iso(not_before),
        "not_after": iso(not_after),
        "validity_days": -(-(int((not_after - not_before).total_seconds()) + 1) // _DAY_SECONDS),
        "days_left": (not_after - now).days,
        "key_type": key.type,
        "key_bits": key.bits,
        "curve": key.curve,
        "rsa_equivalent_bits": key.rsa_equivalent_bits,
        "rsa_public_exponent": key.rsa_public_exponent,
        "signature_algorithm": signature_algorithm(certificate),
        "self_issued": certificate.subject == certificate.issuer,
        "spki_sha256": _spki_sha256(certificate),
        "ocsp_responders": _access_addresses(certificate, AuthorityInformationAccessOID.OCSP),
        "ca_issuers": issuer_addresses(certificate),
        "crl_distribution_points": _crl_addresses(certificate),
        "must_staple": _must_staple(certificate),
    }


def iso(moment: datetime.datetime) -> str:
    """Return a moment in UTC as ISO 8601 says it, in seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def called(certificate: x509.Certificate) -> str:
    """Return the common name of a certificate's subject, or all of the subject, to speak of it."""
    return _common_name(certificate.subject) or certificate.subject.rfc4514_string() or "a certificate without a name"


def _common_name(name: x509.Name) -> str | None:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else None


# --- the key and the signature


def public_key(certificate: x509.Certificate) -> PublicKey:
    """Return a certificate's key; of one that cannot be used, as much as its object identifier and its DER tell."""
    try:
        key = certificate.public_key()
    except PARSE_ERRORS:
        return _unusable_key(certificate)
    if isinstance(key, rsa.RSAPublicKey):
        return PublicKey("RSA", key.key_size, key.key_size, rsa_public_exponent=key.public_numbers().e)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return PublicKey("ECDSA", key.key_size, registry.strength_of_curve_bits(key.key_size), key.curve.name)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PublicKey("Ed25519", 256, 3072)
    if isinstance(key, ed448.Ed448PublicKey):
        return PublicKey("Ed448", 448, 7680)
    if isinstance(key, dsa.DSAPublicKey):
        return PublicKey("DSA", key.key_size, key.key_size)
    return _unusable_key(certificate)


def _unusable_key(certificate: x509.Certificate) -> PublicKey:
    oid = certificate.public_key_algorithm_oid.dotted_string
    if oid in _ML_DSA:
        return PublicKey(*_ML_DSA[oid])
    if oid == _EC_PUBLIC_KEY:
        return PublicKey("ECDSA")  # on a curve that the package does not know, or on one spelt out
    numbers = der_reader.rsa_public_key(certificate.public_bytes(Encoding.DER))
    if numbers is None:
        return PublicKey("unknown")
    modulus, exponent = numbers  # of an RSA key that no library wants to use, such as one with the exponent 1
    return PublicKey("RSA", modulus.bit_length(), modulus.bit_length(), rsa_public_exponent=exponent)


def _spki_sha256(certificate: x509.Certificate) -> str | None:
    try:
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except PARSE_ERRORS:
        return None
    return hashlib.sha256(spki).hexdigest()


def signature_algorithm(certificate: x509.Certificate) -> str:
    """Return the name of the signature algorithm, such as ``ecdsa-with-sha256``; its OID where it has none here."""
    oid = certificate.signature_algorithm_oid
    name = _SIGNATURE_NAMES.get(oid.dotted_string, oid.dotted_string)
    if oid != SignatureAlgorithmOID.RSASSA_PSS:
        return name
    try:  # the hash is a parameter of this algorithm (RFC 4055 3.1)
        used = certificate.signature_hash_algorithm
    except PARSE_ERRORS:
        return name
    return f"{name}-with-{used.name}" if used is not None else name


def is_weak_signature(algorithm: str) -> bool:
    """Whether a signature algorithm, by its name here, uses a hash that collisions are known for."""
    return any(weak in algorithm for weak in ("sha1", "md5", "md4", "md2"))


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool | None:
    """Whether an issuer's key made the signature of a certificate, and the names agree.

    ``None`` when the names agree and the signature cannot be verified: by an algorithm or a key that the package does
    not know, or does not use any more (MD5, SHA-1).
    """
    if certificate.issuer.public_bytes() != issuer.subject.public_bytes():
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm:
        return None
    except PARSE_ERRORS:  # an algorithm again, or a key or a certificate that is broken
        return False if _is_verifiable(signature_algorithm(certificate)) else None
    return True


def _is_verifiable(algorithm: str) -> bool:
    """Whether the package verifies signatures of an algorithm; one that has no name here is called by its OID."""
    return not (is_weak_signature(algorithm) or algorithm.startswith("gost") or algorithm[:1].isdigit())


# --- the extensions


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return the extension of a kind; ``None`` where a certificate has none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def subject_names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """Return the DNS names and the addresses of the subject alternative name extension."""
    names = extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return [], []
    dns = [str(name) for name in names.get_values_for_type(x509.DNSName)]
    return dns, [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def issuer_addresses(certificate: x509.Certificate) -> list[str]:
    """Return where the certificate of the issuer can be fetched (RFC 5280 4.2.2.1)."""
    return _access_addresses(certificate, AuthorityInformationAccessOID.CA_ISSUERS)


def _access_addresses(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> list[str]:
    """Return where the authority information access extension points to for a method (RFC 5280 4.2.2.1)."""
    access = extension(certificate, x509.AuthorityInformationAccess)
    return _uris(entry.access_location for entry in access or () if entry.access_method == method)


def _crl_addresses(certificate: x509.Certificate) -> list[str]:
    """Return where the certificate's revocation list is (RFC 5280 4.2.1.13)."""
    points = extension(certificate, x509.CRLDistributionPoints)
    return _uris(location for point in points or () for location in point.full_name or ())


def _uris(locations: Iterable[x509.GeneralName]) -> list[str]:
    return [str(location.value) for location in locations if isinstance(location, x509.UniformResourceIdentifier)]


def _must_staple(certificate: x509.Certificate) -> bool:
    """Whether a certificate is good only together with a stapled OCSP response (RFC 7633)."""
    features = extension(certificate, x509.TLSFeature)
    return features is not None and x509.TLSFeatureType.status_request in list(features)
