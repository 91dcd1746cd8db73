# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a reference says about a path besides its content, against what was seen of it. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import Accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.capabilities import parse_text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Metadata, Recorded, text


class Difference(NamedTuple):
    """One property that is not as recorded: the class of its finding, and both values as the result shows them."""

    category: str
    expected: dict[str, object]
    actual: dict[str, object]


def differences(recorded: Recorded, seen: Metadata, accounts: Accounts) -> list[Difference]:
    """Return every property that is not as recorded; what was not seen, or has no known owner, is not compared."""
    found = []
    if recorded.target is not None and seen.target is not None and seen.target != recorded.target:
        found.append(Difference("target_changed", {"target": text(recorded.target)}, {"target": text(seen.target)}))
    if recorded.device is not None and seen.device is not None and seen.device != recorded.device:
        found.append(
            Difference("device_changed", {"device": _device(recorded.device)}, {"device": _device(seen.device)})
        )
    if _capabilities_differ(recorded, seen):
        expected: dict[str, object] = {"capabilities": recorded.capabilities}
        found.append(Difference("capabilities_changed", expected, {"capabilities": seen.capabilities}))
    owner = _owner_difference(recorded, seen, accounts)
    if owner is not None:
        found.append(owner)
    mode = _mode_difference(recorded, seen)
    if mode is not None:
        found.append(mode)
    return found


def unknown_names(recorded: Recorded, accounts: Accounts) -> tuple[str, ...]:
    """Return the recorded user and group, in words, as far as the root's files do not know them."""
    unknown = []
    if isinstance(recorded.owner, str) and recorded.owner not in accounts.users:
        unknown.append(f"user {recorded.owner}")
    if isinstance(recorded.group, str) and recorded.group not in accounts.groups:
        unknown.append(f"group {recorded.group}")
    return tuple(unknown)


def _is_another(expected: str | int | None, seen: int, numbers: Mapping[str, int]) -> bool:
    """Tell whether an owner is not the recorded one; a name that the root does not know cannot be compared."""
    number = numbers.get(expected) if isinstance(expected, str) else expected
    return number is not None and number != seen


def _mode_difference(recorded: Recorded, seen: Metadata) -> Difference | None:
    if seen.mode is None:
        return None
    if recorded.mode is not None and seen.mode != recorded.mode:
        return Difference("mode_changed", {"mode": f"{recorded.mode:04o}"}, {"mode": f"{seen.mode:04o}"})
    if recorded.mode is None and seen.mode & recorded.denied:
        without = f"{seen.mode & recorded.denied:04o}"
        return Difference("mode_changed", {"mode_without": without}, {"mode": f"{seen.mode:04o}"})
    return None


def _owner_difference(recorded: Recorded, seen: Metadata, accounts: Accounts) -> Difference | None:
    expected: dict[str, object] = {}
    actual: dict[str, object] = {}
    if _is_another(recorded.owner, seen.uid, accounts.users):
        expected["owner"], actual["owner"] = recorded.owner, accounts.user_name(seen.uid)
    if _is_another(recorded.group, seen.gid, accounts.groups):
        expected["group"], actual["group"] = recorded.group, accounts.group_name(seen.gid)
    return Difference("owner_changed", expected, actual) if expected else None


def _capabilities_differ(recorded: Recorded, seen: Metadata) -> bool:
    """Compare the sets and not their texts, of which there are several forms for one meaning."""
    if recorded.capabilities is None or seen.capabilities is None or recorded.capabilities == seen.capabilities:
        return False
    expected = parse_text(recorded.capabilities)
    return expected is None or expected != parse_text(seen.capabilities)


def _device(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"
