# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rpm's database -> manifest: which files belong where, and what of each the packager wants verified.

rpm records everything about a file. What it does not verify itself is not recorded in the manifest either: what the
packager excluded (``%verify(not ...)``), what means nothing for a type (the size of a directory), the content of a
``%ghost``. Nothing is written, no lock is taken, rpm is not run.
"""

from __future__ import annotations

import functools
import os
import re
import stat
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.claims import merge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    ANYTHING,
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    CONFFILE,
    FILE,
    SYMLINK,
    UNKNOWN,
    DatabaseProblem,
    Entry,
    Gap,
    Manifest,
    Recorded,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_database import (
    Database,
    Record,
    Soundness,
    UnreadableDatabaseError,
    find_database,
    open_database,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_package import (
    CONFIG,
    DIGEST_DIGITS,
    GHOST,
    KINDS,
    MISSING_OK,
    NET_SHARED,
    NOT_INSTALLED,
    REPLACED,
    VERIFY_CAPABILITIES,
    VERIFY_DEVICE,
    VERIFY_DIGEST,
    VERIFY_GROUP,
    VERIFY_MODE,
    VERIFY_MODIFIED,
    VERIFY_SIZE,
    VERIFY_TARGET,
    VERIFY_USER,
    WRONG_COLOR,
    PackagedFile,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: What of each type can be compared at all; of a link rpm compares neither mode nor time.
_OWNERSHIP = VERIFY_USER | VERIFY_GROUP
_VERIFIABLE = {
    FILE: _OWNERSHIP | VERIFY_DIGEST | VERIFY_SIZE | VERIFY_MODE | VERIFY_MODIFIED | VERIFY_CAPABILITIES,
    SYMLINK: _OWNERSHIP | VERIFY_TARGET,
    CHARACTER_DEVICE: _OWNERSHIP | VERIFY_MODE | VERIFY_DEVICE,
    BLOCK_DEVICE: _OWNERSHIP | VERIFY_MODE | VERIFY_DEVICE,
}
_CONTENT = VERIFY_DIGEST | VERIFY_SIZE | VERIFY_MODIFIED
#: What rpm does not compare of a ghost, and of a file that is there for another architecture.
_NOT_OF_GHOST = _CONTENT | VERIFY_TARGET | VERIFY_CAPABILITIES
_NOT_OF_WRONG_COLOR = _CONTENT | VERIFY_DEVICE

#: States in which a package does not say what is at a path, though it names it.
_VAGUE = {
    REPLACED: "replaced",
    NOT_INSTALLED: "not_installed",
    NET_SHARED: "net_shared",
    WRONG_COLOR: "wrong_color",
}

#: The others are entries too: those who look at them count what of them could not be verified.
_WITHOUT_ENTRY = ("conffiles_ignored", "net_shared")
_WHY = {
    "conffiles_ignored": "conffiles are ignored on request",
    "net_shared": "the file comes from a shared file system, as rpm was told, and is not this system's",
    "not_to_be_verified": "the packager says that its content may change, so it was not compared",
    "unknown_digest_algorithm": "the digest algorithm of the package is not known here",
    "wrong_color": "the file is there for another architecture, so its content was not compared",
    "owners_disagree": "packages that share the path record different properties, so these were not compared",
}


def present(tree: Tree) -> bool:
    """Tell whether a root has an rpm database, be it damaged or lost but for what was beside it."""
    return find_database(tree) is not None


def read_manifest(tree: Tree, wanted: re.Pattern[str] | None = None, conffiles: bool = True) -> Manifest:
    """Read the rpm database below a root.

    ``wanted`` matches the packages to verify (name, name.architecture, or the whole name with version; `None`: all);
    the database is checked as a whole in any case. Without ``conffiles`` those are left out and counted as a gap.
    Raises `InvalidInputError` when the root has no rpm database, `MeasurementError` when this user cannot read it.
    """
    try:
        database = open_database(tree)
    except UnreadableDatabaseError as error:
        problem = DatabaseProblem(error.value, error.reason, error.remedy)
        return Manifest(problems=[problem], state_file=error.value)
    try:
        return _Reader(tree, database, wanted, conffiles).read()
    finally:
        database.close()


class _Reader:
    """One reading of one database; what it collects ends up in its manifest."""

    def __init__(self, tree: Tree, database: Database, wanted: re.Pattern[str] | None, conffiles: bool) -> None:
        self.tree = tree
        self.database = database
        self.wanted = wanted
        self.with_conffiles = conffiles
        self.manifest = Manifest(state_file=database.file)
        self.entries: dict[bytes, Entry] = {}
        #: Paths that only packages claim which do not say what is there, and why; the next to claim one knows better.
        self.vague: dict[bytes, str] = {}
        self.missed: dict[tuple[str, str], list[bytes]] = {}

    def read(self) -> Manifest:
        """Check the database, then read the files of each package."""
        soundness = Soundness(self.database)
        manifest = self.manifest
        manifest.problems, manifest.gaps = soundness.problems, soundness.gaps
        for record in soundness.records:
            self._read_package(record, soundness)
        manifest.installed += soundness.lost
        for path, vague in self.vague.items():
            entry = self.entries[path]
            if vague == "wrong_color" and entry.kind in (FILE, CONFFILE):
                self._miss("wrong_color", entry.packages[0], path)
        for (reason, label), paths in self.missed.items():
            count = len(paths) if reason in _WITHOUT_ENTRY else 0
            manifest.gaps.append(Gap(reason, _WHY[reason], (label,), count, text(paths[0])))
        manifest.entries = sorted(self.entries.values(), key=lambda entry: entry.path)
        return manifest

    def _read_package(self, record: Record, soundness: Soundness) -> None:
        """Add the files of one package to the entries."""
        label = soundness.labels[record.number]
        found = soundness.files(record)
        if found is None:
            return
        self.manifest.installed.append(label)
        package = record.package
        self.manifest.versions[label] = package.nevra
        names = self.manifest.names[label] = (package.name, f"{package.name}.{package.architecture}", package.nevra)
        files, algorithm = found
        if files and self.wanted is not None and not any(map(self.wanted.match, (label, *names))):
            detail = "not among the packages asked for"
            self.manifest.gaps.append(Gap("not_selected", detail, (label,), len(files), label))
            return
        for file in files:
            self._read_file(file, label, algorithm in DIGEST_DIGITS)

    def _read_file(self, file: PackagedFile, label: str, known_algorithm: bool) -> None:
        """Add one file of one package to the entries, or say why it is none."""
        treatment = _treatment(file.mode, file.flags, file.verify_flags, file.state)
        if treatment.vague == "net_shared":
            self._miss("net_shared", label, file.path)
            return
        if file.flags & CONFIG and not self.with_conffiles:
            self._miss("conffiles_ignored", label, file.path)
            return
        entry = Entry(self.tree.locate(file.path), file.path, treatment.kind, label)
        if treatment.vague != "replaced":
            entry.recorded = _recorded(file, treatment)
            if treatment.compared & VERIFY_DIGEST and known_algorithm:
                entry.digest = file.digest or None
            elif file.digest and not treatment.vague:
                self._miss("not_to_be_verified" if known_algorithm else "unknown_digest_algorithm", label, file.path)
        self._add(entry, treatment.vague)

    def _add(self, entry: Entry, vague: str) -> None:
        """Add one package's claim on one path; a vague one says less than any other package's."""
        former = self.entries.get(entry.path)
        if former is None:
            self.entries[entry.path] = entry
            if vague:
                self.vague[entry.path] = vague
        elif vague == "ghost" and former.kind == ANYTHING:
            self._join(former, entry)
        elif vague:
            if vague != "not_installed":
                _own(former, entry)
        elif entry.path in self.vague:
            if self.vague.pop(entry.path) != "not_installed":
                entry.packages = [*former.packages, *entry.packages]
            self.entries[entry.path] = entry
        else:
            self._join(former, entry)

    def _join(self, former: Entry, entry: Entry) -> None:
        """Add to an entry what a further owner says of the path."""
        before = former.recorded
        label = entry.packages[0]
        agreed = merge(former, label, entry.kind, entry.digest, entry.recorded)
        if former.recorded is not None:
            # Each package has the time at which it was built.
            former.recorded = former.recorded._replace(modified=None)
        if not agreed or _contradict(before, entry.recorded):
            self._miss("owners_disagree", label, entry.listed)

    def _miss(self, reason: str, label: str, path: bytes) -> None:
        """Note a file of a package that is not verified, or not in full."""
        self.missed.setdefault((reason, label), []).append(path)


class _Treatment(NamedTuple):
    """What to make of a file: the kind of its entry, what to compare, whether its package knows what is there."""

    kind: str
    compared: int
    vague: str
    permissions: int
    required: bool


@functools.lru_cache(maxsize=4096)
def _treatment(mode: int, flags: int, verify_flags: int, state: int) -> _Treatment:
    """Return what to make of a file, as rpm does it.

    A package does not know the type of its ghosts, nor of what another has replaced.
    """
    kind = KINDS.get(stat.S_IFMT(mode), UNKNOWN)
    compared = verify_flags & _VERIFIABLE.get(kind, _OWNERSHIP | VERIFY_MODE)
    vague = "ghost" if flags & GHOST else _VAGUE.get(state, "")
    if flags & GHOST:
        compared &= ~_NOT_OF_GHOST
    if state == WRONG_COLOR:
        compared &= ~_NOT_OF_WRONG_COLOR
    if vague == "ghost":
        kind = ANYTHING
    elif vague == "replaced":
        kind = UNKNOWN
    elif flags & CONFIG and kind == FILE:
        kind = CONFFILE
    required = not flags & (GHOST | MISSING_OK) and state != NOT_INSTALLED
    return _Treatment(kind, compared, vague, stat.S_IMODE(mode), required)


def _recorded(file: PackagedFile, treatment: _Treatment) -> Recorded:
    compared = treatment.compared
    return Recorded(
        treatment.permissions if compared & VERIFY_MODE else None,
        file.owner if compared & VERIFY_USER else None,
        file.group if compared & VERIFY_GROUP else None,
        file.size if compared & VERIFY_SIZE else None,
        file.target if compared & VERIFY_TARGET else None,
        # The database has 16 bits for a device: the major and the minor number.
        os.makedev(file.device >> 8, file.device & 0xFF) if compared & VERIFY_DEVICE else None,
        file.modified if compared & VERIFY_MODIFIED else None,
        file.capabilities if compared & VERIFY_CAPABILITIES else None,
        treatment.required,
    )


def _contradict(one: Recorded | None, other: Recorded | None) -> bool:
    """Tell whether two owners record different properties, but for size and time, which go with the content."""
    if one is None or other is None:
        return False
    return any(None not in pair and pair[0] != pair[1] for pair in zip(_properties(one), _properties(other)))


def _properties(recorded: Recorded) -> tuple[object, ...]:
    return recorded.mode, recorded.owner, recorded.group, recorded.target, recorded.device, recorded.capabilities


def _own(former: Entry, entry: Entry) -> None:
    if former.packages[-1] != entry.packages[0]:
        former.packages += entry.packages
