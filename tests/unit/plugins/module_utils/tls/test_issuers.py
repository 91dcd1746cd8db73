# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetching the certificates that a server should have sent: from a real web server, and from bad ones."""

from __future__ import annotations

import datetime
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import issuers, probe

from .conftest import Handler, Servers

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(subject: str, issuer: str, *addresses: str) -> bytes:
    """Return a certificate that says where its issuer's is; all have one key."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (issuer, subject)]
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder(*names, KEY.public_key(), 1, now, now + datetime.timedelta(days=1))
    if addresses:
        entries = [
            x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(address))
            for address in addresses
        ]
        builder = builder.add_extension(x509.AuthorityInformationAccess(entries), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass
class Site:
    """A web server on 127.0.0.1: what it answers to a path, and what was asked."""

    port: int = 0
    bodies: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fields: list[dict[str, str]] = field(default_factory=list)

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def publish(self, path: str, body: bytes) -> str:
        self.bodies[path] = body
        return self.address(path)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.fields.append({name.lower(): value for name, value in self.headers.items()})
            if self.path in found.redirects:
                self.send_response(301)
                self.send_header("Location", found.redirects[self.path])
            elif self.path in found.bodies:
                self.send_response(200)
                self.send_header("Content-Length", str(len(found.bodies[self.path])))
            else:
                self.send_response(404)
            self.end_headers()
            self.wfile.write(found.bodies.get(self.path, b""))

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def ladder(site: Site, steps: int) -> list[bytes]:
    """Return a leaf, its issuer and so on up to a root, each published where the one below it says."""
    certificates = [certificate("0", "0")]
    for step in range(1, steps + 1):
        address = site.publish(f"/{step - 1}.der", certificates[0])
        certificates.insert(0, certificate(str(step), str(step - 1), address))
    return certificates


def test_what_is_missing_is_fetched_up_to_the_root(site: Site) -> None:
    leaf, first, second, root = ladder(site, 3)
    assert issuers.fetch_missing([leaf], frozenset(), 5) == issuers.Issuers((first, second, root))
    assert site.asked == ["/2.der", "/1.der", "/0.der"]


def test_what_was_sent_or_is_trusted_is_not_fetched(site: Site) -> None:
    leaf, first, second, root = ladder(site, 3)
    trusted = issuers.subjects([root, b"nonsense"])
    assert issuers.fetch_missing([leaf, second, first], trusted, 5) == issuers.Issuers()
    assert site.asked == []
    assert issuers.fetch_missing([leaf, second], trusted, 5) == issuers.Issuers((first,))
    assert site.asked == ["/2.der"]


def test_a_root_needs_no_issuer(site: Site) -> None:
    assert issuers.fetch_missing([certificate("a", "a", site.address("/a"))], frozenset(), 5) == issuers.Issuers()


def test_no_more_than_three_are_fetched(site: Site) -> None:
    leaf, *others = ladder(site, 5)
    found = issuers.fetch_missing([leaf], frozenset(), 5)
    assert found.certificates == tuple(others[:3])
    assert found.reason == "more than 3 certificates are missing"
    assert len(site.asked) == 3


def test_names_that_go_round_in_a_circle_come_to_an_end(site: Site) -> None:
    """Both are sent, and each is the other's issuer."""
    chain = [certificate("a", "b"), certificate("b", "a")]
    assert "names no http address" in issuers.fetch_missing(chain, frozenset(), 5).reason
    address = site.address("/a")
    site.publish("/a", certificate("b", "c", address))
    found = issuers.fetch_missing([certificate("a", "b", address)], frozenset(), 5)
    assert len(found.certificates) == 1
    assert "not the certificate of the issuer" in found.reason


def test_of_several_addresses_the_second_is_tried_and_no_third(site: Site) -> None:
    root = certificate("root", "root")
    good, bad = site.publish("/good", root), site.address("/missing")
    assert issuers.fetch_missing([certificate("a", "root", bad, good)], frozenset(), 5).certificates == (root,)
    found = issuers.fetch_missing([certificate("a", "root", bad, bad, good)], frozenset(), 5)
    assert (found.certificates, found.reason.count("status 404")) == ((), 2)


@pytest.mark.parametrize("chain", [[], [b""], [b"nonsense"]])
def test_without_a_readable_leaf_there_is_nothing_to_fetch(chain: list[bytes]) -> None:
    assert issuers.fetch_missing(chain, frozenset(), 5).reason == "the server sent no certificate that can be read"


def test_an_address_that_is_not_http_is_not_contacted(site: Site) -> None:
    leaf = certificate("a", "root", f"https://127.0.0.1:{site.port}/root", f"ldap://127.0.0.1:{site.port}/root")
    found = issuers.fetch_missing([leaf], frozenset(), 5)
    assert (found.certificates, site.asked) == ((), [])
    assert "names no http address" in found.reason


# --- one address


@pytest.mark.parametrize("form", ["DER", "PEM", "PEM with text", "DER and a line end"])
def test_forms_of_a_certificate(site: Site, form: str) -> None:
    root = certificate("root", "root")
    pem = ssl.DER_cert_to_PEM_cert(root).encode()
    bodies = {
        "DER": root,
        "PEM": pem,
        "PEM with text": b"subject: root\r\n" + pem,
        "DER and a line end": root + b"\r\n",
    }
    assert issuers.fetch(site.publish("/root?a=b", bodies[form]), 5) == root
    assert site.asked == ["/root?a=b"]


def test_nothing_but_the_request_is_sent(site: Site) -> None:
    issuers.fetch(site.publish("/", certificate("root", "root")), 5)
    assert site.fields == [{"host": f"127.0.0.1:{site.port}", "user-agent": "ringmaster.webops", "accept": "*/*"}]


def test_the_next_address_of_a_name_is_tried(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    root = certificate("root", "root")
    endpoints = [probe.Endpoint(socket.AF_INET, "127.0.0.1", port) for port in (1, site.port)]
    monkeypatch.setattr(issuers, "resolve", lambda _target, _timeout_seconds: endpoints)
    assert issuers.fetch(site.publish("/a", root), 5) == root


def test_no_redirect_is_followed(site: Site) -> None:
    site.redirects["/a"] = site.publish("/b", certificate("root", "root"))
    with pytest.raises(issuers.NotFetchedError, match="status 301"):
        issuers.fetch(site.address("/a"), 5)
    assert site.asked == ["/a"]


def _cms() -> bytes:
    return pkcs7.serialize_certificates([x509.load_der_x509_certificate(certificate("a", "a"))], Encoding.DER)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (_cms(), "PKCS #7"),
        (b"-----BEGIN PKCS7-----\n", "PKCS #7"),
        (b"", "no certificate"),
        (b"<html>not here</html>", "no certificate"),
        (certificate("a", "a")[:-1], "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n", "PEM that cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate"),
        (bytes(issuers.MAX_CERTIFICATE_BYTES + 1), "longer than 65536 bytes"),
    ],
    ids=["CMS", "CMS in PEM", "empty", "HTML", "cut", "bad PEM", "PEM of nothing", "too long"],
)
def test_what_is_no_certificate(site: Site, body: bytes, reason: str) -> None:
    address = site.publish("/a", body)
    with pytest.raises(issuers.NotFetchedError, match=reason) as caught:
        issuers.fetch(address, 5)
    assert str(caught.value).startswith(address)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://127.0.0.1/a", "no http address"),
        ("file:///etc/passwd", "no http address"),
        ("http://user:word@127.0.0.1/a", "credentials"),
        ("http://127.0.0.1:99999/a", "no address"),
        ("http://[::1/a", "no address"),
        ("http:///a", "no host"),
        ("http://127.0.0.1/a b", "characters"),
        ("http://127.0.0.1/a\r\nX: b", "characters"),
        ("http://127.0.0.1/\u00e4", "characters"),
        ("http://a..b/", "no host name"),
        ("http://127.0.0.1:1/", "refused"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, reason: str) -> None:
    with pytest.raises(issuers.NotFetchedError, match=reason):
        issuers.fetch(address, 5)


HEAD = b"HTTP/1.1 200 OK\r\n"


def _slow_head(connection: socket.socket, _number: int) -> None:
    for byte in HEAD * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def _slow_body(connection: socket.socket, _number: int) -> None:
    connection.sendall(HEAD + b"\r\n")
    _slow_head(connection, 0)


def _endless(connection: socket.socket, _number: int) -> None:
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b"0" * 4096)


def _saying(answer: bytes) -> Handler:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return handler


def _silent(connection: socket.socket, _number: int) -> None:
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_slow_head, "in time"),
        (_slow_body, "in time"),
        (_silent, "in time"),
        (_endless, "longer than"),
        (_saying(b""), "closed"),
        (_saying(HEAD + b"Content-Length: 10\r\n\r\n12345"), "cut short"),
        (_saying(HEAD + b"Content-Length: 9999999999\r\n\r\n"), "longer than"),
        (_saying(b"SSH-2.0-x\r\n"), "not speak HTTP"),
        (_saying(HEAD + b"X: " + b"x" * 100_000), "longer than"),
    ],
    ids=["slow head", "slow body", "silent", "endless", "closed", "cut short", "huge", "SSH", "long head"],
)
def test_bad_servers(servers: Servers, handler: Handler, reason: str) -> None:
    stub = servers.stub(handler)
    with pytest.raises(issuers.NotFetchedError, match=reason):
        issuers.fetch(f"http://127.0.0.1:{stub.port}/a", 0.5)
    assert stub.connections == 1


def test_a_body_without_a_length_ends_with_the_connection(servers: Servers) -> None:
    root = certificate("root", "root")
    stub = servers.stub(_saying(HEAD + b"\r\n" + root))
    assert issuers.fetch(f"http://127.0.0.1:{stub.port}/a", 5) == root


def test_a_body_with_a_length_is_not_waited_for_longer(servers: Servers) -> None:
    root = certificate("root", "root")

    def handler(connection: socket.socket, _number: int) -> None:
        connection.sendall(HEAD + f"Content-Length: {len(root)}\r\n\r\n".encode() + root)
        _silent(connection, 0)

    assert issuers.fetch(f"http://127.0.0.1:{servers.stub(handler).port}/a", 5) == root


def test_all_steps_share_one_deadline(servers: Servers) -> None:
    """The first address never answers; for the second there is no time left."""
    stub = servers.stub(_silent)
    address = f"http://127.0.0.1:{stub.port}/a"
    found = issuers.fetch_missing([certificate("a", "root", address, f"{address}b")], frozenset(), 0.3)
    assert stub.connections == 1
    assert found.reason.count("in time") == 2
