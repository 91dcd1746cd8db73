# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading through the cache, past it, and both; what is claimed of it; and how gently it is done."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import reading as reading_module
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    FILE,
    Entry,
    Finding,
    Manifest,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import Mount, Mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import (
    BOTH,
    CACHED,
    UNCACHED,
    Digested,
    Reader,
    Reading,
    unproven_devices,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verdict import judge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import verify

GOOD, BAD = b"good" * 5000, b"bad!" * 5000


def digest(content: bytes) -> bytes:
    return hashlib.md5(content).hexdigest().encode()


def read(path: Path, reading: Reading, reader: Reader | None = None) -> tuple[Digested, Digested | None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return (reader or Reader(reading)).read(descriptor, "md5", os.fstat(descriptor))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("mode", [CACHED, UNCACHED, BOTH])
@pytest.mark.parametrize("size", [0, 1, 511, 4096, 4097, 262144, 1048576, 1048577, 3_000_000])
def test_files_of_every_size_are_read_to_their_end_in_every_way(tmp_path: Path, mode: str, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    found, disk = read(tmp_path / "a", Reading(mode))
    assert found == Digested(digest(content), size)
    assert disk == (found if mode == BOTH else None)


def test_a_device_that_is_not_known_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(GOOD)
    reader = Reader(Reading(UNCACHED))
    read(tmp_path / "a", reader.reading, reader)
    assert dict(reader.passes) == {("unknown", "its file system is not known"): 1}


def test_a_file_whose_attributes_make_ext4_use_the_cache_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(GOOD)
    device = (tmp_path / "a").stat().st_dev
    reader = Reader(Reading(UNCACHED, unproven={device: ("ext4", "")}))
    monkeypatch.setattr(reading_module, "_set_direct", lambda _descriptor, _on: True)
    for flags, proven in ((0x80000, True), (0x80000 | 0x4000, False), (0x10000000, False), (None, False)):
        monkeypatch.setattr(reading_module, "get_flags", lambda _descriptor, flags=flags: flags)
        reader.passes.clear()
        read(tmp_path / "a", reader.reading, reader)
        assert [not reason for _kind, reason in reader.passes] == [proven]


def mount(kind: str, device: int = 1, options: str = "rw") -> Mount:
    return Mount(device, b"/", b"", kind, "x", frozenset(options.split(",")))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("xfs", ""),
        ("ext2", ""),
        ("ext4", "its journal mode cannot be told"),
        ("tmpfs", "tmpfs is in memory"),
        *((kind, "is not known to read past the page cache") for kind in ("btrfs", "zfs", "overlay", "nfs4", "f2fs")),
    ],
)
def test_what_is_known_of_each_file_system(kind: str, words: str) -> None:
    (kind_and_reason,) = unproven_devices(Mounts([mount(kind, device=os.makedev(0, 1048575))])).values()
    assert kind_and_reason[0] == kind
    assert words in kind_and_reason[1] and bool(words) == bool(kind_and_reason[1])


@pytest.mark.parametrize(("options", "proven"), [("rw\ndata=ordered\n", True), ("rw\ndata=journal\n", False)])
def test_ext4_that_journals_data_proves_nothing(monkeypatch: pytest.MonkeyPatch, options: str, proven: bool) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _self: options)
    assert unproven_devices(Mounts([mount("ext4")])) == {
        1: ("ext4", "" if proven else "it journals data, and so reads through the page cache")
    }


def test_pitfall_30_error_of_the_disk_is_tried_once_more_past_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(GOOD)
    preadv = os.preadv
    failures = [1]

    def fail(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if offset and failures[0]:
            failures[0] -= 1
            raise OSError(errno.EIO, "")
        return preadv(descriptor, [buffers[0][:4096]], offset)

    monkeypatch.setattr(os, "preadv", fail)
    monkeypatch.setattr(reading_module, "_set_direct", lambda _descriptor, _on: True)
    assert read(tmp_path / "a", Reading())[0] == Digested(digest(GOOD), 4096, errno.EIO)
    failures[0] = 2
    assert read(tmp_path / "a", Reading())[0] == Digested(None, 4096, errno.EIO)


def test_pitfall_33_file_that_has_become_longer_cannot_be_read_on_past_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)

    def refuse(_descriptor: int, _buffers: list[memoryview], offset: int) -> int:
        if offset:
            raise OSError(errno.EINVAL, "")
        return 100

    monkeypatch.setattr(os, "preadv", refuse)
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    assert Reader(Reading())._hash(descriptor, "md5", 50, 4096).growing
    os.close(descriptor)


def judged(
    root: Path, monkeypatch: pytest.MonkeyPatch, cached: bytes, disk: bytes | int, kind: str = FILE
) -> list[Finding]:
    """Verify a file of which the cache and the disk have different contents, or the disk has an error."""
    entry = Entry(b"/a", b"/a", kind, "p")
    entry.digest = digest(GOOD)
    (root / "a").write_bytes(GOOD)

    def both(_self: Reader, _descriptor: int, _name: str, _status: os.stat_result) -> tuple[Digested, Digested]:
        on_disk = Digested(None, 8192, disk) if isinstance(disk, int) else Digested(digest(disk), len(disk))
        return Digested(digest(cached), len(cached)), on_disk

    monkeypatch.setattr(Reader, "read", both)
    tree = Tree(str(root))
    seen = [found for outcome in verify(tree, [entry], 1, reading=Reading(BOTH)) for found in outcome.observations]
    tree.close()
    return judge(Manifest(entries=[entry]), seen).findings


@pytest.mark.parametrize(
    ("cached", "disk", "kind", "expected"),
    [
        (GOOD, GOOD, FILE, []),
        (GOOD, BAD, FILE, ["cached_good_disk_bad"]),
        (GOOD, BAD, CONFFILE, ["cached_good_disk_bad"]),
        (GOOD, errno.EIO, FILE, ["cached_good_disk_bad"]),
        (BAD, GOOD, FILE, ["cached_bad_disk_good"]),
        (BAD, BAD, FILE, ["content_changed"]),
        (BAD, BAD, CONFFILE, ["config_changed"]),
        (BAD, errno.EIO, FILE, ["content_changed"]),
    ],
)
def test_pitfall_54_cache_and_disk_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bytes, disk: bytes | int, kind: str, expected: list[str]
) -> None:
    assert [found.category for found in judged(tmp_path, monkeypatch, cached, disk, kind)] == expected


def test_pitfall_54_finding_shows_what_the_cache_and_what_the_disk_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = judged(tmp_path, monkeypatch, GOOD, BAD)
    assert (found.actual["md5"], found.actual["disk_md5"]) == (digest(GOOD).decode(), digest(BAD).decode())
    (found,) = judged(tmp_path, monkeypatch, GOOD, errno.EIO)
    assert (found.actual["disk_error"], found.actual["disk_offset"]) == ("EIO", 8192)


@pytest.mark.parametrize("sizes", [(1_000_000,), (4_000,) * 250])
def test_a_rate_is_kept_for_files_of_every_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]
) -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    reader = Reader(Reading(max_rate=100_000))
    for size in sizes:
        (tmp_path / "a").write_bytes(bytes(size))
        assert read(tmp_path / "a", reader.reading, reader)[0].digest == digest(bytes(size))
    assert 9 < sum(slept) < 11
    assert max(slept) < 1


def test_processes_are_idle_and_say_so_when_they_cannot_be() -> None:
    code = (
        "from ansible_collections.ringmaster.webops.plugins.module_utils.packages import reading as r;"
        "print(r.be_gentle()); import os, platform; print(os.nice(0));"
        "platform.machine = lambda: 'pdp11'; print(r.be_gentle())"
    )
    top = str(Path(__file__).resolve().parents[5] / "collections")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": top}
    )
    idle, niceness, refused = done.stdout.splitlines()
    assert idle == "" and int(niceness) >= 5
    assert "pdp11" in refused
