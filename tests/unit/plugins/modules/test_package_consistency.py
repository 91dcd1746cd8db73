# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module: arguments in, one call, result out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions
from ansible_collections.ringmaster.webops.plugins.modules import package_consistency as module

DONE: dict[str, Any] = {"changed": True, "failures": [], "refusals": [], "diff": {"before": "a", "after": "b"}}


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, returned: dict[str, Any], **arguments: object
) -> tuple[dict[str, Any], RepairOptions]:
    given: list[RepairOptions] = []

    def repair(options: RepairOptions) -> dict[str, Any]:
        given.append(options)
        return dict(returned)

    monkeypatch.setattr(module, "repair", repair)
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result, given[0]


def test_default_is_signed_and_keeps_conffiles(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result, options = run(capsys, monkeypatch, DONE)
    assert options.policy == Policy("auto", "signed", "keep")
    assert not options.dry_run
    assert result["changed"]
    assert "diff" not in result


def test_options_arrive(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {
        "root": "/mnt",
        "exclude": ["/a"],
        "strategy": "file",
        "minimum_trust": "digest",
        "conffiles_policy": "restore",
        "allow_upgrade": True,
        "package_directories": ["/packages"],
        "max_rate": "1M",
        "report_path": "/var/tmp/report",
    }
    _result, options = run(capsys, monkeypatch, DONE, **arguments)
    assert options.policy == Policy("file", "digest", "restore", allow_upgrade=True)
    assert options.verification.root == "/mnt"
    assert options.verification.exclude == (Exclusion("/a", "excluded on request"),)
    assert options.verification.package_directories == ("/packages",)
    assert options.verification.max_rate == 1024 * 1024
    assert options.verification.report_path == "/var/tmp/report"


def test_check_mode_and_diff(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"report_path": "/var/tmp/report", "_ansible_check_mode": True, "_ansible_diff": True}
    result, options = run(capsys, monkeypatch, DONE, **arguments)
    assert options.dry_run
    assert options.verification.report_path is None
    assert result["diff"] == {"before": "a", "after": "b"}


@pytest.mark.parametrize("check_mode", [True, False])
def test_refusal_fails_what_was_to_be_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, check_mode: bool
) -> None:
    refused = {**DONE, "changed": False, "refusals": [{"reason": "read-only", "remedy": "Mount it writable"}]}
    result, _options = run(capsys, monkeypatch, refused, _ansible_check_mode=check_mode)
    assert bool(result.get("failed")) is not check_mode
    assert check_mode or "read-only. Mount it writable" in result["msg"]
    assert result["refusals"] == refused["refusals"]


def test_step_that_failed_fails_the_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    result, _options = run(capsys, monkeypatch, {**DONE, "failures": ["no room"]})
    assert result["failed"]
    assert result["changed"]
    assert "no room" in result["msg"]


def test_error_names_value_reason_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"root": "/nonexistent"}), pytest.raises(SystemExit):
        module.main()
    result = json.loads(capsys.readouterr().out)
    assert (result["value"], result["reason"]) == ("root '/nonexistent'", "no such file or directory")
