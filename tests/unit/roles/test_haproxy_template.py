# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role haproxy renders, with Ansible itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "haproxy"
FRONTENDS = [
    {"name": "plain", "binds": [{"port": 80}]},
    {"name": "secure", "binds": [{"port": 443, "tls": True, "certificates": ["www"]}]},
]
VARIABLES = {
    "haproxy_frontends": FRONTENDS,
    "__haproxy_binary": {"stdout": "HAProxy version 2.6.12\nRunning on OpenSSL version : OpenSSL 3.0.19"},
    "__haproxy_certificate_files": {"results": [{"item": "www", "stat": {"checksum": "ab" * 32}}]},
}


def render(directory: Path, changes: dict[str, Any]) -> str:
    """Return the configuration as the role's task would write it with ``changes`` to :data:`VARIABLES`."""
    result = directory / "haproxy.cfg"
    given = directory / "given.json"
    given.write_text(json.dumps({**VARIABLES, **changes}))
    files = [ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml", given]
    task = json.dumps({"src": f"{ROLE}/templates/haproxy.cfg.j2", "dest": str(result), "lstrip_blocks": True})
    program = str(Path(sys.executable).with_name("ansible"))
    command = [program, "localhost", "-m", "ansible.builtin.template", "-a", task]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_HOME": str(directory)}
    done = subprocess.run(
        [*command, *(f"-e@{file}" for file in files)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return result.read_text()


def digest(configuration: str) -> str:
    """Return what HAProxy will answer when it is asked which configuration it runs with."""
    (found,) = re.findall(r'http-request return .* string "([0-9a-f]{64})" if { path /configuration }', configuration)
    return str(found)


def sections(configuration: str) -> dict[str, list[str]]:
    """Return the lines of each section."""
    parts = [part.splitlines() for part in configuration.split("\n\n")]
    heads = [[line for line in part if not line.startswith("#")] for part in parts]
    return {lines[0]: [line.strip() for line in lines[1:]] for lines in heads if lines}


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(tmp_path_factory.mktemp("haproxy"), {})


def test_same_variables_have_the_same_digest(configuration: str, tmp_path: Path) -> None:
    assert digest(render(tmp_path, {})) == digest(configuration)


@pytest.mark.parametrize(
    "changes",
    [
        {"haproxy_hard_stop_after": "31m"},
        {"haproxy_stats": {"port": 8405}},
        {"__haproxy_certificate_files": {"results": [{"item": "www", "stat": {"checksum": "cd" * 32}}]}},
    ],
    ids=["a setting", "the place of the question itself", "a renewed certificate"],
)
def test_whatever_changes_has_another_digest(configuration: str, tmp_path: Path, changes: dict[str, Any]) -> None:
    assert digest(render(tmp_path, changes)) != digest(configuration)


def test_transport_security_is_for_tls_alone(configuration: str) -> None:
    of = sections(configuration)
    set_header = 'http-after-response set-header Strict-Transport-Security "max-age=300" if { ssl_fc }'
    remove_header = "http-after-response del-header Strict-Transport-Security unless { ssl_fc }"

    assert set_header in of["frontend secure"]
    assert [line for line in of["frontend plain"] if "Strict-Transport-Security" in line] == [remove_header]


@pytest.mark.parametrize("section", ["frontend plain", "frontend secure"])
def test_visitors_cannot_forge_who_they_are(configuration: str, section: str) -> None:
    lines = sections(configuration)[section]

    for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP"):
        assert f"http-request del-header {header}" in lines
    assert "option forwardfor" in lines
    assert "http-request set-header X-Forwarded-Proto https if { ssl_fc }" in lines
    assert "http-request set-header X-Forwarded-Proto http unless { ssl_fc }" in lines
