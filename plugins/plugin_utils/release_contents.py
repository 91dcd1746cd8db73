# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a release as a task gives them: checked, and packed so that no content is part of an argument.

No message of this file shows a content: it may be a private key.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import MAX_TOTAL_BYTES, checked_path

KEYS = ("path", "content", "src", "remote_src", "owner", "group", "mode", "sensitive")
_SOURCES = ("content", "src", "remote_src")
_MODE = re.compile(r"0?[0-7]{3}")


@dataclass(frozen=True)
class ReleaseFile:
    """One file: its content, or (``content`` is ``None``) where it lies on the host."""

    path: str
    content: bytes | None
    remote_src: str | None
    owner: str
    group: str
    mode: str
    sensitive: bool

    def as_argument(self) -> dict[str, Any]:
        """Return what the module is told: a digest in the place of the content."""
        told: dict[str, Any] = {
            "path": self.path,
            "owner": self.owner,
            "group": self.group,
            "mode": self.mode,
            "sensitive": self.sensitive,
        }
        if self.content is None:
            return {**told, "remote_src": self.remote_src}
        return {**told, "sha256": hashlib.sha256(self.content).hexdigest()}


def read_files(given: object, read_source: Callable[[str], bytes]) -> list[ReleaseFile]:
    """Return the files of a release; ``read_source`` returns what is in a file of the control node.

    Raises InvalidInputError where an entry cannot be used, and what ``read_source`` raises.
    """
    if not isinstance(given, list) or not given:
        raise InvalidInputError("files", "it is no list of files", "Give the files of the release, or release")
    files = [_read_file(entry, f"files[{place}]", read_source) for place, entry in enumerate(given)]
    _refuse_twins([entry.path for entry in files])
    if sum(len(entry.content or b"") for entry in files) > MAX_TOTAL_BYTES:
        limit = f"Give less than {MAX_TOTAL_BYTES // 1024**2} MiB, and what is large with remote_src"
        raise InvalidInputError("files", "their contents are too large", limit)
    return files


def _read_file(entry: object, place: str, read_source: Callable[[str], bytes]) -> ReleaseFile:
    if not isinstance(entry, Mapping):
        raise InvalidInputError(place, "it is no dictionary", f"Give a dictionary of {', '.join(KEYS)}")
    unknown = sorted(str(key) for key in entry if key not in KEYS)
    if unknown:
        raise InvalidInputError(place, f"unknown key {', '.join(unknown)}", f"The keys are {', '.join(KEYS)}")
    options = {str(key): value for key, value in entry.items() if value is not None}
    path = _path(options.get("path"), place)
    where = f"{place} ({path})"
    sources = [key for key in _SOURCES if key in options]
    if len(sources) != 1:
        reason = f"{' and '.join(sources)} exclude each other" if sources else "it says nowhere what is in the file"
        raise InvalidInputError(where, reason, f"Give one of {', '.join(_SOURCES)}")
    sensitive = options.get("sensitive", False)
    if not isinstance(sensitive, bool):
        raise InvalidInputError(where, "sensitive is neither true nor false", "Give one of them")
    return ReleaseFile(
        path=path,
        content=_content(options, where, read_source),
        remote_src=_remote_path(options["remote_src"], where) if "remote_src" in options else None,
        owner=_word(options, "owner", where),
        group=_word(options, "group", where),
        mode=_mode(options.get("mode", "0644"), where),
        sensitive=sensitive,
    )


def _path(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInputError(place, "it has no path", "Give a path below the release, such as conf.d/site.conf")
    return checked_path(str(value))


def _content(options: Mapping[str, Any], where: str, read_source: Callable[[str], bytes]) -> bytes | None:
    if "src" in options:
        if not isinstance(options["src"], str):
            raise InvalidInputError(where, "its src is no path", "Give the path of a file on the control node")
        return read_source(options["src"])
    content = options.get("content")
    if content is None or isinstance(content, bytes):
        return content
    if not isinstance(content, str):
        kind = "dictionary" if isinstance(content, Mapping) else "list" if isinstance(content, list) else "number"
        raise InvalidInputError(where, f"its content is a {kind}", "Give text, for instance with the filter to_json")
    return content.encode("utf-8", "surrogateescape")


def _remote_path(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        raise InvalidInputError(where, "its remote_src is no absolute path", "Give where the file lies on the host")
    return str(value)


def _word(options: Mapping[str, Any], key: str, where: str) -> str:
    value = options.get(key, "root")
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InvalidInputError(where, f"its {key} is no name", f"Give the name of a user or group as {key}")
    return str(value)


def _mode(value: object, where: str) -> str:
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise InvalidInputError(where, f"its mode is {value!r}", "Give octal digits in quotes, such as '0640'")
    return f"0{value[-3:]}"


def _refuse_twins(paths: Sequence[str]) -> None:
    twice = [path for place, path in enumerate(paths) if path in paths[:place]]
    if twice:
        raise InvalidInputError(f"the file {twice[0]!r}", "it is there twice", "Give each path once")


def packed(files: Sequence[ReleaseFile]) -> bytes:
    """Return the contents as an uncompressed tar; the same contents make the same bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in files:
            if entry.content is not None:
                member = tarfile.TarInfo(entry.path)
                member.size, member.mode = len(entry.content), 0o600
                archive.addfile(member, io.BytesIO(entry.content))
    return stream.getvalue()
