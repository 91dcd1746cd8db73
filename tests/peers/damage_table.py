# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must come out of every kind of damage, by the reference that is believed: found with its class, or not recorded.

There is no third outcome, and nothing else may be found: a round damages many paths of a sample at once and compares
everything that the verification says with everything that was done.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .damage import DATABASE_KINDS, KINDS, Kind, Sample

Check = Callable[[Path], dict[str, Any]]
#: The paths that a database names in a root, each with its digest if it has one.
Entries = Callable[[Path], "set[tuple[bytes, object]]"]

#: Kinds of damage -> the class of the finding, where the reference records what was damaged.
CLASSES = {
    "zeroed block": "content_changed",
    "random block": "content_changed",
    "block of another file": "content_changed",
    "flipped bit": "content_changed",
    "reverted content": "content_changed",
    "truncated": "content_changed",
    "grown": "content_changed",
    "deleted file": "missing",
    "directory for a file": "type_changed",
    "link for a file": "type_changed",
    "FIFO for a file": "type_changed",
    "socket for a file": "type_changed",
    "mode of a file": "mode_changed",
    "owner of a file": "owner_changed",
    "deleted link": "missing",
    "file for a link": "type_changed",
    "target of a link": "target_changed",
    "owner of a link": "owner_changed",
    "deleted directory": "missing",
    "mode of a directory": "mode_changed",
    "owner of a directory": "owner_changed",
}

#: The property (of the result's `coverage.not_recorded`) without which a class cannot be found.
PROPERTY = {"mode_changed": "mode", "owner_changed": "owner", "target_changed": "symlink_target"}
#: The same for directories in which programs keep their state, below /var.
PROPERTY_OF_STATE = {"mode_changed": "mode_set_by_package", "owner_changed": "owner_set_by_package"}


@dataclasses.dataclass
class Tally:
    """How many faults of each kind were injected, and what came out."""

    found: Counter[str] = dataclasses.field(default_factory=Counter)
    not_recorded: Counter[str] = dataclasses.field(default_factory=Counter)
    harmless: Counter[str] = dataclasses.field(default_factory=Counter)

    def total(self) -> int:
        """Return the number of faults injected."""
        return sum(sum(counter.values()) for counter in (self.found, self.not_recorded, self.harmless))


def copy(sample: Sample, base: Path) -> Sample:
    """Return a copy of a sample to damage, owners included."""
    root = base / "root"
    if root.exists():
        shutil.rmtree(root)
    shutil.copytree(sample.root, root, symlinks=True)
    return dataclasses.replace(sample, root=root)


class Fault(NamedTuple):
    """One kind of damage that was done to one path."""

    kind: Kind
    name: str


def injected(sample: Sample, count: int, generator: random.Random, kinds: Sequence[Kind] = KINDS) -> Iterator[Fault]:
    """Damage ``count`` paths of a sample, or as many as there are, each once."""
    spare = {what: generator.sample(getattr(sample, what), len(getattr(sample, what))) for what in _TARGETS}
    done = 0
    while done < count and any(spare[kind.applies_to] for kind in kinds):
        kind = generator.choice(kinds)
        if not spare[kind.applies_to]:
            continue
        name = spare[kind.applies_to].pop()
        if kind.apply(sample, name, generator):
            done += 1
            yield Fault(kind, name)


_TARGETS = ("files", "links", "directories")


def damage_files(sample: Sample, base: Path, check: Check, generator: random.Random, count: int, tally: Tally) -> None:
    """Damage ``count`` paths of a copy of a sample and compare what is found with what was done."""
    damaged = copy(sample, base)
    faults = list(injected(damaged, count, generator))
    compare(faults, check(damaged.root), tally)


def compare(faults: Sequence[Fault], result: dict[str, Any], tally: Tally) -> list[Fault]:
    """Compare what is found with what was done. Returns the faults that were found; the others are not recorded."""
    found = []
    without_digest = 0
    for fault in faults:
        recorded = _is_recorded(fault, result["coverage"]["not_recorded"])
        (tally.found if recorded else tally.not_recorded)[fault.kind.name] += 1
        if recorded:
            found.append(fault)
        elif fault.kind.name == "file for a link":
            without_digest += 1
    reported = sorted((finding["path"], finding["class"]) for finding in result["findings"])
    assert reported == sorted((fault.name, CLASSES[fault.kind.name]) for fault in found), (faults, result)
    gaps = {gap["reason"]: gap["files"] for gap in result["coverage"]["gaps"] if gap["files"]}
    assert gaps == ({"no_digest": without_digest} if without_digest else {}), (faults, gaps)
    return found


def _is_recorded(fault: Fault, not_recorded: Sequence[str]) -> bool:
    """Tell whether a reference knows what a fault has changed."""
    if fault.kind.name == "file for a link":
        # A database that knows no more than the name cannot tell a link from a file without digest.
        return "symlink_target" not in not_recorded
    category = CLASSES[fault.kind.name]
    if fault.kind.applies_to == "directories" and fault.name.startswith("/var/"):
        return not {PROPERTY.get(category), PROPERTY_OF_STATE.get(category)} & set(not_recorded)
    return PROPERTY.get(category) not in not_recorded


def damage_database(
    sample: Sample, base: Path, check: Check, entries: Entries, generator: random.Random, tally: Tally
) -> None:
    """Damage one file of a copy's database and judge what is said of it."""
    damaged = copy(sample, base)
    fault = injected_into_database(damaged, generator)
    if fault is not None:
        compare_database(fault, check(damaged.root), (sample, damaged), entries, tally)


def injected_into_database(
    sample: Sample, generator: random.Random, kinds: Sequence[Kind] = DATABASE_KINDS
) -> Fault | None:
    """Damage one file of a sample's database; returns how, or nothing when it is as it was."""
    fault = Fault(generator.choice(kinds), generator.choice(sample.database))
    return fault if fault.kind.apply(sample, fault.name, generator) else None


def compare_database(
    fault: Fault, result: dict[str, Any], samples: tuple[Sample, Sample], entries: Entries, tally: Tally
) -> None:
    """A fault of the database is said, or what is expected of the disk is the same as before (``samples``).

    A list without a digest of itself that lost nothing but links and directories cannot be told from a whole one.
    """
    if result["summary"]["verdict"] != "consistent":
        tally.found[fault.kind.name] += 1
        return
    before, after = (entries(sample.root) for sample in samples)
    if after == before:
        tally.harmless[fault.kind.name] += 1
        return
    assert not samples[0].sealed, fault
    assert after < before, (fault, after - before)
    assert not [digest for _path, digest in before - after if digest], fault
    tally.not_recorded[fault.kind.name] += 1
