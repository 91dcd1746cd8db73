# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Heartbleed (CVE-2014-0160), found without reading a byte of foreign memory.

A heartbeat request must have at least 16 bytes of padding (RFC 6520 4); the vulnerable code forgets to check that there
is room for them. So a request whose payload fills its record to the end, with no padding, is discarded by a server that
checks, and echoed by one that does not: every byte of the payload is ours, and no length is claimed that was not sent.
A right request goes first, on the same connection: without its echo silence would mean nothing.

Both fill a record of the largest size: OpenSSL 1.0.1 holds small answers back while a handshake is going on (measured
on 1.0.1f and 1.0.1g). One connection, two where the first hello fails.
"""

from __future__ import annotations

import dataclasses
import os
import struct

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import records12, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.probe import ALERT, CLOSED, RESET, TIMEOUT
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

_CONTENT_HEARTBEAT = 24
_REQUEST = 1
_RESPONSE = 2
_EXTENSION = wire.HEARTBEAT[0]

_RECORD_BYTES = 16384
_HEAD_BYTES = 3
_PADDING_BYTES = 16
_WAIT_SECONDS = 3.0

_ECHO = "an echo"
_OTHER = "a heartbeat that is no echo"
_NOT_OFFERED = Finding(NOT_APPLICABLE, "the server does not answer with the heartbeat extension")


def probe(context: ProbeContext) -> Finding:
    """Return whether the server answers a heartbeat request that it must discard."""
    versions = [version for version in context.versions_up_to_tls12 if version >= registry.TLS10]
    if not versions:
        return Finding(NOT_APPLICABLE, "the server speaks no version from TLS 1.0 to TLS 1.2")
    # Where the enumeration has seen no extensions of a version at all, the server is asked.
    with_heartbeat = [version for version in versions if _EXTENSION in context.extensions.get(version, (_EXTENSION,))]
    if not with_heartbeat:
        return _NOT_OFFERED
    version = with_heartbeat[0]
    try:
        return _measure(context, version)
    except NotMeasuredError:
        pass
    try:
        return _measure(dataclasses.replace(context, server_name=None), version)  # old servers may dislike the name
    except NotMeasuredError as error:
        return Finding(NOT_TESTED, str(error))


def _measure(context: ProbeContext, version: int) -> Finding:
    with dialogue.begin(context, version, context.suites[version]) as conversation:
        if _EXTENSION not in conversation.hello.extensions:
            if version in context.extensions:
                raise NotMeasuredError("the server answered with the heartbeat extension before, but not this time")
            return _NOT_OFFERED
        wait_seconds = min(_WAIT_SECONDS, context.session.timeout_seconds)
        control = _answer(conversation, _PADDING_BYTES, wait_seconds)
        if control.text != _ECHO:
            reason = "no control answer: a right heartbeat request, which need not be answered during a handshake, got"
            return Finding(NOT_TESTED, f"{reason} {control.text}")
        return _judge(_answer(conversation, 0, wait_seconds))


def _judge(answer: dialogue.Answer) -> Finding:
    request = "a heartbeat request without padding"
    if answer.text == _ECHO:
        return Finding(VULNERABLE, f"{request} was echoed, where it must be discarded; all of it were our own bytes")
    if answer.kind in (TIMEOUT, ALERT, CLOSED, RESET):
        return Finding(NOT_VULNERABLE, f"{request} was not echoed, while a right one was: {answer.text}")
    return Finding(NOT_TESTED, f"the answer to {request} tells nothing: {answer.text}")


def _answer(conversation: dialogue.Conversation, padding_bytes: int, wait_seconds: float) -> dialogue.Answer:
    """Send a request that fills a record, of random payload and so much padding; return what is answered."""
    payload = os.urandom(_RECORD_BYTES - _HEAD_BYTES - padding_bytes)
    echo = _message(_RESPONSE, payload)

    def name(received: records12.Record) -> str:
        """Compare with what was sent; whatever follows that in the record is left unread."""
        if received.content != _CONTENT_HEARTBEAT:
            return ""
        return _ECHO if received.body.startswith(echo) else _OTHER

    conversation.say(wait_seconds, (_CONTENT_HEARTBEAT, _message(_REQUEST, payload) + os.urandom(padding_bytes)))
    return conversation.hear(name)


def _message(kind: int, payload: bytes) -> bytes:
    """Return a heartbeat message without padding (RFC 6520 4)."""
    return struct.pack("!BH", kind, len(payload)) + payload
