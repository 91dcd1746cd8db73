# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a waiting person what is going on: one line when a step starts, a few while it lasts, one when it ends."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

FIRST_TICK_SECONDS = 5.0
_print_lock = threading.Lock()


def say(text: str) -> None:
    """Print one line of progress (standard error: standard output carries results only)."""
    with _print_lock:
        print(f"lab: {text}", file=sys.stderr, flush=True)


class Step:
    """A step that may take long: announced, counted while it lasts, and closed with the seconds it took."""

    def __init__(self, text: str) -> None:
        """Name the step."""
        self._text = text
        self._ended = threading.Event()
        self._started = 0.0
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Step:
        """Announce the step and start counting."""
        self._started = time.monotonic()
        say(f"{self._text} ...")
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say how the step ended."""
        self._ended.set()
        self._ticker.join()
        word = "done" if error is None else "failed"
        say(f"{self._text}: {word} after {self._elapsed():.1f} s")

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _tick(self) -> None:
        """Say how long it takes after 5, 10, 20, 40 ... seconds: often while a person wonders, then calmly."""
        pause = FIRST_TICK_SECONDS
        while not self._ended.wait(pause):
            elapsed = self._elapsed()
            say(f"{self._text}: {elapsed:.0f} s so far")
            pause = elapsed
