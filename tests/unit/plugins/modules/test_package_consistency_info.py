# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module: arguments in, one call, result out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion, exclusions
from ansible_collections.ringmaster.webops.plugins.modules import package_consistency_info as module


def run(capsys: pytest.CaptureFixture[str], **arguments: object) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_exclusions_are_globs_or_dictionaries() -> None:
    assert exclusions(["/a/*", {"path": "/b"}, {"path": "/c", "reason": "known"}]) == (
        Exclusion("/a/*", "excluded on request"),
        Exclusion("/b", "excluded on request"),
        Exclusion("/c", "known"),
    )


@pytest.mark.parametrize("value", [3, "", {}, {"path": ""}, {"path": 3}, {"path": "/a", "why": "x"}, ["/a"]])
def test_anything_else_is_refused_by_its_value(value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        exclusions([value])
    assert repr(value) in caught.value.value


def test_error_names_value_reason_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, root="/nonexistent")
    assert result["failed"]
    assert (result["value"], result["reason"]) == ("root '/nonexistent'", "no such file or directory")
    assert result["remedy"] in result["msg"]


def test_check_mode_writes_no_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[Options] = []

    def check(options: Options) -> dict[str, Any]:
        given.append(options)
        return {"failures": []}

    monkeypatch.setattr(module, "check", check)
    for mode in (True, False):
        assert run(capsys, report_path=str(tmp_path / "report"), _ansible_check_mode=mode)["changed"] is False
    assert [options.report_path for options in given] == [None, str(tmp_path / "report")]


def test_process_that_died_fails_the_module_and_keeps_the_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "check", lambda _options: {"failures": ["killed"], "findings": [{"path": "/a"}]})
    result = run(capsys)
    assert result["failed"]
    assert "killed" in result["msg"]
    assert result["findings"] == [{"path": "/a"}]
