# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers of the files in Portage's package database and of its configuration: bytes in, values and complaints out.

Written from the description of the formats (portage(5), make.conf(5)) and tried on samples made from that description:
no database that the real tool has written has been read by it yet. A parser never raises on any bytes, keeps what is
sound and says about the rest what and where.
"""

from __future__ import annotations

import bz2
import fnmatch
import re
from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import Complaints, take_ending
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DIRECTORY,
    FIFO,
    FILE,
    SYMLINK,
    UNKNOWN,
    PathFilter,
)

#: An environment is a few hundred kilobytes; what unpacks to more than this is not one.
MAX_ENVIRONMENT_BYTES = 128 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024

_OBJECT = re.compile(rb"^obj (/.+) ([0-9a-f]{32}|[0-9a-f]{40}) ([0-9]{1,18})$")
_SYMLINK = re.compile(rb"^sym (/.+?) -> (.+) ([0-9]{1,18})$")
_OTHER = re.compile(rb"^(dir|fif|dev) (/.+)$")
_OTHER_KINDS = {b"dir": DIRECTORY, b"fif": FIFO, b"dev": UNKNOWN}

_BETWEEN = re.compile(r"(?:[ \t\r\n;]|\\\n|#[^\n]*)*")
_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=")
_SOURCE = re.compile(r"source[ \t]+")
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|((?:[^\s"'#;\\]|\\.)+)""", re.DOTALL)
_REFERENCE = re.compile(r"\\(.)|\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))|[`$]", re.DOTALL)


class Content(NamedTuple):
    """One line of CONTENTS. ``kind`` is `UNKNOWN` for a device: the line does not say which."""

    kind: str
    path: bytes
    digest: bytes | None = None
    modified: int | None = None
    target: bytes | None = None


class Assignments(NamedTuple):
    """What a configuration file sets, in its order; ``None`` is a value that only a shell could tell.

    ``complaint`` says where reading had to stop, if it had to. A file that is sourced is in the list under the name
    ``source``.
    """

    values: list[tuple[str, str | None]]
    complaint: str


def parse_contents(data: bytes) -> tuple[list[Content], list[str]]:
    """Parse CONTENTS: one path a line, read from its right end, since names may hold spaces.

    Of a symbolic link, the first `` -> `` ends the name. An empty file is sound: a package may have no files.
    """
    if not data:
        return [], []
    lines = data.split(b"\n")
    sentences = take_ending(lines)
    complaints = Complaints()
    contents: list[Content] = []
    for number, line in enumerate(lines, 1):
        content = None if b"\0" in line else _content(line)
        if b"\0" in line:
            complaints.add("contains NUL bytes", number)
        elif content is None:
            complaints.add("is not an entry of a package", number)
        elif content.path.rpartition(b"/")[2] in (b"", b".", b"..") or b"/../" in content.path:
            complaints.add("is not an absolute path", number)
        else:
            contents.append(content)
    return contents, complaints.sentences() + sentences


def _content(line: bytes) -> Content | None:
    match = _OBJECT.match(line)
    if match is not None:
        return Content(FILE, match.group(1), match.group(2), int(match.group(3)))
    match = _SYMLINK.match(line)
    if match is not None:
        return Content(SYMLINK, match.group(1), None, int(match.group(3)), match.group(2))
    match = _OTHER.match(line)
    return None if match is None else Content(_OTHER_KINDS[match.group(1)], match.group(2))


def check_environment(data: bytes) -> str:
    """Unpack an ``environment.bz2`` without keeping it: its checksums prove it. Returns what is wrong, or nothing."""
    total = 0
    rest = data
    while rest or not total:
        decompressor = bz2.BZ2Decompressor()
        try:
            piece = decompressor.decompress(rest, _CHUNK_BYTES)
            while not decompressor.eof and (piece or not decompressor.needs_input):
                total += len(piece)
                if total > MAX_ENVIRONMENT_BYTES:
                    return f"it unpacks to more than {MAX_ENVIRONMENT_BYTES} bytes"
                piece = decompressor.decompress(b"", _CHUNK_BYTES)
        except (OSError, ValueError) as error:
            return f"it cannot be unpacked: {str(error).lower()}"
        if not decompressor.eof:
            return "it cannot be unpacked: it is truncated"
        total += len(piece) or 1
        rest = decompressor.unused_data
    return ""


def parse_needed(data: bytes) -> list[bytes]:
    """Return the paths of the programs and libraries that NEEDED.ELF.2 names (machine;path;...)."""
    columns = [line.split(b";", 2) for line in data.split(b"\n")[:-1] if b"\0" not in line]
    return [found[1] for found in columns if len(found) == 3 and found[1].startswith(b"/")]


def parse_assignments(data: bytes, lookup: Callable[[str], str]) -> Assignments:
    """Read ``NAME=value`` lines as Portage does: quotes, ``${NAME}`` and ``source``, and nothing that is executed.

    ``lookup`` returns what other files have set a name to.
    """
    content = data.decode("utf-8", "surrogateescape")
    values: list[tuple[str, str | None]] = []
    known: dict[str, str] = {}
    position = 0
    while True:
        position = _end(_BETWEEN, content, position)
        if position == len(content):
            return Assignments(values, "")
        start = _ASSIGNMENT.match(content, position) or _SOURCE.match(content, position)
        pieces = _pieces(content, start.end()) if start is not None else []
        if start is None or (start.re is _SOURCE and not pieces):
            line = content.count("\n", 0, position) + 1
            return Assignments(values, f"line {line} cannot be read without a shell")
        name = start.group(1) if start.re is _ASSIGNMENT else "source"
        value = _value(pieces, lambda wanted: known.get(wanted, lookup(wanted)))
        values.append((name, value))
        if name != "source" and value is not None:
            known[name] = value
        position = pieces[-1].end() if pieces else start.end()


def _end(pattern: re.Pattern[str], content: str, position: int) -> int:
    match = pattern.match(content, position)
    return position if match is None else match.end()


def _pieces(content: str, position: int) -> list[re.Match[str]]:
    """Return the quoted and bare pieces that make one value."""
    pieces: list[re.Match[str]] = []
    while (match := _PIECE.match(content, position)) is not None:
        pieces.append(match)
        position = match.end()
    return pieces


def _value(pieces: list[re.Match[str]], lookup: Callable[[str], str]) -> str | None:
    """Put a value together; `None` when it holds what a shell would execute."""
    value = ""
    for piece in pieces:
        if piece.group(1) is not None:
            value += piece.group(1)
            continue
        raw = piece.group(2) if piece.group(2) is not None else piece.group(3)
        for match in _REFERENCE.finditer(raw):
            if match.group() in ("$", "`"):
                return None
        value += _REFERENCE.sub(lambda match: _expand(match, lookup), raw)
    return value


def _expand(match: re.Match[str], lookup: Callable[[str], str]) -> str:
    if match.group(1) is not None:
        return "" if match.group(1) == "\n" else match.group(1)
    return lookup(match.group(2) or match.group(3))


def install_mask(words: list[str]) -> list[PathFilter]:
    """Turn INSTALL_MASK into filters: what matches is left out, what matches with ``-`` is kept after all.

    A pattern that begins with a slash is a path, with all that is below it; any other is the name of a file.
    """
    filters: list[PathFilter] = []
    for word in words:
        include = word.startswith("-")
        pattern = word[1:] if include else word
        if not pattern.strip("/"):
            continue
        body = fnmatch.translate(pattern.rstrip("/"))
        if pattern.startswith("/"):
            below = fnmatch.translate(pattern.rstrip("/") + "/*")
            expression = f"(?:{body}|{below})"
        else:
            expression = f"(?s:.*/)(?=[^/]*\\Z){body}"
        filters.append(PathFilter(re.compile(expression.encode("utf-8", "surrogateescape")), include))
    return filters
