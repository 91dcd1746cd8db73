# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real dpkg roots: tiny packages built with dpkg-deb and installed with dpkg into a directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _run(*command: object) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run([os.fspath(str(part)) for part in command], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)


class System:
    """A root directory with a dpkg database."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "root"
        self.info = self.root / "var/lib/dpkg/info"
        self.status = self.root / "var/lib/dpkg/status"

    @classmethod
    def new(cls, base: Path) -> System:
        system = cls(base)
        for name in ("info", "updates", "triggers"):
            (system.root / "var/lib/dpkg" / name).mkdir(parents=True)
        system.status.write_bytes(b"")
        return system

    def dpkg(self, *arguments: object) -> None:
        """Run dpkg on the root, never on the machine: not even its log is written."""
        _run("dpkg", f"--root={self.root}", "--log=/dev/null", "--force-all", *arguments)

    def build(
        self,
        name: str,
        files: dict[str, bytes],
        *,
        version: str = "1.0",
        architecture: str = "all",
        fields: str = "",
        conffiles: tuple[str, ...] = (),
        links: tuple[tuple[str, str], ...] = (),
        directories: tuple[str, ...] = (),
        control: dict[str, str] | None = None,
    ) -> Path:
        """Build a package; ``files`` maps a path (str with surrogates) to its content."""
        tree = Path(tempfile.mkdtemp(dir=self.base))
        (tree / "DEBIAN").mkdir()
        for path, content in files.items():
            (tree / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (tree / path.lstrip("/")).write_bytes(content)
        for path in directories:
            (tree / path.lstrip("/")).mkdir(parents=True)
        for path, target in links:
            (tree / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (tree / path.lstrip("/")).symlink_to(target)
        header = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        description = "Maintainer: Nobody <nobody@example.org>\nDescription: a test\n"
        (tree / "DEBIAN/control").write_text(header + fields + description)
        if conffiles:
            (tree / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in conffiles))
        for file, text in (control or {}).items():
            (tree / "DEBIAN" / file).write_text(text, errors="surrogateescape")
        tree.chmod(0o755)
        package = self.base / f"{name}_{version}_{architecture}.deb"
        _run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, package)
        shutil.rmtree(tree)
        return package

    def install(self, name: str, files: dict[str, bytes], **details: object) -> None:
        """Build a package and install it; the arguments are those of build."""
        build: Callable[..., Path] = self.build
        self.dpkg("--install", build(name, files, **details))

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def check(self, **options: object) -> dict[str, Any]:
        # Not at the top: pytest reads a conftest.py before pytest-ansible has made the collection importable its way.
        from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check

        return check(Options(root=str(self.root))._replace(**options))

    def copy(self, base: Path) -> System:
        # cp keeps hard links and owners, which shutil does not.
        base.mkdir(parents=True, exist_ok=True)
        _run("cp", "-a", self.root, base / "root")
        return System(base)
