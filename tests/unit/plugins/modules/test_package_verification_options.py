# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that the modules of package verification share: documented once, and as the modules take them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from ansible_collections.ringmaster.webops.plugins.doc_fragments.package_verification import ModuleDocFragment
from ansible_collections.ringmaster.webops.plugins.modules import package_consistency, package_consistency_info

ROOT = Path(__file__).resolve().parents[4]
MODULES = (package_consistency, package_consistency_info)
SHARED: dict[str, Any] = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
SPECIFIED = ("type", "elements", "default", "choices", "required")


class Asked(Exception):
    """The module has said which arguments it takes."""


def argument_spec(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def ask(argument_spec: dict[str, Any], **_options: object) -> None:
        asked.append(argument_spec)
        raise Asked

    monkeypatch.setattr(module, "AnsibleModule", ask)
    with pytest.raises(Asked):
        module.main()
    return asked[0]


def documented(module: ModuleType, home: Path) -> dict[str, dict[str, Any]]:
    """Return what a user is shown of the options."""
    name = f"ringmaster.webops.{module.__name__.rpartition('.')[2]}"
    program = Path(sys.executable).with_name("ansible-doc")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_HOME": str(home)}
    shown = subprocess.run([program, "--json", name], capture_output=True, check=True, env=environment)
    options: dict[str, dict[str, Any]] = json.loads(shown.stdout)[name]["doc"]["options"]
    return options


def as_specified(options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: option[key] for key in SPECIFIED if option.get(key) not in (None, False)}
        for name, option in options.items()
    }


@pytest.mark.parametrize("module", MODULES)
def test_options_are_documented_as_they_are_taken(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = documented(module, tmp_path)

    assert as_specified(options) == as_specified(argument_spec(module, monkeypatch))
    assert {name: options[name]["description"] for name in SHARED} == {
        name: option["description"] for name, option in SHARED.items()
    }


def test_what_is_shared_is_documented_once() -> None:
    first, second = (yaml.safe_load(module.DOCUMENTATION)["options"] for module in MODULES)

    assert (first.keys() | second.keys()) & SHARED.keys() == set()
    assert [name for name in first.keys() & second.keys() if first[name] == second[name]] == []
