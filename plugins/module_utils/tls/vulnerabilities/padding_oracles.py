# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Padding oracles of CBC suites in TLS: servers that tell one kind of malformed record from another.

Five malformed records, each on a connection of its own and all of one length, so that a difference in the answers can
only come from what is in them (RFC 5246 6.2.3.2: "implementations MUST" answer all alike). The kinds are those of Craig
Young's work on Zombie POODLE and GOLDENDOODLE (Black Hat Asia 2019); the record that is padding throughout is also the
test for CVE-2016-2107. Compared are the alerts and how the connection ends, never fine timing.

For each family (encryption and MAC) at the highest version that accepts it, and again at TLS 1.0: 5 connections, one
more where the answers are no alerts about the record, 10 more where they differ, and one for a handshake that failed.
Two rounds more must be identical to the first before anything is called vulnerable.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    handshake12,
    http_head,
    records12,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.probe import CLOSED, RESET, TIMEOUT
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    LIKELY,
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

NAMES = (
    "poodle_tls",
    "zombie_poodle",
    "goldendoodle",
    "sleeping_poodle",
    "zero_length_padding_oracle",
    "cve_2016_2107",
)

_ROUNDS = 3
_PATIENCE_SECONDS = 3.0
_PATIENCE_AFTER_ALERT_SECONDS = 1.0
# Where the server says nothing by itself after the handshake: what it answers shows that a record was accepted.
_REQUESTS = {
    "smtp": b"NOOP\r\n",
    "lmtp": b"NOOP\r\n",
    "imap": b"a NOOP\r\n",
    "pop3": b"CAPA\r\n",
    "ftp": b"NOOP\r\n",
    "nntp": b"DATE\r\n",
}
_MOST_RECORDS = 32

_ANSWERED = "application data"
_BAD_RECORD = ("alert bad_record_mac", "alert decryption_failed")
_RECORD_OVERFLOW = "alert record_overflow"
_ENDS = {CLOSED: "closed", RESET: "reset", TIMEOUT: "silence"}


@dataclass(frozen=True)
class _Family:
    """One way of CBC encryption at one version, with the suite that stands for it."""

    version: int
    suite: int

    @property
    def is_aes(self) -> bool:
        """Whether CVE-2016-2107 concerns it."""
        return registry.cipher_suite(self.suite).encryption.startswith("AES")

    def __str__(self) -> str:
        suite = registry.cipher_suite(self.suite)
        return f"{registry.VERSION_NAMES[self.version]} {suite.encryption}_{suite.mac}"


# --- the malformed records: each takes the protection, the request and the length, and returns what is encrypted

_Record = Callable[[records12.CbcProtection, bytes, int], bytes]


def _wrong(mac: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in mac)


def _wrong_mac(protection: records12.CbcProtection, request: bytes, length: int) -> bytes:
    data = request.ljust(length - protection.mac_bytes - 1)
    return data + _wrong(protection.mac(wire.CONTENT_APPLICATION_DATA, data)) + b"\x00"


def _wrong_padding(_protection: records12.CbcProtection, _request: bytes, length: int) -> bytes:
    return os.urandom(length - 1) + b"\xff"


def _inconsistent_padding(protection: records12.CbcProtection, request: bytes, length: int) -> bytes:
    """Right MAC, and a block of padding of which only the last byte is right, as SSL 3.0 allows it."""
    right = request + protection.mac(wire.CONTENT_APPLICATION_DATA, request)
    last = length - len(right) - 1
    return right + bytes([last ^ 0xFF]) * last + bytes([last])


def _only_padding(_protection: records12.CbcProtection, _request: bytes, length: int) -> bytes:
    return bytes([length - 1]) * length


def _empty_with_wrong_mac(protection: records12.CbcProtection, _request: bytes, length: int) -> bytes:
    count = length - protection.mac_bytes
    return _wrong(protection.mac(wire.CONTENT_APPLICATION_DATA, b"")) + bytes([count - 1]) * count


_MALFORMED: tuple[tuple[str, _Record], ...] = (
    ("wrong MAC", _wrong_mac),
    ("wrong padding", _wrong_padding),
    ("inconsistent padding", _inconsistent_padding),
    ("only padding", _only_padding),
    ("empty record with wrong MAC", _empty_with_wrong_mac),
)

_Reactions = dict[str, str]


def probe(context: ProbeContext) -> dict[str, Finding]:
    """Return a finding for each of :data:`NAMES`."""
    families = _families(context)
    if not families:
        finding = Finding(NOT_APPLICABLE, "the server accepts no CBC cipher suite from TLS 1.0 to TLS 1.2")
        return dict.fromkeys(NAMES, finding)
    results: dict[_Family, dict[str, Finding]] = {}
    stopped = ""
    for family in families:
        reason = stopped if handshake12.can_complete(family.suite) else "no handshake can be completed with it"
        if not reason:
            try:
                results[family] = _test(context, family)
                continue
            except handshaking.NotMeasuredError as error:  # what is silent for one family would be silent for all
                reason = stopped = str(error)
        results[family] = dict.fromkeys(NAMES, Finding(NOT_TESTED, reason))
    return {name: _summary(name, results) for name in NAMES}


def _families(context: ProbeContext) -> list[_Family]:
    """Return each family that the server accepts, with a suite that a handshake can be completed with if it has one."""
    found: dict[tuple[str, str, bool], _Family] = {}
    for version in context.versions_up_to_tls12:
        for number in context.suites_where(version, cbc=True) if version >= registry.TLS10 else ():
            suite = registry.cipher_suite(number)
            # TLS 1.0 has its own code in many servers: no explicit IV.
            key = (suite.encryption, suite.mac, version == registry.TLS10)
            known = found.get(key)
            if known is None or (handshake12.can_complete(number) and not handshake12.can_complete(known.suite)):
                found[key] = _Family(version, number)
    return list(found.values())


def _summary(name: str, results: dict[_Family, dict[str, Finding]]) -> Finding:
    """Return the worst that was found, with the families that it holds for."""
    found = {family: by_name[name] for family, by_name in results.items() if name != "cve_2016_2107" or family.is_aes}
    if not found:
        return Finding(NOT_APPLICABLE, "the server accepts no AES-CBC cipher suite")
    for status in (VULNERABLE, LIKELY, NOT_TESTED):
        families: dict[str, list[str]] = {}
        for family, finding in found.items():
            if finding.status == status:
                families.setdefault(finding.evidence, []).append(str(family))
        if families:
            return Finding(status, "; ".join(f"{', '.join(names)}: {why}" for why, names in families.items()))
    return Finding(NOT_VULNERABLE, f"malformed records are answered alike ({', '.join(map(str, found))})")


# --- one family


def _test(context: ProbeContext, family: _Family) -> dict[str, Finding]:
    """Return the findings of one family; raises :class:`handshaking.NotMeasuredError`."""
    first = _round(context, family)
    control = ""
    if not all(reaction.startswith(_BAD_RECORD) for reaction in first.values()):
        control = _reaction(context, family, None)
    if len(set(first.values())) == 1:
        if control in first.values():
            raise handshaking.NotMeasuredError(f"a right record is answered like malformed ones: {control}")
        return dict.fromkeys(NAMES, Finding(NOT_VULNERABLE, "alike"))
    if any(_round(context, family) != first for _round_number in range(_ROUNDS - 1)):
        reason = f"inconsistent: malformed records are not answered the same way {_ROUNDS} times"
        return dict.fromkeys(NAMES, Finding(NOT_TESTED, reason))
    return _judge(first, control, family.is_aes)


def _judge(reactions: _Reactions, control: str, is_aes: bool) -> dict[str, Finding]:
    """Say what answers mean that differ, and did so in each round."""
    wrong_mac, wrong_padding, inconsistent, only_padding, empty = (reactions[kind] for kind, _record in _MALFORMED)
    usual = (wrong_mac, wrong_padding)
    findings = dict.fromkeys(NAMES, Finding(NOT_VULNERABLE, "alike"))

    def differs(kind: str, reaction: str) -> str:
        return f"{kind}: {reaction}; wrong MAC: {wrong_mac}; wrong padding: {wrong_padding}"

    if wrong_mac != wrong_padding:
        evidence = f"wrong MAC: {wrong_mac}; wrong padding: {wrong_padding}"
        findings["goldendoodle"] = Finding(VULNERABLE, evidence)
    if inconsistent not in usual:
        evidence = differs("inconsistent padding with a right MAC", inconsistent)
        if inconsistent != control:
            findings["zombie_poodle"] = Finding(VULNERABLE, evidence)
        elif control == _ANSWERED:
            findings["poodle_tls"] = Finding(VULNERABLE, f"accepted: {evidence}")
        else:
            findings["poodle_tls"] = Finding(LIKELY, f"answered like a right record: {evidence}")
    if only_padding not in usual:
        overflow = is_aes and only_padding.startswith(_RECORD_OVERFLOW)
        name = "cve_2016_2107" if overflow else "sleeping_poodle"
        findings[name] = Finding(VULNERABLE, differs("a record of padding only", only_padding))
    if empty not in usual:
        findings["zero_length_padding_oracle"] = Finding(VULNERABLE, differs("an empty record with a wrong MAC", empty))
    return findings


def _round(context: ProbeContext, family: _Family) -> _Reactions:
    return {kind: _reaction(context, family, record) for kind, record in _MALFORMED}


def _reaction(context: ProbeContext, family: _Family, record: _Record | None) -> str:
    """Return what a server answers to a record, ``None`` for a right one; after a failed handshake once more."""
    try:
        return _react(context, family, record)
    except handshaking.NotMeasuredError:
        return _react(context, family, record)


def _react(context: ProbeContext, family: _Family, record: _Record | None) -> str:
    with handshaking.client(context, context.session.timeout_seconds + _PATIENCE_SECONDS) as connected:
        established = connected.handshake(handshake12.Offer(family.version, (family.suite,), context.server_name))
        protection = connected.records.writing
        if established.hello.version != family.version or not isinstance(protection, records12.CbcProtection):
            raise handshaking.NotMeasuredError("the server selected another version than it was asked for")
        request = _request(context, protection)
        with connected.records.patience(_PATIENCE_SECONDS):
            if record is None:
                connected.records.send(wire.CONTENT_APPLICATION_DATA, request)
            else:
                length = len(request) + protection.mac_bytes + protection.block_bytes
                padded = record(protection, request, length)
                connected.records.send_raw(wire.CONTENT_APPLICATION_DATA, protection.encrypt(padded))
            return _read(connected.records, context.speaks_http or context.starttls in _REQUESTS)


def _request(context: ProbeContext, protection: records12.CbcProtection) -> bytes:
    """Return what the application would answer, filled up with empty lines to whole blocks together with its MAC."""
    request = http_head.SHORT_REQUEST if context.speaks_http else _REQUESTS.get(context.starttls or "", b"\r\n")
    missing = -(len(request) + protection.mac_bytes) % protection.block_bytes
    return request + b"\n" * missing


def _read(records: records12.Records, data_is_an_answer: bool) -> str:
    """Return what answers a record: application data, or all alerts and how the connection ended.

    Where the server may speak by itself, application data is passed over.
    """
    alerts: list[str] = []
    try:
        for _record in range(_MOST_RECORDS):
            with records.patience(_PATIENCE_AFTER_ALERT_SECONDS if alerts else _PATIENCE_SECONDS):
                record = records.receive()
            if record.content == wire.CONTENT_ALERT:
                alerts.append(f"alert {wire.decode_alert(record.body).name}")
            elif record.content == wire.CONTENT_APPLICATION_DATA and record.body and data_is_an_answer:
                return _ANSWERED
        end = "records without end"
    except records12.ConnectionEndedError as error:
        end = _ENDS[error.kind]
    except wire.DecodeError:
        end = "a malformed record"
    return ", ".join([*alerts, end])
