# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers of package databases and packages against tens of thousands of damaged inputs each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from fuzz import engine, trial
from fuzz.package_targets import SLOW_TARGETS, TARGETS

RUNS = 20_000
SLOW_RUNS = 1_000


@pytest.mark.parametrize("target", (*TARGETS, *SLOW_TARGETS), ids=lambda target: target.name)
def test_a_parser_reads_or_says_what_is_wrong(target: engine.Target, capsys: pytest.CaptureFixture[str]) -> None:
    runs = RUNS if target in TARGETS else SLOW_RUNS
    read = trial.many(target, runs)

    with capsys.disabled():
        print(f"\n{target.name}: {runs} changed inputs, {read} read, {runs - read} refused", end="")
