# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates: what is in them, and whether a chain leads from a leaf to something that is trusted.

A pure function of the DER that was measured, the trust anchors and a moment. The path is built here (RFC 5280 6.1:
signatures, validity, basic constraints, path length, key usage, name constraints) and not by a library's web profile,
because a weak key or an old signature must be told apart from a broken chain. It needs the Python package
cryptography, on the control node only.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import ssl
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import dns_name_matches, name_matches

# Managed nodes do not have the package, and every file of the library must be importable there.
CRYPTOGRAPHY_IMPORT_ERROR: ImportError | None = None
try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509.oid import (
        AuthorityInformationAccessOID,
        ExtendedKeyUsageOID,
        ExtensionOID,
        NameOID,
        SignatureAlgorithmOID,
    )

    _UNDERSTOOD = frozenset(
        (
            ExtensionOID.BASIC_CONSTRAINTS,
            ExtensionOID.KEY_USAGE,
            ExtensionOID.EXTENDED_KEY_USAGE,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
            ExtensionOID.NAME_CONSTRAINTS,
            ExtensionOID.CERTIFICATE_POLICIES,
            ExtensionOID.POLICY_CONSTRAINTS,
            ExtensionOID.INHIBIT_ANY_POLICY,
        )
    )
    _SIGNATURE_NAMES = {
        oid.dotted_string: name.strip("_").lower().replace("_", "-")
        for name, oid in vars(SignatureAlgorithmOID).items()
        if name.isupper()
    }
    # What the package has forgotten already (RFC 3279 2.2.1).
    _SIGNATURE_NAMES.update({"1.2.840.113549.1.1.2": "rsa-with-md2", "1.2.840.113549.1.1.3": "rsa-with-md4"})
    if not hasattr(x509.Certificate, "not_valid_after_utc"):
        raise ImportError("it is older than version 42")
except ImportError as import_error:
    CRYPTOGRAPHY_IMPORT_ERROR = import_error


_MAX_PATH = 10
_MAX_TRIES = 200


@dataclass(frozen=True)
class Trust:
    """Whether a chain is trusted; ``reason`` is empty when it is.

    Reasons: ``expired``, ``not_yet_valid``, ``self_signed``, ``chain_incomplete`` (an issuer was not sent that can be
    fetched from the address in the certificate below it), ``unknown_issuer`` (neither sent nor trusted),
    ``untrusted_root``, ``unreadable``, ``not_for_servers``, ``invalid_chain``, ``weak_signature``.
    """

    trusted: bool
    reason: str
    detail: str
    name_matches: bool

    def as_dict(self) -> dict[str, object]:
        """Return the verdict as it stands in a result."""
        return {
            "trusted": self.trusted,
            "reason": self.reason or None,
            "detail": self.detail or None,
            "name_matches": self.name_matches,
        }


class _PathError(Exception):
    """Why a path does not lead anywhere: a reason of :class:`Trust` and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep off the screen what cryptography says of odd certificates, such as a serial number of zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load_der(der: bytes) -> x509.Certificate | None:
    """Parse a certificate; ``None`` where it is not one."""
    try:
        with _without_warnings():
            certificate = x509.load_der_x509_certificate(der)
            _parts = (certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    return certificate


class Anchors:
    """Trust anchors, found by their subject."""

    def __init__(self, pems: Sequence[str]) -> None:
        """Parse PEM certificates; what cannot be parsed is left out, since nothing can chain to it."""
        self._by_subject: dict[bytes, list[x509.Certificate]] = {}
        for pem in pems:
            try:
                anchor = load_der(ssl.PEM_cert_to_DER_cert(pem))
            except ValueError:
                continue
            if anchor is not None:
                self._by_subject.setdefault(anchor.subject.public_bytes(), []).append(anchor)

    def __len__(self) -> int:
        """Return how many names are trusted."""
        return len(self._by_subject)

    def named(self, subject: x509.Name) -> list[x509.Certificate]:
        """Return the anchors of a name."""
        return self._by_subject.get(subject.public_bytes(), [])


def describe(der: bytes, now: datetime.datetime) -> dict[str, object]:
    """Return what is in a certificate; only size and fingerprint where it cannot be parsed (``error`` says so)."""
    fingerprint = hashlib.sha256(der).hexdigest()
    certificate = load_der(der)
    if certificate is None:
        return {"error": "not a certificate that can be parsed", "sha256_fingerprint": fingerprint, "size": len(der)}
    key_type, key_bits, strength = public_key_strength(certificate)
    dns, addresses = subject_names(certificate)
    not_after = certificate.not_valid_after_utc
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "common_name": _common_name(certificate.subject),
        "names": [*dns, *addresses],
        "serial_number": f"{certificate.serial_number:x}",
        "not_before": _iso(certificate.not_valid_before_utc),
        "not_after": _iso(not_after),
        "days_left": (not_after - now).days,
        "key_type": key_type,
        "key_bits": key_bits,
        "curve": _curve(certificate),
        "rsa_equivalent_bits": strength,
        "rsa_public_exponent": _public_exponent(certificate),
        "signature_algorithm": signature_algorithm(certificate),
        "self_issued": certificate.subject == certificate.issuer,
        "sha256_fingerprint": fingerprint,
        "spki_sha256": hashlib.sha256(_spki(certificate)).hexdigest(),
        "ocsp_responders": _access_addresses(certificate, AuthorityInformationAccessOID.OCSP),
        "must_staple": _must_staple(certificate),
    }


def _curve(certificate: x509.Certificate) -> str | None:
    key = certificate.public_key()
    return key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else None


def _access_addresses(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> list[str]:
    """Return where the authority information access extension points to for a method (RFC 5280 4.2.2.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    locations = [entry.access_location for entry in access if entry.access_method == method]
    return [str(location.value) for location in locations if isinstance(location, x509.UniformResourceIdentifier)]


def _must_staple(certificate: x509.Certificate) -> bool:
    """Whether a certificate is good only together with a stapled OCSP response (RFC 7633)."""
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in list(features)


def _iso(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _common_name(name: x509.Name) -> str | None:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else None


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_exponent(certificate: x509.Certificate) -> int | None:
    key = certificate.public_key()
    return key.public_numbers().e if isinstance(key, rsa.RSAPublicKey) else None


def public_key_strength(certificate: x509.Certificate) -> tuple[str, int, int]:
    """Return a key's type, its size in bits, and the size of an RSA key that is as strong."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size, key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ECDSA", key.key_size, registry.strength_of_curve_bits(key.key_size)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 256, 3072
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 448, 7680
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size, key.key_size
    return "unknown", 0, 0


def signature_algorithm(certificate: x509.Certificate) -> str:
    """Return the name of the signature algorithm, such as ``ecdsa-with-sha256``; its OID where it has none here."""
    oid = certificate.signature_algorithm_oid
    name = _SIGNATURE_NAMES.get(oid.dotted_string, oid.dotted_string)
    if oid != SignatureAlgorithmOID.RSASSA_PSS:
        return name
    try:  # the hash is a parameter of this algorithm (RFC 4055 3.1)
        used = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return name
    return f"{name}-with-{used.name}" if used is not None else name


def subject_names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """Return the DNS names and the addresses of the subject alternative name extension."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    dns = [str(name) for name in names.get_values_for_type(x509.DNSName)]
    return dns, [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def judge_trust(chain_der: Sequence[bytes], anchors: Anchors, reference_name: str, now: datetime.datetime) -> Trust:
    """Judge a chain as it was sent: whether a path leads from the leaf to an anchor, and the leaf is for this name."""
    leaf = load_der(chain_der[0])
    if leaf is None:
        return Trust(False, "unreadable", "the server's certificate cannot be parsed", False)
    matches = name_matches(reference_name, *subject_names(leaf))
    sent = [certificate for certificate in map(load_der, chain_der[1:_MAX_PATH]) if certificate is not None]
    try:
        _check_leaf(leaf, now)
        _Path(sent, anchors, now).build([leaf])
    except _PathError as error:
        return Trust(False, error.reason, error.detail, matches)
    return Trust(True, "", "", matches)


def _check_leaf(leaf: x509.Certificate, now: datetime.datetime) -> None:
    _check_validity(leaf, now)
    _check_critical(leaf)
    _check_signature_hash(leaf)
    _check_extended_key_usage(leaf, "the certificate")
    usage = _key_usage(leaf)
    if usage is not None and not (usage.digital_signature or usage.key_encipherment or usage.key_agreement):
        raise _PathError("not_for_servers", "its key usage allows no key exchange")


def _check_extended_key_usage(certificate: x509.Certificate, whose: str) -> None:
    """Check that a certificate may be a server's, or sign one: what an authority lacks, it cannot give away.

    RFC 5280 4.2.1.12 says so of the leaf alone; OpenSSL and the browsers hold authorities to it too.
    """
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usages):
        raise _PathError("not_for_servers", f"the extended key usage of {whose} does not allow a server")


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _check_validity(certificate: x509.Certificate, now: datetime.datetime) -> None:
    whose = _common_name(certificate.subject) or certificate.subject.rfc4514_string()
    if now > certificate.not_valid_after_utc:
        raise _PathError("expired", f"{whose} expired on {_iso(certificate.not_valid_after_utc)}")
    if now < certificate.not_valid_before_utc:
        raise _PathError("not_yet_valid", f"{whose} is valid from {_iso(certificate.not_valid_before_utc)}")


def _check_critical(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise _PathError("invalid_chain", f"a critical extension is not understood: {extension.oid.dotted_string}")


def _check_signature_hash(certificate: x509.Certificate) -> None:
    name = signature_algorithm(certificate)
    if any(weak in name for weak in ("sha1", "md5", "md4", "md2")):
        raise _PathError("weak_signature", f"a certificate of the chain is signed with {name}")


class _Path:
    """Search a path from a leaf to an anchor among the certificates that the server sent."""

    def __init__(self, sent: Sequence[x509.Certificate], anchors: Anchors, now: datetime.datetime) -> None:
        self._sent = sent
        self._anchors = anchors
        self._now = now
        self._tries = 0

    def build(self, path: list[x509.Certificate]) -> None:
        """Return when an anchor is reached; raise :class:`_PathError` with the most telling reason when none is."""
        last = path[-1]
        if last in self._anchors.named(last.subject):
            return None  # the anchor itself was sent, or the leaf is one
        failures: list[_PathError] = []
        for anchor in self._anchors.named(last.issuer):
            if self._issued(last, anchor) and self._accepts(path, anchor, failures):
                return None
        for issuer in self._sent:
            if issuer in path or issuer.subject != last.issuer or len(path) >= _MAX_PATH:
                continue
            if self._issued(last, issuer) and self._accepts(path, issuer, failures):
                try:
                    _check_signature_hash_unless_root(issuer)
                    return self.build([*path, issuer])
                except _PathError as error:
                    failures.append(error)
        raise failures[0] if failures else self._dead_end(path)

    def _issued(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        self._tries += 1
        if self._tries > _MAX_TRIES:
            raise _PathError("invalid_chain", f"no path was found in {_MAX_TRIES} tries")
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    def _accepts(self, path: list[x509.Certificate], issuer: x509.Certificate, failures: list[_PathError]) -> bool:
        try:
            _check_validity(issuer, self._now)
            _check_critical(issuer)
            _check_authority(issuer, path)
        except _PathError as error:
            failures.append(error)
            return False
        return True

    @staticmethod
    def _dead_end(path: list[x509.Certificate]) -> _PathError:
        last = path[-1]
        if last.subject == last.issuer:
            if len(path) == 1:
                return _PathError("self_signed", "the certificate is signed by itself and is not a trusted one")
            return _PathError(
                "untrusted_root", f"the chain ends in {last.subject.rfc4514_string()}, which is not trusted"
            )
        issuer = last.issuer.rfc4514_string()
        if _has_issuer_address(last):
            return _PathError("chain_incomplete", f"the certificate of {issuer} was not sent, only where to fetch it")
        return _PathError("unknown_issuer", f"the issuer {issuer} was not sent and is not a trusted one")


def _has_issuer_address(certificate: x509.Certificate) -> bool:
    """Whether a certificate says where its issuer's can be fetched (RFC 5280 4.2.2.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return False
    return any(entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS for entry in access)


def _check_signature_hash_unless_root(certificate: x509.Certificate) -> None:
    if certificate.subject != certificate.issuer:
        _check_signature_hash(certificate)


def _check_authority(issuer: x509.Certificate, path: list[x509.Certificate]) -> None:
    """Check that a certificate may sign what stands below it in the path (RFC 5280 4.2.1.3, 4.2.1.9, 4.2.1.10)."""
    whose = issuer.subject.rfc4514_string()
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        # A version 1 root has no extensions at all; anything else without them is no authority.
        if issuer.version is x509.Version.v1 and issuer.subject == issuer.issuer:
            return
        raise _PathError("invalid_chain", f"{whose} is not a certificate authority") from None
    below = sum(1 for certificate in path[1:] if certificate.subject != certificate.issuer)
    if not constraints.ca:
        raise _PathError("invalid_chain", f"{whose} is not a certificate authority")
    if constraints.path_length is not None and below > constraints.path_length:
        raise _PathError("invalid_chain", f"{whose} allows {constraints.path_length} authorities below it")
    usage = _key_usage(issuer)
    if usage is not None and not usage.key_cert_sign:
        raise _PathError("invalid_chain", f"the key of {whose} may not sign certificates")
    _check_extended_key_usage(issuer, whose)
    _check_name_constraints(issuer, path)


def _check_name_constraints(issuer: x509.Certificate, path: list[x509.Certificate]) -> None:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return
    permitted, excluded = list(constraints.permitted_subtrees or ()), list(constraints.excluded_subtrees or ())
    dns, addresses = subject_names(path[0])
    whose = issuer.subject.rfc4514_string()
    _check_directory_names(whose, permitted, excluded, path)
    for name in dns:
        allowed = [entry.value for entry in permitted if isinstance(entry, x509.DNSName)]
        refused = [entry.value for entry in excluded if isinstance(entry, x509.DNSName)]
        if (allowed and not any(_within(name, tree) for tree in allowed)) or any(_touches(name, t) for t in refused):
            raise _PathError("invalid_chain", f"{whose} may not issue for {name}")
    for text in addresses:
        networks = [entry.value for entry in permitted if isinstance(entry, x509.IPAddress)]
        barred = [entry.value for entry in excluded if isinstance(entry, x509.IPAddress)]
        if (networks and not any(_inside(text, net) for net in networks)) or any(_inside(text, n) for n in barred):
            raise _PathError("invalid_chain", f"{whose} may not issue for {text}")


def _check_directory_names(
    whose: str,
    permitted: Sequence[x509.GeneralName],
    excluded: Sequence[x509.GeneralName],
    path: list[x509.Certificate],
) -> None:
    """Hold the subjects below an authority to its directory names, self-issued authorities apart (RFC 5280 6.1.3)."""
    allowed = [entry.value for entry in permitted if isinstance(entry, x509.DirectoryName)]
    refused = [entry.value for entry in excluded if isinstance(entry, x509.DirectoryName)]
    for certificate in path:
        subject = certificate.subject
        if not subject.rdns or (certificate is not path[0] and subject == certificate.issuer):
            continue
        if (allowed and not any(_below(subject, tree) for tree in allowed)) or any(_below(subject, t) for t in refused):
            raise _PathError("invalid_chain", f"{whose} may not issue for {subject.rfc4514_string()}")


def _below(subject: x509.Name, tree: x509.Name) -> bool:
    return list(subject.rdns[: len(tree.rdns)]) == list(tree.rdns)


def _within(name: str, subtree: str) -> bool:
    """Whether all that a presented name stands for lies in a subtree."""
    name, subtree = name.lower(), subtree.lower().lstrip(".")
    return not subtree or name == subtree or name.endswith(f".{subtree}")


def _touches(name: str, subtree: str) -> bool:
    """Whether anything that a presented name stands for lies in a subtree: a wildcard stands for many."""
    return _within(name, subtree) or dns_name_matches(subtree.lstrip("."), name)


def _inside(address: str, network: object) -> bool:
    return isinstance(network, (ipaddress.IPv4Network, ipaddress.IPv6Network)) and (
        ipaddress.ip_address(address) in network
    )
