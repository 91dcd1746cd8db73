# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the packages of one root come from for its repair, whichever package managers it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import check, dpkg, rpm
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Options, Unavailable
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.database_locks import DPKG_LOCKS, RPM_LOCKS
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.progress import Progress
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_facts import Upgrade
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_record import RepairOptions
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_upgrades import find_upgrades
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_archive import RpmArchive
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_database import find_database
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree


class Sources:
    """The packages of one root, from ``with`` to its end."""

    def __init__(self, tree: Tree, options: RepairOptions, labels: Sequence[str]) -> None:
        """Prepare to ask for the packages of some labels, without having asked anybody.

        Raises `InvalidInputError` for a root without a package manager whose files can be repaired, or a directory
        that cannot be used, and `MeasurementError`.
        """
        verification = options.verification
        wanted = Options(verification.archive_sources, verification.package_directories, options.policy.minimum_trust)
        self._tree = tree
        self._dpkg: Archive | None = None
        self._rpm: RpmArchive | None = None
        has_rpm = rpm.present(tree)
        if not has_rpm or dpkg.present(tree):
            names = frozenset(label.partition(":")[0] for label in labels)
            self._dpkg = Archive(tree, check.WORK_DIRECTORY, wanted, names)
        if has_rpm:
            try:
                self._rpm = RpmArchive(tree, check.WORK_DIRECTORY, wanted)
            except BaseException:
                self._close()
                raise

    def __enter__(self) -> Sources:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove everything private, packages that were given out included."""
        self._close()

    def _close(self) -> None:
        for archive in (self._dpkg, self._rpm):
            if archive is not None:
                archive.close()

    @property
    def complaints(self) -> list[str]:
        """What is wrong with the sources."""
        return [each for archive in (self._dpkg, self._rpm) if archive is not None for each in archive.complaints]

    def to_inherit(self) -> tuple[int, ...]:
        """Return what dpkg must inherit, which may outlive this process."""
        return self._dpkg.to_inherit() if self._dpkg is not None else ()

    def references(self, labels: Sequence[str], progress: Progress) -> dict[str, VerifiedPackage | str]:
        """Return the package that vouches for each label, or why there is none."""
        references: dict[str, VerifiedPackage | str] = {}
        progress.begin("fetching", len(labels))
        if self._dpkg is not None:
            packages = self._dpkg.database.packages
            wanted = {
                Identity(packages[label].name, packages[label].version, packages[label].architecture): label
                for label in labels
                if label in packages
            }
            for identity, found in self._dpkg.packages(list(wanted)):
                references[wanted[identity]] = found.reason if isinstance(found, Unavailable) else found
                progress.update(files_done=len(references))
        if self._rpm is not None:
            for label, one in self._rpm.packages([label for label in labels if label not in references]):
                references[label] = one.reason if isinstance(one, Unavailable) else one
                progress.update(files_done=len(references))
        return references

    def places(self, references: Mapping[str, VerifiedPackage | str]) -> dict[tuple[str, bytes], bytes]:
        """Return where each path of each package is on disk, by label and name in the package."""
        return {
            (label, path): self._place(label, path)
            for label, found in references.items()
            if not isinstance(found, str)
            for path in found.members
        }

    def upgrades(
        self, before: check.Verification, references: Mapping[str, VerifiedPackage | str], policy: Policy
    ) -> dict[str, Upgrade | str]:
        """Return what upgrades each package of dpkg whose installed version cannot be had, or why nothing does."""
        if self._dpkg is None:
            return {}
        theirs = {label: found for label, found in references.items() if label in self._dpkg.database.packages}
        return find_upgrades(self._tree, self._dpkg, before, theirs, policy)

    def _place(self, label: str, path: bytes) -> bytes:
        package = self._dpkg.database.packages.get(label) if self._dpkg is not None else None
        if self._dpkg is None or package is None:
            return self._tree.locate(path)
        return self._dpkg.database.place(package, path)


def locks_of(tree: Tree) -> tuple[bytes, ...]:
    """Return the locks of the package managers that a root has, in the order in which they are taken."""
    database = (find_database(tree) or "").encode()
    of_rpm = tuple(lock for lock in RPM_LOCKS if database.rpartition(b"/")[0] == lock.rpartition(b"/")[0])
    return of_rpm if of_rpm and not dpkg.present(tree) else (*of_rpm, *DPKG_LOCKS)
