# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole scans of real servers and of hostile ones."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    assess,
    certificate,
    probe,
    registry,
    scan,
    session,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.endpoint_scan import EndpointScan
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import padding_oracles

from .configurations import assessed
from .issued import CA, NOW, Issued, access

if TYPE_CHECKING:
    from tests.unit.plugins.module_utils.tls.conftest import Handler, Servers

HSTS = b"HTTP/1.1 401 Unauthorized\r\nStrict-Transport-Security: max-age=63072000\r\nContent-Length: 0\r\n\r\n"
INTERMEDIATE = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"


def facts_of(target: object) -> dict[str, Any]:
    (facts,) = scan.scan_targets([target], scan.Options())
    return facts


def verdict(facts: dict[str, Any], ca: trustme.CA) -> dict[str, Any]:
    anchors = certificate.Anchors([ca.cert_pem.bytes().decode()])
    return assessed(facts, anchors, datetime.datetime.now(datetime.timezone.utc))


def offered(facts: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in facts["protocols"] if entry["status"] == "offered"]


def suites(facts: dict[str, Any], protocol: str) -> list[str]:
    return [entry["name"] for entry in facts["cipher_suites"][protocol]]


def same(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what must not depend on the weather."""
    keys = ("protocols", "cipher_suites", "preference", "compression", "extensions", "renegotiation")
    return {key: facts[key] for key in keys}


def test_defaults_of_openssl(servers: Servers, ca: trustme.CA) -> None:
    facts = facts_of({"host": "127.0.0.1", "port": servers.openssl(), "server_name": "localhost"})
    assert offered(facts) == ["TLSv1.2", "TLSv1.3"]
    assert suites(facts, "TLSv1.3")[0] == "TLS_AES_256_GCM_SHA384"
    assert len(facts["cipher_suites"]["TLSv1.3"]) == 3
    assert len(facts["cipher_suites"]["TLSv1.2"]) == 20
    assert facts["preference"]["TLSv1.2"] == "client"
    assert {"x25519", "secp256r1", "secp384r1"} <= {group["name"] for group in facts["groups"]}
    assert [entry["bits"] for entry in facts["dh_parameters"]] == [2048]
    assert (facts["compression"], facts["renegotiation"]) == (False, {"secure": True})
    assert facts["not_tested"] == []
    result = verdict(facts, ca)
    assert (result["grade"], result["certificates"][0]["trust"]["reason"]) == ("A", None)
    unprobed = (*padding_oracles.NAMES, "robot")
    assert set(result["grade_missing_facts"]) == {f"vulnerabilities.{name}" for name in unprobed}


def test_the_servers_order(servers: Servers) -> None:
    order = "ECDHE-RSA-AES256-GCM-SHA384:AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-CAMELLIA256-SHA256:AES256-SHA"
    facts = facts_of(f"localhost:{servers.openssl('-serverpref', '-cipher', order, '-tls1_2')}")
    assert facts["preference"] == {"TLSv1.2": "server"}
    assert suites(facts, "TLSv1.2") == [
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
    ]


def test_rare_suites_and_null_are_found(servers: Servers, ca: trustme.CA) -> None:
    port = servers.openssl(
        "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:NULL-SHA256:ADH-AES128-GCM-SHA256:@SECLEVEL=0", "-tls1_2"
    )
    facts = facts_of(f"localhost:{port}")
    assert set(suites(facts, "TLSv1.2")) == {
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_NULL_SHA256",
        "TLS_DH_anon_WITH_AES_128_GCM_SHA256",
    }
    assert verdict(facts, ca)["grade"] == "F"


def test_only_rare_suites(servers: Servers) -> None:
    facts = facts_of(f"localhost:{servers.openssl('-cipher', 'ECDHE-ARIA128-GCM-SHA256', '-tls1_2')}")
    assert suites(facts, "TLSv1.2") == ["TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256"]


@pytest.mark.parametrize(
    ("options", "protocols", "letter"),
    [
        (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), ["TLSv1.0"], "F"),
        (("-tls1_1", "-cipher", "ECDHE+AES:@SECLEVEL=0"), ["TLSv1.1"], "C"),
        (("-no_tls1_3", "-cipher", "ECDHE+AES:@SECLEVEL=0"), ["TLSv1.0", "TLSv1.1", "TLSv1.2"], "B"),
        (("-tls1_3",), ["TLSv1.3"], "A"),
    ],
    ids=["1.0", "1.1", "1.0 to 1.2", "1.3"],
)
def test_versions(
    servers: Servers, ca: trustme.CA, options: tuple[str, ...], protocols: list[str], letter: str
) -> None:
    facts = facts_of(f"localhost:{servers.openssl(*options)}")
    assert offered(facts) == protocols
    assert [entry["name"] for entry in facts["protocols"] if entry["status"] == "not_tested"] == []
    assert verdict(facts, ca)["grade"] == letter


def test_fallback_to_a_lower_version(servers: Servers) -> None:
    several = ("-no_tls1_3", "-cipher", "ECDHE+AES:@SECLEVEL=0")
    port = servers.openssl(*several)

    def blind(hello: bytes) -> bytes:
        """Leave TLS_FALLBACK_SCSV out, as a server reads the list that does not know it."""
        return hello.replace(b"\x56\x00", b"\x00\xff")

    assert facts_of(f"localhost:{port}")["fallback_scsv"] == "supported"
    assert facts_of(f"localhost:{servers.forward(port, change_hello=blind).port}")["fallback_scsv"] == "not_supported"
    assert facts_of(f"localhost:{servers.openssl()}")["fallback_scsv"] == "not_applicable"


def test_both_certificates_are_found(servers: Servers, ca: trustme.CA) -> None:
    chain, key = servers.files(key_type=trustme.KeyType.ECDSA)
    port = servers.openssl("-dcert", chain, "-dkey", key, "-cipher", INTERMEDIATE, "-curves", "X25519:P-256:P-384")
    facts = facts_of(f"localhost:{port}")
    assert {entry["key_type"] for entry in facts["certificates"]} == {"RSA", "ECDSA"}
    assert len(facts["cipher_suites"]["TLSv1.2"]) == 3
    result = verdict(facts, ca)
    assert [entry["trust"]["trusted"] for entry in result["certificates"]] == [True, True]
    assert (result["grade"], result["grade_is_upper_bound"]) == ("A", False)


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        (("-tls1_3", "-alpn", "http/1.1"), {"TLSv1.3": ["http/1.1"]}),
        (("-tls1_3",), {"TLSv1.3": []}),
        (("-alpn", "h2"), {"TLSv1.2": ["h2"]}),
    ],
)
def test_the_application_protocol(servers: Servers, options: tuple[str, ...], selected: dict[str, list[str]]) -> None:
    assert facts_of(f"localhost:{servers.openssl(*options)}")["alpn"] == selected


def test_every_certificate_of_tls13_is_found(servers: Servers, ca: trustme.CA) -> None:
    chain, key = servers.files(key_type=trustme.KeyType.ECDSA)
    result = verdict(facts_of(f"localhost:{servers.openssl('-dcert', chain, '-dkey', key, '-tls1_3')}"), ca)
    assert {entry["key_type"] for entry in result["certificates"]} == {"RSA", "ECDSA"}
    assert [entry["trust"]["trusted"] for entry in result["certificates"]] == [True, True]
    assert (result["grade_missing_facts"], result["grade_is_upper_bound"]) == ([], False)


def test_a_certificate_of_tls13_alone_beside_one_of_tls12(servers: Servers, ca: trustme.CA) -> None:
    chain, key = servers.files(key_type=trustme.KeyType.ECDSA)
    port = servers.openssl("-dcert", chain, "-dkey", key, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
    facts = facts_of(f"localhost:{port}")
    assert {entry["key_type"]: entry["protocols"] for entry in verdict(facts, ca)["certificates"]} == {
        "ECDSA": ["TLSv1.2", "TLSv1.3"],
        "RSA": ["TLSv1.3"],
    }
    assert verdict(facts, ca)["grade_missing_facts"] == []


def test_an_intermediate_server_costs_few_connections(servers: Servers) -> None:
    port = servers.openssl("-cipher", INTERMEDIATE, "-curves", "X25519:P-256:P-384", "-no_tls1", "-no_tls1_1")
    proxy = servers.forward(port, lambda _connection, _number: False)
    facts = facts_of({"host": "127.0.0.1", "port": proxy.port, "server_name": "localhost"})
    assert facts["connections"] == proxy.connections
    assert proxy.connections <= 22


def test_hsts_is_read_on_whatever_status(servers: Servers, ca: trustme.CA) -> None:
    server = servers.https(HSTS)
    facts = facts_of({"host": "127.0.0.1", "port": server.port, "server_name": "localhost"})
    assert facts["http"]["status"] == 401
    assert facts["http"]["strict_transport_security"]["max_age_seconds"] == 63072000
    assert verdict(facts, ca)["grade_trust_ignored"] in ("A+", "A")


def test_an_address_is_asked_for_without_a_name(servers: Servers, ca: trustme.CA) -> None:
    facts = facts_of(f"127.0.0.1:{servers.openssl()}")
    assert facts["target"]["server_name"] is None
    (entry,) = verdict(facts, ca)["certificates"]
    assert (entry["server_name_sent"], entry["trust"]["name_matches"]) == (False, True)


def test_another_name_is_m(servers: Servers, ca: trustme.CA) -> None:
    facts = facts_of({"host": "127.0.0.1", "port": servers.openssl(), "server_name": "www.example.com"})
    result = verdict(facts, ca)
    assert (result["grade"], result["grade_trust_ignored"]) == ("M", "A")


# --- servers that disturb


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("every", [2, 3, 5])
def test_resets_never_shorten_a_list(servers: Servers, every: int) -> None:
    port = servers.openssl("-cipher", INTERMEDIATE, "-curves", "X25519:P-256:P-384")

    def disturb(connection: socket.socket, number: int) -> bool:
        if number % every == 0:
            reset(connection)
        return number % every == 0

    quiet = facts_of(f"localhost:{port}")
    disturbed = facts_of(f"localhost:{servers.forward(port, disturb).port}")
    untested = {entry["fact"] for entry in disturbed["not_tested"]}
    for protocol in quiet["cipher_suites"]:
        if f"cipher_suites.{protocol}" not in untested and f"protocols.{protocol}" not in untested:
            assert suites(disturbed, protocol) == suites(quiet, protocol)
    statuses = {entry["name"]: entry["status"] for entry in disturbed["protocols"]}
    for entry in quiet["protocols"]:
        assert statuses[entry["name"]] in (entry["status"], "not_tested")


def test_one_reset_does_not_cost_the_http_facts(servers: Servers) -> None:
    server = servers.https(HSTS)
    seen: list[int] = []

    def disturb(connection: socket.socket, number: int) -> bool:
        hello = connection.recv(4096, socket.MSG_PEEK)
        complete = b"\x00\x2b\x00" in hello and b"\x00\x2b\x00\x03" not in hello  # it offers more than one version
        if complete and not seen:
            seen.append(number)
            reset(connection)
            return True
        return False

    facts = facts_of(f"localhost:{servers.forward(server.port, disturb).port}")
    assert (len(seen), facts["http"] and facts["http"]["status"]) == (1, 401)


def test_a_server_that_stops_answering_is_not_tested(servers: Servers, ca: trustme.CA) -> None:
    port = servers.openssl("-cipher", INTERMEDIATE)

    answered: list[int] = []

    def disturb(connection: socket.socket, number: int) -> bool:
        """Let one hello of TLS 1.2 through."""
        if not answered and is_tls12(connection.recv(4096, socket.MSG_PEEK)):
            answered.append(number)
            return False
        reset(connection)
        return True

    proxy = servers.forward(port, disturb)
    facts = facts_of(f"localhost:{proxy.port}")
    assert any("stopped answering" in entry["reason"] for entry in facts["not_tested"])
    assert {e["name"]: e["status"] for e in facts["protocols"] if e["status"] != "not_tested"} == {"TLSv1.2": "offered"}
    result = verdict(facts, ca)
    assert result["grade_is_upper_bound"] is True


def test_a_closing_server_does_not_offer_the_version(servers: Servers) -> None:
    """Many servers refuse a version by closing the connection; with everything else answered that is an answer."""
    port = servers.openssl("-cipher", INTERMEDIATE)

    def disturb(connection: socket.socket, _number: int) -> bool:
        beginning = connection.recv(11, socket.MSG_PEEK)
        old = beginning[0] & 0x80 or beginning[9:11] in (b"\x03\x00", b"\x03\x01", b"\x03\x02")
        if old:
            reset(connection)
        return bool(old)

    facts = facts_of(f"localhost:{servers.forward(port, disturb).port}")
    assert {entry["name"]: entry["status"] for entry in facts["protocols"]} == {
        "SSLv2": "not_offered",
        "SSLv3": "not_offered",
        "TLSv1.0": "not_offered",
        "TLSv1.1": "not_offered",
        "TLSv1.2": "offered",
        "TLSv1.3": "offered",
    }


def offered_suites(hello: bytes) -> list[int]:
    """Return the cipher suites of a ClientHello in one record."""
    at = 44 + hello[43]
    (length,) = struct.unpack("!H", hello[at : at + 2])
    return list(struct.unpack(f"!{length // 2}H", hello[at + 2 : at + 2 + length]))


RARE_TOO = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ARIA128-GCM-SHA256"
RARE_TOO_NAMES = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256"]


def test_a_server_that_reads_64_suites_only(servers: Servers) -> None:
    port = servers.openssl("-cipher", RARE_TOO, "-tls1_2")

    def disturb(connection: socket.socket, _number: int) -> bool:
        hello = connection.recv(4096, socket.MSG_PEEK)
        ignores = hello[0] == 0x16 and not {0xC02F, 0xC060} & set(offered_suites(hello)[:64])
        if ignores:
            connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")
        return ignores

    facts = facts_of(f"localhost:{servers.forward(port, disturb).port}")
    assert suites(facts, "TLSv1.2") == RARE_TOO_NAMES
    assert facts["preference"] == {"TLSv1.2": "client"}


def test_a_server_that_chokes_on_long_lists(servers: Servers) -> None:
    port = servers.openssl("-cipher", RARE_TOO, "-tls1_2")

    def disturb(connection: socket.socket, _number: int) -> bool:
        hello = connection.recv(4096, socket.MSG_PEEK)
        chokes = hello[0] == 0x16 and len(offered_suites(hello)) >= 128
        if chokes:
            reset(connection)
        return chokes

    facts = facts_of(f"localhost:{servers.forward(port, disturb).port}")
    assert suites(facts, "TLSv1.2") == RARE_TOO_NAMES
    assert [entry for entry in facts["not_tested"] if entry["fact"].startswith("cipher_suites")] == []


def say(data: bytes) -> Callable[[socket.socket, int], None]:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(data)

    return handler


def slow(connection: socket.socket, _number: int) -> None:
    connection.recv(4096)
    for byte in b"\x16\x03\x03\x40\x00" + bytes(100):
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def endless(connection: socket.socket, _number: int) -> None:
    connection.recv(4096)
    hello = b"\x02\x00\x00\x26\x03\x03" + bytes(32) + b"\x00\xc0\x2f\x00"
    connection.sendall(b"\x16\x03\x03" + struct.pack("!H", len(hello)) + hello)
    while True:
        connection.sendall(b"\x16\x03\x03\x40\x00" + b"\x63\x00\x3f\xfc" + bytes(16380))


def silent(connection: socket.socket, _number: int) -> None:
    time.sleep(1)
    connection.recv(4096)


HOSTILE = [
    ("HTTP", say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not_tls", "plain HTTP"),
    ("SSH", say(b"SSH-2.0-OpenSSH_9.2\r\n"), "not_tls", "SSH"),
    ("SMTP", say(b"220 mail.example ESMTP\r\n"), "not_tls", "greeting"),
    ("garbage", say(bytes(range(200, 256))), "not_tls", "something that is not TLS"),
    ("broken TLS", say(b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03"), "malformed", "cut short"),
    ("closes", say(b""), "connection_closed", "closed without an answer"),
    ("resets", lambda connection, _number: reset(connection), "connection_closed", "broke"),
    ("a byte a time", slow, "timeout", "no complete answer within 0.5 seconds"),
    ("silent", silent, "timeout", "no complete answer within 0.5 seconds"),
    ("endless", endless, "malformed", "longer than"),
]


@pytest.mark.parametrize(("handler", "kind", "text"), [c[1:] for c in HOSTILE], ids=[c[0] for c in HOSTILE])
def test_what_is_not_tls_is_one_clear_error(
    servers: Servers, ca: trustme.CA, handler: Handler, kind: str, text: str
) -> None:
    good = servers.openssl("-cipher", INTERMEDIATE)
    bad = servers.stub(handler)
    options = scan.Options(timeout_seconds=0.5)
    first, second = scan.scan_targets([f"localhost:{bad.port}", f"localhost:{good}"], options)
    assert first["reachable"] is False
    error: Any = first["error"]
    assert (error["kind"], text in error["message"], f"localhost:{bad.port}" in error["message"]) == (kind, True, True)
    assert error["remedy"] in error["message"]
    assert second["reachable"] is True
    assert verdict(first, ca)["grade"] is None


def test_targets_that_cannot_be_asked(servers: Servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    targets = [f"127.0.0.1:{port}", "nothing.invalid", "localhost:99999", {"host": "a", "prot": 1}, 7]
    asked = [*targets, f"localhost:{servers.openssl()}"]
    results: list[Any] = scan.scan_targets(asked, scan.Options(timeout_seconds=20))
    kinds = [result["error"]["kind"] if result["error"] else None for result in results]
    assert kinds == [
        "connection_refused",
        "name_not_resolved",
        "invalid_target",
        "invalid_target",
        "invalid_target",
        None,
    ]


def test_the_first_address_that_listens_is_measured(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    port = servers.openssl()
    silent, listening = ("127.0.0.2", "127.0.0.1")
    both = [probe.Endpoint(int(socket.AF_INET), address, port) for address in (silent, listening)]
    monkeypatch.setattr(scan, "resolve", lambda _target, _timeout: both)
    facts = facts_of("localhost")
    passed_over = [entry for entry in facts["not_tested"] if entry["fact"] == f"address {silent}"]

    assert (facts["reachable"], facts["address"], facts["addresses"]) == (True, listening, [silent, listening])
    assert len(passed_over) == 1
    assert "refused" in passed_over[0]["reason"]


def test_where_no_address_listens_the_first_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    both = [probe.Endpoint(int(socket.AF_INET), address, port) for address in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(scan, "resolve", lambda _target, _timeout: both)
    facts = facts_of("localhost")

    assert (facts["reachable"], facts["address"], facts["error"]["kind"]) == (False, "127.0.0.2", "connection_refused")


@pytest.mark.parametrize("to_sslv3", [b"\x70", b"\x46", b"\x28"], ids=["the same", "protocol_version", "failure"])
def test_an_unknown_name_is_told(servers: Servers, to_sslv3: bytes) -> None:
    """SSL 3.0 sends no name, so a server that is strict about names refuses it for another reason."""

    def strict(connection: socket.socket, _number: int) -> None:
        hello = connection.recv(4096)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02" + (to_sslv3 if hello[1:3] == b"\x03\x00" else b"\x70"))

    bad = servers.stub(strict)
    facts = facts_of({"host": "127.0.0.1", "port": bad.port, "server_name": "wrong.example"})
    assert facts["error"]["kind"] == "server_name_refused"
    assert "wrong.example" in facts["error"]["message"]


def test_no_more_connections_at_once_than_allowed(servers: Servers) -> None:
    port = servers.openssl("-cipher", INTERMEDIATE)
    now: list[int] = []
    most: list[int] = [0]

    def count(_connection: socket.socket, number: int) -> bool:
        now.append(number)
        most[0] = max(most[0], len(now))
        time.sleep(0.02)
        now.remove(number)
        return False

    proxy = servers.forward(port, count)
    targets = [{"host": "localhost", "port": proxy.port, "name": str(number)} for number in range(3)]
    scan.scan_targets(targets, scan.Options(connections_per_host=2))
    assert most[0] == 2


# --- what no modern library does: a stub answers


def leaf_der(servers: Servers) -> bytes:
    chain, _key = servers.files(key_type=trustme.KeyType.RSA)
    return ssl.PEM_cert_to_DER_cert(Path(chain).read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n")


def flight(suite: int, der: bytes, exchange: bytes, compression: int = 0) -> bytes:
    """Return the first flight of a TLS 1.2 server in one record."""
    hello = b"\x03\x03" + bytes(33) + struct.pack("!HB", suite, compression) + b"\x00\x05\xff\x01\x00\x01\x00"
    certificate = len(der).to_bytes(3, "big") + der
    parts = ((2, hello), (11, len(certificate).to_bytes(3, "big") + certificate), (12, exchange), (14, b""))
    messages = b"".join(bytes([kind]) + len(part).to_bytes(3, "big") + part for kind, part in parts)
    return b"\x16\x03\x03" + struct.pack("!H", len(messages)) + messages


ALERT_40, ALERT_70 = b"\x15\x03\x03\x00\x02\x02\x28", b"\x15\x03\x03\x00\x02\x02\x46"
X25519_EXCHANGE = b"\x03\x00\x1d\x20" + bytes(32) + b"\x08\x04\x00\x01x"


def is_tls12(hello: bytes) -> bool:
    return hello[0] == 0x16 and hello[9:11] == b"\x03\x03" and b"\x00\x2b\x00\x03" not in hello


def dh_exchange(bits: int) -> bytes:
    prime = b"\xff" * (bits // 8)
    numbers = b"".join(struct.pack("!H", len(number)) + number for number in (prime, b"\x02", b"\x04"))
    return numbers + b"\x08\x04\x00\x01x"


def anything(hello: bytes, der: bytes) -> bytes:
    """Return the flight of a server that takes the first suite, whatever it is."""
    suite = offered_suites(hello)[0]
    finite_field = registry.cipher_suite(suite).key_exchange == "DHE"
    return flight(suite, der, dh_exchange(2048) if finite_field else X25519_EXCHANGE)


def test_compression_and_sslv2_of_a_server_that_has_both(servers: Servers, ca: trustme.CA) -> None:
    der = leaf_der(servers)

    def handler(connection: socket.socket, _number: int) -> None:
        hello = connection.recv(4096)
        if hello[0] & 0x80:
            connection.sendall(b"\x80\x0b\x04\x00\x01\x00\x02\x00\x00\x00\x03\x00\x10")
        elif is_tls12(hello) and 0xC02F in offered_suites(hello):
            connection.sendall(flight(0xC02F, der, X25519_EXCHANGE, compression=1))
        else:
            connection.sendall(ALERT_70)

    facts = facts_of(f"localhost:{servers.stub(handler).port}")
    assert facts["compression"] is True
    assert offered(facts) == ["SSLv2", "TLSv1.2"]
    result = verdict(facts, ca)
    assert {cap["rule"] for cap in result["caps"]} >= {"ssl2_offered", "compression"}
    assert result["grade"] == "F"


def test_weak_parameters_are_not_hidden_behind_named_groups(servers: Servers) -> None:
    """RFC 7919 gives a client that names finite field groups other parameters than one that does not."""
    der = leaf_der(servers)

    def handler(connection: socket.socket, _number: int) -> None:
        hello = connection.recv(4096)
        if is_tls12(hello) and 0x009E in offered_suites(hello):
            connection.sendall(flight(0x009E, der, dh_exchange(2048 if b"\x01\x00\x01\x01" in hello else 1024)))
        else:
            connection.sendall(ALERT_70 if not is_tls12(hello) else ALERT_40)

    facts = facts_of(f"localhost:{servers.stub(handler).port}")
    assert [entry["bits"] for entry in facts["dh_parameters"]] == [1024, 2048]


def test_a_flight_that_breaks_off_leaves_facts_untested(servers: Servers, ca: trustme.CA) -> None:
    der = leaf_der(servers)

    def handler(connection: socket.socket, _number: int) -> None:
        hello = connection.recv(4096)
        if is_tls12(hello) and 0x009E in offered_suites(hello):
            messages = flight(0x009E, der, b"")[5:]
            cut = messages[: 4 + 45]
            connection.sendall(b"\x16\x03\x03" + struct.pack("!H", len(cut)) + cut)
        else:
            connection.sendall(ALERT_70 if not is_tls12(hello) else ALERT_40)

    facts = facts_of(f"localhost:{servers.stub(handler).port}")
    untested = {entry["fact"] for entry in facts["not_tested"]}
    assert {"dh_parameters.TLSv1.2", "certificates.TLSv1.2"} <= untested
    assert "dh_parameters.TLSv1.2" in verdict(facts, ca)["grade_missing_facts"]


def test_a_ban_by_alert_is_no_refusal(servers: Servers, ca: trustme.CA) -> None:
    port = servers.openssl("-cipher", INTERMEDIATE, "-curves", "X25519:P-256:P-384")

    def disturb(connection: socket.socket, number: int) -> bool:
        if number > 8:
            connection.recv(4096)
            connection.sendall(ALERT_40)
        return number > 8

    facts = facts_of(f"localhost:{servers.forward(port, disturb).port}")
    assert "not_offered" not in {entry["status"] for entry in facts["protocols"]}
    assert verdict(facts, ca)["grade_is_upper_bound"] is True


def test_a_server_that_takes_everything_just_in_time_is_given_up(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    der = leaf_der(servers)
    monkeypatch.setattr(session, "_MOST_TIMEOUTS", 0.2)

    def handler(connection: socket.socket, _number: int) -> None:
        hello = connection.recv(4096)
        time.sleep(0.05)
        tls12 = is_tls12(hello)
        connection.sendall(anything(hello, der) if tls12 else ALERT_70)

    facts = facts_of(f"localhost:{servers.stub(handler).port}")
    assert any("too slow" in entry["reason"] for entry in facts["not_tested"])
    assert facts["connections"] < 80


def test_a_server_with_a_new_certificate_each_time(servers: Servers) -> None:
    der = leaf_der(servers)

    def handler(connection: socket.socket, number: int) -> None:
        hello = connection.recv(4096)
        fresh = der + struct.pack("!H", number)
        tls12 = is_tls12(hello)
        connection.sendall(anything(hello, fresh) if tls12 else ALERT_70)

    facts = facts_of(f"localhost:{servers.stub(handler).port}")
    assert len(facts["certificates"]) == 16
    assert "certificates.more" in {entry["fact"] for entry in facts["not_tested"]}


def test_case_37_a_missing_intermediate_is_fetched_where_that_is_asked_for(servers: Servers, tmp_path: Path) -> None:
    root = Issued("root", None, [(CA, True)])
    middle = Issued("middle", root, [(CA, True)])
    asked: list[bytes] = []

    def publish(connection: socket.socket, _number: int) -> None:
        asked.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + middle.der)

    address = f"http://127.0.0.1:{servers.stub(publish).port}/middle.der"
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    leaf = Issued("leaf", middle, [(names, False), (access(AuthorityInformationAccessOID.CA_ISSUERS, address), False)])
    certificate_file, key_file = tmp_path / "leaf.pem", tmp_path / "leaf.key"
    certificate_file.write_text(leaf.pem)
    key_file.write_bytes(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    port = servers.openssl("-cert", str(certificate_file), "-key", str(key_file), "-cipher", INTERMEDIATE)
    anchors = certificate.Anchors([root.pem])
    grades = {}
    for fetch in (False, True):
        (facts,) = scan.scan_targets([f"localhost:{port}"], scan.Options(fetch_issuers=fetch))
        result: Any = assessed(facts, anchors, NOW)
        grades[fetch] = result["grade"], result["certificates"][0]["trust"]["chain_incomplete"]
        assert len(asked) == int(fetch)
    assert grades == {False: ("T", True), True: ("B", True)}


def test_a_fault_of_our_own_hides_no_other_target(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_scan: EndpointScan, _addresses: list[str]) -> dict[str, object]:
        raise KeyError("secret of a server")

    port = servers.openssl()
    monkeypatch.setattr(EndpointScan, "facts", broken)
    broken_one, closed = scan.scan_targets([f"localhost:{port}", "localhost:1"], scan.Options())
    results: Any = assess.assess([broken_one, closed], certificate.Anchors([]), NOW)
    errors = [result["error"] for result in results["results"]]
    assert [error["kind"] for error in errors] == ["scanner_fault", "connection_refused"]
    assert "KeyError in test_scan.py, line" in errors[0]["message"]
    assert "secret" not in errors[0]["message"]


def test_the_site_in_clear_is_looked_at(servers: Servers) -> None:
    def redirect(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 301 Moved\r\nLocation: https://localhost/\r\n\r\n")

    plain = servers.stub(redirect)
    target = {"host": "localhost", "port": servers.openssl(), "http_port": plain.port}
    for level, connections, opossum in (("passive", 1, "not_tested"), ("active", 2, "not_vulnerable")):
        plain.connections = 0
        (facts,) = scan.scan_targets([target], scan.Options(vulnerability_tests=level))
        assert facts["plain_http"]["redirects_to_https"] is True
        assert plain.connections == connections
        result: Any = assessed(facts, certificate.Anchors([]), NOW)
        assert result["vulnerabilities"]["opossum"]["status"] == opossum


@pytest.mark.parametrize(("level", "least"), [("none", 0), ("passive", 0), ("active", 2), ("deep", 20)], ids=str)
def test_a_level_costs_what_it_says(servers: Servers, level: str, least: int) -> None:
    port = servers.openssl("-cipher", INTERMEDIATE + ":AES128-GCM-SHA256:AES128-SHA", "-tls1_2")
    (without,) = scan.scan_targets([f"localhost:{port}"], scan.Options(vulnerability_tests="none"))
    (facts,) = scan.scan_targets([f"localhost:{port}"], scan.Options(vulnerability_tests=level))
    more = cast("int", facts["connections"]) - cast("int", without["connections"])
    assert least - 1 <= more
    assert more <= 1 or level in ("active", "deep")
    assert bool(facts["probes"]) == (level in ("active", "deep"))
    assert ("robot" in cast("dict[str, object]", facts["probes"])) == (level == "deep")
