# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages themselves as the reference of one verification, which may read the database several times over."""

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import Archive, Options
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_manifest import (
    Kept,
    Tick,
    read_manifest,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Gap, Manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree


class ArchiveReference:
    """What packages say, fetched once for each version, however often it is asked for."""

    def __init__(self, options: Options, directory: str, jobs: int, tick: Tick | None = None) -> None:
        """Take where packages come from, where they are put for a while, how many are read at once, and who is told."""
        self._options = options
        self._directory = directory
        self._jobs = jobs
        self._tick = tick
        self._kept = Kept()

    def compose(self, tree: Tree, database: Manifest) -> Manifest:
        """Return a database's manifest with the packages as the reference; what an archive complains of is a gap.

        Raises `InvalidInputError` for a source that cannot be used, `MeasurementError`.
        """
        names = frozenset(label.partition(":")[0] for label in database.installed)
        with Archive(tree, self._directory, self._options, names) as archive:
            composed = read_manifest(tree, database, archive, self._jobs, self._kept, self._tick)
        composed.gaps += [Gap("archive", complaint, (), 0, "") for complaint in self._kept.complaints]
        return composed
