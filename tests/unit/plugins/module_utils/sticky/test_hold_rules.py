# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines by which a worker that has just begun waits; what the program does with them is a test of the role."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.appsession import backend_lines

SESSION = {"cookie": "PHPSESSID", "timeout": "3h"}
CLASSIC = "appsession PHPSESSID len 64 timeout 3h"
IN_URL = r"""'path,regsub("^.*;PHPSESSID=([^;]+).*$","\1",i)'"""
GUARD = "sid_in_url { method GET HEAD POST }"


def lines(session: object, *, holds: bool = True, version: str = "2.6.12") -> list[str]:
    return backend_lines(session, haproxy_version=version, backend="app", holds=holds)


@pytest.mark.parametrize(
    ("session", "rules"),
    [
        (SESSION, ["lua.ringmaster_hold app txn.sid if !settled"]),
        (f"{CLASSIC} request-learn prefix", ["lua.ringmaster_hold app txn.sid if !settled"]),
        (
            {**SESSION, "cookie": ["A", "B"], "failover": "rebind", "ignore": ["{ path_end .css }"]},
            ["lua.ringmaster_hold app txn.sid,txn.sid2 if !settled !sid_off"],
        ),
        (
            CLASSIC,
            [
                f"set-var(txn.sid_held1) {IN_URL} if !settled {GUARD}",
                "set-var(txn.sid_held2) req.cook(PHPSESSID) if !settled",
                "lua.ringmaster_hold app txn.sid_held1,txn.sid_held2 if !settled",
            ],
        ),
        (
            {**SESSION, "mode": "path-parameters", "hash_keys": False, "len": 64},
            [
                f"set-var(txn.sid_held1) {IN_URL} if !settled {GUARD}",
                "lua.ringmaster_hold app txn.sid,txn.sid_held1 if !settled",
            ],
        ),
    ],
)
def test_it_waits_for_what_is_looked_for_and_not_once_the_worker_is_settled(session: object, rules: list[str]) -> None:
    acl, *added = [line for line in lines(session) if line not in lines(session, holds=False)]
    assert acl == "acl sid_worker_is_settled var(proc.sid_worker_is_settled) -m found"
    assert added == [f"http-request {rule.replace('settled', 'sid_worker_is_settled')}" for rule in rules]


@pytest.mark.parametrize("mode", ["none", "query-string"])
@pytest.mark.parametrize("failover", ["first_wins", "rebind", "return"])
def test_it_waits_between_reading_the_ids_and_asking_the_table(failover: str, mode: str) -> None:
    found = lines({**SESSION, "cookie": ["A", "B"], "failover": failover, "mode": mode, "len": 64})
    (waiting,) = [number for number, line in enumerate(found) if "lua.ringmaster_hold" in line]
    read = [number for number, line in enumerate(found) if "set-var(txn.sid) req.cook" in line]
    asking = ("table_server_id(", "_in_url_is_known", "stick ")
    asked = [
        number
        for number, line in enumerate(found)
        if not line.startswith("acl ") and any(word in line for word in asking)
    ]
    assert bool(read) is (failover != "return")
    assert max(read, default=0) < waiting < min(asked)


def test_below_1_6_nothing_can_wait() -> None:
    assert lines(CLASSIC, version="1.5.18") == [CLASSIC]
