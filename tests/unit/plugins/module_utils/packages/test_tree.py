# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names below a root never lead out of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "usr/lib/deep").mkdir(parents=True)
    (root / "usr/lib/file").write_text("inside")
    for name, target in {
        "lib": "usr/lib",
        "absolute": "/usr/lib",
        "up": "../../../../../usr/lib",
        "chain": "lib/deep/../../../absolute",
        "loop": "loop2",
        "loop2": "/loop",
        "out": f"{tmp_path}/secret",
        "out2": "../secret",
        "dangling": "/usr/nothing",
    }.items():
        (root / name).symlink_to(target)
    (root / "usr/lib/deep/up").symlink_to("..")
    return root


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        (b"/usr/lib", b"/usr/lib"),
        (b"/lib", b"/usr/lib"),
        (b"/absolute/deep", b"/usr/lib/deep"),
        (b"/up", b"/usr/lib"),
        (b"/chain/deep", b"/usr/lib/deep"),
        (b"/usr/lib/deep/up/file", b"/usr/lib/file"),
        (b"/usr/../../..//usr/./lib", b"/usr/lib"),
        (b"/dangling/x", b"/usr/nothing/x"),
        (b"/loop/x", b"/loop/x"),
        (b"/out2", b"/secret"),
        (b"/..", b""),
    ],
)
def test_links_are_resolved_inside_the_root(root: Path, path: bytes, resolved: bytes) -> None:
    assert Tree(str(root)).resolve(path) == resolved


def test_a_file_is_read_through_links_but_never_from_outside(root: Path) -> None:
    tree = Tree(str(root))
    assert tree.read(b"/chain/file", 100) == b"inside"
    for path in (b"/out", b"/out2"):
        with pytest.raises(FileNotFoundError):
            tree.read(path, 100)


def test_a_loop_inside_the_root_is_not_left_to_the_kernel_which_would_follow_it_outside(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    inside = root / str(outside).lstrip("/")
    inside.parent.mkdir(parents=True)
    inside.symlink_to(outside)
    tree = Tree(str(root))
    name = os.fsencode(outside)
    with pytest.raises(OSError, match="symbolic links"):
        tree.read(name + b"/file", 100)
    with pytest.raises(OSError, match="symbolic links"):
        tree.names(name)
    assert not tree.is_directory(name)


def test_a_device_is_not_even_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "fifo")  # Stands for a device, which not every user may make.
    opened: list[object] = []
    real_open = os.open

    def note(path: bytes, flags: int, **details: int) -> int:
        opened.append(path)
        return real_open(path, flags, **details)

    tree = Tree(str(root))
    monkeypatch.setattr(os, "open", note)
    with pytest.raises(OSError, match="not a regular file"):
        tree.open(b"/fifo")
    assert opened == []


def test_only_regular_files_up_to_a_limit_are_read(root: Path) -> None:
    tree = Tree(str(root))
    os.mkfifo(root / "fifo")
    for path, number in ((b"/fifo", errno.EINVAL), (b"/usr", errno.EINVAL), (b"/lib/file", errno.EFBIG)):
        with pytest.raises(OSError) as caught:
            tree.read(path, 5)
        assert caught.value.errno == number


def test_a_walk_enters_directories_and_never_a_link(root: Path) -> None:
    walk = DirectoryWalk(Tree(str(root)))
    for path in (b"/usr/lib/deep", b"/usr", b"", b"/usr/lib"):
        expected = (root / path.decode().lstrip("/")).stat().st_ino
        assert os.fstat(walk.enter(path)).st_ino == expected
    for path, number in ((b"/lib", errno.ELOOP), (b"/usr/lib/file/x", errno.ENOTDIR), (b"/nothing", errno.ENOENT)):
        for _again in range(2):
            with pytest.raises(OSError) as caught:
                walk.enter(path)
            assert caught.value.errno == number
    assert os.fstat(walk.enter(b"/usr/lib")).st_ino == (root / "usr/lib").stat().st_ino


@pytest.mark.parametrize("path", [b"/usr/lib/file", b"/lib/file", b"/usr/lib/deep", b"/absolute", b"/chain/deep/up"])
def test_pitfall_37_what_is_to_be_avoided_is_refused_by_whatever_name(root: Path, path: bytes) -> None:
    tree = Tree(str(root))
    tree.avoided = (b"/usr/lib/",)
    for enter in (tree.names, tree.open, lambda name: tree.read(name, 100), tree.directory_status):
        with pytest.raises(OSError) as caught:
            enter(path if enter != tree.directory_status else tree.resolve(path))
        assert caught.value.errno == errno.EREMOTE
    assert not tree.is_directory(tree.resolve(path))
    assert tree.names(b"/usr") == [b"lib"]


def test_root_that_is_no_directory_is_refused(root: Path) -> None:
    with pytest.raises(InvalidInputError, match="not a directory"):
        Tree(str(root / "usr/lib/file"))


def test_path_that_links_make_longer_than_the_kernel_takes_is_not_resolved(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b/" * 2000)
    assert Tree(str(tmp_path)).resolve(b"/a/c") == b"/" + b"b/" * 2000 + b"c"
    assert Tree(str(tmp_path)).resolve(b"/a" + b"/c" * 100) == b"/a" + b"/c" * 100
