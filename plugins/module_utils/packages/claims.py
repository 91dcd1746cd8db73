# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several owners of one path: what they say together. Pure: opens nothing."""

from __future__ import annotations

from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    ANYTHING,
    CONFFILE,
    DIRECTORY,
    SYMLINK,
    UNKNOWN,
    UNLISTED,
    Entry,
    Recorded,
)

#: What owners can disagree about.
_PROPERTIES = ("mode", "owner", "group", "size", "target", "device", "modified", "capabilities")


def merge(entry: Entry, package: str, kind: str, digest: bytes | None, recorded: Recorded | None = None) -> bool:
    """Add a further owner's claim on a path to the entry of those before it.

    ``kind`` is `UNKNOWN` where the owner names the path and no more, and `ANYTHING` where it says that others decide
    what is there: then they do. Returns false when the claims cannot be compared or cannot both be true: then the entry
    says what is left to verify, and the rest is a gap to be reported.
    """
    before = tuple(entry.packages) if digest is not None and entry.digest is None else ()
    if package != entry.packages[-1]:
        entry.packages.append(package)
    if ANYTHING in (kind, entry.kind):
        _merge_ghost(entry, kind, digest, recorded)
        return True
    if digest is not None:
        return _merge_digest(entry, before, kind, digest, recorded)
    if kind == UNKNOWN or (entry.kind in (UNKNOWN, UNLISTED) and entry.digest is None):
        if entry.digest is not None:
            entry.undigested += (package,)
        elif kind != UNKNOWN:
            entry.kind = kind
        _record(entry, recorded)
        return True
    if kind != entry.kind:
        if {kind, entry.kind} == {DIRECTORY, SYMLINK}:
            # A link to a directory is a directory to whoever looks through it: that much can be verified.
            entry.kind, entry.recorded, entry.disputed = DIRECTORY, None, frozenset(_PROPERTIES)
        return False
    _record(entry, recorded)
    return "target" not in entry.disputed


def _merge_ghost(entry: Entry, kind: str, digest: bytes | None, recorded: Recorded | None) -> None:
    """Add a claim where the new owner, or all those before it, leave open what is there."""
    if kind == entry.kind:
        _record(entry, recorded)
    elif entry.kind == ANYTHING:
        entry.kind, entry.digest, entry.recorded, entry.disputed = kind, digest, recorded, frozenset()


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
    _record(entry, recorded)
    return True


def _record(entry: Entry, recorded: Recorded | None) -> None:
    """Add what a further owner records; what owners disagree about is not recorded, whatever the next one says."""
    if recorded is None:
        return
    before = entry.recorded
    if before is not None and before != recorded:
        pairs = {name: (getattr(before, name), getattr(recorded, name)) for name in _PROPERTIES}
        entry.disputed |= {name for name, pair in pairs.items() if None not in pair and pair[0] != pair[1]}
    entry.recorded = _without(_together(before, recorded), entry.disputed)


def dispute(entry: Entry, names: frozenset[str]) -> None:
    """Add properties about which further owners of an entry disagree among themselves."""
    entry.disputed |= names
    if entry.recorded is not None:
        entry.recorded = _without(entry.recorded, names)


def _without(recorded: Recorded, names: frozenset[str]) -> Recorded:
    nothing: dict[str, Any] = dict.fromkeys(names)
    return recorded._replace(**nothing) if names else recorded


def _together(first: Recorded | None, second: Recorded) -> Recorded:
    """Return what either of two owners records: what the first says where both do."""
    if first is None or first == second:
        return second
    said = {name: getattr(first, name) for name in _PROPERTIES}
    said = {name: getattr(second, name) if value is None else value for name, value in said.items()}
    return Recorded(**said, required=first.required or second.required, denied=first.denied & second.denied)
