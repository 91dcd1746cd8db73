# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many sessions of a backend's stick table belong to a server.

Source: HAProxy's management guide, section 9.3 "show table"; keys are written with their blanks and ``=`` escaped.
"""

from __future__ import annotations

import re

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.runtime import RuntimeSocket
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import Server

_ENTRY = re.compile(rb"0x[0-9a-f]+: key=")
_IDENTIFIER = re.compile(rb" server_id=(\d{1,10})(?: |$)")
# Since 2.0 the name (2.2 calls it server_name), or the address where the table says `srvkey addr`.
_KEY = re.compile(rb" server_(?:name|key)=(\S+)(?: |$)")


def sessions_of(runtime: RuntimeSocket, server: Server) -> int | None:
    """Count the entries of the table that has the backend's name, 0 where there is none; None if it takes too long.

    The identifier counts only for an entry without a name: one that was learnt from a peer has the peer's identifier.
    """
    identifier = str(server.identifier).encode()
    keys = {server.name.encode(), server.address.encode()}
    count = 0
    try:
        for line in runtime.lines(f"show table {server.backend}"):
            if _ENTRY.match(line):
                key, number = _KEY.search(line), _IDENTIFIER.search(line)
                count += key[1] in keys if key else bool(number and number[1] == identifier)
    except MeasurementError:
        return None
    return count
