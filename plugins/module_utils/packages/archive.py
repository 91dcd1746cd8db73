# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exact version of a package, from wherever it can be had, and how far it can be trusted.

Sources, in this order: the root's own package cache and further directories of packages (a peer's, say), then the
archives that apt knows. A .deb whose SHA-256 is in a signed index is ``signed``, wherever it lies; one that is not is
``digest`` when everything in it is what the root's own database says of it. Nothing else is given out.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import deb
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_apt import Apt, Identity
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_database import PackageDatabase
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_release import Record
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.commands import Output
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.shelves import (
    Candidate,
    Shelves,
    copy_package,
    require_space,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.work_directory import make_work_directory

SIGNED = "signed"
DIGEST = "digest"
PACKAGE_CACHE = b"/var/cache/apt/archives"
_SUFFIX = b".deb"

_IDENTITY = (
    re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,150}"),
    re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~:_-]{0,150}"),
    re.compile(r"[a-z0-9][a-z0-9-]{0,40}"),
)


class Unavailable(NamedTuple):
    """Why a package cannot be had, in words that are the same for all packages with the same trouble."""

    reason: str


class Options(NamedTuple):
    """Where packages may come from.

    ``sources`` are further lines of sources.list (a snapshot mirror, say). ``directories`` hold packages as apt's cache
    does. ``minimum_trust`` is ``signed`` or ``digest``. The timeout is for one run of apt, in seconds.
    """

    sources: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    minimum_trust: str = SIGNED
    timeout_seconds: float = 900.0


class Archive:
    """Packages for one root. What it needs for that lies in a private directory, which `close` removes."""

    def __init__(
        self, tree: Tree, directory: str, options: Options | None = None, names: frozenset[str] | None = None
    ) -> None:
        """Begin without having asked anybody.

        ``directory`` is where the private one is made, and those of processes that were killed are removed. ``names``
        are the packages that will be asked for (`None`: any), which saves memory. Raises `InvalidInputError` for a root
        without dpkg's database or a directory that cannot be used, `MeasurementError`.
        """
        self.complaints: list[str] = []
        self.database = PackageDatabase(tree)
        self._tree = tree
        self._options = options or Options()
        self._names = names
        self._added: frozenset[str] = frozenset()
        self._apt: Apt | None = None
        self._asked = False
        self._shelves = Shelves(tree, (PACKAGE_CACHE,), self._options.directories, _SUFFIX)
        self._work = make_work_directory(directory)
        self._directory = self._work.path

    def __enter__(self) -> Archive:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Remove everything private, packages that were given out included."""
        self._shelves.close()
        self._work.close()

    def to_inherit(self) -> tuple[int, ...]:
        """Return what a program must inherit that uses a package longer than this process may live."""
        return (self._work.descriptor,)

    def ask(self) -> None:
        """Ask the archives what they have, once. What is wrong is in ``complaints``, and never an exception."""
        if self._asked:
            return
        self._asked = True
        directory = self._directory / "apt"
        try:
            directory.mkdir()
            apt = Apt(self._tree, directory, self._options.sources, self.database.architectures())
            apt.update(self._names, self._options.timeout_seconds)
        except OSError as error:
            self.complaints.append(f"apt cannot be used: {error.strerror}")
        except MeasurementError as error:
            self.complaints.append(f"{error.value}: {error.reason}")
        else:
            self.complaints += apt.complaints
            self._apt = apt

    def records(self, wanted: Identity) -> list[Record]:
        """Return what signed indexes say about a package; each names a .deb of this name and version."""
        self.ask()
        return self._apt.index.get(wanted, []) if self._apt is not None else []

    def simulate_upgrade(self, packages: Sequence[str]) -> Output:
        """Let apt say what would change if it upgraded installed packages. Raises `MeasurementError`, `OSError`."""
        self.ask()
        if self._apt is None:
            raise MeasurementError("apt", "it cannot be used", "See what is wrong with the sources of packages")
        return self._apt.simulate_upgrade(packages)

    def add_names(self, names: frozenset[str]) -> None:
        """Say that further packages will be asked for."""
        if self._apt is not None and self._names is not None:
            self._apt.add_names(names - self._names - self._added)
            self._added |= names

    def package(self, name: str, version: str, architecture: str) -> VerifiedPackage | Unavailable:
        """Return the package, or why it cannot be had. Its .deb stays until `close`, or until it is discarded."""
        ((_wanted, found),) = self.packages([Identity(name, version, architecture)])
        return found

    def packages(self, wanted: Sequence[Identity]) -> Iterator[tuple[Identity, VerifiedPackage | Unavailable]]:
        """Yield each package, or why it cannot be had; those that must be downloaded are downloaded together."""
        self.ask()
        yield from ((one, Unavailable("it has no valid name or version")) for one in wanted if not _is_valid(one))
        wanted = [one for one in wanted if _is_valid(one)]
        with tempfile.TemporaryDirectory(dir=self._directory) as work:
            Path(work).chmod(0o711)
            missing = [one for one in wanted if self.records(one) and not self._shelved(one)]
            complaints = self._download(missing, Path(work))
            for one in wanted:
                try:
                    yield one, self._package(one, Path(work), complaints)
                except OSError as error:
                    yield one, Unavailable(f"there is no room for it, or it cannot be read: {error.strerror}")

    def _package(self, wanted: Identity, work: Path, complaints: list[str]) -> VerifiedPackage | Unavailable:
        """Try the candidates that are on disk, then one more that must be downloaded after all."""
        records = {record.sha256: record for record in self.records(wanted)}
        reasons: list[str] = []
        for candidate in self._candidates(wanted, work):
            found = self._judge(wanted, candidate, records)
            if isinstance(found, VerifiedPackage):
                return found
            candidate.path.unlink()
            reasons.append(f"{candidate.label}: {found.reason}")
        if records and not _downloaded(wanted, work):
            complaints = self._download([wanted], work)
            downloaded = self._take(wanted, work)
            if downloaded is not None:
                return self._judge(wanted, downloaded, records)
        if records:
            reasons += complaints or ["apt did not download it"]
        else:
            reasons.append("no archive that can be verified has this version")
        return Unavailable("; ".join(dict.fromkeys(reasons)))

    # Candidates

    def _shelved(self, wanted: Identity) -> bool:
        return any(name in self._shelves for name in file_names(wanted))

    def _candidates(self, wanted: Identity, work: Path) -> Iterator[Candidate]:
        """Yield what was downloaded, then what lies in one of the directories."""
        downloaded = self._take(wanted, work)
        if downloaded is not None:
            yield downloaded
        yield from self._shelves.candidates(file_names(wanted), self._directory)

    def _take(self, wanted: Identity, work: Path) -> Candidate | None:
        """Take a downloaded package out of the directory in which apt's own user may write."""
        path = _downloaded(wanted, work)
        if path is None:
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return copy_package(descriptor, self._directory, "a package archive", _SUFFIX)
        finally:
            os.close(descriptor)
            path.unlink()

    def _download(self, wanted: Sequence[Identity], work: Path) -> list[str]:
        """Download packages, as far as there is room for them; returns complaints."""
        if self._apt is None or not wanted:
            return []
        try:
            require_space(self._directory, 2 * sum(max(r.size for r in self.records(one)) for one in wanted))
        except OSError as error:
            return [f"there is no room for it: {error.strerror}"]
        return self._apt.download(wanted, work, self._options.timeout_seconds)

    # Trust

    def _judge(
        self, wanted: Identity, candidate: Candidate, records: dict[bytes, Record]
    ) -> VerifiedPackage | Unavailable:
        """Decide how far a .deb can be trusted; one that is not trusted far enough is not given out."""
        record = records.get(candidate.sha256)
        if record is None and self._options.minimum_trust == SIGNED:
            return Unavailable("its SHA-256 is in no signed index")
        try:
            contents = deb.read(str(candidate.path), md5=record is None)
        except DebError as error:
            return Unavailable(f"the .deb cannot be read: {error}")
        if Identity(contents.name, contents.version, contents.architecture) != wanted:
            return Unavailable("the .deb is another package than its name says")
        if record is not None:
            source = f"{candidate.label}, SHA-256 in {record.source}"
            return VerifiedPackage(contents, SIGNED, source, str(candidate.path))
        reason = self._disagreement(wanted, contents)
        if reason:
            return Unavailable(reason)
        source = f"{candidate.label}, its files have the digests of the root's own database"
        return VerifiedPackage(contents, DIGEST, source, str(candidate.path))

    def _disagreement(self, wanted: Identity, contents: deb.Contents) -> str:
        """Say in what an unsigned package is not what the database says of it; nothing when it agrees in all."""
        package = self.database.find(wanted.name, wanted.architecture)
        if package is None or package.version != wanted.version:
            return "it is not signed, and the database does not have this version to compare it with"
        if contents.members_md5 != self.database.digests(package):
            return "it is not signed, and the digests of its files are not those of the database"
        if self.database.compare(package, contents.control):
            return "it is not signed, and its control files are not those of the database"
        return ""


def _is_valid(wanted: Identity) -> bool:
    """Tell whether what becomes part of a command and of file names is what deb-control(5) allows."""
    return all(pattern.fullmatch(part) for pattern, part in zip(_IDENTITY, wanted))


def file_names(wanted: Identity) -> tuple[bytes, ...]:
    """Return the names that a package's file may have: as apt's cache writes it, and as an archive does."""
    name, version, architecture = wanted
    versions = dict.fromkeys((version.replace(":", "%3a"), version.partition(":")[2] or version))
    return tuple(f"{name}_{one}_{architecture}.deb".encode() for one in versions)


def _downloaded(wanted: Identity, work: Path) -> Path | None:
    path = work / file_names(wanted)[0].decode()
    return path if path.is_file() and not path.is_symlink() else None
