# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rpm's databases and the headers in them, which may lie on a damaged disk: none may raise, or be wrong in silence."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from peers.rpm_system import read, sample_files

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import DamagedHeaderError, Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_ndb import NdbDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_package import (
    basenames,
    read_files,
    read_package,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from fuzz.engine import Target


def _header(data: bytes) -> None:
    header = Header(data)
    header.verify()
    _read(header)


def _unverified_header(data: bytes) -> None:
    """Read a header whose digest nobody asked for, so that what a digest would refuse is read too."""
    _read(Header(data))


def _read(header: Header) -> None:
    assert read_package(header).name
    names = basenames(header)
    files = read_files(header)
    assert len(files) == len(names)
    assert all(file.path.startswith(b"/") and b"\0" not in file.path for file in files)


@functools.lru_cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    """Return a directory for roots, which goes when the process ends."""
    return tempfile.TemporaryDirectory()


def _root(kind: str) -> Path:
    """Return a root with the files of a kind of database."""
    root = Path(_directory().name) / kind
    directory = root / "var/lib/rpm"
    if not directory.is_dir():
        directory.mkdir(parents=True)
        for name, content in _FILES[kind].items():
            (directory / name).write_bytes(content)
    return root


def _headers() -> tuple[bytes, ...]:
    """Return the headers in the sample of an ndb database."""
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / "Packages.db").write_bytes(_FILES["ndb"]["Packages.db"])
        tree = Tree(base)
        database = NdbDatabase(tree, "/Packages.db")
        blobs = [database.blob(number) or b"" for number in database.numbers()]
        database.close()
        tree.close()
    return tuple(blobs)


def _sqlite(headers: tuple[bytes, ...]) -> bytes:
    """Return a database of the sqlite backend, with the tables that are read and small pages."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA page_size = 1024")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    for table in ("Name", "Basenames", "Sha1header"):
        connection.execute(f"CREATE TABLE {table} (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
        connection.execute(f"CREATE INDEX {table}_hnum_idx ON {table} (hnum ASC)")
    for number, blob in enumerate(headers, 1):
        header = Header(blob)
        connection.execute("INSERT INTO Packages VALUES (?, ?)", (number, blob))
        connection.execute("INSERT INTO Name VALUES (?, ?, 0)", (read_package(header).name, number))
        connection.execute("INSERT INTO Sha1header VALUES (?, ?, 0)", (header.text(269), number))
        for index, name in enumerate(basenames(header)):
            connection.execute("INSERT INTO Basenames VALUES (?, ?, ?)", (name.decode(), number, index))
    connection.commit()
    data = connection.serialize()
    connection.close()
    return data


@functools.lru_cache
def _sound(kind: str) -> Manifest:
    return read(_root(kind))


def _database(kind: str, file: str) -> Callable[[bytes], None]:
    """Return a decoder of one file of a database. What it reads must be what was there, or a problem."""

    def decode(data: bytes) -> None:
        sound = _sound(kind)
        digests = {entry.path: entry.digest for entry in sound.entries}
        (_root(kind) / "var/lib/rpm" / file).write_bytes(data)
        manifest = read(_root(kind))
        if not manifest.problems:
            assert manifest.installed == sound.installed
            assert all(entry.digest in (None, digests[entry.path]) for entry in manifest.entries)

    return decode


_FILES = {kind: sample_files(kind) for kind in ("bdb", "ndb")}
_HEADERS = _headers()
_FILES["sqlite"] = {"rpmdb.sqlite": _sqlite(_HEADERS)}

#: Each takes microseconds.
TARGETS = (
    Target("header of rpm", _HEADERS, _header, (DamagedHeaderError,)),
    Target("header of rpm, unverified", _HEADERS, _unverified_header, (DamagedHeaderError,)),
)
#: Each reads a whole database.
SLOW_TARGETS = tuple(
    Target(f"database of rpm, {kind}", (_FILES[kind][file],), _database(kind, file))
    for kind, file in (("sqlite", "rpmdb.sqlite"), ("bdb", "Packages"), ("ndb", "Packages.db"))
)
