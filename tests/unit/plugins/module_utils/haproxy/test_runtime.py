# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runtime socket: whole answers, within bounds."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy import runtime
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.runtime import RuntimeSocket, printable

from .simulated import listening


def test_an_answer_is_whole(tmp_path: Path) -> None:
    with listening(tmp_path, lambda command: command.encode() * 100_000 + b"\xff") as path:
        assert RuntimeSocket(path).ask("show info") == "show info" * 100_000 + "\ufffd"


def test_lines_come_whole_and_one_by_one(tmp_path: Path) -> None:
    said = b"".join(b"%d\n" % number for number in range(50_000)) + b"the end"
    with listening(tmp_path, lambda _command: said) as path:
        assert list(RuntimeSocket(path).lines("show table app")) == said.split(b"\n")


def test_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_MAX_ANSWER_BYTES", 100_000)
    with (
        listening(tmp_path, lambda _command: b"x" * 1_000_000) as path,
        pytest.raises(MeasurementError, match="more than 100000 bytes"),
    ):
        RuntimeSocket(path).ask("show stat")


def test_an_endless_line_is_cut(tmp_path: Path) -> None:
    with (
        listening(tmp_path, lambda _command: b"x" * 1_000_000) as path,
        pytest.raises(MeasurementError, match="a line of the answer has more than"),
    ):
        list(RuntimeSocket(path).lines("show table app"))


def test_silence_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(MeasurementError, match=r"no complete answer within 0\.1 s"):
            RuntimeSocket(str(path), timeout_seconds=0.1).ask("show info")


def test_an_answer_that_trickles_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "slow.sock"
    done = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection, contextlib.suppress(OSError):
            for _byte in range(200):
                connection.sendall(b".")
                done.wait(0.01)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        with pytest.raises(MeasurementError, match=r"no complete answer within 0\.2 s"):
            RuntimeSocket(str(path), timeout_seconds=0.2).ask("show info")
        done.set()
        thread.join()


@pytest.mark.parametrize("path", ["/nonexistent/admin.sock", "/" + "x" * 200])
def test_a_socket_that_is_not_there(path: str) -> None:
    with pytest.raises(MeasurementError, match="HAProxy cannot be asked there"):
        RuntimeSocket(path).ask("show info")


def test_an_order_that_is_refused_is_told_in_haproxys_words(tmp_path: Path) -> None:
    with (
        listening(tmp_path, lambda _command: b"No such\x1b server.\n\n") as path,
        pytest.raises(MeasurementError, match=r"HAProxy answers: No such\? server\. See what"),
    ):
        RuntimeSocket(path).order("set server app/s1 state drain")


def test_an_order_that_is_carried_out_says_nothing(tmp_path: Path) -> None:
    with listening(tmp_path, lambda _command: b"\n") as path:
        RuntimeSocket(path).order("set server app/s1 state drain")


def test_words_of_others_are_short_and_in_one_line() -> None:
    assert printable("a\nb\x07" + "c" * 1000) == "a b?" + "c" * 196
