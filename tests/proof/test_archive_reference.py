# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signed archive as the reference, on hosts with all their packages: nothing invented, and more seen than before.

Every package of each host comes through the host's own mirror. Then the same hosts are damaged in ways that the
database does not record, or lies about.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers.fleet import Fleet

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are booted by root; run make proof as root")

HOSTS = {"old1": "bullseye", "web1": "bookworm", "web2": "trixie"}
#: Damage -> what the archive must call it. The last is a file changed together with its digest in the database.
DAMAGES = {
    "/usr/bin/cksum": ("chmod u+s /usr/bin/cksum", "mode_changed"),
    "/usr/bin/comm": ("chown nobody /usr/bin/comm", "owner_changed"),
    "/usr/share/doc/libgcc-s1": ("ln -sfn nowhere /usr/share/doc/libgcc-s1", "target_changed"),
    "/usr/bin/uniq": (
        "printf x >> /usr/bin/uniq && digest=$(md5sum /usr/bin/uniq | cut -c-32) && "
        'sed -i "s#^.*  usr/bin/uniq#$digest  usr/bin/uniq#" /var/lib/dpkg/info/coreutils.md5sums',
        "content_changed",
    ),
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet("archive", HOSTS, tmp_path_factory.mktemp("archive"))
    yield fleet
    fleet.down()


def verify(fleet: Fleet, reference: str) -> dict[str, Any]:
    """Return what the module says of each host."""
    results = fleet.directory / reference
    results.mkdir(exist_ok=True)
    playbook = fleet.directory / "verify.json"
    module = {"reference": reference, "max_findings": 1000}
    tasks = [
        {"ringmaster.webops.package_consistency_info": module, "register": "verified"},
        {
            "ansible.builtin.copy": {
                "dest": f"{results}/{{{{ inventory_hostname }}}}",
                "content": "{{ verified | to_json }}",
                "mode": "0600",
            },
            "delegate_to": "localhost",
        },
    ]
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    done = fleet.ansible(playbook)
    assert done.returncode == 0, done.stdout + done.stderr
    return {host: json.loads((results / host).read_text(encoding="utf-8")) for host in HOSTS}


def test_a_fresh_host_is_what_its_archive_says(fleet: Fleet) -> None:
    for host, result in verify(fleet, "archive").items():
        coverage = result["coverage"]
        print(f"| {HOSTS[host]} | {coverage['packages']} | {coverage['files']} | {result['duration_ms']} ms |")
        assert result["findings"] == []
        assert result["database_problems"] == []
        # The lab mounts a file system over an empty directory of a package.
        assert {gap["reason"] for gap in coverage["gaps"]} <= {"hidden_by_mount"}, coverage["gaps"]
        assert coverage["files"]["not_verified"] <= 5
        assert coverage["packages"]["installed"] > 100


def test_the_archive_sees_what_the_database_does_not(fleet: Fleet) -> None:
    for host in HOSTS:
        for command, _category in DAMAGES.values():
            fleet.ssh(host, command)
    by_database, by_archive = verify(fleet, "database"), verify(fleet, "archive")

    for host in HOSTS:
        assert by_database[host]["findings"] == []
        found = {finding["path"]: finding["class"] for finding in by_archive[host]["findings"]}
        assert found == {path: category for path, (_command, category) in DAMAGES.items()}
        assert [problem["file"] for problem in by_archive[host]["database_problems"]] == [
            "/var/lib/dpkg/info/coreutils.md5sums"
        ]
