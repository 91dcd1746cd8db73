# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as files: what would be written, whether it differs from what is there, and writing it whole."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.report.document import to_json
from ansible_collections.ringmaster.webops.plugins.module_utils.report.html import to_html
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import Report, build_report
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import mapping, moment

HTML_NAME = "index.html"
JSON_NAME = "report.json"
FILE_MODE = 0o644


@dataclass(frozen=True)
class Plan:
    """What the report's files are to hold, and what they hold now (``None`` for a file that is missing)."""

    report: Report
    html_path: Path
    json_path: Path
    wanted: Mapping[Path, str]
    present: Mapping[Path, str | None]
    modes_differ: bool

    @property
    def changed(self) -> bool:
        """Whether a file would be written or its mode be mended."""
        return self.modes_differ or any(self.present[path] != content for path, content in self.wanted.items())

    def diff(self) -> list[dict[str, str]]:
        """Return the difference for a person: the report without its facts, and whether the page follows it."""
        if not self.changed:
            return []
        before, after = _shown(self.present[self.json_path]), _shown(self.wanted[self.json_path])
        entries = [_difference(self.json_path, before, after)]
        if self.present[self.html_path] != self.wanted[self.html_path]:
            state = "missing" if self.present[self.html_path] is None else "another page"
            entries.append(_difference(self.html_path, f"({state})\n", "(the page of this report)\n"))
        return entries


def plan_report(facts: Sequence[Mapping[str, Any]], destination: str, now: datetime) -> Plan:
    """Return what a report on ``facts`` at ``now`` would write into ``destination``; reads files and writes none.

    The same facts give the same files: where the report that is there says the same but for its moment, the plan keeps
    its moment. Raises ``InvalidInputError`` when ``destination`` cannot hold a report.
    """
    directory = Path(destination).resolve()
    html_path, json_path = directory / HTML_NAME, directory / JSON_NAME
    present = {path: _read(path) for path in (html_path, json_path)}
    report = build_report(facts, now.replace(microsecond=0))
    wanted = _rendered(report, facts, html_path, json_path)
    earlier = _moment_of(present[json_path])
    if earlier is not None:
        same = _rendered(replace(report, generated_at=earlier), facts, html_path, json_path)
        if same == present:
            report, wanted = replace(report, generated_at=earlier), same
    modes_differ = any(
        content is not None and path.stat().st_mode & 0o7777 != FILE_MODE for path, content in present.items()
    )
    return Plan(report, html_path, json_path, wanted, present, modes_differ)


def write_report(plan: Plan) -> None:
    """Write the files of ``plan``, each complete or not at all; raises ``InvalidInputError`` where it may not."""
    directory = plan.html_path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, content in plan.wanted.items():
            _replace(path, content.encode("utf-8", "backslashreplace"))
    except OSError as exc:
        raise _unusable(exc.filename or directory, exc) from exc


def _rendered(report: Report, facts: Sequence[Mapping[str, Any]], html_path: Path, json_path: Path) -> dict[Path, str]:
    return {html_path: to_html(report), json_path: to_json(report, facts)}


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _unusable(path, exc) from exc


def _unusable(path: object, exc: OSError) -> InvalidInputError:
    reason = exc.strerror or str(exc)
    return InvalidInputError(str(path), reason, "Name a directory that this user may write to as the destination")


def _moment_of(content: str | None) -> datetime | None:
    """Return the moment that a report of ours carries; ``None`` for any other file."""
    try:
        return moment(mapping(json.loads(content or "")).get("generated_at"))
    except ValueError:
        return None


def _shown(content: str | None) -> str:
    """Return a report as the diff shows it: without the facts and the moment; other content as the word it deserves."""
    if content is None:
        return ""
    try:
        whole = mapping(json.loads(content))
    except ValueError:
        return "(no report)\n"
    kept = {key: value for key, value in whole.items() if key not in ("facts", "generated_at")}
    return json.dumps(kept, indent=2) + "\n"


def _difference(path: Path, before: str, after: str) -> dict[str, str]:
    return {"before_header": str(path), "after_header": str(path), "before": before, "after": after}


def _replace(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``path`` by a rename, so that a reader sees the old file or the new one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fchmod(handle.fileno(), FILE_MODE)
            os.fsync(handle.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
