# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a unit of systemd consists of, and those that it starts with (systemd.unit(5), systemd.service(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

#: Where unit files are, the ones that count most first.
_DIRECTORIES = (
    *("etc/systemd/system", "run/systemd/system", "run/systemd/generator", "usr/local/lib/systemd/system"),
    *("usr/lib/systemd/system", "lib/systemd/system", "run/systemd/generator.late"),
)
_STARTS = re.compile(rb"^[ \t]*(?:ExecStart\w*|EnvironmentFile)[ \t]*=(.*)$", re.MULTILINE)
_WORD = re.compile(rb"[^\s\"';]+")
_PREFIXES = b"@-:+!|"
#: Where packages have their files. A path elsewhere may be that of a server that never answers, and is not looked at.
_PACKAGED = re.compile(rb"/(?:usr|bin|sbin|lib[^/]*|etc|opt)/[^\0]+", re.DOTALL)
_MAX_BYTES = 256 * 1024
_MAX_DROP_INS = 100


def files_of(unit: str, root: Path = Path("/")) -> frozenset[bytes]:
    """Return the real paths of a unit's files and of the files that its start names; none for an unknown unit."""
    words: list[bytes] = []
    for path in _unit_files(unit, root):
        words.append(b"/" + os.fsencode(path.relative_to(root)))
        text = _read(path).replace(b"\\\n", b" ")
        words += [word.lstrip(_PREFIXES) for value in _STARTS.findall(text) for word in _WORD.findall(value)]
    return real_paths(words, root)


def real_paths(words: Iterable[bytes], root: Path) -> frozenset[bytes]:
    """Return the paths, without links, of those words that are absolute paths to where packages have their files."""
    prefix = os.fsencode(root).rstrip(b"/")
    found = {os.path.realpath(prefix + word) for word in words if _PACKAGED.fullmatch(word)}
    return frozenset(path[len(prefix) :] for path in found if path.startswith(prefix + b"/"))


def _unit_files(unit: str, root: Path) -> list[Path]:
    """Return the unit's own file, of which there is one that counts, and all that add to it."""
    name, at, rest = unit.partition("@")
    names = [unit, f"{name}@.{rest.rpartition('.')[2]}"] if at else [unit]
    if any("/" in each for each in names):
        return []
    own = [root / directory / each for each in names for directory in _DIRECTORIES]
    added = [path for directory in _DIRECTORIES for each in names for path in _drop_ins(root / directory / f"{each}.d")]
    return [*[path for path in own if path.is_file()][:1], *added]


def _drop_ins(directory: Path) -> list[Path]:
    try:
        return sorted(directory.glob("*.conf"))[:_MAX_DROP_INS]
    except OSError:
        return []


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError:
        return b""
