# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module's progress file says, in a line for a person; and when it is time for the next line.

The file comes from a host that may be damaged: nothing of it is shown but numbers that were checked, and words of our
own.
"""

from __future__ import annotations

import json
from typing import NamedTuple

#: What a module may be at, and how a person calls it.
STAGES = {
    "reading_database": "reads the package database",
    "verifying": "verifies",
    "verifying_again": "verifies again what changed meanwhile",
    "fetching": "fetches packages",
    "planning": "plans the repair",
    "repairing": "repairs",
    "done": "has verified",
}

#: What is counted at a stage, where it is not files; these stages find nothing.
UNITS = {"fetching": "packages", "repairing": "steps"}

#: A progress file is one short object; a longer one is none.
MAX_BYTES = 1024

#: A larger number of files or findings is none.
MAX_COUNT = 10**12

FIRST_LINE_SECONDS = 3.0
FIRST_INTERVAL_SECONDS = 5.0
LONGEST_INTERVAL_SECONDS = 60.0


class Progress(NamedTuple):
    """How far a module is: files (`UNITS`) done and in all, findings so far; ``stage`` is a key of `STAGES`."""

    stage: str
    files_done: int
    files_total: int
    findings: int


def parse(content: str) -> Progress | None:
    """Return what a progress file says; `None` for anything but a whole object of the agreed keys."""
    if len(content) > MAX_BYTES:
        return None
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    stage = fields.get("stage")
    counts = [fields.get(key) for key in ("files_done", "files_total", "findings")]
    if not isinstance(stage, str) or stage not in STAGES:
        return None
    if any(isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_COUNT for count in counts):
        return None
    return Progress(stage, *(int(count) for count in counts if count is not None))


def line(host: str, progress: Progress) -> str:
    """Return the line for a person."""
    words = STAGES[progress.stage]
    if not progress.files_total:
        return f"[{host}] {words}"
    done = min(progress.files_done, progress.files_total)
    percent = 100 * done // progress.files_total
    unit = UNITS.get(progress.stage)
    if unit is not None:
        return f"[{host}] {words}: {done} of {progress.files_total} {unit} ({percent} %)"
    findings = "1 finding" if progress.findings == 1 else f"{progress.findings} findings"
    return f"[{host}] {words}: {done} of {progress.files_total} files ({percent} %), {findings}"


class Timetable:
    """When the next line is due: after a few seconds the first, and then ever less often."""

    def __init__(self) -> None:
        """Begin at second 0."""
        self._due_seconds = FIRST_LINE_SECONDS
        self._interval_seconds = FIRST_INTERVAL_SECONDS

    def is_due(self, elapsed_seconds: float) -> bool:
        """Tell whether a line is due now, and if so, plan the next."""
        if elapsed_seconds < self._due_seconds:
            return False
        self._due_seconds = elapsed_seconds + self._interval_seconds
        self._interval_seconds = min(2 * self._interval_seconds, LONGEST_INTERVAL_SECONDS)
        return True
