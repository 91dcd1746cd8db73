# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Systems inside a system are told of: nobody has verified them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import other_systems

if TYPE_CHECKING:
    from tests.peers.dpkg_system import System


@pytest.mark.parametrize(
    ("place", "database"),
    [
        ("/var/lib/machines/a b", "var/lib/dpkg/status"),
        ("/var/lib/lxc/web/rootfs", "var/lib/rpm/rpmdb.sqlite"),
        ("/var/lib/docker/overlay2/0f/merged", "lib/apk/db/installed"),
        ("/srv/chroot/gentoo", "var/db/pkg/app-misc/x-1/CONTENTS"),
    ],
)
def test_pitfall_60_system_inside_is_named_and_no_reason_against_this_one(
    system: System, place: str, database: str
) -> None:
    system.path(f"{place}/{database}").parent.mkdir(parents=True)
    system.path(f"{place}/{database}").touch()
    system.path("/var/lib/machines/empty/var/lib").mkdir(parents=True)
    result = system.check()
    assert result["coverage"]["other_systems"] == [place]
    assert result["summary"]["verdict"] == "consistent"


def test_pitfall_60_no_more_are_named_than_a_person_reads(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_systems, "MAX_FOUND", 2)
    for name in "abc":
        system.path(f"/var/lib/machines/{name}/var/lib/rpm").mkdir(parents=True)
    assert system.check()["coverage"]["other_systems"] == ["/var/lib/machines/a", "/var/lib/machines/b"]
