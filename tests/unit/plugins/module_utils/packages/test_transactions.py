# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package transaction that runs during a verification: nothing is invented, and what stays in motion is a gap."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import rounds, transactions
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import Accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import DPKG_LOCKS, DatabaseLocks
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Entry
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import BatchOutcome, verify

if TYPE_CHECKING:
    from tests.peers.dpkg_system import System

FILES = {f"/usr/share/gamma/{number:03}": b"version one\n" * 200 for number in range(300)}
LOCK = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o640)
fcntl.lockf(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


@pytest.fixture
def upgrade(system: System) -> Path:
    """A system with a package of 300 files, and the package of its next version."""
    system.install("gamma", FILES)
    files = {path: content.replace(b"one", b"two") for path, content in FILES.items()}
    files.pop("/usr/share/gamma/000")
    return system.build("gamma", {**files, "/usr/share/gamma/new": b"new\n"}, version="2.0")


def summary(result: dict[str, Any]) -> tuple[str, int, list[str]]:
    reasons = [gap["reason"] for gap in result["coverage"]["gaps"]]
    return result["summary"]["verdict"], result["summary"]["findings_total"], reasons


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """Do something after the first batch of each round; it is given the number of the round."""
    numbers = itertools.count()

    def verify_and_act(
        tree: Tree, entries: list[Entry], jobs: int, accounts: Accounts, *_options: object
    ) -> Iterator[BatchOutcome]:
        outcomes = verify(tree, entries, jobs, accounts)
        for position, outcome in enumerate(outcomes):
            yield outcome
            if position == 0:
                act(next(numbers))

    monkeypatch.setattr(rounds, "verify", verify_and_act)
    monkeypatch.setattr(transactions, "PAUSES_SECONDS", (0.0,) * 4)


def test_an_upgrade_during_a_run_invents_nothing(
    system: System, upgrade: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda number: system.dpkg("--install", upgrade) if number == 0 else None)
    result = system.check(jobs=1)
    assert summary(result) == ("consistent", 0, [])
    assert not system.path("/usr/share/gamma/000").exists()


def test_damage_is_found_all_the_same(system: System, upgrade: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(number: int) -> None:
        if number == 0:
            system.dpkg("--install", upgrade)
            system.path("/usr/share/gamma/100").write_bytes(b"damaged")

    meanwhile(monkeypatch, act)
    system.path("/usr/bin/alpha").unlink()
    paths = [finding["path"] for finding in system.check(jobs=1)["findings"]]
    assert paths == ["/usr/share/gamma/100", "/usr/bin/alpha"]


def test_upgrades_one_after_the_other_during_real_runs_invent_nothing(system: System, upgrade: Path) -> None:
    stop = system.base / "stop"
    dpkg = f"dpkg --root={system.root} --log={system.base}/log --force-all --install"
    loop = f"until [ -e {stop} ]; do {dpkg} {upgrade}; {dpkg} {system.base}/gamma_1.0_all.deb; done"
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    with (system.base / "output").open("wb") as output:
        process = subprocess.Popen(["sh", "-c", loop], stdout=output, stderr=output, env=environment)
    try:
        results = [system.check() for _round in range(6)]
        assert process.poll() is None
    finally:
        stop.touch()
        process.wait()
    assert [result["findings"] for result in results] == [[]] * 6
    assert [result["database_problems"] for result in results] == [[]] * 6
    assert summary(system.check()) == ("consistent", 0, [])


def test_what_stays_in_motion_is_a_gap_and_the_rest_is_judged(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.install("gamma", FILES)
    system.path("/usr/bin/alpha").unlink()

    def act(number: int) -> None:
        status = system.status.read_text().replace("install ok installed", "install reinstreq half-installed")
        before, _package, after = status.rpartition("Package: gamma")
        rest = before.replace("install reinstreq half-installed", "install ok installed")
        system.status.write_text(f"{rest}Package: gamma{after}")
        system.path(f"/usr/share/gamma/{number:03}").write_bytes(b"half way")

    meanwhile(monkeypatch, act)
    result = system.check(jobs=1)
    assert [finding["path"] for finding in result["findings"]] == ["/usr/bin/alpha"]
    (gap,) = result["coverage"]["gaps"]
    assert (gap["reason"], gap["packages"]) == ("transaction_running", 1)


@pytest.fixture
def locked(system: System) -> Iterator[int]:
    """Another process holds dpkg's lock."""
    path = system.root / "var/lib/dpkg/lock"
    process = subprocess.Popen([sys.executable, "-c", LOCK, path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    yield process.pid
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_lock_alone_hides_no_damage(system: System, locked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locked
    monkeypatch.setattr(transactions, "PAUSES_SECONDS", (0.0,))
    system.path("/usr/bin/alpha").unlink()
    assert [finding["path"] for finding in system.check()["findings"]] == ["/usr/bin/alpha"]


def test_a_package_that_is_being_unpacked_is_in_motion(
    system: System, locked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locked
    monkeypatch.setattr(transactions, "PAUSES_SECONDS", (0.0,))
    system.status.write_text(system.status.read_text().replace("ok installed", "reinstreq half-installed", 1))
    assert summary(system.check()) == ("incomplete", 0, ["transaction_running"])


def test_locks_are_seen_and_neither_taken_nor_lost(system: System, locked: int) -> None:
    assert locked
    tree = Tree(str(system.root))
    assert transactions.is_running(tree)
    os.kill(locked, signal.SIGKILL)
    os.waitpid(locked, 0)
    assert not transactions.is_running(tree)
    with DatabaseLocks(tree, DPKG_LOCKS):
        assert not transactions.is_running(tree)
        descriptor = os.open(system.root / "var/lib/dpkg/lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    tree.close()


def test_a_verification_itself_is_no_transaction(system: System) -> None:
    tree = Tree(str(system.root))
    before = transactions.stamp(tree)
    system.check()
    assert transactions.stamp(tree) == before
    system.install("gamma", {"/usr/share/gamma": b"gamma"})
    assert transactions.stamp(tree) != before
    tree.close()
