# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the certificates that a verdict about trust starts from: the system's store, or a file or directory."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError

# The older label means the same.
_PEM = re.compile(r"-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END (?:X509 )?CERTIFICATE-----")
_MAX_FILE_BYTES = 16 * 1024 * 1024
# Where the interpreter's own library was built for another system, its default path does not exist.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def read_anchors(ca_path: str | None) -> list[str]:
    """Return the PEM certificates of a file or of the files in a directory; of the system's store without a path.

    Raises :class:`InvalidInputError` when the path cannot be read or holds no certificate.
    """
    path = Path(ca_path) if ca_path else _system_store()
    if path is None:
        return []
    try:
        files = sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path]
        found = [certificate for entry in files for certificate in _read(entry)]
    except OSError as error:
        remedy = "Give the path of a PEM file or of a directory of them, on the control node"
        which = "it" if error.filename in (None, str(path)) else str(error.filename)
        raise InvalidInputError(f"ca_path {path}", f"{which} cannot be read ({error.strerror})", remedy) from error
    if not found and ca_path:
        raise InvalidInputError(f"ca_path {path}", "it holds no certificate", "Give a PEM file with CA certificates")
    return list(dict.fromkeys(found))


def _system_store() -> Path | None:
    built_in = ssl.get_default_verify_paths()
    candidates = [built_in.cafile, *_SYSTEM_FILES, built_in.capath]
    return next((Path(name) for name in candidates if name and Path(name).exists()), None)


def _read(path: Path) -> list[str]:
    with path.open("rb") as stream:
        contents = _PEM.findall(stream.read(_MAX_FILE_BYTES).decode("ascii", errors="replace"))
    return [f"-----BEGIN CERTIFICATE-----{content}-----END CERTIFICATE-----" for content in contents]
