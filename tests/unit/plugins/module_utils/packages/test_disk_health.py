# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says of file systems, disks and what is between them.

Disks that fail cannot be had where tests run: what the kernel says of them is a tree of files as sysfs has them.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import disk_health
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Verification
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.disk_health import of_mount, read_errors
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    FILE,
    DatabaseProblem,
    Entry,
    Manifest,
    Observation,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rounds import Tally
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: A logical volume on an encrypted one on a RAID of two disks' partitions, as sysfs shows it.
STACK = {
    "dm-1": ("dm-0",),
    "dm-0": ("md0",),
    "md0": ("sda/sda1", "sdb/sdb1"),
    "sda/sda1": (),
    "sdb/sdb1": (),
}


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    devices = tmp_path / "sys/devices"
    for name, below in STACK.items():
        (devices / name / "slaves").mkdir(parents=True)
        for each in below:
            (devices / name / "slaves" / each.rpartition("/")[2]).symlink_to(devices / each)
    for name in ("sda", "sdb"):
        write(
            tmp_path / "sys", {f"devices/{name}/{name}1/partition": "1\n", f"devices/{name}/device/state": "running\n"}
        )
        (devices / name / f"{name}1/slaves").rmdir()
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / "sys/dev/block/253:1").symlink_to(devices / "dm-1")
    write(tmp_path / "sys", {"fs/ext4/dm-1/errors_count": "0\n", "devices/md0/md/degraded": "0\n"})
    return tmp_path / "sys"


def write(sys: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (sys / name).parent.mkdir(parents=True, exist_ok=True)
        (sys / name).write_text(content)


def mount(kind: str = "ext4", number: int = os.makedev(253, 1), source: str = "/dev/mapper/root") -> Mount:
    return Mount(number, b"/", b"", kind, source, frozenset(("rw",)))


def reasons(mount: Mount, sys: Path) -> str:
    return "; ".join(refusal.reason for refusal in of_mount(mount, "it", sys).refusals)


LAYERS = {
    "sound": ({}, ""),
    "array lost a disk": ({"devices/md0/md/degraded": "1\n"}, "(md0) is not sound: 1 of its disks are missing"),
    "array read errors": ({"devices/md0/md/dev-sdb1/errors": "7\n"}, "sdb1 has returned 7 read errors"),
    "array without errors": ({"devices/md0/md/dev-sdb1/errors": "0\n"}, ""),
    "array's disk faulty": ({"devices/md0/md/dev-sda1/state": "faulty,write_error\n"}, "sda1 is faulty"),
    "array's disk in sync": ({"devices/md0/md/dev-sda1/state": "in_sync\n"}, ""),
    "one disk offline": ({"devices/sdb/device/state": "offline\n"}, "(sdb) is offline"),
    "nvme dead": ({"devices/sdb/device/state": "dead\n"}, "(sdb) is dead"),
    "nvme live": ({"devices/sdb/device/state": "live\n"}, ""),
    "virtio needs a reset": ({"devices/sda/device/status": "0x0000004f\n"}, "(sda) has failed (virtio status"),
    "virtio given up": ({"devices/sda/device/status": "0x0000008f\n"}, "(sda) has failed"),
    "virtio sound": ({"devices/sda/device/status": "0x0000000f\n"}, ""),
}


@pytest.mark.parametrize(("files", "words"), LAYERS.values(), ids=LAYERS.keys())
def test_every_layer_is_asked(sys: Path, files: dict[str, str], words: str) -> None:
    write(sys, files)
    said = reasons(mount(), sys)
    assert bool(said) == bool(words)
    assert words in said


def test_of_each_disk_it_is_said_that_its_errors_are_not_known(sys: Path) -> None:
    unknown = of_mount(mount(), "it", sys).unknown
    assert [sentence.split()[3] for sentence in unknown] == ["sda", "sdb"]


def test_layers_that_go_round_in_a_circle_come_to_an_end(sys: Path) -> None:
    (sys / "devices/sda/slaves").mkdir()
    (sys / "devices/sda/slaves/dm-1").symlink_to(sys / "devices/dm-1")
    assert reasons(mount(), sys) == ""


@pytest.mark.parametrize(("kind", "known"), [("ext4", True), ("ext3", True), ("xfs", False), ("f2fs", False)])
def test_file_system_that_counts_no_errors_is_told(sys: Path, kind: str, known: bool) -> None:
    assert any("has had errors is not known" in each for each in of_mount(mount(kind), "it", sys).unknown) != known


BTRFS = [
    ("write_errs 0\nread_errs 0\nflush_errs 0\ncorruption_errs 0\ngeneration_errs 0\n", ""),
    (
        "write_errs 0\nread_errs 2\nflush_errs 0\ncorruption_errs 5\ngeneration_errs 0\n",
        "corruption_errs 5, read_errs 2",
    ),
]


@pytest.mark.parametrize(("stats", "words"), BTRFS)
def test_btrfs_counts_for_each_of_its_devices(
    sys: Path, monkeypatch: pytest.MonkeyPatch, stats: str, words: str
) -> None:
    monkeypatch.setattr(disk_health, "_number_of", lambda _source: os.makedev(253, 1))
    write(sys, {"fs/btrfs/features/x": "", "fs/btrfs/1234/devinfo/1/error_stats": stats, "devices/dm-1/dev": "253:1\n"})
    (sys / "fs/btrfs/1234/devices").mkdir()
    (sys / "fs/btrfs/1234/devices/dm-1").symlink_to(sys / "devices/dm-1")
    health = of_mount(mount("btrfs", os.makedev(0, 40)), "it", sys)
    assert [words in refusal.reason for refusal in health.refusals] == [True] * bool(words)
    assert len(health.unknown) == 2  # its two disks


def test_root_of_a_container_lies_on_no_disk_that_can_be_seen(sys: Path) -> None:
    health = of_mount(mount("overlay", os.makedev(0, 40), "overlay"), "it", sys)
    assert health.refusals == []
    assert "on which disk it lies cannot be seen from here" in health.unknown


def test_this_machine_can_be_asked() -> None:
    """Whatever there is below the root of this machine, something is said of it."""
    number = Path("/").stat().st_dev
    health = of_mount(mount("ext4", number), "it")
    assert health.refusals or health.unknown


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODATA, errno.EUCLEAN])
def test_errors_of_a_verification_are_found(tmp_path: Path, number: int) -> None:
    manifest = Manifest()
    manifest.entries = [Entry(path, path, FILE, "it") for path in (b"/a", b"/b", b"/c", b"/d")]
    seen = (
        Observation(0, "file", error=number),
        Observation(1, "file", error=errno.EACCES),
        Observation(2, "missing"),
        Observation(3, "file", disk_error=number),
    )
    found = Verification(manifest, [], [], [], Tally(0, {}, ""), [], observations=seen)
    tree = Tree(str(tmp_path))
    assert read_errors(tree, found) == {b"/a": number, b"/d": number}
    tree.close()


def test_file_of_the_database_is_read_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(str(tmp_path))

    def fail(path: bytes, _limit: int) -> bytes:
        raise OSError(errno.EIO if path == b"/status" else errno.ENOENT, "it fails")

    monkeypatch.setattr(tree, "read", fail)
    problems = [DatabaseProblem(name, "cannot be read", "") for name in ("/status", "/available")]
    found = Verification(Manifest(), [], problems, [], Tally(0, {}, ""), [])
    assert read_errors(tree, found) == {b"/status": errno.EIO}
    tree.close()
