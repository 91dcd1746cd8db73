# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rpm database of a root: which one it is, and whether it is sound, before anything in it is believed.

rpm itself is not asked: it leaves out a package whose header is damaged and calls that success. Each header is parsed
here, compared with its own digest, and with what the indexes beside it say of it.
"""

from __future__ import annotations

import collections
import errno
import os
from typing import NamedTuple, Protocol

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import explain
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DatabaseProblem, Gap, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_berkeley import BerkeleyDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import DamagedHeaderError, Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_ndb import NdbDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_package import (
    Package,
    PackagedFile,
    basenames,
    digest_algorithm,
    read_files,
    read_package,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_sqlite import SqliteDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: Where rpm keeps its database (`rpm --eval %{_dbpath}`), the newer place first; one is often a link to the other.
DIRECTORIES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
SHA1_HEADER = 269

_SQLITE, _NDB, _BERKELEY = "rpmdb.sqlite", "Packages.db", "Packages"
#: Files that are beside a database and not without one: what is left when the database itself is lost.
_REMAINS = {
    _SQLITE: ("rpmdb.sqlite-wal", "rpmdb.sqlite-shm"),
    _NDB: ("Index.db",),
    _BERKELEY: ("Basenames", "Providename", "Requirename", "Installtid"),
}


class Record(NamedTuple):
    """A header that was found sound: its number in the database, and what its package is called."""

    number: int
    package: Package


class Database(Protocol):
    """What each kind of database can tell. ``problems`` are sentences without the file's name, which is ``file``."""

    file: str
    problems: list[str]

    def numbers(self) -> list[int]:
        """Return the numbers of the records, as far as they can be found."""

    def blob(self, number: int) -> bytes | None:
        """Return a record; `None` when it cannot be had any more."""

    def names(self) -> dict[int, bytes] | None:
        """Return what the index of names has for each record; `None` without one."""

    def header_digests(self) -> dict[int, bytes] | None:
        """Return what the index of SHA-1 digests has for each record; `None` without one."""

    def basenames(self, number: int) -> list[bytes] | None:
        """Return the last components of file names that their index has for a record; `None` without one."""

    def highest_number(self) -> int:
        """Return the highest number that a record ever had, 0 when the database has never held any."""

    def close(self) -> None:
        """Let go of the copy."""


def find_database(tree: Tree) -> str | None:
    """Return the path of the root's rpm database inside the root, also of one that is lost; `None` without any."""
    for directory in DIRECTORIES:
        try:
            names = frozenset(map(os.fsdecode, tree.names(directory.encode())))
        except OSError:
            continue
        for file in _REMAINS:
            if file in names:
                return f"{directory}/{file}"
        for file, remains in _REMAINS.items():
            if not names.isdisjoint(remains):
                return f"{directory}/{file}"
    return None


class UnreadableDatabaseError(MeasurementError):
    """The database is there, and nothing of it can be read: damage of its own, not of who reads."""


#: What keeps a reader from a database in which nothing need be wrong.
_OURS = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EMFILE, errno.ENFILE)


def open_database(tree: Tree) -> Database:
    """Open a private copy of the root's rpm database; the caller closes it.

    Raises `InvalidInputError` when the root has none, `UnreadableDatabaseError` when it cannot be read at all,
    `MeasurementError` when this user or this process cannot. One that is damaged opens, and says so in its problems.
    """
    path = find_database(tree)
    if path is None:
        raise InvalidInputError(
            f"root {os.fsdecode(tree.root) or '/'!r}",
            f"it has no rpm database (neither in {' nor in '.join(DIRECTORIES)})",
            "Give the root of a system whose packages rpm has installed",
        )
    kinds: dict[str, type[SqliteDatabase] | type[NdbDatabase] | type[BerkeleyDatabase]] = {
        _SQLITE: SqliteDatabase,
        _NDB: NdbDatabase,
        _BERKELEY: BerkeleyDatabase,
    }
    try:
        return kinds[path.rpartition("/")[2]](tree, path)
    except OSError as error:
        raised = MeasurementError if error.errno in _OURS else UnreadableDatabaseError
        raise raised(
            path,
            f"it cannot be read: {explain(error)}",
            "Run as a user who may read it; if it cannot be read at all, mend the file system or restore the directory "
            "from a backup",
        ) from error


class Soundness:
    """One database, checked as a whole: ``records`` are what may be believed, the rest is in problems and gaps.

    ``labels`` are what to call the records' packages, by number; ``lost`` are packages with a header that is damaged.
    """

    def __init__(self, database: Database) -> None:
        """Check every record and compare it with the indexes."""
        self.records: list[Record] = []
        self.lost: list[str] = []
        self.problems: list[DatabaseProblem] = []
        self.gaps: list[Gap] = []
        self._database = database
        self._directory = database.file.rpartition("/")[0]
        self._names = database.names()
        self._digests = database.header_digests()
        self._undigested: list[int] = []
        self._compared: dict[str, list[str]] = {}
        numbers = database.numbers()
        for number in sorted({*numbers, *(self._names or ())}):
            self._check(number)
        self.labels = _labels(self.records)
        self._compare_all(numbers)
        self._tell_undigested()
        self.problems[:0] = [DatabaseProblem(database.file, what, self._remedy()) for what in database.problems]

    def _check(self, number: int) -> None:
        """Check one record."""
        blob = self._database.blob(number)
        if blob is None:
            self._lose(number, None, "it cannot be read")
            return
        header = None
        try:
            header = Header(blob)
            verified = header.verify()
            record = Record(number, read_package(header))
            names = basenames(header)
        except DamagedHeaderError as error:
            self._lose(number, header, error.reason)
            return
        self._compare(record, header, names)
        self.records.append(record)
        if names and not verified:
            self._undigested.append(number)

    def files(self, record: Record) -> tuple[list[PackagedFile], int] | None:
        """Return the files of a record and the number of their digests' algorithm.

        Their tags may contradict each other although the digest of the header is right: `None` is returned then, and
        the package is lost like one with a damaged header.
        """
        header = None
        try:
            header = Header(self._database.blob(record.number) or b"")
            return read_files(header), digest_algorithm(header)
        except DamagedHeaderError as error:
            self._lose(record.number, header, error.reason)
            return None

    def _lose(self, number: int, header: Header | None, reason: str) -> None:
        """Note a package whose header cannot be believed, with what else knows of it."""
        name = text((self._names or {}).get(number, b"")) or _name_of(header) or f"(record {number})"
        names = self._database.basenames(number)
        count = len(names) if names is not None else _count_of(header)
        what = f"the header of package {name} (record {number}) is damaged: {reason}"
        remedy = (
            f"Copy {self._directory} aside, install the same version of {name} again (dnf reinstall, or rpm -U "
            "--replacepkgs with its .rpm) and verify again; rpm --rebuilddb before that drops the package for good"
        )
        self.problems.append(DatabaseProblem(self._database.file, what, remedy))
        detail = "its header in the database is damaged, so nothing is known about its files"
        self.gaps.append(Gap("damaged_header", detail, (name,), count, name))
        self.lost.append(name)

    def _compare(self, record: Record, header: Header, names: list[bytes]) -> None:
        """Compare a sound header with the indexes: they were written together."""
        nevra = record.package.nevra
        if self._names is not None:
            name = self._names.get(record.number)
            if name is None:
                self._differ("lacks", "its index Name lacks", nevra)
            elif text(name) != record.package.name:
                self._differ("name", f"its index Name has {text(name)!r} for the record of", nevra)
        own = (header.text(SHA1_HEADER) or "").encode()
        if self._digests is not None and self._digests.get(record.number, b"") != own:
            self._differ("digest", "its index Sha1header is for another state of the header of", nevra)
        listed = self._database.basenames(record.number)
        if listed is not None and sorted(listed) != sorted(names):
            self._differ("files", "its index Basenames has other files for", nevra)

    def _differ(self, kind: str, sentence: str, nevra: str) -> None:
        self._compared.setdefault(f"{kind}\n{sentence}", []).append(nevra)

    def _compare_all(self, numbers: list[int]) -> None:
        """Compare the records with each other and with what has been."""
        remedy = (
            f"Copy {self._directory} aside; when no header is damaged, rpm --rebuilddb makes the indexes anew; compare "
            "then rpm -qa with the log of dnf, and verify again"
        )
        for key, packages in self._compared.items():
            sentence = key.partition("\n")[2]
            more = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
            self.problems.append(DatabaseProblem(self._database.file, f"{sentence} {packages[0]}{more}", remedy))
        seen: set[str] = set()
        for record in self.records:
            if record.package.nevra in seen:
                what = f"it holds package {record.package.nevra} more than once"
                again = "Copy its directory aside, install the same version of the package again, then verify again"
                self.problems.append(DatabaseProblem(self._database.file, what, again))
            seen.add(record.package.nevra)
        if not numbers and not self._database.problems and self._database.highest_number():
            what = f"it holds no package, and has held {self._database.highest_number()}"
            self.problems.append(DatabaseProblem(self._database.file, what, self._remedy()))

    def _tell_undigested(self) -> None:
        detail = "its header has no digest, as in very old packages, so that damage in it could not be seen"
        for number in self._undigested:
            label = self.labels[number]
            self.gaps.append(Gap("no_header_digest", detail, (label,), 0, label))

    def _remedy(self) -> str:
        return (
            f"Copy {self._directory} aside and restore it from a backup; without one, install again the packages that "
            "the log of dnf names, and do not run rpm --rebuilddb before that: it drops what it cannot read"
        )


def _labels(records: list[Record]) -> dict[int, str]:
    """Return what to call each package: no longer than it takes to tell it from the others (kernels, multilib)."""
    forms = [
        {record.number: record.package.name for record in records},
        {record.number: f"{record.package.name}.{record.package.architecture}" for record in records},
        {record.number: record.package.nevra for record in records},
    ]
    labels: dict[int, str] = {}
    for form in forms:
        count = collections.Counter(form.values())
        for number, label in form.items():
            if count[label] == 1 or form is forms[-1]:
                labels.setdefault(number, label)
    return labels


def _name_of(header: Header | None) -> str:
    """Return what a damaged header calls its package, as far as that can be read."""
    try:
        return read_package(header).name if header is not None else ""
    except DamagedHeaderError:
        return ""


def _count_of(header: Header | None) -> int:
    try:
        return len(basenames(header)) if header is not None else 0
    except DamagedHeaderError:
        return 0
