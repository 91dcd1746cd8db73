# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every mistake that a deployment can make, on every server and release that it applies to.

Each fault is deployed to each host while visitors keep asking it. The play must fail with the reason,
no visitor may go without an answer, what was served must be served still, and the variables put right must be enough
to repair it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from peers.visitors import Visitors
from peers.web_fleet import ALL, HOSTS, NAME, WebFleet, assert_all_served, pair, raw, server_of, site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")


@dataclass(frozen=True)
class Fault:
    """A mistake: what is done on the host first, which variables are given, what the play must say, what mends it.

    ``variables`` and ``reason`` go from server to changes of its variables, and to a regular expression; a server that
    is not named there does not know this fault. ``prepare`` and ``restore`` are commands on the host.
    """

    name: str
    variables: Mapping[str, Mapping[str, Any]]
    reason: Mapping[str, str]
    prepare: str = "true"
    restore: str = "true"
    leaves_doubt: bool = False
    """Whether not even the way back can be confirmed while the fault lasts, so that the next run goes it once more."""


def everywhere(reason: str) -> dict[str, str]:
    return dict.fromkeys(ALL, reason)


_SQUATTER = "import socket, time; s = socket.create_server(('0.0.0.0', 9443)); time.sleep(900)"
_WRONG_KEY = (
    "mkdir -p /root/wrong && cp /etc/ssl/ringmaster/site/fullchain.pem /root/wrong/ && "
    "openssl ecparam -genkey -name prime256v1 -noout -out /root/wrong/privkey.pem && "
    "cp /root/wrong/privkey.pem /root/wrong/fullchain.pem.key"
)
_EXPIRED = (
    "mkdir -p /root/expired && cd /root/expired && openssl ecparam -genkey -name prime256v1 -noout -out privkey.pem && "
    f"openssl req -new -key privkey.pem -subj /CN={NAME} -addext subjectAltName=DNS:{NAME} -out request.pem && "
    f"printf 'subjectAltName=DNS:{NAME}' > names && : > index && echo 01 > serial && "
    "printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n"
    "policy=p\n[p]\ncommonName=supplied\n' > ca.cnf && "
    "openssl ca -batch -config ca.cnf -selfsign -keyfile privkey.pem -in request.pem -extfile names -notext "
    "-startdate 20200101000000Z -enddate 20210101000000Z -out fullchain.pem && cp privkey.pem fullchain.pem.key"
)
_WEAK_KEY = (
    "mkdir -p /root/weak && cd /root/weak && "
    f"openssl req -x509 -newkey rsa:1024 -nodes -keyout privkey.pem -out fullchain.pem -days 30 -subj /CN={NAME} "
    f"-addext subjectAltName=DNS:{NAME} && cp privkey.pem fullchain.pem.key"
)
_LYING_RELOAD = (
    "for unit in nginx apache2 haproxy; do mkdir -p /run/systemd/system/$unit.service.d && "
    "printf '[Service]\\nExecReload=\\nExecReload=/bin/true\\n' > /run/systemd/system/$unit.service.d/lie.conf; "
    "done; systemctl daemon-reload"
)


def _full_disk(pages_left: int) -> tuple[str, str]:
    """Return what puts the releases on a small file system, fills it but for some pages of 4 KiB, and what ends that.

    The server goes on reading what it read: the same files are there.
    """
    place = "$(readlink -f /etc/*/ringmaster/releases/..)"
    fill = (
        f"place={place} && mkdir -p /root/full && mount -t tmpfs -o size=4m full /root/full && "
        "cp -a $place/. /root/full/ && mount --bind /root/full $place && "
        "{ dd if=/dev/zero of=/root/full/filler bs=4k status=none; "
        f"truncate --size=-{4 * pages_left}K /root/full/filler; [ $(stat -f -c %a /root/full) = {pages_left} ]; }}"
    )
    return fill, f"rm /root/full/filler; umount {place}; umount /root/full; rmdir /root/full"


_HSTS_WEEK = {server: {f"{server}_hsts_stage": "week"} for server in ALL}
_LEGACY = "DEFAULT:@SECLEVEL=0"

FAULTS = (
    Fault(
        "key that does not fit",
        pair("/root/wrong"),
        everywhere("does not fit|do not match|mismatch|inconsistencies"),
        _WRONG_KEY,
    ),
    Fault("expired certificate", pair("/root/expired"), everywhere(r"expired"), _EXPIRED),
    Fault(
        "unknown group",
        raw("ssl_ecdh_curve nosuch;", "SSLOpenSSLConfCmd Curves nosuch", haproxy_bind="curves nosuch"),
        everywhere("nosuch"),
    ),
    Fault(
        "unusable cipher list",
        raw("ssl_ciphers NOSUCH;", "SSLCipherSuite NOSUCH", haproxy_bind="ciphers NOSUCH"),
        everywhere("(?i)cipher"),
    ),
    Fault(
        "syntax error in raw lines",
        raw("no_such_directive on;", "NoSuchDirective on", "no-such-keyword"),
        everywhere("(?i)no.?such.?(directive|keyword)"),
    ),
    Fault(
        "listen conflict",
        {server: {f"{server}_addresses": ["{{ ansible_host }}"]} for server in ("nginx", "apache")},
        everywhere(r"(?i)bind|address already in use|restart"),
    ),
    Fault(
        "port taken by another process",
        {
            "nginx": {"nginx_https_port": 9443},
            "apache": {"apache_https_port": 9443},
            "haproxy": site("haproxy", port=9443),
        },
        everywhere("9443.*python"),
        prepare=f'systemd-run --quiet --unit=squatter python3 -c "{_SQUATTER}" && sleep 1',
        restore="systemctl stop squatter",
    ),
    Fault(
        "missing include",
        raw(
            "include /nowhere/absent.conf;",
            "Include /nowhere/absent.conf",
            "http-request deny if { src -f /nowhere/absent.conf }",
        ),
        everywhere("/nowhere/absent.conf"),
    ),
    Fault(
        "upstream names with DNS down",
        {
            "nginx": site("nginx", kind="reverse_proxy", root=None, upstream={"url": "https://backend.nowhere.test"}),
            "haproxy": {
                **site("haproxy"),
                "haproxy_backends": [
                    {"name": "app", "servers": [{"name": "a", "address": "backend.nowhere.test", "port": 443}]}
                ],
            },
        },
        everywhere("backend.nowhere.test"),
        prepare="cp --dereference /etc/resolv.conf /root/resolv.conf && echo nameserver 192.0.2.1 > /etc/resolv.conf",
        restore="cat /root/resolv.conf > /etc/resolv.conf",
    ),
    Fault(
        "TLS 1.0 allowed",
        # A site's own ssl_protocols would do nothing: in nginx the default server of the socket decides.
        {
            "nginx": {"nginx_tls_profile": "old", "nginx_minimum_grade": "A"},
            **raw(
                apache=f"SSLProtocol all\nSSLCipherSuite {_LEGACY}",
                haproxy_bind=f"ssl-min-ver TLSv1.0 ciphers {_LEGACY}",
            ),
        },
        everywhere(r"\bB\b.*TLS ?v?1\.0|protocol"),
    ),
    Fault(
        "weak key",
        pair("/root/weak"),
        everywhere(r"(?i)key too small|1024|ee key|unable to load SSL certificate"),
        _WEAK_KEY,
    ),
    Fault(
        "no HSTS",
        {server: {f"{server}_minimum_grade": "A+", f"{server}_hsts_stage": "disabled"} for server in ALL},
        everywhere(r"(?i)A\+.*(HSTS|strict)"),
    ),
    Fault("full disk", _HSTS_WEEK, everywhere("/ringmaster/.*No space left on device"), *_full_disk(0)),
    # One page is enough to note what is about to be done, and not for doing it.
    Fault(
        "full disk while staging",
        _HSTS_WEEK,
        everywhere("/ringmaster/releases/.*No space left on device"),
        *_full_disk(1),
    ),
    Fault(
        "reload that reports success but keeps the old configuration",
        _HSTS_WEEK,
        everywhere("(?i)reload|old configuration|workers"),
        prepare=_LYING_RELOAD,
        restore="rm -r /run/systemd/system/*.service.d/lie.conf; systemctl daemon-reload",
        leaves_doubt=True,
    ),
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebFleet]:
    fleet = WebFleet("faults", tmp_path_factory.mktemp("faults"))
    yield fleet
    fleet.down()


CASES = [(host, fault) for fault in FAULTS for host in HOSTS if server_of(host) in fault.variables]


@pytest.mark.parametrize(("host", "fault"), CASES, ids=[f"{fault.name}-{host}" for host, fault in CASES])
def test_fault(fleet: WebFleet, host: str, fault: Fault) -> None:
    server = server_of(host)
    before = fleet.live(host)
    visitors = Visitors(fleet.address(host), 443, NAME)
    try:
        fleet.ssh(host, fault.prepare)
        refused = fleet.deploy({server: fault.variables[server]}, hosts=[host])
    finally:
        fleet.ssh(host, fault.restore, check=False)
        seen = visitors.leave()

    print(f"| {fault.name} | {host} | {seen} | {refused.refusals.get(host, '')[:200]!r} |")
    assert_all_served(host, seen)
    assert fleet.live(host) == before
    assert re.search(fault.reason[server], refused.refusals.get(host, "")), refused.refusals
    repaired = fleet.deploy({server: {}}, hosts=[host])
    assert not repaired.refusals, repaired.refusals
    assert repaired.changed == {host: int(fault.leaves_doubt)}, repaired.output
    assert fleet.live(host) == before
