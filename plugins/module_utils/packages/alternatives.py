# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alternatives system (update-alternatives(1)): its database, and the links that should follow from it.

For each group of alternatives, ``/var/lib/dpkg/alternatives/NAME`` says which link users call (``/usr/bin/pager``) and
which files may be behind it. That link leads to ``/etc/alternatives/NAME``, and that to the chosen file: the one of
highest priority, or in manual mode whichever the administrator has chosen; then the link itself is the only record.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import describe, explain
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    SYMLINK,
    UNKNOWN,
    DatabaseProblem,
    Entry,
    Gap,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

DATABASE = b"/var/lib/dpkg/alternatives"
LINKS = b"/etc/alternatives"
#: The owner of the links, which belong to no package.
OWNER = "alternatives"
MAX_FILE_BYTES = 4 * 1024 * 1024

_REMEDY = (
    "Restore it from /var/backups/alternatives.tar.*, or remove it and configure the packages again that register "
    "alternatives in it, then verify again"
)
_PRIORITY = re.compile(rb"^-?[0-9]{1,10}$")


class Choice(NamedTuple):
    """One alternative: the file, its priority, and what goes along with it for each of the group's slaves."""

    path: bytes
    priority: int
    slaves: tuple[bytes, ...]


class Group(NamedTuple):
    """One group of alternatives. ``slaves`` are (name in /etc/alternatives, link that users call)."""

    name: bytes
    automatic: bool
    link: bytes
    slaves: tuple[tuple[bytes, bytes], ...]
    choices: tuple[Choice, ...]


class Alternatives(NamedTuple):
    """What the alternatives system expects on disk, what is wrong with its database, and what cannot be known."""

    entries: list[Entry]
    problems: list[DatabaseProblem]
    gaps: list[Gap]


class _DamagedError(Exception):
    """The file is not what update-alternatives writes."""


class _Lines:
    """The lines of one database file, taken one after the other."""

    def __init__(self, data: bytes) -> None:
        self._lines = data.split(b"\n")
        self.number = 0

    def take(self) -> bytes:
        if self.number >= len(self._lines) - 1:
            raise _DamagedError("it ends too early: it is truncated")
        self.number += 1
        return self._lines[self.number - 1]

    def take_path(self) -> bytes:
        path = self.take()
        if not path.startswith(b"/") or b"/../" in path:
            raise _DamagedError(f"line {self.number} is not an absolute path")
        return path

    def is_at_end(self) -> bool:
        return self.number == len(self._lines) - 1 and self._lines[-1] == b""


def parse(name: bytes, data: bytes) -> tuple[Group | None, str]:
    """Parse one file of the database. Returns the group, or `None` and what is wrong with the file."""
    if not data:
        return None, "it is empty"
    if b"\0" in data:
        return None, f"line {data[: data.index(0)].count(10) + 1} contains NUL bytes"
    try:
        return _group(name, _Lines(data)), ""
    except _DamagedError as error:
        return None, str(error)


def _group(name: bytes, lines: _Lines) -> Group:
    mode = lines.take()
    if mode not in (b"auto", b"manual"):
        raise _DamagedError("line 1 is neither auto nor manual")
    link = lines.take_path()
    slaves: list[tuple[bytes, bytes]] = []
    while (slave := lines.take()) != b"":
        if b"/" in slave or slave in (b".", b".."):
            raise _DamagedError(f"line {lines.number} is not the name of a link")
        slaves.append((slave, lines.take_path()))
    choices: list[Choice] = []
    path = lines.take_path()
    while path:
        choices.append(_choice(path, len(slaves), lines))
        path = lines.take()
    if not lines.is_at_end():
        raise _DamagedError(f"line {lines.number + 1} is behind the end")
    return Group(name, mode == b"auto", link, tuple(slaves), tuple(choices))


def _choice(path: bytes, slaves: int, lines: _Lines) -> Choice:
    if not path.startswith(b"/"):
        raise _DamagedError(f"line {lines.number} is not an absolute path")
    priority = lines.take()
    if not _PRIORITY.match(priority):
        raise _DamagedError(f"line {lines.number} is not a priority")
    targets = tuple(lines.take() for _slave in range(slaves))
    if any(target and not target.startswith(b"/") for target in targets):
        raise _DamagedError(f"line {lines.number} or one just before it is not an absolute path")
    return Choice(path, int(priority), targets)


def check(tree: Tree) -> Alternatives:
    """Read the database below a root, and return what follows from it."""
    found = Alternatives([], [], [])
    groups = _read(tree, found)
    for group in groups:
        _add_group(tree, group, found.entries)
    names = {group.name for group in groups} | {name for group in groups for name, _link in group.slaves}
    _find_unregistered(tree, names, found.gaps)
    return found


def _read(tree: Tree, found: Alternatives) -> list[Group]:
    """Read the database's files."""
    groups: list[Group] = []
    try:
        names = tree.names(DATABASE)
    except FileNotFoundError:
        return []
    except OSError as error:
        _complain(DATABASE, f"it cannot be read: {explain(error)}", found)
        return []
    for name in names:
        path = DATABASE + b"/" + name
        if name.endswith(b".dpkg-tmp"):  # Left by an update that was interrupted; update-alternatives skips it too.
            continue
        try:
            data = tree.read(path, MAX_FILE_BYTES)
        except PermissionError:
            detail = "this user may not read this part of the database"
            found.gaps.append(Gap("permission_denied", detail, (), 0, describe(path)))
            continue
        except OSError as error:
            _complain(path, f"it cannot be read: {explain(error)}", found)
            continue
        group, complaint = parse(name, data)
        if group is None:
            _complain(path, complaint, found)
        else:
            groups.append(group)
    return groups


def _complain(path: bytes, what: str, found: Alternatives) -> None:
    found.problems.append(DatabaseProblem(describe(path), what, _REMEDY))


def _add_group(tree: Tree, group: Group, entries: list[Entry]) -> None:
    """Add the links of one group, and what they lead to if it is not there: no package may own it."""
    name = LINKS + b"/" + group.name
    choice = _chosen(group, _target(tree, name))
    _add_link(tree, group.link, name, True, entries)
    _add_link(tree, name, choice.path, True, entries)
    if not _exists(tree, choice.path):
        entries.append(Entry(tree.locate(choice.path), choice.path, UNKNOWN, OWNER))
    for (slave, link), target in zip(group.slaves, choice.slaves):
        if target:
            # There is no link to what is not there, such as a manual page that dpkg is told to leave out.
            required = _exists(tree, target)
            _add_link(tree, link, LINKS + b"/" + slave, required, entries)
            _add_link(tree, LINKS + b"/" + slave, target, required, entries)


def _chosen(group: Group, current: bytes | None) -> Choice:
    """Return what a group should lead to. Among equals, and in manual mode, the present choice stays."""
    best = max(choice.priority for choice in group.choices)
    allowed = [choice for choice in group.choices if choice.priority == best]
    candidates = allowed if group.automatic else group.choices
    return next((choice for choice in candidates if choice.path == current), allowed[0])


def _add_link(tree: Tree, path: bytes, target: bytes, required: bool, entries: list[Entry]) -> None:
    """Add a link. One that leads to the same place in other words (``../etc/...``) is as good."""
    place = tree.locate(path)
    current = _target(tree, path)
    if current is not None and current != target:
        absolute = current if current.startswith(b"/") else place.rpartition(b"/")[0] + b"/" + current
        if tree.locate(absolute) == tree.locate(target):
            target = current
    entry = Entry(place, path, SYMLINK, OWNER)
    entry.recorded = Recorded(target=target, required=required)
    entries.append(entry)


def _find_unregistered(tree: Tree, names: set[bytes], gaps: list[Gap]) -> None:
    """Count the links of the alternatives system that no file of the database names."""
    try:
        found = tree.names(LINKS)
    except OSError:
        return
    for name in found:
        path = LINKS + b"/" + name
        if name not in names and not name.endswith(b".dpkg-tmp") and _target(tree, path) is not None:
            detail = "the link was made by hand, or its file in the alternatives database has been lost"
            gaps.append(Gap("unregistered_alternative", detail, (), 1, describe(path)))


def _target(tree: Tree, path: bytes) -> bytes | None:
    try:
        return os.readlink(tree.locate(path)[1:], dir_fd=tree.root_descriptor)
    except OSError:
        return None


def _exists(tree: Tree, path: bytes) -> bool:
    try:
        os.stat(tree.resolve(path)[1:] or b".", dir_fd=tree.root_descriptor, follow_symlinks=False)
    except OSError:
        return False
    return True
