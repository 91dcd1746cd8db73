# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings + what is known of their packages + what the administrator allows -> the plan of a repair.

Pure: opens nothing. The plan says every step in its order, where what it writes comes from and how far that is trusted,
and of everything that will not be repaired why not. A conffile is never touched unasked, and nothing is repaired that
no package vouches for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    SYMLINK,
    UNLISTED,
    DatabaseProblem,
    Finding,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_damage import (
    CONTENT_CLASSES,
    LOST_CLASSES,
    METADATA_CLASSES,
    Damage,
    agrees,
    by_path,
    capabilities,
    described,
    is_set_by,
    metadata,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_order import (
    DIRECTORIES,
    KERNEL,
    installation_stage,
    rank,
    stage,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    INSTALL_PACKAGE,
    KINDS,
    MAKE_DIRECTORY,
    REPLACE_FILE,
    REPLACE_LINK,
    RESTORE_DIGESTS,
    RESTORE_LIST,
    SET_METADATA,
    TRUSTS,
    UPGRADE_PACKAGES,
    NotRepaired,
    Plan,
    Policy,
    Step,
    VersionChange,
)

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Member, VerifiedPackage
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Entry
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import (
        Facts,
        Reference,
        Upgrade,
    )

_NEVER = {
    "ownership_conflict": (
        "its packages disagree about it",
        "Find out which of them should own it; a diversion may be lost",
    ),
    "relocated_by_symlink": ("the right content lies behind a link", "Nothing is wrong with it"),
    "package_not_configured": ("its package is unpacked, but not configured", "Run dpkg --configure --pending"),
    "cached_bad_disk_good": ("the disk is right, only the page cache is not", "Drop the page cache, or reboot"),
}
_INFO_FILE = re.compile(r"/var/lib/dpkg/info/(?P<label>[^/]+)\.(?P<kind>list|md5sums)")


#: The steps that the upgrade of their package leaves nothing to do for, and one of them for which it does nothing.
_OF_FILES = (INSTALL_PACKAGE, REPLACE_FILE, REPLACE_LINK, SET_METADATA)
_MODE_OF_DIRECTORY = (DIRECTORY, SET_METADATA)
_BECOMES_CONFFILE = "the new version has it as a conffile, which dpkg would leave as it is"
_REPAIR_FIRST = "Repair it without allow_upgrade first"
_ADD_A_SOURCE = "Add a source that has it (a mirror, the package cache, a peer)"


def concerned(findings: Iterable[Finding], problems: Iterable[DatabaseProblem]) -> list[str]:
    """Return the labels of the packages without which nothing can be planned."""
    labels = {label: None for finding in findings if finding.category not in _NEVER for label in finding.packages}
    for problem in problems:
        match = _INFO_FILE.fullmatch(problem.file)
        if match is not None:
            labels[match["label"]] = None
    return sorted(labels)


def without_digests(problems: Iterable[DatabaseProblem]) -> frozenset[str]:
    """Return the labels of the packages whose digests the database has lost."""
    matches = [_INFO_FILE.fullmatch(problem.file) for problem in problems]
    return frozenset(match["label"] for match in matches if match is not None and match["kind"] == "md5sums")


def make_plan(
    findings: Iterable[Finding],
    problems: Iterable[DatabaseProblem],
    facts: Facts,
    policy: Policy,
    unsuited: Mapping[str, tuple[str, str]] | None = None,
) -> Plan:
    """Plan the repair of everything that was found.

    ``unsuited`` are, by label, packages that must not be installed as a whole, with reason and remedy.
    """
    planner = _Planner(facts, policy, unsuited or {})
    planner.plan_database(problems)
    for damage in by_path(findings, facts.entries):
        planner.plan_damage(damage)
    planner.plan_packages()
    planner.plan_upgrades()
    return planner.plan()


def installation(label: str, reference: VerifiedPackage, paths: list[bytes], why: str) -> Step:
    """Return the step that installs a package again, over the paths that are damaged."""
    return Step(
        INSTALL_PACKAGE,
        label.encode(),
        label,
        installation_stage(paths, label),
        why,
        reference.source,
        reference.trust,
        {"version": reference.version, "damaged": [text(path) for path in paths]},
        {"version": reference.version, "size": sum(member.size for member in reference.members.values())},
        damaged=tuple(paths),
    )


def upgrading(label: str, upgrade: Upgrade, paths: list[bytes], why: str) -> Step:
    """Return the step that upgrades a package, and what must change with it, over the paths that are damaged."""
    packages = [upgrade.packages[each.label] for each in upgrade.changes]
    stages = [installation_stage(paths, each.label) for each in upgrade.changes]
    size = sum(member.size for package in packages for member in package.members.values())
    return Step(
        UPGRADE_PACKAGES,
        label.encode(),
        label,
        KERNEL if KERNEL in stages else min(stages, key=lambda name: rank(name, label)),
        why,
        "; ".join(dict.fromkeys(package.source for package in packages)),
        packages[0].trust,
        {
            "versions": [f"{each.label} {each.before}" for each in upgrade.changes],
            "damaged": [text(path) for path in paths],
        },
        {"versions": [f"{each.label} {each.after}" for each in upgrade.changes], "size": size},
        damaged=tuple(paths),
        upgrades=upgrade.changes,
    )


class _Planner:
    """The making of one plan."""

    def __init__(self, facts: Facts, policy: Policy, unsuited: Mapping[str, tuple[str, str]]) -> None:
        self.facts = facts
        self.policy = policy
        self.unsuited = unsuited
        self.steps: dict[tuple[str, bytes], Step] = {}
        self.refused: list[NotRepaired] = []
        self.by_package: dict[str, list[Damage]] = {}
        self.by_upgrade: dict[tuple[VersionChange, ...], list[tuple[str, Damage]]] = {}
        self.taken: dict[bytes, Step] = {}
        self.groups: dict[str, dict[bytes, list[bytes]]] = {}

    def plan(self) -> Plan:
        """Return what was planned, in its order."""
        steps = sorted(
            self.steps.values(),
            key=lambda step: (*rank(step.stage, step.package), KINDS.index(step.kind), step.path),
        )
        return Plan(steps, sorted(self.refused, key=lambda each: each.path))

    def plan_database(self, problems: Iterable[DatabaseProblem]) -> None:
        """Plan to write a package's list and digests anew; nothing else of a database can be made from packages."""
        for problem in problems:
            path = problem.file.encode("utf-8", "surrogateescape")
            match = _INFO_FILE.fullmatch(problem.file)
            label = match["label"] if match is not None else ""
            reference = self._trusted(label)
            if match is None or label not in self.facts.references:
                self._refuse_problem(path, problem, "no package holds it")
            elif isinstance(reference, str):
                self._refuse_problem(path, problem, reference)
            elif match["kind"] == "md5sums" and not self.facts.digests.get(label):
                self._refuse_problem(path, problem, "its package cannot be read")
            else:
                kind = RESTORE_LIST if match["kind"] == "list" else RESTORE_DIGESTS
                self._add_database_step(kind, path, label, reference, problem.problem)

    def _refuse_problem(self, path: bytes, problem: DatabaseProblem, reason: str) -> None:
        self.refused.append(NotRepaired(path, (), "database_problem", f"{problem.problem}; {reason}", problem.remedy))

    def _add_database_step(self, kind: str, path: bytes, label: str, reference: VerifiedPackage, why: str) -> None:
        before: dict[str, object] = {"problem": why}
        content = (
            self._list(label, reference)
            if kind == RESTORE_LIST
            else _digests(self.facts.digests.get(label) or reference.md5sums)
        )
        after: dict[str, object] = {"paths": content.count(b"\n")}
        step = Step(kind, path, label, stage(path, label), why, reference.source, reference.trust, before, after)
        self._add(step._replace(content=content))

    def _list(self, label: str, reference: VerifiedPackage) -> bytes:
        """Return the list of a package as dpkg writes it (measured with dpkg 1.21).

        It has the names of the package, wherever they are diverted to, and those that dpkg is configured to leave out;
        it has not the files that another package has taken over.
        """
        name = label.partition(":")[0]
        taken_over = {
            path
            for path, entry in self.facts.entries.items()
            if entry.kind != DIRECTORY and not any(owner.partition(":")[0] == name for owner in entry.packages)
        }
        kept = [
            path
            for path, member in reference.members.items()
            if member.kind == DIRECTORY or self.facts.places[label, path] not in taken_over
        ]
        return b"".join(path + b"\n" for path in (b"/.", *kept))

    def plan_damage(self, damage: Damage) -> None:
        """Plan what is to be done about one path, or say why nothing is."""
        refusal = self._refusal(damage)
        if refusal is not None:
            self.refused.append(NotRepaired(damage.path, damage.packages, damage.why, *refusal))
            return
        label, reference = self._choose(damage)
        if isinstance(reference, str):
            self._plan_upgrade(damage, reference)
            return
        why_package = self._why_by_package(damage, label, reference)
        if why_package is None:
            self._plan_file(damage, label, reference)
        elif self.policy.strategy == "file":
            self._refuse(damage, f"one file is not enough: {why_package}", "Use the strategy package or auto")
        elif label in self.unsuited:
            self._refuse(damage, *self.unsuited[label])
        else:
            self.by_package.setdefault(label, []).append(damage)

    def _plan_upgrade(self, damage: Damage, reason: str) -> None:
        """Upgrade the package of what no package vouches for, in the installed version, or say why that is not done."""
        upgrades = [(label, self.facts.upgrades[label]) for label in damage.packages if label in self.facts.upgrades]
        label, upgrade = next(iter(upgrades), ("", ""))
        remedy = f"{_ADD_A_SOURCE}, and repair again"
        if not upgrade or not _is_upgraded(damage):
            self._refuse(damage, reason, remedy)
        elif isinstance(upgrade, str):
            self._refuse(damage, f"{reason}; it is not upgraded instead: {upgrade}", remedy)
        elif not self.policy.allow_upgrade:
            version = next(each.after for each in upgrade.changes if each.label == label)
            remedy = f"{_ADD_A_SOURCE}, or allow its upgrade to {version} with allow_upgrade, and repair again"
            self._refuse(damage, reason, remedy)
        elif self.policy.strategy == "file":
            self._refuse(damage, f"{reason}; one file is not enough for an upgrade", "Use the strategy package or auto")
        elif label in self.unsuited:
            self._refuse(damage, *self.unsuited[label])
        elif _becomes_conffile(damage.entry, upgrade):
            self._refuse(damage, f"{reason}; {_BECOMES_CONFFILE}", remedy)
        else:
            self.by_upgrade.setdefault(upgrade.changes, []).append((label, damage))

    def _refuse(self, damage: Damage, reason: str, remedy: str) -> None:
        self.refused.append(NotRepaired(damage.path, damage.packages, damage.why, reason, remedy))

    def _refusal(self, damage: Damage) -> tuple[str, str] | None:
        """Return reason and remedy where something is not to be repaired, whatever its package holds."""
        never = [_NEVER[name] for name in damage.classes if name in _NEVER]
        if never:
            return never[0]
        unknown = damage.classes - CONTENT_CLASSES - METADATA_CLASSES
        if unknown:
            return "no package says that it is wrong", "Ask whoever knows the file"
        if damage.path in self.facts.obstacles:
            return self.facts.obstacles[damage.path], "Clear the flag with chattr, if nobody set it on purpose"
        entry = damage.entry
        if entry is not None and entry.kind == UNLISTED:
            return "no package lists it", "Repair the database first"
        return self._conffile_refusal(damage) if entry is not None and entry.kind == CONFFILE else None

    def _conffile_refusal(self, damage: Damage) -> tuple[str, str] | None:
        policy = self.policy.conffiles
        if policy == "restore" or (policy == "restore_missing" and damage.classes & {"missing", "config_missing"}):
            return None
        return (
            "it is a conffile, which an administrator may have changed",
            "Compare it, or allow it with conffiles_policy",
        )

    def _trusted(self, label: str) -> Reference:
        """Return the package that vouches for a label, or why there is none that is trusted enough."""
        reference = self.facts.references.get(label, "no source was asked for its package")
        if not isinstance(reference, str) and TRUSTS.index(reference.trust) < TRUSTS.index(self.policy.minimum_trust):
            return f"the trust of its source is only {reference.trust!r} ({reference.source})"
        return reference

    def _choose(self, damage: Damage) -> tuple[str, Reference]:
        """Return the owner of a path whose package has it, or the reason why none does."""
        reason = "no package owns it"
        for label in damage.packages:
            reference = self._trusted(label)
            if isinstance(reference, str):
                reason = reference
            elif damage.entry is None:
                return label, reference
            else:
                member = self._member(damage, reference)
                if member is not None and agrees(member, damage.entry):
                    return label, reference
                holds = "does not hold it" if member is None else "has another content of it than the database"
                reason = f"{reference.source} {holds}"
        return "", reason

    def _member(self, damage: Damage, reference: VerifiedPackage) -> Member | None:
        if damage.entry is None:
            return None
        return reference.members.get(damage.entry.listed) or reference.members.get(damage.path)

    def _why_by_package(self, damage: Damage, label: str, reference: VerifiedPackage) -> str | None:
        """Return why a path is repaired with its whole package; `None` when its one file is enough."""
        entry, member = damage.entry, self._member(damage, reference)
        if entry is None or member is None:
            return "its package is not completely installed"
        if entry.kind == CONFFILE or (member.kind == DIRECTORY and damage.classes <= METADATA_CLASSES):
            return None  # dpkg restores neither a conffile nor the mode of a directory that is there.
        if member.kind not in (FILE, DIRECTORY, SYMLINK):
            return f"it is a {member.kind}"
        if "capabilities_changed" in damage.classes and capabilities(damage, member, reference.capabilities) is None:
            return "its capabilities are set when the package is configured"
        script = self.facts.scripts.get(label, b"")
        if is_set_by(script, entry.listed):
            if damage.classes & LOST_CLASSES:
                return "its owner and mode are set when the package is configured"
            if b"setcap" in script and not damage.classes <= METADATA_CLASSES:
                # The kernel takes them from a file that is written to (capabilities(7)).
                return "its capabilities, which are set when the package is configured, may have gone with its content"
        return "the strategy is package" if self.policy.strategy == "package" else None

    def _plan_file(self, damage: Damage, label: str, reference: VerifiedPackage) -> None:
        """Plan the repair of one path from its member."""
        member, entry = self._member(damage, reference), damage.entry
        if member is None or entry is None:
            return
        expected = reference.md5sums.get(member.path)
        if (
            entry.digest is not None
            and len(entry.digest) == 32
            and expected not in (None, entry.digest, *entry.other_digests)
        ):
            info = b"/var/lib/dpkg/info/%s.md5sums" % label.encode()
            why = f"its digest of {text(entry.listed)} is not the package's"
            self._add_database_step(RESTORE_DIGESTS, info, label, reference, why)
        kind = {FILE: REPLACE_FILE, DIRECTORY: MAKE_DIRECTORY, SYMLINK: REPLACE_LINK}[member.kind]
        if not damage.classes & CONTENT_CLASSES:
            kind = SET_METADATA
        taken = self.taken.get(damage.path)
        if kind == REPLACE_FILE and taken is not None:
            self._add(taken._replace(damaged=(*taken.damaged, damage.path)))
            return
        step = self._file_step(kind, damage, label, reference, member)
        if kind == REPLACE_FILE:
            others = self._other_names(label, reference, member)
            step = step._replace(links=others, capabilities=capabilities(damage, member, reference.capabilities))
        self._add(step)

    def _other_names(self, label: str, reference: VerifiedPackage, member: Member) -> tuple[tuple[bytes, bytes], ...]:
        """Return the further names of a member's inode, on disk and in the package."""
        first = member.linked_to or member.path
        if label not in self.groups:
            self.groups[label] = _link_groups(reference)
        names = [name for name in self.groups[label].get(first, ()) if name != member.path]
        places = [(self.facts.places[label, name], name) for name in names]
        return tuple((path, name) for path, name in places if self._is_owned(path, label))

    def _is_owned(self, path: bytes, label: str) -> bool:
        """Tell whether a path is looked at, and is the package's own."""
        return path in self.facts.entries and label in self.facts.entries[path].packages

    def plan_packages(self) -> None:
        """Plan one step for each package that is installed again, and drop the steps which that makes needless."""
        for label, damages in self.by_package.items():
            reference = self._trusted(label)
            if isinstance(reference, str):
                continue
            covered = [step for step in self.steps.values() if step.package == label and self._is_covered(step)]
            for step in covered:
                del self.steps[step.kind, step.path]
            paths = [damage.path for damage in damages if damage.entry is not None]
            paths += [path for step in covered for path in step.damaged]
            why = ", ".join(sorted({damage.why for damage in damages} | {step.why for step in covered}))
            self._add(installation(label, reference, paths, why))

    def plan_upgrades(self) -> None:
        """Plan one step for all packages that are upgraded together, and drop what else was planned for their files.

        A conffile and a directory are not made good by it, nor can they be by the installed version any more.
        """
        for damages in self.by_upgrade.values():
            label = damages[0][0]
            upgrade = self.facts.upgrades[label]
            if isinstance(upgrade, str):
                continue
            paths = [damage.path for _label, damage in damages if damage.entry is not None]
            why = {damage.why for _label, damage in damages}
            labels = frozenset(each.label for each in upgrade.changes)
            for step in [each for each in self.steps.values() if each.package in labels and each.kind in _OF_FILES]:
                del self.steps[step.kind, step.path]
                entry = self.facts.entries.get(step.path)
                if entry is not None and (entry.kind == CONFFILE or (entry.kind, step.kind) == _MODE_OF_DIRECTORY):
                    reason = "its package is upgraded, and the installed version says nothing of it afterwards"
                    self.refused.append(NotRepaired(step.path, (step.package,), step.why, reason, "Repair again"))
                    continue
                for path in step.damaged:
                    if _becomes_conffile(self.facts.entries.get(path), upgrade):
                        refused = NotRepaired(path, (step.package,), step.why, _BECOMES_CONFFILE, _REPAIR_FIRST)
                        self.refused.append(refused)
                    else:
                        paths.append(path)
                why.add(step.why)
            self._add(upgrading(label, upgrade, paths, ", ".join(sorted(why))))

    def _is_covered(self, step: Step) -> bool:
        """Tell whether the installation of its package does what a step does."""
        entry = self.facts.entries.get(step.path)
        is_conffile = entry is not None and entry.kind == CONFFILE
        return step.kind in (REPLACE_FILE, REPLACE_LINK) and not is_conffile

    def _add(self, step: Step) -> None:
        self.steps[step.kind, step.path] = step
        for path, _member in ((step.path, step.member), *step.links):
            self.taken[path] = step

    def _file_step(self, kind: str, damage: Damage, label: str, reference: VerifiedPackage, member: Member) -> Step:
        mode, owner, group = metadata(damage, member)
        return Step(
            kind,
            damage.path,
            label,
            DIRECTORIES if kind == MAKE_DIRECTORY else stage(damage.path, label),
            damage.why,
            reference.source,
            reference.trust,
            damage.findings[0].actual,
            described(member, mode, owner, group),
            member.path,
            (),
            mode,
            owner,
            group,
            (damage.path,),
        )


def _digests(digests: Mapping[bytes, bytes]) -> bytes:
    """Return digests in the format of deb-md5sums(5)."""
    return b"".join(digest + b"  " + path[1:] + b"\n" for path, digest in digests.items())


def _is_upgraded(damage: Damage) -> bool:
    """Tell whether an upgrade makes something good: it keeps conffiles, and the mode of a directory that is there."""
    entry = damage.entry
    if entry is None:
        return True
    return entry.kind != CONFFILE and not (entry.kind == DIRECTORY and damage.classes <= METADATA_CLASSES)


def _becomes_conffile(entry: Entry | None, upgrade: Upgrade) -> bool:
    """Tell whether a path is a conffile in a new version, and so keeps what it has."""
    packages = upgrade.packages.values()
    return entry is not None and any(entry.listed in package.conffiles for package in packages)


def _link_groups(reference: VerifiedPackage) -> dict[bytes, list[bytes]]:
    """Return all names of each member that has several, by the first of them."""
    groups: dict[bytes, list[bytes]] = {}
    for path, member in reference.members.items():
        if member.linked_to is not None:
            groups.setdefault(member.linked_to, [member.linked_to]).append(path)
    return groups
