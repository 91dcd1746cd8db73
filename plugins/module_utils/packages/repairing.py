# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One repair from beginning to end: verify, plan, refuse or do, verify again, say what is left to do."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import aftermath, archive, check, deb
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import (
    DPKG_LOCKS,
    DatabaseLocks,
    is_locked,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
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
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_packages import PackageRepair
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
    remedy: str = ""


class _Done:
    """What was done; ``complaints`` are about the sources of packages."""

    def __init__(self, complaints: Iterable[str]) -> None:
        self.outcomes: list[_Outcome] = []
        self.leftovers: list[str] = []
        self.complaints = list(complaints)
        self.after: check.Verification | None = None

    def repaired(self) -> list[Step]:
        """Return the steps that were done."""
        return [outcome.step for outcome in self.outcomes if outcome.status == "done"]


class _Attempt(NamedTuple):
    """One attempt: what was found, what was planned, what spoke against it, what was done."""

    before: check.Verification
    plan: Plan
    reasons: list[Refusal]
    done: _Done


_NO_FACTS = Facts({}, {}, {}, {}, {}, {})


def repair(options: RepairOptions) -> dict[str, Any]:
    """Repair a system. Returns the module's result; ``failures`` says what could not be done and why.

    Raises `InvalidInputError` for an option that cannot be used or a root without a package database, and
    `MeasurementError` when nothing can be measured, or the database changed meanwhile.
    """
    tree = Tree(options.verification.root)
    quarantine = Quarantine(tree)
    try:
        attempt = _attempt(options, quarantine)
        if any(step.stage == DATABASE for step in attempt.done.repaired()):
            # Only now the database says what else is damaged.
            attempt = _together(attempt, _attempt(options, quarantine))
        quarantine.finish()
        if attempt.done.repaired():
            attempt.done.after = _verified_again(options)
    finally:
        quarantine.close()
        tree.close()
    return _result(options, attempt, quarantine.path)


def _attempt(options: RepairOptions, quarantine: Quarantine) -> _Attempt:
    """Verify, plan, and do the plan, or of one that mends the database that part alone."""
    tree = Tree(options.verification.root)
    try:
        before_all = stamp(tree)
        before = check.run(tree, options.verification)
        labels = concerned(before.findings, before.problems)
        with Archive(tree, check.WORK_DIRECTORY, _archive_options(options), frozenset(map(_name, labels))) as source:
            facts = _facts(tree, before, labels, source) if labels else _NO_FACTS
            plan = make_plan(before.findings, before.problems, facts, options.policy)
            if not tree.root:
                plan = without_the_running_kernel(plan, tree, os.uname().release)
            reasons = _reasons(tree, plan)
            done = _Done(source.complaints)
            killed = [run for run in unfinished(tree) if not quarantine.is_run(run.run)]
            if (plan.steps or killed) and not options.dry_run and not reasons:
                now = [step for step in plan.steps if step.stage == DATABASE] or plan.steps
                _Work(tree, options, facts, done).do(now, before_all, quarantine)
    finally:
        tree.close()
    return _Attempt(before, plan, reasons, done)


def _together(first: _Attempt, second: _Attempt) -> _Attempt:
    """Return what both attempts did, as one."""
    done = _Done(first.done.complaints + second.done.complaints)
    done.outcomes = first.done.outcomes + second.done.outcomes
    done.leftovers = first.done.leftovers + second.done.leftovers
    mended = [step for step in first.plan.steps if step.stage == DATABASE]
    plan = Plan(mended + second.plan.steps, second.plan.not_repaired)
    return _Attempt(first.before, plan, second.reasons, done)


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
    """The doing of one plan."""

    def __init__(self, tree: Tree, options: RepairOptions, facts: Facts, done: _Done) -> None:
        self.tree = tree
        self.options = options
        self.facts = facts
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
        held = sorted({label for run in runs for label in run.held} & set(self.facts.installed))
        if held:
            packages.hold(held)
        self.done.leftovers = clear_leftovers(self.tree, quarantine, runs)

    def _steps(self, steps: list[Step], files: FileRepair, packages: PackageRepair) -> None:
        pending = list(steps)
        while pending:
            step = pending.pop(0)
            try:
                self._step(step, files, packages)
            except (QuarantineError, UntrustedDiskError) as error:
                self.done.outcomes.append(_Outcome(step, "failed", f"{error.value}: {error.reason}", error.remedy))
                self.done.outcomes += [_Outcome(each, "not_done", "an earlier step failed") for each in pending]
                return
            except RepairError as error:
                if error.by_package and self.options.policy.strategy == "auto":
                    self._note_for_package(step, error, pending)
                else:
                    self.done.outcomes.append(_Outcome(step, "failed", f"{error.value}: {error.reason}", error.remedy))
            else:
                self.done.outcomes.append(_Outcome(step, "done"))

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


def _result(options: RepairOptions, attempt: _Attempt, quarantine: str | None) -> dict[str, Any]:
    """Put the result together, capped as that of a verification is."""
    before, plan, reasons, done = attempt
    limit = options.verification.max_findings
    repaired = done.repaired()
    replaced = [path for step in repaired for path in (step.path, *step.damaged, *(path for path, _ in step.links))]
    look = aftermath.look(replaced) if options.verification.root == "/" and replaced else aftermath.NOTHING
    described = describe_plan(plan)
    return {
        "changed": bool(repaired or done.leftovers) or (options.dry_run and bool(plan.steps) and not reasons),
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
        "failures": sorted({f"{each.error}. {each.remedy}" for each in done.outcomes if each.status == "failed"}),
        "diff": difference(repaired if done.outcomes else plan.steps),
    }


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
