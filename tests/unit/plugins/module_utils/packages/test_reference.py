# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signed package as the reference of a whole verification: what dpkg's database cannot say is found."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.peers.signed_repository import SignedRepository

if TYPE_CHECKING:
    from tests.peers.dpkg_system import System


@pytest.fixture
def signed(system: System) -> System:
    """The sound root, whose packages lie in an archive that it trusts."""
    missing = [name for name in ("gpg", "apt-get", "dpkg-scanpackages") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}, with which a signed archive is made and read, is not installed")
    packages = [
        system.build(
            "gamma",
            {"/usr/bin/gamma": b"gamma\n", "/usr/share/gamma/text": b"text\n"},
            links=(("/usr/share/gamma/link", "text"),),
        )
    ]
    system.dpkg("--install", *packages)
    SignedRepository(system.base, packages).trust(system.root)
    return system


def test_mode_and_link_are_found_with_the_archive_and_not_without(signed: System) -> None:
    chosen = {"packages": ("gamma",), "reference": "archive"}
    sound = signed.check(**chosen)
    files = sound["coverage"]["files"]
    assert (sound["findings"], files["mode_not_compared"], files["owner_not_compared"]) == ([], 0, 0)
    signed.path("/usr/bin/gamma").chmod(0o777)
    signed.path("/usr/share/gamma/link").unlink()
    signed.path("/usr/share/gamma/link").symlink_to("elsewhere")
    signed.path("/usr/share/gamma/text").write_bytes(b"TEXT\n")
    found = {finding["path"]: finding for finding in signed.check(**chosen)["findings"]}
    assert {path: finding["class"] for path, finding in found.items()} == {
        "/usr/bin/gamma": "mode_changed",
        "/usr/share/gamma/link": "target_changed",
        "/usr/share/gamma/text": "content_changed",
    }
    assert "sha256" in found["/usr/share/gamma/text"]["expected"]
    assert [finding["path"] for finding in signed.check(packages=("gamma",))["findings"]] == ["/usr/share/gamma/text"]


def test_a_package_that_cannot_be_had_is_a_gap(system: System) -> None:
    result = system.check(reference="archive")
    assert result["findings"] == []
    assert result["summary"]["verdict"] == "incomplete"
    assert result["coverage"]["packages"]["verified"] == 0
