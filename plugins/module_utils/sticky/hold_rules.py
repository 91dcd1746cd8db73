# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules by which a worker that has just begun waits with a visitor whom it does not know.

It takes connections some milliseconds before the worker before it has handed the table on, and would balance such a
visitor anew. So ``lua.ringmaster_hold`` (the role's ``hold.lua``) waits for the sessions that are looked for, before
any rule asks the table. A worker that is settled evaluates one variable for each of these rules, and runs no program.
Native rules cannot: HAProxy 2.6 does not wait in ``tcp-request content`` with a request that is complete.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import request_rules
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.tracked import TrackedCookie, condition

# The program sets it where a worker is beyond its beginning.
_IS_SETTLED = "sid_worker_is_settled"


def render(table: str, cookies: Sequence[TrackedCookie]) -> list[str]:
    """Return the lines; they stand behind those that read ids, and before those that ask the table."""
    reads: list[str] = []
    variables: list[str] = []
    for cookie in cookies:
        if cookie.remembers_request:
            variables.append(f"txn.{cookie.tag}")
        for source, tests in request_rules.unread(cookie):
            variables.append(f"txn.sid_held{len(reads) + 1}")
            where = condition(f"!{_IS_SETTLED}", tests)
            reads.append(f"http-request set-var({variables[-1]}) {source.converted(cookie.key)}{where}")
    # Whether a request takes part is the same for all cookies.
    where = condition(f"!{_IS_SETTLED}", cookies[0].takes_part)
    return [
        f"acl {_IS_SETTLED} var(proc.{_IS_SETTLED}) -m found",
        *reads,
        f"http-request lua.ringmaster_hold {table} {','.join(variables)}{where}",
    ]
