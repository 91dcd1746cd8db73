# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of dpkg's database as a whole: reading them, and saying what is wrong with each.

`Database` reads; ``dpkg.py`` puts together what it has read. Nothing that is wrong stops the reading of the rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import describe, explain, few
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    ABSENT_STATES,
    Diversion,
    Override,
    Package,
    by_identity,
    identity,
    parse_diversions,
    parse_locale_purge,
    parse_path_filters,
    parse_statoverride,
    parse_status,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    DatabaseProblem,
    Gap,
    Manifest,
    PathFilter,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

ADMIN_DIRECTORY = "/var/lib/dpkg"
STATUS = f"{ADMIN_DIRECTORY}/status"
INFO = f"{ADMIN_DIRECTORY}/info"
#: Images without dpkg keep one paragraph a file here, and the digests of its package beside it.
STATUS_DIRECTORY = f"{ADMIN_DIRECTORY}/status.d"
NOT_RECORDED = ("mode", "owner", "group", "size", "symlink_target")

#: No file of a real database comes near: the largest are status files and lists of a few megabytes.
MAX_FILE_BYTES = 64 * 1024 * 1024

STATUS_REMEDY = (
    f"Restore it from {STATUS}-old or the newest /var/backups/dpkg.status.*, then run dpkg --audit and verify again"
)
INFO_REMEDY = (
    "Install the same version of the package again from its .deb, or take the file from a backup or from a host with "
    "the same version, then verify again"
)
OTHER_REMEDY = "Restore it from /var/backups or another backup, then verify again"


class Database:
    """One dpkg database. Problems and gaps go to its manifest as they are seen."""

    def __init__(self, tree: Tree) -> None:
        """Take the tree whose database it is; nothing is read yet."""
        self.tree = tree
        self.manifest = Manifest(not_recorded=NOT_RECORDED, state_file=STATUS)
        self.info_names: frozenset[bytes] = frozenset()
        self.diversions: dict[bytes, Diversion] = {}
        self.overrides: dict[bytes, Override] = {}
        self.denied: set[str] = set()
        #: Packages of ``status.d``, and where their digests are.
        self.apart: dict[str, str] = {}
        self.status = b""

    def require(self) -> None:
        """Refuse a root without dpkg database, and learn the names in its info directory."""
        root = os.fsdecode(self.tree.root) or "/"
        try:
            self.tree.names(ADMIN_DIRECTORY.encode())
        except FileNotFoundError:
            raise InvalidInputError(
                f"root {root!r}",
                f"it has no dpkg database ({ADMIN_DIRECTORY} does not exist in it)",
                "Give the root of a Debian or Ubuntu system",
            ) from None
        except OSError as error:
            raise MeasurementError(
                f"{ADMIN_DIRECTORY} in root {root!r}",
                f"it cannot be read: {error.strerror}",
                "Run as a user who may read it, or mend the file system first",
            ) from error
        try:
            self.info_names = frozenset(self.tree.names(INFO.encode()))
        except PermissionError as error:
            raise MeasurementError(INFO, "permission denied", "Run as a user who may read it") from error
        except OSError as error:
            if not self._names(STATUS_DIRECTORY):
                self.problem(INFO, f"it cannot be read: {explain(error)}", INFO_REMEDY)

    def read_status(self) -> list[Package]:
        """Read the status file and apply its journal. The order is that of the package names."""
        apart = self._read_status_directory()
        data = self.content(STATUS, STATUS_REMEDY, optional=bool(apart))
        if data is None or (apart and not data.strip()):
            return apart
        self.status = data
        found, complaints = parse_status(data)
        packages, repeated = by_identity(found)
        if repeated:
            complaints.append(f"it holds more than one paragraph for {few(repeated)}")
        for package in self._read_journal():
            packages[identity(package)] = package
        if not complaints and all(package.state in ABSENT_STATES for package in packages.values()):
            complaints.append("it holds no installed package")
        self.complain(STATUS, complaints, STATUS_REMEDY)
        for package in apart:
            if packages.setdefault(identity(package), package) is not package:
                self.apart.pop(package.label, None)
        return sorted(packages.values(), key=identity)

    def _read_status_directory(self) -> list[Package]:
        """Read ``status.d``, where an image has one: paragraphs as in a .deb, so without a state."""
        found: list[Package] = []
        for name in self._names(STATUS_DIRECTORY):
            if name.endswith(b".md5sums"):
                continue
            if not re.fullmatch(rb"[!-~]+", name):
                self.problem(STATUS_DIRECTORY, f"{describe(name)} is no name of a package", OTHER_REMEDY)
                continue
            file = name.decode()
            data = self.content(f"{STATUS_DIRECTORY}/{file}", OTHER_REMEDY)
            if data is not None:
                packages, complaints = parse_status(data, journal=True, status="install ok installed")
                self.complain(f"{STATUS_DIRECTORY}/{file}", complaints, OTHER_REMEDY)
                self.apart.update((package.label, f"{STATUS_DIRECTORY}/{file}.md5sums") for package in packages)
                found += packages
        return found

    def _read_journal(self) -> Iterable[Package]:
        """Read ``updates/NNNN``, which dpkg has not merged into the status file yet; later ones win."""
        directory = f"{ADMIN_DIRECTORY}/updates"
        try:
            names = self.tree.names(directory.encode())
        except FileNotFoundError:
            return
        except PermissionError:
            self.deny(directory)
            return
        except OSError as error:
            self.problem(directory, f"it cannot be read: {explain(error)}", STATUS_REMEDY)
            return
        for name in names:
            if name.isdigit():
                path = f"{directory}/{name.decode()}"
                data = self.content(path, STATUS_REMEDY)
                if data is not None:
                    found, complaints = parse_status(data, journal=True)
                    self.complain(path, complaints, STATUS_REMEDY)
                    yield from found

    def read_small_files(self) -> None:
        """Read diversions, overrides, the database's format and the configuration's path filters."""
        path = f"{ADMIN_DIRECTORY}/diversions"
        self.diversions, complaints = parse_diversions(self._with_backup(path, 3))
        self.complain(path, complaints, OTHER_REMEDY)
        path = f"{ADMIN_DIRECTORY}/statoverride"
        self.overrides, complaints = parse_statoverride(self._with_backup(path, 1))
        self.complain(path, complaints, OTHER_REMEDY)
        path = f"{INFO}/format"
        version = self.content(path, OTHER_REMEDY, optional=True)
        if version is not None and version.strip() not in (b"0", b"1"):
            self.problem(path, f"it holds {describe(version[:40])!r} instead of 1", "Write 1 and a newline into it")
        self.manifest.filters = self._path_filters()

    def _with_backup(self, path: str, lines: int) -> bytes:
        """Return the content of a file of which dpkg keeps the version before as ``-old``.

        A command adds or removes one record (of so many ``lines``), and the file itself is never removed. So one that
        is lost altogether, or has lost several records at once, is told by its old version.
        """
        data = self.content(path, OTHER_REMEDY, optional=True)
        try:
            before = self.tree.read(f"{path}-old".encode(), MAX_FILE_BYTES)
        except OSError:
            return data or b""
        if data is None and path not in self.denied:
            self.problem(path, f"it does not exist, but {path}-old does", OTHER_REMEDY)
        elif data == b"" and before.count(b"\n") > lines:
            self.problem(path, f"it is empty, but {path}-old holds more than one record", OTHER_REMEDY)
        return data or b""

    def _path_filters(self) -> list[PathFilter]:
        """Read path-exclude and path-include in the order in which dpkg reads its configuration (dpkg.cfg(5)).

        What localepurge takes away comes first, so that dpkg's own rules win.
        """
        directory = "/etc/dpkg/dpkg.cfg.d"
        names = [name for name in self._names(directory) if re.fullmatch(rb"[0-9a-zA-Z_-]+", name)]
        filters = parse_locale_purge(self._configuration("/etc/locale.nopurge"))
        for path in [f"{directory}/{name.decode()}" for name in names] + ["/etc/dpkg/dpkg.cfg"]:
            filters += parse_path_filters(self._configuration(path))
        return filters

    def _configuration(self, path: str) -> bytes:
        try:
            return self.tree.read(path.encode(), MAX_FILE_BYTES)
        except OSError:
            return b""

    def info_file(self, package: Package, kind: str) -> str:
        """Return the name of a package's info file: with or without architecture, whichever exists."""
        if kind == "md5sums" and package.label in self.apart:
            return self.apart[package.label]
        names = [f"{package.label}.{kind}", f"{package.name}.{kind}", f"{package.name}:{package.architecture}.{kind}"]
        found = [name for name in names if name.encode() in self.info_names]
        return f"{INFO}/{(found or names)[0]}"

    def has(self, path: str) -> bool:
        """Tell whether an info file exists."""
        return path.rpartition("/")[2].encode() in self.info_names

    def modified(self, path: str) -> float | None:
        """Return when a file was last written, in seconds since 1970; `None` when it is not there."""
        located = self.tree.locate(path.encode())
        try:
            return os.stat(located[1:], dir_fd=self.tree.root_descriptor, follow_symlinks=False).st_mtime
        except OSError:
            return None

    # Reading and complaining

    def content(self, path: str, remedy: str, optional: bool = False, package: str = "") -> bytes | None:
        """Return a database file's content; `None`, and a complaint where one is due, when there is none."""
        try:
            return self.tree.read(path.encode(), MAX_FILE_BYTES)
        except PermissionError as error:
            if path == STATUS:
                raise MeasurementError(STATUS, "permission denied", "Run as a user who may read it") from error
            self.deny(path, package)
        except FileNotFoundError:
            if not optional:
                self.problem(path, "it does not exist", remedy)
        except OSError as error:
            self.problem(path, f"it cannot be read: {explain(error)}", remedy)
        return None

    def deny(self, path: str, package: str = "") -> None:
        """Note that this user may not read a file or directory of the database."""
        owners = (package,) if package else ()
        gap = Gap("permission_denied", "this user may not read this part of the database", owners, 0, path)
        self.manifest.gaps.append(gap)
        self.denied.add(path)

    def complain(self, file: str, complaints: Iterable[str], remedy: str) -> None:
        """Report what a parser has said about a file."""
        for complaint in complaints:
            self.problem(file, complaint, remedy)

    def problem(self, file: str, what: str, remedy: str) -> None:
        """Report one thing that is wrong with a file."""
        self.manifest.problems.append(DatabaseProblem(file, what, remedy))

    def _names(self, directory: str) -> list[bytes]:
        """Return the names in a directory that need not be there."""
        try:
            return self.tree.names(directory.encode())
        except OSError:
            return []
