# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module: two files in, what changed out, capped and in a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import FILE, Entry, Manifest
from ansible_collections.ringmaster.webops.plugins.modules import package_manifest_info as module


def manifest(path: Path, digests: dict[bytes, bytes], version: str = "1") -> str:
    """Write a manifest of a package alpha 1, with `/new` of a package beta of a version."""
    entries = []
    for name in sorted(digests):
        entry = Entry(name, name, FILE, "beta" if name == b"/new" else "alpha")
        entry.digest = b"0" * 32
        entries.append(entry)
    made = Manifest(entries=entries, installed=["alpha", "beta"], versions={"alpha": "1", "beta": version})
    found = (
        witness.Measured(number, "file", 1, 0o644, 0, 0, 7, digests[entry.path]) for number, entry in enumerate(entries)
    )
    with witness.Writer(str(path), witness.head(made, f"2026-11-2{version}T02:00:00Z", "/", {})) as writer:
        writer.add(0, len(entries), witness.records(made, found))
        writer.commit()
    return str(path)


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    sound, other = b"0" * 32, b"1" * 32
    return {
        "previous": manifest(tmp_path / "1.gz", {b"/a": sound, b"/b": sound, b"/new": sound}),
        "current": manifest(tmp_path / "2.gz", {b"/a": sound, b"/b": other, b"/new": other}, version="2"),
    }


def run(capsys: pytest.CaptureFixture[str], **arguments: object) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_it_says_what_changed(capsys: pytest.CaptureFixture[str], pair: dict[str, str], tmp_path: Path) -> None:
    result = run(capsys, **pair, report_path=str(tmp_path / "changes.jsonl"))

    assert result["changed"] is False
    assert result["summary"] == {
        "verdict": "unexplained",
        "changes_total": 2,
        "by_explanation": {"unexplained": 1, "restored": 0, "conffile": 0, "package_changed": 1},
        "files_compared": 3,
        "files_not_compared": 0,
        "contents_not_compared": 0,
    }
    assert [change["path"] for change in result["changes"]] == ["/b", "/new"]
    assert result["packages"] == {"installed": [], "removed": [], "other_version": ["beta"]}
    assert (result["previous_taken_at"], result["current_taken_at"]) == ("2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z")
    lines = (tmp_path / "changes.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == result["changes"]


def test_what_nothing_explains_comes_first(capsys: pytest.CaptureFixture[str], pair: dict[str, str]) -> None:
    result = run(capsys, **pair, max_changes=1)

    assert [change["explanation"] for change in result["changes"]] == ["unexplained"]
    assert result["summary"]["changes_total"] == 2


def test_the_same_twice_is_unchanged(capsys: pytest.CaptureFixture[str], pair: dict[str, str]) -> None:
    result = run(capsys, previous=pair["previous"], current=pair["previous"])

    assert result["summary"]["verdict"] == "unchanged"


def test_contents_that_cannot_be_compared_are_not_called_unchanged(
    capsys: pytest.CaptureFixture[str], pair: dict[str, str], tmp_path: Path
) -> None:
    stronger = manifest(tmp_path / "3.gz", dict.fromkeys((b"/a", b"/b", b"/new"), b"0" * 64), version="1")

    summary = run(capsys, previous=pair["previous"], current=stronger)["summary"]

    assert (summary["verdict"], summary["changes_total"], summary["contents_not_compared"]) == ("incomplete", 0, 3)


def test_check_mode_writes_no_report(capsys: pytest.CaptureFixture[str], pair: dict[str, str], tmp_path: Path) -> None:
    result = run(capsys, **pair, report_path=str(tmp_path / "changes.jsonl"), _ansible_check_mode=True)

    assert result["report_path"] is None
    assert not (tmp_path / "changes.jsonl").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"previous": "/nonexistent"}, "/nonexistent: no such file or directory"),
        ({"current": "/etc/hostname"}, "/etc/hostname: line 1 cannot be read"),
        ({"report_path": "/nonexistent/x"}, "report_path /nonexistent/x"),
        ({"max_changes": -1}, "max_changes -1: it is too small"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    capsys: pytest.CaptureFixture[str], pair: dict[str, str], changes: dict[str, object], words: str
) -> None:
    result = run(capsys, **{**pair, **changes})

    assert result["failed"] is True
    assert words in result["msg"]
