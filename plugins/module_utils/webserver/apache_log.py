# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Apache says about a configuration that it could not take, on its output and in its error log.

Source: Apache HTTP Server 2.4 documentation, directive ``ErrorLogFormat``; by default a line begins with
``[Sat Nov 28 14:25:07.041997 2026] [ssl:emerg] [pid 1976:tid 1976]``, in local time.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MAX_LOG_BYTES = 512 * 1024
_MAX_FILES = 50
_MAX_LINES = 100
_PREFIX = re.compile(r"^\[([^\]]*)\] \[(\w*):(\w+)\] (?:\[pid [^\]]*\] )?")
_MOMENT = re.compile(r"\w{3} (\w{3}) +(\d+) (\d+):(\d+):(\d+)(\.\d+)? (\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_GRAVE = ("emerg", "alert", "crit")
# Every message of Apache's own has a number.
_NUMBERED = re.compile(r"\bAH\d{5}: ")
_HARMLESS = ("warn", "notice", "info", "debug")
# What apachectl and Apache say whatever the reason is; and the hint about a missing ServerName.
_NOISE = re.compile(r"Action '.*' failed\.|The Apache error log may have more information\.|Syntax OK|AH00558|AH00557")


def explanation(output: str) -> str:
    """Return the lines that say why a configuration is refused; the whole output if none stands out.

    Those are the grave ones; where there is none, all but warnings and what is said every time.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip() and not _NOISE.search(line)]
    grave = [line for line in lines if _level(line) in _GRAVE]
    telling = grave or [line for line in lines if _level(line) not in _HARMLESS]
    return "\n".join(dict.fromkeys(_PREFIX.sub("", line) for line in telling)) or output.strip()


def errors_since(paths: Sequence[str], moment: float) -> list[str]:
    """Return the grave lines that logs got since a moment (seconds since the epoch), without dates.

    A line without a date, such as that about an address in use, is from the moment of the line before. What a visitor's
    request caused is not about the configuration.
    """
    grave = [line for path in paths[:_MAX_FILES] for line in _about_configuration(list(_since(_lines(path), moment)))]
    return list(dict.fromkeys(_PREFIX.sub("", line) for line in grave))[:_MAX_LINES]


def _about_configuration(lines: Sequence[str]) -> list[str]:
    """Leave out what requests have caused: what programs of a site say goes to the log without a date as well."""
    is_own = any(_level(line) is None and _NUMBERED.search(line) for line in lines)
    levels = (*_GRAVE, None) if is_own else _GRAVE
    return [line for line in lines if _level(line) in levels and "[client " not in line]


def _level(line: str) -> str | None:
    found = _PREFIX.match(line)
    return found.group(3) if found else None


def _lines(path: str) -> list[str]:
    try:
        return read_regular(path, _MAX_LOG_BYTES, from_end=True).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _since(lines: Iterable[str], moment: float) -> Iterator[str]:
    logged = float("-inf")
    for line in lines:
        found = _PREFIX.match(line)
        logged = _moment(found.group(1), logged) if found else logged
        if logged >= moment:
            yield line


def _moment(text: str, otherwise: float) -> float:
    """Return seconds since the epoch; the month's name is Apache's, not that of this process' locale."""
    found = _MOMENT.fullmatch(text)
    if found is None or found.group(1) not in _MONTHS:
        return otherwise
    month = _MONTHS.index(found.group(1)) + 1
    day, hour, minute, second = (int(found.group(index)) for index in range(2, 6))
    whole = time.mktime((int(found.group(7)), month, day, hour, minute, second, 0, 0, -1))
    return whole + float(found.group(6) or 0)
