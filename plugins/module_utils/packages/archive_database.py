# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dpkg's database has about a package as a whole, to be compared with the package itself.

dpkg copies a package's control files into its database as they are. So a control file that is another there than in
the package, or not there at all, is damaged or of another version: maintainer scripts and lists of digests have no
other witness on the system.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import Complaints
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_database import (
    MAX_FILE_BYTES,
    Database,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    ABSENT_STATES,
    Package,
    paragraphs,
    parse_list,
    parse_md5sums,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DatabaseProblem, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

_LIST_REMEDY = "Install the same version of the package again from its .deb, then verify again"
_REMEDY = "Take it from the package's own control archive, then verify again"
#: dpkg keeps the content of this one in its status file.
_NOT_COPIED = b"control"


class PackageDatabase:
    """The installed packages of a root, by label, and what its database has about each.

    What is wrong with the database itself is not said here: reading its manifest says it.
    """

    def __init__(self, tree: Tree) -> None:
        """Read it. Raises `InvalidInputError` for a root that has none, `MeasurementError`."""
        self._database = Database(tree)
        self._database.require()
        packages = self._database.read_status()
        self._database.read_small_files()
        self.packages = {package.label: package for package in packages if package.state not in ABSENT_STATES}

    def architectures(self) -> list[str]:
        """Return the architectures of the installed packages, the native one first."""
        counts = Counter(package.architecture for package in self.packages.values() if package.architecture != "all")
        native = self.packages.get("dpkg")
        first = [native.architecture] if native is not None and native.architecture in counts else []
        return list(dict.fromkeys([*first, *(name for name, _count in counts.most_common())]))

    def find(self, name: str, architecture: str) -> Package | None:
        """Return an installed package."""
        found = self.packages.get(name) or self.packages.get(f"{name}:{architecture}")
        return found if found is not None and found.architecture == architecture else None

    def place(self, package: Package, listed: bytes) -> bytes:
        """Return where a package's path is on disk: diverted, and links in its directory resolved."""
        diversion = self._database.diversions.get(listed)
        if diversion is None or diversion.owner == package.name:
            return self._database.tree.locate(listed)
        return self._database.tree.locate(diversion.target)

    def digests(self, package: Package) -> dict[bytes, bytes]:
        """Return the MD5 that the database has for each file of a package, conffiles included."""
        data = self._content(self._database.info_file(package, "md5sums"))
        found = parse_md5sums(data or b"\n")[0]
        for conffile in package.conffiles:
            if conffile.digest is not None and not conffile.obsolete and not conffile.remove_on_upgrade:
                found[conffile.path] = conffile.digest
        return found

    def field(self, package: Package, name: str) -> str:
        """Return a field of an installed package's paragraph, empty where it has none."""
        for _line, fields in paragraphs(self._database.status, Complaints()):
            found = (fields.get("package"), fields.get("architecture"), fields.get("version"))
            if found == (package.name, package.architecture, package.version):
                return fields.get(name.lower(), "")
        return ""

    def list_file(self, package: Package) -> str:
        """Return the name of the file that lists a package's paths."""
        return self._database.info_file(package, "list")

    def paths(self, package: Package) -> list[bytes]:
        """Return the paths that the database lists for a package."""
        return parse_list(self._content(self.list_file(package)) or b"/.\n")[0]

    def compare(self, package: Package, control: Mapping[bytes, bytes]) -> list[DatabaseProblem]:
        """Return a problem for each control file that is not in the database as in the package: SHA-256 by name."""
        problems = []
        for name, digest in sorted(control.items()):
            if name == _NOT_COPIED:
                continue
            path = self._database.info_file(package, text(name))
            data = self._content(path)
            if data is None:
                what = f"it does not exist, or cannot be read, and version {package.version} of its package has it"
                problems.append(DatabaseProblem(path, what, _REMEDY))
            elif hashlib.sha256(data).hexdigest().encode() != digest:
                what = f"it is not what version {package.version} of its package has"
                problems.append(DatabaseProblem(path, what, _REMEDY))
        return problems

    def compare_digests(
        self, package: Package, made: Mapping[bytes, bytes], optional: Collection[bytes]
    ) -> list[DatabaseProblem]:
        """Return the problem that the list of digests is not what dpkg makes for a package which has none itself.

        ``made`` is the MD5 of each regular file; the ``optional`` ones need not be in it.
        """
        path = self._database.info_file(package, "md5sums")
        data = self._content(path)
        found = parse_md5sums(data or b"\n")[0]
        differing = [name for name in {**made, **found} if name not in optional and found.get(name) != made.get(name)]
        if not differing:
            return []
        if data is None:
            what = f"it does not exist, or cannot be read, and dpkg makes it for version {package.version}"
        else:
            what = (
                f"it is not what dpkg makes for version {package.version} of its package, {text(min(differing))} first"
            )
        return [DatabaseProblem(path, what, _LIST_REMEDY)]

    def _content(self, path: str) -> bytes | None:
        try:
            return self._database.tree.read(path.encode(), MAX_FILE_BYTES)
        except OSError:
            return None
