# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a stapled OCSP response about this certificate, signed by who may, and fresh? See RFC 6960.

A pure function of bytes, trust anchors and a moment: no OCSP server is asked.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate as certificates

if certificates.CRYPTOGRAPHY_IMPORT_ERROR is None:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
    from cryptography.x509 import ocsp
    from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

# What OpenSSL's users allow too; clocks differ.
_CLOCK_SKEW = datetime.timedelta(minutes=5)
# A response that does not say when there will be a newer one is believed for as long as Firefox does.
_WITHOUT_NEXT_UPDATE = datetime.timedelta(days=1)
# A response has one certificate, or a few; each costs the verification of a signature.
_MAX_RESPONDERS = 8

_UNKNOWN: dict[str, object] = dict.fromkeys(
    (
        "status",
        "valid",
        "reason",
        "detail",
        "responder",
        "produced_at",
        "this_update",
        "next_update",
        "revoked_at",
        "revocation_reason",
    )
)


class _NotValid(Exception):
    """Why a response is not valid, or, with ``valid`` as ``None``, why that cannot be told."""

    def __init__(self, reason: str, detail: str, valid: bool | None = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.valid = valid


def judge(
    response_der: bytes,
    leaf_der: bytes,
    chain_der: Sequence[bytes],
    anchors: certificates.Anchors,
    now: datetime.datetime,
) -> dict[str, object]:
    """Return the verdict about a stapled response; nothing that a server sends makes this raise.

    ``status`` is what the response says (``good``, ``revoked``, ``unknown``), ``valid`` whether that is to be believed,
    ``None`` where it cannot be told. The reasons of a response that is not valid are ``malformed``, ``responder_error``
    (it is a refusal), ``wrong_certificate``, ``unknown_responder``, ``unauthorized_responder``, ``bad_signature``,
    ``weak_signature`` (MD5, SHA-1), ``unknown_extension`` (a critical one), ``not_yet_valid``, ``expired``; those of
    one that cannot be judged ``issuer_unknown`` (neither in the chain nor an anchor) and ``unsupported_algorithm``.
    Times are ISO 8601. Whether the responder's own certificate is revoked is not asked (RFC 6960 4.2.2.2.1).
    """
    verdict = dict(_UNKNOWN)
    try:
        with certificates.without_warnings():
            _examine(response_der, leaf_der, chain_der, anchors, now, verdict)
    except _NotValid as error:
        return {**verdict, "valid": error.valid, "reason": error.reason, "detail": error.detail}
    except certificates.PARSE_ERRORS:
        return {**verdict, "valid": False, "reason": "malformed", "detail": "the response cannot be parsed"}
    return {**verdict, "valid": True}


def must_staple_satisfied(must_staple: bool, verdict: dict[str, object] | None) -> bool | None:
    """Whether a certificate that demands a stapled response (RFC 7633) has a good one; ``None`` if it demands none.

    Browsers that know the demand refuse a server that does not meet it.
    """
    if not must_staple:
        return None
    return verdict is not None and verdict["valid"] is True and verdict["status"] == "good"


def _examine(
    response_der: bytes,
    leaf_der: bytes,
    chain_der: Sequence[bytes],
    anchors: certificates.Anchors,
    now: datetime.datetime,
    verdict: dict[str, object],
) -> None:
    """Fill the verdict with what the response says, and raise :class:`_NotValid` at the first thing that is wrong."""
    response = ocsp.load_der_ocsp_response(response_der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        answer = response.response_status.name.lower()
        raise _NotValid("responder_error", f"the responder answered {answer} instead of a status")
    verdict.update(responder=_responder(response), produced_at=certificates.iso(response.produced_at_utc))
    leaf = certificates.load_der(leaf_der)
    if leaf is None:
        raise _NotValid("issuer_unknown", "the server's certificate cannot be parsed", None)
    issuer = _issuer_of(leaf, chain_der, anchors)
    answer_for_leaf = _answer_for(response, leaf, issuer)
    verdict.update(_said(answer_for_leaf))
    if issuer is None:
        raise _NotValid("issuer_unknown", "the issuer of the certificate was not sent and is not a trusted one", None)
    _check_signer(response, issuer, now)
    _check_extensions(response)
    _check_times(answer_for_leaf, now)


def _responder(response: ocsp.OCSPResponse) -> str:
    name = response.responder_name
    if name is not None:
        return name.rfc4514_string()
    return f"the key with the SHA-1 digest {(response.responder_key_hash or b'').hex()}"


def _issuer_of(
    leaf: x509.Certificate, chain_der: Sequence[bytes], anchors: certificates.Anchors
) -> x509.Certificate | None:
    """Return who issued the leaf; where its signature cannot be verified, whoever bears the name."""
    named = certificates.by_subject(filter(None, map(certificates.load_der, chain_der)))
    candidates = [*named.get(leaf.issuer.public_bytes(), ()), *anchors.named(leaf.issuer)][:_MAX_RESPONDERS]
    return next((issuer for issuer in candidates if certificates.is_signed_by(leaf, issuer) is not False), None)


# --- what it says


def _answer_for(
    response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate | None
) -> ocsp.OCSPSingleResponse:
    """Return the answer about a certificate; with an unknown issuer, that about its serial number."""
    for answer in response.responses:
        if answer.serial_number == leaf.serial_number and (issuer is None or _names_issuer(answer, leaf, issuer)):
            return answer
    raise _NotValid("wrong_certificate", "the response is not about this certificate")


def _names_issuer(answer: ocsp.OCSPSingleResponse, leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the hashes of an answer's CertID are those of an issuer's name and key (RFC 6960 4.1.1)."""
    try:
        request = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, answer.hash_algorithm).build()
    except certificates.PARSE_ERRORS:
        return False
    meant = (answer.issuer_name_hash, answer.issuer_key_hash)
    return meant == (request.issuer_name_hash, request.issuer_key_hash)


def _said(answer: ocsp.OCSPSingleResponse) -> dict[str, object]:
    next_update, revoked_at, reason = answer.next_update_utc, answer.revocation_time_utc, answer.revocation_reason
    return {
        "status": answer.certificate_status.name.lower(),
        "this_update": certificates.iso(answer.this_update_utc),
        "next_update": None if next_update is None else certificates.iso(next_update),
        "revoked_at": None if revoked_at is None else certificates.iso(revoked_at),
        "revocation_reason": None if reason is None else reason.value,
    }


# --- whether it is to be believed


def _check_signer(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime.datetime) -> None:
    """Check that the issuer signed the response, or whom the issuer entrusted with it (RFC 6960 4.2.2.2)."""
    candidates = [issuer, *response.certificates[:_MAX_RESPONDERS]]
    signers = [signer for signer in candidates if _is_responder(response, signer)]
    if not signers:
        raise _NotValid("unknown_responder", "the certificate of the responder is not in the response")
    for signer in signers:
        if _is_signed_with(response, signer):
            if signer != issuer:
                _check_delegate(signer, issuer, now)
            return
    raise _NotValid("bad_signature", "the response is not signed with the responder's key")


def _is_responder(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    """Whether a response names a certificate's subject or key as its responder."""
    name = response.responder_name
    if name is not None:
        return name.public_bytes() == signer.subject.public_bytes()
    try:
        return x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest == response.responder_key_hash
    except certificates.PARSE_ERRORS:
        return False


def _is_signed_with(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    """Whether a certificate's key made the signature of a response."""
    try:
        digest = response.signature_hash_algorithm
        if digest is not None and certificates.is_weak_signature(digest.name):
            raise _NotValid("weak_signature", f"the response is signed with {digest.name}")
        key, signature, signed = signer.public_key(), response.signature, response.tbs_response_bytes
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None and not _is_pss(response):
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        else:
            raise UnsupportedAlgorithm("")
    except InvalidSignature:
        return False
    except certificates.PARSE_ERRORS:
        oid = response.signature_algorithm_oid.dotted_string
        raise _NotValid("unsupported_algorithm", f"the signature ({oid}) cannot be verified here", None) from None
    return True


def _is_pss(response: ocsp.OCSPResponse) -> bool:
    return response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS


def _check_delegate(signer: x509.Certificate, issuer: x509.Certificate, now: datetime.datetime) -> None:
    """Check that an issuer made a certificate, for the signing of OCSP responses, and that it is valid."""
    whose = certificates.called(signer)
    algorithm = certificates.signature_algorithm(signer)
    if certificates.is_weak_signature(algorithm):
        raise _NotValid("weak_signature", f"the certificate of {whose} is signed with {algorithm}")
    signed = certificates.is_signed_by(signer, issuer)
    if signed is None:
        raise _NotValid("unsupported_algorithm", f"the certificate of {whose} cannot be verified here", None)
    usages = certificates.extension(signer, x509.ExtendedKeyUsage)
    if not signed or usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in list(usages):
        raise _NotValid("unauthorized_responder", f"the issuer has not entrusted {whose} with OCSP responses")
    if not signer.not_valid_before_utc <= now <= signer.not_valid_after_utc:
        raise _NotValid("unauthorized_responder", f"the certificate of {whose} is not valid now")


def _check_extensions(response: ocsp.OCSPResponse) -> None:
    """Check that nothing critical is asked of us: no extension of a response needs to be (RFC 6960 4.4)."""
    for extension in (*response.extensions, *_extensions_of_the_answer(response)):
        if extension.critical:
            oid = extension.oid.dotted_string
            raise _NotValid("unknown_extension", f"a critical extension of the response is not understood: {oid}")


def _extensions_of_the_answer(response: ocsp.OCSPResponse) -> Iterator[x509.Extension[x509.ExtensionType]]:
    """Give the extensions of a response's only answer; the package does not show those of several."""
    if sum(1 for _answer in response.responses) == 1:
        yield from response.single_extensions


def _check_times(answer: ocsp.OCSPSingleResponse, now: datetime.datetime) -> None:
    """Check that now lies between the two updates (RFC 6960 4.2.2.1)."""
    this_update, next_update = answer.this_update_utc, answer.next_update_utc
    if this_update > now + _CLOCK_SKEW:
        raise _NotValid("not_yet_valid", f"the response is valid from {certificates.iso(this_update)}")
    until = this_update + _WITHOUT_NEXT_UPDATE if next_update is None else next_update
    if until < now - _CLOCK_SKEW:
        raise _NotValid("expired", f"the response was valid until {certificates.iso(until)}")
