# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What arrives on a host is what was sent, or is refused."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import transport
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import ReleaseFile
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.transport import collect, read_archive


def archive(directory: Path, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> str:
    """Write an archive and return its path."""
    path = directory / "archive.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, "/etc/shadow"
            tar.addfile(member, io.BytesIO(content))
    return str(path)


def entry(path: str, content: bytes, **more: str) -> dict[str, Any]:
    """Return what the module is told about a file in the archive."""
    return {"path": path, "sha256": hashlib.sha256(content).hexdigest(), **more}


def test_files_come_from_the_archive_and_from_the_host(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"key")
    files = [
        entry("a.conf", b"a", owner="nobody", group="daemon", mode="0640"),
        {"path": "k.pem", "remote_src": str(tmp_path / "key"), "sensitive": True},
    ]
    assert collect(files, archive(tmp_path, ("a.conf", b"a"))) == [
        ReleaseFile("a.conf", b"a", "nobody", "daemon", 0o640),
        ReleaseFile("k.pem", b"key", sensitive=True),
    ]


def test_a_content_that_was_changed_on_the_way(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"a\.conf.*not what was sent"):
        collect([entry("a.conf", b"a")], archive(tmp_path, ("a.conf", b"b")))


def test_a_content_that_did_not_arrive(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="did not arrive"):
        collect([entry("a.conf", b"a")], archive(tmp_path))


@pytest.mark.parametrize("mode", ["9", "rw", "-1", "01777", "4755"])
def test_a_mode_that_is_none(tmp_path: Path, mode: str) -> None:
    with pytest.raises(InvalidInputError, match="octal mode"):
        collect([entry("a", b"", mode=mode)], archive(tmp_path, ("a", b"")))


def test_a_file_of_the_host_that_is_missing_is_named_with_both_paths(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        collect([{"path": "tls/a.pem", "remote_src": str(tmp_path / "none")}], None)
    assert "tls/a.pem" in str(caught.value)
    assert f"{tmp_path}/none" in str(caught.value)
    assert "No such file" in str(caught.value)


def test_a_file_of_the_host_that_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInputError, match="regular file"):
        collect([{"path": "a", "remote_src": str(tmp_path / "fifo")}], None)


def test_a_file_of_the_host_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_MAX_REMOTE_BYTES", 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(InvalidInputError, match="more than 10 bytes"):
        collect([{"path": "a", "remote_src": str(tmp_path / "large")}], None)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_an_archive_holds_nothing_but_files(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InvalidInputError, match="is no file"):
        read_archive(archive(tmp_path, ("a", b""), kind=kind))


def test_an_archive_holds_each_file_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there twice"):
        read_archive(archive(tmp_path, ("a", b"1"), ("a", b"2")))


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 1), ("MAX_TOTAL_BYTES", 1)])
def test_an_archive_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(transport, limit, value)
    with pytest.raises(InvalidInputError, match="it has more than"):
        read_archive(archive(tmp_path, ("a", b"1"), ("b", b"2")))


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x1f\x8b" * 600)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_archive(str(tmp_path / "x"))
