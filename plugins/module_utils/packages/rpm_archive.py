# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The very package that rpm has installed, from wherever its .rpm lies, and how far it can be trusted.

A header holds the digest, owner and mode of every file of its package. So an .rpm is the installed one when its header
has the digest of the header in the root's database; it is ``signed`` when, besides, one of the keys that rpm itself
trusts has signed it, else ``digest``. Another build of the same version is another package.

Nothing is downloaded: the caches of dnf, yum and zypper are looked through, and the directories that one names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import deb, rpm_file, rpm_signature
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive import (
    DIGEST,
    SIGNED,
    Options,
    Unavailable,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import Member, VerifiedPackage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_database import (
    Soundness,
    UnreadableDatabaseError,
    open_database,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import DamagedHeaderError, Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_package import (
    NORMAL,
    Package,
    read_files,
    read_package,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_payload import RpmError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.shelves import Candidate, Shelves
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.work_directory import make_work_directory

#: dnf, dnf 5, yum, zypper.
PACKAGE_CACHES = (b"/var/cache/dnf", b"/var/cache/libdnf5", b"/var/cache/yum", b"/var/cache/zypp/packages")


class VerifiedRpm(VerifiedPackage):
    """A package whose .rpm lies at ``path`` and has been read whole; its files are repaired one by one."""

    def __init__(
        self, contents: rpm_file.Contents, present: frozenset[bytes], trust: str, source: str, path: str
    ) -> None:
        """Hold what was read, and of it the paths that are in ``present``."""
        package = contents.package
        version = package.nevra[len(package.name) + 1 :]
        common = deb.Contents(
            package.name,
            version,
            package.architecture,
            _kept(contents.members, present),
            contents.conffiles,
            {},
            {},
            contents.scripts,
            {},
        )
        super().__init__(common, trust, source, path)
        self.capabilities = contents.capabilities
        self.by_hand = (
            "rpm packages are not installed as a whole here",
            f"Move away what is no file where a file belongs, run dnf reinstall {package.nevra} (or rpm -U "
            "--replacepkgs with its .rpm), and verify again",
        )

    def copy(self, path: bytes, descriptor: int) -> None:
        """Write the content of one regular file to a descriptor, as the base does."""
        member = self.members.get(path)
        if member is None or member.sha256 is None:
            raise DebError(f"it has no regular file {text(path)}")
        try:
            rpm_file.copy(self.path, member, descriptor)
        except RpmError as error:
            raise DebError(str(error)) from error


class _Installed(NamedTuple):
    """A package of the database: the SHA-256 of its header as packaged, the paths of its files, and those it has now.

    What another package has replaced, what belongs to another architecture, or was not installed, it does not have.
    """

    package: Package
    header_sha256: str
    paths: frozenset[bytes]
    present: frozenset[bytes]


class RpmArchive:
    """Packages for one root. What it needs for that lies in a private directory, which `close` removes."""

    def __init__(self, tree: Tree, directory: str, options: Options) -> None:
        """Look what lies where; ``directory`` is where the private one is made. Raises `InvalidInputError`."""
        self.complaints: list[str] = []
        self._tree = tree
        self._options = options
        self._shelves = Shelves(tree, PACKAGE_CACHES, options.directories, b".rpm")
        self._work = make_work_directory(directory)
        self._keyrings: list[str] | None = None

    def close(self) -> None:
        """Remove everything private, packages that were given out included."""
        self._shelves.close()
        self._work.close()

    def packages(self, labels: Sequence[str]) -> Iterator[tuple[str, VerifiedRpm | Unavailable]]:
        """Yield the installed package of each label that the database knows, or why it cannot be had."""
        for label, installed in self._installed(labels).items():
            try:
                yield label, installed if isinstance(installed, Unavailable) else self._package(installed)
            except OSError as error:
                yield label, Unavailable(f"there is no room for it, or it cannot be read: {error.strerror}")

    def _installed(self, labels: Sequence[str]) -> dict[str, _Installed | Unavailable]:
        """Return what the database has of some packages. Raises `MeasurementError`."""
        try:
            database = open_database(self._tree)
        except UnreadableDatabaseError:
            return {}
        try:
            soundness = Soundness(database)
            return {
                soundness.labels[record.number]: _read(database.blob(record.number) or b"", record.package)
                for record in soundness.records
                if soundness.labels[record.number] in labels
            }
        finally:
            database.close()

    def _package(self, installed: _Installed) -> VerifiedRpm | Unavailable:
        """Return the first .rpm that is the installed package and is trusted far enough."""
        reasons: list[str] = []
        for candidate in self._shelves.candidates([file_name(installed.package)], self._work.path):
            found = self._judge(installed, candidate)
            if isinstance(found, VerifiedRpm):
                return found
            candidate.path.unlink()
            reasons.append(f"{candidate.label}: {found.reason}")
        reason = "; ".join(reasons) or f"no directory has {text(file_name(installed.package))}"
        return Unavailable(reason)

    def _judge(self, installed: _Installed, candidate: Candidate) -> VerifiedRpm | Unavailable:
        """Decide how far an .rpm can be trusted; of one that is not the installed package only the header is read."""
        path = str(candidate.path)
        try:
            reason = _difference(installed, rpm_file.read_header(path))
            if reason:
                return Unavailable(reason)
            contents = rpm_file.read(path)
        except (RpmError, DamagedHeaderError) as error:
            return Unavailable(f"the .rpm cannot be read: {error}")
        if not installed.paths.issuperset(contents.members):
            return Unavailable("its package was installed to other places than it was made for")
        try:
            signer = rpm_signature.signed_by(contents, self._keys(), self._work.path)
        except RpmError as error:
            if self._options.minimum_trust == SIGNED:
                return Unavailable(str(error))
            source = f"{candidate.label}, its header is the one in the root's own database"
            return VerifiedRpm(contents, installed.present, DIGEST, source, path)
        source = f"{candidate.label}, signed by {signer}, a key of the root's own rpm"
        return VerifiedRpm(contents, installed.present, SIGNED, source, path)

    def _keys(self) -> list[str]:
        """Return the keyrings of what rpm trusts, made once."""
        if self._keyrings is None:
            found = rpm_signature.write_keyrings(self._tree, self._work.path)
            self._keyrings = found.paths
            self.complaints += found.complaints
        return self._keyrings


def _read(blob: bytes, package: Package) -> _Installed | Unavailable:
    """Read the header of an installed package."""
    try:
        header = Header(blob)
        files = read_files(header)
        digest = header.region_sha256()
    except DamagedHeaderError as error:
        return Unavailable(f"its header in the database cannot be compared with an .rpm: {error.reason}")
    present = frozenset(file.path for file in files if file.state == NORMAL)
    return _Installed(package, digest, frozenset(file.path for file in files), present)


def _difference(installed: _Installed, header: Header) -> str:
    """Say why a header is not that of the installed package; nothing when it is. Raises `DamagedHeaderError`."""
    if read_package(header) != installed.package:
        return "the .rpm is another package than its name says"
    if header.region_sha256() != installed.header_sha256:
        return "the .rpm is another build of this version than the one that is installed"
    return ""


def _kept(members: Mapping[bytes, Member], present: frozenset[bytes]) -> dict[bytes, Member]:
    """Return the members that are present; of a file with several names the first of those has it."""
    kept: dict[bytes, Member] = {}
    firsts: dict[bytes, bytes] = {}
    for path, member in members.items():
        if path in present:
            first = firsts.setdefault(member.linked_to or path, path)
            kept[path] = member._replace(linked_to=None if first == path else first)
    return kept


def file_name(package: Package) -> bytes:
    """Return the name of a package's file, which has no epoch."""
    return f"{package.name}-{package.version}-{package.release}.{package.architecture}.rpm".encode()
