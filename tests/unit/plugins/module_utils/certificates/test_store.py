# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.request import wanted
from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.store import Store
from ansible_collections.ringmaster.webops.tests.unit.plugins.module_utils.certificates.made import (
    NOW,
    OWN_CA,
    PUBLIC_CA,
    TRUSTED,
    Made,
)

SOURCES = ("given", "acme", "own_ca", "self_signed")
NAMES = ("www.example.org",)


def look(directory: Path, **more: object) -> dict[str, Any]:
    entry = {"name": "www", "names": list(NAMES), **more}
    return Store(directory, TRUSTED, 33, NOW).look(wanted([entry], SOURCES, acme=True))


def request(directory: Path, **more: object) -> dict[str, Any]:
    return cast("dict[str, Any]", look(directory, **more)["requests"][0])


def test_nothing_is_there(tmp_path: Path) -> None:
    plan = look(tmp_path)

    assert plan["requests"][0]["sources"] == ["acme", "own_ca", "self_signed"]
    assert plan["requests"][0]["staging"] == str(tmp_path / "www/.new")
    assert (plan["certificates"][0]["complete"], plan["days_left"], plan["failures"]) == (False, {}, [])


def test_all_is_there(tmp_path: Path) -> None:
    Made(NAMES, PUBLIC_CA).write(tmp_path / "www")
    plan = look(tmp_path)

    assert (plan["requests"][0]["due"], plan["days_left"], plan["failures"]) == (False, {"www": 60}, [])
    assert [(file["name"], file["private"]) for file in plan["certificates"][0]["files"]] == [
        ("fullchain.pem", False),
        ("privkey.pem", True),
    ]


def test_days_left_are_those_of_the_first_to_end(tmp_path: Path) -> None:
    Made(NAMES, PUBLIC_CA).write(tmp_path / "www")
    Made(NAMES, PUBLIC_CA, days=50).write(tmp_path / "www", ".rsa")

    assert look(tmp_path, key_types=["ecdsa-p256", "rsa-2048"])["days_left"] == {"www": 50}


def test_a_version_is_the_contents_of_its_files(tmp_path: Path) -> None:
    def version() -> str:
        return cast(str, look(tmp_path)["certificates"][0]["version"])

    Made(NAMES, PUBLIC_CA).write(tmp_path / "www")
    first = version()
    assert version() == first

    Made(NAMES, PUBLIC_CA).write(tmp_path / "www")
    assert version() != first


def test_a_run_that_was_killed_between_the_copies_is_taken_up(tmp_path: Path) -> None:
    Made(NAMES, PUBLIC_CA).write(tmp_path / "www")
    Made(NAMES, PUBLIC_CA).write(tmp_path / "www/.new")
    shutil.copy(tmp_path / "www/.new/privkey.pem", tmp_path / "www/privkey.pem")
    half = request(tmp_path)
    assert half["due"]
    assert half["sources"][0] == "staged"

    shutil.copy(tmp_path / "www/.new/fullchain.pem", tmp_path / "www/fullchain.pem")
    assert not request(tmp_path)["due"]


@pytest.mark.parametrize(
    ("staged", "problem"),
    [
        (None, "it cannot be read"),
        (Made(NAMES, PUBLIC_CA, days=90), ""),
        (Made(NAMES, OWN_CA), "the certificate that it gave is trusted by fewer"),
        (Made(("example.org",), PUBLIC_CA), "the certificate that it gave does not cover www.example.org"),
    ],
    ids=["nothing was made", "better", "trusted by fewer", "for another name"],
)
def test_what_was_made_is_judged_before_it_takes_the_place_of_the_present_one(
    tmp_path: Path, staged: Made | None, problem: str
) -> None:
    Made(NAMES, PUBLIC_CA).write(tmp_path / "www")
    if staged:
        staged.write(tmp_path / "www/.new")
    found = request(tmp_path)["staged_problem"]

    assert problem in found
    assert bool(found) == bool(problem)


def test_given_files_are_read_where_they_lie_and_a_lost_one_is_a_failure(tmp_path: Path) -> None:
    fullchain, private_key = Made(NAMES, PUBLIC_CA).write(tmp_path / "given")
    given = [{"fullchain": str(fullchain), "private_key": str(private_key)}]
    assert request(tmp_path, given=given)["sources"][0] == "given"

    shutil.copytree(tmp_path / "given", tmp_path / "www")
    assert not request(tmp_path, given=given)["due"]

    private_key.unlink()
    plan = look(tmp_path, given=given)
    assert not plan["requests"][0]["due"]
    assert plan["failures"] == [
        {
            "name": "www",
            "key_type": "ecdsa-p256",
            "source": "given",
            "reason": f"{private_key}: it cannot be read (No such file or directory)",
        }
    ]


def test_a_plan_holds_no_key(tmp_path: Path) -> None:
    _fullchain, private_key = Made(NAMES, PUBLIC_CA).write(tmp_path / "www")

    assert private_key.read_text().splitlines()[1] not in str(look(tmp_path))
