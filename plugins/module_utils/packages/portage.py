# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Portage's package database (``/var/db/pkg``) -> manifest, and whether that database is sound.

Written from the description of the format and tried on samples made from that description: no database that the real
tool has written has been read by it yet.

The database holds a directory a package, with small files of fixed names. It records no mode and no owner, but the
modification time of every file and link. So where a content differs and the time does not, nobody has written the file
since it was installed, and the disk has changed it.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import portage_config
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.claims import merge
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import describe, explain
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    FILE,
    UNKNOWN,
    DatabaseProblem,
    Entry,
    Gap,
    Manifest,
    PackageState,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.portage_files import (
    Content,
    check_environment,
    parse_contents,
    parse_needed,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

DATABASE = "/var/db/pkg"
NOT_RECORDED = ("mode", "owner", "group", "size")
MAX_FILE_BYTES = 64 * 1024 * 1024

_REMEDY = (
    "Take the package's directory from a backup or from a host with the same build, or install the package again "
    "(emerge --oneshot), then verify again"
)
_CATEGORY = re.compile(rb"^[A-Za-z0-9_][A-Za-z0-9+_.-]*$")
_PACKAGE = re.compile(
    rb"^([A-Za-z0-9_][A-Za-z0-9+_-]*?)-([0-9]+(?:\.[0-9]+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)[0-9]*)*(?:-r[0-9]+)?)$"
)
#: Portage merges a package under such a name, and renames the directory when it is done.
_MERGING = b"-MERGING-"
#: The files that every package has, besides CONTENTS and environment.bz2.
_REQUIRED = ("CATEGORY", "COUNTER", "PF", "SLOT", "repository")


class _Package(NamedTuple):
    category: str
    name: str
    directory: str  # its name in the category: name and version

    @property
    def label(self) -> str:
        return f"{self.category}/{self.directory}"

    def file(self, name: str) -> str:
        return f"{DATABASE}/{self.label}/{name}"


def present(tree: Tree) -> bool:
    """Tell whether a root has a Portage database with something in it, be it damaged."""
    try:
        return bool(tree.names(DATABASE.encode()))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def read_manifest(tree: Tree, wanted: re.Pattern[str] | None = None, conffiles: bool = True) -> Manifest:
    """Read the Portage database below a root.

    ``wanted`` matches the packages to verify: category/name-version, category/name or name (`None`: all); the database
    is checked as a whole in any case. Without ``conffiles``, files that CONFIG_PROTECT protects are left out and
    counted as a gap. Raises `InvalidInputError` when the root has no such database.
    """
    return _Reader(tree, wanted, conffiles).read()


class _Reader:
    """One reading of one database; what it collects ends up in its manifest."""

    def __init__(self, tree: Tree, wanted: re.Pattern[str] | None, conffiles: bool) -> None:
        self.tree = tree
        self.wanted = wanted
        self.with_conffiles = conffiles
        self.settings = portage_config.read(tree)
        self.manifest = Manifest(
            gaps=list(self.settings.gaps),
            filters=self.settings.filters,
            not_recorded=NOT_RECORDED,
            state_file=DATABASE,
        )
        self.entries: dict[bytes, Entry] = {}
        self.needed: list[tuple[_Package, bytes]] = []
        self.elsewhere: set[bytes] = set()

    def read(self) -> Manifest:
        """Read everything and put it together."""
        try:
            categories = self.tree.names(DATABASE.encode())
        except FileNotFoundError:
            root = os.fsdecode(self.tree.root) or "/"
            reason = f"it has no Portage database ({DATABASE} does not exist in it)"
            raise InvalidInputError(f"root {root!r}", reason, "Give the root of a Gentoo system") from None
        except OSError as error:
            self._problem(DATABASE, f"it cannot be read: {explain(error)}")
            categories = []
        for category in categories:
            if not category.startswith(b"."):
                self._read_category(category)
        if not self.manifest.installed:
            self._problem(DATABASE, "it holds no installed package")
        self._find_lost_lines()
        self.manifest.entries = sorted(self.entries.values(), key=lambda entry: entry.path)
        return self.manifest

    def _read_category(self, category: bytes) -> None:
        directory = DATABASE.encode() + b"/" + category
        if not _CATEGORY.match(category):
            self._problem(describe(directory), "its name is not that of a category")
            return
        try:
            names = self.tree.names(directory)
        except PermissionError:
            self._deny(describe(directory), ())
            return
        except OSError as error:
            self._problem(describe(directory), f"it cannot be read: {explain(error)}")
            return
        for name in names:
            match = _PACKAGE.match(name)
            if match is not None:
                self._read_package(_Package(category.decode(), match.group(1).decode(), name.decode()))
            elif name.startswith(_MERGING):
                label = f"{category.decode()}/{describe(name[len(_MERGING) :])}"
                self.manifest.states.append(PackageState(label, "merging", True))
            elif not name.startswith(b"."):
                self._problem(describe(directory + b"/" + name), "its name is not that of a package with its version")

    # One package

    def _read_package(self, package: _Package) -> None:
        """Check what the database keeps of a package, and add what it lists to the entries."""
        self.manifest.installed.append(package.label)
        names = self.manifest.names[package.label] = (f"{package.category}/{package.name}", package.name)
        self._check_small_files(package)
        contents = self._contents(package)
        if contents is None:
            detail = "the database does not say which files belong to the package"
            self.manifest.gaps.append(Gap("no_file_list", detail, (package.label,), 0, package.label))
            return
        if self.wanted is not None and not any(map(self.wanted.match, (package.label, *names))):
            detail = "not among the packages asked for"
            gap = Gap("not_selected", detail, (package.label,), len(contents), package.label)
            self.manifest.gaps.append(gap)
            self.elsewhere.update(self.tree.locate(content.path) for content in contents)
            return
        self.manifest.digest_files[package.label] = package.file("CONTENTS")
        for content in contents:
            self._add(package, content)
        self._compare_size(package, contents)

    def _check_small_files(self, package: _Package) -> None:
        """Check the files that say what the package is, and the environment that it was built with."""
        expected = {"CATEGORY": package.category, "PF": package.directory}
        for name in _REQUIRED:
            data = self._read(package, name)
            if data is None:
                continue
            value = data[:-1]
            if not data.endswith(b"\n") or b"\0" in data or not value.strip():
                self._problem(package.file(name), "it is not one line of text")
            elif name in expected and value != expected[name].encode():
                what = f"it holds {describe(value)!r} and not {expected[name]!r}, which its directory is called"
                self._problem(package.file(name), what)
            elif name == "COUNTER" and not value.isdigit():
                self._problem(package.file(name), "it holds no number")
        environment = self._read(package, "environment.bz2")
        complaint = check_environment(environment) if environment is not None else ""
        if complaint:
            self._problem(package.file("environment.bz2"), complaint)

    def _contents(self, package: _Package) -> list[Content] | None:
        """Return what a package lists, checked against what else the database knows of its size and programs."""
        data = self._read(package, "CONTENTS")
        if data is None:
            return None
        contents, complaints = parse_contents(data)
        for complaint in complaints:
            self._problem(package.file("CONTENTS"), complaint)
        if not data and (size := self._size(package)):
            self._problem(package.file("CONTENTS"), f"it is empty, but the package has {size} bytes by its SIZE")
        needed = parse_needed(self._read(package, "NEEDED.ELF.2", optional=True) or b"")
        listed = {content.path for content in contents}
        self.needed += [(package, path) for path in needed if path not in listed]
        return contents

    def _size(self, package: _Package) -> int | None:
        """Return the bytes that were installed, `None` where the database does not say."""
        size = (self._read(package, "SIZE", optional=True) or b"").strip()
        return int(size[:18]) if size.isdigit() else None

    def _compare_size(self, package: _Package, contents: list[Content]) -> None:
        """Compare the size that was installed with that of the files on disk, the only witness of lost lines.

        Only a gap: a file that changed has another size as well, and says so itself. Where the administrator may have
        changed files, nothing is concluded.
        """
        paths = [content.path for content in contents if content.kind == FILE]
        size = self._size(package)
        if size is None or any(self.settings.protects(path) for path in paths):
            return
        found = filter(None, (self._status(self.tree.locate(path)) for path in paths))
        sizes = {(status.st_dev, status.st_ino): status.st_size for status in found}
        if sum(sizes.values()) != size:
            detail = "its files have another size than was installed: one has changed, or CONTENTS has lost lines"
            self._gap("size_differs", detail, (package.label,), 0, os.fsencode(package.label))

    def _find_lost_lines(self) -> None:
        """Report programs and libraries that are on disk and in nobody's CONTENTS: those have lost their lines.

        What INSTALL_MASK has left out is not on disk either.
        """
        lost: dict[str, list[bytes]] = {}
        for package, path in self.needed:
            place = self.tree.locate(path)
            if place not in self.entries and place not in self.elsewhere and self._status(place) is not None:
                lost.setdefault(package.file("CONTENTS"), []).append(path)
        for file, paths in lost.items():
            what = f"{len(paths)} of the paths in NEEDED.ELF.2 are not in it, {describe(min(paths))} first"
            self._problem(file, what)

    def _status(self, place: bytes) -> os.stat_result | None:
        try:
            return os.stat(place[1:], dir_fd=self.tree.root_descriptor, follow_symlinks=False)
        except OSError:
            return None

    # Entries

    def _add(self, package: _Package, content: Content) -> None:
        """Add one line of CONTENTS."""
        if content.kind == UNKNOWN:
            detail = "the database does not say what kind of device it is"
            self._gap("device_unknown", detail, (package.label,), 1, content.path)
            return
        kind = content.kind
        if kind == FILE and self.settings.protects(content.path):
            kind = CONFFILE
            if not self.with_conffiles:
                self._gap("conffiles_ignored", "conffiles are ignored on request", (package.label,), 1, content.path)
                return
        recorded = None
        if content.modified is not None:
            recorded = Recorded(target=content.target, modified=content.modified)
        place = self.tree.locate(content.path)
        entry = self.entries.get(place)
        if entry is None:
            entry = self.entries[place] = Entry(place, content.path, kind, package.label)
            entry.digest, entry.recorded = content.digest, recorded
        elif not merge(entry, package.label, kind, content.digest, recorded):
            detail = "packages disagree about what the path is, so only what they have in common was verified"
            self._gap("ownership_conflict", detail, tuple(entry.packages), 0, content.path)

    # Reading and complaining

    def _read(self, package: _Package, name: str, optional: bool = False) -> bytes | None:
        path = package.file(name)
        try:
            return self.tree.read(path.encode(), MAX_FILE_BYTES)
        except PermissionError:
            self._deny(path, (package.label,))
        except FileNotFoundError:
            if not optional:
                self._problem(path, "it does not exist")
        except OSError as error:
            self._problem(path, f"it cannot be read: {explain(error)}")
        return None

    def _deny(self, path: str, packages: tuple[str, ...]) -> None:
        detail = "this user may not read this part of the database"
        self.manifest.gaps.append(Gap("permission_denied", detail, packages, 0, path))

    def _gap(self, reason: str, detail: str, packages: tuple[str, ...], files: int, path: bytes) -> None:
        self.manifest.gaps.append(Gap(reason, detail, packages, files, describe(path)))

    def _problem(self, file: str, what: str) -> None:
        self.manifest.problems.append(DatabaseProblem(file, what, _REMEDY))
