# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Visitors with sessions, who come in turn by each load balancer, and know whose host their session lives on.

They speak to the application of extensions/demo, or to one that answers as it does (session_server.py). Every request
has a connection of its own: what a load balancer does with it depends on nothing but the cookie.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Callable

_TIMEOUT_SECONDS = 40.0
_COOKIE = re.compile(r"PHPSESSID=([^;]+)")


@dataclass(frozen=True)
class Door:
    """A load balancer: its address, the site's name, and whom a visitor trusts where the site has TLS."""

    address: str
    port: int
    site: str = "site.ringmaster.test"
    context: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Answer:
    """What the application said: its host, the session's counter (0 without one), and the id in Set-Cookie if any."""

    host: str
    counter: int
    new_session: str


def ask(door: Door, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    """Ask once, on a connection of its own. Raises OSError or http.client.HTTPException where no answer comes."""
    connection = http.client.HTTPConnection(door.site, timeout=_TIMEOUT_SECONDS)
    connection.sock = socket.create_connection((door.address, door.port), _TIMEOUT_SECONDS)
    try:
        if door.context is not None:
            connection.sock = door.context.wrap_socket(connection.sock, server_hostname=door.site)
        connection.request(method, path, headers={"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise http.client.HTTPException(f"status {answer.status}")
    told = json.loads(body)
    cookies = [_COOKIE.match(value) for value in answer.headers.get_all("Set-Cookie", [])]
    sessions = [cookie[1] for cookie in cookies if cookie is not None]
    return Answer(told["host"], told["counter"], sessions[-1] if sessions else "")


@dataclass
class Visitor:
    """A visitor with a session: its id, the host it lives on (``home``), and its counter when last seen."""

    session: str
    home: str
    counter: int = 0

    def visit(self, door: Door) -> Answer:
        """Come back with the cookie."""
        return ask(door, "/?format=json", headers={"Cookie": f"PHPSESSID={self.session}"})

    def is_kept(self, answer: Answer) -> bool:
        """Note an answer; return whether the session went on, on its own host."""
        kept = answer.host == self.home and answer.counter > self.counter
        self.counter = max(self.counter, answer.counter)
        return kept


def log_in(door: Door) -> Visitor:
    """Return a new visitor, who has a session now."""
    answer = ask(door, "/?action=login&format=json", method="POST", headers={"Content-Length": "0"})
    return Visitor(answer.new_session, answer.host, answer.counter)


def in_parallel(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Ask at the same time; return the answers in the order of the calls."""
    answers: dict[int, Answer] = {}

    def call(number: int) -> None:
        answers[number] = calls[number]()

    threads = [threading.Thread(target=call, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * _TIMEOUT_SECONDS)
    assert len(answers) == len(calls), f"{len(calls) - len(answers)} of {len(calls)} were not answered"
    return [answers[number] for number in range(len(calls))]


@dataclass
class Seen:
    """What a crowd saw. ``lost`` are sessions that were not kept, by id; ``failures`` requests without an answer.

    ``detours`` counts requests whose load balancer was not there, and which another one answered.
    """

    requests: int = 0
    detours: int = 0
    lost: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: Seen) -> None:
        """Count what others saw as well."""
        self.requests += other.requests
        self.detours += other.detours
        self.lost |= other.lost
        self.failures += other.failures

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.requests} requests, {self.detours} detours, {len(self.lost)} sessions lost, "
            f"{sum(self.failures.values())} failures {dict(self.failures)}"
        )


class Crowd:
    """Visitors who come back without end, until :meth:`leave`. One whose load balancer is not there tries the next."""

    def __init__(self, visitors: Sequence[Visitor], doors: Sequence[Door], *, threads: int = 4) -> None:
        self._doors = doors
        self._leaving = threading.Event()
        self._seen = [Seen() for _thread in range(threads)]
        self._threads = [
            threading.Thread(target=self._come, args=(visitors[number::threads], seen), daemon=True)
            for number, seen in enumerate(self._seen)
        ]
        for thread in self._threads:
            thread.start()

    def leave(self) -> Seen:
        """End the visit and return what all of them saw."""
        self._leaving.set()
        total = Seen()
        for thread, seen in zip(self._threads, self._seen):
            thread.join(3 * _TIMEOUT_SECONDS)
            assert not thread.is_alive()
            total.add(seen)
        return total

    def _come(self, visitors: Sequence[Visitor], seen: Seen) -> None:
        while not self._leaving.is_set():
            for visitor in visitors:
                visit_once(visitor, self._doors, seen)
                if self._leaving.is_set():
                    return


def visit_once(visitor: Visitor, doors: Sequence[Door], seen: Seen) -> None:
    """Come back once, by the door whose turn it is, or by the next one that answers, and note what came of it."""
    first = seen.requests
    seen.requests += 1
    problem = ""
    for number in range(len(doors)):
        try:
            answer = visitor.visit(doors[(first + number) % len(doors)])
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            continue
        seen.detours += number > 0
        if not visitor.is_kept(answer):
            seen.lost.add(visitor.session)
        return
    seen.failures[problem] += 1


def visit_all(visitors: Sequence[Visitor], doors: Sequence[Door]) -> Seen:
    """Have every visitor come back once by every door; return what they saw."""
    seen = Seen()
    for door in doors:
        for visitor in visitors:
            visit_once(visitor, [door], seen)
    return seen
