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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def injected(sample: Sample, count: int, generator: random.Random) -> Iterator[tuple[Kind, str]]:
    """Damage ``count`` paths of a sample, each once."""
    spare = {what: generator.sample(getattr(sample, what), len(getattr(sample, what))) for what in _TARGETS}
    done = 0
    while done < count:
        kind = generator.choice(KINDS)
        if not spare[kind.applies_to]:
            continue
        name = spare[kind.applies_to].pop()
        if kind.apply(sample, name, generator):
            done += 1
            yield kind, name


_TARGETS = ("files", "links", "directories")


def damage_files(sample: Sample, base: Path, check: Check, generator: random.Random, count: int, tally: Tally) -> None:
    """Damage ``count`` paths of a copy of a sample and compare what is found with what was done."""
    damaged = copy(sample, base)
    faults = list(injected(damaged, count, generator))
    result = check(damaged.root)
    expected = []
    without_digest = 0
    for kind, name in faults:
        category = CLASSES[kind.name]
        if kind.name == "file for a link" and "symlink_target" in result["coverage"]["not_recorded"]:
            # A database that knows no more than the name cannot tell a link from a file without digest.
            tally.not_recorded[kind.name] += 1
            without_digest += 1
        elif PROPERTY.get(category) in result["coverage"]["not_recorded"]:
            tally.not_recorded[kind.name] += 1
        else:
            tally.found[kind.name] += 1
            expected.append((name, category))
    found = sorted((finding["path"], finding["class"]) for finding in result["findings"])
    assert found == sorted(expected), (faults, result)
    gaps = {gap["reason"]: gap["files"] for gap in result["coverage"]["gaps"] if gap["files"]}
    assert gaps == ({"no_digest": without_digest} if without_digest else {}), (faults, gaps)


def damage_database(
    sample: Sample, base: Path, check: Check, entries: Entries, generator: random.Random, tally: Tally
) -> None:
    """Damage one file of a copy's database: it is said, or what is expected of the disk is the same as before.

    A list without a digest of itself that lost nothing but links and directories cannot be told from a whole one.
    """
    damaged = copy(sample, base)
    kind, name = generator.choice(DATABASE_KINDS), generator.choice(damaged.database)
    if not kind.apply(damaged, name, generator):
        return
    result = check(damaged.root)
    if result["summary"]["verdict"] != "consistent":
        tally.found[kind.name] += 1
        return
    before, after = entries(sample.root), entries(damaged.root)
    if after == before:
        tally.harmless[kind.name] += 1
        return
    assert not sample.sealed, (kind.name, name)
    assert after < before, (kind.name, name, after - before)
    assert not [digest for _path, digest in before - after if digest], (kind.name, name)
    tally.not_recorded[kind.name] += 1
