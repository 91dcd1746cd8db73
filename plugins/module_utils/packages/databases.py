# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whichever package databases a root has -> one manifest.

A system may have several (an Alien's Debian with rpm packages, a Gentoo prefix beside dpkg): all that hold something
are read.
"""

from __future__ import annotations

import os
import re

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import dpkg, portage, rpm
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.claims import dispute, merge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_database import ADMIN_DIRECTORY
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DatabaseProblem,
    Entry,
    Gap,
    Manifest,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

_READERS = (
    (dpkg.present, dpkg.read_manifest),
    (rpm.present, rpm.read_manifest),
    (portage.present, portage.read_manifest),
)


def read_manifest(tree: Tree, wanted: re.Pattern[str] | None = None, conffiles: bool = True) -> Manifest:
    """Read every package database below a root; the arguments are those of each reader.

    Raises `InvalidInputError` when the root has none, `MeasurementError` when one may not be read at all.
    """
    readers = [read for present, read in _READERS if present(tree)]
    if not readers and _has_directory(tree):
        readers = [dpkg.read_manifest]  # Its directory without anything in it: that is damage, and it says so.
    if not readers:
        root = os.fsdecode(tree.root) or "/"
        reason = "it has no dpkg database, no rpm database and no Portage database"
        raise InvalidInputError(f"root {root!r}", reason, "Give the root of an installed system")
    manifests = [read(tree, wanted, conffiles) for read in readers]
    manifest = manifests[0]
    for other in manifests[1:]:
        manifest = _together(manifest, other)
    if not manifest.installed and not manifest.problems:
        remedy = "Restore the package database from a backup, then verify again"
        manifest.problems.append(DatabaseProblem(manifest.state_file, "no database here holds a package", remedy))
    if not dpkg.present(tree) and _has_directory(tree):
        detail = "its directory is there and holds no database: it is lost, or never held one"
        manifest.gaps.append(Gap("database_empty", detail, (), 0, ADMIN_DIRECTORY))
    return manifest


def _has_directory(tree: Tree) -> bool:
    try:
        tree.names(ADMIN_DIRECTORY.encode())
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _together(first: Manifest, second: Manifest) -> Manifest:
    """Return what two databases of one root say together. The parts of the first are used up."""
    gaps = first.gaps + second.gaps
    entries: dict[bytes, Entry] = {entry.path: entry for entry in first.entries}
    for entry in second.entries:
        before = entries.setdefault(entry.path, entry)
        if before is not entry and not _add(before, entry):
            detail = "two package managers disagree about the path, or cannot be compared: only one was verified"
            gaps.append(Gap("ownership_conflict", detail, tuple(before.packages), 0, text(entry.path)))
    return Manifest(
        entries=sorted(entries.values(), key=lambda entry: entry.path),
        installed=first.installed + second.installed,
        names={**second.names, **first.names},
        versions={**second.versions, **first.versions},
        problems=first.problems + second.problems,
        gaps=gaps,
        states=first.states + second.states,
        filters=first.filters + second.filters,
        not_recorded=tuple(dict.fromkeys(first.not_recorded + second.not_recorded)),
        digest_files={**second.digest_files, **first.digest_files},
        state_file=first.state_file if first.states or not second.states else second.state_file,
    )


def _add(before: Entry, entry: Entry) -> bool:
    """Add another database's claims on a path to those of the first."""
    sound = True
    for package in entry.packages:
        sound = merge(before, package, entry.kind, entry.digest, entry.recorded) and sound
    dispute(before, entry.disputed)
    before.other_digests += tuple(
        digest
        for digest in entry.other_digests
        if digest not in (before.digest, *before.other_digests) and len(digest) == len(before.digest or b"")
    )
    return sound
