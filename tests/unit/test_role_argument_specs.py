# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's documented options and its defaults are the same: names and values."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
SERVER_ROLES = ("apache", "haproxy", "nginx")
ROLE_NAMES = sorted(path.parent.parent.name for path in ROLES.glob("*/defaults/main.yml"))


@cache
def load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), path
    return content


def documented_options(role: str) -> dict[str, Any]:
    options: dict[str, Any] = load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def test_every_role_is_looked_at() -> None:
    assert [path.name for path in sorted(ROLES.iterdir())] == ROLE_NAMES


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_defaults_equal_argument_specs(role: str) -> None:
    documented = {name: spec["default"] for name, spec in documented_options(role).items() if "default" in spec}

    assert load(ROLES / role / "defaults" / "main.yml") == documented


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_option_without_default_is_required(role: str) -> None:
    without_default = {name for name, spec in documented_options(role).items() if "default" not in spec}
    required = {name for name, spec in documented_options(role).items() if spec.get("required")}

    assert without_default == required


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_options_carry_the_roles_prefix(role: str) -> None:
    assert [name for name in documented_options(role) if not name.startswith(f"{role}_")] == []


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_readme_names_every_option(role: str) -> None:
    readme = (ROLES / role / "README.md").read_text(encoding="utf-8")

    assert [name for name in documented_options(role) if f"`{name}`" not in readme] == []


def with_suffix(suffix: str) -> dict[str, dict[str, Any]]:
    """Return the option of each server's role that ends in ``suffix``, its default with the role's name left open."""
    found = {}
    for role in SERVER_ROLES:
        spec = documented_options(role).get(f"{role}_{suffix}")
        if spec is not None:
            found[role] = {**spec, "default": str(spec["default"]).replace(f"{role}_", "ROLE_")}
    return found


@pytest.mark.parametrize(
    "suffix",
    [
        "tls_profile",
        "hsts_stage",
        "hsts_include_subdomains",
        "hsts_preload",
        "security_headers",
        "minimum_grade",
        "ca_path",
        "take_over",
        "removed_names",
        "keep_releases",
        "allow_restart",
        "undo_release",
        "json_access_log",
        "anonymise_clients",
        "systemd_sandbox",
        "certificate_directory",
    ],
)
def test_the_same_suffix_means_the_same_in_every_role(suffix: str) -> None:
    (first, *others) = with_suffix(suffix).values()

    assert len(others) == len(SERVER_ROLES) - 1
    for key in ("type", "elements", "default", "choices"):
        assert [spec.get(key) for spec in others] == [first.get(key)] * len(others), key


@pytest.mark.parametrize(
    ("suffix", "roles"), [("rate_limits", SERVER_ROLES), ("acme_challenge_directory", ("apache", "nginx"))]
)
def test_the_same_suffix_has_the_same_type(suffix: str, roles: tuple[str, ...]) -> None:
    specs = with_suffix(suffix)

    assert tuple(specs) == roles
    assert len({(spec["type"], spec["default"]) for spec in specs.values()}) == 1
