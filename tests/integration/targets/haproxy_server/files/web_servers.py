# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Web servers for a load balancer: one a port, until the process is ended.

Usage: web_servers.py PID_FILE PORT...

``/?set=ID`` sets the session's cookie; ``/?until=PATH`` answers once that file is there.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Application(BaseHTTPRequestHandler):
    """Answers with the number of its port."""

    def do_GET(self) -> None:
        """Answer a visitor, or a health check."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        end = time.monotonic() + 30
        while "until" in query and not Path(query["until"]).exists() and time.monotonic() < end:
            time.sleep(0.05)
        body = str(self.server.server_address[1]).encode()
        self.send_response(200)
        if "set" in query:
            self.send_header("Set-Cookie", f"PHPSESSID={query['set']}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


def main() -> None:
    """Listen on every port before the process goes into the background."""
    servers = [ThreadingHTTPServer(("127.0.0.1", int(port)), Application) for port in sys.argv[2:]]
    if os.fork():
        return
    os.setsid()
    Path(sys.argv[1]).write_text(str(os.getpid()), encoding="ascii")
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    # Nobody's servers go on for ever.
    time.sleep(300)
    os._exit(0)


if __name__ == "__main__":
    main()
