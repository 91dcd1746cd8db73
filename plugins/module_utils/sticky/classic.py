# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy 1.5's own line, ``appsession``: read strictly, and write.

Source: the manual of HAProxy 1.5, section 4.2 ("appsession"). It read that line by position, never looked at the words
``len`` and ``timeout``, and ignored words that it did not know. Here each of these is named.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import (
    MAXIMUM_LENGTH,
    MAXIMUM_TIMEOUT_MS,
    MS_PER_UNIT,
    AppSession,
    cookie_name,
    from_mapping,
    id_length,
    refuse_unless,
    render_timeout,
)

SYNTAX = "appsession COOKIE len LENGTH timeout TIME [request-learn] [prefix] [mode path-parameters|query-string]"
MODES = ("path-parameters", "query-string")

# HAProxy 1.5 does not start with a longer line.
_MAXIMUM_LINE_LENGTH = 2048
_OPTIONS = ("request-learn", "prefix", "mode")
# A backslash takes their meaning from a blank, a # and a backslash, and stands for itself before most other characters;
# HAProxy 1.5 had no quotes, and its words end at ASCII's blanks alone.
_WORD = re.compile(r"(?:\\[ \\#]|[^\s#])+", re.ASCII)
_BEFORE_COMMENT = re.compile(r"(?:\\[ \\#]|[^#\r\n])*")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[ \\#tnr])")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r"}
_TIMEOUT = re.compile(r"([0-9]{1,20})(us|ms|s|m|h|d|)")
_TIME_BEGIN = re.compile(r"([0-9]*)(us|ms|[usmhd])")


@dataclass
class Reading:
    """What a line says: ``mapping`` as operators write it, and ``problems``, a sentence each.

    ``is_certain`` is false where nobody can know what was meant, or where HAProxy 1.5 would not have started.
    ``timeout_without_unit`` is a time that is right as it stands, but that may be meant as seconds.
    """

    mapping: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    is_certain: bool = True
    timeout_without_unit: str = ""

    def doubt(self, problem: str) -> None:
        """Note a problem that leaves the meaning open."""
        self.problems.append(problem)
        self.is_certain = False


def split(line: str) -> list[str]:
    """Return the words of a line of HAProxy 1.5, as they stand there, without its comment and what is too long."""
    found = _BEFORE_COMMENT.match(line[:_MAXIMUM_LINE_LENGTH])
    return _WORD.findall(found.group()) if found else []


def unescape(word: str) -> str:
    """Return what a word means."""

    def meant(found: re.Match[str]) -> str:
        letter = found.group(1)
        return chr(int(letter[1:], 16)) if len(letter) == 3 else _ESCAPED.get(letter, letter)

    return _ESCAPE.sub(meant, word)


def parse(line: object) -> AppSession:
    """Read the line, with or without its first word, ``appsession``.

    Raises InvalidInputError that names everything that is wrong with it, also what HAProxy 1.5 accepted.
    """
    if not isinstance(line, str) or len(line) > _MAXIMUM_LINE_LENGTH or len(line.strip().splitlines()) != 1:
        raise InvalidInputError(
            f"app_session {str(line)[:80]!r}",
            "this is neither a mapping nor one line of HAProxy 1.5",
            f"Write {SYNTAX}",
        )
    words = split(line)
    reading = read(words[1:] if words[:1] == ["appsession"] else words)
    refuse_unless(not reading.problems, f"app_session {line.strip()!r}", "; ".join(reading.problems), f"Write {SYNTAX}")
    return from_mapping(reading.mapping, classic=True)


def read(words: list[str]) -> Reading:
    """Read the words behind ``appsession`` as HAProxy 1.5 did, and note whatever is not as its manual says."""
    reading = Reading()
    meant = [unescape(word) for word in words]
    if len(meant) < 5:
        reading.doubt("it is not complete: HAProxy 1.5 does not start with it")
        return reading
    try:
        reading.mapping["cookie"] = cookie_name(meant[0])
    except WebopsError as error:
        reading.doubt(f"{meant[0]!r} is no cookie: {error.reason}")
    if (meant[1], meant[3]) == ("len", "timeout"):
        _read_length(reading, meant[2])
        _read_timeout(reading, meant[4])
    else:
        _note_positions(reading, meant)
    _read_options(reading, meant[5:])
    return reading


def render(session: AppSession) -> list[str]:
    """Return the lines for HAProxy below 1.6.

    Raises InvalidInputError that names everything of the session that it cannot do.
    """
    beyond = [
        (len(session.cookies) > 1, "more than one cookie"),
        (session.mode == "none", "mode none (it always looks at the URL)"),
        (session.failover != "return", f"failover {session.failover} (it always returns to the old server)"),
        (session.hash_keys, "hash_keys"),
        (bool(session.ignored_ids), "ignore_ids"),
    ]
    named = ", ".join(what for applies, what in beyond if applies)
    refuse_unless(
        not named, "haproxy_version", f"below 1.6 HAProxy cannot do {named}",
        "Leave it out (what is left out is as in 1.5), or upgrade HAProxy to 2.2 or newer",
    )  # fmt: skip
    options = [("request-learn", session.request_learn), ("prefix", session.prefix)]
    words = [
        "appsession", _escape(session.cookies[0]), "len", str(session.length),
        "timeout", render_timeout(session.timeout_ms), *[word for word, is_on in options if is_on],
        *(["mode", session.mode] if session.mode != "path-parameters" else []),
    ]  # fmt: skip
    return [" ".join(words), *[f"ignore-persist if {text}" for text in session.ignored_conditions]]


def _escape(name: str) -> str:
    """Return a cookie's name as a word of HAProxy 1.5."""
    return name.replace("#", "\\#")


def _note_positions(reading: Reading, meant: list[str]) -> None:
    """Note that the line does not say ``len`` and ``timeout`` where HAProxy 1.5 expected them."""
    taken = f"HAProxy 1.5 took {meant[2]!r} for the length and {meant[4]!r} for the time, whatever the words say"
    if (meant[1], meant[3]) == ("timeout", "len"):
        reading.doubt(f"len and timeout are swapped: {taken}")
    else:
        reading.doubt(f"{meant[1]!r} and {meant[3]!r} stand where len and timeout must: {taken}")


def _read_length(reading: Reading, word: str) -> None:
    """Read the number of characters."""
    try:
        reading.mapping["len"] = id_length(word)
    except WebopsError:
        digits = re.match(r"\s*[+-]?[0-9]+", word)
        reading.doubt(
            f"len {word!r} is not a number from 1 to {MAXIMUM_LENGTH}: HAProxy 1.5 took it for"
            f" {digits.group() if digits else 0}"
        )


def _read_timeout(reading: Reading, word: str) -> None:
    """Read the time; without a unit it is milliseconds."""
    found = _TIMEOUT.fullmatch(word)
    if found is None:
        reading.doubt(f"timeout {word!r} is not a whole number with a unit: HAProxy 1.5 {_made_of_time(word)}")
        return
    number, unit = int(found.group(1)), found.group(2)
    milliseconds = -(-number // 1000) if unit == "us" else number * MS_PER_UNIT[unit or "ms"]
    if milliseconds > MAXIMUM_TIMEOUT_MS:
        reading.doubt(
            f"timeout {word!r} is more than HAProxy's timers hold (24 days, 20 hours): HAProxy 1.5 counted 32 bits of"
            f" it, {render_timeout(milliseconds % 2**32)}"
        )
        return
    reading.timeout_without_unit = word if number and not unit else ""
    reading.mapping["timeout"] = render_timeout(milliseconds)


def _made_of_time(word: str) -> str:
    """Tell what HAProxy 1.5 made of a time that is none: it looked at one unit, and at nothing behind it."""
    found = _TIME_BEGIN.match(word)
    if found is None:
        return "does not start with it"
    unit = "s" if found.group(2) == "u" else found.group(2)
    return f"took it for {found.group(1) or 0}{unit}"


def _read_options(reading: Reading, words: list[str]) -> None:
    """Read what stands behind the time."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "mode":
            _read_mode(reading, rest.pop(0) if rest else "")
        elif word in _OPTIONS:
            key = word.replace("-", "_")
            if key in reading.mapping:
                reading.problems.append(f"{word!r} is there twice")
            reading.mapping[key] = True
        else:
            near = difflib.get_close_matches(word, (*_OPTIONS, "len", "timeout"), n=1)
            hint = f" (is it {near[0]!r}?)" if near else ""
            reading.problems.append(f"{word!r} is not known: HAProxy 1.5 ignored it{hint}")


def _read_mode(reading: Reading, word: str) -> None:
    """Read where else an id may stand."""
    if word not in MODES:
        reading.doubt(f"mode {word!r} is not one of {' and '.join(MODES)}: HAProxy 1.5 does not start with it")
        return
    if "mode" in reading.mapping:
        reading.problems.append("'mode' is there twice")
    reading.mapping["mode"] = word
