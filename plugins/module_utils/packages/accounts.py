# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which numbers the names of users and groups have in a root, by that root's own files.

The name service of the machine that verifies is not asked: the root may belong to another machine, and a directory
service that knows a name says nothing about who owns the files of a package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

PASSWD = "/etc/passwd"
GROUP = "/etc/group"

#: A larger file is not one of accounts.
MAX_BYTES = 16 * 1024 * 1024

_MAX_ID = 0xFFFFFFFF


class Accounts(NamedTuple):
    """The numbers of users and groups by name. ``root`` is number 0 in every system, whatever its files say by now.

    ``users_whole`` and ``groups_whole`` tell whether the file of each was there and made sense from its beginning to
    its end: else a name that is not known may have been lost.
    """

    users: Mapping[str, int]
    groups: Mapping[str, int]
    users_whole: bool = False
    groups_whole: bool = False

    def user_name(self, number: int) -> str | int:
        """Return the name of a user, or the number where the root's files have no name for it."""
        return next((name for name, known in self.users.items() if known == number), number)

    def group_name(self, number: int) -> str | int:
        """Return the name of a group, or the number where the root's files have no name for it."""
        return next((name for name, known in self.groups.items() if known == number), number)


#: The names of a root whose files say nothing.
ROOT_ALONE = Accounts({"root": 0}, {"root": 0})


def read_accounts(tree: Tree) -> Accounts:
    """Read ``/etc/passwd`` and ``/etc/group`` of a root; what cannot be read has no names but ``root``."""
    users, users_whole = _numbers(tree, PASSWD)
    groups, groups_whole = _numbers(tree, GROUP)
    return Accounts(users, groups, users_whole, groups_whole)


def _numbers(tree: Tree, path: str) -> tuple[dict[str, int], bool]:
    """Return the third field of each line by its first (passwd(5), group(5)), and whether the file looks whole.

    The first line of a name counts. Comments, and lines that have a name service add to the file (``+``) or take away
    from it (``-``), name nobody.
    """
    numbers = {"root": 0}
    try:
        data = tree.read(path.encode(), MAX_BYTES)
    except OSError:
        return numbers, False
    is_whole = data.endswith(b"\n") and b"\nroot:" in b"\n" + data
    for line in data.splitlines():
        fields = line.split(b":", 3)
        if len(fields) == 4 and fields[2].isdigit() and len(fields[2]) <= 10 and int(fields[2]) <= _MAX_ID:
            numbers.setdefault(fields[0].decode("utf-8", "surrogateescape"), int(fields[2]))
        elif line.strip() and not line.startswith((b"+", b"-", b"#")):
            is_whole = False
    return numbers, is_whole
