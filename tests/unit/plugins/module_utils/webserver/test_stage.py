# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written below a server's directory is complete or absent, and secrets are secret from the first byte."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import stage
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    ORIGINAL,
    Facts,
    Release,
    ReleaseFile,
    compose,
    is_intact,
    read_release,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout, StagingError

from . import simulated
from .simulated import ENTRY, STOCK, SimulatedHost, tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
host = simulated.host

KEY = ReleaseFile("tls/a/privkey.pem", b"canary", sensitive=True)


@pytest.fixture
def layout(host: SimulatedHost) -> Layout:
    """Return the places of a host that has none of ours yet."""
    return host.layout()


def release(text: bytes = b"good\n", key: ReleaseFile = KEY) -> Release:
    """Return a release with a file that is not for everybody, and a key."""
    return compose(
        [ReleaseFile("nginx.conf", text), ReleaseFile("a/htpasswd", b"x", "root", "daemon", 0o640), key], Facts()
    )


def test_a_release_as_a_whole(layout: Layout) -> None:
    wanted = release()
    stage.write_release(layout, wanted)
    assert tree(layout.directory) == {
        "keys": (0o700, ""),
        f"keys/{KEY.sha256}.pem": (0o600, "canary"),
        "releases": (0o755, ""),
        f"releases/{wanted.name}": (0o755, ""),
        f"releases/{wanted.name}/a": (0o755, ""),
        f"releases/{wanted.name}/a/htpasswd": (0o640, "x"),
        f"releases/{wanted.name}/nginx.conf": (0o644, "good\n"),
        f"releases/{wanted.name}/release.json": (0o644, Facts().to_json().decode()),
        f"releases/{wanted.name}/tls": (0o755, ""),
        f"releases/{wanted.name}/tls/a": (0o755, ""),
        f"releases/{wanted.name}/tls/a/privkey.pem": (0o777, f"../../../../keys/{KEY.sha256}.pem"),
    }
    assert (layout.release(wanted.name) / KEY.path).read_bytes() == b"canary"
    assert (layout.release(wanted.name) / "a/htpasswd").group() == "daemon"


def test_a_release_is_read_as_it_was_written(layout: Layout) -> None:
    wanted = release()
    stage.write_release(layout, wanted)
    found = read_release(layout.release(wanted.name))
    assert found == wanted
    assert is_intact(found)


def test_owner_and_mode_are_there_before_the_first_byte(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    change = os.fchmod

    def watched(descriptor: int, mode: int) -> None:
        status = os.fstat(descriptor)
        seen.append((status.st_size, status.st_mode & 0o777, status.st_gid))
        change(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", watched)
    old_mask = os.umask(0)
    try:
        stage.write_release(layout, release())
    finally:
        os.umask(old_mask)
    assert {(size, mode) for size, mode, _group in seen} == {(0, 0o600)}
    assert len({group for _size, _mode, group in seen}) == 2


def test_an_unknown_user_is_refused_with_nothing_left(layout: Layout) -> None:
    with pytest.raises(StagingError, match="no user 'nosuch'"):
        stage.write_release(layout, compose([KEY, ReleaseFile("a", b"", owner="nosuch")], Facts()))
    assert sorted(tree(layout.directory)) == ["keys", "releases"]


@pytest.mark.parametrize("place", range(9))
def test_a_disk_that_is_full_at_any_moment_leaves_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    before = release(b"before\n", ReleaseFile("k.pem", b"other", sensitive=True))
    stage.write_release(layout, before)
    there = tree(layout.directory)
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > place:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StagingError, match="No space left on device"):
            stage.write_release(layout, release())
    assert {path: value for path, value in tree(layout.directory).items() if "/" + release().name not in path} == there
    stage.write_release(layout, release())
    assert read_release(layout.release(release().name)) == release()


def test_what_a_killed_run_left_is_replaced(layout: Layout) -> None:
    wanted = release()
    left = layout.releases / f".{wanted.name}.new"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    stage.make_directories(layout)
    (layout.keys / f".{KEY.sha256}.pem.new").write_text("half")
    stage.write_release(layout, wanted)
    assert read_release(layout.release(wanted.name)) == wanted
    assert not left.exists()


@pytest.mark.parametrize(
    "damage", ["content", "mode", "extra file", "extra directory", "missing", "key", "key mode", "link"]
)
def test_a_release_that_was_changed_by_hand_gets_its_content_back(layout: Layout, damage: str) -> None:
    wanted = release()
    stage.write_release(layout, wanted)
    there, where = tree(layout.directory), layout.release(wanted.name)
    {
        "content": lambda: (where / "nginx.conf").write_text("other"),
        "mode": lambda: (where / "a/htpasswd").chmod(0o666),
        "extra file": lambda: (where / "tls/extra").write_text("x"),
        "extra directory": lambda: (where / "more").mkdir() or (where / "more/x").touch(),
        "missing": (where / "nginx.conf").unlink,
        "key": lambda: (layout.keys / f"{KEY.sha256}.pem").write_text("other"),
        "key mode": lambda: (layout.keys / f"{KEY.sha256}.pem").chmod(0o644),
        "link": lambda: (where / KEY.path).unlink() or (where / KEY.path).symlink_to("/etc/hostname"),
    }[damage]()
    stage.write_release(layout, wanted)
    assert tree(layout.directory) == there
    assert read_release(where) == wanted


def test_the_link_to_the_current_release(layout: Layout) -> None:
    for text in (b"one\n", b"two\n"):
        wanted = release(text)
        stage.write_release(layout, wanted)
        stage.flip(layout, wanted.name)
        assert stage.current_release(layout) == wanted.name
        assert str(layout.current.readlink()) == f"releases/{wanted.name}"


def test_no_link_leads_to_a_release_that_is_not_there(layout: Layout) -> None:
    with pytest.raises(StagingError, match="no such release"):
        stage.flip(layout, "0123456789abcdef")


@pytest.mark.parametrize("target", ["releases/../..", "/etc", "releases/x", "elsewhere/0123456789abcdef"])
def test_a_link_of_somebody_else_is_no_current_release(layout: Layout, target: str) -> None:
    stage.make_directories(layout)
    layout.current.symlink_to(target)
    assert stage.current_release(layout) is None


def take_over(layout: Layout) -> None:
    """Do what a first deployment does to the entry file."""
    original = stage.original_release(layout, Facts())
    assert original is not None
    stage.write_release(layout, original)
    stage.flip(layout, ORIGINAL)
    stage.keep_entry(layout)
    stage.write_entry(layout)


def test_the_entry_file_becomes_ours_and_is_kept(layout: Layout) -> None:
    assert not stage.is_taken_over(layout)
    take_over(layout)
    assert stage.is_taken_over(layout)
    assert layout.entry.read_bytes() == ENTRY
    assert layout.kept_entry.read_bytes() == STOCK
    assert (layout.current / "nginx.conf").read_bytes() == STOCK


def test_the_entry_file_is_kept_once(layout: Layout) -> None:
    take_over(layout)
    layout.entry.write_bytes(b"from a package again\n")
    take_over(layout)
    assert layout.kept_entry.read_bytes() == STOCK
    assert (layout.current / "nginx.conf").read_bytes() == b"from a package again\n"


def test_an_entry_that_is_a_link(layout: Layout) -> None:
    layout.server.entry_content = None
    take_over(layout)
    assert stage.is_taken_over(layout)
    assert str(layout.entry.readlink()) == "ringmaster/current/nginx.conf"
    assert layout.entry.read_bytes() == STOCK


def test_a_link_of_the_operator_is_kept_as_a_link(layout: Layout) -> None:
    (layout.entry.parent / "own.conf").write_bytes(b"own\n")
    layout.entry.unlink()
    layout.entry.symlink_to("own.conf")
    take_over(layout)
    assert str(layout.kept_entry.readlink()) == "own.conf"
    assert layout.entry.read_bytes() == ENTRY
    assert (layout.entry.parent / "own.conf").read_bytes() == b"own\n"


def test_a_host_without_an_entry_file_has_no_original(layout: Layout) -> None:
    layout.entry.unlink()
    assert stage.original_release(layout, Facts()) is None


def test_a_key_goes_with_its_last_reference(layout: Layout) -> None:
    other = ReleaseFile("k.pem", b"other", sensitive=True)
    first, second, third = release(b"1"), release(b"2"), release(b"3", other)
    for each in (first, second, third):
        stage.write_release(layout, each)
    stage.remove_releases(layout, [first.name])
    assert (layout.keys / f"{KEY.sha256}.pem").exists()
    stage.remove_releases(layout, [second.name])
    assert [path.name for path in layout.keys.iterdir()] == [f"{other.sha256}.pem"]


def test_nothing_else_is_removed(layout: Layout) -> None:
    stage.make_directories(layout)
    (layout.releases / "mine").mkdir()
    (layout.keys / "note.txt").write_text("x")
    stage.remove_releases(layout, ["0123456789abcdef"])
    assert (layout.releases / "mine").is_dir()
    assert (layout.keys / "note.txt").exists()


def test_a_kept_key_survives_a_release_that_cannot_be_written(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.write_release(layout, release(b"live"))
    kept = layout.keys / f"{KEY.sha256}.pem"
    kept.chmod(0o640)

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stage, "_write_tree", full)
    with pytest.raises(StagingError):
        stage.write_release(layout, release(b"new"))
    assert kept.read_bytes() == KEY.content


def test_what_a_killed_run_left_goes_with_its_release(layout: Layout) -> None:
    stage.make_directories(layout)
    (layout.releases / ".0123456789abcdef.new").mkdir()
    (layout.releases / ".0123456789abcdef.new" / "k.pem").symlink_to(f"../../keys/{KEY.sha256}.pem")
    for name in (f"{KEY.sha256}.pem", f".{KEY.sha256}.pem.new"):
        (layout.keys / name).write_bytes(KEY.content)
    stage.remove_releases(layout, ["0123456789abcdef"])
    assert list(layout.releases.iterdir()) == list(layout.keys.iterdir()) == []
