# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dpkg's status file says now, against what was said before: its daily copy, the status file of before, the log.

Damage can leave a status file that reads well and is wrong: a flipped bit in a version, or a block of last month. The
witnesses are on the same disk, they may be rotated, copied from an image or written for another root (``dpkg --root``),
and clocks jump. So a difference counts only where a third witness excludes every honest reason for it: the moment in
which dpkg wrote the package's list of files, which it does whenever it unpacks the package.
"""

from __future__ import annotations

import calendar
import io
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from gzip import GzipFile
from typing import Callable, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import Complaints
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_database import (
    INFO,
    MAX_FILE_BYTES,
    STATUS,
    STATUS_REMEDY,
    Database,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    Package,
    paragraphs,
    parse_status,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Gap

#: Made by dpkg's daily job when something has changed; older ones are ``.1.gz`` and so on.
COPY = "/var/backups/dpkg.status.0"
LOG = "/var/log/dpkg.log"
#: As many rotated logs as Debian keeps.
MAX_LOGS = 12
MAX_LOG_BYTES = 16 * 1024 * 1024

#: A list that is older by so much was not written in the same transaction, nor by the same copying of a root.
_MARGIN_SECONDS = 3600
#: Between the line in the log and the list there is no more than this.
_LOG_SECONDS = 2
#: Zones differ from UTC by multiples of a quarter of an hour, up to fourteen hours.
_ZONE_STEP_SECONDS = 900
_MAX_ZONE_SECONDS = 14 * 3600
#: So many packages must show the same difference between log and disk before it is taken for the time zone.
_MIN_WITNESSES = 3
#: When so many untouched packages differ, another release of dpkg has written the file in its own way.
_MAX_DIFFERING = 5

#: Fields that change while a package stays as it is. Conffiles are compared one by one.
_CHANGING_FIELDS = frozenset(("status", "conffiles", "config-version", "triggers-pending", "triggers-awaited"))
_STATE_LINE = re.compile(rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) status ([a-z-]+) (\S+) (\S+)$", re.MULTILINE)

#: States of a package of which no file is there any more, but conffiles.
_REMOVED = ("not-installed", "config-files")


class _Logged(NamedTuple):
    """The last version that the log names for a package, and when that was unpacked (in the log's words)."""

    version: str
    unpacked: tuple[str, ...]


def find_contradictions(database: Database, packages: list[Package]) -> None:
    """Report, as problems of the database, what its own past contradicts."""
    written = {
        package.label: database.modified(database.info_file(package, "list"))
        for package in packages
        if package.state == "installed" and package.label not in database.apart
    }
    _compare_with_previous(database, written)
    _compare_with_log(database, packages, written)


# The daily copy


def find_lost(database: Database, packages: list[Package], is_listed: Callable[[bytes], bool]) -> None:
    """Report packages that the newest daily copy of the status file has, and the status file and ``info`` lost.

    A package that was removed is in neither too. So its copyright, which policy demands of every package, must still be
    there and be no other package's (``is_listed``), and the log must not say that it was removed.
    """
    try:
        data = database.tree.read(COPY.encode(), MAX_FILE_BYTES)
    except OSError:
        return
    known = {package.name for package in packages}
    known |= {name.rpartition(b".")[0].decode("ascii", "replace").partition(":")[0] for name in database.info_names}
    missing = [one for one in parse_status(data)[0] if one.state == "installed" and one.name not in known]
    left = [one for one in missing if _is_left(database, one, is_listed)]
    removed = _removed(database) if left else set()
    for package in left:
        if f"{package.name}:{package.architecture}" not in removed:
            lost = f"it has no paragraph for package {package.label}"
            database.problem(STATUS, f"{lost}, but {COPY} has one, and {_copyright(package)} is there", STATUS_REMEDY)
            detail = "the status file has lost the package, so its files were not verified"
            database.manifest.gaps.append(Gap("no_status", detail, (package.label,), 0, package.label))


def _is_left(database: Database, package: Package, is_listed: Callable[[bytes], bool]) -> bool:
    """Tell whether a file of a package is there that nobody else has."""
    path = _copyright(package)
    return database.modified(path) is not None and not is_listed(path.encode())


def _copyright(package: Package) -> str:
    return f"/usr/share/doc/{package.name}/copyright"


def _removed(database: Database) -> set[str]:
    """Return, by name and architecture, the packages that the logs say were removed in the end."""
    states = {name: state for _moment, state, name, _version in _state_lines(database)}
    return {name for name, state in states.items() if state in _REMOVED}


# The status file of before


def _compare_with_previous(database: Database, written: dict[str, float | None]) -> None:
    """Compare the paragraphs of packages that have not been unpacked since the previous status file was written."""
    path = f"{STATUS}-old"
    before, now = database.modified(path), database.modified(STATUS)
    if before is None or now is None or before > now or not database.status:
        return
    try:
        old = database.tree.read(path.encode(), MAX_FILE_BYTES)
    except OSError:
        return
    if b"\0" in old:
        remedy = "dpkg writes a new one when it changes the status file; until then do not restore that from it"
        database.problem(path, "it contains NUL bytes", remedy)
    untouched = {label for label, moment in written.items() if moment is not None and moment < before - _MARGIN_SECONDS}
    created = database.modified(f"{INFO}/format")
    differing: list[str] = []
    for package, fields, old_package, old_fields in _changed_paragraphs(database.status, old):
        if package.label not in untouched or old_package.state != "installed":
            continue
        if package.version != old_package.version:
            moment = written[package.label]
            if created is not None and moment is not None and moment >= created:
                what = f"has version {package.version}, that of {path} {old_package.version}"
                _report(database, package.label, what)
        else:
            name = _different_field(fields, old_fields) or _different_conffile(package, old_package)
            differing += [f"{package.label}\n{name}"] if name else []
    if len(differing) <= _MAX_DIFFERING:
        for line in differing:
            label, _newline, name = line.partition("\n")
            _report(database, label, f"and that of {path} differ in {name}")


def _report(database: Database, label: str, what: str) -> None:
    what = f"its paragraph for {label} {what}, though the package has not been unpacked in between"
    database.problem(STATUS, f"{what}: one of the two is damaged, or was edited", STATUS_REMEDY)


def _changed_paragraphs(status: bytes, old: bytes) -> list[tuple[Package, dict[str, str], Package, dict[str, str]]]:
    """Return the paragraphs that are not the same in both files, by package."""
    before = old.split(b"\n\n")
    after = status.split(b"\n\n")
    common = set(before) & set(after)
    first, second = (
        {
            package.label: (package, fields)
            for part in parts
            if part not in common
            for package, fields in _paragraph(part)
        }
        for parts in (after, before)
    )
    return [(*first[label], *second[label]) for label in sorted(first.keys() & second.keys())]


def _paragraph(data: bytes) -> list[tuple[Package, dict[str, str]]]:
    """Return the package of a sound paragraph, and all its fields."""
    packages, complaints = parse_status(data + b"\n\n")
    if len(packages) != 1 or complaints or packages[0].state != "installed":
        return []
    return [(packages[0], paragraphs(data, Complaints())[0][1])]


def _different_field(fields: dict[str, str], old_fields: dict[str, str]) -> str:
    """Return the first field that cannot change while the package stays as it is, and has."""
    names = sorted((fields.keys() | old_fields.keys()) - _CHANGING_FIELDS)
    return next((f"field {name}" for name in names if fields.get(name) != old_fields.get(name)), "")


def _different_conffile(package: Package, old_package: Package) -> str:
    """Say so when a conffile has another digest than before."""
    old = {conffile.path: conffile.digest for conffile in old_package.conffiles}
    for conffile in package.conffiles:
        before = old.get(conffile.path)
        if before is not None and conffile.digest not in (None, before):
            return "the digest of a conffile"
    return ""


# The log


def _compare_with_log(database: Database, packages: list[Package], written: dict[str, float | None]) -> None:
    """Report packages of which the log names another version, at the moment in which their list was written.

    Lines for packages of another root, or of the machine that an image was made on, do not agree with the lists of this
    root to the second. The log is in local time of whichever zone; what zone is told by the packages that agree.
    """
    logged = _read_log(database)
    if not logged:
        return
    known = [
        (package, logged[f"{package.name}:{package.architecture}"], moment)
        for package in packages
        if (moment := written.get(package.label)) is not None and f"{package.name}:{package.architecture}" in logged
    ]
    zones: Counter[int] = Counter()
    for package, entry, moment in known:
        if entry.version == package.version:
            zones.update(_zones(entry, moment))
    agreed = {zone for zone, count in zones.items() if count >= _MIN_WITNESSES}
    for package, entry, moment in known:
        if entry.version != package.version and _zones(entry, moment) & agreed:
            what = (
                f"its paragraph for {package.label} has version {package.version}, but {LOG} says that version "
                f"{entry.version} was unpacked, at the moment in which its list of files was written"
            )
            database.problem(STATUS, what, STATUS_REMEDY)


def _zones(entry: _Logged, moment: float) -> set[int]:
    """Return the offsets from UTC with which a package was unpacked when its list was written."""
    zones = set()
    for unpacked in entry.unpacked:
        difference = _seconds(unpacked) - moment
        if abs(difference) > _MAX_ZONE_SECONDS + _LOG_SECONDS:
            continue
        zone = round(difference / _ZONE_STEP_SECONDS) * _ZONE_STEP_SECONDS
        if abs(difference - zone) <= _LOG_SECONDS:
            zones.add(zone)
    return zones


def _read_log(database: Database) -> dict[str, _Logged]:
    """Return, by name and architecture, what the logs say last. Their order is that of their lines, not their times."""
    logged: dict[str, _Logged] = {}
    for moment, state, name, version in _state_lines(database):
        if state in _REMOVED:
            logged.pop(name, None)
            continue
        before = logged.get(name)
        unpacked = before.unpacked if before is not None and before.version == version else ()
        if state == "unpacked":
            unpacked += (moment,)
        logged[name] = _Logged(version, unpacked)
    return logged


def _state_lines(database: Database) -> Iterator[tuple[str, str, str, str]]:
    """Yield moment, state, package (with its architecture) and version of each line about a state, the oldest first."""
    for number in range(MAX_LOGS, -1, -1):
        for match in _STATE_LINE.finditer(_log(database, number)):
            moment, state, name, version = (part.decode("ascii", "replace") for part in match.groups())
            yield moment, state, name, version


def _seconds(moment: str) -> float:
    """Return a local time as if it were UTC; what is no time agrees with nothing."""
    try:
        return calendar.timegm(time.strptime(moment, "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        return float("-inf")


def _log(database: Database, number: int) -> bytes:
    """Return one log, ``dpkg.log`` itself or one that was rotated so many times; nothing where it cannot be read."""
    path = LOG if number == 0 else f"{LOG}.{number}"
    try:
        return database.tree.read(path.encode(), MAX_LOG_BYTES)
    except OSError:
        pass
    try:
        packed = database.tree.read(f"{path}.gz".encode(), MAX_LOG_BYTES)
        with GzipFile(fileobj=io.BytesIO(packed)) as stream:
            return stream.read(MAX_LOG_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""
