# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps sessions over a reload, by the HAProxy that is there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_reloads import Needs, reload_needs

KEEPS: dict[str, object] = {"name": "app", "app_session": {"cookie": "PHPSESSID"}}
LOAD = "lua-load /release/hold.lua"


def needs(
    version: str,
    *,
    backend: dict[str, object] | None = None,
    extra: Sequence[str] = (),
    modules: Sequence[str] = ("LUA",),
) -> Needs:
    backends = [KEEPS if backend is None else backend]
    return reload_needs("/release", backends, extra, {"version": version, "modules": list(modules)})


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        ("2.2.9-2+deb11u7", ["nbthread 1", LOAD]),
        ("2.2.13", ["nbthread 1", LOAD]),
        ("2.2.14", [LOAD]),
        ("2.6.12", [LOAD]),
        ("3.0.11", [LOAD]),
    ],
)
def test_a_release_that_loses_tables_with_several_threads_runs_one(version: str, lines: list[str]) -> None:
    assert needs(version).lines == lines
    assert needs(version).warnings == []


@pytest.mark.parametrize(
    ("extra", "warns"),
    [
        (["nbthread 4"], True),
        (["  nbthread  4"], True),
        (["nbthread 1", "nbthread 2"], True),
        (["nbthread 1"], False),
    ],
)
def test_the_operators_own_number_of_threads_stands_and_is_warned_about(extra: list[str], warns: bool) -> None:
    old = needs("2.2.9", extra=extra)
    assert old.lines == [LOAD]
    assert ["HAProxy 2.2.9 ends on many a reload" in said for said in old.warnings] == [True] * warns
    assert needs("2.6.12", extra=extra).warnings == []


def test_without_lua_nobody_waits_and_that_is_said() -> None:
    without = needs("2.2.9", modules=())
    assert (without.files, without.lines) == ([], ["nbthread 1"])
    assert "built without Lua" in without.warnings[0]


def test_the_program_is_a_file_of_the_release() -> None:
    assert needs("3.0.11").files == [{"path": "hold.lua", "src": "hold.lua", "mode": "0644"}]


def test_nothing_is_needed_without_sessions_or_before_the_host_was_asked() -> None:
    assert needs("2.2.9", backend={"name": "app"}) == Needs()
    assert reload_needs("/release", [KEEPS], [], None) == Needs()
