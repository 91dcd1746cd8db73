# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roots of real dpkg systems, sound and to be damaged."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .....peers.apt_archive import Signer
from .....peers.dpkg_system import System
from .....peers.repairable import repairable
from .....peers.upgradable import CONFFILES, OLD, Site

NOBODY = 65534


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Do something without root's privileges."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def nobody() -> Callable[[], contextlib.AbstractContextManager[None]]:
    return as_nobody


def _require_dpkg() -> None:
    if shutil.which("dpkg") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg and dpkg-deb, which make the databases that these tests read, are not installed")


@pytest.fixture
def empty_system() -> Iterator[System]:
    """A root with an empty database."""
    _require_dpkg()
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield System.new(Path(base))


@pytest.fixture(scope="session")
def template() -> Iterator[System]:
    """A root in which nothing is wrong; copied for each test."""
    _require_dpkg()
    with tempfile.TemporaryDirectory() as base:
        system = System.new(Path(base))
        system.install(
            "alpha",
            {
                "/usr/bin/alpha": os.urandom(300_000),
                "/usr/share/alpha/a.txt": b"alpha\n",
                "/usr/share/alpha/b.txt": b"beta\n",
                "/usr/share/alpha/empty": b"",
                "/etc/alpha.conf": b"setting = 1\n",
                "/etc/alpha.d/a b.conf": b"setting = 2\n",
            },
            conffiles=("/etc/alpha.conf", "/etc/alpha.d/a b.conf"),
            links=(("/usr/share/alpha/link", "a.txt"),),
            directories=("/var/lib/alpha/state",),
        )
        system.install("beta", {"/usr/share/beta/data": b"data\n" * 3000, "/usr/share/beta/more": b"more\n"})
        yield system


@pytest.fixture
def system(template: System) -> Iterator[System]:
    """A copy of the sound root, to damage."""
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield template.copy(Path(base))


@contextlib.contextmanager
def _new_repairable() -> Iterator[System]:
    _require_dpkg()
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield repairable(Path(base))


@pytest.fixture
def repairable_system() -> Iterator[System]:
    """A root whose packages lie in its cache, with these packages beside it."""
    with _new_repairable() as system:
        yield system


@pytest.fixture(scope="module")
def sound() -> Iterator[System]:
    """The same, for all tests of a module: not to be damaged."""
    with _new_repairable() as system:
        yield system


@pytest.fixture
def copy_of_sound(sound: System) -> Iterator[System]:
    """A copy of it, to damage."""
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        yield sound.copy(Path(base))


@pytest.fixture(scope="module")
def archive_signer() -> Iterator[Signer]:
    missing = [name for name in ("gpg", "apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}, with which a signed archive is made and read, is not installed")
    with tempfile.TemporaryDirectory(prefix="k") as home:
        made = Signer(Path(home))
        yield made
        made.close()


@pytest.fixture
def upgradable_site(archive_signer: Signer) -> Iterator[Site]:
    """A root with tool 1.0, and part 1.0 that needs nothing."""
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        site = Site(Path(base), archive_signer)
        site.system.install("tool", OLD, conffiles=CONFFILES)
        site.system.install("part", {"/usr/lib/part/data": b"part 1\n"})
        yield site
