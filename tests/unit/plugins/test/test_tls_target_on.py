# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test as Ansible calls it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ringmaster.webops.plugins.test.tls_target_on import TestModule as Plugin

tls_target_on = Plugin().tests()["tls_target_on"]


@pytest.mark.parametrize(("target", "expected"), [("web1:443", True), ({"host": "web1"}, True), ("web2", False)])
def test_result(target: object, expected: bool) -> None:
    assert tls_target_on(target, ["web1", "192.0.2.1"]) is expected


def test_misuse_is_told() -> None:
    with pytest.raises(AnsibleFilterError, match="Give a list"):
        tls_target_on("web1", "web1")
