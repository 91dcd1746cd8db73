# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One repair from beginning to end: verify, plan, refuse or do, verify again, say what is left to do."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import aftermath, archive, check, deb
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import (
    DPKG_LOCKS,
    DatabaseLocks,
    is_locked,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    Quarantine,
    QuarantineError,
    unfinished,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import UNCACHED
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair import (
    Facts,
    concerned,
    installation,
    make_plan,
    without_digests,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_order import DATABASE
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_packages import (
    HoldError,
    InstallationError,
    PackageRepair,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    INSTALL_PACKAGE,
    Plan,
    Policy,
    Step,
    describe_plan,
    describe_step,
    difference,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import (
    FileRepair,
    RepairError,
    UntrustedDiskError,
    clear_leftovers,
    obstacle,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.system_health import (
    Refusal,
    refusals,
    without_the_running_kernel,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.transactions import stamp
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import verdict


class RepairOptions(NamedTuple):
    """What to verify (and where packages come from), and what is allowed. With ``dry_run`` nothing is changed."""

    verification: check.Options
    policy: Policy = Policy()
    dry_run: bool = False


class _Outcome(NamedTuple):
    """What became of one step; ``error`` is empty when it was done."""

    step: Step
    status: str
    error: str = ""


#: What can go wrong on a damaged system in the middle of its repair.
_ERRORS = (WebopsError, DebError, OSError)


class _Done:
    """The one record of a run; ``complaints`` are about the sources of packages.

    ``stopped`` says that nothing more may be changed, ``unfinished`` that the next run has to see to what is left.
    ``known`` are the classes and paths of what was found before anything was done about it.
    """

    def __init__(self) -> None:
        self.outcomes: list[_Outcome] = []
        self.leftovers: list[str] = []
        self.complaints: list[str] = []
        self.failures: list[str] = []
        self.known: set[tuple[str, bytes]] = set()
        self.after: check.Verification | None = None
        self.changed = self.stopped = self.unfinished = False

    def repaired(self) -> list[Step]:
        """Return the steps that were done."""
        return [outcome.step for outcome in self.outcomes if outcome.status == "done"]

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Note an error instead of raising it, once something was changed: then the result must not be lost."""
        try:
            yield
        except _ERRORS as error:
            if not self.changed:
                raise
            self.stopped = self.unfinished = True
            self.failures.append(str(error))


class _Attempt(NamedTuple):
    """One attempt: what was found, what was planned, what spoke against it."""

    before: check.Verification
    plan: Plan
    reasons: list[Refusal]


_NO_FACTS = Facts({}, {}, {}, {}, {}, {})


def repair(options: RepairOptions) -> dict[str, Any]:
    """Repair a system. Returns the module's result; ``failures`` says what could not be done and why.

    Raises `InvalidInputError` for an option that cannot be used or a root without a package database, and
    `MeasurementError` when nothing can be measured, or the database changed meanwhile.
    """
    tree = Tree(options.verification.root)
    quarantine = Quarantine(tree)
    done = _Done()
    try:
        attempt = _attempt(options, quarantine, done)
        if not done.stopped and any(step.stage == DATABASE for step in done.repaired()):
            # Only now the database says what else is damaged.
            with done.kept():
                attempt = _together(attempt, _attempt(options, quarantine, done))
        if not done.unfinished:
            with done.kept():
                quarantine.finish()
        if done.changed:
            with done.kept():
                done.after = _verified_again(options)
                done.failures += done.after.failures
    finally:
        quarantine.close()
        tree.close()
    return _result(options, attempt, done, quarantine.path)


def _attempt(options: RepairOptions, quarantine: Quarantine, done: _Done) -> _Attempt:
    """Verify, plan, and do the plan, or of one that mends the database that part alone."""
    tree = Tree(options.verification.root)
    try:
        before_all = stamp(tree)
        before = check.run(tree, options.verification)
        done.failures += before.failures
        done.known |= {(finding.category, finding.path) for finding in before.findings}
        labels = concerned(before.findings, before.problems)
        with Archive(tree, check.WORK_DIRECTORY, _archive_options(options), frozenset(map(_name, labels))) as source:
            facts = _facts(tree, before, labels, source) if labels else _NO_FACTS
            plan = make_plan(before.findings, before.problems, facts, options.policy)
            if not tree.root:
                plan = without_the_running_kernel(plan, tree, os.uname().release)
            reasons = _reasons(tree, plan)
            done.complaints += source.complaints
            killed = [run for run in unfinished(tree) if not quarantine.is_run(run.run)]
            if (plan.steps or killed) and not options.dry_run and not reasons:
                now = [step for step in plan.steps if step.stage == DATABASE] or plan.steps
                work = _Work(tree, options, facts, frozenset(before.manifest.installed), done)
                with done.kept():
                    work.do(now, before_all, quarantine)
    finally:
        tree.close()
    return _Attempt(before, plan, reasons)


def _together(first: _Attempt, second: _Attempt) -> _Attempt:
    """Return what both attempts found and planned, as one."""
    mended = [step for step in first.plan.steps if step.stage == DATABASE]
    plan = Plan(mended + second.plan.steps, second.plan.not_repaired)
    return _Attempt(first.before, plan, second.reasons)


def _verified_again(options: RepairOptions) -> check.Verification:
    """Verify what is on the disk now, and not what the page cache still has of it."""
    tree = Tree(options.verification.root)
    try:
        return check.run(tree, options.verification._replace(read=UNCACHED))
    finally:
        tree.close()


def _name(label: str) -> str:
    return label.partition(":")[0]


def _archive_options(options: RepairOptions) -> archive.Options:
    verification, trust = options.verification, options.policy.minimum_trust
    return archive.Options(verification.archive_sources, verification.package_directories, trust)


def _reasons(tree: Tree, plan: Plan) -> list[Refusal]:
    """Return everything that speaks against doing a plan now."""
    found = refusals(tree, plan)
    locked = is_locked(tree, DPKG_LOCKS) if plan.steps else None
    if locked is not None:
        remedy = "Let it come to its end, and repair again"
        found.append(Refusal(f"a package transaction is running ({text(locked)} is locked)", remedy))
    return found


def _facts(tree: Tree, before: check.Verification, labels: list[str], source: Archive) -> Facts:
    """Collect what the plan rests on: the packages that vouch for files, and what is in the way."""
    packages = source.database.packages
    wanted = {
        Identity(packages[label].name, packages[label].version, packages[label].architecture): label
        for label in labels
        if label in packages
    }
    references: dict[str, VerifiedPackage | str] = {}
    for identity, found in source.packages(list(wanted)):
        references[wanted[identity]] = found.reason if isinstance(found, Unavailable) else found
    entries = {entry.path: entry for entry in before.manifest.entries}
    scripts = {
        label: b"\n".join(found.contents.scripts) for label, found in references.items() if not isinstance(found, str)
    }
    lost = without_digests(before.problems)
    digests = {
        label: _digests(found) for label, found in references.items() if label in lost and not isinstance(found, str)
    }
    in_the_way = {finding.path: obstacle(tree, finding.path) for finding in before.findings}
    return Facts(
        entries,
        {label: package.version for label, package in packages.items()},
        references,
        scripts,
        {path: reason for path, reason in in_the_way.items() if reason is not None},
        digests,
    )


def _digests(package: VerifiedPackage) -> dict[bytes, bytes]:
    """Return the digests of a package; for one that brings none they are computed, as dpkg does when it unpacks it."""
    if package.md5sums:
        return package.md5sums
    return deb.read(package.path, md5=True).members_md5


class _Work:
    """The doing of one plan; ``installed`` are the labels of all packages of the root."""

    def __init__(
        self, tree: Tree, options: RepairOptions, facts: Facts, installed: frozenset[str], done: _Done
    ) -> None:
        self.tree = tree
        self.options = options
        self.facts = facts
        self.installed = installed
        self.done = done
        self.by_package: dict[str, list[bytes]] = {}

    def do(self, steps: list[Step], verified: tuple[object, ...], quarantine: Quarantine) -> None:
        """Do steps under the package manager's locks."""
        with DatabaseLocks(self.tree, DPKG_LOCKS) as locks:
            if stamp(self.tree) != verified:
                raise MeasurementError(
                    "the package database", "it was changed while the system was verified", "Repair again"
                )
            packages = PackageRepair(self.tree, quarantine, locks)
            self._finish_killed_runs(quarantine, packages)
            self._steps(steps, FileRepair(self.tree, quarantine), packages)

    def _finish_killed_runs(self, quarantine: Quarantine, packages: PackageRepair) -> None:
        """Clear away what runs that were killed have left, and hold what they had to hold again."""
        runs = [run for run in unfinished(self.tree) if not quarantine.is_run(run.run)]
        held = sorted({label for run in runs for label in run.held} & self.installed)
        if held:
            self.done.changed = True
            packages.hold(held)
        removed = clear_leftovers(self.tree, quarantine, runs)
        self.done.changed = self.done.changed or bool(removed)
        self.done.leftovers += removed

    def _steps(self, steps: list[Step], files: FileRepair, packages: PackageRepair) -> None:
        pending = list(steps)
        while pending and not self.done.stopped:
            step = pending.pop(0)
            try:
                self._step(step, files, packages)
            except _ERRORS as error:
                self._failed(step, error, pending)
            else:
                self.done.changed = True
                self.done.outcomes.append(_Outcome(step, "done"))
        self.done.outcomes += [_Outcome(each, "not_done", "an earlier step failed") for each in pending]

    def _failed(self, step: Step, error: Exception, pending: list[Step]) -> None:
        """Go on after a step that left everything as it was; after every other stop, since nobody knows what is."""
        harmless = isinstance(error, RepairError) and not isinstance(error, (InstallationError, UntrustedDiskError))
        if isinstance(error, RepairError) and error.by_package and self.options.policy.strategy == "auto":
            self._note_for_package(step, error, pending)
            return
        if not harmless:
            self.done.stopped = True
            self.done.unfinished = not isinstance(error, InstallationError) or isinstance(error, HoldError)
            as_it_was = isinstance(error, (QuarantineError, UntrustedDiskError)) and step.kind != INSTALL_PACKAGE
            self.done.changed = self.done.changed or not as_it_was
        reason = f"{error.value}: {error.reason}" if isinstance(error, WebopsError) else f"{step.package}: {error}"
        self.done.failures.append(str(error) if isinstance(error, WebopsError) else f"{reason}. Repair again")
        self.done.outcomes.append(_Outcome(step, "failed", reason))

    def _step(self, step: Step, files: FileRepair, packages: PackageRepair) -> None:
        reference = self.facts.references[step.package]
        if isinstance(reference, str):
            raise RepairError(step.package, reference, "Repair again")
        if step.kind == INSTALL_PACKAGE:
            packages.perform(step, reference)
        else:
            files.perform(step, reference)

    def _note_for_package(self, step: Step, error: RepairError, pending: list[Step]) -> None:
        """Install the whole package at the end for a file that cannot be repaired alone, once for all its files."""
        label, reference = step.package, self.facts.references[step.package]
        if isinstance(reference, str):
            return
        paths = self.by_package.setdefault(label, [])
        paths.extend(step.damaged)
        whole = installation(label, reference, self.facts.installed[label], paths, f"{step.why}: {error.reason}")
        pending[:] = [each for each in pending if (each.kind, each.package) != (INSTALL_PACKAGE, label)] + [whole]


def _result(options: RepairOptions, attempt: _Attempt, done: _Done, quarantine: str | None) -> dict[str, Any]:
    """Put the result together, capped as that of a verification is."""
    before, plan, reasons = attempt
    limit = options.verification.max_findings
    repaired = done.repaired()
    look = _aftermath(options, done)
    described = describe_plan(plan)
    return {
        "changed": done.changed or (options.dry_run and bool(plan.steps) and not reasons),
        "plan": {key: values[:limit] for key, values in described.items()},
        "plan_totals": {key: len(values) for key, values in described.items()},
        "refusals": [reason._asdict() for reason in reasons],
        "steps": [_described(outcome) for outcome in done.outcomes[:limit]],
        "quarantine": quarantine,
        "leftovers_removed": done.leftovers,
        "before": _summary(before, limit),
        "after": _summary(done.after, limit) if done.after is not None else None,
        "services_to_restart": look.restart,
        "reboot": {"due": bool(look.reboot), "reasons": look.reboot},
        "commands": look.commands,
        "source_problems": sorted(set(done.complaints)),
        "failures": sorted({*done.failures, *_still_damaged(done)[:limit]}),
        "diff": difference(repaired if done.outcomes else plan.steps),
    }


def _aftermath(options: RepairOptions, done: _Done) -> aftermath.Aftermath:
    """Return what is left to do on the system that runs."""
    replaced = [path for step in done.repaired() for path in _paths(step)]
    if options.verification.root == "/" and replaced:
        with done.kept():
            return aftermath.look(replaced)
    return aftermath.NOTHING


def _paths(step: Step) -> list[bytes]:
    """Return the paths that a step makes good."""
    return [step.path, *step.damaged, *(path for path, _member in step.links)]


def _still_damaged(done: _Done) -> list[str]:
    """Say of what a repair was to make good, or has made worse, that it is damaged now."""
    if done.after is None:
        return []
    repaired = {path for step in done.repaired() for path in _paths(step)}
    sentences = []
    for finding in done.after.findings:
        if finding.path in repaired:
            reason = "it was repaired and is damaged again"
        elif (finding.category, finding.path) not in done.known:
            reason = "it was not damaged in this way before the repair"
        else:
            continue
        remedy = "See what else writes to it, and whether the disk is sound"
        sentences.append(f"{text(finding.path)}: {reason} ({finding.category}). {remedy}")
    return sentences


def _described(outcome: _Outcome) -> dict[str, object]:
    described = {**describe_step(outcome.step), "status": outcome.status}
    if outcome.error:
        described["error"] = outcome.error
    return described


def _summary(found: check.Verification, limit: int) -> dict[str, object]:
    by_class: dict[str, int] = {}
    for finding in found.findings:
        by_class[finding.category] = by_class.get(finding.category, 0) + 1
    return {
        "verdict": verdict(len(found.problems), found.findings, len(found.gaps)),
        "findings_total": len(found.findings),
        "by_class": by_class,
        "findings": [check.describe(finding) for finding in found.findings[:limit]],
        "database_problems": [problem._asdict() for problem in found.problems[:limit]],
    }
