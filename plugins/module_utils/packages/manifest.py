# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The common model of every package manager: what should be where, and what is wrong with the database that says so.

Nothing here reads a file or judges one. A reader (``dpkg.py``) makes a `Manifest`, ``verify.py`` makes `Observation`
objects from it and the disk, and ``verdict.py`` turns both into findings.
"""

from __future__ import annotations

import dataclasses
import re
import stat
from typing import NamedTuple

FILE = "file"
CONFFILE = "conffile"
DIRECTORY = "directory"
SYMLINK = "symlink"
FIFO = "fifo"
CHARACTER_DEVICE = "character_device"
BLOCK_DEVICE = "block_device"
#: The database names the path and no more: a symbolic link, an empty directory, rarely something else.
UNKNOWN = "unknown"
#: The database has a digest for the path, but no package lists it.
UNLISTED = "unlisted"
#: Whatever a program has made there, or nothing: a package names the path and owns it, and not what is there.
ANYTHING = "anything"


class Recorded(NamedTuple):
    """What a reference says about a path besides its type and digest; `None` is what it does not say.

    ``mode`` are the permission bits (0o7777). ``owner`` and ``group`` are names (the root's own files say which number
    is meant) or numbers. ``size`` is in bytes, ``device`` is the device number of a device file (`os.makedev`),
    ``modified`` the modification time in seconds since 1970. ``capabilities`` is the text form of capabilities(7)
    (``cap_net_raw=ep``), empty when the reference says that there are none. ``required`` is false for what may be
    absent without harm (a ghost, a ``missingok`` file). ``denied`` are permission bits that must not be set though
    nothing says what the mode is.
    """

    mode: int | None = None
    owner: str | int | None = None
    group: str | int | None = None
    size: int | None = None
    target: bytes | None = None
    device: int | None = None
    modified: int | None = None
    capabilities: str | None = None
    required: bool = True
    denied: int = 0


# Python makes a new one for each `frozenset()`, of which there would be one for each path.
_NOTHING: frozenset[str] = frozenset()


class Entry:
    """One path on disk and what the packages say about it.

    ``path`` is where it is looked for: absolute inside the root, diversions applied, links in its directory resolved.
    ``listed`` is the name that the package gives it. ``kind`` is one of the constants above. ``digest`` is the expected
    digest in lower-case hexadecimal (`algorithm` tells which by its length) or `None`; ``other_digests`` are what
    further owners say, where they disagree. ``undigested`` are owners that list the path and record no digest for it.
    ``diverted_by`` is the package that moved the path here (``:`` for the local administrator). ``recorded`` is what
    is known about the path beyond that; `None` where the database knows nothing (dpkg's). ``disputed`` are the names
    of those of its fields about which owners disagree, so that a further one settles nothing.
    """

    __slots__ = (
        "digest",
        "disputed",
        "diverted_by",
        "kind",
        "listed",
        "other_digests",
        "packages",
        "path",
        "recorded",
        "undigested",
    )

    def __init__(self, path: bytes, listed: bytes, kind: str, package: str) -> None:
        """Make the entry of a first owner."""
        self.path = path
        self.listed = listed
        self.kind = kind
        self.packages: list[str] = [package]
        self.digest: bytes | None = None
        self.other_digests: tuple[bytes, ...] = ()
        self.undigested: tuple[str, ...] = ()
        self.diverted_by: str | None = None
        self.recorded: Recorded | None = None
        self.disputed = _NOTHING


class DatabaseProblem(NamedTuple):
    """Something wrong with the package database itself: the file (inside the root), what, and what to do about it."""

    file: str
    problem: str
    remedy: str


class Gap(NamedTuple):
    """Something that was not verified. ``detail`` is for a person; equal (reason, detail) are counted together."""

    reason: str
    detail: str
    packages: tuple[str, ...]
    files: int
    example: str


class PackageState(NamedTuple):
    """An installed package that its own database does not call complete, in that database's words."""

    package: str
    state: str
    broken: bool


class PathFilter(NamedTuple):
    """One rule of the package manager on what to leave out when it unpacks; the last that matches a path decides."""

    pattern: re.Pattern[bytes]
    include: bool


@dataclasses.dataclass
class Manifest:
    """What the package database of one root says."""

    entries: list[Entry] = dataclasses.field(default_factory=list)
    installed: list[str] = dataclasses.field(default_factory=list)
    #: Further names by which an installed package may be asked for.
    names: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    #: The version of each installed package, where its label does not say it.
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[DatabaseProblem] = dataclasses.field(default_factory=list)
    gaps: list[Gap] = dataclasses.field(default_factory=list)
    states: list[PackageState] = dataclasses.field(default_factory=list)
    filters: list[PathFilter] = dataclasses.field(default_factory=list)
    #: Properties that this kind of database does not record, so that nobody can verify them with it.
    not_recorded: tuple[str, ...] = ()
    #: Where the digests of each package are kept, for messages about one that is lacking.
    digest_files: dict[str, str] = dataclasses.field(default_factory=dict)
    #: The database file in which package states are kept.
    state_file: str = ""
    #: How many entries were taken out again because they are not to be looked at; each is a gap.
    taken_out: int = 0
    #: Of these, the entries that mounts cover, for a witness that is to be written.
    hidden: list[Entry] = dataclasses.field(default_factory=list)


class Metadata(NamedTuple):
    """What was seen of a path besides its content; `None` is what it does not have or what was not looked at.

    ``mode`` are the permission bits (a symbolic link has none of its own), ``device`` is the number of a device file,
    ``modified`` is in seconds since 1970. ``capabilities`` is the text form, or ``malformed``. ``errors`` are the
    properties that could not be looked at, and the errno of each.
    """

    mode: int | None
    uid: int
    gid: int
    modified: int
    target: bytes | None = None
    device: int | None = None
    capabilities: str | None = None
    errors: tuple[tuple[str, int], ...] = ()


#: What an observation calls each type of file, by the type in its mode (stat(2)).
FILE_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character_device",
    stat.S_IFBLK: "block_device",
}


class Observation(NamedTuple):
    """What was found at an entry's path, where that is not plainly what was expected.

    ``number`` is the entry's place in the manifest. ``file_type`` is ``file``, ``directory``, ``symlink``, ``fifo``,
    ``socket``, ``character_device``, ``block_device`` or ``missing``. ``digest``, ``size`` and ``target`` are what was
    read, as far as it could be; ``target_digest`` is that of the regular file to which a symbolic link leads inside the
    root, ``target_is_directory`` whether it leads to a directory. ``error`` is the errno of what failed, ``offset``
    where in the file. ``busy`` is true when the file changed while it was read, several times over. ``metadata`` is
    given where the manifest records any; ``sound`` is true when it alone is why the path is told of: type and content,
    as far as they are recorded, are as expected. ``suspicions`` say in sentences why the content looks damaged.
    ``disk_digest`` is what was read past the page cache, where both were read; ``disk_error`` and ``disk_offset``
    what failed there, and where.
    """

    number: int
    file_type: str
    digest: bytes | None = None
    size: int | None = None
    target: bytes | None = None
    target_digest: bytes | None = None
    target_is_directory: bool = False
    error: int | None = None
    offset: int | None = None
    busy: bool = False
    metadata: Metadata | None = None
    sound: bool = False
    suspicions: tuple[str, ...] = ()
    disk_digest: bytes | None = None
    disk_error: int | None = None
    disk_offset: int | None = None


class Finding(NamedTuple):
    """One path that is not what its packages say; ``category`` is the result's ``class``."""

    category: str
    path: bytes
    packages: tuple[str, ...]
    expected: dict[str, object]
    actual: dict[str, object]


def text(path: bytes) -> str:
    r"""Return a path as text that is valid UTF-8 whatever the path is: other bytes are written ``\xNN``."""
    return path.decode("utf-8", "backslashreplace")


def is_utf8(path: bytes) -> bool:
    """Tell whether a path is valid UTF-8, so that its text is the whole truth about it."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def algorithm(digest: bytes) -> str:
    """Return the name of the digest algorithm whose hexadecimal form has this length."""
    return {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}[len(digest)]
