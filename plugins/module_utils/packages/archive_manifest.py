# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest of dpkg's database with what the packages themselves say: ``reference: archive``.

The database says which packages and versions are installed, and what became of their paths there: diversions,
overrides, paths that another package has taken over. The packages say what each path is: SHA-256, size, mode, owner,
where a link leads. A package that cannot be had keeps what the database says of it, and is counted as a gap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import attributes
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import read_accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import describe
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Member
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import Package
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    DatabaseProblem,
    Entry,
    Gap,
    Manifest,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.workers import run_batches

#: As much is downloaded by one process before it is read and deleted.
BATCH_PACKAGES = 16
BATCH_BYTES = 128 * 1024 * 1024
NOT_RECORDED = ("capabilities", "mode_set_by_package", "owner_set_by_package")

_LIST_REMEDY = "Install the same version of the package again from its .deb, then verify again"


class Reference(NamedTuple):
    """What one package says, or why it cannot be had."""

    label: str
    unavailable: str
    members: tuple[Member, ...] = ()
    conffiles: frozenset[bytes] = frozenset()
    set_by_scripts: frozenset[bytes] = frozenset()
    problems: tuple[DatabaseProblem, ...] = ()


def read_manifest(tree: Tree, database: Manifest, archive: Archive, jobs: int) -> Manifest:
    """Return the manifest of the database with the packages of an archive as the reference.

    ``database`` is what dpkg's reader made of the same tree, ``jobs`` how many packages are fetched and read at a time.
    """
    archive.ask()
    left_out = {label for gap in database.gaps if gap.reason == "not_selected" for label in gap.packages}
    wanted = [
        package
        for label, package in archive.database.packages.items()
        if label in database.installed and label not in left_out
    ]
    unfinished = [package for package in wanted if package.state == "half-installed"]
    composer = _Composer(tree, database, archive, complete=not left_out)
    for package in unfinished:
        composer.add(Reference(package.label, "the package is half installed: its files are of two versions"))
    for reference in _references(archive, [package for package in wanted if package not in unfinished], jobs):
        composer.add(reference)
    return composer.manifest()


def _references(archive: Archive, packages: list[Package], jobs: int) -> Iterable[Reference]:
    """Yield what each package says, in any order; a process that dies takes no other batch with it."""
    batches = _batches(archive, packages)

    def work(number: int) -> list[Reference]:
        return _read_batch(archive, batches[number])

    for done in run_batches(len(batches), work, jobs):
        if isinstance(done.result, list):
            yield from done.result
        else:
            reason = done.failure or "the process that read it returned nothing"
            yield from (Reference(package.label, reason) for package in batches[done.batch])


def _batches(archive: Archive, packages: list[Package]) -> list[list[Package]]:
    """Put packages together, so that what lies on disk at a time is bounded."""
    batches: list[list[Package]] = []
    size = 0
    for package in packages:
        records = archive.records(_identity(package))
        own = max((record.size for record in records), default=0)
        if not batches or size + own > BATCH_BYTES or len(batches[-1]) >= BATCH_PACKAGES:
            batches.append([])
            size = 0
        batches[-1].append(package)
        size += own
    return batches


def _read_batch(archive: Archive, packages: list[Package]) -> list[Reference]:
    """Read some packages, deleting each when it has been read."""
    by_identity = {_identity(package): package for package in packages}
    references = []
    for identity, found in archive.packages(list(by_identity)):
        package = by_identity[identity]
        if isinstance(found, Unavailable):
            references.append(Reference(package.label, found.reason))
            continue
        found.discard()
        problems = tuple(archive.database.compare(package, found.contents))
        members = tuple(found.members.values())
        conffiles = frozenset(found.conffiles)
        by_scripts = attributes.in_scripts(found.contents.scripts)
        references.append(Reference(package.label, "", members, conffiles, by_scripts, problems))
    return references


def _identity(package: Package) -> Identity:
    return Identity(package.name, package.version, package.architecture)


class _Composer:
    """Entries of the database on the one side, members of packages on the other."""

    def __init__(self, tree: Tree, database: Manifest, archive: Archive, complete: bool) -> None:
        self._database = database
        self._archive = archive
        self._complete = complete
        self._known = {entry.path: entry for entry in database.entries}
        self._claims: dict[bytes, list[tuple[str, Member, bool]]] = {}
        self._had: set[str] = set()
        self._unavailable: dict[str, str] = {}
        self._problems: list[DatabaseProblem] = []
        self._set_later = set(attributes.in_tmpfiles(tree))
        self._accounts = read_accounts(tree)

    def add(self, reference: Reference) -> None:
        """Add what one package says."""
        if reference.unavailable:
            self._unavailable[reference.label] = reference.unavailable
            return
        self._had.add(reference.label)
        self._problems += reference.problems
        self._set_later |= reference.set_by_scripts
        package = self._archive.database.packages[reference.label]
        lost: list[bytes] = []
        for member in reference.members:
            path = self._archive.database.place(package, member.path)
            entry = self._known.get(path)
            is_conffile = member.path in reference.conffiles
            if entry is None and not is_conffile and self._complete:
                lost.append(member.path)
                entry = self._known[path] = Entry(path, member.path, FILE, reference.label)
            if entry is not None and reference.label in entry.packages:
                self._claims.setdefault(path, []).append((reference.label, member, is_conffile))
        if lost:
            what = f"it lacks {len(lost)} paths of the package {reference.label}, {describe(min(lost))} first"
            file = self._archive.database.list_file(package)
            self._problems.append(DatabaseProblem(file, what, _LIST_REMEDY))

    def manifest(self) -> Manifest:
        """Put everything together."""
        entries = []
        for path, entry in sorted(self._known.items()):
            claims = self._claims.get(path)
            entries.append(self._entry(entry, claims) if claims else entry)
        gaps = [gap for gap in self._database.gaps if not self._is_closed(gap)]
        problems = list(dict.fromkeys([*self._database.problems, *self._problems]))
        return dataclasses.replace(
            self._database,
            entries=entries,
            gaps=gaps + self._gaps(entries),
            problems=problems,
            not_recorded=NOT_RECORDED,
        )

    def _is_closed(self, gap: Gap) -> bool:
        """Tell whether the packages fill a gap of the database."""
        return gap.reason == "no_file_list" and all(label in self._had for label in gap.packages)

    def _gaps(self, entries: list[Entry]) -> list[Gap]:
        """Return a gap for each package that cannot be had, with the paths that nobody else vouches for."""
        files = dict.fromkeys(self._unavailable, 0)
        for entry in entries:
            owner = entry.packages[0]
            if owner in files and entry.path not in self._claims:
                files[owner] += 1
        return [
            Gap("no_archive_reference", reason, (label,), files[label], label)
            for label, reason in sorted(self._unavailable.items())
        ]

    # One entry

    def _entry(self, known: Entry, claims: list[tuple[str, Member, bool]]) -> Entry:
        """Return an entry of the database with what its packages say of it."""
        members = [member for _label, member, _is_conffile in claims]
        kinds = {member.kind for member in members}
        entry = Entry(known.path, known.listed, known.kind, known.packages[0])
        entry.packages = list(known.packages)
        entry.diverted_by = known.diverted_by
        if len(kinds) > 1:
            # A directory of one package where another has a link to one: either may be there.
            entry.recorded = known.recorded
            return entry
        is_conffile = known.kind == CONFFILE or any(is_conffile for _label, _member, is_conffile in claims)
        entry.kind = CONFFILE if is_conffile and kinds == {FILE} else members[0].kind
        digests = list(dict.fromkeys(member.sha256 for member in members if member.sha256 is not None))
        if digests:
            entry.digest, entry.other_digests = digests[0], tuple(digests[1:])
        entry.recorded = self._recorded(members, known)
        return entry

    def _recorded(self, members: list[Member], known: Entry) -> Recorded:
        """Return what all packages of a path agree on; what the database has is an override of the administrator."""
        override = known.recorded
        merged, *others = [self._of_member(member) for member in members]
        for other in others:
            agreed = {name: value for name, value in other._asdict().items() if value == getattr(merged, name)}
            merged = Recorded(**agreed)
        names = {member.path for member in members} | {known.path}
        if self._set_later & names or attributes.is_state(known.path, members[0].kind):
            merged = merged._replace(mode=None, owner=None, group=None)
        if override is not None:
            said = {name: getattr(override, name) for name in ("mode", "owner", "group")}
            merged = merged._replace(**{name: value for name, value in said.items() if value is not None})
        return merged

    def _of_member(self, member: Member) -> Recorded:
        """Return what one package says of a path; dpkg leaves the times of directories to the file system."""
        is_link = member.target is not None
        return Recorded(
            mode=None if is_link else member.mode,
            owner=_account(member.owner, member.uid, self._accounts.users),
            group=_account(member.group, member.gid, self._accounts.groups),
            size=member.size if member.kind == FILE else None,
            target=member.target,
            device=member.device,
            modified=None if member.kind == DIRECTORY else member.modified,
        )


def _account(name: str, number: int, known: Mapping[str, int]) -> str | int:
    """Return the owner as dpkg means it: the name where the root has such an account, else the number."""
    return name if name in known else number
