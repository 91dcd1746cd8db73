# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configuration files that packages make with ucf(1): whose they are, and their digests.

ucf keeps ``/var/lib/ucf/registry`` (package and path) and ``/var/lib/ucf/hashfile`` (MD5 and path). The digest is that
of the version that the package offered last, as dpkg's is for a conffile. So a difference means that the file was
changed, by an administrator or by damage.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import (
    Complaints,
    explain,
    take_ending,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DatabaseProblem
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

HASHES = "/var/lib/ucf/hashfile"
REGISTRY = "/var/lib/ucf/registry"
MAX_FILE_BYTES = 16 * 1024 * 1024

_REMEDY = "Restore it from the copy beside it that ends in .0, or from a backup, then verify again"
_HASH = re.compile(rb"^([0-9a-f]{32}) [ *](/.+)$")
_OWNER = re.compile(rb"^([a-z0-9][a-z0-9+.-]*)[ \t]+(/.+)$")


class ManagedFile(NamedTuple):
    """One file, the package that made it, and the MD5 of what that offered."""

    path: bytes
    package: str
    digest: bytes


class Managed(NamedTuple):
    """What ucf's database says, and what is wrong with it."""

    files: list[ManagedFile]
    problems: list[DatabaseProblem]


def read(tree: Tree) -> Managed:
    """Read ucf's database, where there is one. Only files that a package is registered for are returned."""
    managed = Managed([], [])
    hashes = _lines(tree, HASHES, _HASH, managed.problems)
    owners = _lines(tree, REGISTRY, _OWNER, managed.problems)
    packages = {path: package.decode("ascii") for package, path in owners}
    digests = {path: digest for digest, path in hashes}
    for path in sorted(packages.keys() & digests.keys()):
        managed.files.append(ManagedFile(path, packages[path], digests[path]))
    return managed


def _lines(
    tree: Tree, path: str, pattern: re.Pattern[bytes], problems: list[DatabaseProblem]
) -> list[tuple[bytes, bytes]]:
    """Return the two columns of a file; what does not match is a problem, a file that is not there is none."""
    try:
        data = tree.read(path.encode(), MAX_FILE_BYTES)
    except (FileNotFoundError, PermissionError):
        return []
    except OSError as error:
        problems.append(DatabaseProblem(path, f"it cannot be read: {explain(error)}", _REMEDY))
        return []
    found, sentences = parse(data, pattern)
    problems += [DatabaseProblem(path, sentence, _REMEDY) for sentence in sentences]
    return found


def parse(data: bytes, pattern: re.Pattern[bytes] = _HASH) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """Parse one of the two files, each line by a pattern with two groups. Returns the pairs, and complaints."""
    if not data:
        return [], []
    lines = data.split(b"\n")
    sentences = take_ending(lines)
    complaints = Complaints()
    found: list[tuple[bytes, bytes]] = []
    for number, line in enumerate(lines, 1):
        match = pattern.match(line)
        if b"\0" in line:
            complaints.add("contains NUL bytes", number)
        elif match is None:
            complaints.add("is not what ucf writes", number)
        else:
            found.append((match.group(1), match.group(2)))
    return found, complaints.sentences() + sentences
