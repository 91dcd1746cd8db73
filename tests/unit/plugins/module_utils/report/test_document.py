# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report for programs."""

from __future__ import annotations

import json

from ansible_collections.ringmaster.webops.plugins.module_utils.report.document import (
    document,
    rows,
    to_json,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import build_report
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import NOW, host, odd_fleet

ROW_KEYS = {"host", "groups", "verdict", "reasons", "error", "tls", "certificate", "packages", "libraries"}


def test_json_has_the_rows_and_the_facts_they_rest_on() -> None:
    whole = json.loads(to_json(build_report(odd_fleet(), NOW), odd_fleet()))

    assert whole["schema_version"] == 1
    assert whole["generated_at"] == "2026-11-22T03:00:00Z"
    assert whole["verdict"] == "critical"
    assert whole["facts"] == odd_fleet()
    assert {frozenset(row) for row in whole["hosts"]} == {frozenset(ROW_KEYS)}


def test_row_of_a_sound_host() -> None:
    (row,) = rows(build_report([host()], NOW))

    assert row["tls"] == {
        "endpoints": 1,
        "unreachable": 0,
        "grade": "A",
        "grade_is_upper_bound": False,
        "grade_endpoint": "web1.ringmaster.test:443",
        "vulnerabilities": {"vulnerable": 0, "likely": 0, "exposed": 0, "tested": 24, "not_tested": 0},
    }
    assert row["certificate"] == {
        "endpoint": "web1.ringmaster.test:443",
        "subject": "CN=web1.ringmaster.test",
        "not_after": "2027-02-19T15:00:00Z",
        "days_left": 89,
    }
    assert row["packages"] == {
        "verdict": "consistent",
        "findings_total": 0,
        "by_class": {},
        "coverage": {
            "packages": {"installed": 212, "verified": 212},
            "files": {"listed": 9312, "verified": 9312},
            "bytes_read": 412_345_678,
            "gaps": 0,
        },
        "database_problems": 0,
    }
    assert row["libraries"] == {"restarts_due": 0, "heartbleed_now": False, "heartbleed_once": False, "gaps": 0}


def test_summary_counts_the_fleet() -> None:
    summary = document(build_report(odd_fleet(), NOW))["summary"]

    assert summary["hosts_by_verdict"] == {"critical": 6, "unknown": 2, "attention": 4, "ok": 3}
    assert summary["endpoints_by_grade"] == {"T": 1, "F": 1, "B": 1, "A": 9, "A+": 1}
    assert (summary["endpoints"], summary["endpoints_unreachable"]) == (14, 1)
    assert summary["certificate_expires_first"]["host"] == "web9"
    assert summary["vulnerabilities"] == {"vulnerable": 1, "likely": 1, "exposed": 1, "tested": 287, "not_tested": 1}


def test_what_json_cannot_hold_is_written_as_text_and_bookkeeping_is_left_out() -> None:
    odd = host(packages={"weight": float("inf"), "text": "\udcff", "invocation": {"a": 1}, "_ansible_parsed": True})
    whole = json.loads(to_json(build_report([odd], NOW), [odd]))

    assert whole["facts"][0]["packages"] == {"weight": "inf", "text": "\udcff"}
