# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a killed process has left is removed; what somebody uses, or what only looks like it, is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import work_directory
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.work_directory import WorkDirectory

#: Makes one with something in it, says where, and waits to be killed; its argument says what else holds it.
_OWNER = """
import os, sys, time
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.work_directory import WorkDirectory
work = WorkDirectory(sys.argv[1])
(work.path / "package.deb").write_bytes(b"left")
if sys.argv[2] == "fork" and not os.fork():
    time.sleep(60)
print(work.path, flush=True)
time.sleep(60)
"""


def owner(parent: Path, kind: str = "alone") -> tuple[subprocess.Popen[str], Path]:
    """Start a process with a directory of its own, in a process group of its own."""
    command = [sys.executable, "-c", _OWNER, str(parent), kind]
    environment = {**os.environ, "PYTHONPATH": str(Path(work_directory.__file__).parents[6])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str], group: bool = True) -> None:
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def test_it_is_private_and_removed_in_the_end(tmp_path: Path) -> None:
    work = WorkDirectory(str(tmp_path))
    assert work.path.parent == tmp_path
    assert work.path.stat().st_mode & 0o7777 == 0o711
    (work.path / "inner").mkdir()
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    process, left = owner(tmp_path)
    end(process)
    assert (left / "package.deb").exists()
    work = WorkDirectory(str(tmp_path))
    assert list(tmp_path.iterdir()) == [work.path]
    work.close()


def test_what_somebody_uses_is_left(tmp_path: Path) -> None:
    process, used = owner(tmp_path)
    try:
        WorkDirectory(str(tmp_path)).close()
        assert (used / "package.deb").exists()
    finally:
        end(process)


def test_what_a_child_of_a_killed_process_still_uses_is_left(tmp_path: Path) -> None:
    process, used = owner(tmp_path, "fork")
    try:
        end(process, group=False)
        WorkDirectory(str(tmp_path)).close()
        assert (used / "package.deb").exists()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    while used.exists():  # The child's death is a matter of time.
        WorkDirectory(str(tmp_path)).close()
        time.sleep(0.05)


def _others(path: Path) -> None:
    path.mkdir(0o700)
    os.chown(path, 65534, 65534)


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _link(path: Path) -> None:
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir(0o700)
    (elsewhere / "file").touch()
    path.symlink_to(elsewhere)


def _other_name(path: Path) -> None:
    (path.parent / "ringmaster-other").mkdir(0o700)


LOOKALIKES: dict[str, Callable[[Path], None]] = {
    "somebody else's": _others,
    "writable for all": _open_to_all,
    "a link": _link,
    "a file": Path.touch,
    "another name": _other_name,
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
@pytest.mark.parametrize("make", LOOKALIKES.values(), ids=LOOKALIKES.keys())
def test_what_only_looks_like_one_is_left(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "ringmaster-archive-x")
    before = sorted(tmp_path.rglob("*"))
    WorkDirectory(str(tmp_path)).close()
    assert sorted(tmp_path.rglob("*")) == before


def test_link_below_it_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    parent = tmp_path / "parent"
    (parent / "ringmaster-archive-x").mkdir(0o700, parents=True)
    (parent / "ringmaster-archive-x").chmod(0o700)
    (parent / "ringmaster-archive-x/link").symlink_to(outside)
    WorkDirectory(str(parent)).close()
    assert list(parent.iterdir()) == []
    assert (outside / "file").exists()


def test_one_that_was_taken_for_stale_before_it_was_locked_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may look for stale ones between the making and the locking."""
    make, made = tempfile.mkdtemp, []

    def removed_at_once(**options: str) -> str:
        made.append(Path(make(prefix=options["prefix"], dir=options["dir"])))
        if len(made) == 1:
            made[0].rmdir()
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", removed_at_once)
    work = WorkDirectory(str(tmp_path))
    assert work.path == made[1]
    assert work.path.is_dir()
    work.close()
