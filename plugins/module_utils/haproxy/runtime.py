# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy's runtime socket: one command, one answer, within bounds of size and time.

Source: HAProxy's management guide, section 9.3 "Unix Socket commands": without a prompt, HAProxy answers one line and
hangs up.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left

_TIMEOUT_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024
# A thousand servers are about 1 MB of statistics.
_MAX_ANSWER_BYTES = 32 * 1024 * 1024
# A key of a stick table may have 4096 bytes, and HAProxy writes some of them as four.
_MAX_LINE_BYTES = 64 * 1024
_MAX_WORDS = 200


class RuntimeSocket:
    """The socket at ``path``, of level ``admin`` for orders; every command is a connection of its own."""

    def __init__(self, path: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        """``timeout_seconds`` bounds each command from the connection to the end of the answer."""
        self.path = path
        self._timeout_seconds = timeout_seconds

    def ask(self, command: str) -> str:
        """Return the whole answer; raises MeasurementError for none, a late one, or one that is too long."""
        answer = bytearray()
        for chunk in self._chunks(command):
            answer += chunk
            if len(answer) > _MAX_ANSWER_BYTES:
                raise self._trouble(command, f"the answer has more than {_MAX_ANSWER_BYTES} bytes")
        return answer.decode("utf-8", "replace")

    def lines(self, command: str) -> Iterator[bytes]:
        """Yield the lines of an answer of any length, none of them kept; raises MeasurementError as :meth:`ask`."""
        rest = b""
        for chunk in self._chunks(command):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > _MAX_LINE_BYTES:
                raise self._trouble(command, f"a line of the answer has more than {_MAX_LINE_BYTES} bytes")
        if rest:
            yield rest

    def order(self, command: str) -> None:
        """Give an order; raises MeasurementError with HAProxy's own words when it says anything but yes."""
        answer = self.ask(command).strip()
        if answer:
            raise self._trouble(
                command, f"HAProxy answers: {printable(answer).rstrip('.')}", "See what HAProxy does not like"
            )

    def _chunks(self, command: str) -> Iterator[bytes]:
        deadline = time.monotonic() + self._timeout_seconds
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(seconds_left(deadline))
                connection.connect(self.path)
                connection.sendall(f"{command}\n".encode())
                while True:
                    connection.settimeout(seconds_left(deadline))
                    chunk = connection.recv(_CHUNK_BYTES)
                    if not chunk:
                        return
                    yield chunk
        except socket.timeout as error:
            reason = f"no complete answer within {self._timeout_seconds:g} s"
            raise self._trouble(command, reason, "See whether HAProxy is overloaded, and run again") from error
        except OSError as error:
            raise MeasurementError(
                f"the socket {self.path}",
                f"HAProxy cannot be asked there ({error.strerror or error})",
                "Start HAProxy, run as root (become: true), or give the path of its 'stats socket' of level admin",
            ) from error

    def _trouble(self, command: str, reason: str, remedy: str = "See what listens on that socket") -> MeasurementError:
        return MeasurementError(f"'{command}' on {self.path}", reason, remedy)


def printable(text: str) -> str:
    """Return the beginning of what somebody else says, in one line and without control characters."""
    words = " ".join(text.split())
    return "".join(each if each.isprintable() else "?" for each in words[:_MAX_WORDS])
