# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whichever databases a root has are read, and what several of them say of one path is one entry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import dpkg
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.databases import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DIRECTORY, FILE, Recorded
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.damaged_roots import checked
from .....peers.portage_system import MOMENT, PortageSystem
from .....peers.rpm_system import RpmSystem

if TYPE_CHECKING:
    from .....peers.dpkg_system import System


def test_a_root_without_any_database_is_refused(tmp_path: Path) -> None:
    for name in ("var/lib/rpm", "var/db/pkg", "etc"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InvalidInputError, match="no dpkg database, no rpm database and no Portage database"):
        read_manifest(Tree(str(tmp_path)))


def test_a_database_directory_with_nothing_in_it_is_damage(empty_system: System) -> None:
    tree = Tree(str(empty_system.root))
    assert not dpkg.present(tree)
    assert [problem.file for problem in read_manifest(tree).problems] == ["/var/lib/dpkg/status"]


@pytest.mark.parametrize("file", ["status", "status-old", "info/a.list", "status.d/a"])
def test_what_is_left_of_a_database_makes_it_present(empty_system: System, file: str) -> None:
    path = empty_system.root / "var/lib/dpkg" / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    assert dpkg.present(Tree(str(empty_system.root)))


def test_one_database_alone_is_read(tmp_path: Path) -> None:
    PortageSystem(tmp_path).install("app-misc/a-1", {"/usr/bin/a": b"a"})
    assert read_manifest(Tree(str(tmp_path))).installed == ["app-misc/a-1"]


def test_several_databases_are_read_as_one(system: System) -> None:
    gentoo = PortageSystem(system.root)
    gentoo.install("app-misc/gamma-1", {"/usr/share/gamma": b"gamma", "/usr/share/alpha/b.txt": b"beta\n"})
    manifest = read_manifest(Tree(str(system.root)))
    entries = {entry.path: entry for entry in manifest.entries}
    assert manifest.installed == ["alpha", "beta", "app-misc/gamma-1"]
    assert [entry.path for entry in manifest.entries] == sorted(entries)
    assert (manifest.problems, manifest.gaps) == ([], [])
    assert entries[b"/usr/share/gamma"].packages == ["app-misc/gamma-1"]
    shared = entries[b"/usr/share/alpha/b.txt"]
    assert (shared.packages, shared.kind, shared.other_digests) == (["alpha", "app-misc/gamma-1"], FILE, ())
    assert shared.recorded == Recorded(modified=MOMENT)
    assert entries[b"/usr/share"].kind == DIRECTORY
    assert manifest.not_recorded == ("mode", "owner", "group", "size", "symlink_target")
    assert system.check()["summary"]["verdict"] == "consistent"


def test_digests_of_different_algorithms_are_a_gap_and_the_first_counts(system: System) -> None:
    gentoo = PortageSystem(system.root)
    gentoo.install("app-misc/gamma-1", {"/usr/share/alpha/b.txt": b"beta\n"}, algorithm="sha1")
    result = system.check()
    assert result["findings"] == []
    assert [(gap["reason"], gap["examples"]) for gap in result["coverage"]["gaps"]] == [
        ("ownership_conflict", ["/usr/share/alpha/b.txt"])
    ]


def test_managers_that_overwrite_each_other_are_a_conflict(system: System) -> None:
    gentoo = PortageSystem(system.root)
    gentoo.install("app-misc/gamma-1", {"/usr/share/alpha/b.txt": b"other\n"})
    assert [finding["class"] for finding in system.check()["findings"]] == ["ownership_conflict"]


def test_a_damaged_database_beside_a_sound_one_is_never_overlooked(system: System) -> None:
    gentoo = PortageSystem(system.root)
    directory = gentoo.install("app-misc/gamma-1", {"/usr/share/gamma": b"gamma"})
    (directory / "CONTENTS").unlink()
    result = system.check()
    assert result["summary"]["verdict"] == "database_unsound"
    assert result["coverage"]["packages"] == {"installed": 3, "verified": 2, "not_verified": 1}


def test_a_lost_database_beside_an_empty_one_is_not_consistent(tmp_path: Path) -> None:
    (tmp_path / "root/var/lib/dpkg/info").mkdir(parents=True)
    rpm = RpmSystem.new(tmp_path)
    rpm.install(rpm.build("alone", {"/usr/share/alone": b"a\n"}))
    assert checked(rpm.root)["summary"]["verdict"] == "incomplete"
    assert rpm.rpm("-e", "alone").returncode == 0
    assert checked(rpm.root)["summary"]["verdict"] == "database_unsound"
