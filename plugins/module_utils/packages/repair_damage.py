# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was found about one path, and what it gets from its package. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    FILE,
    SYMLINK,
    Entry,
    Finding,
    text,
)

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Member

#: Classes of findings about what is at a path, about what its inode says, and about what has nothing left of it.
CONTENT_CLASSES = frozenset(
    (
        "content_changed",
        "unreadable",
        "type_changed",
        "missing",
        "diverted_target_missing",
        "target_changed",
        "device_changed",
        "capabilities_changed",
        "cached_good_disk_bad",
        "config_changed",
        "config_missing",
        "package_broken",
    )
)
METADATA_CLASSES = frozenset(("mode_changed", "owner_changed"))
LOST_CLASSES = frozenset(("missing", "type_changed", "config_missing", "diverted_target_missing"))
_SETS_METADATA = re.compile(rb"\b(?:chmod|chown|chgrp|setcap|setfacl|dpkg-statoverride|install)\b")


class Damage(NamedTuple):
    """Everything that was found about one path."""

    path: bytes
    entry: Entry | None
    packages: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def classes(self) -> frozenset[str]:
        """The classes of what was found."""
        return frozenset(finding.category for finding in self.findings)

    @property
    def why(self) -> str:
        """The classes, for a person."""
        return ", ".join(sorted(self.classes))


def by_path(findings: Iterable[Finding], entries: Mapping[bytes, Entry]) -> list[Damage]:
    """Put together what was found about each path; what was found about a package has its label for a path."""
    grouped: dict[tuple[bytes, tuple[str, ...]], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault((finding.path, finding.packages), []).append(finding)
    return [
        Damage(path, entries.get(path), packages, tuple(found)) for (path, packages), found in sorted(grouped.items())
    ]


def agrees(member: Member, entry: Entry) -> bool:
    """Tell whether a file has the content that the database knows it by, where that is the same kind of digest."""
    known = (entry.digest, *entry.other_digests)
    return member.sha256 is None or len(entry.digest or b"") != len(member.sha256) or member.sha256 in known


def is_set_by(script: bytes, path: bytes) -> bool:
    """Tell whether a script that sets owners, modes or capabilities speaks of a file."""
    return b"/" + path.rpartition(b"/")[2] in script and _SETS_METADATA.search(script) is not None


def metadata(damage: Damage, member: Member) -> tuple[int | None, str | int | None, str | int | None]:
    """Return the mode, owner and group that a path gets: what the database records wins (a statoverride)."""
    lost = bool(damage.classes & LOST_CLASSES)
    recorded = damage.entry.recorded if damage.entry is not None else None
    mode: int | None = None
    owner: str | int | None = None
    group: str | int | None = None
    if (lost or "mode_changed" in damage.classes) and member.kind != SYMLINK:
        mode = _mode(damage, member)
    if lost or "owner_changed" in damage.classes:
        owner = (member.owner or member.uid) if recorded is None or recorded.owner is None else recorded.owner
        group = (member.group or member.gid) if recorded is None or recorded.group is None else recorded.group
    return mode, owner, group


def capabilities(damage: Damage, member: Member, of_package: Mapping[bytes, str]) -> str | None:
    """Return the capabilities that a file gets, in their text form; `None` where it keeps what it has.

    What the database records wins; a new file has those of its package where the packager wants them not verified.
    """
    recorded = damage.entry.recorded if damage.entry is not None else None
    if recorded is not None and recorded.capabilities is not None:
        return recorded.capabilities
    return of_package.get(member.path) if damage.classes & LOST_CLASSES else None


def _mode(damage: Damage, member: Member) -> int:
    """Return the mode that a path gets; where scripts set it, what it has but for the bits that nobody asks for."""
    recorded = damage.entry.recorded if damage.entry is not None else None
    if recorded is None:
        return member.mode
    if recorded.mode is not None:
        return recorded.mode
    for finding in damage.findings:
        if finding.category == "mode_changed" and "mode_without" in finding.expected:
            return int(str(finding.actual["mode"]), 8) & ~recorded.denied
    return member.mode


def described(member: Member, mode: int | None, owner: str | int | None, group: str | int | None) -> dict[str, object]:
    """Return what will be at a path."""
    after: dict[str, object] = {"type": member.kind}
    if member.kind == FILE:
        after["size"] = member.size
    if member.sha256 is not None:
        after["sha256"] = member.sha256.decode()
    if member.target is not None:
        after["target"] = text(member.target)
    if mode is not None:
        after["mode"] = f"{mode:04o}"
    if owner is not None:
        after["owner"] = owner
    if group is not None:
        after["group"] = group
    return after
