# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed at an endpoint between two results of ``tls_endpoint_info``.

A change is what both results measured and differ in. What was not tested on one side is unknown, with the reason: a
scan that saw less is not a server that became better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import drift_facts
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.drift_facts import Comparison

_IDENTITY = ("host", "port", "server_name", "starttls")


def drift(previous: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Compare two results of the same target.

    Returns ``target``, ``address``, ``changed``, ``changes`` (each with ``fact``, ``before``, ``after`` and
    ``direction``: ``better``, ``worse``, ``neutral`` or ``unknown``), ``unknown`` (each with ``fact`` and ``reason``),
    ``grade_before`` and ``grade_after``. Raises InvalidInputError where the results are of different targets.
    """
    before, after = _identity(previous), _identity(current)
    if before != after:
        raise InvalidInputError(
            f"the results of {_label(previous)} and {_label(current)}",
            "they are of different targets",
            "Compare results of the same host, port, server name and STARTTLS protocol",
        )
    found = Comparison()
    found.value("address", previous.get("address"), current.get("address"))
    reachable = bool(previous.get("reachable")), bool(current.get("reachable"))
    found.value("reachable", *reachable, ranks={False: 0, True: 1})
    if all(reachable):
        drift_facts.compare(previous, current, found)
    elif not any(reachable):
        found.value("error.kind", _error_kind(previous), _error_kind(current))
    return {
        "target": current["target"],
        "address": current.get("address"),
        "changed": bool(found.changes),
        "changes": found.changes,
        "unknown": found.unknown,
        "grade_before": previous.get("grade"),
        "grade_after": current.get("grade"),
    }


def drifts(previous: object, current: object) -> list[dict[str, Any]]:
    """Compare the results of two runs, target by target.

    Results are paired by target and address; a target with one result left on both sides is paired whatever its
    address. Each entry is that of :func:`drift` with ``status``: ``compared``, ``appeared`` (``changes`` is empty,
    ``changed`` true) or ``vanished``. Raises InvalidInputError for what is no list of results.
    """
    olds = _results(previous, "previous")
    pairs = _pair(olds, _results(current, "current"))
    paired = [id(old) for old, _new in pairs if old is not None]
    entries = [
        {"status": "compared", **drift(old, new)} if old is not None else _alone("appeared", new) for old, new in pairs
    ]
    return entries + [_alone("vanished", old) for old in olds if id(old) not in paired]


def _pair(
    olds: Sequence[Mapping[str, Any]], news: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]:
    rest_old, pairs = list(olds), {}
    for place, new in enumerate(news):
        same = [old for old in rest_old if _identity(old) == _identity(new) and _address(old) == _address(new)]
        if same:
            pairs[place] = same[0]
            rest_old = [old for old in rest_old if old is not same[0]]
    rest_new = [(place, new) for place, new in enumerate(news) if place not in pairs]
    for place, new in rest_new:
        same = [old for old in rest_old if _identity(old) == _identity(new)]
        rivals = [other for _place, other in rest_new if _identity(other) == _identity(new)]
        if len(same) == len(rivals) == 1:
            pairs[place] = same[0]
    return [(pairs.get(place), new) for place, new in enumerate(news)]


def _alone(status: str, result: Mapping[str, Any]) -> dict[str, Any]:
    grade = result.get("grade")
    return {
        "status": status,
        "target": result["target"],
        "address": result.get("address"),
        "changed": True,
        "changes": [],
        "unknown": [],
        "grade_before": grade if status == "vanished" else None,
        "grade_after": grade if status == "appeared" else None,
    }


def _results(value: object, subject: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise InvalidInputError(
            f"{subject} results of type {type(value).__name__}",
            "they are no list",
            "Give the results of ringmaster.webops.tls_endpoint_info",
        )
    for result in value:
        _identity(result)
    return value


def _identity(result: object) -> tuple[object, ...]:
    target = result.get("target") if isinstance(result, Mapping) else None
    if not isinstance(target, Mapping):
        raise InvalidInputError(
            f"a result of type {type(result).__name__}",
            "it names no target",
            "Give results of ringmaster.webops.tls_endpoint_info",
        )
    return tuple(target.get(key) for key in _IDENTITY)


def _address(result: Mapping[str, Any]) -> object:
    return result.get("address")


def _label(result: Mapping[str, Any]) -> str:
    target = result["target"]
    return str(target.get("name") or target.get("host"))


def _error_kind(result: Mapping[str, Any]) -> object:
    return (result.get("error") or {}).get("kind")
