# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Complaints about a database file: sentences that say what is wrong and where, without the name of the file."""

from __future__ import annotations

import errno

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text

#: A longer path or value is cut in a message.
MAX_SHOWN = 200


class Complaints:
    """Complaints about one file, those of one kind counted together with the first line that showed it."""

    def __init__(self) -> None:
        """Begin without complaints."""
        self._seen: dict[str, list[int]] = {}  # the first line, and how many in all

    def add(self, what: str, line: int) -> None:
        """Note that a line (counted from 1) is wrong in some way."""
        self._seen.setdefault(what, [line, 0])[1] += 1

    def sentences(self) -> list[str]:
        """Return one sentence for each kind."""
        return [
            f"line {first} {what}" if count == 1 else f"line {first} {what}, and {count - 1} more like it"
            for what, (first, count) in self._seen.items()
        ]


def take_ending(lines: list[bytes]) -> list[str]:
    """Take the last line off the lines of a file: it is empty, or cut off and not to be believed. Say what it was."""
    last = lines.pop()
    if last:
        return ["it does not end in a newline: it is truncated"]
    return [] if lines else ["it is empty"]


def describe(path: bytes) -> str:
    """Return a path for a message: as text, and cut when it is absurdly long."""
    shown = text(path)
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "..."


def explain(error: OSError) -> str:
    """Return what an error of the operating system is, in words and with its name."""
    name = errno.errorcode.get(error.errno or 0, "")
    return f"{error.strerror} ({name})" if name else str(error.strerror)


def few(names: list[str]) -> str:
    """Return the first of some names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
