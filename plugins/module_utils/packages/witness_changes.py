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

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import is_utf8, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness import Witness

#: What explains a change, the most suspicious first. Only the first leaves a question.
UNEXPLAINED = "unexplained"
RESTORED = "restored"
CONFFILE = "conffile"
PACKAGE_CHANGED = "package_changed"
EXPLANATIONS = (UNEXPLAINED, RESTORED, CONFFILE, PACKAGE_CHANGED)

#: What of a file is compared. A time alone that changed is no change: content, mode and owner say what matters.
_PROPERTIES = ("type", "size", "mode", "uid", "gid", "target", "digest")

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
        self._same_selection = previous.selection == current.selection

    def __iter__(self) -> Iterator[Change]:
        """Yield the changes in the order of their paths. Raises `InvalidInputError` for a damaged witness."""
        for path, before, after in _side_by_side(self._previous.files, self._current.files):
            change = self._compare(path, before, after)
            if change is not None:
                self.by_explanation[change.explanation] += 1
                yield change

    def packages(self) -> dict[str, list[str]]:
        """Return the packages that were installed, removed and exchanged for another version in between, sorted."""
        before, after = self._previous.versions, self._current.versions
        return {
            "installed": sorted(set(after) - set(before)),
            "removed": sorted(set(before) - set(after)),
            "other_version": sorted(label for label in set(before) & set(after) if before[label] != after[label]),
        }

    def _compare(self, path: bytes, before: _File | None, after: _File | None) -> Change | None:
        if before is None or after is None:
            if not self._same_selection:
                self.files_not_compared += 1
                return None
            only = after or before or {}
            kind = "disappeared" if after is None else "appeared"
            return self._change(path, kind, before, after, [key for key in _PROPERTIES if key in only])
        self.files_compared += 1
        differing = [key for key in (*_PROPERTIES, "expected") if _differs(key, before, after)]
        return self._change(path, "changed", before, after, differing) if differing else None

    def _change(self, path: bytes, kind: str, before: _File | None, after: _File | None, keys: list[str]) -> Change:
        labels = tuple(dict.fromkeys(_labels(before) + _labels(after)))
        return Change(
            path,
            labels,
            kind,
            self._explain(labels, kind, before or {}, after or {}),
            _values(before, keys),
            _values(after, keys),
        )

    def _explain(self, labels: tuple[str, ...], kind: str, before: _File, after: _File) -> str:
        """Return what explains a change: packages that changed themselves, administrators, or a repair."""
        versions = self._previous.versions, self._current.versions
        if any(versions[0].get(label, _ABSENT) != versions[1].get(label, _ABSENT) for label in labels):
            return PACKAGE_CHANGED
        unknown = any(versions[0].get(label) is None for label in labels)
        sound_now = kind != "disappeared" and "expected" not in after
        if unknown and kind == "changed" and sound_now and _expected(before) != _expected(after):
            return PACKAGE_CHANGED
        if before.get("conffile") or after.get("conffile"):
            return CONFFILE
        return RESTORED if sound_now and _was_wrong(before, after) else UNEXPLAINED


_ABSENT = ""


def _was_wrong(before: _File, after: _File) -> bool:
    """Tell whether a file that is sound now was not there, was something else, or had another content than expected."""
    if not before:
        return True
    digest = after.get("digest")
    return digest is not None and (before.get("type") != "file" or before.get("expected") == digest)


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
    if key == "expected":
        first, second = _expected(before), _expected(after)
    else:
        first, second = before.get(key), after.get(key)
    if key in ("digest", "expected") and _algorithm(first) != _algorithm(second):
        return False
    return first != second


def _expected(file: _File) -> object:
    return file.get("expected", file.get("digest"))


def _algorithm(digest: object) -> str:
    return digest.partition(":")[0] if isinstance(digest, str) else ""


def _labels(file: _File | None) -> tuple[str, ...]:
    packages = file.get("packages") if file is not None else None
    return tuple(str(label) for label in packages) if isinstance(packages, list) else ()


def _values(file: _File | None, keys: list[str]) -> dict[str, object]:
    if file is None:
        return {}
    values = {key: file.get(key) for key in keys if key != "expected"}
    if "expected" in keys:
        values["expected"] = _expected(file)
    # With it, damage that the system knows nothing of shows: other content, and the same time.
    values["modified"] = file.get("modified")
    return values
