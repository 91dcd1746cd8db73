# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fields with relations between packages, as packages have them."""

from __future__ import annotations

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.relations import has_named, relations

NAMED = {
    # field: whether it names other in version 1.0-1
    "": False,
    "other": True,
    "other:any": True,
    "another, others": False,
    "more (>= 1), other (<< 1.1)": True,
    "other (<< 1.0-1)": False,
    "other (<= 1.0-1), more": True,
    "other (= 1.0-1)": True,
    "other (>> 1.0-1~)": True,
    "other (<< 0.9), other (>= 1.0)": True,
    "other(<<2)": True,
    "other (<< ${nothing})": False,
}


@pytest.mark.parametrize(("field", "expected"), NAMED.items())
def test_package_is_named_in_its_version(field: str, expected: bool) -> None:
    assert has_named(field, "other", "1.0-1") == expected


def test_alternatives_are_all_read() -> None:
    field = "libc6 (>= 2.36), tool:any | other (= 1:1.0-1),\n more"
    expected = [("libc6", ">=", "2.36"), ("tool", "", ""), ("other", "=", "1:1.0-1"), ("more", "", "")]
    assert relations(field) == expected
