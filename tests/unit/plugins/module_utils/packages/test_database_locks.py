# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The locks are dpkg's own, they exclude others, and they outlive what else this process does with their files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import (
    DPKG_LOCKS,
    DatabaseLocks,
    LockedError,
    is_locked,
    make_locks,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: Waits for nobody: prints whether the lock can be had.
_TRY = (
    "import fcntl, sys\n"
    "try: fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "except OSError: print('held')\n"
    "else: print('free')"
)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    tree = Tree(str(tmp_path))
    yield tree
    tree.close()


def state(tree: Tree, path: bytes) -> str:
    """Ask as another process would."""
    command = ["python3", "-c", _TRY, os.fsdecode(tree.root + path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_both_locks_are_held_and_let_go(tree: Tree) -> None:
    with DatabaseLocks(tree, DPKG_LOCKS):
        assert [state(tree, path) for path in DPKG_LOCKS] == ["held", "held"]
    assert [state(tree, path) for path in DPKG_LOCKS] == ["free", "free"]


def test_locks_survive_that_this_process_closes_the_files_elsewhere(tree: Tree) -> None:
    with DatabaseLocks(tree, DPKG_LOCKS):
        for path in DPKG_LOCKS:
            Path(os.fsdecode(tree.root + path)).read_bytes()
        assert [state(tree, path) for path in DPKG_LOCKS] == ["held", "held"]


def test_lent_lock_is_that_of_the_program_alone(tree: Tree) -> None:
    with DatabaseLocks(tree, DPKG_LOCKS) as locks:
        with locks.lent():
            assert [state(tree, path) for path in DPKG_LOCKS] == ["held", "free"]
        assert [state(tree, path) for path in DPKG_LOCKS] == ["held", "held"]


@pytest.mark.parametrize("held", DPKG_LOCKS)
def test_lock_that_another_process_holds_is_refused_and_the_other_let_go(tree: Tree, held: bytes) -> None:
    assert is_locked(tree, DPKG_LOCKS) is None
    with DatabaseLocks(tree, (held,)):
        assert is_locked(tree, DPKG_LOCKS) == held
        with pytest.raises(LockedError, match="another process holds it"), DatabaseLocks(tree, DPKG_LOCKS):
            pass
    assert is_locked(tree, DPKG_LOCKS) is None


def test_asking_makes_no_file(tree: Tree) -> None:
    assert is_locked(tree, DPKG_LOCKS) is None
    assert not list(Path(os.fsdecode(tree.root), "var/lib/dpkg").iterdir())


def test_locks_are_made_once_as_dpkg_makes_them(tree: Tree, tmp_path: Path) -> None:
    assert make_locks(tree, DPKG_LOCKS)
    assert not make_locks(tree, DPKG_LOCKS)
    modes = {entry.name: entry.stat().st_mode & 0o7777 for entry in (tmp_path / "var/lib/dpkg").iterdir()}
    assert modes == {"lock-frontend": 0o640, "lock": 0o640}


def test_lock_behind_a_link_is_refused(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    (tmp_path / "var/lib/dpkg/lock-frontend").symlink_to(outside)
    with pytest.raises(LockedError), DatabaseLocks(tree, DPKG_LOCKS):
        pass


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg, whose locks these are, is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="dpkg changes its database for root alone")
def test_dpkg_itself_is_locked_out(tree: Tree, tmp_path: Path) -> None:
    for name in ("info", "updates", "triggers"):
        (tmp_path / "var/lib/dpkg" / name).mkdir()
    (tmp_path / "var/lib/dpkg/status").touch()
    command = ["dpkg", f"--root={tmp_path}", "--log=/dev/null", "--configure", "--pending"]
    environment = {**os.environ, "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with DatabaseLocks(tree, DPKG_LOCKS):
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 2
        assert "lock" in done.stderr
    assert subprocess.run(command, check=False, capture_output=True, env=environment).returncode == 0
