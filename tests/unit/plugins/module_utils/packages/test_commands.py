# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs end in time, say no more than they may, and leave nothing running."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands

SHELL = ("sh", "-c")


def gone(pid: int) -> bool:
    """Tell whether a process has ended, or is about to."""
    for _attempt in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_how_a_program_ended_and_what_it_wrote() -> None:
    done = commands.run([*SHELL, "echo out; echo err >&2; exit 3"], 60)

    assert done == commands.Output(3, b"out\n", "err\n")


def test_output_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MAX_OUTPUT_BYTES", 1000)
    done = commands.run([*SHELL, "head -c 5000000 /dev/zero; head -c 5000 /dev/zero >&2"], 60)

    assert (done.status, len(done.stdout), len(done.stderr)) == (0, 1000, 1000)


def test_the_environment_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("APT_CONFIG", "/somewhere")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    lines = commands.run(["env"], 60, {"ADDED": "1"}).stdout.decode().split("\n")

    assert {"LC_ALL=C", "TZ=UTC", "ADDED=1", "https_proxy=http://127.0.0.1:3128"} <= set(lines)
    assert not any(line.startswith("APT_CONFIG=") for line in lines)


def test_a_program_that_does_not_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/parent; wait"
    with pytest.raises(MeasurementError, match="did not end in time"):
        commands.run([*SHELL, script], 1)

    assert all(gone(int((tmp_path / name).read_text())) for name in ("child", "parent"))


def test_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(MeasurementError, match="cannot be started: No such file"):
        commands.run(["/nonexistent/program"], 60)


def test_a_stream_is_read_piece_by_piece() -> None:
    pieces = list(commands.stream(["head", "-c", "1000000", "/dev/zero"], time.monotonic() + 60))

    assert len(pieces) > 1
    assert b"".join(pieces) == bytes(1_000_000)


def test_a_stream_of_a_program_that_fails_is_an_error() -> None:
    with pytest.raises(MeasurementError, match="status 5"):
        list(commands.stream([*SHELL, "echo x; exit 5"], time.monotonic() + 60))


def test_a_stream_that_is_left_ends_its_program() -> None:
    stream = commands.stream([*SHELL, "echo $$; exec yes"], time.monotonic() + 60)
    pid = int(next(stream).split()[0])
    stream.close()

    assert gone(pid)
    assert pid != os.getpid()
