# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a host, whatever they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular


@pytest.mark.parametrize(
    ("most_bytes", "from_end", "expected"),
    [(4, False, b"0123"), (100, False, b"0123456789"), (4, True, b"6789"), (100, True, b"0123456789")],
)
def test_as_much_as_was_asked_for(tmp_path: Path, most_bytes: int, from_end: bool, expected: bytes) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(str(tmp_path / "link"), most_bytes, from_end) == expected


@pytest.mark.parametrize("kind", ["directory", "pipe", "device", "nothing"])
def test_what_is_no_file_is_an_error_and_leaves_nothing_open(tmp_path: Path, kind: str) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError):
        read_regular(str(tmp_path / kind), 10)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
