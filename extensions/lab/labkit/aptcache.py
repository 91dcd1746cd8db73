# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares downloaded packages between hosts and runs: hard links, so that they cost neither time nor space."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_ARCHIVES = Path("var/cache/apt/archives")


def _link_new(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        for entry in os.scandir(source):
            if entry.name.endswith(".deb") and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.link(entry.path, target / entry.name)


def offer(cache: Path, upper: Path) -> None:
    """Put the packages of the cache where apt on a host finds them; before its root is mounted."""
    target = upper / _ARCHIVES
    target.mkdir(parents=True, exist_ok=True)
    _link_new(cache, target)


def harvest(upper: Path, cache: Path) -> None:
    """Keep the packages that a host has downloaded. apt checks size and signature of what it takes from a cache."""
    cache.mkdir(parents=True, exist_ok=True)
    _link_new(upper / _ARCHIVES, cache)
