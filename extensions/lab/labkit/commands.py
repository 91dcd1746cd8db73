# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs other programs: never through a shell, always with an end."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from labkit.errors import LabError

TIMEOUT_SECONDS = 60.0


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    check: bool = True,
    timeout_seconds: float = TIMEOUT_SECONDS,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program and return its result, output as text.

    Raises LabError when it is missing, takes too long, or (with `check`) ends with another status than 0.
    """
    words = [str(word) for word in command]
    try:
        result = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            cwd=cwd,
        )
    except FileNotFoundError:
        raise LabError(
            f"{words[0]}: program not found; `lab.py packages` names the Debian packages to install"
        ) from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(words)}: no end after {timeout_seconds:.0f} s; try it by hand") from None
    if check and result.returncode != 0:
        reason = (result.stderr or result.stdout).strip()
        raise LabError(f"{' '.join(words)}: status {result.returncode}: {reason}")
    return result


def succeeds(command: Sequence[str | Path], *, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
    """Whether the program runs and ends with status 0."""
    return run(command, check=False, timeout_seconds=timeout_seconds).returncode == 0
