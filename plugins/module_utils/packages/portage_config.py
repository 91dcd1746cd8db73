# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Portage's configuration says about files: which are protected, which are left out on purpose.

Read without a shell, as Portage does: ``make.globals``, ``/etc/env.d``, ``/etc/make.conf`` and
``/etc/portage/make.conf`` (a file, or a directory of files), and what they source. The profile is not read, nor is the
environment of whoever runs emerge. ``UNINSTALL_IGNORE`` says what stays when a package goes, which is no matter here.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.complaints import describe
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import Gap, PathFilter
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.portage_files import (
    install_mask,
    parse_assignments,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

GLOBALS = (b"/usr/share/portage/config/make.globals", b"/etc/make.globals")
ENVIRONMENT = b"/etc/env.d"
CONFIGURATION = (b"/etc/make.conf", b"/etc/portage/make.conf")
MAX_FILE_BYTES = 1024 * 1024
MAX_FILES = 200
#: Files that source each other are not followed any deeper.
MAX_DEPTH = 8

#: Without any configuration Portage protects this.
DEFAULT_PROTECT = "/etc"
#: Each file adds to what those before it have set (make.conf(5), incremental variables).
_INCREMENTAL = ("CONFIG_PROTECT", "CONFIG_PROTECT_MASK", "INSTALL_MASK", "FEATURES")
#: Features that stand for patterns of INSTALL_MASK.
_FEATURES = {"nodoc": "/usr/share/doc", "noinfo": "/usr/share/info", "noman": "/usr/share/man"}


class Settings(NamedTuple):
    """``protect`` and ``unprotect`` are paths (files, or directories with all below them)."""

    protect: tuple[bytes, ...]
    unprotect: tuple[bytes, ...]
    filters: list[PathFilter]
    gaps: list[Gap]

    def protects(self, path: bytes) -> bool:
        """Tell whether Portage would leave an administrator's change of a file alone: the longer match decides."""
        return _longest(self.protect, path) > _longest(self.unprotect, path)


def _longest(prefixes: tuple[bytes, ...], path: bytes) -> int:
    return max((len(prefix) for prefix in prefixes if path == prefix or path.startswith(prefix + b"/")), default=0)


def read(tree: Tree) -> Settings:
    """Read the configuration below a root."""
    reader = _Reader(tree)
    for path in GLOBALS:
        reader.read(path)
    for name in reader.names(ENVIRONMENT):
        if name[:2].isdigit() and not name.endswith((b"~", b".bak")):
            reader.read(ENVIRONMENT + b"/" + name)
    for path in CONFIGURATION:
        names = reader.names(path)
        for name in names:
            if not name.startswith(b".") and not name.endswith(b"~"):
                reader.read(path + b"/" + name)
        if not names:
            reader.read(path)
    return reader.settings()


class _Reader:
    """One reading of all configuration files."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.values: dict[str, str] = {}
        self.words: dict[str, list[str]] = {name: [] for name in _INCREMENTAL}
        self.gaps: list[Gap] = []
        self.files = 0
        self.depth = 0

    def names(self, directory: bytes) -> list[bytes]:
        try:
            return self.tree.names(directory)
        except OSError:
            return []

    def read(self, path: bytes) -> None:
        """Read one file, and what it sources. One that does not exist says nothing."""
        self.files += 1
        if self.files > MAX_FILES or self.depth > MAX_DEPTH:
            self._gap(path, "there are too many files of configuration, or they source each other: it was not read")
            return
        try:
            data = self.tree.read(path, MAX_FILE_BYTES)
        except FileNotFoundError:
            return
        except OSError as error:
            self._gap(path, f"this configuration cannot be read: {error.strerror}")
            return
        found = parse_assignments(data, lambda name: self.values.get(name, ""))
        for name, value in found.values:
            self._set(path, name, value)
        if found.complaint:
            self._gap(path, f"this configuration was not read to its end: {found.complaint}")

    def _set(self, path: bytes, name: str, value: str | None) -> None:
        if name == "source":
            self._follow(path, value)
        elif name in _INCREMENTAL:
            if value is None:
                self._gap(path, f"only a shell could tell what this configuration sets {name} to")
            else:
                self._add(name, value.split())
        if value is not None:
            self.values[name] = value

    def _follow(self, path: bytes, value: str | None) -> None:
        """Read a file that another one sources."""
        if value is None or not value.startswith("/") or "\0" in value:
            self._gap(path, "this configuration names a file to be sourced that only a shell could tell")
            return
        self.depth += 1
        self.read(value.encode("utf-8", "surrogateescape"))
        self.depth -= 1

    def _add(self, name: str, words: list[str]) -> None:
        known = self.words[name]
        for word in words:
            if word == "-*":
                known.clear()
            elif word.startswith("-") and name != "INSTALL_MASK":
                known[:] = [before for before in known if before != word[1:]]
            else:
                known.append(word)

    def _gap(self, path: bytes, detail: str) -> None:
        self.gaps.append(Gap("configuration_unknown", detail, (), 0, describe(path)))

    def settings(self) -> Settings:
        """Return what all of them say together."""
        masked = [_FEATURES[word] for word in self.words["FEATURES"] if word in _FEATURES]
        return Settings(
            _paths(self.words["CONFIG_PROTECT"] or [DEFAULT_PROTECT]),
            _paths(self.words["CONFIG_PROTECT_MASK"]),
            install_mask(masked + self.words["INSTALL_MASK"]),
            self.gaps,
        )


def _paths(words: list[str]) -> tuple[bytes, ...]:
    return tuple(word.rstrip("/").encode("utf-8", "surrogateescape") for word in words if word.startswith("/"))
