# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a web server says in clear: the redirect to https, and the upgrade to TLS (Opossum)."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import http_head, http_plain, probe
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.finding import (
    LIKELY,
    NOT_APPLICABLE,
    NOT_TESTED,
    NOT_VULNERABLE,
    VULNERABLE,
)

from .conftest import Handler, Servers

HOST = "www.example.com"
# What `SSLEngine optional` of Apache before 2.4.64 answers.
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n"


def at(port: int) -> probe.Endpoint:
    return probe.Endpoint(socket.AF_INET, "127.0.0.1", port)


def saying(answer: bytes) -> Handler:
    """Return a handler that reads a request and answers with exactly these bytes, which a real server would not say."""

    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return handler


def dripping(connection: socket.socket, _number: int) -> None:
    """Answer a byte at a time, slower than a test waits."""
    for byte in b"HTTP/1.1 200 OK\r\nServer: " + b"x" * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def silent(connection: socket.socket, _number: int) -> None:
    while connection.recv(4096):
        pass


def breaking_off(connection: socket.socket, _number: int) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 301 Moved\r\nLocation: https://www.exam")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class _Redirecting(BaseHTTPRequestHandler):
    """Python's own HTTP server, which tells what it was asked by where it redirects to."""

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", f"https://{str(self.headers['Host']).partition(':')[0]}{self.path}?asked=1")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Stay quiet."""


@pytest.fixture
def python_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def run_server(program: str, configuration: str, directory: Path, arguments: list[str]) -> Iterator[int]:
    """Run a server of this machine with a configuration of its own, in which PORT and DIR are filled in."""
    found = shutil.which(program, path="/usr/sbin")
    if found is None:
        pytest.skip(f"/usr/sbin/{program} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    file = directory / "server.conf"
    file.write_text(configuration.replace("PORT", str(port)).replace("DIR", str(directory)), encoding="ascii")
    directory.chmod(0o755)
    said = directory / "said"
    with said.open("wb") as output:
        process = subprocess.Popen([found, *arguments, str(file)], stdout=output, stderr=output)
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise AssertionError(said.read_text(encoding="utf-8"))
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


NGINX = """\
daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
events {}
http {
    access_log off;
    client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fcgi; uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    server { listen 127.0.0.1:PORT; server_name www.example.com; return 308 https://$host$request_uri; }
    server { listen 127.0.0.1:PORT; server_name secret.example.com; return 401; }
    server { listen 127.0.0.1:PORT; server_name old.example.com; return 302 http://www.example.com/; }
    server { listen 127.0.0.1:PORT; server_name busy.example.com; return 503; }
}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[int]:
    yield from run_server("nginx", NGINX, tmp_path, ["-e", str(tmp_path / "error.log"), "-c"])


APACHE = """\
ServerRoot DIR
ServerName www.example.com
PidFile DIR/pid
ErrorLog DIR/error.log
DefaultRuntimeDir DIR
Listen 127.0.0.1:PORT
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
User nobody
DocumentRoot DIR
SSLEngine optional
"""


@pytest.fixture
def apache(tmp_path: Path) -> Iterator[int]:
    yield from run_server("apache2", APACHE, tmp_path, ["-X", "-f"])


# --- the redirect


def test_a_redirect_to_https_on_the_same_host_is_found_and_shown_without_its_query(python_server: int) -> None:
    assert http_plain.inspect(at(python_server), HOST, 5) == {
        "reachable": True,
        "speaks_http": True,
        "status": 301,
        "redirects_to_https": True,
        "location": f"https://{HOST}/",
        "reason": "",
    }


@pytest.mark.parametrize(
    ("host", "status", "redirects"),
    [(HOST, 308, True), ("secret.example.com", 401, False), ("old.example.com", 302, False)],
)
def test_nginx(nginx: int, host: str, status: int, redirects: bool) -> None:
    facts = http_plain.inspect(at(nginx), host, 5)
    assert (facts["speaks_http"], facts["status"], facts["redirects_to_https"]) == (True, status, redirects)


@pytest.mark.parametrize(
    ("location", "host", "redirects"),
    [
        ("https://www.example.com/", HOST, True),
        ("HTTPS://WWW.Example.COM./x", HOST, True),
        ("https://www.example.com:8443/", HOST, True),
        ("https://user@www.example.com/", HOST, True),
        ("https://[2001:db8::1]/", "2001:db8::1", True),
        ("https://example.com/", HOST, False),
        ("https://www.example.com.evil.example/", HOST, False),
        ("https://www.example.com@evil.example/", HOST, False),
        ("http://www.example.com/", HOST, False),
        ("//www.example.com/", HOST, False),
        ("/elsewhere", HOST, False),
        ("https://[broken/", HOST, False),
        ("", HOST, False),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_where_a_redirect_leads(servers: Servers, location: str, host: str, status: int, redirects: bool) -> None:
    answer = f"HTTP/1.1 {status} x\r\nLocation: {location}\r\n\r\n".encode()
    facts = http_plain.inspect(at(servers.stub(saying(answer)).port), host, 5)
    assert (facts["status"], facts["redirects_to_https"]) == (status, redirects)


@pytest.mark.parametrize("status", [200, 201, 401, 404, 503])
def test_no_status_but_a_redirect_redirects(servers: Servers, status: int) -> None:
    answer = f"HTTP/1.1 {status} x\r\nLocation: https://{HOST}/\r\n\r\n".encode()
    facts = http_plain.inspect(at(servers.stub(saying(answer)).port), HOST, 5)
    assert (facts["status"], facts["location"], facts["redirects_to_https"]) == (status, None, False)


@pytest.mark.parametrize(
    ("host", "shown"), [("www.example.com", "www.example.com:{}"), ("2001:db8::1", "[2001:db8::1]:{}")]
)
def test_the_host_is_named_with_a_port_that_is_not_usual(servers: Servers, host: str, shown: str) -> None:
    heard: list[bytes] = []

    def handler(connection: socket.socket, _number: int) -> None:
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 204 x\r\n\r\n")

    port = servers.stub(handler).port
    http_plain.inspect(at(port), host, 5)
    assert f"\r\nHost: {shown.format(port)}\r\n".encode() in heard[0]


def test_what_does_not_speak_http_is_an_answer(servers: Servers) -> None:
    facts = http_plain.inspect(at(servers.stub(saying(b"220 mail.example.com ESMTP\r\n")).port), HOST, 5)
    assert (facts["reachable"], facts["speaks_http"], facts["redirects_to_https"]) == (True, False, False)


def test_a_refused_connection_is_not_reachable(closed_port: int) -> None:
    facts = http_plain.inspect(at(closed_port), HOST, 5)
    assert (facts["reachable"], facts["speaks_http"], facts["redirects_to_https"]) == (False, None, None)
    assert facts["reason"] == "the connection was refused"


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (silent, "did not arrive in time"),
        (dripping, "did not arrive in time"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000), f"longer than {http_head.MAX_HEADER_BYTES} bytes"),
        (saying(b""), "closed before the end"),
        (breaking_off, "closed before the end"),
    ],
)
def test_an_answer_that_does_not_end_is_none(servers: Servers, handler: Handler, reason: str) -> None:
    stub = servers.stub(handler)
    facts = http_plain.inspect(at(stub.port), HOST, 0.5)
    assert (facts["reachable"], facts["speaks_http"], facts["redirects_to_https"]) == (True, None, None)
    assert (reason in str(facts["reason"]), stub.connections) == (True, 1)


# --- the upgrade to TLS


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (SWITCHED, VULNERABLE),
        (SWITCHED.replace(b"TLS/1.0, HTTP/1.1", b"tls/1.2"), VULNERABLE),
        (SWITCHED.replace(b"Upgrade: TLS/1.0, HTTP/1.1\r\n", b""), LIKELY),
        (b"HTTP/1.1 200 OK\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n", LIKELY),
        (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nUpgrade: h2, TLS/1.2\r\n\r\n", LIKELY),
        (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.3\r\n\r\n", LIKELY),
        (b"HTTP/1.1 100 Continue\r\nUpgrade: TLS/1.0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", NOT_VULNERABLE),
        (b"HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\n\r\nUpgrade: TLS/1.0", NOT_VULNERABLE),
        (b"HTTP/1.1 200 OK\r\nUpgrade: NOTTLS/1.0, TLSX\r\n\r\n", NOT_VULNERABLE),
        (b"HTTP/1.1 301 x\r\nLocation: https://www.example.com/\r\n\r\n", NOT_VULNERABLE),
        (b"HTTP/1.1 405 x\r\n\r\n", NOT_VULNERABLE),
        (b"HTTP/1.1 429 x\r\n\r\n", NOT_TESTED),
        (b"HTTP/1.1 503 x\r\n\r\n", NOT_TESTED),
        (b"SSH-2.0-x\r\n", NOT_APPLICABLE),
    ],
)
def test_what_the_answer_to_an_upgrade_means(servers: Servers, answer: bytes, status: str) -> None:
    stub = servers.stub(saying(answer))
    finding = http_plain.opossum(at(stub.port), HOST, 5)
    assert (finding.status, str(stub.port) in finding.evidence, stub.connections) == (status, True, 1)


@pytest.mark.parametrize("handler", [silent, dripping, breaking_off, saying(b"")])
def test_no_answer_to_an_upgrade_is_no_verdict(servers: Servers, handler: Handler) -> None:
    stub = servers.stub(handler)
    assert http_plain.opossum(at(stub.port), HOST, 0.3).status == NOT_TESTED
    assert stub.connections == 1


def test_nothing_upgrades_where_nothing_listens(closed_port: int) -> None:
    finding = http_plain.opossum(at(closed_port), HOST, 5)
    assert (finding.status, finding.evidence) == (NOT_APPLICABLE, f"nothing listens on port {closed_port}")


def test_an_upgrade_is_asked_for_as_rfc_2817_says(servers: Servers) -> None:
    heard: list[bytes] = []

    def handler(connection: socket.socket, _number: int) -> None:
        heard.append(connection.recv(4096))
        connection.sendall(SWITCHED)

    http_plain.opossum(at(servers.stub(handler).port), HOST, 5)
    assert b"\r\nUpgrade: TLS/1.0" in heard[0]
    assert re.search(rb"\r\nConnection: Upgrade\r\n", heard[0])


@pytest.mark.parametrize(
    ("host", "status"),
    [(HOST, NOT_VULNERABLE), ("secret.example.com", NOT_VULNERABLE), ("busy.example.com", NOT_TESTED)],
)
def test_nginx_does_not_upgrade(nginx: int, host: str, status: str) -> None:
    assert http_plain.opossum(at(nginx), host, 5).status == status


def test_apache_upgrades_with_ssl_engine_optional_before_2_4_64(apache: int) -> None:
    said = subprocess.run(["/usr/sbin/apache2", "-v"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"Apache/(\d+)\.(\d+)\.(\d+)", said)
    assert version is not None
    gone = tuple(map(int, version.groups())) >= (2, 4, 64)
    assert http_plain.opossum(at(apache), HOST, 5).status == (NOT_VULNERABLE if gone else VULNERABLE)
