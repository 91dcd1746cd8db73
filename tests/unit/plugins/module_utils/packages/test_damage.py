# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Some of the faults of tests/proof/test_damage.py: each is found with its class or not recorded, none is invented."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from .....peers.damage import Sample
from .....peers.damage_table import CLASSES, Tally, damage_database, damage_files
from .....peers.damaged_roots import FORMATS, checked, entries

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed by root; run the tests as root")

FAULTS_A_ROUND = 30
FILE_ROUNDS = 5
DATABASE_FAULTS = 20


@pytest.fixture(scope="module", params=FORMATS)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    yield FORMATS[request.param](tmp_path_factory.mktemp("sample"))


def test_a_sound_sample_is_consistent(sample: Sample) -> None:
    assert checked(sample.root)["summary"]["verdict"] == "consistent"


def test_damaged_files(sample: Sample, tmp_path: Path) -> None:
    tally = Tally()
    for number in range(FILE_ROUNDS):
        damage_files(sample, tmp_path, checked, random.Random(number), FAULTS_A_ROUND, tally)
    assert set(tally.found) | set(tally.not_recorded) == set(CLASSES)


def test_damaged_databases(sample: Sample, tmp_path: Path) -> None:
    tally = Tally()
    for number in range(DATABASE_FAULTS):
        damage_database(sample, tmp_path, checked, entries, random.Random(number), tally)
    assert tally.found
