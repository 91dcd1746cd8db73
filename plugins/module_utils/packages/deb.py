# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A .deb, which may come from anybody: what is in it, with the digest of each file, and single files out of it."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Callable, NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import deb_tar
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import (
    ArMember,
    DebError,
    Reader,
    decompressed,
    parts,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_tar import HARD_LINK, Header
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.dpkg_files import (
    parse_conffiles,
    parse_md5sums,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import DIRECTORY, FILE, text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import READ_FLAGS

#: How long one package may take to read, and how much may be in it.
READ_SECONDS = 900.0
MAX_CONTROL_BYTES = 64 * 1024 * 1024
MAX_DATA_BYTES = 64 * 1024**3

_FIELD = r"^%s:[ \t]*([!-~]+)[ \t]*$"
_SCRIPTS = (b"preinst", b"postinst")
#: Of an owner that has a name and no number.
NO_NUMBER = -1
_Take = Callable[[Header, Iterator[memoryview]], bool]


class Member(NamedTuple):
    """One path of a package, as the package brings it.

    ``path`` is absolute, ``kind`` one of the constants of ``manifest.py``, ``mode`` the permission bits, ``owner`` and
    ``group`` the names that dpkg prefers to ``uid`` and ``gid`` (empty where there is none; rpm has names alone, and
    `NO_NUMBER` for the others), ``modified`` in seconds since 1970, ``target`` where a symbolic link leads,
    ``linked_to`` the path of which this is a hard link, ``device`` as of `os.makedev`, ``sha256`` the hexadecimal
    digest of a regular file.
    """

    path: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    owner: str
    group: str
    size: int
    modified: int
    target: bytes | None
    linked_to: bytes | None
    device: int | None
    sha256: bytes | None


class Contents(NamedTuple):
    """Everything in a .deb. ``control`` maps the names of its control files to their SHA-256 in hexadecimal.

    ``scripts`` are the maintainer scripts that run when it is installed; ``members_md5`` holds the MD5 of each regular
    file, where it was asked for, or the package has no list of them.
    """

    name: str
    version: str
    architecture: str
    members: dict[bytes, Member]
    conffiles: tuple[bytes, ...]
    md5sums: dict[bytes, bytes]
    control: dict[bytes, bytes]
    scripts: tuple[bytes, ...]
    members_md5: dict[bytes, bytes]


class VerifiedPackage:
    """A package whose .deb lies at ``path`` and has been read whole.

    ``trust`` is ``signed`` (its SHA-256 is in signed metadata) or ``digest`` (its files have the MD5 that the database
    of the root has for them); ``source`` says where it came from and who vouches for it. ``by_hand`` is the reason why
    it is not to be installed as a whole, and what to do instead; `None` where nothing is in the way. ``capabilities``
    are those that it records, by path and in their text form (a .deb has none).
    """

    by_hand: tuple[str, str] | None = None
    capabilities: Mapping[bytes, str] = MappingProxyType({})

    def __init__(self, contents: Contents, trust: str, source: str, path: str) -> None:
        """Hold what was read."""
        self.contents = contents
        self.name, self.version, self.architecture = contents.name, contents.version, contents.architecture
        self.members = contents.members
        self.conffiles = contents.conffiles
        self.md5sums = contents.md5sums
        self.trust = trust
        self.source = source
        self.path = path

    def copy(self, path: bytes, descriptor: int) -> None:
        """Write the content of one regular file to a descriptor, verifying it on the way.

        Raises `DebError` when the .deb does not have it, or has another content than when it was verified, after
        which what was written is worthless; `OSError` when it cannot be written.
        """
        member = self.members.get(path)
        if member is None or member.sha256 is None:
            raise DebError(f"it has no regular file {text(path)}")
        copier = _Copier(member.linked_to or path, member.sha256, descriptor)
        _read_member(self.path, False, copier.take)
        copier.finish()

    def copy_control(self, name: bytes, descriptor: int) -> None:
        """Write one of the control files (``b"md5sums"``, ``b"postinst"``) as `copy` does."""
        digest = self.contents.control.get(name)
        if digest is None:
            raise DebError(f"it has no control file {text(name)}")
        copier = _Copier(b"/" + name, digest, descriptor)
        _read_member(self.path, True, copier.take)
        copier.finish()

    def discard(self) -> None:
        """Delete the .deb; what was read of it stays."""
        Path(self.path).unlink()


def read(path: str, md5: bool = False) -> Contents:
    """Read a .deb from its beginning to its end. Raises `DebError` for whatever is wrong with it, `OSError`.

    With ``md5`` the MD5 of each regular file is computed too, and so it is of a package without a list of them, for
    which dpkg makes one. Memory grows with the number of paths, not their size.
    """
    control = _Control()
    _read_member(path, True, control.take)
    fields = (control.field("Package"), control.field("Version"), control.field("Architecture"))
    data = _Data(md5 or b"md5sums" not in control.digests)
    _read_member(path, False, data.take)
    conffiles, complaints = parse_conffiles(control.texts.get(b"conffiles") or b"\n")
    digests, more = parse_md5sums(control.texts.get(b"md5sums") or b"\n")
    if control.texts.get(b"md5sums") and more:
        raise DebError(f"its md5sums is damaged: {more[0]}")
    if complaints:
        raise DebError(f"its conffiles is damaged: {complaints[0]}")
    scripts = tuple(control.texts[name] for name in _SCRIPTS if name in control.texts)
    return Contents(*fields, data.members, tuple(conffiles), digests, control.digests, scripts, data.md5)


def _read_member(path: str, control: bool, take: _Take) -> None:
    """Show each member of one of the two archives to ``take``, until that returns true or the archive ends."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        found = parts(descriptor)
        member: ArMember = found.control if control else found.data
        limit = MAX_CONTROL_BYTES if control else MAX_DATA_BYTES
        deadline = time.monotonic() + READ_SECONDS
        reader = Reader(decompressed(path, descriptor, member, deadline), member.size, deadline, limit)
        try:
            for header, content in deb_tar.members(reader):
                if take(header, content):
                    return
        finally:
            reader.close()
    finally:
        os.close(descriptor)


class _Control:
    """What is wanted of the control archive."""

    _KEPT = (b"control", b"md5sums", b"conffiles", *_SCRIPTS)

    def __init__(self) -> None:
        self.digests: dict[bytes, bytes] = {}
        self.texts: dict[bytes, bytes] = {}

    def take(self, header: Header, content: Iterator[memoryview]) -> bool:
        name = header.path[1:]
        if header.kind == DIRECTORY and not name:
            return False
        if header.kind != FILE or b"/" in name or name in self.digests:
            raise DebError(f"its control archive holds {text(name[:200])}, which is no control file or is there twice")
        hasher = hashlib.sha256()
        pieces: list[bytes] = []
        for piece in content:
            hasher.update(piece)
            if name in self._KEPT:
                pieces.append(bytes(piece))
        self.digests[name] = hasher.hexdigest().encode()
        if name in self._KEPT:
            self.texts[name] = b"".join(pieces)
        return False

    def field(self, name: str) -> str:
        """Return a field of the file control, which must be there once."""
        found = re.findall(_FIELD % name, self.texts.get(b"control", b"").decode("utf-8", "replace"), re.M | re.I)
        if len(found) != 1:
            raise DebError(f"its control file does not have the field {name} once")
        value: str = found[0]
        return value


class _Data:
    """What is in the data archive."""

    def __init__(self, with_md5: bool) -> None:
        self.members: dict[bytes, Member] = {}
        self.md5: dict[bytes, bytes] = {}
        self._with_md5 = with_md5

    def take(self, header: Header, content: Iterator[memoryview]) -> bool:
        path = header.path
        if path == b"/":
            return False
        before = self.members.get(path)
        if before is not None and not before.kind == header.kind == DIRECTORY:
            raise DebError(f"it has {text(path[:200])} twice")
        if header.kind == HARD_LINK:
            self._link(path, header.link or b"")
            return False
        digest = self._digest(path, content) if header.kind == FILE else None
        self.members[path] = Member(
            path,
            header.kind,
            header.mode,
            header.uid,
            header.gid,
            header.owner,
            header.group,
            header.size,
            header.modified,
            header.link,
            None,
            header.device,
            digest,
        )
        return False

    def _digest(self, path: bytes, content: Iterator[memoryview]) -> bytes:
        """Hash a file as it goes by."""
        sha256 = hashlib.sha256()
        md5 = hashlib.md5(usedforsecurity=False) if self._with_md5 else None
        for piece in content:
            sha256.update(piece)
            if md5 is not None:
                md5.update(piece)
        if md5 is not None:
            self.md5[path] = md5.hexdigest().encode()
        return sha256.hexdigest().encode()

    def _link(self, path: bytes, target: bytes) -> None:
        """Add a further name of a file that came before: it is the same file, whatever its own header says."""
        first = self.members.get(target)
        if first is None or first.kind != FILE:
            raise DebError(f"it has a hard link {text(path[:200])} to what it does not have")
        self.members[path] = first._replace(path=path, linked_to=first.linked_to or target)
        if self._with_md5:
            self.md5[path] = self.md5[target]


class _Copier:
    """One file of an archive on its way to a descriptor."""

    def __init__(self, path: bytes, sha256: bytes, descriptor: int) -> None:
        self._path = path
        self._expected = sha256
        self._descriptor = descriptor
        self._found: bytes | None = None

    def take(self, header: Header, content: Iterator[memoryview]) -> bool:
        if header.path != self._path or header.kind != FILE:
            return False
        hasher = hashlib.sha256()
        for piece in content:
            hasher.update(piece)
            left = piece
            while left:
                left = left[os.write(self._descriptor, left) :]
        self._found = hasher.hexdigest().encode()
        return True

    def finish(self) -> None:
        """Raise `DebError` unless the file went by with the content that it must have."""
        if self._found != self._expected:
            raise DebError(f"{text(self._path)} in it is not what it was when it was verified")
