# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs at once: the second waits for the first to confirm its switch, but not for one that is dead."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import activate, measure
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import wanted as wanted_module
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.state import read_state

from . import simulated
from .simulated import KEEP, Killed, SimulatedHost, wanted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
host, layout, lock = simulated.host, simulated.layout, simulated.lock


class Clock:
    """A clock that only sleeping moves, and what happens meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.meanwhile: Callable[[], object] = bool

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Clock]:
    """Return the clock of a second run, which has a lock of this test alone."""
    made = Clock()
    monkeypatch.setattr(wanted_module, "held_sockets", lambda _unit: [])
    monkeypatch.setattr(activate, "Lock", lambda name: Lock(name, tmp_path, 0.0))
    with monkeypatch.context() as patched:
        patched.setattr("time.monotonic", made.monotonic)
        patched.setattr("time.sleep", made.sleep)
        yield made


def second_run(layout: Layout) -> list[str]:
    """Begin another run, and return what it puts in order."""
    with activate.between_runs(layout):
        return activate.repair(layout, check_mode=False)


def test_a_run_that_has_yet_to_confirm_is_waited_for(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, clock: Clock
) -> None:
    activate.switch(layout, wanted(tmp_path, "first"), 120, lock)

    def confirm() -> None:
        with Lock("nginx", tmp_path, 0.0):
            activate.confirm(layout, KEEP, lock)

    clock.meanwhile = confirm
    assert second_run(layout) == []
    assert (host.served, read_state(layout).pending, clock.seconds > 0) == ("first", None, True)


def test_a_run_that_says_nothing_for_long_is_undone(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, clock: Clock
) -> None:
    activate.switch(layout, wanted(tmp_path, "first"), 120, lock)
    assert second_run(layout)
    assert (host.served, host.timers, clock.seconds > 0) == ("stock\n", {}, True)


def test_a_run_that_was_killed_on_the_host_is_undone_at_once(
    layout: Layout, lock: Lock, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_endpoints: object) -> None:
        raise Killed

    monkeypatch.setattr(measure, "scan_endpoints", die)
    with pytest.raises(Killed):
        activate.switch(layout, wanted(tmp_path, "first"), 120, lock)
    assert second_run(layout)
    assert clock.seconds == 0


def test_a_run_whose_way_back_was_gone_is_not_waited_for(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, clock: Clock
) -> None:
    activate.switch(layout, wanted(tmp_path, "first"), 120, lock)
    host.timers = {}
    assert second_run(layout)
    assert clock.seconds == 0
