# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rules about a release find: what forbids it, and what a person should know all the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_MOST_NAMED = 5


@dataclass(frozen=True)
class Findings:
    """Sentences: ``refusals`` forbid the release, ``warnings`` do not."""

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        """Return the findings of both."""
        return Findings(self.refusals + other.refusals, self.warnings + other.warnings)

    def as_warnings(self) -> Findings:
        """Return the same, with nothing that forbids."""
        return Findings((), self.refusals + self.warnings)


def together(findings: Iterable[Findings]) -> Findings:
    """Return all findings as one."""
    return sum(findings, Findings())


def said_once(found: Iterable[tuple[str, Findings]]) -> Findings:
    """Return findings about several subjects as one; what is the same of several of them is said once.

    ``found`` has each subject with its findings, whose sentences begin with it and a colon.
    """
    every = list(found)
    return Findings(
        _grouped((subject, text) for subject, each in every for text in each.refusals),
        _grouped((subject, text) for subject, each in every for text in each.warnings),
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    subjects: dict[str, list[str]] = {}
    for subject, text in pairs:
        subjects.setdefault(text[len(f"{subject}: ") :], []).append(subject)
    return tuple(f"{named(several)}: {what}" for what, several in subjects.items())


def named(names: Iterable[str]) -> str:
    """Return names for a sentence: the first ones, and how many more there are."""
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - _MOST_NAMED} more" if len(every) > _MOST_NAMED else ""
    return ", ".join(every[:_MOST_NAMED]) + more
