# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run measured, as a table for a terminal: collect results as they pass, show one row a host at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.report.document import row
from ansible_collections.ringmaster.webops.plugins.module_utils.report.endpoint import Endpoint, endpoint_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.model import build_host
from ansible_collections.ringmaster.webops.plugins.module_utils.report.packages import Packages, packages_from
from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import (
    columns,
    integer,
    mapping,
    mappings,
    text,
    visible,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.report.verdict import LEVELS, UNKNOWN, worst_level
from ansible_collections.ringmaster.webops.plugins.module_utils.report.words import count, headline

# The wide table's headings and the narrow one's; a heading that is empty leaves its column out.
WIDE = (
    "host",
    "ok",
    "changed",
    "failed",
    "unreachable",
    "verdict",
    "TLS",
    "certificate",
    "packages",
    "findings",
    "verified",
)
NARROW = ("host", "ok", "chg", "fail", "unr", "verdict", "TLS", "cert", "packages", "found", "")
RIGHT = frozenset({1, 2, 3, 4, 9, 10})
CERTIFICATE, PACKAGES = 7, 8
# The columns that give way in a table that is still too wide, in this order, and what is left of them.
SHRINKABLE = ((0, 12), (PACKAGES, 8), (0, 6))

# So many reasons still fit on a screen; the report has them all.
MOST_REASONS = 10


@dataclass(frozen=True)
class Line:
    """A line of the table, and the level that it reports, for whoever wants to colour it."""

    text: str
    level: str | None = None


class RunSummary:
    """What of a run's results belongs in the table; keeps what a row needs and nothing more."""

    def __init__(self) -> None:
        """Start with nothing collected."""
        self._endpoints: list[tuple[str, bool, Endpoint]] = []
        self._packages: dict[str, Packages] = {}
        self._reported: dict[str, dict[str, Any]] = {}
        self._page: str | None = None

    def add_endpoints(self, task_host: str, delegated: bool, result: Mapping[str, Any]) -> None:
        """Take a result of ``tls_endpoint_info`` that ran for ``task_host``, here or delegated to another host."""
        for entry in mappings(result.get("results")):
            if "target" in entry:
                self._endpoints.append((task_host, delegated, endpoint_from(entry)))

    def add_packages(self, host: str, result: Mapping[str, Any]) -> None:
        """Take a result of ``package_consistency_info`` on ``host``; one that failed has nothing to say here."""
        if "summary" in result or "coverage" in result:
            slim = {key: value for key, value in result.items() if key != "findings"}
            self._packages[host] = packages_from(slim)

    def add_report(self, result: Mapping[str, Any]) -> None:
        """Take a result of ``fleet_report``, and name its page: its rows stand for what was collected of these hosts.

        They also stand for delegated endpoints, whose host is known to the report better than it is here.
        """
        # Worst first: of two rows of the same name the worse one counts.
        reported = {str(entry.get("host")): entry for entry in reversed(mappings(result.get("hosts")))}
        self._reported.update(reported)
        self._endpoints = [one for one in self._endpoints if not one[1] and one[0] not in reported]
        self._packages = {host: packages for host, packages in self._packages.items() if host not in reported}
        self._page = text(mapping(result.get("paths")).get("html")) or self._page

    def lines(self, stats: Mapping[str, Mapping[str, int]], now: datetime, width: int, ascii_only: bool) -> list[Line]:
        """Return the table, no row wider than ``width`` columns; nothing when nothing of the collection ran.

        ``stats`` has the run's counts of each host: ``ok``, ``changed``, ``failures``, ``unreachable``.
        """
        if not (self._endpoints or self._packages or self._reported):
            return []
        rows = self._rows(stats, now)
        levels = {name: _level(rows.get(name), stats.get(name, {})) for name in sorted({*stats, *rows})}
        cells = [_cells(name, stats.get(name, {}), rows.get(name), level) for name, level in levels.items()]
        judged = [level for level in levels.values() if level is not None]
        closing = headline({level: judged.count(level) for level in LEVELS})
        table = [_cut_line(line, width) for line in _table(cells, list(levels.values()), width)]
        after = [
            *_reasons(rows),
            Line(""),
            Line(f"{closing}.", worst_level(judged)),
            Line(_measured(rows)),
            *[Line(f"Report: {visible(self._page or '')}")] * bool(self._page),
        ]
        return [_plain(line) if ascii_only else line for line in [*table, *after]]

    def _rows(self, stats: Mapping[str, object], now: datetime) -> dict[str, dict[str, Any]]:
        known = {*stats, *self._packages, *self._reported}
        endpoints: dict[str, list[Endpoint]] = {}
        for task_host, delegated, endpoint in self._endpoints:
            endpoints.setdefault(_owner(task_host, delegated, endpoint, known), []).append(endpoint)
        hosts = [
            build_host(name, now, packages=self._packages.get(name), endpoints=tuple(endpoints.get(name, ())))
            for name in {**endpoints, **self._packages}
        ]
        return {**{host.name: row(host) for host in hosts}, **self._reported}


def _reasons(rows: Mapping[str, Mapping[str, Any]]) -> list[Line]:
    """Return why hosts are not in order, the worst first; so many that they still fit on a screen."""
    every = [
        Line(visible(f"{name}: {one.get('text')}"), text(one.get("level")))
        for name, measured in sorted(rows.items())
        for one in mappings(measured.get("reasons"))
    ]
    every.sort(key=lambda line: [*LEVELS, line.level].index(line.level), reverse=True)
    more = [Line(f"and {count(len(every) - MOST_REASONS, 'reason')} more")] * (len(every) > MOST_REASONS)
    return [*[Line("")] * bool(every), *every[:MOST_REASONS], *more]


def _measured(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return on how many hosts what was measured, without which "in order" would say too much."""
    packages = sum(bool(one.get("packages")) for one in rows.values())
    ends = [mapping(one.get("tls")) for one in rows.values()]
    tls = sum((integer(one.get("endpoints")) or 0) > (integer(one.get("unreachable")) or 0) for one in ends)
    return f"Packages verified on {packages:,} and TLS measured on {tls:,} of {count(len(rows), 'host')}."


def _owner(task_host: str, delegated: bool, endpoint: Endpoint, known: Iterable[str]) -> str:
    """Return the host whose row an endpoint belongs in: the one it is named after, else the task's."""
    name = endpoint.name
    return name if name is not None and (delegated or name in known) else task_host


def _level(measured: Mapping[str, Any] | None, counts: Mapping[str, int]) -> str | None:
    """Return the verdict on a host; one where tasks failed is at best ``unknown``, one not measured has none."""
    trouble = [UNKNOWN] if counts.get("failures") or counts.get("unreachable") else []
    if measured is None:
        return UNKNOWN if trouble else None
    said = measured.get("verdict")
    return worst_level([said if said in LEVELS else UNKNOWN, *trouble])


def _cells(name: str, counts: Mapping[str, int], measured: Mapping[str, Any] | None, level: str | None) -> list[str]:
    tls, packages = mapping((measured or {}).get("tls")), mapping((measured or {}).get("packages"))
    files = mapping(mapping(packages.get("coverage")).get("files"))
    tasks = [str(counts.get(key, 0)) if counts else "-" for key in ("ok", "changed", "failures", "unreachable")]
    return [
        visible(name),
        *tasks,
        level or "-",
        _grade(tls),
        _days(mapping((measured or {}).get("certificate"))),
        visible(text(packages.get("verdict")) or "-").replace("_", " "),
        text(packages.get("findings_total")) or "-",
        f"{files['verified']}/{files['listed']}" if integer(files.get("verified")) is not None else "-",
    ]


def _grade(tls: Mapping[str, Any]) -> str:
    grade, silent = text(tls.get("grade")), integer(tls.get("unreachable")) or 0
    if grade is None:
        return "no answer" if silent else "no grade" if tls else "-"
    bound = "<=" if tls.get("grade_is_upper_bound") is True else ""
    return visible(f"{bound}{grade}{f', {silent} down' if silent else ''}")


def _days(certificate: Mapping[str, Any]) -> str:
    days = integer(certificate.get("days_left"))
    if days is None:
        return "-"
    return "expired" if days < 0 else f"{days} day{'s' * (days != 1)}"


def _table(rows: Sequence[Sequence[str]], levels: Sequence[str | None], width: int) -> list[Line]:
    headings, excess = WIDE, sum(_widths(WIDE, rows)) + 2 * (len(WIDE) - 1) - width
    if excess > 0:
        headings, rows = NARROW, [_shorter(cells) for cells in rows]
    shown = [position for position, heading in enumerate(headings) if heading]
    widths = _widths(headings, rows)
    for position, least in SHRINKABLE:
        excess = sum(widths[position] for position in shown) + 2 * (len(shown) - 1) - width
        widths[position] = max(widths[position] - max(excess, 0), min(widths[position], least))
    lines = [_line(cells, shown, widths) for cells in [headings, *rows]]
    rule = "\u2500" * max(columns(line) for line in lines)
    return [Line(lines[0]), Line(rule), *(Line(line, level) for line, level in zip(lines[1:], levels))]


def _shorter(cells: Sequence[str]) -> list[str]:
    """Return a row's cells for the narrow table."""
    short = list(cells)
    short[CERTIFICATE] = short[CERTIFICATE].replace(" days", " d").replace(" day", " d")
    short[PACKAGES] = short[PACKAGES].replace("database", "db")
    return short


def _widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(columns(cell) for cell in column) for column in zip(headings, *rows)]


def _line(cells: Sequence[str], shown: Sequence[int], widths: Sequence[int]) -> str:
    padded = []
    for position in shown:
        cell = _cut(cells[position], widths[position])
        space = " " * (widths[position] - columns(cell))
        padded.append(space + cell if position in RIGHT else cell + space)
    return "  ".join(padded).rstrip()


def _cut(value: str, width: int) -> str:
    if columns(value) <= width:
        return value
    while value and columns(value) > width - 1:
        value = value[:-1]
    return value + "\u2026"


def _cut_line(line: Line, width: int) -> Line:
    return Line(_cut(line.text, width), line.level)


def _plain(line: Line) -> Line:
    """Return a line in ASCII: rules and ellipses as their likes, any other letter as a question mark."""
    drawn = line.text.replace("\u2500", "-").replace("\u2026", "~")
    return Line(drawn.encode("ascii", "replace").decode("ascii"), line.level)
