# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file system of a shadow: how mounts are read, and what becomes of each kind of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.shadow_root import (
    Mount,
    may_be_overlaid,
    mounts_in,
    private_bytes,
    skeleton,
)


@pytest.mark.parametrize(
    ("line", "mounts"),
    [
        (
            b"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard",
            [Mount(27, Path("/"), frozenset({"rw", "relatime"}), "ext4")],
        ),
        (
            rb"30 27 0:9 /sub /srv/a\040b\054c ro - tmpfs tmpfs rw",
            [Mount(30, Path("/srv/a b,c"), frozenset({"ro"}), "tmpfs")],
        ),
        (
            b"31 27 0:9 / /x rw shared:2 master:3 - fuse.sshfs host:/ rw",
            [Mount(31, Path("/x"), frozenset({"rw"}), "fuse.sshfs")],
        ),
        (b"", []),
        (b"x 1 254:0 / / rw - ext4 /dev/vda rw", []),
        (b"27 1 254:0 / - ext4", []),
        (b"27 1 254:0 / / rw", []),
    ],
)
def test_mountinfo(line: bytes, mounts: list[Mount]) -> None:
    assert mounts_in(line + b"\n") == mounts


@pytest.mark.parametrize(
    ("kind", "options", "overlaid"),
    [
        ("ext4", {"rw"}, True),
        ("xfs", {"rw", "noatime"}, True),
        ("btrfs", {"rw"}, True),
        ("tmpfs", {"rw"}, True),
        ("overlay", {"rw"}, True),
        ("fuseblk", {"rw"}, True),
        ("ext4", {"ro"}, False),
        ("nfs4", {"rw"}, False),
        ("cifs", {"rw"}, False),
        ("fuse.sshfs", {"rw"}, False),
        ("sysfs", {"rw"}, False),
        ("cgroup2", {"rw"}, False),
    ],
)
def test_what_is_overlaid(kind: str, options: set[str], overlaid: bool) -> None:
    assert may_be_overlaid(Mount(1, Path("/x"), frozenset(options), kind)) is overlaid


def test_a_skeleton_is_directories_and_links_outer_ones_first(tmp_path: Path) -> None:
    for name, mode in {"b": 0o1777, "a": 0o755, "a/inner": 0o2750, "left": 0o700, "left/out": 0o700}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("b/missing")
    found = skeleton(tmp_path, [tmp_path / "left"])

    assert [(str(one.path), one.mode, one.target) for one in found] == [
        ("a", 0o755, ""),
        ("b", 0o1777, ""),
        ("link", 0o777, "b/missing"),
        ("a/inner", 0o2750, ""),
    ]
    assert {(one.owner, one.group) for one in found} == {(os.getuid(), os.getgid())}


def test_a_directory_that_is_not_there_has_no_skeleton(tmp_path: Path) -> None:
    assert skeleton(tmp_path / "missing") == []


def test_memory_is_what_processes_have_for_themselves(tmp_path: Path) -> None:
    for name, statm in {"1": "900 50 20 1 0 30 0", "22": "900 7 7 1 0 30 0", "3": "broken", "self": "9 9 0 0"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "statm").write_text(statm)
    (tmp_path / "4").mkdir()

    assert private_bytes(tmp_path) == 30 * os.sysconf("SC_PAGE_SIZE")
