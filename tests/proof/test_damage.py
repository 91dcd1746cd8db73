# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thousands of faults in every format: each is found with its class or not recorded, and nothing is invented.

A sample of the same runs with every `make test` (tests/unit/plugins/module_utils/packages/test_damage.py).
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers.damage import Sample
from peers.damage_table import Tally, damage_database, damage_files
from peers.damaged_roots import FORMATS, checked, entries

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed by root; run make proof as root")

FILE_FAULTS = 9000
DATABASE_FAULTS = 1000
FAULTS_A_ROUND = 30


@pytest.fixture(scope="module", params=FORMATS)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    yield FORMATS[request.param](tmp_path_factory.mktemp("sample"))


def show(title: str, tally: Tally) -> None:
    print(f"\n{title}: {tally.total()} faults")
    for name in sorted(tally.found | tally.not_recorded | tally.harmless):
        print(
            f"| {name} | found {tally.found[name]} | not recorded {tally.not_recorded[name]} "
            f"| nothing lost {tally.harmless[name]} |"
        )


def test_damaged_files(sample: Sample, tmp_path: Path) -> None:
    tally = Tally()
    for number in range(FILE_FAULTS // len(FORMATS) // FAULTS_A_ROUND):
        damage_files(sample, tmp_path, checked, random.Random(number), FAULTS_A_ROUND, tally)
    show("files", tally)


def test_damaged_databases(sample: Sample, tmp_path: Path) -> None:
    tally = Tally()
    for number in range(DATABASE_FAULTS // len(FORMATS)):
        damage_database(sample, tmp_path, checked, entries, random.Random(number), tally)
    show("database", tally)
