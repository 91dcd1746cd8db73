# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificates that lie on a host, with their chains; of a private key, where it is and nothing else."""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular

_FULLCHAIN = re.compile(r"fullchain.*\.pem")
_FULLCHAIN_NAME, _KEY_NAME = "fullchain", "privkey"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_FILE_SUFFIXES = (".pem", ".crt", ".cer")
_MAX_FILE_BYTES = 1024 * 1024
_MAX_CERTIFICATES = 32
_MAX_FILES = 100
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)


@dataclass(frozen=True)
class CertificateFile:
    """A certificate as it lies on the host.

    ``private_key`` is the path of its key, ``None`` where the names do not tell. ``exists``: the certificate is there,
    and in a directory the key beside it. ``sha256`` is that of the whole file, ``None`` where there is no file.
    ``chain`` are the certificates in it, in DER, in their order.
    """

    fullchain: str
    private_key: str | None
    exists: bool
    sha256: str | None
    chain: tuple[bytes, ...]


def find(path: str) -> list[CertificateFile]:
    """Return the certificates of a path, at least one: where there is none, the one that was expected.

    A directory has pairs of ``fullchain*.pem`` and ``privkey*.pem``, such as ``fullchain.rsa.pem`` and
    ``privkey.rsa.pem``. Any other path is that of one file, with the key beside it if that has such a name. Raises
    MeasurementError where what is there cannot be read.
    """
    place = Path(path)
    try:
        if not place.is_dir() and (place.name.endswith(_FILE_SUFFIXES) or place.exists()):
            return [_file(place)]
        names = [entry.name for entry in place.iterdir()] if place.is_dir() else []
    except OSError as error:
        raise _unreadable(path, error) from error
    found = sorted(name for name in names if _FULLCHAIN.fullmatch(name))[:_MAX_FILES]
    return [_pair(place / name) for name in found or [f"{_FULLCHAIN_NAME}.pem"]]


def _pair(fullchain: Path) -> CertificateFile:
    key = _key_beside(fullchain)
    content = _content(fullchain)
    return _described(fullchain, str(key), content, content is not None and key.is_file())


def _file(path: Path) -> CertificateFile:
    key = _key_beside(path)
    content = _content(path)
    is_pair = key != path and key.is_file()
    return _described(path, str(key) if is_pair else None, content, content is not None)


def _key_beside(fullchain: Path) -> Path:
    name = fullchain.name
    return fullchain.with_name(_KEY_NAME + name[len(_FULLCHAIN_NAME) :]) if _FULLCHAIN.fullmatch(name) else fullchain


def _described(path: Path, key: str | None, content: bytes | None, exists: bool) -> CertificateFile:
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    blocks = _PEM.findall(content or b"")[:_MAX_CERTIFICATES]
    return CertificateFile(str(path), key, exists, digest, tuple(map(_der, blocks)))


def _content(path: Path) -> bytes | None:
    """Return what is in a file; ``None`` where there is none."""
    try:
        return read_regular(str(path), _MAX_FILE_BYTES)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise _unreadable(str(path), error) from error


def _der(block: bytes) -> bytes:
    """Return what a block holds; empty where that is no base64, which no certificate is."""
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _unreadable(path: str, error: OSError) -> MeasurementError:
    return MeasurementError(path, f"it cannot be read ({error.strerror})", "Run as root (become: true)")
