# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of real rpm packages are repaired from the very .rpm that is installed, and from nothing else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import rpm_file
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import DatabaseLocks
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_sources import locks_of
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.repairable import photograph
from .....peers.rpm_signer import RpmSigner, require_signing
from .....peers.rpm_system import RpmSystem, flip

CACHE = "/var/cache/dnf/base-0123456789abcdef/packages"
FILES = {
    "/usr/bin/tool": os.urandom(50_000),
    "/usr/bin/set-id": b"#!/bin/sh\n",
    "/usr/share/tool/first": b"the same\n" * 100,
    "/usr/share/tool/empty": b"",
    "/etc/tool.conf": b"setting = 1\n",
}
LISTED = [
    "%caps(cap_net_raw=ep) /usr/bin/tool",
    "%attr(4755,root,mail) /usr/bin/set-id",
    "/usr/bin/link",
    "%config(noreplace) /etc/tool.conf",
    "%attr(750,daemon,mail) /usr/share/tool",
]
INSTALL = "ln -s tool %{buildroot}/usr/bin/link; cd %{buildroot}/usr/share/tool; ln first second"


class Site(NamedTuple):
    """A sound root, its packages (the signed one is in its cache), and who signs."""

    system: RpmSystem
    package: Path
    signer: RpmSigner


@pytest.fixture(scope="module")
def sound() -> Iterator[Site]:
    """A root with one package, which is signed and in the root's cache; not to be damaged."""
    require_signing()
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        system = RpmSystem.new(Path(base))
        signer = RpmSigner()
        package = system.build("tool", FILES, LISTED, install=INSTALL)
        signer.sign(package)
        system.install(package)
        (system.base / "key.asc").write_bytes(signer.public)
        assert system.rpm("--import", system.base / "key.asc").returncode == 0
        system.path(CACHE).mkdir(parents=True)
        shutil.copy(package, system.path(CACHE))
        yield Site(system, package, signer)
        signer.close()


@pytest.fixture
def system(sound: Site) -> Iterator[RpmSystem]:
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield sound.system.copy(Path(base))


def run(system: RpmSystem, dry_run: bool = False, directories: tuple[str, ...] = (), **policy: str) -> dict[str, Any]:
    verification = Options(root=str(system.root), package_directories=directories)
    return repair(RepairOptions(verification, Policy(**policy), dry_run=dry_run))


def reasons(result: dict[str, Any]) -> dict[str, str]:
    return {each["path"]: each["reason"] for each in result["plan"]["not_repaired"]}


def _zeroed(system: RpmSystem) -> None:
    with system.path("/usr/bin/tool").open("r+b") as stream:
        stream.seek(4096)
        stream.write(bytes(4096))


def _at(path: str, *deeds: Callable[[Path], object]) -> Callable[[RpmSystem], None]:
    def damage(system: RpmSystem) -> None:
        for deed in deeds:
            deed(system.path(path))

    return damage


def _linked_elsewhere(place: Path) -> None:
    place.unlink()
    place.symlink_to("/etc/passwd")


def _full_directory(place: Path) -> None:
    place.mkdir()
    (place / "inner").write_bytes(b"not to be lost")


DAMAGES: dict[str, tuple[Callable[[RpmSystem], None], str]] = {
    "a zeroed block, and the capabilities with it": (_zeroed, "content_changed"),
    "a deleted file with capabilities": (_at("/usr/bin/tool", Path.unlink), "missing"),
    "capabilities alone": (
        _at("/usr/bin/tool", lambda place: os.removexattr(place, "security.capability")),
        "capabilities_changed",
    ),
    "a deleted set-user-id file": (_at("/usr/bin/set-id", Path.unlink), "missing"),
    "a mode": (_at("/usr/bin/set-id", lambda place: place.chmod(0o755)), "mode_changed"),
    "an owner": (_at("/usr/bin/set-id", lambda place: os.chown(place, 1, 1)), "owner_changed"),
    "a link that leads elsewhere": (_at("/usr/bin/link", _linked_elsewhere), "target_changed"),
    "a deleted link": (_at("/usr/bin/link", Path.unlink), "missing"),
    "a directory in the place of a file": (_at("/usr/bin/set-id", Path.unlink, _full_directory), "type_changed"),
    "a FIFO in the place of a file": (_at("/usr/bin/set-id", Path.unlink, os.mkfifo), "type_changed"),
    "one of two names": (_at("/usr/share/tool/second", Path.unlink), "missing"),
    "the content of two names": (
        _at("/usr/share/tool/second", lambda place: place.write_bytes(b"x")),
        "content_changed",
    ),
    "a directory with all that is in it": (_at("/usr/share/tool", shutil.rmtree), "missing"),
    "the owner of a directory": (_at("/usr/share/tool", lambda place: os.chown(place, 0, 0)), "owner_changed"),
    "an empty file": (_at("/usr/share/tool/empty", lambda place: place.write_bytes(b"x")), "content_changed"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_kind_of_damage_is_repaired_and_a_second_run_finds_nothing(
    sound: Site, system: RpmSystem, name: str
) -> None:
    damage, category = DAMAGES[name]
    damage(system)
    result = run(system)
    assert category in result["before"]["by_class"]
    assert (result["failures"], result["refusals"], reasons(result)) == ([], [], {})
    assert result["after"]["verdict"] == "consistent"
    assert {step["trust"] for step in result["steps"]} == {"signed"}
    assert sound.signer.fingerprint in result["steps"][0]["source"]
    assert photograph(system.root) == photograph(sound.system.root)

    again = run(system)
    assert (again["changed"], again["plan"]["steps"]) == (False, [])


def test_check_mode_changes_nothing_and_shows_the_step(system: RpmSystem) -> None:
    _zeroed(system)
    before = photograph(system.root, without=())
    result = run(system, dry_run=True)
    assert result["changed"]
    assert [step["path"] for step in result["plan"]["steps"]] == ["/usr/bin/tool"]
    assert "/usr/bin/tool" in result["diff"]["after"]
    assert photograph(system.root, without=()) == before


def test_what_an_administrator_may_have_changed_is_left(system: RpmSystem) -> None:
    system.path("/etc/tool.conf").write_bytes(b"setting = 2\n")
    result = run(system)
    assert "conffile" in reasons(result)["/etc/tool.conf"]
    assert system.path("/etc/tool.conf").read_bytes() == b"setting = 2\n"


def test_a_conffile_is_restored_when_that_is_asked_for(system: RpmSystem) -> None:
    system.path("/etc/tool.conf").write_bytes(b"setting = 2\n")
    result = run(system, conffiles="restore")
    assert result["failures"] == []
    assert system.path("/etc/tool.conf").read_bytes() == FILES["/etc/tool.conf"]


def _unsigned(site: Site, system: RpmSystem) -> None:
    """Put the package as it was before it was signed; its header is the same."""
    package = next(system.path(CACHE).iterdir())
    shutil.copy(site.package, package)
    assert system.rpm("-q", "tool").returncode == 0
    _delete_signature(package)


def _delete_signature(package: Path) -> None:
    subprocess.run(["rpmsign", "--delsign", str(package)], capture_output=True, check=True)


def _another_build(site: Site, system: RpmSystem) -> None:
    package = system.build("tool", {**FILES, "/usr/bin/tool": b"another"}, LISTED, install=INSTALL)
    site.signer.sign(package)
    package.replace(next(system.path(CACHE).iterdir()))


def _another_build_without_signature(system: RpmSystem) -> None:
    package = system.build("tool", {**FILES, "/usr/bin/tool": b"another"}, LISTED, install=INSTALL)
    package.replace(next(system.path(CACHE).iterdir()))


def _damaged(_site: Site, system: RpmSystem) -> None:
    package = next(system.path(CACHE).iterdir())
    flip(package, package.stat().st_size - 20_000)


def _renamed(site: Site, system: RpmSystem) -> None:
    package = system.build("other", {"/usr/bin/other": b"x"})
    site.signer.sign(package)
    package.replace(next(system.path(CACHE).iterdir()))


def _untrusted(_site: Site, system: RpmSystem) -> None:
    done = system.rpm("-e", "--allmatches", "gpg-pubkey")
    assert done.returncode == 0, done.stderr


def _absent(_site: Site, system: RpmSystem) -> None:
    next(system.path(CACHE).iterdir()).unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_unsigned, "its header is not signed"),
        (_another_build, "another build of this version"),
        (_damaged, "cannot be read"),
        (_renamed, "another package than its name says"),
        (_untrusted, "trusts no key"),
        (_absent, "no directory has tool-1.0-1.noarch.rpm"),
    ],
)
def test_nothing_is_written_from_what_cannot_be_trusted(
    sound: Site, system: RpmSystem, spoil: Callable[[Site, RpmSystem], None], reason: str
) -> None:
    spoil(sound, system)
    _zeroed(system)
    damaged = system.path("/usr/bin/tool").read_bytes()
    result = run(system)
    assert reason in reasons(result)["/usr/bin/tool"]
    assert (result["changed"], result["plan"]["steps"]) == (False, [])
    assert system.path("/usr/bin/tool").read_bytes() == damaged


def test_an_unsigned_package_that_is_the_installed_one_serves_where_that_is_enough(
    sound: Site, system: RpmSystem
) -> None:
    _unsigned(sound, system)
    _zeroed(system)
    result = run(system, minimum_trust="digest")
    assert (result["failures"], result["steps"][0]["trust"]) == ([], "digest")
    assert system.path("/usr/bin/tool").read_bytes() == FILES["/usr/bin/tool"]


def test_a_bad_copy_hides_no_good_one(system: RpmSystem) -> None:
    package = next(system.path(CACHE).iterdir())
    for name in ("a", "z"):
        other = system.path(f"/var/cache/dnf/{name}/packages") / package.name
        other.parent.mkdir(parents=True)
        other.write_bytes(package.read_bytes()[:-1000])
    (system.path("/var/cache/dnf/b") / package.name).mkdir(parents=True)
    os.mkfifo(system.path("/var/cache/dnf") / package.name)
    _zeroed(system)
    result = run(system)
    assert (result["failures"], len(result["steps"])) == ([], 1)
    assert system.path("/usr/bin/tool").read_bytes() == FILES["/usr/bin/tool"]


SHARED = "/usr/bin/shared"


def _shared(system: RpmSystem, site: Site, name: str, content: bytes, mode: str) -> Path:
    package = system.build(name, {SHARED: content}, [f"%attr({mode},root,root) {SHARED}"])
    site.signer.sign(package)
    system.install("--replacefiles", package)
    return package


@pytest.mark.parametrize("has_winner", [True, False])
@pytest.mark.parametrize("names", [("aaa", "bbb"), ("bbb", "aaa")])
def test_a_package_vouches_for_nothing_that_another_has_replaced(
    sound: Site, system: RpmSystem, names: tuple[str, str], has_winner: bool
) -> None:
    loser = _shared(system, sound, names[0], b"of the loser\n", "755")
    winner = _shared(system, sound, names[1], b"of the winner\n", "4755")
    shutil.copy(loser, system.path(CACHE))
    if has_winner:
        shutil.copy(winner, system.path(CACHE))
    assert system.path(SHARED).read_bytes() == b"of the winner\n"
    system.path(SHARED).write_bytes(b"damaged\n")

    result = run(system)
    assert result["failures"] == []
    if has_winner:
        assert [step["package"] for step in result["steps"]] == [names[1]]
        assert system.path(SHARED).read_bytes() == b"of the winner\n"
        assert stat.S_IMODE(system.path(SHARED).stat().st_mode) == 0o4755
    else:
        assert f"{winner.name}" in reasons(result)[SHARED]
        assert system.path(SHARED).read_bytes() == b"damaged\n"


@pytest.mark.parametrize("has_winner", [True, False])
def test_a_link_that_another_package_has_replaced_is_the_others(
    sound: Site, system: RpmSystem, has_winner: bool
) -> None:
    link = "/usr/bin/shared-link"
    for name in ("aaa", "bbb"):
        package = system.build(
            name, {}, [link], install=f"mkdir -p %{{buildroot}}/usr/bin; ln -s {name} %{{buildroot}}{link}"
        )
        sound.signer.sign(package)
        system.install("--replacefiles", package)
        if has_winner or name == "aaa":
            shutil.copy(package, system.path(CACHE))
    system.path(link).unlink()

    run(system)
    assert system.path(link).is_symlink() is has_winner
    assert not has_winner or system.path(link).readlink() == Path("bbb")


def test_a_lost_file_gets_the_capabilities_that_are_not_to_be_verified(sound: Site, system: RpmSystem) -> None:
    path = "/usr/bin/capable"
    package = system.build("capable", {path: b"x\n"}, [f"%verify(not caps) %caps(cap_net_raw=ep) {path}"])
    sound.signer.sign(package)
    system.install(package)
    shutil.copy(package, system.path(CACHE))
    before = os.getxattr(system.path(path), "security.capability")
    system.path(path).unlink()
    assert run(system)["failures"] == []
    assert os.getxattr(system.path(path), "security.capability") == before


def test_a_stranger_is_not_decompressed(system: RpmSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    _another_build_without_signature(system)
    _zeroed(system)
    monkeypatch.setattr(rpm_file, "read", lambda path: pytest.fail(f"{path} was read whole"))
    assert "another build" in reasons(run(system))["/usr/bin/tool"]


def test_a_directory_of_packages_is_a_source(sound: Site, system: RpmSystem) -> None:
    shutil.rmtree(system.path("/var/cache/dnf"))
    _zeroed(system)
    result = run(system, directories=(str(sound.package.parent),))
    assert (result["failures"], len(result["steps"])) == ([], 1)


def test_a_whole_package_is_installed_by_hand(system: RpmSystem) -> None:
    _zeroed(system)
    result = run(system, strategy="package")
    (refused,) = result["plan"]["not_repaired"]
    assert "not installed as a whole" in refused["reason"]
    assert "dnf reinstall tool-1.0-1.noarch" in refused["remedy"]
    assert not result["changed"]


def test_a_transaction_of_rpm_refuses_the_repair(system: RpmSystem) -> None:
    _zeroed(system)
    tree = Tree(str(system.root))
    try:
        with DatabaseLocks(tree, locks_of(tree)):
            result = run(system)
    finally:
        tree.close()
    assert ["/var/lib/rpm/.rpm.lock" in each["reason"] for each in result["refusals"]] == [True]
    assert not result["changed"]


def test_the_lock_is_the_one_that_rpm_takes(sound: Site, system: RpmSystem) -> None:
    tree = Tree(str(system.root))
    try:
        with DatabaseLocks(tree, locks_of(tree)):
            done = system.rpm("-U", "--replacepkgs", "--nodeps", sound.package)
    finally:
        tree.close()
    assert done.returncode != 0
    assert b"lock" in done.stderr


def test_a_file_of_an_owner_whom_nobody_knows_is_not_made_roots(system: RpmSystem) -> None:
    group = system.path("/etc/group")
    group.write_text("".join(line for line in group.read_text().splitlines(True) if not line.startswith("mail")))
    system.path("/usr/bin/set-id").unlink()
    result = run(system)
    assert any("'mail', whom this system does not know" in failure for failure in result["failures"])
    assert not system.path("/usr/bin/set-id").exists()


def test_nothing_is_repaired_while_the_database_has_a_damaged_header(system: RpmSystem) -> None:
    other = system.build("other", {"/usr/share/other/file": b"other\n"})
    system.install(other)
    blob = bytearray(system.blob("other"))
    blob[-200] ^= 1
    system.replace_blob("other", bytes(blob))
    _zeroed(system)
    result = run(system)
    (refusal,) = result["refusals"]
    assert "the header of package other (record 3) is damaged" in refusal["reason"]
    assert "dnf reinstall" in refusal["remedy"]
    assert not result["changed"]


def test_special_bits_are_those_of_the_package(system: RpmSystem) -> None:
    system.path("/usr/bin/set-id").unlink()
    run(system)
    status = system.path("/usr/bin/set-id").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o4755, 0, 8)
