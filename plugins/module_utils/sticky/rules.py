# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A session -> the stick table and the rules that keep it, for HAProxy 2.2 and newer.

Sources: HAProxy's configuration manual, sections 4.2 ("stick match", "stick store-response"), 7.3.1 ("in_table",
"table_server_id") and 11 ("Stick tables").
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import (
    answer_rules,
    capacity,
    hold_rules,
    request_rules,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import AppSession, render_timeout
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.tracked import TrackedCookie


def render(session: AppSession, *, table: str, peers: str | None, holds: bool = False) -> list[str]:
    """Return the lines, in order and without indentation, of the backend called ``table``.

    ``peers`` is the section that hands the table on. ``holds`` is whether HAProxy has loaded the role's ``hold.lua``,
    and a worker that has just begun waits with whom it does not know. An answer stores one id a table: all rules that
    match stand before all that store, and of several cookies that an answer gives the first one is learnt. Conditions
    about a request cannot be asked any more when the answer is there; they are kept in a variable.
    """
    cookies = [TrackedCookie(session, table, name, tag) for name, tag in zip(session.cookies, tags(session))]

    def lines(*parts: Callable[[TrackedCookie], list[str]]) -> list[str]:
        return [line for part in parts for cookie in cookies for line in part(cookie)]

    return [
        _table(session, peers),
        *_off(session.ignored_conditions),
        *lines(request_rules.acls, answer_rules.acls, request_rules.reads),
        *(hold_rules.render(table, cookies) if holds else []),
        *lines(request_rules.lookups, request_rules.matches, answer_rules.store_given, answer_rules.store_sent),
    ]


def tags(session: AppSession) -> list[str]:
    """Return how the names of each cookie's variables and ACLs begin; ``txn.TAG`` is the key of the request's id."""
    return [f"sid{number}" if number > 1 else "sid" for number in range(1, len(session.cookies) + 1)]


def _table(session: AppSession, peers: str | None) -> str:
    """Return the stick table's line; SHA-256 gives 32 bytes."""
    kind = "binary len 32" if session.hash_keys else f"string len {session.length}"
    expire = f" expire {render_timeout(session.timeout_ms)}" if session.timeout_ms else ""
    return f"stick-table type {kind} size {capacity.render_entries(session)}{expire}" + (
        f" peers {peers}" if peers else ""
    )


def _off(conditions: tuple[str, ...]) -> list[str]:
    """Return the rules that keep whether a request takes no part."""
    if not conditions:
        return []
    lines = [f"http-request set-var(txn.sid_off) bool(true) if {text}" for text in conditions]
    return [*lines, "acl sid_off var(txn.sid_off) -m found"]
