# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is foretold to be replaced by the installation of a package is what dpkg replaces, and no more or less."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import deb, repair_replaced
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_database import PackageDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount, Mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair import installation
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_replaced import (
    Replaced,
    listed_only,
    replaced_by,
    with_replaced,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import RepairError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.dpkg_system import System, _run
from .....peers.repairable import CACHE, CONTENT, photograph

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other owners")

SHARE = "/usr/share/alpha"
FILE = f"{SHARE}/a.txt"
LINK = f"{SHARE}/link"
DIRECTORY = f"{SHARE}/deep/er"
STATE = "/var/lib/alpha/state"


@pytest.fixture
def system(copy_of_sound: System) -> System:
    return copy_of_sound


def package(system: System) -> Path:
    return system.path(CACHE) / "alpha_1.0_all.deb"


def known(system: System, tree: Tree) -> tuple[Facts, VerifiedPackage]:
    database, manifest = PackageDatabase(tree), read_manifest(tree)
    reference = VerifiedPackage(deb.read(str(package(system))), "digest", "a test", str(package(system)))
    places = {("alpha", path): database.place(database.packages["alpha"], path) for path in reference.contents.members}
    references: dict[str, VerifiedPackage | str] = {"alpha": reference}
    facts = Facts(
        {entry.path: entry for entry in manifest.entries},
        references,
        {},
        {},
        {},
        places,
        manifest.filters,
        (),
        listed_only(manifest.entries, references),
    )
    return facts, reference


def foretold(system: System, avoided: tuple[bytes, ...] = ()) -> dict[str, Replaced]:
    tree = Tree(str(system.root))
    tree.avoided = avoided
    try:
        facts, reference = known(system, tree)
        step = installation("alpha", reference, [], "")
        return {os.fsdecode(each.path): each for each in replaced_by(tree, step, facts)}
    finally:
        tree.close()


def exchange(path: str, make: Callable[[Path], object]) -> Callable[[System], object]:
    def change(system: System) -> None:
        place = system.path(path)
        place.rename(system.base / "away")
        make(place)

    return change


def fill(place: Path) -> None:
    place.mkdir()
    (place / "inner").write_bytes(b"x")


def link_to_a_directory(system: System) -> None:
    system.path(DIRECTORY).rename(system.path("/srv"))
    system.path(DIRECTORY).symlink_to("../../../../srv")


def list_another_file(system: System) -> None:
    system.path(f"{SHARE}/extra").write_bytes(b"mine")
    with (system.info / "alpha.list").open("a") as stream:
        stream.write(f"{SHARE}/extra\n")


def divert(system: System) -> None:
    names = ("--divert", f"{FILE}.real", "--rename", FILE)
    _run("dpkg-divert", f"--root={system.root}", "--package", "gamma", "--add", *names)
    system.install("gamma", {FILE: b"gamma's\n"})
    system.path(f"{FILE}.real").write_bytes(b"changed")


def be_replaced(system: System) -> None:
    system.install("gamma", {FILE: b"gamma's\n"}, fields="Replaces: alpha\n")


def override(system: System) -> None:
    _run("dpkg-statoverride", f"--root={system.root}", "--update", "--add", "root", "root", "0600", FILE)


#: What is done to a sound root, and what dpkg does to which path.
CHANGES: dict[str, tuple[Callable[[System], object], dict[str, tuple[str, ...]]]] = {
    "content": (lambda system: system.path(FILE).write_bytes(b"x"), {FILE: ("content_changed",)}),
    "content of the same size": (
        lambda system: system.path(FILE).write_bytes(CONTENT[FILE][::-1]),
        {FILE: ("content_changed",)},
    ),
    "mode": (lambda system: system.path(FILE).chmod(0o600), {FILE: ("mode_changed",)}),
    "owner": (lambda system: os.chown(system.path(FILE), 12, 0), {FILE: ("owner_changed",)}),
    "mode that the administrator has set": (override, {}),
    "mode of a directory": (lambda system: system.path(DIRECTORY).chmod(0o700), {}),
    "link for a file": (exchange(FILE, lambda place: place.symlink_to("/srv/a")), {FILE: ("type_changed",)}),
    "fifo for a file": (exchange(FILE, os.mkfifo), {FILE: ("type_changed",)}),
    "full directory for a file": (exchange(FILE, fill), {FILE: ("type_changed",)}),
    "target of a link": (exchange(LINK, lambda place: place.symlink_to("other")), {LINK: ("target_changed",)}),
    "file for a link": (exchange(LINK, lambda place: place.write_bytes(b"x")), {LINK: ("type_changed",)}),
    "full directory for a link": (exchange(LINK, fill), {}),
    "link to a directory for a directory": (link_to_a_directory, {}),
    "lost file": (lambda system: system.path(FILE).unlink(), {FILE: ("missing",)}),
    "changed conffile": (lambda system: system.path("/etc/alpha.conf").write_bytes(b"mine\n"), {}),
    "lost conffile": (lambda system: system.path("/etc/alpha.conf").unlink(), {}),
    "file of nobody": (lambda system: system.path(f"{SHARE}/mine").write_bytes(b"x"), {}),
    "listed file that the package lacks": (list_another_file, {f"{SHARE}/extra": ("removed",)}),
    "diverted file": (divert, {f"{FILE}.real": ("content_changed",)}),
    "file of another package by now": (be_replaced, {}),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_it_is_what_dpkg_replaces(
    system: System, change: Callable[[System], object], expected: dict[str, tuple[str, ...]]
) -> None:
    change(system)
    told = foretold(system)
    before = photograph(system.root)
    _run("dpkg", f"--root={system.root}", "--log=/dev/null", "--force-confold", "--install", package(system))
    after = photograph(system.root)
    changed = {f"/{path}" for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if str(Path(path).parent) not in told} == set(told)
    assert {path: each.differences for path, each in told.items()} == expected


def test_attributes_are_told(system: System) -> None:
    os.setxattr(system.path(FILE), "user.note", b"mine")
    assert foretold(system)[FILE].differences == ("attributes_changed",)


@pytest.mark.parametrize(("rule", "told"), [("path-exclude=/usr/share/*", False), ("path-exclude=/opt/*", True)])
def test_lost_file_that_dpkg_leaves_out_does_not_come_back(system: System, rule: str, told: bool) -> None:
    configuration = system.path("/etc/dpkg/dpkg.cfg.d/filters")
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f"{rule}\n")
    system.path(FILE).unlink()
    assert (FILE in foretold(system)) == told


def test_conffile_in_whose_place_dpkg_gives_up_is_refused(system: System) -> None:
    exchange("/etc/alpha.conf", Path.mkdir)(system)
    with pytest.raises(RepairError, match=r"/etc/alpha\.conf, a conffile, is no file"):
        foretold(system)


def test_initramfs_of_a_kernel_is_told(system: System) -> None:
    kernel = system.build("alpha", {"/boot/vmlinuz-6.1": b"kernel"}, version="2")
    kernel.replace(package(system))
    system.dpkg("--install", package(system))
    for name in ("initrd.img-6.1", "initrd.img-6.2"):
        system.path(f"/boot/{name}").write_bytes(b"initramfs")
    told = foretold(system)["/boot/initrd.img-6.1"]
    assert (told.differences, told.size, told.has_content) == (("made_anew",), 9, True)
    assert "/boot/initrd.img-6.2" not in foretold(system)
    with pytest.raises(RepairError, match=r"/boot/initrd\.img-6\.1 .* was not looked at"):
        foretold(system, (b"/boot/initrd.img-6.1/",))


@pytest.mark.parametrize("place", [f"{SHARE}/deep", DIRECTORY, FILE])
def test_package_with_a_path_that_is_not_looked_at_is_refused(
    system: System, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    looked_at = []
    look = repair_replaced.read_inode

    def note(parent: int, name: bytes) -> object:
        looked_at.append(name)
        return look(parent, name)

    monkeypatch.setattr(repair_replaced, "read_inode", note)
    with pytest.raises(RepairError, match="was not looked at"):
        foretold(system, (f"{place}/".encode(),))
    assert Path(place).name.encode() not in looked_at


def test_directory_that_is_a_link_to_what_is_not_looked_at_is_refused(system: System) -> None:
    shutil.rmtree(system.path(DIRECTORY))
    system.path(DIRECTORY).symlink_to("/srv/dead")
    with pytest.raises(RepairError, match=r"/srv/dead is on a file system of another host"):
        foretold(system, (b"/srv/dead/",))


MOUNTS: dict[str, tuple[str, str, Callable[[System], object], bool]] = {
    # what is mounted: (where, its type, what else is done, whether the package is refused)
    "over a file": (FILE, "ext4", lambda _system: None, True),
    "over the directory of a file": (SHARE, "ext4", lambda _system: None, True),
    "over the directory of a lost file": (SHARE, "ext4", lambda system: system.path(FILE).unlink(), True),
    "over a conffile": ("/etc/alpha.conf", "ext4", lambda _system: None, True),
    "at an empty directory": (STATE, "ext4", lambda _system: None, False),
    "above a directory that is there": ("/var/lib/alpha", "ext4", lambda _system: None, False),
    "above a lost directory": ("/var/lib/alpha", "ext4", lambda system: system.path(STATE).rmdir(), True),
    "above a lost directory, in memory": (
        "/var/lib/alpha",
        "tmpfs",
        lambda system: system.path(STATE).rmdir(),
        False,
    ),
    "beside": (f"{SHARE}/mine", "ext4", lambda _system: None, False),
}


@pytest.mark.parametrize(("where", "kind", "change", "is_refused"), MOUNTS.values(), ids=MOUNTS.keys())
def test_what_somebody_has_mounted_is_not_written_over(
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    kind: str,
    change: Callable[[System], object],
    is_refused: bool,
) -> None:
    change(system)
    root = Mount(1, b"/", b"", "ext4", "/dev/sda1", frozenset(("rw",)))
    mounted = root._replace(part=b"/srv/www", path=where.encode(), kind=kind)
    monkeypatch.setattr(repair_replaced, "read_mounts", lambda _tree: Mounts([root, mounted]))
    if not is_refused:
        foretold(system)
        return
    with pytest.raises(RepairError, match=f"what is mounted at {where} \\({kind}\\) is not the package's") as refused:
        foretold(system)
    assert "Unmount it" in refused.value.remedy


def test_bad_inode_refuses_its_package_alone(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.readlink

    def bad_disk(name: bytes, dir_fd: int) -> bytes:
        if name == b"link":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(name, dir_fd=dir_fd)

    monkeypatch.setattr(repair_replaced.os, "readlink", bad_disk)
    with pytest.raises(RepairError, match=r"/link: what is there cannot be looked at \(Input/output error\)"):
        foretold(system)


def test_what_is_read_is_counted_where_it_must_be_kept(system: System) -> None:
    system.path(FILE).write_bytes(b"x" * 1000)
    system.path("/usr/bin/alpha").chmod(0o600)
    told = foretold(system)
    assert (told[FILE].size, told[FILE].has_content) == (1000, True)
    assert (told["/usr/bin/alpha"].size, told["/usr/bin/alpha"].has_content) == (0, False)


def test_what_is_kept_is_all_of_what_is_damaged_and_what_is_replaced_besides(system: System) -> None:
    system.path(FILE).write_bytes(b"x" * 1000)
    for path in ("/usr/bin/alpha", f"{SHARE}/first"):
        system.path(path).chmod(0o600)
    tree = Tree(str(system.root))
    try:
        facts, reference = known(system, tree)
        step = installation("alpha", reference, [b"/usr/bin/alpha"], "mode_changed")
        before = with_replaced(tree, step, facts).before
    finally:
        tree.close()
    assert before["size"] == 1000 + len(CONTENT["/usr/bin/alpha"])
