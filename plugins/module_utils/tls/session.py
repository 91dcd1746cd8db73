# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions to one endpoint, and which answers may be believed.

A server says "no" with an alert of the protocol. A reset, a closed connection, silence or an internal error may mean
"no", a rate limit, a ban or a bad network; such an answer is asked for again, alone, and then either confirmed or
reported as inconclusive. It never counts as "no" by itself.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import probe, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.together import at_once

# handshake_failure, protocol_version, insufficient_security, inappropriate_fallback, unrecognized_name
REFUSING_ALERTS = (40, 70, 71, 86, 112)
_PAUSE_SECONDS = 0.1
_BUSY_PAUSE_SECONDS = 1.0
# A server that answers each question just in time, and accepts all there is to accept, would be asked for hours.
_MOST_TIMEOUTS = 40


@dataclass(frozen=True)
class Reply:
    """A believable answer: a flight, a refusal (``alert`` is its number, if it came as one), or why there is none."""

    flight: wire.Flight | None = None
    refused: bool = False
    alert: int | None = None
    reason: str = ""


class Session:
    """The questions of one scan to one endpoint; usable from several threads."""

    def __init__(self, endpoint: probe.Endpoint, pacer: probe.Pacer, timeout_seconds: float) -> None:
        """Talk to ``endpoint`` with the manners of ``pacer``; no question takes longer than ``timeout_seconds``.

        All questions together, without the waiting for a place, take no longer than 40 times that.
        """
        self.endpoint = endpoint
        self.timeout_seconds = timeout_seconds
        self.connections = 0
        self.given_up = ""
        self._pacer = pacer
        self._spent_seconds = 0.0
        self._canary: bytes | None = None
        self._canary_was_answered = False
        self._refused_last = False
        self._lock = threading.Lock()

    def first(self, hellos: Sequence[bytes]) -> list[probe.Outcome]:
        """Ask the first questions side by side, and a second time where none was answered; return how each ended.

        An answered hello becomes the canary: what is sent again to see whether the server still talks to us.
        """
        outcomes = at_once([functools.partial(self._once, hello) for hello in hellos])
        answered = [hello for kind in (probe.ANSWER, probe.ALERT) for hello in _ended(hellos, outcomes, (kind,))]
        repeat = _ended(hellos, outcomes, (probe.CLOSED, probe.RESET, probe.BUSY, probe.BROKEN_OFF))
        if not answered and repeat:
            time.sleep(max(map(_pause_seconds, outcomes)))
            outcomes = [self._once(hello) if hello in repeat else ended for hello, ended in zip(hellos, outcomes)]
            answered = _ended(hellos, outcomes, (probe.ANSWER, probe.ALERT))
        self._canary = next(iter(answered), None)
        return outcomes

    def ask(self, hello: bytes, closing_refuses: bool = False) -> Reply:
        """Ask once, and again alone where the answer cannot be believed.

        ``closing_refuses`` is for questions about a whole protocol version, which many servers refuse by closing the
        connection: that is believed when it happens three times in a row and the canary is answered right after.
        """
        with self._pacer.turn():
            if self.given_up:  # by others, while this one waited
                return Reply(reason=self.given_up)
            outcome = self._send(hello)
        return self.believe(hello, outcome, closing_refuses)

    def ask_sslv2(self, hello: bytes) -> tuple[Reply, wire.SslV2ServerHello | None]:
        """Ask whether SSL 2.0 is spoken: anything but its SERVER-HELLO, twice and with the canary answered, is no.

        The beginning of one says neither yes nor no.
        """
        detail = ""
        for manners in (self._pacer.turn, self._pacer.alone):
            with manners():
                if self.given_up:
                    return Reply(reason=self.given_up), None
                with self._counted():
                    outcome, answer = probe.ask_sslv2(self.endpoint, hello, self.timeout_seconds)
            if answer is not None:
                return Reply(), answer
            if outcome.kind in (probe.ALERT, probe.NOT_TLS):
                return Reply(refused=True), None
            detail = outcome.detail
            if outcome.kind in (probe.TIMEOUT, probe.MALFORMED):
                return Reply(reason=detail), None
            if outcome.kind in probe.BEFORE_TLS:
                if manners == self._pacer.alone:
                    return Reply(reason=detail), None
                time.sleep(_pause_seconds(outcome))
        with self._pacer.alone():
            return (Reply(refused=True) if self._canary_lives() else Reply(reason=detail)), None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn of a connection that is made elsewhere, and count it."""
        with self._pacer.turn(), self._counted():
            yield

    @contextlib.contextmanager
    def connection(self, timeout_seconds: float | None = None) -> Iterator[tuple[socket.socket, float]]:
        """Connect for more than one question: give the socket and its deadline (of :func:`time.monotonic`).

        Raises ``OSError`` when there is no connection, or the server was given up; the socket is closed at the end.
        Whoever uses it sets its timeout to what is left until the deadline, again before each read.
        """
        with self._pacer.turn():
            if self.given_up:
                raise ConnectionError(self.given_up)
            with self._counted():
                deadline = time.monotonic() + (self.timeout_seconds if timeout_seconds is None else timeout_seconds)
                with probe.connect(self.endpoint, deadline) as sock:
                    yield sock, deadline

    def answered(self) -> None:
        """Note that a handshake was completed elsewhere: what was refused before it was no ban."""
        self._refused_last = False

    def doubt(self) -> str:
        """Ask a last time what was answered before; return why what was refused cannot be believed, or nothing.

        A server may turn away a client that asks too much with the very alerts that say no.
        """
        if self.given_up or not self._refused_last:
            return ""
        with self._pacer.alone():
            if self._canary_lives() or self._canary_lives():
                return ""
        return "the server ended up refusing what it had answered before: a rate limit, a ban or an overload"

    def _once(self, hello: bytes) -> probe.Outcome:
        with self._pacer.turn():
            return self._send(hello)

    def _send(self, hello: bytes) -> probe.Outcome:
        with self._counted():
            return probe.ask(self.endpoint, hello, self.timeout_seconds)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Let the delay pass, then count one connection and its time."""
        self._pacer.wait()
        started = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self.connections += 1
                self._spent_seconds += time.monotonic() - started
                if self._spent_seconds > _MOST_TIMEOUTS * self.timeout_seconds and not self.given_up:
                    self.given_up = (
                        f"the server is too slow: {self._spent_seconds:.0f} seconds were spent on it already"
                    )

    def believe(self, hello: bytes, outcome: probe.Outcome, closing_refuses: bool = False) -> Reply:
        """Return the reply of a question that :meth:`first` asked already."""
        return self._plain_reply(hello, outcome) or self._confirm(hello, outcome, closing_refuses)

    def _plain_reply(self, hello: bytes, outcome: probe.Outcome) -> Reply | None:
        """Return what needs no confirmation."""
        if outcome.kind == probe.ANSWER:
            self._refused_last = False
            if not self._canary_was_answered:  # a better canary than one that was answered with an alert
                self._canary, self._canary_was_answered = hello, True
            return Reply(flight=outcome.flight)
        alert = alert_of(outcome)
        if alert not in REFUSING_ALERTS:
            return None
        self._refused_last = True
        return Reply(refused=True, alert=alert)

    def _confirm(self, hello: bytes, first: probe.Outcome, closing_refuses: bool) -> Reply:
        outcomes = [first]
        with self._pacer.alone():
            for _attempt in range(2 if closing_refuses else 1):
                if self.given_up:
                    return Reply(reason=self.given_up)
                time.sleep(_pause_seconds(outcomes[-1]))
                outcomes.append(self._send(hello))
                reply = self._plain_reply(hello, outcomes[-1])
                if reply is not None:
                    return reply
                if outcomes[-1].kind == probe.ALERT:
                    break
            lives = self._canary_lives()
        last = outcomes[-1]
        if not lives:
            self.given_up = f"the server stopped answering ({last.detail}): a rate limit, a ban or an overload"
            return Reply(reason=self.given_up)
        if all(outcome.kind == probe.ALERT and alert_of(outcome) == alert_of(last) for outcome in outcomes):
            return Reply(refused=True, alert=alert_of(last))
        if closing_refuses and all(outcome.kind in (probe.CLOSED, probe.RESET) for outcome in outcomes):
            return Reply(refused=True)
        return Reply(reason=f"{last.detail}, twice")

    def _canary_lives(self) -> bool:
        if self._canary is None:
            return False
        kind = self._send(self._canary).kind
        return kind == probe.ANSWER or (kind == probe.ALERT and not self._canary_was_answered)


def _ended(hellos: Sequence[bytes], outcomes: Sequence[probe.Outcome], kinds: Sequence[str]) -> list[bytes]:
    """Return the hellos that ended in one of these ways."""
    return [hello for hello, outcome in zip(hellos, outcomes) if outcome.kind in kinds]


def _pause_seconds(outcome: probe.Outcome) -> float:
    """Return how long to wait before the next question: longer where a server said that it is busy."""
    return _BUSY_PAUSE_SECONDS if outcome.kind in probe.BEFORE_TLS else _PAUSE_SECONDS


def alert_of(outcome: probe.Outcome) -> int | None:
    """Return the number of the alert that an outcome consists of."""
    if outcome.kind != probe.ALERT or outcome.flight is None or outcome.flight.alert is None:
        return None
    return outcome.flight.alert.description
