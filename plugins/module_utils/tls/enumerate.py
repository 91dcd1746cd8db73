# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Enumerate what a server accepts by taking away what it picked, until it refuses.

A server that has an order of its own picks in that order, so the order of the picks is the server's. Each function
takes a ``question`` (lists in, a :class:`Reply` out) and knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply

Numbers = tuple[int, ...]
Question = Callable[[Numbers], Reply]
JointQuestion = Callable[[Numbers, Numbers], Reply]

# Some servers read no more than the first 64 suites, some choke on 128 and more.
CHUNK = 64

SERVER = "server"
CLIENT = "client"

_PROTOCOL_VERSION = 70
_CONTRADICTION = "the server refused in the end what it had accepted, so the list may be too short"


@dataclass
class Found:
    """What was accepted, in the order it was picked.

    ``gap`` says why the list may be shorter than the truth; ``preference`` is whose order decides, ``None`` when
    ``preference_gap`` says why that is not known. ``last_alert`` is the alert that ended the list.
    """

    accepted: list[int] = field(default_factory=list)
    flights: list[wire.Flight] = field(default_factory=list)
    gap: str = ""
    preference: str | None = None
    preference_gap: str = ""
    last_alert: int | None = None


def enumerate_suites(question: Question, version: int, candidates: Numbers, first: Reply) -> Found:
    """Enumerate the suites of one version up to TLS 1.2.

    ``candidates`` has the common suites first; ``first`` is the reply to its first :data:`CHUNK`. The rest is asked
    for in long lists. That the server reads them to the end is proved by one more question, where what it accepts
    stands last; where it does not, everything is asked again in chunks.
    """
    found = Found()
    if not _take(first, version, candidates, found):
        # An alert other than protocol_version may be about the suites; a closed connection was about the version.
        if first.refused and first.alert not in (None, _PROTOCOL_VERSION):
            _by_chunks(question, version, candidates[CHUNK:], found)
            _short_preference(question, version, candidates, found)
        return found
    _exhaust(question, version, candidates, found)
    left = tuple(number for number in candidates if number not in found.accepted)
    pick = _pick(question((*left, *reversed(found.accepted))), version)
    if pick in found.accepted and not found.gap:
        _decide_preference(found, candidates, pick)
        return found
    found.gap = ""
    _by_chunks(question, version, left, found)
    _short_preference(question, version, candidates, found)
    return found


def _exhaust(question: Question, version: int, candidates: Numbers, found: Found) -> None:
    while True:
        left = tuple(number for number in candidates if number not in found.accepted)
        if not left or not _take(question(left), version, left, found):
            return


def _by_chunks(question: Question, version: int, candidates: Numbers, found: Found) -> None:
    for start in range(0, len(candidates), CHUNK):
        _exhaust(question, version, candidates[start : start + CHUNK], found)
        if found.gap or found.last_alert == _PROTOCOL_VERSION:
            return


def _take(reply: Reply, version: int, offered: Numbers, found: Found) -> bool:
    """Note what a reply says; return whether another suite was picked."""
    hello = reply.flight.server_hello if reply.flight else None
    if reply.flight is None or hello is None:
        found.gap, found.last_alert = reply.reason, reply.alert
        return False
    if hello.version != version:  # a downgrade: this version ends here
        return False
    if hello.cipher_suite not in offered:
        found.gap = f"the server picked suite 0x{hello.cipher_suite:04X}, which was not offered"
        return False
    found.accepted.append(hello.cipher_suite)
    found.flights.append(reply.flight)
    return True


def _pick(reply: Reply, version: int) -> int | None:
    hello = reply.flight.server_hello if reply.flight else None
    return hello.cipher_suite if hello is not None and hello.version == version else None


def _short_preference(question: Question, version: int, candidates: Numbers, found: Found) -> None:
    if not found.accepted:
        return
    pick = _pick(question(tuple(reversed(found.accepted))[:CHUNK]), version)
    if pick in found.accepted:
        _decide_preference(found, candidates, pick)
    else:
        found.gap = found.gap or _CONTRADICTION
        found.preference_gap = found.gap


def _decide_preference(found: Found, candidates: Numbers, pick: int) -> None:
    """Decide whose order counts, from the picks and from the pick among the accepted in reversed order."""
    if len(found.accepted) < 2:
        found.preference_gap = "the server accepts only one"
        return
    as_offered = sorted(found.accepted, key=candidates.index)
    follows_client = pick == found.accepted[-1] and found.accepted == as_offered
    found.preference = CLIENT if follows_client else SERVER


@dataclass
class Found13:
    """What TLS 1.3 found: suites and groups, each with its own gap."""

    suites: Found = field(default_factory=Found)
    groups: Found = field(default_factory=Found)


def enumerate_tls13(question: JointQuestion, suites: Numbers, groups: Numbers) -> Found13:
    """Enumerate suites and groups together: each HelloRetryRequest tells one of both (RFC 8446 4.1.4).

    When nothing is left of one list, the other goes on with what is known to be accepted of the first. Both have been
    refused together by then: if there are more groups, there are no more suites.
    """
    found = Found13()
    while _take13(question(_left(suites, found.suites), _left(groups, found.groups)), found):
        if not _left(suites, found.suites) or not _left(groups, found.groups):
            break
    if not found.suites.accepted or found.suites.gap:
        found.groups.gap = found.suites.gap
        return found
    known_groups, known_suites = tuple(found.groups.accepted), tuple(found.suites.accepted)
    while _left(groups, found.groups) and _take13(question(known_suites, _left(groups, found.groups)), found, True):
        pass
    more_groups = len(found.groups.accepted) > len(known_groups)
    while _left(suites, found.suites) and not more_groups:
        if not _take13(question(_left(suites, found.suites), known_groups), found, False):
            break
    _preference13(question, found)
    return found


def _left(candidates: Numbers, found: Found) -> Numbers:
    return tuple(number for number in candidates if number not in found.accepted)


def _take13(reply: Reply, found: Found13, groups_only: bool | None = None) -> bool:
    """Note one answer; ``groups_only`` is ``None`` while both lists shrink, else which of them does."""
    hello = reply.flight.server_hello if reply.flight else None
    if hello is None or hello.version != registry.TLS13 or hello.group is None:
        lists = {None: (found.suites, found.groups), False: (found.suites,), True: (found.groups,)}[groups_only]
        for part in lists:
            part.gap, part.last_alert = reply.reason, reply.alert
        return False
    for part, number in ((found.suites, hello.cipher_suite), (found.groups, hello.group)):
        if number not in part.accepted:
            part.accepted.append(number)
        elif groups_only is None or (part is found.groups) == groups_only:
            part.gap = f"the server picked 0x{number:04X}, which was not offered"
            return False
    return True


def _preference13(question: JointQuestion, found: Found13) -> None:
    """Ask once more with both lists reversed, ChaCha20 still last (a server may promote it when it comes first)."""
    chacha = [number for number in found.suites.accepted if "CHACHA20" in registry.CIPHER_SUITE_NAMES.get(number, "")]
    order = tuple(number for number in reversed(found.suites.accepted) if number not in chacha) + tuple(chacha)
    reply = question(order, tuple(reversed(found.groups.accepted)))
    hello = reply.flight.server_hello if reply.flight else None
    if hello is None or hello.group is None:
        found.suites.preference_gap = reply.reason or _CONTRADICTION
        if not reply.reason:
            found.suites.gap = found.groups.gap = _CONTRADICTION
        return
    if order[0] == found.suites.accepted[0]:
        found.suites.preference_gap = "too few cipher suites beside ChaCha20 to tell"
    else:
        found.suites.preference = CLIENT if hello.cipher_suite == order[0] else SERVER


def groups_between(picks: Sequence[tuple[bool, int]], candidates: Numbers) -> tuple[Numbers, bool]:
    """Return which groups the picks leave open, and whether the client's order of groups decides.

    ``picks`` are (list was reversed, group picked). A server that picks one group from the list and another from the
    reversed list takes the first that it knows: it knows nothing before the one and nothing behind the other.
    """
    forwards = {group for backwards, group in picks if not backwards}
    backwards = {group for was_reversed, group in picks if was_reversed}
    if len(forwards) != 1 or len(backwards) != 1 or forwards == backwards:
        return candidates, False
    if not forwards | backwards <= set(candidates):
        return candidates, False
    first, last = candidates.index(min(forwards)), candidates.index(min(backwards))
    return candidates[first + 1 : last], first < last


def enumerate_groups(question: Question, candidates: Numbers, last: Numbers) -> Found:
    """Enumerate groups up to TLS 1.2 with suites that need one; ``last`` are the curves of ECDSA certificates.

    Those must stay in every list (without its certificate's curve a server cannot use the certificate, RFC 8422 5.1),
    so they stand at its end: when one of them is picked by a server that follows the client's order, nothing before it
    is accepted.
    """
    found = Found()
    while True:
        offered = tuple(number for number in candidates if number not in found.accepted and number not in last)
        if not offered:
            return found
        reply = question((*offered, *last))
        exchange = reply.flight.key_exchange if reply.flight else None
        if exchange is None or exchange.group is None:
            found.gap = reply.reason if reply.flight is None else "an answer named no group"
            found.last_alert = reply.alert
            return found
        if exchange.group in last:
            found.accepted.append(exchange.group)
            return found
        if exchange.group not in offered:
            found.gap = f"the server picked group 0x{exchange.group:04X}, which was not offered"
            return found
        found.accepted.append(exchange.group)
