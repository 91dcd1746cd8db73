# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HAProxy says of its servers, read with suspicion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.runtime import RuntimeSocket
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import Server, read_servers
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.stick_table import sessions_of

from .simulated import STAT_HEADER, STATE_HEADER, Simulated, listening, server, states, stats


def read(directory: Path, haproxy: Simulated) -> list[Server]:
    with listening(directory, lambda command: haproxy.answer(command).encode()) as path:
        return read_servers(RuntimeSocket(path))


def test_both_views_of_a_server_are_joined(tmp_path: Path) -> None:
    given = server("s1", open_sessions=3, is_backup=True, tracked="other/s1", has_agent=True, is_checked=False)

    (found,) = read(tmp_path, Simulated([given]))

    assert found.check == 'L4OK as, "said" by it'
    assert found == replace(given, check=found.check)


def test_a_server_without_statistics_is_the_masters_own(tmp_path: Path) -> None:
    both = [server("s1"), server("cur-1", "MASTER")]
    answers = {"show servers state": states(both), "show stat -1 4 -1": stats(both[:1])}

    assert [each.label for each in read(tmp_path, Simulated(both, answers.get))] == ["app/s1"]


@pytest.mark.parametrize(
    ("admin", "state", "usable", "hindrance"),
    [
        (0, "ready", True, ""),
        (1, "maintenance", False, "in maintenance"),
        (4, "ready", True, ""),
        (5, "maintenance", False, "in maintenance"),
        (8, "drain", False, "in drain"),
        (12, "drain", False, "in drain"),
        (2, "ready", False, "out because other/s1 is"),
        (16, "ready", False, "out because other/s1 is"),
        (17, "maintenance", False, "in maintenance"),
        (32, "ready", False, "without an address, because its name is not resolved"),
        (40, "drain", False, "without an address, because its name is not resolved"),
        (64, "ready", True, ""),
    ],
)
def test_what_the_administrative_bits_mean(admin: int, state: str, usable: bool, hindrance: str) -> None:
    found = server("s1", admin=admin, tracked="other/s1")

    assert (found.state, found.is_usable, found.hindrance) == (state, usable, hindrance)


@pytest.mark.parametrize(
    ("operational", "weight", "hindrance"),
    [
        (0, 10, "DOWN (L4OK)"),
        (1, 10, ""),
        (2, 10, ""),
        (2, 0, "of weight 0"),
        (3, 10, "stopping, because its health check says so"),
    ],
)
def test_what_the_operational_state_means(operational: int, weight: int, hindrance: str) -> None:
    found = server("s1", operational=operational, weight=weight)

    assert (found.is_usable, found.hindrance) == (not hindrance, hindrance)


@pytest.mark.parametrize(
    ("command", "said", "words"),
    [
        ("show servers state", "", "the answer begins with"),
        ("show servers state", "SSH-2.0-OpenSSH\r\n", "the answer begins with: SSH-2.0-OpenSSH"),
        ("show servers state", f"1\n{STATE_HEADER}\napp s1;x 1 a 1 2 0 1 1 0\n\n", "a line names no server"),
        ("show servers state", f"1\n{STATE_HEADER}\napp s1 one a 1 2 0 1 1 0\n\n", "a column is missing or no number"),
        ("show servers state", f"1\n{STATE_HEADER}\napp s1\n\n", "a column is missing or no number"),
        ("show stat -1 4 -1", "Permission denied\n", "the answer begins with: Permission denied"),
        ("show servers state", states([server("s1"), server("s2")])[:-2], "the answer breaks off"),
        ("show stat -1 4 -1", stats([server("s1"), server("s2")])[:-1], "the answer breaks off"),
        ("show stat -1 4 -1", "# \n\n", "the answer begins with: #"),
        ("show stat -1 4 -1", f"{STAT_HEADER}\napp\n\n", "a line names no server"),
        ("show stat -1 4 -1", f"{STAT_HEADER}\napp,s1,many,0,UP,0,,,,,,,\n\n", "a column is missing or no number"),
        ("show stat -1 4 -1", f'{STAT_HEADER}\n"{"x" * 200_000}"\n\n', "the answer is no CSV"),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path: Path, command: str, said: str, words: str) -> None:
    haproxy = Simulated([server("s1")], {command: said}.get)

    with pytest.raises(MeasurementError, match=words):
        read(tmp_path, haproxy)


TABLE = b"""# table: app, type: string, size:102400, used:7
0x55ed: key=a use=0 exp=1 server_id=1 server_name=s1
0x55ed: key=b use=0 exp=1 server_id=9 server_key=s1
0x55ed: key=c use=0 exp=1 shard=0 server_id=1 server_key=s2
0x55ed: key=d use=0 exp=1 shard=0 server_id=7 server_key=192.0.2.1:80
0x55ed: key=e use=0 exp=1 server_id=1
0x55ed: key=f use=0 exp=1 server_id=11
0x55ed: key=\\ server_key\\=s1 use=0 exp=1 server_id=2 server_key=s10
 server_key=s1
"""


@pytest.mark.parametrize(
    ("said", "count"),
    [(TABLE, 4), (b"No such table\n", 0), (b"", 0), (b"x" * 200_000, None)],
)
def test_sessions_are_those_of_the_server(tmp_path: Path, said: bytes, count: int | None) -> None:
    with listening(tmp_path, lambda _command: said) as path:
        assert sessions_of(RuntimeSocket(path), server("s1")) == count
