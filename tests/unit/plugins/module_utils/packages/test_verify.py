# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was found at a path, in the cases that no package can be built for."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import verify as verify_module
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import FILE, Entry, Observation
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.reading import HASHERS, Reader
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.verify import self_test, verify


def entry(path: str, content: bytes, algorithm: str = "md5") -> Entry:
    made = Entry(path.encode(), path.encode(), FILE, "p")
    made.digest = hashlib.new(algorithm, content).hexdigest().encode()
    return made


def observe(root: Path | str, *entries: Entry) -> list[Observation]:
    return [found for outcome in verify(Tree(str(root)), list(entries), 1) for found in outcome.observations]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
def test_each_algorithm_is_told_by_its_length(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert observe(tmp_path, entry("/a", b"content", algorithm)) == []
    found = observe(tmp_path, entry("/a", b"other", algorithm))
    assert found[0].digest == hashlib.new(algorithm, b"content").hexdigest().encode()


@pytest.mark.parametrize("size", [0, 1, 262143, 262144, 262145, 524288, 1_000_000])
def test_files_of_every_size_are_read_to_their_end(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)
    assert observe(tmp_path, entry("/a", b"x" * size)) == []


def test_pitfall_30_read_error_is_reported_with_errno_and_offset_and_the_rest_goes_on() -> None:
    memory = f"/{os.getpid()}/mem"
    try:
        os.close(os.open(f"/proc{memory}", os.O_RDONLY))
    except OSError:
        pytest.skip("this kernel keeps /proc/PID/mem, whose first page cannot be read, from its own process")
    found = observe("/proc", entry(memory, b"x"), entry("/version", b"x"))
    assert (found[0].error, found[0].offset) == (errno.EIO, 0)
    assert found[1].digest is not None


def test_pitfall_30_read_error_of_a_file_without_digest_is_reported_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr(os, "pread", fail)
    (found,) = observe(tmp_path, Entry(b"/a", b"/a", FILE, "p"))
    assert (found.error, found.offset) == (errno.EIO, 0)


def test_pitfall_32_sparse_file_is_read_in_chunks(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", 50_000_000)
    assert observe(tmp_path, entry("/a", bytes(50_000_000))) == []


def test_pitfall_32_file_larger_than_any_package_holds_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", 1 << 40)
    found = observe(tmp_path, entry("/a", b"x"))
    assert [(seen.error, seen.size) for seen in found] == [(errno.EFBIG, 1 << 40)]


def test_pitfall_33_file_that_grows_faster_than_it_is_read_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    preadv = os.preadv

    def grow(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        size = os.fstat(descriptor).st_size
        assert size < 100_000_000, "it is read for ever"
        os.truncate(tmp_path / "a", size + 300_000)
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", grow)
    assert [found.busy for found in observe(tmp_path, entry("/a", b"y"))] == [True]


def test_pitfall_33_file_that_keeps_changing_is_busy_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    read = Reader.read

    def read_and_write(self: Reader, descriptor: int, name: str, status: os.stat_result) -> object:
        found = read(self, descriptor, name, status)
        with path.open("ab") as stream:
            stream.write(b"more")
        return found

    monkeypatch.setattr(Reader, "read", read_and_write)
    assert [found.busy for found in observe(tmp_path, entry("/a", b"y"))] == [True]


def test_pitfall_33_file_that_was_exchanged_while_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    read = Reader.read

    def read_and_exchange(self: Reader, descriptor: int, name: str, status: os.stat_result) -> object:
        found = read(self, descriptor, name, status)
        (tmp_path / "new").write_bytes(b"new")
        (tmp_path / "new").replace(path)
        return found

    monkeypatch.setattr(Reader, "read", read_and_exchange)
    assert observe(tmp_path, entry("/a", b"new")) == []


def test_killed_process_is_a_failure_with_the_entries_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").write_bytes(b"x")
    look = verify_module._Verifier._look

    def look_or_die(self: object, index: int, *rest: object) -> object:
        if index == 130:
            os.kill(os.getpid(), signal.SIGKILL)
        return look(self, index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(verify_module._Verifier, "_look", look_or_die)
    outcomes = list(verify(Tree(str(tmp_path)), [entry(f"/{number:03}", b"x") for number in range(300)], 2))
    assert sorted((outcome.first, outcome.end, bool(outcome.failure)) for outcome in outcomes) == [
        (0, 128, False),
        (128, 256, True),
        (256, 300, False),
    ]


def test_pitfall_59_python_that_hashes_wrongly_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HASHERS, "md5", hashlib.sha1)
    with pytest.raises(MeasurementError, match="damaged"):
        self_test()
