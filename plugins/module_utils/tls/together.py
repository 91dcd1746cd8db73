# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that do not depend on each other, one after the other or side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Together(Protocol):
    """How tasks that do not depend on each other are run: the results come in the order of the tasks."""

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run the tasks."""


def one_after_the_other(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run tasks in their order."""
    return [task() for task in tasks]


def at_once(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run tasks side by side, and wait for all of them."""
    if not tasks:
        return []
    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        return [running.result() for running in [pool.submit(task) for task in tasks]]
