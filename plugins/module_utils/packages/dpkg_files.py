# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers of the files in dpkg's database and of its configuration: bytes in, values and complaints out.

Formats: deb822(5), dpkg(1), dpkg-query(1), deb-md5sums(5), deb-conffiles(5), dpkg-divert(1), dpkg.cfg(5), and what
dpkg writes. Every file lies on the disk that is in doubt: a parser never raises on any bytes, keeps what is sound and
says about the rest what and where. A complaint is a sentence without its file's name.
"""

from __future__ import annotations

import fnmatch
import re
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import Complaints, take_ending
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import PathFilter, text

WANTS = ("unknown", "install", "hold", "deinstall", "purge")
FLAGS = ("ok", "reinstreq")
STATES = (
    "not-installed",
    "config-files",
    "half-installed",
    "unpacked",
    "half-configured",
    "triggers-awaited",
    "triggers-pending",
    "installed",
)

#: The states of a package that has no files on disk, but perhaps conffiles.
ABSENT_STATES = ("not-installed", "config-files")

_FIELD = re.compile(r"^([!-,.-9;-~][!-9;-~]*):[ \t]*(.*)$")
_PACKAGE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9+._-]*$")
_VERSION = re.compile(r"^[!-~]+$")
_ARCHITECTURE = re.compile(r"^[a-z0-9][a-z0-9-]*$")
_CONFFILE = re.compile(r"^(/.*) (newconffile|[0-9a-f]{32})((?: (?:obsolete|remove-on-upgrade))*)$")
_PLAIN_DIGESTS = re.compile(rb"(?:[0-9a-f]{32}  [^/.\0\n][^\0\n]*\n)*")
_DIGEST_LINE = re.compile(rb"^(\\?)([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}) [ *]?(?:\./|/)?(.+)$", re.DOTALL)
_OVERRIDE = re.compile(rb"^(#[0-9]{1,10}|[^# ][^ ]*) (#[0-9]{1,10}|[^# ][^ ]*) ([0-7]{1,5}) (/.*[^\r])$")
_ESCAPE = re.compile(rb"\\([\\nr])")


class Conffile(NamedTuple):
    """One conffile: its path, its MD5 as packaged (`None`: not configured yet), and what else dpkg notes about it."""

    path: bytes
    digest: bytes | None
    obsolete: bool
    remove_on_upgrade: bool


class Package(NamedTuple):
    """One paragraph of the status file, as far as verification needs it."""

    name: str
    architecture: str
    version: str
    multi_arch: str
    flag: str
    state: str
    conffiles: tuple[Conffile, ...]

    @property
    def label(self) -> str:
        """The name by which dpkg's files and messages know it: with architecture where several can be installed."""
        return f"{self.name}:{self.architecture}" if self.multi_arch == "same" else self.name


class Diversion(NamedTuple):
    """Where a path is moved, and by which package (``:`` for the local administrator)."""

    target: bytes
    owner: str


class Override(NamedTuple):
    """What the administrator has set for a path instead of what its package holds; the names as in `Recorded`."""

    owner: str | int
    group: str | int
    mode: int


def parse_status(data: bytes, journal: bool = False, status: str = "") -> tuple[list[Package], list[str]]:
    """Parse ``status``, or a fragment of its journal in ``updates``. Returns the sound packages, and complaints.

    ``status`` is what a paragraph means that has no such field.
    """
    complaints = Complaints()
    packages: list[Package] = []
    for line, fields in paragraphs(data, complaints):
        package = _package({"status": status, **fields}, line, complaints)
        if package is not None:
            packages.append(package)
    sentences = complaints.sentences()
    if data and not data.endswith(b"\n" if journal else b"\n\n"):
        sentences.append("it ends inside a paragraph: it is truncated")
    if not data.strip():
        sentences.append("it is empty")
    return packages, sentences


def paragraphs(data: bytes, complaints: Complaints) -> list[tuple[int, dict[str, str]]]:
    """Split RFC 822 style paragraphs; returns each with the number of its first line."""
    found: list[tuple[int, dict[str, str]]] = []
    fields: dict[str, str] = {}
    start, name = 1, ""
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        if "\0" in line:
            complaints.add("contains NUL bytes", number)
            name = ""
        elif not line.strip(" \t"):
            if fields:
                found.append((start, fields))
            fields, name = {}, ""
        elif line[0] in " \t":
            if not name:
                complaints.add("continues no field", number)
            else:
                fields[name] += "\n" + line.strip(" \t")
        else:
            start = start if fields else number
            name = _add_field(line, number, fields, complaints)
    if fields:
        found.append((start, fields))
    return found


def _add_field(line: str, number: int, fields: dict[str, str], complaints: Complaints) -> str:
    match = _FIELD.match(line)
    if match is None:
        complaints.add("is neither a field nor a continuation", number)
        return ""
    name = match.group(1).lower()
    if name in fields:
        complaints.add("repeats a field of its paragraph", number)
    fields[name] = match.group(2)
    return name


def _package(fields: dict[str, str], line: int, complaints: Complaints) -> Package | None:
    """Make a package of a paragraph, or complain."""
    name = fields.get("package", "")
    if not _PACKAGE_NAME.match(name):
        complaints.add("begins a paragraph without a valid package name", line)
        return None
    words = fields.get("status", "").split()
    if len(words) != 3 or words[0] not in WANTS or words[1] not in FLAGS or words[2] not in STATES:
        complaints.add("begins a paragraph without a valid status", line)
        return None
    architecture, version = fields.get("architecture", ""), fields.get("version", "")
    optional = words[2] in ABSENT_STATES
    if not _VERSION.match(version) and not (optional and not version):
        complaints.add("begins a paragraph without a valid version", line)
    if not _ARCHITECTURE.match(architecture) and not (optional and not architecture):
        complaints.add("begins a paragraph without a valid architecture", line)
        return None
    conffiles = _conffiles(fields.get("conffiles", ""), line, complaints)
    return Package(name, architecture, version, fields.get("multi-arch", ""), words[1], words[2], conffiles)


def _conffiles(value: str, line: int, complaints: Complaints) -> tuple[Conffile, ...]:
    """Parse the field Conffiles. A path may hold spaces, so a line is read from its right end."""
    conffiles: list[Conffile] = []
    for row in value.split("\n"):
        if not row:
            continue
        match = _CONFFILE.match(row)
        if match is None:
            complaints.add("begins a paragraph with an invalid conffile", line)
            continue
        digest = None if match.group(2) == "newconffile" else match.group(2).encode()
        flags = match.group(3).split()
        path = match.group(1).encode("utf-8", "surrogateescape")
        conffiles.append(Conffile(path, digest, "obsolete" in flags, "remove-on-upgrade" in flags))
    return tuple(conffiles)


def identity(package: Package) -> tuple[str, str]:
    """Return what dpkg tells packages apart by: the architecture counts only where several can be installed."""
    return (package.name, package.architecture if package.multi_arch == "same" else "")


def by_identity(found: list[Package]) -> tuple[dict[tuple[str, str], Package], list[str]]:
    """Tell packages apart. Returns them, and the names of those that have more than one paragraph.

    dpkg may keep a paragraph for each architecture of a package of which only one can be installed; that one counts.
    """
    packages: dict[tuple[str, str], Package] = {}
    repeated = []
    for package in found:
        key = identity(package)
        before = packages.get(key)
        if before is not None and before.architecture != package.architecture:
            if package.state in ABSENT_STATES:
                continue
            if before.state not in ABSENT_STATES:
                repeated.append(package.label)
        elif before is not None:
            repeated.append(package.label)
        packages[key] = package
    return packages, repeated


def parse_conffiles(data: bytes) -> tuple[list[bytes], list[str]]:
    """Parse a package's ``.conffiles``: one path a line. Those to be removed on upgrade are no files of the package."""
    lines = data.split(b"\n")
    sentences = take_ending(lines)
    complaints = Complaints()
    paths = []
    for number, line in enumerate(lines, 1):
        if b"\0" in line or not line.startswith((b"/", b"remove-on-upgrade /")):
            if line:
                complaints.add("is not an absolute path", number)
        elif line.startswith(b"/"):
            paths.append(line)
    return paths, complaints.sentences() + sentences


def parse_list(data: bytes) -> tuple[list[bytes], list[str]]:
    """Parse a package's ``.list``: one absolute path a line. Returns the paths but for the root itself."""
    lines = data.split(b"\n")
    sentences = take_ending(lines)
    if (
        b"\0" not in data
        and b"\r\n" not in data
        and b"/../" not in data
        and data.startswith(b"/.\n/")
        and b"/..\n" not in data
    ):
        paths = lines[1:]
        if all(path.startswith(b"/") for path in paths):
            return paths, sentences
    complaints = Complaints()
    paths = []
    for number, line in enumerate(lines, 1):
        if line == b"/.":
            continue
        if b"\0" in line:
            complaints.add("contains NUL bytes", number)
        elif line.endswith(b"\r"):
            complaints.add("ends in a carriage return", number)
        elif not line.startswith(b"/") or line.rpartition(b"/")[2] in (b"", b".", b"..") or b"/../" in line:
            complaints.add("is not an absolute path", number)
        else:
            paths.append(line)
    return paths, complaints.sentences() + sentences


def parse_md5sums(data: bytes) -> tuple[dict[bytes, bytes], list[str]]:
    r"""Parse a package's ``.md5sums``. Returns absolute path -> digest in hexadecimal, and complaints.

    Accepts what is seen in the wild: one space, ``./`` or ``/`` before the path, longer digests, and the escape of
    md5sum(1) (a leading backslash, then ``\\`` and ``\n`` in the name).
    """
    if _PLAIN_DIGESTS.fullmatch(data):
        return {b"/" + line[34:]: line[:32] for line in data.split(b"\n")[:-1]}, []
    complaints = Complaints()
    digests: dict[bytes, bytes] = {}
    lines = data.split(b"\n")
    sentences = take_ending(lines)
    for number, line in enumerate(lines, 1):
        match = _DIGEST_LINE.match(line)
        if b"\0" in line:
            complaints.add("contains NUL bytes", number)
        elif match is None or match.group(3).rpartition(b"/")[2] in (b"", b".", b".."):
            complaints.add("is not a digest and a path", number)
        else:
            path = match.group(3)
            if match.group(1):
                path = _ESCAPE.sub(lambda found: {b"n": b"\n", b"r": b"\r"}.get(found.group(1), b"\\"), path)
            digests[b"/" + path] = match.group(2)
    return digests, complaints.sentences() + sentences


def parse_diversions(data: bytes) -> tuple[dict[bytes, Diversion], list[str]]:
    """Parse ``diversions``: groups of three lines (contested path, where it went, who moved it)."""
    if not data:
        return {}, []
    lines = data.split(b"\n")
    sentences = take_ending(lines)
    if len(lines) % 3:
        sentences.append("its number of lines is not a multiple of three")
    complaints = Complaints()
    diversions: dict[bytes, Diversion] = {}
    for number in range(0, len(lines) - 2, 3):
        path, target, owner = lines[number : number + 3]
        name = owner.decode("utf-8", "surrogateescape")
        name = name.partition(":")[0] or name  # An architecture, where one is given, is of no consequence.
        if b"\0" in path + target + owner:
            complaints.add("begins a diversion that contains NUL bytes", number + 1)
        elif path[:1] != b"/" or target[:1] != b"/" or not (name == ":" or _PACKAGE_NAME.match(name)):
            complaints.add("begins a diversion that is not two absolute paths and a package", number + 1)
        else:
            diversions[path] = Diversion(target, name)
    return diversions, complaints.sentences() + sentences


def parse_statoverride(data: bytes) -> tuple[dict[bytes, Override], list[str]]:
    """Parse ``statoverride`` (user, group, octal mode, path; ``#`` before a number). Returns path -> override."""
    if not data:
        return {}, []
    lines = data.split(b"\n")
    sentences = take_ending(lines)
    complaints = Complaints()
    overrides: dict[bytes, Override] = {}
    for number, line in enumerate(lines, 1):
        match = _OVERRIDE.match(line)
        if b"\0" in line:
            complaints.add("contains NUL bytes", number)
        elif match is None:
            complaints.add("is not user, group, mode and path", number)
        else:
            owner, group, mode, path = match.groups()
            overrides[path] = Override(_account(owner), _account(group), int(mode, 8) & 0o7777)
    return overrides, complaints.sentences() + sentences


def _account(name: bytes) -> str | int:
    return int(name[1:]) if name.startswith(b"#") else text(name)


def parse_path_filters(data: bytes) -> list[PathFilter]:
    """Return the rules ``path-exclude`` and ``path-include`` of one dpkg configuration file, in order."""
    filters: list[PathFilter] = []
    for line in data.split(b"\n"):
        match = re.match(rb"^\s*path-(exclude|include)(?:\s*=\s*|\s+)(.*?)\s*$", line)
        if match is not None:
            pattern = match.group(2).strip(b"\"'")
            filters.append(PathFilter(glob(pattern), match.group(1) == b"include"))
    return filters


def parse_locale_purge(data: bytes) -> list[PathFilter]:
    """Return the rules that localepurge's ``/etc/locale.nopurge`` comes to: all locales go but for those it lists.

    With ``USE_DPKG`` it has dpkg leave them out, by dpkg's own configuration; with ``NEEDSCONFIGFIRST`` it is idle.
    """
    words = {line.strip() for line in data.split(b"\n")}
    locales = sorted(word for word in words if re.fullmatch(rb"[a-z]{2,3}(?:[_@.][A-Za-z0-9_@.-]*)?", word))
    if not locales or b"NEEDSCONFIGFIRST" in words or b"USE_DPKG" in words:
        return []
    trees = rb"locale|gnome/help/[^/]+|doc/kde/HTML" + (rb"|man" if b"MANDELETE" in words else b"")
    prefix = rb"/usr/share/(?:" + trees + rb")/"
    kept = b"|".join(re.escape(locale) for locale in locales)
    return [
        PathFilter(re.compile(prefix + rb"[a-z]{2,3}(?:[_@.][^/]*)?/.", re.DOTALL), False),
        PathFilter(re.compile(prefix + rb"(?:" + kept + rb")/.", re.DOTALL), True),
    ]


def glob(pattern: bytes) -> re.Pattern[bytes]:
    """Compile a glob as dpkg means it: ``*`` also matches a slash (fnmatch(3) without FNM_PATHNAME)."""
    return re.compile(fnmatch.translate(pattern.decode("latin-1")).encode("latin-1"))
