# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the role haproxy refuses to put another authority of the peers in the place of the one that a host has."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "haproxy"
OWN, OTHER = b"-----BEGIN CERTIFICATE-----\nown\n", b"-----BEGIN CERTIFICATE-----\nother\n"
THERE = "/etc/haproxy/ringmaster/current/peers/ca.pem"
GROUP = {"loadbalancers": {"hosts": {"localhost": {"ansible_host": "192.0.2.1"}, "lb2": {"ansible_host": "192.0.2.2"}}}}


def refusals(directory: Path, here: bytes | None, there: bytes | None, **changes: object) -> list[str]:
    """Return the role's refusals where these authorities lie on the control node and on the host."""
    if here is not None:
        (directory / "ca.pem").write_bytes(here)
    digest = None if there is None else hashlib.sha256(there).hexdigest()
    known: dict[str, Any] = {"fullchain": THERE, "exists": there is not None, "sha256": digest}
    asked = {
        "installed": True, "version": "2.6.12", "openssl_version": "3.0.19", "modules": [], "foreign": [],
        "distribution": "Debian", "distribution_version": "12", "certificates": {THERE: [known]},
    }  # fmt: skip
    inventory, given = directory / "inventory.json", directory / "given.json"
    inventory.write_text(json.dumps(GROUP))
    peers = {"haproxy_peers": {"ca_directory": str(directory)}}
    given.write_text(json.dumps({**peers, "__haproxy_asked": asked, **changes}))
    files = [ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml", given]
    command = [
        str(Path(sys.executable).with_name("ansible")), "localhost", "-i", str(inventory), "-c", "local",
        "-m", "ansible.builtin.debug", "-a", "var=__haproxy_refusals", *(f"-e@{file}" for file in files),
    ]  # fmt: skip
    environment = {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_HOME": str(directory),
        "ANSIBLE_NOCOLOR": "true",
    }  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said: list[str] = json.loads(done.stdout.partition("=>")[2])["__haproxy_refusals"]
    return said


@pytest.mark.parametrize("here", [None, OWN], ids=["none here", "another here"])
def test_another_authority_than_the_hosts_is_refused(tmp_path: Path, here: bytes | None) -> None:
    (said,) = refusals(tmp_path, here, OTHER)
    assert said.startswith("localhost knows the other load balancers by an authority that is not the one in")
    assert "haproxy_replace_peers_authority" in said


@pytest.mark.parametrize(
    ("here", "there", "changes"),
    [
        (OWN, OWN, {}),
        (OWN, None, {}),
        (None, None, {}),
        (OWN, OTHER, {"haproxy_replace_peers_authority": True}),
        (OWN, OTHER, {"haproxy_peers": {"certificate": "/srv/lb1.pem", "ca_file": "/srv/ca.pem"}}),
        (OWN, OTHER, {"haproxy_load_balancers": ""}),
    ],
    ids=["the same", "none there", "none at all", "asked for", "files of their own", "alone"],
)
def test_others_are_not(tmp_path: Path, here: bytes | None, there: bytes | None, changes: dict[str, Any]) -> None:
    assert refusals(tmp_path, here, there, **changes) == []
