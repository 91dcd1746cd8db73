# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dpkg's database -> manifest, and whether that database is sound.

The database lies on the same disk as what it describes. So each file is checked before it is believed, and the files
are checked against each other: what one says and another does not is a problem of the database, not of a package.
Nothing that is wrong stops the reading of the rest. Nothing is written and no lock is taken.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    ABSENT_STATES,
    Conffile,
    Diversion,
    Package,
    by_identity,
    describe,
    identity,
    parse_conffiles,
    parse_diversions,
    parse_list,
    parse_md5sums,
    parse_path_filters,
    parse_statoverride,
    parse_status,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    UNKNOWN,
    UNLISTED,
    DatabaseProblem,
    Entry,
    Gap,
    Manifest,
    PackageState,
    PathFilter,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

ADMIN_DIRECTORY = "/var/lib/dpkg"
STATUS = f"{ADMIN_DIRECTORY}/status"
NOT_RECORDED = ("mode", "owner", "group", "size", "symlink_target")

#: No file of a real database comes near: the largest are status files and lists of a few megabytes.
MAX_FILE_BYTES = 64 * 1024 * 1024

#: Info files that no package is without for long: one of them shows that a package is, or was, there.
_INFO_KINDS = frozenset((b"list", b"md5sums", b"conffiles", b"preinst", b"postinst", b"prerm", b"postrm"))
_STATUS_REMEDY = (
    f"Restore it from {STATUS}-old or the newest /var/backups/dpkg.status.*, then run dpkg --audit and verify again"
)
_INFO_REMEDY = (
    "Install the same version of the package again from its .deb, or take the file from a backup or from a host with "
    "the same version, then verify again"
)
_OTHER_REMEDY = "Restore it from /var/backups or another backup, then verify again"


def read_manifest(tree: Tree, wanted: re.Pattern[str] | None = None, conffiles: bool = True) -> Manifest:
    """Read the dpkg database below a root.

    ``wanted`` matches the names of the packages to verify (`None`: all); the database is checked as a whole in any
    case. Without ``conffiles`` those are left out and counted as a gap. Raises `InvalidInputError` when the root has
    no dpkg database, `MeasurementError` when it may not be read at all.
    """
    return _Reader(tree, wanted, conffiles).read()


class _Reader:
    """One reading of one database; what it collects ends up in its manifest."""

    def __init__(self, tree: Tree, wanted: re.Pattern[str] | None, conffiles: bool) -> None:
        self.tree = tree
        self.wanted = wanted
        self.with_conffiles = conffiles
        self.manifest = Manifest(not_recorded=NOT_RECORDED, state_file=STATUS)
        self.entries: dict[bytes, Entry] = {}
        self.diversions: dict[bytes, Diversion] = {}
        self.info_names: frozenset[bytes] = frozenset()
        self.info_taken: set[str] = set()
        self.denied: set[str] = set()
        self.unlisted: list[tuple[Package, bytes, bytes]] = []
        self.not_wanted: list[tuple[Package, list[bytes]]] = []

    def read(self) -> Manifest:
        """Read everything and put it together."""
        self._require_database()
        packages = self._read_status()
        self._read_small_files()
        for package in sorted(packages, key=lambda package: package.state in ABSENT_STATES):
            self._read_package(package)
        self._find_orphans(packages)
        self._add_unlisted()
        self._tell_directories()
        self.manifest.entries = sorted(self.entries.values(), key=lambda entry: entry.path)
        return self.manifest

    # The files of the database as a whole

    def _require_database(self) -> None:
        """Refuse a root without dpkg database, and learn the names in its info directory."""
        root = os.fsdecode(self.tree.root) or "/"
        try:
            self.tree.names(ADMIN_DIRECTORY.encode())
        except FileNotFoundError:
            raise InvalidInputError(
                f"root {root!r}",
                f"it has no dpkg database ({ADMIN_DIRECTORY} does not exist in it)",
                "Give the root of a Debian or Ubuntu system; other package managers are not read",
            ) from None
        except OSError as error:
            raise MeasurementError(
                f"{ADMIN_DIRECTORY} in root {root!r}",
                f"it cannot be read: {error.strerror}",
                "Run as a user who may read it, or mend the file system first",
            ) from error
        info = f"{ADMIN_DIRECTORY}/info"
        try:
            self.info_names = frozenset(self.tree.names(info.encode()))
        except PermissionError as error:
            raise MeasurementError(info, "permission denied", "Run as a user who may read it") from error
        except OSError as error:
            self._problem(info, f"it cannot be read: {_explain(error)}", _INFO_REMEDY)

    def _read_status(self) -> list[Package]:
        """Read the status file and apply its journal. The order is that of the package names."""
        data = self._content(STATUS, _STATUS_REMEDY)
        if data is None:
            return []
        found, complaints = parse_status(data)
        packages, repeated = by_identity(found)
        if repeated:
            complaints.append(f"it holds more than one paragraph for {_few(repeated)}")
        for package in self._read_journal():
            packages[identity(package)] = package
        if not complaints and all(package.state in ABSENT_STATES for package in packages.values()):
            complaints.append("it holds no installed package")
        self._complain(STATUS, complaints, _STATUS_REMEDY)
        return sorted(packages.values(), key=identity)

    def _read_journal(self) -> Iterable[Package]:
        """Read ``updates/NNNN``, which dpkg has not merged into the status file yet; later ones win."""
        directory = f"{ADMIN_DIRECTORY}/updates"
        try:
            names = self.tree.names(directory.encode())
        except FileNotFoundError:
            return
        except PermissionError:
            self._deny(directory)
            return
        except OSError as error:
            self._problem(directory, f"it cannot be read: {_explain(error)}", _STATUS_REMEDY)
            return
        for name in names:
            if name.isdigit():
                path = f"{directory}/{name.decode()}"
                data = self._content(path, _STATUS_REMEDY)
                if data is not None:
                    found, complaints = parse_status(data, journal=True)
                    self._complain(path, complaints, _STATUS_REMEDY)
                    yield from found

    def _read_small_files(self) -> None:
        """Read diversions, overrides, the database's format and the configuration's path filters."""
        path = f"{ADMIN_DIRECTORY}/diversions"
        self.diversions, complaints = parse_diversions(self._with_backup(path, 3))
        self._complain(path, complaints, _OTHER_REMEDY)
        path = f"{ADMIN_DIRECTORY}/statoverride"
        self._complain(path, parse_statoverride(self._with_backup(path, 1)), _OTHER_REMEDY)
        path = f"{ADMIN_DIRECTORY}/info/format"
        version = self._content(path, _OTHER_REMEDY, optional=True)
        if version is not None and version.strip() not in (b"0", b"1"):
            self._problem(path, f"it holds {describe(version[:40])!r} instead of 1", "Write 1 and a newline into it")
        self.manifest.filters = self._path_filters()

    def _with_backup(self, path: str, lines: int) -> bytes:
        """Return the content of a file of which dpkg keeps the version before as ``-old``.

        A command adds or removes one record (of so many ``lines``), and the file itself is never removed. So one that
        is lost altogether, or has lost several records at once, is told by its old version.
        """
        data = self._content(path, _OTHER_REMEDY, optional=True)
        try:
            before = self.tree.read(f"{path}-old".encode(), MAX_FILE_BYTES)
        except OSError:
            return data or b""
        if data is None and path not in self.denied:
            self._problem(path, f"it does not exist, but {path}-old does", _OTHER_REMEDY)
        elif data == b"" and before.count(b"\n") > lines:
            self._problem(path, f"it is empty, but {path}-old holds more than one record", _OTHER_REMEDY)
        return data or b""

    def _path_filters(self) -> list[PathFilter]:
        """Read path-exclude and path-include in the order in which dpkg reads its configuration (dpkg.cfg(5))."""
        directory = "/etc/dpkg/dpkg.cfg.d"
        try:
            names = [name for name in self.tree.names(directory.encode()) if re.fullmatch(rb"[0-9a-zA-Z_-]+", name)]
        except OSError:
            names = []
        filters: list[PathFilter] = []
        for path in [f"{directory}/{name.decode()}" for name in names] + ["/etc/dpkg/dpkg.cfg"]:
            try:
                filters += parse_path_filters(self.tree.read(path.encode(), MAX_FILE_BYTES))
            except OSError:
                continue
        return filters

    # One package

    def _read_package(self, package: Package) -> None:
        """Add what one package lists to the entries."""
        wanted = self.wanted is None or bool(self.wanted.match(package.label) or self.wanted.match(package.name))
        if package.state in ABSENT_STATES:
            self._contradict(package)
            if wanted and package.state == "config-files":
                self._add_leftover_conffiles(package)
            return
        self.manifest.installed.append(package.label)
        self.info_taken |= {self._info_file(package, kind) for kind in ("list", "md5sums")}
        paths = self._file_list(package)
        if not wanted:
            self.manifest.gaps.append(
                Gap("not_selected", "not among the packages asked for", (package.label,), len(paths), package.label)
            )
            self.not_wanted.append((package, paths))
            return
        self._note_state(package)
        digests = self._digests(package)
        self._add_listed(package, paths, digests)

    def _add_listed(self, package: Package, paths: list[bytes], digests: dict[bytes, bytes]) -> None:
        """Add a package's paths: conffiles with what the status file says of them, the others with their digests."""
        listed = frozenset(paths)
        conffiles = frozenset(conffile.path for conffile in package.conffiles)
        for path in paths:
            if path not in conffiles:
                self._add(package, path, digests.get(path))
        self._add_conffiles(package, listed)
        self._compare_conffiles(package, conffiles)
        for path in digests.keys() - listed - conffiles:
            self.unlisted.append((package, path, digests[path]))

    def _file_list(self, package: Package) -> list[bytes]:
        """Return what a package's list says; a package without one is a problem and a gap."""
        path = self._info_file(package, "list")
        # A package whose first unpacking was interrupted has no list yet.
        unfinished = package.state == "half-installed"
        data = self._content(path, _INFO_REMEDY, optional=unfinished, package=package.label)
        if data is None:
            detail = "the database does not say which files belong to the package"
            self.manifest.gaps.append(Gap("no_file_list", detail, (package.label,), 0, package.label))
            return []
        paths, complaints = parse_list(data)
        self._complain(path, complaints, _INFO_REMEDY)
        return paths

    def _digests(self, package: Package) -> dict[bytes, bytes]:
        """Return a package's digests; that a file has none is found out when the file is seen on disk."""
        path = self._info_file(package, "md5sums")
        data = self._content(path, _INFO_REMEDY, optional=True, package=package.label)
        if path not in self.denied:
            self.manifest.digest_files[package.label] = path
        if data is None:
            return {}
        digests, complaints = parse_md5sums(data)
        self._complain(path, complaints, _INFO_REMEDY)
        return digests

    def _info_file(self, package: Package, kind: str) -> str:
        """Return the name of a package's info file: with or without architecture, whichever exists."""
        names = [f"{package.label}.{kind}", f"{package.name}.{kind}", f"{package.name}:{package.architecture}.{kind}"]
        found = [name for name in names if name.encode() in self.info_names]
        return f"{ADMIN_DIRECTORY}/info/{(found or names)[0]}"

    def _has(self, path: str) -> bool:
        """Tell whether an info file exists."""
        return path.rpartition("/")[2].encode() in self.info_names

    def _note_state(self, package: Package) -> None:
        """Keep what dpkg itself says against a package."""
        broken = package.state == "half-installed" or package.flag == "reinstreq"
        if broken or package.state != "installed":
            state = package.state if package.flag == "ok" else f"{package.state} {package.flag}"
            self.manifest.states.append(PackageState(package.label, state, broken))

    def _add_conffiles(self, package: Package, listed: frozenset[bytes]) -> None:
        """Add the conffiles of a package that have a content to compare with."""
        for conffile in package.conffiles:
            if not self.with_conffiles:
                self._gap_for_conffile(package, conffile, "conffiles_ignored", "conffiles are ignored on request")
            elif conffile.obsolete or conffile.remove_on_upgrade:
                continue
            elif conffile.digest is None:
                detail = "the package is not configured, so its conffiles are not in place yet"
                self._gap_for_conffile(package, conffile, "conffile_not_configured", detail)
            else:
                self._add(package, conffile.path, conffile.digest, CONFFILE)
                if listed and conffile.path not in listed:
                    self._problem(
                        self._info_file(package, "list"),
                        f"conffile {describe(conffile.path)} is not in it",
                        _INFO_REMEDY,
                    )

    def _compare_conffiles(self, package: Package, recorded: frozenset[bytes]) -> None:
        """Compare what the package declares as conffiles with those that the status file has a digest for."""
        path = self._info_file(package, "conffiles")
        if package.state == "half-installed" or not self._has(path):
            return
        declared, complaints = parse_conffiles(self._content(path, _INFO_REMEDY, package=package.label) or b"\n")
        self._complain(path, complaints, _INFO_REMEDY)
        lost = [conffile for conffile in declared if conffile not in recorded]
        if lost:
            what = (
                f"its paragraph for {package.label} lacks {len(lost)} of the conffiles in {path}, "
                f"{describe(lost[0])} first"
            )
            self._problem(STATUS, what, _STATUS_REMEDY)

    def _contradict(self, package: Package) -> None:
        """Report a package that is not installed by its paragraph, and is by its info files.

        Removing a package takes its digests away, and purging it its list too.
        """
        kinds = ("md5sums",) if package.state == "config-files" else ("md5sums", "list")
        for kind in kinds:
            path = self._info_file(package, kind)
            if self._has(path) and path not in self.info_taken:
                what = f"it calls package {package.label} {package.state}, which has {path} all the same"
                self._problem(STATUS, what, _STATUS_REMEDY)

    def _add_leftover_conffiles(self, package: Package) -> None:
        """Add the conffiles that a removed package has left behind, but those that another package has now."""
        left = [entry for entry in package.conffiles if self._place(package, entry.path)[0] not in self.entries]
        remaining = package._replace(conffiles=tuple(left))
        self._add_conffiles(remaining, frozenset(conffile.path for conffile in left))

    def _gap_for_conffile(self, package: Package, conffile: Conffile, reason: str, detail: str) -> None:
        self.manifest.gaps.append(Gap(reason, detail, (package.label,), 1, describe(conffile.path)))

    # Entries

    def _place(self, package: Package, listed: bytes) -> tuple[bytes, str | None]:
        """Return where a package's path is on disk, and who moved it there. dpkg compares diverted names as text."""
        diversion = self.diversions.get(listed) if self.diversions else None
        if diversion is None or diversion.owner == package.name:
            return self.tree.locate(listed), None
        return self.tree.locate(diversion.target), diversion.owner

    def _add(self, package: Package, listed: bytes, digest: bytes | None, kind: str = FILE) -> None:
        """Add one package's claim on one path."""
        label = package.label
        path, diverted_by = self._place(package, listed)
        entry = self.entries.get(path)
        if entry is None:
            entry = self.entries[path] = Entry(path, listed, UNKNOWN if digest is None else kind, label)
            entry.digest = digest
        else:
            _merge(entry, label, digest, kind)
        if diverted_by is not None:
            entry.diverted_by = diverted_by

    def _add_unlisted(self) -> None:
        """Judge the digests of paths that are not in their package's own list.

        dpkg takes a path that another package has taken over out of the old owner's list and leaves the old owner's
        digest where it is. A path in nobody's list, or only in that of a sibling for another architecture, is one that
        a list has lost; its file is verified all the same.
        """
        if not self.unlisted:
            return
        others = {self._place(package, path)[0] for package, paths in self.not_wanted for path in paths}
        lost: dict[str, list[bytes]] = {}
        for package, listed, digest in self.unlisted:
            path, _diverted_by = self._place(package, listed)
            if path in others:
                continue
            entry = self.entries.get(path)
            if entry is not None and any(owner.partition(":")[0] != package.name for owner in entry.packages):
                continue
            lost.setdefault(self._info_file(package, "list"), []).append(listed)
            if entry is None:
                entry = self.entries[path] = Entry(path, listed, UNLISTED, package.label)
                entry.digest = digest
        for file, paths in lost.items():
            what = (
                f"{len(paths)} of the paths with a digest are neither in it nor in another package's list, "
                f"{describe(min(paths))} first"
            )
            self._problem(file, what, _INFO_REMEDY)

    def _tell_directories(self) -> None:
        """Call the entries directories below which something is listed: the database itself does not say so."""
        directories = self.tree.known_directories()
        for entry in self.entries.values():
            if entry.kind == UNKNOWN and (entry.path in directories or entry.listed in directories):
                entry.kind = DIRECTORY

    def _find_orphans(self, packages: list[Package]) -> None:
        """Report info files whose package has no paragraph in the status file: the paragraph has been lost."""
        known = {package.label for package in packages} | {package.name for package in packages}
        known |= {f"{package.name}:{package.architecture}" for package in packages}
        lost: dict[str, str] = {}
        for name in sorted(self.info_names):
            stem, _dot, kind = name.rpartition(b".")
            if kind in _INFO_KINDS and describe(stem) not in known:
                lost.setdefault(describe(stem), describe(name))
        for label, file in lost.items():
            what = f"it has no paragraph for package {label}, but {ADMIN_DIRECTORY}/info/{file} is there"
            self._problem(STATUS, what, _STATUS_REMEDY)
            detail = "the status file has lost the package, so what is left of its entry is not believed"
            self.manifest.gaps.append(Gap("no_status", detail, (label,), 0, label))

    # Reading and complaining

    def _content(self, path: str, remedy: str, optional: bool = False, package: str = "") -> bytes | None:
        """Return a database file's content; `None`, and a complaint where one is due, when there is none."""
        try:
            return self.tree.read(path.encode(), MAX_FILE_BYTES)
        except PermissionError as error:
            if path == STATUS:
                raise MeasurementError(STATUS, "permission denied", "Run as a user who may read it") from error
            self._deny(path, package)
        except FileNotFoundError:
            if not optional:
                self._problem(path, "it does not exist", remedy)
        except OSError as error:
            self._problem(path, f"it cannot be read: {_explain(error)}", remedy)
        return None

    def _deny(self, path: str, package: str = "") -> None:
        """Note that this user may not read a file or directory of the database."""
        owners = (package,) if package else ()
        gap = Gap("permission_denied", "this user may not read this part of the database", owners, 0, path)
        self.manifest.gaps.append(gap)
        self.denied.add(path)

    def _complain(self, file: str, complaints: Iterable[str], remedy: str) -> None:
        for complaint in complaints:
            self._problem(file, complaint, remedy)

    def _problem(self, file: str, what: str, remedy: str) -> None:
        self.manifest.problems.append(DatabaseProblem(file, what, remedy))


def _merge(entry: Entry, label: str, digest: bytes | None, kind: str) -> None:
    """Add a further owner to an entry."""
    if digest is None:
        if entry.digest is not None:
            entry.undigested += (label,)
    elif entry.digest is None:
        entry.undigested = tuple(entry.packages)
        entry.digest, entry.kind = digest, kind
    elif digest != entry.digest and digest not in entry.other_digests:
        entry.other_digests += (digest,)
    if kind == CONFFILE:
        entry.kind = CONFFILE
    if label != entry.packages[-1]:
        entry.packages.append(label)


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _explain(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "")
    return f"{error.strerror} ({name})" if name else str(error.strerror)
