# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verification from beginning to end, and its result in the shape that the module returns."""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import glob
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DatabaseProblem,
    Entry,
    Finding,
    Gap,
    Manifest,
    Observation,
    is_utf8,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import judge, verdict, worst_first
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import verify

#: Examples given of each kind of gap.
MAX_EXAMPLES = 5


class Exclusion(NamedTuple):
    """Paths (a glob whose ``*`` also matches a slash) that are not to be verified, and why."""

    path: str
    reason: str


class Options(NamedTuple):
    """What to verify and how; the module's options of the same names. No ``packages`` means all of them."""

    root: str = "/"
    packages: tuple[str, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    conffiles: str = "report"
    jobs: int | None = None
    max_findings: int = 100
    report_path: str | None = None


class Verification(NamedTuple):
    """Everything that one verification found; nothing is capped yet."""

    manifest: Manifest
    findings: list[Finding]
    problems: list[DatabaseProblem]
    gaps: list[Gap]
    bytes_read: int
    failures: list[str]


def check(options: Options) -> dict[str, Any]:
    """Verify a system. Returns the module's result; ``failures`` says what could not be done and why.

    Raises `InvalidInputError` for an option that cannot be used or a root without a package database, and
    `MeasurementError` when nothing can be measured.
    """
    begin = time.monotonic()
    _check_options(options)
    tree = Tree(options.root)
    try:
        found = run(tree, options)
    finally:
        tree.close()
    duration_ms = round((time.monotonic() - begin) * 1000)
    result = _result(found, options, duration_ms)
    if options.report_path is not None:
        try:
            _write_report(options.report_path, found, result)
        except OSError as error:
            result["report_path"] = None
            result["failures"].append(f"report_path {options.report_path!r} could not be written: {error.strerror}")
    return result


def run(tree: Tree, options: Options) -> Verification:
    """Read the database, look at the disk, judge."""
    wanted = _package_pattern(options.packages)
    manifest = read_manifest(tree, wanted, options.conffiles == "report")
    gaps = list(manifest.gaps) + _unknown_packages(options.packages, manifest)
    manifest.entries, excluded = _exclude(manifest.entries, options.exclude)
    observations: list[Observation] = []
    failures: list[str] = []
    bytes_read = 0
    for outcome in verify(tree, manifest.entries, options.jobs or default_jobs()):
        observations.extend(outcome.observations)
        bytes_read += outcome.bytes_read
        if outcome.failure is not None:
            failures.append(outcome.failure)
            gaps += _lost(manifest.entries[outcome.first : outcome.end], outcome.failure)
    judgement = judge(manifest, observations)
    return Verification(
        manifest,
        worst_first(judgement.findings),
        manifest.problems + judgement.problems,
        gaps + excluded + judgement.gaps,
        bytes_read,
        failures,
    )


def default_jobs() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def _check_options(options: Options) -> None:
    for name, value in (("jobs", options.jobs), ("max_findings", options.max_findings)):
        if value is not None and value < (1 if name == "jobs" else 0):
            raise InvalidInputError(f"{name} {value}", "it is too small", "Give a positive number")
    if options.report_path is not None:
        _check_report_path(options.report_path)


def _check_report_path(path: str) -> None:
    directory = Path(path).parent
    if not (directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)):
        reason = "its directory does not exist or is not writable for this user"
        raise InvalidInputError(f"report_path {path!r}", reason, "Create it first, or name a file in another directory")
    if Path(path).is_dir():
        raise InvalidInputError(
            f"report_path {path!r}", "it is a directory", "Name a file, in this directory or another"
        )


def _package_pattern(packages: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return one expression for all package globs; `None` when every package is meant."""
    return re.compile("|".join(fnmatch.translate(name) for name in packages)) if packages else None


def _unknown_packages(packages: tuple[str, ...], manifest: Manifest) -> list[Gap]:
    """Return a gap for each name or glob that matches nothing installed."""
    gaps = []
    for name in packages:
        match = re.compile(fnmatch.translate(name)).match
        if not any(match(label) or match(label.partition(":")[0]) for label in manifest.installed):
            gaps.append(Gap("no_such_package", "no installed package has this name", (), 0, name))
    return gaps


def _exclude(entries: list[Entry], exclusions: tuple[Exclusion, ...]) -> tuple[list[Entry], list[Gap]]:
    """Take out what is not to be verified; the first exclusion that matches a path gives the reason."""
    rules = [(glob(os.fsencode(exclusion.path)), exclusion.reason) for exclusion in exclusions]
    if not rules:
        return entries, []
    kept: list[Entry] = []
    gaps: list[Gap] = []
    for entry in entries:
        reason = next((why for rule, why in rules if rule.match(entry.path) or rule.match(entry.listed)), None)
        if reason is None:
            kept.append(entry)
        else:
            gaps.append(Gap("excluded", reason, tuple(entry.packages), 1, text(entry.path)))
    return kept, gaps


def _lost(entries: list[Entry], failure: str) -> list[Gap]:
    return [Gap("not_done", failure, tuple(entry.packages), 1, text(entry.path)) for entry in entries]


def _result(found: Verification, options: Options, duration_ms: int) -> dict[str, Any]:
    """Put the result together, capped."""
    by_class: dict[str, int] = {}
    for finding in found.findings:
        by_class[finding.category] = by_class.get(finding.category, 0) + 1
    return {
        "summary": {
            "verdict": verdict(len(found.problems), found.findings, len(found.gaps)),
            "findings_total": len(found.findings),
            "by_class": by_class,
            "database_problems_total": len(found.problems),
        },
        "coverage": _coverage(found),
        "database_problems": [problem._asdict() for problem in found.problems[: options.max_findings]],
        "findings": [describe(finding) for finding in found.findings[: options.max_findings]],
        "failures": sorted(set(found.failures)),
        "duration_ms": duration_ms,
        "report_path": options.report_path,
    }


def describe(finding: Finding) -> dict[str, object]:
    """Return a finding as the result holds it. A path that is not UTF-8 is also given as base64, which is exact."""
    described: dict[str, object] = {"path": text(finding.path)}
    if not is_utf8(finding.path):
        described["path_b64"] = base64.b64encode(finding.path).decode()
    described["packages"] = list(finding.packages)
    described["class"] = finding.category
    described["expected"] = finding.expected
    described["actual"] = finding.actual
    return described


def _coverage(found: Verification) -> dict[str, object]:
    """Count what was verified and what was not, and why not."""
    groups: dict[tuple[str, str], list[Gap]] = {}
    for gap in found.gaps:
        groups.setdefault((gap.reason, gap.detail), []).append(gap)
    gaps = [_group(reason, detail, members) for (reason, detail), members in sorted(groups.items())]
    touched = {package for gap in found.gaps for package in gap.packages}
    installed = found.manifest.installed
    not_verified = sum(label in touched for label in installed)
    missed = sum(gap.files for gap in found.gaps)
    on_entries = sum(gap.files for gap in found.gaps if gap.reason not in _BESIDES_ENTRIES)
    listed = len(found.manifest.entries) + missed - on_entries
    return {
        "packages": {
            "installed": len(installed),
            "verified": len(installed) - not_verified,
            "not_verified": not_verified,
        },
        "files": {"listed": listed, "verified": listed - missed, "not_verified": missed},
        "bytes_read": found.bytes_read,
        "gaps": gaps,
        "not_recorded": list(found.manifest.not_recorded),
    }


#: Gaps about files that never became entries to look at.
_BESIDES_ENTRIES = ("not_selected", "excluded", "conffiles_ignored", "conffile_not_configured")


def _group(reason: str, detail: str, members: list[Gap]) -> dict[str, object]:
    examples = sorted({gap.example for gap in members})[:MAX_EXAMPLES]
    return {
        "reason": reason,
        "detail": detail,
        "packages": len({package for gap in members for package in gap.packages}),
        "files": sum(gap.files for gap in members),
        "examples": examples,
    }


def _write_report(path: str, found: Verification, result: dict[str, object]) -> None:
    """Write everything as JSON lines: summary and coverage, then each database problem, then each finding."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for record in _records(found, result):
                stream.write(json.dumps(record) + "\n")
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise


def _records(found: Verification, result: dict[str, object]) -> Iterable[dict[str, object]]:
    yield {"record": "summary", **{key: result[key] for key in ("summary", "coverage", "failures", "duration_ms")}}
    for problem in found.problems:
        yield {"record": "database_problem", **problem._asdict()}
    for finding in found.findings:
        yield {"record": "finding", **describe(finding)}
