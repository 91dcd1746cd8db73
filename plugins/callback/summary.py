# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback ``ringmaster.webops.summary``: hands results to the library and prints the table it returns."""

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: Show what was measured as a table at the end of a run
version_added: 0.1.0
author:
  - ringmaster.webops contributors (@ringmaster-webops)
description:
  - Prints one row a host at the end of a run, with its task counts (ok, changed, failed, unreachable), the verdict, the
    worst TLS grade, the days left of the first certificate to expire, the verdict on its packages, the findings and
    how many files were verified.
  - Takes what M(ringmaster.webops.tls_endpoint_info), M(ringmaster.webops.package_consistency_info) and
    M(ringmaster.webops.fleet_report) return in the run. When none of them ran it prints nothing.
  - An endpoint counts for the host that its target's C(name) names, and else for the host of the task. In a delegated
    task the target's C(name) decides alone, a host of that name or not.
  - The table keeps to the terminal's width (or that of the environment variable E(COLUMNS)) and to plain ASCII where
    the output cannot show more. Colours are those of Ansible itself, and only where Ansible uses colours.
requirements:
  - Must be enabled with C(callbacks_enabled) in the configuration.
"""

import shutil
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ansible import constants
from ansible.plugins.callback import CallbackBase

from ansible_collections.ringmaster.webops.plugins.module_utils.report.terminal import RunSummary

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult

# The width of a log that is no terminal.
LOG_COLUMNS = 120
COLORS = {"ok": "COLOR_OK", "attention": "COLOR_CHANGED", "unknown": "COLOR_UNREACHABLE", "critical": "COLOR_ERROR"}


class CallbackModule(CallbackBase):
    """Collects the collection's own results and prints them as a table when the run ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ringmaster.webops.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        """Start with nothing to show."""
        super().__init__()
        self._summary = RunSummary()

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Take the result of a task that succeeded."""
        self._take(result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, *_args: bool, **_options: bool) -> None:
        """Take the result of a task that failed: C(failed_when) fails tasks that measured well."""
        self._take(result)

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        """Take the result of one item of a loop."""
        self._take(result)

    def v2_runner_item_on_failed(self, result: CallbackTaskResult) -> None:
        """Take the result of one item of a loop that failed."""
        self._take(result)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Print the table."""
        counts = {host: stats.summarize(host) for host in stats.processed}
        width = shutil.get_terminal_size(fallback=(LOG_COLUMNS, 0)).columns
        ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
        lines = self._summary.lines(counts, datetime.now(timezone.utc), width, ascii_only)
        if lines:
            self._display.banner("WEBOPS SUMMARY")
        for line in lines:
            self._display.display(line.text, color=getattr(constants, COLORS[line.level]) if line.level else None)

    def _take(self, result: CallbackTaskResult) -> None:
        task, host = result.task, result.host.get_name()
        if task.resolved_action == "ringmaster.webops.tls_endpoint_info":
            self._summary.add_endpoints(host, task.delegate_to is not None, result.result)
        elif task.resolved_action == "ringmaster.webops.package_consistency_info":
            self._summary.add_packages(host, result.result)
        elif task.resolved_action == "ringmaster.webops.fleet_report":
            self._summary.add_report(result.result)
