# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths whose mode or owner a package does not leave as it brings them, so that it does not tell what is right.

Maintainer scripts set them (a group that exists only on this system), systemd-tmpfiles(8) sets them at every boot, and
programs set those of their directories below /var. What a script does cannot be known without running it. So a path
counts that is an argument of a command which sets modes or owners, and any path that a script names in which such a
command has an argument that only running it would tell.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DIRECTORY
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

_MAX_FILE_BYTES = 1024 * 1024
_TMPFILES = (b"/usr/lib/tmpfiles.d", b"/usr/local/lib/tmpfiles.d", b"/run/tmpfiles.d", b"/etc/tmpfiles.d")
_CONTINUED = re.compile(rb"\\\n")
# debhelper makes every init script executable again, which it is already; and to ask for an override sets nothing.
_HARMLESS = re.compile(
    rb"^[ \t]*(?:#.*|chmod \+x .*)$|\bdpkg-statoverride[ \t]+(?:--?[a-z]+[ \t]+)*--list\b", re.MULTILINE
)
#: Empty, or where a root is set up from outside: what follows it is a path in there.
_OTHER_ROOT = re.compile(rb"\$(?:DPKG_ROOT\b|\{DPKG_ROOT[^}]*\})")
_SETS_MODE = re.compile(rb"\b(?:chmod|setfacl|dpkg-statoverride)\b|(?<![\w-])install[ \t]+[-\"'/$]")
_SETS_OWNER = re.compile(rb"\b(?:chown|chgrp|dpkg-statoverride)\b|(?<![\w-])install[ \t]+[-\"'/$]")
_GOES_DOWN = re.compile(rb"[ \t](?:-[A-Za-z]*R[A-Za-z]*|--recursive)\b|\b(?:find|cd)[ \t]")
_PATH = re.compile(rb"(?<![\w}.*?-])(?P<path>/[A-Za-z0-9][^\s\"'`;|&<>(){}$*?\\\[]*)(?P<cut>\"?[$*?{`\\\[])?")
_EXPANSION = re.compile(rb"[$`]|\bxargs\b")
#: What a later line of a script can refer to: the value of a variable, the directory that it is in.
_KEEPS = re.compile(rb"\bfor[ \t]+\w+[ \t]+in\b|(?:^|[;&|\s])\w+=|\b(?:cd|pushd)[ \t]")
_OCTAL = re.compile(rb"(?<![\w./:-])[0-7]{3,5}(?![\w./:])")
_SYMBOLIC = re.compile(rb"\b([ugoa]*)[+=]([rwxXst]+)")
_SYMBOLIC_BITS = {b"u": stat.S_ISUID, b"g": stat.S_ISGID, b"o": stat.S_IWOTH}
#: Type and path, and after them mode, user and group, the last of which may be left out.
_TMPFILES_LINE = re.compile(
    rb"^([dDevqQzZfFC])[+!=~^$-]*[ \t]+\"?(/[^\s\"%*?\[]+)([%*?\[]\S*)?\"?"
    rb"(?:[ \t]+(\S+))?(?:[ \t]+(\S+))?(?:[ \t]+(\S+))?",
    re.MULTILINE,
)
#: A field that says nothing: a dash, or left out.
_UNSET = (b"-", b"")

#: What a file, and a directory, gives away to others: with it a program runs as somebody else, or anybody may write.
_DANGEROUS = stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH
_DANGEROUS_DIRECTORY = stat.S_IWOTH


class SetLater(NamedTuple):
    """A path that something sets the mode or the owner of, or all paths that begin like this.

    ``mode`` are all bits that it may set there (`None`: it sets no mode).
    """

    path: bytes
    is_beginning: bool
    mode: int | None
    owner: bool


def in_scripts(scripts: Iterable[bytes]) -> frozenset[SetLater]:
    """Return what maintainer scripts set, as far as their text tells."""
    return frozenset(found for script in scripts for found in _in_script(script))


def in_tmpfiles(tree: Tree) -> frozenset[SetLater]:
    """Return what a root's systemd-tmpfiles sets (tmpfiles.d(5))."""
    return frozenset(found for data in _tmpfiles(tree) for found in _in_tmpfiles(data))


def is_state(path: bytes, kind: str) -> bool:
    """Tell whether a path is a directory that belongs to a program once it runs (FHS 3.0, 5)."""
    return kind == DIRECTORY and path.startswith(b"/var/")


def denied(kind: str, packaged: int, asked_for: int) -> int:
    """Return the permission bits that a path whose mode is not known must not have.

    ``packaged`` are those that its package gives it, ``asked_for`` those that something may set later.
    """
    dangerous = _DANGEROUS_DIRECTORY if kind == DIRECTORY else _DANGEROUS
    return dangerous & ~packaged & ~asked_for


def _in_script(script: bytes) -> Iterator[SetLater]:
    text = _OTHER_ROOT.sub(b"", _HARMLESS.sub(b"", _CONTINUED.sub(b" ", script)))
    any_mode = any_owner = any_below = False
    for line in text.split(b"\n"):
        mode, owner = _SETS_MODE.search(line) is not None, _SETS_OWNER.search(line) is not None
        if not mode and not owner:
            continue
        below = _GOES_DOWN.search(line) is not None
        # An argument that is no path is a name in some directory.
        is_expanded, is_relative = _EXPANSION.search(line) is not None, _PATH.search(line) is None
        yield from _named(line, _bits(text if is_expanded else line) if mode else None, owner, below)
        if is_expanded or is_relative:
            any_mode, any_owner = any_mode or mode, any_owner or owner
            any_below = any_below or below or not is_expanded
    if any_mode or any_owner:
        bits = _bits(text) if any_mode else None
        for line in text.split(b"\n"):
            if _KEEPS.search(line) is not None:
                yield from _named(line, bits, any_owner, any_below)
            else:
                yield from (found for found in _named(line, bits, any_owner, False) if not found.is_beginning)


def _named(line: bytes, mode: int | None, owner: bool, below: bool) -> Iterator[SetLater]:
    """Yield the paths in a line; of one that only a running script knows in full, where it begins."""
    for match in _PATH.finditer(line):
        if match["cut"]:
            if not match["cut"].endswith(b"\\"):  # An expression of sed or grep.
                yield SetLater(match["path"], True, mode, owner)
            continue
        path = match["path"].rstrip(b"/.,:")
        yield SetLater(path, False, mode, owner)
        if below:
            yield SetLater(path + b"/", True, mode, owner)


def _bits(text: bytes) -> int:
    """Return the permission bits of all modes in a text, octal or symbolic as chmod(1) takes them."""
    bits = 0
    for number in _OCTAL.findall(text):
        bits |= int(number, 8) & 0o7777
    for who, permissions in _SYMBOLIC.findall(text):
        everybody = not who or b"a" in who
        for letter, bit in _SYMBOLIC_BITS.items():
            if (everybody or letter in who) and (b"w" if letter == b"o" else b"s") in permissions:
                bits |= bit
    return bits


def _tmpfiles(tree: Tree) -> Iterator[bytes]:
    for directory in _TMPFILES:
        try:
            names = tree.names(directory)
        except OSError:
            continue
        for name in names:
            try:
                yield tree.read(directory + b"/" + name, _MAX_FILE_BYTES)
            except OSError:
                continue


def _in_tmpfiles(data: bytes) -> Iterator[SetLater]:
    for kind, path, rest, mode, user, group in _TMPFILES_LINE.findall(data):
        bits = None if mode in _UNSET else _bits(mode.lstrip(b"~:"))
        owner = user not in _UNSET or group not in _UNSET
        yield SetLater(path if rest else path.rstrip(b"/"), bool(rest), bits, owner)
        if kind == b"Z" and not rest:
            yield SetLater(path.rstrip(b"/") + b"/", True, bits, owner)
