# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several owners of one path: what they say together. Pure: opens nothing."""

from __future__ import annotations

from typing import TypeVar

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    SYMLINK,
    UNKNOWN,
    UNLISTED,
    Entry,
    Recorded,
)

_Value = TypeVar("_Value")


def merge(entry: Entry, package: str, kind: str, digest: bytes | None, recorded: Recorded | None = None) -> bool:
    """Add a further owner's claim on a path to the entry of those before it.

    ``kind`` is `UNKNOWN` where the owner names the path and no more. Returns false when the claims cannot be compared
    or cannot both be true: then the entry says what is left to verify, and the rest is a gap to be reported.
    """
    before = tuple(entry.packages) if digest is not None and entry.digest is None else ()
    if package != entry.packages[-1]:
        entry.packages.append(package)
    if digest is not None:
        return _merge_digest(entry, before, kind, digest, recorded)
    if kind == UNKNOWN or (entry.kind in (UNKNOWN, UNLISTED) and entry.digest is None):
        if entry.digest is not None:
            entry.undigested += (package,)
        elif kind != UNKNOWN:
            entry.kind = kind
        entry.recorded = _together(entry.recorded, recorded)
        return True
    if kind != entry.kind:
        if {kind, entry.kind} == {DIRECTORY, SYMLINK}:
            # A link to a directory is a directory to whoever looks through it: that much can be verified.
            entry.kind, entry.recorded = DIRECTORY, None
        return False
    agree = not entry.recorded or not recorded or entry.recorded.target == recorded.target
    entry.recorded = _together(entry.recorded, recorded)
    return agree


def _merge_digest(entry: Entry, before: tuple[str, ...], kind: str, digest: bytes, recorded: Recorded | None) -> bool:
    """Add the claim of an owner that knows the content; ``before`` are those who do not."""
    if entry.digest is None:
        if entry.kind != UNKNOWN:
            return False
        entry.undigested = before
        entry.digest, entry.kind = digest, kind
    elif len(digest) != len(entry.digest):
        return False
    elif digest != entry.digest and digest not in entry.other_digests:
        entry.other_digests += (digest,)
    if kind == CONFFILE:
        entry.kind = CONFFILE
    entry.recorded = _together(entry.recorded, recorded)
    return True


def _together(first: Recorded | None, second: Recorded | None) -> Recorded | None:
    """Return what two owners record where they agree, or where only one of them says something."""
    if first is None or second is None or first == second:
        return first if second is None else second
    return Recorded(
        mode=_common(first.mode, second.mode),
        owner=_common(first.owner, second.owner),
        group=_common(first.group, second.group),
        size=_common(first.size, second.size),
        target=_common(first.target, second.target),
        device=_common(first.device, second.device),
        modified=_common(first.modified, second.modified),
        capabilities=_common(first.capabilities, second.capabilities),
        required=first.required or second.required,
    )


def _common(one: _Value, other: _Value) -> _Value | None:
    if one is None or other is None:
        return other if one is None else one
    return one if one == other else None
