# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Samples of installed systems to damage, made by the real package managers where there are any."""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.databases import read_manifest
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .damage import Sample
from .dpkg_system import System
from .portage_system import PortageSystem
from .rpm_system import DATABASE, RpmSystem
from .signed_repository import SignedRepository

PACKAGES = [f"package{number}" for number in range(6)]
FILES = 20
LINKS = 3
DIRECTORIES = 2


def contents(package: str, version: int) -> dict[str, bytes]:
    """Return the files of a package in one version: of many sizes, and no two alike."""
    generator = random.Random(f"{package} {version}")
    sizes = [generator.choice([1, 100, 4095, 4096, 4097, 9000, 40000]) for _number in range(FILES)]
    return {f"/usr/lib/{package}/file {number}": generator.randbytes(size) for number, size in enumerate(sizes)}


def links(package: str) -> dict[str, str]:
    """Return a package's symbolic links and where they lead."""
    return {f"/usr/share/{package}/link{number}": f"../../lib/{package}/file {number}" for number in range(LINKS)}


def directories(package: str) -> list[str]:
    """Return a package's directories with nothing in them: those of a program's state, and others."""
    return [
        f"{place}{number}"
        for place in (f"/var/lib/{package}/state", f"/usr/share/{package}/empty")
        for number in range(DIRECTORIES)
    ]


def md5sums(files: dict[str, bytes]) -> str:
    """Return the digests of files as debhelper puts them into a package (deb-md5sums(5))."""
    return "".join(f"{hashlib.md5(content).hexdigest()}  {path[1:]}\n" for path, content in files.items())


def described(root: Path, database: list[str]) -> Sample:
    """Return the sample that a root with all packages in their second version is."""
    sample = Sample(root, database=database)
    for package in PACKAGES:
        sample.files += contents(package, 2)
        sample.older |= contents(package, 1)
        sample.links += links(package)
        sample.directories += directories(package)
    return sample


def dpkg_sample(base: Path) -> Sample:
    """Make a root with packages that dpkg has installed in one version and upgraded to the next."""
    system = System.new(base)
    database = [f"/var/lib/dpkg/info/{package}.{kind}" for package in PACKAGES for kind in ("list", "md5sums")]
    sample = described(system.root, [*database, "/var/lib/dpkg/status"])
    for version in (1, 2):
        for package in PACKAGES:
            system.install(
                package,
                contents(package, version),
                version=str(version),
                links=tuple(links(package).items()),
                directories=tuple(directories(package)),
                control={"md5sums": md5sums(contents(package, version))},
            )
        if version == 1:
            sample.older |= {name: sample.path(name).read_bytes() for name in sample.database}
    return sample


def archive_sample(base: Path) -> Sample:
    """Make dpkg's root with a signed archive that has its packages; it knows all that the database could lose."""
    missing = [name for name in ("gpg", "apt-get", "dpkg-scanpackages") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}, with which a signed archive is made and read, is not installed")
    sample = dpkg_sample(base)
    SignedRepository(base, sorted(base.glob("*_2_all.deb"))).trust(sample.root)
    sample.sealed = True
    return sample


def rpm_sample(base: Path) -> Sample:
    """Make a root with packages that rpm has installed in one version and upgraded to the next."""
    system = RpmSystem.new(base)
    sample = described(system.root, [f"/{DATABASE}"])
    sample.sealed = True
    for version in (1, 2):
        for package in PACKAGES:
            listed = [f'"{name}"' for name in [*contents(package, version), *links(package)]]
            listed += [f"%dir {name}" for name in directories(package)]
            made = [f"mkdir -p %{{buildroot}}{name}" for name in [*directories(package), f"/usr/share/{package}"]]
            made += [f"ln -s '{target}' %{{buildroot}}{name}" for name, target in links(package).items()]
            files = contents(package, version)
            system.install(system.build(package, files, listed, version=str(version), install="\n".join(made)))
        if version == 1:
            sample.older |= {name: sample.path(name).read_bytes() for name in sample.database}
    return sample


def portage_sample(base: Path) -> Sample:
    """Make a root as the description of portage's format has it; portage itself has not made it."""
    system = PortageSystem(base / "root")
    database = [f"/var/db/pkg/app-misc/{package}-2/CONTENTS" for package in PACKAGES]
    sample = described(system.root, database)
    for package in PACKAGES:
        system.install(
            f"app-misc/{package}-2",
            contents(package, 2),
            links=tuple(links(package).items()),
            directories=tuple(directories(package)),
        )
    return sample


def checked(root: Path, reference: str = "database") -> dict[str, Any]:
    """Return what a verification says of a root, nothing of it left out."""
    return check(Options(root=str(root), jobs=1, max_findings=100_000, reference=reference))


def checked_by_archive(root: Path) -> dict[str, Any]:
    """Return what a verification against the packages themselves says of a root."""
    return checked(root, "archive")


class Subject(NamedTuple):
    """A sample by its name in `REFERENCES`, and who verifies it."""

    name: str
    sample: Sample
    check: Callable[[Path], dict[str, Any]]


#: Formats of package databases, each with a reference -> who makes a sample of it in a directory, who verifies it.
REFERENCES: dict[str, tuple[Callable[[Path], Sample], Callable[[Path], dict[str, Any]]]] = {
    "dpkg, database": (dpkg_sample, checked),
    "dpkg, archive": (archive_sample, checked_by_archive),
    "rpm, database": (rpm_sample, checked),
    "portage, database": (portage_sample, checked),
}


@contextlib.contextmanager
def subject(name: str) -> Iterator[Subject]:
    """Make one of the samples, for a while, where apt's own user can read an archive."""
    make, verifier = REFERENCES[name]
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield Subject(name, make(Path(base)), verifier)


def entries(root: Path) -> set[tuple[bytes, object]]:
    """Return the paths that the databases of a root name, each with its digest."""
    tree = Tree(str(root))
    try:
        return {(entry.path, entry.digest) for entry in read_manifest(tree).entries}
    finally:
        tree.close()
