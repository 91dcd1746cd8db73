# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie and what they are called.

Everything a lab makes outside its own directory carries the lab's tag in its name, so that it can be found again
without any record of it: `rml`, five letters for the clone, four for the lab's name. Interface names have 15 characters
at most.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabError

PREFIX = "rml"
RUN_DIRECTORY = Path("/run/ringmaster-lab")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def digest_letters(text: str, count: int) -> str:
    """Return the first `count` letters and digits (a-z, 2-7) of the text's digest."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest).decode().lower()[:count]


def check_name(name: str, what: str) -> str:
    """Return the name itself when it can name a lab or a host. Raises LabError."""
    if not _NAME.fullmatch(name):
        raise LabError(f"{name!r}: not a name for a {what}; use 1 to 31 of a-z, 0-9 and -, not - first")
    return name


@dataclass(frozen=True)
class Clone:
    """One clone of the repository: the root of all paths."""

    root: Path

    @property
    def prefix(self) -> str:
        """What the tags of all labs of this clone begin with."""
        return PREFIX + digest_letters(str(self.root), 5)

    @property
    def cache(self) -> Path:
        """What is kept between runs; ignored by git."""
        return self.root / ".lab"

    @property
    def bases(self) -> Path:
        """The base trees."""
        return self.cache / "base"

    @property
    def apt_caches(self) -> Path:
        """The downloaded packages, a directory a release."""
        return self.cache / "apt-cache"

    @property
    def labs(self) -> Path:
        """The directories of the labs."""
        return self.root / "build" / "lab"

    def apt_cache(self, suite: str) -> Path:
        """Return where packages for a release are kept."""
        return self.apt_caches / suite

    def place(self, name: str) -> Place:
        """Return the place of the lab of that name. Raises LabError."""
        return Place(self, check_name(name, "lab"))


@dataclass(frozen=True)
class Place:
    """The paths and names of one lab."""

    clone: Clone
    name: str

    @property
    def tag(self) -> str:
        """The name of the lab's bridge and NAT table, and the beginning of all its other names."""
        return self.clone.prefix + digest_letters(self.name, 4)

    @property
    def directory(self) -> Path:
        """Everything that is written about this one."""
        return self.clone.labs / self.name

    @property
    def record(self) -> Path:
        """The lab as it is (model.Lab)."""
        return self.directory / "lab.json"

    @property
    def inventory(self) -> Path:
        """For Ansible."""
        return self.directory / "inventory.yml"

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`."""
        return self.directory / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """The hosts' public keys."""
        return self.directory / "known_hosts"

    @property
    def private_key(self) -> Path:
        """The key that logs in to every host."""
        return self.directory / "id_ed25519"

    @property
    def control_sockets(self) -> Path:
        """Short, because a socket's path has 108 bytes at most (unix(7))."""
        return RUN_DIRECTORY / self.tag

    def host(self, name: str) -> HostPlace:
        """Return the place of the host of that name. Raises LabError."""
        return HostPlace(self, check_name(name, "host"))


@dataclass(frozen=True)
class HostPlace:
    """The paths and names of one host of a lab."""

    lab: Place
    name: str

    @property
    def machine(self) -> str:
        """The name of the host's network namespace, control group and nspawn machine."""
        return f"{self.lab.tag}-{self.name}"

    @property
    def directory(self) -> Path:
        """Everything that is written about this one."""
        return self.lab.directory / "hosts" / self.name

    @property
    def upper(self) -> Path:
        """What the host has written over its base tree."""
        return self.directory / "upper"

    @property
    def work(self) -> Path:
        """Where overlayfs does its work."""
        return self.directory / "work"

    @property
    def root(self) -> Path:
        """Where the supervisor, and nobody else, sees the host's root file system."""
        return self.directory / "root"

    @property
    def host_key(self) -> Path:
        """The host's private key."""
        return self.directory / "ssh_host_ed25519_key"

    @property
    def process_record(self) -> Path:
        """The supervisor that runs (processes.record)."""
        return self.directory / "supervisor.json"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor has to say."""
        return self.directory / "supervisor.log"

    @property
    def console_log(self) -> Path:
        """The host's console since `up`."""
        return self.directory / "console.log"

    @property
    def disk_record(self) -> Path:
        """Names the base tree under a disk that has been prepared completely."""
        return self.directory / "disk.json"
