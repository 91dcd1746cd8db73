# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.access_log import (
    apache_format,
    haproxy_format,
    nginx_format,
)

PLAIN = [
    "@timestamp", "source.address", "source.ip", "url.scheme", "url.domain", "url.original", "url.path", "url.query",
    "http.request.method", "http.request.referrer", "http.version", "http.response.status_code", "http.response.bytes",
    "user_agent.original", "event.duration",
]  # fmt: skip
TLS = ["tls.version_protocol", "tls.version", "tls.cipher", "tls.curve", "tls.resumed", "tls.client.server_name"]
CONSTANT = ["ecs.version", "event.dataset"]


def fields(line: str) -> list[str]:
    """Return the names of the fields that a line of a configuration writes, in their order."""
    return re.findall(r'[{,]\\?"([a-z@][a-z_.]*)\\?":', line)


def nginx_lines(version: str) -> list[str]:
    return [line for line in nginx_format(version, "/x") if line.startswith("log_format")]


def test_three_servers_have_the_same_fields() -> None:
    nginx = nginx_lines("1.26.3")
    apache = [line for line in apache_format("/x") if line.startswith("LogFormat")]
    haproxy = [haproxy_format("3.0.11", tls=tls).log_format for tls in (False, True)]

    for plain, tls in (nginx, apache[:2], haproxy):
        has_curve = "apache" not in tls
        assert sorted(fields(plain)) == sorted(PLAIN + CONSTANT)
        assert sorted(fields(tls)) == sorted(
            PLAIN + CONSTANT + [name for name in TLS if has_curve or name != "tls.curve"]
        )


@pytest.mark.parametrize(("version", "has_curve"), [("1.18.0", False), ("1.21.4", False), ("1.21.5", True)])
def test_nginx_that_does_not_know_the_group(version: str, has_curve: bool) -> None:
    assert ("ssl_curve" in "".join(nginx_format(version, "/x"))) is has_curve


@pytest.mark.parametrize(("version", "has_curve"), [("2.6.12-1+deb12u4", False), ("2.9.0", True), ("3.0.11", True)])
def test_haproxy_that_does_not_know_the_group(version: str, has_curve: bool) -> None:
    assert ("ssl_fc_curve" in haproxy_format(version, tls=True).log_format) is has_curve


def test_group_that_nginx_prints_as_a_number_has_its_name() -> None:
    assert "    0x11ec X25519MLKEM768;" in nginx_format("1.26.3", "/x")


def test_without_a_path_there_is_no_log() -> None:
    assert nginx_format("1.26.3", "") == []
    assert apache_format("") == []


def test_usual_log_can_be_anonymous_alone() -> None:
    assert not [line for line in nginx_format("1.26.3", "", anonymise_clients=True) if "json" in line]
    assert not [line for line in apache_format("", anonymise_clients=True) if "json" in line]


def test_anonymous_log_has_no_whole_address() -> None:
    texts = [
        "".join(line for line in nginx_format("1.26.3", "/x", anonymise_clients=True) if "map" not in line),
        "".join(line for line in apache_format("/x", anonymise_clients=True) if "LogFormat" in line),
        haproxy_format("3.0.11", tls=True, anonymise_clients=True).log_format,
    ]

    for text, whole in zip(texts, (r"\$remote_addr", "%[ah]", r"%\[src\]")):
        assert not re.search(whole, text)


# --- real servers


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _attempt in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
         "-subj", "/CN=www.example.org", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    (directory / "both.pem").write_text((directory / "cert.pem").read_text() + (directory / "key.pem").read_text())
    return directory


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _attempt in range(200):
            assert process.poll() is None, process.stderr and process.stderr.read()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


def ask(port: int, *headers: bytes, path: bytes = b"/", tls: bool = False) -> None:
    """Send one request as it is, and wait for the end of the answer."""
    connection: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = context.wrap_socket(connection, server_hostname="www.example.org")
    with connection:
        lines = [b"GET " + path + b" HTTP/1.1", b"Host: Www.Example.org:1", b"Connection: close", *headers]
        connection.sendall(b"\r\n".join([*lines, b"", b""]))
        while connection.recv(65536):
            pass


def entries(path: Path, count: int) -> list[dict[str, Any]]:
    """Return the objects of a log, once there are so many."""
    lines: list[bytes] = []
    for _attempt in range(200):
        lines = path.read_bytes().splitlines() if path.exists() else []
        if len(lines) >= count:
            break
        time.sleep(0.05)
    return [json.loads(line) for line in lines]


HOSTILE = (b'User-Agent: a"\\b\tc', b'Referer: http://r"/')


def ask_all(plain: int, tls: int) -> None:
    ask(plain, *HOSTILE, path=b'/a%22"?q="')
    ask(plain, b"X-Real-IP: 203.0.113.77")
    ask(tls, path=b"/t?x", tls=True)


def check(written: list[dict[str, Any]], *, has_curve: bool) -> None:
    hostile, _plain, tls = written
    assert hostile["url.original"] == '/a%22"?q="'
    assert (hostile["url.path"], hostile["url.query"]) == ('/a%22"', 'q="')
    assert hostile["http.request.referrer"] == 'http://r"/'
    assert (hostile["url.scheme"], hostile["url.domain"]) == ("http", "www.example.org")
    assert hostile["source.ip"] == hostile["source.address"] == "127.0.0.0"
    assert hostile["http.version"] == "1.1"
    assert isinstance(hostile["http.response.status_code"], int)
    assert isinstance(hostile["event.duration"], (int, float))
    assert not [name for name in hostile if name.startswith("tls.")]
    assert (tls["url.scheme"], tls["url.original"]) == ("https", "/t?x")
    assert (tls["tls.version"], tls["tls.version_protocol"], tls["tls.resumed"]) == ("1.3", "tls", False)
    assert tls["tls.cipher"].startswith("TLS_")
    assert tls["tls.client.server_name"] == "www.example.org"
    assert tls.get("tls.curve") in (["X25519", "X25519MLKEM768"] if has_curve else [None])


def test_nginx_writes_json(tmp_path: Path, certificate: Path) -> None:
    nginx = program("nginx")
    plain, tls = free_ports(2)
    lines = nginx_format("1.22.1", f"{tmp_path}/json.log", anonymise_clients=True)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; events {{}}\nhttp {{\n"
        + "\n".join([*lines, f"access_log {tmp_path}/usual.log ringmaster_combined;"])
        + "".join(
            f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + "set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; ssl_protocols TLSv1.2 TLSv1.3;\n"
        f"server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl;\n"
        f"ssl_certificate {certificate}/cert.pem; ssl_certificate_key {certificate}/key.pem;\n"
        "location / { return 200 ok; } } }\n"
    )
    with running([nginx, "-e", f"{tmp_path}/error.log", "-c", f"{tmp_path}/nginx.conf"], plain):
        ask_all(plain, tls)
        for address in (b"2001:db8:1:2::3", b"2001:db8::3", b"2001:db8:0:1::", b"::1", b"::ffff:192.0.2.7"):
            ask(plain, b"X-Real-IP: " + address)
        written = entries(tmp_path / "json.log", 8)

    check(written[:3], has_curve=True)
    assert written[0]["user_agent.original"] == 'a"\\b\tc'
    assert [one["source.ip"] for one in written[3:]] == [
        "2001:db8:1::", "2001:db8::", "2001:db8:0::", "::", "::ffff:192.0.2.0",
    ]  # fmt: skip
    assert written[1]["source.ip"] == "203.0.113.0"
    assert (tmp_path / "usual.log").read_text().splitlines()[1].startswith("203.0.113.0 - - [")


def test_apache_writes_json(tmp_path: Path, certificate: Path) -> None:
    apache = program("apache2")
    plain, tls = free_ports(2)
    modules = ["mpm_event", "authz_core", "setenvif", "ssl", "socache_shmcb"]
    (tmp_path / "apache2.conf").write_text(
        "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in modules)
        + f"ServerName www.example.org\nPidFile {tmp_path}/pid\nDefaultRuntimeDir {tmp_path}\nUser www-data\n"
        f"ErrorLog {tmp_path}/error.log\nListen 127.0.0.1:{plain}\nListen 127.0.0.1:{tls}\n"
        + "\n".join(apache_format(f"{tmp_path}/json.log", anonymise_clients=True))
        + f"\nCustomLog {tmp_path}/usual.log combined\n<VirtualHost 127.0.0.1:{tls}>\nSSLEngine on\n"
        f"SSLCertificateFile {certificate}/cert.pem\nSSLCertificateKeyFile {certificate}/key.pem\n</VirtualHost>\n"
    )
    with running([apache, "-f", f"{tmp_path}/apache2.conf", "-D", "FOREGROUND"], plain):
        ask(plain, *HOSTILE, path=b"/a%22?q=1")
        ask(plain, b"User-Agent: \xff")
        ask(tls, path=b"/t?x", tls=True)
        ask(plain, path=b"no request")
        written = entries(tmp_path / "json.log", 4)

    hostile, unprintable, tls_entry, unread = written
    assert (hostile["url.path"], hostile["url.query"]) == ("/a%22", "q=1")
    assert hostile["http.request.referrer"] == 'http://r"/'
    assert hostile["source.ip"] == "127.0.0.0"
    assert unprintable["user_agent.original"] == "-"
    assert (tls_entry["tls.version"], tls_entry["tls.resumed"]) == ("1.3", False)
    assert tls_entry["tls.client.server_name"] == "www.example.org"
    assert "source.ip" not in unread
    assert unread["http.response.status_code"] == 400
    assert (tmp_path / "usual.log").read_text().startswith("127.0.0.0 - - [")


def test_haproxy_writes_json(tmp_path: Path, certificate: Path) -> None:
    haproxy = program("haproxy")
    version = subprocess.run([haproxy, "-v"], capture_output=True, text=True, check=True).stdout.split()[2]
    plain, tls = free_ports(2)
    frontends = []
    for name, bind, is_tls in (
        ("plain", f"bind 127.0.0.1:{plain}", False),
        ("secure", f"bind 127.0.0.1:{tls} ssl crt {certificate}/both.pem", True),
    ):
        written_by = haproxy_format(version, tls=is_tls, anonymise_clients=True)
        frontends += [
            f"frontend {name}",
            bind,
            *written_by.rules,
            written_by.log_format,
            "http-request return status 200",
        ]
    log = tmp_path / "json.log"
    (tmp_path / "haproxy.cfg").write_text(
        "global\nlog stdout format raw local0\ndefaults\nmode http\nlog global\ntimeout client 9s\ntimeout server 9s\n"
        "timeout connect 9s\n" + "\n".join(frontends) + "\n"
    )
    with log.open("wb") as output:
        process = subprocess.Popen([haproxy, "-db", "-f", str(tmp_path / "haproxy.cfg")], stdout=output)
        try:
            for _attempt in range(200):
                if socket.socket().connect_ex(("127.0.0.1", plain)) == 0:
                    break
                time.sleep(0.05)
            ask_all(plain, tls)
            written = [one for one in entries(log, 3) if one["http.request.method"] == "GET"]
        finally:
            process.terminate()
            process.wait(timeout=30)

    check(written, has_curve=tuple(map(int, version.split(".")[:2])) >= (2, 9))
