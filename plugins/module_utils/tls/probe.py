# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One question to a server: connect, send bytes, read the answer, all of it before a deadline.

What comes back is always an :class:`Outcome`, whatever the other side does: silence, a byte a second, a reset, plain
text, an endless answer.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import starttls, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left

ANSWER = "answer"
ALERT = "alert"
CLOSED = "closed"
RESET = "reset"
TIMEOUT = "timeout"
REFUSED = "refused"
UNREACHABLE = "unreachable"
NOT_TLS = "not_tls"
MALFORMED = "malformed"
STARTTLS_REFUSED = "starttls_refused"
BUSY = "busy"
NOT_THAT_PROTOCOL = "not_that_protocol"
BROKEN_OFF = "broken_off"
# The dialogue before TLS came to no go-ahead: no hello was sent, so these say nothing about TLS.
BEFORE_TLS = (STARTTLS_REFUSED, BUSY, NOT_THAT_PROTOCOL, BROKEN_OFF)

_READ_BYTES = 16384
_MOST_STARTTLS_CONNECTIONS = 2


@dataclass(frozen=True)
class Endpoint:
    """One resolved address and port.

    With ``starttls`` (a key of :data:`starttls.PROTOCOLS`) TLS is asked for in clear first, and ``starttls_name`` is
    the server's name for the protocols that say it.
    """

    family: int
    address: str
    port: int
    starttls: str | None = None
    starttls_name: str = ""

    @property
    def sockaddr(self) -> tuple[str, int]:
        """What :func:`socket.create_connection` wants."""
        return (self.address, self.port)


@dataclass(frozen=True)
class Outcome:
    """How a question ended; ``detail`` says it in words, ``seen`` is the beginning of what was no TLS."""

    kind: str
    detail: str = ""
    flight: wire.Flight | None = None
    seen: bytes = b""


class Pacer:
    """The manners towards one address and port: so many connections at once, so long between two of them.

    It is shared by everything in a run that talks to that address and port.
    """

    def __init__(self, connections: int, delay_seconds: float) -> None:
        """Allow ``connections`` at once and let ``delay_seconds`` pass between the beginnings of two."""
        self._connections = connections
        self._delay_seconds = delay_seconds
        self._places = threading.Semaphore(connections)
        self._all_places = threading.Lock()
        self._clock = threading.Lock()
        self._next_start = 0.0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place."""
        with self._places:
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nothing else is connected: what happens next is not the echo of our own other connections."""
        with self._all_places:
            for _place in range(self._connections):
                self._places.acquire()
            try:
                yield
            finally:
                for _place in range(self._connections):
                    self._places.release()

    def wait(self) -> None:
        """Let the delay pass: to be called before each connection, in a place of one's own."""
        if self._delay_seconds <= 0:
            return
        with self._clock:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._delay_seconds
        time.sleep(start - now)


class Pacers:
    """One :class:`Pacer` for each address and port of a run."""

    def __init__(self, connections: int, delay_seconds: float) -> None:
        """Give every address and port the same manners."""
        self._connections = connections
        self._delay_seconds = delay_seconds
        self._lock = threading.Lock()
        self._pacers: dict[tuple[str, int], Pacer] = {}

    def of(self, endpoint: Endpoint) -> Pacer:
        """Return the one pacer of an endpoint; servers with a dialogue before TLS often count connections."""
        most = _MOST_STARTTLS_CONNECTIONS if endpoint.starttls else self._connections
        with self._lock:
            key = (endpoint.address, endpoint.port)
            if key not in self._pacers:
                self._pacers[key] = Pacer(min(most, self._connections), self._delay_seconds)
            return self._pacers[key]


def connect(endpoint: Endpoint, deadline: float) -> socket.socket:
    """Connect before a deadline (of :func:`time.monotonic`), up to where TLS begins; raises ``OSError``.

    Where the dialogue before TLS comes to no go-ahead, that is a :class:`starttls.StartTlsError`.
    """
    sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds_left(deadline))
        sock.connect(endpoint.sockaddr)
        with contextlib.suppress(OSError):  # the other side may have reset the connection already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.starttls is not None:
            starttls.upgrade(sock, endpoint.starttls, endpoint.starttls_name, deadline)
    except BaseException:
        sock.close()
        raise
    return sock


def ask(endpoint: Endpoint, hello: bytes, timeout_seconds: float) -> Outcome:
    """Send one ClientHello and read the flight that answers it, all within ``timeout_seconds``."""
    decoder = wire.FlightDecoder()

    def take(data: bytes) -> bool:
        decoder.feed(data)
        return decoder.flight.complete

    try:
        outcome = _exchange(endpoint, hello, timeout_seconds, take)
    except wire.NotTlsError as error:
        return Outcome(NOT_TLS, describe_plain_text(error.seen), seen=error.seen)
    except wire.DecodeError as error:
        return Outcome(MALFORMED, error.reason)
    flight = decoder.flight
    if flight.server_hello is not None and (flight.complete or outcome.kind != TIMEOUT):
        return Outcome(ANSWER, flight=flight)
    if flight.alert is not None:
        return Outcome(ALERT, f"alert {flight.alert.name}", flight=flight)
    return outcome


def ask_sslv2(endpoint: Endpoint, hello: bytes, timeout_seconds: float) -> tuple[Outcome, wire.SslV2ServerHello | None]:
    """Send an SSL 2.0 hello; the second value is the SERVER-HELLO when there was one."""
    received = bytearray()

    def take(data: bytes) -> bool:
        received.extend(data)
        return len(received) >= 13

    outcome = _exchange(endpoint, hello, timeout_seconds, take)
    answer = wire.decode_sslv2_server_hello(bytes(received))
    if answer is not None:
        return Outcome(ANSWER), answer
    if received[:1] == b"\x15":
        return Outcome(ALERT, "a TLS alert"), None
    if _begins_sslv2_server_hello(bytes(received)):
        return Outcome(MALFORMED, "an answer of SSL 2.0 broke off"), None
    if received:
        return Outcome(NOT_TLS, describe_plain_text(bytes(received[:64])), seen=bytes(received[:64])), None
    return outcome, None


def _begins_sslv2_server_hello(received: bytes) -> bool:
    """Whether an SSL 2.0 SERVER-HELLO may have been on its way."""
    return 0 < len(received) < 13 and received[0] & 0x80 != 0 and received[2:3] in (b"", b"\x04")


def _exchange(endpoint: Endpoint, hello: bytes, timeout_seconds: float, take: Callable[[bytes], bool]) -> Outcome:
    """Send, then hand over what arrives until ``take`` has enough; what it raises passes through."""
    deadline = time.monotonic() + timeout_seconds
    try:
        sock = connect(endpoint, deadline)
    except OSError as error:
        return _connect_failure(endpoint, error, timeout_seconds)
    with sock:
        try:
            sock.sendall(hello)
            while True:
                sock.settimeout(seconds_left(deadline))
                data = sock.recv(_READ_BYTES)
                if not data:
                    return Outcome(CLOSED, "the connection was closed without an answer")
                if take(data):
                    break
            with contextlib.suppress(OSError):
                sock.sendall(wire.FAREWELL)
        except socket.timeout:
            return Outcome(TIMEOUT, f"no complete answer within {timeout_seconds:g} seconds")
        except OSError as error:
            return Outcome(RESET, f"the connection broke: {error.strerror or error}")
    return Outcome(ANSWER)


def _connect_failure(endpoint: Endpoint, error: OSError, timeout_seconds: float) -> Outcome:
    if isinstance(error, starttls.StartTlsError):
        kinds = {
            starttls.REFUSED: STARTTLS_REFUSED,
            starttls.BUSY: BUSY,
            starttls.NOT_THAT_PROTOCOL: NOT_THAT_PROTOCOL,
            starttls.BROKEN_OFF: BROKEN_OFF,
        }
        return Outcome(kinds[error.kind], str(error))
    if isinstance(error, socket.timeout):
        what = f"connection with a go-ahead for TLS by {endpoint.starttls}" if endpoint.starttls else "connection"
        return Outcome(TIMEOUT, f"no {what} within {timeout_seconds:g} seconds")
    if isinstance(error, ConnectionRefusedError):
        return Outcome(REFUSED, "nothing listens there: the connection was refused")
    if isinstance(error, ConnectionResetError):
        return Outcome(RESET, f"the connection broke: {error.strerror or error}")
    return Outcome(UNREACHABLE, f"no connection: {error.strerror or error}")


def describe_plain_text(seen: bytes) -> str:
    """Say what a server speaks that answered a ClientHello with something else."""
    known = (
        (b"HTTP/", "plain HTTP"),
        (b"<", "plain text with markup, probably HTTP"),
        (b"SSH-", "SSH"),
        (b"220", "a plain text greeting such as SMTP's or FTP's"),
        (b"* OK", "IMAP in plain text"),
        (b"+OK", "POP3 in plain text"),
    )
    name = next((name for beginning, name in known if seen.startswith(beginning)), "something that is not TLS")
    return f"it answered with {name} ({seen[:24]!a})"
