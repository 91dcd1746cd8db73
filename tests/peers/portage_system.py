# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Portage roots as the description of the format has them.

Portage itself has not made them, and none that it has made is at hand: these samples can show that a reader does what
the description says, and not that the description is right.
"""

from __future__ import annotations

import bz2
import hashlib
import os
from pathlib import Path

MOMENT = 1_700_000_000


class PortageSystem:
    """A root directory with a database in /var/db/pkg."""

    def __init__(self, root: Path) -> None:
        """Take the root, which need not exist yet."""
        self.root = root
        self.database = root / "var/db/pkg"
        self._counter = 0

    def path(self, path: str) -> Path:
        """Return where a path of the root is."""
        return self.root / path.lstrip("/")

    def install(
        self,
        package: str,
        files: dict[str, bytes],
        *,
        links: tuple[tuple[str, str], ...] = (),
        directories: tuple[str, ...] = (),
        algorithm: str = "md5",
        more: tuple[str, ...] = (),
    ) -> Path:
        """Put a package (category/name-version) in place. Returns its directory in the database.

        ``files`` maps a path (str with surrogates) to its content; ``more`` are further lines of CONTENTS.
        """
        lines: set[str] = set(more)
        for path in (*files, *directories, *(path for path, _target in links)):
            for parent in [*Path(path).parents][-2::-1]:
                lines.add(f"dir {parent}")
        for path in directories:
            self.path(path).mkdir(parents=True, exist_ok=True)
            lines.add(f"dir {path}")
        for path, content in files.items():
            self._write(path, content)
            lines.add(f"obj {path} {hashlib.new(algorithm, content).hexdigest()} {MOMENT}")
        for path, target in links:
            self.path(path).parent.mkdir(parents=True, exist_ok=True)
            self.path(path).symlink_to(target)
            os.utime(self.path(path), (MOMENT, MOMENT), follow_symlinks=False)
            lines.add(f"sym {path} -> {target} {MOMENT}")
        directory = self._record(package, sum(map(len, files.values())))
        text = "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.partition(" ")[2]))
        (directory / "CONTENTS").write_text(text, errors="surrogateescape")
        return directory

    def _write(self, path: str, content: bytes) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_bytes(content)
        os.utime(self.path(path), (MOMENT, MOMENT))

    def _record(self, package: str, size: int) -> Path:
        """Write what the database keeps of a package besides CONTENTS."""
        self._counter += 1
        category, _slash, name = package.partition("/")
        directory = self.database / package
        directory.mkdir(parents=True)
        values = {
            "BUILD_TIME": MOMENT,
            "CATEGORY": category,
            "CHOST": "x86_64-pc-linux-gnu",
            "COUNTER": self._counter,
            "PF": name,
            "SIZE": size,
            "SLOT": 0,
            "repository": "gentoo",
        }
        for file, value in values.items():
            (directory / file).write_text(f"{value}\n")
        (directory / f"{name}.ebuild").write_text("EAPI=8\n")
        (directory / "environment.bz2").write_bytes(bz2.compress(f'declare -x PF="{name}"\n'.encode()))
        return directory
