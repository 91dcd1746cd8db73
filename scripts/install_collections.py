# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put the collections that this one depends on into the environment that runs this script.

They are taken from the PyPI package ``ansible``, whose version the constraints pin, because it can be had wherever
ansible-core itself can be had. Only the collections named are unpacked: the whole package is over 500 MB on disk.

Usage: install_collections.py CONSTRAINTS COLLECTION [COLLECTION ...]
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path


def download_ansible_package(constraints: Path, destination: Path) -> Path:
    """Download the wheel of the pinned ``ansible`` package and return its path."""
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--constraint", constraints, "--dest", destination, "ansible"], check=True)
    return next(destination.glob("ansible-*.whl"))


def unpack(wheel: Path, collection: str, site_packages: Path) -> None:
    """Unpack one collection (``namespace.name``) from the wheel, or exit with what is missing."""
    prefix = f"ansible_collections/{collection.replace('.', '/')}/"
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(prefix)]
        if not members:
            sys.exit(f"{collection}: not part of {wheel.name}. Name a collection that the package ansible contains.")
        archive.extractall(site_packages, members)


def main() -> None:
    """Install each named collection that is not there yet."""
    constraints, collections = Path(sys.argv[1]), sys.argv[2:]
    site_packages = Path(sysconfig.get_path("purelib"))
    with tempfile.TemporaryDirectory() as temporary:
        wheel = download_ansible_package(constraints, Path(temporary))
        for collection in collections:
            unpack(wheel, collection, site_packages)
            print(f"{collection}: from {wheel.name}")


if __name__ == "__main__":
    main()
