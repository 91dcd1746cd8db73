# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Visitors who send ids of their own making, against people who have a session: whose sessions are left?

While the attack lasts nobody with a session comes back, which is when their entries are the first to go. One HAProxy
on loopback; its rules and the size of its table are what the role makes of a backend, and so are the warnings.
"""

from __future__ import annotations

import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers import haproxy_process
from peers.session_load import Load, at_home, log_in, request, status

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import capacity, session
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_backends import (
    Backend,
    Surroundings,
    decide_backend,
)

LIVE_SESSIONS = 1000
HOSTILE_REQUESTS = 200_000
# A session that is forgotten is answered by any of three servers.
MOSTLY_FORGOTTEN = LIVE_SESSIONS // 2
NEW_IDS_PER_MINUTE = 60
ATTACKERS = "127.0.0.2"

FIRST_WINS = {"cookie": "PHPSESSID", "timeout": "3h"}
FAITHFUL = "appsession PHPSESSID len 64 timeout 3h request-learn"
WARNING = "can fill the table and unseat the sessions of all others"


@dataclass(frozen=True)
class Attack:
    """What was left afterwards: sessions that are at home, and entries in the table."""

    sessions_at_home: int
    entries: int
    statuses: Counter[int]
    requests_per_second: int


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    with haproxy_process.application(tmp_path_factory.mktemp("application")) as ports:
        yield ports


def backend(app_session: object, **rate_limits: int) -> Backend:
    """Return what the role makes of a backend."""
    given: dict[str, Any] = {
        "name": "app", "app_session": app_session, "servers": [{"name": "s1", "address": "127.0.0.1", "port": 80}],
    }  # fmt: skip
    around = Surroundings(rate_limits=rate_limits, haproxy_version=haproxy_process.version(), holds=True)
    return decide_backend(given, around)


def attack(directory: Path, servers: dict[str, int], decided: Backend, path: str = "/") -> Attack:
    rules = decided.written["session_lines"]
    with haproxy_process.sticky(directory, "balancer", rules, servers) as balancer:
        with Load(balancer.port, 1) as people:
            sessions = log_in(people, LIVE_SESSIONS)
            assert at_home(people, sessions) == LIVE_SESSIONS
        before = time.monotonic()
        with Load(balancer.port, 8, source=ATTACKERS) as attackers:
            made_up = (request(path, secrets.token_hex(13)) for _request in range(HOSTILE_REQUESTS))
            statuses = Counter(status(head) for head in attackers.answers(made_up, 50))
        seconds = time.monotonic() - before
        assert statuses.total() == HOSTILE_REQUESTS
        entries = balancer.entries("app")
        # In another order than they logged in: those that are forgotten go to the servers in turn.
        with Load(balancer.port, 1) as people:
            left = at_home(people, random.sample(sessions, len(sessions)))
    result = Attack(left, entries, statuses, round(HOSTILE_REQUESTS / seconds))
    print(f"{rules[0]}, {path}: {result}")
    return result


def test_made_up_ids_do_not_unseat_first_wins(tmp_path: Path, servers: dict[str, int]) -> None:
    decided = backend(FIRST_WINS)
    after = attack(tmp_path, servers, decided)

    assert after.sessions_at_home == LIVE_SESSIONS
    assert after.entries == LIVE_SESSIONS
    assert decided.warnings == []


def test_made_up_ids_unseat_request_learn_and_the_warning_says_so(tmp_path: Path, servers: dict[str, int]) -> None:
    decided = backend(FAITHFUL)
    after = attack(tmp_path, servers, decided)

    assert after.sessions_at_home < MOSTLY_FORGOTTEN
    assert after.entries > LIVE_SESSIONS
    assert [said for said in decided.warnings if WARNING in said and "new_session_ids_per_minute" in said]


def test_a_limit_for_each_address_keeps_request_learn(tmp_path: Path, servers: dict[str, int]) -> None:
    decided = backend(FAITHFUL, new_session_ids_per_minute=NEW_IDS_PER_MINUTE)
    after = attack(tmp_path, servers, decided)

    assert after.sessions_at_home == LIVE_SESSIONS
    assert after.entries < LIVE_SESSIONS + HOSTILE_REQUESTS // 100
    assert after.statuses[429] > HOSTILE_REQUESTS * 0.99
    assert not [said for said in decided.warnings if WARNING in said]


@pytest.mark.parametrize("stated", [None, 150_000], ids=["usual", "large"])
def test_an_application_that_answers_unknown_ids_with_new_ones_needs_a_table_for_them(
    tmp_path: Path, servers: dict[str, int], stated: int | None
) -> None:
    """What the application sets is a session, whoever asked for it: the oldest are kept as far as the table goes."""
    app_session = {**FIRST_WINS, "sessions": stated}
    after = attack(tmp_path, servers, backend(app_session), "/strict")
    has_room = capacity.table_entries(session.from_mapping(app_session)) > LIVE_SESSIONS + HOSTILE_REQUESTS

    assert (after.sessions_at_home == LIVE_SESSIONS) is has_room
    assert has_room or after.sessions_at_home < MOSTLY_FORGOTTEN
