# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is mounted below a root, and what becomes of the files that it hides."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check as check_module
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import witness
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import ROOT_ALONE
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DIRECTORY,
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
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_changes import Comparison

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


def test_pitfall_37_what_a_link_leads_to_at_another_host_is_not_touched_and_said_so(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who serves it may be dead: whatever looks at it would wait for ever."""
    data, share = system.path("/usr/share/beta/data"), system.path("/usr/share/alpha")
    (system.root / "srv/nfs").mkdir(parents=True)
    data.rename(system.root / "srv/nfs/data")
    data.symlink_to("/srv/nfs/data")
    share.rename(system.root / "srv/nfs/alpha")
    share.symlink_to("../../srv/nfs/alpha")
    dead = (system.root / "srv/nfs").stat().st_ino
    server = Mount(0, b"/", b"/srv/nfs", "nfs4", "server:/", frozenset())
    monkeypatch.setattr(check_module, "read_mounts", lambda _tree: Mounts([server]))
    real_open = os.open

    def never_enter(path: bytes, flags: int, **details: int) -> int:
        descriptor = real_open(path, flags, **details)
        assert os.fstat(descriptor).st_ino != dead, path
        return descriptor

    monkeypatch.setattr(os, "open", never_enter)
    result = system.check(jobs=1)
    assert result["failures"] == result["findings"] == []
    gaps = {gap["detail"]: (gap["reason"], gap["files"], gap["examples"]) for gap in result["coverage"]["gaps"]}
    assert gaps.pop("a link leads into another host's or a process's file system, which was not entered") == (
        "remote_file_system",
        2,
        ["/usr/share/alpha", "/usr/share/beta/data"],
    )
    ((reason, files, _examples),) = gaps.values()
    assert (reason, files) == ("remote_file_system", 4)
    assert result["coverage"]["files"]["not_verified"] == 6


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


@pytest.mark.parametrize(
    ("observation", "findings"),
    [
        (Observation(0, "file", digest=b"0" * 32), ["content_changed"]),
        (Observation(0, "file", error=errno.EACCES), []),
    ],
)
def test_pitfall_36_file_system_without_modes_invents_none_beside_what_else_is_wrong(
    observation: Observation, findings: list[str]
) -> None:
    (entry,) = entries("/boot/efi/a")
    entry.digest, entry.recorded = b"1" * 32, Recorded(mode=0o755, owner="root", capabilities="")
    seen = observation._replace(metadata=Metadata(0o700, 1, 1, 0, capabilities="cap_chown=p"))
    found = judge(Manifest(entries=[entry]), [seen], ROOT_ALONE, Mounts(parse_mountinfo(MOUNTINFO, b"")))
    assert [each.category for each in found.findings] == findings


@pytest.mark.parametrize("damage", [Path.stat, Path.unlink], ids=["sound", "lost"])
def test_pitfall_36_hidden_files_are_counted_be_they_as_expected_or_not(
    system: System, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object]
) -> None:
    listed = system.check()["coverage"]["files"]["listed"]
    damage(system.path("/usr/share/beta/data"))
    over = Mount(0, b"/", b"/usr/share/beta", "tmpfs", "none", frozenset())
    monkeypatch.setattr(check_module, "read_mounts", lambda _tree: Mounts([over]))
    result = system.check()
    assert (result["findings"], result["summary"]["verdict"]) == ([], "incomplete")
    (gap,) = result["coverage"]["gaps"]
    assert (gap["reason"], gap["files"], gap["examples"]) == (
        "hidden_by_mount",
        2,
        ["/usr/share/beta/data", "/usr/share/beta/more"],
    )
    assert "tmpfs" in gap["detail"]
    files = result["coverage"]["files"]
    assert (files["listed"], files["verified"], files["not_verified"]) == (listed, listed - 2, 2)


@pytest.mark.parametrize("kind", ["tmpfs", "nfs4"])
def test_what_is_mounted_between_two_witnesses_makes_nothing_disappear(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    system.check(manifest_path=str(before))
    over = Mount(0, b"/", b"/usr/share/beta", kind, "none", frozenset())
    monkeypatch.setattr(check_module, "read_mounts", lambda _tree: Mounts([over]))
    exclude = (check_module.Exclusion("/usr/share/alpha/*", "it is not looked at"),)
    system.check(manifest_path=str(after), exclude=exclude)
    with before.open("rb") as first, after.open("rb") as second:
        earlier, later = witness.read(first, "before"), witness.read(second, "after")
        lines = dict(later.files)
        comparison = Comparison(earlier, later._replace(files=iter(lines.items())))
        assert list(comparison) == []
    hidden = {path for path, line in lines.items() if line["type"] == "not_verified"}
    assert {b"/usr/share/beta/data", b"/usr/share/beta/more"} <= hidden <= {path for path in lines if b"/beta" in path}
    assert not any(path.startswith(b"/usr/share/alpha/") for path in lines)
    assert (comparison.contents_not_compared, comparison.verdict()) == (len(hidden), "incomplete")


def test_pitfall_36_directory_at_which_something_is_mounted_is_what_programs_see() -> None:
    mounts = Mounts(parse_mountinfo(MOUNTINFO, b""))
    listed = entries("/etc/hosts", "/var/lib/x", "/var/lib/x/a", "/var/lib/x/ghost", "/var/lib/xy")
    at_mount, ghost = listed[1], listed[3]
    at_mount.kind, at_mount.recorded, ghost.recorded = DIRECTORY, Recorded(mode=0o755), Recorded(required=False)
    kept, gaps = mounts.without_hidden(listed)
    assert [entry.path for entry in kept] == [b"/var/lib/x", b"/var/lib/x/ghost", b"/var/lib/xy"]
    assert [(gap.reason, gap.example) for gap in gaps] == [
        ("hidden_by_mount", "/etc/hosts"),
        ("hidden_by_mount", "/var/lib/x/a"),
    ]
    for mode, reasons in ((0o755, []), (0o700, ["hidden_by_mount"])):
        seen = Observation(0, "directory", metadata=Metadata(mode, 0, 0, 0), sound=True)
        found = judge(Manifest(entries=[at_mount]), [seen] if reasons else [], ROOT_ALONE, mounts)
        assert ([gap.reason for gap in found.gaps], found.findings) == (reasons, [])


SANDBOX = rb"""
27 1 254:0 / / rw - ext4 /dev/vda rw
28 27 254:0 /usr /usr ro - ext4 /dev/vda rw
29 28 254:0 /usr/share /usr/share rw - ext4 /dev/vda rw
30 27 254:0 /usr/bin /bin rw - ext4 /dev/vda rw
31 27 0:30 / /srv rw - tmpfs none rw
32 31 0:30 /a /srv/a rw - tmpfs none rw
"""


@pytest.mark.parametrize(
    ("path", "by"),
    [
        (b"/usr/lib/a", None),
        (b"/usr/share/a", None),
        (b"/bin/a", b"/bin"),
        (b"/srv/b", b"/srv"),
        (b"/srv/a/b", b"/srv"),
    ],
)
def test_pitfall_36_what_is_mounted_over_itself_hides_nothing(path: bytes, by: bytes | None) -> None:
    found = Mounts(parse_mountinfo(SANDBOX, b"")).hiding(path)
    assert (found.path if found else None) == by


def test_pitfall_36_what_is_mounted_over_itself_below_a_root_inside_hides_nothing() -> None:
    mounts = Mounts(parse_mountinfo(SANDBOX + b"33 27 254:0 /mnt/a/etc /mnt/a/etc ro - ext4 /dev/vda rw\n", b"/mnt/a"))
    assert mounts.at(b"/etc/hosts") is not None
    assert mounts.hiding(b"/etc/hosts") is None


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
