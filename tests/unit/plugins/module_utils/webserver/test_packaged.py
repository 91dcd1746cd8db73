# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a configuration file is the package's."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.packaged import is_pristine

CONTENT = b"server { listen 80 default_server; }\n"


def write_status(root: Path, conffile: Path, state: str = "install ok installed", digest: bytes | None = None) -> str:
    """Write a dpkg database in which a package has the conffile, with the content that it has now."""
    md5 = digest or hashlib.md5(CONTENT, usedforsecurity=False).hexdigest().encode()
    status = root / "status"
    status.write_bytes(
        b"Package: nginx-common\nStatus: %b\nArchitecture: all\nVersion: 1.22.1-9\nConffiles:\n %b %b\n\n"
        % (state.encode(), os.fsencode(conffile), md5)
    )
    return str(status)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "default"
    path.write_bytes(CONTENT)
    return path


def test_a_file_as_packaged(site: Path, tmp_path: Path) -> None:
    assert is_pristine(str(site), write_status(tmp_path, site))


def test_a_link_to_it_is_as_good(site: Path, tmp_path: Path) -> None:
    enabled = tmp_path / "enabled"
    enabled.symlink_to(site)
    assert is_pristine(str(enabled), write_status(tmp_path, site))


def test_a_changed_file_is_somebodys_own(site: Path, tmp_path: Path) -> None:
    site.write_bytes(CONTENT + b"# mine\n")
    assert not is_pristine(str(site), write_status(tmp_path, site))


def test_a_file_of_no_package_is_somebodys_own(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(CONTENT)
    assert not is_pristine(str(other), write_status(tmp_path, site))


@pytest.mark.parametrize("state", ["deinstall ok config-files", "purge ok not-installed"])
def test_a_removed_package_vouches_for_nothing(site: Path, tmp_path: Path, state: str) -> None:
    assert not is_pristine(str(site), write_status(tmp_path, site, state))


@pytest.mark.parametrize("digest", [b"newconffile", b"0" * 32])
def test_a_digest_that_does_not_fit(site: Path, tmp_path: Path, digest: bytes) -> None:
    assert not is_pristine(str(site), write_status(tmp_path, site, digest=digest))


def test_without_a_database_nothing_is_the_packages(site: Path, tmp_path: Path) -> None:
    assert not is_pristine(str(site), str(tmp_path / "absent"))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not is_pristine(str(pipe), write_status(tmp_path, pipe))
