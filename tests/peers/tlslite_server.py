# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TLS server of tlslite-ng, which still speaks what no other library does: SSL 3.0, RC4, 3DES, NULL, anonymous.

Usage: tlslite_server.py PORT CHAIN KEY MIN MAX CIPHERS KEY_EXCHANGES (versions as 3.0 to 3.4, lists by comma)
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from pathlib import Path

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey  # type: ignore[import-untyped]

_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nhere"


def main() -> None:
    """Serve until the end of the process."""
    port, chain_path, key_path, lowest, highest, ciphers, key_exchanges = sys.argv[1:]
    chain = X509CertChain()
    chain.parsePemList(Path(chain_path).read_text(encoding="ascii"))
    key = parsePEMKey(Path(key_path).read_text(encoding="ascii"), private=True)
    settings = HandshakeSettings()
    settings.minVersion, settings.maxVersion = ((int(text[0]), int(text[2])) for text in (lowest, highest))
    settings.cipherNames = ciphers.split(",")
    settings.macNames = ["sha", "sha256", "sha384", "aead", "md5"]
    settings.keyExchangeNames = key_exchanges.split(",")
    anonymous = "anon" in key_exchanges

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(Exception), connection:  # whatever a client does, the server goes on
            connection.settimeout(5)
            secure = TLSConnection(connection)
            secure.handshakeServer(certChain=chain, privateKey=key, settings=settings, anon=anonymous)
            secure.recv(4096)
            secure.sendall(_ANSWER)
            secure.close()

    with socket.create_server(("127.0.0.1", int(port)), backlog=128) as listener:
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
