# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thousands of faults in every format: each is found with its class or not recorded, and nothing is invented.

Then what other tools find in damaged roots, beside what is found here.

A sample of the same runs with every `make test` (tests/unit/plugins/module_utils/packages/test_damage.py).
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers import damaged_roots
from peers.damage import DATABASE_KINDS, KINDS, Kind, Sample
from peers.damage_table import (
    CLASSES,
    Check,
    Tally,
    compare,
    compare_database,
    copy,
    damage_database,
    damage_files,
    injected,
    injected_into_database,
)
from peers.damaged_roots import REFERENCES, Subject, checked, checked_by_archive, entries
from peers.other_verifiers import DEBSUMS, DPKG, RPM, Comparison, Tool, ask

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed by root; run make proof as root")

FILE_FAULTS = 9000
DATABASE_FAULTS = 1000
FAULTS_A_ROUND = 30

#: Of each kind, for the comparison with other tools.
COMPARED_ROUNDS = 3
COMPARED_FAULTS_A_ROUND = 14
COMPARED_DATABASE_FAULTS = 20

#: Columns of the tables.
DATABASE_OF_DPKG = "this collection, dpkg"
ARCHIVE = "this collection, archive"
DATABASE_OF_RPM = "this collection, rpm"

#: What was damaged (files, database) and the name of the sample -> what came out.
Tallies = dict[tuple[str, str], Tally]


@pytest.fixture(scope="module")
def tallies() -> Iterator[Tallies]:
    tallies: Tallies = {}
    yield tallies
    for what in ("files", "database"):
        print(f"\n{table(what, {name: tally for (damaged, name), tally in tallies.items() if damaged == what})}")
    print(f"\n{totals(tallies)}")


@pytest.fixture(scope="module", params=REFERENCES)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with damaged_roots.subject(request.param) as subject:
        yield subject


def table(title: str, tallies: dict[str, Tally]) -> str:
    """Return what came out of each kind of fault, by format and reference, in Markdown."""
    lines = [f"| {title} | {' | '.join(tallies)} |", f"|---{'|---' * len(tallies)}|"]
    known = list(CLASSES) if title == "files" else [kind.name for kind in DATABASE_KINDS]
    for kind in known:
        cells = (
            " ".join(f"{word} {count[kind]}" for word, count in outcomes(one) if count[kind])
            for one in tallies.values()
        )
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def outcomes(tally: Tally) -> list[tuple[str, Counter[str]]]:
    return [("found", tally.found), ("not recorded", tally.not_recorded), ("nothing lost", tally.harmless)]


def totals(tallies: Tallies) -> str:
    """Return what came out of all faults: the class of the finding, or why there is none."""
    counts: Counter[str] = Counter()
    for (what, _name), tally in tallies.items():
        for word, counter in outcomes(tally):
            for kind, count in counter.items():
                label = f"found as {CLASSES[kind]}" if (what, word) == ("files", "found") else f"{what} {word}"
                counts[label] += count
    return f"{counts.total()} faults in all: " + ", ".join(f"{name} {count}" for name, count in counts.most_common())


def test_damaged_files(subject: Subject, tmp_path: Path, tallies: Tallies) -> None:
    tally = tallies["files", subject.name] = Tally()
    for number in range(FILE_FAULTS // len(REFERENCES) // FAULTS_A_ROUND):
        damage_files(subject.sample, tmp_path, subject.check, random.Random(number), FAULTS_A_ROUND, tally)


def test_damaged_databases(subject: Subject, tmp_path: Path, tallies: Tallies) -> None:
    tally = tallies["database", subject.name] = Tally()
    for number in itertools.count():
        damage_database(subject.sample, tmp_path, subject.check, entries, random.Random(number), tally)
        if tally.total() == DATABASE_FAULTS // len(REFERENCES):
            break


@dataclasses.dataclass
class Beside:
    """A sample, by which references it is verified here, and the tools that verify it besides."""

    sample: Sample
    ours: dict[str, Check]
    tools: Sequence[Tool]
    files: Comparison
    databases: Comparison
    invented: Counter[str]

    def damage_files(self, base: Path, kind: Kind, generator: random.Random) -> None:
        """Damage some paths of a copy in one way; what a tool finds of it, each reference finds too."""
        damaged = copy(self.sample, base)
        faults = list(injected(damaged, COMPARED_FAULTS_A_ROUND, generator, [kind]))
        found = {}
        for column, check in self.ours.items():
            found[column] = {fault.name for fault in compare(faults, check(damaged.root), Tally())}
            self.files.add(kind.name, column, len(faults), len(found[column]))
        for tool in self.tools:
            answer = ask(tool, damaged.root)
            right = answer.paths & {fault.name for fault in faults}
            self.files.add(kind.name, tool.name, len(faults), len(right), answer.failure)
            self.invented[tool.name] += len(answer.paths - right)
            for column, names in found.items():
                assert right <= names, (tool.name, column, right - names)

    def damage_database(self, base: Path, kind: Kind, generator: random.Random) -> None:
        """Damage one file of a copy's database; a tool finds it when it says anything at all."""
        damaged = copy(self.sample, base)
        fault = injected_into_database(damaged, generator, [kind])
        if fault is None:
            return
        for column, check in self.ours.items():
            tally = Tally()
            sample = dataclasses.replace(self.sample, sealed=column != DATABASE_OF_DPKG)
            compare_database(fault, check(damaged.root), (sample, damaged), entries, tally)
            self.databases.add(kind.name, column, 1, tally.found.total())
        for tool in self.tools:
            self.databases.add(kind.name, tool.name, 1, ask(tool, damaged.root).spoke)


def test_no_other_tool_finds_more(tmp_path: Path) -> None:
    if shutil.which("debsums") is None:
        pytest.skip("debsums, which is compared with, is not installed")
    files, databases, invented = Comparison(), Comparison(), Counter[str]()
    with damaged_roots.subject("dpkg, archive") as dpkg, damaged_roots.subject("rpm, database") as rpm:
        by_both: dict[str, Check] = {DATABASE_OF_DPKG: checked, ARCHIVE: checked_by_archive}
        for beside in (
            Beside(dpkg.sample, by_both, (DEBSUMS, DPKG), files, databases, invented),
            Beside(rpm.sample, {DATABASE_OF_RPM: checked}, (RPM,), files, databases, invented),
        ):
            for kind, number in itertools.product(KINDS, range(COMPARED_ROUNDS)):
                beside.damage_files(tmp_path, kind, random.Random(number))
            for kind, number in itertools.product(DATABASE_KINDS, range(COMPARED_DATABASE_FAULTS)):
                beside.damage_database(tmp_path, kind, random.Random(number))
    columns = [DATABASE_OF_DPKG, ARCHIVE, DEBSUMS.name, DPKG.name, DATABASE_OF_RPM, RPM.name]
    # Each has run, and was understood.
    assert all(files.found["grown", column] and databases.found["reverted content", column] for column in columns)
    print("\n" + files.table("damaged path", columns))
    print("reported, and not damaged: " + ", ".join(f"{name} {count}" for name, count in invented.items()))
    print("\n" + databases.table("damaged file of the database", columns))
