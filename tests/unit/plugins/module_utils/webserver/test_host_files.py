# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What processes hold on a host: sockets that are bound, logs that grow."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.host_files import (
    bound_sockets,
    growing_files,
    socket_paths_in,
)

HEADER = b"Num       RefCount Protocol Flags    Type St Inode Path\n"


@pytest.mark.parametrize(
    ("lines", "paths"),
    [
        (b"", []),
        (b"ffff8f: 00000002 00000000 00010000 0001 01 17 /run/a.sock\n", [Path("/run/a.sock")]),
        (b"ffff8f: 00000002 00000000 00010000 0001 01 17 /srv/with space\n", [Path("/srv/with space")]),
        (b"ffff8f: 00000002 00000000 00010000 0001 01 17 @abstract\n", []),
        (b"ffff8f: 00000002 00000000 00010000 0001 01 17 relative.sock\n", []),
        (b"ffff8f: 00000003 00000000 00000000 0001 03 18\n", []),
        (b"ffff8f: 00000002 00000000 00010000 0001 01 17 /two\n" * 2, [Path("/two")]),
        (b"\xff\xff nonsense\n", []),
    ],
)
def test_socket_paths(lines: bytes, paths: list[Path]) -> None:
    assert socket_paths_in(HEADER + lines) == paths


def test_a_bound_socket_is_found(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert tmp_path / "s" in bound_sockets()


def test_only_large_files_that_are_appended_to_grow(tmp_path: Path) -> None:
    large, small, written = (tmp_path / name for name in ("large", "small", "written"))
    large.write_bytes(bytes(5000))
    large.chmod(0o640)
    small.write_bytes(bytes(10))
    written.write_bytes(bytes(5000))
    with large.open("ab"), small.open("ab"), written.open("r+b"):
        found = {file.path: file for file in growing_files(1000)}

    assert found.keys() & {large, small, written} == {large}
    assert found[large][1:] == (0o640, os.getuid(), os.getgid())
    assert large not in [file.path for file in growing_files(1000)]


def test_a_removed_file_does_not_grow(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.write_bytes(bytes(5000))
    with gone.open("ab"):
        gone.unlink()
        assert not [file for file in growing_files(1000) if file.path.parent == tmp_path]
