# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The translation of `appsession` against what the real one of HAProxy 1.5.0 does, on every release.

The recording is tests/proof/data/appsession-1.5.0.txt. What differs is listed here with its reason; another difference
is a fault, and one that is gone must be looked at too.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers import sticky_proxies
from peers.fleet import Fleet
from peers.sticky_behaviours import NAME_WIDTH, PROXIES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

HOSTS = {"lb11": "bullseye", "lb12": "bookworm", "lb13": "trixie"}
VERSIONS = {"lb11": "2.2", "lb12": "2.6", "lb13": "3.0"}
BASE_PORT = 18000
RECORDING = ROOT / "tests/proof/data/appsession-1.5.0.txt"

# An empty id is a session to 1.5. Newer releases do not see one that ends its header, as in these behaviours; one that
# something follows, such as `; path=/`, is learnt as by 1.5. In the prefix form the key is `=`, and so it always is.
EMPTY_IDS = {
    f"{proxy}: {behaviour}": ("STICKY", "SPREAD")
    for proxy in ("plain", "reql", "qs")
    for behaviour in ("21 empty request cookie learnt", "21b empty Set-Cookie learnt")
}
# 2.2 has no difference of its own.
DIFFERENCES = {"lb11": EMPTY_IDS, "lb12": EMPTY_IDS, "lb13": EMPTY_IDS}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet("appsession", HOSTS, tmp_path_factory.mktemp("appsession"))
    try:
        for host in HOSTS:
            fleet.ssh(host, "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq haproxy")
            fleet.ssh(host, "systemctl disable -q --now haproxy")
        yield fleet
    finally:
        fleet.down()


@pytest.fixture(scope="module")
def versions(fleet: Fleet) -> dict[str, str]:
    found = {host: re.search(r"version ([0-9.]+)", fleet.ssh(host, "haproxy -v")) for host in HOSTS}
    said = {host: match[1] for host, match in found.items() if match}
    assert {host: ".".join(version.split(".")[:2]) for host, version in said.items()} == VERSIONS
    return said


def send(fleet: Fleet, host: str, name: str, configuration: str) -> None:
    """Put a configuration on a host and have HAProxy check it; a warning is a failure."""
    file = fleet.directory / f"{host}-{name}"
    file.write_text(configuration, encoding="utf-8")
    fleet.send(host, file, f"/root/{name}")
    fleet.ssh(host, f"haproxy -c -dW -f /root/{name}")


def lines(text: str) -> dict[str, str]:
    """Return behaviour -> what was seen."""
    recorded = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line[:NAME_WIDTH].rstrip(): line[NAME_WIDTH:].strip() for line in recorded}


@pytest.fixture(scope="module")
def seen(fleet: Fleet, versions: dict[str, str]) -> dict[str, dict[str, str]]:
    """Record all hosts at once: most of the time they wait."""

    def record(host: str) -> dict[str, str]:
        send(fleet, host, "recorded.cfg", sticky_proxies.recorded(BASE_PORT, versions[host]))
        fleet.send(host, ROOT / "tests/peers/sticky_behaviours.py", "/root/sticky_behaviours.py")
        fleet.ssh(host, "haproxy -D -p /run/recorded.pid -f /root/recorded.cfg")
        try:
            command = f"python3 /root/sticky_behaviours.py {BASE_PORT}"
            return lines("".join(fleet.ssh(host, f"{command} {proxy}") for proxy in PROXIES))
        finally:
            fleet.ssh(host, "kill $(cat /run/recorded.pid)")

    with ThreadPoolExecutor(len(HOSTS)) as pool:
        return dict(zip(HOSTS, pool.map(record, HOSTS)))


@pytest.mark.parametrize("host", HOSTS)
def test_every_line_is_as_recorded(seen: dict[str, dict[str, str]], host: str) -> None:
    recorded = lines(RECORDING.read_text(encoding="utf-8"))
    different = {name: (was, seen[host].get(name)) for name, was in recorded.items() if seen[host].get(name) != was}

    print(f"| {host} | {len(recorded)} lines | {len(recorded) - len(different)} as recorded |")
    assert len(recorded) == 221
    assert seen[host].keys() == recorded.keys()
    assert different == DIFFERENCES[host]


@pytest.mark.parametrize("host", HOSTS)
def test_every_combination_is_accepted_without_a_warning(fleet: Fleet, versions: dict[str, str], host: str) -> None:
    count, configuration = sticky_proxies.all_combinations(versions[host])

    print(f"| {host} | {count} combinations |")
    send(fleet, host, "combinations.cfg", configuration)
