# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scan targets in a process of its own, without Ansible, and print what that took as JSON.

Usage: scan_process.py VULNERABILITY_TESTS TARGET...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import scan


def main() -> None:
    """Scan and print."""
    level, *targets = sys.argv[1:]
    options = scan.Options(timeout_seconds=10.0, vulnerability_tests=level)
    facts: list[dict[str, Any]] = scan.scan_targets(targets, options)
    sums = {
        "duration_ms": sum(each["duration_ms"] for each in facts),
        "connections": sum(each["connections"] for each in facts),
        "complete": sum(bool(each["reachable"]) and "TLSv1.3" in each["cipher_suites"] for each in facts),
        "not_tested": sorted({f"{entry['fact']}: {entry['reason']}" for each in facts for entry in each["not_tested"]}),
    }
    print(json.dumps(sums))


if __name__ == "__main__":
    main()
