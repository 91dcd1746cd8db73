# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages of one host as the report sees them: the result of a verification, read without trust in its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import (
    integer,
    items,
    mapping,
    mappings,
    path_text,
    text,
    texts,
)


@dataclass(frozen=True)
class Count:
    """How many of one kind are there, were verified, and were not; ``None`` where the result does not say."""

    total: int | None
    verified: int | None
    not_verified: int | None


@dataclass(frozen=True)
class Gap:
    """A reason why something was not verified, and how much of it."""

    reason: str
    detail: str | None
    packages: int | None
    files: int | None
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """One path that is not what the package manager says; ``changes`` are (property, expected, found)."""

    path: str
    packages: tuple[str, ...]
    kind: str
    changes: tuple[tuple[str, str | None, str | None], ...]


@dataclass(frozen=True)
class DatabaseProblem:
    """A part of the package database that cannot be believed."""

    file: str
    problem: str
    remedy: str | None


@dataclass(frozen=True)
class Packages:
    """What the verification of a host's packages found, and how much it covered."""

    verdict: str | None
    findings_total: int | None
    by_class: dict[str, int]
    packages: Count
    files: Count
    bytes_read: int | None
    gaps: tuple[Gap, ...]
    not_recorded: tuple[str, ...]
    failures: tuple[str, ...]
    database_problems: tuple[DatabaseProblem, ...]
    findings: tuple[Finding, ...]
    report_path: str | None
    duration_ms: int | None


def packages_from(result: Mapping[str, Any]) -> Packages:
    """Return what a result of ``package_consistency_info`` says; missing keys stay unknown."""
    summary, coverage = mapping(result.get("summary")), mapping(result.get("coverage"))
    findings = tuple(_finding(entry) for entry in mappings(result.get("findings")))
    total = integer(summary.get("findings_total"))
    return Packages(
        verdict=text(summary.get("verdict")),
        findings_total=len(findings) if total is None and "findings" in result else total,
        by_class={name: integer(count) or 0 for name, count in mapping(summary.get("by_class")).items()},
        packages=_count(coverage.get("packages"), "installed"),
        files=_count(coverage.get("files"), "listed"),
        bytes_read=integer(coverage.get("bytes_read")),
        gaps=tuple(_gap(entry) for entry in mappings(coverage.get("gaps"))),
        not_recorded=texts(coverage.get("not_recorded")),
        failures=texts(result.get("failures")),
        database_problems=tuple(_database_problem(entry) for entry in mappings(result.get("database_problems"))),
        findings=findings,
        report_path=text(result.get("report_path")),
        duration_ms=integer(result.get("duration_ms")),
    )


def _count(value: object, total: str) -> Count:
    entry = mapping(value)
    return Count(integer(entry.get(total)), integer(entry.get("verified")), integer(entry.get("not_verified")))


def _gap(entry: Mapping[str, Any]) -> Gap:
    return Gap(
        reason=text(entry.get("reason")) or "no reason given",
        detail=text(entry.get("detail")),
        packages=_size(entry.get("packages")),
        files=_size(entry.get("files")),
        examples=texts(entry.get("examples")),
    )


def _size(value: object) -> int | None:
    return len(items(value)) if items(value) else integer(value)


def _finding(entry: Mapping[str, Any]) -> Finding:
    expected, actual = mapping(entry.get("expected")), mapping(entry.get("actual"))
    names = list(expected) + [name for name in actual if name not in expected]
    return Finding(
        path=path_text(entry),
        packages=texts(entry.get("packages")),
        kind=text(entry.get("class")) or "unknown",
        changes=tuple((name, text(expected.get(name)), text(actual.get(name))) for name in names),
    )


def _database_problem(entry: Mapping[str, Any]) -> DatabaseProblem:
    return DatabaseProblem(
        file=text(entry.get("file")) or "(no file named)",
        problem=text(entry.get("problem")) or "unknown problem",
        remedy=text(entry.get("remedy")),
    )
