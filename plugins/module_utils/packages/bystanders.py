# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dpkg would do to installed packages when it unpacks others.

A package whose paths, directories included, are all brought by others disappears: dpkg removes it without a word in
advance, held or not, and apt's simulation does not say so. A path that is another package's already is taken over where
one of the two replaces the other, and else ends dpkg half-way through a set (both measured, dpkg 1.21).
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_database import PackageDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import Package
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DIRECTORY, SYMLINK, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.relations import has_named, read_field


class Bystanders:
    """The installed packages of a root, with their paths, which are read once."""

    def __init__(self, database: PackageDatabase) -> None:
        """Take the database that has them."""
        self._database = database
        self._paths = {label: database.paths(package) for label, package in database.packages.items()}

    def harm(self, packages: Mapping[str, VerifiedPackage]) -> str:
        """Say what the new versions of some packages would do to one that is not among them; mostly nothing."""
        brought = {path: label for label, package in packages.items() for path in package.members}
        names = {package.name for package in packages.values()}
        for label, other in self._database.packages.items():
            paths = self._paths[label]
            if other.name in names or not paths:
                continue
            shared = [path for path in paths if path in brought]
            if len(shared) == len(paths):
                by = ", ".join(sorted({brought[path] for path in paths}))
                return f"dpkg would remove {label}, all of whose paths {by} would have"
            for path in shared:
                for new in packages:
                    reason = self._clash(path, new, packages[new], other)
                    if reason:
                        return reason
        return ""

    def _clash(self, path: bytes, label: str, package: VerifiedPackage, other: Package) -> str:
        """Say why dpkg would not unpack a path, or lose a directory for it; mostly nothing."""
        member = package.members.get(path)
        if member is None or member.kind == DIRECTORY or self._is_diverted(path, label, other):
            return ""
        if any(each.startswith(path + b"/") for each in self._paths[other.label]):
            # dpkg leaves a directory for a link.
            reason = f"{label} would have a file in place of the directory {text(path)}, which {other.label} has too"
            return "" if member.kind == SYMLINK else reason
        obsolete = [each.path for each in other.conffiles if each.obsolete]
        if path in package.conffiles and path in obsolete:
            return ""
        try:
            if has_named(read_field(package.path, "Replaces"), other.name, other.version):
                return ""
        except MeasurementError as error:
            return f"{error.value}: {error.reason}"
        if has_named(self._database.field(other, "Replaces"), package.name, package.version):
            return ""
        return f"{label} would have {text(path)}, which is {other.label}'s, and does not replace it"

    def _is_diverted(self, path: bytes, label: str, other: Package) -> bool:
        """Tell whether the two packages have a path in different places."""
        new = self._database.packages[label]
        return self._database.place(new, path) != self._database.place(other, path)
