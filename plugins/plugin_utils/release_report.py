# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of a ``webserver_config`` task: filled step by step, and always with the same keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import measured, verdict
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.findings import Findings
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.request import Endpoint

_LIVE_AGAIN = "What was live before is live again"
# What Ansible itself wants to know of a module that was run, and what explains one that broke down.
_PASSED_ON = ("ansible_facts", "deprecations", "exception", "module_stdout", "module_stderr", "rc")


class Report:
    """The result so far. Each method that ends a task returns it."""

    def __init__(self, facts: Mapping[str, Any], with_diff: bool) -> None:
        """Begin with what the host says of the release and of itself."""
        self._facts = facts
        self._with_diff = with_diff
        self._warnings: list[Any] = list(facts.get("warnings") or ())
        self._live_before: Mapping[Endpoint, measured.Result] = {}
        self._shut_out: Mapping[str, tuple[list[str], list[str]]] = {}
        self._result: dict[str, Any] = {
            **{key: facts[key] for key in _PASSED_ON if key in facts},
            "changed": bool(facts.get("changed")),
            "stage": verdict.RENDERED,
            "release": facts.get("release"),
            "previous_release": facts.get("live_release"),
            "grade_before": {},
            "grade_after": {},
            "rolled_back": False,
            "reason": None,
            "shadow": facts.get("shadow") or {"status": "skipped", "reason": None},
            "removed_names": [],
            "restart_required": list(facts.get("restart_required") or ()),
            "clients_shut_out": [],
            "endpoints": [],
        }
        self._differences: list[dict[str, Any]] = list(facts.get("diff") or ())

    # --- what is learnt on the way

    def warn(self, text: str) -> None:
        """Note what a person should know all the same."""
        self._warnings.append(text)

    def plan(self, plan: verdict.Plan) -> None:
        """Note what was judged before the switch."""
        self._live_before = plan.live
        self._warnings += plan.warnings
        self._result["removed_names"] = list(plan.removed_names)
        self._result["grade_before"] = measured.grades(plan.live)
        self._measured(plan.shadow)

    def note(self, answer: Mapping[str, Any]) -> None:
        """Note what a later step brought with it."""
        self._warnings += answer.get("warnings") or ()
        self._result["restart_required"] = list(answer.get("restart_required") or self._result["restart_required"])

    def live(self, results: Mapping[Endpoint, measured.Result], found: Findings) -> None:
        """Note what was measured and judged after the switch."""
        self._warnings += found.warnings
        self._measured(results)

    def _measured(self, results: Mapping[Endpoint, measured.Result]) -> None:
        """Note how the release answers, in the shadow and later in place of that live."""
        if not results:
            return
        self._result["grade_after"] = measured.grades(results)
        self._result["endpoints"] = [measured.summary(each) for each in results.values()]
        self._shut_out = measured.clients_shut_out(self._live_before, results)
        self._result["clients_shut_out"] = list(dict.fromkeys(_lost(self._shut_out.values())))

    # --- how it ends

    def unchanged(self) -> dict[str, Any]:
        """Return the result of a host on which all is as it should be."""
        return self._ended(verdict.CONFIRMED)

    def would_change(self, stage: str, server: str) -> dict[str, Any]:
        """Return the result of check mode."""
        if not self._facts["installed"]:
            stage = verdict.RENDERED
            self._result["msg"] = (
                f"{server} is not installed on this host: nothing was tested or measured. "
                "Once its package is there, this release would be"
            )
        return self._ended(stage, changed=True)

    def confirmed(self) -> dict[str, Any]:
        """Return the result of a release that is live to stay."""
        return self._ended(verdict.CONFIRMED, changed=True)

    def failed(self, stage: str, reason: str) -> dict[str, Any]:
        """Return the result of a release that did not go live."""
        self._result.update(failed=True, msg=reason, reason=reason)
        return self._ended(stage)

    def rolled_back(self, stage: str, reason: str, was_switched: bool) -> dict[str, Any]:
        """Return the result of a release that did not stay live, or that the host did not switch to at all."""
        self._result["rolled_back"] = was_switched
        ended = self.failed(stage, reason)
        return {**ended, "msg": f"{_sentence(reason)} {_LIVE_AGAIN}"} if was_switched else ended

    def stuck(self, stage: str, reason: str, failure: str, timeout_seconds: int | None) -> dict[str, Any]:
        """Return the result of a release that should not stay live, and that this task could not undo.

        ``timeout_seconds`` is when the host goes back by itself at the latest, ``None`` where it cannot.
        """
        msg = f"{_sentence(reason)} Going back failed too: {_sentence(failure)}"
        if timeout_seconds is not None:
            msg = f"{msg} {_way_back(timeout_seconds)}"
        return {**self.failed(stage, reason), "changed": True, "msg": msg}

    def lost(self, error: str, timeout_seconds: int) -> dict[str, Any]:
        """Return the result of a host that could not be reached any more when it may have switched already."""
        reason = f"The connection to the host was lost during the switch: {error.rstrip(': ')}"
        msg = f"{_sentence(reason)} {_way_back(timeout_seconds)}"
        return {**self.failed(verdict.MEASURED, reason), "changed": True, "msg": msg}

    def _ended(self, stage: str, changed: bool = False) -> dict[str, Any]:
        self._result["stage"] = stage
        self._result["changed"] = changed or self._result["changed"]
        if self._warnings:
            self._result["warnings"] = self._warnings
        if self._with_diff:
            self._result["diff"] = [*self._differences, *map(_clients, self._shut_out.items())]
        return self._result


def _lost(lists: Iterable[tuple[list[str], list[str]]]) -> list[str]:
    return [name for before, after in lists for name in before if name not in after]


def _clients(shut_out: tuple[str, tuple[list[str], list[str]]]) -> dict[str, str]:
    """Return as a difference which well-known clients can connect to an endpoint before and after."""
    key, (before, after) = shut_out
    header = f"clients that can connect to {key}"
    return {
        "before_header": header,
        "after_header": header,
        "before": "".join(f"{name}\n" for name in before),
        "after": "".join(f"{name}\n" for name in after),
    }


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _way_back(timeout_seconds: int) -> str:
    return (
        f"Unless the release was confirmed already, the host itself goes back to what was live before within "
        f"{timeout_seconds} seconds of the switch. Look at it then, and run again"
    )
