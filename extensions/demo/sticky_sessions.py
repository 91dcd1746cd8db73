# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove with a real client that the load balancer keeps sessions.

A visitor logs in and comes back 20 times, each time over a new connection, with their cookies: one and the same host
must answer, and the counter in the session must never jump. Then visitors without cookies come: one of them must land
on another host.

    sticky_sessions.py --address 10.0.0.11 --server-name www.ringmaster.test --ca-file ca.pem

Exits 0 when all of that is so, 1 when it is not, 2 when it could not be tried. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import ssl
import sys
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

REQUESTS = 20
# leastconn takes servers in turn while none has more connections than another, so the second attempt already should
# land elsewhere. Health checks and other visitors may come between, hence some more; never so many that a balancer
# which sends everybody to one host by mistake could pass by chance.
OTHER_HOST_ATTEMPTS = 10
MAXIMUM_ANSWER_BYTES = 65536


class CannotTry(Exception):
    """The proof could not be attempted; the text says why and what to do."""


class Violation(Exception):
    """A session was not kept."""


@dataclass(frozen=True)
class Site:
    """Where the site is, and how it is trusted."""

    address: str
    port: int
    server_name: str
    context: ssl.SSLContext
    timeout_seconds: float


class VerifiedConnection(http.client.HTTPSConnection):
    """HTTPS to an address, with the certificate verified for the site's name."""

    def __init__(self, site: Site) -> None:
        """Prepare the connection; nothing is sent yet."""
        super().__init__(site.server_name, site.port, timeout=site.timeout_seconds, context=site.context)
        self.site = site

    def connect(self) -> None:
        """Connect to the address that was given in place of what the name resolves to."""
        plain = socket.create_connection((self.site.address, self.site.port), self.site.timeout_seconds)
        try:
            self.sock = self.site.context.wrap_socket(plain, server_hostname=self.site.server_name)
        except BaseException:
            plain.close()
            raise


class Visitor:
    """One visitor with cookies of their own; every request has a connection of its own."""

    def __init__(self, site: Site) -> None:
        """Come without cookies."""
        self.site = site
        self.cookies: dict[str, str] = {}

    def log_in(self) -> dict[str, object]:
        """Start a session."""
        return self.request("POST", "/?action=login&format=json")

    def visit(self) -> dict[str, object]:
        """Ask for the page."""
        return self.request("GET", "/?format=json")

    def request(self, method: str, path: str) -> dict[str, object]:
        """Return the application's answer; keep its cookies."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        connection = VerifiedConnection(self.site)
        try:
            connection.request(method, path, b"" if method == "POST" else None, headers if self.cookies else {})
            answer = connection.getresponse()
            body = answer.read(MAXIMUM_ANSWER_BYTES)
            self._keep_cookies(answer.headers.get_all("Set-Cookie") or [])
        except (OSError, http.client.HTTPException) as error:
            where = f"https://{self.site.server_name} at {self.site.address}:{self.site.port}"
            raise CannotTry(f"{where}: {error}. Look at the load balancer: journalctl -u haproxy") from error
        finally:
            connection.close()
        return self._parse(method, path, answer.status, body)

    def _keep_cookies(self, headers: list[str]) -> None:
        for header in headers:
            try:
                self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
            except CookieError as error:
                raise CannotTry(f"Set-Cookie: {error}. Look at the application") from error

    @staticmethod
    def _parse(method: str, path: str, status: int, body: bytes) -> dict[str, object]:
        # A redirect after the login is as good as a page, but the demo's application answers at once.
        if status != http.client.OK:
            raise CannotTry(f"{method} {path}: status {status}. Look at the load balancer's and web servers' logs")
        try:
            fields = json.loads(body)
            return {"host": str(fields["host"]), "counter": int(fields["counter"]), "session": bool(fields["session"])}
        except (ValueError, KeyError, TypeError) as error:
            raise CannotTry(f"{method} {path}: {body[:80]!r} is not the answer of the demo's application") from error


def prove(site: Site) -> dict[str, object]:
    """Return what was seen; raise Violation where a session was not kept."""
    first = Visitor(site)
    login = first.log_in()
    if not first.cookies:
        raise Violation("the login set no cookie")
    host, counter = str(login["host"]), int(str(login["counter"]))
    for number in range(1, REQUESTS + 1):
        seen = first.visit()
        expected = {"host": host, "counter": counter + number, "session": True}
        if seen != expected:
            raise Violation(f"request {number} of {REQUESTS}: expected {expected}, but saw {seen}")
    other, attempts = find_other_host(site, host)
    last = first.visit()
    if last != {"host": host, "counter": counter + REQUESTS + 1, "session": True}:
        raise Violation(f"after the other visitors: expected host {host}, but saw {last}")
    return {
        "host": host,
        "requests": REQUESTS,
        "counter_at_login": counter,
        "counter_after_requests": counter + REQUESTS,
        "other_host": other,
        "other_host_attempts": attempts,
    }


def find_other_host(site: Site, host: str) -> tuple[str, int]:
    """Return the host that a visitor without cookies reaches that is not ``host``, and which attempt that was."""
    for attempt in range(1, OTHER_HOST_ATTEMPTS + 1):
        seen = Visitor(site).log_in()
        if seen["counter"] != 1:
            raise Violation(f"a new visitor's counter began at {seen['counter']}, not at 1: the session is not theirs")
        if seen["host"] != host:
            return str(seen["host"]), attempt
    raise Violation(f"{OTHER_HOST_ATTEMPTS} visitors without cookies all landed on {host}: nobody is balanced")


def explain(result: dict[str, object], server_name: str) -> str:
    """Return the result in words."""
    attempts = result["other_host_attempts"]
    return (
        f"A visitor logged in at {server_name} through the load balancer and reached {result['host']}.\n"
        f"All of their {result['requests']} requests reached {result['host']}; the counter in their session went from "
        f"{result['counter_at_login']} to {result['counter_after_requests']} without a jump.\n"
        f"A visitor without cookies landed on {result['other_host']} (attempt {attempts} of at most "
        f"{OTHER_HOST_ATTEMPTS}), and the first one is still on {result['host']}."
    )


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Prove with a real client that the load balancer keeps sessions.")
    parser.add_argument("--address", required=True, help="address of the load balancer")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--server-name", required=True, help="name of the site, which the certificate must have")
    parser.add_argument("--ca-file", required=True, help="certificate of the authority to trust")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for each step of a request")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def main() -> int:
    """Prove it and say so."""
    arguments = parse_arguments()
    status, result = 0, {}
    try:
        context = ssl.create_default_context(cafile=arguments.ca_file)
        site = Site(arguments.address, arguments.port, arguments.server_name, context, arguments.timeout)
        result = prove(site)
        text = explain(result, arguments.server_name)
    except Violation as error:
        status, text = 1, f"The session was NOT kept: {error}."
    except CannotTry as error:
        status, text = 2, f"It could not be tried: {error}."
    except OSError as error:
        status, text = 2, f"It could not be tried: CA file {arguments.ca_file}: {error}. Give the file of the CA."
    verdict = ("kept", "violated", "not_tested")[status]
    answer = json.dumps({"verdict": verdict, "reason": text if status else None, **result}) if arguments.json else text
    print(answer, file=sys.stderr if status and not arguments.json else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
