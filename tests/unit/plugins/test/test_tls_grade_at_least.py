# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test as Ansible calls it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.test.tls_grade_at_least import TestModule as Plugin

tls_grade_at_least = Plugin().tests()["tls_grade_at_least"]


@pytest.mark.parametrize(
    ("result", "minimum", "expected"),
    [
        ({"grade": "A", "grade_is_upper_bound": False}, "A-", True),
        ({"grade": "B", "grade_is_upper_bound": False}, "A-", False),
        ({"grade": "A", "grade_is_upper_bound": True}, "A-", False),
        ({"grade": "T", "grade_is_upper_bound": False}, "F", False),
        ({"grade": None, "grade_is_upper_bound": False}, "F", False),
        ({"grade": "A"}, "F", False),
    ],
)
def test_result(result: dict[str, object], minimum: str, expected: bool) -> None:
    assert tls_grade_at_least(result, minimum) is expected


@pytest.mark.parametrize(("result", "minimum"), [("A", "A"), ({}, "A"), ({"grade": "A"}, "Z"), ({"grade": "A"}, "a")])
def test_misuse_is_told(result: object, minimum: str) -> None:
    with pytest.raises(AnsibleFilterError, match="tls_grade_at_least"):
        tls_grade_at_least(result, minimum)
