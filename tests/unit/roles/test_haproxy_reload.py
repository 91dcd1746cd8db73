# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role haproxy has done before each reload, by a real HAProxy and by one that says what a test wants."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "roles/haproxy/files/reload.py"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
HEADER = "1\n# be_id be_name srv_id srv_name srv_addr\n"
# As HAProxy 2.6 says it: drained, weight 3, on port 9, without TLS.
STATES = HEADER + "4 app 1 a 192.0.2.1 2 8 3 10 5 1 0 2 0 0 0 0 old.test 9 - 0 0 - - 0\n"
WRITTEN = HEADER + "4 app 1 a - 2 8 3 10 5 1 0 2 0 0 0 0 - 443 -\n"
WITHOUT = "1\n# be_id be_name srv_id srv_name\n"
# As HAProxy 2.2, 2.6 and 3.0 say it. A peer has flags of its own, which say nothing of what is still to be learnt.
LEARNING = [
    "0x55b8356eb190: [28/Nov/2026:17:52:31] id=lbs state=0 flags=0x1 resync_timeout=4s task_calls=1\n",
    "0x55cace6b9d10: [28/Nov/2026:17:52:00] id=lbs disabled=0 flags=0x11 resync_timeout=3s task_calls=1\n",
]
LEARNT = [
    "0x55b8356eb190: [28/Nov/2026:17:52:36] id=lbs state=0 flags=0x3 resync_timeout=<PAST> task_calls=2\n",
    "0x55ddbeeb4ca0: [28/Nov/2026:17:52:08] id=lbs disabled=0 flags=0x1103 resync_timeout=4s task_calls=3\n"
    "  0x5596c28b15a0: id=lb3(remote,active) addr=192.0.2.3:1023 last_status=CONN\n        flags=0x0 st0=6\n",
    "0x7f9f7149aa00: [10/Jan/2027:14:27:56] id=lbs disabled=0 flags=0x11000003 resync_timeout=4s task_calls=4\n",
]


@pytest.fixture
def program(tmp_path: Path) -> ModuleType:
    """The program, with its files in a directory of the test."""
    spec = importlib.util.spec_from_file_location("haproxy_reload", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "haproxy.cfg").write_text("backend app\n    server a [2001:db8::1]:443 ssl\n    server b 192.0.2.2\n")
    vars(module).update(
        RUNTIME_SOCKET=str(tmp_path / "admin.sock"),
        STATES=str(tmp_path / "server-state"),
        CONFIGURATION=str(tmp_path / "haproxy.cfg"),
        PAUSE_SECONDS=0.01,
        PATIENCE_SECONDS=2.0,
    )
    return module


class Runtime:
    """A runtime socket with an answer for each question; the last one stays."""

    def __init__(self, path: Path, peers: list[str], states: str = STATES) -> None:
        self.asked: list[str] = []
        self._answers = {"show peers": [*peers], "show servers state": [states]}
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listening.accept()[0]
                with connection:
                    question = connection.recv(100).decode().strip()
                    self.asked.append(question)
                    answers = self._answers[question]
                    connection.sendall((answers.pop(0) if len(answers) > 1 else answers[0]).encode())

    def close(self) -> None:
        self._listening.close()


@pytest.mark.parametrize("learnt", LEARNT)
def test_it_waits_until_every_session_is_learnt(program: ModuleType, tmp_path: Path, learnt: str) -> None:
    runtime = Runtime(tmp_path / "admin.sock", [*LEARNING, learnt])
    assert program.main(["prepare"]) == 0
    runtime.close()
    assert runtime.asked == ["show peers"] * 3 + ["show servers state"]


def test_it_writes_what_the_servers_were_told(program: ModuleType, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "admin.sock", LEARNT)
    program.main(["prepare"])
    runtime.close()
    assert (tmp_path / "server-state").read_text() == WRITTEN
    assert sorted(path.name for path in tmp_path.iterdir()) == ["admin.sock", "haproxy.cfg", "server-state"]


def test_states_are_written_though_the_peers_never_get_in_step(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vars(program)["PATIENCE_SECONDS"] = 0.05
    runtime = Runtime(tmp_path / "admin.sock", LEARNING)
    assert program.main(["prepare"]) == 1
    runtime.close()
    assert "not in step" in capsys.readouterr().err
    assert (tmp_path / "server-state").read_text() == WRITTEN


def test_peers_that_say_nothing_are_not_in_step(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = Runtime(tmp_path / "admin.sock", ["Unknown command\n"])
    assert program.main(["prepare"]) == 1
    runtime.close()
    assert "how far its peers are" in capsys.readouterr().err


def test_a_server_that_is_no_longer_configured_has_no_state(program: ModuleType) -> None:
    ports = program.configured_ports(b"listen other\n server a 192.0.2.1:80\nbackend app\n server b unix@/run/b\n")
    assert ports == {(b"other", b"a"): b"80", (b"app", b"b"): b"0"}
    assert program.for_next_worker(STATES.encode(), ports).decode() == HEADER


@pytest.mark.parametrize("states", ["", "Permission denied\n", "2\n# other\n"])
def test_what_is_no_state_is_not_written(program: ModuleType, tmp_path: Path, states: str) -> None:
    (tmp_path / "server-state").write_text("of an older reload")
    runtime = Runtime(tmp_path / "admin.sock", LEARNT, states)
    assert program.main(["prepare"]) == 1
    runtime.close()
    assert (tmp_path / "server-state").read_text() == WITHOUT


def test_an_answer_without_end_is_not_waited_for(program: ModuleType, tmp_path: Path) -> None:
    vars(program)["MAXIMUM_BYTES"] = 1000
    runtime = Runtime(tmp_path / "admin.sock", LEARNT, STATES + "x" * 100_000)
    assert program.main(["prepare"]) == 1
    runtime.close()
    assert (tmp_path / "server-state").read_text() == WITHOUT


def test_without_haproxy_it_says_so(program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["prepare"]) == 1
    assert f"{tmp_path}/admin.sock" in capsys.readouterr().err


def test_a_start_begins_without_states(program: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "server-state").write_text(STATES)
    assert program.main(["forget"]) == 0
    assert " app " not in (tmp_path / "server-state").read_text()


CONFIGURATION = """\
global
    stats socket {directory}/admin.sock level admin
    localpeer me
    hard-stop-after 1s
    server-state-file {directory}/server-state
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    load-server-state-from-file global
peers lbs
    bind unix@{directory}/peers.sock
    server me
frontend web
    bind unix@{directory}/web.sock
    default_backend app
backend app
    balance leastconn
    stick-table type string size 1k expire 1h peers lbs
    stick on src
    server a 127.0.0.1:{port} weight 10
    server b 127.0.0.1:9 weight {weight}
"""


@contextlib.contextmanager
def real_haproxy(configuration: Path) -> Iterator[None]:
    process = subprocess.Popen([str(HAPROXY), "-db", "-f", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def shown(program: ModuleType, server: str) -> list[str]:
    """Return state, administrative state, weight, its own and the configured one, and port of a server."""
    answers: bytes = program.ask("show servers state")
    (words,) = [line.split() for line in answers.decode().splitlines() if f" {server} " in line]
    return [*words[5:9], words[18]]


def answering(program: ModuleType) -> None:
    """Wait until HAProxy answers."""
    pause = threading.Event()
    for _attempt in range(200):
        with contextlib.suppress(program.NoAnswerError):
            program.ask("show info")
            return
        pause.wait(0.05)


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: apt-get install haproxy")
def test_a_real_haproxy_goes_on_as_it_was_told_but_for_what_its_configuration_says_anew(
    program: ModuleType, tmp_path: Path
) -> None:
    vars(program)["PATIENCE_SECONDS"] = 60.0
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(CONFIGURATION.format(directory=tmp_path, weight=20, port=9))
    program.main(["forget"])
    tested = subprocess.run(
        [str(HAPROXY), "-c", "-dW", "-f", str(configuration)], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stderr
    with real_haproxy(configuration):
        answering(program)
        for words in ("state drain", "weight 3"):
            program.ask(f"set server app/a {words}")
        program.ask("set server app/b weight 3")
        # As at a deployment: the new configuration is there before the reload.
        configuration.write_text(CONFIGURATION.format(directory=tmp_path, weight=40, port=10))
        assert program.main(["prepare"]) == 0
    with real_haproxy(configuration):
        answering(program)
        assert shown(program, "a") == ["2", "8", "3", "10", "10"]
        assert shown(program, "b") == ["2", "0", "40", "40", "9"]
