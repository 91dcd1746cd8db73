# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles of the servers make of variables that they share, with Ansible itself in check mode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROLES = ("apache", "haproxy", "nginx")


def check(directory: Path, variables: dict[str, str], expected: str) -> None:
    """Assert something of each role; ``ROLE`` stands for its name in the variables and in what is expected."""
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": [str(ROOT / "roles" / role / name / "main.yml") for name in ("defaults", "vars")],
            "tasks": [
                {
                    "ansible.builtin.assert": {"that": expected.replace("ROLE", role)},
                    "vars": {name.replace("ROLE", role): value for name, value in variables.items()},
                }
            ],
        }
        for role in ROLES
    ]
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps(plays))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_HOME": str(directory)}
    done = subprocess.run(
        [program, "--check", str(playbook)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_false_from_a_command_line_is_false(tmp_path: Path) -> None:
    variables = {"ROLE_hsts_include_subdomains": "false", "ROLE_hsts_preload": "false"}
    check(tmp_path, variables, "not __ROLE_settings.hsts_include_subdomains and not __ROLE_settings.hsts_preload")


@pytest.mark.parametrize(("path", "expected"), [("/nowhere/ca.pem", ""), ("~/ca.pem", "~/ca.pem")])
def test_check_mode_does_without_an_authority_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ca.pem").touch()
    check(tmp_path, {"ROLE_ca_path": path}, f"__ROLE_ca_path == '{expected}'")
