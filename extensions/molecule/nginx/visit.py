# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask for one page over TLS and print status and headers as JSON: visit.py ADDRESS CA_FILE HOST PATH."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys

TIMEOUT_SECONDS = 20


class Connection(http.client.HTTPSConnection):
    """A connection to an address, with the name of another host."""

    def __init__(self, address: str, host: str, context: ssl.SSLContext) -> None:
        """Take the address to connect to, the host to ask for, and what to trust."""
        super().__init__(host, timeout=TIMEOUT_SECONDS, context=context)
        self._address = address
        self._verified = context

    def connect(self) -> None:
        """Connect to the address, and speak TLS for the host."""
        plain = socket.create_connection((self._address, self.port), TIMEOUT_SECONDS)
        self.sock = self._verified.wrap_socket(plain, server_hostname=self.host)


def main(address: str, ca_file: str, host: str, path: str) -> None:
    """Ask, and print what came back."""
    connection = Connection(address, host, ssl.create_default_context(cafile=ca_file))
    connection.request("GET", path)
    answer = connection.getresponse()
    headers: dict[str, list[str]] = {}
    for name, value in answer.getheaders():
        headers.setdefault(name.lower(), []).append(value)
    print(
        json.dumps({"status": answer.status, "headers": headers, "body": answer.read(4096).decode("utf-8", "replace")})
    )


main(*sys.argv[1:])
