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
DAMAGED = {**FILE, "digest": OTHER, "expected": SOUND, "sound": False}
UNREAD = {**FILE, "digest": None, "expected": SOUND}
UNREADABLE = {**UNREAD, "sound": False}
OF_ARCHIVE = {**FILE, "digest": "sha256:" + "3" * 64}
# Two packages disagree about it, and it is as the second says.
CONTESTED = {**FILE, "digest": OTHER, "expected": SOUND, "other_expected": [OTHER]}
LINK: Mapping[str, Any] = {key: FILE[key] for key in ("mode", "uid", "gid", "modified", "packages")} | {
    "type": "symlink",
    "target": "x",
    "expected": SOUND,
    "sound": False,
}
LINK_TO_X = {key: value for key, value in LINK.items() if key not in ("expected", "sound")}
MISSING: Mapping[str, Any] = {"type": "missing", "packages": ["alpha"]}
NOT_VERIFIED: Mapping[str, Any] = {"type": "not_verified", "packages": ["alpha"]}
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
        (FILE, MISSING, {"alpha": "1.0"}, "disappeared", "unexplained"),
        # and most of all where the database has changed with it.
        (FILE, {**FILE, "digest": NEW}, {"alpha": "1.0"}, "changed", "unexplained"),
        (FILE, {**FILE, "expected": NEW}, {"alpha": "1.0"}, "changed", "unexplained"),
        (DAMAGED, {**FILE, "digest": OTHER}, {"alpha": "1.0"}, "changed", "unexplained"),
        (FILE, {**FILE, "other_expected": [OTHER]}, {"alpha": "1.0"}, "changed", "unexplained"),
        # An upgrade explains it, and so does a package that comes or goes,
        (FILE, {**FILE, "digest": NEW}, {"alpha": "2.0"}, "changed", "package_changed"),
        (FILE, None, {"alpha": "2.0"}, "disappeared", "package_changed"),
        (FILE, None, {}, "disappeared", "package_changed"),
        (None, {**FILE, "packages": ["beta"]}, {"alpha": "1.0", "beta": "1"}, "appeared", "package_changed"),
        (FILE, {**FILE, "digest": NEW, "other_expected": [SOUND]}, {"alpha": "2.0"}, "changed", "package_changed"),
        # but not what is damaged or lost after it: it is not as the new package says either.
        (FILE, DAMAGED, {"alpha": "2.0"}, "changed", "unexplained"),
        (FILE, MISSING, {"alpha": "2.0"}, "disappeared", "unexplained"),
        (FILE, {**FILE, "mode": "4755", "sound": False}, {"alpha": "2.0"}, "changed", "unexplained"),
        (FILE, LINK, {"alpha": "2.0"}, "changed", "unexplained"),
        (FILE, {**FILE, "digest": OTHER, "expected": None, "sound": False}, {"alpha": "2.0"}, "changed", "unexplained"),
        (FILE, {**UNREADABLE, "expected": NEW}, {"alpha": "2.0"}, "changed", "unexplained"),
        (FILE, {**UNREADABLE, "mode": "4755"}, {"alpha": "2.0"}, "changed", "unexplained"),
        (None, DAMAGED, {"alpha": "2.0"}, "appeared", "unexplained"),
        # also where versions are not known, by what the database expects now.
        (FILE, {**FILE, "digest": NEW}, NOTHING_KNOWN, "changed", "package_changed"),
        (FILE, {**FILE, "digest": NEW, "expected": OTHER, "sound": False}, NOTHING_KNOWN, "changed", "unexplained"),
        (FILE, DAMAGED, NOTHING_KNOWN, "changed", "unexplained"),
        # Administrators change conffiles.
        ({**FILE, "conffile": True}, {**DAMAGED, "conffile": True}, {"alpha": "1.0"}, "changed", "conffile"),
        ({**FILE, "conffile": True}, None, {"alpha": "1.0"}, "disappeared", "conffile"),
        # What is again as its package says was repaired.
        (DAMAGED, FILE, {"alpha": "1.0"}, "changed", "restored"),
        (MISSING, FILE, {"alpha": "1.0"}, "appeared", "restored"),
        (UNREADABLE, {**FILE, "mode": "0600"}, {"alpha": "1.0"}, "changed", "restored"),
        # What no reference named before was not there to be repaired: the database has changed along with it.
        (None, FILE, {"alpha": "1.0"}, "appeared", "unexplained"),
        (None, LINK_TO_X, {"alpha": "1.0"}, "appeared", "unexplained"),
        # Nobody knows whether what cannot be read is as it should be again, or was not before.
        (MISSING, UNREAD, {"alpha": "1.0"}, "appeared", "unexplained"),
        (DAMAGED, {**UNREAD, "size": 6}, {"alpha": "1.0"}, "changed", "unexplained"),
        (UNREAD, {**FILE, "mode": "4755"}, {"alpha": "1.0"}, "changed", "unexplained"),
        (LINK, FILE, {"alpha": "1.0"}, "changed", "restored"),
        ({**LINK, "expected": NEW}, FILE, {"alpha": "1.0"}, "changed", "unexplained"),
        ({**DAMAGED, "other_expected": [NEW]}, CONTESTED, {"alpha": "1.0"}, "changed", "unexplained"),
        ({**DAMAGED, "digest": NEW, "other_expected": [OTHER]}, CONTESTED, {"alpha": "1.0"}, "changed", "restored"),
        (None, DAMAGED, {"alpha": "1.0"}, "appeared", "unexplained"),
        (MISSING, DAMAGED, {"alpha": "1.0"}, "appeared", "unexplained"),
        # What is as another package says, of those that disagree, was not as it is now.
        ({**FILE, "other_expected": [OTHER]}, CONTESTED, {"alpha": "1.0"}, "changed", "unexplained"),
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
    ("before", "after"),
    [(FILE, FILE), (FILE, {**FILE, "modified": 8}), (MISSING, MISSING), (MISSING, None), (CONTESTED, CONTESTED)],
    ids=["the same", "a time alone", "missing before", "missing, and no longer asked for", "contested"],
)
def test_no_change(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> None:
    comparison = Comparison(seen({b"/f": before}), seen({b"/f": after} if after else {}))

    assert list(comparison) == []
    assert (comparison.contents_not_compared, comparison.verdict()) == (0, "unchanged")


@pytest.mark.parametrize(
    ("before", "after", "verdict", "changes_total"),
    [
        (FILE, OF_ARCHIVE, "incomplete", 0),
        (FILE, UNREAD, "incomplete", 0),
        (UNREAD, FILE, "incomplete", 0),
        (UNREAD, UNREAD, "incomplete", 0),
        (FILE, NOT_VERIFIED, "incomplete", 0),
        (NOT_VERIFIED, FILE, "incomplete", 0),
        (NOT_VERIFIED, None, "incomplete", 0),
        (NOT_VERIFIED, MISSING, "incomplete", 0),
        (FILE, {**OF_ARCHIVE, "mode": "4755"}, "unexplained", 1),
        ({**FILE, "conffile": True}, {**OF_ARCHIVE, "conffile": True, "uid": 5}, "incomplete", 1),
    ],
)
def test_contents_that_cannot_be_compared_are_counted_and_never_called_unchanged(
    before: Mapping[str, Any], after: Mapping[str, Any] | None, verdict: str, changes_total: int
) -> None:
    comparison = Comparison(seen({b"/f": before}), seen({b"/f": after} if after else {}))

    assert len(list(comparison)) == changes_total
    assert (comparison.contents_not_compared, comparison.verdict()) == (1, verdict)


@pytest.mark.parametrize(
    ("before", "after", "versions"),
    [
        (FILE, {**UNREAD, "expected": NEW}, {"alpha": "2.0"}),
        (FILE, {**UNREAD, "size": 6}, {"alpha": "2.0"}),
        (UNREAD, {**UNREAD, "expected": NEW}, {"alpha": "2.0"}),
        (FILE, {**UNREAD, "expected": NEW}, NOTHING_KNOWN),
        (None, {**UNREAD, "packages": ["beta"]}, {"alpha": "1.0", "beta": "1.0"}),
    ],
)
def test_an_upgrade_explains_what_this_user_may_not_read_and_it_is_counted(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], versions: Mapping[str, str | None]
) -> None:
    earlier = NOTHING_KNOWN if versions is NOTHING_KNOWN else {"alpha": "1.0"}
    comparison = Comparison(seen({b"/f": before} if before else {}, earlier), seen({b"/f": after}, versions))

    assert [change.explanation for change in comparison] == ["package_changed"]
    assert (comparison.contents_not_compared, comparison.verdict()) == (1, "incomplete")


DIVERTED = {**FILE, "diverted_by": "beta"}


@pytest.mark.parametrize(
    ("before", "after", "earlier", "later", "explanation"),
    [
        (None, DIVERTED, {}, {"beta:amd64": "1.0"}, "package_changed"),
        (DIVERTED, None, {"beta:amd64": "1.0"}, {}, "package_changed"),
        # It was there all the while,
        (None, DIVERTED, {"beta:amd64": "1.0"}, {"beta:amd64": "1.0"}, "unexplained"),
        (DIVERTED, {**DIVERTED, "mode": "4755"}, {"beta:amd64": "1.0"}, {"beta:amd64": "2.0"}, "unexplained"),
        # and what is damaged in the other place is damage.
        (None, {**DAMAGED, "diverted_by": "beta"}, {}, {"beta:amd64": "1.0"}, "unexplained"),
    ],
)
def test_a_package_that_diverts_explains_what_it_moves(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    earlier: Mapping[str, str],
    later: Mapping[str, str],
    explanation: str,
) -> None:
    previous = seen({b"/f": before} if before else {}, {"alpha": "1.0", **earlier})

    (found,) = changes(previous, seen({b"/f": after} if after else {}, {"alpha": "1.0", **later}))

    assert (found["explanation"], found["packages"]) == (explanation, ["alpha"])


def test_another_size_tells_that_the_content_is_another() -> None:
    comparison = Comparison(seen({b"/f": FILE}), seen({b"/f": {**UNREAD, "size": 6}}))

    (found,) = comparison

    assert (found.before["size"], found.after["size"]) == (5, 6)
    assert comparison.contents_not_compared == 0


ALTERNATIVE: Mapping[str, Any] = {
    **{key: value for key, value in LINK.items() if key not in ("expected", "sound")},
    "packages": ["alternatives"],
}


@pytest.mark.parametrize(
    ("after", "versions", "explanation"),
    [
        ({**ALTERNATIVE, "target": "y"}, {"alpha": "1.0"}, "conffile"),
        (None, {"alpha": "1.0"}, "conffile"),
        # What the alternatives system says otherwise,
        ({**ALTERNATIVE, "target": "y", "sound": False}, {"alpha": "1.0"}, "unexplained"),
        ({**MISSING, "packages": ["alternatives"]}, {"alpha": "1.0"}, "unexplained"),
        # and what is of a package that is called so.
        ({**ALTERNATIVE, "target": "y"}, {"alternatives": "1.0"}, "unexplained"),
    ],
)
def test_packages_and_administrators_set_alternatives(
    after: Mapping[str, Any] | None, versions: Mapping[str, str], explanation: str
) -> None:
    previous = seen({b"/f": ALTERNATIVE}, versions)

    (found,) = changes(previous, seen({b"/f": after} if after else {}, versions))

    assert found["explanation"] == explanation


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
    assert comparison.by_explanation == {"unexplained": 3, "restored": 0, "conffile": 0, "package_changed": 0}


def test_other_options_explain_what_only_one_has() -> None:
    comparison = Comparison(seen({b"/a": FILE, b"/b": FILE}), seen({b"/b": DAMAGED}, selection={"packages": ["b"]}))

    assert [change.path for change in comparison] == [b"/b"]
    assert comparison.files_not_compared == 1


def test_what_other_options_leave_uncompared_is_not_called_unchanged() -> None:
    comparison = Comparison(seen({b"/a": FILE, b"/b": FILE}), seen({b"/b": FILE}, selection={"packages": ["b"]}))

    assert list(comparison) == []
    assert comparison.verdict() == "incomplete"


def test_packages_that_came_went_and_changed() -> None:
    comparison = Comparison(seen({}, {"a": "1", "b": "1", "c": "1"}), seen({}, {"b": "2", "c": "1", "d": "1"}))

    assert comparison.packages() == {"installed": ["d"], "removed": ["a"], "other_version": ["b"]}
