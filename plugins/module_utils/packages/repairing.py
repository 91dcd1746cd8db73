# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One repair from beginning to end: verify, plan, refuse or do, verify again, say what is left to do."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check, deb
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import (
    DatabaseLocks,
    is_locked,
    make_locks,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.disk_health import (
    Health,
    Refusal,
    read_errors,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import CONFFILE, DIRECTORY, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Progress
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    Quarantine,
    QuarantineError,
    unfinished,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import UNCACHED
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair import (
    concerned,
    installation,
    without_digests,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_leftovers import clear_leftovers
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_order import DATABASE
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_packages import (
    HoldError,
    InstallationError,
    PackageRepair,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    INSTALL_PACKAGE,
    WHOLE_PACKAGES,
    Plan,
    Step,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_record import (
    ERRORS,
    Attempt,
    Done,
    Outcome,
    RepairOptions,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_replaced import (
    listed_only,
    make_plan,
    with_replaced,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_result import (
    make_result,
    paths_of,
    write_report,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_sources import Sources, locks_of
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import (
    FileRepair,
    RepairError,
    UntrustedDiskError,
    obstacle,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.system_health import (
    assess,
    without_the_running_kernel,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.transactions import stamp
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import CLASSES

__all__ = ["RepairOptions", "repair"]

_NO_FACTS = Facts({}, {}, {}, {}, {}, {}, [], (), {})


def repair(options: RepairOptions) -> dict[str, Any]:
    """Repair a system. Returns the module's result; ``failures`` says what could not be done and why.

    Raises `InvalidInputError` for an option that cannot be used or a root without a package database, and
    `MeasurementError` when nothing can be measured, or the database changed meanwhile.
    """
    check.check_options(options.verification)
    tree = Tree(options.verification.root)
    quarantine = Quarantine(tree)
    done = Done(Progress(options.verification.progress_path))
    try:
        attempt = _attempt(options, quarantine, done)
        if not done.stopped and any(step.stage == DATABASE for step in done.repaired()):
            # Only now the database says what else is damaged.
            with done.kept():
                attempt = _together(attempt, _attempt(options, quarantine, done))
        if not done.unfinished and not quarantine.triggers_put_off:
            with done.kept():
                quarantine.finish()
        if done.changed:
            with done.kept():
                done.after = _verified_again(options)
                done.failures += done.after.failures
    finally:
        quarantine.close()
        tree.close()
    result = make_result(options, attempt, done, quarantine.path)
    if options.verification.report_path is not None:
        write_report(options.verification.report_path, attempt, done, result)
    return result


def _attempt(options: RepairOptions, quarantine: Quarantine, done: Done) -> Attempt:
    """Verify, plan, and do the plan, or of one that mends the database that part alone."""
    tree = Tree(options.verification.root)
    try:
        before_all = stamp(tree)
        before = check.run(tree, options.verification)
        done.failures += before.failures
        done.known |= {(finding.category, finding.path) for finding in before.findings}
        labels = concerned(before.findings, before.problems)
        with Sources(tree, options, labels) as sources:
            facts = _NO_FACTS
            if labels:
                facts = _facts(tree, before, sources.references(labels, done.progress), sources, options)
            done.progress.begin("planning")
            plan = make_plan(tree, before.findings, before.problems, facts, options.policy)
            if not tree.root:
                plan = without_the_running_kernel(plan, tree, os.uname().release)
            health = _health(tree, before, plan, facts)
            done.complaints += sources.complaints
            killed = [run for run in unfinished(tree) if not quarantine.is_run(run.run)]
            if (plan.steps or killed or quarantine.triggers_put_off) and not options.dry_run and not health.refusals:
                now = [step for step in plan.steps if step.stage == DATABASE] or plan.steps
                work = _Work(tree, options, facts, frozenset(before.manifest.installed), done)
                with done.kept():
                    # Only what comes last knows what stays damaged.
                    left = [each.path for each in plan.not_repaired if CLASSES.get(each.category)]
                    work.do(now, left if now is plan.steps else None, before_all, quarantine, sources.to_inherit())
    finally:
        tree.close()
    return Attempt(before, plan, health)


def _together(first: Attempt, second: Attempt) -> Attempt:
    """Return what both attempts found and planned, as one."""
    mended = [step for step in first.plan.steps if step.stage == DATABASE]
    plan = Plan(mended + second.plan.steps, second.plan.not_repaired)
    return Attempt(first.before, plan, second.health)


def _verified_again(options: RepairOptions) -> check.Verification:
    """Verify what is on the disk now, and not what the page cache still has of it."""
    tree = Tree(options.verification.root)
    try:
        return check.run(tree, options.verification._replace(read=UNCACHED))
    finally:
        tree.close()


def _health(tree: Tree, before: check.Verification, plan: Plan, facts: Facts) -> Health:
    """Return everything that speaks against doing a plan now, and what is not known."""
    health = assess(tree, plan, read_errors(tree, before), facts.to_be_written())
    locked = is_locked(tree, locks_of(tree)) if plan.steps else None
    if locked is not None:
        remedy = "Let it come to its end, and repair again"
        health.refusals.append(Refusal(f"a package transaction is running ({text(locked)} is locked)", remedy))
    return health


def _facts(
    tree: Tree,
    before: check.Verification,
    references: dict[str, VerifiedPackage | str],
    sources: Sources,
    options: RepairOptions,
) -> Facts:
    """Collect what the plan rests on: the packages that vouch for files, and what is in the way."""
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
        references,
        scripts,
        {path: reason for path, reason in in_the_way.items() if reason is not None},
        digests,
        sources.places(references),
        before.manifest.filters,
        options.verification.exclude,
        listed_only(before.manifest.entries, references),
        sources.upgrades(before, references, options.policy),
    )


def _digests(package: VerifiedPackage) -> dict[bytes, bytes]:
    """Return the digests of a package; for one that brings none they are computed, as dpkg does when it unpacks it."""
    if package.md5sums:
        return package.md5sums
    return deb.read(package.path, md5=True).members_md5


class _Work:
    """The doing of one plan; ``installed`` are the labels of all packages of the root."""

    def __init__(self, tree: Tree, options: RepairOptions, facts: Facts, installed: frozenset[str], done: Done) -> None:
        self.tree = tree
        self.options = options
        self.facts = facts
        self.installed = installed
        self.done = done
        self.by_package: dict[str, list[bytes]] = {}

    def do(
        self,
        steps: list[Step],
        left: list[bytes] | None,
        verified: tuple[object, ...],
        quarantine: Quarantine,
        to_inherit: tuple[int, ...],
    ) -> None:
        """Do steps under the package manager's locks; ``left`` are paths that stay damaged, `None` if more comes."""
        paths = locks_of(self.tree)
        if stamp(self.tree) == verified and make_locks(self.tree, paths):
            verified = stamp(self.tree)  # Nobody else was at work: whoever is has made its lock.
        with DatabaseLocks(self.tree, paths) as locks:
            if stamp(self.tree) != verified:
                raise MeasurementError(
                    "the package database", "it was changed while the system was verified", "Repair again"
                )
            packages = PackageRepair(self.tree, quarantine, locks, self.facts, to_inherit)
            self._finish_killed_runs(quarantine, packages)
            self._steps(steps, left, FileRepair(self.tree, quarantine), packages)

    def _finish_killed_runs(self, quarantine: Quarantine, packages: PackageRepair) -> None:
        """Clear away what runs that were killed have left, and hold what they had to hold again."""
        runs = [run for run in unfinished(self.tree) if not quarantine.is_run(run.run)]
        held = sorted({label for run in runs for label in run.held} & self.installed)
        if held:
            self.done.changed = True
            packages.hold(held)
        if any(run.triggers for run in runs):
            self.done.changed = True
            quarantine.note_triggers()
        removed = clear_leftovers(self.tree, quarantine, runs)
        self.done.changed = self.done.changed or bool(removed)
        self.done.leftovers += removed

    def _not_done(self) -> list[bytes]:
        """Return the paths of the steps that were not done."""
        return [path for one in self.done.outcomes if one.status != "done" for path in paths_of(one.step)]

    def _steps(self, steps: list[Step], left: list[bytes] | None, files: FileRepair, packages: PackageRepair) -> None:
        pending = list(steps)
        while pending and not self.done.stopped:
            begun = len(self.done.outcomes)
            self.done.progress.update(stage="repairing", files_done=begun, files_total=begun + len(pending))
            step = pending.pop(0)
            try:
                self._step(step, files, packages)
            except ERRORS as error:
                self._failed(step, error, pending)
            else:
                self.done.changed = True
                self.done.replaced |= self._replaced(step)
                self.done.outcomes.append(Outcome(step, "done"))
        self.done.outcomes += [Outcome(each, "not_done", "an earlier step failed") for each in pending]
        if not self.done.unfinished and left is not None:
            with self.done.kept():
                packages.run_triggers([*left, *self._not_done()])

    def _failed(self, step: Step, error: Exception, pending: list[Step]) -> None:
        """Go on after a step that left everything as it was; after every other stop, since nobody knows what is."""
        harmless = isinstance(error, RepairError) and not isinstance(error, (InstallationError, UntrustedDiskError))
        if isinstance(error, RepairError) and error.by_package and self.options.policy.strategy == "auto":
            try:
                self._note_for_package(step, error, pending)
                return
            except RepairError as refusal:
                reason = f"{error.reason}, and its package must not be installed instead: {refusal.reason}"
                error = RepairError(error.value, reason, refusal.remedy)
        if isinstance(error, InstallationError):
            self.done.replaced |= self._replaced(step)  # Some of it may be.
        if not harmless:
            self.done.stopped = True
            self.done.unfinished = not isinstance(error, InstallationError) or isinstance(error, HoldError)
            as_it_was = isinstance(error, (QuarantineError, UntrustedDiskError)) and step.kind not in WHOLE_PACKAGES
            self.done.changed = self.done.changed or not as_it_was
        reason = f"{error.value}: {error.reason}" if isinstance(error, WebopsError) else f"{step.package}: {error}"
        self.done.failures.append(str(error) if isinstance(error, WebopsError) else f"{reason}. Repair again")
        self.done.outcomes.append(Outcome(step, "failed", reason))

    def _step(self, step: Step, files: FileRepair, packages: PackageRepair) -> None:
        if step.kind in WHOLE_PACKAGES:
            packages.perform(step)
            return
        reference = self.facts.references[step.package]
        if isinstance(reference, str):
            raise RepairError(step.package, reference, "Repair again")
        files.perform(step, reference)

    def _replaced(self, step: Step) -> set[bytes]:
        """Return the files that a step has exchanged: with a package all that it had, but for conffiles."""
        replaced = set(paths_of(step))
        if step.kind in WHOLE_PACKAGES:
            labels = frozenset(step.labels)
            replaced |= {
                entry.path
                for entry in self.facts.of(step).entries.values()
                if not labels.isdisjoint(entry.packages) and entry.kind not in (CONFFILE, DIRECTORY)
            }
        return replaced

    def _note_for_package(self, step: Step, error: RepairError, pending: list[Step]) -> None:
        """Install the whole package at the end for a file that cannot be repaired alone, once for all its files.

        Raises `RepairError` where it would not have been planned either.
        """
        label, reference = step.package, self.facts.references[step.package]
        if isinstance(reference, str):
            return
        paths = [*self.by_package.get(label, ()), *step.damaged]
        whole = installation(label, reference, paths, f"{step.why}: {error.reason}")
        others = [each for each in pending if (each.kind, each.package) != (INSTALL_PACKAGE, label)]
        pending[:] = [*others, self._admitted(whole, others)]
        self.by_package[label] = paths

    def _admitted(self, whole: Step, others: list[Step]) -> Step:
        """Return a package step that was not planned, if nothing speaks against it. Raises `RepairError`."""
        whole = with_replaced(self.tree, whole, self.facts)
        if not self.tree.root:
            for refused in without_the_running_kernel(
                Plan([*others, whole], []), self.tree, os.uname().release
            ).not_repaired:
                if refused.packages == (whole.package,):
                    raise RepairError(whole.package, refused.reason, refused.remedy)
        for refusal in assess(self.tree, Plan([whole], []), {}, self.facts.references).refusals:
            raise RepairError(whole.package, refusal.reason, refusal.remedy)
        return whole
