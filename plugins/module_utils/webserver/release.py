# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release: the complete configuration of a web server, what it says about itself, and how two of them differ.

The name of a release is its content, so two runs that want the same thing speak of the same directory. A sensitive
file, such as a private key, is no part of the directory: there is a symbolic link to a file that is named after its
digest, and no text that comes from here shows more of it than that digest.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

#: What a release says about itself, in a file of the release.
FACTS_FILE = "release.json"
SCHEMA_VERSION = "1.0"
#: The configuration as it was before the first of our releases.
ORIGINAL = "original"
MAX_FILES = 10_000
MAX_TOTAL_BYTES = 64 * 1024 * 1024
_MAX_PATH_LENGTH = 240
_MAX_DIFF_BYTES = 256 * 1024
_NAME = re.compile(r"[0-9a-f]{16}")
_KEY_TARGET = re.compile(r"(?:\.\./)+keys/([0-9a-f]{64})\.pem")
_PATH_REMEDY = "Write a path like conf.d/site.conf: relative, without . and .. and without empty parts"


@dataclass(frozen=True)
class ReleaseFile:
    """A file of a release: its path in it, what is in it, and who may read it.

    A sensitive file is for root alone (mode 0600), whatever was asked for: the directory that keeps it is closed.
    """

    path: str
    content: bytes
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    sensitive: bool = False

    @property
    def sha256(self) -> str:
        """The digest of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def is_secret(self) -> bool:
        """Whether its content must not be shown: not everybody on the host may read it."""
        return self.sensitive or not self.mode & stat.S_IROTH


@dataclass(frozen=True)
class Facts:
    """What a release is for: the names it serves, the sockets it opens, and the TLS endpoints that are measured.

    An endpoint has ``server_name``, ``port``, ``address`` (where to connect), ``name`` and ``certificates``.
    """

    names: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    endpoints: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> bytes:
        """Return the content of the file that says so, the same for the same facts."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "names": sorted(set(self.names)),
            "listeners": [{"address": each.address, "port": each.port} for each in sorted_listeners(self.listeners)],
            "endpoints": sorted(
                (dict(each) for each in self.endpoints), key=lambda each: json.dumps(each, sort_keys=True)
            ),
        }
        return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


@dataclass(frozen=True)
class Release:
    """A release with all its files, sorted by path; ``name`` is :data:`ORIGINAL` or the digest of the files."""

    name: str
    files: tuple[ReleaseFile, ...]
    facts: Facts

    def file(self, path: str) -> ReleaseFile | None:
        """Return the file with a path; None where there is none."""
        return next((each for each in self.files if each.path == path), None)


def sorted_listeners(listeners: Iterable[Listener]) -> list[Listener]:
    """Return listeners, each once, by port and address."""
    return sorted(set(listeners), key=lambda each: (each.port, each.address))


def compose(files: Iterable[ReleaseFile], facts: Facts, name: str | None = None) -> Release:
    """Make a release of its files and facts, named by its digest unless a name is given.

    Raises InvalidInputError for a path that cannot be part of a release, twice the same, or both file and directory.
    """
    canonical = [_canonical(each) for each in files]
    if any(each.path == FACTS_FILE for each in canonical):
        raise InvalidInputError(f"the file {FACTS_FILE}", "a release has one of its own", "Call it something else")
    everything = sorted([*canonical, ReleaseFile(FACTS_FILE, facts.to_json())], key=lambda each: each.path)
    _check_paths([each.path for each in everything])
    _check_size(everything)
    return Release(name or digest(everything), tuple(everything), facts)


def digest(files: Sequence[ReleaseFile]) -> str:
    """Return the name of a release: 16 hexadecimal digits of the SHA-256 over all that makes its files."""
    entries = sorted([each.path, each.owner, each.group, each.mode, each.sensitive, each.sha256] for each in files)
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]


def is_release_name(name: str) -> bool:
    """Whether something can be the name of a release."""
    return name == ORIGINAL or _NAME.fullmatch(name) is not None


def checked_path(path: str) -> str:
    """Return a path as it is; raises InvalidInputError for one that leads out of a release or hides in it."""
    parts = path.split("/")
    if path.startswith("/"):
        raise InvalidInputError(f"the file {path!r}", "its path is absolute", _PATH_REMEDY)
    if any(part in ("", ".", "..") for part in parts) or not path.isprintable() or len(path) > _MAX_PATH_LENGTH:
        raise InvalidInputError(f"the file {path!r}", "this is no path within a release", _PATH_REMEDY)
    return path


def _canonical(file: ReleaseFile) -> ReleaseFile:
    """Return a file with the owner, group and mode that it will be seen to have on disk."""
    checked_path(file.path)
    if file.sensitive:
        return ReleaseFile(file.path, file.content, mode=0o600, sensitive=True)
    return ReleaseFile(file.path, file.content, _user(file.owner), _group(file.group), file.mode)


def _user(name: str) -> str:
    """Return what the host calls a user first: several names may have one number, and a number may stand for a name."""
    try:
        return pwd.getpwuid(int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid).pw_name
    except (KeyError, OverflowError):
        return name


def _group(name: str) -> str:
    try:
        return grp.getgrgid(int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid).gr_name
    except (KeyError, OverflowError):
        return name


def _check_paths(paths: Sequence[str]) -> None:
    known: set[str] = set()
    for path in paths:
        if path in known:
            raise InvalidInputError(f"the file {path!r}", "it is there twice", "Give each path once")
        known.add(path)
    for path in paths:
        above = next((parent for parent in map(str, Path(path).parents) if parent in known), None)
        if above is not None:
            raise InvalidInputError(f"the file {path!r}", f"{above!r} is a file, not a directory", "Rename one of them")


def _check_size(files: Sequence[ReleaseFile]) -> None:
    total_bytes = sum(len(each.content) for each in files)
    if len(files) > MAX_FILES or total_bytes > MAX_TOTAL_BYTES:
        raise InvalidInputError(
            f"a release of {len(files)} files with {total_bytes} bytes",
            f"at most {MAX_FILES} files with {MAX_TOTAL_BYTES} bytes together can be one",
            "Leave out what the server does not read as its configuration",
        )


def read_release(directory: Path) -> Release:
    """Read a release from its directory; a link to a kept key is read as the sensitive file that it stands for.

    Its name is that of the directory: whether it still has the content that the name promises is for
    :func:`is_intact` to say. Raises MeasurementError where it cannot be read or is no release.
    """
    try:
        files = [_read_file(directory, path) for path in _paths(directory)]
    except OSError as error:
        raise MeasurementError(str(directory), f"it cannot be read ({error})", "Deploy again") from error
    facts = next((each.content for each in files if each.path == FACTS_FILE), b"")
    return Release(directory.name, tuple(sorted(files, key=lambda each: each.path)), parse_facts(facts, str(directory)))


def is_intact(release: Release) -> bool:
    """Whether a release has the content, owners and modes that its name promises; the original promises nothing."""
    return release.name in (ORIGINAL, digest(release.files))


def _paths(directory: Path) -> list[str]:
    """Return the paths of all that is no directory; raises OSError (E2BIG) rather than to walk without an end."""
    found: list[str] = []
    for where, _directories, names in os.walk(directory, onerror=_raise):
        relative = Path(where).relative_to(directory)
        links = [name for name in _directories if (Path(where) / name).is_symlink()]
        found += [str(relative / name) for name in (*names, *links)]
        if len(found) > MAX_FILES:
            raise OSError(f"it has more than {MAX_FILES} files")
    return found


def _raise(error: OSError) -> None:
    raise error


def _read_file(directory: Path, path: str) -> ReleaseFile:
    where = directory / path
    status = where.lstat()
    if stat.S_ISLNK(status.st_mode):
        target = where.readlink()
        key = _KEY_TARGET.fullmatch(str(target))
        if key is None:
            return ReleaseFile(path, str(target).encode(), mode=0o777)
        status = where.stat()
    content = read_regular(str(where), MAX_TOTAL_BYTES)
    owner, group = _user(str(status.st_uid)), _group(str(status.st_gid))
    return ReleaseFile(path, content, owner, group, stat.S_IMODE(status.st_mode), where.is_symlink())


def parse_facts(content: bytes, where: str) -> Facts:
    """Read what a release says about itself; raises MeasurementError where that makes no sense."""
    try:
        document = json.loads(content)
        return Facts(
            tuple(str(name) for name in document["names"]),
            tuple(Listener(str(each["address"]), int(each["port"])) for each in document["listeners"]),
            tuple(dict(each) for each in document["endpoints"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MeasurementError(
            f"{where}/{FACTS_FILE}", f"it does not say what the release is for ({error})", "Deploy again"
        ) from error


def differences(before: Release | None, after: Release, directory: str) -> list[dict[str, str]]:
    """Return what changes between two releases, as Ansible shows differences.

    ``directory`` is where the release is reached. A secret, and what is no text, is shown as its digest.
    """
    old = {each.path: each for each in before.files} if before else {}
    new = {each.path: each for each in after.files}
    changed = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
    return [_difference(f"{directory}/{path}", old.get(path), new.get(path)) for path in changed]


def _difference(where: str, old: ReleaseFile | None, new: ReleaseFile | None) -> dict[str, str]:
    secret = any(each is not None and each.is_secret for each in (old, new))
    shown = [(_heading(where, each), _shown(each, secret)) for each in (old, new)]
    return dict(zip(("before_header", "before", "after_header", "after"), (*shown[0], *shown[1])))


def _heading(where: str, file: ReleaseFile | None) -> str:
    return f"{where} (absent)" if file is None else f"{where} ({file.owner}:{file.group} {file.mode:04o})"


def _shown(file: ReleaseFile | None, secret: bool) -> str:
    if file is None:
        return ""
    try:
        if not secret and len(file.content) <= _MAX_DIFF_BYTES:
            return file.content.decode("utf-8")
    except UnicodeDecodeError:
        pass  # what is no text is shown as its digest, like a secret
    return f"sha256:{file.sha256}\n"
