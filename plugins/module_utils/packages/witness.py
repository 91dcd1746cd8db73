# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification measured of every packaged file, kept as gzip-compressed JSON lines: a witness for later.

The first line is the head: when, of which root, with which options, and the version of each package. A line for each
file that exists follows, in the order of their paths as bytes, and a last one with their number. Kept off the host, the
lines say what was there before an incident.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    Manifest,
    algorithm,
    is_utf8,
    text,
)

SCHEMA_VERSION = 1

#: A longer line is none of ours: a path has at most 4096 bytes, and the head names some thousand packages.
MAX_LINE_BYTES = 4 * 1024 * 1024

#: More files than this no system has from packages.
MAX_FILES = 10_000_000

#: Unpacked; a million files take less than a tenth of it.
MAX_BYTES = 4 * 1024**3

# Of digests nothing is gained by pressing harder.
_COMPRESSION = 6


class Measured(NamedTuple):
    """What is at the path of a manifest's entry ``number``, with lstat's values; ``mode`` are the permission bits.

    ``digest`` is that of the content of a regular file, in hexadecimal, by the algorithm that the entry names, SHA-256
    where it names none; `None` where it was not read. ``modified`` is in seconds since 1970.
    """

    number: int
    file_type: str
    size: int
    mode: int
    uid: int
    gid: int
    modified: int
    digest: bytes | None = None
    target: bytes | None = None


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
    """Return a line for each file that was measured, in the order given."""
    for found in measured:
        entry = manifest.entries[found.number]
        line: dict[str, object] = {"path": text(entry.path)}
        if not is_utf8(entry.path):
            line["path_b64"] = base64.b64encode(entry.path).decode()
        line.update(type=found.file_type, mode=f"{found.mode:04o}", uid=found.uid, gid=found.gid)
        line.update(modified=found.modified, packages=entry.packages)
        if found.file_type == "file":
            line.update(size=found.size, digest=_named(found.digest))
            if found.digest != entry.digest and found.digest not in entry.other_digests:
                line["expected"] = _named(entry.digest)
        if found.target is not None:
            line["target"] = text(found.target)
        if entry.kind == CONFFILE:
            line["conffile"] = True
        yield line


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
    any real one is refused. ``name`` is what messages call it.
    """
    lines = _lines(stream, name)
    first = next(lines, None)
    if first is None or first.get("record") != "manifest" or first.get("schema_version") != SCHEMA_VERSION:
        raise _damaged(name, f"it does not begin with a head of version {SCHEMA_VERSION}")
    taken_at, selection, versions = (first.get(key) for key in ("taken_at", "selection", "versions"))
    if not isinstance(taken_at, str) or not isinstance(selection, dict) or not isinstance(versions, dict):
        raise _damaged(name, "its head is incomplete")
    return Witness(taken_at, selection, versions, _files(lines, name))


def _lines(stream: BinaryIO, name: str) -> Iterator[dict[str, object]]:
    total_bytes = 0
    with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
        while True:
            try:
                line = unpacked.readline(MAX_LINE_BYTES)
                fields = json.loads(line) if line else None
            except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
                raise _damaged(name, f"it cannot be read ({error})") from error
            if fields is None:
                return
            total_bytes += len(line)
            if total_bytes > MAX_BYTES:
                raise _damaged(name, f"it is larger than {MAX_BYTES} bytes when unpacked")
            if not isinstance(fields, dict):
                raise _damaged(name, "one of its lines is no object")
            yield fields


def _files(lines: Iterator[dict[str, object]], name: str) -> Iterator[tuple[bytes, Mapping[str, object]]]:
    last = b""
    for count, fields in enumerate(lines):
        if fields.get("record") == "end":
            if fields.get("files") != count:
                raise _damaged(name, f"it has {count} files, and its end says {fields.get('files')}")
            return
        path = _path(fields, name)
        if path < last:
            raise _damaged(name, f"its paths are out of order at {text(path)}")
        if count >= MAX_FILES:
            raise _damaged(name, f"it has more than {MAX_FILES} files")
        last = path
        yield path, fields
    raise _damaged(name, "its end is missing")


def _path(fields: Mapping[str, object], name: str) -> bytes:
    exact, shown = fields.get("path_b64"), fields.get("path")
    if isinstance(exact, str):
        with contextlib.suppress(ValueError):
            return base64.b64decode(exact, validate=True)
    elif isinstance(shown, str):
        with contextlib.suppress(UnicodeEncodeError):
            return shown.encode()
    raise _damaged(name, "one of its lines has no path")


def _damaged(name: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        name,
        reason,
        "Name a file that package_consistency_info has written with manifest_path, and that was kept whole",
    )
