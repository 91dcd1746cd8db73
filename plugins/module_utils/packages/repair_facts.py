# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plan of a repair rests on besides the findings. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Union

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    UPGRADE_PACKAGES,
    Step,
    VersionChange,
)

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.exclusions import Exclusion
    from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Entry, PathFilter

    #: The package that vouches for what is repaired, or the reason why there is none.
    Reference = Union[VerifiedPackage, str]


class Upgrade(NamedTuple):
    """What upgrades a package: the change of all packages that change with it, and what is known of the new versions.

    ``packages`` are the new ones by label, and none where they were not fetched. ``places`` and ``listed_only`` are for
    them what those of `Facts` are for the installed versions. ``unseen`` are, by path, the entries of the installed
    versions that nobody was to look at, and that dpkg may replace or remove all the same.
    """

    changes: tuple[VersionChange, ...]
    packages: Mapping[str, VerifiedPackage] = MappingProxyType({})
    places: Mapping[tuple[str, bytes], bytes] = MappingProxyType({})
    listed_only: Mapping[str, Sequence[Entry]] = MappingProxyType({})
    unseen: Mapping[bytes, Entry] = MappingProxyType({})


class Facts(NamedTuple):
    """What the plan rests on besides the findings.

    ``entries`` are those of the manifest by path. ``references`` are, by label, the package in the installed version,
    which vouches for what is repaired, or the reason why there is none. ``scripts`` are the scripts that configure a
    package, ``obstacles`` why a path cannot be replaced as it is, ``digests`` the MD5 of each file of the packages
    whose digests the database has lost. ``places`` says where each path of a package is on disk, by label and name in
    the package. ``filters`` are the package manager's rules on what it leaves out, ``excluded`` the administrator's on
    what is not to be touched. ``listed_only`` are, by label, what the list of a package names and the package lacks.
    ``upgrades`` are, by label, what upgrades a package whose installed version cannot be had, or why nothing does.
    """

    entries: Mapping[bytes, Entry]
    references: Mapping[str, Reference]
    scripts: Mapping[str, bytes]
    obstacles: Mapping[bytes, str]
    digests: Mapping[str, Mapping[bytes, bytes]]
    places: Mapping[tuple[str, bytes], bytes]
    filters: list[PathFilter]
    excluded: Sequence[Exclusion]
    listed_only: Mapping[str, Sequence[Entry]]
    upgrades: Mapping[str, Upgrade | str] = MappingProxyType({})

    def of(self, step: Step) -> Facts:
        """Return the facts about what a step installs: those about the new versions, where it upgrades."""
        upgrade = self.upgrades.get(step.package)
        if step.kind != UPGRADE_PACKAGES or upgrade is None or isinstance(upgrade, str):
            return self
        # Which paths dpkg takes over from other packages it decides when it unpacks: all that it may are both's.
        entries = {**upgrade.unseen, **self.entries}
        for (label, _listed), path in upgrade.places.items():
            entry = entries.get(path)
            if entry is not None and label not in entry.packages:
                entries[path] = _shared(entry, label)
        return self._replace(
            entries=entries, references=upgrade.packages, places=upgrade.places, listed_only=upgrade.listed_only
        )

    def to_be_written(self) -> Mapping[str, Reference]:
        """Return, by label, the package that a repair writes; a package that is upgraded is not repaired besides."""
        found = dict(self.references)
        for upgrade in self.upgrades.values():
            if not isinstance(upgrade, str):
                found.update(upgrade.packages)
        return found


def _shared(entry: Entry, label: str) -> Entry:
    """Return an entry that is a package's, too."""
    shared = copy.copy(entry)
    shared.packages = [*entry.packages, label]
    return shared
