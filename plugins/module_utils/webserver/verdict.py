# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""May a release go live, and may it stay? From the facts of a host, the request, the trust anchors and a moment.

The rules are in vanishing.py, certificate_files.py, grade_gate.py and measured.py; here is their order, which is that
of the stages: what a person must mend first is said first.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.certificate import Anchors
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import grade_gate, measured, vanishing
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.certificate_files import judge_files
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.findings import (
    Findings,
    named,
    said_once,
    together,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.measured import Result
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.request import Endpoint, Request

RENDERED, STAGED, TESTED, SHADOWED, MEASURED = "rendered", "staged", "tested", "shadowed", "measured"
SWITCHED, RELOADED, CONFIRMED = "switched", "reloaded", "confirmed"
# What the roles go on including with take_over: keep. HAProxy reads one file, which can include no other.
_KEPT_DIRECTORIES = {
    "nginx": ("/etc/nginx/conf.d/", "/etc/nginx/sites-enabled/"),
    "apache": ("/etc/apache2/conf-enabled/", "/etc/apache2/sites-enabled/"),
    "haproxy": (),
}

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be done with a release: refused for a reason at a stage, or good to switch to.

    ``live`` and ``shadow`` are the results of its endpoints, without entries where nothing was measured.
    ``grade_decides`` is false for a release to go back to that was live and confirmed before, whatever its grade.
    """

    stage: str
    reason: str | None
    warnings: tuple[str, ...] = ()
    removed_names: tuple[str, ...] = ()
    live: Mapping[Endpoint, Result] = field(default_factory=dict)
    shadow: Mapping[Endpoint, Result] = field(default_factory=dict)
    grade_decides: bool = True


def judge_plan(facts: Facts, request: Request, anchors: Anchors, now: datetime.datetime) -> Plan:
    """Judge what the host found out about a release that is not live yet.

    ``facts`` are what the module returns of its step ``prepare``. ``request`` has the names, listeners and endpoints of
    the release, and also where it is one to go back to.
    """
    if not facts["release"]:  # it could not even be put together
        return Plan(facts["refused"]["stage"], facts["refused"]["reason"])
    live = measured.judged(facts["live_scans"], request.endpoints, anchors, now)
    shadow = measured.judged(facts["shadow_scans"], request.endpoints, anchors, now)
    certificates = _certificates(facts, request, live, now)
    grade_decides = request.release is None or not facts["confirmed_before"]
    stages = (
        (STAGED, _names(facts, request) + _conflicts(facts["conflicts"]) + certificates),
        _own_test(facts),
        (TESTED, _shadow_there(facts["shadow"], request)),
        (MEASURED, _gate(facts, request, live, shadow, grade_decides)),
    )
    stage, reason = _first_refusal(stages, MEASURED if facts["shadow"]["status"] == "measured" else TESTED)
    return Plan(
        stage,
        reason,
        together(found for _stage, found in stages).warnings,
        _removed(facts, request),
        live,
        shadow,
        grade_decides,
    )


def judge_live(
    plan: Plan, scans: Sequence[Facts], request: Request, anchors: Anchors, now: datetime.datetime
) -> tuple[Findings, Mapping[Endpoint, Result]]:
    """Judge what is live after the switch, and return its results too.

    It must answer as the shadow did. Where there was no shadow, it must pass what the shadow would have had to.
    """
    live = measured.judged(scans, request.endpoints, anchors, now)
    if plan.shadow:
        return measured.judge_sameness(plan.shadow, live), live
    if request.endpoints and not live:
        return Findings(("The endpoints were not measured after the switch",)), live
    return _judge_endpoints(live, plan.live, request, plan.grade_decides), live


def _first_refusal(stages: Sequence[tuple[str, Findings]], reached: str) -> tuple[str, str | None]:
    for stage, found in stages:
        if found.refusals:
            return stage, ". ".join(found.refusals)
    return reached, None


def _own_test(facts: Facts) -> tuple[str, Findings]:
    """Return what the host itself refuses: the server's own test, or a shadow that does not start."""
    refused = facts["refused"]
    return (STAGED, Findings()) if refused is None else (refused["stage"], Findings((refused["reason"],)))


def _names(facts: Facts, request: Request) -> Findings:
    """Judge what vanishes. Who goes back has asked for what that release serves, and is told what it does not."""
    if request.release is not None:
        gone = vanishing.vanishing_names(facts["previous_names"], request.names)
        return Findings(warnings=(f"{named(gone)}: served now, and not by this release",) if gone else ())
    names, listeners, removed = request.names, request.listeners, request.removed_names
    kept = _KEPT_DIRECTORIES[request.server]
    foreign = vanishing.judge_foreign(facts["foreign"], request.take_over, names, listeners, removed, kept)
    return foreign + vanishing.judge_own(facts["previous_names"], names, removed)


def _conflicts(conflicts: Sequence[Facts]) -> Findings:
    return Findings(
        tuple(
            f"{each['address']} port {each['port']}: taken by {each['process']}. Stop that, or take another port"
            for each in conflicts
        )
    )


def _certificates(facts: Facts, request: Request, live: Mapping[Endpoint, Result], now: datetime.datetime) -> Findings:
    """Judge the certificate files; of a host that got no further than its own test or has no server, those it sent."""
    files = facts["certificates"]
    partial = facts["refused"] is not None or not facts["installed"]
    found = []
    for endpoint in request.endpoints:
        shown = live.get(endpoint)
        leaves = measured.leaves(shown) if shown is not None else set()
        there = {path: files.get(path, []) for path in endpoint.certificates if path in files or not partial}
        found.append(judge_files(endpoint, there, leaves, now))
    return together(found)


def _shadow_there(shadow: Facts, request: Request) -> Findings:
    if shadow["status"] != "unavailable":
        return Findings()
    reason = f"shadow: unavailable, {shadow['reason']}"
    if request.shadow_required:
        return Findings((f"{reason}. Set shadow to auto to measure after the switch instead",))
    return Findings(warnings=(f"{reason}. What is measured after the switch decides instead",))


def _gate(
    facts: Facts,
    request: Request,
    live: Mapping[Endpoint, Result],
    shadow: Mapping[Endpoint, Result],
    grade_decides: bool,
) -> Findings:
    if facts["shadow"]["status"] != "measured" or facts["refused"] is not None:
        return Findings()
    if request.endpoints and not shadow:
        return Findings(("The endpoints were not measured in the shadow. Run again, and report it if that stays",))
    return _judge_endpoints(shadow, live, request, grade_decides)


def _judge_endpoints(
    results: Mapping[Endpoint, Result], live: Mapping[Endpoint, Result], request: Request, grade_decides: bool
) -> Findings:
    return said_once(
        (each.key, _judge_endpoint(each, results[each], live.get(each), request, grade_decides)) for each in results
    )


def _judge_endpoint(
    endpoint: Endpoint, result: Result, live: Result | None, request: Request, grade_decides: bool
) -> Findings:
    graded = grade_gate.judge_grade(endpoint.key, result, live, request.minimum_grade)
    if not grade_decides and measured.answers(result):
        graded = graded.as_warnings()
    return graded + grade_gate.judge_trust(endpoint.key, result, live)


def _removed(facts: Facts, request: Request) -> tuple[str, ...]:
    own = vanishing.vanishing_names(facts["previous_names"], request.names)
    kept = _KEPT_DIRECTORIES[request.server]
    foreign = vanishing.foreign_removed(facts["foreign"], request.take_over, request.names, kept)
    return tuple(dict.fromkeys((*own, *foreign)))
