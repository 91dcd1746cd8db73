# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repair says of itself: while it runs, and in the end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import aftermath, check, repair_result
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Progress
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_record import Done, RepairOptions
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import repair
from ansible_collections.ringmaster.webops.plugins.plugin_utils import progress_line

from .....peers.dpkg_system import System

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")

BINARY = "/usr/bin/alpha"
FILE = "/usr/share/alpha/a.txt"
OTHER = "/usr/share/beta/data"


@pytest.fixture
def system(repairable_system: System) -> System:
    return repairable_system


def asked(system: System, strategy: str = "file", dry_run: bool = False) -> RepairOptions:
    return RepairOptions(Options(root=str(system.root)), Policy(strategy, minimum_trust="digest"), dry_run)


def damage(system: System, *paths: str) -> None:
    for path in paths:
        system.path(path).write_bytes(b"damaged")


REPLACED = {
    # strategy: the files that processes may still have the old ones of
    "file": {b"/usr/bin/alpha"},
    "package": {b"/usr/bin/alpha", b"/usr/bin/setuid", b"/usr/share/alpha/a.txt", b"/usr/share/alpha/empty"},
}


@pytest.mark.parametrize("strategy", REPLACED)
def test_whole_package_has_exchanged_all_its_files(
    system: System, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    seen: list[set[bytes]] = []

    def look(_options: RepairOptions, done: Done) -> aftermath.Aftermath:
        seen.append(set(done.replaced))
        return aftermath.NOTHING

    monkeypatch.setattr(repair_result, "_aftermath", look)
    damage(system, BINARY)
    assert repair(asked(system, strategy))["after"]["verdict"] == "consistent"
    assert seen[0] >= REPLACED[strategy]
    assert (b"/usr/share/alpha/a.txt" in seen[0]) == (strategy == "package")
    assert not seen[0] & {b"/etc/alpha.conf", b"/usr/share/alpha"}


def test_first_repair_of_a_system_without_locks_is_done(system: System) -> None:
    for name in ("lock", "lock-frontend"):
        system.path(f"/var/lib/dpkg/{name}").unlink(missing_ok=True)
    damage(system, BINARY)
    assert repair(asked(system))["after"]["verdict"] == "consistent"
    made = system.path("/var/lib/dpkg/lock-frontend").stat()
    assert (made.st_mode & 0o7777, made.st_uid, made.st_gid) == (0o640, 0, 0)


def test_plan_alone_makes_no_locks(system: System) -> None:
    for name in ("lock", "lock-frontend"):
        system.path(f"/var/lib/dpkg/{name}").unlink(missing_ok=True)
    damage(system, BINARY)
    assert repair(asked(system, dry_run=True))["changed"]
    assert not system.path("/var/lib/dpkg/lock-frontend").exists()


def test_progress_says_what_is_done_and_how_far_it_is(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[tuple[object, object, object]] = []
    update = Progress.update

    def note(progress: Progress, **changes: object) -> None:
        update(progress, **changes)
        state = json.loads(path.read_text()) if path.exists() else {}
        stages.append((state.get("stage"), changes.get("files_done"), changes.get("files_total")))

    path = system.base / "progress"
    monkeypatch.setattr(Progress, "update", note)
    damage(system, BINARY, FILE, OTHER)
    options = asked(system)
    repair(options._replace(verification=options.verification._replace(progress_path=str(path))))
    names = [stage for stage, _done, _total in stages]
    order = [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]
    verified = ["reading_database", "verifying", "done"]
    assert [name for name in order if name != "None"] == [*verified, "fetching", "planning", "repairing", *verified]
    assert [done for stage, done, _total in stages if stage == "fetching"] == [0, 1, 2]
    assert [(done, total) for stage, done, total in stages if stage == "repairing"] == [(0, 3), (1, 3), (2, 3)]
    assert progress_line.parse(path.read_text()) is not None


def test_nothing_is_fetched_where_nothing_is_damaged(system: System) -> None:
    path = system.base / "progress"
    options = asked(system)
    repair(options._replace(verification=options.verification._replace(progress_path=str(path))))
    assert json.loads(path.read_text())["stage"] in ("done", "planning")


def test_what_the_result_has_no_room_for_is_in_the_report(system: System) -> None:
    damage(system, BINARY, FILE, OTHER)
    system.path("/etc/alpha.conf").write_bytes(b"mine")
    options = asked(system)
    path = str(system.base / "report.jsonl")
    options = options._replace(verification=options.verification._replace(max_findings=1, report_path=path))
    result = repair(options)
    assert [step["path"] for step in result["steps"]] == [BINARY]
    assert result["left_out"] == {
        "planned_steps": 2,
        "not_repaired": 0,
        "steps": 2,
        "findings_before": 3,
        "findings_after": 0,
    }
    assert result["report_path"] == path
    assert Path(path).stat().st_mode & 0o7777 == 0o600
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    by_record = {
        record: [line.get("path") for line in lines if line["record"] == record and line.get("when") != "after"]
        for record in ("planned_step", "not_repaired", "step", "finding")
    }
    assert by_record == {
        "planned_step": [BINARY, FILE, OTHER],
        "not_repaired": ["/etc/alpha.conf"],
        "step": [BINARY, FILE, OTHER],
        "finding": [BINARY, FILE, OTHER, "/etc/alpha.conf"],
    }
    assert {line["status"] for line in lines if line["record"] == "step"} == {"done"}
    assert [line["path"] for line in lines if line.get("when") == "after"] == ["/etc/alpha.conf"]
    assert (lines[0]["record"], lines[0]["quarantine"]) == ("summary", result["quarantine"])


def test_report_that_cannot_be_written_is_told_and_nothing_else_is_lost(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: str, _records: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(check, "write_lines", fail)
    damage(system, BINARY)
    options = asked(system)
    path = str(system.base / "report.jsonl")
    result = repair(options._replace(verification=options.verification._replace(report_path=path)))
    assert result["report_path"] is None
    assert result["after"]["verdict"] == "consistent"
    assert [failure for failure in result["failures"] if "could not be written: No space left" in failure]


UNUSABLE = {
    "report_path": Options(report_path="/nonexistent/report"),
    "jobs": Options(jobs=0),
    "max_rate": Options(max_rate=1),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_is_refused_before_anything_is_done(system: System, name: str) -> None:
    damage(system, BINARY)
    with pytest.raises(InvalidInputError, match=name):
        repair(RepairOptions(UNUSABLE[name]._replace(root=str(system.root)), Policy(minimum_trust="digest")))
    assert system.path(BINARY).read_bytes() == b"damaged"
