# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and private keys in a release: whether each key fits, and what certificate files hold.

OpenSSL reads both, through the standard library. A key passes through memory only: memfd_create(2).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.reading import read_regular
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import Release, ReleaseFile

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_MAX_CERTIFICATE_FILE_BYTES = 1024 * 1024


class _PassphraseNeededError(Exception):
    """A private key is encrypted."""


def unfit_pairs(release: Release) -> list[str]:
    """Return a sentence for each certificate whose private key does not fit, naming both files.

    Pairs are ``fullchain*.pem`` and ``privkey*.pem``, ``x.pem`` and ``x.pem.key``, and one file that holds both.
    """
    found = []
    for certificate, key in pairs(release):
        reason = _misfit(certificate.content, key.content)
        if reason is not None:
            found.append(f"The private key {key.path} is of no use for the certificate {certificate.path}: {reason}")
    return found


def pairs(release: Release) -> Iterator[tuple[ReleaseFile, ReleaseFile]]:
    """Return the certificates of a release and their keys, as far as their names tell."""
    for file in release.files:
        if not _CERTIFICATE.search(file.content):
            continue
        if _PRIVATE_KEY.search(file.content):
            yield file, file
            continue
        keys = (release.file(path) for path in _key_paths(file.path))
        key = next((each for each in keys if each is not None), None)
        if key is not None:
            yield file, key


def _key_paths(path: str) -> list[str]:
    directory, slash, name = path.rpartition("/")
    beside = [f"{path}.key"]
    if name.startswith("fullchain") and name.endswith(".pem"):
        beside.append(f"{directory}{slash}privkey{name[len('fullchain') :]}")
    return beside


def _refuse_to_ask(*_size: int) -> NoReturn:
    raise _PassphraseNeededError


def _misfit(certificate: bytes, key: bytes) -> str | None:
    """Return why a server could not use a certificate with a key; None where it can."""
    # Of the release itself nothing is ever encrypted with this context, so weak keys are for the grade to judge.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    password: Callable[..., NoReturn] = _refuse_to_ask
    try:
        with ExitStack() as stack:
            paths = [stack.enter_context(_in_memory(content)) for content in (certificate, key)]
            context.load_cert_chain(paths[0], paths[1], password=password)
    except _PassphraseNeededError:
        return "it is encrypted, and nobody is there to type its passphrase. Store it unencrypted"
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "it belongs to another certificate. Deploy the two that belong together"
        return f"OpenSSL cannot read one of the two ({error.reason or error}). Give both as PEM"
    return None


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("webserver_config")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def certificates(release: Release, paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the certificates in files, each as DER in base64, in their order; none for a file that cannot be read.

    A path is one of the release, or an absolute one of the host.
    """
    return {path: _encoded(_content(release, path)) for path in dict.fromkeys(paths)}


def _content(release: Release, path: str) -> bytes:
    file = release.file(path)
    if file is not None or not Path(path).is_absolute():
        return file.content if file else b""
    try:
        return read_regular(path, _MAX_CERTIFICATE_FILE_BYTES)
    except OSError:
        return b""


def _encoded(content: bytes) -> list[str]:
    found = []
    for match in _CERTIFICATE.finditer(content):
        try:
            found.append(base64.b64encode(base64.b64decode(b"".join(match[1].split()), validate=True)).decode("ascii"))
        except binascii.Error:
            continue  # what is no base64 is no certificate; the file has fewer of them then
    return found
