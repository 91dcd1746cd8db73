# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What repairs that were killed have left: private names, and files that are not yet one under all their names."""

from __future__ import annotations

import errno
import os
import stat

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.inode import is_private, sync_directory
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    Quarantine,
    Unfinished,
    mark_finished,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_steps import (
    sha256_on_disk,
    under_private_name,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree, open_regular


def clear_leftovers(tree: Tree, quarantine: Quarantine, runs: list[Unfinished]) -> list[str]:
    """Remove what runs that were killed have left under private names; returns what was removed.

    Whoever calls it holds the locks of the database, so that no other repair is at work. Raises `OSError`.
    """
    removed = []
    for run in runs:
        for names in run.names:
            _join(tree, names)
        for directory in run.directories:
            removed += _clear_directory(tree, quarantine, tree.resolve(directory))
        mark_finished(tree, run.run)
    return removed


def _join(tree: Tree, paths: tuple[bytes, ...]) -> None:
    """Make paths with the same content names of one file, which a run that was killed had begun to do.

    Where their content is not the same, they are damaged, and repaired as that.
    """
    walk = DirectoryWalk(tree)
    try:
        directory, _slash, name = paths[0].rpartition(b"/")
        first = os.dup(walk.enter(directory))
        try:
            for path in paths[1:]:
                directory, _slash, other = path.rpartition(b"/")
                parent = walk.enter(directory)
                if _content(first, name) != _content(parent, other):
                    continue
                with under_private_name(parent, other) as private:
                    os.link(name, private, src_dir_fd=first, dst_dir_fd=parent, follow_symlinks=False)
                    os.rename(private, other, src_dir_fd=parent, dst_dir_fd=parent)
                    sync_directory(parent)
        finally:
            os.close(first)
    except OSError:
        return  # One is missing, or no file: it is a finding of its own.
    finally:
        walk.close()


def _content(parent: int, name: bytes) -> tuple[object, ...]:
    """Return the digest of a file, and what else is the same for all names of one."""
    descriptor = open_regular(name, parent)
    try:
        status = os.fstat(descriptor)
        return sha256_on_disk(descriptor), status.st_mode, status.st_uid, status.st_gid
    finally:
        os.close(descriptor)


def _clear_directory(tree: Tree, quarantine: Quarantine, directory: bytes) -> list[str]:
    walk = DirectoryWalk(tree)
    try:
        parent = walk.enter(directory)
        names = [name for name in tree.names(directory) if is_private(name)]
        for name in names:
            _clear(quarantine, directory, parent, name)
        return [text(directory + b"/" + name) for name in names]
    except (FileNotFoundError, NotADirectoryError):
        return []
    finally:
        walk.close()


def _clear(quarantine: Quarantine, directory: bytes, parent: int, name: bytes) -> None:
    """Remove what has a private name; a directory with something in it is one that stood where a file belongs."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        quarantine.move(directory + b"/" + name, parent, name)
