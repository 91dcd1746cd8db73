# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a visitor gets from every server of every release in every profile, measured from outside.

The table is that of what the servers can do: one that shows anything else is either broken or better, and both must be
looked at.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers.web_fleet import ALL, HOSTS, NAME, WebFleet, server_of

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import certificate, trust_store
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.assess import Rules, assess
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.scan import Options, scan_targets

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

PROFILES = {
    "modern": ["TLSv1.3"],
    "intermediate": ["TLSv1.2", "TLSv1.3"],
    "old": ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"],
}
GRADES = {"modern": "A+", "intermediate": "A+", "old": "B"}
#: What no client can find out. The profile `old` follows the server's order, and a server that does so prefers in
#: TLS 1.2 the curve of its ECDSA certificate, which hides those that it likes less.
HIDDEN: dict[str, set[str]] = {"modern": set(), "intermediate": set(), "old": {"groups.TLSv1.2"}}
GROUPS = {
    "bookworm": ["x25519", "secp256r1", "secp384r1"],
    "trixie": ["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"],
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebFleet]:
    fleet = WebFleet("matrix", tmp_path_factory.mktemp("matrix"))
    yield fleet
    fleet.down()


@pytest.fixture(scope="module", params=PROFILES)
def profile(request: pytest.FixtureRequest, fleet: WebFleet) -> str:
    """Deploy a profile to all hosts."""
    name = str(request.param)
    deployed = fleet.deploy({server: {f"{server}_tls_profile": name, f"{server}_hsts_stage": "full"} for server in ALL})
    assert not deployed.refusals, deployed.refusals
    return name


def measured(fleet: WebFleet, host: str, server_name: str = NAME) -> dict[str, Any]:
    anchors = certificate.Anchors(trust_store.read_anchors(str(fleet.directory / "pki" / "ca.pem")))
    scans = scan_targets(
        [{"host": fleet.address(host), "server_name": server_name}], Options(vulnerability_tests="deep")
    )
    assessed = assess(scans, anchors, datetime.datetime.now(datetime.timezone.utc), Rules("6.0", (), "2009r"))
    results = assessed["results"]
    assert isinstance(results, list)
    result = results[0]
    assert isinstance(result, dict)
    return result


def accepted_suites(result: dict[str, Any]) -> set[str]:
    return {suite["name"] for suites in result["cipher_suites"].values() for suite in suites}


@pytest.mark.parametrize("host", HOSTS)
def test_what_a_visitor_gets(fleet: WebFleet, profile: str, host: str) -> None:
    result = measured(fleet, host)
    offered = sorted(entry["name"] for entry in result["protocols"] if entry["status"] == "offered")
    suites = accepted_suites(result)

    print(
        f"| {host} | {profile} | {', '.join(offered)} | {', '.join(group['name'] for group in result['groups'])} "
        f"| {len(suites)} | {result['grade']} |"
    )
    assert offered == PROFILES[profile]
    assert result["grade"] == GRADES[profile], (result["caps"], result["warnings"])
    assert set(result["grade_missing_facts"]) <= HIDDEN[profile]
    assert [group["name"] for group in result["groups"]] == GROUPS[HOSTS[host]]
    assert result["http"]["strict_transport_security"]["max_age_seconds"] == 63072000
    # No DHE and no 3DES anywhere; RSA key exchange and CBC in the profile `old` alone.
    assert not [name for name in suites if "_DHE_" in name or "3DES" in name]
    assert bool([name for name in suites if name.startswith("TLS_RSA_WITH")]) is False or profile == "old"
    assert bool([name for name in suites if "_CBC_" in name]) == (profile == "old")


@pytest.mark.parametrize("host", HOSTS)
def test_an_unknown_name(fleet: WebFleet, profile: str, host: str) -> None:
    result = measured(fleet, host, "unknown.invalid")

    if server_of(host) == "apache":
        # It has no way to refuse in the handshake; what it shows is nobody's certificate.
        names = result["certificates"][0]["leaf"]["names"]
        assert NAME not in names, profile
    else:
        assert not result["reachable"], profile
