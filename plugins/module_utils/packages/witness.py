# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification measured of every packaged file, kept as gzip-compressed JSON lines: a witness for later.

The first line is the head: when, of which root, with which options, and the version of each package. A line for each
path of the packages follows, in the order of the paths as bytes, and a last one with their number. Of a path where
nothing is, or which could not be looked at, it has no more than that. Kept off the host, the lines say what was there
before an incident.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import itertools
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    Entry,
    Manifest,
    algorithm,
    is_utf8,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.witness_fields import (
    MAX_PACKAGES,
    MAX_PATH_BYTES,
    MISSING,
    NOT_VERIFIED,
    is_label,
    path_of,
    wrong_in_file,
    wrong_in_head,
)

SCHEMA_VERSION = 1

#: The first line names some thousand packages. A longer one is none of ours.
MAX_HEAD_BYTES = 4 * 1024 * 1024

#: Another line names a path, where it leads, and a few packages.
MAX_LINE_BYTES = 64 * 1024

#: More paths than this no system has from packages.
MAX_FILES = 10_000_000

#: Unpacked; a million files take less than a tenth of it.
MAX_BYTES = 4 * 1024**3

#: Who has diverted a path, where that is the administrator (dpkg-divert(1)).
LOCAL = ":"

# Of digests nothing is gained by pressing harder.
_COMPRESSION = 6


class Measured(NamedTuple):
    """What is at the path of a manifest's entry ``number``, with lstat's values; ``mode`` are the permission bits.

    ``file_type`` may also be `MISSING` or `NOT_VERIFIED`; then nothing else is known. ``digest`` is that of the content
    of a regular file, in hexadecimal, by the algorithm that the entry names, SHA-256 where it names none; `None` where
    it was not read. ``modified`` is in seconds since 1970. ``sound`` tells whether everything that was looked at is as
    its packages say.
    """

    number: int
    file_type: str
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    modified: int = 0
    digest: bytes | None = None
    target: bytes | None = None
    sound: bool = True


class Witness(NamedTuple):
    """The head of a witness, and its files one by one, in the order of their paths."""

    taken_at: str
    selection: Mapping[str, object]
    versions: Mapping[str, str | None]
    files: Iterator[tuple[bytes, Mapping[str, object]]]


def head(manifest: Manifest, taken_at: str, root: str, selection: Mapping[str, object]) -> dict[str, object]:
    """Return the first line. ``taken_at`` is in ISO 8601; ``selection`` are the options that decide what is in it."""
    versions: Mapping[str, str] = manifest.versions
    return {
        "record": "manifest",
        "schema_version": SCHEMA_VERSION,
        "taken_at": taken_at,
        "root": root,
        "selection": dict(selection),
        "versions": {label: versions.get(label) for label in sorted(manifest.installed)},
    }


def records(manifest: Manifest, measured: Iterable[Measured]) -> Iterator[dict[str, object]]:
    """Return a line for each path that was measured, in the order given."""
    for found in measured:
        entry = manifest.entries[found.number]
        if len(entry.path) > MAX_PATH_BYTES:
            continue  # Only a damaged database names such a path, and nothing can be there.
        line: dict[str, object] = {"path": text(entry.path)}
        if not is_utf8(entry.path):
            line["path_b64"] = base64.b64encode(entry.path).decode()
        line["type"] = found.file_type
        line["packages"] = [label for label in entry.packages[:MAX_PACKAGES] if is_label(label)]
        if found.file_type not in (MISSING, NOT_VERIFIED):
            line.update(_seen(entry, found))
        if entry.kind == CONFFILE:
            line["conffile"] = True
        if is_label(entry.diverted_by) and entry.diverted_by != LOCAL:
            line["diverted_by"] = entry.diverted_by
        yield line


def _seen(entry: Entry, found: Measured) -> dict[str, object]:
    """Return what a line says of what is there."""
    seen: dict[str, object] = {"mode": f"{found.mode:04o}", "uid": found.uid, "gid": found.gid}
    seen["modified"] = found.modified
    if found.file_type == "file":
        seen.update(size=found.size, digest=_named(found.digest))
    if found.digest != entry.digest:
        seen["expected"] = _named(entry.digest)
    if entry.other_digests:
        seen["other_expected"] = [_named(digest) for digest in entry.other_digests[:MAX_PACKAGES]]
    if found.target is not None:
        seen["target"] = text(found.target)
    if not found.sound:
        seen["sound"] = False
    return seen


def _named(digest: bytes | None) -> str | None:
    return f"{algorithm(digest)}:{digest.decode()}" if digest else None


class Writer:
    """Writes a witness beside where it will be, and puts it there when it is whole.

    A context manager: what was not committed at its end is removed.
    """

    def __init__(self, path: str, first_line: Mapping[str, object]) -> None:
        """Begin the file, with mode 0600. Raises `OSError`."""
        self._target = Path(path)
        handle, self._name = tempfile.mkstemp(prefix=f".{self._target.name}.", dir=self._target.parent)
        self._raw = os.fdopen(handle, "wb")
        self._stream = gzip.GzipFile(filename="", fileobj=self._raw, mode="wb", compresslevel=_COMPRESSION, mtime=0)
        self._next = 0
        self._waiting: dict[int, tuple[int, list[bytes]]] = {}
        self._files = 0
        self._stream.write(_line(first_line))

    def __enter__(self) -> Writer:
        """Return this."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what was not committed."""
        with contextlib.suppress(OSError):
            self._stream.close()
            self._raw.close()
        with contextlib.suppress(OSError):
            Path(self._name).unlink()

    def add(self, first: int, end: int, lines: Iterable[Mapping[str, object]]) -> None:
        """Add the lines of the entries from ``first`` to before ``end``; batches may come in any order.

        What comes before its turn waits in memory, compressed by nothing but being few: batches are begun in order.
        Raises `OSError`.
        """
        self._waiting[first] = (end, [_line(line) for line in lines])
        while self._next in self._waiting:
            self._next, ready = self._waiting.pop(self._next)
            self._files += len(ready)
            self._stream.write(b"".join(ready))

    def commit(self) -> None:
        """Write the last line and put the file in its place. Raises `OSError`."""
        self._stream.write(_line({"record": "end", "files": self._files}))
        self._stream.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        Path(self._name).replace(self._target)


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def read(stream: BinaryIO, name: str) -> Witness:
    """Read a witness: its head at once, its files as they are asked for.

    Raises `InvalidInputError`, while the files are asked for too: what is cut off, damaged, out of order or larger than
    any real one is refused, and so is a line with a value that none has. ``name`` is what messages call it.
    """
    lines = _lines(stream, name)
    first = next(lines, {})
    if first.get("record") != "manifest" or first.get("schema_version") != SCHEMA_VERSION:
        raise _damaged(name, 1, f"is no head of version {SCHEMA_VERSION}")
    wrong = wrong_in_head(first)
    if wrong is not None:
        raise _damaged(name, 1, f"has no sane value of {wrong}")
    head_fields: Mapping[str, Any] = first
    return Witness(head_fields["taken_at"], head_fields["selection"], head_fields["versions"], _files(lines, name))


def _lines(stream: BinaryIO, name: str) -> Iterator[dict[str, object]]:
    total_bytes = 0
    with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
        for number in itertools.count(1):
            limit = MAX_HEAD_BYTES if number == 1 else MAX_LINE_BYTES
            try:
                line = unpacked.readline(limit + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise _damaged(name, number, f"cannot be read ({error})") from error
            if not line:
                return
            total_bytes += len(line)
            if len(line) > limit:
                raise _damaged(name, number, f"has more than {limit} bytes")
            if total_bytes > MAX_BYTES:
                raise _damaged(name, number, f"is beyond {MAX_BYTES} bytes, unpacked")
            yield _fields(line, name, number)


def _fields(line: bytes, name: str, number: int) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, number, f"is no JSON ({error})") from error
    if not isinstance(fields, dict):
        raise _damaged(name, number, "is no object")
    return fields


def _files(lines: Iterator[dict[str, object]], name: str) -> Iterator[tuple[bytes, Mapping[str, object]]]:
    last, number = b"", 1
    for number, fields in enumerate(lines, 2):
        if fields.get("record") == "end":
            if fields.get("files") != number - 2:
                raise _damaged(name, number, f"ends {number - 2} files, and says {str(fields.get('files'))[:20]}")
            if next(lines, None) is not None:  # Asking for more also has the checksum of all compared.
                raise _damaged(name, number + 1, "comes after its end")
            return
        if number - 2 >= MAX_FILES:
            raise _damaged(name, number, f"is one of more than {MAX_FILES} files")
        path = path_of(fields)
        wrong = "path" if path is None else wrong_in_file(fields)
        if path is None or wrong is not None:
            raise _damaged(name, number, f"has no sane value of {wrong}")
        if path <= last:
            raise _damaged(name, number, f"has a path that is repeated or out of order, {text(path)}")
        last = path
        yield path, fields
    raise _damaged(name, number, "is the last one, and not its end")


def _damaged(name: str, number: int, reason: str) -> InvalidInputError:
    """Return the error about one line; it and the remedy are the same for all."""
    return InvalidInputError(
        name,
        f"line {number} {reason}",
        "Name a file that package_consistency_info has written with manifest_path, and that was kept whole",
    )
