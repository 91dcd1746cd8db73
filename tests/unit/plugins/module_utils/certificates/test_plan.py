# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.pair import Pair, Trust
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.plan import Found, decide, lesser, words
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.request import Request

SOURCES = ("given", "acme", "own_ca", "self_signed")
NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
NAMES = ("www.example.org", "example.org")
ACME = Request("www", "ecdsa-p256", NAMES, ("acme", "own_ca", "self_signed"))
OWN = Request("www", "ecdsa-p256", NAMES, ("own_ca", "self_signed"))
GIVEN = Request("www", "ecdsa-p256", NAMES, SOURCES, given=("/a", "/b"))
# A certificate of a public authority in the middle of its life.
PUBLIC = Pair(
    names=frozenset(NAMES),
    key_type="ecdsa-p256",
    not_before=NOW - 30 * DAY,
    not_after=NOW + 60 * DAY,
    trust=Trust.STORE,
    issued_by="other",
    files=("aa", "bb"),
)
OF_OWN_CA = dataclasses.replace(PUBLIC, trust=Trust.OWN_AUTHORITY, issued_by="own_ca", files=("cc", "dd"))
SELF_SIGNED = dataclasses.replace(PUBLIC, trust=Trust.NOBODY, issued_by="self_signed", files=("ee", "ff"))
NO_FILES = Found(problem="/a: it cannot be read (No such file or directory)")


changed = dataclasses.replace


def old(pair: Pair) -> Pair:
    """Return a pair of which a fifth of its life remains."""
    return changed(pair, not_before=NOW - 80 * DAY, not_after=NOW + 20 * DAY)


@pytest.mark.parametrize(
    ("request_", "present", "given", "sources"),
    [
        (ACME, None, Found(), ("acme", "own_ca", "self_signed")),
        (ACME, PUBLIC, Found(), ()),
        (ACME, OF_OWN_CA, Found(), ("acme",)),
        (ACME, SELF_SIGNED, Found(), ("acme", "own_ca")),
        (ACME, changed(PUBLIC, not_after=NOW - DAY), Found(), ("acme", "own_ca", "self_signed")),
        (ACME, old(PUBLIC), Found(), ("acme",)),
        (ACME, old(OF_OWN_CA), Found(), ("acme",)),
        (ACME, changed(PUBLIC, names=frozenset(["example.org"])), Found(), ("acme",)),
        (ACME, changed(PUBLIC, names=frozenset([*NAMES, "old.example.org"])), Found(), ("acme",)),
        (ACME, changed(PUBLIC, key_type="rsa-2048"), Found(), ("acme",)),
        (ACME, changed(PUBLIC, trust=Trust.NOBODY), Found(), ()),
        (OWN, OF_OWN_CA, Found(), ()),
        (OWN, old(OF_OWN_CA), Found(), ("own_ca",)),
        (OWN, PUBLIC, Found(), ()),
        (OWN, changed(PUBLIC, trust=Trust.NOBODY), Found(), ("own_ca", "self_signed")),
        (GIVEN, None, Found(PUBLIC), SOURCES),
        (GIVEN, PUBLIC, Found(PUBLIC), ()),
        (GIVEN, old(PUBLIC), Found(old(PUBLIC)), ()),
        (GIVEN, OF_OWN_CA, Found(PUBLIC), ("given", "acme")),
        (GIVEN, PUBLIC, Found(changed(PUBLIC, files=("11", "22"))), ("given",)),
        (GIVEN, PUBLIC, NO_FILES, ()),
        (GIVEN, SELF_SIGNED, NO_FILES, ()),
        (GIVEN, old(SELF_SIGNED), NO_FILES, ("acme", "own_ca", "self_signed")),
        (GIVEN, changed(PUBLIC, key_type="rsa-2048"), NO_FILES, ()),
        (GIVEN, OF_OWN_CA, NO_FILES, ("acme",)),
        (GIVEN, None, NO_FILES, ("acme", "own_ca", "self_signed")),
        (OWN, old(PUBLIC), Found(), ()),
    ],
    ids=[
        "nothing is there: all, in order",
        "valid and of the preferred source: nothing",
        "of the own authority: only ACME is preferred",
        "signed by itself: whatever is preferred to that",
        "ended: all",
        "a fifth of its life left: nothing that fewer trust",
        "of the own authority and old: ACME first",
        "a name is missing",
        "a name too many",
        "another key type",
        "of an ACME server that nobody trusts: not again in each run",
        "own authority, valid",
        "own authority, old",
        "public, with no source like it: stays",
        "of somebody whom nobody trusts",
        "given, nothing there",
        "given, in place",
        "given, in place and old: its owner renews it",
        "given at last",
        "given anew",
        "given files vanished: the present one stays",
        "given files that nobody trusts vanished: the present one stays",
        "and does so until it is old",
        "given files of another key type vanished",
        "given files missing, and the own authority's certificate in their place",
        "given files missing from the start",
        "old, and every source is lesser",
    ],
)
def test_sources_that_may_replace_the_present_one(
    request_: Request, present: Pair | None, given: Found, sources: tuple[str, ...]
) -> None:
    found = Found(present) if present else Found(problem="it is not there")
    decision = decide(request_, found, given, 33, NOW)

    assert (decision.due, decision.sources) == (bool(sources), sources)


@pytest.mark.parametrize(
    ("request_", "present", "given", "source", "reason"),
    [
        (GIVEN, PUBLIC, NO_FILES, "given", "cannot be read"),
        (GIVEN, PUBLIC, Found(changed(PUBLIC, names=frozenset(["example.org"]))), "given", "does not cover www"),
        (GIVEN, PUBLIC, Found(changed(PUBLIC, not_after=NOW - DAY)), "given", "is valid from 2026-05-02 to 2026-05-31"),
        (dataclasses.replace(GIVEN, key_type="rsa-2048", suffix=".rsa"), PUBLIC, Found(PUBLIC), "given", "ecdsa-p256"),
        (OWN, old(PUBLIC), Found(), "own_ca", "20 days left, and what this source gives would be trusted by fewer"),
    ],
)
def test_what_no_source_mends_is_a_failure(
    request_: Request, present: Pair, given: Found, source: str, reason: str
) -> None:
    decision = decide(request_, Found(present), given, 33, NOW)

    assert decision.failure is not None
    assert decision.failure[0] == source
    assert reason in decision.failure[1]


@pytest.mark.parametrize(
    ("new", "present", "reason"),
    [
        (PUBLIC, None, ""),
        (PUBLIC, OF_OWN_CA, ""),
        (changed(PUBLIC, not_after=NOW + 90 * DAY), PUBLIC, ""),
        (OF_OWN_CA, PUBLIC, "is trusted by fewer"),
        (SELF_SIGNED, OF_OWN_CA, "is trusted by fewer"),
        (changed(PUBLIC, not_after=NOW + 59 * DAY), PUBLIC, "ends on 2026-07-30, before the present one (2026-07-31)"),
        (changed(PUBLIC, not_after=NOW + 59 * DAY), OF_OWN_CA, ""),
        (changed(SELF_SIGNED, not_after=NOW + DAY), SELF_SIGNED, ""),
        (changed(PUBLIC, names=frozenset(["example.org"])), None, "does not cover www.example.org"),
        (changed(PUBLIC, not_before=NOW + DAY), None, "is valid from 2026-06-02"),
        (OF_OWN_CA, changed(PUBLIC, not_after=NOW - DAY), ""),
        (changed(PUBLIC, not_after=NOW + DAY), changed(PUBLIC, names=frozenset(["example.org"])), ""),
    ],
    ids=[
        "nothing is there",
        "more trust it",
        "it lives longer",
        "own authority for public",
        "own signature for own authority",
        "ends sooner",
        "ends sooner, and more trust it",
        "ends sooner, and nobody trusts either",
        "covers fewer names",
        "not valid yet",
        "the present one has ended",
        "the present one covers fewer names",
    ],
)
def test_a_lesser_certificate_is_told_with_its_reason(new: Pair, present: Pair | None, reason: str) -> None:
    found = lesser(new, present, NAMES, NOW)

    assert reason in found
    assert bool(found) == bool(reason)


def test_a_wildcard_covers_a_name() -> None:
    assert lesser(changed(PUBLIC, names=frozenset(["*.example.org", "example.org"])), None, NAMES, NOW) == ""


@pytest.mark.parametrize(
    ("present", "text"),
    [
        (PUBLIC, "The certificate www has 60 days left. It is renewed when 29 are left."),
        (
            changed(PUBLIC, not_after=NOW + 1.5 * DAY),
            "The certificate www has 1 day left. Another one is due from acme",
        ),
        (
            changed(PUBLIC, not_after=NOW - 2 * DAY),
            "The certificate www ended 2 days ago. Another one is due from acme",
        ),
        (None, "The certificate www is not there yet. It comes from acme, then own_ca, then self_signed."),
    ],
)
def test_words_say_how_many_days_are_left(present: Pair | None, text: str) -> None:
    found = Found(present) if present else Found(problem="it is not there")

    assert words(ACME, found, decide(ACME, found, Found(), 33, NOW), 33, NOW).startswith(text)


def test_words_of_a_given_certificate_leave_its_renewal_to_who_gives_it() -> None:
    found = Found(old(PUBLIC))

    assert words(GIVEN, found, decide(GIVEN, found, found, 33, NOW), 33, NOW) == (
        "The certificate www has 20 days left. Its files are given; give new ones in time."
    )
