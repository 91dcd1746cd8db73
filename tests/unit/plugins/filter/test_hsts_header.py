# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.hsts_header import FilterModule

hsts_header = FilterModule().filters()["hsts_header"]


def test_arguments_reach_the_library() -> None:
    assert hsts_header("full", include_subdomains=True, preload=True) == "max-age=63072000; includeSubDomains; preload"


def test_error_of_the_library_becomes_a_filter_error() -> None:
    with pytest.raises(AnsibleFilterError, match="hsts_header: HSTS stage 'someday': it is not known"):
        hsts_header("someday")
