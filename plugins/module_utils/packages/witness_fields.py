# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be in the lines of a witness. They come from a host that may be damaged, and from a disk that may be."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping
from typing import Callable

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import FILE_TYPES, algorithm

#: What a path is of which packages say that something is there, and nothing is; and one that could not be looked at.
MISSING = "missing"
NOT_VERIFIED = "not_verified"

#: Linux has no longer path.
MAX_PATH_BYTES = 4096

#: A directory may belong to thousands of packages. So many of them are told, with labels of so many plain characters.
MAX_PACKAGES = 32
MAX_LABEL_LENGTH = 200

#: So many packages are on no system.
MAX_VERSIONS = 100_000

_UNSEEN = (MISSING, NOT_VERIFIED)
_TYPES = frozenset((*FILE_TYPES.values(), "unknown", *_UNSEEN))
_MODE = re.compile(r"[0-7]{4}")
_DIGEST = re.compile(r"([a-z0-9]{3,6}):([0-9a-f]{32,128})")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MAX_ID = 2**32 - 1
_MAX_NUMBER = 2**63 - 1
_MAX_VERSION_LENGTH = 1000

_Rule = Callable[[object], bool]


def wrong_in_head(head: Mapping[str, object]) -> str | None:
    """Return the first field of a head that has not a sane value; `None` when all have."""
    return _first_wrong(head, _HEAD)


def wrong_in_file(line: Mapping[str, object]) -> str | None:
    """Return the first field of a file's line that has not a sane value, or is not there; `None` for a sane line."""
    required = _REQUIRED
    if line.get("type") not in _UNSEEN:
        required = {**required, **_SEEN, **(_CONTENT if line["type"] == "file" else {})}
    present = {name: rule for name, rule in _OPTIONAL.items() if name in line}
    return _first_wrong(line, {**required, **present})


def path_of(line: Mapping[str, object]) -> bytes | None:
    """Return the exact path of a line; `None` when that is no path."""
    path = _path(line)
    if path is None or not path.startswith(b"/") or b"\0" in path or len(path) > MAX_PATH_BYTES:
        return None
    return path


def _path(line: Mapping[str, object]) -> bytes | None:
    exact, shown = line.get("path_b64"), line.get("path")
    with contextlib.suppress(ValueError):  # UnicodeEncodeError is one.
        if isinstance(exact, str):
            return base64.b64decode(exact, validate=True)
        if isinstance(shown, str):
            return shown.encode()
    return None


def _first_wrong(fields: Mapping[str, object], rules: Mapping[str, _Rule]) -> str | None:
    return next((name for name, is_sane in rules.items() if not is_sane(fields.get(name))), None)


def _number(least: int, most: int) -> _Rule:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _text(pattern: re.Pattern[str]) -> _Rule:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_digest(value: object) -> bool:
    found = _DIGEST.fullmatch(value) if isinstance(value, str) else None
    with contextlib.suppress(KeyError):  # No algorithm has digests of this length.
        return found is not None and algorithm(found[2].encode()) == found[1]
    return False


def _is_digest_or_none(value: object) -> bool:
    return value is None or _is_digest(value)


def is_label(value: object) -> bool:
    """Tell whether something is a package's label that a line may tell."""
    return isinstance(value, str) and len(value) <= MAX_LABEL_LENGTH and value.isascii() and value.isprintable()


def _list_of(is_sane: _Rule) -> _Rule:
    return lambda value: isinstance(value, list) and len(value) <= MAX_PACKAGES and all(map(is_sane, value))


def _are_versions(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MAX_VERSIONS
        and all(
            version is None or (isinstance(version, str) and len(version) <= _MAX_VERSION_LENGTH)
            for version in value.values()
        )
    )


_HEAD: Mapping[str, _Rule] = {
    "taken_at": _text(_TIME),
    "selection": lambda value: isinstance(value, dict),
    "versions": _are_versions,
}
_REQUIRED: Mapping[str, _Rule] = {
    "type": lambda value: isinstance(value, str) and value in _TYPES,
    "packages": _list_of(is_label),
}
#: Of everything that is there, and could be looked at.
_SEEN: Mapping[str, _Rule] = {
    "mode": _text(_MODE),
    "uid": _number(0, _MAX_ID),
    "gid": _number(0, _MAX_ID),
    "modified": _number(-_MAX_NUMBER, _MAX_NUMBER),
}
#: Of a regular file.
_CONTENT: Mapping[str, _Rule] = {"size": _number(0, _MAX_NUMBER), "digest": _is_digest_or_none}
_OPTIONAL: Mapping[str, _Rule] = {
    "expected": _is_digest_or_none,
    "other_expected": _list_of(_is_digest),
    "target": lambda value: isinstance(value, str),
    "conffile": lambda value: value is True,
    "sound": lambda value: value is False,
}
