# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line that a person sees, and what a host cannot make of it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ringmaster.webops.plugins.plugin_utils.progress_line import (
    MAX_COUNT,
    Progress,
    Timetable,
    line,
    parse,
)

WHOLE = {"stage": "verifying", "files_done": 1500, "files_total": 6000, "findings": 2, "bytes_done": 3}


def test_a_whole_object_is_understood() -> None:
    assert parse(json.dumps(WHOLE)) == Progress("verifying", 1500, 6000, 2)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 1000,
        json.dumps({}),
        json.dumps({**WHOLE, "stage": "\x1b[31mverifying"}),
        json.dumps({**WHOLE, "stage": ["verifying"]}),
        json.dumps({**WHOLE, "files_done": -1}),
        json.dumps({**WHOLE, "files_done": "1"}),
        json.dumps({**WHOLE, "files_done": 1.5}),
        json.dumps({**WHOLE, "files_done": True}),
        json.dumps({**WHOLE, "files_total": MAX_COUNT + 1}),
        json.dumps({**WHOLE, "findings": None}),
        json.dumps({**WHOLE, "padding": "x" * 1024}),
        json.dumps(WHOLE) + "{}",
    ],
)
def test_anything_else_is_no_progress(content: str) -> None:
    assert parse(content) is None


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress("verifying", 1500, 6000, 2), "[web1] verifies: 1500 of 6000 files (25 %), 2 findings"),
        (
            Progress("verifying_again", 1, 3, 1),
            "[web1] verifies again what changed meanwhile: 1 of 3 files (33 %), 1 finding",
        ),
        (Progress("fetching", 0, 0, 0), "[web1] fetches packages"),
        (Progress("fetching", 16, 350, 0), "[web1] fetches packages: 16 of 350 packages (4 %)"),
        (Progress("repairing", 1, 3, 1), "[web1] repairs: 1 of 3 steps (33 %)"),
        (Progress("verifying", 9, 3, 0), "[web1] verifies: 3 of 3 files (100 %), 0 findings"),
        (Progress("reading_database", 0, 0, 0), "[web1] reads the package database"),
    ],
)
def test_the_line_says_how_far_it_is(progress: Progress, expected: str) -> None:
    assert line("web1", progress) == expected


def test_lines_come_after_seconds_and_ever_less_often() -> None:
    timetable = Timetable()

    due = [second for second in range(300) if timetable.is_due(second)]

    assert due == [3, 8, 18, 38, 78, 138, 198, 258]
