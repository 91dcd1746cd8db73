# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a certification path leads from a server's certificate to a trust anchor (RFC 5280 6.1).

Signatures, validity, basic constraints, path length, key usage and name constraints are checked here and not by a
library's web profile, because a weak key or an old signature must be told apart from a broken chain.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate as certificates
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import dns_name_matches

if certificates.CRYPTOGRAPHY_IMPORT_ERROR is None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

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

CHAIN_INCOMPLETE = "chain_incomplete"
UNSUPPORTED_ALGORITHM = "unsupported_algorithm"

_MAX_PATH = 10
_MAX_TRIES = 200

# Whether a name lies in a subtree of names.
_Inside = Callable[[Any, Any], bool]


class PathError(Exception):
    """Why no path leads to an anchor: a reason, which is a word of :class:`chain.Trust`, and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        """Hold both."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def find_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: certificates.Anchors,
    now: datetime.datetime,
) -> list[x509.Certificate]:
    """Return a path from the leaf, over any of the others in any order, to an anchor, which is its last certificate.

    Raises :class:`PathError` with the most telling reason when there is none.
    """
    _check_leaf(leaf, now)
    return _Search(others, anchors, now).extend([leaf])


class _Search:
    """Search a path from a leaf to an anchor among certificates; the work is bounded, whatever they are."""

    def __init__(
        self, others: Sequence[x509.Certificate], anchors: certificates.Anchors, now: datetime.datetime
    ) -> None:
        self._others = certificates.by_subject(others)
        self._anchors = anchors
        self._now = now
        self._tries = 0

    def extend(self, path: list[x509.Certificate]) -> list[x509.Certificate]:
        """Return the path once an anchor is reached, else try every issuer of its last certificate."""
        last = path[-1]
        if last in self._anchors:
            return path
        if not _is_self_signed(last):  # what has nobody above it need not prove anything by its signature
            _check_signature_hash(last)
        failures: list[PathError] = []
        unverifiable: list[PathError] = []
        for issuer, verified in self._issuers(path):
            if not verified:
                unverifiable.append(_cannot_be_verified(last, issuer))
                continue
            try:
                self._check_step(path, issuer)
                return self.extend([*path, issuer])
            except PathError as error:
                failures.append(error)
        raise _most_telling(failures or unverifiable) or _dead_end(path)

    def _issuers(self, path: list[x509.Certificate]) -> Iterator[tuple[x509.Certificate, bool]]:
        """Give who has signed the last certificate, anchors first, and whether its signature could be verified."""
        last = path[-1]
        for issuer in (*self._anchors.named(last.issuer), *self._others.get(last.issuer.public_bytes(), ())):
            if issuer in path:
                continue
            self._tries += 1
            if self._tries > _MAX_TRIES:
                raise PathError("invalid_chain", f"no path was found in {_MAX_TRIES} tries")
            signed = certificates.is_signed_by(last, issuer)
            if signed is not False:
                yield issuer, signed is True

    def _check_step(self, path: list[x509.Certificate], issuer: x509.Certificate) -> None:
        if len(path) >= _MAX_PATH:
            raise PathError("invalid_chain", f"no path of {_MAX_PATH} certificates or fewer was found")
        _check_validity(issuer, self._now)
        _check_critical(issuer)
        _check_authority(issuer, path)


def _most_telling(failures: list[PathError]) -> PathError | None:
    """Return the failure of a path that may be a good one, else the first."""
    unknown = next((error for error in failures if error.reason == UNSUPPORTED_ALGORITHM), None)
    return unknown or next(iter(failures), None)


def _cannot_be_verified(certificate: x509.Certificate, issuer: x509.Certificate) -> PathError:
    whose, algorithm = certificates.called(certificate), certificates.signature_algorithm(certificate)
    by = certificates.called(issuer)
    detail = f"the signature of {whose} ({algorithm}) cannot be verified here with the key of {by}"
    return PathError(UNSUPPORTED_ALGORITHM, detail)


def _is_self_signed(certificate: x509.Certificate) -> bool:
    return certificates.is_signed_by(certificate, certificate) is not False


def _dead_end(path: list[x509.Certificate]) -> PathError:
    last = path[-1]
    if _is_self_signed(last):
        if len(path) == 1:
            return PathError("self_signed", "the certificate is signed by itself and is not a trusted one")
        return PathError("untrusted_root", f"the chain ends in {last.subject.rfc4514_string()}, which is not trusted")
    issuer = last.issuer.rfc4514_string()
    where = certificates.issuer_addresses(last)
    if where:
        return PathError(
            CHAIN_INCOMPLETE,
            f"the certificate of {issuer} was not sent, only where to fetch it ({where[0]}). "
            "Let the server send it, and all between it and the root, behind its own certificate",
        )
    return PathError("unknown_issuer", f"the issuer {issuer} was not sent and is not a trusted one")


# --- what each certificate of a path must be


def _check_leaf(leaf: x509.Certificate, now: datetime.datetime) -> None:
    _check_validity(leaf, now)
    _check_critical(leaf)
    _check_extended_key_usage(leaf, "the certificate")
    usage = certificates.extension(leaf, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.key_encipherment or usage.key_agreement):
        raise PathError("not_for_servers", "its key usage allows no key exchange")


def _check_validity(certificate: x509.Certificate, now: datetime.datetime) -> None:
    whose = certificates.called(certificate)
    if now > certificate.not_valid_after_utc:
        raise PathError("expired", f"{whose} expired on {certificates.iso(certificate.not_valid_after_utc)}")
    if now < certificate.not_valid_before_utc:
        raise PathError("not_yet_valid", f"{whose} is valid from {certificates.iso(certificate.not_valid_before_utc)}")


def _check_critical(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise PathError("invalid_chain", f"a critical extension is not understood: {extension.oid.dotted_string}")


def _check_signature_hash(certificate: x509.Certificate) -> None:
    name = certificates.signature_algorithm(certificate)
    if certificates.is_weak_signature(name):
        raise PathError("weak_signature", f"{certificates.called(certificate)} is signed with {name}")


def _check_extended_key_usage(certificate: x509.Certificate, whose: str) -> None:
    """Check that a certificate may be a server's, or sign one: what an authority lacks, it cannot give away.

    RFC 5280 4.2.1.12 says so of the leaf alone; OpenSSL and the browsers hold authorities to it too.
    """
    usages = certificates.extension(certificate, x509.ExtendedKeyUsage)
    if usages is None:
        return
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usages):
        raise PathError("not_for_servers", f"the extended key usage of {whose} does not allow a server")


def _check_authority(issuer: x509.Certificate, path: list[x509.Certificate]) -> None:
    """Check that a certificate may sign what stands below it in the path (RFC 5280 4.2.1.3, 4.2.1.9, 4.2.1.10)."""
    whose = issuer.subject.rfc4514_string()
    constraints = certificates.extension(issuer, x509.BasicConstraints)
    if constraints is None:
        # A version 1 root has no extensions at all; anything else without them is no authority.
        if issuer.version is x509.Version.v1 and issuer.subject == issuer.issuer:
            return
        raise PathError("invalid_chain", f"{whose} is not a certificate authority")
    below = sum(1 for certificate in path[1:] if certificate.subject != certificate.issuer)
    if not constraints.ca:
        raise PathError("invalid_chain", f"{whose} is not a certificate authority")
    if constraints.path_length is not None and below > constraints.path_length:
        raise PathError("invalid_chain", f"{whose} allows {constraints.path_length} authorities below it")
    usage = certificates.extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise PathError("invalid_chain", f"the key of {whose} may not sign certificates")
    _check_extended_key_usage(issuer, whose)
    _check_name_constraints(issuer, path)


def _check_name_constraints(issuer: x509.Certificate, path: list[x509.Certificate]) -> None:
    constraints = certificates.extension(issuer, x509.NameConstraints)
    if constraints is None:
        return
    permitted, excluded = list(constraints.permitted_subtrees or ()), list(constraints.excluded_subtrees or ())

    def hold(kind: type[x509.GeneralName], name: object, inside: _Inside, touches: _Inside, shown: str) -> None:
        allowed = [entry.value for entry in permitted if isinstance(entry, kind)]
        refused = [entry.value for entry in excluded if isinstance(entry, kind)]
        if (allowed and not any(inside(name, t) for t in allowed)) or any(touches(name, t) for t in refused):
            raise PathError("invalid_chain", f"{issuer.subject.rfc4514_string()} may not issue for {shown}")

    for certificate in path:
        subject = certificate.subject
        # Self-issued authorities are not held to them (RFC 5280 6.1.3).
        if subject.rdns and (certificate is path[0] or subject != certificate.issuer):
            hold(x509.DirectoryName, subject, _below, _below, subject.rfc4514_string())
    dns, addresses = certificates.subject_names(path[0])
    for name in dns:
        hold(x509.DNSName, name, _within, _touches, name)
    for address in addresses:
        hold(x509.IPAddress, address, _inside, _inside, address)


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
