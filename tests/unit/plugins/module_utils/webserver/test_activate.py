# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release goes live as a whole or not at all, and whatever a run leaves behind, the next one repairs.

The server and systemd are simulated; the files, the links and the script of the way back are real.
"""

from __future__ import annotations

import dataclasses
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import activate, serving, stage, way_back
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import wanted as wanted_module
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.ports import Demand
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Capabilities, Listener, Site
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.state import read_state
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.unit import Unit
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.wanted import Wanted

from . import simulated
from .simulated import ENDPOINT, ENTRY, KEEP, STOCK, WAY_BACK, Killed, SimulatedHost, boot_files, deploy, tree, wanted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
host, layout, lock = simulated.host, simulated.layout, simulated.lock

STAGES = ["writing", "arming", "switching", "reloading", "confirming", "measuring"]


@pytest.fixture(autouse=True)
def _nothing_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted_module, "held_sockets", lambda _unit: [])


def test_the_first_release(host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path) -> None:
    host.sites = [Site("/etc/nginx/nginx.conf", ("old.test",), (Listener("::", 80),))]
    done = activate.switch(layout, wanted(tmp_path, "first"), 120, lock)
    assert (done["refused"], done["rolled_back"], done["previous_release"]) == (None, False, "original")
    assert done["live_scans"] == [ENDPOINT]
    assert (host.served, host.told) == ("first", ["reload"])
    assert layout.entry.read_bytes() == ENTRY
    assert stage.read_release(layout.release("original")).facts == Facts(("old.test",), (Listener("::", 80),))
    assert WAY_BACK in host.timers
    assert read_state(layout).confirmed == "original"
    activate.confirm(layout, KEEP, lock)
    assert host.timers == {}
    assert read_state(layout).confirmed == done["release"]
    assert read_state(layout).pending is None


def test_a_server_that_does_not_run_is_started_and_enabled(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    host.active = False
    deploy(layout, lock, tmp_path, "first")
    assert (host.served, host.told) == ("first", ["reset-failed", "start", "enable"])


def test_a_server_that_did_not_run_is_stopped_again(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    host.active = False
    activate.switch(layout, wanted(tmp_path, "first"), 120, lock)
    assert activate.undo(layout, None, KEEP, lock)["rolled_back"]
    assert not host.active


def test_a_server_that_was_started_since_the_way_back_was_gone_is_left_running(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    host.active = False
    activate.switch(layout, wanted(tmp_path, "first"), 120, lock)
    stage.flip(layout, "original")
    host.timers, host.active = {}, True
    activate.repair(layout, check_mode=False)
    assert (host.active, host.served) == (True, STOCK.decode())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("emerg", "[emerg] no such thing"),
        ("complains", "[emerg] no such thing"),
        ("keeps", "nginx.service goes on with the configuration that it had, 0 seconds after the reload"),
        ("unreadable", "nginx.service: reload failed"),
        ("dies", "nginx.service does not run"),
    ],
)
def test_what_the_server_does_not_take_is_undone(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, text: str, reason: str
) -> None:
    before = deploy(layout, lock, tmp_path, "before")
    done = activate.switch(layout, wanted(tmp_path, text), 120, lock)
    assert (done["refused"], done["rolled_back"]) == ({"stage": "reloaded", "reason": reason}, True)
    assert (host.served, host.active, host.timers) == ("before", True, {})
    assert stage.current_release(layout) == before == read_state(layout).confirmed
    assert read_state(layout).pending is None
    deploy(layout, lock, tmp_path, "corrected")
    assert host.served == "corrected"


def test_a_server_that_dies_while_it_is_brought_back_is_started(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    deploy(layout, lock, tmp_path, "before")
    activate.switch(layout, wanted(tmp_path, "after"), 120, lock)
    host.dying = True
    assert activate.undo(layout, None, KEEP, lock)["rolled_back"]
    assert (host.served, host.active, host.told[-2:]) == ("before", True, ["reset-failed", "start"])


def test_a_way_back_that_fails_stays_armed_and_is_told(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(layout, lock, tmp_path, "before")
    monkeypatch.setattr(serving, "bring_back", lambda *_arguments: "it is broken")
    done = activate.switch(layout, wanted(tmp_path, "keeps"), 120, lock)
    assert not done["rolled_back"]
    assert "was not confirmed either: it is broken" in done["refused"]["reason"]
    assert WAY_BACK in host.timers


def test_a_fault_of_our_own_after_the_switch_is_undone_too(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(layout, lock, tmp_path, "before")

    def fault(*_arguments: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(serving, "outcome", fault)
    done = activate.switch(layout, wanted(tmp_path, "after"), 120, lock)
    assert (done["rolled_back"], done["refused"]["reason"]) == (True, "ZeroDivisionError: by zero")
    assert host.served == "before"


def killed_at(lock: Lock, at: str) -> Iterator[None]:
    """Kill the run as soon as it says that it has come to a stage."""
    say = lock.stage

    def stage_or_die(name: str) -> None:
        say(name)
        if name == at:
            raise Killed

    lock.stage = stage_or_die  # type: ignore[method-assign]
    yield
    lock.stage = say  # type: ignore[method-assign]


@pytest.mark.parametrize("first", [True, False], ids=["taking over", "later"])
@pytest.mark.parametrize("at", STAGES)
def test_a_run_that_is_killed_leaves_the_old_or_the_new_and_the_next_one_repairs(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, at: str, first: bool
) -> None:
    old = STOCK.decode() if first else "old"
    if not first:
        deploy(layout, lock, tmp_path, "old")
    killing = killed_at(lock, at)
    next(killing)
    with pytest.raises(Killed):
        activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    next(killing, None)
    assert host.configuration() in (old, "new")
    activate.repair(layout, check_mode=False)
    assert (host.configuration(), host.served, host.timers) == (old, old, {})
    assert not boot_files(host)
    deploy(layout, lock, tmp_path, "new")
    assert (host.configuration(), host.served, host.timers) == ("new", "new", {})


def killed_before_step(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Kill the run before it changes the names of files for the so-manieth time."""
    done: list[str] = []

    def watch(name: str) -> None:
        real = getattr(Path, name)

        def step(*arguments: object, **options: object) -> object:
            if len(done) == place:
                raise Killed
            done.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(Path, name, step)

    for name in ("replace", "rename", "symlink_to", "mkdir", "unlink"):
        watch(name)


def test_a_run_that_is_killed_between_any_two_steps_leaves_the_old_or_the_new(
    host: SimulatedHost, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, places = wanted(tmp_path, "new"), 0
    while True:
        host.root, host.served = tmp_path / str(places), STOCK.decode()
        simulated.install(host)
        with monkeypatch.context() as patched:
            killed_before_step(patched, places)
            try:
                activate.switch(host.layout(), given, 120, lock)
            except Killed:
                places += 1
            else:
                break
        assert host.configuration() in (STOCK.decode(), "new")
        activate.repair(host.layout(), check_mode=False)
        assert (host.configuration(), boot_files(host)) == (STOCK.decode(), [])
        deploy(host.layout(), lock, tmp_path, "new")
    assert places > 15


def test_check_mode_tells_of_an_interrupted_run_and_changes_nothing(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    before, told = tree(host.root), list(host.told)
    (warning,) = activate.repair(layout, check_mode=True)
    assert "interrupted" in warning
    assert (tree(host.root), host.told) == (before, told)


def test_nothing_is_repaired_where_nothing_is_broken(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    assert activate.repair(layout, check_mode=False) == []
    deploy(layout, lock, tmp_path, "new")
    told = list(host.told)
    assert activate.repair(layout, check_mode=False) == []
    assert host.told == told


def test_what_the_way_back_undid_is_not_confirmed(layout: Layout, lock: Lock, tmp_path: Path) -> None:
    old = deploy(layout, lock, tmp_path, "old")
    activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    stage.flip(layout, old)
    with pytest.raises(MeasurementError, match="the way back was gone in between"):
        activate.confirm(layout, KEEP, lock)
    assert read_state(layout).confirmed == old


def test_no_switch_while_another_is_not_confirmed(layout: Layout, lock: Lock, tmp_path: Path) -> None:
    first = activate.switch(layout, wanted(tmp_path, "first"), 120, lock)
    second = activate.switch(layout, wanted(tmp_path, "second"), 120, lock)
    assert second["refused"]["stage"] == "staged"
    assert "another run has switched" in second["refused"]["reason"]
    assert stage.current_release(layout) == first["release"]


def test_a_way_back_that_cannot_be_armed_stops_the_switch(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise stage.StagingError("timer", "it cannot be armed", "Run again")

    monkeypatch.setattr(way_back, "arm", refuse)
    done = activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    assert (done["refused"]["stage"], done["rolled_back"]) == ("staged", False)
    assert (host.configuration(), read_state(layout).pending) == (STOCK.decode(), None)


def test_another_release_than_the_tested_one_is_not_switched_to(layout: Layout, lock: Lock, tmp_path: Path) -> None:
    given = wanted(tmp_path, "new")
    other = Wanted(given.files, None, given.facts, expected="0123456789abcdef")
    assert "has changed in between" in activate.switch(layout, other, 120, lock)["refused"]["reason"]


def test_a_socket_that_must_move_is_restarted_only_when_allowed(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = Demand(moves=((Listener("0.0.0.0", 443), Listener("192.0.2.1", 443)),))
    monkeypatch.setattr(wanted_module, "demand", lambda _listeners, _held: moves)
    given = wanted(tmp_path, "new")
    refused = activate.switch(layout, given, 120, lock)["refused"]
    assert "a reload cannot move that socket" in refused["reason"]
    allowed = Wanted(given.files, None, given.facts, allow_restart=True)
    assert activate.switch(layout, allowed, 120, lock)["refused"] is None
    assert host.told == ["restart"]
    assert host.timers[WAY_BACK][-1] == "restart"
    assert activate.undo(layout, None, KEEP, lock)["rolled_back"]
    assert host.told == ["restart", "restart"]


def test_a_full_disk_is_refused_before_the_switch(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = deploy(layout, lock, tmp_path, "old")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stage, "_write_tree", full)
    done = activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    assert done["refused"]["stage"] == "staged"
    assert "No space left on device" in done["refused"]["reason"]
    assert stage.current_release(layout) == old


def test_going_back_to_an_earlier_release(host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path) -> None:
    first = deploy(layout, lock, tmp_path, "first")
    deploy(layout, lock, tmp_path, "second")
    assert activate.switch(layout, Wanted(release="previous"), 120, lock)["release"] == first
    activate.confirm(layout, KEEP, lock)
    assert host.served == "first"
    activate.switch(layout, Wanted(release="original"), 120, lock)
    activate.confirm(layout, KEEP, lock)
    assert host.served == STOCK.decode()


def test_a_release_that_was_changed_is_none_to_go_back_to(layout: Layout, lock: Lock, tmp_path: Path) -> None:
    first = deploy(layout, lock, tmp_path, "first")
    deploy(layout, lock, tmp_path, "second")
    (layout.release(first) / "nginx.conf").write_text("other")
    refused = activate.switch(layout, Wanted(release=first), 120, lock)["refused"]
    assert "not what they were" in refused["reason"]


def test_the_newest_releases_are_kept(layout: Layout, lock: Lock, tmp_path: Path) -> None:
    names = [deploy(layout, lock, tmp_path, text) for text in ("1", "2", "3")]
    (layout.releases / "mine").mkdir()
    activate.switch(layout, wanted(tmp_path, "4"), 120, lock)
    names.append(activate.confirm(layout, 2, lock)["release"])
    assert {path.name for path in layout.releases.iterdir()} == {*names[2:], "original", "mine"}


@pytest.mark.parametrize("changed", [ENTRY + b"load_module x.so;\n", b"# ours\n" + ENTRY])
def test_our_own_entry_file_that_was_changed_by_hand_is_no_original(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path, changed: bytes
) -> None:
    before = deploy(layout, lock, tmp_path, "before")
    layout.entry.write_bytes(changed)
    done = activate.switch(layout, wanted(tmp_path, "emerg"), 120, lock)
    assert (done["rolled_back"], stage.current_release(layout), host.configuration()) == (True, before, "before")
    assert (layout.release("original") / "nginx.conf").read_bytes() == STOCK
    deploy(layout, lock, tmp_path, "after")
    assert (layout.entry.read_bytes(), host.served) == (ENTRY, "after")


def test_the_live_release_is_kept_whatever_was_forgotten(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    live = deploy(layout, lock, tmp_path, "live")
    (layout.directory / "state.json").unlink()
    activate.switch(layout, wanted(tmp_path, "live"), 120, lock)
    assert activate.undo(layout, live, KEEP, lock)["rolled_back"]
    assert host.configuration() == "live"


def test_what_fails_after_the_release_is_confirmed_is_a_warning(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def immutable(*_arguments: object) -> None:
        raise stage.StagingError("old", "it cannot be written", "-")

    monkeypatch.setattr(stage, "remove_releases", immutable)
    done = activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    (warning,) = activate.confirm(layout, KEEP, lock)["warnings"]
    assert "Old releases were not removed" in warning
    assert read_state(layout).confirmed == done["release"]


def test_the_switch_of_another_run_is_not_confirmed(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    activate.switch(layout, wanted(tmp_path, "of another run"), 120, lock)
    with pytest.raises(MeasurementError, match="another run has gone back"):
        activate.confirm(layout, KEEP, lock, "0123456789abcdef")
    assert WAY_BACK in host.timers


def test_a_way_back_that_cannot_be_disarmed_is_not_forgotten(
    layout: Layout, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate.switch(layout, wanted(tmp_path, "new"), 120, lock)
    monkeypatch.setattr(way_back, "control", lambda *_arguments: "Connection timed out")
    with pytest.raises(MeasurementError, match="it cannot be stopped"):
        activate.confirm(layout, KEEP, lock)
    assert read_state(layout).pending is not None


def test_the_switch_of_another_run_is_not_undone(
    host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path
) -> None:
    deploy(layout, lock, tmp_path, "old")
    activate.switch(layout, wanted(tmp_path, "of another run"), 120, lock)
    undone = activate.undo(layout, "0123456789abcdef", KEEP, lock)
    assert not undone["rolled_back"]
    assert "of another run is live" in undone["reason"]
    assert host.served == "of another run"


def test_the_archive_is_gone_once_the_release_is_written(layout: Layout, lock: Lock, tmp_path: Path) -> None:
    archive = tmp_path / "release.tar"
    with tarfile.open(archive, "w"):
        pass
    activate.switch(layout, dataclasses.replace(wanted(tmp_path, "new"), archive=str(archive)), 120, lock)
    assert not archive.exists()


def test_undo_without_a_switch_does_nothing(host: SimulatedHost, layout: Layout, lock: Lock, tmp_path: Path) -> None:
    old = deploy(layout, lock, tmp_path, "old")
    told = list(host.told)
    assert activate.undo(layout, None, KEEP, lock) == {
        "rolled_back": True,
        "release": old,
        "reason": None,
        "warnings": [],
    }
    assert host.told == told


@pytest.mark.parametrize(
    ("name", "version", "active_seconds", "waited"),
    [
        ("haproxy", "2.6.12", 1.0, 6.0),
        ("haproxy", "2.6.12", 60.0, 0.0),
        ("haproxy", "3.0.11", 1.0, None),
        ("nginx", "1", 1.0, None),
    ],
)
def test_haproxy_is_not_reloaded_before_it_hands_its_sessions_on(
    host: SimulatedHost,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    version: str,
    active_seconds: float,
    waited: float | None,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(serving.time, "sleep", slept.append)
    server = host.layout().server
    server.name = name
    monkeypatch.setattr(type(server), "capabilities", lambda _self: Capabilities(version, "3.5.7", ()))
    unit = Unit("x.service", True, False, 1, active_seconds, 0.0, False, ())
    serving.wait_until_a_reload_keeps_sessions(server, unit)
    assert slept == ([] if waited is None else [waited])
