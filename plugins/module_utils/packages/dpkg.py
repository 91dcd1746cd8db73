# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dpkg's database -> manifest, and whether that database is sound.

The database lies on the same disk as what it describes. So each file is checked before it is believed, and the files
are checked against each other: what one says and another does not is a problem of the database, not of a package.
Nothing that is wrong stops the reading of the rest. Nothing is written and no lock is taken.
"""

from __future__ import annotations

import re

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import alternatives, dpkg_history, ucf
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.claims import merge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import describe
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_database import (
    ADMIN_DIRECTORY,
    INFO,
    INFO_REMEDY,
    STATUS,
    STATUS_DIRECTORY,
    STATUS_REMEDY,
    Database,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    ABSENT_STATES,
    Conffile,
    Package,
    parse_conffiles,
    parse_list,
    parse_md5sums,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FILE,
    UNKNOWN,
    UNLISTED,
    Entry,
    Gap,
    Manifest,
    PackageState,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: Info files that no package is without for long: one of them shows that a package is, or was, there.
_INFO_KINDS = frozenset((b"list", b"md5sums", b"conffiles", b"preinst", b"postinst", b"prerm", b"postrm"))


def present(tree: Tree) -> bool:
    """Tell whether a root has a dpkg database with something in it, be it damaged."""
    for path in (STATUS, f"{STATUS}-old"):
        try:
            if tree.read(path.encode(), 1):
                return True
        except FileNotFoundError:
            continue
        except OSError:
            return True  # Larger than a byte, or something that must be said.
    for directory in (INFO, STATUS_DIRECTORY):
        try:
            if any(name != b"format" for name in tree.names(directory.encode())):
                return True
        except OSError:
            continue
    return False


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
        self.database = Database(tree)
        self.manifest = self.database.manifest
        self.entries: dict[bytes, Entry] = {}
        self.info_taken: set[str] = set()
        self.unlisted: list[tuple[Package, bytes, bytes]] = []
        self.not_wanted: list[tuple[Package, list[bytes]]] = []

    def read(self) -> Manifest:
        """Read everything and put it together."""
        self.database.require()
        packages = self.database.read_status()
        self.database.read_small_files()
        for package in sorted(packages, key=lambda package: package.state in ABSENT_STATES):
            self._read_package(package)
        self._find_orphans(packages)
        self._add_unlisted()
        self._add_managed_files(packages)
        if self.wanted is None:
            self._add_alternatives()
        self._tell_directories()
        self._override()
        dpkg_history.find_contradictions(self.database, packages)
        dpkg_history.find_lost(self.database, packages, self._is_listed)
        self.manifest.entries = sorted(self.entries.values(), key=lambda entry: entry.path)
        return self.manifest

    # One package

    def _read_package(self, package: Package) -> None:
        """Add what one package lists to the entries."""
        wanted = self._is_wanted(package)
        if package.state in ABSENT_STATES:
            self._contradict(package)
            if wanted and package.state == "config-files":
                self._add_leftover_conffiles(package)
            return
        self.manifest.installed.append(package.label)
        self.manifest.names[package.label] = (package.name,)
        self.manifest.versions[package.label] = package.version
        self.info_taken |= {self.database.info_file(package, kind) for kind in ("list", "md5sums")}
        apart = self._read_apart(package) if package.label in self.database.apart else None
        paths = self._file_list(package) if apart is None else sorted(apart)
        if not wanted:
            self.manifest.gaps.append(
                Gap("not_selected", "not among the packages asked for", (package.label,), len(paths), package.label)
            )
            self.not_wanted.append((package, paths))
            return
        self._note_state(package)
        self._add_listed(package, paths, self._digests(package) if apart is None else apart)

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

    def _is_wanted(self, package: Package) -> bool:
        return self.wanted is None or bool(self.wanted.match(package.label) or self.wanted.match(package.name))

    def _read_apart(self, package: Package) -> dict[bytes, bytes]:
        """Return the digests of a package that an image keeps without a list of its files."""
        digests = self._digests(package)
        detail = "the image keeps no list of the package's files, so only those with a digest are known"
        owners = () if digests else (package.label,)
        self.manifest.gaps.append(Gap("no_file_list", detail, owners, 0, package.label))
        return digests

    def _file_list(self, package: Package) -> list[bytes]:
        """Return what a package's list says; a package without one is a problem and a gap."""
        path = self.database.info_file(package, "list")
        # A package whose first unpacking was interrupted has no list yet.
        unfinished = package.state == "half-installed"
        data = self.database.content(path, INFO_REMEDY, optional=unfinished, package=package.label)
        if data is None:
            detail = "the database does not say which files belong to the package"
            self.manifest.gaps.append(Gap("no_file_list", detail, (package.label,), 0, package.label))
            return []
        paths, complaints = parse_list(data)
        self.database.complain(path, complaints, INFO_REMEDY)
        return paths

    def _digests(self, package: Package) -> dict[bytes, bytes]:
        """Return a package's digests; that a file has none is found out when the file is seen on disk."""
        path = self.database.info_file(package, "md5sums")
        data = self.database.content(path, INFO_REMEDY, optional=True, package=package.label)
        if path not in self.database.denied:
            self.manifest.digest_files[package.label] = path
        if data is None:
            return {}
        digests, complaints = parse_md5sums(data)
        self.database.complain(path, complaints, INFO_REMEDY)
        return digests

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
                    self.database.problem(
                        self.database.info_file(package, "list"),
                        f"conffile {describe(conffile.path)} is not in it",
                        INFO_REMEDY,
                    )

    def _compare_conffiles(self, package: Package, recorded: frozenset[bytes]) -> None:
        """Compare what the package declares as conffiles with those that the status file has a digest for."""
        path = self.database.info_file(package, "conffiles")
        if package.state == "half-installed" or not self.database.has(path):
            return
        declared, complaints = parse_conffiles(self.database.content(path, INFO_REMEDY, package=package.label) or b"\n")
        self.database.complain(path, complaints, INFO_REMEDY)
        lost = [conffile for conffile in declared if conffile not in recorded]
        if lost:
            what = (
                f"its paragraph for {package.label} lacks {len(lost)} of the conffiles in {path}, "
                f"{describe(lost[0])} first"
            )
            self.database.problem(STATUS, what, STATUS_REMEDY)

    def _contradict(self, package: Package) -> None:
        """Report a package that is not installed by its paragraph, and is by its info files.

        Removing a package takes its digests away, and purging it its list too.
        """
        kinds = ("md5sums",) if package.state == "config-files" else ("md5sums", "list")
        for kind in kinds:
            path = self.database.info_file(package, kind)
            if self.database.has(path) and path not in self.info_taken:
                what = f"it calls package {package.label} {package.state}, which has {path} all the same"
                self.database.problem(STATUS, what, STATUS_REMEDY)

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
        diversion = self.database.diversions.get(listed) if self.database.diversions else None
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
            merge(entry, label, UNKNOWN if digest is None else kind, digest)
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
            lost.setdefault(self.database.info_file(package, "list"), []).append(listed)
            if entry is None:
                entry = self.entries[path] = Entry(path, listed, UNLISTED, package.label)
                entry.digest = digest
        for file, paths in lost.items():
            what = (
                f"{len(paths)} of the paths with a digest are neither in it nor in another package's list, "
                f"{describe(min(paths))} first"
            )
            self.database.problem(file, what, INFO_REMEDY)

    def _add_managed_files(self, packages: list[Package]) -> None:
        """Add the configuration files that packages have made with ucf; they are dealt with like conffiles."""
        of_ucf = ucf.read(self.tree)
        self.manifest.problems += of_ucf.problems
        by_name = {package.name: package for package in packages if package.state != "not-installed"}
        for file in of_ucf.files:
            package = by_name.get(file.package)
            if package is None or not self._is_wanted(package) or self.tree.locate(file.path) in self.entries:
                continue
            conffile = Conffile(file.path, file.digest, False, False)
            self._add_conffiles(package._replace(conffiles=(conffile,)), frozenset())

    def _add_alternatives(self) -> None:
        """Add the links of the alternatives system, which belong to no package."""
        found = alternatives.check(self.tree)
        self.manifest.problems += found.problems
        self.manifest.gaps += found.gaps
        for entry in found.entries:
            before = self.entries.setdefault(entry.path, entry)
            if before is not entry and entry.kind != UNKNOWN:
                self._agree(before, entry)

    def _agree(self, before: Entry, entry: Entry) -> None:
        """Add a link of the alternatives system to a path that a package lists too."""
        if not merge(before, entry.packages[0], entry.kind, None, entry.recorded):
            detail = "a package's own file is where a link of the alternatives system should be"
            self.manifest.gaps.append(
                Gap("ownership_conflict", detail, tuple(before.packages), 0, describe(entry.path))
            )

    def _is_listed(self, path: bytes) -> bool:
        """Tell whether a package has a path, be it asked for or not."""
        place = self.tree.locate(path)
        return place in self.entries or any(path in paths or place in paths for _package, paths in self.not_wanted)

    def _override(self) -> None:
        """Note the mode and owner that the administrator has set, for the paths that packages list by that name.

        dpkg compares the name as text, with what the package lists, and does so for both sides of a diversion.
        """
        for path, override in self.database.overrides.items():
            places = {self.tree.locate(path)}
            if path in self.database.diversions:
                places.add(self.tree.locate(self.database.diversions[path].target))
            for place in places:
                entry = self.entries.get(place)
                if entry is not None and entry.listed == path:
                    entry.recorded = (entry.recorded or Recorded())._replace(**override._asdict())

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
        for name in sorted(self.database.info_names):
            stem, _dot, kind = name.rpartition(b".")
            if kind in _INFO_KINDS and describe(stem) not in known:
                lost.setdefault(describe(stem), describe(name))
        for label, file in lost.items():
            what = f"it has no paragraph for package {label}, but {ADMIN_DIRECTORY}/info/{file} is there"
            self.database.problem(STATUS, what, STATUS_REMEDY)
            detail = "the status file has lost the package, so what is left of its entry is not believed"
            self.manifest.gaps.append(Gap("no_status", detail, (label,), 0, label))
