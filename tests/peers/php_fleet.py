# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo's PHP application on three web servers, each with its session files to itself, behind two load balancers.

Deployed by the roles, with certificates of the fleet's own authority, which the load balancers verify.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers.fleet import ROOT, Fleet
from peers.session_visitors import Door

NAME = "www.ringmaster.test"
BALANCERS = {"lb1": "bookworm", "lb2": "trixie"}
SERVERS = {"web1": "bookworm", "web2": "bookworm", "web3": "bookworm"}

_PATIENCE_SECONDS = 120.0
_SERVER: dict[str, Any] = {
    "name": "Take a web server out of all load balancers, or put it back",
    "gather_facts": False,
    "become": True,
    "tasks": [
        {
            "name": "The same on every load balancer",
            "ansible.builtin.include_role": {"name": "ringmaster.webops.haproxy", "tasks_from": "server"},
        }
    ],
}


class PhpFleet(Fleet):
    """The lab of that application."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name, {**BALANCERS, **SERVERS}, directory)
        try:
            for hosts, variables in ((SERVERS, self._web_server), (BALANCERS, self._load_balancer)):
                deployed = self.play({host: {**self._certificate(host), **variables(host)} for host in hosts})
                assert not deployed.refusals, deployed.refusals
        except BaseException:
            self.down()
            raise

    def _certificate(self, host: str) -> dict[str, Any]:
        names = [NAME, f"{host}.ringmaster.test"]
        return {
            "certificate_ca_directory": str(self.directory / "pki"),
            "certificate_certificates": [{"name": "www", "names": names}],
        }

    def _web_server(self, host: str) -> dict[str, Any]:
        site = {
            "name": "app", "server_names": [NAME, f"{host}.ringmaster.test"], "certificate": "www", "kind": "php_fpm",
            "root": "/srv/www/app", "content": [{"src": f"{ROOT}/extensions/demo/app/"}],
        }  # fmt: skip
        return {"webserver": "nginx", "nginx_sites": [site], "nginx_ca_path": str(self._authority)}

    def _load_balancer(self, _host: str) -> dict[str, Any]:
        tls = {"ca_file": "/etc/ssl/ringmaster/ca.pem", "server_name": "{name}.ringmaster.test"}
        https = {"port": 443, "tls": True, "certificates": ["www"]}
        return {
            "webserver": "haproxy",
            "haproxy_ca_path": str(self._authority),
            "haproxy_peers": {"ca_directory": str(self.directory / "peers")},
            "haproxy_frontends": [{"name": "https", "binds": [https], "default_backend": "app"}],
            "haproxy_backends": [
                {
                    "name": "app", "app_session": {"cookie": "PHPSESSID", "timeout": "3h"},
                    "servers_group": "webservers", "server": {"port": 443, "tls": tls},
                    "health_check": {"path": "/", "host": NAME},
                }
            ],
        }  # fmt: skip

    @property
    def _authority(self) -> Path:
        return self.directory / "pki" / "ca.pem"

    def doors(self) -> list[Door]:
        """Return where visitors come in; they trust the fleet's authority and no other."""
        context = ssl.create_default_context(cafile=str(self._authority))
        return [Door(self.address(host), 443, NAME, context) for host in BALANCERS]

    def set_server(self, host: str, state: str) -> str:
        """Set the state of a web server on all load balancers, as an operator does; return what Ansible said."""
        playbook = self.directory / "server.json"
        chosen = {"haproxy_server_state": state, "haproxy_server_drain_timeout_seconds": 5}
        playbook.write_text(json.dumps([{**_SERVER, "hosts": host, "vars": chosen}]), encoding="utf-8")
        done = self.ansible(playbook)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def reload(self, host: str, times: int = 1) -> None:
        """Have somebody reload a load balancer, so many times without a pause."""
        self.ssh(host, "; ".join(["systemctl reset-failed haproxy.service; systemctl reload haproxy.service"] * times))

    def reboot(self, host: str) -> None:
        """Reboot a host, and wait until HAProxy runs on it again."""
        before = self.ssh(host, "cat /proc/sys/kernel/random/boot_id")
        self._soon(host, "systemctl reboot")
        ask = "cat /proc/sys/kernel/random/boot_id && systemctl is-active --quiet haproxy.service"
        self._wait(lambda: self.ssh(host, f"{ask} || echo", check=False).strip() not in ("", before.strip()))

    def kill(self, host: str) -> None:
        """Have a host fall dead. It does not come back."""
        self._soon(host, "systemctl poweroff --force --force")
        self._wait(lambda: not self.ssh(host, "echo alive", check=False).strip())

    def _soon(self, host: str, command: str) -> None:
        """Have a host do something once nobody waits for its answer."""
        self.ssh(host, f"systemd-run --quiet --on-active=1 --timer-property=AccuracySec=100ms {command}")

    @staticmethod
    def _wait(is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_done():
            assert time.monotonic() < deadline
            time.sleep(1)
