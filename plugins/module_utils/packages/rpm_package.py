# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A header of an rpm database -> a package and its files, in rpm's own terms (rpmtags.h, rpmfiles.h of rpm 4 and 6)."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    FILE,
    SYMLINK,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import DamagedHeaderError, Header

#: FILEFLAGS
CONFIG, MISSING_OK, GHOST = 1, 8, 64
#: FILEVERIFYFLAGS
VERIFY_DIGEST, VERIFY_SIZE, VERIFY_TARGET, VERIFY_USER, VERIFY_GROUP = 1, 2, 4, 8, 16
VERIFY_MODIFIED, VERIFY_MODE, VERIFY_DEVICE, VERIFY_CAPABILITIES = 32, 64, 128, 256
VERIFY_ALL = 0xFFFFFFFF
#: FILESTATES; the last is what rpm writes for a state that it does not know.
NORMAL, REPLACED, NOT_INSTALLED, NET_SHARED, WRONG_COLOR, UNKNOWN_STATE = 0, 1, 2, 3, 4, 255
_STATES = frozenset((NORMAL, REPLACED, NOT_INSTALLED, NET_SHARED, WRONG_COLOR, UNKNOWN_STATE))

#: FILEDIGESTALGO (numbers of OpenPGP) -> hexadecimal digits of a digest; MD5 is meant where the tag does not occur.
DIGEST_DIGITS = {1: 32, 2: 40, 8: 64, 9: 96, 10: 128, 11: 56}
MD5 = 1

#: The types of files that rpm unpacks; it knows no sockets.
KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHARACTER_DEVICE,
    stat.S_IFBLK: BLOCK_DEVICE,
}

_Value = TypeVar("_Value")

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1022
_OLD_NAMES, _SIZES, _FILE_STATES, _MODES, _DEVICES, _MODIFIED = 1027, 1028, 1029, 1030, 1033, 1034
_DIGESTS, _TARGETS, _FLAGS, _USERS, _GROUPS, _VERIFY_FLAGS = 1035, 1036, 1037, 1039, 1040, 1045
_DIRECTORY_NUMBERS, _BASENAMES, _DIRECTORIES = 1116, 1117, 1118
_LONG_SIZES, _CAPABILITIES, _DIGEST_ALGORITHM = 5008, 5010, 5011

_DIGEST_DIGITS = re.compile(rb"[0-9a-f]*")
_NO_NAMES = frozenset((b".", b".."))


class Package(NamedTuple):
    """What a package is called; ``epoch`` is 0 where it has none, ``architecture`` empty for a public key."""

    name: str
    epoch: int
    version: str
    release: str
    architecture: str

    @property
    def nevra(self) -> str:
        """The whole name, which only one installed package can have."""
        epoch = f"{self.epoch}:" if self.epoch else ""
        architecture = f".{self.architecture}" if self.architecture else ""
        return f"{self.name}-{epoch}{self.version}-{self.release}{architecture}"


class PackagedFile(NamedTuple):
    """One file of a package, as packaged, and its state on this system.

    ``path`` is absolute. ``mode`` holds the type too. ``digest`` is empty for what has none (all but regular files,
    ghosts), ``target`` for all but links. ``owner``, ``group`` and ``capabilities`` are text.
    """

    path: bytes
    mode: int
    digest: bytes
    size: int
    owner: str
    group: str
    modified: int
    device: int
    capabilities: str
    target: bytes
    flags: int
    verify_flags: int
    state: int


def read_package(header: Header) -> Package:
    """Return what a header's package is called. Raises `DamagedHeaderError` when it is called nothing."""
    name, version, release = header.text(_NAME), header.text(_VERSION), header.text(_RELEASE)
    if not name or not version or not release:
        raise DamagedHeaderError("it names no package")
    return Package(name, header.number(_EPOCH) or 0, version, release, header.text(_ARCHITECTURE) or "")


def digest_algorithm(header: Header) -> int:
    """Return the number of the algorithm of a package's file digests."""
    found = header.number(_DIGEST_ALGORITHM)
    return MD5 if found is None else found


def basenames(header: Header) -> list[bytes]:
    """Return the last components of a package's file names, in the order of its files."""
    return header.strings(_BASENAMES) or [name.rpartition(b"/")[2] for name in header.strings(_OLD_NAMES)]


def read_files(header: Header, installed: bool = True) -> list[PackagedFile]:
    """Return the files of a package. Raises `DamagedHeaderError` when what it says of them does not fit together.

    Only that of an ``installed`` one must say in what states they are.
    """
    paths = _paths(header)
    if not paths:
        return []
    count = len(paths)
    states = _column(header.numbers(_FILE_STATES), count, _FILE_STATES, None if installed else NORMAL)
    if not _STATES.issuperset(states):
        raise DamagedHeaderError("it has a file in a state that does not exist")
    sizes = header.numbers(_LONG_SIZES) or header.numbers(_SIZES)
    return [
        PackagedFile(*fields)
        for fields in zip(
            paths,
            _column(header.numbers(_MODES), count, _MODES),
            _digests(header, count),
            _column(sizes, count, _SIZES),
            _names(header, _USERS, count),
            _names(header, _GROUPS, count),
            _column(header.numbers(_MODIFIED), count, _MODIFIED),
            _column(header.numbers(_DEVICES), count, _DEVICES),
            _names(header, _CAPABILITIES, count, ""),
            _column(header.strings(_TARGETS), count, _TARGETS),
            _column(header.numbers(_FLAGS), count, _FLAGS),
            _column(header.numbers(_VERIFY_FLAGS), count, _VERIFY_FLAGS, VERIFY_ALL),
            states,
        )
    ]


def _column(values: Sequence[_Value], count: int, tag: int, absent: _Value | None = None) -> Sequence[_Value]:
    """Return one value for each file; ``absent`` for all of them where the tag may be absent and is."""
    if not values and absent is not None:
        return [absent] * count
    if len(values) != count:
        raise DamagedHeaderError(f"its tag {tag} is for {len(values)} files and not for {count}")
    return values


def _names(header: Header, tag: int, count: int, absent: str | None = None) -> Sequence[str]:
    """Return the texts of a tag, each different one made only once."""
    seen: dict[bytes, str] = {}
    texts = [seen.get(value) or seen.setdefault(value, _text(value)) for value in header.strings(tag)]
    return _column(texts, count, tag, absent)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _digests(header: Header, count: int) -> Sequence[bytes]:
    """Return the digests of the files, which must be of the length of the package's algorithm where it is known."""
    digests = header.strings(_DIGESTS)
    digits = DIGEST_DIGITS.get(digest_algorithm(header))
    lengths = set(map(len, digests)) - {0}
    if not _DIGEST_DIGITS.fullmatch(b"".join(digests)) or (digits is not None and not lengths <= {digits}):
        raise DamagedHeaderError("it has a file digest that is not one of its algorithm")
    return _column(digests, count, _DIGESTS)


def _paths(header: Header) -> list[bytes]:
    """Return the names of the files: directory and last component, or whole as packages of rpm 3 have them."""
    names = header.strings(_BASENAMES)
    if not names:
        return _old_paths(header)
    directories = header.strings(_DIRECTORIES)
    numbers = _column(header.numbers(_DIRECTORY_NUMBERS), len(names), _DIRECTORY_NUMBERS)
    if max(numbers) >= len(directories) or b"/" in b"".join(names) or not _NO_NAMES.isdisjoint(names):
        raise DamagedHeaderError("it has a file name that is none, or in a directory that it does not name")
    if not all(directory[:1] == b"/" == directory[-1:] for directory in directories):
        raise DamagedHeaderError("it has a directory that is not absolute")
    return [directories[number] + name for number, name in zip(numbers, names)]


def _old_paths(header: Header) -> list[bytes]:
    paths = header.strings(_OLD_NAMES)
    if not all(path[:1] == b"/" and path.rpartition(b"/")[2] not in _NO_NAMES for path in paths):
        raise DamagedHeaderError("it has a file name that is not absolute")
    return paths
