# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``fleet_report``: arguments in, files and rows out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.ringmaster.webops.plugins.modules import fleet_report
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import host, odd_fleet


def run(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], expected_status: int = 0) -> dict[str, Any]:
    """Run the module as Ansible does and return what it prints."""
    with patch_module_args(arguments), pytest.raises(SystemExit) as stopped:
        fleet_report.main()
    assert stopped.value.code == expected_status
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_report_is_written_and_returned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, {"facts": odd_fleet(), "destination": str(tmp_path)})

    assert result["changed"] is True
    assert result["paths"] == {"html": str(tmp_path / "index.html"), "json": str(tmp_path / "report.json")}
    assert result["verdict"] == "critical"
    assert {row["host"] for row in result["hosts"]} == {entry["host"] for entry in odd_fleet()}
    assert json.loads((tmp_path / "report.json").read_text())["hosts"] == result["hosts"]


def test_second_run_is_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, {"facts": [host(tls_endpoints=[])], "destination": str(tmp_path)})
    second = run(capsys, {"facts": [host(tls_endpoints=[])], "destination": str(tmp_path)})

    assert (first["changed"], second["changed"]) == (True, False)
    assert second["generated_at"] == first["generated_at"]


def test_check_mode_says_what_would_change_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"facts": [host()], "destination": str(tmp_path), "_ansible_check_mode": True, "_ansible_diff": True}
    result = run(capsys, arguments)

    assert result["changed"] is True
    assert [entry["after_header"] for entry in result["diff"]] == [
        str(tmp_path / "report.json"),
        str(tmp_path / "index.html"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_diff_only_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "diff" not in run(capsys, {"facts": [host()], "destination": str(tmp_path)})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"facts": [{"groups": ["a"]}]}, "missing required arguments: host"),
        ({"facts": [{"host": "a", "tls": []}]}, "Unsupported parameters"),
        ({"facts": "web1"}, "dictionary requested"),
        ({"facts": [], "destination": "/proc/version"}, "/proc/version"),
        ({"facts": [], "destination": "/proc/no/such"}, "Name a directory that this user may write to"),
        ({"facts": [], "previous": "x"}, "Unsupported parameters"),
    ],
)
def test_bad_arguments_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: dict[str, object], told: str
) -> None:
    result = run(capsys, {"destination": str(tmp_path), **arguments}, expected_status=1)

    assert told in result["msg"]
