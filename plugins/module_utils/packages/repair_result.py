# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a repair as the module's result: capped, and what is left to do on the system that runs."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import aftermath, check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import CONFFILE, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    Plan,
    Step,
    VersionChange,
    describe_plan,
    describe_step,
    difference,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_record import (
    Attempt,
    Done,
    Outcome,
    RepairOptions,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import verdict


def make_result(options: RepairOptions, attempt: Attempt, done: Done, quarantine: str | None) -> dict[str, Any]:
    """Put the result together, capped as that of a verification is."""
    before, plan, health = attempt
    limit = options.verification.max_findings
    repaired = done.repaired()
    look = _aftermath(options, done)
    described = describe_plan(plan)
    return {
        "changed": done.changed or (options.dry_run and bool(plan.steps) and not health.refusals),
        "plan": {key: values[:limit] for key, values in described.items()},
        "plan_totals": {key: len(values) for key, values in described.items()},
        "left_out": _left_out(attempt, done, limit),
        "refusals": [refusal._asdict() for refusal in health.refusals],
        "not_known": health.unknown,
        "steps": [_described(outcome) for outcome in done.outcomes[:limit]],
        "upgraded": [
            {"label": each.label, "from": each.before, "to": each.after}
            for each in (_planned(plan) if options.dry_run and not health.refusals else _upgraded(done))
        ],
        "quarantine": quarantine,
        "leftovers_removed": done.leftovers,
        "before": _summary(before, limit),
        "after": _summary(done.after, limit) if done.after is not None else None,
        "services_to_restart": look.restart,
        "reboot": {"due": bool(look.reboot), "reasons": look.reboot},
        "commands": look.commands,
        "source_problems": sorted(set(done.complaints)),
        "failures": sorted({*done.failures, *_still_damaged(done, before)[:limit]}),
        "diff": difference(repaired if done.outcomes else plan.steps),
        "report_path": None,
    }


def _planned(plan: Plan) -> list[VersionChange]:
    """Return the upgrades of a plan."""
    return [each for step in plan.steps for each in step.upgrades]


def _upgraded(done: Done) -> list[VersionChange]:
    """Return what has its new version now: of a step that failed half-way, too."""
    if done.after is None:
        return [each for step in done.repaired() for each in step.upgrades]
    begun = [outcome.step for outcome in done.outcomes if outcome.status != "not_done"]
    versions = done.after.manifest.versions
    return [each for step in begun for each in step.upgrades if versions.get(each.label) == each.after]


def write_report(path: str, attempt: Attempt, done: Done, result: dict[str, Any]) -> None:
    """Write the result with all that its lists have no room for, as JSON lines, and name the file in it.

    A file that cannot be written is a failure in the result.
    """
    try:
        check.write_lines(path, _records(attempt, done, result))
        result["report_path"] = path
    except OSError as error:
        result["failures"].append(f"report_path {path!r} could not be written: {error.strerror}")


def _records(attempt: Attempt, done: Done, result: dict[str, Any]) -> Iterator[dict[str, object]]:
    """Yield everything: a summary, the plan, the steps that were begun, and what was found before and after."""
    lists = ("plan", "left_out", "steps", "before", "after", "diff", "report_path")
    yield {"record": "summary", **{key: value for key, value in result.items() if key not in lists}}
    described = describe_plan(attempt.plan)
    for kind, key in (("planned_step", "steps"), ("not_repaired", "not_repaired")):
        yield from ({"record": kind, **each} for each in described[key])
    yield from ({"record": "step", **_described(outcome)} for outcome in done.outcomes)
    for when, found in (("before", attempt.before), ("after", done.after)):
        if found is not None:
            known = {"when": when}
            yield from ({"record": "database_problem", **known, **each._asdict()} for each in found.problems)
            yield from ({"record": "finding", **known, **check.describe(each)} for each in found.findings)


def _left_out(attempt: Attempt, done: Done, limit: int) -> dict[str, int]:
    """Count what the lists of the result have no room for."""
    after = done.after.findings if done.after is not None else []
    lists: dict[str, Sized] = {
        "planned_steps": attempt.plan.steps,
        "not_repaired": attempt.plan.not_repaired,
        "steps": done.outcomes,
        "findings_before": attempt.before.findings,
        "findings_after": after,
    }
    return {name: max(0, len(entries) - limit) for name, entries in lists.items()}


def _aftermath(options: RepairOptions, done: Done) -> aftermath.Aftermath:
    """Return what is left to do on the system that runs."""
    if options.verification.root == "/" and done.replaced:
        with done.kept():
            return aftermath.look(done.replaced)
    return aftermath.NOTHING


def paths_of(step: Step) -> list[bytes]:
    """Return the paths that a step makes good."""
    return [step.path, *step.damaged, *(path for path, _member in step.links)]


def _still_damaged(done: Done, before: check.Verification) -> list[str]:
    """Say of what a repair was to make good, or has made worse, that it is damaged now."""
    if done.after is None:
        return []
    repaired = {path for step in done.repaired() for path in paths_of(step)}
    sentences = []
    versions = done.after.manifest.versions
    for label in sorted({*before.manifest.installed} - {*done.after.manifest.installed}):
        remedy = "See /var/log/dpkg.log for what has removed it, and install it again"
        sentences.append(f"{label}: it was installed before the repair, and is not any more. {remedy}")
    for each in (each for step in done.repaired() for each in step.upgrades):
        if versions.get(each.label, each.after) != each.after:
            remedy = "See /var/log/dpkg.log for what else has changed it"
            sentences.append(f"{each.label}: it was upgraded to {each.after}, and is {versions[each.label]}. {remedy}")
    conffiles = {entry.path for entry in before.manifest.entries if entry.kind == CONFFILE}
    for finding in done.after.findings:
        if finding.path in repaired:
            reason = "it was repaired and is damaged again"
        elif finding.category == "config_changed" and finding.path not in conffiles:
            continue  # The new version has made it a conffile, which is as it was.
        elif (finding.category, finding.path) not in done.known:
            reason = "it was not damaged in this way before the repair"
        else:
            continue
        remedy = "See what else writes to it, and whether the disk is sound"
        sentences.append(f"{text(finding.path)}: {reason} ({finding.category}). {remedy}")
    return sentences


def _described(outcome: Outcome) -> dict[str, object]:
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
