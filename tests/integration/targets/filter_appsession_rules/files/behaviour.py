# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a real HAProxy on loopback with the rendered rules, and look at what it does with sessions.

Usage: behaviour.py HAPROXY DIRECTORY

DIRECTORY holds the rules of each suite (see SUITES) as SUITE.lines. Prints one line of JSON a suite: name of a
behaviour -> true, or what was seen instead. Exits 1 when something was not as it must be. The waits are deadlines,
never measurements.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DEADLINE_SECONDS = 15.0
# HAProxy before 3.0 hands its table on only once its own start is over: PEER_RESYNC_TIMEOUT, 5 s.
COLD_START_SECONDS = 6.0
COOKIE = "PHPSESSID"


class Application(BaseHTTPRequestHandler):
    """A web server that sets the cookies that the request asks for: ``?set=id`` or ``?give=NAME=id``, in that order.

    ``?slow=s1`` has that server wait, ``?slow=s1&slow=s1`` longer. ``/health`` is for HAProxy's checks.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)
        assert isinstance(self.server, NamedServer)
        time.sleep(0.6 * query.get("slow", []).count(self.server.name))
        body = self.server.name.encode()
        self.send_response(503 if self.path == "/health" and not self.server.is_well else 200)
        for cookie in [f"{COOKIE}={value}" for value in query.get("set", [])] + query.get("give", []):
            self.send_header("Set-Cookie", f"{cookie}; path=/; HttpOnly")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


class NamedServer(ThreadingHTTPServer):
    """One of the web servers; one that is not well says so to HAProxy's checks."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Application)
        self.name = name
        self.is_well = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: HAProxy's health checks hang up without a word."""


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; raise RuntimeError at the deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {DEADLINE_SECONDS:.0f} s")
        time.sleep(0.05)


class Balancer:
    """An HAProxy in master-worker mode, as the service runs it."""

    def __init__(self, binary: str, lines: list[str], directory: Path, servers: list[NamedServer]) -> None:
        self.binary = binary
        self.lines = lines
        self.servers = servers
        self.directory = directory
        self.port = free_port()
        self.peer_port = free_port()
        self.configuration = directory / "haproxy.cfg"
        self.write()
        self.process = subprocess.Popen([binary, "-W", "-f", str(self.configuration)])
        self.started = time.monotonic()
        try:
            wait_until(self.usable, "start of HAProxy")
        except RuntimeError:
            self.stop()
            raise

    def write(self, *, reverse: bool = False) -> None:
        """Write the configuration, on request with the servers in reverse order."""
        servers = [
            f"    server {server.name} 127.0.0.1:{server.server_address[1]} check inter 100 fall 1 rise 1"
            for server in (reversed(self.servers) if reverse else self.servers)
        ]
        self.configuration.write_text(
            "\n".join(
                [
                    "global",
                    "    localpeer lb1",
                    f"    stats socket {self.directory}/admin.sock mode 600 level admin",
                    "peers local",
                    f"    peer lb1 127.0.0.1:{self.peer_port}",
                    "defaults",
                    "    mode http",
                    "    timeout client 10s",
                    "    timeout server 10s",
                    "    timeout connect 2s",
                    "    option redispatch",
                    "    retries 3",
                    "frontend web",
                    f"    bind 127.0.0.1:{self.port}",
                    "    default_backend app",
                    "backend app",
                    "    balance roundrobin",
                    "    option httpchk GET /health",
                    *("    " + line for line in self.lines),
                    *servers,
                    "",
                ]
            )
        )

    def command(self, text: str) -> str:
        """Ask the runtime socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(f"{self.directory}/admin.sock")
            connection.sendall(text.encode() + b"\n")
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.decode(errors="replace")

    def usable(self) -> bool:
        """Tell whether all servers are up and requests are answered."""
        try:
            return self.states().count("UP") == len(self.servers) and bool(self.get())
        except (OSError, http.client.HTTPException):
            return False

    def states(self) -> list[str]:
        """Return the state of each server, in the order of the configuration."""
        rows = [row.split(",") for row in self.command("show stat").splitlines()]
        servers = [row for row in rows if row[0] == "app" and row[1] not in ("BACKEND", "FRONTEND")]
        return [row[17].split()[0] for row in servers]

    def worker(self) -> str:
        """Return the process id of the worker that answers."""
        return next(line for line in self.command("show info").splitlines() if line.startswith("Pid:"))

    def table(self) -> list[str]:
        """Return the entries of the stick table."""
        return [line for line in self.command("show table app").splitlines() if line.startswith("0x")]

    def get(self, query: str = "", cookie: str | None = None, path: str = "/") -> str:
        """Return the name of the server that answers one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=8)
        try:
            connection.request("GET", f"{path}?{query}", headers={"Cookie": cookie} if cookie else {})
            answer = connection.getresponse()
            body = answer.read().decode()
            return body if answer.status == 200 else f"status {answer.status}"
        finally:
            connection.close()

    def visits(self, identifier: str, count: int = 6, query: str = "", cookie: str = COOKIE) -> set[str]:
        """Return the servers that ``count`` requests with a session reach."""
        return {self.get(query, f"{cookie}={identifier}") for _number in range(count)}

    def everybody(self) -> set[str]:
        """Return the names of all servers."""
        return {server.name for server in self.servers}

    def maintenance(self, name: str, *, on: bool) -> None:
        """Take a server out, or back in."""
        self.command(f"set server app/{name} state {'maint' if on else 'ready'}")
        expected = len(self.servers) - 1 if on else len(self.servers)
        wait_until(lambda: self.states().count("UP") == expected, f"maintenance of {name}")

    def illness(self, name: str, *, on: bool) -> None:
        """Have a server fail HAProxy's checks, or pass them again."""
        next(server for server in self.servers if server.name == name).is_well = not on
        expected = len(self.servers) - 1 if on else len(self.servers)
        wait_until(lambda: self.states().count("UP") == expected, f"checks of {name}")

    def reload(self, *, reverse: bool = False) -> None:
        """Reload as the service does, and wait for the new worker."""
        before = self.worker()
        self.write(reverse=reverse)
        self.process.send_signal(signal.SIGUSR2)

        def is_new() -> bool:
            try:
                return self.worker() != before and self.usable()
            except (OSError, StopIteration):
                return False

        wait_until(is_new, "reload of HAProxy")

    def stop(self) -> None:
        """End master and workers."""
        self.process.terminate()
        self.process.wait(DEADLINE_SECONDS)


def seen_unless(good: bool, seen: object) -> object:
    """Return True, or what was seen instead."""
    return True if good else repr(seen)


def learns_and_sticks(balancer: Balancer) -> object:
    owner = balancer.get("set=learn1")
    seen = balancer.visits("learn1")
    return seen_unless(seen == {owner}, (owner, seen))


def balances_without_session(balancer: Balancer) -> object:
    seen = {balancer.get() for _number in range(6)}
    return seen_unless(len(seen) == len(balancer.servers), seen)


def does_not_learn_from_requests(balancer: Balancer) -> object:
    before = len(balancer.table())
    seen = balancer.visits("invented")
    return seen_unless(len(seen) == len(balancer.servers) and len(balancer.table()) == before, seen)


def does_not_learn_the_end_of_a_session(balancer: Balancer) -> object:
    before = len(balancer.table())
    for _number in range(3):
        balancer.get("set=deleted")
        balancer.get("set=")
    seen = (balancer.visits("deleted"), balancer.visits(""), len(balancer.table()) - before)
    everybody = {server.name for server in balancer.servers}
    return seen_unless(seen == (everybody, everybody, 0), seen)


def learns_the_last_of_several(balancer: Balancer) -> object:
    balancer.get("set=several1")
    owner = balancer.get("set=several1&set=deleted&set=several2")
    seen = balancer.visits("several2")
    return seen_unless(seen == {owner}, (owner, seen))


def race(balancer: Balancer, identifier: str) -> tuple[list[str], set[str]]:
    """Answers of all servers set the same unknown id, one clearly after the other.

    Returns the servers in the order of their answers, and those that requests with the id reach afterwards.
    """
    names = [server.name for server in balancer.servers]
    slow = urllib.parse.urlencode([("slow", names[0])] * 2 + [("slow", names[1])])
    answers: list[str] = []

    def ask() -> None:
        answers.append(balancer.get(f"set={identifier}&{slow}"))

    threads = [threading.Thread(target=ask) for _name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(set(answers)) != len(names):
        raise RuntimeError(f"the requests of a race reached {answers}")
    return answers, balancer.visits(identifier)


def race_first_answer_wins(balancer: Balancer) -> object:
    races = [race(balancer, f"race{number}") for number in range(3)]
    return seen_unless(all(seen == {answers[0]} for answers, seen in races), races)


def race_last_answer_wins(balancer: Balancer) -> object:
    races = [race(balancer, f"race{number}") for number in range(3)]
    return seen_unless(all(seen == {answers[-1]} for answers, seen in races), races)


Outage = Callable[..., None]


def failover(balancer: Balancer, identifier: str, outage: Outage, query: str = "") -> tuple[str, set[str], set[str]]:
    """Return a session's owner, the servers that it has while that one is away, and those when it is back."""
    owner = balancer.get(f"set={identifier}")
    outage(owner, on=True)
    away = balancer.visits(identifier, query=query)
    outage(owner, on=False)
    return owner, away, balancer.visits(identifier, query=query)


def moves_once(balancer: Balancer, identifier: str, outage: Outage, query: str = "") -> object:
    """The owner goes: the session moves once, and stays there when the owner is back."""
    owner, away, back = failover(balancer, identifier, outage, query)
    return seen_unless(len(away) == 1 and owner not in away and back == away, (owner, away, back))


def returns(balancer: Balancer, identifier: str, outage: Outage, query: str = "") -> object:
    """The owner goes: each request goes anywhere, and to the owner again when it is back."""
    owner, away, back = failover(balancer, identifier, outage, query)
    return seen_unless(away == balancer.everybody() - {owner} and back == {owner}, (owner, away, back))


def maintenance_moves_once(balancer: Balancer) -> object:
    return moves_once(balancer, "maintenance1", balancer.maintenance)


def illness_moves_once(balancer: Balancer) -> object:
    return moves_once(balancer, "illness1", balancer.illness)


def repeated_cookie_moves_once(balancer: Balancer) -> object:
    """Also for applications that set the cookie on every answer."""
    return moves_once(balancer, "repeated1", balancer.illness, "set=repeated1")


def maintenance_returns(balancer: Balancer) -> object:
    return returns(balancer, "maintenance2", balancer.maintenance)


def illness_returns(balancer: Balancer) -> object:
    return returns(balancer, "illness2", balancer.illness)


def repeated_cookie_returns(balancer: Balancer) -> object:
    return returns(balancer, "repeated2", balancer.illness, "set=repeated2")


def late_answer_does_not_take_back(balancer: Balancer) -> object:
    """A request is still with the old owner while the session moves; its answer comes last and changes nothing."""
    owner = balancer.get("set=late")
    answers: list[str] = []
    late = threading.Thread(target=lambda: answers.append(balancer.get(f"slow={owner}", f"{COOKIE}=late")))
    late.start()
    time.sleep(0.2)
    balancer.maintenance(owner, on=True)
    moved = balancer.visits("late", 2)
    late.join()
    balancer.maintenance(owner, on=False)
    seen = balancer.visits("late")
    return seen_unless(answers == [owner] and seen == moved and owner not in seen, (owner, answers, moved, seen))


def ids_are_not_in_the_table(balancer: Balancer) -> object:
    balancer.get("set=secretvalue")
    table = "\n".join(balancer.table())
    return seen_unless(bool(table) and "secretvalue" not in table and b"secretvalue".hex() not in table.lower(), table)


def reload_keeps_sessions(balancer: Balancer) -> object:
    """Also with the servers in another order, which changes their numbers."""
    time.sleep(max(0.0, COLD_START_SECONDS - (time.monotonic() - balancer.started)))
    owners = {f"keep{number}": balancer.get(f"set=keep{number}") for number in range(12)}
    for reverse in (True, False):
        balancer.reload(reverse=reverse)
        wrong = {name: owner for name, owner in owners.items() if balancer.visits(name, 2) != {owner}}
        if wrong:
            return seen_unless(False, wrong)
    return True


def length_counts(balancer: Balancer) -> object:
    """With ``len: 8`` the ninth character is nothing, the eighth is something."""
    owner = balancer.get("set=12345678x")
    same, other = balancer.visits("12345678y"), balancer.visits("1234567zx")
    return seen_unless(same == {owner} and len(other) == len(balancer.servers), (owner, same, other))


def ids_are_in_the_table(balancer: Balancer) -> object:
    """What ``hash_keys: false`` means."""
    balancer.get("set=readable")
    table = "\n".join(balancer.table())
    return seen_unless("key=readable " in table, table)


def ignored_requests_take_no_part(balancer: Balancer) -> object:
    """They are neither sent to the session's server, nor is anything learnt from their answers."""
    owner = balancer.get("set=ignore1")
    seen = {balancer.get("", f"{COOKIE}=ignore1", "/static/logo.png") for _number in range(6)}
    before = len(balancer.table())
    balancer.get("set=ignore2", path="/static/logo.png")
    learnt = len(balancer.table()) - before
    kept = balancer.visits("ignore1")
    return seen_unless((seen, learnt, kept) == (balancer.everybody(), 0, {owner}), (owner, seen, learnt, kept))


def learns_from_requests(balancer: Balancer) -> object:
    seen = balancer.visits("sent1")
    return seen_unless(len(seen) == 1, seen)


def learns_no_end_of_a_session_from_requests(balancer: Balancer) -> object:
    before = len(balancer.table())
    seen = (balancer.visits("deleted"), balancer.visits(""), len(balancer.table()) - before)
    return seen_unless(seen == (balancer.everybody(), balancer.everybody(), 0), seen)


def learns_from_urls(balancer: Balancer) -> object:
    seen = {balancer.get(path=f"/page;{COOKIE}=sent2") for _number in range(6)} | balancer.visits("sent2")
    return seen_unless(len(seen) == 1, seen)


def url_beats_cookie(balancer: Balancer) -> object:
    """Where requests teach nothing, a known id in the URL is stronger than the cookie, an unknown one is not."""
    first = balancer.get("set=url1")
    second = next(name for _number in range(9) if (name := balancer.get("set=url2")) != first)
    balancer.get()
    found = [balancer.get("", f"{COOKIE}=url1", f"/page;{COOKIE}={name}") for name in ("url2", "unknown") * 3]
    owner = next(iter(balancer.visits("url2")))
    return seen_unless(owner != first and found == [owner, first] * 3, (first, second, owner, found))


def a_known_cookie_counts_beside_a_new_one(balancer: Balancer) -> object:
    """The first cookie of the list is there and unknown, the second one has an owner; and the other way round."""
    seen = []
    for known, unknown in (("OTHER", COOKIE), (COOKIE, "OTHER")):
        owner = balancer.get(f"give={known}=two-{known}")
        both = {balancer.get("", f"{unknown}=new; {known}=two-{known}") for _number in range(6)}
        seen.append(both == {owner})
    return seen_unless(all(seen), seen)


def each_cookie_is_learnt(balancer: Balancer) -> object:
    """The second one too, when an answer to a known session sets it."""
    owner = balancer.get("set=each1")
    balancer.get("give=OTHER=each2", f"{COOKIE}=each1")
    seen = balancer.visits("each2", cookie="OTHER") | balancer.visits("each1")
    return seen_unless(seen == {owner}, (owner, seen))


def both_cookies_move(balancer: Balancer) -> object:
    owner = balancer.get("set=both1")
    balancer.get("give=OTHER=both2", f"{COOKIE}=both1")
    cookies = f"{COOKIE}=both1; OTHER=both2"
    balancer.illness(owner, on=True)
    away = {balancer.get("", cookies) for _number in range(6)}
    balancer.illness(owner, on=False)
    back = {balancer.get("", cookies) for _number in range(6)}
    alone = balancer.visits("both1") | balancer.visits("both2", cookie="OTHER")
    return seen_unless(len(away) == 1 and owner not in away and away == back == alone, (owner, away, back, alone))


def prefix_counts_the_rest_of_the_name(balancer: Balancer) -> object:
    owner = balancer.get(f"give={COOKIE}shop=rest1")
    seen = (balancer.visits("rest1", cookie=f"{COOKIE}shop"), balancer.visits("rest1"))
    return seen_unless(seen == ({owner}, balancer.everybody()), (owner, seen))


MOVING = (maintenance_moves_once, illness_moves_once, repeated_cookie_moves_once)
SUITES: dict[str, tuple[Callable[[Balancer], object], ...]] = {
    "hashed": (
        learns_and_sticks,
        balances_without_session,
        does_not_learn_from_requests,
        does_not_learn_the_end_of_a_session,
        learns_the_last_of_several,
        race_first_answer_wins,
        *MOVING,
        late_answer_does_not_take_back,
        ids_are_not_in_the_table,
        reload_keeps_sessions,
    ),
    "plain": (learns_and_sticks, length_counts, ids_are_in_the_table),
    "rebind": (learns_and_sticks, does_not_learn_from_requests, race_last_answer_wins, *MOVING),
    "return": (
        learns_and_sticks,
        does_not_learn_from_requests,
        learns_the_last_of_several,
        race_first_answer_wins,
        maintenance_returns,
        illness_returns,
        repeated_cookie_returns,
    ),
    "ignoring": (learns_and_sticks, ignored_requests_take_no_part),
    "learning": (
        learns_and_sticks,
        learns_from_requests,
        learns_no_end_of_a_session_from_requests,
        learns_from_urls,
        race_first_answer_wins,
        *MOVING,
    ),
    "urls": (learns_and_sticks, does_not_learn_from_requests, url_beats_cookie, *MOVING),
    "two": (
        learns_and_sticks,
        a_known_cookie_counts_beside_a_new_one,
        each_cookie_is_learnt,
        both_cookies_move,
    ),
    "prefixed": (
        learns_and_sticks,
        does_not_learn_the_end_of_a_session,
        learns_the_last_of_several,
        prefix_counts_the_rest_of_the_name,
        *MOVING,
    ),
}


def run(binary: str, lines: list[str], checks: tuple[Callable[[Balancer], object], ...]) -> dict[str, object]:
    """Run the checks against one HAProxy; return what they found."""
    servers = [NamedServer(f"s{number}") for number in (1, 2, 3)]
    # A short path: that of a socket may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="sticky-") as directory:
        balancer = Balancer(binary, lines, Path(directory), servers)
        try:
            return {check.__name__: check(balancer) for check in checks}
        finally:
            balancer.stop()


def main() -> int:
    """Run all suites, or those named behind the directory."""
    binary, directory, *names = sys.argv[1:]
    good = True
    for suite in names or SUITES:
        results = run(binary, Path(directory, f"{suite}.lines").read_text().splitlines(), SUITES[suite])
        print(json.dumps({suite: results}), flush=True)
        good = good and all(result is True for result in results.values())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
