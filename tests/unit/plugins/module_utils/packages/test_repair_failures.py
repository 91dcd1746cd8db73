# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong during a repair fails it, stops it where nobody knows what is, and never loses its result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import (
    check,
    commands,
    quarantine,
    repairing,
    system_health,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, Verification
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import LockedError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.disk_health import Health, Refusal
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Progress
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    Quarantine,
    QuarantineError,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_packages import PackageRepair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    INSTALL_PACKAGE,
    Plan,
    Policy,
    Step,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_record import Done
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import (
    FileRepair,
    NotKeptError,
    RepairError,
    UntrustedDiskError,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.dpkg_system import System
from .....peers.repairable import CACHE, CONTENT
from .....peers.signed_repository import SignedRepository

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")

BINARY = "/usr/bin/alpha"
OTHER = "/usr/share/beta/data"


@pytest.fixture
def system(repairable_system: System) -> System:
    repairable_system.path(BINARY).write_bytes(b"x")
    return repairable_system


def run(
    system: System,
    strategy: str = "file",
    dry_run: bool = False,
    trust: str = "digest",
    exclude: tuple[Exclusion, ...] = (),
) -> dict[str, Any]:
    options = Options(root=str(system.root), jobs=1, exclude=exclude)
    return repair(RepairOptions(options, Policy(strategy, trust), dry_run))


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
    """Put a dpkg before the real one that fails when it is called with an option, and writes down its calls."""
    program = base / "bin/dpkg"
    program.parent.mkdir()
    real = "PATH=/usr/sbin:/usr/bin:/sbin:/bin exec dpkg"
    fail = f'case "$*" in *{option}*) echo no luck >&2; exit 2; esac'
    program.write_text(f'#!/bin/sh\necho "$*" >> {base}/calls\n{fail}\n{real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(commands, "PATH", f"{program.parent}:{commands.PATH}")


def calls(base: Path) -> list[str]:
    """Return what each dpkg was called for."""
    kinds = ("--install", "--triggers-only", "--set-selections")
    lines = (base / "calls").read_text().splitlines()
    return [next(kind for kind in kinds if kind in line.split()) for line in lines]


def await_triggers(system: System, name: str = "initramfs-tools") -> None:
    """Install a package with a trigger that both of the others activate."""
    system.install(
        name, {"/usr/sbin/update": b"x"}, control={"triggers": "interest /usr/share/beta\ninterest /usr/bin\n"}
    )
    shutil.copy(system.base / f"{name}_1.0_all.deb", system.path(CACHE))


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


def refuse_health(_tree: Tree, plan: Plan, *_more: object) -> Health:
    """Let there be room for files alone."""
    is_package = any(step.kind == INSTALL_PACKAGE for step in plan.steps)
    return Health([Refusal("there is no room", "Make some")] if is_package else [], [])


INSTEAD = {"allowed": "", "excluded": "which is excluded (mine)", "no room": "there is no room"}


@pytest.mark.parametrize("case", INSTEAD)
def test_package_instead_of_a_file_is_refused_as_a_planned_one_is(
    system: System, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    system.path("/usr/share/alpha/a.txt").write_bytes(b"mine")
    error = NotKeptError(BINARY, "its attribute cannot be kept", "Repair its package")
    monkeypatch.setattr(FileRepair, "perform", raising(error))
    if case == "no room":
        monkeypatch.setattr(repairing, "assess", refuse_health)
    pattern = "/usr/share/alpha/*" if case == "excluded" else "/nothing"
    result = run(system, "auto", exclude=(Exclusion(pattern, "mine"),))
    if case == "allowed":
        assert (statuses(result), result["failures"]) == (["done"], [])
        return
    assert not result["changed"]
    assert set(statuses(result)) == {"failed"}
    assert "its package must not be installed instead" in result["failures"][0]
    assert INSTEAD[case] in result["failures"][0]
    assert system.path("/usr/share/alpha/a.txt").read_bytes() == b"mine"


def test_package_of_the_running_kernel_is_not_installed_instead_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"linux-image-{os.uname().release}"
    step = Step(INSTALL_PACKAGE, name.encode(), name, "boot", "", "", "", {}, {})
    monkeypatch.setattr(repairing, "with_replaced", lambda _tree, whole, _facts: whole)
    monkeypatch.setattr(system_health, "_second_kernels", lambda *_arguments: [])
    tree = Tree("/")
    try:
        done = Done(Progress(None))
        work = repairing._Work(tree, RepairOptions(Options()), repairing._NO_FACTS, frozenset(), done)
        with pytest.raises(RepairError, match="the running kernel's"):
            work._admitted(step, [])
    finally:
        tree.close()


@pytest.mark.parametrize("strategy", ["file", "package"])
def test_directory_that_could_not_be_kept_is_in_its_place(
    system: System, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    place = system.path("/usr/share/alpha/a.txt")
    place.unlink()
    place.mkdir()
    (place / "inner").write_bytes(b"not to be lost")
    monkeypatch.setattr(Quarantine, "move", raising(QuarantineError("/a", "it cannot be kept", "Make room")))
    result = run(system, strategy)
    assert any("it cannot be kept" in failure for failure in result["failures"])
    assert (place / "inner").read_bytes() == b"not to be lost"
    assert not list(system.root.rglob(".*.ringmaster-*"))


def test_no_package_is_installed_after_one_that_could_not_be(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system.path(OTHER).write_bytes(b"x")
    failing_dpkg(tmp_path, monkeypatch, "--install")
    result = run(system, "package")
    assert (result["changed"], statuses(result)) == (True, ["failed", "not_done"])
    assert "no luck" in result["failures"][0]


def test_triggers_are_run_when_all_packages_are_installed(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await_triggers(system)
    system.path(OTHER).write_bytes(b"x")
    system.path("/boot").mkdir()
    system.path("/boot/initrd.img-6.1").write_bytes(b"made of what was there")
    failing_dpkg(tmp_path, monkeypatch, "--never")
    result = run(system, "package")
    assert (statuses(result), result["failures"]) == (["done", "done"], [])
    assert calls(tmp_path) == ["--install", "--install", "--triggers-only"]
    assert "triggers-" not in system.status.read_text()
    records = (system.path(result["quarantine"]) / "records.jsonl").read_text().splitlines()
    (kept,) = [json.loads(line) for line in records if "/boot/" in line]
    assert (system.path(result["quarantine"]) / kept["kept"]).read_bytes() == b"made of what was there"


def test_initramfs_that_there_is_no_room_for_is_made_anew_all_the_same(system: System) -> None:
    await_triggers(system)
    system.path("/boot").mkdir()
    with system.path("/boot/initrd.img-6.1").open("wb") as stream:
        stream.truncate(quarantine.MAX_BYTES + 1)
    result = run(system, "package")
    assert (statuses(result), result["failures"]) == (["done"], [])
    assert "triggers-" not in system.status.read_text()
    records = (system.path(result["quarantine"]) / "records.jsonl").read_text().splitlines()
    (record,) = [json.loads(line) for line in records if "/boot/" in line]
    assert "more than the quarantine may take" in record["not_kept"]


def test_no_initramfs_is_made_of_what_stays_damaged(system: System) -> None:
    await_triggers(system)
    system.install("kmod", {"/usr/bin/kmod": b"good"})  # No cache has it.
    system.path("/usr/bin/kmod").write_bytes(b"bad")
    result = run(system, "package")
    assert statuses(result) == ["done"]
    (failure,) = [failure for failure in result["failures"] if "triggers" in failure]
    assert "an initramfs would be made of what is damaged: /usr/bin/kmod (1 files)" in failure
    assert "triggers-pending" in system.status.read_text()
    system.path("/usr/bin/kmod").write_bytes(b"good")
    assert run(system, "package")["failures"] == []
    assert "triggers-" not in system.status.read_text()


def test_triggers_that_wait_for_the_database_are_run_in_the_end(system: System, tmp_path: Path) -> None:
    await_triggers(system)
    with pytest.MonkeyPatch.context() as patched:
        failing_dpkg(tmp_path, patched, "--triggers-only")
        run(system, "package")
    assert "triggers-pending" in system.status.read_text()
    damage_the_database(system, tmp_path)
    result = run(system, "package", trust="signed")
    assert (set(statuses(result)), result["failures"]) == ({"done"}, [])
    assert "triggers-" not in system.status.read_text()


def test_triggers_that_could_not_be_run_are_run_by_the_next_run(system: System, tmp_path: Path) -> None:
    await_triggers(system)
    with pytest.MonkeyPatch.context() as patched:
        failing_dpkg(tmp_path, patched, "--triggers-only")
        for _run in range(2):
            result = run(system, "package")
            assert any("--triggers-only" in failure for failure in result["failures"])
    assert system.path(BINARY).read_bytes() == CONTENT[BINARY]
    assert "triggers-pending" in system.status.read_text()
    run(system, "package")
    assert "triggers-" not in system.status.read_text()
    assert not run(system, "package")["changed"]


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
