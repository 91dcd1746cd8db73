# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time that is left until a deadline, which is a moment of :func:`time.monotonic`."""

from __future__ import annotations

import socket
import time


def seconds_left(deadline: float) -> float:
    """Return the seconds left, never 0: a socket with timeout 0 would not block. Raises ``socket.timeout``."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left
