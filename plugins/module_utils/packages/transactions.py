# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package transaction that runs while a system is verified: what it touches is neither sound nor damaged yet.

Nothing is locked: a verification never makes anybody wait. It looks at the database before and after instead. What
changed in between is read and verified again, a few times, and what still moves then is a gap.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import DPKG_LOCKS, RPM_LOCKS
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DatabaseProblem,
    Finding,
    Gap,
    Manifest,
    PackageState,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: Pauses in seconds before what was in motion is verified again: as many rounds, and no more.
PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0)

#: Directories that every transaction changes, themselves or a file in them.
_DATABASES = (
    *(b"/var/lib/dpkg", b"/var/lib/dpkg/info", b"/var/lib/dpkg/updates"),
    *(b"/var/lib/rpm", b"/usr/lib/sysimage/rpm", b"/var/db/pkg"),
)
#: Files of these directories that one only has to open the database to change, or that are no part of it.
_NOT_STAMPED = (b"-shm", b".lock", b"lock", b"lock-frontend")
_SINGLY_STAMPED = (b"/var/lib/dpkg", b"/var/lib/rpm", b"/usr/lib/sysimage/rpm", b"/var/db/pkg")

#: ``struct flock`` with 64-bit offsets, as Python is built with, and the number of the process in it.
_RECORD = "hhqqi0q"
_OF_AN_OPEN_FILE = -1

_DETAIL = "a package transaction was running, and still changed the package when the verification had ended"


class Motion(NamedTuple):
    """Packages that a transaction changed between two readings of the database."""

    packages: frozenset[str]
    paths: frozenset[bytes]


def stamp(tree: Tree) -> tuple[object, ...]:
    """Return what is another after every transaction of a package manager that changed something."""
    found: list[object] = []
    for directory in _DATABASES:
        found.append(_version(tree, directory))
        if directory in _SINGLY_STAMPED:
            try:
                names = tree.names(directory)
            except OSError:
                continue
            found += [_version(tree, directory + b"/" + name) for name in names if not name.endswith(_NOT_STAMPED)]
    return tuple(found)


def _version(tree: Tree, path: bytes) -> tuple[object, ...]:
    try:
        status = os.lstat(tree.root + tree.resolve(path))
    except OSError as error:
        return (path, error.errno)
    return (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_running(tree: Tree) -> bool:
    """Tell whether another process holds a lock of a package manager; takes none, and needs the right to read it."""
    return any(_is_held(tree, path) for path in DPKG_LOCKS + RPM_LOCKS)


def _is_held(tree: Tree, path: bytes) -> bool:
    """Tell whether a process holds a lock. Locks that belong to an open file are no package manager's, but a repair's.

    The question itself is one about an open file, since closing it would lose the locks that this process may hold.
    """
    try:
        descriptor = tree.open(path)
    except OSError:
        return False
    try:
        question = struct.pack(_RECORD, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _whence, _start, _length, owner = struct.unpack(
            _RECORD, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)
        )
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return bool(kind != fcntl.F_UNLCK and owner != _OF_AN_OPEN_FILE)


def signatures(manifest: Manifest) -> dict[bytes, int]:
    """Return, for each path, a number that is another when the database says something else about it."""
    return {
        entry.path: hash((entry.kind, entry.digest, entry.other_digests, entry.recorded, tuple(entry.packages)))
        for entry in manifest.entries
    }


def motion(before: dict[bytes, int], states: Iterable[PackageState], manifest: Manifest) -> Motion:
    """Compare two readings of one database: ``before`` are the signatures of the first, ``states`` its states."""
    paths = {path for path, signature in signatures(manifest).items() if before.get(path) != signature}
    packages = {package for entry in manifest.entries if entry.path in paths for package in entry.packages}
    packages |= {state.package for state in set(states).symmetric_difference(manifest.states)}
    paths |= {entry.path for entry in manifest.entries if not packages.isdisjoint(entry.packages)}
    return Motion(frozenset(packages), frozenset(paths))


def unfinished(manifest: Manifest) -> frozenset[str]:
    """Return the packages that a transaction that runs has begun and not finished, by their states."""
    return frozenset(state.package for state in manifest.states)


def settled(
    findings: list[Finding], problems: list[DatabaseProblem], moving: frozenset[str], known: frozenset[DatabaseProblem]
) -> tuple[list[Finding], list[DatabaseProblem], list[Gap]]:
    """Take out of findings and problems what is only that a transaction is not done yet; it becomes gaps.

    ``moving`` are the packages that it changes, ``known`` the problems that the database had before.
    """
    gaps = [*_gaps_of_findings(findings, moving), *_gaps_of_problems(problems, known)]
    kept = [finding for finding in findings if moving.isdisjoint(finding.packages)]
    return kept, [problem for problem in problems if problem in known], gaps


def _gaps_of_findings(findings: list[Finding], moving: frozenset[str]) -> Iterator[Gap]:
    for finding in findings:
        if not moving.isdisjoint(finding.packages):
            yield Gap("transaction_running", _DETAIL, finding.packages, 1, text(finding.path))


def _gaps_of_problems(problems: list[DatabaseProblem], known: frozenset[DatabaseProblem]) -> Iterator[Gap]:
    for problem in problems:
        if problem not in known:
            yield Gap("transaction_running", _DETAIL, (), 0, problem.file)
