# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a server's configuration, as it is now, is not ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Directive, Server, Site


def is_foreign(server: Server, file: str) -> bool:
    """Whether somebody else wrote a file: it is in no release, or in the one that keeps what was there before us."""
    ours = f"{server.directory}/ringmaster"
    releases, real = os.path.realpath(f"{ours}/releases"), os.path.realpath(file)
    is_release = file.startswith(f"{ours}/current/") or real.startswith(f"{releases}/")
    return not is_release or real.startswith(f"{releases}/original/")


def foreign_sites(server: Server) -> list[Site]:
    """Return the sites that somebody else configured."""
    return [site for site in server.sites() if is_foreign(server, site.file)]


def foreign_tls_protocols(server: Server) -> list[Directive]:
    """Return where somebody else sets TLS protocols and will go on doing so: the entry file becomes ours."""
    return [line for line in server.tls_protocol_lines() if line.file != server.entry_path]
