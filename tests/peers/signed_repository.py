# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package archive in a directory, signed with a key of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


class SignedRepository:
    """A flat archive (sources.list(5)) of some packages, and the key that signs it."""

    def __init__(self, base: Path, packages: Sequence[Path]) -> None:
        """Make everything below a directory, whose name is short: GnuPG has a socket in it."""
        base.chmod(0o755)
        self.place = base / "archive"
        self._home = base / "gnupg"
        self._home.mkdir(mode=0o700)
        self.place.mkdir()
        for package in packages:
            shutil.copy(package, self.place)
        self._run(
            "gpg", "--batch", "--passphrase", "", "--quick-generate-key", "test@example.org", "ed25519", "sign", "1d"
        )
        self.keyring = self._run("gpg", "--export")
        self._sign()
        self._run("gpgconf", "--kill", "all")

    def trust(self, root: Path) -> None:
        """Make the archive the only source of a root."""
        apt = root / "etc/apt"
        (apt / "trusted.gpg.d").mkdir(parents=True)
        (apt / "trusted.gpg.d/test.gpg").write_bytes(self.keyring)
        (apt / "sources.list").write_text(f"deb file:{self.place} ./\n")

    def _sign(self) -> None:
        index = self._run("dpkg-scanpackages", "--multiversion", ".")
        (self.place / "Packages").write_bytes(index)
        now = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
        digest = hashlib.sha256(index).hexdigest()
        release = f"Origin: Test\nLabel: Test\nSuite: test\nCodename: test\nDate: {now}\nSHA256:\n"
        (self.place / "Release").write_text(f"{release} {digest} {len(index)} Packages\n")
        self._run("gpg", "--batch", "--yes", "--clearsign", "--output", "InRelease", "Release")
        (self.place / "Release").unlink()

    def _run(self, *command: str) -> bytes:
        environment = {**os.environ, "GNUPGHOME": str(self._home), "LC_ALL": "C"}
        done = subprocess.run(command, cwd=self.place, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
