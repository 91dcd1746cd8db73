# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The acceptance cases of the inspection by their numbers, on servers; those on facts are in test_acceptance.py.

``pytest -k case_17`` runs one. Servers are real ones, except where no library does any more what the case is about:
then a stub answers, and says so.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.errors import TLSError

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import assess, certificate, grade, scan

from .....peers import servers as peers
from .configurations import (
    IDN,
    ROOT,
    Start,
    assessed,
    gnutls,
    judge,
    leaf,
    measure,
    openssl,
    p256,
    printed,
    rsa_key,
    rules,
    site,
    suites,
    tlslite,
    trusted,
    with_certificate,
    with_key,
    with_parameters,
    written,
)
from .issued import NOW
from .test_scan import (
    ALERT_40,
    ALERT_70,
    X25519_EXCHANGE,
    dh_exchange,
    flight,
    is_tls12,
    leaf_der,
    offered_suites,
    reset,
    say,
)
from .test_starttls import SCRIPTS, serving

if TYPE_CHECKING:
    from .conftest import Handler, Servers

CBC_TOO = f"{peers.INTERMEDIATE_CIPHERS}:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"


# --- real servers: the grade that they deserve, and why


@dataclass(frozen=True)
class Expected:
    """A letter, the three scores, and the rules that hold the letter down; there are others if ``more``."""

    letter: str
    scores: tuple[float, float, float] | None
    rules: frozenset[str]
    more: bool = False


def e(letter: str, scores: tuple[float, float, float] | None, *rules: str, more: bool = False) -> Expected:
    return Expected(letter, scores, frozenset(rules), more)


GOOD = (100.0, 90.0, 90.0)


def dhe_site(path: str) -> Start:
    return site(ciphers="DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0", more=f"ssl_dhparam {path};")


def p384() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


ONLY_256 = "ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;"
REAL: dict[str, tuple[Start, Expected]] = {
    "case_01 intermediate": (site(), e("A+", GOOD)),
    "case_02 no HSTS": (site(hsts=""), e("A", GOOD)),
    "case_03 max-age=0": (site(hsts="max-age=0"), e("A-", GOOD, "hsts_disabled")),
    "case_04 max-age=abc": (site(hsts="max-age=abc"), e("A-", GOOD, "hsts_invalid")),
    "case_04 no max-age": (site(hsts="includeSubDomains"), e("A-", GOOD, "hsts_invalid")),
    "case_05 short max-age": (site(hsts="max-age=86400"), e("A", GOOD)),
    "case_06 TLS 1.2 alone": (site(protocols="TLSv1.2"), e("A-", GOOD, "tls13_not_offered")),
    "case_07 TLS 1.3 alone": (with_key(p256, site(protocols="TLSv1.3")), e("A+", GOOD)),
    "case_08 TLS 1.1 too": (
        site(protocols="TLSv1.1 TLSv1.2 TLSv1.3", ciphers=CBC_TOO),
        e("B", (97.5, 90.0, 90.0), "tls10_or_tls11_offered"),
    ),
    "case_09 TLS 1.0 and 1.1 too": (
        site(protocols="TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", ciphers=CBC_TOO),
        e("B", (95.0, 90.0, 90.0), "tls10_or_tls11_offered"),
    ),
    "case_10 TLS 1.0 alone": (
        openssl("-tls1", "-cipher", "ECDHE+AES:@SECLEVEL=0"),
        e("C", (90.0, 90.0, 90.0), "no_tls12_or_tls13", more=True),
    ),
    "case_11 SSL 3.0 with CBC": (
        tlslite("3.0", "3.3", "aes128gcm,aes128"),
        e("C", None, "poodle", "ssl3_offered", more=True),
    ),
    "case_12 SSL 3.0 with RC4": (
        tlslite("3.0", "3.3", "aes128gcm,rc4"),
        e("B", None, "ssl3_offered", "rc4_offered", "tls10_or_tls11_offered", "tls13_not_offered"),
    ),
    "case_13 SSL 3.0 alone": (
        tlslite("3.0", "3.0", "aes128,rc4", "rsa"),
        e("F", None, "no_protocol_above_ssl3", more=True),
    ),
    "case_15 RSA 1024": (
        with_key(lambda: rsa_key(1024), openssl("-cipher", "ECDHE+AESGCM:@SECLEVEL=0")),
        e("B", (100.0, 80.0, 90.0), "key_below_2048"),
    ),
    "case_16 RSA 512": (
        with_key(lambda: rsa_key(512), openssl("-tls1_2", "-cipher", "ECDHE+AESGCM:@SECLEVEL=0")),
        e("F", (100.0, 40.0, 90.0), "key_below_1024", more=True),
    ),
    "case_17 DH of 1024 bits": (
        with_parameters(1024, dhe_site),
        e("B", (100.0, 80.0, 90.0), "parameters_below_2048"),
    ),
    "case_19 DH of 2048 bits, RSA 4096, secp384r1": (
        with_key(
            lambda: rsa_key(4096),
            with_parameters(
                2048,
                lambda path: site(
                    ciphers="ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384",
                    groups="secp384r1",
                    more=f"ssl_dhparam {path};",
                ),
            ),
        ),
        e("A+", GOOD),
    ),
    "case_20 x25519 beside secp384r1": (
        with_key(p384, site(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384", groups="X25519:secp384r1", more=ONLY_256)),
        e("A+", (100.0, 90.0, 100.0)),
    ),
    "case_20 secp384r1 alone": (
        with_key(p384, site(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384", groups="secp384r1", more=ONLY_256)),
        e("A+", (100.0, 100.0, 100.0)),
    ),
    "case_21 no AEAD": (
        site(protocols="TLSv1.2", ciphers="ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES256-SHA"),
        e("B", (100.0, 90.0, 100.0), "no_aead", "tls13_not_offered"),
    ),
    "case_22 no forward secrecy": (
        site(protocols="TLSv1.2", ciphers="AES128-GCM-SHA256:AES256-GCM-SHA384"),
        e("B", GOOD, "no_forward_secrecy", "tls13_not_offered"),
    ),
    "case_23 RSA key exchange preferred": (
        openssl("-tls1_2", "-serverpref", "-cipher", "AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"),
        e("B", GOOD, "no_forward_secrecy", "tls13_not_offered"),
    ),
    "case_24 RSA key exchange, the client's order": (
        openssl("-tls1_2", "-cipher", "AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"),
        e("A-", GOOD, "tls13_not_offered"),
    ),
    "case_25 3DES last": (
        tlslite("3.3", "3.4", "aes256gcm,aes128gcm,3des", "ecdhe_rsa"),
        e("A", (100.0, 90.0, 60.0)),
    ),
    "case_26 3DES preferred": (
        gnutls("+3DES-CBC:+AES-128-GCM"),
        e("C", None, "block_cipher_of_64_bits_negotiated", more=True),
    ),
    "case_26 3DES alone": (
        tlslite("3.3", "3.3", "3des", "ecdhe_rsa"),
        e("C", None, "block_cipher_of_64_bits_negotiated", more=True),
    ),
    "case_27 RC4 preferred": (gnutls("+ARCFOUR-128:+AES-128-GCM"), e("C", None, "rc4_negotiated", more=True)),
    "case_27 RC4 alone": (tlslite("3.3", "3.3", "rc4"), e("F", None, "rc4_only", more=True)),
    "case_28 NULL": (
        openssl("-cipher", "ECDHE-RSA-AES256-GCM-SHA384:NULL-SHA256:@SECLEVEL=0"),
        e("F", (100.0, 90.0, 50.0), "suites_below_112_bits", more=True),
    ),
    "case_29 anonymous": (
        openssl("-cipher", "ECDHE-RSA-AES256-GCM-SHA384:ADH-AES128-GCM-SHA256:@SECLEVEL=0"),
        e("F", (100.0, 0.0, 90.0), "anonymous_suites", more=True),
    ),
    "case_32 expired": (
        with_certificate(lambda: leaf(to_days=-1), site()),
        e("T", GOOD, "not_trusted"),
    ),
    "case_33 not yet valid": (with_certificate(lambda: leaf(from_days=1), site()), e("T", GOOD, "not_trusted")),
    "case_34 self-signed": (with_certificate(lambda: leaf(None), site()), e("T", GOOD, "not_trusted")),
}


@pytest.mark.parametrize("case", REAL)
def test_real(case: str, real: peers.Servers) -> None:
    start, expected = REAL[case]
    result = measure(start(real), trusted(real))
    scores = tuple(result["scores"][name] for name in ("protocol", "key_exchange", "cipher_strength"))
    assert result["grade"] == expected.letter, (result["caps"], result["warnings"], result["not_tested"])
    assert expected.scores in (None, scores)
    assert rules(result) >= expected.rules
    assert expected.more or rules(result) == expected.rules


def test_case_01_costs_few_connections_and_is_what_mozilla_wants(real: peers.Servers) -> None:
    real.ecdsa, real.rsa = written(real, leaf()), written(real, leaf(key=rsa_key(2048)))
    result = measure(site()(real), trusted(real))
    assert result["mozilla"]["best"] == "intermediate"
    assert [result["scores"]["total"], result["grade_is_upper_bound"]] == [93.0, False]
    assert result["connections"] <= 25


def test_case_06_is_an_a_plus_by_the_older_criteria(real: peers.Servers) -> None:
    result = measure(site(protocols="TLSv1.2")(real), trusted(real))
    assert grade.grade(assess.view_of(result), "2009q").grade == "A+"


def test_case_07_is_what_mozilla_calls_modern(real: peers.Servers) -> None:
    result = measure(with_certificate(lambda: leaf(to_days=70), site(protocols="TLSv1.3"))(real), trusted(real))
    assert result["mozilla"]["best"] == "modern"


def test_case_09_is_old_for_mozilla(real: peers.Servers) -> None:
    port = site(protocols="TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", ciphers=CBC_TOO)(real)
    (facts,) = scan.scan_targets([f"localhost:{port}"], scan.Options())
    found = assessed(facts, certificate.Anchors(trusted(real)), NOW, assess.Rules("5.8"))
    profiles: Any = found["mozilla"]
    statuses = {
        name: {item["item"]: item["status"] for item in profiles["profiles"][name]["items"]}
        for name in ("intermediate", "old")
    }
    assert (statuses["intermediate"]["protocols"], statuses["old"]["protocols"]) == ("fail", "pass")


# --- what only a stub still does


@pytest.mark.parametrize("ciphers", [b"\x01\x00\x80", b""], ids=["with a cipher", "without ciphers"])
def test_case_14_ssl2(servers: Servers, ca: trustme.CA, ciphers: bytes) -> None:
    """A good server behind a stub that answers a hello of SSL 2.0 itself."""
    body = b"\x04\x00\x01\x00\x02\x00\x00" + len(ciphers).to_bytes(2, "big") + b"\x00\x10" + ciphers + bytes(16)

    def disturb(connection: socket.socket, _number: int) -> bool:
        is_ssl2 = bool(connection.recv(1, socket.MSG_PEEK)[0] & 0x80)
        if is_ssl2:
            connection.recv(4096)
            connection.sendall(bytes([0x80, len(body)]) + body)
        return is_ssl2

    result = measure(servers.forward(servers.openssl(), disturb).port, [ca.cert_pem.bytes().decode()])
    drown = result["vulnerabilities"]["drown"]["status"]
    assert (result["grade"], "ssl2_offered" in rules(result), drown) == ("F", True, "vulnerable")


def test_case_18_dh_of_512_bits(servers: Servers, ca: trustme.CA) -> None:
    """tlslite-ng takes DH parameters that no other library does any more."""
    chain_path, key_path = servers.files(key_type=trustme.KeyType.RSA)
    chain = X509CertChain()
    chain.parsePemList(Path(chain_path).read_text())
    key = parsePEMKey(Path(key_path).read_text(), private=True)
    settings = HandshakeSettings()
    settings.maxVersion, settings.keyExchangeNames = (3, 3), ["dhe_rsa"]
    parameters = printed("dhparam", "-outform", "DER", "512")  # a sequence of the prime and the generator
    settings.dhParams = (parameters[-1], int.from_bytes(parameters[4 : 4 + parameters[3]], "big"))

    def handler(connection: socket.socket, _number: int) -> None:
        with contextlib.suppress(TLSError):
            TLSConnection(connection).handshakeServer(certChain=chain, privateKey=key, settings=settings)

    result = measure(servers.stub(handler).port, [ca.cert_pem.bytes().decode()])
    assert min(entry["bits"] for entry in result["dh_parameters"]) == 512
    assert (result["grade"], result["scores"]["key_exchange"]) == ("F", 40.0)
    assert "parameters_below_1024" in rules(result)


def only_suite(suite: int, der: bytes, exchange: bytes, compression: int = 0) -> Handler:
    """Return a stub of a server of TLS 1.2 that accepts one suite."""

    def handler(connection: socket.socket, _number: int) -> None:
        hello = connection.recv(4096)
        if is_tls12(hello) and suite in offered_suites(hello):
            connection.sendall(flight(suite, der, exchange, compression))
        else:
            connection.sendall(ALERT_40 if is_tls12(hello) else ALERT_70)

    return handler


@pytest.mark.parametrize(
    ("suite", "exchange", "vulnerable"),
    [(0x0003, b"", {"freak"}), (0x0008, b"", {"freak"}), (0x0014, dh_exchange(512), {"logjam"})],
    ids=["RC4_40", "DES40", "DHE and DES40"],
)
def test_case_30_export(servers: Servers, ca: trustme.CA, suite: int, exchange: bytes, vulnerable: set[str]) -> None:
    stub = servers.stub(only_suite(suite, leaf_der(servers), exchange))
    result = measure(stub.port, [ca.cert_pem.bytes().decode()])
    found = {name for name, finding in result["vulnerabilities"].items() if finding["status"] == "vulnerable"}
    assert (result["grade"], "export_suites" in rules(result)) == ("F", True)
    assert found & {"freak", "logjam"} == vulnerable


def test_case_31_compression(servers: Servers, ca: trustme.CA) -> None:
    stub = servers.stub(only_suite(0xC02F, leaf_der(servers), X25519_EXCHANGE, compression=1))
    result = measure(stub.port, [ca.cert_pem.bytes().decode()])
    assert (result["grade"], result["vulnerabilities"]["crime"]["status"]) == ("C", "vulnerable")


def test_case_46_a_hybrid_group_is_found(servers: Servers) -> None:
    """A stub that wants X25519MLKEM768 and goes no further: the libraries of Debian 12 do not know it yet."""
    random = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446 4.1.3

    def handler(connection: socket.socket, _number: int) -> None:
        hello = connection.recv(4096)
        if b"\x00\x2b\x00\x03\x02\x03\x04" not in hello or b"\x11\xec" not in hello or b"\x13\x01" not in hello:
            connection.sendall(ALERT_40)
            return
        body = (
            b"\x03\x03"
            + random
            + hello[43:76]
            + b"\x13\x01\x00\x00\x0c\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02\x11\xec"
        )
        connection.sendall(b"\x16\x03\x03\x00" + bytes([len(body) + 4]) + b"\x02\x00\x00" + bytes([len(body)]) + body)

    result = measure(servers.stub(handler).port, [])
    assert [(group["name"], group["post_quantum"]) for group in result["groups"]] == [("X25519MLKEM768", True)]


# --- real servers: facts


@pytest.mark.parametrize(
    "protocols",
    [pytest.param("TLSv1.2 TLSv1.3", id="case_47"), pytest.param("TLSv1.2", id="case_53")],
)
def test_both_certificates_of_a_site(real: peers.Servers, protocols: str) -> None:
    """With a P-256 certificate and X25519 liked best, a hello with that group alone would lose the ECDSA suites."""
    result = measure(site(protocols=protocols, more="ssl_prefer_server_ciphers on;")(real), trusted(real))
    assert {entry["key_type"] for entry in result["certificates"]} == {"RSA", "ECDSA"}
    assert result["preference"]["TLSv1.2"] == "server"
    assert suites(result, "TLSv1.2") == [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ]


def test_case_48_chacha20_for_those_who_want_it(real: peers.Servers) -> None:
    ciphers = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256"
    more = "ssl_prefer_server_ciphers on; ssl_conf_command Options PrioritizeChaCha;"
    result = measure(site(ciphers=ciphers, more=more)(real), trusted(real))
    assert (result["chacha20_priority"], result["preference"]["TLSv1.2"]) == (True, "server")
    assert suites(result, "TLSv1.2") == [
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ]


def silent(connection: socket.socket, _number: int) -> None:
    connection.recv(4096)
    connection.recv(4096)


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (lambda connection, _number: reset(connection), "connection_closed"),
        (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not_tls"),
        (silent, "timeout"),
    ],
    ids=["case_49 resets", "case_49 speaks HTTP", "case_49 says nothing"],
)
def test_what_is_not_tls(servers: Servers, handler: Handler, kind: str) -> None:
    result = measure(servers.stub(handler).port, [], timeout_seconds=0.5)
    assert (result["reachable"], result["error"]["kind"], result["grade"]) == (False, kind, None)


def test_case_50_a_server_that_stops_answering(servers: Servers, ca: trustme.CA) -> None:
    def disturb(connection: socket.socket, number: int) -> bool:
        if number > 4:
            reset(connection)
        return number > 4

    port = servers.forward(servers.openssl("-tls1_2"), disturb).port
    result = measure(port, [ca.cert_pem.bytes().decode()])
    # The first four questions are answered: TLS 1.2, and what the server refuses with an alert.
    assert "SSLv2" in [entry["name"] for entry in result["protocols"] if entry["status"] == "not_tested"]
    assert any("stopped answering" in entry["reason"] for entry in result["not_tested"])
    assert (result["grade_is_upper_bound"], bool(result["grade_missing_facts"])) == (True, True)


@pytest.mark.parametrize(
    ("host", "server_name", "sent"),
    [("::1", None, None), ("127.0.0.1", None, None), ("127.0.0.1", "b\u00fccher.example", IDN)],
    ids=["case_51 IPv6", "case_51 address", "case_51 IDN"],
)
def test_names_and_addresses(real: peers.Servers, host: str, server_name: str | None, sent: str | None) -> None:
    real.rsa = real.ecdsa = written(real, leaf())
    port = real.nginx(peers.nginx_intermediate(), listen="listen 127.0.0.1:{0} ssl; listen [::1]:{0} ssl;".format)
    target = {"host": host, "port": port, **({"server_name": server_name} if server_name else {})}
    (found,) = scan.scan_targets([target], scan.Options())
    result = judge(found, [ROOT.pem])
    assert (result["target"]["server_name"], result["certificates"][0]["trust"]["name_matches"]) == (sent, True)
    assert result["grade"] == "A+"


@pytest.mark.parametrize(
    "protocol",
    ["smtp", "imap", "pop3", "ftp", "ldap", "postgres", "mysql", "xmpp"],
    ids=lambda protocol: f"case_52 {protocol}",
)
def test_a_server_behind_a_dialogue_is_graded(servers: Servers, ca: trustme.CA, protocol: str) -> None:
    """The dialogue is a stub's, TLS is real."""
    stub = servers.stub(serving(servers, SCRIPTS[protocol]))
    target = {"host": "127.0.0.1", "port": stub.port, "server_name": "localhost", "starttls": protocol}
    (found,) = scan.scan_targets([target], scan.Options())
    result = judge(found, [ca.cert_pem.bytes().decode()])
    assert (result["grade"], result["target"]["starttls"]) == ("A", protocol)


def test_case_54_resets_never_shorten_a_list(servers: Servers, real: peers.Servers) -> None:
    def disturb(connection: socket.socket, number: int) -> bool:
        if number % 3 == 0:
            reset(connection)
        return number % 3 == 0

    port = site()(real)
    quiet = measure(port, trusted(real))
    disturbed = measure(servers.forward(port, disturb).port, trusted(real))
    untested = {entry["fact"] for entry in disturbed["not_tested"]}
    for protocol in quiet["cipher_suites"]:
        complete = suites(disturbed, protocol) if protocol in disturbed["cipher_suites"] else []
        noted = {f"cipher_suites.{protocol}", f"protocols.{protocol}"} & untested
        assert noted or complete == suites(quiet, protocol)
    assert disturbed["grade"] == quiet["grade"] or disturbed["grade_is_upper_bound"]
