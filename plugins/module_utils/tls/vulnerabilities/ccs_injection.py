# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CCS injection (CVE-2014-0224): a server that accepts ChangeCipherSpec before any keys were exchanged.

An early ChangeCipherSpec is followed by two bytes that cannot be decrypted. A server that took it tries to, and says
that it failed: alert bad_record_mac or decryption_failed. Any other does not expect what comes (RFC 5246 7.1). What
could be taken for either is asked twice: one connection for a clear refusal, two else, plus one for each failed hello.
"""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.probe import ALERT, CLOSED, RESET
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

_WAIT_SECONDS = 3.0
_EARLY = (
    (wire.CONTENT_CHANGE_CIPHER_SPEC, b"\x01"),
    (wire.CONTENT_APPLICATION_DATA, b"\x00\x00"),
)
# bad_record_mac, decryption_failed
_TRIED_TO_DECRYPT = (20, 21)


def probe(context: ProbeContext) -> Finding:
    """Return whether the server takes a ChangeCipherSpec right after its ServerHelloDone."""
    versions = context.versions_up_to_tls12
    if not versions:
        return Finding(NOT_APPLICABLE, "the server speaks no version up to TLS 1.2")
    if context.always_extended_master_secret:  # OpenSSL does from 1.1.0 on, two years after the repair
        return Finding(NOT_VULNERABLE, "excluded: it agrees to an extended master secret, as no OpenSSL with it does")
    try:
        first = _answer(context, versions[0])
        if _is_refusal(first) and first.kind == ALERT:
            return _not_vulnerable(first)
        if first.kind in (ALERT, CLOSED, RESET):
            return _judge(first, _answer(context, versions[0]))
    except NotMeasuredError as error:
        return Finding(NOT_TESTED, str(error))
    return Finding(NOT_TESTED, f"the answer to an early ChangeCipherSpec tells nothing: {first.text}")


def _judge(first: dialogue.Answer, second: dialogue.Answer) -> Finding:
    if _is_refusal(first) and _is_refusal(second):
        return _not_vulnerable(second)
    if first != second:
        return Finding(NOT_TESTED, f"inconsistent: first {first.text}, then {second.text}")
    return Finding(VULNERABLE, f"an early ChangeCipherSpec was taken, twice: {first.text} for what followed it")


def _is_refusal(answer: dialogue.Answer) -> bool:
    return answer.kind in (CLOSED, RESET) or (answer.kind == ALERT and answer.alert not in _TRIED_TO_DECRYPT)


def _not_vulnerable(answer: dialogue.Answer) -> Finding:
    return Finding(NOT_VULNERABLE, f"an early ChangeCipherSpec was refused: {answer.text}")


def _answer(context: ProbeContext, version: int) -> dialogue.Answer:
    """Return what is answered to the early records; a hello that fails is said once more."""
    try:
        return _ask(context, version)
    except NotMeasuredError:
        return _ask(context, version)


def _ask(context: ProbeContext, version: int) -> dialogue.Answer:
    with dialogue.begin(context, version, context.suites[version]) as conversation:
        conversation.say(min(_WAIT_SECONDS, context.session.timeout_seconds), *_EARLY)
        return conversation.hear()
