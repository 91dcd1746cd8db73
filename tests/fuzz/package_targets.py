# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers of what lies on a damaged disk, or comes from an archive: every package database, and packages."""

from __future__ import annotations

from fuzz import targets_deb, targets_dpkg, targets_portage, targets_rpm, targets_rpm_file

TARGETS = (
    *targets_dpkg.TARGETS,
    *targets_portage.TARGETS,
    *targets_rpm.TARGETS,
    *targets_deb.TARGETS,
    *targets_rpm_file.TARGETS,
)
SLOW_TARGETS = (
    *targets_portage.SLOW_TARGETS,
    *targets_rpm.SLOW_TARGETS,
    *targets_deb.SLOW_TARGETS,
    *targets_rpm_file.SLOW_TARGETS,
)
