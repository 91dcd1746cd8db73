# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many sessions a table holds, the memory that takes, and what an operator should know before it is full."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import AppSession

_DEFAULT_ENTRIES = 100 * 1024
# Applications give a new id at login, and the old one stays in the table until its time is over.
_ENTRIES_PER_SESSION = 2
# Measured on HAProxy 2.2, 2.6 and 3.0, 2.6 being the largest. `show pools`: 184 bytes with a digest (192 on 3.0), 184
# and the length with an id. The process grew, over 30,000 sessions, by 244 bytes each with digests, by 309 with ids of
# 64 characters.
_ENTRY_BYTES = 248


def table_entries(session: AppSession) -> int:
    """Return the number of ids that the table holds; of a full table, the id nearest to its end goes."""
    return session.sessions * _ENTRIES_PER_SESSION if session.sessions else _DEFAULT_ENTRIES


def render_entries(session: AppSession) -> str:
    """Return the same number in HAProxy's words, where ``k`` is 1024."""
    entries = table_entries(session)
    return str(entries) if entries % 1024 else f"{entries // 1024}k"


def entry_bytes(session: AppSession) -> int:
    """Return the bytes of memory that one id takes, at most; it takes them only once it is there."""
    return _ENTRY_BYTES if session.hash_keys else _ENTRY_BYTES + (session.length or 0)


def table_bytes(session: AppSession) -> int:
    """Return the bytes of memory that the full table takes."""
    return table_entries(session) * entry_bytes(session)


def warnings(session: AppSession) -> list[str]:
    """Return what could surprise the operator of a session that is right in itself, a sentence each."""
    cookies = ", ".join(session.cookies)
    found = [
        (
            session.request_learn,
            f"Visitors can fill the table of {cookies} with ids of their own making (request_learn), and a table that"
            f" is full with {table_entries(session)} ids forgets the one nearest to its end for each new one: turn"
            " request_learn off, or limit the requests of each address",
        ),
        (
            session.prefix,
            f"With prefix every cookie whose name begins with {cookies} counts, the last one decides, and each request"
            " and answer costs regular expressions: turn it off unless the application makes up such names",
        ),
        (
            not session.hash_keys,
            f"The ids of {cookies} can be read at the runtime socket and travel between load balancers as they are, and"
            " whoever has one has the session: turn hash_keys on to have digests in their place",
        ),
        (
            not session.timeout_ms,
            f"Sessions of {cookies} are never forgotten before the table is full: give a timeout",
        ),
    ]
    return [sentence for applies, sentence in found if applies]
