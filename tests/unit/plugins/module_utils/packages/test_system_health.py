# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each thing that speaks against a repair is found, and nothing else is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import mounts, system_health
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Contents, Member, VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.disk_health import Health, Refusal
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import FILE
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import SPARE_BYTES
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    NotRepaired,
    Plan,
    Step,
    VersionChange,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.system_health import (
    assess,
    without_the_running_kernel,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

RELEASE = "6.1.0-1-amd64"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    for name in ("usr/bin", "var/lib/dpkg", "boot", "run"):
        (tmp_path / "root" / name).mkdir(parents=True)
    tree = Tree(str(tmp_path / "root"))
    yield tree
    tree.close()


def step(path: bytes = b"/usr/bin/it", kind: str = "replace_file", package: str = "it", size: int = 10) -> Step:
    return Step(kind, path, package, "rest", "missing", "a test", "signed", {}, {"size": size}, damaged=(path,))


def ask(tree: Tree, plan: Plan, sys: Path, errors: dict[bytes, int] | None = None) -> Health:
    return assess(tree, plan, errors or {}, {}, sys)


def refusals(tree: Tree, plan: Plan, sys: Path, errors: dict[bytes, int] | None = None) -> list[Refusal]:
    return ask(tree, plan, sys, errors).refusals


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return what makes what the kernel says of one disk, 8:1."""

    def make(lines: str, errors: str | None = None, state: str | None = None) -> Path:
        (tmp_path / "mountinfo").write_text(lines.format(root=tmp_path / "root"))
        monkeypatch.setattr(mounts, "MOUNTINFO", str(tmp_path / "mountinfo"))
        return _disk(tmp_path, errors, state)

    return make


def _disk(tmp_path: Path, errors: str | None, state: str | None) -> Path:
    disk = tmp_path / "sys/devices/sda"
    (disk / "sda1").mkdir(parents=True)
    (disk / "sda1/partition").write_text("1\n")
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / "sys/dev/block/8:1").symlink_to(disk / "sda1")
    if errors is not None:
        (tmp_path / "sys/fs/ext4/sda1").mkdir(parents=True)
        (tmp_path / "sys/fs/ext4/sda1/errors_count").write_text(errors)
    if state is not None:
        (disk / "device").mkdir()
        (disk / "device/state").write_text(state)
    return tmp_path / "sys"


EXT4 = "21 1 8:1 / / {options} shared:1 - ext4 /dev/sda1 {super}\n"
HOSTS = {
    "sound": (EXT4.format(options="rw", super="rw"), "0\n", "running\n", ""),
    "errors counted": (
        EXT4.format(options="rw", super="rw"),
        "3\n",
        None,
        "has counted errors of the file system at / (e",
    ),
    "disk offline": (EXT4.format(options="rw", super="rw"), "0\n", "offline\n", "is offline"),
    "given up": (EXT4.format(options="rw", super="rw,emergency_ro"), "0\n", None, "given up the file system at /"),
    "read-only by errors": (EXT4.format(options="rw", super="ro,errors=remount-ro"), None, None, "mounted read-only"),
    "squashfs": ("21 1 7:0 / / ro - squashfs /dev/loop0 ro\n", None, None, "is an image (squashfs)"),
    "overlay on an image": (
        "21 1 0:30 / {root} rw - overlay overlay rw,lowerdir=/live/image,upperdir=/live/upper\n"
        "22 21 7:0 / {root}/live/image ro - squashfs /dev/loop0 ro\n",
        None,
        None,
        "laid over an image",
    ),
    "overlay in memory": (
        "21 1 0:30 / {root} rw - overlay overlay rw,lowerdir=/live/image,upperdir=/live/memory/upper\n"
        "22 21 0:31 / {root}/live/memory rw - tmpfs tmpfs rw\n",
        None,
        None,
        "over memory",
    ),
    "overlay on a disk": ("21 1 0:30 / {root} rw - overlay overlay rw,lowerdir=/a,upperdir=/b\n", None, None, ""),
}


@pytest.mark.parametrize(("lines", "errors", "state", "words"), HOSTS.values(), ids=HOSTS.keys())
def test_file_systems_and_disks(
    tree: Tree, host: Callable[..., Path], lines: str, errors: str | None, state: str | None, words: str
) -> None:
    found = refusals(tree, Plan([step()], []), host(lines, errors, state))
    assert len(found) == bool(words)
    assert not words or words in found[0].reason
    assert all(refusal.remedy for refusal in found)


TWO = EXT4.format(options="rw", super="rw") + "22 21 8:2 / {root}/usr rw - xfs /dev/sda2 rw\n"
READ_ERRORS = [
    (b"/usr/bin/other", errno.EIO, "/usr cannot be read in places (/usr/bin/other: EIO), as when its disk fails"),
    (b"/usr/bin/other", errno.ENODATA, "/usr cannot be read in places (/usr/bin/other: ENODATA)"),
    (b"/usr/bin/other", errno.EUCLEAN, "/usr is damaged itself (/usr/bin/other: EUCLEAN)"),
    (b"/var/lib/dpkg/status", errno.EIO, "the file system at / cannot be read"),
    (b"/srv/other", errno.EIO, ""),
    (b"/usr/bin/other", errno.EACCES, ""),
]


@pytest.mark.parametrize(("path", "number", "words"), READ_ERRORS)
def test_what_cannot_be_read_speaks_against_writing_beside_it(
    tree: Tree, host: Callable[..., Path], path: bytes, number: int, words: str
) -> None:
    sys = host(TWO + "23 21 8:3 / {root}/srv rw - ext4 /dev/sda3 rw\n", "0")
    found = refusals(tree, Plan([step()], []), sys, {path: number})
    assert len(found) == bool(words)
    assert not words or words in found[0].reason
    assert all(refusal.remedy for refusal in found)


def test_what_is_not_known_is_said(tree: Tree, host: Callable[..., Path]) -> None:
    found = ask(tree, Plan([step()], []), host(TWO, "0", "running\n"))
    assert found.refusals == []
    assert sorted(found.unknown) == [
        "on which disk the file system at /usr lies cannot be seen from here",
        "what the disk sda knows of its own errors is not known here: ask it with smartctl",
        "whether the file system at /usr (xfs) has had errors is not known: the kernel shows no count of them here",
    ]


def test_without_proc_nothing_is_repaired_and_a_read_error_is_told_all_the_same(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "MOUNTINFO", str(tmp_path / "nothing"))
    found = ask(tree, Plan([step()], []), tmp_path, {b"/usr/bin/other": errno.EIO})
    assert [refusal.reason for refusal in found.refusals] == [
        "what is mounted, and how its disks are, is not known: there is no /proc to ask",
        "the root cannot be read in places (/usr/bin/other: EIO), as when its disk fails",
    ]
    assert "mount -t proc proc /proc" in found.refusals[0].remedy


MARKERS = {
    "run/ostree-booted": "ostree",
    "usr/lib/bootc/install": "bootc",
    "nix/var/nix/db": "Nix",
    ".dockerenv": "container",
    "run/.containerenv": "container",
}


@pytest.mark.parametrize("marker", MARKERS)
def test_pitfall_35_systems_made_from_images(
    tree: Tree, host: Callable[..., Path], tmp_path: Path, marker: str
) -> None:
    (tmp_path / "root" / marker).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "root" / marker).touch()
    (found,) = refusals(tree, Plan([step()], []), host(HOSTS["sound"][0]))
    assert MARKERS[marker] in found.reason


def test_nothing_to_do_is_not_refused(tree: Tree, host: Callable[..., Path]) -> None:
    refused = [NotRepaired(b"/var/lib/dpkg/status", (), "database_problem", "damaged", "restore it")]
    assert refusals(tree, Plan([], refused), host(HOSTS["squashfs"][0])) == []


def test_database_that_stays_unsound(tree: Tree, host: Callable[..., Path]) -> None:
    refused = [NotRepaired(b"/var/lib/dpkg/status", (), "database_problem", "it is damaged", "restore it")]
    (found,) = refusals(tree, Plan([step()], refused), host(HOSTS["sound"][0]))
    assert "/var/lib/dpkg/status: it is damaged" in found.reason
    assert found.remedy == "restore it"


BLOCK = 4096


def package(*sizes: int) -> VerifiedPackage:
    """Return a package with regular files of these sizes, and with a further name of the first of them."""
    members = {
        path: Member(path, FILE, 0o644, 0, 0, "root", "root", size, 1, None, None, None, b"0" * 64)
        for path, size in ((b"/usr/bin/%d" % number, size) for number, size in enumerate(sizes))
    }
    first = members[b"/usr/bin/0"]
    members[b"/usr/bin/link"] = first._replace(path=b"/usr/bin/link", linked_to=first.path)
    contents = Contents("it", "1", "all", members, (), {}, {}, (), {})
    return VerifiedPackage(contents, "signed", "a test", "/nonexistent.deb")


def install(*damaged: bytes, kept: int = 0) -> Step:
    made = step(path=b"it", kind="install_package")
    return made._replace(damaged=damaged, before={"size": kept}, after={"version": "1", "size": 1})


def upgrade(*labels: str, kept: int = 0) -> Step:
    changes = tuple(VersionChange(label, "1", "2") for label in labels)
    made = step(path=labels[0].encode(), kind="upgrade_packages", package=labels[0])
    return made._replace(damaged=(), before={"size": kept}, after={"size": 1}, upgrades=changes)


ROOMS = {
    # name: (steps, bytes that are written, bytes that are kept)
    "one file": ((step(size=10 * BLOCK),), 10 * BLOCK, 0),
    "files, each in whole blocks": ((step(size=1), step(b"/usr/bin/other", size=BLOCK + 1)), 3 * BLOCK, 0),
    "file that is there": ((step(b"/usr/bin/old", size=1),), BLOCK, 5 * BLOCK),
    "mode alone": ((step(b"/usr/bin/old", kind="set_metadata", size=10 * BLOCK),), 0, 0),
    "whole package": ((install(b"/usr/bin/old", kept=7 * BLOCK),), 9 * BLOCK, 7 * BLOCK),
    "whole package, large": ((install(kept=100 << 20),), 9 * BLOCK, 100 << 20),
    "whole package and a file": (
        (install(kept=7 * BLOCK), step(b"/usr/bin/old", size=1)),
        10 * BLOCK,
        12 * BLOCK,
    ),
    "packages that are upgraded": ((upgrade("it", "with", kept=BLOCK),), 14 * BLOCK, BLOCK),
    "file of the database": (
        (step(kind="restore_list")._replace(after={"paths": 2}, content=b"x" * 5000),),
        2 * BLOCK,
        0,
    ),
}


@pytest.mark.parametrize(("steps", "written", "kept"), ROOMS.values(), ids=ROOMS.keys())
def test_everything_that_is_written_and_kept_needs_room(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[Step, ...], written: int, kept: int
) -> None:
    (tmp_path / "root/usr/bin/old").write_bytes(b"x" * 5 * BLOCK)
    needed = max(2 * (written + kept), written + kept + SPARE_BYTES if kept else 0)
    references = {"it": package(8 * BLOCK, 1), "with": package(4 * BLOCK, 1)}
    for free, reasons in ((needed, 0), (needed - 1, 1)):
        room = SimpleNamespace(f_bavail=free, f_frsize=1, f_flag=0)
        monkeypatch.setattr(os, "statvfs", lambda _path, room=room: room)
        found = system_health._space(tree, Plan(list(steps), []), references)
        assert len(found) == (reasons if needed else 0)
        for refusal in found:
            assert f"has not {needed} bytes left for the repair, but {free}" in refusal.reason
            assert f"{written} are written, {kept} are kept" in refusal.reason
            assert "room for 1 bytes" in refusal.remedy


def test_room_that_cannot_be_asked_for_is_a_refusal(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad_disk(_path: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "statvfs", bad_disk)
    (found,) = system_health._space(tree, Plan([step()], []), {})
    assert "cannot be told (Input/output error)" in found.reason


def test_too_little_room_is_refused(tree: Tree, host: Callable[..., Path]) -> None:
    status = os.statvfs(tree.root)
    free = status.f_bavail * status.f_frsize
    sound = host(HOSTS["sound"][0])
    assert "bytes left" in refusals(tree, Plan([step(size=free)], []), sound)[0].reason
    assert refusals(tree, Plan([step(size=free // 4)], []), sound) == []


def kernel(tmp_path: Path, release: str) -> None:
    (tmp_path / "root/boot" / f"vmlinuz-{release}").touch()
    (tmp_path / "root/lib/modules" / release).mkdir(parents=True)


@pytest.mark.parametrize("second", ["none", "sound", "damaged"])
def test_pitfall_40_running_kernel_needs_a_second_one(tree: Tree, tmp_path: Path, second: str) -> None:
    kernel(tmp_path, RELEASE)
    steps = [step(package=f"linux-image-{RELEASE}", kind="install_package", path=b"/boot/vmlinuz"), step()]
    if second != "none":
        kernel(tmp_path, "6.1.0-2-amd64")
    if second == "damaged":
        steps.append(step(path=b"/lib/modules/6.1.0-2-amd64/ext4.ko"))
    plan = without_the_running_kernel(Plan(steps, []), tree, RELEASE)
    assert len(plan.steps) == len(steps) - (second != "sound")
    assert [each.packages for each in plan.not_repaired] == [(f"linux-image-{RELEASE}",)] * (second != "sound")


def test_running_kernel_is_not_upgraded_with_another_package(tree: Tree, tmp_path: Path) -> None:
    kernel(tmp_path, RELEASE)
    plan = without_the_running_kernel(Plan([upgrade("it", f"linux-image-{RELEASE}")], []), tree, RELEASE)
    assert plan.steps == []
    assert "no second kernel" in plan.not_repaired[0].reason
