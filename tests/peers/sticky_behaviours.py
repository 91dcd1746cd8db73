# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record how a load balancer keeps sessions, one line a behaviour: `sticky_behaviours.py BASE [PROXY...]`.

The proxies listen on loopback at BASE + 1 (plain), + 2 (reql), + 3 (pfx), + 4 (qs) and + 5 (short), see PROXIES for the
appsession that each of them has or translates; each is `balance roundrobin` over the servers s1, s2 and s3 of
:func:`start_servers`, which this program starts at BASE + 11, + 12 and + 13.

A line is the proxy, the name of the behaviour and what was seen. `match` means that all of six fresh sessions reached
the server that owns them (by chance: 3^-6), `no` that one did not.

The standard library alone, for Python 3.9: it runs on the host that has the load balancer.
"""

from __future__ import annotations

import http.client
import http.server
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PROXIES = {
    "plain": "appsession PHPSESSID len 64 timeout 3h",
    "reql": "appsession PHPSESSID len 64 timeout 3h request-learn",
    "pfx": "appsession PHPSESSID len 64 timeout 3h request-learn prefix",
    "qs": "appsession PHPSESSID len 64 timeout 3h request-learn mode query-string",
    "short": "appsession PHPSESSID len 8 timeout 2s request-learn",
}
NAME_WIDTH = 58
SERVERS = {"s1": 11, "s2": 12, "s3": 13}

_TRIALS = 6
_FREE_REQUESTS = 7
_TIMEOUT_SECONDS = 8.0
_IDLE_SECONDS = 8.0


class _Application(http.server.BaseHTTPRequestHandler):
    """An application whose cookies and status are what the request asks for, with `X-Give` and `X-Status`."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response_only(int(self.headers.get("X-Status") or 200))
        for cookie in (self.headers.get("X-Give") or "").split("|"):
            if cookie:
                self.send_header("Set-Cookie", cookie)
        self.send_header("X-Server", self.server.name)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = _answer


class _Server(http.server.ThreadingHTTPServer):
    """One of the web servers."""

    daemon_threads = True

    def __init__(self, name: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Application)
        self.name = name

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a connection that ends is no error."""


def start_servers(base: int) -> None:
    """Start the web servers, which end with the program."""
    for name, offset in SERVERS.items():
        threading.Thread(target=_Server(name, base + offset).serve_forever, daemon=True).start()


@dataclass(frozen=True)
class Request:
    """What a visitor sends. ``gives`` are the Set-Cookie headers that the application is to answer with."""

    path: str = "/x"
    cookie: str | None = None
    method: str = "GET"
    gives: Sequence[str] = ()
    status: int = 200


@dataclass(frozen=True)
class Owned:
    """Ids, and the server that a trial expects to own them."""

    ids: tuple[str, ...]
    server: str


class Proxy:
    """The load balancer at a port of loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that can be asked more than once."""
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)

    def ask(self, request: Request, connection: http.client.HTTPConnection | None = None) -> str:
        """Return the name of the server that answers, on a connection of its own unless one is given."""
        headers = {} if request.cookie is None else {"Cookie": request.cookie}
        headers.update({"X-Give": "|".join(request.gives), "X-Status": str(request.status)})
        used = connection or self.connect()
        try:
            used.request(request.method, request.path, headers=headers)
            answer = used.getresponse()
            answer.read()
        finally:
            if connection is None:
                used.close()
        return answer.getheader("X-Server") or f"status {answer.status}"

    def spread(self, request: Request) -> str:
        """Tell whether the same request reaches one server or several."""
        return "STICKY" if len({self.ask(request) for _number in range(_FREE_REQUESTS)}) == 1 else "SPREAD"


Setup = Callable[[Proxy], Owned]
Probe = Callable[[Owned], Request]


@dataclass(frozen=True)
class Trial:
    """A behaviour: make a session, then see whether a request reaches the server that owns it."""

    name: str
    probe: Probe
    setup: Setup = field(default_factory=lambda: given("PHPSESSID=@; path=/"))


def new_id(length: int = 26) -> str:
    """Return an id that nobody has."""
    return secrets.token_hex(64)[:length]


def given(*cookies: str, make: Callable[[], str] = new_id, status: int = 200) -> Setup:
    """Have an answer set these cookies, where ``@`` is a new id."""

    def setup(proxy: Proxy) -> Owned:
        made = make()
        request = Request(gives=[cookie.replace("@", made) for cookie in cookies], status=status)
        return Owned((made,), proxy.ask(request))

    return setup


def ending(length: int, letter: str) -> Callable[[], str]:
    """Return what makes ids of a length that end with a letter."""
    return lambda: new_id(length - 1) + letter


def joined(separator: str) -> Callable[[], str]:
    """Return what makes ids of two parts."""
    return lambda: new_id(8) + separator + new_id(8)


def sent_first(path: str) -> Setup:
    """Send an unknown id in the URL."""

    def setup(proxy: Proxy) -> Owned:
        made = new_id()
        return Owned((made,), proxy.ask(Request(path.replace("@", made))))

    return setup


def two_sessions(proxy: Proxy) -> tuple[Owned, Owned]:
    """Return two sessions of different servers."""
    first = given("PHPSESSID=@; path=/")(proxy)
    for _number in range(20):
        second = given("PHPSESSID=@; path=/")(proxy)
        if second.server != first.server:
            return first, second
    raise RuntimeError("20 new sessions all reached one server")


def of_two(owner: int) -> Setup:
    """Make two sessions of different servers, and expect that of the first (0) or the second (1)."""

    def setup(proxy: Proxy) -> Owned:
        first, second = two_sessions(proxy)
        return Owned(first.ids + second.ids, (first, second)[owner].server)

    return setup


def given_two(proxy: Proxy) -> Owned:
    """Have one answer set the cookie twice."""
    first, second = new_id(), new_id()
    gives = [f"PHPSESSID={value}; path=/" for value in (first, second)]
    return Owned((first, second), proxy.ask(Request(gives=gives)))


def regenerated(proxy: Proxy) -> Owned:
    """Have a session get another id, as at login; the new one comes first."""
    old = given("PHPSESSID=@; path=/")(proxy)
    made = new_id()
    request = Request(cookie=f"PHPSESSID={old.ids[0]}", gives=[f"PHPSESSID={made}; path=/"])
    return Owned((made, *old.ids), proxy.ask(request))


def logged_out(proxy: Proxy) -> Owned:
    """Have a session end, as PHP ends it."""
    owned = given("PHPSESSID=@; path=/")(proxy)
    end = "PHPSESSID=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/"
    proxy.ask(Request("/logout", f"PHPSESSID={owned.ids[0]}", gives=[end]))
    return owned


def cookie(text: str, index: int = 0, method: str = "GET") -> Probe:
    """Send a Cookie header in which ``@`` is an id."""
    return lambda owned: Request(cookie=text.replace("@", owned.ids[index]), method=method)


def url(path: str, method: str = "GET") -> Probe:
    """Send a URL in which ``@`` is the id."""
    return lambda owned: Request(path.replace("@", owned.ids[0]), method=method)


def cookie_and_url(path: str) -> Probe:
    """Send the first id in the cookie, the second one in the URL."""
    return lambda owned: Request(path.replace("@", owned.ids[1]), f"PHPSESSID={owned.ids[0]}")


def both_cookies(owned: Owned) -> Request:
    """Send two ids in two cookies of the same name."""
    return Request(cookie=f"PHPSESSID={owned.ids[0]}; PHPSESSID={owned.ids[1]}")


def other_ending(owned: Owned) -> Request:
    """Send the id with another last letter."""
    return Request(cookie=f"PHPSESSID={owned.ids[0][:-1]}Y")


SENT = cookie("PHPSESSID=@")
TWO_NAMES = ("PHPSESSID=@; path=/", "PHPSESSIDshop=@@; path=/")
AMONG_OTHERS = ("foo=1; path=/", "PHPSESSID=@; expires=Thu, 01-Jan-2037 00:00:01 GMT; path=/; SameSite=Lax", "bar=2")

ENDS_OF_IDS = [
    Trial(f"09 len 64: char {length} differs", other_ending, given("PHPSESSID=@", make=ending(length, "Z")))
    for length in (65, 64, 63)
]
IN_URL = [
    Trial("12 /p;PHPSESSID=", url("/p;PHPSESSID=@?q=1")),
    Trial("12b 2nd path param", url("/p;x=1;PHPSESSID=@")),
    Trial("12c path param mid-path", url("/p;PHPSESSID=@/q")),
    Trial("13 ?PHPSESSID=", url("/p?PHPSESSID=@")),
    Trial("13b 2nd query param", url("/p?x=1&PHPSESSID=@&y=2")),
    Trial("14 ;phpsessid= lower case", url("/p;phpsessid=@")),
    Trial("14b ?phpsessid= lower case", url("/p?phpsessid=@")),
    Trial("15 PUT ;", url("/p;PHPSESSID=@", "PUT")),
    Trial("15b PUT ?", url("/p?PHPSESSID=@", "PUT")),
    Trial("15c POST ;", url("/p;PHPSESSID=@", "POST")),
    Trial("15d POST ?", url("/p?PHPSESSID=@", "POST")),
    Trial("15e HEAD cookie", cookie("PHPSESSID=@", method="HEAD")),
    Trial("15f PUT cookie", cookie("PHPSESSID=@", method="PUT")),
]
LEARNT_FROM_URL = [
    trial
    for name, path in (
        ("17 unknown path param learnt", "/p;PHPSESSID=@"),
        ("17b unknown query learnt", "/p?PHPSESSID=@"),
    )
    for trial in (
        Trial(f"{name}, then as cookie", SENT, sent_first(path)),
        Trial(f"{name}, then again in URL", url(path), sent_first(path)),
    )
]
NAMES = [
    Trial("18 PHPSESSIDshop set, PHPSESSIDshop sent", cookie("x=1; PHPSESSIDshop=@"), given("PHPSESSIDshop=@; path=/")),
    Trial("18b PHPSESSIDshop set, PHPSESSIDblog sent", cookie("PHPSESSIDblog=@"), given("PHPSESSIDshop=@; path=/")),
    Trial("18c PHPSESSID + PHPSESSIDshop both set, 1st sent", SENT, given(*TWO_NAMES)),
    Trial("18d PHPSESSID + PHPSESSIDshop both set, 2nd sent", cookie("PHPSESSIDshop=@@"), given(*TWO_NAMES)),
    Trial("18e both set, both sent", cookie("PHPSESSID=@; PHPSESSIDshop=@@"), given(*TWO_NAMES)),
    Trial("19 XPHPSESSID=known", cookie("XPHPSESSID=@")),
    Trial("19b value contains PHPSESSID=known", cookie("x=PHPSESSID=@")),
]
FORMS = [
    Trial("22 among Set-Cookies, Expires with comma", SENT, given(*AMONG_OTHERS)),
    Trial("23 spaces in Set-Cookie", SENT, given("PHPSESSID = @ ; path=/")),
    Trial("23b spaces in Cookie", cookie("x=1;  PHPSESSID = @ ;y=2")),
    Trial("23c no space after ;", cookie("x=1;PHPSESSID=@;y=2")),
    Trial("24 quoted value both ways", cookie('PHPSESSID="@"'), given('PHPSESSID="@"; path=/')),
    Trial("25 %2C in value", SENT, given("PHPSESSID=@; path=/", make=joined("%2C"))),
    Trial("25b comma in value: full", SENT, given("PHPSESSID=@; path=/", make=joined(","))),
    Trial(
        "25c comma in value: only the part before it",
        lambda owned: Request(cookie=f"PHPSESSID={owned.ids[0].split(',')[0]}"),
        given("PHPSESSID=@; path=/", make=joined(",")),
    ),
    *[
        Trial(f"26 learnt on status {status}", SENT, given("PHPSESSID=@; path=/", status=status))
        for status in (302, 404, 500)
    ],
]


def is_matched(proxy: Proxy, setup: Setup, probe: Probe) -> str:
    """Try a behaviour with fresh sessions; a free request after each moves the round robin on."""
    reached = 0
    for _number in range(_TRIALS):
        owned = setup(proxy)
        reached += proxy.ask(probe(owned)) == owned.server
        proxy.ask(Request())
    return "match" if reached == _TRIALS else "no"


class Recorder:
    """Writes what one proxy does."""

    def __init__(self, name: str, port: int, write: Callable[[str], None]) -> None:
        self._name = name
        self._proxy = Proxy(port)
        self._write = write

    def record(self) -> None:
        """Go through all behaviours of the proxy."""
        if self._name == "short":
            self._record_times()
        else:
            self._record_sessions()

    def _line(self, behaviour: str, seen: str) -> None:
        self._write(f"{self._name + ': ' + behaviour:{NAME_WIDTH}s} {seen}")

    def _try(self, *trials: Trial) -> None:
        for trial in trials:
            self._line(trial.name, is_matched(self._proxy, trial.setup, trial.probe))

    def _try_pair(self, name: str, first: str, second: str, setups: Sequence[Setup], probes: Sequence[Probe]) -> None:
        seen = [is_matched(self._proxy, setup, probe) for setup, probe in zip(setups, probes)]
        self._line(name, f"{first} {seen[0]} {second} {seen[1]}")

    def _record_sessions(self) -> None:
        proxy, pair = self._proxy, (of_two(0), of_two(1))
        self._line("01 no cookie: balanced", proxy.spread(Request()))
        self._try(Trial("02 learnt from Set-Cookie", SENT))
        self._line("03 unknown request cookie learnt", proxy.spread(Request(cookie=f"PHPSESSID={new_id()}")))
        self._try(
            Trial("04 regenerated id: new", SENT, regenerated),
            Trial("04b regenerated id: old", cookie("PHPSESSID=@", index=1), regenerated),
            Trial("05 among other cookies", cookie('a=1; PHPSESSID=@; z="q;q"')),
            Trial("06 cookie name in lower case", cookie("phpsessid=@")),
        )
        self._try_pair("07 duplicate request cookie", "first", "last", pair, (both_cookies, both_cookies))
        sent = (SENT, cookie("PHPSESSID=@", index=1))
        self._try_pair("08 duplicate Set-Cookie", "first", "last", (given_two, given_two), sent)
        self._try(*ENDS_OF_IDS, *IN_URL)
        for name, path in (("16 cookie vs path param", "/p;PHPSESSID=@"), ("16b cookie vs query", "/p?PHPSESSID=@")):
            self._try_pair(name, "cookie", "url", pair, (cookie_and_url(path), cookie_and_url(path)))
        self._try(*LEARNT_FROM_URL, *NAMES)
        self._record_ends()
        self._try(*FORMS)
        self._line("27 two sessions alternating on one connection", self._alternate())

    def _record_ends(self) -> None:
        proxy = self._proxy
        logged_out(proxy)
        self._line('20 "deleted" is learnt from logout', proxy.spread(Request(cookie="PHPSESSID=deleted")))
        self._try(Trial("20b old id after logout", SENT, logged_out))
        self._line("21 empty request cookie learnt", proxy.spread(Request(cookie="PHPSESSID=")))
        proxy.ask(Request(gives=["PHPSESSID=; path=/"]))
        self._line("21b empty Set-Cookie learnt", proxy.spread(Request(cookie="PHPSESSID=")))

    def _alternate(self) -> str:
        sessions = two_sessions(self._proxy)
        connection = self._proxy.connect()
        seen = [self._proxy.ask(SENT(owned), connection) == owned.server for _number in range(4) for owned in sessions]
        connection.close()
        return "match" if all(seen) else "no"

    def _sessions(self) -> list[Owned]:
        made = []
        for _number in range(_TRIALS):
            made.append(given("PHPSESSID=@; path=/", make=lambda: new_id(8))(self._proxy))
            self._proxy.ask(Request())
        return made

    def _are_kept(self, sessions: Sequence[Owned]) -> bool:
        return [self._proxy.ask(SENT(owned)) for owned in sessions] == [owned.server for owned in sessions]

    def _record_times(self) -> None:
        sessions = self._sessions()
        time.sleep(_IDLE_SECONDS)
        self._line("30 idle past the timeout", "kept" if self._are_kept(sessions) else "dropped")
        sessions, kept = self._sessions(), True
        for _second in range(int(_IDLE_SECONDS)):
            time.sleep(1)
            kept = self._are_kept(sessions) and kept
            self._proxy.ask(Request())
        self._line("31 used every second past the timeout", "kept" if kept else "lost")
        for length in (9, 8, 7):
            name = f"32 len 8: char {length} differs"
            self._try(Trial(name, other_ending, given("PHPSESSID=@", make=ending(length, "Z"))))


def main() -> None:
    base, names = int(sys.argv[1]), sys.argv[2:] or list(PROXIES)
    start_servers(base)
    for name in names:
        port = base + 1 + list(PROXIES).index(name)
        Recorder(name, port, lambda line: print(line, flush=True)).record()


if __name__ == "__main__":
    main()
