# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's disk: what it writes, over a base tree that all hosts share."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from labkit import aptcache, base, guest, machine, syscalls
from labkit.commands import run
from labkit.layout import HostPlace
from labkit.model import Host, Lab

COPY_SECONDS = 300.0


def _record(place: HostPlace) -> dict[str, str]:
    """Return what was written down when the disk was ready: its base tree and network."""
    try:
        return {str(name): str(value) for name, value in json.loads(place.disk_record.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def base_of(place: HostPlace) -> str | None:
    """Return the name of the base tree under a host's disk, None without a disk."""
    return _record(place).get("base")


def prepare(place: HostPlace, lab: Lab, host: Host) -> None:
    """Mount the host's root where this process sees it, a new disk when there is none that is whole and fits.

    The working directory must be the host's. Raises OSError and LabError.
    """
    lower = base.base_path(place.lab.clone, host.suite)
    wanted = {"base": lower.name, "network": lab.network}
    fresh = _record(place) != wanted
    base.remove_tree(place.work)
    if fresh:
        base.remove_tree(place.upper)
        place.upper.mkdir(parents=True)
        place.upper.chmod(0o755)
    place.work.mkdir()
    place.root.mkdir(exist_ok=True)
    aptcache.offer(place.lab.clone.apt_cache(host.suite), place.upper)
    _mount(place, lower, fresh)
    if fresh:
        around = guest.surroundings(lab, machine.apt_setup(), place.lab.clone.bases)
        guest.write_identity(place, lab, host, around)
        place.disk_record.write_text(json.dumps(wanted))


def _mount(place: HostPlace, lower: Path, fresh: bool) -> None:
    """Mount the host's root (Linux, filesystems/overlayfs).

    Paths are relative to the host's directory, because the option string has no way to write every path. Nothing here
    outlives a crash of the machine, so nothing waits for the disk either (`volatile`).
    """
    relative = os.path.relpath(lower, place.directory)
    options = f"lowerdir={relative},upperdir=upper,workdir=work"
    for attempt in (f"{options},volatile", options):
        with contextlib.suppress(OSError):
            syscalls.mount("overlay", "root", "overlay", 0, attempt)
            return
    # No overlay on this file system (another overlay, for one): a copy of the tree instead.
    if fresh:
        run(["cp", "-a", "--reflink=auto", f"{relative}/.", "upper"], timeout_seconds=COPY_SECONDS, cwd=place.directory)
    syscalls.mount("upper", "root", flags=syscalls.MS_BIND)
