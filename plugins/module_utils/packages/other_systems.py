# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other systems that lie inside a root: containers and chroots, with package databases of their own.

What the packages of the root say does not cover them, and their files may be as damaged.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: Where systemd-nspawn, LXC, Incus, Docker, Podman, schroot and libvirt keep the roots of systems (globs of names).
PLACES = (
    b"/var/lib/machines/*",
    b"/var/lib/lxc/*/rootfs",
    b"/var/lib/incus/containers/*/rootfs",
    b"/var/lib/lxd/containers/*/rootfs",
    b"/var/lib/docker/overlay2/*/merged",
    b"/var/lib/containers/storage/overlay/*/merged",
    b"/srv/chroot/*",
    b"/var/chroot/*",
)
#: The package databases of dpkg, rpm, Portage, apk and pacman.
DATABASES = (
    b"/var/lib/dpkg/status",
    b"/var/lib/dpkg/status.d",
    b"/var/lib/rpm",
    b"/usr/lib/sysimage/rpm",
    b"/var/db/pkg",
    b"/lib/apk/db",
    b"/var/lib/pacman/local",
)
MAX_FOUND = 100


def find(tree: Tree) -> tuple[str, ...]:
    """Return the roots of other systems inside a root, `MAX_FOUND` at most, as paths inside it."""
    found: list[str] = []
    for place in (path for pattern in PLACES for path in _expand(tree, pattern)):
        if any(_is_there(tree, place + database) for database in DATABASES):
            found.append(text(place))
            if len(found) == MAX_FOUND:
                break
    return tuple(found)


def _expand(tree: Tree, pattern: bytes) -> Iterator[bytes]:
    before, _star, after = pattern.partition(b"/*")
    for name in _names(tree, before):
        yield before + b"/" + name + after


def _is_there(tree: Tree, path: bytes) -> bool:
    directory, _slash, name = path.rpartition(b"/")
    return name in _names(tree, directory)


def _names(tree: Tree, directory: bytes) -> list[bytes]:
    try:
        return tree.names(directory)
    except OSError:
        return []
