# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything before the switch: what is wanted, what is live, what differs, and how the wanted does in a shadow."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import key_pairs, measure, stage
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import unit as units
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.activate import repair
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.foreign import foreign_sites
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    ORIGINAL,
    Release,
    differences,
    read_release,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.state import State, read_state
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.wanted import (
    Wanted,
    socket_demand,
    socket_refusal,
    wanted_release,
)

# The kernel tells when a process was made in hundredths of a second, and the clock is set now and then.
_CLOCK_TOLERANCE_SECONDS = 1.0
_MAX_ENTRY_BYTES = 256 * 1024


@dataclass(frozen=True)
class Live:
    """What a host has now. ``release`` is None where the entry file is not ours, or it cannot be read."""

    state: State
    unit: units.Unit | None
    taken_over: bool
    name: str | None
    release: Release | None


def prepare(layout: Layout, wanted: Wanted, lock: Lock, check_mode: bool) -> dict[str, Any]:
    """Find out whether a release could go live, without touching what is live.

    The result has ``unchanged``, ``release``, ``live_release``, ``installed``, ``taken_over``, ``foreign``,
    ``previous_names``, ``previous_listeners``, ``confirmed_before``, ``names``, ``listeners`` and ``endpoints`` (of the
    release), ``refused`` (``stage`` and ``reason``), ``shadow`` (``status`` and ``reason``), ``live_scans``,
    ``shadow_scans``, ``certificates``, ``diff``, ``conflicts``, ``restart_required`` and ``warnings``.

    Raises WebopsError where the host cannot be understood.
    """
    lock.stage("staging")
    installed = layout.server.capabilities() is not None
    warnings = repair(layout, check_mode) if installed else []
    # Whoever went back has changed the host, whatever comes of the rest.
    found: dict[str, Any] = {"changed": bool(warnings) and not check_mode}
    live = _look(layout, installed, warnings)
    found.update(_nothing_tried(installed, layout.server.name), **_live_facts(layout, live, warnings))
    found["warnings"] = warnings
    try:
        release = wanted_release(layout, live.state, wanted)
    except WebopsError as error:
        return {**found, "refused": {"stage": "staged", "reason": str(error)}}
    found.update(_release_facts(layout, live, release))
    if _is_unchanged(layout, live, release):
        return {**found, "unchanged": True, "shadow": {"status": "skipped", "reason": "the release is live already"}}
    found.update(_static_facts(layout, release, wanted, installed))
    if found["refused"] is None and installed:
        found.update(_try(layout, release, wanted, lock, warnings))
    if found["refused"] is None and live.unit is not None and live.unit.active:
        lock.stage("measuring")
        found["live_scans"] = measure.scan_endpoints(release.facts.endpoints)
    return found


def _try(layout: Layout, release: Release, wanted: Wanted, lock: Lock, warnings: list[str]) -> dict[str, Any]:
    """Try the release; the sockets that it opened then are checked too, since raw lines may open some of their own."""
    tried = measure.try_release(layout, release, release.facts, lock)
    warnings += tried.pop("warnings")
    expected, opened = release.facts.listeners, tried.pop("opened")
    if tried["refused"] is None:
        tried.update(_socket_facts(layout, (*expected, *opened), expected, wanted.allow_restart))
    return tried


def _socket_facts(
    layout: Layout, listeners: tuple[Listener, ...], expected: tuple[Listener, ...], allow_restart: bool
) -> dict[str, Any]:
    """Check sockets against those of the host. Only an expected one is known to the switch, and may be moved by it."""
    sockets = socket_demand(layout.server, listeners)
    may_move = allow_restart and all(new in expected for new, _old in sockets.moves)
    reason = socket_refusal(layout.server, sockets, may_move)
    return {
        "refused": {"stage": "staged", "reason": reason} if reason else None,
        "conflicts": [
            {"address": each.address, "port": each.port, "process": process} for each, process in sockets.conflicts
        ],
    }


def _nothing_tried(installed: bool, server_name: str) -> dict[str, Any]:
    reason = None if installed else f"{server_name} is not installed"
    return {
        "unchanged": False,
        "release": "",
        "installed": installed,
        "refused": None,
        "shadow": {"status": "skipped", "reason": reason},
        "live_scans": [],
        "shadow_scans": [],
        "certificates": {},
        "diff": [],
        "conflicts": [],
        "confirmed_before": False,
        **_shown_facts(None),
    }


def _shown_facts(release: Release | None) -> dict[str, Any]:
    return {
        "names": list(release.facts.names) if release else [],
        "listeners": _shown_listeners(release.facts.listeners) if release else [],
        "endpoints": [dict(each) for each in release.facts.endpoints] if release else [],
    }


def _shown_listeners(listeners: tuple[Listener, ...]) -> list[dict[str, Any]]:
    return [{"address": each.address, "port": each.port} for each in listeners]


def _look(layout: Layout, installed: bool, warnings: list[str]) -> Live:
    taken_over = stage.is_taken_over(layout)
    name = stage.current_release(layout) if taken_over else None
    release = None
    if name is not None:
        try:
            release = read_release(layout.release(name))
        except WebopsError as error:
            warnings.append(str(error))
    unit = units.ask(layout.server.unit) if installed else None
    return Live(read_state(layout), unit, taken_over, name, release)


def _live_facts(layout: Layout, live: Live, warnings: list[str]) -> dict[str, Any]:
    ours = live.release if live.release is not None and live.name != ORIGINAL else None
    return {
        "live_release": live.name,
        "taken_over": live.taken_over,
        "foreign": _foreign(layout, live, warnings),
        "previous_names": list(ours.facts.names) if ours else [],
        "previous_listeners": _shown_listeners(ours.facts.listeners) if ours else [],
        "restart_required": units.restart_required(live.unit) if live.unit else [],
    }


def _foreign(layout: Layout, live: Live, warnings: list[str]) -> list[dict[str, Any]]:
    """Return the sites of others that are served now; raises WebopsError where that cannot be told and matters."""
    if live.unit is None:
        return []
    try:
        sites = foreign_sites(layout.server)
    except WebopsError as error:
        if not live.taken_over:
            raise
        warnings.append(f"{error} What is served now by others is not known")
        return []
    return [
        {"file": site.file, "names": list(site.names), "listeners": _shown_listeners(site.listeners)} for site in sites
    ]


def _release_facts(layout: Layout, live: Live, release: Release) -> dict[str, Any]:
    paths = [str(path) for each in release.facts.endpoints for path in each.get("certificates") or ()]
    return {
        "release": release.name,
        "confirmed_before": release.name == ORIGINAL or release.name in live.state.by_age(),
        "certificates": key_pairs.certificates(release, paths),
        "diff": [*_entry_difference(layout, live), *differences(live.release, release, layout.current_path)],
        **_shown_facts(release),
    }


def _entry_difference(layout: Layout, live: Live) -> list[dict[str, str]]:
    if live.taken_over:
        return []
    content = layout.server.entry_content
    after = f"a link to the release's {layout.server.main_file}\n" if content is None else content.decode()
    try:
        found = read_regular(str(layout.entry), _MAX_ENTRY_BYTES)
        is_secret = not layout.entry.stat().st_mode & stat.S_IROTH
        before = f"sha256:{hashlib.sha256(found).hexdigest()}\n" if is_secret else found.decode("utf-8", "replace")
    except OSError:
        before = ""
    path = layout.server.entry_path
    return [{"before_header": path, "before": before, "after_header": path, "after": after}]


def _is_unchanged(layout: Layout, live: Live, release: Release) -> bool:
    """Whether the release is live as it should be, confirmed, and served by processes younger than its switch."""
    if live.unit is None or not live.unit.active or not live.taken_over or live.state.pending is not None:
        return False
    if not live.name == live.state.confirmed == release.name or live.release is None:
        return False
    since = layout.server.serving_since(live.unit.main_pid)
    young = since is not None and since >= live.state.switched_at - _CLOCK_TOLERANCE_SECONDS
    return young and live.release.files == release.files


def _static_facts(layout: Layout, release: Release, wanted: Wanted, installed: bool) -> dict[str, Any]:
    """Check what needs no server: keys and sockets."""
    misfits = key_pairs.unfit_pairs(release)
    if misfits:
        return {"refused": {"stage": "staged", "reason": ". ".join(misfits)}}
    expected = release.facts.listeners
    return _socket_facts(layout, expected, expected, wanted.allow_restart) if installed else {}
