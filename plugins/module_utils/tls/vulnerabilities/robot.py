# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ROBOT, Bleichenbacher's oracle: a server that tells malformed RSA key exchanges from right ones (RFC 5246 7.4.7.1).

Five blocks are encrypted to the key of the server's certificate: one right, and four malformed in the ways that H.
Boeck, J. Somorovsky and C. Young found told apart ("Return Of Bleichenbacher's Oracle Threat", 2018). Each has a
connection of its own. First the whole end of a handshake is sent, then, where all were answered alike, the
ClientKeyExchange alone. The blocks are the only difference; what a session would need is not computed. Compared are
alerts and the ways a connection ends, never fine timing.

Ten connections where all is answered alike. Silence is waited for shortly at first, and a round is asked again with the
full patience where only some are silent, or all are at the end of a handshake: 15 connections. Answers that differ must
do so in three identical rounds: 15 to 30. A failed hello adds one.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    handshake12,
    primitives,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.probe import TIMEOUT
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.together import at_once
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import dialogue
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.handshaking import NotMeasuredError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.wire import HandshakeType

_ROUNDS = 3
_SHORT_WAIT_SECONDS = 1.0

# Whole blocks of every cipher, and room for every MAC and tag.
_FINISHED_BYTES = 80
# bad_record_mac, decryption_failed, decrypt_error: the answers of a server that has come as far as the Finished.
_FINISHED_WAS_READ = (20, 21, 51)

_KINDS = ("right", "wrong first bytes", "zero byte misplaced", "no zero byte", "wrong version")
_WHOLE_END = "ClientKeyExchange, ChangeCipherSpec and Finished"
_ALONE = "a ClientKeyExchange alone"


def _blocks(size: int, version: int) -> tuple[bytes, ...]:
    """Return a block of each of :data:`_KINDS`, as long as the modulus (RFC 8017 7.2.1, RFC 5246 7.4.7.1)."""
    padding = primitives.nonzero_bytes(size - 3 - handshake12.PREMASTER_BYTES)
    secret = primitives.nonzero_bytes(handshake12.PREMASTER_BYTES - 2)
    offered = version.to_bytes(2, "big")
    return (
        b"\x00\x02" + padding + b"\x00" + offered + secret,
        b"\x41\x17" + padding + b"\x00" + offered + secret,
        b"\x00\x02" + padding + b"\x11" + secret + b"\x00\x11",
        b"\x00\x02" + padding + b"\x11\x11\x11" + secret,
        b"\x00\x02" + padding + b"\x00\x02\x02" + secret,
    )


@dataclass(frozen=True)
class _Offer:
    """The one version and suite that all connections use."""

    context: ProbeContext
    version: int
    suite: int

    def __str__(self) -> str:
        return f"{registry.VERSION_NAMES[self.version]} {registry.cipher_suite(self.suite).name}"


@dataclass(frozen=True)
class _Round:
    """The answers to a block of each of :data:`_KINDS`."""

    answers: tuple[dialogue.Answer, ...]
    client_certificate_requested: bool = field(compare=False)

    @property
    def alike(self) -> bool:
        return len(set(self.answers)) == 1

    @property
    def has_silence(self) -> bool:
        return any(answer.kind == TIMEOUT for answer in self.answers)

    def __str__(self) -> str:
        if self.alike:
            return self.answers[0].text
        return "; ".join(f"{kind}: {answer.text}" for kind, answer in zip(_KINDS, self.answers))


def probe(context: ProbeContext) -> Finding:
    """Return whether the server answers malformed RSA key exchanges differently from right ones."""
    offer = _best_offer(context)
    if offer is None:
        return Finding(NOT_APPLICABLE, "the server accepts no cipher suite with RSA key exchange")
    try:
        return _test(offer)
    except NotMeasuredError as error:
        return Finding(NOT_TESTED, str(error))


def _best_offer(context: ProbeContext) -> _Offer | None:
    """Return the highest version with RSA key exchange; some servers have the oracle with GCM suites alone."""
    for version in context.versions_up_to_tls12:
        accepted = context.suites_where(version, key_exchange="RSA", authentication="RSA", export=False)
        if accepted:
            gcm = (suite for suite in accepted if registry.cipher_suite(suite).encryption.endswith("GCM"))
            return _Offer(context, version, next(gcm, accepted[0]))
    return None


def _test(offer: _Offer) -> Finding:
    whole, wait_seconds = _settled_round(offer, _WHOLE_END)
    if not whole.alike:
        return _confirm(offer, _WHOLE_END, whole, wait_seconds)
    alone, wait_seconds = _settled_round(offer, _ALONE)
    if not alone.alike:
        return _confirm(offer, _ALONE, alone, wait_seconds)
    if whole.has_silence and alone.has_silence:
        return Finding(NOT_TESTED, f"{offer}: no key exchange is answered at all")
    if whole.client_certificate_requested and whole.answers[0].alert not in _FINISHED_WAS_READ:
        reason = f"the server asks for a client certificate, and may not have looked further: {whole}"
        return Finding(NOT_TESTED, f"{offer}: {reason}")
    return Finding(NOT_VULNERABLE, f"{offer}: right and malformed RSA key exchanges are answered alike: {whole}")


def _settled_round(offer: _Offer, flow: str) -> tuple[_Round, float]:
    """Return a round, and how long its answers were waited for.

    Silence after a short while is no answer yet; but to a ClientKeyExchange alone silence is the usual one.
    """
    full = offer.context.session.timeout_seconds
    short = min(_SHORT_WAIT_SECONDS, full)
    first = _round(offer, flow, short)
    if first.has_silence and not (first.alike and flow == _ALONE):
        return _round(offer, flow, full), full
    return first, short


def _confirm(offer: _Offer, flow: str, first: _Round, wait_seconds: float) -> Finding:
    """Believe a difference that is the same in each round."""
    for _round_number in range(_ROUNDS - 1):
        again = _round(offer, flow, wait_seconds)
        if again != first:
            return Finding(NOT_TESTED, f"{offer}: inconsistent: the answers to {flow} change: {first}, then {again}")
    malformed = first.answers[1:4]
    # Who cannot tell the malformed ones apart needs far more questions to decrypt anything.
    strength = "weak" if len(set(malformed)) == 1 else "strong"
    return Finding(VULNERABLE, f"{offer}: {strength} oracle, {_ROUNDS} rounds alike, in the answers to {flow}: {first}")


def _round(offer: _Offer, flow: str, wait_seconds: float) -> _Round:
    """Try all kinds side by side, and what failed again alone: some servers serve one client after the other."""

    def one(kind: int) -> tuple[dialogue.Answer, bool] | None:
        try:
            return _answer(offer, flow, kind, wait_seconds)
        except NotMeasuredError:
            return None

    first = at_once([functools.partial(one, kind) for kind in range(len(_KINDS))])
    heard = [found or _answer(offer, flow, kind, wait_seconds) for kind, found in enumerate(first)]
    return _Round(tuple(answer for answer, _requested in heard), any(requested for _said, requested in heard))


def _answer(offer: _Offer, flow: str, kind: int, wait_seconds: float) -> tuple[dialogue.Answer, bool]:
    """Return what is answered to one key exchange, and whether a client certificate was asked for."""
    with dialogue.begin(offer.context, offer.version, (offer.suite,)) as conversation:
        requested = conversation.flight.client_certificate_requested
        exchange = _key_exchange(offer.version, conversation.flight.certificates, kind)
        messages = [wire.handshake_message(HandshakeType.CLIENT_KEY_EXCHANGE, exchange)]
        if requested:
            messages.insert(0, wire.handshake_message(HandshakeType.CERTIFICATE, bytes(3)))
        spoken = [(wire.CONTENT_HANDSHAKE, message) for message in messages]
        if flow == _WHOLE_END:
            spoken.append((wire.CONTENT_CHANGE_CIPHER_SPEC, b"\x01"))
            spoken.append((wire.CONTENT_HANDSHAKE, os.urandom(_FINISHED_BYTES)))
        conversation.say(wait_seconds, *spoken)
        return conversation.hear(), requested


def _key_exchange(version: int, certificates: list[bytes], kind: int) -> bytes:
    """Return the body of a ClientKeyExchange with one of the blocks."""
    modulus, exponent = handshake12.rsa_public_key(certificates)
    block = _blocks((modulus.bit_length() + 7) // 8, version)[kind]
    encrypted = primitives.rsa_encrypt_block(modulus, exponent, block)
    # SSL 3.0 does not write the length (RFC 5246 7.4.7.1).
    return encrypted if version == registry.SSL3 else wire.vector(encrypted, 2)
