# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the processes of a host hold on its file system that a shadow must not meet: bound sockets and growing logs."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LISTING_MAX_BYTES = 16 * 1024 * 1024
_DESCRIPTORS_MAX = 200_000


class Growing(NamedTuple):
    """A file that somebody appends to, and what ``stat`` says of it."""

    path: Path
    mode: int
    owner: int
    group: int


def socket_paths_in(listing: bytes) -> list[Path]:
    """Return the paths of bound sockets from ``/proc/net/unix`` (proc_net(5)); abstract names are none."""
    paths = (line.split(None, 7)[7:] for line in listing.splitlines())
    return sorted({Path(os.fsdecode(found[0])) for found in paths if found and found[0].startswith(b"/")})


def bound_sockets() -> list[Path]:
    """Return the paths of all unix sockets that somebody on the host has bound."""
    with Path("/proc/net/unix").open("rb") as listing:
        return socket_paths_in(listing.read(_LISTING_MAX_BYTES))


def growing_files(minimum_bytes: int) -> list[Growing]:
    """Return the regular files of at least a size that some process has open for appending (proc_pid_fdinfo(5))."""
    found: dict[Path, Growing] = {}
    for process, number in itertools.islice(_descriptors(), _DESCRIPTORS_MAX):
        try:
            growing = _growing(process, number, minimum_bytes)
        except (OSError, ValueError):
            # It was closed, or its process ended, while we looked.
            continue
        if growing:
            found[growing.path] = growing
    return list(found.values())


def _descriptors() -> Iterator[tuple[Path, str]]:
    """Yield the directory in /proc and the number of every open file of every process."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                yield from [(process, descriptor.name) for descriptor in (process / "fd").iterdir()]


def _growing(process: Path, number: str, minimum_bytes: int) -> Growing | None:
    descriptor = process / "fd" / number
    path = descriptor.readlink()
    if not path.is_absolute():
        return None
    status = descriptor.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size < minimum_bytes:
        return None
    flags = re.search(r"^flags:\s*([0-7]+)$", (process / "fdinfo" / number).read_text(encoding="ascii"), re.MULTILINE)
    if not flags or not int(flags.group(1), 8) & os.O_APPEND:
        return None
    # A process in a container has other paths.
    if not os.path.samestat(status, path.lstat()):
        return None
    return Growing(path, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
