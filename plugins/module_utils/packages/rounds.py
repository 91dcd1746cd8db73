# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the database, look at the disk, and again at what a package transaction changed meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Callable, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import transactions
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import (
    ROOT_ALONE,
    Accounts,
    read_accounts,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DatabaseProblem,
    Entry,
    Gap,
    Manifest,
    Observation,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Progress
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import Reading
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import findings_of
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import BatchOutcome, verify

#: Reads the reference: the manifest, and gaps for the entries that are not to be looked at.
Read = Callable[[], "tuple[Manifest, list[Gap]]"]


class Tally(NamedTuple):
    """What reading cost and how it was done, over all rounds; the fields are those of `BatchOutcome`."""

    bytes_read: int
    passes: Mapping[tuple[str, str], int]
    not_gentle: str

    def plus(self, outcome: BatchOutcome) -> Tally:
        """Add what one batch cost."""
        passes = dict(self.passes)
        for kind, reason, files in outcome.passes:
            passes[kind, reason] = passes.get((kind, reason), 0) + files
        return Tally(self.bytes_read + outcome.bytes_read, passes, self.not_gentle or outcome.not_gentle)


class Observed(NamedTuple):
    """Everything that was seen. ``moving`` are packages that a transaction still changed when the last round ended.

    ``known`` are the problems that the database had when it was read first.
    """

    manifest: Manifest
    observations: list[Observation]
    accounts: Accounts
    gaps: list[Gap]
    failures: list[str]
    tally: Tally
    moving: frozenset[str]
    known: frozenset[DatabaseProblem]


def observe(tree: Tree, read: Read, jobs: int, reading: Reading, mounts: Mounts | None, progress: Progress) -> Observed:
    """Look at a system until it does not change any more while it is looked at, a few times at most.

    ``read`` reads the database anew each time; ``mounts`` are for the number of findings in the progress.
    """
    rounds = _Rounds(tree, read, jobs, reading, mounts, progress)
    rounds.first()
    for pause in transactions.PAUSES_SECONDS:
        if not rounds.is_in_motion():
            return rounds.result(frozenset())
        time.sleep(pause)
        rounds.again()
    return rounds.result(rounds.still_moving())


class _Rounds:
    """One verification; each round leaves its manifest and what was seen with it."""

    def __init__(
        self, tree: Tree, read: Read, jobs: int, reading: Reading, mounts: Mounts | None, progress: Progress
    ) -> None:
        self.tree = tree
        self.read = read
        self.jobs = jobs
        self.reading = reading
        self.mounts = mounts
        self.progress = progress
        self.accounts = ROOT_ALONE
        self.manifest = Manifest()
        self.gaps: list[Gap] = []
        self.observations: list[Observation] = []
        self.lost: list[tuple[Entry, str]] = []
        self.tally = Tally(0, {}, "")
        self.stamp: tuple[object, ...] = ()
        self.known: frozenset[DatabaseProblem] = frozenset()

    def first(self) -> None:
        """Look at everything."""
        self._read()
        self.known = frozenset(self.manifest.problems)
        self._look(list(range(len(self.manifest.entries))), "verifying")

    def again(self) -> None:
        """Read the database again, and look at what it says otherwise and at what was not as it said."""
        before, states = transactions.signatures(self.manifest), self.manifest.states
        suspect = {self.manifest.entries[seen.number].path for seen in self.observations}
        suspect.update(entry.path for entry, _failure in self.lost)
        self._read()
        suspect |= transactions.motion(before, states, self.manifest).paths
        numbers = [number for number, entry in enumerate(self.manifest.entries) if entry.path in suspect]
        self._look(numbers, "verifying_again")

    def is_in_motion(self) -> bool:
        """Tell whether the database changed since it was read, or whether a transaction may explain what was seen."""
        if transactions.stamp(self.tree) != self.stamp:
            return True
        return bool(self.observations or self.manifest.states) and transactions.is_running(self.tree)

    def still_moving(self) -> frozenset[str]:
        """Return the packages that are in motion after the last round."""
        if not self.is_in_motion():
            return frozenset()
        before, manifest = transactions.signatures(self.manifest), self.manifest
        self.tree.forget()
        later, _gaps = self._reference()
        moving = transactions.motion(before, manifest.states, later).packages
        return moving | transactions.unfinished(manifest) | transactions.unfinished(later)

    def result(self, moving: frozenset[str]) -> Observed:
        """Return everything that was seen."""
        lost = [Gap("not_done", failure, tuple(entry.packages), 1, text(entry.path)) for entry, failure in self.lost]
        failures = list(dict.fromkeys(failure for _entry, failure in self.lost))
        return Observed(
            self.manifest,
            self.observations,
            self.accounts,
            self.gaps + lost,
            failures,
            self.tally,
            moving,
            self.known,
        )

    def _read(self) -> None:
        self.tree.forget()
        self.stamp = transactions.stamp(self.tree)
        self.manifest, self.gaps = self._reference()
        self.accounts = read_accounts(self.tree)

    def _reference(self) -> tuple[Manifest, list[Gap]]:
        """Read the reference as it is now, which can take as long as the rest."""
        self.progress.begin("reading_database")
        return self.read()

    def _look(self, numbers: list[int], stage: str) -> None:
        """Look at the entries with these numbers; what was seen before of any entry is forgotten."""
        entries = [self.manifest.entries[number] for number in numbers]
        self.observations, self.lost = [], []
        self.progress.begin(stage, len(entries))
        read_before, findings = self.tally.bytes_read, 0

        def tick(done: int, size: int) -> None:
            self.progress.update(files_done=done, bytes_read=read_before + size, findings=findings)

        for outcome in verify(self.tree, entries, self.jobs, self.accounts, self.reading, tick):
            seen = [found._replace(number=numbers[found.number]) for found in outcome.observations]
            findings += sum(1 for _finding in findings_of(self.manifest, seen, self.accounts, self.mounts))
            self.observations += seen
            self.tally = self.tally.plus(outcome)
            if outcome.failure is not None:
                self.lost += [(entry, outcome.failure) for entry in entries[outcome.first : outcome.end]]
        tick(len(entries), self.tally.bytes_read - read_before)
