# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a unit of systemd consists of, and those that it starts with (systemd.unit(5), systemd.service(5))."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.mounts import read_mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import MAX_PATH_BYTES, Tree

#: Where unit files are, the ones that count most first.
_DIRECTORIES = (
    *(b"/etc/systemd/system", b"/run/systemd/system", b"/run/systemd/generator", b"/usr/local/lib/systemd/system"),
    *(b"/usr/lib/systemd/system", b"/lib/systemd/system", b"/run/systemd/generator.late"),
)
_STARTS = re.compile(rb"^[ \t]*(?:ExecStart\w*|EnvironmentFile)[ \t]*=(.*)$", re.MULTILINE)
_WORD = re.compile(rb"[^\s\"';]+")
_PREFIXES = b"@-:+!|"
#: Where packages have their files. A path elsewhere may be that of a server that never answers, and is not looked at.
_PACKAGED = re.compile(rb"/(?:usr|bin|sbin|lib[^/]*|etc|opt)/[^\0]+", re.DOTALL)
_MAX_BYTES = 256 * 1024
_MAX_DROP_INS = 100
#: How many components of paths, those of links included, are looked at for one process or unit.
_MAX_COMPONENTS = 4096


class Places(Tree):
    """The files of this machine, to look up what others have named: nothing remote, and no more than is reasonable.

    Each look-up of a process or a unit begins with `begin`.
    """

    def __init__(self, root: str) -> None:
        """Take a root directory, and leave out what may never answer below it. Raises `InvalidInputError`."""
        super().__init__(root)
        mounts = read_mounts(self)
        self.avoided = tuple(path + b"/" for path in mounts.remote()) if mounts is not None else ()
        self.begin()

    def begin(self) -> None:
        """Allow the next look-up as many components as the one before."""
        self.forget()
        self._left = _MAX_COMPONENTS

    def _target(self, path: bytes) -> bytes | None:
        if path not in self._targets:
            self._left -= 1
        if self._left < 0:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return super()._target(path)


def files_of(unit: str, places: Places) -> frozenset[bytes]:
    """Return the real paths of a unit's files and of the files that its start names; none for an unknown unit."""
    words: list[bytes] = []
    for path, content in _unit_files(unit, places):
        words.append(path)
        values = _STARTS.findall(content.replace(b"\\\n", b" "))
        words += [word.lstrip(_PREFIXES) for value in values for word in _WORD.findall(value)]
    return real_paths(words, places)


def real_paths(words: Iterable[bytes], places: Places) -> frozenset[bytes]:
    """Return the paths, without links, of those words that are absolute paths to where packages have their files.

    What is too long to be a path, leads to what may never answer, or is more than is looked at, is left out.
    """
    found: set[bytes] = set()
    for word in words:
        if len(word) <= MAX_PATH_BYTES and _PACKAGED.fullmatch(word):
            try:
                path = places.resolve(word)
                places.refuse_avoided(path)
            except OSError:
                continue
            found.add(path)
    return frozenset(found)


def _unit_files(unit: str, places: Places) -> list[tuple[bytes, bytes]]:
    """Return the unit's own file, of which there is one that counts, and all that add to it, with what they say."""
    name, at, rest = unit.partition("@")
    names = [os.fsencode(each) for each in ([unit, f"{name}@.{rest.rpartition('.')[2]}"] if at else [unit])]
    if any(b"/" in each for each in names):
        return []
    own = [directory + b"/" + each for each in names for directory in _DIRECTORIES]
    added = [path for path in own for path in _drop_ins(path + b".d", places)]
    return [*_read(own, places)[:1], *_read(added, places)]


def _drop_ins(directory: bytes, places: Places) -> list[bytes]:
    try:
        names = [name for name in places.names(directory) if name.endswith(b".conf") and not name.startswith(b".")]
    except OSError:
        return []
    return [directory + b"/" + name for name in names[:_MAX_DROP_INS]]


def _read(paths: list[bytes], places: Places) -> list[tuple[bytes, bytes]]:
    """Return those of the paths that are files, and what is in them."""
    found: list[tuple[bytes, bytes]] = []
    for path in paths:
        try:
            found.append((path, places.read(path, _MAX_BYTES)))
        except OSError:
            continue
    return found
