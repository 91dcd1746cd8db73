# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.report.document import rows
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import build_report
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import columns
from ansible_collections.ringmaster.webops.plugins.module_utils.report.terminal import RunSummary
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.report.builders import (
    NOW,
    damaged_packages,
    endpoint,
    odd_fleet,
    packages,
)


def counts(*names: str, **changes: int) -> dict[str, dict[str, int]]:
    return {name: {"ok": 12, "changed": 1, "failures": 0, "unreachable": 0, **changes} for name in names}


def named(name: str, grade: str = "A") -> dict[str, Any]:
    target = {"name": name, "host": "10.77.0.11", "port": 443, "server_name": None}
    return {"results": [endpoint(grade=grade, target=target)]}


def shown(
    summary: RunSummary, stats: dict[str, dict[str, int]], width: int = 140, ascii_only: bool = True
) -> list[str]:
    return [line.text for line in summary.lines(stats, NOW, width, ascii_only)]


def odd_summary() -> RunSummary:
    summary = RunSummary()
    summary.add_report({"hosts": rows(build_report(odd_fleet(), NOW)), "paths": {"html": "/srv/report/index.html"}})
    return summary


def test_table() -> None:
    summary = RunSummary()
    summary.add_packages("web1", packages())
    summary.add_packages("web2", damaged_packages())
    summary.add_endpoints("web1", False, {"results": [endpoint("www.ringmaster.test")]})

    assert shown(summary, counts("web1", "web2", "localhost")) == [
        "host       ok  changed  failed  unreachable  verdict   TLS  certificate  packages      findings   verified",
        "----------------------------------------------------------------------------------------------------------",
        "localhost  12        1       0            0  -         -    -            -                    -          -",
        "web1       12        1       0            0  ok        A    89 days      consistent           0  9312/9312",
        "web2       12        1       0            0  critical  -    -            inconsistent       812  9312/9312",
        "",
        "web2: package content differs: 811 content_changed, 1 missing",
        "",
        "1 of 2 hosts is critical.",
        "Packages verified on 2 and TLS measured on 1 of 2 hosts.",
    ]


def test_nothing_of_ours_no_table() -> None:
    assert shown(RunSummary(), counts("web1")) == []


@pytest.mark.parametrize(
    "result",
    [
        {"msg": "it failed", "failed": True},
        {"results": [{"results": [], "item": 1}]},
        {"results": "odd", "hosts": 3},
        {},
    ],
)
def test_a_result_that_measured_nothing_is_no_row(result: dict[str, Any]) -> None:
    summary = RunSummary()
    summary.add_packages("web1", result)
    summary.add_endpoints("web1", False, result)

    assert shown(summary, counts("web1")) == []


@pytest.mark.parametrize(
    ("name", "delegated", "row"),
    [
        ("web2", False, "web2"),
        ("web2", True, "web2"),
        ("10.77.0.11:443", False, "web1"),
        ("www.ringmaster.test", True, "www.ringmaster.test"),
    ],
)
def test_endpoint_belongs_to_the_host_it_is_named_after_or_to_the_task(name: str, delegated: bool, row: str) -> None:
    summary = RunSummary()
    summary.add_endpoints("web1", delegated, named(name, grade="B"))
    lines = shown(summary, counts("web1", "web2"))

    assert [line.split()[0] for line in lines if " B " in line] == [row]


def test_worst_endpoint_counts() -> None:
    summary = RunSummary()
    summary.add_endpoints("web1", False, {"results": [*named("a", "A")["results"], *named("b", "C")["results"]]})

    assert " C " in shown(summary, counts("web1"))[2]


def test_host_with_failed_tasks_is_at_best_unknown() -> None:
    summary = RunSummary()
    summary.add_endpoints("web1", False, named("web1"))

    assert "1 of 1 host could not be measured in full." in shown(summary, counts("web1", unreachable=1))


def test_report_adds_hosts_that_no_result_came_from_and_the_place_of_the_page() -> None:
    lines = shown(odd_summary(), counts("web1"))

    assert [line for line in lines if line.startswith("gone1")]
    assert lines[-1] == "Report: /srv/report/index.html"


@pytest.mark.parametrize("width", [20, 50, 79, 80, 100, 140])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_no_row_is_wider_than_the_terminal(width: int, ascii_only: bool) -> None:
    lines = shown(odd_summary(), counts("a-rather-long-name-for-a-host.example.org"), width, ascii_only)
    table = lines[: lines.index("")]

    assert max(columns(line) for line in table) <= width
    assert len(table) == 2 + 16


def test_narrow_table_keeps_every_verdict_and_number() -> None:
    line = next(line for line in shown(odd_summary(), counts("web6"), 80) if line.startswith("web6"))

    assert line.split() == ["web6", "12", "1", "0", "0", "critical", "A", "89", "d", "inconsistent", "812"]


def test_ascii_only() -> None:
    summary = odd_summary()
    summary.add_packages("caf\u00e9-\u4f60", packages())

    assert all(line.isascii() for line in shown(summary, counts("web1"), 30))


def test_the_worst_reasons_are_said_and_the_others_counted() -> None:
    hosts = [
        {"host": f"web{number}", "verdict": "critical" if number == 7 else "attention", "reasons": [reason]}
        for number in range(12)
        for reason in [{"level": "critical" if number == 7 else "attention", "text": f"reason {number}"}]
    ]
    summary = RunSummary()
    summary.add_report({"hosts": hosts})
    lines = shown(summary, {})
    first = lines.index("") + 1

    assert lines[first : first + 2] == ["web7: reason 7", "web0: reason 0"]
    assert lines[first + 10 :][:2] == ["and 2 reasons more", ""]


def test_an_endpoint_that_a_report_holds_has_no_row_of_its_own() -> None:
    summary = RunSummary()
    summary.add_endpoints("web1", True, named("192.0.2.7:443"))
    summary.add_report({"hosts": rows(build_report(odd_fleet(), NOW)), "paths": {"html": "/srv/report/index.html"}})

    assert [line for line in shown(summary, counts("web1")) if line.startswith("192.0.2.7")] == []


def test_a_host_that_a_report_leaves_out_keeps_its_row() -> None:
    summary = RunSummary()
    summary.add_packages("web2", damaged_packages())
    summary.add_endpoints("web2", False, {"results": [endpoint("www.ringmaster.test", "F")]})
    summary.add_report({"hosts": [{"host": "web1", "verdict": "ok"}]})
    row = next(line for line in shown(summary, counts("web1", "web2")) if line.startswith("web2"))

    assert "critical" in row
    assert " F " in row


def test_of_two_rows_of_one_name_the_worse_counts() -> None:
    summary = RunSummary()
    summary.add_report({"hosts": [{"host": "web1", "verdict": "critical"}, {"host": "web1", "verdict": "ok"}]})

    assert "1 of 1 host is critical." in shown(summary, counts("web1"))


def test_terminal_escapes_of_a_host_do_not_reach_the_terminal() -> None:
    summary = RunSummary()
    summary.add_report({"hosts": [], "paths": {"html": "/srv/\x1b[2J"}})
    summary.add_packages("web1\x1b[2J", packages("\x1b]0;x\x07"))
    summary.add_endpoints("web1", True, named("\x1b[31m", grade="\x1b[0m"))

    assert [line for line in shown(summary, counts("web1"), ascii_only=False) if "\x1b" in line] == []


def test_levels_tell_how_to_colour() -> None:
    levels = {
        line.text.split()[0]: line.level for line in odd_summary().lines(counts("web1"), NOW, 140, True) if line.text
    }

    assert (levels["web1"], levels["web2"], levels["gone1"], levels["web3"]) == (
        "ok",
        "attention",
        "unknown",
        "critical",
    )
