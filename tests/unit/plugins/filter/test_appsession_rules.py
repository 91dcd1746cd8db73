# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter passes everything on, and turns the library's errors into Ansible's."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.appsession_rules import FilterModule

appsession_rules = FilterModule().filters()["appsession_rules"]


def test_lines() -> None:
    lines = appsession_rules(
        {"cookie": "SID", "timeout": "1h"}, haproxy_version="3.0.11", backend="app", failover="first_wins", peers="lbs"
    )
    assert lines[0] == "stick-table type binary len 32 size 100k expire 1h peers lbs"


def test_the_line_of_1_5_is_a_session_too() -> None:
    lines = appsession_rules("SID len 8 timeout 1h", haproxy_version="3.0.11", backend="app")
    assert lines[0] == "stick-table type string len 8 size 100k expire 1h"


def test_error_names_value_reason_and_remedy() -> None:
    with pytest.raises(AnsibleFilterError, match=r"'60d'.*timers end at.*Give at most 24d"):
        appsession_rules({"cookie": "SID", "timeout": "60d"}, haproxy_version="3.0.11", backend="app")
