# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a damaged disk holds, a parser reads it or says what is wrong: every target, a little of it each time.

The examples are the same in every run. ``make proof`` tries tens of thousands of each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from fuzz import engine, trial
from fuzz.package_targets import SLOW_TARGETS, TARGETS

_BY_NAME = {target.name: target for target in (*TARGETS, *SLOW_TARGETS)}


@pytest.mark.parametrize("name", _BY_NAME)
def test_a_parser_reads_or_says_what_is_wrong(name: str) -> None:
    target = _BY_NAME[name]

    trial.some(target, 50 if target in TARGETS else 10)


@pytest.mark.parametrize("name", _BY_NAME)
def test_a_seed_is_read(name: str) -> None:
    """Seeds that are refused at once would leave most of a parser untried."""
    target = _BY_NAME[name]

    assert any(engine.run(target, seed) for seed in target.seeds)
