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

from .....peers.damage_table import CLASSES, Tally, damage_database, damage_files
from .....peers.damaged_roots import REFERENCES, Subject, entries
from .....peers.damaged_roots import subject as made

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed by root; run the tests as root")

FAULTS_A_ROUND = 30
FILE_ROUNDS = 5
DATABASE_FAULTS = 20


@pytest.fixture(scope="module", params=REFERENCES)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with made(request.param) as subject:
        yield subject


def test_a_sound_sample_is_consistent(subject: Subject) -> None:
    assert subject.check(subject.sample.root)["summary"]["verdict"] == "consistent"


def test_damaged_files(subject: Subject, tmp_path: Path) -> None:
    tally = Tally()
    for number in range(FILE_ROUNDS):
        damage_files(subject.sample, tmp_path, subject.check, random.Random(number), FAULTS_A_ROUND, tally)
    assert set(tally.found) | set(tally.not_recorded) == set(CLASSES)


def test_damaged_databases(subject: Subject, tmp_path: Path) -> None:
    tally = Tally()
    for number in range(DATABASE_FAULTS):
        damage_database(subject.sample, tmp_path, subject.check, entries, random.Random(number), tally)
    assert tally.found
