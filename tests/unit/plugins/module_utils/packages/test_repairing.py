# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of damage is repaired by every strategy, verified again, and kept; nothing else changes."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands, quarantine
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount, Mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import QuarantineError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair

from .....peers.dpkg_system import System, _run
from .....peers.repairable import CACHE, CONTENT, NAMES, build_alpha, photograph
from .....peers.signed_repository import SignedRepository

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files back their owners")

BINARY = "/usr/bin/alpha"
FILE = "/usr/share/alpha/a.txt"


@pytest.fixture
def system(copy_of_sound: System) -> System:
    return copy_of_sound


@pytest.fixture(scope="module")
def repository(sound: System) -> Iterator[SignedRepository]:
    with tempfile.TemporaryDirectory() as base:
        yield SignedRepository(Path(base), sorted(sound.path(CACHE).iterdir()))


def run(system: System, dry_run: bool = False, exclude: tuple[Exclusion, ...] = (), **policy: str) -> dict[str, Any]:
    allowed = Policy(**{"minimum_trust": "digest", **policy})
    return repair(RepairOptions(Options(root=str(system.root), exclude=exclude), allowed, dry_run=dry_run))


def kept(system: System, result: dict[str, Any]) -> list[dict[str, Any]]:
    text = (system.path(result["quarantine"]) / "records.jsonl").read_text()
    return [record for record in map(json.loads, text.splitlines()) if "path" in record]


def _zeroed(system: System) -> None:
    with system.path(BINARY).open("r+b") as stream:
        stream.seek(4096)
        stream.write(bytes(4096))


def _replace(path: str, make: Callable[[Path], object]) -> Callable[[System], None]:
    def damage(system: System) -> None:
        place = system.path(path)
        place.rename(system.base / "away")
        make(place)

    return damage


def _full_directory(place: Path) -> None:
    place.mkdir()
    (place / "inner").write_bytes(b"not to be lost")


def _write(path: str, content: bytes) -> Callable[[System], None]:
    return lambda system: bool(system.path(path).write_bytes(content)) and None


def _remove(*paths: str) -> Callable[[System], None]:
    return lambda system: [system.path(path).unlink() for path in paths] and None


DAMAGES: dict[str, Callable[[System], object]] = {
    "zeroed block": _zeroed,
    "truncated": lambda system: os.truncate(system.path(BINARY), 10),
    "other content": _write(FILE, b"something else"),
    "content of an empty file": _write("/usr/share/alpha/empty", b"x"),
    "odd name": _write("/usr/share/alpha/sp ace \xfc", b"x"),
    "setuid file": _write("/usr/bin/setuid", b"x"),
    "deleted": _remove(FILE),
    "deleted setuid": _remove("/usr/bin/setuid"),
    "deleted link": _remove("/usr/share/alpha/link"),
    "deleted directory": lambda system: shutil.rmtree(system.path("/usr/share/alpha/deep")),
    "deleted empty directory": lambda system: system.path("/var/lib/alpha/state").rmdir(),
    "empty directory for a file": _replace(FILE, Path.mkdir),
    "full directory for a file": _replace(FILE, _full_directory),
    "fifo for a file": _replace(FILE, os.mkfifo),
    "dangling link for a file": _replace(FILE, lambda place: place.symlink_to("/nonexistent")),
    "file for a directory": _replace("/usr/share/alpha/deep/er", lambda place: place.write_bytes(b"x")),
    "content of several names": _write("/usr/share/alpha/first", b"x"),
    "one of several names deleted": _remove(NAMES[1]),
    "all of several names deleted": _remove("/usr/share/alpha/first", *NAMES),
}


@pytest.mark.parametrize("strategy", ["file", "package", "auto"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_repaired(system: System, damage: Callable[[System], object], strategy: str) -> None:
    before = photograph(system.root)
    damage(system)
    result = run(system, strategy=strategy)
    assert result["failures"] == []
    assert result["refusals"] == []
    assert result["changed"]
    assert result["before"]["findings_total"] > 0
    assert (result["after"]["verdict"], result["after"]["findings_total"]) == ("consistent", 0)
    assert photograph(system.root) == before
    assert not list(system.root.rglob(".*ringmaster*"))

    again = run(system, strategy=strategy)
    assert not again["changed"]
    assert again["plan_totals"] == {"steps": 0, "not_repaired": 0}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_dry_run_shows_all_steps_and_changes_nothing(system: System, damage: Callable[[System], object]) -> None:
    damage(system)
    before = photograph(system.root, without=())
    planned = run(system, dry_run=True)
    assert photograph(system.root, without=()) == before
    assert planned["changed"]
    assert planned["steps"] == []

    done = run(system)
    described = [{key: step[key] for key in planned["plan"]["steps"][0]} for step in done["steps"]]
    assert described == planned["plan"]["steps"]
    assert done["diff"] == planned["diff"]
    assert planned["diff"]["before"].count("\n") == planned["diff"]["after"].count("\n") == len(described)


@pytest.mark.parametrize("strategy", ["file", "package"])
def test_everything_that_is_replaced_is_kept(system: System, strategy: str) -> None:
    _zeroed(system)
    damaged = system.path(BINARY).read_bytes()
    os.chown(system.path(BINARY), 123, 456)
    os.setxattr(system.path(BINARY), "user.note", b"mine")
    _full_directory_damage = _replace(FILE, _full_directory)
    _full_directory_damage(system)
    result = run(system, strategy=strategy)
    records = {(record["path"], record["type"]): record for record in kept(system, result)}
    place = system.path(result["quarantine"])
    record = records[BINARY, "file"]
    assert (place / record["kept"]).read_bytes() == damaged
    assert (record["uid"], record["gid"], record["mode"]) == (123, 456, "0644")
    assert record["xattrs"]["user.note"] == "bWluZQ=="
    assert (place / records[FILE, "directory"]["kept"] / "inner").read_bytes() == b"not to be lost"
    assert place.stat().st_mode & 0o7777 == place.parent.stat().st_mode & 0o7777 == 0o700


def test_what_a_package_step_replaces_besides_is_shown_and_kept(system: System) -> None:
    _zeroed(system)
    _replace(FILE, lambda place: place.symlink_to("../moved"))(system)
    system.path("/usr/share/moved").write_bytes(CONTENT[FILE])
    system.path("/usr/bin/setuid").chmod(0o700)
    os.setxattr(system.path("/usr/share/alpha/empty"), "user.note", b"mine")
    system.path("/usr/share/alpha/extra").symlink_to("listed")
    with (system.info / "alpha.list").open("a") as stream:
        stream.write("/usr/share/alpha/extra\n")
    planned = run(system, dry_run=True, strategy="package")
    (step,) = planned["plan"]["steps"]
    assert step["before"]["damaged"] == [BINARY]
    assert step["before"]["replaced"] == [
        "/usr/bin/setuid (mode_changed)",
        f"{FILE} (type_changed)",
        "/usr/share/alpha/empty (attributes_changed)",
        "/usr/share/alpha/extra (removed)",
    ]
    assert f"{FILE} (type_changed)" in planned["diff"]["before"]

    result = run(system, strategy="package")
    assert result["failures"] == []
    records = {record["path"]: record for record in kept(system, result)}
    assert records[FILE]["target"] == "../moved"
    assert (records["/usr/bin/setuid"]["mode"], records["/usr/bin/setuid"].get("kept")) == ("0700", None)
    assert records["/usr/share/alpha/empty"]["xattrs"]["user.note"] == "bWluZQ=="
    assert records["/usr/share/alpha/extra"]["target"] == "listed"
    assert records.keys() == {BINARY, FILE, "/usr/bin/setuid", "/usr/share/alpha/empty", "/usr/share/alpha/extra"}


EXCLUDED: dict[str, tuple[Callable[[System], object], bool]] = {
    "changed": (_write(FILE, b"mine"), True),
    "changed mode": (lambda system: system.path(FILE).chmod(0o600), True),
    "lost": (_remove(FILE), True),
    "full directory": (_replace(FILE, _full_directory), True),
    "sound": (_write("/usr/share/alpha/not the package's", b"x"), False),
}


@pytest.mark.parametrize(("damage", "is_refused"), EXCLUDED.values(), ids=EXCLUDED.keys())
def test_package_that_would_replace_what_is_excluded_is_refused(
    system: System, damage: Callable[[System], object], is_refused: bool
) -> None:
    _zeroed(system)
    damage(system)
    before = photograph(system.root)
    result = run(system, exclude=(Exclusion("/usr/share/alpha/*", "it is mine"),), strategy="package")
    if is_refused:
        assert photograph(system.root) == before
        assert not result["changed"]
        (refused,) = result["plan"]["not_repaired"]
        assert refused["path"] == BINARY
        assert FILE in refused["reason"]
        assert "it is mine" in refused["reason"]
        assert "exclusion" in refused["remedy"]
    else:
        assert (result["after"]["findings_total"], result["failures"]) == (0, [])


def test_directory_in_the_place_of_a_file_is_back_where_it_was_when_dpkg_fails(system: System) -> None:
    _zeroed(system)
    _replace(FILE, _full_directory)(system)
    before = photograph(system.root)
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patched:
        program = Path(directory) / "dpkg"
        program.write_text("#!/bin/sh\nexit 2\n")
        program.chmod(0o755)
        patched.setattr(commands, "PATH", f"{directory}:{commands.PATH}")
        result = run(system, strategy="package")
    assert [step["status"] for step in result["steps"]] == ["failed"]
    assert photograph(system.root) == before
    assert any("moved_back" in record for record in kept(system, result))


@pytest.mark.parametrize("strategy", ["file", "package"])
@pytest.mark.parametrize("hindrance", ["another file system", "a mount"])
def test_directory_that_cannot_be_moved_is_refused_and_the_rest_repaired(
    system: System, monkeypatch: pytest.MonkeyPatch, strategy: str, hindrance: str
) -> None:
    _replace(FILE, _full_directory)(system)
    system.path("/usr/share/beta/data").write_bytes(b"x")
    if hindrance == "a mount":
        mount = Mount(0, b"/", FILE.encode() + b"/inner", "ext4", "", frozenset())
        monkeypatch.setattr(quarantine, "read_mounts", lambda _tree: Mounts([mount]))
    else:
        rename = os.rename

        def across_file_systems(source: bytes, target: bytes, **named: int) -> None:
            if re.fullmatch(rb"\d{6}", target):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            rename(source, target, **named)

        monkeypatch.setattr(os, "rename", across_file_systems)
    result = run(system, strategy=strategy)
    assert sorted(step["status"] for step in result["steps"]) == ["done", "failed"]
    assert any(f"{FILE}: it is a directory" in failure for failure in result["failures"])
    assert (system.path(FILE) / "inner").read_bytes() == b"not to be lost"
    assert system.path("/usr/share/beta/data").read_bytes() == b"data\n" * 3000
    assert not list(system.root.rglob(".*ringmaster*"))


def test_owner_mode_and_attributes_of_a_damaged_file_are_kept(system: System) -> None:
    place = system.path(BINARY)
    before = place.read_bytes()
    place.write_bytes(b"x")
    os.chown(place, 12, 34)
    place.chmod(0o2751)
    os.setxattr(place, "user.note", b"mine")
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(place, "security.capability", capability)
    assert run(system)["failures"] == []
    status = place.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (12, 34, 0o2751)
    assert os.getxattr(place, "user.note") == b"mine"
    assert os.getxattr(place, "security.capability") == capability
    assert place.read_bytes() == before


CONFFILES = {
    # policy: (missing comes back, changed comes back)
    "keep": (False, False),
    "restore_missing": (True, False),
    "restore": (True, True),
}


@pytest.mark.parametrize("strategy", ["file", "package", "auto"])
@pytest.mark.parametrize("policy", CONFFILES)
def test_pitfalls_10_and_11_conffiles_are_touched_only_on_request(system: System, policy: str, strategy: str) -> None:
    changed, missing = system.path("/etc/alpha.conf"), system.path("/etc/alpha.d/b.conf")
    changed.write_bytes(b"mine\n")
    missing.unlink()
    _zeroed(system)
    result = run(system, conffiles=policy, strategy=strategy)
    comes_back, is_replaced = CONFFILES[policy]
    assert result["failures"] == []
    assert missing.exists() == comes_back
    assert changed.read_bytes() == (CONTENT["/etc/alpha.conf"] if is_replaced else b"mine\n")
    reasons = {each["path"]: each["reason"] for each in result["plan"]["not_repaired"]}
    assert ("/etc/alpha.conf" in reasons) == (not is_replaced)
    assert ("/etc/alpha.d/b.conf" in reasons) == (not comes_back)
    assert system.path(BINARY).read_bytes() == CONTENT[BINARY]


def test_what_no_package_owns_is_left_alone(system: System) -> None:
    extra = system.path("/usr/share/alpha/extra")
    extra.write_bytes(b"mine")
    _zeroed(system)
    run(system)
    assert extra.read_bytes() == b"mine"


def test_unsigned_package_is_not_enough_by_default(system: System) -> None:
    _zeroed(system)
    result = run(system, minimum_trust="signed")
    assert not result["changed"]
    assert result["steps"] == []
    (refused,) = result["plan"]["not_repaired"]
    assert "signed" in refused["reason"]


def test_package_that_cannot_be_had_is_told(system: System) -> None:
    shutil.rmtree(system.path(CACHE))
    _zeroed(system)
    result = run(system)
    assert not result["changed"]
    (refused,) = result["plan"]["not_repaired"]
    assert "no archive" in refused["reason"]
    assert refused["remedy"]


def test_package_directory_is_a_source(system: System, tmp_path: Path) -> None:
    for package in system.path(CACHE).iterdir():
        shutil.move(package, tmp_path)
    _zeroed(system)
    options = Options(root=str(system.root), package_directories=(str(tmp_path),))
    result = repair(RepairOptions(options, Policy(minimum_trust="digest")))
    assert result["after"]["verdict"] == "consistent"
    assert str(tmp_path) in result["steps"][0]["source"]


@pytest.mark.parametrize("strategy", ["file", "package"])
def test_pitfall_34_immutable_file_is_refused_with_a_remedy(system: System, strategy: str) -> None:
    _zeroed(system)
    place = system.path(BINARY)
    subprocess.run(["chattr", "+i", place], check=True)
    try:
        result = run(system, strategy=strategy)
    finally:
        subprocess.run(["chattr", "-i", place], check=True)
    assert not result["changed"]
    (refused,) = result["plan"]["not_repaired"]
    assert "immutable" in refused["reason"]
    assert "chattr" in refused["remedy"]


def test_pitfall_34_immutable_sibling_stops_a_package_before_dpkg_begins(system: System) -> None:
    _zeroed(system)
    place = system.path(FILE)
    status = system.status.read_bytes()
    subprocess.run(["chattr", "+i", place], check=True)
    try:
        result = run(system, strategy="package")
    finally:
        subprocess.run(["chattr", "-i", place], check=True)
    assert [step["status"] for step in result["steps"]] == ["failed"]
    assert "immutable" in result["failures"][0]
    assert system.status.read_bytes() == status


def test_lost_file_that_a_script_gives_its_mode_needs_the_package(system: System) -> None:
    package = build_alpha(system.base, {"postinst": "#!/bin/sh\nchgrp games /usr/bin/setuid\n"})
    system.dpkg("--unpack", package)
    shutil.copy(package, system.path(CACHE))
    text = system.status.read_text().replace("install ok unpacked", "install ok installed")
    system.status.write_text(text.replace("newconffile", "0" * 32))
    system.path("/usr/bin/setuid").unlink()
    system.path(FILE).unlink()
    result = run(system, dry_run=True, strategy="file", conffiles="keep")
    reasons = {each["path"]: each["reason"] for each in result["plan"]["not_repaired"]}
    assert "configured" in reasons["/usr/bin/setuid"]
    assert [step["path"] for step in result["plan"]["steps"]] == [FILE]
    assert [step["kind"] for step in run(system, dry_run=True)["plan"]["steps"]] == ["install_package"]


@pytest.mark.parametrize("strategy", ["file", "package"])
def test_damaged_database_files_are_written_anew_from_a_signed_package(
    system: System, repository: SignedRepository, strategy: str
) -> None:
    repository.trust(system.root)
    listed, digests = system.info / "alpha.list", system.info / "alpha.md5sums"
    before = listed.read_bytes(), digests.read_bytes()
    listed.write_bytes(before[0][:50] + bytes(30) + before[0][80:])
    digests.write_bytes(before[1][:-5])
    _zeroed(system)
    result = run(system, minimum_trust="signed", strategy=strategy)
    assert result["failures"] == []
    assert result["after"]["verdict"] == "consistent"
    assert sorted(listed.read_bytes().splitlines()) == sorted(before[0].splitlines())
    # dpkg itself leaves out the further names of a file, when it has to compute the digests.
    assert set(digests.read_bytes().splitlines()) >= set(before[1].splitlines())
    assert system.path(BINARY).read_bytes() == CONTENT[BINARY]
    assert {step["trust"] for step in result["steps"]} == {"signed"}
    assert [step["stage"] for step in result["steps"]][:2] == ["database", "database"]


def test_list_is_written_anew_as_dpkg_writes_it(system: System, repository: SignedRepository) -> None:
    repository.trust(system.root)
    configuration = system.path("/etc/dpkg/dpkg.cfg.d/filters")
    configuration.parent.mkdir(parents=True)
    configuration.write_text("path-exclude=/usr/share/alpha/deep/*\n")
    _run("dpkg-divert", f"--root={system.root}", "--package", "gamma", "--divert", f"{BINARY}.real", "--rename", BINARY)
    system.install("gamma", {BINARY: b"gamma's\n", FILE: b"gamma's\n"}, fields="Replaces: alpha\n")
    package = system.path(CACHE) / "alpha_1.0_all.deb"
    system.dpkg("--path-exclude=/usr/share/alpha/deep/*", "--install", package)
    listed = system.info / "alpha.list"
    before = listed.read_bytes()
    assert not system.path("/usr/share/alpha/deep/er/b.txt").exists()
    listed.write_bytes(before[:50] + bytes(30) + before[80:])
    result = run(system, minimum_trust="signed")
    assert result["failures"] == []
    assert sorted(listed.read_bytes().splitlines()) == sorted(before.splitlines())


def test_damaged_database_without_a_package_is_refused(system: System) -> None:
    digests = system.info / "alpha.md5sums"
    digests.write_bytes(digests.read_bytes()[:-5])
    _zeroed(system)
    damage_in_another = system.path("/usr/share/beta/data")
    damage_in_another.write_bytes(b"x")
    result = run(system)
    assert not result["changed"]
    assert "database is unsound" in result["refusals"][0]["reason"]
    assert damage_in_another.read_bytes() == b"x"


def test_damaged_status_file_is_refused_with_its_remedy(system: System, repository: SignedRepository) -> None:
    repository.trust(system.root)
    _zeroed(system)
    with system.status.open("ab") as stream:
        stream.write(bytes(20))
    result = run(system, minimum_trust="signed")
    assert not result["changed"]
    assert "status" in result["refusals"][0]["reason"]
    assert "status-old" in result["refusals"][0]["remedy"]


@pytest.mark.parametrize("strategy", ["file", "package"])
def test_signed_package_is_enough(system: System, repository: SignedRepository, strategy: str) -> None:
    repository.trust(system.root)
    shutil.rmtree(system.path(CACHE))
    _zeroed(system)
    result = run(system, minimum_trust="signed", strategy=strategy)
    assert result["failures"] == []
    assert [step["trust"] for step in result["steps"]] == ["signed"]
    assert system.path(BINARY).read_bytes() == CONTENT[BINARY]


def test_running_transaction_is_not_disturbed(system: System) -> None:
    _zeroed(system)
    program = (
        "import fcntl,sys,time;f=open(sys.argv[1],'w');fcntl.lockf(f,fcntl.LOCK_EX);print(1,flush=True);time.sleep(60)"
    )
    command = ["python3", "-c", program, str(system.path("/var/lib/dpkg/lock-frontend"))]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        result = run(system)
    finally:
        holder.kill()
        holder.wait()
    assert not result["changed"]
    assert "transaction is running" in result["refusals"][0]["reason"]
    assert run(system)["changed"]


def test_pitfall_18_held_package_stays_held(system: System) -> None:
    subprocess.run(
        ["dpkg", f"--root={system.root}", "--set-selections"], input=b"alpha hold\n", check=True, capture_output=True
    )
    _zeroed(system)
    result = run(system, strategy="package")
    assert result["after"]["verdict"] == "consistent"
    assert "Status: hold ok installed" in system.status.read_text()


@pytest.mark.parametrize("is_left_out", [False, True])
def test_what_dpkg_leaves_out_is_what_the_root_says_and_not_the_machine(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_left_out: bool
) -> None:
    program = tmp_path / "dpkg"
    program.write_text('#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec dpkg "--path-exclude=/usr/share/*" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(commands, "PATH", f"{tmp_path}:{commands.PATH}")
    _zeroed(system)
    odd = system.path("/usr/share/alpha/sp ace \xfc")
    if is_left_out:
        configuration = system.path("/etc/dpkg/dpkg.cfg.d/filters")
        configuration.parent.mkdir(parents=True)
        configuration.write_text("path-exclude=/usr/share/alpha/sp*\n")
        odd.unlink()
    result = run(system, strategy="package")
    assert result["failures"] == []
    assert system.path(FILE).read_bytes() == CONTENT[FILE]
    assert odd.exists() != is_left_out


def test_nothing_outside_the_root_is_touched(system: System) -> None:
    outside = system.base / "outside"
    outside.mkdir()
    (outside / "a.txt").write_bytes(b"outside")
    share = system.path("/usr/share/alpha")
    share.rename(system.base / "share")
    share.symlink_to(outside)
    result = run(system)
    assert [entry.name for entry in outside.iterdir()] == ["a.txt"]
    assert (outside / "a.txt").read_bytes() == b"outside"
    assert result["failures"] or result["plan_totals"]["not_repaired"] or not share.is_symlink()


def test_quarantine_that_somebody_else_could_write_to_is_not_used(system: System) -> None:
    _zeroed(system)
    place = system.path("/var/lib/ringmaster/quarantine")
    place.mkdir(parents=True)
    place.chmod(0o777)
    damaged = system.path(BINARY).read_bytes()
    with pytest.raises(QuarantineError, match="others may write to it"):
        run(system)
    assert system.path(BINARY).read_bytes() == damaged


def test_dry_run_leaves_the_mode_of_a_quarantine(system: System) -> None:
    _zeroed(system)
    place = system.path("/var/lib/ringmaster/quarantine")
    place.mkdir(parents=True)
    place.chmod(0o755)
    run(system, dry_run=True)
    assert place.stat().st_mode & 0o7777 == 0o755
    run(system)
    assert place.stat().st_mode & 0o7777 == 0o700


def test_quarantine_is_never_reached_through_a_link(system: System) -> None:
    _zeroed(system)
    outside = system.base / "outside"
    outside.mkdir()
    system.path("/var/lib/ringmaster").symlink_to(outside)
    with pytest.raises(QuarantineError):
        run(system)
    assert list(outside.iterdir()) == []
