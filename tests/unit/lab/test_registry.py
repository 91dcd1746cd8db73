# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What labs switch on for the machine goes with the last of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from labkit import registry
from labkit.layout import Clone


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "RUN_DIRECTORY", tmp_path)
    monkeypatch.setattr(registry, "FORWARDING", tmp_path / "ip_forward")
    monkeypatch.setattr(registry, "_FORWARDING_BEFORE", tmp_path / "ip_forward.before")
    monkeypatch.setattr(registry, "NAMESPACES", tmp_path / "netns")
    registry.FORWARDING.write_text("0\n")


def test_the_last_lab_switches_forwarding_off_again() -> None:
    one, other = Clone(Path("/one")).place("demo"), Clone(Path("/other")).place("demo")
    for place, network in ((one, "10.213.0.0/24"), (other, "10.213.1.0/24")):
        registry.enter(place, network)
        registry.ensure_forwarding()
    registry.leave(one.tag)
    assert registry.FORWARDING.read_text() == "1"
    registry.leave(other.tag)
    assert registry.FORWARDING.read_text() == "0"


def test_forwarding_that_was_on_stays_on() -> None:
    registry.FORWARDING.write_text("1\n")
    place = Clone(Path("/one")).place("demo")
    registry.enter(place, "10.213.0.0/24")
    registry.ensure_forwarding()
    registry.leave(place.tag)
    assert registry.FORWARDING.read_text() == "1\n"


@pytest.mark.parametrize("foreign", [[], ["vpn"]])
def test_the_directory_of_namespaces_goes_when_nobody_uses_it(foreign: list[str]) -> None:
    registry.NAMESPACES.mkdir()
    for name in foreign:
        (registry.NAMESPACES / name).touch()
    registry.restore_machine_when_last()
    assert registry.NAMESPACES.exists() == bool(foreign)
