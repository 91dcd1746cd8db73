# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS inspection against the tools that others use for it: time, connections, round trips, CPU, memory, in one run.

The server is nginx with Mozilla's intermediate profile, an RSA and an ECDSA certificate, on loopback. Every tool is a
whole process; the rounds go through the tools in turn, and the median counts. sslyze runs all its scan commands where
it stands against the level `active`, else those for what is measured without a handshake of our own. testssl.sh runs
once, with its sections for protocols, suites, forward secrecy and certificates (-p -E -f -S) alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from peers import servers as kinds
from peers import sslyze, trace
from peers.proxy import Proxy

_ROUND_TRIP_SECONDS = 0.05
_TIMEOUT_SECONDS = 900.0
_SCAN = str(ROOT / "tests/peers/scan_process.py")
LEVELS = ("none", "passive", "active")


@dataclass(frozen=True)
class Run:
    """What one process took; ``output`` is what it printed, nothing when it did not end in time."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str], timeout_seconds: float = _TIMEOUT_SECONDS) -> Run:
    """Run a command to its end."""
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL)
        deadline = begin + timeout_seconds
        while True:
            pid, _status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid or time.perf_counter() > deadline:
                break
            time.sleep(0.002)
        seconds = time.perf_counter() - begin
        if not pid:
            process.kill()
            process.wait()
            return Run(seconds, 0.0, 0, "")
        process.returncode = 0  # it has been waited for
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, text)


def ours(level: str, *targets: str) -> list[str]:
    """Return the command of a scan by this collection."""
    return [sys.executable, _SCAN, level, *targets]


def peers(target: str) -> dict[str, list[str]]:
    """Return the commands of the other tools for one target, by name; only of those that are installed."""
    found = {}
    if sslyze.PROGRAM.exists():
        found["sslyze, all commands"] = sslyze.command([target], sslyze.EVERYTHING)
        found["sslyze, enumeration"] = sslyze.command([target], sslyze.ENUMERATION)
    if shutil.which("sslscan"):
        found["sslscan"] = ["sslscan", "--no-colour", target]
    if shutil.which("tlsx"):
        enumeration = ["-version-enum", "-cipher-enum", "-cipher-type", "all"]
        found["tlsx"] = ["tlsx", "-silent", "-json", *enumeration, "-host", target]
    return found


def testssl(target: str) -> dict[str, list[str]]:
    """Return the command of testssl.sh for one target, where it is installed, under the name that Debian gives it."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    sections = ["-p", "-E", "-f", "-S"]
    return {"testssl.sh": [program, "--quiet", "--color", "0", "--ip", "one", *sections, target]} if program else {}


@dataclass
class Measured:
    """The medians of one tool: seconds of the whole process, and of the scan as it says itself where it does."""

    seconds: float
    scan_seconds: float | None
    connections: int


def measure(port: int, round_trip_seconds: float, rounds: int, with_testssl: bool) -> dict[str, Measured]:
    """Run the tools in turn, through a proxy that counts and, if asked to, delays."""
    taken: dict[str, list[tuple[float, float | None, int]]] = {}
    for round_number in range(rounds):
        names = [*LEVELS, *peers(""), *(testssl("") if with_testssl and round_number == 0 else ())]
        for name in names:
            with Proxy(port, round_trip_seconds) as proxy:
                target = f"localhost:{proxy.port}"
                command = ours(name, target) if name in LEVELS else {**peers(target), **testssl(target)}[name]
                done = run(command)
                scan = json.loads(done.output)["duration_ms"] / 1000 if name in LEVELS else None
                taken.setdefault(name, []).append((done.seconds, scan, len(proxy.connections)))
    return {name: _medians(rows) for name, rows in taken.items()}


def without_proxy(port: int, rounds: int) -> dict[str, Measured]:
    """Run the tools in turn straight against the server, each once before that: its bytecode is cached then."""
    target = f"localhost:{port}"
    commands = {**{level: ours(level, target) for level in LEVELS}, **peers(target)}
    taken: dict[str, list[tuple[float, float | None, int]]] = {}
    for command in commands.values():
        run(command)
    for _round in range(rounds):
        for name, command in commands.items():
            done = run(command)
            scan = json.loads(done.output)["duration_ms"] / 1000 if name in LEVELS else None
            taken.setdefault(name, []).append((done.seconds, scan, 0))
    return {name: _medians(rows) for name, rows in taken.items()}


def _medians(rows: list[tuple[float, float | None, int]]) -> Measured:
    scans = [scan for _seconds, scan, _connections in rows if scan is not None]
    return Measured(
        statistics.median(seconds for seconds, _scan, _connections in rows),
        statistics.median(scans) if scans else None,
        round(statistics.median(connections for _seconds, _scan, connections in rows)),
    )


class Report:
    """The lines that are printed."""

    def __init__(self) -> None:
        """Begin with no target."""
        self._targets: list[str] = []

    def table(self, title: str, measured: dict[str, Measured], round_trip_seconds: float = 0.0) -> None:
        """Print what was measured of the tools."""
        print(f"\n{title}")
        print(f"{'':24}{'process':>10}{'scan':>10}" + (f"{'round trips':>13}" if round_trip_seconds else ""))
        for name, each in measured.items():
            label = f"ours, {name}" if name in LEVELS else name
            scan = "" if each.scan_seconds is None else f"{each.scan_seconds:8.3f} s"
            line = f"{label:24}{each.seconds:8.3f} s{scan:>10}"
            if round_trip_seconds:
                line += f"{(each.scan_seconds or each.seconds) / round_trip_seconds:13.1f}"
            print(line)

    def target(self, what: str, value: float, unit: str, at_least: float | None, at_most: float | None) -> None:
        """Note a number that the design wants."""
        limit = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
        met = value >= at_least if at_least is not None else at_most is not None and value <= at_most
        self._targets.append(f"{what:64}{value:9.1f} {unit:12}{limit:14}{'met' if met else 'NOT MET'}")

    def finish(self) -> None:
        """Print the numbers that the design wants."""
        print("\n" + "\n".join(self._targets))


def one_endpoint(servers: kinds.Servers, rounds: int, with_testssl: bool, report: Report) -> None:
    """Compare time, connections and round trips on one endpoint."""
    port = servers.nginx(kinds.nginx_intermediate())
    near = without_proxy(port, rounds)
    report.table(f"One endpoint on loopback, median of {rounds}", near)
    counted = measure(port, 0.0, 1, with_testssl)
    print("\nConnections: " + ", ".join(f"{name} {each.connections}" for name, each in counted.items()))
    if "testssl.sh" in counted:
        print(f"testssl.sh (once, restricted as said above): {counted['testssl.sh'].seconds:.1f} s")
    far = measure(port, _ROUND_TRIP_SECONDS, max(1, rounds // 2), False)
    report.table(f"The same at a round trip of {_ROUND_TRIP_SECONDS * 1000:.0f} ms", far, _ROUND_TRIP_SECONDS)
    if "sslyze, all commands" in near:
        peer, active = near["sslyze, all commands"].seconds, near["active"]
        report.target("sslyze, whole process / our scan, active", peer / (active.scan_seconds or 1), "times", 10, None)
        report.target("sslyze, whole process / our whole process, active", peer / active.seconds, "times", 5, None)
    report.target("connections, enumeration (passive)", counted["passive"].connections, "", None, 20)
    report.target("connections, active", counted["active"].connections, "", None, 40)
    for level in ("passive", "active"):
        trips = (far[level].scan_seconds or 0) / _ROUND_TRIP_SECONDS
        report.target(f"round trips one after the other, {level}", trips, "round trips", None, 15)


def many_endpoints(servers: kinds.Servers, endpoints: int, report: Report) -> None:
    """Compare CPU on many endpoints, and look at the memory that ten times as many take."""
    addresses = [f"127.0.{1 + at // 250}.{1 + at % 250}" for at in range(10 * endpoints)]
    listen = "".join(f"listen {address}:{{0}} ssl; " for address in ["127.0.0.1", *addresses])
    port = servers.nginx(kinds.nginx_intermediate(), listen.format)
    targets = [f"{address}:{port}" for address in addresses]
    few = run(ours("active", *targets[:endpoints]))
    _say(f"ours, active, {endpoints} endpoints", few, endpoints)
    if sslyze.PROGRAM.exists():
        peer = run(sslyze.command(targets[:endpoints], sslyze.EVERYTHING))
        _say(f"sslyze, all commands, {endpoints} endpoints", peer, endpoints)
        report.target("CPU per endpoint, sslyze / ours, active", peer.cpu_seconds / few.cpu_seconds, "times", 10, None)
    many = run(ours("active", *targets))
    _say(f"ours, active, {len(targets)} endpoints", many, len(targets))


def _say(what: str, done: Run, endpoints: int) -> None:
    result: dict[str, Any] = json.loads(done.output) if done.output.startswith("{") else {}
    complete = f", complete facts of {result['complete']}" if result else ""
    print(
        f"{what:40}{done.seconds:8.1f} s{1000 * done.cpu_seconds / endpoints:8.1f} ms CPU an endpoint"
        f"{done.peak_bytes / 2**20:8.0f} MiB at most{complete}"
    )
    for reason in result.get("not_tested", ()):
        print(f"  not tested: {reason}")


def print_trace(servers: kinds.Servers, level: str) -> None:
    """Print which connections one scan makes, and when."""
    port = servers.nginx(kinds.nginx_intermediate())
    with Proxy(port, _ROUND_TRIP_SECONDS) as proxy:
        print(run(ours(level, f"localhost:{proxy.port}")).output)
        print("    began, was answered and ended at round trip")
        print("\n".join(trace.lines(proxy.connections, _ROUND_TRIP_SECONDS)))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--endpoints", type=int, default=100, help="how many are scanned in one process, and ten times")
    parser.add_argument("--without-testssl", action="store_true", help="leave out testssl.sh, which takes a minute")
    parser.add_argument("--trace", choices=LEVELS, help="only print the connections of one scan, in their order")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, kinds.Servers(Path(directory)) as servers:
        # All tools that are written in Python start from cached bytecode, wherever this machine would keep it.
        os.environ["PYTHONPYCACHEPREFIX"] = str(servers.path("bytecode"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            kinds.program("nginx")
        except kinds.MissingProgramError:
            print("nginx is not installed, so there is nothing to scan")
            return
        if arguments.trace:
            print_trace(servers, arguments.trace)
            return
        report = Report()
        one_endpoint(servers, arguments.rounds, not arguments.without_testssl, report)
        print()
        many_endpoints(servers, arguments.endpoints, report)
        report.finish()


if __name__ == "__main__":
    main()
