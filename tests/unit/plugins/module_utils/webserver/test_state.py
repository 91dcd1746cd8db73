# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host remembers, and what it makes of a memory that is damaged."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.state import (
    Pending,
    State,
    read_state,
    resolve_name,
    write_state,
)

from . import simulated
from .simulated import SimulatedHost

host = simulated.host
A, B, C, D = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
STATE = State(B, 50.5, {A: 1.0, B: 3.0, C: 2.0, D: None, "original": 0.5}, Pending(D, 60.25, True, True))


@pytest.fixture
def layout(host: SimulatedHost) -> Layout:
    """Return the places of a host that has three releases."""
    found = host.layout()
    for name in (A, B, C, "original"):
        found.release(name).mkdir(parents=True)
    return found


@pytest.mark.parametrize("state", [STATE, State(), State(A)])
def test_what_is_written_is_read(layout: Layout, state: State) -> None:
    write_state(layout, state)
    assert read_state(layout) == state


def test_nothing_is_remembered_at_first(layout: Layout) -> None:
    assert read_state(layout) == State()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"confirmed": "x", "switched_at": "y", "releases": {}, "pending": null}',
        b'{"confirmed": null, "switched_at": 1, "releases": [], "pending": null}',
        b'{"confirmed": null, "switched_at": 1, "releases": {}, "pending": {}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_memory_that_makes_no_sense_is_none(layout: Layout, content: bytes) -> None:
    (layout.directory / "state.json").write_bytes(content)
    assert read_state(layout) == State()


def test_a_name_that_leads_elsewhere_is_no_release(layout: Layout) -> None:
    (layout.directory / "state.json").write_text(
        '{"confirmed": "../..", "switched_at": 1, "releases": {"../../..": 1}, "pending": null}'
    )
    assert read_state(layout) == State(None, 1.0)


@pytest.mark.parametrize(("wanted", "found"), [("previous", C), ("original", "original"), (A, A)])
def test_which_release_is_meant(layout: Layout, wanted: str, found: str) -> None:
    assert resolve_name(layout, STATE, wanted) == found


@pytest.mark.parametrize("wanted", ["next", "..", D, "", "e" * 16])
def test_a_release_that_is_not_there_is_answered_with_those_that_are(layout: Layout, wanted: str) -> None:
    with pytest.raises(InvalidInputError, match=f"has no such release of nginx.*{A}, {B}, {C}, original"):
        resolve_name(layout, STATE, wanted)


def test_a_first_release_has_no_previous(layout: Layout) -> None:
    with pytest.raises(InvalidInputError, match="no such release"):
        resolve_name(layout, State(A, 1.0, {A: 1.0}), "previous")


@pytest.mark.parametrize(
    ("keep", "removable"), [(1, [A, C, D]), (2, [A, D]), (3, [D])], ids=["newest", "two", "all that was confirmed"]
)
def test_what_nobody_needs(keep: int, removable: list[str]) -> None:
    assert STATE.removable(keep) == removable


def test_the_confirmed_one_is_kept_however_old() -> None:
    assert State(A, 1.0, {A: 1.0, B: 3.0, C: 2.0}).removable(1) == [C]
