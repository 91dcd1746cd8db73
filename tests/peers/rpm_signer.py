# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key of its own that signs packages of rpm, and is made for one test run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


class RpmSigner:
    """One key pair; ``public`` is its public half in ASCII armour, ``fingerprint`` that of the key."""

    def __init__(self, algorithm: str = "rsa2048") -> None:
        """Make it in a directory whose name is short: GnuPG has a socket in it."""
        self._directory = tempfile.TemporaryDirectory()
        self._home = Path(self._directory.name) / "g"
        self._home.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "test@example.org", algorithm, "sign", "1d")
        self.public = self._gpg("--armor", "--export")
        listed = self._gpg("--with-colons", "--list-keys").decode().split("\n")
        self.fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))

    def sign(self, package: Path) -> None:
        """Let rpmsign put a signature into a package."""
        settings = ("_gpg_name test@example.org", f"__gpg {shutil.which('gpg')}")
        options = [part for setting in settings for part in ("--define", setting)]
        self._run("rpmsign", *options, "--addsign", str(package))

    def signature(self, data: bytes, *options: str) -> bytes:
        """Return a detached signature in binary form."""
        return self._gpg(*options, "--detach-sign", data=data)

    def signed_message(self, data: bytes) -> bytes:
        """Return data and its signature in one message."""
        return self._gpg("--compress-algo", "none", "--sign", data=data)

    def revoke(self) -> bytes:
        """Return the public half with its revocation, in ASCII armour; for good."""
        certificate = self._home / "openpgp-revocs.d" / f"{self.fingerprint}.rev"
        text = certificate.read_text().replace(":-----BEGIN", "-----BEGIN")
        self._gpg("--import", data=text.encode())
        return self._gpg("--armor", "--export")

    def close(self) -> None:
        self._run("gpgconf", "--kill", "all")
        self._directory.cleanup()

    def _gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        return self._run("gpg", "--batch", "--yes", "--passphrase", "", *arguments, data=data)

    def _run(self, *command: str, data: bytes = b"") -> bytes:
        environment = {**os.environ, "GNUPGHOME": str(self._home), "LC_ALL": "C"}
        done = subprocess.run(command, input=data, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def require_signing() -> None:
    missing = [program for program in ("gpg", "gpgv", "rpmsign", "rpmkeys") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}, with which these tests sign packages, cannot be run here")
