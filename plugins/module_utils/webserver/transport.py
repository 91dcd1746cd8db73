# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a release on their way to the host: in one archive, verified, or from paths of the host itself."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    MAX_FILES,
    MAX_TOTAL_BYTES,
    ReleaseFile,
    checked_path,
)

_MAX_REMOTE_BYTES = 16 * 1024 * 1024
_AGAIN = "Run the play again; if it happens again, look at what changes files on their way to the host"


def collect(files: Iterable[Mapping[str, Any]], archive: str | None) -> list[ReleaseFile]:
    """Return the files that the module's option ``files`` asks for, with what is in them.

    Each has ``path``, ``owner``, ``group``, ``mode`` (octal, as text), ``sensitive``, and either ``remote_src`` (a path
    of this host) or ``sha256`` (of the member of the archive that is named by its path).
    Raises InvalidInputError for what is missing, is not what it should be, or is too large.
    """
    wanted = list(files)
    contents = read_archive(archive) if archive else {}
    return [_file(entry, contents) for entry in wanted]


def _file(entry: Mapping[str, Any], contents: Mapping[str, bytes]) -> ReleaseFile:
    path = checked_path(str(entry["path"]))
    source = entry.get("remote_src")
    content = _from_host(path, str(source)) if source else _from_archive(path, entry.get("sha256"), contents)
    return ReleaseFile(
        path,
        content,
        str(entry.get("owner") or "root"),
        str(entry.get("group") or "root"),
        _mode(path, str(entry.get("mode") or "0644")),
        bool(entry.get("sensitive")),
    )


def _mode(path: str, text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise InvalidInputError(
            f"mode {text!r} of the file {path!r}", "it is no octal mode up to 0777", "Write it like this: '0644'"
        )
    return mode


def _from_host(path: str, source: str) -> bytes:
    try:
        content = read_regular(source, _MAX_REMOTE_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(
            f"the file {path!r}",
            f"it is to come from {source} on the host, which cannot be read ({error.strerror})",
            "Deploy that file first, or correct remote_src",
        ) from error
    if len(content) > _MAX_REMOTE_BYTES:
        raise InvalidInputError(
            f"the file {path!r}", f"{source} on the host has more than {_MAX_REMOTE_BYTES} bytes", "Correct remote_src"
        )
    return content


def _from_archive(path: str, sha256: object, contents: Mapping[str, bytes]) -> bytes:
    if path not in contents:
        raise InvalidInputError(f"the file {path!r}", "its content did not arrive", _AGAIN)
    if hashlib.sha256(contents[path]).hexdigest() != sha256:
        raise InvalidInputError(f"the file {path!r}", "its content is not what was sent", _AGAIN)
    return contents[path]


def read_archive(path: str) -> dict[str, bytes]:
    """Return the contents of the members of an uncompressed tar archive, by name.

    Nothing is written anywhere. Raises InvalidInputError for anything but a bounded number of regular files.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            return _members(path, stream)
    except (OSError, tarfile.TarError) as error:
        raise InvalidInputError(f"the archive {path}", f"it cannot be read ({error})", _AGAIN) from error


def _members(path: str, stream: BinaryIO) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    left_bytes = MAX_TOTAL_BYTES
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            if not member.isreg() or member.name in contents:
                raise InvalidInputError(f"the archive {path}", f"{member.name!r} is no file, or there twice", _AGAIN)
            left_bytes -= member.size
            if left_bytes < 0 or len(contents) >= MAX_FILES:
                raise InvalidInputError(
                    f"the archive {path}", f"it has more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes", _AGAIN
                )
            extracted = archive.extractfile(member)
            contents[member.name] = extracted.read() if extracted is not None else b""
    return contents
