# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.mozilla import (
    GUIDELINES,
    PROFILES,
    profile_named,
)


def test_profiles_are_those_of_the_guidelines() -> None:
    versions = {name: profile.guideline_version for name, profile in PROFILES.items()}
    assert versions == {"modern": "6.0", "intermediate": "6.0", "old": "5.8"}


@pytest.mark.parametrize(("name", "suites"), [("modern", 0), ("intermediate", 6), ("old", 21)])
def test_number_of_suites_is_that_of_the_guideline(name: str, suites: int) -> None:
    assert len(profile_named(name).cipher_suites) == suites


@pytest.mark.parametrize("name", list(PROFILES))
def test_no_profile_has_finite_field_diffie_hellman(name: str) -> None:
    assert not [suite for suite in profile_named(name).cipher_suites if suite.startswith("DHE-")]


@pytest.mark.parametrize("name", list(PROFILES))
def test_source_names_the_version(name: str) -> None:
    profile = profile_named(name)
    assert profile.source == f"https://ssl-config.mozilla.org/guidelines/{profile.guideline_version}.json"


@pytest.mark.parametrize("name", ["Modern", "", "legacy"])
def test_unknown_profile_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(InvalidInputError, match="modern, intermediate, old"):
        profile_named(name)


@pytest.mark.parametrize(
    ("version", "name", "suites", "groups", "dh_bits"),
    [
        ("5.7", "modern", 0, 3, None),
        ("5.7", "intermediate", 9, 3, 2048),
        ("5.7", "old", 26, 3, 1024),
        ("5.8", "modern", 0, 4, None),
        ("5.8", "intermediate", 6, 4, 2048),
        ("5.8", "old", 21, 4, 2048),
        ("6.0", "modern", 0, 4, None),
        ("6.0", "intermediate", 6, 4, 2048),
    ],
)
def test_every_guideline_has_its_own_values(
    version: str, name: str, suites: int, groups: int, dh_bits: int | None
) -> None:
    profile = GUIDELINES[version][name]
    assert (len(profile.cipher_suites), len(profile.groups), profile.dh_bits) == (suites, groups, dh_bits)
    assert (profile.guideline_version, profile.source.endswith(f"/{version}.json")) == (version, True)


def test_the_last_guideline_has_no_profile_old() -> None:
    assert list(GUIDELINES["6.0"]) == ["modern", "intermediate"]
