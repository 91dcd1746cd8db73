# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put the collections that this one depends on into the environment that runs this script.

They are taken from the PyPI package ``ansible``, whose version the constraints pin, because it can be had wherever
ansible-core itself can be had. Only the collections named are unpacked: the whole package is over 500 MB on disk.

Usage: install_collections.py CONSTRAINTS COLLECTION [COLLECTION ...]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

MARK = ".taken-from"


def pinned_version(constraints: Path) -> str:
    """Return the version of the package ``ansible`` that the constraints name, or exit when they name none."""
    match = re.search(r"^ansible==(\S+)", constraints.read_text(), re.MULTILINE)
    if not match:
        sys.exit(f"{constraints}: pins no version of the package ansible. Add a line ansible==VERSION.")
    return match[1]


def download_ansible_package(version: str, destination: Path) -> Path:
    """Download the wheel of the package ``ansible`` and return its path."""
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary", ":all:"]
    status = subprocess.run([*command, "--dest", destination, f"ansible=={version}"], check=False).returncode
    if status != 0:
        sys.exit(f"ansible=={version}: pip could not download it. Check the network and pip's configuration.")
    return next(destination.glob("ansible-*.whl"))


def unpack(wheel: Path, collection: str, target: Path) -> None:
    """Put one collection (``namespace.name``) from the wheel into its directory, or exit with what is missing."""
    prefix = f"ansible_collections/{collection.replace('.', '/')}/"
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(prefix)]
        if not members:
            sys.exit(f"{collection}: not part of {wheel.name}. Name a collection that the package ansible contains.")
        shutil.rmtree(target, ignore_errors=True)
        archive.extractall(target.parents[2], members)


def main() -> None:
    """Install each named collection that is not there yet in the pinned version."""
    constraints, collections = Path(sys.argv[1]), sys.argv[2:]
    version = pinned_version(constraints)
    root = Path(sysconfig.get_path("purelib"), "ansible_collections")
    targets = {name: root.joinpath(*name.split(".")) for name in collections}
    marks = {name: target / MARK for name, target in targets.items()}
    missing = [name for name, mark in marks.items() if not mark.is_file() or mark.read_text() != version]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as temporary:
        print(f"{', '.join(missing)}: taken from the PyPI package ansible {version} (a download of 50 MB)", flush=True)
        wheel = download_ansible_package(version, Path(temporary))
        for name in missing:
            unpack(wheel, name, targets[name])
            marks[name].write_text(version)


if __name__ == "__main__":
    main()
