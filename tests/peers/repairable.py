# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roots of real dpkg systems whose packages lie in their cache, so that they can be repaired."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from .dpkg_system import System, _run

CACHE = "/var/cache/apt/archives"
CONTENT = {
    "/usr/bin/alpha": b"alpha\n" * 50_000,
    "/usr/bin/setuid": b"setuid\n",
    "/usr/share/alpha/a.txt": b"alpha\n",
    "/usr/share/alpha/deep/er/b.txt": b"beta\n",
    "/usr/share/alpha/empty": b"",
    "/usr/share/alpha/sp ace \xfc": b"odd name\n",
    "/usr/share/alpha/first": b"several names\n",
    "/etc/alpha.conf": b"setting = 1\n",
    "/etc/alpha.d/b.conf": b"setting = 2\n",
}
LINKS = {"/usr/share/alpha/link": "a.txt", "/usr/share/alpha/deep/up": "../a.txt"}
#: Further names of /usr/share/alpha/first.
NAMES = ("/usr/share/alpha/second", "/usr/share/alpha/deep/third")
DIRECTORIES = ("/var/lib/alpha/state",)
#: When the package was built, so that a time that was not set is not the right one by chance.
BUILT_SECONDS = 1_500_000_000


def build_alpha(base: Path, control: dict[str, str] | None = None, name: str = "alpha", version: str = "1.0") -> Path:
    """Build a package with everything that a package can hold and that needs no device."""
    tree = Path(tempfile.mkdtemp(dir=base))
    for path, content in CONTENT.items():
        _place(tree, path).write_bytes(content)
    for path in CONTENT:
        _place(tree, path).chmod(0o4755 if path == "/usr/bin/setuid" else 0o644)
    for path, target in LINKS.items():
        _place(tree, path).symlink_to(target)
    for path in NAMES:
        os.link(tree / "usr/share/alpha/first", _place(tree, path))
    for path in DIRECTORIES:
        _place(tree, path).mkdir()
    for place in tree.rglob("*"):
        os.utime(place, (BUILT_SECONDS, BUILT_SECONDS), follow_symlinks=False)
    tree.chmod(0o755)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/conffiles").write_text("/etc/alpha.conf\n/etc/alpha.d/b.conf\n")
    text = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
    (tree / "DEBIAN/control").write_text(text + "Description: a test\n")
    for file, script in (control or {}).items():
        (tree / "DEBIAN" / file).write_text(script)
        (tree / "DEBIAN" / file).chmod(0o755)
    package = base / f"{name}_{version}_all.deb"
    _run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, package)
    shutil.rmtree(tree)
    return package


def _place(tree: Path, path: str) -> Path:
    place = tree / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def repairable(base: Path) -> System:
    """Make a root with alpha and beta, and their packages in its cache."""
    system = System.new(base)
    packages = [build_alpha(base), system.build("beta", {"/usr/share/beta/data": b"data\n" * 3000})]
    (system.root / "etc").mkdir()
    (system.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (system.root / "etc/group").write_text("root:x:0:\n")
    for package in packages:
        system.dpkg("--install", package)
    cache = system.path(CACHE)
    cache.mkdir(parents=True)
    for package in packages:
        package.rename(cache / package.name)
    return system


def photograph(root: Path, without: tuple[str, ...] = ("var",)) -> dict[str, tuple[object, ...]]:
    """Return everything that a package can restore of every path below a root but for some directories of it."""
    found: dict[str, tuple[object, ...]] = {}
    for where, directories, files in os.walk(root):
        if Path(where) == root:
            directories[:] = [name for name in directories if name not in without]
        for name in (*directories, *files):
            place = Path(where) / name
            status = place.lstat()
            kind = stat.S_IFMT(status.st_mode)
            content: object = None
            if kind == stat.S_IFREG:
                content = (place.read_bytes(), status.st_mtime, status.st_nlink)
            elif kind == stat.S_IFLNK:
                content = place.readlink()
            mode = None if kind == stat.S_IFLNK else stat.S_IMODE(status.st_mode)
            found[str(place.relative_to(root))] = (kind, mode, status.st_uid, status.st_gid, content)
    return found
