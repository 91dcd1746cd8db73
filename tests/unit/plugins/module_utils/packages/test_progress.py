# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a verification is, as somebody who follows it sees."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check, transactions
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.databases import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Counters, Progress
from ansible_collections.ringmaster.webops.plugins.plugin_utils.progress_line import parse

if TYPE_CHECKING:
    from tests.peers.dpkg_system import System


def test_what_forked_processes_count_is_seen_by_all() -> None:
    counters = Counters(3)
    counters.set(0, 5, 100)
    pid = os.fork()
    if not pid:
        counters.set(2, 7, 1 << 40)
        os._exit(0)
    os.waitpid(pid, 0)
    assert counters.totals() == (12, 100 + (1 << 40))


def test_the_file_is_replaced_seldom_and_at_each_new_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = tmp_path / "progress"
    progress = Progress(str(path))
    progress.update(stage="verifying", files_total=10)
    for done in range(1, 10):
        progress.update(files_done=done)
        assert json.loads(path.read_text())["files_done"] == 0
    now[0] += 0.6
    progress.update(files_done=10)
    assert json.loads(path.read_text()) == {
        "stage": "verifying",
        "files_done": 10,
        "files_total": 10,
        "bytes_read": 0,
        "findings": 0,
    }
    assert [name.name for name in tmp_path.iterdir()] == ["progress"]


def test_a_stage_begins_with_nothing_done_and_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    progress = Progress(str(path))
    progress.begin("reading_database")
    assert json.loads(path.read_text())["stage"] == "reading_database"
    progress.update(files_done=5, findings=3, bytes_read=7)
    progress.begin("fetching", 9)
    shown = json.loads(path.read_text())
    assert shown == {"stage": "fetching", "files_done": 0, "files_total": 9, "bytes_read": 7, "findings": 0}


def test_reading_the_database_is_told_of_each_time(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "progress"
    told: list[str] = []

    def read(*arguments: Any) -> Manifest:  # noqa: ANN401
        told.append(json.loads(path.read_text())["stage"])
        return read_manifest(*arguments)

    monkeypatch.setattr(check, "read_manifest", read)
    monkeypatch.setattr(transactions, "PAUSES_SECONDS", (0.0,))
    stamps = itertools.count()
    monkeypatch.setattr(transactions, "stamp", lambda _tree: (next(stamps),))
    system.check(progress_path=str(path))
    # At first, again because it changed meanwhile, and once more to see whether it still does.
    assert told == ["reading_database"] * 3
    assert json.loads(path.read_text())["stage"] == "done"


def test_a_file_that_cannot_be_written_is_no_matter_of_the_verification(tmp_path: Path) -> None:
    Progress(str(tmp_path / "gone" / "progress")).update(stage="verifying")
    Progress(None).update(stage="verifying")


def test_a_run_leaves_the_whole_count_and_the_control_node_understands_it(system: System, tmp_path: Path) -> None:
    path = tmp_path / "progress"
    system.path("/usr/bin/alpha").unlink()
    system.check(progress_path=str(path))
    shown = parse(path.read_text())
    assert shown is not None
    assert (shown.stage, shown.files_done, shown.files_total, shown.findings) == ("done", 20, 20, 1)
    assert json.loads(path.read_text())["bytes_read"] == 15_040
    assert path.stat().st_mode & 0o777 == 0o600
