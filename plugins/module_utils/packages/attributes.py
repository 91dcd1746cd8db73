# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths whose mode and owner a package does not leave as it brings them, so that it does not tell what is right.

Maintainer scripts set them (a group that exists only on this system), systemd-tmpfiles(8) sets them at every boot, and
programs set those of their directories below /var. What a script does cannot be known without running it, so a path
counts that such a script so much as names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DIRECTORY
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

_MAX_FILE_BYTES = 1024 * 1024
_TMPFILES = (b"/usr/lib/tmpfiles.d", b"/etc/tmpfiles.d")
# debhelper makes every init script executable again, which it is already.
_HARMLESS = re.compile(rb"^[ \t]*(?:#.*|chmod \+x .*)$", re.MULTILINE)
_COMMANDS = re.compile(rb"\b(?:chmod|chown|chgrp|install|setfacl|dpkg-statoverride)\b")
_PATH = re.compile(rb"/[A-Za-z0-9][^\s\"'`;|&<>(){}$*?\\]*")
_TMPFILES_LINE = re.compile(rb"^[dDevqQzZfFC][+!=~^$-]*[ \t]+\"?(/[^\s\"%*?\[]+)", re.MULTILINE)


def in_scripts(scripts: Iterable[bytes]) -> frozenset[bytes]:
    """Return the paths that occur in maintainer scripts which set modes or owners."""
    paths: set[bytes] = set()
    for script in scripts:
        rest = _HARMLESS.sub(b"", script)
        if _COMMANDS.search(rest):
            paths.update(path.rstrip(b"/.,:") for path in _PATH.findall(rest))
    return frozenset(paths)


def in_tmpfiles(tree: Tree) -> frozenset[bytes]:
    """Return the paths of which a root's systemd-tmpfiles sets mode or owner (tmpfiles.d(5))."""
    paths: set[bytes] = set()
    for directory in _TMPFILES:
        try:
            names = tree.names(directory)
        except OSError:
            continue
        for name in names:
            try:
                data = tree.read(directory + b"/" + name, _MAX_FILE_BYTES)
            except OSError:
                continue
            paths.update(path.rstrip(b"/") for path in _TMPFILES_LINE.findall(data))
    return frozenset(paths)


def is_state(path: bytes, kind: str) -> bool:
    """Tell whether a path is a directory that belongs to a program once it runs (FHS 3.0, 5)."""
    return kind == DIRECTORY and path.startswith(b"/var/")
