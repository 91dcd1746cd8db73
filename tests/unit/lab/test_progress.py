# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A waiting person hears that a step goes on, more and more rarely."""

from __future__ import annotations

import time

import pytest
from labkit import progress


def test_a_long_step_is_counted_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST_TICK_SECONDS", 0.01)
    with progress.Step("waiting"):
        time.sleep(0.4)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "lab: waiting ..."
    assert lines[-1].startswith("lab: waiting: done after ")
    ticks = lines[1:-1]
    assert 1 <= len(ticks) <= 7, ticks
    assert all(line.endswith(" s so far") for line in ticks)
