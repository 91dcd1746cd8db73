# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is mounted below a root, and what becomes of the files that it hides."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check as check_module
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import ROOT_ALONE
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    FILE,
    Entry,
    Manifest,
    Metadata,
    Observation,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import (
    Mount,
    Mounts,
    parse_mountinfo,
    read_mounts,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import judge

if TYPE_CHECKING:
    from tests.peers.dpkg_system import System

MOUNTINFO = rb"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 254:1 / /boot rw - ext4 /dev/vdb rw
31 27 0:30 / /var/lib/x rw - tmpfs none rw
32 27 254:0 /srv/hosts /etc/hosts rw - ext4 /dev/vda rw
33 27 0:40 / /usr/local/n\040fs rw - nfs4 server:/x rw
34 27 0:41 /@home /home rw - btrfs /dev/vdc rw,subvolid=257,subvol=/@home
35 27 0:42 / /usr/games rw - fuse.sshfs x rw
36 30 254:2 / /boot/efi rw - vfat /dev/vdd rw
nonsense
1 2 x:y / / rw - ext4 /dev/vda rw
"""


def at(path: bytes, top: bytes = b"") -> Mount | None:
    return Mounts(parse_mountinfo(MOUNTINFO, top)).at(path)


@pytest.mark.parametrize(
    ("path", "kind", "hides", "remote"),
    [
        (b"/usr/bin/ls", None, False, False),
        (b"/boot/vmlinuz", "ext4", False, False),
        (b"/boot/efi/EFI/shim", "vfat", False, False),
        (b"/var/lib/x", "tmpfs", True, False),
        (b"/var/lib/x/a/b", "tmpfs", True, False),
        (b"/var/lib/xy", None, False, False),
        (b"/etc/hosts", "ext4", True, False),
        (b"/usr/local/n fs/a", "nfs4", True, True),
        (b"/home/a", "btrfs", False, False),
        (b"/usr/games/a", "fuse.sshfs", True, True),
        (b"/proc", "proc", True, False),
    ],
)
def test_pitfall_36_each_mount_is_known_for_what_it_does(
    path: bytes, kind: str | None, hides: bool, remote: bool
) -> None:
    mount = at(path)
    assert (mount.kind if mount else None) == kind
    assert bool(mount and mount.hides) == hides
    assert bool(mount and mount.is_remote) == remote


def test_paths_are_those_inside_the_root() -> None:
    mounts = Mounts(parse_mountinfo(MOUNTINFO, b"/boot"))
    assert {path: mount.kind for path, mount in mounts.by_path.items()} == {b"": "ext4", b"/efi": "vfat"}
    assert parse_mountinfo(MOUNTINFO, b"/mnt/rescue")[0].path == b""
    assert mounts.by_path[b""].device == os.makedev(254, 1)


def test_the_last_mount_at_a_path_covers_the_others() -> None:
    over = MOUNTINFO + b"40 27 0:50 / /boot rw - tmpfs none rw\n"
    mount = Mounts(parse_mountinfo(over, b"")).at(b"/boot/vmlinuz")
    assert mount is not None and mount.kind == "tmpfs"


def entries(*paths: str) -> list[Entry]:
    return [Entry(path.encode(), path.encode(), FILE, "p") for path in sorted(paths)]


def test_pitfall_37_what_another_host_serves_is_not_looked_at() -> None:
    mounts = Mounts(parse_mountinfo(MOUNTINFO, b""))
    listed = entries("/usr/games", "/usr/games/a", "/usr/games-data/b", "/usr/games.txt", "/usr/gamesx")
    kept, gaps = mounts.without_remote(listed)
    assert [entry.path for entry in kept] == [b"/usr/games-data/b", b"/usr/games.txt", b"/usr/gamesx"]
    assert [(gap.reason, gap.example) for gap in gaps] == [
        ("remote_file_system", "/usr/games"),
        ("remote_file_system", "/usr/games/a"),
    ]


def test_pitfall_37_links_in_what_another_host_serves_are_not_even_looked_for(tmp_path: Path) -> None:
    (tmp_path / "dead").symlink_to("/elsewhere")
    tree = Tree(str(tmp_path))
    assert tree.resolve(b"/dead/a") == b"/elsewhere/a"
    tree.forget()
    tree.avoided = (b"/dead/",)
    assert tree.resolve(b"/dead/a") == b"/dead/a"
    tree.close()


@pytest.mark.parametrize(
    ("path", "observation", "reasons"),
    [
        ("/var/lib/x/a", Observation(0, "missing", error=errno.ENOENT), ["hidden_by_mount"]),
        ("/var/lib/x/a", Observation(0, "file", digest=b"0" * 32), ["hidden_by_mount"]),
        ("/boot/vmlinuz", Observation(0, "missing", error=errno.ENOENT), []),
        ("/boot/efi/a", Observation(0, "file", metadata=Metadata(0o700, 0, 0, 0), sound=True), ["not_stored"]),
        ("/boot/efi/a", Observation(0, "missing", error=errno.ENOENT), []),
    ],
)
def test_pitfall_36_what_a_mount_hides_is_a_gap_and_no_finding(
    path: str, observation: Observation, reasons: list[str]
) -> None:
    (entry,) = entries(path)
    entry.digest, entry.recorded = b"1" * 32, Recorded(mode=0o755)
    found = judge(Manifest(entries=[entry]), [observation], ROOT_ALONE, Mounts(parse_mountinfo(MOUNTINFO, b"")))
    assert [gap.reason for gap in found.gaps] == reasons
    assert bool(found.findings) == (not reasons)


def test_pitfall_36_hidden_file_is_counted_in_the_result(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.path("/usr/share/beta/data").unlink()
    over = Mount(0, b"/", b"/usr/share/beta", "tmpfs", "none", frozenset())
    monkeypatch.setattr(check_module, "read_mounts", lambda _tree: Mounts([over]))
    result = system.check()
    assert result["findings"] == []
    assert [(gap["reason"], gap["files"]) for gap in result["coverage"]["gaps"]] == [("hidden_by_mount", 1)]
    assert "tmpfs" in result["coverage"]["gaps"][0]["detail"]
    files = result["coverage"]["files"]
    assert files["listed"] == files["verified"] + 1


def test_unknown_mounts_are_a_gap(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "read_mounts", lambda _tree: None)
    result = system.check()
    assert [gap["reason"] for gap in result["coverage"]["gaps"]] == ["mounts_unknown"]
    assert result["summary"]["verdict"] == "incomplete"


def test_the_mounts_of_this_machine_are_read() -> None:
    tree = Tree("/")
    mounts = read_mounts(tree)
    tree.close()
    assert mounts is not None
    proc = mounts.at(b"/proc/version")
    assert proc is not None and proc.kind == "proc"
    assert mounts.by_path[b""].device == Path("/").stat().st_dev or mounts.by_path[b""].kind in ("btrfs", "overlay")
