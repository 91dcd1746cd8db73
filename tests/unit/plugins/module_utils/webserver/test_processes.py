# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes as /proc shows them: real ones, and a table with what real ones rarely show."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.processes import (
    children,
    command_line,
    start_moment,
)

# The kernel's clock tick, and what two clocks that are read one after the other differ by.
TICK_SECONDS = 0.02


def test_a_child_is_found_with_its_start_and_its_words() -> None:
    before = time.time()
    with subprocess.Popen([sys.executable, "-c", "input()", "a b"], stdin=subprocess.PIPE) as child:
        after = time.time()
        assert child.pid in children(os.getpid())
        started = start_moment(child.pid)
        assert started is not None
        assert before - TICK_SECONDS <= started <= after + TICK_SECONDS
        assert command_line(child.pid) == b"\0".join((sys.executable.encode(), b"-c", b"input()", b"a b"))


def test_one_that_has_ended_but_was_not_waited_for_is_no_child() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process.pid not in children(os.getpid())
        assert command_line(process.pid) == b""


def test_one_that_is_gone_is_nothing(tmp_path: Path) -> None:
    assert start_moment(77, tmp_path) is None
    assert children(77, tmp_path) == []
    assert command_line(77, tmp_path) == b""


def stat_line(pid: int, name: str, state: str, parent: int) -> str:
    return f"{pid} ({name}) {state} {parent} 1 1 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 5000 1 1"


@pytest.mark.parametrize("name", ["nginx", "a b", "x) S 1 (", ") R 99 2", ""])
def test_a_name_cannot_pretend_to_be_another_field(tmp_path: Path, name: str) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "stat").write_text(stat_line(12, name, "S", 7))
    assert children(7, tmp_path) == [12]
    assert start_moment(12, tmp_path) is not None


@pytest.mark.parametrize("content", ["", "12", "12 (x) S", "12 (x) S seven 1"])
def test_what_does_not_parse_is_no_process(tmp_path: Path, content: str) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "stat").write_text(content)
    assert start_moment(12, tmp_path) is None
    assert children(7, tmp_path) == []


def test_children_come_by_number_without_those_of_others(tmp_path: Path) -> None:
    for pid, state, parent in ((100, "S", 7), (9, "R", 7), (30, "Z", 7), (40, "S", 8)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(stat_line(pid, "x", state, parent))
    (tmp_path / "self").mkdir()
    assert children(7, tmp_path) == [9, 100]
