# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package archive in a directory, signed with a key of its own, as apt reads it from ``file:``."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Signer:
    """An OpenPGP key in a keyring of its own; made without a passphrase, and forgotten with its directory."""

    def __init__(self, home: Path) -> None:
        """Make a key. The directory's name must be short: the agent's socket is in it."""
        self._home = home
        home.chmod(0o700)
        self._gpg("--quick-generate-key", "archive@example.org", "ed25519", "sign", "never")

    def _gpg(self, *words: object, data: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--homedir", self._home, "--pinentry-mode", "loopback"]
        command += ["--passphrase", "", *words]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    def public(self, armour: bool = False) -> bytes:
        return self._gpg("--export", *(["--armor"] if armour else []))

    def fingerprint(self) -> str:
        rows = self._gpg("--with-colons", "--fingerprint").decode().split("\n")
        return next(row.split(":")[9] for row in rows if row.startswith("fpr"))

    def clear_sign(self, text: bytes) -> bytes:
        return self._gpg("--digest-algo", "SHA512", "--clear-sign", data=text)

    def detached(self, text: bytes) -> bytes:
        return self._gpg("--digest-algo", "SHA512", "--armor", "--detach-sign", data=text)

    def close(self) -> None:
        """End the agent that gpg has started."""
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], capture_output=True, check=False)


class AptArchive:
    """One suite with packages in it; written anew by each `publish`."""

    def __init__(self, base: Path, signer: Signer) -> None:
        self.base = base
        self.signer = signer
        self.release = base / "dists/test"
        self.index = self.release / "main/binary-amd64/Packages"
        self.index.parent.mkdir(parents=True)
        (base / "pool").mkdir()
        self.paragraphs: list[bytes] = []

    @property
    def uri(self) -> str:
        return f"file:{self.base}"

    def add(self, package: Path) -> None:
        """Put a .deb into the pool and into the index."""
        data = package.read_bytes()
        (self.base / "pool" / package.name).write_bytes(data)
        shown = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, check=True).stdout
        extra = f"Filename: pool/{package.name}\nSize: {len(data)}\nSHA256: {_sha256(data)}\n"
        self.paragraphs.append(shown.rstrip(b"\n") + b"\n" + extra.encode())

    def publish(self, valid_days: int = 7, uncompressed: bool = True, detached: bool = False) -> None:
        """Write index and Release, and sign it."""
        data = b"\n".join(self.paragraphs)
        self.index.write_bytes(data)
        files = {"main/binary-amd64/Packages": data} if uncompressed else {}
        packed = gzip.compress(data, mtime=0)
        self.index.with_name("Packages.gz").write_bytes(packed)
        files["main/binary-amd64/Packages.gz"] = packed
        now = datetime.now(timezone.utc)
        dates = {"Date": now - timedelta(days=30), "Valid-Until": now + timedelta(days=valid_days)}
        text = "Origin: Test\nSuite: test\nCodename: test\nArchitectures: amd64\nComponents: main\n"
        text += "".join(f"{name}: {format_datetime(date, usegmt=True)}\n" for name, date in dates.items())
        text += "SHA256:\n" + "".join(f" {_sha256(data)} {len(data)} {name}\n" for name, data in files.items())
        self.sign(text.encode(), detached)

    def sign(self, text: bytes, detached: bool = False) -> None:
        if detached:
            (self.release / "Release").write_bytes(text)
            (self.release / "Release.gpg").write_bytes(self.signer.detached(text))
        else:
            (self.release / "InRelease").write_bytes(self.signer.clear_sign(text))

    def use_in(self, root: Path, options: str = "signed-by=/usr/share/keyrings/test.gpg") -> None:
        """Make it a source of a root, and give it the key."""
        keyrings = root / "usr/share/keyrings"
        keyrings.mkdir(parents=True, exist_ok=True)
        (keyrings / "test.gpg").write_bytes(self.signer.public())
        sources = root / "etc/apt/sources.list.d"
        sources.mkdir(parents=True, exist_ok=True)
        (sources / "test.list").write_text(f"deb [{options}] {self.uri} test main\n")

    def readable(self) -> None:
        """Let apt's own user in."""
        for directory, _names, files in os.walk(self.base):
            Path(directory).chmod(0o755)
            for name in files:
                (Path(directory) / name).chmod(0o644)
