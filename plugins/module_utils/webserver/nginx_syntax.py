# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's configuration files -> directives and blocks, with file and line.

It reads what the server would read, but starts nothing and leaves nothing behind: ``nginx -T`` makes logs, directories
and a pid file, and opens the sockets. Whether a configuration is right is for ``nginx -t``: here nothing is complained
of, and a text that ends too early or too late is taken for as much as it says.

Source: the configuration file reader of nginx as its manual and its error messages describe it ("Beginner's Guide",
``include``), glob(3); for ``*_by_lua_block``, whose content is Lua, the manual of Lua, 3.1.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular

_MAX_FILE_BYTES = 4 * 1024 * 1024
_MAX_FILES = 5000
_MAX_INCLUDE_DEPTH = 16
_MAX_BLOCK_DEPTH = 64
# With these a file is not there for nginx either, and it does not start.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)

# A quote begins a string, and # a comment, only where a word would begin; ${name} is no block.
_TOKEN = re.compile(
    r"""
    (?P<space>\s+) | (?P<comment>\#[^\n]*) | (?P<mark>[;{}])
    | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
    | (?P<word>(?:\\.|\$\{|[^\s;{])+)
    """,
    re.VERBOSE | re.DOTALL,
)
_MAGIC = re.compile(r"[*?\[]")
_STARS = re.compile(r"\*+")
_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}
_LUA_TOKEN = re.compile(
    r"""--\[(?P<comment>=*)\[.*?\](?P=comment)\] | --[^\n]* | \[(?P<string>=*)\[.*?\](?P=string)\]
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | (?P<brace>[{}])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Statement:
    """A directive with its arguments, or a block: then ``content`` is a list of what is in it."""

    file: str
    line: int
    name: str
    arguments: tuple[str, ...]
    content: list[Statement] | None = None

    def __str__(self) -> str:
        """Say the directive as it stands there, quotes apart."""
        return " ".join((self.name, *self.arguments))


def parse(text: str, file: str = "") -> list[Statement]:
    """Return the statements of a text, in their order; ``include`` is one like any other.

    Blocks that are not ended end with the text; an end without a block, and blocks that are nested deeper than any
    configuration is, are passed over.
    """
    return _Parser(text, file).parse()


def read(path: str) -> list[Statement]:
    """Return the statements of a file, each ``include`` replaced by what it leads to.

    Relative paths begin where that first file lies, as in nginx. A file that does not exist has no statements. Raises
    MeasurementError where one that does cannot be read, or they are too many or too large.
    """
    return _Reader(Path(path).parent).read(path, 0)


def blocks(statements: Iterable[Statement], *names: str) -> Iterator[Statement]:
    """Give the blocks that are reached through blocks of these names, one inside the other."""
    for statement in statements:
        if statement.name != names[0] or statement.content is None:
            continue
        if len(names) == 1:
            yield statement
        else:
            yield from blocks(statement.content, *names[1:])


class _Parser:
    """One pass over one text."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.line = 1
        self.first_line = 1
        self.words: list[str] = []
        self.top: list[Statement] = []
        self.open = [self.top]

    def parse(self) -> list[Statement]:
        position = 0
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None:  # nothing but a backslash at the very end
                break
            end = match.end()
            if match.lastgroup == "mark":
                end = self._mark(match.group(), end)
            elif match.lastgroup not in ("space", "comment"):
                self._word(match.group(match.lastgroup or 0))
            self.line += self.text.count("\n", position, end)
            position = end
        return self.top

    def _word(self, word: str) -> None:
        if not self.words:
            self.first_line = self.line
        self.words.append(_ESCAPE.sub(lambda escape: _ESCAPED.get(escape.group(1), escape.group(1)), word))

    def _mark(self, mark: str, end: int) -> int:
        """Take the words before a mark as a statement, and return where to go on."""
        name, *arguments = self.words or [""]
        self.words = []
        if mark == "}":
            if len(self.open) > 1:
                self.open.pop()
            return end
        statement = Statement(self.file, self.first_line, name, tuple(arguments), [] if mark == "{" else None)
        if name and len(self.open) < _MAX_BLOCK_DEPTH:
            self.open[-1].append(statement)
        if statement.content is None:
            return end
        if name.endswith("_by_lua_block"):
            return self._end_of_lua(end)
        self.open.append(statement.content)
        return end

    def _end_of_lua(self, start: int) -> int:
        """Return where a block of Lua ends: its braces are balanced, apart from strings and comments."""
        depth = 1
        for token in _LUA_TOKEN.finditer(self.text, start):
            depth += {"{": 1, "}": -1}.get(token.group("brace") or "", 0)
            if depth == 0:
                return token.end()
        return len(self.text)


class _Reader:
    """Reads a file and what it includes; counts the files, since one may include another many times."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.files = 0

    def read(self, path: str, depth: int) -> list[Statement]:
        self.files += 1
        if self.files > _MAX_FILES or depth > _MAX_INCLUDE_DEPTH:
            raise MeasurementError(
                path,
                f"with it there are more than {_MAX_FILES} files, or more than {_MAX_INCLUDE_DEPTH} within each other",
                "Look for an include that leads back to itself",
            )
        return self._expanded(parse(_text(path), path), depth)

    def _expanded(self, statements: list[Statement], depth: int) -> list[Statement]:
        expanded = []
        for statement in statements:
            if statement.content is not None:
                statement.content = self._expanded(statement.content, depth)
            if statement.name == "include" and len(statement.arguments) == 1 and statement.content is None:
                for path in self._included(statement.arguments[0]):
                    expanded += self.read(path, depth + 1)
            else:
                expanded.append(statement)
        return expanded

    def _included(self, pattern: str) -> list[str]:
        """Return the files that an include leads to, in the order of their names."""
        full = self.prefix / pattern
        if not _MAGIC.search(pattern):
            return [str(full)]
        found = Path(full.anchor).glob(_STARS.sub("*", str(full.relative_to(full.anchor))))
        seen = (str(path) for path in found if not _is_hidden(path, full))
        return sorted(itertools.islice(seen, _MAX_FILES + 1), key=os.fsencode)


def _is_hidden(path: Path, pattern: Path) -> bool:
    """Whether glob(3) passes a path over: a dot at the beginning of a name is matched by a dot alone."""
    pairs = zip(path.parts, pattern.parts)
    return any(name.startswith(".") and not part.startswith(".") for name, part in pairs)


def _text(path: str) -> str:
    try:
        content = read_regular(path, _MAX_FILE_BYTES + 1)
    except OSError as error:
        if error.errno in _ABSENT:
            return ""
        raise MeasurementError(path, f"it cannot be read ({error.strerror})", "Run as root (become: true)") from error
    if len(content) > _MAX_FILE_BYTES:
        raise MeasurementError(path, f"it is larger than {_MAX_FILE_BYTES} bytes", "Split it into several files")
    return content.decode("utf-8", "replace")
