# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback ``summary``: hands over what is ours and prints the table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible.executor.stats import AggregateStats

from ansible_collections.ringmaster.webops.plugins.callback.summary import CallbackModule
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import endpoint, packages

if TYPE_CHECKING:
    from ansible.executor.task_result import CallbackTaskResult


class Terminal:
    """A display that keeps what it is given."""

    verbosity = 0

    def __init__(self) -> None:
        self.lines: list[tuple[str, str | None]] = []

    def banner(self, text: str) -> None:
        self.lines.append((text, None))

    def display(self, text: str, color: str | None = None) -> None:
        self.lines.append((text, color))


def task_result(
    action: str, result: dict[str, Any], host: str = "web1", delegate_to: str | None = None
) -> CallbackTaskResult:
    """Return the part of ansible-core's result that the callback reads."""
    task = SimpleNamespace(resolved_action=f"ringmaster.webops.{action}", delegate_to=delegate_to)
    return cast(
        "CallbackTaskResult", SimpleNamespace(task=task, host=SimpleNamespace(get_name=lambda: host), result=result)
    )


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> CallbackModule:
    monkeypatch.setenv("COLUMNS", "140")
    plugin = CallbackModule()
    monkeypatch.setattr(plugin, "_display", Terminal())
    return plugin


def printed(callback: CallbackModule, *hosts: str) -> list[tuple[str, str | None]]:
    stats = AggregateStats()
    for host in hosts:
        stats.increment("ok", host)
    callback.v2_playbook_on_stats(stats)
    terminal: Any = callback._display
    return list(terminal.lines)


@pytest.mark.parametrize(
    "event", ["v2_runner_on_ok", "v2_runner_on_failed", "v2_runner_item_on_ok", "v2_runner_item_on_failed"]
)
def test_results_are_taken_however_they_come(callback: CallbackModule, event: str) -> None:
    getattr(callback, event)(task_result("package_consistency_info", packages("incomplete")))

    assert [line for line, _color in printed(callback, "web1") if line.startswith("web1") and "incomplete" in line]


def test_failed_task_comes_with_a_keyword(callback: CallbackModule) -> None:
    callback.v2_runner_on_failed(task_result("package_consistency_info", packages()), ignore_errors=True)

    assert printed(callback, "web1")


def test_delegated_endpoint_stands_with_the_host_that_its_target_names(callback: CallbackModule) -> None:
    target = {"name": "web2", "host": "10.77.0.12", "port": 443}
    callback.v2_runner_on_ok(
        task_result("tls_endpoint_info", {"results": [endpoint(target=target, grade="A+")]}, delegate_to="localhost")
    )

    assert [line.split()[0] for line, _color in printed(callback, "web1") if "A+" in line] == ["web2"]


def test_report_gives_rows_and_the_page(callback: CallbackModule) -> None:
    row = {"host": "web9", "verdict": "critical"}
    callback.v2_runner_on_ok(task_result("fleet_report", {"hosts": [row], "paths": {"html": "/srv/index.html"}}))
    lines = printed(callback, "web1")

    assert lines[0][0] == "WEBOPS SUMMARY"
    assert lines[-1][0] == "Report: /srv/index.html"
    assert [color for line, color in lines if line.startswith("web9")] == ["red"]


def test_other_modules_are_none_of_its_business(callback: CallbackModule) -> None:
    callback.v2_runner_on_ok(task_result("someone_elses_info", packages()))

    assert printed(callback, "web1") == []


def test_it_runs_only_where_it_is_enabled() -> None:
    assert (CallbackModule.CALLBACK_TYPE, CallbackModule.CALLBACK_NEEDS_ENABLED) == ("aggregate", True)
