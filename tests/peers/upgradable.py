# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roots of real dpkg systems, and a signed archive that has other versions than those that are installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .apt_archive import AptArchive, Signer
from .dpkg_system import System

PROGRAM = "/usr/bin/tool"
OLD = {
    PROGRAM: b"tool 1\n" * 100,
    "/usr/share/tool/same": b"the same\n",
    "/usr/share/tool/deep/same": b"the same\n",
    "/usr/share/tool/changed": b"one\n",
    "/usr/share/tool/gone": b"only in the old version\n",
    "/etc/tool.conf": b"setting = 1\n",
    "/etc/tool.d/mine.conf": b"mine = 1\n",
}
NEW = {
    PROGRAM: b"tool 2\n" * 120,
    "/usr/share/tool/same": b"the same\n",
    "/usr/share/tool/deep/same": b"the same\n",
    "/usr/share/tool/changed": b"two\n",
    "/usr/share/tool/new": b"only in the new version\n",
    "/etc/tool.conf": b"setting = 2\n",
    "/etc/tool.d/mine.conf": b"mine = 2\n",
}
CONFFILES = ("/etc/tool.conf", "/etc/tool.d/mine.conf")


class Site:
    """A root with packages, and an archive that has what is published there and not what is installed."""

    def __init__(self, base: Path, signer: Signer) -> None:
        self.system = System.new(base)
        (base / "archive").mkdir()
        self.archive = AptArchive(base / "archive", signer)
        self.system.path("/etc").mkdir()
        self.system.path("/etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        self.system.path("/etc/group").write_text("root:x:0:\n")
        self.archive.use_in(self.system.root)

    def copy(self, base: Path) -> Site:
        """Return another root that is as this one is, with the same archive."""
        other = object.__new__(Site)
        other.system, other.archive = self.system.copy(base), self.archive
        return other

    def publish(self, *packages: Path) -> None:
        for package in packages:
            self.archive.add(package)
        self.archive.publish()
        self.archive.readable()

    def new_tool(self, fields: str = "", version: str = "1.1") -> Path:
        return self.system.build("tool", NEW, version=version, fields=fields, conffiles=CONFFILES)

    def new_part(self, fields: str = "", version: str = "1.1") -> Path:
        return self.system.build("part", {"/usr/lib/part/data": b"part 2\n"}, version=version, fields=fields)

    def repair(
        self,
        *,
        dry_run: bool = False,
        exclude: tuple[Any, ...] = (),
        packages: tuple[str, ...] = (),
        **policy: object,
    ) -> dict[str, Any]:
        # Not at the top: pytest reads a conftest.py before pytest-ansible has made the collection importable its way.
        from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options
        from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import Policy
        from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repairing import RepairOptions, repair

        allowed = Policy(allow_upgrade=True)._replace(**policy)
        options = Options(root=str(self.system.root), exclude=exclude, packages=packages)
        return repair(RepairOptions(options, allowed, dry_run=dry_run))

    def damage(self, path: str = PROGRAM) -> None:
        self.system.path(path).write_bytes(b"damaged")

    def read(self, path: str) -> bytes:
        return self.system.path(path).read_bytes()

    def version(self, name: str = "tool") -> str:
        paragraphs = self.system.status.read_text().split("\n\n")
        fields = next(part for part in paragraphs if f"Package: {name}\n" in part).split("\n")
        return next(line.partition(": ")[2] for line in fields if line.startswith("Version: "))

    def set_hold(self, name: str) -> None:
        text = self.system.status.read_text()
        before, middle, after = text.partition(f"Package: {name}\n")
        self.system.status.write_text(before + middle + after.replace("Status: install", "Status: hold", 1))


def kept(site: Site, result: dict[str, Any]) -> dict[str, bytes | None]:
    """Return what is in the quarantine, by path."""
    place = site.system.path(result["quarantine"])
    records = [json.loads(line) for line in (place / "records.jsonl").read_text().splitlines()]
    return {
        record["path"]: (place / record["kept"]).read_bytes() if "kept" in record else None
        for record in records
        if "path" in record
    }
