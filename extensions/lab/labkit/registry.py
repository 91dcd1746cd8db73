# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all labs of this machine, of whatever clone, must know of each other: networks in use, IP forwarding.

Lies in /run, so that it is gone when a reboot has undone everything it speaks of.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from labkit import syscalls
from labkit.layout import RUN_DIRECTORY, Place
from labkit.machine import boot_id
from labkit.progress import say

MACHINE = "machine"
NAMESPACES = Path("/run/netns")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_FORWARDING_BEFORE = RUN_DIRECTORY / "ip_forward.before"


@dataclass(frozen=True)
class Entry:
    """A lab that holds a network on this machine."""

    tag: str
    clone: str
    name: str
    network: str
    boot: str


@contextlib.contextmanager
def lock(name: str = MACHINE) -> Iterator[None]:
    """Hold a lock that all labs of this machine share; says so when it has to wait."""
    path = RUN_DIRECTORY / f"{name}.lock"
    while True:
        RUN_DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if name != MACHINE:
                    say("waiting for another run that works on the same lab ...")
                fcntl.flock(handle, fcntl.LOCK_EX)
            # The file may have been removed while this waited: a lock on that would exclude nobody.
            if path.exists() and path.stat().st_ino == os.fstat(handle.fileno()).st_ino:
                yield
                return


def _path(tag: str) -> Path:
    return RUN_DIRECTORY / f"{tag}.json"


def entries() -> list[Entry]:
    """Return the labs of this machine since its boot; records of a former boot are removed."""
    found = []
    for path in sorted(RUN_DIRECTORY.glob("*.json")):
        try:
            entry = Entry(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        if entry.boot == boot_id():
            found.append(entry)
        else:
            path.unlink(missing_ok=True)
    return found


def networks_in_use(except_tag: str) -> dict[str, str]:
    """Networks of the other labs -> words that say whose they are."""
    return {entry.network: f"lab {entry.name} of {entry.clone}" for entry in entries() if entry.tag != except_tag}


def enter(place: Place, network: str) -> None:
    """Record a lab, before it makes anything."""
    entry = Entry(place.tag, str(place.clone.root), place.name, network, boot_id())
    draft = _path(place.tag).with_suffix(".new")
    draft.write_text(json.dumps(asdict(entry)) + "\n")
    draft.replace(_path(place.tag))


def leave(tag: str) -> None:
    """Forget a lab; with the last one the machine becomes what it was."""
    _path(tag).unlink(missing_ok=True)
    restore_machine_when_last()


def ensure_forwarding() -> None:
    """Switch IP forwarding on when it is off, and remember that it was."""
    if FORWARDING.read_text().strip() == "0":
        _FORWARDING_BEFORE.write_text(f"{boot_id()}\n")
        FORWARDING.write_text("1")


def labs_switched_forwarding_on() -> bool:
    """Return whether it is for a lab of this machine that IP forwarding is on."""
    return _FORWARDING_BEFORE.exists()


def restore_machine_when_last() -> None:
    """When no lab is left: IP forwarding off again if a lab switched it on, no mount point of network namespaces."""
    if entries():
        return
    _remove_namespace_directory()
    with contextlib.suppress(FileNotFoundError):
        if _FORWARDING_BEFORE.read_text().strip() == boot_id():
            FORWARDING.write_text("0")
        _FORWARDING_BEFORE.unlink()


def _remove_namespace_directory() -> None:
    """Remove what the first `ip netns add` made (ip-netns(8)), when nobody's namespace is there."""
    with contextlib.suppress(OSError):
        if not any(NAMESPACES.iterdir()):
            with contextlib.suppress(OSError):
                syscalls.unmount(str(NAMESPACES))
            NAMESPACES.rmdir()


def remove_directory() -> None:
    """Leave nothing in /run when no lab of any clone is there and nobody is about to make one."""
    with lock():
        if entries():
            return
        for path in RUN_DIRECTORY.glob("*.lock"):
            with path.open("w") as handle, contextlib.suppress(BlockingIOError):
                if path.stem != MACHINE:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
        (RUN_DIRECTORY / f"{MACHINE}.lock").unlink()
        with contextlib.suppress(OSError):
            RUN_DIRECTORY.rmdir()
