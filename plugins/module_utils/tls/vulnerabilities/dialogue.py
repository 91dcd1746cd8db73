# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A conversation in clear with a server up to TLS 1.2, for the probes that need nothing encrypted.

A hello goes out, all up to the ServerHelloDone comes in; then the probe says what it has to say, and hears the answer.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import hellos, probe, records12, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities import handshaking
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.context import ProbeContext
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.vulnerabilities.handshaking import NotMeasuredError

_ENDS = {probe.TIMEOUT: "silence", probe.CLOSED: "the connection was closed", probe.RESET: "the connection was reset"}
_WARNING = 1


@dataclass(frozen=True)
class Answer:
    """What a server answered, or how it ended the connection: two answers are alike when they are equal.

    ``kind`` is one of :mod:`probe`'s (``answer`` for any record but an alert), ``text`` says it in words, ``alert`` is
    the number of an alert.
    """

    kind: str
    text: str
    alert: int | None = None


def any_record(received: records12.Record) -> str:
    """Say in words what a record is, without looking into it."""
    return f"a record of type {received.content}"


class Conversation:
    """A connection on which it is the client's turn; ``flight`` and ``hello`` are what the server has said so far."""

    def __init__(
        self, sock: socket.socket, records: records12.Records, flight: wire.Flight, hello: wire.ServerHello
    ) -> None:
        """Go on where a server has said its ServerHelloDone."""
        self.flight = flight
        self.hello = hello
        self._sock = sock
        self._records = records

    def say(self, wait_seconds: float, *spoken: tuple[int, bytes]) -> None:
        """Send records (content type, body) in one piece; the answer is waited for no longer than ``wait_seconds``.

        A connection that ends meanwhile shows in the answer: what came before its end can still be heard.
        """
        self._records.deadline = time.monotonic() + wait_seconds
        self._sock.settimeout(wait_seconds)
        with contextlib.suppress(OSError):
            self._sock.sendall(b"".join(wire.record(content, self.hello.version, body) for content, body in spoken))

    def hear(self, name: Callable[[records12.Record], str] = any_record) -> Answer:
        """Return the next alert or end of the connection, or the next record that ``name`` has a name for."""
        try:
            while True:
                received = self._records.receive()
                if received.content == wire.CONTENT_ALERT:
                    return _alert(received.body)
                text = name(received)
                if text:
                    return Answer(probe.ANSWER, text)
        except records12.ConnectionEndedError as error:
            return Answer(error.kind, _ENDS[error.kind])
        except wire.DecodeError:
            return Answer(probe.MALFORMED, "something that is no TLS")


def _alert(body: bytes) -> Answer:
    alert = wire.decode_alert(body)
    text = f"alert {alert.name} (a warning)" if alert.level == _WARNING else f"alert {alert.name}"
    return Answer(probe.ALERT, text, alert.description)


@contextlib.contextmanager
def begin(context: ProbeContext, version: int, suites: tuple[int, ...]) -> Iterator[Conversation]:
    """Say hello on a new connection and lend it when the server has said its ServerHelloDone.

    The hello is that of the enumeration, and takes no longer than the session's timeout. Raises
    :class:`NotMeasuredError` when it is not answered as it was before.
    """
    with handshaking.connection(context.session) as (sock, deadline):
        records = records12.Records(sock, deadline)
        sock.settimeout(seconds_left(deadline))
        sock.sendall(hellos.up_to_tls12(context.server_name, version, suites))
        yield Conversation(sock, records, *_flight(records, version, suites))


def _flight(records: records12.Records, version: int, suites: tuple[int, ...]) -> tuple[wire.Flight, wire.ServerHello]:
    """Read one record after the other, so that nothing is lost of what may follow the flight."""
    decoder, content = wire.FlightDecoder(), wire.CONTENT_HANDSHAKE
    while not decoder.flight.complete:
        received = records.receive()
        content = received.content
        decoder.feed(wire.record(content, version, received.body))
    flight = decoder.flight
    if flight.alert is not None:
        raise NotMeasuredError(f"a hello that was answered before was answered with alert {flight.alert.name}")
    hello = flight.server_hello
    if content != wire.CONTENT_HANDSHAKE or hello is None:
        raise NotMeasuredError("the server's flight has no end")
    if hello.version != version or hello.cipher_suite not in suites:
        raise NotMeasuredError("the server selected another version or cipher suite than it was asked for")
    return flight, hello
