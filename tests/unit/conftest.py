# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make ``ansible_collections.ringmaster.webops`` importable from a clone that lies anywhere."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _resolves_to_this_repository() -> bool:
    """Tell whether the collection is importable already, and is this very tree (as under ansible-test)."""
    try:
        spec = importlib.util.find_spec("ansible_collections.ringmaster.webops.plugins")
    except ModuleNotFoundError:
        return False
    locations = spec.submodule_search_locations if spec else None
    return any(Path(location).resolve() == ROOT / "plugins" for location in locations or ())


if not _resolves_to_this_repository():
    sys.path.insert(0, str(ROOT / "collections"))

# Whoever starts the tests in the background, or with nohup, has these ignored, and so would have all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
