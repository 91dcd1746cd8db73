# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write releases below a server's directory, and the few links and files beside them.

Everything is complete or absent: a release is written under a name that nothing refers to, made durable, and renamed;
a link or a file is replaced by renaming another over it. A secret has its owner and mode before its first byte. The
same functions write into the real root and into that of a shadow or a test: all paths are below a :class:`Layout`.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    ORIGINAL,
    Facts,
    Release,
    ReleaseFile,
    compose,
    is_release_name,
    read_release,
)

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Server

_MAX_ENTRY_BYTES = 4 * 1024 * 1024
_ROOM = "Make room or correct the permissions there, and run again: nothing was changed"


class StagingError(WebopsError):
    """Something could not be written; what was there before is there still."""


@dataclass(frozen=True)
class Layout:
    """Where a server's releases are, below a root directory (``/``, or that of a test)."""

    server: Server
    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """Return where an absolute path is below the root."""
        return self.root / path.lstrip("/")

    @property
    def directory(self) -> Path:
        """The directory that is ours."""
        return self.at(self.server.directory) / "ringmaster"

    @property
    def releases(self) -> Path:
        """The directory of the releases."""
        return self.directory / "releases"

    @property
    def keys(self) -> Path:
        """The directory of the sensitive files, for root alone."""
        return self.directory / "keys"

    @property
    def current(self) -> Path:
        """The link to the release that is live."""
        return self.directory / "current"

    @property
    def entry(self) -> Path:
        """The file that the unit reads first."""
        return self.at(self.server.entry_path)

    @property
    def kept_entry(self) -> Path:
        """What the entry file was before it became ours."""
        return self.entry.with_name(self.entry.name + ".before-ringmaster")

    def release(self, name: str) -> Path:
        """Return the directory of a release."""
        return self.releases / name

    @property
    def current_path(self) -> str:
        """How configurations refer to their own files, whatever the root is."""
        return f"{self.server.directory}/ringmaster/current"


def write_release(layout: Layout, release: Release) -> None:
    """Write a release and its keys, unless it is there already as it should be.

    One that is there but was changed by hand gets its content back file by file, each by a rename.
    Raises StagingError, with everything as it was, where it cannot be written.
    """
    if _is_written(layout, release):
        return
    staged = _staged(layout, release.name)
    new_keys: list[Path] = []
    try:
        _make_directories(layout)
        _remove_tree(staged)
        _write_keys(layout, release, new_keys)
        _write_tree(staged, release)
        if layout.release(release.name).is_dir():
            _pour(staged, layout.release(release.name))
        else:
            staged.rename(layout.release(release.name))
        _sync_directory(layout.releases)
    except (OSError, LookupError) as error:
        _remove_tree(staged)
        for key in new_keys:
            with contextlib.suppress(FileNotFoundError):
                key.unlink()
        raise StagingError(
            str(layout.release(release.name)), f"it cannot be written ({_said(error)})", _ROOM
        ) from error


def _staged(layout: Layout, name: str) -> Path:
    return layout.releases / f".{name}.new"


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _is_written(layout: Layout, release: Release) -> bool:
    try:
        return read_release(layout.release(release.name)).files == release.files
    except WebopsError:
        return False


def make_directories(layout: Layout) -> None:
    """Make the directories that are ours, with their modes. Raises StagingError."""
    with _reported(layout.directory):
        _make_directories(layout)


def _make_directories(layout: Layout) -> None:
    for directory, mode in ((layout.directory, 0o755), (layout.releases, 0o755), (layout.keys, 0o700)):
        if not directory.is_dir():
            directory.mkdir(mode=0o700, parents=True)
        directory.chmod(mode)


def _write_keys(layout: Layout, release: Release, written: list[Path]) -> None:
    """Write the sensitive files that are not kept yet; tell which, so that a failure leaves none of them."""
    for file in release.files:
        path = layout.keys / f"{file.sha256}.pem"
        if not file.sensitive or _holds(path, file.content):
            continue
        temporary = path.with_name(f".{path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        written.append(temporary)
        write_file(temporary, file)
        was_there = path.exists()
        temporary.replace(path)
        # One that was there is referred to by other releases, that which is live perhaps: it stays whatever comes.
        written[-1:] = [] if was_there else [path]
    _sync_directory(layout.keys)


def _holds(path: Path, content: bytes) -> bool:
    """Whether a kept key is what its name says, for root alone; one that was damaged or opened is written again."""
    try:
        status = path.lstat()
        return (status.st_uid, status.st_mode & 0o7777) == (0, 0o600) and path.read_bytes() == content
    except OSError:
        return False


def _write_tree(directory: Path, release: Release) -> None:
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    for file in release.files:
        path = directory / file.path
        for parent in reversed([each for each in path.parents if directory in each.parents]):
            if not parent.is_dir():
                parent.mkdir()
                parent.chmod(0o755)
        if file.sensitive:
            path.symlink_to("../" * (file.path.count("/") + 2) + f"keys/{file.sha256}.pem")
        else:
            write_file(path, file)
    for where, _directories, _names in os.walk(directory, topdown=False):
        _sync_directory(Path(where))


def write_file(path: Path, file: ReleaseFile) -> None:
    """Write a new file, durably; nobody else can read it before it has the owner and mode that it should have.

    Raises OSError, FileExistsError among them, and LookupError for an owner or group that the host does not know.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    owner, group = _number_of_user(file.owner), _number_of_group(file.group)
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, file.mode)
        stream.write(file.content)
        stream.flush()
        os.fsync(descriptor)


def _number_of_user(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise LookupError(f"the host has no user {name!r}") from error


def _number_of_group(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise LookupError(f"the host has no group {name!r}") from error


def _pour(source: Path, target: Path) -> None:
    """Give a directory the content of another one, each file by a rename, and take away what is only there."""
    for where, directories, names in os.walk(source):
        relative = Path(where).relative_to(source)
        (target / relative).mkdir(exist_ok=True)
        (target / relative).chmod(0o755)
        for name in names:
            (Path(where) / name).replace(target / relative / name)
        for extra in (target / relative).iterdir():
            if extra.name not in (*names, *directories):
                _remove(extra)
        _sync_directory(target / relative)
    _remove_tree(source)


def _remove(path: Path) -> None:
    _remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _remove_tree(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def current_release(layout: Layout) -> str | None:
    """Return the name of the release that the link leads to; None where there is no link or it leads elsewhere."""
    try:
        target = layout.current.readlink()
    except OSError:
        return None
    return target.name if target.parent == Path("releases") and is_release_name(target.name) else None


def flip(layout: Layout, name: str) -> None:
    """Make a release the current one: one rename of one link. Raises StagingError."""
    if not layout.release(name).is_dir():
        raise StagingError(str(layout.release(name)), "there is no such release", "Deploy again")
    with _reported(layout.current):
        _replace_with_link(layout.current, f"releases/{name}")


def _replace_with_link(path: Path, target: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(path)
    _sync_directory(path.parent)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, LookupError) as error:
        raise StagingError(str(path), f"it cannot be written ({_said(error)})", _ROOM) from error


def replace_file(path: Path, file: ReleaseFile) -> None:
    """Replace a file, or a link, in one rename by a file with an owner, a mode and a content. Raises StagingError."""
    temporary = path.with_name(f".{path.name}.new")
    with _reported(path):
        try:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            write_file(temporary, file)
            temporary.replace(path)
            _sync_directory(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def remove_file(path: Path) -> None:
    """Remove a file, durably; none is fine too. Raises StagingError."""
    with _reported(path), contextlib.suppress(FileNotFoundError):
        path.unlink()
        _sync_directory(path.parent)


def is_taken_over(layout: Layout) -> bool:
    """Whether the entry file leads to the current release."""
    content = layout.server.entry_content
    try:
        if content is None:
            return str(layout.entry.readlink()) == _entry_target(layout)
        return not layout.entry.is_symlink() and layout.entry.read_bytes() == content
    except OSError:
        return False


def is_entry_changed(layout: Layout) -> bool:
    """Whether the entry file is not as we write it, and yet leads to the current release: somebody changed it."""
    if is_taken_over(layout):
        return False
    try:
        lines = read_regular(str(layout.entry), _MAX_ENTRY_BYTES).splitlines()
    except OSError:
        return False
    return any(b"ringmaster/current/" in line.partition(b"#")[0] for line in lines)


def _entry_target(layout: Layout) -> str:
    return f"ringmaster/current/{layout.server.main_file}"


def original_release(layout: Layout, facts: Facts) -> Release | None:
    """Return the present entry file as a release, its facts those of the sites it has; None where there is no file.

    Raises StagingError where it cannot be read.
    """
    try:
        content = layout.entry.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StagingError(str(layout.entry), f"it cannot be read ({_said(error)})", "Look at what it is") from error
    if len(content) > _MAX_ENTRY_BYTES:
        raise StagingError(
            str(layout.entry),
            f"it is larger than {_MAX_ENTRY_BYTES} bytes",
            "Move parts of it into files that it includes",
        )
    status = layout.entry.stat()
    file = ReleaseFile(layout.server.main_file, content, str(status.st_uid), str(status.st_gid), status.st_mode & 0o777)
    return compose([file], facts, ORIGINAL)


def keep_entry(layout: Layout) -> None:
    """Keep what the entry file is, once, beside it. Raises StagingError."""
    if layout.kept_entry.exists() or layout.kept_entry.is_symlink():
        return
    with _reported(layout.kept_entry):
        if layout.entry.is_symlink():
            layout.kept_entry.symlink_to(layout.entry.readlink())
        elif layout.entry.is_file():
            status = layout.entry.stat()
            mode = status.st_mode & 0o777
            kept = ReleaseFile("", layout.entry.read_bytes(), str(status.st_uid), str(status.st_gid), mode)
            replace_file(layout.kept_entry, kept)


def write_entry(layout: Layout) -> None:
    """Make the entry file lead to the current release, by one rename. Raises StagingError."""
    content = layout.server.entry_content
    if content is None:
        with _reported(layout.entry):
            _replace_with_link(layout.entry, _entry_target(layout))
    else:
        replace_file(layout.entry, ReleaseFile("", content))


def remove_releases(layout: Layout, names: Iterable[str]) -> None:
    """Remove releases, and the keys that no release refers to any more. Raises StagingError."""
    with _reported(layout.releases):
        for name in names:
            _remove_tree(layout.release(name))
            _remove_tree(_staged(layout, name))
        for left in layout.keys.glob(".*.pem.new"):
            left.unlink()
        referred = {link.readlink().name for link in layout.releases.rglob("*") if link.is_symlink()}
        for key in layout.keys.glob("*.pem"):
            if key.name not in referred:
                key.unlink()
