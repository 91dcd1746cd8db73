# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load balancers of several releases, deployed by the role, and behind them servers with sessions in their memory."""

from __future__ import annotations

import csv
import io
import re
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peers.fleet import ROOT, Fleet
from peers.session_visitors import Door

#: Servers and their ports; kinds of failover and the ports of their frontends, each with a backend ``app_KIND``.
SERVERS = {"s1": 9001, "s2": 9002, "s3": 9003}
FAILOVERS = {"return": 8001, "first_wins": 8002, "rebind": 8003}
#: Other ways to the first server that each load balancer with servers of its own has, through itself, and their ports.
WAYS = {"plain": 9101, "tls": 9201}

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_ASK = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
    "s.sendall(sys.argv[1].encode() + b'\\n'); "
    "sys.stdout.write(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
)


class SessionFleet(Fleet):
    """A lab whose ``balancers`` are deployed. ``home`` is the host of the servers, None where each has its own."""

    def __init__(
        self, name: str, directory: Path, hosts: Mapping[str, str], balancers: Sequence[str], home: str | None = None
    ) -> None:
        super().__init__(name, hosts, directory)
        self.balancers = list(balancers)
        self._homes = [home] if home else self.balancers
        try:
            for host in self._homes:
                self.send(host, ROOT / "tests/peers/session_server.py", "/srv/session_server.py")
                for server in SERVERS:
                    self.start(server, [host])
            self.deploy(self.balancers)
        except BaseException:
            self.down()
            raise

    def deploy(self, hosts: Sequence[str], *, way: str = "", **changes: object) -> None:
        """Deploy load balancers. ``way`` is another one to the first server, ``changes`` are variables of the role."""
        deployed = self.play({host: {**self._variables(host, way), **changes} for host in hosts})
        assert not deployed.refusals, deployed.refusals

    def _variables(self, host: str, way: str) -> dict[str, Any]:
        """Return what is deployed: a frontend and a backend for each kind of failover."""
        has_own = host in self._homes
        address = "127.0.0.1" if has_own else self.address(self._homes[0])
        servers: list[dict[str, Any]] = [
            {"name": name, "address": address, "port": port} for name, port in SERVERS.items()
        ]
        if way:
            servers[0]["port"] = WAYS[way]
        if way == "tls":
            servers[0]["tls"] = {"ca_file": "/etc/ssl/ringmaster/ca.pem", "server_name": "{name}.ringmaster.test"}
        session: dict[str, Any] = {"cookie": "PHPSESSID", "timeout": "3h", "len": 64}
        frontends = [
            {"name": kind, "binds": [{"port": port}], "default_backend": f"app_{kind}"}
            for kind, port in FAILOVERS.items()
        ]
        backends: list[dict[str, Any]] = [
            {
                "name": f"app_{kind}", "app_session": {**session, "failover": kind}, "servers": servers,
                "health_check": {"path": "/"},
            }
            for kind in FAILOVERS
        ]  # fmt: skip
        variables: dict[str, Any] = {
            "webserver": "haproxy",
            "haproxy_peers": {"ca_directory": str(self.directory / "peers")},
            "haproxy_frontends": frontends,
            "haproxy_backends": backends,
        }
        return {**variables, **self._with_ways(host, variables)} if has_own else variables

    def _with_ways(self, host: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return what gives a load balancer the other ways, and lets its peers' port move."""
        pki = self.directory / "pki"
        first, port = next(iter(SERVERS.items()))
        tls: dict[str, Any] = {"tls": True, "certificates": ["way"], "strict_sni": False}
        frontends = [
            {
                "name": f"way_{way}", "default_backend": "way",
                "binds": [{"address": "127.0.0.1", "port": way_port, **(tls if way == "tls" else {})}],
            }
            for way, way_port in WAYS.items()
        ]  # fmt: skip
        backend = {"name": "way", "servers": [{"name": "way", "address": "127.0.0.1", "port": port}]}
        return {
            "certificate_ca_directory": str(pki),
            "certificate_certificates": [{"name": "way", "names": [f"{first}.ringmaster.test"]}],
            "haproxy_ca_path": str(pki / "ca.pem"),
            "haproxy_frontends": [*variables["haproxy_frontends"], *frontends],
            "haproxy_backends": [*variables["haproxy_backends"], backend],
            "haproxy_removed_names": ["127.0.0.1:1023", f"{self.address(host)}:1023"],
        }

    def doors(self, kind: str) -> list[Door]:
        """Return where visitors of a kind of failover come in."""
        return [Door(self.address(host), FAILOVERS[kind]) for host in self.balancers]

    # --- the servers

    def start(self, server: str, hosts: Sequence[str] | None = None) -> None:
        """Start a server that is not there."""
        for host in hosts or self._homes:
            command = f"python3 /srv/session_server.py {server} {SERVERS[server]}"
            self.ssh(host, f"systemd-run --quiet --collect --unit=application-{server} {command}")

    def kill(self, server: str) -> None:
        """Kill a server, with every session that it has, and wait until it is dead: until then it would accept."""
        unit = f"application-{server}.service"
        for host in self._homes:
            self.ssh(host, f"systemctl kill --signal=KILL {unit}; systemctl stop {unit} 2>&1 || true")

    # --- the load balancers

    def tell(self, *commands: str) -> None:
        """Give every load balancer these commands; ``{backend}`` in them stands for each backend."""
        for host in self.balancers:
            for command in commands:
                for kind in FAILOVERS:
                    answer = self.runtime(host, command.format(backend=f"app_{kind}"))
                    assert not answer.strip(), (host, command, answer)

    def runtime(self, host: str, command: str) -> str:
        """Return what the runtime socket of a load balancer answers."""
        return self.ssh(host, f"python3 -c {shlex.quote(_ASK)} {shlex.quote(command)}")

    def wait_until(self, server: str, status: str, balancers: Iterable[str] | None = None) -> None:
        """Wait until load balancers see the server so in every backend: ``UP``, ``DOWN``, ``MAINT``, ``DRAIN``."""
        for host in balancers or self.balancers:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while (seen := self._statuses(host, server)) != {status}:
                assert time.monotonic() < deadline, f"{host}: {server} is {seen}, not {status}"
                time.sleep(_PAUSE_SECONDS)

    def _statuses(self, host: str, server: str) -> set[str]:
        rows = csv.DictReader(io.StringIO(self.runtime(host, "show stat").removeprefix("# ")))
        return {row["status"] for row in rows if row["svname"] == server}

    def reload(self, host: str) -> None:
        """Have somebody reload HAProxy, and wait until the new worker answers."""
        before = self._worker(host)
        self.ssh(host, "systemctl reset-failed haproxy.service; systemctl reload haproxy.service")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._worker(host) in (before, ""):
            assert time.monotonic() < deadline, f"{host}: the worker {before} goes on"
            time.sleep(_PAUSE_SECONDS)

    def _worker(self, host: str) -> str:
        found = re.search(
            r"(?m)^Pid: (\d+)", self.ssh(host, f"python3 -c {shlex.quote(_ASK)} 'show info'", check=False)
        )
        return found[1] if found else ""

    def entries(self, host: str, kind: str) -> int:
        """Return how many sessions the table of a kind of failover has, by what Prometheus is told."""
        metrics = self.ssh(
            host,
            "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8404/metrics\").read().decode())'",
        )
        found = re.search(rf'(?m)^haproxy_sticktable_used{{name="app_{kind}"[^}}]*}} (\d+)', metrics)
        assert found is not None, metrics
        return int(found[1])
