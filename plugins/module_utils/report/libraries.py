# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The TLS libraries of one host as the report sees them: what it has, where an endpoint is what a visitor sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import (
    boolean,
    integer,
    mapping,
    mappings,
    text,
    texts,
)

_KEYS = ("libraries", "restart_needed", "heartbleed", "not_tested")


@dataclass(frozen=True)
class Library:
    """A library file; ``heartbeat`` says whether it answers heartbeats over TLS, ``None`` where it does not tell."""

    path: str
    family: str | None
    version: str | None
    heartbeat: bool | None
    heartbeat_evidence: str | None


@dataclass(frozen=True)
class Process:
    """A process that runs on library files that were replaced or removed."""

    pid: int | None
    program: str
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Period:
    """When a package with Heartbleed was installed: the host's own times, ``None`` for before or after the logs."""

    package: str
    installed_at: str | None
    ended_at: str | None


@dataclass(frozen=True)
class Libraries:
    """What a host has: libraries, processes that are due for a restart, and its past with Heartbleed.

    ``vulnerable_now`` is ``None`` where that is not known. ``gaps`` says what could not be read, ``missing`` what the
    result should have and has not.
    """

    libraries: tuple[Library, ...]
    packages: tuple[str, ...]
    processes_total: int | None
    restart_needed: tuple[Process, ...]
    vulnerable_now: bool | None
    vulnerable_packages: tuple[str, ...]
    vulnerable_periods: tuple[Period, ...]
    logs_from: str | None
    logs_to: str | None
    advice: str | None
    gaps: tuple[str, ...]
    missing: tuple[str, ...]


def libraries_from(result: Mapping[str, Any]) -> Libraries:
    """Return what a result of ``tls_library_info`` says; missing keys stay unknown."""
    heartbleed = mapping(result.get("heartbleed"))
    logs = mapping(heartbleed.get("log_coverage"))
    return Libraries(
        libraries=tuple(_library(entry) for entry in mappings(result.get("libraries"))),
        packages=tuple(
            " ".join(texts([entry.get("name"), entry.get("version")])) for entry in mappings(result.get("packages"))
        ),
        processes_total=integer(result.get("processes_total")),
        restart_needed=tuple(_process(entry) for entry in mappings(result.get("restart_needed"))),
        vulnerable_now=boolean(heartbleed.get("vulnerable_now")),
        vulnerable_packages=texts(heartbleed.get("vulnerable_packages")),
        vulnerable_periods=tuple(_period(entry) for entry in mappings(heartbleed.get("vulnerable_periods"))),
        logs_from=text(logs.get("from")),
        logs_to=text(logs.get("to")),
        advice=text(heartbleed.get("advice")),
        gaps=tuple(
            f"{text(note.get('fact')) or 'unknown'}: {text(note.get('reason')) or 'no reason given'}"
            for note in mappings(result.get("not_tested"))
        ),
        missing=tuple(key for key in _KEYS if key not in result),
    )


def _library(entry: Mapping[str, Any]) -> Library:
    return Library(
        path=text(entry.get("path")) or "(no path)",
        family=text(entry.get("family")),
        version=text(entry.get("version")),
        heartbeat=boolean(entry.get("heartbeat")),
        heartbeat_evidence=text(entry.get("heartbeat_evidence")),
    )


def _process(entry: Mapping[str, Any]) -> Process:
    return Process(integer(entry.get("pid")), text(entry.get("program")) or "unknown", texts(entry.get("libraries")))


def _period(entry: Mapping[str, Any]) -> Period:
    package = " ".join(texts([entry.get("package"), entry.get("version")])) or "unknown package"
    return Period(package, text(entry.get("installed_at")), text(entry.get("ended_at")))


def programs(processes: tuple[Process, ...]) -> str:
    """Return the programs of processes with their numbers: ``nginx (12, 13), sshd (4)``."""
    numbers: dict[str, list[str]] = {}
    for process in processes:
        numbers.setdefault(process.program, []).append("unknown" if process.pid is None else str(process.pid))
    return ", ".join(f"{program} ({', '.join(pids)})" for program, pids in numbers.items())
