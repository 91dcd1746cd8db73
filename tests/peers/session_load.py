# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As many requests as a Python program can send to loopback, over connections that are kept.

``depth`` is how many requests a connection sends before it reads (RFC 9112, section 9.3.2): many are cheap for both
sides, as an attacker wants it; one is what browsers do. The application's answers have no body; that of a refusal is
taken for the beginning of the next head.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_TIMEOUT_SECONDS = 30.0
_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_SESSION = re.compile(rb"(?i)\r\nset-cookie: PHPSESSID=([^;\r]+)")
_HOST = re.compile(rb"(?i)\r\nx-host: ([^\r]+)")


class Load:
    """Connections from an address to 127.0.0.1:``port``, open until the end of the context."""

    def __init__(self, port: int, connections: int, *, source: str = "127.0.0.1") -> None:
        self._stack = contextlib.ExitStack()
        self._sockets = [
            self._stack.enter_context(socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS, (source, 0)))
            for _connection in range(connections)
        ]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Load:
        """Use it as a context."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the connections."""
        self._stack.close()

    def answers(self, requests: Iterable[bytes], depth: int) -> Iterator[bytes]:
        """Send the requests and yield the heads of their answers, in the same order."""
        waiting = iter(requests)
        while True:
            asked = []
            for connection in self._sockets:
                batch = list(itertools.islice(waiting, depth))
                if batch:
                    connection.sendall(b"".join(batch))
                    asked.append((connection, len(batch)))
            if not asked:
                return
            for connection, count in asked:
                yield from _heads(connection, count)


def _heads(connection: socket.socket, count: int) -> list[bytes]:
    data = connection.recv(262144)
    while data.count(_END) < count:
        more = connection.recv(262144)
        if not more:
            raise ConnectionError(f"{count} requests were sent, and {data.count(_END)} answered: {data[-200:]!r}")
        data += more
    return data.split(_END)[:count]


def status(head: bytes) -> int:
    """Return the status of an answer."""
    return int(_read(_STATUS, head))


def request(path: str = "/", session: str = "") -> bytes:
    """Return a request, of a visitor with a session where there is one."""
    cookie = f"Cookie: theme=dark; PHPSESSID={session}\r\n" if session else ""
    return f"GET {path} HTTP/1.1\r\nHost: site.ringmaster.test\r\nUser-Agent: visitor\r\n{cookie}\r\n".encode()


@dataclass(frozen=True)
class Session:
    """An id, and the server that gave it."""

    session: str
    home: str


def log_in(load: Load, count: int) -> list[Session]:
    """Return so many new sessions."""
    return [
        Session(_read(_SESSION, head), _read(_HOST, head)) for head in load.answers([request("/login")] * count, 10)
    ]


def at_home(load: Load, sessions: Iterable[Session]) -> int:
    """Return how many sessions are answered by the server that gave them."""
    present = list(sessions)
    answers = load.answers([request(session=each.session) for each in present], 10)
    return sum(_read(_HOST, head) == each.home for head, each in zip(answers, present))


def _read(pattern: re.Pattern[bytes], head: bytes) -> str:
    found = pattern.search(head)
    assert found is not None, head
    return found[1].decode()
