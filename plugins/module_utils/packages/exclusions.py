# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules' option ``exclude``: globs, and dictionaries of a glob and a reason."""

from __future__ import annotations

from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Exclusion


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
