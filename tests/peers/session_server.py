# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application with sessions in its own memory: `session_server.py NAME PORT`, without end.

It answers as the application of extensions/demo does, with format=json. `/slow/MILLISECONDS` answers after that time.
A request with the header `X-Session: ID` is answered with `Set-Cookie: PHPSESSID=ID`, so that a test decides which id
is new and who is first to set it.
"""

from __future__ import annotations

import http.server
import json
import re
import secrets
import sys
import threading
import time
from collections import Counter

_COOKIE = re.compile(r"(?:^|;)\s*PHPSESSID=([^;]*)")
_SLOW = re.compile(r"/slow/([0-9]{1,5})")


class Application(http.server.ThreadingHTTPServer):
    """Counts the requests of each session. ``name`` is what it says of itself."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, name: str, port: int) -> None:
        super().__init__(("", port), Handler)
        self.name = name
        self._counters: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, session: str, *, is_new: bool) -> int:
        """Return the counter of a session after this request, 0 for a session that is not here."""
        with self._lock:
            if is_new or session in self._counters:
                self._counters[session] += 1
            return self._counters[session]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a health check that hangs up is no error."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Application

    def do_GET(self) -> None:
        self._answer(self.headers.get("X-Session", ""))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(secrets.token_hex(13))

    def _answer(self, new_session: str) -> None:
        slow = _SLOW.match(self.path)
        if slow is not None:
            time.sleep(int(slow[1]) / 1000)
        sent = _COOKIE.search(self.headers.get("Cookie", ""))
        session = new_session or (sent[1] if sent else "")
        counter = self.server.count(session, is_new=bool(new_session)) if session else 0
        body = json.dumps({"host": self.server.name, "counter": counter, "session": counter > 0}).encode()
        self.send_response_only(200)
        if new_session:
            self.send_header("Set-Cookie", f"PHPSESSID={new_session}; path=/; HttpOnly")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Application(sys.argv[1], int(sys.argv[2])).serve_forever()
