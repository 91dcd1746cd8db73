# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure where the task runs, judge on the control node."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import policy
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.assess import Rules, assess
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.grade import CRITERIA
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.mozilla import DEFAULT_VERSION
from ansible_collections.ringmaster.webops.plugins.plugin_utils import trust_anchors

_SHIPPED_POLICIES = Path(__file__).resolve().parents[2] / "extensions" / "tls_policies"
_MAX_POLICY_BYTES = 1024 * 1024


class ActionModule(ActionBase):
    """The control node's half of M(ringmaster.webops.tls_endpoint_info)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module of the same name and put a verdict to its facts."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        trust_anchors.require_cryptography()
        anchors = trust_anchors.read(self._task.args.get("ca_path"))
        rules = Rules(
            str(self._task.args.get("mozilla_version", DEFAULT_VERSION)),
            tuple(self._policy(name) for name in self._policy_names(self._task.args.get("policies"))),
            str(self._task.args.get("criteria", CRITERIA[-1])),
        )
        measured: dict[str, Any] = self._execute_module(
            module_name="ringmaster.webops.tls_endpoint_info", module_args=self._task.args, task_vars=task_vars
        )
        scans = measured.pop("scans", None)
        result.update(measured)
        if not anchors:
            result.setdefault("warnings", []).append(trust_anchors.NO_ANCHORS)
        if scans is not None:
            result.update(assess(scans, anchors, datetime.datetime.now(datetime.timezone.utc), rules))
        return result

    @staticmethod
    def _policy_names(given: object) -> list[str]:
        names = [given] if isinstance(given, str) else given or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise AnsibleActionFail(f"policies: {given!r} is no list of names. Give policies' names or paths")
        return [str(name) for name in names]

    @staticmethod
    def _policy(name: str) -> policy.Policy:
        """Read a policy on the control node: one that is shipped, by its name, or a file."""
        shipped = sorted(path.stem for path in _SHIPPED_POLICIES.glob("*.yml"))
        path = _SHIPPED_POLICIES / f"{name}.yml" if name in shipped else Path(name).expanduser()
        try:
            with path.open("rb") as stream:
                form = yaml.safe_load(stream.read(_MAX_POLICY_BYTES))
            return policy.load(form)
        except (OSError, yaml.YAMLError) as error:
            raise AnsibleActionFail(
                f"policies: {name!r} is no shipped policy ({', '.join(shipped)}), and no file that can be read as YAML "
                f"({error}). Give one of these names, or the path of a policy on the control node"
            ) from error
        except WebopsError as error:
            raise AnsibleActionFail(f"policy {name}: {error}") from error
