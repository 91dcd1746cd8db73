# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which well-known clients an endpoint serves, as the report sees it."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import boolean, mappings, text


@dataclass(frozen=True)
class Client:
    """A well-known client: whether it connects, ``None`` where that is not known, and why not."""

    name: str
    connects: bool | None
    reason: str | None


def clients_from(value: object) -> tuple[Client, ...]:
    """Return the ``clients`` of a result."""
    return tuple(
        Client(text(entry.get("name")) or "unknown", boolean(entry.get("connects")), text(entry.get("reason")))
        for entry in mappings(value)
    )
