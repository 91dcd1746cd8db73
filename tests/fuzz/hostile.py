# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stub that answers each hello with what a real server once answered, more or less changed.

No real server can be had that lies in every way; this one goes along far enough to be asked all questions.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time

from fuzz import corpus
from fuzz.engine import mutate

_ANSWERS, _AUTHORITY = corpus.read()
_READ_SECONDS = 1.0
_SUPPORTED_VERSIONS_13 = b"\x00\x2b\x00\x03\x02\x03\x04"
# Where a ServerHello of TLS up to 1.2 has its random, in the first record of an answer.
_SESSION_ID_LENGTH_AT = 5 + 4 + 2 + 32


class HostileServer:
    """A server that tells changed answers; ``number`` decides how often and how, and is all its randomness."""

    def __init__(self, number: int) -> None:
        """Listen on a port of its own from now on."""
        self._chance = random.Random(number)
        self._changed = self._chance.choice((0.02, 0.1, 0.5, 1.0))
        self._broken_off = self._chance.choice((0.0, 0.0, 0.05, 0.3))
        self._silent = self._chance.choice((0.0, 0.0, 0.01))
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> HostileServer:
        """Use it as a context."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_READ_SECONDS)
            hello = connection.recv(16384)
            with self._lock:
                answer, wait_seconds = self._decide(hello)
            if answer is None:
                return
            connection.sendall(answer)
            time.sleep(wait_seconds)
            connection.recv(16384)

    def _decide(self, hello: bytes) -> tuple[bytes | None, float]:
        """Return what to say, nothing for a connection that breaks off, and how long to be silent then."""
        if self._chance.random() < self._broken_off:
            return None, 0
        if self._chance.random() < self._silent:
            return b"", _READ_SECONDS
        answer = _fitting(hello, self._chance)
        if self._chance.random() < self._changed:
            answer = mutate(answer, _ANSWERS, self._chance)
        return answer, 0


def _fitting(hello: bytes, chance: random.Random) -> bytes:
    """Return an answer of the version that is asked for, with a suite that is offered."""
    if hello[:1] != b"\x16" or len(hello) < 60:
        return chance.choice((b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", chance.choice(_ANSWERS)))
    version = b"\x03\x03" if _SUPPORTED_VERSIONS_13 in hello else hello[9:11]
    is_tls13 = _SUPPORTED_VERSIONS_13 in hello
    fitting = [
        answer
        for answer in _ANSWERS
        if answer[:1] == b"\x16" and answer[9:11] == version and (b"\x00\x2b\x00\x02\x03\x04" in answer) is is_tls13
    ]
    if not fitting:
        return b"\x15" + version + b"\x00\x02\x02\x46"
    answer = bytearray(chance.choice(fitting))
    at = 44 + hello[43]
    offered = hello[at + 2 : at + 2 + int.from_bytes(hello[at : at + 2], "big")]
    place = _SESSION_ID_LENGTH_AT + 1 + answer[_SESSION_ID_LENGTH_AT]
    picked = 2 * chance.randrange(max(1, len(offered) // 2))
    answer[place : place + 2] = offered[picked : picked + 2]
    return bytes(answer)
