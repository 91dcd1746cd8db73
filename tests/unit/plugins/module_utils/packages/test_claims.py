# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several owners say of one path together: the same, in whatever order they come."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.claims import dispute, merge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    ANYTHING,
    DIRECTORY,
    FILE,
    SYMLINK,
    UNKNOWN,
    Entry,
    Recorded,
)

Claim = tuple[str, "bytes | None", "Recorded | None"]


def together(*claims: Claim) -> tuple[Entry, bool]:
    """Return the entry of several owners, and whether all of them agree."""
    entry = Entry(b"/a", b"/a", claims[0][0], "p0")
    entry.digest, entry.recorded = claims[0][1:]
    agreed = [
        merge(entry, f"p{number}", kind, digest, recorded) for number, (kind, digest, recorded) in enumerate(claims)
    ]
    return entry, all(agreed)


THREE: dict[str, tuple[tuple[Claim, Claim, Claim], tuple[str, Recorded | None]]] = {
    "one disagrees about the mode": (
        (
            (DIRECTORY, None, Recorded(mode=0o755, owner="root")),
            (DIRECTORY, None, Recorded(mode=0o700, owner="root")),
            (DIRECTORY, None, Recorded(mode=0o755, owner="root")),
        ),
        (DIRECTORY, Recorded(owner="root")),
    ),
    "each has another owner": (
        (
            (FILE, b"1" * 32, Recorded(owner="a", size=1)),
            (FILE, b"1" * 32, Recorded(owner="b", size=1)),
            (FILE, b"1" * 32, Recorded(owner="c", size=1)),
        ),
        (FILE, Recorded(size=1)),
    ),
    "one says nothing": (
        (
            (SYMLINK, None, Recorded(target=b"x", modified=1)),
            (SYMLINK, None, None),
            (SYMLINK, None, Recorded(target=b"x", modified=2, required=False)),
        ),
        (SYMLINK, Recorded(target=b"x")),
    ),
    "one has another target": (
        (
            (SYMLINK, None, Recorded(target=b"x")),
            (SYMLINK, None, Recorded(target=b"y")),
            (SYMLINK, None, Recorded(target=b"x")),
        ),
        (SYMLINK, Recorded()),
    ),
    "one has a link to a directory": (
        (
            (DIRECTORY, None, Recorded(mode=0o755)),
            (SYMLINK, None, Recorded(target=b"x")),
            (DIRECTORY, None, Recorded(mode=0o755)),
        ),
        (DIRECTORY, None),
    ),
    "one leaves it open": (
        (
            (FILE, b"1" * 32, Recorded(mode=0o755)),
            (ANYTHING, None, Recorded(mode=0o700, required=False)),
            (FILE, b"1" * 32, Recorded(mode=0o755)),
        ),
        (FILE, Recorded(mode=0o755)),
    ),
    "one knows its name alone": (
        ((UNKNOWN, None, None), (UNKNOWN, None, Recorded(mode=0o755)), (UNKNOWN, None, Recorded(mode=0o700))),
        (UNKNOWN, Recorded()),
    ),
}


@pytest.mark.parametrize(("claims", "expected"), THREE.values(), ids=THREE)
def test_three_owners_say_the_same_in_every_order(
    claims: tuple[Claim, ...], expected: tuple[str, Recorded | None]
) -> None:
    for order in itertools.permutations(claims):
        entry, _agreed = together(*order)
        recorded = entry.recorded
        # An entry of which nothing is recorded may say so in two ways.
        assert (entry.kind, recorded or None) == expected or (entry.kind, recorded) == (expected[0], Recorded()), order


@pytest.mark.parametrize("name", ["one has another target", "one has a link to a directory"])
def test_that_owners_contradict_each_other_is_told_in_every_order(name: str) -> None:
    for order in itertools.permutations(THREE[name][0]):
        assert not together(*order)[1]


def test_a_target_that_only_one_knows_is_no_contradiction() -> None:
    entry, agreed = together((SYMLINK, None, Recorded(owner="root")), (SYMLINK, None, Recorded(target=b"x")))
    assert (agreed, entry.recorded) == (True, Recorded(owner="root", target=b"x"))


def test_what_the_owners_of_another_database_dispute_stays_open() -> None:
    entry, _agreed = together((FILE, b"1" * 32, Recorded(mode=0o755)))
    dispute(entry, frozenset(("mode",)))
    merge(entry, "other", FILE, b"1" * 32, Recorded(mode=0o755))
    assert entry.recorded == Recorded()
