# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.tls_drift import FilterModule

tls_drift = FilterModule().filters()["tls_drift"]


def test_arguments_reach_the_library() -> None:
    (entry,) = tls_drift([], [{"target": {"host": "www.example.com", "port": 443}, "grade": "A"}])
    assert (entry["status"], entry["grade_before"], entry["grade_after"]) == ("appeared", None, "A")


def test_error_of_the_library_becomes_a_filter_error() -> None:
    with pytest.raises(AnsibleFilterError, match="tls_drift: previous results of type str: they are no list"):
        tls_drift("yesterday", [])
