# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.ringmaster.webops.plugins.filter.certificate_deployment import FilterModule

certificate_deployment = FilterModule().filters()["certificate_deployment"]


def test_arguments_reach_the_library() -> None:
    certificate = {"name": "www", "owner": "root", "group": "root", "complete": True, "version": "1", "files": []}
    done = certificate_deployment([certificate], [], "/etc/ssl/ringmaster")

    assert done["links"] == [{"path": "/etc/ssl/ringmaster/www", "target": ".versions/www/1"}]
