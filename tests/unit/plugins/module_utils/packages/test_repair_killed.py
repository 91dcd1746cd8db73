# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repair that is killed before any of the calls that change something leaves the old or the new; the next goes on."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check, repair_steps
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair

from .....peers.dpkg_system import System
from .....peers.repairable import photograph

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")

#: What changes a file system, or makes a change durable.
CALLS = (
    *("chmod", "chown", "fchmod", "fchown", "fsync", "ftruncate", "link", "mkdir", "pwrite", "rename", "rmdir"),
    *("setxattr", "symlink", "unlink", "utime", "write"),
)
#: A repair of one damage makes fewer of them.
MAX_CALLS = 400
#: Not every call is tried in each run, and another part of them for each damage.
STEP = 11
SHARE = "/usr/share/alpha"


@pytest.fixture(autouse=True)
def own_work_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched for a run that is killed stays where it was put."""
    monkeypatch.setattr(check, "WORK_DIRECTORY", str(tmp_path))


def zero_a_block(system: System) -> None:
    with system.path("/usr/bin/alpha").open("r+b") as stream:
        stream.write(bytes(4096))


def put_a_full_directory_for_a_file(system: System) -> None:
    system.path(f"{SHARE}/a.txt").unlink()
    system.path(f"{SHARE}/a.txt").mkdir()
    system.path(f"{SHARE}/a.txt/inner").write_bytes(b"not to be lost")


def change_a_file_of_several_names(system: System) -> None:
    system.path(f"{SHARE}/first").write_bytes(b"x")


def lose_a_directory(system: System) -> None:
    shutil.rmtree(system.path(f"{SHARE}/deep"))


def put_a_file_for_a_directory(system: System) -> None:
    shutil.rmtree(system.path(f"{SHARE}/deep/er"))
    system.path(f"{SHARE}/deep/er").write_bytes(b"x")


DAMAGES = (
    zero_a_block,
    put_a_full_directory_for_a_file,
    change_a_file_of_several_names,
    lose_a_directory,
    put_a_file_for_a_directory,
)


def run(system: System, strategy: str) -> dict[str, Any]:
    return repair(RepairOptions(Options(root=str(system.root), jobs=1), Policy(strategy, "digest")))


def run_until_call(repair_it: Callable[[], object], number: int) -> bool:
    """Repair in a process of its own, which is killed before its call of a number. Returns whether it was."""
    pid = os.fork()
    if pid == 0:
        left = [number]
        for name in CALLS:
            setattr(os, name, _killing(getattr(os, name), left))
        repair_steps.exchange = _killing(repair_steps.exchange, left)
        try:
            repair_it()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def _killing(call: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def counted(*arguments: object, **named: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)

    return counted


def assert_old_or_new(root: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """A name of several may have the new file already, while another still has the old one."""
    for path, found in photograph(root).items():
        if ".ringmaster-" not in path:
            assert _without_names(found) in (_without_names(old.get(path)), _without_names(new.get(path))), path
    for path in old.keys() & new.keys():
        assert os.path.lexists(root / path), path


def _without_names(found: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    if found is None or not isinstance(found[4], tuple):
        return found
    return (*found[:4], found[4][:2])


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_killed_before_a_call(sound: System, damage: Callable[[System], None]) -> None:
    assert_survives(sound, damage, "file")


def test_killed_before_a_call_of_a_package_step(sound: System) -> None:
    assert_survives(sound, zero_a_block, "package")


def assert_survives(sound: System, damage: Callable[[System], None], strategy: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        base.chmod(0o755)
        (base / "damaged").mkdir()
        damaged = sound.copy(base / "damaged")
        damage(damaged)
        new, old = photograph(sound.root), photograph(damaged.root)
        for number in range(1 + DAMAGES.index(damage), MAX_CALLS, STEP):
            place = base / str(number)
            place.mkdir()
            system = damaged.copy(place)
            killed = run_until_call(lambda system=system: run(system, strategy), number)
            assert_old_or_new(system.root, old, new)
            if killed:
                assert run(system, strategy)["failures"] == []
            assert photograph(system.root) == new
            assert not list(system.root.rglob(".*.ringmaster-*"))
            if damage is put_a_full_directory_for_a_file:
                assert [place.read_bytes() for place in system.root.rglob("inner")] == [b"not to be lost"]
            shutil.rmtree(place)
            if not killed:
                break
        else:
            pytest.fail("it never came to its end")
        assert number > 10
