# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Enumerate what a server accepts by taking away what it picked, until it refuses.

A server that has an order of its own picks in that order, so the order of the picks is the server's. Each function
takes a ``question`` (lists in, a :class:`Reply` out) and knows nothing of connections.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.together import Together, one_after_the_other

Numbers = tuple[int, ...]
Question = Callable[[Numbers], Reply]
JointQuestion = Callable[[Numbers, Numbers], Reply]

# Some servers read no more than the first 64 suites, some choke on 128 and more.
CHUNK = 64
_MOST_SUITES_READ_IN_PART = 128

SERVER = "server"
CLIENT = "client"

_PROTOCOL_VERSION = 70
_ONLY_ONE = "the server accepts only one"
_CONTRADICTION = "the server refused in the end what it had accepted, so the list may be too short"


@dataclass
class Found:
    """What was accepted, in the order it was picked.

    ``gap`` says why the list may be shorter than the truth; ``preference`` is whose order decides, ``None`` when
    ``preference_gap`` says why that is not known. ``last_alert`` is the alert that ended the list. ``version_refused``
    is whether an answer was that of a server without the version, which others may contradict.
    """

    accepted: list[int] = field(default_factory=list)
    flights: list[wire.Flight] = field(default_factory=list)
    gap: str = ""
    preference: str | None = None
    preference_gap: str = ""
    last_alert: int | None = None
    version_refused: bool = False


def first_list(candidates: Numbers) -> Numbers:
    """Return what the first question about suites offers: all of them, or the first :data:`CHUNK` of too many."""
    return candidates if len(candidates) < _MOST_SUITES_READ_IN_PART else candidates[:CHUNK]


def enumerate_suites(
    question: Question, version: int, candidates: Numbers, first: Reply, together: Together = one_after_the_other
) -> Found:
    """Enumerate the suites of one version up to TLS 1.2.

    ``candidates`` has the common suites first; ``first`` is the reply to its :func:`first_list`. The rest is asked for
    in long lists, one of them reversed: what is picked from it shows whose order counts. Where the server does not
    read long lists to their end, everything is asked again in chunks.
    """
    found = Found()
    if not _take(first, version, candidates, found):
        # An alert other than protocol_version may be about the suites; a closed connection was about the version.
        if first.refused and first.alert not in (None, _PROTOCOL_VERSION):
            _by_short_lists(question, version, candidates[len(first_list(candidates)) :], found)
        return found
    top, left, backwards = found.accepted[0], _left(candidates, found), tuple(reversed(candidates))
    second, last = together((lambda: question(left), lambda: question(backwards)))
    bottom = _pick(last, version)
    if bottom is None or (bottom != top and _pick(second, version) is None):
        _take(second, version, left, found)
        _take(last, version, candidates, found)
        _by_short_lists(question, version, candidates, found)
    elif bottom == top:  # it stands near the end of the reversed list, which was read so far
        _take(last, version, candidates, found)
        if _take(second, version, left, found):
            _exhaust(question, version, candidates, found)
            found.preference = SERVER
        else:
            found.preference_gap = found.gap or _ONLY_ONE
    else:
        _take(second, version, left, found)
        _take(last, version, candidates, found)
        _from_both_ends(question, version, candidates, found, together)
    return found


def enumerate_behind_ecdsa(
    question: Question, version: int, candidates: Numbers, found: Found, together: Together = one_after_the_other
) -> None:
    """Add the suites of other certificates to a list that has those of an ECDSA certificate alone.

    Some servers (HAProxy) choose the certificate first, by what the client could take, and refuse what is left of a
    list when its suites for that certificate are used up. One question, where there is nothing else.
    """
    authentications = {registry.cipher_suite(number).authentication for number in found.accepted}
    if "ECDSA" not in authentications or authentications & {"RSA", "DSS"}:
        return
    others = tuple(number for number in _left(candidates, found) if not _is_ecdsa(number))
    reply = question(others)
    if reply.flight is None:
        found.gap = found.gap or reply.reason
        return
    more = enumerate_suites(question, version, others, reply, together)
    found.accepted += more.accepted
    found.flights += more.flights
    found.gap = found.gap or more.gap
    if found.preference is None:
        found.preference, found.preference_gap = more.preference, more.preference_gap


def _is_ecdsa(number: int) -> bool:
    return registry.cipher_suite(number).authentication == "ECDSA"


def _from_both_ends(question: Question, version: int, candidates: Numbers, found: Found, together: Together) -> None:
    """Ask a server that seems to follow the client's order for the first and the last of what is left.

    What it accepts stands behind what is left: when it picks the first of that, it has read the list and wants no more.
    When both ends meet in one suite although all that it likes was offered too, that suite was the last one.
    """
    meeting = len(found.accepted) == 2  # the first and the last pick of what was left are the same
    while True:
        left, known = _left(candidates, found), tuple(sorted(found.accepted, key=candidates.index))
        tasks = [functools.partial(question, (*left, *known)), functools.partial(question, tuple(reversed(left)))]
        replies = together(tasks[:1] if meeting else tasks)
        first, last = replies[0], replies[-1]
        if not _take(first, version, (*left, *known), found):
            if first.refused:
                _by_short_lists(question, version, candidates, found)
            found.preference_gap = found.preference_gap or found.gap
            return
        pick = _pick(first, version)
        if pick in known and pick != known[0]:
            _exhaust(question, version, candidates, found)
            _rank(question, version, found)
            return
        if last is not first and last.flight is not None:
            _take(last, version, left, found)
        met = pick == _pick(last, version)
        nothing_left = pick in known or (met and not meeting and len(left) > 2 * _MOST_SUITES_READ_IN_PART)
        if nothing_left:
            found.accepted.sort(key=candidates.index)
            found.preference = CLIENT
            return
        meeting = met


def _rank(question: Question, version: int, found: Found) -> None:
    """Put what is accepted into the server's own order."""
    unranked, ranked = list(found.accepted), found.accepted[:0]
    while len(unranked) > 1:
        pick = _pick(question(tuple(unranked)), version)
        if pick not in unranked:
            found.preference_gap = "the answers follow no order"
            return
        unranked.remove(pick)
        ranked.append(pick)
    found.accepted = ranked + unranked
    found.preference = SERVER


def _exhaust(question: Question, version: int, candidates: Numbers, found: Found) -> None:
    while True:
        left = _left(candidates, found)
        if not left or not _take(question(left), version, left, found):
            return


def _by_chunks(question: Question, version: int, candidates: Numbers, found: Found) -> None:
    for start in range(0, len(candidates), CHUNK):
        chunk = _left(candidates[start : start + CHUNK], found)
        _exhaust(question, version, chunk, found)
        if found.gap or found.last_alert == _PROTOCOL_VERSION:
            return


def _take(reply: Reply, version: int, offered: Numbers, found: Found) -> bool:
    """Note what a reply says; return whether one of the offered suites was picked."""
    hello = reply.flight.server_hello if reply.flight else None
    found.version_refused = found.version_refused or _refuses_version(reply, version)
    if reply.flight is None or hello is None:
        found.gap, found.last_alert = reply.reason, reply.alert
        return False
    if hello.version != version:  # a downgrade: this version ends here
        return False
    if hello.cipher_suite not in offered:
        found.gap = f"the server picked suite 0x{hello.cipher_suite:04X}, which was not offered"
        return False
    if hello.cipher_suite not in found.accepted:
        found.accepted.append(hello.cipher_suite)
    found.flights.append(reply.flight)
    return True


def _refuses_version(reply: Reply, version: int) -> bool:
    hello = reply.flight.server_hello if reply.flight else None
    return reply.alert == _PROTOCOL_VERSION or (hello is not None and hello.version != version)


def _pick(reply: Reply, version: int) -> int | None:
    hello = reply.flight.server_hello if reply.flight else None
    return hello.cipher_suite if hello is not None and hello.version == version else None


def _by_short_lists(question: Question, version: int, candidates: Numbers, found: Found) -> None:
    """Ask a server that reads no long lists for the rest, then for its order of what it accepts."""
    found.gap = ""
    _by_chunks(question, version, candidates, found)
    if not found.accepted:
        return
    as_offered = tuple(sorted(found.accepted, key=candidates.index))[:CHUNK]
    pick = _pick(question(tuple(reversed(as_offered))), version)
    if pick not in as_offered:
        found.gap = found.gap or _CONTRADICTION
        found.preference_gap = found.gap
    elif len(as_offered) == 1:
        found.preference_gap = _ONLY_ONE
    elif pick == as_offered[-1] and _pick(question(as_offered), version) == as_offered[0]:
        found.accepted = list(as_offered)
        found.preference = CLIENT
    else:
        _rank(question, version, found)


@dataclass
class Found13:
    """What TLS 1.3 found: suites and groups, each with its own gap."""

    suites: Found = field(default_factory=Found)
    groups: Found = field(default_factory=Found)


def enumerate_tls13(
    question: JointQuestion, suites: Numbers, groups: Numbers, first: Reply, together: Together = one_after_the_other
) -> Found13:
    """Enumerate suites and groups: each HelloRetryRequest, or ServerHello, tells one of both (RFC 8446 4.1.4).

    ``first`` is the reply to both lists as they are.
    The first questions shrink both lists at once; one reverses both (ChaCha20 stays last, since a server may promote it
    when it comes first), which shows whose order counts. Then each list is asked to its end.
    """
    found = Found13()
    if not _take13(first, found, suites, groups):
        found.groups.gap = found.suites.gap
        return found
    top = found.suites.accepted[0], found.groups.accepted[0]
    left, backwards = _left(suites, found.suites), _chacha20_last(tuple(reversed(suites)))
    left_groups = _left(groups, found.groups)
    second, last = together((lambda: question(left, left_groups), lambda: question(backwards, tuple(reversed(groups)))))
    if second.flight is not None:
        _take13(second, found, left, left_groups)
    bottom = _picks13(last)
    if bottom is None:
        found.suites.preference_gap = found.groups.preference_gap = last.reason or _CONTRADICTION
    else:
        _take13(last, found, suites, groups)
    if second.flight is not None and not found.suites.gap and not found.groups.gap:
        _shrink_both(question, suites, groups, found)
    together(
        (
            lambda: _exhaust_suites13(question, suites, top[1:], found),
            lambda: exhaust_groups13(question, groups, top[:1], found),
        )
    )
    if last.refused:
        found.suites.gap = found.groups.gap = _CONTRADICTION
    if bottom is not None:
        _preference13(found, suites, groups, top, bottom)
    return found


def _shrink_both(question: JointQuestion, suites: Numbers, groups: Numbers, found: Found13) -> None:
    """Ask once more for what is left of both lists: most servers accept three suites and three groups or more."""
    left, left_groups = _left(suites, found.suites), _left(groups, found.groups)
    if left and left_groups:
        reply = question(left, left_groups)
        if reply.flight is not None:
            _take13(reply, found, left, left_groups)


def enumerate_tls13_by_parts(
    question: JointQuestion, suites: Numbers, parts: Sequence[Numbers], together: Together = one_after_the_other
) -> Found13:
    """Do what :func:`enumerate_tls13` does where the groups cannot be asked for in one hello."""
    found = Found13()
    gaps = []
    for part in parts:
        if found.suites.accepted:
            exhaust_groups13(question, part, tuple(found.suites.accepted), found)
            found.groups.preference, found.groups.preference_gap = None, "the groups were asked for in parts"
        else:
            found = enumerate_tls13(question, suites, part, question(suites, part), together)
        gaps.append(found.groups.gap)
    found.groups.gap = next(filter(None, gaps), "")
    return found


def _left(candidates: Numbers, found: Found) -> Numbers:
    return tuple(number for number in candidates if number not in found.accepted)


def _picks13(reply: Reply) -> tuple[int, int] | None:
    hello = reply.flight.server_hello if reply.flight else None
    if hello is None or hello.version != registry.TLS13 or hello.group is None:
        return None
    return hello.cipher_suite, hello.group


def _take13(reply: Reply, found: Found13, suites: Numbers, groups: Numbers) -> bool:
    """Note one answer to a question about both lists; return whether it picked of both what was offered."""
    picks = _picks13(reply)
    if picks is None:
        found.suites.gap, found.suites.last_alert = reply.reason, reply.alert
        found.suites.version_refused = _refuses_version(reply, registry.TLS13)
        return False
    for part, offered, number in ((found.suites, suites, picks[0]), (found.groups, groups, picks[1])):
        if number not in offered:
            part.gap = f"the server picked 0x{number:04X}, which was not offered"
            return False
        if number not in part.accepted:
            part.accepted.append(number)
    return True


def _exhaust_suites13(question: JointQuestion, candidates: Numbers, groups: Numbers, found: Found13) -> None:
    _exhaust_part13(lambda left: question(left, groups), candidates, found.suites, 0)


def exhaust_groups13(question: JointQuestion, candidates: Numbers, suites: Numbers, found: Found13) -> None:
    """Find which more of the groups go with suites that are known to be accepted."""
    _exhaust_part13(lambda left: question(suites, left), candidates, found.groups, 1)


def _exhaust_part13(question: Question, candidates: Numbers, part: Found, place: int) -> None:
    while not part.gap:
        left = _left(candidates, part)
        if not left:
            return
        reply = question(left)
        picks = _picks13(reply)
        if picks is None:
            part.gap, part.last_alert = reply.reason, reply.alert
            part.version_refused = _refuses_version(reply, registry.TLS13)
            return
        if picks[place] not in left:
            part.gap = f"the server picked 0x{picks[place]:04X}, which was not offered"
            return
        part.accepted.append(picks[place])


def _chacha20_last(suites: Numbers) -> Numbers:
    return tuple(sorted(suites, key=is_chacha20))


def is_chacha20(suite: int) -> bool:
    """Whether a suite encrypts with ChaCha20."""
    return "CHACHA20" in registry.CIPHER_SUITE_NAMES.get(suite, "")


def _preference13(
    found: Found13, suites: Numbers, groups: Numbers, top: tuple[int, int], bottom: tuple[int, int]
) -> None:
    """Decide whose order counts: who picks the same from a list and from the reversed list has its own."""
    for part, offered, first, last in (
        (found.suites, suites, top[0], bottom[0]),
        (found.groups, groups, top[1], bottom[1]),
    ):
        if first != last:
            part.preference = CLIENT
            part.accepted.sort(key=offered.index)
        elif len(part.accepted) < 2:
            part.preference_gap = _ONLY_ONE
        else:
            part.preference = SERVER
    others = [suite for suite in found.suites.accepted if not is_chacha20(suite)]
    if found.suites.preference == SERVER and len(others) < 2 and others[:1] == [top[0]]:
        found.suites.preference, found.suites.preference_gap = None, "too few cipher suites beside ChaCha20 to tell"


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
        if not offered and not last:
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
