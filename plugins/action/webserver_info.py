# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the host, and judge its certificates on the control node."""

from __future__ import annotations

import datetime
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import certificate_verdict
from ansible_collections.ringmaster.webops.plugins.plugin_utils import trust_anchors


class ActionModule(ActionBase):
    """The control node's half of M(ringmaster.webops.webserver_info)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module of the same name and put a verdict to the certificates that it found."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        trust_anchors.require_cryptography()
        anchors = trust_anchors.read(self._task.args.get("ca_path"))
        result.update(
            self._execute_module(
                module_name="ringmaster.webops.webserver_info", module_args=self._task.args, task_vars=task_vars
            )
        )
        found = result.pop("found", None)
        if found is None:
            return result
        if found and not anchors:
            result.setdefault("warnings", []).append(trust_anchors.NO_ANCHORS)
        now = datetime.datetime.now(datetime.timezone.utc)
        result["certificates"] = {
            path: [certificate_verdict.judge(each, each.pop("chain"), anchors, now) for each in files]
            for path, files in found.items()
        }
        return result
