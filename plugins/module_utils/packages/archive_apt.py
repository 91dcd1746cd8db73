# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stock apt with a state of its own, and the signed chain: InRelease, Packages, the SHA-256 of a .deb.

apt fetches, and refuses what is not signed or has expired. Its lists, caches and status are private and begin empty, so
nothing that lies on the root's disk is believed but its sources and keyrings; settings of the root that could run a
program or accept an unsigned archive are not taken over (apt.conf(5)). What apt has fetched is checked once more here:
the signature with gpgv(1) or sqv(1), the index by its SHA-256.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import archive_sources, commands
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_release import (
    Record,
    Release,
    read_index,
    read_release,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

#: What of the root's own configuration is taken over: how to reach a server, and what its owner says about dates.
_SETTING = re.compile(
    r"Acquire::(?:https?::(?:[\w.-]+::)?(?:Proxy|CaInfo|CaPath|IssuerCert|SslCert|SslKey|Verify-Peer|Verify-Host"
    r"|Timeout|Dl-Limit|User-Agent)(?:::[\w.-]+)?|Check-Valid-Until|Check-Date|Max-ValidTime|ForceIPv[46])",
    re.IGNORECASE,
)
_DUMPED = re.compile(r'([^\s"]+) "([^"\\\x00-\x1f]*)";')
_CONFIGURATION_FILE = re.compile(rb"[A-Za-z0-9_-]+(?:\.conf)?")
_PREFERENCES_FILE = re.compile(rb"[A-Za-z0-9_-]+(?:\.pref)?")
#: Which version an upgrade would be to is what the root's own apt prefers; no other question depends on it.
_PREFERRED = "APT::Default-Release"
_STATUS = b"/var/lib/dpkg/status"
_MAX_STATUS_BYTES = 64 * 1024 * 1024
_PASSWORD = re.compile(r"(?<=//)[^/@\s]*@")
_COMMAND_SECONDS = 60
_MAX_COMPLAINTS = 10


class Identity(NamedTuple):
    """A package as an archive knows it. The architecture is ``all`` for one that fits all."""

    name: str
    version: str
    architecture: str


class Apt:
    """One private apt; ``index`` and ``complaints`` are filled by `update`."""

    def __init__(self, tree: Tree, directory: Path, lines: tuple[str, ...], architectures: Sequence[str]) -> None:
        """Write its configuration below a directory, which must be empty and searchable for all.

        ``lines`` are further lines of sources.list; the first of ``architectures`` is the native one. Raises
        `OSError`, and `MeasurementError` when there is no apt.
        """
        self.index: dict[Identity, list[Record]] = {}
        self._directory = directory
        self._tree = tree
        self._targets = ""
        self._preferred = ""
        for name in ("lists/partial", "cache/archives/partial", "root/apt.conf.d", "auth.conf.d", "keys"):
            (directory / name).mkdir(parents=True)
        (directory / "status").touch()
        setup = archive_sources.write(tree, lines, directory)
        self._sources = setup.sources
        self.complaints = [without_password(complaint) for complaint in setup.complaints]
        self._copy_passwords()
        self._sandboxed = _can_be_sandboxed(directory)
        configuration = self._configuration(architectures) + self._settings_of_root()
        (directory / "apt.conf").write_text(configuration, encoding="utf-8")

    def update(self, names: frozenset[str] | None, timeout_seconds: float) -> None:
        """Fetch what the archives have, and index the packages of these names (`None`: all) that a chain ends at."""
        if not self._sources:
            self.complaints.append("there is no package source that can be used")
            return
        try:
            done = self._run(["apt-get", "-q", "update"], timeout_seconds)
            self._complain(done.stderr)
            # Several processes will need apt's own cache at once: it is made before.
            self._run(["apt-cache", "gencaches"], timeout_seconds)
            targets = self._run(["apt-get", "indextargets", "Created-By: Packages"], _COMMAND_SECONDS).stdout
        except MeasurementError as error:
            self.complaints.append(f"{error.value}: {error.reason}")
            return
        self._targets = targets.decode("utf-8", "replace")
        releases = self.add_names(names)
        silent = [base for source in self._sources for base in source.bases if base not in releases]
        self.complaints += [f"{without_password(base)} has no index that apt can use" for base in silent]

    def add_names(self, names: frozenset[str] | None) -> dict[str, Release | None]:
        """Index the packages of these names in what was fetched, and return the Releases; none may be indexed yet."""
        releases: dict[str, Release | None] = {}
        for paragraph in self._targets.split("\n\n"):
            fields = dict(line.partition(": ")[::2] for line in paragraph.split("\n") if ": " in line)
            if "Filename" in fields:
                self._add_index(fields, releases, names)
        return releases

    def _add_index(
        self, target: dict[str, str], releases: dict[str, Release | None], names: frozenset[str] | None
    ) -> None:
        """Add the packages of one index, if it is the one that a signed Release names."""
        base, meta_key, path = target.get("Base-URI", ""), target.get("MetaKey", ""), Path(target["Filename"])
        shown = without_password(base)
        if base not in releases:
            releases[base] = None
            source = next((source for source in self._sources if base in source.bases), None)
            prefix = str(path)[: -len(meta_key)]
            try:
                if source is not None:
                    releases[base] = read_release(prefix, source, self._directory)
                else:
                    self.complaints.append(f"{shown} belongs to no known source")
            except MeasurementError as error:
                self.complaints.append(f"{shown}: {error.reason}")
        release = releases[base]
        if release is None:
            return
        try:
            found = read_index(path, release, meta_key, names, shown)
        except (MeasurementError, OSError) as error:
            reason = error.reason if isinstance(error, MeasurementError) else str(error.strerror)
            self.complaints.append(f"{shown}{meta_key}: {reason}")
            return
        for (name, version, architecture), record in found:
            self.index.setdefault(Identity(name, version, architecture), []).append(record)

    def download(self, wanted: Iterable[Identity], directory: Path, timeout_seconds: float) -> list[str]:
        """Download packages into a directory, several at once. Returns complaints; what has come must be checked."""
        if self._sandboxed:
            os.chown(directory, pwd.getpwnam("_apt").pw_uid, -1)
        words = [
            f"{name}={version}" if architecture == "all" else f"{name}:{architecture}={version}"
            for name, version, architecture in wanted
        ]
        try:
            done = self._run(["apt-get", "-qq", "download", *words], timeout_seconds, str(directory))
        except MeasurementError as error:
            return [f"{error.value}: {error.reason}"]
        return complaints_of(done.stderr) if done.status else []

    def simulate_upgrade(self, packages: Sequence[str]) -> commands.Output:
        """Let apt say what else would change if it upgraded packages of the root, and do nothing.

        apt is told what is installed on the root and which versions are preferred there. It does not refuse to remove,
        to go back or to change what is held: its answer names what. Raises `MeasurementError`, `OSError`.
        """
        configuration = self._directory / "upgrade.conf"
        if not configuration.exists():
            self._write_upgrade_configuration(configuration)
        argv = ["apt-get", "-qq", "--simulate", "--only-upgrade", "--no-install-recommends", "--ignore-hold"]
        argv += ["--allow-change-held-packages", "--allow-downgrades", "install", "--", *packages]
        return commands.run(argv, _COMMAND_SECONDS, {"APT_CONFIG": str(configuration)})

    # Configuration

    def _write_upgrade_configuration(self, path: Path) -> None:
        """Write a configuration with what is installed on the root, and a cache of its own for that."""
        base = self._directory
        (base / "installed").write_bytes(self._tree.read(_STATUS, _MAX_STATUS_BYTES))
        (base / "preferences.d").mkdir()
        self._copy(b"/etc/apt/preferences", base / "preferences")
        self._copy_directory(b"/etc/apt/preferences.d", base / "preferences.d", _PREFERENCES_FILE)
        settings = {
            "Dir::State::status": base / "installed",
            "Dir::Etc::preferences": base / "preferences",
            "Dir::Etc::preferencesparts": base / "preferences.d",
            "Dir::Cache::pkgcache": "upgrade.bin",
            "APT::Get::Show-User-Simulation-Note": "false",
        }
        text = (base / "apt.conf").read_text(encoding="utf-8") + self._preferred
        path.write_text(text + _lines(settings), encoding="utf-8")

    def _configuration(self, architectures: Sequence[str]) -> str:
        base = self._directory
        settings = {
            "Dir::Etc": base / "root",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": base / "sources.list.d",
            "Dir::Etc::trusted": "/dev/null",
            "Dir::Etc::trustedparts": base / "trusted.gpg.d",
            "Dir::Etc::netrc": base / "auth.conf",
            "Dir::Etc::netrcparts": base / "auth.conf.d",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": base,
            "Dir::State::lists": base / "lists",
            "Dir::State::status": base / "status",
            "Dir::Cache": base / "cache",
            "Dir::Log": base,
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
        }
        if not self._sandboxed:
            settings["APT::Sandbox::User"] = "root"
        if architectures:
            settings["APT::Architecture"] = architectures[0]
        return _lines(settings) + "".join(f'APT::Architectures:: "{architecture}";\n' for architecture in architectures)

    def _settings_of_root(self) -> str:
        """Return the settings of the root's own apt that are taken over."""
        copies = self._directory / "root"
        self._copy(b"/etc/apt/apt.conf", copies / "apt.conf")
        self._copy_directory(b"/etc/apt/apt.conf.d", copies / "apt.conf.d", _CONFIGURATION_FILE)
        loader = copies / "loader.conf"
        loader.write_text(f'Dir::Etc::main "{copies}/apt.conf";\nDir::Etc::parts "{copies}/apt.conf.d";\n')
        done = commands.run(["apt-config", "dump"], _COMMAND_SECONDS, {"APT_CONFIG": str(loader)})
        if done.status:
            self._complain(done.stderr)
        found = [_DUMPED.fullmatch(line) for line in done.stdout.decode("utf-8", "replace").split("\n")]
        self._preferred = "".join(f"{match.group()}\n" for match in found if match and match.group(1) == _PREFERRED)
        return "".join(f"{match.group()}\n" for match in found if match and _SETTING.fullmatch(match.group(1)))

    def _copy_passwords(self) -> None:
        """Take over what the root's apt says to servers that want a password (apt_auth.conf(5))."""
        self._copy(b"/etc/apt/auth.conf", self._directory / "auth.conf")
        self._copy_directory(b"/etc/apt/auth.conf.d", self._directory / "auth.conf.d", _CONFIGURATION_FILE)

    def _copy_directory(self, directory: bytes, into: Path, pattern: re.Pattern[bytes]) -> None:
        try:
            names = self._tree.names(directory)
        except OSError:
            return
        for name in names:
            if pattern.fullmatch(name):
                self._copy(directory + b"/" + name, into / name.decode("ascii"))

    def _copy(self, path: bytes, into: Path) -> None:
        with contextlib.suppress(OSError):
            data = self._tree.read(path, archive_sources.MAX_FILE_BYTES)
            into.touch(mode=0o600)
            into.write_bytes(data)

    # Running

    def _run(self, argv: Sequence[str], timeout_seconds: float, directory: str = "/") -> commands.Output:
        return commands.run(argv, timeout_seconds, {"APT_CONFIG": str(self._directory / "apt.conf")}, directory)

    def _complain(self, errors: str) -> None:
        self.complaints += complaints_of(errors)


def without_password(text: str) -> str:
    """Return a text with what stands before the host in an address left out."""
    return _PASSWORD.sub("", text)


def _lines(settings: Mapping[str, object]) -> str:
    """Return settings as apt.conf(5) has them."""
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())


def complaints_of(errors: str) -> list[str]:
    """Return what apt complains about."""
    lines = [line for line in errors.split("\n") if line.startswith(("E: ", "W: "))]
    return [without_password(line[3:])[:500] for line in lines[:_MAX_COMPLAINTS]]


def _can_be_sandboxed(directory: Path) -> bool:
    """Tell whether apt's own unprivileged user can do the fetching: it must be able to come to the directory."""
    if os.geteuid():
        return False
    try:
        pwd.getpwnam("_apt")
    except KeyError:
        return False
    return all(path.stat().st_mode & 0o001 for path in (directory, *directory.parents))
