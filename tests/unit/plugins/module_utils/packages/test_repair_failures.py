# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong during a repair fails it, stops it where nobody knows what is, and never loses its result."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check, commands, repairing
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, Verification
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import LockedError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    Quarantine,
    QuarantineError,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_packages import PackageRepair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy, Step
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import (
    FileRepair,
    UntrustedDiskError,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.dpkg_system import System
from .....peers.repairable import CACHE, CONTENT, repairable
from .....peers.signed_repository import SignedRepository

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")

BINARY = "/usr/bin/alpha"
OTHER = "/usr/share/beta/data"


@pytest.fixture
def system() -> Iterator[System]:
    if shutil.which("dpkg") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg and dpkg-deb, which make the databases that these tests read, are not installed")
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        system = repairable(Path(base))
        system.path(BINARY).write_bytes(b"x")
        yield system


def run(system: System, strategy: str = "file", dry_run: bool = False, trust: str = "digest") -> dict[str, Any]:
    return repair(RepairOptions(Options(root=str(system.root), jobs=1), Policy(strategy, trust), dry_run))


def statuses(result: dict[str, Any]) -> list[str]:
    return [step["status"] for step in result["steps"]]


def raising(error: Exception, after: int = 0) -> Callable[..., Any]:
    """Return a function that raises an error from a call on, and does nothing before."""
    left = [after]

    def call(*_arguments: object, **_named: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error

    return call


def failing_dpkg(base: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """Put a dpkg before the real one that fails when it is called with an option."""
    program = base / "bin/dpkg"
    program.parent.mkdir()
    real = "PATH=/usr/sbin:/usr/bin:/sbin:/bin exec dpkg"
    program.write_text(f'#!/bin/sh\ncase "$*" in *{option}*) echo no luck >&2; exit 2; esac\n{real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(commands, "PATH", f"{program.parent}:{commands.PATH}")


def damage_the_database(system: System, base: Path) -> None:
    """Damage what only a signed package makes good, and let the packages be signed."""
    SignedRepository(base, sorted(system.path(CACHE).iterdir())).trust(system.root)
    for name in ("alpha.list", "alpha.md5sums"):
        place = system.info / name
        place.write_bytes(place.read_bytes()[:-5])


def test_path_that_is_still_damaged_after_its_step_fails(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileRepair, "perform", raising(AssertionError(), 100))
    result = run(system)
    assert statuses(result) == ["done"]
    (failure,) = result["failures"]
    assert failure.startswith(f"{BINARY}: it was repaired and is damaged again (content_changed)")


def test_damage_that_was_not_there_before_fails(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    perform = FileRepair.perform

    def careless(self: FileRepair, step: Step, reference: VerifiedPackage) -> None:
        perform(self, step, reference)
        system.path(OTHER).write_bytes(b"x")

    monkeypatch.setattr(FileRepair, "perform", careless)
    (failure,) = run(system)["failures"]
    assert failure.startswith(f"{OTHER}: it was not damaged in this way before")


@pytest.mark.parametrize("dry_run", [True, False])
def test_failure_of_a_verification_is_one_of_the_repair(
    system: System, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    verify = check.run

    def failing(tree: Tree, options: Options) -> Verification:
        return verify(tree, options)._replace(failures=["a worker died"])

    monkeypatch.setattr(check, "run", failing)
    assert run(system, dry_run=dry_run)["failures"] == ["a worker died"]


ERRORS = {
    "verification": (repairing, "_verified_again", MeasurementError("disk", "odd", "Mend it")),
    "end of the quarantine": (Quarantine, "finish", OSError(28, "no space")),
}


@pytest.mark.parametrize(("where", "name", "error"), ERRORS.values(), ids=ERRORS.keys())
def test_error_after_the_steps_keeps_the_result(
    system: System, monkeypatch: pytest.MonkeyPatch, where: object, name: str, error: Exception
) -> None:
    monkeypatch.setattr(where, name, raising(error))
    result = run(system)
    assert (result["changed"], statuses(result)) == (True, ["done"])
    assert result["failures"] == [str(error)]
    assert result["quarantine"]


def test_error_of_the_second_attempt_keeps_the_result(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damage_the_database(system, tmp_path)
    error = MeasurementError("disk", "odd", "Mend it")
    verify, left = check.run, [1]

    def once(tree: Tree, options: Options) -> Verification:
        left[0] -= 1
        if left[0] < 0:
            raise error
        return verify(tree, options)

    monkeypatch.setattr(check, "run", once)
    result = run(system, trust="signed")
    assert result["changed"]
    assert set(statuses(result)) == {"done"}
    assert str(error) in result["failures"]


def test_lock_that_is_lost_during_a_package_keeps_the_result(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    error = LockedError("/var/lib/dpkg/lock", "another process took it meanwhile", "Repair again")
    monkeypatch.setattr(PackageRepair, "perform", raising(error))
    result = run(system, "package")
    assert (result["changed"], statuses(result)) == (True, ["failed"])
    assert str(error) in result["failures"]


@pytest.mark.parametrize("kind", [UntrustedDiskError, QuarantineError])
def test_nothing_more_is_done_on_a_disk_that_is_not_trusted(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[UntrustedDiskError | QuarantineError]
) -> None:
    damage_the_database(system, tmp_path)
    monkeypatch.setattr(FileRepair, "perform", raising(kind("/a", "it is not what was written", "Replace it"), 1))
    result = run(system, trust="signed")
    assert statuses(result) == ["done", "failed"]
    assert any("not what was written" in failure for failure in result["failures"])
    assert system.path(BINARY).read_bytes() == b"x"


def test_no_package_is_installed_after_one_that_could_not_be(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system.path(OTHER).write_bytes(b"x")
    failing_dpkg(tmp_path, monkeypatch, "--install")
    result = run(system, "package")
    assert (result["changed"], statuses(result)) == (True, ["failed", "not_done"])
    assert "no luck" in result["failures"][0]


def test_hold_that_could_not_be_set_is_set_by_the_next_run(system: System, tmp_path: Path) -> None:
    selection = ["dpkg", f"--root={system.root}", "--set-selections"]
    subprocess.run(selection, input=b"alpha hold\n", check=True, capture_output=True)
    with pytest.MonkeyPatch.context() as patched:
        failing_dpkg(tmp_path, patched, "--set-selections")
        result = run(system, "package")
    assert any("--set-selections" in failure for failure in result["failures"])
    assert system.path(BINARY).read_bytes() == CONTENT[BINARY]
    assert "Status: hold" not in system.status.read_text()
    assert run(system, "package")["changed"]
    assert "Status: hold ok installed" in system.status.read_text()
