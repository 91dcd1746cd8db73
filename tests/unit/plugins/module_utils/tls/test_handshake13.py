# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Complete handshakes of TLS 1.3 with OpenSSL, GnuTLS, tlslite-ng and Python, and with servers that break the rules."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey  # type: ignore[import-untyped]

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    flights,
    handshake13,
    key_schedule13,
    probe,
    registry,
    wire,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.handshake13 import (
    Client,
    Established13,
    Offer13,
    Ticket,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.records12 import ConnectionEndedError

from .....peers import servers as peers
from .conftest import Servers
from .stub13 import (
    DER,
    SUITE,
    VERIFY,
    X25519,
    Server13,
    certificate_message,
    extensions,
    serving,
    ticket_message,
)

OFFER = Offer13(handshake13.SUITES, handshake13.GROUPS, "localhost")
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
P256, P384 = 0x0017, 0x0018
RETRY = wire.HELLO_RETRY_REQUEST_RANDOM
KEY_TYPES = [(registry.RSA_SIGNATURE_SCHEMES, "RSA"), (registry.ECDSA_SIGNATURE_SCHEMES, "ECDSA")]


@contextlib.contextmanager
def connected(port: int, seconds: float = 10) -> Iterator[Client]:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        yield Client(sock, time.monotonic() + seconds)


def handshake(port: int, offer: Offer13 = OFFER) -> Established13:
    with connected(port) as client:
        return client.handshake(offer)


def visit(port: int, offer: Offer13 = OFFER) -> tuple[Established13, Client, bytes]:
    """Do a handshake and a request; return the first data of the answer."""
    with connected(port) as client:
        established = client.handshake(offer)
        client.send_application_data(REQUEST)
        return established, client, client.receive_application_data()


def resuming(offer: Offer13, client: Client) -> Offer13:
    return dataclasses.replace(offer, resume=client.tickets[0])


# --- what is negotiated, with OpenSSL


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> Iterator[int]:
    """A server with all suites and groups that OpenSSL and this client have in common."""
    servers = Servers(tmp_path_factory.mktemp("everything"), ca)
    names = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256", "AES_128_CCM_SHA256")
    suites = ":".join(f"TLS_{name}" for name in (*names, "AES_128_CCM_8_SHA256"))
    groups = "X25519:P-256:P-384:P-521:X448:ffdhe2048:ffdhe3072:ffdhe4096"
    yield servers.openssl("-ciphersuites", suites, "-groups", groups)
    servers.close()


@pytest.mark.parametrize("suite", handshake13.SUITES)
def test_each_suite(everything: int, suite: int) -> None:
    established, client, answer = visit(everything, dataclasses.replace(OFFER, suites=(suite,)))
    assert established.cipher_suite == suite
    assert len(established.certificates) == 1
    assert answer.startswith(b"HTTP/1.0 200 ok")
    assert [ticket.cipher_suite for ticket in client.tickets] == [suite, suite]


@pytest.mark.parametrize("group", handshake13.GROUPS)
def test_each_group(everything: int, group: int) -> None:
    established, _client, answer = visit(everything, dataclasses.replace(OFFER, groups=(group,)))
    assert established.group == group
    assert answer.startswith(b"HTTP/1.0 200 ok")


@pytest.mark.parametrize("options", [("-groups", "P-384"), ("-stateless",)], ids=["group", "cookie"])
@pytest.mark.parametrize("suite", [0x1301, 0x1302], ids=["SHA-256", "SHA-384"])
def test_a_retry_request_is_heeded_with_and_without_a_ticket(
    servers: Servers, options: tuple[str, ...], suite: int
) -> None:
    port = servers.openssl(*options)
    offer = dataclasses.replace(OFFER, suites=(suite,))
    established, client, _answer = visit(port, offer)
    assert established.group == (P384 if "P-384" in options else X25519)
    assert not established.resumed
    again, _client, answer = visit(port, resuming(offer, client))
    assert again.resumed
    assert answer.startswith(b"HTTP/1.0 200 ok")


def test_a_ticket_is_not_offered_again_when_a_retry_request_has_another_hash(servers: Servers) -> None:
    _established, client, _answer = visit(servers.openssl())
    port = servers.openssl("-groups", "P-384", "-ciphersuites", "TLS_AES_256_GCM_SHA384")
    established = handshake(port, resuming(OFFER, client))
    assert (established.cipher_suite, established.resumed, len(established.certificates)) == (0x1302, False, 1)


@pytest.mark.parametrize(
    ("offered", "selected"), [(("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "http/1.1"), ((), None)]
)
def test_alpn(servers: Servers, offered: tuple[str, ...], selected: str | None) -> None:
    port = servers.openssl("-alpn", "http/1.1,h2")
    assert handshake(port, dataclasses.replace(OFFER, alpn=offered)).alpn == selected


@pytest.mark.parametrize(("schemes", "key_type"), KEY_TYPES, ids=["RSA", "ECDSA"])
def test_the_certificate_of_each_kind_of_key(servers: Servers, schemes: tuple[int, ...], key_type: str) -> None:
    chain, key = servers.files(key_type=trustme.KeyType.ECDSA)
    port = servers.openssl("-dcert", chain, "-dkey", key, key_type=trustme.KeyType.RSA)
    established = handshake(port, dataclasses.replace(OFFER, schemes=schemes))
    assert flights.key_type(established.certificates[0]) == key_type
    assert established.signature_scheme in schemes


def test_a_kind_of_key_that_the_server_lacks_is_refused(servers: Servers) -> None:
    with pytest.raises(ConnectionEndedError) as ended:
        handshake(servers.openssl(), dataclasses.replace(OFFER, schemes=registry.ECDSA_SIGNATURE_SCHEMES))
    assert (ended.value.kind, ended.value.alert) == (probe.ALERT, 40)


def test_the_whole_chain_is_shown(servers: Servers) -> None:
    chain, _key = servers.files()
    extra = servers.directory / "ca.pem"
    extra.write_bytes(servers.ca.cert_pem.bytes())
    shown = handshake(servers.openssl("-cert_chain", str(extra))).certificates
    root = x509.load_pem_x509_certificate(servers.ca.cert_pem.bytes())
    assert shown[1:] == (root.public_bytes(serialization.Encoding.DER),)
    assert chain


# --- what is stapled


def ocsp_response(ca: trustme.CA) -> bytes:
    """Return an answer about the CA's own certificate: a client that judges nothing takes it for any other."""
    root = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    key = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    builder = ocsp.OCSPResponseBuilder().add_response(
        root, root, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, now, now + datetime.timedelta(1), None, None
    )
    response = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, root).sign(key, hashes.SHA256())  # type: ignore[arg-type]
    return response.public_bytes(serialization.Encoding.DER)


def test_a_stapled_response(servers: Servers) -> None:
    path = servers.directory / "response.der"
    path.write_bytes(ocsp_response(servers.ca))
    assert handshake(servers.openssl("-status_file", str(path))).stapled_ocsp == path.read_bytes()
    assert handshake(servers.openssl()).stapled_ocsp is None


def test_certificate_timestamps(servers: Servers) -> None:
    # What OpenSSL adds to the certificate on request (SSL_EXT_CLIENT_HELLO, SSL_EXT_TLS1_3_CERTIFICATE): not checked.
    path = servers.directory / "serverinfo.pem"
    scts = wire.vector(wire.vector(b"a timestamp", 2), 2)
    path.write_text(_pem("SERVERINFOV2 FOR SCT", b"\x00\x00\x10\x80" + b"\x00\x12" + wire.vector(scts, 2)))
    assert handshake(servers.openssl("-serverinfo", str(path))).sct_list == scts


def _pem(name: str, content: bytes) -> str:
    return f"-----BEGIN {name}-----\n{base64.b64encode(content).decode()}\n-----END {name}-----\n"


# --- client certificates


def test_a_requested_certificate_is_answered_with_none(servers: Servers) -> None:
    established, _client, answer = visit(servers.openssl("-verify", "1"))
    assert established.client_certificate_requested
    assert answer.startswith(b"HTTP/1.0 200 ok")
    assert not handshake(servers.openssl()).client_certificate_requested


def test_a_required_certificate_ends_the_connection_afterwards(servers: Servers) -> None:
    with connected(servers.openssl("-Verify", "1")) as client:
        assert client.handshake(OFFER).certificates
        with pytest.raises(ConnectionEndedError) as ended:
            client.receive_application_data()
    assert ended.value.reason == "alert certificate_required"


# --- tickets


@pytest.mark.parametrize(
    ("options", "early_data"),
    [
        (("-num_tickets", "0"), []),
        (("-num_tickets", "3"), [0, 0, 0]),
        (("-num_tickets", "1", "-max_early_data", "5000"), [5000]),
    ],
)
def test_the_tickets_of_a_server(servers: Servers, options: tuple[str, ...], early_data: list[int]) -> None:
    _established, client, _answer = visit(servers.openssl(*options))
    assert [ticket.max_early_data_bytes for ticket in client.tickets] == early_data
    assert all(ticket.lifetime_seconds == 7200 for ticket in client.tickets)


@pytest.mark.parametrize("options", [(), ("-no_ticket",)], ids=["stateless", "stateful"])
def test_a_ticket_resumes_the_session_of_its_server_alone(servers: Servers, options: tuple[str, ...]) -> None:
    port = servers.openssl(*options)
    _established, client, _answer = visit(port)
    again, _client, answer = visit(port, resuming(OFFER, client))
    assert (again.resumed, again.certificates, again.signature_scheme) == (True, (), None)
    assert answer.startswith(b"HTTP/1.0 200 ok")
    elsewhere = handshake(servers.openssl(), resuming(OFFER, client))
    assert (elsewhere.resumed, len(elsewhere.certificates)) == (False, 1)


def test_waiting_for_a_ticket_ends_with_the_first_or_with_the_connection(servers: Servers) -> None:
    for options, count in (((), 1), (("-num_tickets", "0"), 0)):
        with connected(servers.openssl(*options)) as client:
            client.handshake(OFFER)
            client.wait_for_ticket()
        assert len(client.tickets) == count


def test_a_hello_with_a_ticket_of_any_length_ends_with_it(servers: Servers) -> None:
    """The padding that long hellos get must not follow the ticket (RFC 8446 4.2.11)."""
    port = servers.openssl()
    _established, client, _answer = visit(port)
    for length in range(1, 500, 7):
        ticket = dataclasses.replace(client.tickets[0], identity=bytes(length))
        assert not handshake(port, dataclasses.replace(OFFER, resume=ticket)).resumed


def test_secrets_are_not_shown() -> None:
    ticket = Ticket(1, 0, 2, b"identity", b"the key", SUITE, 0.0)
    assert b"the key" not in repr(ticket).encode()


# --- other servers


@pytest.mark.parametrize(("schemes", "key_type"), KEY_TYPES, ids=["RSA", "ECDSA"])
def test_gnutls(real: peers.Servers, schemes: tuple[int, ...], key_type: str) -> None:
    port = real.gnutls("NORMAL", "--disable-client-cert")
    offer = dataclasses.replace(OFFER, schemes=schemes)
    established, client, answer = visit(port, offer)
    assert flights.key_type(established.certificates[0]) == key_type
    assert not established.client_certificate_requested
    assert answer.startswith(b"HTTP/1.0 200 OK")
    assert visit(port, resuming(offer, client))[0].resumed


def test_gnutls_with_everything_else(real: peers.Servers) -> None:
    path = real.path("response.der")
    path.write_bytes(ocsp_response(real.issuer))
    stapled = (f"--ocsp-response={path}", "--ignore-ocsp-response-errors")
    port = real.gnutls("NORMAL", *stapled, "--earlydata", "--maxearlydata=3000")
    port_p384 = real.gnutls("NORMAL:-GROUP-ALL:+GROUP-SECP384R1")
    established, client, _answer = visit(port)
    assert established.client_certificate_requested
    assert client.tickets[0].max_early_data_bytes == 3000
    assert handshake(port_p384).group == P384


def tlslite_handler(
    servers: Servers, settings: HandshakeSettings, serve: Callable[[TLSConnection], None]
) -> Callable[[socket.socket, int], None]:
    chain_path, key_path = servers.files(key_type=trustme.KeyType.RSA)
    chain = X509CertChain()
    chain.parsePemList(Path(chain_path).read_text(encoding="ascii"))
    key = parsePEMKey(Path(key_path).read_text(encoding="ascii"), private=True)

    def handler(connection: socket.socket, _number: int) -> None:
        secure = TLSConnection(connection)
        secure.handshakeServer(certChain=chain, privateKey=key, settings=settings)
        serve(secure)
        secure.close()

    return handler


@pytest.mark.parametrize("answer_wanted", [0, 1], ids=["its own alone", "both"])
def test_keys_are_updated_as_tlslite_does(servers: Servers, answer_wanted: int) -> None:
    heard: list[bytes] = []

    def serve(secure: TLSConnection) -> None:
        for _time in range(3):
            heard.append(bytes(secure.recv(len(REQUEST))))
            for _step in secure.send_keyupdate_request(answer_wanted):
                pass
            secure.sendall(b"answer")

    settings = HandshakeSettings()
    settings.keyShares = ["x25519"]
    port = servers.stub(tlslite_handler(servers, settings, serve)).port
    with connected(port) as client:
        client.handshake(OFFER)
        for _time in range(3):
            client.send_application_data(REQUEST)
            assert client.receive_application_data() == b"answer"
    assert heard == [REQUEST] * 3


def test_an_update_that_wants_an_answer_is_answered_before_anything_else(servers: Servers) -> None:
    heard: list[bytes] = []

    def steps(server: Server13) -> None:
        server.complete()
        server.records.send(22, wire.handshake_message(24, b"\x01"))
        server.records.update_writing()
        server.records.send(23, b"text")
        heard.append(server.records.receive().body)
        server.records.update_reading()
        heard.append(server.records.receive().body)
        server.records.send(23, b"more")

    with connected(stubbed(servers, steps)) as client:
        client.handshake(OFFER)
        assert client.receive_application_data() == b"text"
        client.send_application_data(REQUEST)
        assert client.receive_application_data() == b"more"
    assert heard == [wire.handshake_message(24, b"\x00"), REQUEST]


def test_pythons_server(servers: Servers) -> None:
    stub = servers.https(b"HTTP/1.1 204 No Content\r\n\r\n")
    established, client, answer = visit(stub.port)
    assert len(established.certificates) == 1
    assert answer.startswith(b"HTTP/1.1 204")
    again = handshake(stub.port, resuming(OFFER, client))
    assert not again.resumed or not again.certificates


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_1"])
def test_a_server_without_tls13_refuses(servers: Servers, version: str) -> None:
    with pytest.raises(ConnectionEndedError) as ended:
        handshake(servers.openssl(version, "-cipher", "ALL:@SECLEVEL=0"))
    assert ended.value.alert == 70


@pytest.mark.parametrize(
    ("suites", "groups", "usable"),
    [
        ((0x1301, 0x1302), (P256, X25519), ((0x1301, 0x1302), (X25519, P256))),
        ((0x1301, 0x00C6), (0x11EC, P384), ((0x1301,), (P384,))),
        ((0x00C6,), (X25519,), None),
        ((0x1301,), (0x11EC,), None),
        ((), (), None),
    ],
)
def test_the_best_offer(
    suites: tuple[int, ...], groups: tuple[int, ...], usable: tuple[tuple[int, ...], tuple[int, ...]] | None
) -> None:
    offer = handshake13.best_offer(suites, groups, "name")
    assert (None if offer is None else (offer.suites, offer.groups)) == usable


# --- servers that break the rules (stubs: no real server does)

Steps = Callable[[Server13], None]


def stubbed(servers: Servers, steps: Steps) -> int:
    """Return the port of a server that does these steps, and then waits for the client to go."""

    def whole(server: Server13) -> None:
        with contextlib.suppress(ConnectionEndedError, wire.DecodeError):
            steps(server)
        server.wait()

    return servers.stub(serving(whole)).port


def flight(*messages: tuple[int, bytes]) -> Steps:
    """Return the steps of a server whose encrypted flight has these messages instead of the right ones."""

    def steps(server: Server13) -> None:
        server.begin()
        for kind, body in messages:
            server.send(kind, body)

    return steps


def hello(**fields: object) -> Steps:
    """Return the steps of a server whose hello has these fields."""

    def steps(server: Server13) -> None:
        server.receive_hello()
        server.send_hello(**fields)  # type: ignore[arg-type]

    return steps


def retry(*shares: bytes) -> Steps:
    """Return the steps of a server that answers each hello with a HelloRetryRequest."""

    def steps(server: Server13) -> None:
        for share in shares:
            server.receive_hello()
            server.send_hello(random=RETRY, share=share)

    return steps


def unprotected(content: int, body: bytes, first: Steps = Server13.begin) -> Steps:
    """Return the steps of a server that sends a record as it is, where it must be protected."""

    def steps(server: Server13) -> None:
        first(server)
        server.records._framing.send_raw(content, body)

    return steps


def finished_and_more(server: Server13) -> None:
    """Begin another message in the record of the Finished, after which the keys change."""
    flight(*FLIGHT)(server)
    digest = server.transcript.digest("sha256")
    finished = wire.handshake_message(20, key_schedule13.finished(server.secret, digest, "sha256"))
    server.records.send(22, finished + b"\x04")


def data_in_a_message(server: Server13) -> None:
    server.begin()
    server.records.send(22, b"\x08\x00\x00")
    server.records.send(23, b"text")


EMPTY = extensions()
FLIGHT = ((8, EMPTY), (11, certificate_message(DER)), (15, VERIFY))

BROKEN: dict[str, tuple[Steps, str]] = {
    "wrong Finished": (flight(*FLIGHT, (20, bytes(32))), "Finished is wrong"),
    "short Finished": (flight(*FLIGHT, (20, b"")), "Finished is wrong"),
    "no CertificateVerify": (flight((8, EMPTY), (11, certificate_message(DER)), (20, bytes(32))), "20 came instead"),
    "no Certificate": (flight((8, EMPTY), (15, VERIFY)), "15 came instead of the certificates"),
    "no EncryptedExtensions": (flight((11, certificate_message(DER))), "11 came instead of 8"),
    "broken certificates": (flight((8, EMPTY), (11, b"\x00\x00\x00\x09\x00\x00\x05")), "cut short"),
    "endless certificates": (flight((8, EMPTY), *[(11, certificate_message(bytes(200000)))] * 3), "longer than 262144"),
    "endless request": (
        flight((8, EMPTY), (13, b"\x00" + bytes(200000)), FLIGHT[1], (15, bytes(90000))),
        "longer than",
    ),
    "garbage after the hello": (unprotected(23, b"garbage" * 10), "wrong tag"),
    "less than a tag": (unprotected(23, b"short"), "shorter than its tag"),
    "a message in clear": (unprotected(22, b"\x08\x00\x00\x02\x00\x00"), "not encrypted"),
    "data instead of a hello": (unprotected(23, b"text", Server13.receive_hello), "in the middle of the handshake"),
    "data in a message": (data_in_a_message, "type 23 came where none may be"),
    "no hello": (lambda server: (server.receive_hello(), server.send(8, EMPTY))[1], "8 came before the ServerHello"),
    "another version": (hello(version=registry.TLS12), "version 0x0303"),
    "no such suite": (hello(suite=0x1399), "cipher suite"),
    "another session id": (hello(session_id=bytes(32)), "session id"),
    "a share of another group": (hello(share=b"\x00\x17" + wire.vector(b"\x04" + bytes(64), 2)), "no key share"),
    "no share": (hello(share=b""), "no key share"),
    "a share that is cut short": (hello(share=b"\x00\x1d\x00\x20\x00"), "cut short"),
    "a ticket that nobody offered": (hello(more=((41, b"\x00\x00"),)), "not offered"),
    "retry for nothing": (retry(b""), "asks for nothing"),
    "retry for the same": (retry(b"\x00\x1d"), "cannot be meant"),
    "retry for what was not offered": (
        retry(b"\x00\x1e\x00"[:2] if 0x1E not in OFFER.groups else b"\x11\xec"),
        "cannot",
    ),
    "retry with a long cookie": (hello(random=RETRY, share=b"", more=((44, bytes(2049)),)), "a cookie of 2049 bytes"),
    "retry twice": (retry(b"\x00\x17", b"\x00\x18"), "does not keep to"),
    "keys change in a message": (finished_and_more, "change of keys"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_rules_is_said(servers: Servers, name: str) -> None:
    steps, reason = BROKEN[name]
    with pytest.raises(wire.DecodeError, match=reason):
        handshake(stubbed(servers, steps))


def test_the_stub_completes_when_it_keeps_the_rules(servers: Servers) -> None:
    def steps(server: Server13) -> None:
        server.begin()
        server.finish(alpn="x")
        server.records.send(23, b"text")

    with connected(stubbed(servers, steps)) as client:
        established = client.handshake(dataclasses.replace(OFFER, alpn=("x",)))
        assert client.receive_application_data() == b"text"
    assert (established.certificates, established.alpn) == ((DER,), "x")


def test_a_refusal_to_resume_what_was_not_offered(servers: Servers) -> None:
    port = stubbed(servers, hello(more=((41, b"\x00\x01"),)))
    ticket = Ticket(60, 0, 0, b"identity", bytes(32), SUITE, 0.0)
    with pytest.raises(wire.DecodeError, match="not offered"):
        handshake(port, dataclasses.replace(OFFER, resume=ticket))


# --- what our hello says, seen by the other side


def hellos_to(servers: Servers, offer: Offer13, *answers: dict[str, object]) -> list[dict[int, bytes]]:
    """Return the extensions of our hellos to a server that gives these answers, and then goes."""
    seen: list[dict[int, bytes]] = []

    def steps(server: Server13) -> None:
        seen.append(server.receive_hello())
        for answer in answers:
            server.send_hello(random=RETRY, **answer)  # type: ignore[arg-type]
            seen.append(server.receive_hello())

    with pytest.raises(ConnectionEndedError):
        handshake(servers.stub(serving(steps)).port, offer)
    return seen


@pytest.mark.parametrize(("schemes", "restricted"), [(OFFER.schemes, False), (KEY_TYPES[0][0], True)])
def test_the_issuers_of_a_kind_of_key_may_have_any_key(
    servers: Servers, schemes: tuple[int, ...], restricted: bool
) -> None:
    (extensions_sent,) = hellos_to(servers, dataclasses.replace(OFFER, schemes=schemes))
    assert extensions_sent[13] == wire.signature_algorithms(schemes)[1]
    assert extensions_sent.get(50) == (wire.signature_algorithms(OFFER.schemes)[1] if restricted else None)


@pytest.mark.parametrize("name", ["www.example.org", None])
def test_the_server_name_is_sent_where_there_is_one(servers: Servers, name: str | None) -> None:
    (extensions_sent,) = hellos_to(servers, dataclasses.replace(OFFER, server_name=name))
    assert extensions_sent.get(0) == (wire.server_name(name)[1] if name else None)


def test_the_age_of_a_ticket_is_told_in_disguise(servers: Servers) -> None:
    """RFC 8446 4.2.11.1: milliseconds plus what the ticket says, modulo 2^32."""
    ticket = Ticket(60, 0, 2**32 - 1, b"identity", bytes(32), SUITE, time.monotonic() - 10)
    (extensions_sent,) = hellos_to(servers, dataclasses.replace(OFFER, resume=ticket))
    assert list(extensions_sent)[-1] == 41
    identity = wire.Reader(wire.Reader(extensions_sent[41], "the ticket").vector(2), "the identity")
    assert identity.vector(2) == b"identity"
    assert 9_999 <= identity.number(4) < 20_000


@pytest.mark.parametrize(("suite", "offered"), [(0x1303, True), (0x1302, False)])
def test_a_ticket_goes_with_the_hash_that_a_retry_request_selects(servers: Servers, suite: int, offered: bool) -> None:
    ticket = Ticket(60, 0, 0, b"identity", bytes(32), SUITE, 0.0)
    answer: dict[str, object] = {"suite": suite, "share": b"\x00\x17"}
    first, second = hellos_to(servers, dataclasses.replace(OFFER, resume=ticket), answer)
    assert (41 in first, 41 in second) == (True, offered)


def test_a_cookie_comes_back_as_it_was(servers: Servers) -> None:
    cookie = (44, wire.vector(b"cookie", 2))
    first, second = hellos_to(servers, OFFER, {"share": b"", "more": (cookie,)})
    assert (first.get(44), second[44]) == (None, cookie[1])
    assert first[51] == second[51]


@pytest.mark.parametrize(
    ("options", "contents"), [((), [22, 20, 23]), (("-groups", "P-384"), [22, 20, 22, 23])], ids=["plain", "retry"]
)
def test_change_cipher_spec_stands_before_the_second_flight(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], contents: list[int]
) -> None:
    sent: list[int] = []
    with connected(servers.openssl(*options)) as client:
        framing = client._records._framing
        send = framing.send_raw

        def noting(content: int, body: bytes) -> None:
            sent.append(content)
            send(content, body)

        monkeypatch.setattr(framing, "send_raw", noting)
        client.handshake(OFFER)
    assert sent == contents


def test_the_answer_to_a_request_for_a_certificate_repeats_its_context(servers: Servers) -> None:
    answers: list[bytes] = []

    def steps(server: Server13) -> None:
        server.begin()
        for kind, body in (FLIGHT[0], (13, wire.vector(b"context", 1) + extensions()), *FLIGHT[1:]):
            server.send(kind, body)
        server.send_finished()
        answers.append(server.receive_finished())
        server.records.send(23, b"text")

    established, _client, _answer = visit(stubbed(servers, steps))
    assert established.client_certificate_requested
    assert answers == [wire.handshake_message(11, wire.vector(b"context", 1) + bytes(3))]


def test_an_alert_is_told_by_name_whether_it_is_encrypted_or_not(servers: Servers) -> None:
    def encrypted(server: Server13) -> None:
        server.begin()
        server.records.send(21, b"\x02\x50")

    for steps in (encrypted, unprotected(21, b"\x02\x50"), unprotected(21, b"\x02\x50", Server13.receive_hello)):
        with pytest.raises(ConnectionEndedError, match="alert internal_error"):
            handshake(stubbed(servers, steps))


def send_empty(server: Server13) -> None:
    protection = server.records._writing
    assert protection is not None
    for _record in range(70):
        server.records._framing.send_raw(23, protection.seal(23, b""))


AFTERWARDS: dict[str, tuple[Callable[[Server13], None], str]] = {
    "endless tickets": (lambda server: send_many(server, 4, ticket_message()), "without application data"),
    "endless key updates": (lambda server: send_many(server, 24, b"\x00"), "wrong tag|without application data"),
    "a broken ticket": (lambda server: server.send(4, b"\x00"), "NewSessionTicket is cut short"),
    "a request for a certificate": (lambda server: server.send(13, b"\x00\x00\x00"), "13 came after the handshake"),
    "endless empty records": (send_empty, "without content"),
}


def send_many(server: Server13, kind: int, body: bytes) -> None:
    for _message in range(70):
        server.send(kind, body)


@pytest.mark.parametrize("name", AFTERWARDS)
def test_what_follows_a_handshake_has_an_end(servers: Servers, name: str) -> None:
    what, reason = AFTERWARDS[name]

    def steps(server: Server13) -> None:
        server.complete()
        what(server)

    with connected(stubbed(servers, steps)) as client:
        client.handshake(OFFER)
        with pytest.raises(wire.DecodeError, match=reason):
            client.receive_application_data()


def test_a_ticket_that_is_too_long_is_not_to_be_offered(servers: Servers) -> None:
    def steps(server: Server13) -> None:
        server.complete()
        server.send(4, ticket_message(bytes(12 * 1024 + 1)))
        server.send(4, ticket_message(bytes(12 * 1024)))
        server.records.send(23, b"text")

    port = stubbed(servers, steps)
    with connected(port) as client:
        client.handshake(OFFER)
        client.receive_application_data()
    assert [ticket.can_be_offered for ticket in client.tickets] == [False, True]
    with connected(port) as again:
        assert not again.handshake(dataclasses.replace(OFFER, resume=client.tickets[1])).resumed


def test_a_server_that_goes_on_after_the_goodbye_is_not_waited_for(servers: Servers) -> None:
    def steps(server: Server13) -> None:
        server.complete()
        for _record in range(70):
            server.records.send(23, b"text")

    with connected(stubbed(servers, steps)) as client:
        client.handshake(OFFER)
        with pytest.raises(wire.DecodeError, match="after our goodbye"):
            client.wait_for_ticket()


# --- servers that break off, or take their time


@pytest.mark.parametrize("length", [0, 3, 100, 128, 140, 500, 900, 1100])
def test_a_flight_that_is_cut_short(servers: Servers, length: int) -> None:
    """A real server's flight (more than 1200 bytes), of which no more than a beginning arrives."""
    port = servers.openssl()

    def handler(connection: socket.socket, _number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            server.sendall(connection.recv(4096))
            left = length
            while left:
                data = server.recv(left)
                connection.sendall(data)
                left -= len(data)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)

    with pytest.raises(ConnectionEndedError) as ended:
        handshake(servers.stub(handler).port)
    assert ended.value.kind == probe.CLOSED


def slowly(connection: socket.socket, _number: int) -> None:
    connection.recv(4096)
    for byte in b"\x16\x03\x03\x10\x00" + bytes(100):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def silent(connection: socket.socket, _number: int) -> None:
    connection.recv(4096)
    connection.recv(4096)


@pytest.mark.parametrize("handler", [slowly, silent])
def test_the_deadline_holds(servers: Servers, handler: Callable[[socket.socket, int], None]) -> None:
    with connected(servers.stub(handler).port, seconds=0.3) as client, pytest.raises(ConnectionEndedError) as ended:
        client.handshake(OFFER)
    assert ended.value.kind == probe.TIMEOUT


def test_a_reset_is_told(servers: Servers) -> None:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(10)  # what is left unread makes the close a reset

    with pytest.raises(ConnectionEndedError) as ended:
        handshake(servers.stub(handler).port)
    assert ended.value.kind in (probe.RESET, probe.CLOSED)


def test_nothing_else_is_raised_for_mutated_flights(servers: Servers) -> None:
    """Messages are damaged before they are protected, so that they reach the decoders."""
    damage = random.Random(1)

    def steps(server: Server13) -> None:
        server.begin()
        for kind, body in (*MUTATED, (20, b"")):
            server.send(damage.choice((kind, kind, kind, damage.randrange(256))), mutated(body, damage))

    port = stubbed(servers, steps)
    for _flight in range(200):
        with pytest.raises((ConnectionEndedError, wire.DecodeError)):
            handshake(port)


STAPLED = ((5, b"\x01" + wire.vector(b"response", 3)), (18, b"timestamps"))
MUTATED = (
    (8, extensions((16, b"\x00\x03\x02h2"))),
    (13, b"\x01x\x00\x00"),
    (11, certificate_message(DER, leaf=STAPLED)),
)


def mutated(body: bytes, damage: random.Random) -> bytes:
    changed = bytearray(body)
    for _change in range(damage.randrange(4)):
        if changed:
            changed[damage.randrange(len(changed))] = damage.choice((0, 1, 255, damage.randrange(256)))
    return bytes(changed[: damage.randrange(len(changed) + 1)] if damage.random() < 0.2 else changed)
