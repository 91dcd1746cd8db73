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


def named(names: Iterable[str]) -> str:
    """Return names for a sentence: the first ones, and how many more there are."""
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - _MOST_NAMED} more" if len(every) > _MOST_NAMED else ""
    return ", ".join(every[:_MOST_NAMED]) + more
