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
from typing import Any, Callable, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import other_systems, witness_measure
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.databases import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion, excluder
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    SYMLINK,
    DatabaseProblem,
    Entry,
    Finding,
    Gap,
    Manifest,
    Observation,
    Recorded,
    is_utf8,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import MOUNTINFO, Mounts, read_mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Progress
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import (
    CACHED,
    MIN_RATE,
    Reading,
    unproven_devices,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rounds import Tally, observe
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.transactions import settled
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import (
    CLASSES,
    judge,
    verdict,
    worst_first,
)

ARCHIVE = "archive"
_NOTHING_RECORDED = Recorded()

#: Where packages are put for a while that are read as the reference: a file system with room for them.
WORK_DIRECTORY = "/var/tmp"

#: Examples given of each kind of gap.
MAX_EXAMPLES = 5


class Options(NamedTuple):
    """What to verify and how; the module's options of the same names. No ``packages`` means all of them."""

    root: str = "/"
    packages: tuple[str, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    conffiles: str = "report"
    jobs: int | None = None
    max_findings: int = 100
    report_path: str | None = None
    reference: str = "database"
    archive_sources: tuple[str, ...] = ()
    package_directories: tuple[str, ...] = ()
    read: str = CACHED
    max_rate: int | None = None
    progress_path: str | None = None
    manifest_path: str | None = None


class Verification(NamedTuple):
    """Everything that one verification found; nothing is capped yet."""

    manifest: Manifest
    findings: list[Finding]
    problems: list[DatabaseProblem]
    gaps: list[Gap]
    tally: Tally
    failures: list[str]
    read: str = CACHED
    observations: tuple[Observation, ...] = ()
    other_systems: tuple[str, ...] = ()


def check(options: Options) -> dict[str, Any]:
    """Verify a system. Returns the module's result; ``failures`` says what could not be done and why.

    Raises `InvalidInputError` for an option that cannot be used or a root without a package database, and
    `MeasurementError` when nothing can be measured.
    """
    begin = time.monotonic()
    check_options(options)
    tree = Tree(options.root)
    try:
        found = run(tree, options)
        not_written = _write_manifest(options.manifest_path, tree, found, options)
    finally:
        tree.close()
    duration_ms = round((time.monotonic() - begin) * 1000)
    result = _result(found, options, duration_ms)
    if not_written is not None:
        result["manifest_path"] = None
        result["failures"].append(not_written)
    if options.report_path is not None:
        try:
            write_lines(options.report_path, _records(found, result))
        except OSError as error:
            result["report_path"] = None
            result["failures"].append(f"report_path {options.report_path!r} could not be written: {error.strerror}")
    return result


def run(tree: Tree, options: Options) -> Verification:
    """Read the database, look at the disk, judge."""
    progress = Progress(options.progress_path)
    mounts = read_mounts(tree)
    if mounts is not None:
        tree.avoided = tuple(path + b"/" for path in mounts.remote())
    unproven = unproven_devices(mounts) if options.read != CACHED else {}
    compose = _archive_reference(options, progress) if options.reference == ARCHIVE else None
    seen = observe(
        tree,
        lambda: _read(tree, options, mounts, compose),
        options.jobs or default_jobs(),
        Reading(options.read, options.max_rate, unproven),
        mounts,
        progress,
    )
    judgement = judge(seen.manifest, seen.observations, seen.accounts, mounts)
    findings, problems = judgement.findings, seen.manifest.problems + judgement.problems
    gaps = seen.gaps + judgement.gaps + _unproven(seen.tally)
    if mounts is None:
        gaps.append(Gap("mounts_unknown", "what a mount hides cannot be told without /proc", (), 0, MOUNTINFO))
    if seen.moving:
        findings, problems, in_motion = settled(findings, problems, seen.moving, seen.known)
        gaps += in_motion
    progress.update(stage="done", findings=len(findings))
    return Verification(
        seen.manifest,
        worst_first(findings),
        problems,
        gaps,
        seen.tally,
        seen.failures,
        options.read,
        tuple(seen.observations),
        other_systems.find(tree),
    )


def _read(
    tree: Tree, options: Options, mounts: Mounts | None, compose: Callable[[Tree, Manifest], Manifest] | None
) -> tuple[Manifest, list[Gap]]:
    """Read the reference; entries that are not to be looked at are taken out of the manifest and become gaps."""
    wanted = _package_pattern(options.packages)
    manifest = read_manifest(tree, wanted, options.conffiles == "report")
    if compose is not None:
        manifest = compose(tree, manifest)
    gaps = manifest.gaps + _unknown_packages(options.packages, manifest)
    wanted_entries, excluded = _exclude(manifest.entries, options.exclude)
    entries, covered = _without_covered(wanted_entries, mounts)
    manifest.taken_out = len(manifest.entries) - len(entries)
    manifest.entries = entries
    if covered and options.manifest_path is not None:
        manifest.hidden = _others(wanted_entries, entries)
    return manifest, gaps + excluded + covered


def _without_covered(entries: list[Entry], mounts: Mounts | None) -> tuple[list[Entry], list[Gap]]:
    """Take out the entries that lie in another host's file system, or in whose place something is mounted."""
    if mounts is None:
        return entries, []
    entries, remote = mounts.without_remote(entries)
    entries, hidden = mounts.without_hidden(entries)
    return entries, remote + hidden


def _others(entries: list[Entry], kept: list[Entry]) -> list[Entry]:
    """Return the entries that were not kept; both are in the same order."""
    others, remaining = [], iter(kept)
    next_kept = next(remaining, None)
    for entry in entries:
        if entry is next_kept:
            next_kept = next(remaining, None)
        else:
            others.append(entry)
    return others


def _archive_reference(options: Options, progress: Progress) -> Callable[[Tree, Manifest], Manifest]:
    """Return what puts the packages themselves in the place of a database; a version is fetched once in all rounds."""
    # Not at the top: it is a third of all code, and most runs do without it.
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages import archive, archive_reference

    def tick(done: int, total: int) -> None:
        progress.update(stage="fetching", files_done=done, files_total=total)

    source_options = archive.Options(options.archive_sources, options.package_directories)
    jobs = options.jobs or default_jobs()
    return archive_reference.ArchiveReference(source_options, WORK_DIRECTORY, jobs, tick).compose


def _unproven(tally: Tally) -> list[Gap]:
    """Return a gap for each reason why files were not surely read from the disk; their content was verified."""
    return [
        Gap("read_mode_unproven", f"{kind}: {reason}", (), 0, f"{files} files")
        for (kind, reason), files in sorted(tally.passes.items())
        if reason
    ]


def default_jobs() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def check_options(options: Options) -> None:
    """Refuse what no run could be done with. Raises `InvalidInputError`."""
    for name, value, least in (
        ("jobs", options.jobs, 1),
        ("max_findings", options.max_findings, 0),
        ("max_rate", options.max_rate, MIN_RATE),
    ):
        if value is not None and value < least:
            raise InvalidInputError(f"{name} {value}", "it is too small", f"Give {least} or more")
    for name in ("report_path", "progress_path", "manifest_path"):
        path = getattr(options, name)
        if path is not None:
            _check_path(name, path)


def _check_path(name: str, path: str) -> None:
    directory = Path(path).parent
    if not (directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)):
        reason = "its directory does not exist or is not writable for this user"
        raise InvalidInputError(f"{name} {path!r}", reason, "Create it first, or name a file in another directory")
    if Path(path).is_dir():
        raise InvalidInputError(f"{name} {path!r}", "it is a directory", "Name a file, in this directory or another")


def _package_pattern(packages: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return one expression for all package globs; `None` when every package is meant."""
    return re.compile("|".join(fnmatch.translate(name) for name in packages)) if packages else None


def _unknown_packages(packages: tuple[str, ...], manifest: Manifest) -> list[Gap]:
    """Return a gap for each name or glob that matches nothing installed."""
    gaps = []
    for name in packages:
        match = re.compile(fnmatch.translate(name)).match
        if not any(match(known) for label in manifest.installed for known in (label, *manifest.names.get(label, ()))):
            gaps.append(Gap("no_such_package", "no installed package has this name", (), 0, name))
    return gaps


def _exclude(entries: list[Entry], exclusions: tuple[Exclusion, ...]) -> tuple[list[Entry], list[Gap]]:
    """Take out what is not to be verified; the first exclusion that matches a path gives the reason."""
    if not exclusions:
        return entries, []
    why_excluded = excluder(exclusions)
    kept: list[Entry] = []
    gaps: list[Gap] = []
    for entry in entries:
        reason = why_excluded(entry.path, entry.listed)
        if reason is None:
            kept.append(entry)
        else:
            gaps.append(Gap("excluded", reason, tuple(entry.packages), 1, text(entry.path)))
    return kept, gaps


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
        "manifest_path": options.manifest_path,
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
    without_entry = sum(gap.files for gap in found.gaps if gap.reason in _WITHOUT_ENTRY)
    listed = len(found.manifest.entries) + found.manifest.taken_out + without_entry
    return {
        "packages": {
            "installed": len(installed),
            "verified": len(installed) - not_verified,
            "not_verified": not_verified,
        },
        "files": {
            "listed": listed,
            "verified": listed - missed,
            "not_verified": missed,
            **_not_compared(found.manifest.entries),
        },
        "bytes_read": found.tally.bytes_read,
        "read": _reading(found),
        "gaps": gaps,
        "not_recorded": list(found.manifest.not_recorded),
        "other_systems": list(found.other_systems),
    }


def _not_compared(entries: list[Entry]) -> dict[str, int]:
    """Count the paths of which the reference does not say what mode and what owner is right; a link has no mode."""
    modes = owners = 0
    for entry in entries:
        said = entry.recorded or _NOTHING_RECORDED
        modes += entry.kind != SYMLINK and said.mode is None
        owners += said.owner is None or said.group is None
    return {"mode_not_compared": modes, "owner_not_compared": owners}


def _reading(found: Verification) -> dict[str, object]:
    """Say how files were read: ``unproven`` when it was not surely from the disk, for one file at least."""
    passes = found.tally.passes
    return {
        "read_mode": "unproven" if any(reason for _kind, reason in passes) else found.read,
        "files_from_disk": sum(files for (_kind, reason), files in passes.items() if not reason),
        "unproven": [
            {"file_system": kind, "reason": reason, "files": files}
            for (kind, reason), files in sorted(passes.items())
            if reason
        ],
        "idle": not found.tally.not_gentle,
        "idle_reason": found.tally.not_gentle,
    }


#: Gaps about files that never became entries.
_WITHOUT_ENTRY = (
    "not_selected",
    "conffiles_ignored",
    "conffile_not_configured",
    "damaged_header",
    "net_shared",
    "device_unknown",
    "unregistered_alternative",
)


def _group(reason: str, detail: str, members: list[Gap]) -> dict[str, object]:
    examples = sorted({gap.example for gap in members})[:MAX_EXAMPLES]
    return {
        "reason": reason,
        "detail": detail,
        "packages": len({package for gap in members for package in gap.packages}),
        "files": sum(gap.files for gap in members),
        "examples": examples,
    }


def _write_manifest(path: str | None, tree: Tree, found: Verification, options: Options) -> str | None:
    """Write what was measured of every file, where that is asked for. Returns why it could not be."""
    if path is None:
        return None
    verified = witness_measure.Verified(
        found.observations,
        not_done={gap.example for gap in found.gaps if gap.reason == "not_done"},
        damaged={finding.path for finding in found.findings if CLASSES[finding.category]},
        hidden=found.manifest.hidden,
    )
    selection = {
        "packages": sorted(options.packages),
        "exclude": sorted(exclusion.path for exclusion in options.exclude),
        "conffiles": options.conffiles,
        "reference": options.reference,
    }
    try:
        witness_measure.write(path, tree, found.manifest, verified, selection)
    except OSError as error:
        return f"manifest_path {path!r} could not be written: {error.strerror}"
    return None


def write_lines(path: str, records: Iterable[dict[str, object]]) -> None:
    """Write records as JSON lines, in one go, for the user alone. Raises `OSError`."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            for record in records:
                stream.write(json.dumps(record) + "\n")
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise


def _records(found: Verification, result: dict[str, object]) -> Iterable[dict[str, object]]:
    """Yield everything: summary and coverage, then each database problem, then each finding."""
    yield {"record": "summary", **{key: result[key] for key in ("summary", "coverage", "failures", "duration_ms")}}
    for problem in found.problems:
        yield {"record": "database_problem", **problem._asdict()}
    for finding in found.findings:
        yield {"record": "finding", **describe(finding)}
