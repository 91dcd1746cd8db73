# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a package could be upgraded to whose installed version no source has any more.

apt says, in a simulation, which packages would have to change together. Only a set is accepted in which installed
packages alone become newer ones, none of them is held, and no other package loses anything. apt itself may also
install, remove, hold back and go back, and upgrade something else than what it was asked for. The packages themselves
come through the signed chain, whatever else is trusted.

Formats: what apt-get(8) writes with ``--simulate``, of which apt 2.6 was measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import SIGNED, Archive, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity, complaints_of
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_database import PackageDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.bystanders import Bystanders
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import Package
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import CONFFILE, FILE, Entry
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.relations import (
    compares,
    read_field,
    relations,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Upgrade
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_packages import held_packages
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy, VersionChange
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_replaced import listed_only
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Reference

#: ``Inst NAME[:ARCH] [OLD] (NEW ORIGIN [ARCH]) [what is broken meanwhile]``; ``Remv`` and ``Conf`` alike.
_LINE = re.compile(
    r"(?P<action>Inst|Remv|Purg|Conf) (?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"(?: \[(?P<before>[0-9A-Za-z.+~:-]+)\])?"
    r"(?: \((?P<after>[0-9][0-9A-Za-z.+~:-]*)(?: [^()]*)? \[(?P<new_architecture>[a-z0-9-]+)\]\))?"
    r"(?: \[[^\[\]]*\])*"
)


class _Candidate(NamedTuple):
    """The new version of an installed package."""

    change: VersionChange
    identity: Identity


_Set = tuple[_Candidate, ...]


def find_upgrades(
    tree: Tree,
    source: Archive,
    before: check.Verification,
    references: Mapping[str, Reference],
    policy: Policy,
) -> dict[str, Upgrade | str]:
    """Return, by label, what upgrades each damaged package whose installed version cannot be had, or why nothing does.

    The packages are fetched where the policy allows an upgrade; else it is only said what there is.
    """
    labels = _without_a_reference(before, references)
    if not labels:
        return {}
    finder = _Finder(source, held_packages(tree))
    is_done = policy.allow_upgrade and policy.strategy != "file"
    found = (None if is_done else _at_once(labels, finder)) or _together(labels, finder)
    sets = dict.fromkeys(each for each in found.values() if not isinstance(each, str))
    if not is_done:
        upgrades = {each: _known(each, source) for each in sets}
    else:
        upgrades = _fetched(list(sets), source, {entry.path: entry for entry in before.manifest.entries})
    return {label: each if isinstance(each, str) else upgrades[each] for label, each in found.items()}


def _without_a_reference(before: check.Verification, references: Mapping[str, Reference]) -> list[str]:
    """Return the labels of packages with more damage than that of conffiles that no source has in this version."""
    conffiles = {entry.path for entry in before.manifest.entries if entry.kind == CONFFILE}
    damaged = {label for each in before.findings if each.path not in conffiles for label in each.packages}
    return sorted(label for label, found in references.items() if isinstance(found, str) and label in damaged)


def _at_once(labels: Sequence[str], finder: _Finder) -> dict[str, _Set | str] | None:
    """Ask for all packages in one question, since each takes apt a second; `None` when that has no good answer."""
    held = [label for label in labels if label in finder.held]
    joint = finder.upgrade([label for label in labels if label not in held])
    if isinstance(joint, str):
        return None
    return {label: finder.upgrade([label]) if label in held else joint for label in labels}


def _together(labels: Sequence[str], finder: _Finder) -> dict[str, _Set | str]:
    """Ask for each package, and then together for those that change others in common: they are upgraded in one step."""
    found = {label: finder.upgrade([label]) for label in labels}
    groups: list[tuple[list[str], frozenset[str]]] = []
    for label, each in found.items():
        if isinstance(each, str):
            continue
        asked, changed = [label], frozenset(candidate.change.label for candidate in each)
        for group in [group for group in groups if group[1] & changed]:
            groups.remove(group)
            asked, changed = [*group[0], *asked], group[1] | changed
        groups.append((asked, changed))
    for asked in (asked for asked, _changed in groups if len(asked) > 1):
        found.update(dict.fromkeys(asked, finder.upgrade(asked)))
    return found


def _known(candidates: _Set, source: Archive) -> Upgrade | str:
    """Return an upgrade that is not to be done now, if it could be."""
    source.add_names(frozenset(each.identity.name for each in candidates))
    missing = [each.identity for each in candidates if not source.records(each.identity)]
    if missing:
        return f"no signed index has {missing[0].name} {missing[0].version}"
    return Upgrade(tuple(each.change for each in candidates))


def _fetched(sets: Sequence[_Set], source: Archive, entries: Mapping[bytes, Entry]) -> dict[_Set, Upgrade | str]:
    """Fetch the packages of sets; one that cannot be had, with a signature, spoils its set."""
    wanted = {each.identity: each.change.label for candidates in sets for each in candidates}
    source.add_names(frozenset(identity.name for identity in wanted))
    packages: dict[str, VerifiedPackage] = {}
    missing: dict[str, str] = {}
    for identity, found in source.packages(list(wanted)):
        label = wanted[identity]
        if isinstance(found, Unavailable):
            missing[label] = f"{identity.name} {identity.version} cannot be had: {found.reason}"
        elif found.trust != SIGNED:
            missing[label] = f"{identity.name} {identity.version} is not signed ({found.source})"
        else:
            packages[label] = found
    upgrades: dict[_Set, Upgrade | str] = {}
    bystanders = Bystanders(source.database)
    for candidates in sets:
        labels = [each.change.label for each in candidates]
        reasons = [missing[label] for label in labels if label in missing]
        changes = tuple(each.change for each in candidates)
        theirs = {label: packages[label] for label in labels if label in packages}
        reason = "; ".join(reasons) or _unordered(changes, theirs) or bystanders.harm(theirs)
        upgrades[candidates] = reason or _upgrade(changes, theirs, entries, source.database)
    return upgrades


def _upgrade(
    changes: tuple[VersionChange, ...],
    packages: Mapping[str, VerifiedPackage],
    entries: Mapping[bytes, Entry],
    database: PackageDatabase,
) -> Upgrade:
    """Return an upgrade whose packages are there."""
    unseen = {entry.path: entry for label in packages for entry in _unseen(database.packages[label], entries, database)}
    places = {
        (label, path): database.place(database.packages[label], path)
        for label, package in packages.items()
        for path in package.members
    }
    return Upgrade(changes, packages, places, listed_only([*entries.values(), *unseen.values()], packages), unseen)


def _unseen(package: Package, entries: Mapping[bytes, Entry], database: PackageDatabase) -> Iterator[Entry]:
    """Yield an entry for each path of an installed package that the verification was not to look at."""
    conffiles = {each.path: each for each in package.conffiles}
    for listed in dict.fromkeys([*database.paths(package), *conffiles]):
        path = database.place(package, listed)
        if path not in entries:
            entry = Entry(path, listed, CONFFILE if listed in conffiles else FILE, package.label)
            entry.digest = conffiles[listed].digest if listed in conffiles else None
            yield entry


def _unordered(changes: tuple[VersionChange, ...], packages: Mapping[str, VerifiedPackage]) -> str:
    """Say which package must be configured in its new version before another one is unpacked; mostly none.

    dpkg unpacks all packages that it is given before it configures the first (measured, dpkg 1.21).
    """
    versions = {each.label.partition(":")[0]: each.before for each in changes}
    for label, package in packages.items() if len(packages) > 1 else ():
        try:
            needed = relations(read_field(package.path, "Pre-Depends"))
        except MeasurementError as error:
            return f"{error.value}: {error.reason}"
        for name, relation, version in needed:
            if relation and name in versions and not compares(versions[name], relation, version):
                return (
                    f"{label} cannot be unpacked before {name} {version} is configured, which apt would do in two steps"
                )
    return ""


class _Finder:
    """Asks apt, and believes it only what must be."""

    def __init__(self, source: Archive, held: frozenset[str]) -> None:
        self.source = source
        self.held = held
        self.native = (source.database.architectures() or [""])[0]

    def upgrade(self, labels: Sequence[str]) -> _Set | str:
        """Return what upgrades packages, and all that must change with them, in the order of apt; or why it is not."""
        packages = [self.source.database.packages[label] for label in labels]
        for label in labels:
            if label in self.held:
                return f"{label} is held"
        words = [each.name if each.architecture == "all" else f"{each.name}:{each.architecture}" for each in packages]
        try:
            done = self.source.simulate_upgrade(words)
        except MeasurementError as error:
            return f"{error.value}: {error.reason}"
        except OSError as error:
            return f"apt cannot be asked: {error.strerror}"
        if done.status != 0:
            said = "; ".join(complaints_of(done.stderr)) or f"status {done.status}"
            return f"apt finds no way to do it ({said})"
        found = self._read(done.stdout.decode("utf-8", "replace"))
        if not isinstance(found, str):
            missing = set(labels) - {each.change.label for each in found}
            return f"apt knows no newer version of {min(missing)}" if missing else found
        return found

    def _read(self, output: str) -> _Set | str:
        """Read what apt would do, all of which must be upgrades."""
        candidates = []
        for line in filter(None, output.split("\n")):
            match = _LINE.fullmatch(line)
            if match is None:
                return f"what apt says of it is not understood: {line[:200]!r}"
            if match["action"] == "Conf":
                continue
            if match["action"] != "Inst":
                return f"apt would remove {match['name']}"
            candidate = self._candidate(match)
            if isinstance(candidate, str):
                return candidate
            candidates.append(candidate)
        return tuple(candidates)

    def _candidate(self, match: re.Match[str]) -> _Candidate | str:
        name, before, after = match["name"], match["before"], match["after"]
        package = self._installed(name, match["architecture"])
        if package is None or before is None:
            return f"apt would install {name}, which is not there"
        if before != package.version:
            return f"apt believes that version {before} of {name} is installed, and it is {package.version}"
        if package.label in self.held:
            return f"apt would upgrade {package.label} with it, which is held"
        if after is None or not compares(after, ">>", before):
            return f"apt would go back from version {before} of {name} to {after}"
        change = VersionChange(package.label, before, after)
        return _Candidate(change, Identity(name, after, match["new_architecture"]))

    def _installed(self, name: str, architecture: str | None) -> Package | None:
        database = self.source.database
        if architecture is not None:
            return database.find(name, architecture)
        return database.find(name, self.native) or database.find(name, "all")
