# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of a damaged file, where, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import inode
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import quarantine as module
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.inode import private_name
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount, Mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    SPARE_BYTES,
    NotMovableError,
    Quarantine,
    QuarantineError,
    mark_finished,
    unfinished,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "usr").mkdir()
    tree = Tree(str(tmp_path))
    yield tree
    tree.close()


@pytest.fixture
def quarantine(tree: Tree) -> Iterator[Quarantine]:
    quarantine = Quarantine(tree)
    yield quarantine
    quarantine.close()


def place(tree: Tree, quarantine: Quarantine) -> Path:
    assert quarantine.path is not None
    return Path(os.fsdecode(tree.root)) / quarantine.path.lstrip("/")


def records(tree: Tree, quarantine: Quarantine) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place(tree, quarantine) / "records.jsonl").read_text().splitlines()]


def moved(tree: Tree, quarantine: Quarantine, directory: bytes, name: bytes) -> bytes:
    walk = DirectoryWalk(tree)
    try:
        return quarantine.move(directory + b"/" + name, walk.enter(directory), name)
    finally:
        walk.close()


def test_nothing_is_made_before_something_is_kept(quarantine: Quarantine, tmp_path: Path) -> None:
    quarantine.finish()
    assert quarantine.path is None
    assert list((tmp_path / "var/lib").iterdir()) == []


def test_file_is_kept_with_everything_that_its_inode_says(tree: Tree, quarantine: Quarantine, tmp_path: Path) -> None:
    file = tmp_path / "usr/damaged"
    file.write_bytes(b"damaged" * 100_000)
    file.chmod(0o640)
    os.utime(file, ns=(1, 1_500_000_000_000_000_001))
    os.setxattr(file, "user.note", b"\0mine")
    quarantine.keep(b"/usr/damaged")
    (record,) = records(tree, quarantine)
    assert (place(tree, quarantine) / record["kept"]).read_bytes() == file.read_bytes()
    assert record["mode"] == "0640"
    assert record["uid"] == os.geteuid()
    assert record["modified_ns"] == 1_500_000_000_000_000_001
    assert base64.b64decode(record["xattrs"]["user.note"]) == b"\0mine"


def test_names_of_one_inode_are_kept_once(tree: Tree, quarantine: Quarantine, tmp_path: Path) -> None:
    (tmp_path / "usr/a").write_bytes(b"x")
    os.link(tmp_path / "usr/a", tmp_path / "usr/b")
    quarantine.keep(b"/usr/a")
    quarantine.keep(b"/usr/b")
    first, second = records(tree, quarantine)
    assert first["kept"] == second["kept"]


def test_name_that_is_no_text_is_kept_exactly(tree: Tree, quarantine: Quarantine, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\n")
    (tmp_path / "usr" / name).write_bytes(b"x")
    quarantine.keep(b"/usr/\xff\n")
    (record,) = records(tree, quarantine)
    assert base64.b64decode(record["path_b64"]) == b"/usr/\xff\n"


@pytest.mark.parametrize("kind", ["missing", "symlink", "fifo", "directory"])
def test_what_has_no_content_has_a_record(quarantine: Quarantine, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "usr/it"
    make = {"symlink": lambda: path.symlink_to("/etc/passwd"), "fifo": lambda: os.mkfifo(path), "directory": path.mkdir}
    make.get(kind, lambda: None)()
    record = quarantine.keep(b"/usr/it")
    assert record["type"] == kind
    assert "kept" not in record
    assert record.get("target") == ("/etc/passwd" if kind == "symlink" else None)


def test_more_than_it_may_take_is_refused(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "usr/large").write_bytes(bytes(2000))
    (tmp_path / "usr/sparse").touch()
    os.truncate(tmp_path / "usr/sparse", 1 << 42)
    small = Quarantine(tree, max_bytes=1000)
    for path in (b"/usr/large", b"/usr/sparse"):
        with pytest.raises(QuarantineError, match="more than the quarantine may take"):
            small.keep(path)
    small.close()


@pytest.mark.parametrize(("size", "free", "is_refused"), [(10, 10, False), (10, 9, True), (0, -SPARE_BYTES, False)])
def test_something_stays_free_beside_what_is_kept(
    quarantine: Quarantine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, free: int, is_refused: bool
) -> None:
    (tmp_path / "usr/it").write_bytes(bytes(size))
    room = SimpleNamespace(f_bavail=SPARE_BYTES + free, f_frsize=1)
    monkeypatch.setattr(module.os, "fstatvfs", lambda _descriptor: room)
    with pytest.raises(QuarantineError) if is_refused else contextlib.nullcontext():
        quarantine.keep(b"/usr/it")


def test_without_proc_nothing_is_taken_for_missing(
    quarantine: Quarantine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr/it").write_bytes(b"x")
    (tmp_path / "proc").mkdir()
    monkeypatch.setattr(inode, "_DESCRIPTORS", os.fsencode(tmp_path / "proc/self/fd"))
    with pytest.raises(QuarantineError, match="while /proc is not mounted"):
        quarantine.keep(b"/usr/it")


def test_copy_that_loses_its_directory_is_not_taken_for_missing(
    tree: Tree, quarantine: Quarantine, tmp_path: Path
) -> None:
    (tmp_path / "usr/it").write_bytes(b"x")
    quarantine.note_held("alpha")
    (place(tree, quarantine) / "files").rmdir()
    with pytest.raises(QuarantineError, match="cannot be kept"):
        quarantine.keep(b"/usr/it")


def full_disk(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Let a file grow to so many bytes."""
    write = os.write

    def short(descriptor: int, data: bytes) -> int:
        left = limit - os.fstat(descriptor).st_size
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:left])

    monkeypatch.setattr(module.os, "write", short)


def test_record_that_does_not_fit_is_refused_and_spoils_no_other(
    tree: Tree, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine.note_held("alpha")
    with monkeypatch.context() as patched:
        full_disk(patched, 30)
        with pytest.raises(QuarantineError, match="records of a repair cannot be written"):
            quarantine.note_held("beta")
    quarantine.note_held("gamma")
    assert [record["held"] for record in records(tree, quarantine)] == ["alpha", "gamma"]


def test_record_is_written_to_its_end(tree: Tree, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(module.os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    quarantine.note_held("alpha")
    monkeypatch.undo()
    assert records(tree, quarantine) == [{"held": "alpha"}]


def test_copy_is_written_to_its_end(
    tree: Tree, quarantine: Quarantine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr/it").write_bytes(bytes(range(256)))
    write = os.pwrite
    monkeypatch.setattr(inode.os, "pwrite", lambda descriptor, data, offset: write(descriptor, data[:100], offset))
    record = quarantine.keep(b"/usr/it")
    assert (place(tree, quarantine) / str(record["kept"])).read_bytes() == bytes(range(256))


def test_directory_that_cannot_be_recorded_is_where_it_was(
    tree: Tree, quarantine: Quarantine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr/it/in").mkdir(parents=True)
    full_disk(monkeypatch, 0)
    with pytest.raises(QuarantineError, match="records of a repair cannot be written"):
        moved(tree, quarantine, b"/usr", b"it")
    assert (tmp_path / "usr/it/in").is_dir()


def test_what_cannot_be_kept_if_possible_is_no_error(
    quarantine: Quarantine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr/it").write_bytes(b"x")
    full_disk(monkeypatch, 0)
    quarantine.keep_if_possible(b"/usr/it")


def test_unreadable_parts_are_left_out_and_named(
    tree: Tree, quarantine: Quarantine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(20_000)
    (tmp_path / "usr/bad").write_bytes(content)
    read = os.pread

    def bad_disk(descriptor: int, count: int, offset: int) -> bytes:
        if offset < 12_288 and offset + count > 4096:
            raise OSError(5, "Input/output error")
        return read(descriptor, count, offset)

    monkeypatch.setattr(module.os, "pread", bad_disk)
    quarantine.keep(b"/usr/bad")
    monkeypatch.undo()
    (record,) = records(tree, quarantine)
    assert record["unreadable"] == [[4096, 8192]]
    kept = (place(tree, quarantine) / record["kept"]).read_bytes()
    assert kept == content[:4096] + bytes(8192) + content[12_288:]


def test_directory_of_another_file_system_is_refused_and_stays(tree: Tree, quarantine: Quarantine) -> None:
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == Path(os.fsdecode(tree.root)).stat().st_dev:
        pytest.skip("there is no second file system here that could be written to")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        directory = Path(other) / "directory"
        (directory / "in").mkdir(parents=True)
        there = Tree(other)
        walk = DirectoryWalk(there)
        with pytest.raises(NotMovableError, match="another file system"):
            quarantine.move(b"/usr/directory", walk.enter(b""), b"directory")
        walk.close()
        there.close()
        assert (directory / "in").is_dir()
    assert not list((place(tree, quarantine) / "files").iterdir())


def test_directory_is_moved_with_everything_that_a_copy_would_lose(
    tree: Tree, quarantine: Quarantine, tmp_path: Path
) -> None:
    directory = tmp_path / "usr/it"
    directory.mkdir(mode=0o750)
    os.mkfifo(directory / "fifo", 0o621)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
    before = {path.name: path.stat() for path in directory.iterdir()}
    kept = moved(tree, quarantine, b"/usr", b"it")
    assert not directory.exists()
    after = {path.name: path.stat() for path in (place(tree, quarantine) / "files" / kept.decode()).iterdir()}
    assert after == before


@pytest.mark.parametrize("is_taken", [False, True])
def test_directory_is_moved_back_unless_its_place_is_taken(
    tree: Tree, quarantine: Quarantine, tmp_path: Path, is_taken: bool
) -> None:
    (tmp_path / "usr/it/in").mkdir(parents=True)
    kept = moved(tree, quarantine, b"/usr", b"it")
    if is_taken:
        (tmp_path / "usr/it").write_bytes(b"new")
    quarantine.move_back(b"/usr/it", kept)
    assert (tmp_path / "usr/it").is_file() == is_taken
    assert (place(tree, quarantine) / "files" / kept.decode() / "in").is_dir() == is_taken
    assert (tmp_path / "usr/it/in").is_dir() != is_taken


@pytest.mark.parametrize(("where", "is_refused"), [(b"/usr/it", True), (b"/usr/it/in", True), (b"/usr/item", False)])
def test_directory_with_a_mount_in_it_is_refused(
    tree: Tree,
    quarantine: Quarantine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: bytes,
    is_refused: bool,
) -> None:
    (tmp_path / "usr/it").mkdir()
    mount = Mount(0, b"/", where, "ext4", "", frozenset())
    monkeypatch.setattr(module, "read_mounts", lambda _tree: Mounts([mount]))
    with pytest.raises(NotMovableError, match="mounted") if is_refused else contextlib.nullcontext():
        moved(tree, quarantine, b"/usr", b"it")
    assert (tmp_path / "usr/it").is_dir() == is_refused


@pytest.mark.parametrize("where", ["var/lib/ringmaster", "var/lib/ringmaster/quarantine"])
def test_link_in_its_place_is_refused(quarantine: Quarantine, tmp_path: Path, where: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).symlink_to(outside)
    (tmp_path / "usr/it").touch()
    with pytest.raises(QuarantineError):
        quarantine.keep(b"/usr/it")
    assert list(outside.iterdir()) == []


def test_run_that_was_killed_is_found_with_its_directories(tree: Tree, quarantine: Quarantine, tmp_path: Path) -> None:
    (tmp_path / "usr/it").touch()
    quarantine.keep(b"/usr/it")
    quarantine.note_held("alpha")
    with (place(tree, quarantine) / "records.jsonl").open("ab") as stream:
        stream.write(b'{"path": "/etc/cut o')
    (found,) = unfinished(tree)
    assert found.directories == (b"/usr",)
    assert found.held == ("alpha",)
    quarantine.finish()
    assert unfinished(tree) == []


def bad_disk(*_arguments: object) -> bytes:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("failing", ["scandir", "fdopen"])
def test_records_on_a_bad_disk_are_told(
    tree: Tree, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    quarantine.note_held("alpha")
    monkeypatch.setattr(module.os, failing, bad_disk)
    with pytest.raises(QuarantineError, match=r"cannot be read \(Input/output error\)"):
        unfinished(tree)


@pytest.mark.parametrize("instead", ["nothing", "link"])
def test_records_that_are_not_there_are_none_and_others_are_told(
    tree: Tree, quarantine: Quarantine, instead: str
) -> None:
    quarantine.note_held("alpha")
    file = place(tree, quarantine) / "records.jsonl"
    file.unlink()
    if instead == "nothing":
        assert [found.held for found in unfinished(tree)] == [()]
        return
    file.symlink_to("/etc/passwd")
    with pytest.raises(QuarantineError, match=r"records\.jsonl: .* cannot be read"):
        unfinished(tree)


def test_end_that_cannot_be_recorded_is_told(
    tree: Tree, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine.note_held("alpha")
    (found,) = unfinished(tree)
    monkeypatch.setattr(module, "_create", bad_disk)
    with pytest.raises(QuarantineError, match="cannot be written"):
        quarantine.finish()
    with pytest.raises(QuarantineError, match="cannot be written"):
        mark_finished(tree, found.run)


def test_private_name_fits_the_longest_name() -> None:
    assert len(private_name(b"x" * 255)) == 255
