# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a configuration file is as its Debian package brought it."""

from __future__ import annotations

import hashlib
import os

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_database import (
    MAX_FILE_BYTES,
    STATUS,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import ABSENT_STATES, parse_status
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular

_MAX_CONFFILE_BYTES = 4 * 1024 * 1024


def is_pristine(path: str, status: str = STATUS) -> bool:
    """Whether a path leads to a conffile of an installed package that still has the content of the package.

    A link into such a file counts as the file: that is how a site is enabled. ``False`` wherever it cannot be told: an
    unknown file is somebody's own. dpkg keeps the MD5 of what a package brought, even where the file on disk was kept
    from an earlier version, so only the content of the newest version is pristine.
    """
    real = os.fsencode(os.path.realpath(path))
    try:
        content = read_regular(path, _MAX_CONFFILE_BYTES)
        digests = _digests(read_regular(status, MAX_FILE_BYTES), real)
    except OSError:
        return False
    return hashlib.md5(content, usedforsecurity=False).hexdigest().encode() in digests


def _digests(status: bytes, path: bytes) -> set[bytes]:
    if b"\n %b " % path not in status:  # parsing it takes as long as reading it a hundred times
        return set()
    packages, _complaints = parse_status(status)
    present = (package for package in packages if package.state not in ABSENT_STATES)
    conffiles = (conffile for package in present for conffile in package.conffiles)
    return {conffile.digest for conffile in conffiles if conffile.path == path and conffile.digest is not None}
