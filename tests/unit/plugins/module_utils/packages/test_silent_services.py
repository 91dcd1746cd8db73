# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.silent_services import (
    COMMANDS,
    silent_services,
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("nginx upgrade", 0),
        ("--quiet nginx restart", 0),
        ("restart a.service b.service", 0),
        ("nginx status", 4),
        ("", 0),
    ],
)
def test_a_command_does_nothing_and_knows_nothing(tmp_path: Path, command: str, arguments: str, status: int) -> None:
    with silent_services(str(tmp_path / "a")) as silence:
        line = f"exec {command} {arguments}"
        done = subprocess.run(["sh", "-c", line], env=silence.environment, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


def test_other_commands_are_what_they_were(tmp_path: Path) -> None:
    with silent_services(str(tmp_path)) as silence:
        line = "command -v dpkg; command -v invoke-rc.d"
        done = subprocess.run(["sh", "-c", line], env=silence.environment, capture_output=True, check=True, text=True)
        dpkg, inert = done.stdout.split()
    assert dpkg == "/usr/bin/dpkg"
    assert Path(inert).parent.parent == tmp_path


def test_nothing_is_left(tmp_path: Path) -> None:
    with silent_services(str(tmp_path)):
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
