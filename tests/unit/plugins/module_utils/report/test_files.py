# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's files: planned whole, written whole, left alone when they say the same already."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.report.files import (
    plan_report,
    write_report,
)
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import NOW, host, odd_fleet

LATER = NOW + timedelta(hours=1)


def write(destination: Path, facts: list[dict[str, object]] | None = None) -> None:
    write_report(plan_report(odd_fleet() if facts is None else facts, str(destination), NOW))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_files_and_directories_are_made(tmp_path: Path) -> None:
    destination = tmp_path / "new" / "report"
    write(destination)

    assert names(destination) == ["index.html", "report.json"]
    assert {path.stat().st_mode & 0o7777 for path in destination.iterdir()} == {0o644}
    assert json.loads((destination / "report.json").read_text())["generated_at"] == "2026-11-22T03:00:00Z"


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    assert plan_report(odd_fleet(), str(tmp_path / "new"), NOW).changed
    assert names(tmp_path) == []


def test_same_facts_later_are_unchanged_and_keep_their_moment(tmp_path: Path) -> None:
    write(tmp_path)
    plan = plan_report(odd_fleet(), str(tmp_path), LATER)

    assert (plan.changed, plan.diff(), plan.report.generated_at) == (False, [], NOW)


def test_a_day_later_the_days_left_are_news(tmp_path: Path) -> None:
    write(tmp_path)
    plan = plan_report(odd_fleet(), str(tmp_path), NOW + timedelta(days=1))

    assert (plan.changed, plan.report.generated_at) == (True, NOW + timedelta(days=1))


@pytest.mark.parametrize("name", ["index.html", "report.json"])
@pytest.mark.parametrize("content", [None, "", "altered", '{"generated_at": "2026-11-22T03:00:00Z"}', "\udcff"])
def test_an_altered_or_missing_file_is_written_anew(tmp_path: Path, name: str, content: str | None) -> None:
    write(tmp_path)
    original = (tmp_path / name).read_bytes()
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    plan = plan_report(odd_fleet(), str(tmp_path), NOW)
    write_report(plan)

    assert plan.changed
    assert (tmp_path / name).read_bytes() == original


def test_a_mode_that_others_cannot_read_is_mended(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "report.json").chmod(0o600)
    plan = plan_report(odd_fleet(), str(tmp_path), LATER)
    write_report(plan)

    assert plan.changed
    assert (tmp_path / "report.json").stat().st_mode & 0o7777 == 0o644


def test_diff_shows_what_changed_without_the_facts(tmp_path: Path) -> None:
    write(tmp_path, [host()])
    report, page = plan_report([host(error="no route")], str(tmp_path), LATER).diff()

    assert '"verdict": "ok"' in report["before"]
    assert "no route" in report["after"]
    assert "cipher_suites" not in report["before"] + report["after"]
    assert page["before_header"] == str(tmp_path / "index.html")


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [host()])
    before = (tmp_path / "index.html").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInputError, match="No space left on device"):
        write(tmp_path)

    assert (tmp_path / "index.html").read_bytes() == before
    assert names(tmp_path) == ["index.html", "report.json"]


def test_a_destination_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")

    with pytest.raises(InvalidInputError, match=r"Not a directory\. Name a directory"):
        plan_report([], str(tmp_path / "report"), NOW)
