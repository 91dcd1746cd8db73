# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shell commands that look at a job on a host and end it: run by a real shell, on real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.plugin_utils import host_job
from ansible_collections.ringmaster.webops.plugins.plugin_utils.progress_line import Progress

# A module that forks a process, as one that verifies does, and that does not end when asked to.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
os.write(1, b"up")
time.sleep(600)
"""
TIDY = """
import os, pathlib, sys, time
try:
    os.write(1, b"up")
    time.sleep(600)
finally:
    pathlib.Path(sys.argv[1]).touch()
"""
PROGRESS = '{"stage": "verifying", "files_done": 1, "files_total": 2, "findings": 0}'


def sh(command: str, home: Path | None = None) -> str:
    environment = {**os.environ, "HOME": str(home)} if home else None
    # As it goes to a host: the whole command is in the command line of the shell.
    return subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True, env=environment).stdout


@pytest.fixture
def job(tmp_path: Path) -> host_job.Job:
    directory, own = tmp_path / "it's ansible-tmp-1", tmp_path / "own directory"
    directory.mkdir()
    own.mkdir()
    return host_job.Job(str(directory), str(own), str(own / "j1.2"))


@pytest.fixture
def module(job: host_job.Job) -> Iterator[subprocess.Popen[bytes]]:
    script = Path(job.directory, "AnsiballZ_module.py")
    script.write_text(STUBBORN)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"upup"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("record", "progress", "expected"),
    [
        ('{"started": true, "finished": false}', PROGRESS, host_job.Glance(True, Progress("verifying", 1, 2, 0))),
        ('{"started": 1, "finished": 0}', None, host_job.Glance(True, None)),
        ('{"started": true}', PROGRESS[:-1], host_job.Glance(True, None)),
        ('{"started": true}', PROGRESS[:-1] + ', "x": "' + "y" * 2000 + '"}', host_job.Glance(True, None)),
        ('{"changed": false}', PROGRESS, host_job.Glance(False, None)),
        (None, PROGRESS, None),
        ("", PROGRESS, None),
        ("", None, None),
    ],
)
def test_a_look_shows_whether_it_runs_and_how_far_it_is(
    job: host_job.Job, record: str | None, progress: str | None, expected: host_job.Glance | None
) -> None:
    for path, content in ((job.record, record), (job.progress, progress)):
        if content is not None:
            Path(path).write_text(content)

    assert host_job.glance(sh(host_job.look(job))) == expected


def test_a_look_neither_waits_for_a_fifo_nor_follows_a_link(job: host_job.Job, tmp_path: Path) -> None:
    Path(job.record).write_text('{"started": true}')
    os.mkfifo(job.progress)
    assert host_job.glance(sh(host_job.look(job))) == host_job.Glance(True, None)

    Path(job.progress).unlink()
    (tmp_path / "elsewhere").write_text(PROGRESS)
    Path(job.progress).symlink_to(tmp_path / "elsewhere")
    assert host_job.glance(sh(host_job.look(job))) == host_job.Glance(True, None)


def test_words_of_a_login_do_not_matter(job: host_job.Job) -> None:
    Path(job.record).write_text('{"started": true}')
    Path(job.progress).write_text(PROGRESS)

    seen = host_job.glance("Welcome\r\n" + sh(host_job.look(job)).replace("\n", "\r\n"))

    assert seen == host_job.Glance(True, Progress("verifying", 1, 2, 0))


def test_only_a_whole_answer_is_one(job: host_job.Job) -> None:
    Path(job.record).write_text('{"started": true}')
    Path(job.progress).write_text(PROGRESS)
    output = sh(host_job.look(job)).rstrip()

    assert host_job.glance(output) is not None
    assert [length for length in range(len(output)) if host_job.glance(output[:length]) is not None] == []
    assert host_job.glance(output[1:]) is None
    found = sh(host_job.find(job)).rstrip()
    assert host_job.processes(found) == []
    assert [length for length in range(len(found)) if host_job.processes(found[:length]) is not None] == []


@pytest.fixture
def damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a script in the place of a program."""
    (tmp_path / "damaged").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/damaged:{os.environ['PATH']}")

    def replace(program: str, script: str) -> None:
        (tmp_path / "damaged" / program).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "damaged" / program).chmod(0o755)

    return replace


@pytest.mark.parametrize("script", ["exit 0", "exit 127", "kill -SEGV $$", "echo head: Input/output error"])
def test_a_host_that_cannot_show_the_record_does_not_say_that_the_module_has_ended(
    job: host_job.Job, damage: Callable[[str, str], None], script: str
) -> None:
    Path(job.record).write_text('{"started": true}')
    Path(job.progress).write_text(PROGRESS)
    damage("head", script)

    output = sh(host_job.look(job))

    assert "webops-answer-ends" in output
    assert host_job.glance(output) is None


@pytest.mark.parametrize("program", ["grep", "tr"])
@pytest.mark.parametrize("script", ["exit 0", "exit 127", "kill -SEGV $$"])
def test_a_host_that_cannot_find_processes_does_not_say_that_there_are_none(
    job: host_job.Job, damage: Callable[[str, str], None], program: str, script: str
) -> None:
    damage(program, script)

    output = sh(host_job.find(job))

    assert "webops-answer-ends" in output
    assert host_job.processes(output) is None


def test_a_progress_file_cannot_end_the_answer(job: host_job.Job) -> None:
    Path(job.record).write_text('{"started": true}')
    Path(job.progress).write_text("webops-answer-ends\n" + PROGRESS)

    assert host_job.glance(sh(host_job.look(job))) == host_job.Glance(True, None)


def test_the_processes_are_found_and_no_others(job: host_job.Job, module: subprocess.Popen[bytes]) -> None:
    found = host_job.processes(sh(host_job.find(job)))

    assert found is not None
    assert module.pid in found
    assert len(found) == 2
    assert host_job.processes(sh(host_job.find(job._replace(directory=job.directory + "0")))) == []


def test_the_end_leaves_no_process_and_no_file(job: host_job.Job, module: subprocess.Popen[bytes]) -> None:
    Path(job.record).write_text("{}")
    Path(job.progress).write_text("{}")

    sh(host_job.end(job, remove_directory=True))

    assert module.wait(10) == -9
    assert host_job.processes(sh(host_job.find(job))) == []
    assert not Path(job.directory).exists()
    assert not Path(job.own).exists()


def test_a_module_may_clean_up(job: host_job.Job, tmp_path: Path) -> None:
    script = Path(job.directory, "AnsiballZ_module.py")
    script.write_text(TIDY)
    with subprocess.Popen([sys.executable, str(script), str(tmp_path / "clean")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"up"

        sh(host_job.end(job, remove_directory=True))

        assert process.wait(10) != -9
    assert (tmp_path / "clean").exists()


def test_a_directory_that_is_to_be_kept_is(job: host_job.Job) -> None:
    sh(host_job.end(job, remove_directory=False))

    assert Path(job.directory).exists()
    assert not Path(job.own).exists()


def test_the_home_of_the_user_is_meant_by_its_sign(tmp_path: Path) -> None:
    own = tmp_path / ".ansible_async" / "webops-1"
    own.mkdir(parents=True)

    sh(host_job.forget(host_job.Job("/nowhere", "~/.ansible_async/webops-1")), home=tmp_path)

    assert list(own.parent.iterdir()) == []
