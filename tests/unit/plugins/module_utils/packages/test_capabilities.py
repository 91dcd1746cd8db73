# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capabilities in their two forms."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.capabilities import (
    ATTRIBUTE,
    Capabilities,
    parse_attribute,
    parse_text,
    to_attribute,
    to_text,
)

NET_RAW, CHECKPOINT_RESTORE = 1 << 13, 1 << 40


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (struct.pack("<5I", 0x02000001, NET_RAW, 0, 0, 0), Capabilities(NET_RAW, 0, True)),
        (struct.pack("<5I", 0x02000000, 0, NET_RAW, 1 << 8, 0), Capabilities(CHECKPOINT_RESTORE, NET_RAW, False)),
        (struct.pack("<3I", 0x01000001, NET_RAW, 0), Capabilities(NET_RAW, 0, True)),
        (struct.pack("<6I", 0x03000000, NET_RAW, 0, 0, 0, 100000), Capabilities(NET_RAW, 0, False, 100000)),
        (struct.pack("<5I", 0x04000001, NET_RAW, 0, 0, 0), None),
        (struct.pack("<4I", 0x02000001, NET_RAW, 0, 0), None),
        (b"\0\0", None),
        (bytes(20), None),
    ],
)
def test_the_attribute_of_each_version_is_read_and_a_malformed_one_is_not(
    data: bytes, expected: Capabilities | None
) -> None:
    assert parse_attribute(data) == expected


@pytest.mark.parametrize(
    "capabilities",
    [
        Capabilities(NET_RAW | CHECKPOINT_RESTORE, 0, True),
        Capabilities(0, NET_RAW | CHECKPOINT_RESTORE, False),
        Capabilities(NET_RAW, 0, False, 100000),
        Capabilities(),
    ],
)
def test_the_attribute_that_is_written_is_read_as_the_same(capabilities: Capabilities) -> None:
    assert parse_attribute(to_attribute(capabilities)) == capabilities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cap_net_raw=ep", Capabilities(NET_RAW, 0, True)),
        ("= cap_net_raw+ep", Capabilities(NET_RAW, 0, True)),
        ("cap_net_raw+eip cap_net_raw-i", Capabilities(NET_RAW, 0, True)),
        ("cap_net_raw,cap_chown=p", Capabilities(NET_RAW | 1, 0, False)),
        ("40=i", Capabilities(0, CHECKPOINT_RESTORE, False)),
        ("all=ep cap_net_raw-ep", Capabilities(((1 << 41) - 1) & ~NET_RAW, 0, True)),
        ("", Capabilities()),
        ("=", Capabilities()),
        ("cap_net_raw=p [rootid=7]", Capabilities(NET_RAW, 0, False, 7)),
        ("cap_no_such=ep", None),
        ("cap_net_raw", None),
        ("malformed", None),
        ("cap_net_raw=ep " * 1000, None),
        ("99=ep", None),
    ],
)
def test_each_spelling_of_the_text_means_the_same(text: str, expected: Capabilities | None) -> None:
    assert parse_text(text) == expected


@pytest.mark.parametrize("text", ["", "cap_net_raw=ep", "cap_chown=p cap_net_raw=ip", "cap_bpf=i [rootid=7]"])
def test_text_that_was_made_is_read_again(text: str) -> None:
    parsed = parse_text(text)
    assert parsed is not None and to_text(parsed) == text


def test_what_setcap_writes_is_read(tmp_path: Path) -> None:
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin")
    if setcap is None or os.geteuid():
        pytest.skip("only root may set capabilities, and only with setcap installed")
    (tmp_path / "a").touch()
    subprocess.run([setcap, "cap_net_bind_service,cap_net_raw=eip", tmp_path / "a"], check=True)
    parsed = parse_attribute(os.getxattr(tmp_path / "a", ATTRIBUTE))
    assert parsed is not None and to_text(parsed) == "cap_net_bind_service,cap_net_raw=eip"
