# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.webserver_sites import FilterModule

webserver_sites = FilterModule().filters()["webserver_sites"]


def test_arguments_reach_the_library() -> None:
    found = webserver_sites({"sites": [], "addresses": ["192.0.2.1"]}, server="apache", info={"certificates": {}})

    assert [one["address"] for one in found["listeners"]] == ["192.0.2.1", "192.0.2.1"]


def test_error_of_the_library_becomes_a_filter_error() -> None:
    with pytest.raises(AnsibleFilterError, match="webserver_sites: apache_sites, entry a: kind None: it is not known"):
        webserver_sites({"sites": [{"name": "a", "server_names": ["a"]}]}, server="apache")


def test_unknown_server() -> None:
    with pytest.raises(AnsibleFilterError, match="webserver_sites: server 'iis': it is not known"):
        webserver_sites({"sites": []}, server="iis")


def test_settings_without_sites() -> None:
    with pytest.raises(AnsibleFilterError, match="webserver_sites: settings: there are no sites in them"):
        webserver_sites({"addresses": []}, server="nginx")
