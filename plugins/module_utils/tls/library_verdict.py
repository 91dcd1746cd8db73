# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What follows from a host's TLS libraries: who must be restarted, and whether keys may have leaked (Heartbleed).

A pure function of what :mod:`libraries` and :mod:`heartbleed_history` saw.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.heartbleed_history import History, is_affected
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.libraries import Observed

_REPLACE_KEYS = (
    "Every key that a server on this host used before {end} may have been read. Make new keys, have the certificates "
    "issued again, have the old ones revoked, and change the passwords and session secrets that went through it"
)


def restarts(observed: Observed) -> list[dict[str, object]]:
    """Return ``pid``, ``program`` and ``libraries`` of each process on a library that was replaced or removed."""
    found = []
    for process in observed.processes:
        libraries = process["libraries"]
        gone = [str(each["path"]) for each in libraries if each["deleted"]] if isinstance(libraries, list) else []
        if gone:
            found.append({"pid": process["pid"], "program": process["program"], "libraries": gone})
    return found


def heartbleed(observed: Observed, history: History, installed: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Return ``vulnerable_now``, ``vulnerable_periods``, ``log_coverage`` and ``advice``.

    ``vulnerable_now`` rests on the packages; ``None`` where a library with the code belongs to none that is known.
    """
    affected = [
        f"{name} {version}" for name, version in installed if name.startswith("libssl") and is_affected(version)
    ]
    compiled = any(library["heartbeat"] for library in observed.libraries)
    coverage = {"from": history.covered_from, "to": history.covered_to, "files": history.files}
    ends = [period["ended_at"] for period in history.periods]
    advice = None
    if ends or affected:
        known = [end for end in ends if end is not None]
        end = "it is upgraded" if affected or len(known) < len(ends) else max(known)
        advice = _REPLACE_KEYS.format(end=end)
    elif not history.files:
        advice = "There are no package logs here, so nothing is known about the past"
    return {
        "vulnerable_now": True if affected else None if compiled else False,
        "vulnerable_packages": affected,
        "vulnerable_periods": history.periods,
        "log_coverage": coverage,
        "advice": advice,
    }
