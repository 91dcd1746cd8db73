# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repair needs of a file system: whole inodes, flags, exchanged and private names, copies of what is damaged.

Sources: ioctl_iflags(2), renameat2(2), xattr(7). Names are relative to the descriptor of their directory, so that
nothing that happens to the path above them leads elsewhere.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import struct
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import READ_FLAGS

IMMUTABLE = 0x10
APPEND_ONLY = 0x20

#: Flags that a person sets with chattr(1) and that a new inode can be given; those above are refused, not kept.
KEPT_FLAGS = 0x1 | 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x400 | 0x4000 | 0x8000 | 0x800000

#: Where the kernel shows the descriptors of this process (proc_pid_fd(5)).
_DESCRIPTORS = b"/proc/self/fd"

#: An inode with more is no inode of an operating system's file.
MAX_XATTRS = 256

_LONG_BYTES = struct.calcsize("l")
_GET_FLAGS = 0x80006601 | _LONG_BYTES << 16
_SET_FLAGS = 0x40006602 | _LONG_BYTES << 16
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_PRIVATE = re.compile(rb"^\..*\.ringmaster-[0-9a-f]{16}$", re.DOTALL)
_MAX_NAME_BYTES = 255
_BLOCK_BYTES = 4096
_CHUNK_BYTES = 256 * 1024
_MAX_HOLES = 1000


class Inode(NamedTuple):
    """What an inode says of itself: mode with its type (`stat.S_IFMT`), owner, size in bytes, times in nanoseconds.

    ``flags`` are those of ioctl_iflags(2), `None` where the file system has none or the inode cannot be opened.
    """

    mode: int
    uid: int
    gid: int
    size: int
    modified_ns: int
    device: int
    inode: int
    links: int
    device_number: int
    xattrs: dict[str, bytes]
    flags: int | None


def read_inode(parent: int, name: bytes) -> Inode:
    """Return what the inode of a name says in a directory, of a link its own. Raises `OSError`."""
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    return Inode(
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_dev,
        status.st_ino,
        status.st_nlink,
        status.st_rdev,
        _xattrs(parent, name),
        _flags_of(parent, name, status.st_mode),
    )


def _xattrs(parent: int, name: bytes) -> dict[str, bytes]:
    # There is no call that takes a directory's descriptor and a name, but this path is one.
    path = b"%s/%d/%s" % (_DESCRIPTORS, parent, name)
    try:
        names = os.listxattr(path, follow_symlinks=False)[:MAX_XATTRS]
        return {each: os.getxattr(path, each, follow_symlinks=False) for each in names}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA):
            return {}
        if error.errno in (errno.ENOENT, errno.ENOTDIR) and not Path(os.fsdecode(_DESCRIPTORS)).is_dir():
            # Not that the name is missing, which is how it would be understood.
            raise OSError(errno.ENOSYS, "its attributes cannot be read while /proc is not mounted") from error
        raise


def _flags_of(parent: int, name: bytes, mode: int) -> int | None:
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return None
    try:
        descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
    except OSError:
        return None
    try:
        return get_flags(descriptor)
    finally:
        os.close(descriptor)


def get_flags(descriptor: int) -> int | None:
    """Return the flags of an open inode; `None` where its file system has none."""
    value = array.array("l", [0])
    try:
        fcntl.ioctl(descriptor, _GET_FLAGS, value, True)
    except OSError:
        return None
    return value[0] & 0xFFFFFFFF


def set_flags(descriptor: int, flags: int) -> None:
    """Give an open inode flags beside those that it has from its directory. Raises `OSError`."""
    present = get_flags(descriptor) or 0
    if present & flags != flags:
        fcntl.ioctl(descriptor, _SET_FLAGS, array.array("l", [present | flags]), True)


def exchange(parent: int, name: bytes, other: bytes) -> None:
    """Exchange two names of one directory in one step, whatever they are. Raises `OSError` where that is not done."""
    _renameat2(parent, name, parent, other, _RENAME_EXCHANGE)


def rename_to_free_name(parent: int, name: bytes, other_parent: int, other: bytes) -> None:
    """Rename to a name that nothing has. Raises `FileExistsError` when something has it, and `OSError`."""
    _renameat2(parent, name, other_parent, other, _RENAME_NOREPLACE)


def _renameat2(parent: int, name: bytes, other_parent: int, other: bytes, flags: int) -> None:
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if renameat2(parent, ctypes.c_char_p(name), other_parent, ctypes.c_char_p(other), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def private_name(name: bytes) -> bytes:
    """Return a name for the same directory that nobody else uses, and that a later run recognises."""
    ending = b".ringmaster-" + secrets.token_hex(8).encode()
    return b"." + name[: _MAX_NAME_BYTES - 1 - len(ending)] + ending


def is_private(name: bytes) -> bool:
    """Tell whether a name is one that `private_name` made."""
    return bool(_PRIVATE.match(name))


def sync_directory(parent: int) -> None:
    """Make the names of a directory durable; its descriptor may be one that only names it (``O_PATH``)."""
    descriptor = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_readable(source: int, target: int, size: int) -> tuple[str, list[list[int]]]:
    """Copy so many bytes; what cannot be read becomes a hole. Raises `OSError` for what cannot be written.

    Returns the SHA-256 of the copy, and offset and length in bytes of each part that cannot be read.
    """
    hasher = hashlib.sha256()
    holes: list[list[int]] = []
    offset = 0
    while offset < size:
        wanted = min(_CHUNK_BYTES, size - offset)
        try:
            chunk = os.pread(source, wanted, offset)
        except OSError:
            wanted = min(_BLOCK_BYTES - offset % _BLOCK_BYTES, wanted)
            try:
                chunk = os.pread(source, wanted, offset)
            except OSError:
                _add_hole(holes, offset, wanted)
                chunk = bytes(wanted)
        if not chunk:
            break
        hasher.update(chunk)
        if chunk.strip(b"\0"):
            _write_at(target, chunk, offset)
        offset += len(chunk)
    os.ftruncate(target, offset)
    return hasher.hexdigest(), holes


def _write_at(target: int, chunk: bytes, offset: int) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.pwrite(target, left, offset + len(chunk) - len(left)) :]


def _add_hole(holes: list[list[int]], offset: int, length: int) -> None:
    if holes and sum(holes[-1]) == offset:
        holes[-1][1] += length
    elif len(holes) < _MAX_HOLES:
        holes.append([offset, length])
