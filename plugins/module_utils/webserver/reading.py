# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a file of a host that may be anything: huge, a FIFO, a device."""

from __future__ import annotations

import errno
import os
import stat


def read_regular(path: str, most_bytes: int, from_end: bool = False) -> bytes:
    """Return the first bytes of a regular file, links followed, or with ``from_end`` the last ones.

    Raises OSError where it cannot be read or is no regular file; never waits for the writer of a FIFO.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            if from_end:
                stream.seek(max(0, status.st_size - most_bytes))
            return stream.read(most_bytes)
    finally:
        os.close(descriptor)
