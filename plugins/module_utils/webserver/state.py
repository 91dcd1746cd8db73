# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host remembers of its releases: which one is confirmed, since when, and which ones are ours to remove."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    ORIGINAL,
    SCHEMA_VERSION,
    ReleaseFile,
    is_release_name,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout, replace_file

_MAX_STATE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Pending:
    """A switch that is not confirmed: to what, when (seconds since the epoch), and whether the unit ran before it.

    ``handed_over``: the step that switched has come to its end, and it is for the control node to confirm or undo. That
    of a run which was killed in the middle never is.
    """

    release: str
    switched_at: float
    was_active: bool
    handed_over: bool = False


@dataclass(frozen=True)
class State:
    """What ``state.json`` says. ``releases`` has every release that we wrote, and when it was confirmed, if ever."""

    confirmed: str | None = None
    switched_at: float = 0.0
    releases: Mapping[str, float | None] = field(default_factory=dict)
    pending: Pending | None = None

    def with_release(self, name: str) -> State:
        """Return the state with one more release that is ours."""
        return dataclasses.replace(self, releases={name: None, **self.releases})

    def with_confirmed(self, name: str, switched_at: float) -> State:
        """Return the state in which a release is the confirmed one, and nothing is pending."""
        return State(name, switched_at, {**self.releases, name: time.time()}, None)

    def by_age(self) -> list[str]:
        """Return the releases that were confirmed, the last confirmed first."""
        moments = {name: moment for name, moment in self.releases.items() if moment is not None}
        return sorted(moments, key=lambda name: moments[name], reverse=True)

    def removable(self, keep_releases: int) -> list[str]:
        """Return the releases that nobody needs: not among the newest, not the confirmed one, not the original."""
        ours = [name for name in self.by_age() if name != ORIGINAL]
        kept = {*ours[:keep_releases], self.confirmed, ORIGINAL}
        return [name for name in self.releases if name not in kept]


def resolve_name(layout: Layout, state: State, wanted: str) -> str:
    """Return the release that somebody means: ``previous`` (confirmed before this one), ``original`` or a digest.

    Raises InvalidInputError where there is none.
    """
    others = [name for name in state.by_age() if name != state.confirmed and layout.release(name).is_dir()]
    name = (others[0] if others else "") if wanted == "previous" else wanted
    if name and is_release_name(name) and layout.release(name).is_dir():
        return name
    there = sorted(path.name for path in layout.releases.glob("*") if is_release_name(path.name))
    raise InvalidInputError(
        f"release {wanted!r}",
        f"the host has no such release of {layout.server.name}",
        f"Choose one of those that it has: {', '.join(there) or 'none'}",
    )


def read_state(layout: Layout) -> State:
    """Return what the host remembers; nothing where the file is missing or makes no sense: it can be made anew."""
    try:
        document = json.loads(read_regular(str(_path(layout)), _MAX_STATE_BYTES))
        releases = {
            str(name): None if moment is None else float(moment)
            for name, moment in document["releases"].items()
            if is_release_name(str(name))
        }
        confirmed, pending = document["confirmed"], document["pending"]
        return State(
            confirmed if isinstance(confirmed, str) and is_release_name(confirmed) else None,
            float(document["switched_at"]),
            releases,
            None
            if pending is None
            else Pending(
                str(pending["release"]),
                float(pending["switched_at"]),
                bool(pending["was_active"]),
                pending.get("handed_over") is True,
            ),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return State()


def write_state(layout: Layout, state: State) -> None:
    """Write what the host remembers, durably and in one rename. Raises StagingError."""
    document = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(state)}
    content = (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
    replace_file(_path(layout), ReleaseFile("", content))


def _path(layout: Layout) -> Path:
    return layout.directory / "state.json"
