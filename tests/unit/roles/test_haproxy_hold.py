# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program by which a worker of HAProxy that has just begun waits for the table of sessions, in a real HAProxy."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests")]

from peers.haproxy_process import HaproxyProcess

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
SETTLED = "proc.sid_worker_is_settled"
# The tables of plain ids and of digests: their type, and the converters that make their keys.
TABLES = {"plain": ("string len 64", ""), "digests": ("binary len 32", ",sha2(256)")}
# Counts how often the program pauses.
COUNTER = """
local pauses, msleep = 0, core.msleep
core.msleep = function(milliseconds)
    pauses = pauses + 1
    msleep(milliseconds)
end
core.register_fetches("pauses", function() return pauses end)
"""
# Whether a session was known at the end is what is answered. `/learn` teaches the table one.
CONFIGURATION = f"""
global
    lua-load COUNTER
    lua-load {ROOT}/roles/haproxy/files/hold.lua
frontend site
    bind 127.0.0.1:{{port}}
    http-request return status 200 hdr X-Pauses %[lua.pauses] if {{ path /pauses }}
    use_backend teacher if {{ path /learn }}
    default_backend app
backend teacher
    http-request track-sc0 req.hdr(X-First)KEY table app
    http-request return status 201
backend app
    stick-table type TYPE size 1k store gpc0
    http-request set-var(txn.first) req.hdr(X-First)KEY
    http-request set-var(txn.second) req.hdr(X-Second)KEY
    http-request lua.ringmaster_hold app txn.first,txn.second if !{{ var({SETTLED}) -m found }}
    acl is_known req.hdr(X-First)KEY,in_table(app)
    acl is_known req.hdr(X-Second)KEY,in_table(app)
    http-request return status 204 if {{ var({SETTLED}) -m found }}
    http-request return status 200 if is_known
    http-request return status 404
"""

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: apt-get install haproxy")


@pytest.fixture(params=TABLES)
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HaproxyProcess]:
    """A worker whose beginning is now."""
    kind, key = TABLES[request.param]
    counter = tmp_path / "counter.lua"
    counter.write_text(COUNTER, encoding="ascii")
    configuration = CONFIGURATION.replace("TYPE", kind).replace("KEY", key).replace("COUNTER", str(counter))
    with HaproxyProcess(tmp_path, "worker", configuration) as process:
        yield process


def send(worker: HaproxyProcess, path: str = "/", **sessions: str) -> socket.socket:
    """Send a request with these sessions, and do not wait for the answer."""
    connection = socket.create_connection(("127.0.0.1", worker.port), timeout=30)
    headers = "".join(f"X-{name}: {session}\r\n" for name, session in sessions.items())
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n{headers}\r\n".encode())
    return connection


def status(connection: socket.socket) -> int:
    with connection:
        return int(connection.recv(4096).split()[1])


def learn(worker: HaproxyProcess, session: str) -> None:
    assert status(send(worker, "/learn", First=session)) == 201


@pytest.mark.parametrize("name", ["First", "Second"])
def test_a_session_that_the_table_learns_meanwhile_is_waited_for(worker: HaproxyProcess, name: str) -> None:
    waiting = send(worker, **{name: "abc"})
    learn(worker, "other")
    time.sleep(0.1)
    learn(worker, "abc")
    assert status(waiting) == 200


def test_one_known_session_is_enough_to_go_on_at_once(worker: HaproxyProcess) -> None:
    # The digest of this one has a byte 0 in it.
    learn(worker, "abc")
    assert status(send(worker, First="unknown", Second="abc")) == 200
    with send(worker, "/pauses") as connection:
        assert b"\r\nx-pauses: 0\r\n" in connection.recv(4096).lower()


@pytest.mark.parametrize("sessions", [{}, {"First": "unknown"}])
def test_nobody_waits_without_end(worker: HaproxyProcess, sessions: dict[str, str]) -> None:
    assert status(send(worker, **sessions)) == 404


def test_a_worker_that_is_settled_says_so(worker: HaproxyProcess) -> None:
    deadline = time.monotonic() + 30
    while (seen := status(send(worker, First="unknown"))) == 404 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert seen == 204
