# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One site on every web server of every release, deployed by the roles on lab hosts."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peers.fleet import Fleet, Play
from peers.visitors import Report

ALL = ("nginx", "apache", "haproxy")
HOSTS = {f"{server}{release}": suite for server in ALL for release, suite in ((12, "bookworm"), (13, "trixie"))}
DIRECTORIES = {"nginx": "/etc/nginx", "apache": "/etc/apache2", "haproxy": "/etc/haproxy"}
UNITS = {"nginx": "nginx.service", "apache": "apache2.service", "haproxy": "haproxy.service"}
NAME = "site.ringmaster.test"


def server_of(host: str) -> str:
    return host.rstrip("0123456789")


def site(server: str, **changes: object) -> dict[str, Any]:
    """Return the variables of the one site that is served, with changes to it."""
    if server != "haproxy":
        entry = {
            "name": "app", "server_names": [NAME], "certificate": "site", "kind": "static", "root": "/srv/www/app",
        }  # fmt: skip
        given = {**entry, **changes}
        return {f"{server}_sites": [{name: value for name, value in given.items() if value is not None}]}
    certificate = changes.get("certificate", "site")
    bind = {
        "port": changes.get("port", 443),
        "tls": True,
        "certificates": [certificate],
        "extra": changes.get("bind", ""),
    }
    answer = 'http-request return status 200 content-type text/plain string "served"'
    https = {"name": "https", "binds": [bind], "extra": [*changes.get("extra", []), answer]}
    return {"haproxy_frontends": [{"name": "http", "binds": [{"port": 80}], "redirect_to_https": True}, https]}


def raw(nginx: str = "", apache: str = "", haproxy: str = "", haproxy_bind: str = "") -> dict[str, Any]:
    """Return raw lines within the site, for each server that has one."""
    lines = {"nginx": nginx, "apache": apache}
    found: dict[str, Any] = {server: site(server, extra=[line]) for server, line in lines.items() if line}
    if haproxy or haproxy_bind:
        found["haproxy"] = site("haproxy", extra=[haproxy] if haproxy else [], bind=haproxy_bind)
    return found


def pair(directory: str) -> dict[str, Any]:
    """Return the site with a certificate that somebody else put on the host."""
    paths = {"fullchain": f"{directory}/fullchain.pem", "private_key": f"{directory}/privkey.pem"}
    return {
        "nginx": site("nginx", certificate=paths),
        "apache": site("apache", certificate=paths),
        "haproxy": site("haproxy", certificate=f"{directory}/fullchain.pem"),
    }


class WebFleet(Fleet):
    """Hosts with one web server each, which all serve the same site."""

    def __init__(self, name: str, directory: Path, hosts: Mapping[str, str] = HOSTS) -> None:
        super().__init__(name, hosts, directory)
        try:
            for host in hosts:
                self.ssh(host, "mkdir -p /srv/www/app && echo served > /srv/www/app/index.html")
            deployed = self.deploy({})
            assert not deployed.refusals, deployed.refusals
        except BaseException:
            self.down()
            raise

    def variables_of(self, host: str) -> dict[str, Any]:
        """Return the variables of a host that is in order."""
        server = server_of(host)
        return {
            "webserver": server,
            "certificate_ca_directory": str(self.directory / "pki"),
            "certificate_certificates": [{"name": "site", "names": [NAME]}],
            f"{server}_ca_path": str(self.directory / "pki" / "ca.pem"),
            **site(server),
        }

    def deploy(
        self, changes: Mapping[str, Mapping[str, Any]], *options: str, hosts: Sequence[str] | None = None
    ) -> Play:
        """Deploy ``hosts`` (or all) of the servers in ``changes`` (or of all) with these changed variables."""
        deployed = [host for host in hosts or self.hosts if not changes or server_of(host) in changes]
        return self.play(
            {host: {**self.variables_of(host), **changes.get(server_of(host), {})} for host in deployed}, *options
        )

    def live(self, host: str) -> str:
        """Return where the link to the live release leads."""
        return self.ssh(host, f"readlink {DIRECTORIES[server_of(host)]}/ringmaster/current").strip()

    def max_age_seconds(self, host: str) -> int:
        """Return what a visitor, who trusts the fleet's certificate authority, is told by Strict-Transport-Security."""
        context = ssl.create_default_context(cafile=str(self.directory / "pki" / "ca.pem"))
        plain = socket.create_connection((self.address(host), 443), 10)
        with plain, context.wrap_socket(plain, server_hostname=NAME) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        found = re.search(rb"(?im)^strict-transport-security: max-age=(\d+)", answer)
        assert found is not None, answer
        return int(found[1])


def assert_all_served(host: str, seen: Report) -> None:
    assert not seen.failures, (host, seen)
    assert set(seen.statuses) == {200}, (host, seen)
    assert seen.new_requests > 0, host
