# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real rpm roots: tiny packages built with rpmbuild and installed with rpm into a directory.

rpm of Debian 12 makes databases of the sqlite backend. Those of the others lie in ``rpm_databases.txt``: the packages
``alpha``, ``beta`` and ``gamma`` installed by rpm 4.16.1.2 (bdb) and 4.20.1 (ndb).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import lzma
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Union

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Entry, Manifest, Recorded
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

DATABASE = "var/lib/rpm/rpmdb.sqlite"
PAGE_BYTES = 4096
_SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: a test
License: none
BuildArch: noarch
{preamble}
%description
A test.
%install
mkdir -p %{{buildroot}}
cp -a {tree}/. %{{buildroot}}
{install}
%files
{listed}
"""


def _run(*command: object) -> subprocess.CompletedProcess[bytes]:
    parts = [os.fspath(part) if isinstance(part, Path) else str(part) for part in command]
    return subprocess.run(parts, capture_output=True, env={**os.environ, "LC_ALL": "C", "TZ": "UTC"}, check=False)


class RpmSystem:
    """A root directory with an rpm database."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "root"
        self.database = self.root / DATABASE

    @classmethod
    def new(cls, base: Path) -> RpmSystem:
        require_rpm()
        system = cls(base)
        system.database.parent.mkdir(parents=True)
        # rpm asks the root's own files which number the name of an owner has.
        system.path("/etc").mkdir()
        system.path("/etc/passwd").write_text("root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/sh\n")
        system.path("/etc/group").write_text("root:x:0:\ndaemon:x:1:\nmail:x:8:\n")
        return system

    def build(
        self,
        name: str,
        files: dict[str, bytes],
        listed: Sequence[str] | None = None,
        *,
        version: str = "1.0",
        preamble: str = "",
        install: str = "",
        defines: dict[str, str] | None = None,
    ) -> Path:
        """Build a package; ``listed`` are the lines of %files (all files without it), ``install`` is shell."""
        work = Path(tempfile.mkdtemp(dir=self.base))
        tree = work / "tree"
        tree.mkdir()
        for path, content in files.items():
            (tree / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (tree / path.lstrip("/")).write_bytes(content)
        lines = "\n".join(files if listed is None else listed)
        spec = work / f"{name}.spec"
        spec.write_text(_SPEC.format(**{**locals(), "listed": lines}), errors="surrogateescape")
        settings = {
            "_topdir": str(work / "top"),
            "_tmppath": str(work),
            "_build_id_links": "none",
            "__os_install_post": "%{nil}",
            "_binary_payload": "w0.gzdio",
            **(defines or {}),
        }
        defined = [part for key, value in settings.items() for part in ("--define", f"{key} {value}")]
        done = _run("rpmbuild", *defined, "-bb", spec)
        assert done.returncode == 0, done.stderr
        built = next((work / "top/RPMS/noarch").glob("*.rpm"))
        package = self.base / built.name
        built.rename(package)
        shutil.rmtree(work)
        return package

    def rpm(self, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        """Run rpm on the root, never on the machine."""
        return _run("rpm", "--root", self.root, "--dbpath", "/var/lib/rpm", *arguments)

    def install(self, *arguments: object) -> None:
        done = self.rpm("-U", "--nodeps", "--force", *arguments)
        assert done.returncode == 0, done.stderr

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def read(self, wanted: str | None = None, conffiles: bool = True) -> Manifest:
        return read(self.root, wanted, conffiles)

    def entry(self, path: str) -> Entry:
        return entries(self.read())[os.fsencode(path)]

    def recorded(self, path: str) -> Recorded:
        found = self.entry(path).recorded
        assert found is not None
        return found

    def findings(self) -> dict[str, str]:
        """Verify the root; return the class of each finding by path."""
        result = check(Options(root=str(self.root)))
        assert result["failures"] == []
        return {finding["path"]: finding["class"] for finding in result["findings"]}

    def copy(self, base: Path) -> RpmSystem:
        """Copy the root, owners and all."""
        assert _run("cp", "-a", self.root, base).returncode == 0
        return RpmSystem(base)

    def blob(self, name: str) -> bytes:
        """Return the header of a package as the database holds it."""
        with sqlite3.connect(self.database) as connection:
            query = "SELECT blob FROM Packages JOIN Name USING (hnum) WHERE key = ?"
            blob: bytes = connection.execute(query, (name,)).fetchone()[0]
        connection.close()
        return blob

    def replace_blob(self, name: str, blob: bytes) -> None:
        self.execute("UPDATE Packages SET blob = ? WHERE hnum = (SELECT hnum FROM Name WHERE key = ?)", blob, name)

    def add(self, blob: bytes, name: str, *basenames: str) -> None:
        """Add a package that rpm was never given, with what the indexes have of it."""
        self.execute("INSERT INTO Packages (blob) VALUES (?)", blob)
        number = "(SELECT max(hnum) FROM Packages)"
        self.execute(f"INSERT INTO Name VALUES (?, {number}, 0)", name)
        for index, basename in enumerate(basenames):
            self.execute(f"INSERT INTO Basenames VALUES (?, {number}, ?)", os.fsencode(basename), index)

    def execute(self, statement: str, *values: object) -> None:
        """Change the database itself, behind rpm's back."""
        connection = sqlite3.connect(self.database, isolation_level=None)
        connection.execute(statement, values)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()


def read(root: Path, wanted: str | None = None, conffiles: bool = True) -> Manifest:
    tree = Tree(str(root))
    try:
        return read_manifest(tree, re.compile(wanted) if wanted else None, conffiles)
    finally:
        tree.close()


def entries(manifest: Manifest) -> dict[bytes, Entry]:
    return {entry.path: entry for entry in manifest.entries}


def gaps(manifest: Manifest) -> list[tuple[str, tuple[str, ...], int, str]]:
    return [(gap.reason, gap.packages, gap.files, gap.example) for gap in manifest.gaps]


def sha256(content: bytes) -> bytes:
    """Return a file's digest as a header has it, and no index."""
    return hashlib.sha256(content).hexdigest().encode()


def facts(manifest: Manifest) -> list[object]:
    """Return all that a manifest says about files."""
    return [
        (entry.path, entry.kind, entry.digest, entry.packages, entry.other_digests, entry.recorded)
        for entry in manifest.entries
    ]


def told(manifest: Manifest) -> str:
    return "\n".join(problem.problem for problem in manifest.problems)


def flip(path: Path, at: int, bit: int = 4) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def zero_page(path: Path, page: int) -> None:
    data = bytearray(path.read_bytes())
    data[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(data)


def content_at(path: Path, content: bytes) -> int:
    found = path.read_bytes().find(content)
    assert found >= 0
    return found


def require_rpm() -> None:
    if shutil.which("rpm") is None or shutil.which("rpmbuild") is None:
        pytest.skip("rpm and rpmbuild, which make the databases that these tests read, are not installed")
    if os.geteuid():
        pytest.skip("rpm installs into a directory of its own for root alone, since it has to chroot there")


@functools.lru_cache(maxsize=1)
def template() -> RpmSystem:
    """Return a root in which nothing is wrong; copy it."""
    require_rpm()
    _TEMPLATE_DIRECTORY.append(tempfile.TemporaryDirectory())
    system = RpmSystem.new(Path(_TEMPLATE_DIRECTORY[0].name))
    alpha = system.build(
        "alpha",
        {"/usr/bin/alpha": b"#!/bin/sh\n" * 300, "/etc/alpha.conf": b"setting = 1\n", "/usr/share/alpha/a": b"a\n"},
        [
            "%attr(4755,root,mail) /usr/bin/alpha",
            "/usr/bin/alink",
            "%config(noreplace) /etc/alpha.conf",
            "/usr/share/alpha",
        ],
        install="ln -s alpha %{buildroot}/usr/bin/alink",
        preamble="Epoch: 3",
    )
    beta = system.build("beta", {f"/usr/share/beta/file-{number}": b"%d\n" % number for number in range(60)})
    gamma = system.build("gamma", {f"/usr/share/gamma/{number}": b"g%d\n" % number for number in range(5)})
    system.install(alpha)
    system.install(beta)
    system.install(gamma)
    return system


_TEMPLATE_DIRECTORY: list[tempfile.TemporaryDirectory[str]] = []


def sample_files(kind: str) -> dict[str, bytes]:
    """Return the files of the sample of a kind of database (``bdb``, ``ndb``)."""
    files = {}
    for line in (Path(__file__).parent / "rpm_databases.txt").read_text().splitlines():
        name, _space, data = line.partition(" ")
        if name.startswith(f"{kind}/"):
            files[name.partition("/")[2]] = lzma.decompress(base64.b64decode(data))
    return files


def sample(kind: str, base: Path) -> Path:
    """Unpack the sample of a kind of database and return the root that has it."""
    root = base / kind
    directory = root / "var/lib/rpm"
    directory.mkdir(parents=True)
    for name, content in sample_files(kind).items():
        (directory / name).write_bytes(content)
    return root


#: Tag -> type and values.
Tags = dict[int, tuple[int, Union[Sequence[int], Sequence[bytes]]]]
_SIZES = {3: ">H", 4: ">I", 5: ">Q"}


def encode_header(
    tags: Tags,
    outside: Tags,
    digests: Sequence[str] = ("sha256",),
    region: int = 63,
) -> bytes:
    """Return a header as rpm stores it: tags (type, values) in the immutable region, its digests, others behind it.

    The tag of the ``region`` is 62 in the signature header of a package.
    """
    index, data = bytearray(), bytearray()
    for tag, (kind, values) in tags.items():
        _append(index, data, tag, kind, values)
    entries_in_region = len(index) // 16 + 1
    offset = len(data)
    data += struct.pack(">IIiI", region, 7, -16 * entries_in_region, 16)
    index[:0] = struct.pack(">IIiI", region, 7, offset, 16)
    counts = struct.pack(">II", entries_in_region, len(data))
    covered = bytes.fromhex("8eade80100000000") + counts + bytes(index) + bytes(data)
    for name in digests:
        tag = {"sha1": 269, "sha256": 273, "sha3_256": 279}[name]
        _append(index, data, tag, 6, (hashlib.new(name, covered).hexdigest().encode(),))
    for tag, (kind, values) in outside.items():
        _append(index, data, tag, kind, values)
    return struct.pack(">II", len(index) // 16, len(data)) + bytes(index) + bytes(data)


def package_header(name: bytes, paths: dict[bytes, bytes], **changes: tuple[int, tuple[int, ...]]) -> bytes:
    """Return the header of a package with regular files: name and digest."""
    count = len(paths)
    tags: Tags = {
        1000: (6, (name,)),
        1001: (6, (b"1",)),
        1002: (6, (b"1",)),
        1022: (6, (b"noarch",)),
        1028: (4, (7,) * count),
        1030: (3, (0o100644,) * count),
        1033: (3, (0,) * count),
        1034: (4, (5,) * count),
        1035: (8, tuple(paths.values())),
        1036: (8, (b"",) * count),
        1037: (4, (0,) * count),
        1039: (8, (b"root",) * count),
        1040: (8, (b"root",) * count),
        1045: (4, (0xFFFFFFFF,) * count),
        1116: (4, (0,) * count),
        1117: (8, tuple(paths)),
        1118: (8, (b"/",)),
        5011: (4, (8,)),
    }
    numbers = {"flags": 1037, "verify_flags": 1045, "algorithm": 5011, "modes": 1030}
    states = changes.pop("states", (1, (0,) * count))
    tags.update({numbers[key]: value for key, value in changes.items()})
    return encode_header(tags, {1029: states})


def _append(index: bytearray, data: bytearray, tag: int, kind: int, values: Sequence[int] | Sequence[bytes]) -> None:
    size = struct.calcsize(_SIZES[kind]) if kind in _SIZES else 1
    data += bytes(-len(data) % size)
    index += struct.pack(">IIiI", tag, kind, len(data), len(values))
    for value in values:
        if isinstance(value, bytes):
            data += value + b"\0"
        else:
            data += struct.pack(_SIZES.get(kind, ">B"), value)
