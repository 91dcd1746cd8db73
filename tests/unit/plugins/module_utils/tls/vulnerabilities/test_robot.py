# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ROBOT: acceptance case 43. The vulnerable side is a stub that decrypts what it is sent and answers accordingly."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import der, registry
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import robot
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
)

from ......peers import servers as peers
from ..conftest import Servers
from .clear_servers import (
    ECDHE_GCM,
    HOSTILE,
    RSA_CBC,
    RSA_GCM,
    Flight,
    Peer,
    after_flight,
    context_of,
    tlslite,
)

SUITES = {registry.TLS12: (ECDHE_GCM, RSA_CBC, RSA_GCM)}
RIGHT, WRONG_START, MISPLACED, NO_ZERO, WRONG_VERSION = "right", "start", "misplaced", "no zero", "version"
KINDS = (RIGHT, WRONG_START, MISPLACED, NO_ZERO, WRONG_VERSION)
MALFORMED = (WRONG_START, MISPLACED, NO_ZERO)
WHOLE_END, ALONE = "whole end", "alone"

Reaction = Callable[[Peer], object]


def alert(number: int) -> Reaction:
    return lambda peer: peer.alert(number)


BAD_RECORD_MAC, HANDSHAKE_FAILURE, ILLEGAL_PARAMETER = alert(20), alert(40), alert(47)
UNEXPECTED_MESSAGE = alert(10)


def silence(peer: Peer) -> None:
    peer.stay_silent()


def close(_peer: Peer) -> None:
    """Close by returning."""


@dataclass
class Stub:
    """An RSA key exchange, decrypted: ``react`` says what is done for a kind of block in a flow of messages."""

    key: rsa.RSAPrivateKey
    react: Callable[[str, str], Reaction]
    version: int = registry.TLS12
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __call__(self, peer: Peer) -> None:
        content, _version, body = peer.receive()
        if body[0] == 11:  # no certificate of the client
            assert body == b"\x0b\x00\x00\x03\x00\x00\x00"
            content, _version, body = peer.receive()
        assert (content, body[0], int.from_bytes(body[1:4], "big")) == (22, 16, len(body) - 4)
        kind = self._kind(body[4:] if self.version == registry.SSL3 else body[6:])
        flow = self._flow(peer)
        self.seen[flow, kind] += 1
        self.react(flow, kind)(peer)

    def _flow(self, peer: Peer) -> str:
        """Tell the flows apart by what follows; a server that reads on has waited for it."""
        peer.sock.settimeout(0.1)
        try:
            assert peer.receive() == (20, self.version, b"\x01")
        except socket.timeout:
            return ALONE
        finally:
            peer.sock.settimeout(5)
        content, _version, finished = peer.receive()
        assert (content, len(finished) % 16) == (22, 0)
        return WHOLE_END

    def _kind(self, encrypted: bytes) -> str:
        numbers = self.key.private_numbers()
        modulus = numbers.public_numbers.n
        size = (modulus.bit_length() + 7) // 8
        assert len(encrypted) == size
        block = pow(int.from_bytes(encrypted, "big"), numbers.d, modulus).to_bytes(size, "big")
        if block[:2] != b"\x00\x02":
            return WRONG_START
        zero = block.find(b"\x00", 2)
        if zero < 0:
            return NO_ZERO
        if zero != size - 49:
            return MISPLACED
        return RIGHT if block[zero + 1 : zero + 3] == self.version.to_bytes(2, "big") else WRONG_VERSION


@dataclass(frozen=True)
class Identity:
    """A certificate as DER, and its key."""

    certificate: bytes
    key: rsa.RSAPrivateKey


@pytest.fixture(scope="module")
def identity() -> Identity:
    """A key of 1024 bits: five of them are computed with at once, and nobody shall wait for that."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    return Identity(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER), key)


@dataclass(frozen=True)
class Starter:
    """Starts a stub and returns its port and what it has seen."""

    servers: Servers
    identity: Identity

    def __call__(self, react: Callable[[str, str], Reaction], flight: Flight | None = None) -> tuple[int, Stub]:
        flight = dataclasses.replace(flight or Flight(), certificate=self.identity.certificate)
        stub = Stub(self.identity.key, react, flight.version)
        return self.servers.stub(after_flight(flight, stub)).port, stub


@pytest.fixture
def start(servers: Servers, identity: Identity) -> Starter:
    return Starter(servers, identity)


def by_kind(
    whole_end: Mapping[str, Reaction], alone: Mapping[str, Reaction] | None = None
) -> Callable[[str, str], Reaction]:
    """React by kind; what is not named gets an alert, which is another one in the flow without a Finished."""

    def react(flow: str, kind: str) -> Reaction:
        return whole_end.get(kind, BAD_RECORD_MAC) if flow == WHOLE_END else (alone or {}).get(kind, UNEXPECTED_MESSAGE)

    return react


def for_all(reaction: Reaction) -> dict[str, Reaction]:
    return dict.fromkeys(KINDS, reaction)


@dataclass(frozen=True)
class Case:
    """What a server does, what is said of it, and the connections that it takes."""

    react: Callable[[str, str], Reaction]
    status: str
    connections: int
    evidence: str = ""


CASES = {
    "all alike, and silent without the Finished": Case(by_kind({}, for_all(silence)), NOT_VULNERABLE, 10),
    "all alike, and refused without the Finished": Case(by_kind({}), NOT_VULNERABLE, 10),
    "all closed": Case(by_kind(for_all(close)), NOT_VULNERABLE, 10),
    "weak": Case(by_kind(dict.fromkeys(MALFORMED, HANDSHAKE_FAILURE)), VULNERABLE, 15, "weak oracle"),
    "weak by the version": Case(by_kind({WRONG_VERSION: ILLEGAL_PARAMETER}), VULNERABLE, 15, "weak oracle"),
    "strong": Case(by_kind({WRONG_START: HANDSHAKE_FAILURE}), VULNERABLE, 15, "strong oracle"),
    "strong by the zero byte": Case(by_kind({NO_ZERO: ILLEGAL_PARAMETER}), VULNERABLE, 15, "strong oracle"),
    "reset": Case(by_kind(dict.fromkeys(MALFORMED, Peer.reset)), VULNERABLE, 15, "reset"),
    "a warning": Case(by_kind({MISPLACED: lambda peer: peer.alert(20, level=1)}), VULNERABLE, 15, "a warning"),
    "silence": Case(by_kind(dict.fromkeys(MALFORMED, silence)), VULNERABLE, 20, "weak oracle"),
    "silence to the right one": Case(by_kind({RIGHT: silence}), VULNERABLE, 20, "weak oracle"),
    "only without the Finished": Case(
        by_kind({}, {**for_all(silence), **dict.fromkeys(MALFORMED, HANDSHAKE_FAILURE)}), VULNERABLE, 25, "alone"
    ),
    "only without the Finished, never silent": Case(by_kind({}, {NO_ZERO: close}), VULNERABLE, 20, "strong oracle"),
    "no answer at all": Case(by_kind(for_all(silence), for_all(silence)), NOT_TESTED, 15, "is answered at all"),
    "no answer to the whole end": Case(by_kind(for_all(silence)), NOT_VULNERABLE, 15),
}


@pytest.mark.parametrize("name", CASES)
def test_case_43(start: Starter, name: str) -> None:
    case = CASES[name]
    port, stub = start(case.react)
    context = context_of(port, SUITES, timeout_seconds=1.5)
    found = robot.probe(context)
    assert (found.status, context.session.connections) == (case.status, case.connections), found
    assert case.evidence in found.evidence
    assert set(stub.seen) >= {(WHOLE_END, kind) for kind in KINDS}
    assert len(set(Counter(kind for _flow, kind in stub.seen.elements()).values())) == 1, "all kinds equally often"


def test_case_43_random_answers_are_inconsistent(start: Starter) -> None:
    """Another kind stands out in each round."""
    turns = itertools.count()
    lock = threading.Lock()

    def react(_flow: str, kind: str) -> Reaction:
        with lock:
            number = next(turns)
        return ILLEGAL_PARAMETER if kind == KINDS[number // len(KINDS)] else BAD_RECORD_MAC

    port, _stub = start(react)
    context = context_of(port, SUITES)
    found = robot.probe(context)
    assert (found.status, context.session.connections) == (NOT_TESTED, 10)
    assert "inconsistent" in found.evidence


def test_slow_answers_are_not_taken_for_silence(start: Starter) -> None:
    """One kind is answered after the short wait, and alike."""

    def late(peer: Peer) -> None:
        peer.sock.settimeout(1.5)
        try:
            peer.stay_silent()
        except socket.timeout:
            BAD_RECORD_MAC(peer)

    port, _stub = start(by_kind({WRONG_START: late}))
    context = context_of(port, SUITES)
    assert (robot.probe(context).status, context.session.connections) == (NOT_VULNERABLE, 15)


@pytest.mark.parametrize("version", [registry.SSL3, registry.TLS10, registry.TLS11, registry.TLS12])
def test_every_version_with_its_own_form_of_the_message(start: Starter, version: int) -> None:
    port, stub = start(by_kind({WRONG_VERSION: HANDSHAKE_FAILURE}), Flight(version, RSA_CBC))
    found = robot.probe(context_of(port, {version: (RSA_CBC,)}))
    assert found.status == VULNERABLE
    assert stub.seen[WHOLE_END, RIGHT] == 3


@pytest.mark.parametrize(
    ("react", "status"),
    [
        (by_kind({}), NOT_VULNERABLE),
        (by_kind(for_all(HANDSHAKE_FAILURE)), NOT_TESTED),
        (by_kind({WRONG_START: HANDSHAKE_FAILURE}), VULNERABLE),
    ],
    ids=["optional", "required", "optional and vulnerable"],
)
def test_a_server_that_wants_a_client_certificate(
    start: Starter, react: Callable[[str, str], Reaction], status: str
) -> None:
    port, _stub = start(react, Flight(requests_certificate=True))
    assert robot.probe(context_of(port, SUITES)).status == status


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real servers that serve one client after the other are silent for each of them."""
    monkeypatch.setattr(robot, "_SHORT_WAIT_SECONDS", 0.3)


@pytest.mark.usefixtures("short_silence")
@pytest.mark.parametrize(
    ("options", "suite"),
    [
        (("-tls1_2",), "TLSv1.2 TLS_RSA_WITH_AES_128_GCM_SHA256"),
        (("-tls1_2", "-verify", "1"), "TLSv1.2 TLS_RSA_WITH_AES_128_GCM_SHA256"),
        (("-tls1_2", "-cipher", "AES128-SHA"), "TLSv1.2 TLS_RSA_WITH_AES_128_CBC_SHA"),
        (("-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0"), "TLSv1.0 TLS_RSA_WITH_AES_128_CBC_SHA"),
    ],
    ids=["GCM", "optional client certificate", "CBC", "TLS 1.0"],
)
def test_openssl_is_not_vulnerable(servers: Servers, options: tuple[str, ...], suite: str) -> None:
    port = servers.openssl(*options)
    suites = (RSA_CBC,) if "CBC" in suite else (ECDHE_GCM, RSA_CBC, RSA_GCM)
    context = context_of(port, {registry.TLS10 if "TLSv1.0" in suite else registry.TLS12: suites})
    found = robot.probe(context)
    assert found.status == NOT_VULNERABLE, found
    assert context.session.connections >= 10
    assert found.evidence == f"{suite}: right and malformed RSA key exchanges are answered alike: alert bad_record_mac"


@pytest.mark.usefixtures("short_silence")
def test_openssl_that_requires_a_client_certificate_is_not_tested(servers: Servers) -> None:
    found = robot.probe(context_of(servers.openssl("-tls1_2", "-Verify", "1"), SUITES))
    assert found.status == NOT_TESTED
    assert "client certificate" in found.evidence


@pytest.mark.usefixtures("short_silence")
def test_gnutls_is_not_vulnerable(real: peers.Servers) -> None:
    assert robot.probe(context_of(real.gnutls("NORMAL:+RSA"), SUITES)).status == NOT_VULNERABLE


@pytest.mark.parametrize(
    ("version", "number"), [((3, 0), registry.SSL3), ((3, 1), registry.TLS10), ((3, 3), registry.TLS12)]
)
def test_tlslite_is_not_vulnerable(servers: Servers, version: tuple[int, int], number: int) -> None:
    context = context_of(tlslite(servers, version).port, {number: (RSA_CBC,)})
    assert robot.probe(context).status == NOT_VULNERABLE
    assert context.session.connections in (10, 15)  # it computes slowly, and may seem silent at first


@pytest.mark.parametrize(
    "suites",
    [
        {registry.TLS12: (ECDHE_GCM,)},
        {registry.TLS13: (0x1301,)},
        {registry.TLS10: (0x0003,)},  # export: the key of the certificate signs only
        {registry.TLS12: (0x0094,)},  # RSA_PSK
    ],
    ids=["ECDHE", "TLS 1.3", "export", "RSA_PSK"],
)
def test_without_rsa_key_exchange_it_does_not_apply(servers: Servers, suites: dict[int, tuple[int, ...]]) -> None:
    context = context_of(servers.stub(HOSTILE["closed"]).port, suites)
    assert (robot.probe(context).status, context.session.connections) == (NOT_APPLICABLE, 0)


@pytest.mark.parametrize("names", [("localhost",), ()], ids=["ECDSA", "no certificate"])
def test_without_an_rsa_key_nothing_is_tested(servers: Servers, ca: trustme.CA, names: tuple[str, ...]) -> None:
    pem = ca.issue_cert(*names).cert_chain_pems[0].bytes().decode("ascii") if names else ""
    certificate = ssl.PEM_cert_to_DER_cert(pem) if pem else b""
    context = context_of(servers.stub(after_flight(Flight(certificate=certificate), silence)).port, SUITES)
    found = robot.probe(context)
    assert (found.status, context.session.connections) == (NOT_TESTED, 6)
    assert "no RSA key" in found.evidence


@pytest.mark.parametrize(
    ("modulus_bits", "exponent"), [(256, 3), (16384, 3), (2048, 1 << 2048), (0, 3)], ids=["short", "long", "e", "zero"]
)
def test_keys_that_cannot_be_used(
    start: Starter, monkeypatch: pytest.MonkeyPatch, modulus_bits: int, exponent: int
) -> None:
    key = ((1 << modulus_bits) - 1, exponent)
    monkeypatch.setattr(der, "rsa_public_key", lambda _certificate: key)
    port, _stub = start(by_kind({}))
    found = robot.probe(context_of(port, SUITES))
    assert found.status == NOT_TESTED
    assert "cannot be used" in found.evidence


@pytest.mark.parametrize("size", [59, 64, 128, 129, 256, 512])
def test_every_block_is_as_long_as_the_modulus(size: int) -> None:
    blocks = robot._blocks(size, registry.TLS12)
    assert [len(block) for block in blocks] == [size] * 5
    assert blocks[0][2 : size - 49].count(0) == 0
    assert blocks[0][size - 49 : size - 46] == b"\x00\x03\x03"


def test_a_hello_that_fails_once_is_said_again(servers: Servers, identity: Identity) -> None:
    sound = after_flight(Flight(certificate=identity.certificate), Stub(identity.key, by_kind({})))

    def handler(connection: socket.socket, number: int) -> None:
        (HOSTILE["reset"] if number in (2, 4) else sound)(connection, number)

    context = context_of(servers.stub(handler).port, SUITES)
    assert (robot.probe(context).status, context.session.connections) == (NOT_VULNERABLE, 12)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_server_without_a_flight_is_not_tested(servers: Servers, kind: str) -> None:
    stub = servers.stub(HOSTILE[kind])
    found = robot.probe(context_of(stub.port, SUITES, timeout_seconds=0.4))
    assert (found.status, stub.connections) == (NOT_TESTED, 6)
    assert found.evidence
