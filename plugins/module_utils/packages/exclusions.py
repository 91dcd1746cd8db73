# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is not to be looked at: the modules' option ``exclude``, globs, and dictionaries of a glob and a reason."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import glob


class Exclusion(NamedTuple):
    """Paths (a glob whose ``*`` also matches a slash) that are not to be verified, and why."""

    path: str
    reason: str


def exclusions(values: list[Any]) -> tuple[Exclusion, ...]:
    """Take globs, and dictionaries of a glob and a reason. Raises `InvalidInputError`."""
    taken = []
    for value in values:
        fields = {"path": value} if isinstance(value, str) else value
        if not (
            isinstance(fields, dict)
            and set(fields) <= {"path", "reason"}
            and isinstance(fields.get("path"), str)
            and fields["path"]
        ):
            raise InvalidInputError(
                f"exclude {value!r}",
                "it is neither a glob nor a dictionary of path and reason",
                "Write it as a glob, or as {path: GLOB, reason: TEXT}",
            )
        taken.append(Exclusion(fields["path"], str(fields.get("reason") or "excluded on request")))
    return tuple(taken)


def excluder(given: Iterable[Exclusion]) -> Callable[[bytes, bytes], str | None]:
    """Return what tells why a path is excluded, by where it is or by its name in the package; `None` if it is not.

    The first exclusion that matches gives the reason.
    """
    rules = [(glob(os.fsencode(each.path)), each.reason) for each in given]

    def why_excluded(path: bytes, listed: bytes) -> str | None:
        return next((why for rule, why in rules if rule.match(path) or rule.match(listed)), None)

    return why_excluded
