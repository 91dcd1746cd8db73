# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed between two witnesses, and what explains it: a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness import Witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_changes import Comparison, describe

SOUND, OTHER, NEW = ("md5:" + digit * 32 for digit in "012")
FILE: Mapping[str, Any] = {
    "type": "file",
    "mode": "0644",
    "uid": 0,
    "gid": 0,
    "modified": 7,
    "packages": ["alpha"],
    "size": 5,
    "digest": SOUND,
}
DAMAGED = {**FILE, "digest": OTHER, "expected": SOUND}
NOTHING_KNOWN: Mapping[str, str | None] = {"alpha": None}


def seen(
    files: Mapping[bytes, Mapping[str, Any]],
    versions: Mapping[str, str | None] | None = None,
    selection: Mapping[str, object] | None = None,
) -> Witness:
    known: Mapping[str, str | None] = {"alpha": "1.0"} if versions is None else versions
    return Witness("2026-11-28T02:00:00Z", selection or {}, known, iter(sorted(files.items())))


def changes(previous: Witness, current: Witness) -> list[dict[str, Any]]:
    return [describe(change) for change in Comparison(previous, current)]


@pytest.mark.parametrize(
    ("before", "after", "versions", "change", "explanation"),
    [
        # The version is the same: whatever is not as it was is suspicious,
        (FILE, DAMAGED, {"alpha": "1.0"}, "changed", "unexplained"),
        (FILE, {**FILE, "mode": "4755"}, {"alpha": "1.0"}, "changed", "unexplained"),
        (FILE, {**FILE, "uid": 5}, {"alpha": "1.0"}, "changed", "unexplained"),
        (FILE, {**FILE, "type": "directory"}, {"alpha": "1.0"}, "changed", "unexplained"),
        (FILE, None, {"alpha": "1.0"}, "disappeared", "unexplained"),
        # and most of all where the database has changed with it.
        (FILE, {**FILE, "digest": NEW}, {"alpha": "1.0"}, "changed", "unexplained"),
        (FILE, {**FILE, "expected": NEW}, {"alpha": "1.0"}, "changed", "unexplained"),
        # An upgrade explains it, and so does a package that comes or goes,
        (FILE, {**FILE, "digest": NEW}, {"alpha": "2.0"}, "changed", "package_changed"),
        (FILE, None, {"alpha": "2.0"}, "disappeared", "package_changed"),
        (FILE, None, {}, "disappeared", "package_changed"),
        (None, {**FILE, "packages": ["beta"]}, {"alpha": "1.0", "beta": "1"}, "appeared", "package_changed"),
        # also where versions are not known, by what the database expects now.
        (FILE, {**FILE, "digest": NEW}, NOTHING_KNOWN, "changed", "package_changed"),
        (FILE, DAMAGED, NOTHING_KNOWN, "changed", "unexplained"),
        # Administrators change conffiles.
        ({**FILE, "conffile": True}, {**DAMAGED, "conffile": True}, {"alpha": "1.0"}, "changed", "conffile"),
        ({**FILE, "conffile": True}, None, {"alpha": "1.0"}, "disappeared", "conffile"),
        # What is again as its package says was repaired.
        (DAMAGED, FILE, {"alpha": "1.0"}, "changed", "restored"),
        (None, FILE, {"alpha": "1.0"}, "appeared", "restored"),
        ({**FILE, "type": "symlink", "digest": None}, FILE, {"alpha": "1.0"}, "changed", "restored"),
        (None, DAMAGED, {"alpha": "1.0"}, "appeared", "unexplained"),
    ],
)
def test_a_change_has_its_explanation(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    versions: Mapping[str, str | None],
    change: str,
    explanation: str,
) -> None:
    earlier = NOTHING_KNOWN if versions is NOTHING_KNOWN else {"alpha": "1.0"}
    previous = seen({b"/f": before} if before else {}, earlier)
    current = seen({b"/f": after} if after else {}, versions)

    (found,) = changes(previous, current)

    assert (found["change"], found["explanation"]) == (change, explanation)


@pytest.mark.parametrize(
    "after",
    [FILE, {**FILE, "modified": 8}, {**FILE, "digest": "sha256:" + "3" * 64}],
    ids=["the same", "a time alone", "digests that cannot be compared"],
)
def test_no_change(after: Mapping[str, Any]) -> None:
    assert changes(seen({b"/f": FILE}), seen({b"/f": after})) == []


def test_a_change_shows_what_differs_and_the_times() -> None:
    (found,) = changes(seen({b"/f": FILE}), seen({b"/f": DAMAGED}))

    assert found == {
        "path": "/f",
        "packages": ["alpha"],
        "change": "changed",
        "explanation": "unexplained",
        "before": {"digest": SOUND, "modified": 7},
        "after": {"digest": OTHER, "modified": 7},
    }


def test_paths_are_compared_side_by_side_and_counted() -> None:
    comparison = Comparison(
        seen({b"/a": FILE, b"/b": FILE, b"/c\xff": FILE, b"/e": FILE}),
        seen({b"/b": FILE, b"/c\xff": DAMAGED, b"/d": FILE, b"/e": FILE}),
    )

    found = [describe(change) for change in comparison]

    assert [(change["path"], change["change"]) for change in found] == [
        ("/a", "disappeared"),
        ("/c\\xff", "changed"),
        ("/d", "appeared"),
    ]
    assert found[1]["path_b64"] == "L2P/"
    assert comparison.files_compared == 3
    assert comparison.by_explanation == {"unexplained": 2, "restored": 1, "conffile": 0, "package_changed": 0}


def test_other_options_explain_what_only_one_has() -> None:
    comparison = Comparison(seen({b"/a": FILE, b"/b": FILE}), seen({b"/b": DAMAGED}, selection={"packages": ["b"]}))

    assert [change.path for change in comparison] == [b"/b"]
    assert comparison.files_not_compared == 1


def test_packages_that_came_went_and_changed() -> None:
    comparison = Comparison(seen({}, {"a": "1", "b": "1", "c": "1"}), seen({}, {"b": "2", "c": "1", "d": "1"}))

    assert comparison.packages() == {"installed": ["d"], "removed": ["a"], "other_version": ["b"]}
