# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.json_access_log import FilterModule

json_access_log = FilterModule().filters()["json_access_log"]


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_log_goes_to_the_path(server: str) -> None:
    assert [
        line for line in json_access_log(server, server_version="1.26.3", path="/var/log/x.json") if "/x.json" in line
    ]


def test_frontend_of_haproxy_has_rules_and_a_format() -> None:
    *rules, log_format = json_access_log("haproxy", server_version="3.0.11", tls=True)

    assert all(rule.startswith("http-request set-var(") for rule in rules)
    assert log_format.startswith("log-format '{")


def test_unknown_server() -> None:
    with pytest.raises(AnsibleFilterError, match="json_access_log: server 'iis': it is not known"):
        json_access_log("iis")


def test_error_of_the_library_becomes_a_filter_error() -> None:
    with pytest.raises(AnsibleFilterError, match="json_access_log: nginx version 'new': this is not a version"):
        json_access_log("nginx", server_version="new", path="/x")
