# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an Apache configuration as Apache reads it: included files, conditions, variables and macros.

Apache itself can list its virtual hosts, but only when it accepts the whole configuration, and not its sockets. This
reader takes what it can get: a host whose certificate has vanished must still be told what it serves.

Source: Apache HTTP Server 2.4 documentation, "Configuration Files", and the directives of core, mod_so, mod_version and
mod_macro.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAX_FILE_BYTES = 4 * 1024 * 1024
_MAX_LINES = 500_000
_MAX_DEPTH = 32
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_WORD = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"?|'((?:[^'\\]|\\.)*)'?|(\S+))""", re.DOTALL)
_PATTERN = re.compile(r"[*?\[]")
_LINE = re.compile(r"(</?)?([^\s>]*)>?\s*(.*?)(?(1)>?)\s*", re.DOTALL)
_EXPORT = re.compile(r"^\s*export\s+(\w+)=(\S*)", re.MULTILINE)
# Compiled into Debian's program: `apache2 -l`.
_STATIC_MODULES = frozenset({"core", "so", "watchdog", "http", "log_config", "logio", "version", "unixd"})


@dataclass(frozen=True)
class Section:
    """The opening of a block such as ``<VirtualHost *:443>``; ``serial`` tells two of the same text apart."""

    name: str
    arguments: tuple[str, ...]
    file: str
    line: int
    serial: int


@dataclass(frozen=True)
class Statement:
    """One directive that takes effect. Names are in lower case, as Apache does not tell them apart by case."""

    name: str
    arguments: tuple[str, ...]
    file: str
    line: int
    sections: tuple[Section, ...]

    def enclosing(self, name: str) -> Section | None:
        """Return the innermost block of that name around the directive."""
        return next((section for section in reversed(self.sections) if section.name == name), None)


@dataclass
class _State:
    """What earlier lines settle for later ones."""

    server_root: str
    variables: dict[str, str]
    modules: set[str] = field(default_factory=lambda: set(_STATIC_MODULES))
    macros: dict[str, tuple[tuple[str, ...], list[tuple[int, str]]]] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    serial: int = 0
    lines: int = 0


def exported_variables(envvars: str) -> dict[str, str]:
    """Return the variables that a file such as ``/etc/apache2/envvars`` exports by plain assignments."""
    return {name: value.replace("$SUFFIX", "").strip("\"'") for name, value in _EXPORT.findall(envvars)}


def read_configuration(entry: str, server_root: str, variables: Mapping[str, str]) -> list[Statement]:
    """Return the directives of the configuration that begins with the file ``entry``, in the order of their effect.

    ``variables`` are those of the environment. Files that cannot be read count as empty; a file that includes itself is
    followed a bounded number of times. Raises MeasurementError for a file that is too large to be read.
    """
    state = _State(server_root, dict(variables))
    return list(_read_file(state, entry, 0))


def words(text: str) -> tuple[str, ...]:
    """Split the arguments of a directive: at white space, except in quotes, where a backslash quotes a quote."""
    found = []
    for double, single, plain in _WORD.findall(text):
        found.append(plain or re.sub(r"\\([\\\"'])", r"\1", double or single))
    return tuple(found)


def _read_file(state: _State, path: str, depth: int) -> Iterator[Statement]:
    try:
        content = read_regular(path, _MAX_FILE_BYTES + 1)
    except OSError:
        return
    if len(content) > _MAX_FILE_BYTES:
        raise MeasurementError(path, f"it is larger than {_MAX_FILE_BYTES} bytes", "Split it into several files")
    yield from _read_lines(state, path, _logical_lines(content.decode("utf-8", "replace")), depth)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Join lines that end in a backslash with the next; leave comments and empty ones out. Numbers are of the last."""
    found = []
    held = ""
    for number, line in enumerate(text.split("\n"), 1):
        held += line.rstrip("\r")
        if held.endswith("\\"):
            held = held[:-1]
            continue
        stripped = held.strip()
        if stripped and not stripped.startswith("#"):
            found.append((number, stripped))
        held = ""
    return found


def _read_lines(state: _State, path: str, lines: list[tuple[int, str]], depth: int) -> Iterator[Statement]:
    remaining = iter(lines)
    for number, raw in remaining:
        state.lines += 1
        if depth > _MAX_DEPTH or state.lines > _MAX_LINES:
            return
        opening, name, rest = _parts(raw)
        if opening == "</":
            _close(state, name)
            continue
        arguments = words(_expand(state, rest))
        if not opening:
            yield from _directive(state, Statement(name, arguments, path, number, tuple(state.sections)), depth)
        elif name == "macro":
            state.macros[" ".join(arguments[:1]).lower()] = (arguments[1:], _skipped(remaining, name))
        elif _is_true(state, name, arguments):
            state.serial += 1
            state.sections.append(Section(name, arguments, path, number, state.serial))
        else:
            _skipped(remaining, name)


def _parts(raw: str) -> tuple[str, str, str]:
    """Split a line into ``<``, ``</`` or nothing, the name and the arguments."""
    found = _LINE.fullmatch(raw)
    return (found.group(1) or "", found.group(2).lower(), found.group(3)) if found else ("", "", raw)


def _expand(state: _State, text: str) -> str:
    return _VARIABLE.sub(lambda found: state.variables.get(found.group(1), found.group()), text)


def _close(state: _State, name: str) -> None:
    if state.sections and state.sections[-1].name == name:
        state.sections.pop()


def _skipped(remaining: Iterator[tuple[int, str]], name: str) -> list[tuple[int, str]]:
    """Take the lines up to the end of the block that has just begun."""
    taken: list[tuple[int, str]] = []
    open_blocks = 1
    for number, raw in remaining:
        opening, other, _rest = _parts(raw)
        if opening and other == name:
            open_blocks += -1 if opening == "</" else 1
            if not open_blocks:
                break
        taken.append((number, raw))
    return taken


def _is_true(state: _State, name: str, arguments: tuple[str, ...]) -> bool:
    """Whether the lines of a block take effect; what only Apache itself could tell does."""
    condition = arguments[0] if arguments else ""
    wanted = not condition.startswith("!")
    condition = condition.lstrip("!").strip()
    if name == "ifmodule":
        return (_module(condition) in state.modules) is wanted
    if name == "ifdefine":
        return (condition in state.variables) is wanted
    if name == "iffile":
        return Path(state.server_root, condition).exists() is wanted
    return True


def _module(name: str) -> str:
    """Return what ``ssl_module`` and ``mod_ssl.c`` have in common."""
    return re.sub(r"^mod_|_module$|\.c$", "", re.sub(r"\.c$", "", name))


def _directive(state: _State, statement: Statement, depth: int) -> Iterator[Statement]:
    arguments = statement.arguments
    if statement.name in ("include", "includeoptional") and arguments:
        for path in _included(Path(state.server_root, arguments[0])):
            yield from _read_file(state, path, depth + 1)
        return
    if statement.name == "use" and arguments:
        yield from _read_lines(state, statement.file, _macro_lines(state, statement), depth + 1)
        return
    if statement.name == "loadmodule" and arguments:
        state.modules.add(_module(arguments[0]))
    elif statement.name == "define" and arguments:
        state.variables[arguments[0]] = " ".join(arguments[1:2])
    elif statement.name == "undefine" and arguments:
        state.variables.pop(arguments[0], None)
    elif statement.name == "serverroot" and arguments:
        state.server_root = arguments[0]
    yield statement


def _macro_lines(state: _State, use: Statement) -> list[tuple[int, str]]:
    """Return the lines of a macro with its parameters replaced; all have the number of the line that uses it."""
    parameters, lines = state.macros.get(use.arguments[0].lower(), ((), []))
    values = dict(zip(parameters, use.arguments[1:]))
    by_length = sorted(values, key=len, reverse=True)
    return [(use.line, _replaced(raw, by_length, values)) for _number, raw in lines]


def _replaced(text: str, names: Iterable[str], values: Mapping[str, str]) -> str:
    for name in names:
        text = text.replace(name, values[name])
    return text


def _included(pattern: Path) -> list[str]:
    """Return the files that an ``Include`` means: one, those that a pattern matches, or all below a directory."""
    matching = [pattern]
    if _PATTERN.search(str(pattern)):
        found = sorted(Path("/").glob(str(pattern).lstrip("/")))
        matching = [path for path in found if not path.name.startswith(".")]
    files: list[str] = []
    for path in matching:
        inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        files += [str(each) for each in inside]
    return files
