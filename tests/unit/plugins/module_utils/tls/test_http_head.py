# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the head of an HTTP response from a socket, and the facts in it beside HSTS."""

from __future__ import annotations

import socket
import time

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import http_head

from .conftest import Handler, Servers

HSTS = b"Strict-Transport-Security: max-age=7\r\n"


def exchange(servers: Servers, handler: Handler, timeout_seconds: float = 5) -> tuple[bytes, str]:
    with socket.create_connection(("127.0.0.1", servers.stub(handler).port)) as sock:
        return http_head.exchange(sock, b"GET / HTTP/1.1\r\n\r\n", time.monotonic() + timeout_seconds)


def sending(*pieces: bytes) -> Handler:
    """Return a handler that answers in pieces and then waits for the client to have enough."""

    def handler(connection: socket.socket, _number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(4096)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.01)
        connection.recv(4096)

    return handler


# --- where a response ends


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\n", HSTS, b"\r\n"),
        (b"HTTP/1.1 200 OK\n" + HSTS + b"\n",),
        tuple(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" + HSTS + b"\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + HSTS + b"\r\n"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 x\r\n\r\nHTTP/1.1 200 OK\r\n" + HSTS + b"\r\n",),
        (b"HTTP/1.1 103\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + HSTS, b"\r\nbody"),
    ],
)
def test_the_final_response_is_read_whole(servers: Servers, pieces: tuple[bytes, ...]) -> None:
    received, failure = exchange(servers, sending(*pieces))
    facts = http_head.parse_response(received)
    assert (failure, facts["status"]) == ("", 200)
    assert facts["strict_transport_security"] == http_head.parse_hsts(["max-age=7"])


def test_the_fields_of_an_interim_response_do_not_count(servers: Servers) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n" + HSTS + b"\r\n"
    received, _failure = exchange(servers, sending(interim + b"HTTP/1.1 200 OK\r\n\r\n"))
    assert http_head.parse_response(received)["strict_transport_security"] == http_head.parse_hsts([])


def test_101_is_final_since_no_http_follows(servers: Servers) -> None:
    received, failure = exchange(servers, sending(b"HTTP/1.1 101 Switching\r\nUpgrade: TLS/1.0\r\n\r\n\x15\x03"))
    status, fields = http_head.parse_head(received)
    assert (failure, status, fields.values("upgrade")) == ("", 101, ["TLS/1.0"])


@pytest.mark.parametrize("said", [b"* OK IMAP4rev1\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"HTTQ", b"<html>"])
def test_what_cannot_be_http_is_not_waited_for(servers: Servers, said: bytes) -> None:
    received, failure = exchange(servers, sending(said), 30)
    assert (received, failure, http_head.parse_head(received)[0]) == (said, "", None)


def _closing_after(said: bytes) -> Handler:
    def handler(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(said)

    return handler


def _resetting(connection: socket.socket, _number: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_closing_after(b""), "closed before the end"),
        (_closing_after(b"HTT"), "closed before the end"),
        (_closing_after(b"HTTP/1.1 200 OK\r\n" + HSTS), "closed before the end"),
        (_closing_after(b"HTTP/1.1 100 Continue\r\n\r\n"), "closed before the end"),
        (_resetting, "no complete answer"),
        (sending(b"HTTP/1.1 200 OK\r\n"), "in time"),
        (sending(), "in time"),
        (sending(*[b"HTTP/1.1 100 x\r\n\r\n" * 1000] * 8), "longer than 65536 bytes"),
        (sending(*[b"X: " + b"y" * 16384] * 8), ""),
        (sending(b"HTTP/1.1 200 OK\r\nX: ", *[b"y" * 16384] * 8), "longer than 65536 bytes"),
    ],
)
def test_a_head_that_is_not_whole_is_none_and_has_a_reason(servers: Servers, handler: Handler, reason: str) -> None:
    received, failure = exchange(servers, handler, 0.5)
    assert reason in failure
    assert (received == b"") is bool(reason)


# --- what is in it


def facts_of(*lines: str, status: int = 200) -> dict[str, object]:
    head = "\r\n".join([f"HTTP/1.1 {status} x", *lines, "", "Server: in-the-body"])
    return http_head.parse_response(head.encode("latin-1"))


@pytest.mark.parametrize(
    ("lines", "hsts"),
    [
        (("Strict-Transport-Security: max-age=1;", "\tincludeSubDomains"), "max-age=1; includeSubDomains"),
        (("X: y", " Strict-Transport-Security: max-age=1"), None),
        (("STRICT-TRANSPORT-SECURITY:max-age=1",), "max-age=1"),
        (("Strict-Transport-Security",), None),
    ],
)
def test_fields_begin_and_end_where_rfc_9112_says(lines: tuple[str, ...], hsts: str | None) -> None:
    expected = http_head.parse_hsts([] if hsts is None else [hsts])
    assert facts_of(*lines)["strict_transport_security"] == expected


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
def test_security_fields_count_on_whatever_status(status: int) -> None:
    lines = ("X-Frame-Options: DENY", "Content-Security-Policy: default-src 'none'", "content-security-policy: x")
    facts = facts_of(*lines, status=status)
    assert facts["x_frame_options"] == "DENY"
    assert facts["content_security_policy"] == "default-src 'none', x"
    assert (facts["referrer_policy"], facts["server"]) == (None, None)


@pytest.mark.parametrize(
    ("lines", "compressed"),
    [
        ((), False),
        (("Content-Encoding: identity",), False),
        (("Content-Encoding: GZIP",), True),
        (("Content-Encoding: aes128gcm, br",), True),
        (("Content-Encoding: identity", "Content-Encoding: zstd"), True),
        (("Vary: Accept-Encoding", "X-Content-Encoding: gzip"), False),
    ],
)
def test_whether_the_content_came_compressed(lines: tuple[str, ...], compressed: bool) -> None:
    assert facts_of(*lines)["compressed"] is compressed


def test_what_is_no_http_says_nothing_of_compression() -> None:
    facts = http_head.parse_response(b"220 mail\r\nContent-Encoding: gzip\r\n\r\n")
    assert (facts["speaks_http"], facts["compressed"]) == (False, None)


@pytest.mark.parametrize(
    ("status", "value", "location"),
    [
        (301, "https://user:secret@www.example.com/x?token=1#part", "https://www.example.com/x"),
        (302, "/x?token=1", "/x"),
        (302, "https://[broken?token=1", "https://[broken"),
        (302, "https://user:secret@[broken/x?token=1", "https://[broken/x"),
        (302, "/x\x1b[31m", "/x?[31m"),
        (200, "https://www.example.com/", None),
    ],
)
def test_a_location_holds_no_secret_and_obeys_no_terminal(status: int, value: str, location: str | None) -> None:
    assert facts_of(f"Location: {value}", status=status)["location"] == location


def test_cookies_without_protection_are_named_and_their_values_left_out() -> None:
    facts = facts_of(
        "Set-Cookie: safe=secret; Secure; HttpOnly; SameSite=Lax",
        "Set-Cookie: bare=secret; Path=/; Comment=Secure",
        "Set-Cookie: half=secret;secure ; httponly",
    )
    assert facts["cookies_without"] == {"secure": ["bare"], "httponly": ["bare"], "samesite": ["bare", "half"]}


def test_fields_that_tell_a_version_are_named() -> None:
    facts = facts_of("Server: Apache/2.4.1", "X-Powered-By: PHP", "X-AspNet-Version: 4.0.30319")
    assert facts["version_disclosure"] == ["server", "x-aspnet-version"]


@pytest.mark.parametrize("name", ["Server", "Strict-Transport-Security"])
def test_what_a_server_says_is_cut_and_obeys_no_terminal(name: str) -> None:
    facts = facts_of(f"{name}: \x1b]0;x\x07" + "y" * 5000)
    hsts = facts["strict_transport_security"]
    assert isinstance(hsts, dict)
    value = str(facts["server"] if name == "Server" else hsts["value"])
    assert (len(value), value.isprintable()) == (http_head.MAX_VALUE_CHARACTERS, True)


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("www.example.com", 443, "www.example.com"),
        ("www.example.com", 8443, "www.example.com:8443"),
        ("2001:db8::1", 443, "[2001:db8::1]"),
        ("2001:db8::1", 8443, "[2001:db8::1]:8443"),
    ],
)
def test_the_host_field(host: str, port: int, expected: str) -> None:
    assert http_head.host_field(host, port, 443) == expected
