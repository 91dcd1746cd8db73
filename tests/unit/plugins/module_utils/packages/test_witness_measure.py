# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a witness says of a real root, sound and damaged, and what a comparison makes of two."""

from __future__ import annotations

import errno
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import witness, witness_measure
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DIRECTORY,
    FILE,
    UNKNOWN,
    Entry,
    Observation,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import verify
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_changes import Comparison
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_measure import Verified

from .....peers.dpkg_system import System


def taken(system: System, path: Path, not_done: tuple[str, ...] = ()) -> Path:
    tree = Tree(str(system.root))
    try:
        manifest = read_manifest(tree, None, True)
        observations = [seen for outcome in verify(tree, manifest.entries, 1) for seen in outcome.observations]
        witness_measure.write(str(path), tree, manifest, Verified(observations, not_done), {})
    finally:
        tree.close()
    return path


def files(path: Path) -> dict[bytes, Any]:
    with path.open("rb") as stream:
        return dict(witness.read(stream, path.name).files)


def changes(before: Path, after: Path) -> list[tuple[bytes, str, str]]:
    with before.open("rb") as first, after.open("rb") as second:
        comparison = Comparison(witness.read(first, "before"), witness.read(second, "after"))
        return [(change.path, change.change, change.explanation) for change in comparison]


def md5(content: bytes) -> str:
    return "md5:" + hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_it_has_every_file_with_what_it_is(system: System, tmp_path: Path) -> None:
    (system.root / "usr/share/alpha/a.txt").chmod(0o4711)

    found = files(taken(system, tmp_path / "w"))

    assert found[b"/usr/share/alpha/a.txt"]["digest"] == md5(b"alpha\n")
    assert found[b"/usr/share/alpha/a.txt"]["mode"] == "4711"
    assert found[b"/usr/share/alpha/a.txt"]["size"] == 6
    assert found[b"/usr/share/alpha/link"]["target"] == "a.txt"
    assert found[b"/var/lib/alpha/state"]["type"] == "directory"
    assert found[b"/etc/alpha.conf"]["conffile"] is True


def test_it_says_what_is_there_and_not_what_should_be(system: System, tmp_path: Path) -> None:
    (system.root / "usr/share/alpha/a.txt").write_bytes(b"other\n")
    (system.root / "usr/share/alpha/b.txt").unlink()

    found = files(taken(system, tmp_path / "w"))

    assert found[b"/usr/share/alpha/a.txt"]["digest"] == md5(b"other\n")
    assert found[b"/usr/share/alpha/a.txt"]["expected"] == md5(b"alpha\n")
    assert found[b"/usr/share/alpha/a.txt"]["sound"] is False
    missing = {"path": "/usr/share/alpha/b.txt", "type": "missing", "packages": ["alpha"]}
    assert found[b"/usr/share/alpha/b.txt"] == missing


def test_what_was_not_verified_is_not_vouched_for(system: System, tmp_path: Path) -> None:
    found = files(taken(system, tmp_path / "w", not_done=("/usr/bin/alpha",)))

    assert found[b"/usr/bin/alpha"] == {"path": "/usr/bin/alpha", "type": "not_verified", "packages": ["alpha"]}


def test_a_file_without_a_digest_is_read(system: System, tmp_path: Path) -> None:
    digests = system.info / "beta.md5sums"
    digests.write_bytes(b"".join(line for line in digests.read_bytes().splitlines(True) if b"more" not in line))

    found = files(taken(system, tmp_path / "w"))

    assert found[b"/usr/share/beta/more"]["digest"] == "sha256:" + hashlib.sha256(b"more\n").hexdigest()


def test_damage_between_two_runs_is_unexplained_and_its_repair_is_not(system: System, tmp_path: Path) -> None:
    sound = taken(system, tmp_path / "1")
    (system.root / "usr/share/alpha/a.txt").write_bytes(b"other\n")
    (system.root / "etc/alpha.conf").write_bytes(b"setting = 3\n")
    damaged = taken(system, tmp_path / "2")
    (system.root / "usr/share/alpha/a.txt").write_bytes(b"alpha\n")
    repaired = taken(system, tmp_path / "3")

    assert changes(sound, damaged) == [
        (b"/etc/alpha.conf", "changed", "conffile"),
        (b"/usr/share/alpha/a.txt", "changed", "unexplained"),
    ]
    assert changes(damaged, repaired) == [(b"/usr/share/alpha/a.txt", "changed", "restored")]


def contested(system: System, tmp_path: Path, content: bytes) -> Any:  # noqa: ANN401
    """Return what is said of a file of two packages that disagree about it, and that has some content."""
    system.install("gamma", {"/usr/share/alpha/a.txt": b"gamma\n"})
    (system.info / "alpha.list").write_bytes((system.info / "alpha.list").read_bytes() + b"/usr/share/alpha/a.txt\n")
    (system.root / "usr/share/alpha/a.txt").write_bytes(content)
    return files(taken(system, tmp_path / "w"))[b"/usr/share/alpha/a.txt"]


@pytest.mark.parametrize("content", [b"alpha\n", b"gamma\n"])
def test_what_packages_disagree_about_has_its_own_digest(system: System, tmp_path: Path, content: bytes) -> None:
    line = contested(system, tmp_path, content)

    assert line["digest"] == md5(content)
    assert {line.get("expected", line["digest"]), *line["other_expected"]} == {md5(b"alpha\n"), md5(b"gamma\n")}
    assert "sound" not in line


def test_what_may_come_and_go_is_no_witness(system: System) -> None:
    """As the ghosts of rpm: logs, which change each night, and which no package vouches for."""
    (system.root / "log").write_bytes(b"today\n")
    entries = [Entry(b"/log", b"/log", UNKNOWN, "alpha"), Entry(b"/usr", b"/usr", DIRECTORY, "alpha")]
    entries[0].recorded = Recorded(mode=0o644, required=False)
    tree = Tree(str(system.root))
    try:
        found = list(witness_measure.measure(tree, entries, Verified([])))
    finally:
        tree.close()

    assert [line.number for line in found] == [1]


@pytest.mark.parametrize(
    ("seen", "damaged", "sound"),
    [
        (Observation(0, "file", error=errno.EACCES), (), True),
        (Observation(0, "file", error=errno.EPERM), (), True),
        (Observation(0, "file", busy=True), (), True),
        # Its mode is wrong besides, or the disk cannot read it, or something else is there.
        (Observation(0, "file", error=errno.EACCES), (b"/f",), False),
        (Observation(0, "file", error=errno.EIO), (), False),
        (Observation(0, "symlink", error=errno.EACCES), (), False),
    ],
)
def test_what_this_user_may_not_read_is_not_called_damaged(
    tmp_path: Path, seen: Observation, damaged: tuple[bytes, ...], sound: bool
) -> None:
    (tmp_path / "f").write_bytes(b"secret\n")
    entry = Entry(b"/f", b"/f", FILE, "alpha")
    entry.digest = b"0" * 32
    tree = Tree(str(tmp_path))
    try:
        (found,) = witness_measure.measure(tree, [entry], Verified([seen], damaged=damaged))
    finally:
        tree.close()

    assert (found.digest, found.sound) == (None, sound)


def test_what_was_not_looked_at_has_its_line_in_its_place(system: System, tmp_path: Path) -> None:
    tree = Tree(str(system.root))
    try:
        manifest = read_manifest(tree, None, True)
        paths = [entry.path for entry in manifest.entries]
        hidden = manifest.entries[::3]
        hidden[0].path = b"/\xff"
        hidden[1].recorded = Recorded(required=False)
        hidden[1].digest = None
        hidden.append(hidden.pop(0))
        manifest.entries = [entry for entry in manifest.entries if entry not in hidden]
        witness_measure.write(str(tmp_path / "w"), tree, manifest, Verified([], hidden=hidden), {})
    finally:
        tree.close()

    found = files(tmp_path / "w")

    assert [*found] == sorted([*(set(paths[1:]) - {hidden[0].path}), b"/\xff"])
    unseen = [path for path, line in found.items() if line["type"] == "not_verified"]
    assert unseen == [entry.path for entry in hidden[1:]]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_an_upgrade_explains_what_changed(system: System, tmp_path: Path, version: str) -> None:
    before = taken(system, tmp_path / "1")
    system.install("beta", {"/usr/share/beta/data": b"new\n", "/usr/share/beta/more": b"more\n"}, version=version)
    after = taken(system, tmp_path / "2")

    expected = "unexplained" if version == "1.0" else "package_changed"
    assert changes(before, after) == [(b"/usr/share/beta/data", "changed", expected)]


def test_an_upgrade_explains_no_damage_after_it(system: System, tmp_path: Path) -> None:
    before = taken(system, tmp_path / "1")
    system.install("beta", {"/usr/share/beta/data": b"new\n", "/usr/share/beta/more": b"more\n"}, version="2.0")
    (system.root / "usr/share/beta/data").write_bytes(b"bad\n")
    (system.root / "usr/share/beta/more").unlink()
    after = taken(system, tmp_path / "2")

    assert changes(before, after) == [
        (b"/usr/share/beta/data", "changed", "unexplained"),
        (b"/usr/share/beta/more", "disappeared", "unexplained"),
    ]


def test_what_an_upgrade_no_longer_has_went_with_it(system: System, tmp_path: Path) -> None:
    before = taken(system, tmp_path / "1")
    system.install("beta", {"/usr/share/beta/data": b"data\n"}, version="2.0")
    after = taken(system, tmp_path / "2")

    assert (b"/usr/share/beta/more", "disappeared", "package_changed") in changes(before, after)


def test_a_package_that_diverts_explains_both_places(system: System, tmp_path: Path) -> None:
    before = taken(system, tmp_path / "1")
    divert = ("dpkg-divert", f"--root={system.root}", "--rename", "--quiet", "--package", "gamma")
    subprocess.run([*divert, "--divert", "/usr/bin/alpha.real", "--add", "/usr/bin/alpha"], check=True)
    system.install("gamma", {"/usr/bin/alpha": b"gamma"})
    after = taken(system, tmp_path / "2")

    assert changes(before, after) == [
        (b"/usr/bin/alpha", "changed", "package_changed"),
        (b"/usr/bin/alpha.real", "appeared", "package_changed"),
    ]


def test_what_appears_along_with_lines_of_the_database_is_unexplained(system: System, tmp_path: Path) -> None:
    before = taken(system, tmp_path / "1")
    (system.root / "usr/bin/evil").write_bytes(b"evil\n")
    with (system.info / "alpha.list").open("ab") as listed, (system.info / "alpha.md5sums").open("ab") as digests:
        listed.write(b"/usr/bin/evil\n")
        digests.write(md5(b"evil\n").partition(":")[2].encode() + b"  usr/bin/evil\n")
    after = taken(system, tmp_path / "2")

    assert changes(before, after) == [(b"/usr/bin/evil", "appeared", "unexplained")]
