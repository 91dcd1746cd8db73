# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd names and types of files in rpm packages, and the same roots beside what rpm itself finds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    FIFO,
    Recorded,
)

from .....peers.rpm_system import RpmSystem, entries, package_header, sha256, template


@pytest.fixture
def system(tmp_path: Path) -> RpmSystem:
    return template().copy(tmp_path)


@pytest.fixture
def empty(tmp_path: Path) -> RpmSystem:
    return RpmSystem.new(tmp_path)


# --- names and types


def test_pitfall_1_the_two_names_of_a_merged_directory_are_one_path(empty: RpmSystem) -> None:
    empty.path("/usr/lib").mkdir(parents=True)
    empty.path("/lib").symlink_to("usr/lib")
    for name, path in (("old", "/lib/shared.so"), ("new", "/usr/lib/shared.so")):
        empty.install(empty.build(name, {path: b"same\n"}))

    entry = empty.entry("/usr/lib/shared.so")

    assert (entry.packages, entry.listed) == (["old", "new"], b"/lib/shared.so")
    assert b"/lib/shared.so" not in entries(empty.read())


def test_pitfall_23_names_are_bytes(empty: RpmSystem) -> None:
    names = [
        "/odd/space in it",
        "/odd/umlaut \u00fc",
        "/odd/[0-9]*?",
        "/odd/back\\slash",
    ]
    empty.install(empty.build("odd", dict.fromkeys(names, b"x"), ["/odd"]))

    assert set(entries(empty.read())) == {b"/odd", *map(os.fsencode, names)}
    assert empty.findings() == {}


@pytest.mark.parametrize("name", ["new\nline", "tab\tin it", "not utf-8: \udcff"])
def test_pitfall_24_a_name_that_rpmbuild_refuses_is_a_name(system: RpmSystem, name: str) -> None:
    system.add(package_header(b"odd", {os.fsencode(name): sha256(b"content")}), "odd", name)
    system.path(f"/{name}").write_bytes(b"Content")

    assert entries(system.read())[os.fsencode(f"/{name}")].packages == ["odd"]
    assert list(system.findings().values()) == ["content_changed"]


def test_pitfall_25_hard_links_are_verified_by_every_name(empty: RpmSystem) -> None:
    install = "ln %{buildroot}/h/one %{buildroot}/h/two"
    empty.install(empty.build("h", {"/h/one": b"linked\n"}, ["/h"], install=install))
    one, two = empty.path("/h/one"), empty.path("/h/two")

    assert one.stat().st_ino == two.stat().st_ino
    assert empty.entry("/h/one").digest == empty.entry("/h/two").digest == sha256(b"linked\n")
    one.write_bytes(b"LINKED\n")
    assert empty.findings() == {"/h/one": "content_changed", "/h/two": "content_changed"}


def test_pitfall_27_a_directory_may_be_a_link_to_one(system: RpmSystem) -> None:
    system.path("/usr/share/alpha").rename(system.path("/usr/share/moved"))
    system.path("/usr/share/alpha").symlink_to("/usr/share/moved")

    assert system.findings() == {}


def test_pitfall_29_a_fifo_of_a_package_is_not_opened(system: RpmSystem) -> None:
    """rpm 4.18 hangs when it installs one."""
    blob = package_header(b"pipe", {b"fifo": b""}, modes=(3, (0o010600,)))
    system.add(blob, "pipe", "fifo")
    os.mkfifo(system.path("/fifo"), 0o600)

    entry = system.entry("/fifo")

    assert (entry.kind, entry.recorded) == (FIFO, Recorded(mode=0o600, owner="root", group="root"))
    assert system.findings() == {}


def test_pitfall_44_owners_are_names(system: RpmSystem) -> None:
    """What number a name has is for the root's own passwd to say, which is verified first."""
    assert (system.recorded("/usr/bin/alpha").owner, system.recorded("/usr/bin/alpha").group) == ("root", "mail")


def test_pitfall_45_a_changed_type_is_never_hidden(empty: RpmSystem) -> None:
    """rpm -Va --nomode says nothing of it."""
    empty.install(empty.build("t", {"/a": b"a\n"}, ["%verify(not mode md5 size mtime) /a"]))
    empty.path("/a").unlink()
    empty.path("/a").mkdir()

    assert empty.findings() == {"/a": "type_changed"}


def test_pitfall_46_no_script_of_a_package_is_run(empty: RpmSystem) -> None:
    """rpm -Va runs them."""
    witness = empty.base / "witness"
    package = empty.build("s", {"/a": b"a\n"}, install=f"%verifyscript\ntouch {witness}\n")
    empty.install(package)

    empty.read()

    assert not witness.exists()


# --- beside rpm


def _rpm_finds(system: RpmSystem) -> set[str]:
    """Return the paths that rpm -Va reports (attributes, perhaps a letter, path), as people are told to run it."""
    lines = system.rpm("-Va", "--noscripts", "--nodeps").stdout.decode().splitlines()
    return {re.sub(r"^(missing|[.0-9A-Z?]{9})\s+([cdglr] )?\s*", "", line) for line in lines}


Damage = Callable[[Path], object]


def _become(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()


def _link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _flip_case(path: Path) -> None:
    path.write_bytes(path.read_bytes().swapcase())


@pytest.mark.parametrize(
    ("path", "damage", "category"),
    [
        ("/usr/bin/alpha", _flip_case, "content_changed"),
        ("/usr/bin/alpha", lambda path: os.truncate(path, 100), "content_changed"),
        ("/usr/bin/alpha", lambda path: path.write_bytes(b""), "content_changed"),
        ("/usr/bin/alpha", Path.unlink, "missing"),
        ("/usr/bin/alpha", lambda path: path.chmod(0o755), "mode_changed"),
        ("/usr/bin/alpha", lambda path: _become(path, "directory"), "type_changed"),
        ("/usr/bin/alpha", lambda path: _become(path, "fifo"), "type_changed"),
        ("/usr/share/gamma/1", lambda path: os.chown(path, 1, 0), "owner_changed"),
        ("/usr/share/gamma/1", lambda path: os.chown(path, 0, 8), "owner_changed"),
        ("/usr/share/alpha", lambda path: path.chmod(0o700), "mode_changed"),
        ("/usr/bin/alink", lambda path: _link(path, "beta"), "target_changed"),
        ("/usr/bin/alink", Path.unlink, "missing"),
        ("/etc/alpha.conf", lambda path: path.write_bytes(b"changed\n"), "config_changed"),
        ("/etc/alpha.conf", Path.unlink, "config_missing"),
    ],
)
def test_what_rpm_finds_is_found(system: RpmSystem, path: str, damage: Damage, category: str) -> None:
    assert (system.findings(), _rpm_finds(system)) == ({}, set())
    damage(system.path(path))

    assert system.findings() == {path: category}
    assert _rpm_finds(system) == {path}


def _make(path: Path, there: str) -> None:
    if there == "file":
        path.write_bytes(b"anything")
    elif there == "directory":
        path.mkdir()
    elif there == "fifo":
        os.mkfifo(path)
    elif there == "link":
        path.symlink_to("other")


@pytest.mark.parametrize("there", ["absent", "file", "directory", "fifo", "link"])
@pytest.mark.parametrize(
    ("mode", "uid", "gid", "categories"),
    [
        (0o640, 0, 0, []),
        (0o666, 0, 0, ["mode_changed"]),
        (0o640, 1, 0, ["owner_changed"]),
        (0o640, 0, 8, ["owner_changed"]),
    ],
)
def test_pitfall_41_ghost_has_the_mode_and_the_owner_that_rpm_finds_it_without(
    empty: RpmSystem, there: str, mode: int, uid: int, gid: int, categories: list[str]
) -> None:
    """A link has no mode, and nobody gives a mode to what is absent."""
    empty.install(
        empty.build("g", {"/run.log": b"x", "/other": b"o"}, ["%ghost %attr(640,root,root) /run.log", "/other"])
    )
    path = empty.path("/run.log")
    _make(path, there)
    if there != "absent":
        os.chown(path, uid, gid, follow_symlinks=False)
    if there not in ("absent", "link"):
        path.chmod(mode)
    if there == "absent" or (there == "link" and mode == 0o666):
        categories = []

    assert list(empty.findings().values()) == categories
    assert _rpm_finds(empty) == ({"/run.log"} if categories else set())
