# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment leaves behind: nothing in check mode, and a private key nowhere but in its place."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.web_fleet import ALL, DIRECTORIES, UNITS, WebFleet, server_of, site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

# Whatever of these is started writes, logs or asks somebody; ACME's requests alone are left to the live server's owner.
_NOBODY = {"name": "nobody", "servers": [{"name": "down", "address": "192.0.2.1", "port": 443}]}
BUSY: dict[str, dict[str, Any]] = {
    "nginx": {
        "nginx_extra": ["proxy_cache_path /var/cache/traces levels=1:2 keys_zone=traces:1m;"],
        **site("nginx", extra=["location /cached { proxy_pass http://127.0.0.1:80; proxy_cache traces; }"]),
    },
    "apache": {
        "apache_extra": [
            "MDCertificateAuthority https://acme.ringmaster.test/directory",
            "MDCertificateAgreement accepted",
            "MDContactEmail hostmaster@ringmaster.test",
            "MDRenewMode manual",
            "MDomain managed.ringmaster.test",
            "<VirtualHost *:443>",
            "ServerName managed.ringmaster.test",
            "SSLEngine on",
            "</VirtualHost>",
        ],
        **site("apache", extra=['CustomLog "|/usr/bin/rotatelogs /var/log/apache2/piped-access.log 86400" combined']),
    },
    "haproxy": {
        **site("haproxy", extra=["use_backend nobody if { path /nobody }"]),
        "haproxy_backends": [{**_NOBODY, "health_check": {"path": "/"}}],
    },
}
WEEK = {server: {f"{server}_hsts_stage": "week"} for server in ALL}
UNGRADED = {server: {f"{server}_minimum_grade": "A+", f"{server}_hsts_stage": "disabled"} for server in ALL}
PLAIN: dict[str, dict[str, Any]] = {server: {} for server in ALL}

# Everything below /etc and /var but the logs of logins, and every socket that listens with its process. What is live is
# measured by asking for it, so that our own requests are in its access log: those, and no others.
_ACCESS_LOGS = "-type f -path '/var/log/*access*'"
_STATE = (
    "{ find /etc /var -xdev ! -path '/var/log/journal*' ! -path /var/log/wtmp ! -path /var/log/lastlog "
    f"! \\( {_ACCESS_LOGS} \\) "
    "-printf '%p %y %m %U %G %l %T@ ' \\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\) ; "
    f"find /var/log {_ACCESS_LOGS} -printf '%p %m %U %G ' -exec sh -c "
    "'grep -vF ringmaster.webops \"$1\" | sha256sum' sh {} \\; ; "
    "ss -Hlntup | awk '{print $1, $5, $7}' | sort; cat /proc/self/mountinfo | sort; } 2>/dev/null"
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebFleet]:
    fleet = WebFleet("traces", tmp_path_factory.mktemp("traces"))
    for host in fleet.hosts:
        fleet.ssh(host, "! command -v a2enmod || a2enmod --quiet md")
    yield fleet
    fleet.down()


def state(fleet: WebFleet, host: str) -> list[str]:
    return fleet.ssh(host, _STATE).splitlines()


def with_changes(*changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {server: {name: value for each in changes for name, value in each[server].items()} for server in ALL}


@pytest.fixture(
    name="wanted",
    params=[(PLAIN, PLAIN), (PLAIN, BUSY), (BUSY, BUSY)],
    ids=["plain after plain", "busy after plain", "busy after busy"],
    scope="module",
)
def wanted_after_live(fleet: WebFleet, request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """Deploy one configuration, and return what is to be wanted then."""
    live, wanted = request.param
    deployed = fleet.deploy(live)
    assert not deployed.refusals, deployed.refusals
    # Health checks have failed, and said so, before anybody looks.
    time.sleep(15 if live is BUSY else 0)
    return dict(wanted)


def test_check_mode_changes_nothing(fleet: WebFleet, wanted: dict[str, dict[str, Any]]) -> None:
    before = {host: state(fleet, host) for host in fleet.hosts}
    previewed = fleet.deploy(with_changes(wanted, WEEK), "--check", "--diff")

    assert not previewed.refusals
    assert all(previewed.changed.values())
    assert "604800" in previewed.output
    for host in fleet.hosts:
        assert state(fleet, host) == before[host], host


def test_a_refused_release_leaves_nothing(fleet: WebFleet, wanted: dict[str, dict[str, Any]]) -> None:
    before = {host: state(fleet, host) for host in fleet.hosts}
    refused = fleet.deploy(with_changes(wanted, UNGRADED))

    assert set(refused.refusals) == set(fleet.hosts)
    assert all("HSTS" in reason or "strict" in reason for reason in refused.refusals.values()), refused.refusals
    for host in fleet.hosts:
        assert state(fleet, host) == before[host], host


@pytest.mark.parametrize("option", ["--check", "--diff"])
def test_a_private_key_occurs_nowhere_but_in_its_place(fleet: WebFleet, option: str) -> None:
    canaries = {host: fleet.ssh(host, "sed -n 2p /etc/ssl/ringmaster/site/privkey.pem").strip() for host in fleet.hosts}
    loud = fleet.deploy(WEEK if option == "--check" else {}, option, "-vvv")

    for host, canary in canaries.items():
        assert len(canary) == 64
        assert canary not in loud.output
        found = fleet.ssh(
            host,
            f"journalctl -o cat | grep -cF '{canary}'; grep -rlF '{canary}' /etc /var /root /tmp /run",
            check=False,
        )
        count, *files = found.splitlines()
        directory = DIRECTORIES[server_of(host)]
        assert count == "0"
        assert {name.partition("/ringmaster/")[0] for name in files} <= {directory, "/etc/ssl"}, files
        assert not [name for name in files if f"{directory}/ringmaster/releases" in name], files


@pytest.mark.parametrize("stage", ["week", "observe"])
@pytest.mark.parametrize("sites", [PLAIN, BUSY], ids=["plain", "busy"])
def test_a_real_run_leaves_no_process_and_no_unit(
    fleet: WebFleet, sites: dict[str, dict[str, Any]], stage: str
) -> None:
    deployed = fleet.deploy(with_changes(sites, {server: {f"{server}_hsts_stage": stage} for server in ALL}))

    assert not deployed.refusals, deployed.refusals
    for host in fleet.hosts:
        assert not fleet.ssh(
            host,
            "systemctl list-units --all --plain --no-legend 'ringmaster-*' | grep -vE 'access-log|-reload' || true",
        ).strip()
        # What systemd keeps of the units that stay is theirs.
        theirs = "! -path '*access-log*' ! -name '*-reload.service'"
        assert not fleet.ssh(host, f"find /run /tmp -path '*ringmaster*' ! -name '*.lock' {theirs}").strip()
        masters = fleet.ssh(host, "ps -eo pid=,ppid=,comm=").split("\n")
        program = UNITS[server_of(host)].partition(".")[0]
        assert len([line for line in masters if line.split()[1:] == ["1", program]]) == 1, masters
