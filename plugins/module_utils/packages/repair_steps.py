# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a repair that concern one path: what is damaged is kept, what is right takes its place in one rename.

What is written lies beside the damaged file under a private name, is durable and read back before it is renamed, and
has the owner, mode, extended attributes and flags that it needs. So whoever is killed at any moment leaves the old file
or the new one, and at most a private name, which `clear_leftovers` removes in the next run. No link is followed on
the way, and nothing is written in place: a process that runs keeps the file that it has.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Callable

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.accounts import Accounts, read_accounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.capabilities import (
    ATTRIBUTE,
    parse_text,
    to_attribute,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import (
    NO_NUMBER,
    Member,
    VerifiedPackage,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import DebError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.inode import (
    APPEND_ONLY,
    IMMUTABLE,
    KEPT_FLAGS,
    Inode,
    exchange,
    private_name,
    read_inode,
    set_flags,
    sync_directory,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import text
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.quarantine import (
    NotMovableError,
    Quarantine,
    QuarantineError,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.repair_plan import (
    MAKE_DIRECTORY,
    REPLACE_FILE,
    REPLACE_LINK,
    SET_METADATA,
    Step,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import DirectoryWalk, Tree

#: What says of the old content that it is the right one, and would say so of the new.
_NOT_KEPT = ("security.ima", "security.evm", "trusted.overlay.")
_CHUNK_BYTES = 256 * 1024
_DATABASE_FILE_MODE = 0o644
_Deed = Callable[[int], None]


class RepairError(WebopsError):
    """A step cannot be done. ``by_package`` says whether installing the whole package may do it."""

    by_package = False


class UntrustedDiskError(RepairError):
    """What was written is not what is read back; nothing more is written to such a disk."""


class NotKeptError(RepairError):
    """A new file cannot be given what the old one has: a capability, an access control list, a flag."""

    by_package = True


class FileRepair:
    """Does steps on one root, one after the other."""

    def __init__(self, tree: Tree, quarantine: Quarantine) -> None:
        """Take a root that is open, and where damaged files are kept."""
        self._tree = tree
        self._quarantine = quarantine
        self._accounts: Accounts = read_accounts(tree)

    def perform(self, step: Step, reference: VerifiedPackage) -> None:
        """Do one step. Raises `RepairError` and `QuarantineError`; then the path is as it was."""
        walk = DirectoryWalk(self._tree)
        try:
            if step.kind == REPLACE_FILE:
                self._replace_file(step, reference, walk)
            elif step.kind == REPLACE_LINK:
                self._replace_link(step, reference, walk)
            elif step.kind == MAKE_DIRECTORY:
                self._make_directory(step, reference.members[step.member], walk)
            elif step.kind == SET_METADATA:
                self._set_metadata(step, reference.members[step.member], walk)
            else:
                self._write_database_file(step, walk)
        except OSError as error:
            remedy = "Look into the kernel's log and for free space, then repair again"
            raise RepairError(text(step.path), f"it cannot be repaired ({error.strerror})", remedy) from error
        except DebError as error:
            raise RepairError(step.source, str(error), "Look for damage of its disk, then repair again") from error
        finally:
            walk.close()

    # Files

    def _replace_file(self, step: Step, reference: VerifiedPackage, walk: DirectoryWalk) -> None:
        """Replace a file, and give the new one all names of the old one."""
        member = reference.members[step.member]
        others = [each for each in step.links if self._is_wanted(each[0], step, walk)]
        for path in (step.path, *(path for path, _member in others)):
            self._quarantine.keep(path)
        if others:
            self._quarantine.note_names([step.path, *(path for path, _member in others)])
        parent, name = self._enter(step.path, step.member, reference, walk)
        old = _old(parent, name, step.path)

        def fill(descriptor: int) -> None:
            reference.copy(step.member, descriptor)

        self._write(step.path, parent, name, old, fill, lambda fd: self._dress(fd, step, member, old), member.sha256)
        if others:
            first = os.dup(parent)
            try:
                for path, listed in others:
                    self._link(path, listed, reference, walk, (first, name))
            finally:
                os.close(first)

    def _is_wanted(self, path: bytes, step: Step, walk: DirectoryWalk) -> bool:
        """Tell whether a further name is to be made: it is there, or it is missed."""
        directory, _slash, name = path.rpartition(b"/")
        try:
            _old(walk.enter(directory), name, path)
            os.stat(name, dir_fd=walk.enter(directory), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return path in step.damaged
        return True

    def _link(
        self, path: bytes, listed: bytes, reference: VerifiedPackage, walk: DirectoryWalk, first: tuple[int, bytes]
    ) -> None:
        """Give a new file a further name."""
        parent, name = self._enter(path, listed, reference, walk)
        old = _old(parent, name, path)
        with under_private_name(parent, name) as private:
            os.link(first[1], private, src_dir_fd=first[0], dst_dir_fd=parent, follow_symlinks=False)
            self._put(path, parent, private, name, old)

    def _write_database_file(self, step: Step, walk: DirectoryWalk) -> None:
        """Write a file of the database anew; root's, and readable by all, as dpkg makes it."""
        directory, _slash, name = step.path.rpartition(b"/")
        self._quarantine.keep(step.path)
        parent = walk.enter(self._tree.resolve(directory))
        old = _old(parent, name, step.path)

        def fill(descriptor: int) -> None:
            left = memoryview(step.content)
            while left:
                left = left[os.write(descriptor, left) :]

        def dress(descriptor: int) -> None:
            os.fchmod(descriptor, _DATABASE_FILE_MODE)

        digest = hashlib.sha256(step.content).hexdigest().encode()
        self._write(step.path, parent, name, old, fill, dress, digest)

    def _write(
        self,
        path: bytes,
        parent: int,
        name: bytes,
        old: Inode | None,
        fill: _Deed,
        dress: _Deed,
        sha256: bytes | None,
    ) -> None:
        """Write a file beside its place, see that it is what it should be, and put it there."""
        with under_private_name(parent, name) as private:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(private, flags, 0o600, dir_fd=parent)
            try:
                _keep_flags(descriptor, old, path)
                fill(descriptor)
                dress(descriptor)
                os.fsync(descriptor)
                if sha256_on_disk(descriptor) != sha256:
                    raise UntrustedDiskError(
                        text(path),
                        "what was written cannot be read back from the disk as it was written",
                        "The disk is not to be trusted; repair nothing on it",
                    )
            finally:
                os.close(descriptor)
            self._put(path, parent, private, name, old)

    def _dress(self, descriptor: int, step: Step, member: Member, old: Inode | None) -> None:
        """Give a new file owner, mode, attributes and time: those of the old one but for what the step sets."""
        kept = old if old is not None and stat.S_ISREG(old.mode) else None
        uid, gid = self._owner(step, member, kept)
        mode = step.mode if step.mode is not None else (stat.S_IMODE(kept.mode) if kept else member.mode)
        os.fchown(descriptor, uid, gid)
        for name, value in (kept.xattrs if kept else {}).items():
            if not name.startswith(_NOT_KEPT):
                _set_xattr(descriptor, name, value, step.path)
        # After the owner, which takes special bits away, and after an access control list, whose mask these bits are.
        os.fchmod(descriptor, mode)
        if step.capabilities is not None:
            _set_capabilities(descriptor, step.capabilities, step.path)
        os.utime(descriptor, (member.modified, member.modified))

    def _owner(self, step: Step, member: Member, kept: Inode | None) -> tuple[int, int]:
        """Return the numbers of owner and group: what the step sets, else the old file's, else the package's."""
        owner = member.owner if step.owner is None else step.owner
        group = member.group if step.group is None else step.group
        users, groups = self._accounts.users, self._accounts.groups
        uid = kept.uid if kept and step.owner is None else _number(owner, users, member.uid, step.path)
        gid = kept.gid if kept and step.group is None else _number(group, groups, member.gid, step.path)
        return uid, gid

    # Links, directories, metadata

    def _replace_link(self, step: Step, reference: VerifiedPackage, walk: DirectoryWalk) -> None:
        member = reference.members[step.member]
        self._quarantine.keep(step.path)
        parent, name = self._enter(step.path, step.member, reference, walk)
        old = _old(parent, name, step.path)
        with under_private_name(parent, name) as private:
            os.symlink(member.target or b"", private, dir_fd=parent)
            uid, gid = self._owner(step, member, None)
            os.chown(private, uid, gid, dir_fd=parent, follow_symlinks=False)
            times = (member.modified, member.modified)
            os.utime(private, times, dir_fd=parent, follow_symlinks=False)
            self._put(step.path, parent, private, name, old)

    def _make_directory(self, step: Step, member: Member, walk: DirectoryWalk) -> None:
        """Make a directory; what is in its place is kept first."""
        directory, _slash, name = step.path.rpartition(b"/")
        self._quarantine.keep(step.path)
        parent = walk.enter(directory)
        old = _old(parent, name, step.path)
        if old is not None and stat.S_ISDIR(old.mode):
            return
        with under_private_name(parent, name) as private:
            uid, gid = self._owner(step, member, None)
            self._new_directory(parent, private, uid, gid, member.mode if step.mode is None else step.mode)
            if old is None:
                os.rename(private, name, src_dir_fd=parent, dst_dir_fd=parent)
            else:
                exchange(parent, private, name)  # What is under the private name now goes with it.
            sync_directory(parent)

    def _new_directory(self, parent: int, private: bytes, uid: int, gid: int, mode: int) -> None:
        os.mkdir(private, 0o700, dir_fd=parent)
        os.chown(private, uid, gid, dir_fd=parent, follow_symlinks=False)
        os.chmod(private, mode, dir_fd=parent)

    def _set_metadata(self, step: Step, member: Member, walk: DirectoryWalk) -> None:
        """Set owner and mode of what is there, and keep its capabilities, which a new owner takes away."""
        directory, _slash, name = step.path.rpartition(b"/")
        self._quarantine.keep(step.path, with_content=False)
        parent = walk.enter(directory)
        old = read_inode(parent, name)
        _require_changeable(parent, old, step.path)
        uid, gid = self._owner(step, member, old)
        if stat.S_ISLNK(old.mode):
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
            return
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=parent)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != (old.device, old.inode):
                raise OSError(errno.EBUSY, "it was exchanged meanwhile")
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, stat.S_IMODE(old.mode) if step.mode is None else step.mode)
            if "security.capability" in old.xattrs:
                os.setxattr(descriptor, "security.capability", old.xattrs["security.capability"])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # What all of them do

    def _enter(self, path: bytes, listed: bytes, reference: VerifiedPackage, walk: DirectoryWalk) -> tuple[int, bytes]:
        """Return the directory of a path, which is made where it is missing and the package has it, and the name."""
        directory, _slash, name = path.rpartition(b"/")
        try:
            return walk.enter(directory), name
        except FileNotFoundError:
            above = listed.rpartition(b"/")[0]
            member = reference.members.get(above)
            if member is None or not directory:
                raise
        grandparent, last = self._enter(directory, above, reference, walk)
        with under_private_name(grandparent, last) as private:
            uid = _number(member.owner, self._accounts.users, member.uid, directory)
            gid = _number(member.group, self._accounts.groups, member.gid, directory)
            self._new_directory(grandparent, private, uid, gid, member.mode)
            os.rename(private, last, src_dir_fd=grandparent, dst_dir_fd=grandparent)
            sync_directory(grandparent)
        return walk.enter(directory), name

    def _put(self, path: bytes, parent: int, private: bytes, name: bytes, old: Inode | None) -> None:
        """Put what is ready in its place; a directory that is there goes into the quarantine."""
        if old is None or not stat.S_ISDIR(old.mode):
            os.rename(private, name, src_dir_fd=parent, dst_dir_fd=parent)
        else:
            self._exchange_directory(path, parent, private, name)
        sync_directory(parent)

    def _exchange_directory(self, path: bytes, parent: int, private: bytes, name: bytes) -> None:
        """Put what is ready in the place of a directory, which is in its place again when it cannot be kept."""
        try:
            self._quarantine.require_movable(path, parent, name)
            exchange(parent, private, name)
            try:
                self._quarantine.move(path, parent, private)
            except QuarantineError:
                exchange(parent, private, name)
                raise
        except NotMovableError as error:
            raise RepairError(error.value, error.reason, error.remedy) from error


@contextlib.contextmanager
def under_private_name(parent: int, name: bytes) -> Iterator[bytes]:
    """Give a private name, and see that nothing has it afterwards."""
    private = private_name(name)
    try:
        yield private
    finally:
        try:
            os.unlink(private, dir_fd=parent)
        except IsADirectoryError:
            os.rmdir(private, dir_fd=parent)
        except FileNotFoundError:
            pass


def _number(owner: str | int, known: Mapping[str, int], of_package: int, path: bytes) -> int:
    """Return the number of an owner or group; a name that the root does not know has that of the package, if any."""
    number = owner if isinstance(owner, int) else known.get(owner, of_package)
    if number == NO_NUMBER:
        reason = f"it belongs to {str(owner)[:100]!r}, whom this system does not know"
        raise RepairError(text(path), reason, "Repair its accounts (/etc/passwd, /etc/group) first")
    return number


def _old(parent: int, name: bytes, path: bytes) -> Inode | None:
    """Return the metadata of what is to be replaced, `None` when there is nothing; refuse what cannot be replaced."""
    try:
        old = read_inode(parent, name)
    except FileNotFoundError:
        old = None
    _require_changeable(parent, old, path)
    return old


def _require_changeable(parent: int, old: Inode | None, path: bytes) -> None:
    """Refuse what is flagged as not to be changed: the kernel would, after half of the work."""
    above = read_inode(parent, b".").flags or 0
    flags = (old.flags if old is not None else 0) or 0
    if (above | flags) & (IMMUTABLE | APPEND_ONLY):
        where = text(path if flags & (IMMUTABLE | APPEND_ONLY) else path.rpartition(b"/")[0])
        raise RepairError(
            text(path),
            f"{where} has the flag immutable or append-only",
            f"Find out who set it, clear it with chattr -i -a {where}, and repair again",
        )


def obstacle(tree: Tree, path: bytes) -> str | None:
    """Return why a path cannot be replaced as it is now; `None` when nothing is in the way."""
    directory, _slash, name = path.rpartition(b"/")
    walk = DirectoryWalk(tree)
    try:
        _old(walk.enter(directory), name, path)
    except RepairError as error:
        return error.reason
    except OSError:
        return None
    finally:
        walk.close()
    return None


def _keep_flags(descriptor: int, old: Inode | None, path: bytes) -> None:
    """Give a new file the flags of the old one while it is still empty, which some of them want."""
    flags = (old.flags or 0) & KEPT_FLAGS if old is not None and stat.S_ISREG(old.mode) else 0
    if flags:
        try:
            set_flags(descriptor, flags)
        except OSError as error:
            raise _not_kept(path, "its flags", error) from error


def _set_xattr(descriptor: int, name: str, value: bytes, path: bytes) -> None:
    try:
        os.setxattr(descriptor, name, value)
    except OSError as error:
        raise _not_kept(path, f"its attribute {name}", error) from error


def _set_capabilities(descriptor: int, recorded: str, path: bytes) -> None:
    """Give a new file the capabilities that its package records, after its owner, which takes them away."""
    if not recorded:
        if ATTRIBUTE in os.listxattr(descriptor):
            os.removexattr(descriptor, ATTRIBUTE)
        return
    wanted = parse_text(recorded)
    if wanted is None:
        reason = f"its package gives it capabilities that are not known here: {recorded[:100]!r}"
        raise NotKeptError(text(path), reason, "Repair its package as a whole (strategy: package)")
    _set_xattr(descriptor, ATTRIBUTE, to_attribute(wanted), path)


def _not_kept(path: bytes, what: str, error: OSError) -> NotKeptError:
    reason = f"{what} cannot be kept ({error.strerror})"
    return NotKeptError(text(path), reason, "Repair its package as a whole (strategy: package)")


def sha256_on_disk(descriptor: int) -> bytes:
    """Return the digest of a file that was just made durable, read from the disk where the kernel lets us."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    hasher = hashlib.sha256()
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
        hasher.update(chunk)
        offset += len(chunk)
    return hasher.hexdigest().encode()
