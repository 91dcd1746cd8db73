# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Visitors of an https site who never stop asking, and remember every answer that they did not get.

Half of them make a new connection for every request; a server that takes new configurations well never fails those.
The others go on with the connection they have, as browsers do. A server may close one that is idle (RFC 9112, section
9.5), and the request that crosses with the close gets no byte of an answer: browsers repeat it, and so do these, once.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

_TIMEOUT_SECONDS = 10.0
_PAUSE_SECONDS = 0.05
_MAX_HEAD_BYTES = 65536


class _NoAnswerError(Exception):
    """The connection ended before the first byte of an answer."""


@dataclass
class Report:
    """What the visitors saw. ``failures`` maps a reason to how often; ``statuses`` a status code to how often."""

    new_requests: int = 0
    reused_requests: int = 0
    retries: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        """Count what another visitor saw as well."""
        self.new_requests += other.new_requests
        self.reused_requests += other.reused_requests
        self.retries += other.retries
        self.statuses += other.statuses
        self.failures += other.failures


class Visitors:
    """Threads that ask ``GET path`` until :meth:`leave`, at ``address:port``, for ``server_name``.

    ``context`` says whom they trust; without one they take any certificate.
    """

    def __init__(
        self, address: str, port: int, server_name: str, *, context: ssl.SSLContext | None = None, count: int = 4
    ) -> None:
        self._destination = (address, port)
        self._server_name = server_name
        self._context = context or _trusting_anybody()
        self._request = f"GET / HTTP/1.1\r\nHost: {server_name}\r\nUser-Agent: visitor\r\n\r\n".encode()
        self._leaving = threading.Event()
        self._reports = [Report() for _visitor in range(count)]
        self._threads = [
            threading.Thread(target=self._stay, args=(report, number % 2 == 1), daemon=True)
            for number, report in enumerate(self._reports)
        ]
        for thread in self._threads:
            thread.start()

    def leave(self) -> Report:
        """End the visit and return what all of them saw."""
        self._leaving.set()
        total = Report()
        for thread, report in zip(self._threads, self._reports):
            thread.join(3 * _TIMEOUT_SECONDS)
            assert not thread.is_alive()
            total.add(report)
        return total

    def _stay(self, report: Report, reuses: bool) -> None:
        connection: ssl.SSLSocket | None = None
        while not self._leaving.is_set():
            try:
                if reuses:
                    report.reused_requests += 1
                    connection = self._ask_again(connection, report)
                else:
                    report.new_requests += 1
                    self._ask(self._connect(), report, keep=False)
            except (OSError, _NoAnswerError, ValueError) as error:
                connection = None
                report.failures[f"{type(error).__name__}: {error}"] += 1
            time.sleep(_PAUSE_SECONDS)
        if connection is not None:
            connection.close()

    def _ask_again(self, connection: ssl.SSLSocket | None, report: Report) -> ssl.SSLSocket | None:
        """Ask on the connection of last time; once more on a new one if that had ended without a byte."""
        if connection is not None:
            try:
                return self._ask(connection, report, keep=True)
            except _NoAnswerError:
                connection.close()
                report.retries += 1
        return self._ask(self._connect(), report, keep=True)

    def _connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(self._destination, _TIMEOUT_SECONDS)
        try:
            return self._context.wrap_socket(plain, server_hostname=self._server_name)
        except BaseException:
            plain.close()
            raise

    def _ask(self, connection: ssl.SSLSocket, report: Report, *, keep: bool) -> ssl.SSLSocket | None:
        """Ask once; return the connection if it can be asked again."""
        try:
            head, body = _exchange(connection, self._request)
            status, length, closes = _parse(head)
            while len(body) < length:
                more = connection.recv(65536)
                if not more:
                    raise ValueError("the answer ended in the middle of its body")
                body += more
        except BaseException:
            connection.close()
            raise
        report.statuses[status] += 1
        if keep and not closes:
            return connection
        connection.close()
        return None


def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _exchange(connection: ssl.SSLSocket, request: bytes) -> tuple[bytes, bytes]:
    """Return the head of the answer to a request, and what of the body came with it."""
    try:
        connection.sendall(request)
        data = connection.recv(65536)
    except (ConnectionError, ssl.SSLError) as error:
        raise _NoAnswerError(str(error)) from error
    if not data:
        raise _NoAnswerError("closed")
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more or len(data) > _MAX_HEAD_BYTES:
            raise ValueError("the answer has no end of its head")
        data += more
    head, _end, body = data.partition(b"\r\n\r\n")
    return head, body


def _parse(head: bytes) -> tuple[int, int, bool]:
    """Return status, length of the body in bytes, and whether the server closes behind it (RFC 9112, section 9.6)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    if "content-length" not in headers:
        raise ValueError(f"an answer without Content-Length: {first}")
    return int(first.split(" ")[1]), int(headers["content-length"]), headers.get("connection", "").lower() == "close"
