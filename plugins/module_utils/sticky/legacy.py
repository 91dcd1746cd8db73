# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole configuration of HAProxy 1.5: find its ``appsession`` lines, and what of it bears on them.

Sources: the manual of HAProxy 1.5, sections 2.2 (format), 4.1 (keywords by section) and 4.2 ("appsession", "cookie",
"ignore-persist"); its behaviour with each mistake that is named here was measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import classic
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import (
    as_mapping,
    from_mapping,
    refuse_unless,
)

MAXIMUM_CHARACTERS = 4 * 1024 * 1024

_BYTE_ORDER_MARK = "\ufeff"
_SECTIONS = ("global", "defaults", "frontend", "backend", "listen", "peers", "userlist")
_COOKIE_MODES = ("rewrite", "insert", "prefix")
# A test that can be turned round by a `!` in front: one name, or one pair of braces.
_ONE_TEST = re.compile(r"\{[^{}]*\}|[A-Za-z0-9_.:-]+")
_NAMED_TEST = re.compile(r"!?([A-Za-z0-9_.:-]+)")


@dataclass
class _Line:
    """One line: its number in the file, from 1, and its words as they stand there."""

    number: int
    words: list[str]


@dataclass
class _Section:
    """A section and its lines. ``defaults`` is the section of that name that it takes its defaults from."""

    kind: str
    name: str
    defaults: _Section | None
    lines: list[_Line] = field(default_factory=list)

    def having(self, *keywords: str) -> list[_Line]:
        """Return its lines with a keyword."""
        return [line for line in self.lines if line.words[0] in keywords]


def find_sessions(text: str, file: str) -> list[dict[str, Any]]:
    """Return what each ``appsession`` line of a configuration says, in the order of the file.

    Each has ``file`` (as given, for messages), ``line`` (from 1), ``section`` (its kind), ``backend`` (the section's
    name), ``session`` (the mapping with every key said; None where the line has no effect, or nobody can know what it
    was meant to say) and ``problems`` (a sentence each, most of them what HAProxy 1.5 accepted in silence).

    Raises InvalidInputError for a text that is too long.
    """
    refuse_unless(
        len(text) <= MAXIMUM_CHARACTERS, file or "the configuration",
        f"it has {len(text)} characters, more than {MAXIMUM_CHARACTERS}", "Give the part with the proxies",
    )  # fmt: skip
    sections = _sections(text)
    processes = _processes(sections)
    found = [entry for section in sections for entry in _section_sessions(section, processes)]
    return [{"file": file, **entry} for entry in found]


def _sections(text: str) -> list[_Section]:
    """Return the sections; lines before the first one belong to none, and are nothing to HAProxy."""
    sections: list[_Section] = []
    defaults: _Section | None = None
    for number, line in enumerate(text.lstrip(_BYTE_ORDER_MARK).split("\n"), start=1):
        words = classic.split(line)
        if not words:
            continue
        if words[0] in _SECTIONS:
            section = _Section(words[0], classic.unescape(words[1]) if len(words) > 1 else "", defaults)
            sections.append(section)
            defaults = section if words[0] == "defaults" else defaults
        elif sections:
            sections[-1].lines.append(_Line(number, words))
    return sections


def _processes(sections: list[_Section]) -> int:
    """Return how many processes share the work."""
    numbers = [line.words[1] for part in sections if part.kind == "global" for line in part.having("nbproc")
               if len(line.words) > 1]  # fmt: skip
    return int(numbers[-1]) if numbers and numbers[-1].isdigit() and len(numbers[-1]) < 6 else 1


def _section_sessions(section: _Section, processes: int) -> list[dict[str, Any]]:
    """Return the entries of a section; its last line is the one that counts."""
    lines = section.having("appsession")
    readings = [classic.read(line.words[1:]) for line in lines]
    entries = []
    for index, (line, reading) in enumerate(zip(lines, readings)):
        if section.kind == "defaults":
            reading.doubt("it stands in a defaults section: HAProxy 1.5 does not start with it")
        elif section.kind not in ("backend", "listen"):
            reading.doubt(f"it stands in a {section.kind} section, where HAProxy 1.5 ignored it: move it to a backend")
        elif index < len(lines) - 1:
            reading.doubt(f"the appsession of line {lines[-1].number} replaces it: HAProxy 1.5 knew one a backend")
        else:
            _add_surroundings(section, reading, readings[:-1], processes)
        session = _session(reading)
        place = {"line": line.number, "section": section.kind, "backend": section.name}
        entries.append({**place, "session": session, "problems": reading.problems})
    return entries


def _session(reading: classic.Reading) -> dict[str, Any] | None:
    """Return the mapping with every key said, or None where it is not certain."""
    if not reading.is_certain:
        return None
    try:
        return as_mapping(from_mapping(reading.mapping, classic=True))
    except WebopsError as error:
        reading.doubt(str(error))
        return None


def _add_surroundings(
    section: _Section, reading: classic.Reading, earlier: list[classic.Reading], processes: int
) -> None:
    """Add what other lines have to do with the one that counts."""
    if any(before.mapping.get("prefix") for before in earlier) and not reading.mapping.get("prefix"):
        reading.mapping["prefix"] = True
        reading.problems.append("prefix is on: HAProxy 1.5 kept it from the appsession that this one replaces")
    if reading.timeout_without_unit:
        reading.problems.append(f"timeout {reading.timeout_without_unit!r} has no unit: it is milliseconds")
    if _last_word(section, "mode") != "http":
        reading.problems.append("the mode is not http: no cookie is seen")
    if _has_cookie(section):
        reading.problems.append(
            "there is a cookie of HAProxy's own beside it: up to 1.5 appsession decided, since then the cookie does"
        )
    if processes > 1:
        reading.problems.append(f"there are {processes} processes (nbproc), each with sessions of its own")
    _add_ignored(section, reading)


def _last_word(section: _Section, keyword: str) -> str:
    """Return what is said of a keyword in a section, or in the defaults that it has."""
    for part in (section, section.defaults):
        said = [line.words[1] for line in (part.having(keyword) if part else []) if len(line.words) > 1]
        if said:
            return said[-1]
    return ""


def _has_cookie(section: _Section) -> bool:
    """Tell whether HAProxy sets or changes a cookie to keep visitors, itself a way to keep sessions."""
    parts = [section, section.defaults] if section.defaults else [section]
    return any(mode in line.words for part in parts for line in part.having("cookie") for mode in _COOKIE_MODES)


def _add_ignored(section: _Section, reading: classic.Reading) -> None:
    """Add the conditions of ``ignore-persist``, which made a request take no part in sessions."""
    conditions = []
    known = {line.words[1] for line in section.having("acl") if len(line.words) > 1}
    for line in section.having("ignore-persist"):
        condition = _condition(line.words[1:])
        if condition is None:
            reading.problems.append(
                f"the ignore-persist of line {line.number} cannot be turned round: write its opposite into ignore"
            )
            continue
        conditions.append(condition)
        if "'" in condition or '"' in condition:
            reading.problems.append(
                f"the ignore-persist of line {line.number} has quotes, which meant themselves up to 1.5: write a"
                " backslash before each"
            )
        names = [found.group(1) for word in condition.split() if (found := _NAMED_TEST.fullmatch(word))]
        used = ", ".join(dict.fromkeys(name for name in names if name in known))
        if used:
            reading.problems.append(f"ignore needs these ACLs above the rules: {used}")
    if conditions:
        reading.mapping["ignore"] = conditions


def _condition(words: list[str]) -> str | None:
    """Return the condition under which a request is ignored, or None where it cannot be written down."""
    text = " ".join(words[1:])
    if words[:1] == ["if"] and text:
        return text
    if words[:1] == ["unless"] and _ONE_TEST.fullmatch(text):
        return f"!{text}"
    return None
