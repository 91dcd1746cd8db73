# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Visitors as a process, who leave when there is a file, and whose report is printed as JSON.

Usage: visitors_process.py ADDRESS PORT NAME FILE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers.visitors import Visitors

_LONGEST_SECONDS = 900
_PAUSE_SECONDS = 0.2


def main(address: str, port: str, server_name: str, end: str) -> None:
    """Visit, and print the report as JSON."""
    visitors = Visitors(address, int(port), server_name, count=2)
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not Path(end).exists() and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    print(json.dumps(vars(visitors.leave())))


if __name__ == "__main__":
    main(*sys.argv[1:])
