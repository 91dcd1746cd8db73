# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Was a version of OpenSSL with Heartbleed (CVE-2014-0160) ever installed here? What dpkg's logs say.

Sources: dpkg.log in dpkg(1) (the lines of the actions ``install``, ``upgrade``, ``remove``, ``purge``); the advisory of
OpenSSL of 7 April 2014 (1.0.1 to 1.0.1f and 1.0.2-beta1 have the fault); DSA-2896-1 and USN-2165-1 for the packages in
which distributions repaired it without changing the upstream version.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGE = re.compile(r"^libssl1\.0\.[012]")
_ACTIONS = ("install", "upgrade", "remove", "purge")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (\S+) (\S+) (\S+) (\S+)$")
_AFFECTED = re.compile(r"^(?:\d+:)?1\.0\.(?:1[a-f]?|2~?-?beta1)(?![0-9a-z])")
# Packages of an affected upstream version that have the repair: (beginning, first repaired number behind it).
_REPAIRED = (
    ("1.0.1e-2+deb7u", 5),
    ("1.0.1-4ubuntu5.", 12),
    ("1.0.1c-3ubuntu2.", 7),
    ("1.0.1e-3ubuntu1.", 2),
)
_REPAIRED_LATER = ("1.0.1e-3ubuntu2", "1.0.1f-1ubuntu2")
_MAX_LOG_BYTES = 64 * 1024 * 1024


@dataclass
class History:
    """Times (``YYYY-MM-DD hh:mm:ss``, the host's local time) in which an affected version was installed.

    ``periods`` have ``package``, ``version``, ``installed_at`` (``None``: before the log begins) and ``ended_at``
    (``None``: it was not replaced). ``covered_from`` and ``covered_to`` are the first and last time in the logs.
    """

    periods: list[dict[str, str | None]] = field(default_factory=list)
    covered_from: str | None = None
    covered_to: str | None = None
    files: list[str] = field(default_factory=list)
    not_tested: list[dict[str, str]] = field(default_factory=list)


def is_affected(version: str) -> bool:
    """Whether a Debian or Ubuntu package version of OpenSSL has the fault."""
    if _AFFECTED.match(version) is None or version.startswith(_REPAIRED_LATER):
        return False
    for beginning, first_repaired in _REPAIRED:
        number = re.match(r"\d+", version[len(beginning) :]) if version.startswith(beginning) else None
        if number is not None:
            return int(number.group()) < first_repaired
    return True


def read_history(root: Path = Path("/")) -> History:
    """Read ``/var/log/dpkg.log`` and its rotated predecessors below ``root``."""
    history = History()
    logs = sorted((root / "var/log").glob("dpkg.log*"), key=_age, reverse=True)
    open_periods: dict[str, dict[str, str | None]] = {}
    for log in logs:
        try:
            text = _text(log)
        except (OSError, EOFError, zlib.error) as error:
            reason = f"it cannot be read ({getattr(error, 'strerror', None) or error})"
            history.not_tested.append({"fact": f"log {log.name}", "reason": reason})
            continue
        history.files.append(log.name)
        for line in text.splitlines():
            _take(line, history, open_periods)
    return history


def _age(log: Path) -> int:
    number = re.search(r"\.log\.(\d+)", log.name)
    return int(number.group(1)) if number else 0


def _text(log: Path) -> str:
    with log.open("rb") as stream:
        if log.suffix != ".gz":
            return stream.read(_MAX_LOG_BYTES).decode("utf-8", errors="replace")
        with gzip.GzipFile(fileobj=stream) as unpacked:
            return unpacked.read(_MAX_LOG_BYTES).decode("utf-8", errors="replace")


def _take(line: str, history: History, open_periods: dict[str, dict[str, str | None]]) -> None:
    moment = _MOMENT.match(line)
    if moment is None:
        return
    history.covered_from = history.covered_from or moment.group()
    history.covered_to = moment.group()
    found = _LINE.match(line)
    if found is not None:
        _take_action(found, history, open_periods)


def _take_action(found: re.Match[str], history: History, open_periods: dict[str, dict[str, str | None]]) -> None:
    moment, action, package, before, after = found.groups()
    if action not in _ACTIONS or _PACKAGE.match(package) is None:
        return
    period = open_periods.pop(package, None)
    if period is not None:
        period["ended_at"] = moment
    elif is_affected(before):
        history.periods.append(_period(package, before, None, moment))
    if action in ("install", "upgrade") and is_affected(after):
        open_periods[package] = _period(package, after, moment, None)
        history.periods.append(open_periods[package])


def _period(package: str, version: str, start: str | None, end: str | None) -> dict[str, str | None]:
    return {"package": package, "version": version, "installed_at": start, "ended_at": end}


def installed_versions(root: Path = Path("/")) -> Iterator[tuple[str, str]]:
    """Give name and version of the installed packages of TLS libraries, from dpkg's status file below ``root``."""
    try:
        with (root / "var/lib/dpkg/status").open("rb") as stream:
            text = stream.read(_MAX_LOG_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        name = fields.get("Package", "")
        if re.match(r"^lib(ssl|gnutls|nss3|mbedtls|wolfssl)[0-9.]", name) and fields.get("Status", "").endswith(
            " installed"
        ):
            yield name, fields.get("Version", "")
