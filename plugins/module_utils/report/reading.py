# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read facts that may be older, newer or stranger than expected, and show them without harm.

A report is made of results that other hosts wrote: a key can be missing, a type can be another one, a string can carry
terminal escapes. Everything here answers with a plain value or with ``None``; nothing raises.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

# Control characters, zero-width characters, line separators, bidirectional overrides and lone surrogates: whatever
# could move a cursor, hide text or make it read the other way round.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` as a dictionary with text keys; an empty one when it is none."""
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    """Return ``value`` as a list; an empty one when it is no list."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else []


def mappings(value: object) -> list[dict[str, Any]]:
    """Return the dictionaries in the list ``value``."""
    return [mapping(item) for item in items(value) if isinstance(item, Mapping)]


def text(value: object) -> str | None:
    """Return ``value`` as text, structures as JSON; ``None`` for what is absent or empty."""
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, str):
        # Text that Ansible has tagged is a subclass of ``str``; here it is only text.
        return str.__str__(value)
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return json.dumps(value, default=str, sort_keys=True)


def texts(value: object) -> tuple[str, ...]:
    """Return the texts in the list ``value``; a single text counts as a list of one."""
    found = [text(item) for item in items(value)] if not isinstance(value, str) else [text(value)]
    return tuple(item for item in found if item is not None)


def integer(value: object) -> int | None:
    """Return ``value`` as a whole number, ``None`` when it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def boolean(value: object) -> bool | None:
    """Return ``value`` when it is a truth value, ``None`` otherwise: what is not known is not false."""
    return value if isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """Return the ISO 8601 time ``value`` in UTC, ``None`` when it is none; a time without a zone counts as UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", value.strip()))
        return parsed.replace(tzinfo=parsed.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def iso(value: datetime) -> str:
    """Return the moment as ISO 8601 in UTC, to the second."""
    return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def path_text(entry: Mapping[str, Any]) -> str:
    """Return the path of a finding: of ``path_b64`` (bytes that are no UTF-8) with escapes, else ``path``."""
    encoded = entry.get("path_b64")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True).decode("utf-8", "backslashreplace")
        except (binascii.Error, ValueError):
            pass
    return text(entry.get("path")) or "(no path)"


def visible(value: str) -> str:
    """Return ``value`` with everything that is no printable text written out as an escape, on one line."""
    return _UNPRINTABLE.sub(_escape, value)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code in (9, 10, 13):
        return " "
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shortened(value: str, limit: int) -> str:
    """Return ``value``, cut to ``limit`` characters with an ellipsis where it is longer."""
    return value if len(value) <= limit else value[: limit - 1] + "\u2026"


def columns(value: str) -> int:
    """Return how many columns of a terminal the printable text ``value`` takes (Unicode Standard Annex 11)."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in value
    )
