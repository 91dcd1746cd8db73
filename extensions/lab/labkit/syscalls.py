# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls that Python 3.11 has no function for: mounts, namespaces, death signals (mount(2), prctl(2))."""

from __future__ import annotations

import ctypes
import os

MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
CLONE_NEWNS = 0x20000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount a file system (mount(2)); relative paths are taken from the working directory. Raises OSError."""
    status = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        os.fsencode(kind) if kind else None,
        ctypes.c_ulong(flags),
        os.fsencode(data) if data else None,
    )
    _checked(status, f"mount {kind or ''} on {target}")


def unmount(target: str) -> None:
    """Unmount a file system that nobody uses (umount(2)). Raises OSError."""
    _checked(_libc.umount(os.fsencode(target)), f"unmount {target}")


def enter_new_mount_namespace() -> None:
    """Leave the machine's mount namespace.

    What is mounted from now on is seen by this process and its
    children alone and vanishes with the last of them, while later changes on the machine still come through.
    """
    _checked(_libc.unshare(CLONE_NEWNS), "unshare mount namespace")
    mount("none", "/", flags=MS_REC | MS_SLAVE)


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent thread ends, however that ends."""
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl PR_SET_PDEATHSIG")
