# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy as a process on loopback: one that keeps sessions, and one that plays three servers with an application.

One thread each; the CPU of the process is that of its requests.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from peers.servers import program

SERVERS = ("s1", "s2", "s3")

_HOLD_PROGRAM = Path(__file__).resolve().parents[2] / "roles/haproxy/files/hold.lua"
_START_SECONDS = 20.0
_ANSWER_SECONDS = 30.0
_FRAME = """global
    nbthread 1
    maxconn 1000
    localpeer balancer
    stats socket {socket} level admin
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    timeout http-keep-alive 10m
"""


class HaproxyProcess:
    """An HAProxy that runs until the end of the context. ``{port}`` in ``configuration`` becomes ``self.port``."""

    def __init__(self, directory: Path, name: str, configuration: str) -> None:
        self.port = free_port()
        self._socket = directory / f"{name}.sock"
        file = directory / f"{name}.cfg"
        file.write_text(
            _FRAME.format(socket=self._socket) + configuration.replace("{port}", str(self.port)), encoding="utf-8"
        )
        log = directory / f"{name}.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [program("haproxy"), "-f", str(file), "-db"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait_until_it_listens(log)
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> HaproxyProcess:
        """Use it as a context."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the process."""
        self.end()

    def end(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, command: str) -> str:
        """Return what the runtime socket answers to a command."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(str(self._socket))
            connection.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def entries(self, table: str) -> int:
        """Return how many entries a stick table has."""
        return self._number("show table", rf"# table: {table},.* used:(\d+)")

    def pool_bytes(self) -> int:
        """Return the bytes that are used of all memory pools together."""
        return self._number("show pools", r"Total: .* bytes allocated(?: \([^)]*\))?, (\d+) used")

    def resident_bytes(self) -> int:
        """Return the memory of the process."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None, status
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        """Return the time that the process has had of a CPU: utime and stime, in nanoseconds (kernel: sched-stats)."""
        return int(Path(f"/proc/{self._process.pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9

    def _number(self, command: str, pattern: str) -> int:
        answer = self.ask(command)
        found = re.search(pattern, answer)
        assert found is not None, answer
        return int(found[1])

    def _wait_until_it_listens(self, log: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError(f"HAProxy does not listen: {log.read_text(errors='replace')[-2000:]}")


def version() -> str:
    """Return the version of the HAProxy of this machine."""
    said = subprocess.run([program("haproxy"), "-v"], check=True, capture_output=True, text=True, timeout=30).stdout
    found = re.search(r"version (\d+\.\d+\.\d+)", said)
    assert found is not None, said
    return found[1]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def application(directory: Path) -> Iterator[dict[str, int]]:
    """Run three servers with an application and yield their ports, by name.

    ``/login`` and ``/strict`` set PHPSESSID to a new id, as a login does, and an application that gives whoever comes
    with an id that it does not know another one. Every answer has the server's name in ``X-Host``, and no body.
    """
    ports = {name: free_port() for name in SERVERS[1:]}
    cookie = 'hdr Set-Cookie "PHPSESSID=%[uuid()]; path=/; HttpOnly"'
    lines = []
    for name in SERVERS:
        lines += [
            f"frontend {name}",
            f"    bind 127.0.0.1:{ports.get(name, '{port}')}",
            f"    http-request return status 200 hdr X-Host {name} {cookie} if {{ path /login /strict }}",
            f"    http-request return status 200 hdr X-Host {name}",
        ]
    with HaproxyProcess(directory, "application", "\n".join(lines) + "\n") as process:
        yield {SERVERS[0]: process.port, **ports}


def sticky(
    directory: Path, name: str, rules: Sequence[str], servers: dict[str, int], *, frontend: Sequence[str] = ()
) -> HaproxyProcess:
    """Start an HAProxy whose one backend ``app`` has these rules and servers, and whose frontend has these lines.

    As the role has it, there is a section ``ringmaster`` of peers, with nobody else in it, and a table
    ``ringmaster-rates`` of what each address does, for rules that ask for that; and the program that some wait in.
    """
    lines = ["global", f"    lua-load {_HOLD_PROGRAM}"] if any("lua." in rule for rule in rules) else []
    lines += ["peers ringmaster", f"    bind 127.0.0.1:{free_port()}", "    server balancer"]
    lines += ["frontend site", "    bind 127.0.0.1:{port}", *(f"    {line}" for line in frontend)]
    if any("gpc0" in rule for rule in rules):
        lines.append("    tcp-request connection track-sc2 src,ipmask(32,64) table ringmaster-rates")
    lines += ["    default_backend app", "backend app", "    balance leastconn", *(f"    {rule}" for rule in rules)]
    lines += [f"    server {server} 127.0.0.1:{port}" for server, port in servers.items()]
    lines += ["backend ringmaster-rates", "    stick-table type ipv6 size 100k expire 1m store gpc0,gpc0_rate(1m)"]
    return HaproxyProcess(directory, name, "\n".join(lines) + "\n")
