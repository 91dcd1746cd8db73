# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TLS server of Python's ssl module.

Usage: python_server.py PORT CHAIN KEY [CHAIN KEY]...
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading

_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nhere"


def main() -> None:
    """Serve until the end of the process."""
    port, *files = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for chain, key in zip(files[::2], files[1::2]):
        context.load_cert_chain(chain, key)

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(4096)
                secure.sendall(_ANSWER)

    with socket.create_server(("127.0.0.1", int(port)), backlog=128) as listener:
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
