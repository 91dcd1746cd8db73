# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate chain as a server sent it: whether it is trusted, in order, complete, and free of what nobody needs.

A pure function of the DER that was measured, the trust anchors and a moment.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate as certificates
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certification_path
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import name_matches

if certificates.CRYPTOGRAPHY_IMPORT_ERROR is None:
    from cryptography import x509

# What is known of the order of a chain that was not seen.
NOT_SEEN: dict[str, object] = {"chain_order": None, "extra_certificates": None, "contains_anchor": None}


@dataclass(frozen=True)
class Trust:
    """Whether a chain is trusted; ``reason`` is empty when it is, ``trusted`` is ``None`` where it cannot be told.

    Reasons: ``expired``, ``not_yet_valid``, ``self_signed``, ``chain_incomplete`` (an issuer was not sent that can be
    fetched from the address in the certificate below it), ``unknown_issuer`` (neither sent nor trusted),
    ``untrusted_root``, ``unreadable``, ``not_for_servers``, ``invalid_chain``, ``weak_signature``, and
    ``unsupported_algorithm`` (``trusted`` is ``None``). ``chain_incomplete`` says that a certificate is missing in
    what was sent: with ``trusted`` that clients which fetch it, or know it already, are content, and others are not.
    """

    trusted: bool | None
    reason: str
    detail: str
    name_matches: bool
    chain_incomplete: bool = False

    def as_dict(self) -> dict[str, object]:
        """Return the verdict as it stands in a result."""
        return {
            "trusted": self.trusted,
            "reason": self.reason or None,
            "detail": self.detail or None,
            "name_matches": self.name_matches,
            "chain_incomplete": self.chain_incomplete,
        }


def judge_trust(
    chain_der: Sequence[bytes],
    anchors: certificates.Anchors,
    reference_name: str,
    now: datetime.datetime,
    fetched: Sequence[bytes] = (),
) -> Trust:
    """Judge a chain as it was sent: whether a path leads from the leaf to an anchor, and the leaf is for this name.

    ``fetched`` are certificates in DER that were not sent but fetched from where the sent ones point to.
    """
    leaf = certificates.load_der(chain_der[0])
    if leaf is None:
        return Trust(False, "unreadable", "the server's certificate cannot be parsed", False)
    matches = name_matches(reference_name, *certificates.subject_names(leaf))
    sent = _loaded(chain_der[1:])
    try:
        path = _find_path(leaf, sent, _loaded(fetched), anchors, now)
    except certification_path.PathError as error:
        trusted = None if error.reason == certification_path.UNSUPPORTED_ALGORITHM else False
        incomplete = error.reason == certification_path.CHAIN_INCOMPLETE
        return Trust(trusted, error.reason, error.detail, matches, incomplete)
    missing = [certificate for certificate in path[1:] if certificate not in sent and certificate not in anchors]
    return Trust(True, "", _missing(missing), matches, bool(missing))


def _loaded(ders: Sequence[bytes]) -> list[x509.Certificate]:
    return [certificate for certificate in map(certificates.load_der, ders) if certificate is not None]


def _find_path(
    leaf: x509.Certificate,
    sent: Sequence[x509.Certificate],
    fetched: Sequence[x509.Certificate],
    anchors: certificates.Anchors,
    now: datetime.datetime,
) -> list[x509.Certificate]:
    try:
        return certification_path.find_path(leaf, sent, anchors, now)
    except certification_path.PathError:
        if not fetched:
            raise
    return certification_path.find_path(leaf, [*sent, *fetched], anchors, now)


def _missing(missing: Sequence[x509.Certificate]) -> str:
    if not missing:
        return ""
    names = ", ".join(certificates.called(certificate) for certificate in missing)
    return f"the server does not send {names}, which had to be fetched. Let it send that behind its own certificate"


def describe_order(chain_der: Sequence[bytes], anchors: certificates.Anchors) -> dict[str, object]:
    """Return what a whole chain as it was sent is like, apart from trust.

    ``chain_order`` is ``correct`` when each certificate certifies the one before it (RFC 5246 7.4.2), else ``wrong``.
    ``extra_certificates`` are the SHA-256 fingerprints of those that no path from the leaf leads through, and of those
    that were sent before; a root or another issuer's certificate of the same authority (cross-signing) is not among
    them. ``contains_anchor`` says whether a trust anchor was sent, which every client has already.
    """
    chain = [certificates.load_der(der) for der in chain_der]
    leaf = chain[0]
    if leaf is None:
        return NOT_SEEN
    needed = _needed(leaf, [certificate for certificate in chain if certificate is not None])
    return {
        "chain_order": "correct" if all(map(_certifies, chain[1:], chain)) else "wrong",
        "extra_certificates": _extra(chain, chain_der, needed),
        "contains_anchor": any(certificate is not None and certificate in anchors for certificate in chain[1:]),
    }


def _certifies(issuer: x509.Certificate | None, certificate: x509.Certificate | None) -> bool:
    """Whether a certificate is signed by another; a signature that cannot be verified is believed."""
    if issuer is None or certificate is None:
        return False
    return certificates.is_signed_by(certificate, issuer) is not False


def _extra(
    chain: Sequence[x509.Certificate | None], chain_der: Sequence[bytes], needed: set[x509.Certificate]
) -> list[str]:
    extra = []
    for certificate, der in zip(chain, chain_der):
        if certificate is not None and certificate in needed:
            needed.remove(certificate)  # another copy of it is one too many
        else:
            extra.append(hashlib.sha256(der).hexdigest())
    return list(dict.fromkeys(extra))


def _needed(leaf: x509.Certificate, chain: Sequence[x509.Certificate]) -> set[x509.Certificate]:
    """Return the leaf and whatever certifies one that is needed, by its name and its key's identifier."""
    named = certificates.by_subject(chain)
    needed = {leaf}
    waiting = [leaf]
    while waiting:
        last = waiting.pop()
        for issuer in named.get(last.issuer.public_bytes(), ()):
            if issuer not in needed and _key_is_the_one_meant(last, issuer):
                needed.add(issuer)
                waiting.append(issuer)
    return needed


def _key_is_the_one_meant(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the key identifiers agree (RFC 5280 4.2.1.1), where both certificates have one."""
    meant = certificates.extension(certificate, x509.AuthorityKeyIdentifier)
    if meant is None or meant.key_identifier is None:
        return certificate.subject != certificate.issuer  # a root, which needs no issuer, names no key as a rule
    own = certificates.extension(issuer, x509.SubjectKeyIdentifier)
    return own is None or own.digest == meant.key_identifier
