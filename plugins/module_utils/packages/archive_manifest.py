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
import functools
import operator
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import attributes
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import read_accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.attributes import SetLater
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
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import left_out
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.workers import run_batches

#: As much is downloaded by one process before it is read and deleted.
BATCH_PACKAGES = 16
BATCH_BYTES = 128 * 1024 * 1024
#: What packages of one path may disagree about, besides its content.
_PROPERTIES = ("mode", "owner", "group", "target", "device")
NOT_RECORDED = ("capabilities", "mode_set_by_package", "owner_set_by_package")

_LIST_REMEDY = "Install the same version of the package again from its .deb, then verify again"


class Reference(NamedTuple):
    """What one package says, or why it cannot be had. ``control`` is the SHA-256 of its control files, by name.

    ``unlisted_md5`` is the MD5 of each regular file where the package has no list of them, and dpkg makes one.
    """

    label: str
    unavailable: str
    members: tuple[Member, ...] = ()
    conffiles: frozenset[bytes] = frozenset()
    set_by_scripts: frozenset[SetLater] = frozenset()
    control: Mapping[bytes, bytes] = {}
    unlisted_md5: Mapping[bytes, bytes] = {}


class Kept:
    """What was had of archives when a root was read before, for when it is read again: a version is fetched once.

    What came of comparing it with the root is not kept, since that changes.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.references: dict[Identity, Reference] = {}
        self.complaints: list[str] = []


#: Is told how many packages were fetched and read, and how many are to be.
Tick = Callable[[int, int], None]


def read_manifest(
    tree: Tree, database: Manifest, archive: Archive, jobs: int, kept: Kept | None = None, tick: Tick | None = None
) -> Manifest:
    """Return the manifest of the database with the packages of an archive as the reference.

    ``database`` is what dpkg's reader made of the same tree, ``jobs`` how many packages are fetched and read at a time.
    What is ``kept`` of an earlier reading is not fetched, and what is fetched is kept.
    """
    kept = kept or Kept()
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
    missing: list[Package] = []
    for package in wanted:
        before = kept.references.get(_identity(package))
        if before is not None and package not in unfinished:
            composer.add(before)
        elif package not in unfinished:
            missing.append(package)
    for reference in _fetched(archive, missing, jobs, kept, tick):
        composer.add(reference)
    return composer.manifest()


def _fetched(
    archive: Archive, packages: list[Package], jobs: int, kept: Kept, tick: Tick | None
) -> Iterator[Reference]:
    """Ask the archives for packages; yield what each says, and keep it, with what there was to complain of."""
    if not packages:
        return
    tick = tick or _nobody
    tick(0, len(packages))
    archive.ask()
    identities = {package.label: _identity(package) for package in packages}
    for done, (reference, was_read) in enumerate(_references(archive, packages, jobs), 1):
        if was_read:
            kept.references[identities[reference.label]] = reference
        tick(done, len(packages))
        yield reference
    kept.complaints += [complaint for complaint in archive.complaints if complaint not in kept.complaints]


def _nobody(done: int, total: int) -> None:
    """Tell nobody how far it is."""


def _references(archive: Archive, packages: list[Package], jobs: int) -> Iterator[tuple[Reference, bool]]:
    """Yield what each package says, in any order, and whether it was read: a process that dies loses its batch."""
    batches = _batches(archive, packages)

    def work(number: int) -> list[Reference]:
        return _read_batch(archive, batches[number])

    for done in run_batches(len(batches), work, jobs):
        if isinstance(done.result, list):
            yield from ((reference, True) for reference in done.result)
        else:
            reason = done.failure or "the process that read it returned nothing"
            yield from ((Reference(package.label, reason), False) for package in batches[done.batch])


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
        members = tuple(found.members.values())
        conffiles = frozenset(found.conffiles)
        by_scripts = attributes.in_scripts(found.contents.scripts)
        control = found.contents.control
        unlisted_md5 = {} if b"md5sums" in control else found.contents.members_md5
        references.append(Reference(package.label, "", members, conffiles, by_scripts, control, unlisted_md5))
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
        self._tree = tree
        self._modes: dict[bytes, int] = {}
        self._owners: set[bytes] = set()
        self._accounts = read_accounts(tree)
        self._disagreements: list[Gap] = []
        places = [(entry.listed, path) for path, entry in self._known.items()]
        for later in attributes.in_tmpfiles(tree):
            self._note(later, places)

    def add(self, reference: Reference) -> None:
        """Add what one package says."""
        if reference.unavailable:
            self._unavailable[reference.label] = reference.unavailable
            return
        self._had.add(reference.label)
        package = self._archive.database.packages[reference.label]
        self._problems += self._archive.database.compare(package, reference.control)
        if reference.unlisted_md5:
            self._problems += self._compare_digests(package, reference)
        lost: list[bytes] = []
        places = [(member.path, self._archive.database.place(package, member.path)) for member in reference.members]
        for later in reference.set_by_scripts:
            self._note(later, places)
        for member, (_listed, path) in zip(reference.members, places):
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

    def _compare_digests(self, package: Package, reference: Reference) -> list[DatabaseProblem]:
        """Compare the list of digests that dpkg made: of what it unpacked, and some versions leave conffiles out."""
        filters = self._database.filters
        optional = {path for path in reference.unlisted_md5 if left_out(path, filters)} | reference.conffiles
        return self._archive.database.compare_digests(package, reference.unlisted_md5, optional)

    def _note(self, later: SetLater, places: Iterable[tuple[bytes, bytes]]) -> None:
        """Note what is set later: one path by any of its names, or those of some paths that begin like one.

        ``places`` are these, each as its package names it and where it is.
        """
        if later.is_beginning:
            beginnings = (later.path, self._tree.locate(later.path + b"x")[:-1])
            paths = {path for listed, path in places if listed.startswith(beginnings) or path.startswith(beginnings)}
        else:
            paths = {later.path, self._tree.locate(later.path), self._tree.resolve(later.path)}
        for path in paths:
            if later.mode is not None:
                self._modes[path] = self._modes.get(path, 0) | later.mode
            if later.owner:
                self._owners.add(path)

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
            gaps=gaps + self._gaps(entries) + self._disagreements,
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
            self._disagreements.append(_disagreement(entry))
            return entry
        is_conffile = known.kind == CONFFILE or any(is_conffile for _label, _member, is_conffile in claims)
        entry.kind = CONFFILE if is_conffile and kinds == {FILE} else members[0].kind
        digests = list(dict.fromkeys(member.sha256 for member in members if member.sha256 is not None))
        if digests:
            entry.digest, entry.other_digests = digests[0], tuple(digests[1:])
        entry.recorded = self._recorded(entry, members, known.recorded)
        return entry

    def _recorded(self, entry: Entry, members: list[Member], override: Recorded | None) -> Recorded:
        """Return what all packages of a path agree on; what the database has is an override of the administrator."""
        said = [self._of_member(member) for member in members]
        merged = said[0]
        for other in said[1:]:
            agreed = {name: value for name, value in other._asdict().items() if value == getattr(merged, name)}
            merged = Recorded(**agreed)
        left_open = self._left_open(entry, members)
        merged = merged._replace(**left_open)
        if override is not None:
            set_values = {name: getattr(override, name) for name in ("mode", "owner", "group")}
            merged = merged._replace(**{name: value for name, value in set_values.items() if value is not None})
        for name in _PROPERTIES:
            unknown = getattr(merged, name) is None and name not in left_open
            if unknown and len({getattr(each, name) for each in said}) > 1:
                self._disagreements.append(_disagreement(entry))
                break
        return merged

    def _left_open(self, entry: Entry, members: list[Member]) -> dict[str, Any]:
        """Return the properties that the packages do not have the last word on, and what must not be set all the same.

        The kernel takes set-user-ID and set-group-ID off a file that gets another owner (chown(2)).
        """
        names = {member.path for member in members} | {entry.path}
        is_state = attributes.is_state(entry.path, members[0].kind)
        has_owner = is_state or bool(self._owners & names)
        asked_for = [self._modes[name] for name in names if name in self._modes]
        packaged = functools.reduce(operator.or_, (member.mode for member in members))
        found: dict[str, Any] = dict.fromkeys(("owner", "group")) if has_owner else {}
        if is_state or asked_for or (has_owner and packaged & (stat.S_ISUID | stat.S_ISGID)):
            bits = functools.reduce(operator.or_, asked_for, 0)
            found["mode"] = None
            found["denied"] = attributes.denied(members[0].kind, packaged, bits)
        return found

    def _of_member(self, member: Member) -> Recorded:
        """Return what one package says of a path; dpkg leaves the times of directories to the file system."""
        is_link = member.target is not None
        return Recorded(
            mode=None if is_link else member.mode,
            owner=_account(member.owner, member.uid, self._accounts.users, self._accounts.users_whole),
            group=_account(member.group, member.gid, self._accounts.groups, self._accounts.groups_whole),
            size=member.size if member.kind == FILE else None,
            target=member.target,
            device=member.device,
            modified=None if member.kind == DIRECTORY else member.modified,
        )


def _account(name: str, number: int, known: Mapping[str, int], is_whole: bool) -> str | int:
    """Return the owner as dpkg means it: the name where the root has such an account, else the number.

    Where the file that says so is not whole, the name may be one that it has lost. Then the number says
    nothing, and the name is kept, which cannot be compared.
    """
    return name if name and (name in known or not is_whole) else number


def _disagreement(entry: Entry) -> Gap:
    """Return the gap of a path of which its packages say different things, other than its content."""
    detail = "packages that share the path record different properties, so these were not compared"
    return Gap("owners_disagree", detail, tuple(entry.packages), 0, describe(entry.path))
