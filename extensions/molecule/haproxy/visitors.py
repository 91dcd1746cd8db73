# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Visitors with sessions: ``visitors.py come|stay ADDRESS,ADDRESS FILE``.

``come`` asks each load balancer for sessions and notes in FILE which server gave each; ``stay`` comes again with each
session to each load balancer. Exits 1 when a session is with another server than the one that gave it.
"""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path

PORT = 8180
TIMEOUT_SECONDS = 20
VISITORS = 40


def ask(address: str, cookie: str = "") -> tuple[str, str]:
    """Return who answered, and the session that they gave."""
    connection = http.client.HTTPConnection(address, PORT, timeout=TIMEOUT_SECONDS)
    connection.request("GET", "/", headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    who = answer.read(100).decode()
    connection.close()
    if answer.status != http.client.OK:
        sys.exit(f"{address} answers with {answer.status}: {who}")
    return who, (answer.getheader("Set-Cookie") or "").partition(";")[0]


def come(addresses: list[str], file: Path) -> None:
    """Get sessions, from more than one server."""
    answers = [ask(addresses[number % len(addresses)]) for number in range(VISITORS)]
    owners = {cookie: who for who, cookie in answers}
    if len(owners) < VISITORS or len(set(owners.values())) < len(addresses):
        sys.exit(f"{len(owners)} sessions from {sorted(set(owners.values()))}")
    file.write_text(json.dumps(owners), encoding="utf-8")
    stay(addresses, file)


def stay(addresses: list[str], file: Path) -> None:
    """Come again with each session."""
    owners: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    lost = [cookie for address in addresses for cookie, owner in owners.items() if ask(address, cookie)[0] != owner]
    if lost:
        sys.exit(f"{len(lost)} of {len(owners) * len(addresses)} visits were not answered by the session's server")


if __name__ == "__main__":
    {"come": come, "stay": stay}[sys.argv[1]](sys.argv[2].split(","), Path(sys.argv[3]))
