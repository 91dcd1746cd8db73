# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What other tools say of a damaged root: debsums(1), dpkg(1) and rpm(8), each as it is, on a root of its format."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

#: None of them takes a second for the few files of a sample. Who takes so long waits for ever.
LIMIT_SECONDS = 10

#: How dpkg and rpm report a path: nine characters for its properties, perhaps what kind of file it should be, the path.
_LINE = re.compile(r"^(?:missing  |[^ ]{9}) +(?:[a-z] )?(/.*?)(?: \([^)]*\))?$")
#: How debsums does.
_SENTENCES = (
    re.compile(r"^debsums: (?:changed|missing) file (/.*) \(from [^ ]+ package\)$"),
    re.compile(r"^debsums: can't (?:check|open) [^ ]+ file (/.*) \([^)]*\)$"),
)


class Answer(NamedTuple):
    """What a tool said of a root: the paths it reported, and whether it said anything at all, by its exit code too.

    ``failure`` is empty where it came to its end.
    """

    paths: frozenset[str]
    spoke: bool
    failure: str


class Tool(NamedTuple):
    """A tool: its command for a root, how it reports paths, the exit codes with which it has done its work."""

    name: str
    command: Callable[[Path], list[str]]
    reported: Callable[[Path, str], set[str]]
    done: frozenset[int]


def _in_lines(_root: Path, output: str) -> set[str]:
    return {match.group(1) for line in output.splitlines() if (match := _LINE.match(line))}


def _in_sentences(root: Path, output: str) -> set[str]:
    matches = [pattern.match(line) for line in output.splitlines() for pattern in _SENTENCES]
    return {match.group(1).removeprefix(str(root)) for match in matches if match}


DEBSUMS = Tool(
    "debsums", lambda root: ["debsums", f"--root={root}", "--all", "--silent"], _in_sentences, frozenset({0, 2})
)
# Its log would be that of the machine.
DPKG = Tool(
    "dpkg --verify",
    lambda root: ["dpkg", f"--root={root}", "--log=/dev/null", "--verify"],
    _in_lines,
    frozenset({0, 1}),
)
# What packages need of others, and scripts of theirs, are not the question.
RPM = Tool(
    "rpm -Va",
    lambda root: ["rpm", "--root", str(root), "--dbpath", "/var/lib/rpm", "-Va", "--nodeps", "--noscripts"],
    _in_lines,
    frozenset({0, 1}),
)


def ask(tool: Tool, root: Path) -> Answer:
    """Let a tool verify a root."""
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = tool.command(root)
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as expired:
        output, failure, code = (expired.stdout or b"") + (expired.stderr or b""), "hangs", 0
    else:
        output, code = done.stdout + done.stderr, done.returncode
        failure = "" if code in tool.done else "gives up"
    text = output.decode(errors="surrogateescape")
    return Answer(frozenset(tool.reported(root, text)), bool(text or code), failure)


@dataclass
class Comparison:
    """How many faults of each kind (a row) each verifier (a column) was shown, and how many it found."""

    shown: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, row: str, column: str, shown: int, found: int, failure: str = "") -> None:
        """Add what a verifier found in one root, and how it failed there if it did."""
        self.shown[row, column] += shown
        self.found[row, column] += found
        if failure:
            self.failures[row, column] = failure

    def table(self, title: str, columns: Sequence[str]) -> str:
        """Return it in Markdown, with totals."""
        rows = list(dict.fromkeys(row for row, _column in self.shown))
        lines = [f"| {title} | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
        lines += [f"| {row} | {' | '.join(self._cell(row, column) for column in columns)} |" for row in rows]
        totals = [
            f"{sum(self.found[row, column] for row in rows)} of {sum(self.shown[row, column] for row in rows)}"
            for column in columns
        ]
        return "\n".join([*lines, f"| all | {' | '.join(totals)} |"])

    def _cell(self, row: str, column: str) -> str:
        counts = f"{self.found[row, column]} of {self.shown[row, column]}"
        return ", ".join(filter(None, [counts, self.failures.get((row, column), "")]))
