# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two witnesses -> what changed in between, and what explains it. Pure but for its two streams, which it only reads.

Both are in the order of their paths, so that they are read side by side, whatever their size.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.alternatives import OWNER
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import is_utf8, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness import Witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_fields import MISSING, NOT_VERIFIED

#: What explains a change, the most suspicious first. Only the first leaves a question.
UNEXPLAINED = "unexplained"
RESTORED = "restored"
CONFFILE = "conffile"
PACKAGE_CHANGED = "package_changed"
EXPLANATIONS = (UNEXPLAINED, RESTORED, CONFFILE, PACKAGE_CHANGED)

#: What is said of all changes together, the worst first.
UNCHANGED = "unchanged"
EXPLAINED = "explained"
INCOMPLETE = "incomplete"

#: What of a file is compared. A time alone that changed is no change: content, mode and owner say what matters.
_PROPERTIES = ("type", "size", "mode", "uid", "gid", "target", "digest")

#: What the package database says of its content. Where that changed and the package did not, somebody changed both.
_SAID = ("expected", "other_expected")

_File = Mapping[str, object]


class Change(NamedTuple):
    """One path that is not as it was.

    ``change`` is ``changed``, ``appeared`` or ``disappeared``; ``properties`` names what is not as it was, with the
    values before and after.
    """

    path: bytes
    packages: tuple[str, ...]
    change: str
    explanation: str
    before: dict[str, object]
    after: dict[str, object]


class Comparison:
    """What changed between two witnesses: iterate over it for the changes; its counters are right afterwards."""

    def __init__(self, previous: Witness, current: Witness) -> None:
        """Take the two, the older first."""
        self._previous = previous
        self._current = current
        self.files_compared = 0
        self.by_explanation = dict.fromkeys(EXPLANATIONS, 0)
        #: Paths that only one of them could have, because it was made with other options.
        self.files_not_compared = 0
        #: Files of which nobody can tell whether the content is the same: one was not read, or they have digests by
        #: different algorithms. So are those that an upgrade explains as far as anybody could look.
        self.contents_not_compared = 0
        self._same_selection = previous.selection == current.selection

    def __iter__(self) -> Iterator[Change]:
        """Yield the changes in the order of their paths. Raises `InvalidInputError` for a damaged witness."""
        for path, before, after in _side_by_side(self._previous.files, self._current.files):
            change = self._compare(path, before, after)
            if _is_content_unknown(before, after) or _is_content_open(change, after):
                self.contents_not_compared += 1
            if change is not None:
                self.by_explanation[change.explanation] += 1
                yield change

    def verdict(self) -> str:
        """Return what is to be said of all of it: ``unchanged`` only where everything could be compared."""
        if self.by_explanation[UNEXPLAINED]:
            return UNEXPLAINED
        if self.contents_not_compared or self.files_not_compared:
            return INCOMPLETE
        return EXPLAINED if any(self.by_explanation.values()) else UNCHANGED

    def packages(self) -> dict[str, list[str]]:
        """Return the packages that were installed, removed and exchanged for another version in between, sorted."""
        before, after = self._previous.versions, self._current.versions
        return {
            "installed": sorted(set(after) - set(before)),
            "removed": sorted(set(before) - set(after)),
            "other_version": sorted(label for label in set(before) & set(after) if before[label] != after[label]),
        }

    def _compare(self, path: bytes, before: _File | None, after: _File | None) -> Change | None:
        kinds = [file["type"] for file in (before, after) if file is not None]
        if NOT_VERIFIED in kinds:
            self.contents_not_compared += 1
            return None
        if all(kind == MISSING for kind in kinds):
            return None
        if before is None or after is None:
            if not self._same_selection:
                self.files_not_compared += 1
                return None
            return self._came_or_went(path, before, after)
        if MISSING in kinds:
            return self._came_or_went(path, before, after)
        self.files_compared += 1
        differing = [key for key in (*_PROPERTIES, *_SAID) if _differs(key, before, after)]
        return self._change(path, "changed", before, after, differing) if differing else None

    def _came_or_went(self, path: bytes, before: _File | None, after: _File | None) -> Change:
        """Return the change that one is there of the two alone; the other was missing, or of no package."""
        is_gone = after is None or after["type"] == MISSING
        only = (before if is_gone else after) or {}
        kind = "disappeared" if is_gone else "appeared"
        return self._change(path, kind, before, after, [key for key in _PROPERTIES if key in only])

    def _change(self, path: bytes, kind: str, before: _File | None, after: _File | None, keys: list[str]) -> Change:
        labels = tuple(dict.fromkeys(_labels(before) + _labels(after)))
        return Change(
            path,
            labels,
            kind,
            self._explain(labels, before, after),
            _values(before, keys),
            _values(after, keys),
        )

    def _explain(self, labels: tuple[str, ...], before: _File | None, after: _File | None) -> str:
        """Return what explains a change: packages that changed themselves, administrators, or a repair.

        A package explains what is as it says now, as far as anybody could look, and that nothing is where no package
        has anything any more. What is damaged after an upgrade is damage all the same.
        """
        is_as_said = after is None or not _is_damaged(after)
        if is_as_said and self._has_changed(labels, before, after):
            return PACKAGE_CHANGED
        if any(file is not None and file.get("conffile") for file in (before, after)):
            return CONFFILE
        if is_as_said and self._are_alternatives(labels):
            return CONFFILE
        return RESTORED if after is not None and _is_restored(before, after) else UNEXPLAINED

    def _are_alternatives(self, labels: tuple[str, ...]) -> bool:
        """Tell whether a path is a link of the alternatives system and of no package (Fedora has one of that name).

        Administrators set them, and so does each package that brings or takes an alternative.
        """
        return labels == (OWNER,) and OWNER not in self._previous.versions and OWNER not in self._current.versions

    def _has_changed(self, labels: tuple[str, ...], before: _File | None, after: _File | None) -> bool:
        """Tell whether one of the packages is another one now; where versions are not known, what it says tells.

        So does a package that has moved the path here, out of the way of its own, or has ceased to.
        """
        earlier, later = self._previous.versions, self._current.versions
        if any(_is_another(label, earlier, later) for label in labels):
            return True
        if any(self._has_come_or_gone(name) for name in _diverters(before) ^ _diverters(after)):
            return True
        if before is None or after is None or MISSING in (before["type"], after["type"]):
            return False
        return any(earlier.get(label) is None for label in labels) and _expected(before) != _expected(after)

    def _has_come_or_gone(self, name: str) -> bool:
        """Tell whether a package, by its name without the architecture, is another one now."""
        earlier, later = self._previous.versions, self._current.versions
        named = (label for label in {**earlier, **later} if label.partition(":")[0] == name)
        return any(_is_another(label, earlier, later) for label in named)


_ABSENT = ""


def _is_another(label: str, earlier: Mapping[str, str | None], later: Mapping[str, str | None]) -> bool:
    return earlier.get(label, _ABSENT) != later.get(label, _ABSENT)


def _diverters(file: _File | None) -> frozenset[str]:
    """Return the package, if any, that has moved a path here."""
    name = file.get("diverted_by") if file is not None else None
    return frozenset((name,)) if isinstance(name, str) else frozenset()


def _is_damaged(file: _File) -> bool:
    """Tell whether a file was found not to be as its packages say it should be."""
    return file["type"] == MISSING or "sound" in file


def _is_unread(file: _File) -> bool:
    """Tell whether packages say what a regular file should have in it, and nobody could read what it has."""
    return file["type"] == "file" and file.get("digest") is None and any(_references(file))


def _is_restored(before: _File | None, after: _File) -> bool:
    """Tell whether a file that is sound now was missing, or not as the same reference said that it should be.

    The reference of before must have said so: else somebody has changed the database along with the file. Of what it
    did not name at all it said nothing.
    """
    if before is None or _is_damaged(after) or _is_unread(after) or not _is_damaged(before):
        return False
    digest = after.get("digest")
    return before["type"] == MISSING or digest is None or digest in _references(before)


def _references(file: _File) -> list[object]:
    """Return the digests that packages expect of a file."""
    others = file.get("other_expected")
    return [_expected(file), *(others if isinstance(others, list) else ())]


def _is_content_open(change: Change | None, after: _File | None) -> bool:
    """Tell whether an upgrade explains a file of which nobody knows whether it has what the new package brings."""
    is_explained = change is not None and change.explanation == PACKAGE_CHANGED
    return is_explained and after is not None and _is_unread(after)


def _is_content_unknown(before: _File | None, after: _File | None) -> bool:
    """Tell whether nothing says if the content of a file is the same."""
    if before is None or after is None:
        return False
    if not before["type"] == after["type"] == "file" or before.get("size") != after.get("size"):
        return False
    digests = before.get("digest"), after.get("digest")
    return None in digests or _algorithm(digests[0]) != _algorithm(digests[1])


def describe(change: Change) -> dict[str, Any]:
    """Return a change as the result holds it. A path that is not UTF-8 is also given as base64, which is exact."""
    described: dict[str, Any] = {"path": text(change.path)}
    if not is_utf8(change.path):
        described["path_b64"] = base64.b64encode(change.path).decode()
    fields = change._asdict()
    del fields["path"]
    return {**described, **fields, "packages": list(change.packages)}


def _side_by_side(
    previous: Iterator[tuple[bytes, _File]], current: Iterator[tuple[bytes, _File]]
) -> Iterator[tuple[bytes, _File | None, _File | None]]:
    """Yield each path with what either has of it."""
    before, after = next(previous, None), next(current, None)
    while before is not None and after is not None:
        if before[0] < after[0]:
            yield before[0], before[1], None
            before = next(previous, None)
        elif after[0] < before[0]:
            yield after[0], None, after[1]
            after = next(current, None)
        else:
            yield before[0], before[1], after[1]
            before, after = next(previous, None), next(current, None)
    while before is not None:
        yield before[0], before[1], None
        before = next(previous, None)
    while after is not None:
        yield after[0], None, after[1]
        after = next(current, None)


def _differs(key: str, before: _File, after: _File) -> bool:
    """Tell whether a property is another now; digests by different algorithms cannot tell."""
    if key in _SAID and _algorithm(_expected(before)) != _algorithm(_expected(after)):
        return False
    if key == "expected":
        return _expected(before) != _expected(after)
    first, second = before.get(key), after.get(key)
    return first != second and (key != "digest" or _algorithm(first) == _algorithm(second))


def _expected(file: _File) -> object:
    return file.get("expected", file.get("digest"))


def _algorithm(digest: object) -> str:
    return digest.partition(":")[0] if isinstance(digest, str) else ""


def _labels(file: _File | None) -> tuple[str, ...]:
    packages = file.get("packages") if file is not None else None
    return tuple(str(label) for label in packages) if isinstance(packages, list) else ()


def _values(file: _File | None, keys: list[str]) -> dict[str, object]:
    if file is None or file["type"] == MISSING:
        return {}
    values = {key: file.get(key) for key in keys if key != "expected"}
    if "expected" in keys:
        values["expected"] = _expected(file)
    # With it, damage that the system knows nothing of shows: other content, and the same time.
    values["modified"] = file.get("modified")
    return values
