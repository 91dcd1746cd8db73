# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The size of a table, its memory, and what is said beforehand."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import capacity
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import AppSession, from_mapping


def session(**changes: object) -> AppSession:
    return from_mapping({"cookie": "PHPSESSID", "timeout": "3h", **changes})


@pytest.mark.parametrize(
    ("sessions", "entries", "text"),
    [(None, 102_400, "100k"), (1, 2, "2"), (50_000, 100_000, "100000"), (512_000, 1_024_000, "1000k")],
)
def test_size(sessions: int | None, entries: int, text: str) -> None:
    found = session(sessions=sessions)
    assert capacity.table_entries(found) == entries
    assert capacity.render_entries(found) == text


@pytest.mark.parametrize(
    ("changes", "size_bytes"),
    [
        ({}, 248),
        ({"len": 4096}, 248),
        ({"hash_keys": False, "len": 64}, 312),
        ({"hash_keys": False, "len": 4096}, 4344),
    ],
)
def test_memory(changes: dict[str, object], size_bytes: int) -> None:
    found = session(sessions=1000, **changes)
    assert capacity.entry_bytes(found) == size_bytes
    assert capacity.table_bytes(found) == 2000 * size_bytes


def test_nothing_to_say_of_a_new_site() -> None:
    assert capacity.warnings(session()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request_learn": True, "sessions": 1000}, "full with 2000 ids"),
        ({"prefix": True}, "the last one decides"),
        ({"hash_keys": False, "len": 64}, "hash_keys"),
        ({"timeout": 0}, "give a timeout"),
    ],
)
def test_warnings(changes: dict[str, object], said: str) -> None:
    [sentence] = capacity.warnings(session(**changes))
    assert "PHPSESSID" in sentence
    assert said in sentence
