# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Complete handshakes and application data with real servers."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tlslite import api as tlslite

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    handshake12,
    records12,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake12 import Offer
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.tls.conftest import Servers

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
VERSIONS = {0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2"}
ECDHE_RSA_AES128_GCM = 0xC02F
NAMES = {name: number for number, name in registry.CIPHER_SUITE_NAMES.items()}


def exchange(port: int, offer: Offer, request: bytes = REQUEST) -> tuple[handshake12.Established, bytes]:
    """Complete a handshake and return it with the first application data of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        client = handshake12.Client(sock, time.monotonic() + 10)
        established = client.handshake(offer)
        client.records.send(wire.CONTENT_APPLICATION_DATA, request)
        answer = client.receive_application_data()
        while len(answer) < 8:  # TLS 1.0 of some servers begins with a record of one byte, against BEAST
            answer += client.receive_application_data()
        client.close()
    return established, answer


# --- OpenSSL


@pytest.fixture(scope="module")
def both_certificates(tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> Iterator[int]:
    """The port of an OpenSSL that has an RSA and an ECDSA certificate and accepts all that it knows."""
    servers = Servers(tmp_path_factory.mktemp("openssl"), ca)
    chain, key = servers.files(key_type=trustme.KeyType.ECDSA)
    yield servers.openssl("-dcert", chain, "-dkey", key, "-cipher", "ALL:@SECLEVEL=0")
    servers.close()


# OpenSSL 3.0 has all that we have but 3DES and RC4.
OPENSSL = [
    (version, number)
    for version in VERSIONS
    for number in registry.suites_for_version(version)
    if handshake12.can_complete(number)
    and registry.cipher_suite(number).encryption not in ("3DES_EDE_CBC", "RC4_128")
    and registry.cipher_suite(number).authentication != "DSS"
]


@pytest.mark.parametrize(
    ("version", "suite"),
    OPENSSL,
    ids=[f"{VERSIONS[version]} {registry.CIPHER_SUITE_NAMES[suite]}" for version, suite in OPENSSL],
)
def test_every_suite_of_openssl(both_certificates: int, version: int, suite: int) -> None:
    established, answer = exchange(both_certificates, Offer(version, (suite,), "localhost", encrypt_then_mac=True))
    assert (established.hello.version, established.hello.cipher_suite) == (version, suite)
    assert (wire.ENCRYPT_THEN_MAC[0] in established.hello.extensions) == registry.cipher_suite(suite).cbc
    assert wire.EXTENDED_MASTER_SECRET[0] in established.hello.extensions
    assert answer.startswith(b"HTTP/1.0 200")
    assert not established.resumed


@pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())
@pytest.mark.parametrize("suite", ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"])
def test_without_the_extensions_that_change_the_keys(both_certificates: int, version: int, suite: str) -> None:
    offer = Offer(version, (NAMES[suite],), extended_master_secret=False, renegotiation_info=False)
    established, answer = exchange(both_certificates, offer)
    assert not {wire.EXTENDED_MASTER_SECRET[0], wire.ENCRYPT_THEN_MAC[0]} & set(established.hello.extensions)
    assert answer.startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize(
    ("curve", "group"), [("X25519", 0x1D), ("P-256", 0x17), ("P-384", 0x18), ("P-521", 0x19), ("X448", 0x1E)]
)
def test_every_curve(servers: Servers, curve: str, group: int) -> None:
    port = servers.openssl("-tls1_2", "-named_curve", curve)
    _established, answer = exchange(port, Offer(0x0303, (ECDHE_RSA_AES128_GCM,)))
    assert answer.startswith(b"HTTP/1.0 200")
    assert group in handshake12.GROUPS


@pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())
def test_a_client_certificate_is_answered_with_none(servers: Servers, version: int) -> None:
    port = servers.openssl("-verify", "1", "-cipher", "ALL:@SECLEVEL=0")
    suite = NAMES["TLS_DHE_RSA_WITH_AES_128_CBC_SHA"]
    assert exchange(port, Offer(version, (suite,)))[1].startswith(b"HTTP/1.0 200")


def test_a_server_that_insists_on_a_client_certificate_is_named_as_such(servers: Servers) -> None:
    port = servers.openssl("-Verify", "1", "-tls1_2")
    with pytest.raises(records12.ConnectionEndedError, match=r"alert .* asked for a client certificate and got none"):
        exchange(port, Offer(0x0303, (ECDHE_RSA_AES128_GCM,)))


def test_dss(tmp_path: Path, servers: Servers) -> None:
    parameters, key, chain = (str(tmp_path / name) for name in ("dsa.parameters", "dsa.key", "dsa.pem"))
    subprocess.run(["openssl", "dsaparam", "-out", parameters, "1024"], check=True, capture_output=True)
    command = ["openssl", "req", "-x509", "-newkey", f"dsa:{parameters}", "-nodes", "-keyout", key, "-out", chain]
    subprocess.run([*command, "-subj", "/CN=localhost"], check=True, capture_output=True)
    port = servers.openssl("-dcert", chain, "-dkey", key, "-cipher", "ALL:@SECLEVEL=0")
    assert exchange(port, Offer(0x0303, (NAMES["TLS_DHE_DSS_WITH_AES_128_GCM_SHA256"],)))[1].startswith(b"HTTP/1.0 200")


def test_records_of_many_kinds_of_length(both_certificates: int) -> None:
    """A request that takes many records, the last of them short."""
    for suite in ("TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_GCM_SHA256"):
        with socket.create_connection(("127.0.0.1", both_certificates), timeout=5) as sock:
            client = handshake12.Client(sock, time.monotonic() + 10)
            client.handshake(Offer(0x0303, (NAMES[suite],)))
            for part in (b"GET / HTTP/1.0\r\n", b"A: " + b"b" * 4000, b"\r", b"\n", b"\r\n"):
                client.records.send(wire.CONTENT_APPLICATION_DATA, part)
            assert client.receive_application_data().startswith(b"HTTP/1.0 200")


# --- other servers


def test_python(servers: Servers) -> None:
    stub = servers.https(b"HTTP/1.1 204 No Content\r\n\r\n", maximum_version=ssl.TLSVersion.TLSv1_2)
    offer = Offer(0x0303, (NAMES["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],), "localhost")
    assert exchange(stub.port, offer)[1] == b"HTTP/1.1 204 No Content\r\n\r\n"


TLSLITE = [
    (version, f"TLS_{key_exchange}_WITH_{cipher}")
    for version in VERSIONS
    for key_exchange in ("RSA", "DHE_RSA", "ECDHE_RSA")
    for cipher in ("3DES_EDE_CBC_SHA", "RC4_128_SHA", "RC4_128_MD5", "AES_128_CBC_SHA")
    if f"TLS_{key_exchange}_WITH_{cipher}" in NAMES
]


def tlslite_server(servers: Servers, **options: object) -> int:
    """Start a server of tlslite-ng with all that it has and these settings; return its port."""
    chain, key = servers.files(key_type=trustme.KeyType.RSA)
    certificates = tlslite.X509CertChain()
    certificates.parsePemList(Path(chain).read_text())
    private = tlslite.parsePEMKey(Path(key).read_text(), private=True)
    settings = tlslite.HandshakeSettings()
    settings.minVersion, settings.maxVersion = (3, 1), (3, 3)
    settings.cipherNames = ["3des", "rc4", "aes128"]
    settings.macNames = ["sha", "md5"]
    for name, value in options.items():
        setattr(settings, name, value)

    def serve(connection: socket.socket, _number: int) -> None:
        tls = tlslite.TLSConnection(connection)
        tls.handshakeServer(certChain=certificates, privateKey=private, settings=settings)
        assert tls.read(max=100, min=len(REQUEST)) == REQUEST
        tls.write(b"HTTP/1.0 200 of tlslite")
        tls.close()

    return servers.stub(serve).port


@pytest.mark.parametrize("etm", [False, True], ids=["mac then encrypt", "encrypt then mac"])
@pytest.mark.parametrize(
    ("version", "suite"), TLSLITE, ids=[f"{VERSIONS[version]} {suite}" for version, suite in TLSLITE]
)
def test_what_only_tlslite_has(servers: Servers, version: int, suite: str, etm: bool) -> None:
    port = tlslite_server(servers, useEncryptThenMAC=etm)
    established, answer = exchange(port, Offer(version, (NAMES[suite],), encrypt_then_mac=True))
    assert (established.hello.version, established.hello.cipher_suite) == (version, NAMES[suite])
    assert (wire.ENCRYPT_THEN_MAC[0] in established.hello.extensions) == (etm and "CBC" in suite)
    assert answer.startswith(b"HTTP/1")


@pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())
def test_leading_zeros_of_a_shared_secret_are_left_out(servers: Servers, version: int) -> None:
    """This prime has three bytes, and each secret but one has two."""
    port = tlslite_server(servers, dhParams=(3, 65537), minKeySize=512)
    assert exchange(port, Offer(version, (NAMES["TLS_DHE_RSA_WITH_AES_128_CBC_SHA"],)))[1].startswith(b"HTTP/1")


# --- sessions


@pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())
def test_a_session_is_resumed_by_its_id(servers: Servers, version: int) -> None:
    port = servers.openssl("-no_ticket", "-cipher", "ALL:@SECLEVEL=0")
    suites = (NAMES["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],)
    session = exchange(port, Offer(version, suites))[0].session
    resuming = Offer(version, suites, session_id=session.session_id, resume=session)
    established, answer = exchange(port, resuming)
    assert established.resumed
    assert answer.startswith(b"HTTP/1.0 200")
    assert session.ticket is None
    assert established.hello.session_id == session.session_id


@pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())
def test_a_session_is_resumed_by_its_ticket(servers: Servers, version: int) -> None:
    port = servers.openssl("-no_cache", "-cipher", "ALL:@SECLEVEL=0")
    suites = (NAMES["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],)
    session = exchange(port, Offer(version, suites, ticket=b""))[0].session
    assert session.ticket
    assert session.ticket_lifetime_seconds == 7200
    resuming = Offer(version, suites, session_id=bytes(32), ticket=session.ticket, resume=session)
    established, answer = exchange(port, resuming)
    assert established.resumed
    assert answer.startswith(b"HTTP/1.0 200")


def test_a_session_that_is_not_known_begins_anew(servers: Servers) -> None:
    port = servers.openssl("-no_cache", "-no_ticket", "-tls1_2")
    session = exchange(port, Offer(0x0303, (ECDHE_RSA_AES128_GCM,)))[0].session
    resuming = Offer(0x0303, (ECDHE_RSA_AES128_GCM,), session_id=bytes(32), resume=session)
    established, answer = exchange(port, resuming)
    assert not established.resumed
    assert answer.startswith(b"HTTP/1.0 200")


# --- which suites


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("TLS_RSA_WITH_RC4_128_MD5", True),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", False),
        ("TLS_RSA_WITH_NULL_SHA", False),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA", True),
        ("TLS_DH_RSA_WITH_AES_128_CBC_SHA", False),
        ("TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", False),
        ("TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", False),
        ("TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", False),
        ("TLS_RSA_WITH_DES_CBC_SHA", False),
        ("TLS_AES_128_GCM_SHA256", False),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256_DRAFT", False),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", True),
    ],
)
def test_what_can_be_completed(name: str, can: bool) -> None:
    assert handshake12.can_complete(NAMES[name]) is can
