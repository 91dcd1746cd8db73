# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an HAProxy with sessions needs so that no reload loses one.

Pure functions. Source: HAProxy's management guide, section 4; what is said of single releases was measured.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import policy

# Among the role's files, and in the release.
_HOLD_PROGRAM = "hold.lua"
# Before, a worker that is told to stop may connect to its successor from one thread while another one still stops its
# listeners. It then closes that connection, takes the successor for gone, and ends with the table that nobody else has.
# Whatever comes to the table wakes such a thread, so it happens under load, on every other reload.
_HANDS_ON_WITH_THREADS = (2, 2, 14)


@dataclass(frozen=True)
class Needs:
    """Files of the release, lines of ``global``, and what a person should know."""

    files: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def reload_needs(
    release_directory: str,
    backends: Sequence[Mapping[str, Any]],
    global_extra: Sequence[str],
    info: Mapping[str, Any] | None,
) -> Needs:
    """Return what the backends need that keep sessions; nothing while the host has not been asked.

    ``global_extra`` are the operator's own lines of ``global``, ``info`` is the result of ``webserver_info``.
    """
    if info is None or all(backend.get("app_session") is None for backend in backends):
        return Needs()
    lines, warnings = _threads(info["version"], global_extra)
    if "LUA" not in info["modules"]:
        return Needs([], lines, [*warnings, _NO_HOLD])
    # A new worker has visitors wait for the table of sessions.
    file = {"path": _HOLD_PROGRAM, "src": _HOLD_PROGRAM, "mode": "0644"}
    return Needs([file], [*lines, f"lua-load {posixpath.join(release_directory, _HOLD_PROGRAM)}"], warnings)


def _threads(version: str, global_extra: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the line by which this HAProxy hands its table on, and a warning where the operator wants another one."""
    if policy.parse_version(version, "haproxy") >= _HANDS_ON_WITH_THREADS:
        return [], []
    wanted = [line.split()[1:2] for line in global_extra if line.split()[:1] == ["nbthread"]]
    if not wanted:
        return ["nbthread 1"], []
    return [], [] if wanted[-1] == ["1"] else [_SEVERAL_THREADS.format(version=version, threads=" ".join(wanted[-1]))]


_NO_HOLD = (
    "app_session: this HAProxy is built without Lua, so that after a reload nobody waits until the new worker has the"
    " table of sessions, and some requests of the first milliseconds go to another server. Install one with Lua, as"
    " those of Debian and Ubuntu are."
)
_SEVERAL_THREADS = (
    "haproxy_global_extra, nbthread {threads}: with several threads HAProxy {version} ends on many a reload before it"
    " has handed its sessions on, and they are lost. Take the line out, and the role has it run one thread."
)
