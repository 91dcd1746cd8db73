# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guideline or a policy says about an endpoint, as the report sees it."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.report.reading import (
    boolean,
    mapping,
    mappings,
    shortened,
    text,
    texts,
)

# A list of cipher suites that a policy refuses can be long, and the protocols' table has them anyway.
_REASON_LIMIT = 160


@dataclass(frozen=True)
class Policy:
    """A policy, or one profile of a guideline; the items are sentences, each with its reason.

    ``compliant`` is ``None`` where something that matters was not measured; ``undecided`` names it.
    """

    name: str
    compliant: bool | None
    failures: tuple[str, ...]
    recommendations: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Return what it says in one line."""
        if self.compliant:
            words = "complies"
        elif self.compliant is None:
            words = f"not known, since these were not measured: {', '.join(self.undecided) or 'no reason given'}"
        else:
            words = f"does not comply: {', '.join(self.failures) or 'no reason given'}"
        advice = f". Recommended: {', '.join(self.recommendations)}" if self.recommendations else ""
        return f"{self.name}: {words}{advice}"


def guideline_from(value: object) -> tuple[Policy, ...]:
    """Return the profiles of Mozilla's guideline in the ``mozilla`` of a result, as they are ordered there."""
    guideline = mapping(value)
    version = text(guideline.get("version")) or "(no version)"
    profiles = mapping(guideline.get("profiles"))
    return tuple(_policy(f"Mozilla {version} {name}", profile) for name, profile in profiles.items())


def policies_from(value: object) -> tuple[Policy, ...]:
    """Return the ``policies`` of a result."""
    return tuple(
        _policy(" ".join(texts([entry.get("name"), entry.get("version")])) or "unnamed policy", entry)
        for entry in mappings(value)
    )


def _policy(name: str, value: object) -> Policy:
    entry = mapping(value)
    return Policy(
        name=name,
        compliant=boolean(entry.get("compliant")),
        failures=_items(entry.get("items"), "fail"),
        recommendations=_items(entry.get("items"), "recommend"),
        undecided=texts(entry.get("undecided")),
    )


def _items(value: object, status: str) -> tuple[str, ...]:
    found = []
    for entry in mappings(value):
        if entry.get("status") == status:
            name = (text(entry.get("item")) or "unknown").replace("_", " ")
            found.append(f"{name} ({shortened(text(entry.get('reason')) or 'no reason given', _REASON_LIMIT)})")
    return tuple(found)
