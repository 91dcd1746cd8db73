# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The padding oracles: sound servers of OpenSSL and GnuTLS, and tlslite-ng with one flaw after the other built in.

No server that can be had has these flaws any more; what tlslite-ng does with a malformed record is replaced here, all
else, the handshake and the records included, is its own.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from tlslite import errors  # type: ignore[import-untyped]
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey  # type: ignore[import-untyped]
from tlslite.constants import AlertDescription, AlertLevel  # type: ignore[import-untyped]
from tlslite.messages import Alert  # type: ignore[import-untyped]
from tlslite.recordlayer import RecordLayer  # type: ignore[import-untyped]

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import probe, registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Session
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import padding_oracles
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    LIKELY,
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
    Finding,
)

from ......peers import servers as peers
from ..conftest import Handler, Servers, Stub
from ..test_starttls import SCRIPTS, play

TDES_SHA, AES128_SHA, AES256_SHA, AES128_SHA256 = 0x000A, 0x002F, 0x0035, 0x003C
ECDHE_AES128_SHA, ECDHE_AES256_SHA384 = 0xC013, 0xC028
CAMELLIA_SHA, AES128_GCM = 0x0041, 0x009C
PSK_AES128_SHA = 0x008C


# --- a server with a flaw


@dataclass(frozen=True)
class Malformed:
    """What is wrong with a decrypted record, as far as its last byte is believed."""

    padding_right: bool
    padding_bytes: int
    block_bytes: int
    room_for_mac: bool
    mac_right: bool
    empty: bool
    connection_number: int


class CloseWithoutAlertError(Exception):
    pass


class ResetError(Exception):
    pass


class AlertThenResetError(ResetError):
    pass


class SilenceError(Exception):
    pass


class AcceptedError(Exception):
    """The record is taken for a right one."""


class AlertThenCloseNotifyError(Exception):
    pass


BAD_MAC: type[Exception] = errors.TLSBadRecordMAC
DECRYPTION_FAILED: type[Exception] = errors.TLSDecryptionFailed
# What a server does with a malformed record.
Flaw = Callable[[Malformed], type[Exception]]


def sound(_record: Malformed) -> type[Exception]:
    return BAD_MAC


def instead(condition: Callable[[Malformed], bool], reaction: type[Exception]) -> Flaw:
    """Return the flaw of a server that reacts in another way to some malformed records."""
    return lambda record: reaction if condition(record) else BAD_MAC


def send_alerts(layer: RecordLayer, *descriptions: int) -> None:
    for description in descriptions:
        for _sent in layer.sendRecord(Alert().create(description, AlertLevel.fatal)):
            pass


class FlawedRecordLayer(RecordLayer):  # type: ignore[misc]
    """tlslite-ng's record layer, up to what becomes of a record that is not right."""

    flaw: Flaw
    number: int
    connection: socket.socket

    def _decryptThenMAC(self, recordType: int, data: bytearray) -> bytearray:
        state = self._readState
        padded = bytearray(state.encContext.decrypt(data))
        if self.version >= (3, 2):
            padded = padded[state.encContext.block_size :]
        padding_bytes = padded[-1] + 1
        mac_bytes = state.macContext.digest_size
        plaintext = padded[: max(0, len(padded) - padding_bytes - mac_bytes)]
        room = padding_bytes + mac_bytes <= len(padded)
        mac = self.calculateMAC(state.macContext.copy(), state.getSeqNumBytes(), recordType, plaintext)
        record = Malformed(
            padding_right=padded[-padding_bytes:] == bytes([padding_bytes - 1]) * padding_bytes,
            padding_bytes=padding_bytes,
            block_bytes=state.encContext.block_size,
            room_for_mac=room,
            mac_right=room and padded[len(plaintext) : len(plaintext) + mac_bytes] == mac,
            empty=not plaintext,
            connection_number=self.number,
        )
        if record.padding_right and record.mac_right:
            return plaintext
        reaction = self.flaw(record)
        if reaction is AcceptedError:
            return plaintext
        if reaction is AlertThenCloseNotifyError:
            send_alerts(self, AlertDescription.bad_record_mac, AlertDescription.close_notify)
        if reaction is AlertThenResetError:
            send_alerts(self, AlertDescription.bad_record_mac)
        if issubclass(reaction, ResetError):  # tlslite-ng closes the socket when this is raised
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise reaction


def answer(secure: TLSConnection) -> None:
    """Speak a little HTTP and a little SMTP, each to who asks for it."""
    heard = secure.recv(4096)
    if heard.startswith(b"GET /"):
        secure.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")
    elif heard.startswith(b"NOOP\r\n"):
        secure.sendall(b"250 ok\r\n")
    elif heard:
        secure.recv(4096)  # an application that waits for more
    secure.close()


def serving(
    servers: Servers,
    flaw: Flaw,
    cipher: str = "aes128",
    version: int = registry.TLS12,
    application: Callable[[TLSConnection], None] = answer,
) -> Handler:
    chain_path, key_path = servers.files(key_type=trustme.KeyType.RSA)
    chain = X509CertChain()
    chain.parsePemList(Path(chain_path).read_text(encoding="ascii"))
    key = parsePEMKey(Path(key_path).read_text(encoding="ascii"), private=True)
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (version >> 8, version & 0xFF)
    settings.cipherNames = [cipher]
    settings.macNames = ["sha", "sha256"]

    def handler(connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = TLSConnection(connection)
        secure.handshakeServer(certChain=chain, privateKey=key, settings=settings)
        layer = secure._recordLayer
        layer.__class__ = FlawedRecordLayer
        layer.flaw, layer.number, layer.connection = flaw, number, connection
        try:
            application(secure)
        except SilenceError:
            while connection.recv(4096):
                pass
        except (ResetError, CloseWithoutAlertError, AlertThenCloseNotifyError, errors.TLSError):
            pass

    return handler


def context_of(
    port: int,
    suites: dict[int, tuple[int, ...]],
    speaks_http: bool = True,
    starttls: str | None = None,
    timeout_seconds: float = 5,
) -> ProbeContext:
    endpoint = probe.Endpoint(socket.AF_INET, "127.0.0.1", port, starttls, "localhost")
    session = Session(endpoint, probe.Pacer(2, 0), timeout_seconds)
    return ProbeContext(session, "localhost", suites, speaks_http=speaks_http, starttls=starttls)


def examine(
    stub: Stub, suite: int = AES128_SHA, version: int = registry.TLS12, speaks_http: bool = True
) -> dict[str, Finding]:
    context = context_of(stub.port, {version: (suite,)}, speaks_http)
    findings = padding_oracles.probe(context)
    assert tuple(findings) == padding_oracles.NAMES
    assert context.session.connections == stub.connections
    return findings


def statuses(findings: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.status for name, finding in findings.items()}


def all_are(status: str, **others: str) -> dict[str, str]:
    return {**dict.fromkeys(padding_oracles.NAMES, status), **others}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for servers that say nothing."""
    monkeypatch.setattr(padding_oracles, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(padding_oracles, "_PATIENCE_AFTER_ALERT_SECONDS", 0.3)


# --- sound servers


@pytest.mark.parametrize(
    ("version", "suites", "families"),
    [
        (registry.TLS10, (ECDHE_AES128_SHA, AES256_SHA), 2),
        (registry.TLS11, (AES128_SHA,), 1),
        (registry.TLS12, (ECDHE_AES128_SHA, ECDHE_AES256_SHA384, AES128_SHA, AES128_SHA256, AES128_GCM), 3),
    ],
)
def test_openssl_is_sound(servers: Servers, version: int, suites: tuple[int, ...], families: int) -> None:
    stub = servers.forward(servers.openssl("-cipher", "ALL:@SECLEVEL=0"), lambda _connection, _number: False)
    context = context_of(stub.port, {version: suites})
    assert statuses(padding_oracles.probe(context)) == all_are(NOT_VULNERABLE)
    assert (context.session.connections, stub.connections) == (5 * families, 5 * families)


def test_gnutls_is_sound_at_each_version_and_with_each_encryption(real: peers.Servers) -> None:
    suites = (AES128_SHA, TDES_SHA)
    port = real.gnutls("NORMAL:+VERS-TLS1.0:+AES-128-CBC:+3DES-CBC:+CAMELLIA-128-CBC:+SHA1:+RSA")
    context = context_of(port, {registry.TLS12: suites, registry.TLS10: suites})
    findings = padding_oracles.probe(context)
    assert statuses(findings) == all_are(NOT_VULNERABLE)
    families = "TLSv1.2 AES_128_CBC_SHA, TLSv1.2 3DES_EDE_CBC_SHA, TLSv1.0 AES_128_CBC_SHA, TLSv1.0 3DES_EDE_CBC_SHA"
    assert families in findings["goldendoodle"].evidence
    assert "3DES" not in findings["cve_2016_2107"].evidence
    assert context.session.connections == 5 * 4


@pytest.mark.parametrize(("cipher", "suite"), [("aes128", AES128_SHA), ("3des", TDES_SHA)])
@pytest.mark.parametrize("version", [registry.TLS10, registry.TLS11, registry.TLS12])
def test_tlslite_is_sound(servers: Servers, version: int, cipher: str, suite: int) -> None:
    stub = servers.stub(serving(servers, sound, cipher, version))
    aes = NOT_VULNERABLE if cipher == "aes128" else NOT_APPLICABLE
    assert statuses(examine(stub, suite, version)) == all_are(NOT_VULNERABLE, cve_2016_2107=aes)
    assert stub.connections == 5


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("reaction", [CloseWithoutAlertError, ResetError, SilenceError, errors.TLSUnexpectedMessage])
def test_a_server_that_answers_all_alike_and_answers_right_records_is_sound(
    servers: Servers, reaction: type[Exception]
) -> None:
    stub = servers.stub(serving(servers, lambda _record: reaction))
    assert statuses(examine(stub)) == all_are(NOT_VULNERABLE)
    assert stub.connections == 6


# --- each flaw


def wrong_mac(record: Malformed) -> bool:
    return record.padding_right and record.room_for_mac


def wrong_padding_right_mac(record: Malformed) -> bool:
    return not record.padding_right and record.mac_right


def padding_only(record: Malformed) -> bool:
    return record.padding_right and not record.room_for_mac


def empty_with_wrong_mac(record: Malformed) -> bool:
    return wrong_mac(record) and record.empty


def accepted_by_ssl3(record: Malformed) -> bool:
    """SSL 3.0 looks at the last byte alone, which must not be more than a block (RFC 6101 5.2.3.2)."""
    return record.mac_right and record.padding_bytes <= record.block_bytes


# 15 connections where all answers are alerts about the record, 16 where a right record has to be compared.
FLAWS: list[tuple[str, Flaw, int]] = [
    ("poodle_tls", instead(wrong_padding_right_mac, AcceptedError), 16),
    ("poodle_tls", instead(accepted_by_ssl3, AcceptedError), 16),
    ("zombie_poodle", instead(wrong_padding_right_mac, DECRYPTION_FAILED), 15),
    ("zombie_poodle", instead(wrong_padding_right_mac, CloseWithoutAlertError), 16),
    ("goldendoodle", instead(lambda record: not record.padding_right, DECRYPTION_FAILED), 15),
    ("goldendoodle", instead(wrong_mac, ResetError), 16),
    ("sleeping_poodle", instead(padding_only, CloseWithoutAlertError), 16),
    ("sleeping_poodle", instead(padding_only, AlertThenCloseNotifyError), 15),
    ("zero_length_padding_oracle", instead(empty_with_wrong_mac, AlertThenCloseNotifyError), 15),
    ("zero_length_padding_oracle", instead(empty_with_wrong_mac, errors.TLSUnexpectedMessage), 16),
    ("zero_length_padding_oracle", instead(empty_with_wrong_mac, AlertThenResetError), 15),
    ("cve_2016_2107", instead(padding_only, errors.TLSRecordOverflow), 16),
]


@pytest.mark.parametrize(("name", "flaw", "connections"), FLAWS)
def test_each_flaw_is_found_and_no_other(servers: Servers, name: str, flaw: Flaw, connections: int) -> None:
    stub = servers.stub(serving(servers, flaw))
    findings = examine(stub)
    assert statuses(findings) == all_are(NOT_VULNERABLE, **{name: VULNERABLE})
    assert findings[name].evidence.startswith("TLSv1.2 AES_128_CBC_SHA: ")
    assert stub.connections == connections, findings[name].evidence


@pytest.mark.usefixtures("impatient")
def test_silence_is_an_answer_like_others(servers: Servers) -> None:
    stub = servers.stub(serving(servers, instead(wrong_padding_right_mac, SilenceError)))
    assert statuses(examine(stub)) == all_are(NOT_VULNERABLE, zombie_poodle=VULNERABLE)
    assert stub.connections == 16


@pytest.mark.parametrize(
    ("version", "cipher", "suite"),
    [
        (registry.TLS10, "aes128", AES128_SHA),
        (registry.TLS11, "aes256", AES256_SHA),
        (registry.TLS12, "3des", TDES_SHA),
    ],
)
def test_a_flaw_is_found_at_each_version_and_with_each_encryption(
    servers: Servers, version: int, cipher: str, suite: int
) -> None:
    stub = servers.stub(serving(servers, instead(accepted_by_ssl3, AcceptedError), cipher, version))
    aes = NOT_APPLICABLE if cipher == "3des" else NOT_VULNERABLE
    assert statuses(examine(stub, suite, version)) == all_are(NOT_VULNERABLE, poodle_tls=VULNERABLE, cve_2016_2107=aes)


def test_record_overflow_is_cve_2016_2107_with_aes_alone(servers: Servers) -> None:
    stub = servers.stub(serving(servers, instead(padding_only, errors.TLSRecordOverflow), "3des"))
    expected = all_are(NOT_VULNERABLE, sleeping_poodle=VULNERABLE, cve_2016_2107=NOT_APPLICABLE)
    assert statuses(examine(stub, TDES_SHA)) == expected


def test_several_flaws_are_found_together(servers: Servers) -> None:
    def flaw(record: Malformed) -> type[Exception]:
        if record.mac_right:
            return AcceptedError
        return BAD_MAC if record.padding_right else DECRYPTION_FAILED

    stub = servers.stub(serving(servers, flaw))
    expected = all_are(NOT_VULNERABLE, poodle_tls=VULNERABLE, goldendoodle=VULNERABLE)
    assert statuses(examine(stub)) == expected


@pytest.mark.usefixtures("impatient")
def test_what_an_unknown_application_makes_of_an_accepted_record_is_likely(servers: Servers) -> None:
    stub = servers.stub(serving(servers, instead(wrong_padding_right_mac, AcceptedError)))
    assert statuses(examine(stub, speaks_http=False)) == all_are(NOT_VULNERABLE, poodle_tls=LIKELY)


def test_an_accepted_record_shows_behind_a_dialogue(servers: Servers) -> None:
    usual = serving(servers, instead(wrong_padding_right_mac, AcceptedError))

    def handler(connection: socket.socket, number: int) -> None:
        if play(connection, SCRIPTS["smtp"]):
            usual(connection, number)

    stub = servers.stub(handler)
    context = context_of(stub.port, {registry.TLS12: (AES128_SHA,)}, False, "smtp")
    assert statuses(padding_oracles.probe(context)) == all_are(NOT_VULNERABLE, poodle_tls=VULNERABLE)


# --- what cannot be said


def test_inconsistent_answers_are_no_oracle(servers: Servers) -> None:
    stub = servers.stub(serving(servers, instead(lambda record: record.connection_number % 2 == 0, DECRYPTION_FAILED)))
    findings = examine(stub)
    assert statuses(findings) == all_are(NOT_TESTED)
    assert "inconsistent" in findings["goldendoodle"].evidence
    assert stub.connections == 10


def silent(_secure: TLSConnection) -> None:
    raise SilenceError


def denying(secure: TLSConnection) -> None:
    """Read one record without opening it, then refuse the client."""
    secure.sock.recv(4096)
    send_alerts(secure._recordLayer, AlertDescription.access_denied)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("application", [silent, denying])
def test_a_server_that_answers_right_records_no_better_is_not_tested(
    servers: Servers, application: Callable[[TLSConnection], None]
) -> None:
    stub = servers.stub(serving(servers, sound, application=application))
    context = context_of(stub.port, {registry.TLS12: (AES128_SHA, TDES_SHA)})
    findings = padding_oracles.probe(context)
    assert statuses(findings) == all_are(NOT_TESTED)
    assert "TLSv1.2 AES_128_CBC_SHA, TLSv1.2 3DES_EDE_CBC_SHA: " in findings["poodle_tls"].evidence
    assert (context.session.connections, stub.connections) == (6, 6)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_silent_to_hellos_is_not_tested(servers: Servers) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        while connection.recv(4096):
            pass

    stub = servers.stub(handler)
    context = context_of(stub.port, {registry.TLS12: (AES128_SHA, TDES_SHA)}, timeout_seconds=0.3)
    assert statuses(padding_oracles.probe(context)) == all_are(NOT_TESTED)
    assert (context.session.connections, stub.connections) == (2, 2)


@pytest.mark.parametrize(
    ("failing", "status", "connections"),
    [((1,), NOT_VULNERABLE, 6), ((3,), NOT_VULNERABLE, 6), ((2, 3), NOT_TESTED, 3)],
)
def test_a_handshake_that_fails_is_tried_once_more(
    servers: Servers, failing: tuple[int, ...], status: str, connections: int
) -> None:
    usual = serving(servers, sound)

    def handler(connection: socket.socket, number: int) -> None:
        if number not in failing:
            usual(connection, number)

    stub = servers.stub(handler)
    assert statuses(examine(stub)) == all_are(status)
    assert stub.connections == connections


@pytest.mark.parametrize("noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x03\xff\xff", bytes(4096)])
def test_noise_is_not_tested(servers: Servers, noise: bytes) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(noise)

    stub = servers.stub(handler)
    assert statuses(examine(stub)) == all_are(NOT_TESTED)
    assert stub.connections == 2


def test_an_encryption_that_we_do_not_have_is_not_tested(servers: Servers) -> None:
    stub = servers.stub(serving(servers, sound))
    context = context_of(stub.port, {registry.TLS12: (PSK_AES128_SHA, AES128_SHA, CAMELLIA_SHA)})
    findings = padding_oracles.probe(context)
    assert statuses(findings) == all_are(NOT_TESTED, cve_2016_2107=NOT_VULNERABLE)
    assert findings["poodle_tls"].evidence.startswith("TLSv1.2 CAMELLIA_128_CBC_SHA: no handshake")
    assert stub.connections == 5


@pytest.mark.parametrize(
    "suites",
    [{}, {registry.TLS13: (0x1301,)}, {registry.TLS12: (AES128_GCM,)}, {registry.SSL3: (AES128_SHA, TDES_SHA)}],
)
def test_without_cbc_in_tls_nothing_is_asked(servers: Servers, suites: dict[int, tuple[int, ...]]) -> None:
    stub = servers.stub(serving(servers, sound))
    assert statuses(padding_oracles.probe(context_of(stub.port, suites))) == all_are(NOT_APPLICABLE)
    assert stub.connections == 0
