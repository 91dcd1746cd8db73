# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a release live: arm the way back, switch one link, reload, see that it serves; or undo all of that.

A run that is killed at any point leaves either the old or the new release live, never a mixture. What it leaves is in
the state (``pending``), and the next run goes back before it does anything else. A run that is alive holds nothing on
the host between its steps. The state tells its switch from that of one which was killed on the host, but not from that
of one whose control node is gone: so the next run waits for it, but not for long (:func:`between_runs`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import measure, serving, stage, way_back
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import unit as units
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    ORIGINAL,
    Facts,
    Release,
    read_release,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout, StagingError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.state import (
    Pending,
    State,
    read_state,
    write_state,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.wanted import (
    Wanted,
    socket_demand,
    socket_refusal,
    wanted_release,
)

# Between the end of its switch and its confirmation a run is on the control node for a second or two, when all is well.
_SILENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5


def switch(layout: Layout, wanted: Wanted, confirm_timeout_seconds: int, lock: Lock) -> dict[str, Any]:
    """Make a release live, and leave the way back armed; :func:`confirm` disarms it, :func:`undo` goes back at once.

    The result has ``refused`` (``stage`` and ``reason``), ``rolled_back``, ``release``, ``previous_release``,
    ``live_scans`` and ``restart_required``. What is refused at the stage ``staged`` was never live.
    """
    lock.stage("writing")
    # All of them are measured before anybody can confirm, at less than a second each.
    seconds = max(confirm_timeout_seconds, len(wanted.facts.endpoints))
    unit = units.ask(layout.server.unit)
    try:
        release = _write(layout, wanted)
        restart = _needs_restart(layout, wanted, release)
        state = _take_over(layout, read_state(layout))
    except WebopsError as error:
        return _refused("staged", str(error))
    serving.wait_until_a_reload_keeps_sessions(layout.server, unit)
    lock.stage("arming")
    back = _way_back_to(layout, state)
    pending = dataclasses.replace(state, pending=Pending(release.name, time.time(), unit.active))
    try:
        write_state(layout, pending)
        if back is not None:
            way_back.arm(layout, back, way_back.means(unit.active, restart), seconds)
    except WebopsError as error:
        write_state(layout, state)
        return _refused("staged", str(error))
    reason = _go_live(layout, release, restart, lock)
    if reason is not None:
        return _refused("reloaded", *_gone_back(layout, back, reason, lock))
    lock.stage("measuring")
    found = {
        "refused": None,
        "rolled_back": False,
        "release": release.name,
        "previous_release": back,
        "live_scans": measure.scan_endpoints(release.facts.endpoints),
        "restart_required": units.restart_required(units.ask(layout.server.unit)),
    }
    _hand_over(layout)
    return found


def _hand_over(layout: Layout) -> None:
    """Say that this step has come to its end; a state that cannot be written is like that of a run that was killed."""
    state = read_state(layout)
    if state.pending is None:
        return
    handed_over = dataclasses.replace(state.pending, handed_over=True)
    with contextlib.suppress(StagingError):
        write_state(layout, dataclasses.replace(state, pending=handed_over))


@contextlib.contextmanager
def between_runs(layout: Layout) -> Iterator[Lock]:
    """Hold the lock while no other run has yet to confirm its switch; one that says nothing for long is not waited for.

    Raises MeasurementError where the lock cannot be had.
    """
    give_up_at = time.monotonic() + _SILENCE_SECONDS
    while True:
        with Lock(layout.server.name) as lock:
            if time.monotonic() > give_up_at or not _awaits_confirmation(layout):
                yield lock
                return
        time.sleep(_PAUSE_SECONDS)


def _awaits_confirmation(layout: Layout) -> bool:
    """Whether a run has switched, and its control node has yet to confirm or undo that, and has the time to."""
    pending = read_state(layout).pending
    return pending is not None and pending.handed_over and way_back.is_armed(layout)


def _refused(at: str, reason: str, rolled_back: bool = False) -> dict[str, Any]:
    return {
        "refused": {"stage": at, "reason": reason},
        "rolled_back": rolled_back,
        "live_scans": [],
        "restart_required": [],
    }


def _write(layout: Layout, wanted: Wanted) -> Release:
    """Write the release that is wanted, after it is in the list of those that are ours to remove."""
    if way_back.is_armed(layout):
        raise MeasurementError(
            f"the way back of {layout.server.name} is armed",
            "another run has switched and is not done",
            "Run again later",
        )
    state = read_state(layout)
    release = wanted_release(layout, state, wanted)
    stage.make_directories(layout)
    write_state(layout, state.with_release(release.name))
    stage.write_release(layout, release)
    if wanted.archive is not None:
        # It holds keys, and who sent it may not be able to remove it any more.
        Path(wanted.archive).unlink(missing_ok=True)
    return release


def _needs_restart(layout: Layout, wanted: Wanted, release: Release) -> bool:
    """Whether a socket must move; raises MeasurementError where it may not, or somebody else has it."""
    found = socket_demand(layout.server, release.facts.listeners)
    reason = socket_refusal(layout.server, found, wanted.allow_restart)
    if reason is None and found.conflicts:
        listener, process = found.conflicts[0]
        reason = f"{listener.address} port {listener.port}: taken by {process} since it was tested"
    if reason is not None:
        raise MeasurementError("sockets", reason, "Nothing was changed")
    return bool(found.moves)


def _take_over(layout: Layout, state: State) -> State:
    """Make the entry file lead to the current release, which first is what the entry file was: nothing changes yet."""
    if stage.is_taken_over(layout):
        return state
    if stage.is_entry_changed(layout):
        # Ours, changed by hand: a copy of it that is the current release would include itself.
        stage.write_entry(layout)
        return state
    original = stage.original_release(layout, _original_facts(layout))
    if original is None:
        return state
    state = state.with_release(ORIGINAL)
    write_state(layout, state)
    stage.write_release(layout, original)
    stage.flip(layout, ORIGINAL)
    stage.keep_entry(layout)
    state = state.with_confirmed(ORIGINAL, 0.0)
    write_state(layout, state)
    stage.write_entry(layout)
    return state


def _original_facts(layout: Layout) -> Facts:
    sites = layout.server.sites()
    names = {name for site in sites for name in site.names}
    listeners = {listener for site in sites for listener in site.listeners}
    return Facts(tuple(sorted(names)), tuple(listeners))


def _way_back_to(layout: Layout, state: State) -> str | None:
    """Return the release that is right if the new one is not; None where there never was one."""
    candidates = (state.confirmed, stage.current_release(layout), ORIGINAL)
    return next((name for name in candidates if name and layout.release(name).is_dir()), None)


def _go_live(layout: Layout, release: Release, restart: bool, lock: Lock) -> str | None:
    """Flip, reload and look; return what is wrong, whatever it is: somebody has to go back then."""
    try:
        lock.stage("switching")
        stage.flip(layout, release.name)
        if not stage.is_taken_over(layout):
            stage.write_entry(layout)
        lock.stage("reloading")
        attempt = serving.begin(layout.server, restart)
        lock.stage("confirming")
        return serving.outcome(layout.server, attempt, release.facts.listeners)
    except WebopsError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _gone_back(layout: Layout, back: str | None, reason: str, lock: Lock) -> tuple[str, bool]:
    """Go back after something went wrong; return the reason with what came of it, and whether the old one serves."""
    lock.stage("reloading")
    if back is None:
        return f"{reason}. There is no earlier release to go back to", False
    problem = _go_back(layout, read_state(layout), back)
    if problem is None:
        return reason, True
    return f"{reason}. Going back to release {back} was not confirmed either: {problem}", False


def _go_back(layout: Layout, state: State, name: str) -> str | None:
    """Make an earlier release live again; return what is wrong. Only when nothing is, the way back is disarmed.

    A unit that did not run before the switch is stopped, as it was; but not one that somebody has started since the way
    back was gone. A socket that a restart has moved is moved back by one: no reload can.
    """
    is_gone = stage.current_release(layout) == name
    stage.flip(layout, name)
    was_active = state.pending is None or state.pending.was_active
    if was_active or (is_gone and units.ask(layout.server.unit).active):
        listeners = _listeners(layout, name)
        restart = bool(socket_demand(layout.server, listeners).moves)
        problem = serving.bring_back(layout.server, listeners, restart)
    else:
        problem = units.control("stop", layout.server.unit)
    if problem is None:
        way_back.disarm(layout)
        write_state(layout, dataclasses.replace(read_state(layout), pending=None))
    return problem


def _listeners(layout: Layout, name: str) -> tuple[Listener, ...]:
    try:
        return read_release(layout.release(name)).facts.listeners
    except WebopsError:
        return ()


def repair(layout: Layout, check_mode: bool) -> list[str]:
    """Go back to the confirmed release where a run was interrupted after its switch; return what was done, as warnings.

    In check mode, only tell.
    """
    state = read_state(layout)
    current = stage.current_release(layout)
    if not stage.is_taken_over(layout) or (state.pending is None and current == state.confirmed):
        return []
    if state.confirmed is None or not layout.release(state.confirmed).is_dir():
        return [f"Release {current} is live and was never confirmed, and there is none to go back to"]
    what = f"A run was interrupted before it confirmed its switch: release {state.confirmed} is the last confirmed one"
    if check_mode:
        return [f"{what}; a run without check mode goes back to it first"]
    problem = _go_back(layout, state, state.confirmed)
    return [f"{what}; went back to it" + (f", but: {problem}" if problem else "")]


def confirm(layout: Layout, keep_releases: int, lock: Lock, expected: str | None = None) -> dict[str, Any]:
    """Disarm the way back, call the release confirmed, and remove what nobody needs any more.

    ``expected`` is the release that was switched to: the switch of another run is not ours to confirm. Raises
    MeasurementError where it is that, or the way back has been gone before. What fails once the release is confirmed is
    in ``warnings``: it is live, and stays.
    """
    lock.stage("confirming")
    pending = read_state(layout).pending
    if pending is not None and expected not in (None, pending.release):
        raise MeasurementError(
            f"release {pending.release}",
            f"it is live, and not {expected}: another run has gone back, and switched to its own",
            "Let it end, and run again",
        )
    way_back.disarm(layout)
    state, current = read_state(layout), stage.current_release(layout)
    pending = state.pending
    if pending is None or current != pending.release:
        raise MeasurementError(
            f"release {current}",
            "it is live, and it is not the one to confirm: the way back was gone in between, because nobody "
            "confirmed in time or the host was restarted, or by another run",
            "Look at what took so long, or raise confirm_timeout, and run again",
        )
    state = state.with_confirmed(pending.release, pending.switched_at)
    write_state(layout, state)
    warnings = [] if pending.was_active else _enable(layout.server.unit)
    return {"release": pending.release, "warnings": [*warnings, *_prune(layout, keep_releases)]}


def _enable(unit: str) -> list[str]:
    try:
        said = units.control("enable", unit)
    except WebopsError as error:
        said = str(error)
    return [f"{unit} was not enabled: {said}"] if said else []


def undo(layout: Layout, expected: str | None, keep_releases: int, lock: Lock) -> dict[str, Any]:
    """Go back to the confirmed release at once; the result has ``rolled_back``, ``release``, ``reason``, ``warnings``.

    ``expected`` is the release that was switched to: the switch of another run is not ours to undo. ``reason`` says why
    it was not possible, None where it was.
    """
    lock.stage("reloading")
    state = read_state(layout)
    back = _way_back_to(layout, state)
    if back is None:
        reason = "there is no earlier release to go back to"
        return {"rolled_back": False, "release": None, "reason": reason, "warnings": []}
    if state.pending is not None and expected not in (None, state.pending.release):
        reason = f"release {state.pending.release} of another run is live and not confirmed yet"
        return {"rolled_back": False, "release": back, "reason": reason, "warnings": []}
    if state.pending is None and stage.current_release(layout) == state.confirmed:
        return {"rolled_back": True, "release": back, "reason": None, "warnings": []}
    problem = _go_back(layout, state, back)
    warnings = _prune(layout, keep_releases) if problem is None else []
    return {"rolled_back": problem is None, "release": back, "reason": problem, "warnings": warnings}


def _prune(layout: Layout, keep_releases: int) -> list[str]:
    """Remove the releases that nobody needs, never the live one; return what failed, as warnings."""
    try:
        state, current = read_state(layout), stage.current_release(layout)
        # A state that was lost does not know which release is confirmed.
        removable = [name for name in state.removable(keep_releases) if name != current]
        stage.remove_releases(layout, removable)
        kept = {name: moment for name, moment in state.releases.items() if name not in removable}
        write_state(layout, dataclasses.replace(state, releases=kept))
    except WebopsError as error:
        return [f"Old releases were not removed: {error}"]
    return []
