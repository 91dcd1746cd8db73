# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TLS policy as data, the form in which a person writes one, and what an endpoint's result says of it.

A policy is a set of rules, one an item (``protocols``, ``cipher_suites``, ``hsts_max_age_seconds``, ...). There are
three kinds: a list of names (:class:`ListRule`), a limit for a number (:class:`LimitRule`) and something that is on or
off (:class:`SwitchRule`). Mozilla's profiles and a user's own file become the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Union

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import policy_facts, usual_names


@dataclass(frozen=True)
class ListRule:
    """What may be seen (``allowed``, and with a recommendation against it ``discouraged``), and what must or should be.

    ``allowed`` is ``None`` where the policy limits nothing. Names are those of the results.
    """

    source: str
    allowed: tuple[str, ...] | None = None
    discouraged: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()

    def accepts(self, name: str) -> bool:
        """Tell whether a name may be seen."""
        return self.allowed is None or name in self.allowed or name in self.discouraged


@dataclass(frozen=True)
class LimitRule:
    """The least (or, with ``upper``, the most) that a number may be, and what is recommended beyond that."""

    source: str
    limit: int | None = None
    recommended: int | None = None
    upper: bool = False

    def violated(self, number: int, limit: int | None) -> bool:
        """Tell whether a number is on the wrong side of a limit."""
        return limit is not None and (number > limit if self.upper else number < limit)


@dataclass(frozen=True)
class SwitchRule:
    """Whether something must be (or, ``only_recommended``, should be) on or off."""

    source: str
    expected: bool
    only_recommended: bool = False


Rule = Union[ListRule, LimitRule, SwitchRule]


@dataclass(frozen=True)
class Policy:
    """A named version of a policy; ``source`` is the document, each rule's ``source`` the place in it."""

    name: str
    version: str
    source: str
    rules: Mapping[str, Rule] = field(default_factory=dict)


# item -> how a name of it becomes the results' name
_LISTS: dict[str, Callable[[object], str]] = {
    "protocols": usual_names.protocol,
    "cipher_suites": lambda value: usual_names.find_suite(value).name,
    "groups": lambda value: usual_names.find_group(value).name,
    "signature_schemes": usual_names.signature_scheme,
    "certificate_key_types": usual_names.key_type,
    "certificate_curves": lambda value: usual_names.find_group(value).name,
    "certificate_signatures": usual_names.certificate_signature,
}
# item -> the word for its limit
_LIMITS = {
    "rsa_key_bits": "minimum",
    "dh_bits": "minimum",
    "hsts_max_age_seconds": "minimum",
    "certificate_lifetime_days": "maximum",
}
_SWITCHES = (
    "server_preference",
    "ocsp_staple",
    "secure_renegotiation",
    "compression",
    "extended_master_secret",
    "early_data",
)
ITEMS = (*_LISTS, *_LIMITS, *_SWITCHES)


def check(policy: Policy, result: Mapping[str, Any]) -> dict[str, Any]:
    """Hold a result of ``tls_endpoint_info`` against a policy.

    Returns ``name``, ``version``, ``source``, ``items`` (each with ``item``, ``expected``, ``actual``, ``status``,
    ``reason``, ``source``), ``undecided`` (the items that could not be measured and could fail) and ``compliant``:
    false when an item failed, null when one is undecided, true otherwise. The statuses are ``pass``, ``fail``,
    ``recommend`` (allowed, but the policy recommends otherwise) and ``skipped`` (does not apply, or not measured).
    Never raises for what a result lacks.
    """
    items = []
    undecided = []
    for name, rule in policy.rules.items():
        seen = policy_facts.measure(name, result)
        status, reason = _judge(rule, seen)
        if status == "skipped" and not seen.not_applicable and not _only_recommends(rule):
            undecided.append(name)
        items.append(
            {
                "item": name,
                "expected": _expected(rule),
                "actual": seen.shown,
                "status": status,
                "reason": reason or None,
                "source": rule.source,
            }
        )
    failed = any(item["status"] == "fail" for item in items)
    return {
        "name": policy.name,
        "version": policy.version,
        "source": policy.source,
        "compliant": False if failed else None if undecided else True,
        "undecided": undecided,
        "items": items,
    }


def _only_recommends(rule: Rule) -> bool:
    if isinstance(rule, SwitchRule):
        return rule.only_recommended
    if isinstance(rule, LimitRule):
        return rule.limit is None
    return rule.allowed is None and not rule.required


def _judge(rule: Rule, seen: policy_facts.Seen) -> tuple[str, str]:
    if seen.not_applicable:
        return "skipped", seen.not_applicable
    if isinstance(rule, ListRule):
        return _judge_list(rule, seen)
    if isinstance(rule, LimitRule):
        return _judge_limit(rule, seen)
    return _judge_switch(rule, seen)


def _judge_list(rule: ListRule, seen: policy_facts.Seen) -> tuple[str, str]:
    """Judge names; a name that is seen and not allowed fails even where the list is known to be incomplete."""
    names = [str(value) for value in seen.values]
    problems = [f"not allowed: {name}" for name in names if not rule.accepts(name)]
    # What was not tested could be anything that is not accepted, and anything that is missing.
    open_questions = [
        f"{name}: {reason}"
        for name, reason in seen.unknown.items()
        if not rule.accepts(name) or name in rule.required or name in rule.recommended
    ]
    gap = "; ".join([seen.gap] if seen.gap else open_questions)
    if not gap:
        problems += [f"required and not offered: {name}" for name in rule.required if name not in names]
    if problems:
        return "fail", "; ".join(problems)
    if gap:
        return "skipped", gap
    advice = [f"discouraged: {name}" for name in names if name in rule.discouraged]
    advice += [f"recommended and not offered: {name}" for name in rule.recommended if name not in names]
    return ("recommend", "; ".join(advice)) if advice else ("pass", "")


def _judge_limit(rule: LimitRule, seen: policy_facts.Seen) -> tuple[str, str]:
    word = "more" if rule.upper else "less"
    numbers = [value for value in seen.values if isinstance(value, int)]
    beyond = [number for number in numbers if rule.violated(number, rule.limit)]
    if beyond:
        return "fail", f"{', '.join(map(str, beyond))} is {word} than {rule.limit}"
    if seen.gap:
        return "skipped", seen.gap
    beyond = [number for number in numbers if rule.violated(number, rule.recommended)]
    if beyond:
        return "recommend", f"{', '.join(map(str, beyond))} is {word} than the recommended {rule.recommended}"
    return "pass", ""


def _judge_switch(rule: SwitchRule, seen: policy_facts.Seen) -> tuple[str, str]:
    wrong = [value for value in seen.values if bool(value) is not rule.expected]
    if wrong:
        reason = f"it is {'off' if rule.expected else 'on'}"
        return ("recommend" if rule.only_recommended else "fail"), reason
    return ("skipped", seen.gap) if seen.gap else ("pass", "")


def _expected(rule: Rule) -> object:
    if isinstance(rule, SwitchRule):
        return rule.expected
    if isinstance(rule, LimitRule):
        return {"maximum" if rule.upper else "minimum": rule.limit, "recommended": rule.recommended}
    parts = {name: getattr(rule, name) for name in ("allowed", "discouraged", "required", "recommended")}
    return {name: list(names) for name, names in parts.items() if names is not None}


def load(form: object) -> Policy:
    """Make a policy of what a person wrote (a mapping, as a YAML reader returns it).

    The form has ``name``, ``version``, ``source`` and ``rules``: item -> mapping. A list takes ``allowed``,
    ``discouraged``, ``required`` and ``recommended``; a number ``minimum`` (a lifetime ``maximum``) and
    ``recommended``; a switch ``expected`` and ``level`` (``required``, the default, or ``recommended``). Every rule
    may have a ``source``. Raises InvalidInputError for a key or a value that is not of this form.
    """
    given = _mapping(form, "TLS policy", ("name", "version", "source", "rules"))
    texts = {key: _text(given.get(key, ""), f"TLS policy {key}") for key in ("name", "version", "source")}
    if not texts["name"]:
        raise InvalidInputError("TLS policy name ''", "a policy needs a name", "Give name")
    rules = _mapping(given.get("rules"), f"rules of TLS policy {texts['name']}", ITEMS)
    if not rules:
        raise InvalidInputError(
            f"TLS policy {texts['name']}", "it has no rules", f"Give some of {', '.join(ITEMS)} under rules"
        )
    return Policy(**texts, rules={item: _load_rule(item, rule) for item, rule in rules.items()})


def _load_rule(item: str, form: object) -> Rule:
    if item in _LISTS:
        return _load_list(item, form)
    if item in _LIMITS:
        word = _LIMITS[item]
        given = _mapping(form, item, (word, "recommended", "source"))
        numbers = {key: _count(given[key], f"{item} {key}") for key in (word, "recommended") if key in given}
        if not numbers:
            raise InvalidInputError(item, "it says nothing", f"Give {word} or recommended")
        source = _text(given.get("source", ""), f"{item} source")
        return LimitRule(source, numbers.get(word), numbers.get("recommended"), word == "maximum")
    given = _mapping(form, item, ("expected", "level", "source"))
    expected, level = given.get("expected"), given.get("level", "required")
    if not isinstance(expected, bool):
        raise InvalidInputError(f"{item} expected {expected!r}", "it is no boolean", "Give true or false")
    if level not in ("required", "recommended"):
        raise InvalidInputError(f"{item} level {level!r}", "it is not known", "Choose required or recommended")
    return SwitchRule(_text(given.get("source", ""), f"{item} source"), expected, level == "recommended")


def _load_list(item: str, form: object) -> ListRule:
    given = _mapping(form, item, ("allowed", "discouraged", "required", "recommended", "source"))
    names: dict[str, tuple[str, ...]] = {}
    for key in ("allowed", "discouraged", "required", "recommended"):
        values = given.get(key, [])
        if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
            raise InvalidInputError(f"{item} {key} {values!r}", "it is no list", "Give a list of names")
        names[key] = tuple(_LISTS[item](value) for value in values)
    if "discouraged" in given and "allowed" not in given:
        raise InvalidInputError(item, "discouraged needs allowed beside it", "Give allowed, which may be empty")
    rule = ListRule(
        source=_text(given.get("source", ""), f"{item} source"),
        allowed=names["allowed"] if "allowed" in given else None,
        discouraged=names["discouraged"],
        required=names["required"],
        recommended=names["recommended"],
    )
    refused = [name for name in (*rule.required, *rule.recommended) if not rule.accepts(name)]
    if refused:
        raise InvalidInputError(f"{item} {refused[0]}", "it is wanted but not allowed", "Add it to allowed")
    if not any((*names.values(), "allowed" in given)):
        raise InvalidInputError(item, "it says nothing", "Give allowed, required or recommended")
    return rule


def _mapping(value: object, subject: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{subject} {value!r}", "it is no mapping", f"Give keys of {', '.join(keys)}")
    for key in value:
        if key not in keys:
            raise InvalidInputError(f"{subject}: key {key!r}", "it is not known", f"Choose from {', '.join(keys)}")
    return value


def _text(value: object, subject: str) -> str:
    # A version such as 5.7 is a number to YAML, 2025-01-31 a date; quoted, they are what was written.
    if not isinstance(value, str):
        raise InvalidInputError(f"{subject} {value!r}", "it is no text", "Put it in quotes")
    return value


def _count(value: object, subject: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidInputError(f"{subject} {value!r}", "it is no count", "Give a whole number, 0 or more")
    return value
