# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one repair was asked for, and the record of what became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.disk_health import Health
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Progress
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Plan, Policy, Step


class RepairOptions(NamedTuple):
    """What to verify (and where packages come from), and what is allowed. With ``dry_run`` nothing is changed."""

    verification: check.Options
    policy: Policy = Policy()
    dry_run: bool = False


class Outcome(NamedTuple):
    """What became of one step; ``error`` is empty when it was done."""

    step: Step
    status: str
    error: str = ""


#: What can go wrong on a damaged system in the middle of its repair.
ERRORS = (WebopsError, DebError, OSError)


class Done:
    """The one record of a run; ``complaints`` are about the sources of packages.

    ``stopped`` says that nothing more may be changed, ``unfinished`` that the next run has to see to what is left.
    ``known`` are the classes and paths of what was found before anything was done about it, ``replaced`` all files that
    were exchanged for new ones, damaged or not.
    """

    def __init__(self, progress: Progress) -> None:
        """Begin with nothing done; ``progress`` is told how far it is."""
        self.progress = progress
        self.outcomes: list[Outcome] = []
        self.leftovers: list[str] = []
        self.complaints: list[str] = []
        self.failures: list[str] = []
        self.known: set[tuple[str, bytes]] = set()
        self.replaced: set[bytes] = set()
        self.after: check.Verification | None = None
        self.changed = self.stopped = self.unfinished = False

    def repaired(self) -> list[Step]:
        """Return the steps that were done."""
        return [outcome.step for outcome in self.outcomes if outcome.status == "done"]

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Note an error instead of raising it, once something was changed: then the result must not be lost."""
        try:
            yield
        except ERRORS as error:
            if not self.changed:
                raise
            self.stopped = self.unfinished = True
            self.failures.append(str(error))


class Attempt(NamedTuple):
    """One attempt: what was found, what was planned, what spoke against it and what is not known of the disks."""

    before: check.Verification
    plan: Plan
    health: Health
