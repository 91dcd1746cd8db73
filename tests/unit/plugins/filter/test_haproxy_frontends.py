# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter passes everything on, and turns the library's errors into Ansible's."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.filter.haproxy_frontends import FilterModule

haproxy_frontends = FilterModule().filters()["haproxy_frontends"]


def test_settings_come_to_what_the_role_needs() -> None:
    settings = {"frontends": [{"name": "f", "binds": [{"port": 443, "tls": True, "certificates": ["www"]}]}]}
    assert haproxy_frontends(settings)["certificate_paths"] == ["/etc/ssl/ringmaster/www"]


def test_errors_are_ansibles() -> None:
    with pytest.raises(AnsibleFilterError, match="haproxy_frontends: haproxy_frontends, entry f: nobody could connect"):
        haproxy_frontends({"frontends": [{"name": "f", "binds": []}]})
