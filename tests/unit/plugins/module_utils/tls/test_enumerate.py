# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Enumeration against servers that are a function."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import enumerate as enumeration
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import key_shares, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.session import Reply

REFUSED = Reply(refused=True, alert=40)
SUITES = registry.suites_for_version(registry.TLS12)


def answer(version: int, suite: int, group: int | None = None, exchange: wire.KeyExchange | None = None) -> Reply:
    hello = wire.ServerHello(version, bytes(32), suite, 0, {}, False, group)
    return Reply(flight=wire.Flight(server_hello=hello, key_exchange=exchange, complete=True))


class Server:
    """A server that refuses everything after ``patience`` questions, and reads only so many suites of a list."""

    def __init__(
        self,
        suites: tuple[int, ...],
        groups: tuple[int, ...] = (),
        patience: int = 1000,
        own_order: bool = False,
        reads: int = 1000,
    ) -> None:
        self.suites, self.groups, self.patience, self.asked = suites, groups, patience, 0
        self.own_order, self.reads = own_order, reads

    def tls12(self, suites: tuple[int, ...]) -> Reply:
        """Answer a list of suites."""
        self.asked += 1
        liked, others = (self.suites, suites[: self.reads]) if self.own_order else (suites[: self.reads], self.suites)
        pick = next((suite for suite in liked if suite in others), None)
        return REFUSED if pick is None or self.asked > self.patience else answer(registry.TLS12, pick)

    def tls13(self, suites: tuple[int, ...], groups: tuple[int, ...]) -> Reply:
        """Answer a list of suites and one of groups."""
        self.asked += 1
        suite = next((suite for suite in suites if suite in self.suites), None)
        group = next((group for group in groups if group in self.groups), None)
        refuses = suite is None or group is None or self.asked > self.patience
        return REFUSED if refuses else answer(registry.TLS13, suite or 0, group)


def up_to_tls12(server: Server) -> enumeration.Found:
    first = server.tls12(SUITES[: enumeration.CHUNK])
    return enumeration.enumerate_suites(server.tls12, registry.TLS12, SUITES, first)


def tls13(server: Server) -> enumeration.Found13:
    suites, groups = registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS
    return enumeration.enumerate_tls13(server.tls13, suites, groups, server.tls13(suites, groups))


def test_a_list_that_the_end_contradicts_has_a_gap() -> None:
    server = Server(SUITES[:4])
    assert (up_to_tls12(server).accepted, up_to_tls12(server).gap) == (list(SUITES[:4]), "")
    banned = up_to_tls12(Server(SUITES[:4], patience=2))
    assert (banned.accepted, bool(banned.gap)) == (list(SUITES[:2]), True)


def test_a_tls13_list_that_the_end_contradicts_has_a_gap() -> None:
    banned = tls13(Server(registry.TLS13_CIPHER_SUITES[:3], registry.TLS13_GROUPS[:3], patience=2))
    assert (len(banned.suites.accepted), bool(banned.suites.gap), bool(banned.groups.gap)) == (2, True, True)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (Reply(refused=True, alert=70), True),
        (answer(registry.TLS10, SUITES[0], 0x001D), True),
        (REFUSED, False),
        (Reply(reason="the connection broke, twice"), False),
    ],
    ids=["alert protocol_version", "an older version", "alert handshake_failure", "no answer"],
)
def test_an_answer_without_the_version_is_told(last: Reply, expected: bool) -> None:
    server = Server(SUITES[:4], patience=3)
    first = server.tls12(SUITES[: enumeration.CHUNK])

    def tls12(suites: tuple[int, ...]) -> Reply:
        reply = server.tls12(suites)
        return reply if reply.flight else last

    found = enumeration.enumerate_suites(tls12, registry.TLS12, SUITES, first)
    assert (bool(found.accepted), found.version_refused) == (True, expected)
    server13 = Server(registry.TLS13_CIPHER_SUITES[:2], registry.TLS13_GROUPS[:2])

    def tls13(suites: tuple[int, ...], groups: tuple[int, ...]) -> Reply:
        reply = server13.tls13(suites, groups)
        return reply if reply.flight else last

    lists = registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS
    found13 = enumeration.enumerate_tls13(tls13, *lists, tls13(*lists))
    assert (found13.suites.version_refused, found13.groups.version_refused) == (expected, expected)


def test_suites_and_groups_in_few_questions() -> None:
    for suites, groups, asked in ((3, 4, 7), (3, 3, 6), (5, 10, 13), (3, 1, 6), (1, 3, 6)):
        server = Server(registry.TLS13_CIPHER_SUITES[:suites], registry.TLS13_GROUPS[1 : 1 + groups])
        found = tls13(server)
        assert (len(found.suites.accepted), len(found.groups.accepted)) == (suites, groups)
        assert (found.suites.gap, found.groups.gap) == ("", "")
        assert server.asked == asked


def test_an_answer_without_a_named_group_is_a_gap() -> None:
    found = enumeration.enumerate_groups(
        lambda _groups: answer(registry.TLS12, 0xC02F, exchange=wire.KeyExchange()), (0x17,), ()
    )
    assert found.gap == "an answer named no group"


@pytest.mark.parametrize(
    ("places", "own_order", "asked"),
    [
        ((5,), False, 3),
        ((5, 9), False, 4),
        ((5, 9, 17), False, 5),
        ((5, 9, 17, 20, 21, 30), False, 7),
        ((5, 9, 17, 20, 21), False, 7),
        ((5, 300), False, 4),
        ((5,), True, 3),
        ((9, 5, 17), True, 5),
        ((300, 5), True, 6),
        ((17, 300, 5, 9), True, 6),
        ((300, 17, 5), True, 8),
    ],
)
@pytest.mark.parametrize("reads", [1000, 64])
def test_suites_with_their_order(places: tuple[int, ...], own_order: bool, asked: int, reads: int) -> None:
    suites = tuple(SUITES[place] for place in places)
    server = Server(suites, own_order=own_order, reads=reads)
    found = up_to_tls12(server)
    order = None if len(places) == 1 else enumeration.SERVER if own_order else enumeration.CLIENT
    assert (set(found.accepted), found.gap, found.preference) == (set(suites), "", order)
    if reads == 1000:
        assert (found.accepted, server.asked) == (list(suites), asked)


class ChoosesTheCertificateFirst(Server):
    """A server that never looks at another certificate when the client could take its ECDSA certificate (HAProxy)."""

    def tls12(self, suites: tuple[int, ...]) -> Reply:
        """Answer by the suites of one certificate."""
        own = tuple(number for number in suites if ecdsa(number) and any(map(ecdsa, self.suites)))
        return super().tls12(own or suites)


def ecdsa(number: int) -> bool:
    return registry.cipher_suite(number).authentication == "ECDSA"


ECDSA = tuple(number for number in SUITES if ecdsa(number))[:3]
OTHERS = tuple(number for number in SUITES if not ecdsa(number))[3:6]


@pytest.mark.parametrize(
    ("suites", "more"),
    [((*ECDSA, *OTHERS), 5), ((*ECDSA, 0xC018), 3), (ECDSA, 1), (OTHERS, 0), ((), 0)],
    ids=["both", "ECDSA and anonymous", "ECDSA alone", "others alone", "none"],
)
@pytest.mark.parametrize("own_order", [True, False])
def test_what_a_certificate_hides(suites: tuple[int, ...], more: int, own_order: bool) -> None:
    server = ChoosesTheCertificateFirst(suites, own_order=own_order)
    found = up_to_tls12(server)
    before = server.asked
    enumeration.enumerate_behind_ecdsa(server.tls12, registry.TLS12, SUITES, found)
    assert (set(found.accepted), found.gap) == (set(suites), "")
    assert server.asked - before <= more


def test_what_a_certificate_hides_is_a_gap_where_nobody_answers() -> None:
    found = enumeration.Found(accepted=list(ECDSA))
    enumeration.enumerate_behind_ecdsa(lambda _suites: Reply(reason="silence"), registry.TLS12, SUITES, found)
    assert found.gap == "silence"


def test_groups_that_are_asked_for_in_parts() -> None:
    suites, groups = registry.TLS13_CIPHER_SUITES[:3], (0x11EC, 0x001D, 0x0018, 0x0101)
    parts = key_shares.in_few_hellos(registry.TLS13_GROUPS)
    found = enumeration.enumerate_tls13_by_parts(Server(suites, groups).tls13, registry.TLS13_CIPHER_SUITES, parts)
    assert (set(found.suites.accepted), set(found.groups.accepted)) == (set(suites), set(groups))
    assert (found.suites.gap, found.groups.gap, found.groups.preference) == ("", "", None)
