# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The upper links of the signed chain: a Release with its signature, and the Packages that it names by SHA-256."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.archive_sources import Source

MAX_RELEASE_BYTES = 32 * 1024 * 1024
MAX_INDEX_BYTES = 1024 * 1024 * 1024

_VERIFY_SECONDS = 60
_CHUNK_BYTES = 1024 * 1024
_MAX_PARAGRAPH_BYTES = 4 * 1024 * 1024
#: SHA-256, SHA-384, SHA-512 and SHA-224 as OpenPGP numbers them: what a signature may be made over today.
_GOOD_HASHES = ("8", "9", "10", "11")
_SECTION = re.compile(rb"^SHA256:[ \t]*\r?\n((?:[ \t]+[^\n]*\n)*)", re.MULTILINE)
_PARAGRAPH_FIELDS = {
    name: re.compile(rb"^%s:[ \t]*([!-~]+)[ \t]*$" % name, re.MULTILINE)
    for name in (b"Package", b"Version", b"Architecture", b"SHA256", b"Size")
}


class Record(NamedTuple):
    """What a signed index says about one .deb; ``source`` is a sentence part that says which, and who signed it."""

    sha256: bytes
    size: int
    source: str


class Release(NamedTuple):
    """A Release whose signature is good: the SHA-256 of each file that it names, and who signed it."""

    digests: dict[bytes, bytes]
    signer: str


def read_release(prefix: str, source: Source, directory: Path) -> Release:
    """Verify the Release in apt's lists whose files begin with ``prefix`` (a path), and read it.

    Raises `MeasurementError` when no key of the source has signed it.
    """
    inline = Path(f"{prefix}InRelease")
    plain = directory / "verified"
    plain.unlink(missing_ok=True)
    if inline.is_file():
        signers = _signers(source, [str(inline)], plain)
    else:
        signers = _signers(source, [f"{prefix}Release.gpg", f"{prefix}Release"], None)
        plain = Path(f"{prefix}Release")
    if source.keys:
        keys = {key.rstrip("!") for key in source.keys}
        signers = [fingerprints for fingerprints in signers if keys & set(fingerprints)]
    if not signers:
        raise _refused("its Release is not signed with a key that its source accepts")
    try:
        text = _bounded(plain)
    except OSError as error:
        raise _refused(f"its Release cannot be read: {error.strerror}") from error
    key = signers[0][0]
    return Release(digests(text), f"Release signed with {key} ({source.origin})")


def _signers(source: Source, files: list[str], output: Path | None) -> list[tuple[str, ...]]:
    """Return the fingerprints of each good signature: of the key that made it, and of the one that it belongs to."""
    if not source.keyrings:
        raise _refused("its source has no keyring")
    return verify(source.keyrings, files, output).signers


class Verification(NamedTuple):
    """The fingerprints of each good signature (see `signers_of_status`), and gpgv's status lines, empty of sqv."""

    signers: list[tuple[str, ...]]
    status: str


def verify(keyrings: Sequence[str], files: list[str], output: Path | None) -> Verification:
    """Let gpgv, or sqv where that is missing, verify a signature with binary keyrings.

    ``files`` are a detached signature and what it is of, or one signed file, whose text goes to ``output``. Raises
    `MeasurementError` when neither program can be run.
    """
    options = [word for keyring in keyrings for word in ("--keyring", keyring)]
    if shutil.which("gpgv", path=commands.PATH) is not None:
        written = ["--output", str(output)] if output else []
        done = commands.run(["gpgv", "--status-fd", "1", *options, *written, *files], _VERIFY_SECONDS)
        status = done.stdout.decode("ascii", "replace")
        return Verification(signers_of_status(status), status)
    signature = ["--output", str(output), "--cleartext", files[0]] if output else ["--signature-file", *files]
    done = commands.run(["sqv", *options, *signature], _VERIFY_SECONDS)
    found = re.findall(r"^[0-9A-F]{40,64}$", done.stdout.decode("ascii", "replace"), re.MULTILINE)
    return Verification([(fingerprint,) for fingerprint in found] if done.status == 0 else [], "")


def signers_of_status(text: str) -> list[tuple[str, ...]]:
    """Read gpgv's status lines: a signature counts that is good, of a key that is neither expired nor revoked.

    One bad signature spoils all. One by a key that is in no keyring does not: archives sign with old and new keys.
    """
    signers: list[tuple[str, ...]] = []
    good = False
    for line in text.split("\n"):
        words = line.split()[1:]
        if not words or not line.startswith("[GNUPG:] "):
            continue
        if words[0] == "BADSIG":
            return []
        if words[0] in ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "ERRSIG"):
            good = words[0] == "GOODSIG"
        elif words[0] == "VALIDSIG" and good and len(words) >= 11 and words[8] in _GOOD_HASHES:
            signers.append((words[10], words[1]))
    return signers


def _bounded(path: Path) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(MAX_RELEASE_BYTES + 1)
    if len(data) > MAX_RELEASE_BYTES:
        raise _refused("its Release is absurdly large")
    return data


def digests(release: bytes) -> dict[bytes, bytes]:
    """Return the SHA-256 of each file that a Release names."""
    section = _SECTION.search(release)
    rows = [line.split() for line in section.group(1).split(b"\n")] if section else []
    return {row[2]: row[0].lower() for row in rows if len(row) == 3 and re.fullmatch(rb"[0-9A-Fa-f]{64}", row[0])}


def read_index(
    path: Path, release: Release, meta_key: str, names: frozenset[str] | None, base: str
) -> list[tuple[tuple[str, str, str], Record]]:
    """Read the packages of these names (`None`: all) out of an index that the Release names.

    ``meta_key`` is the name by which the Release knows it. Returns (name, version, architecture) and what is said of
    it. Raises `MeasurementError` when the index is another than the one that was signed, `OSError`.
    """
    expected = release.digests.get(meta_key.encode())
    if expected is None:
        raise _refused("its Release names it only in compressed form, so that it cannot be checked")
    hasher = hashlib.sha256()
    source = f"{base}{meta_key}, {release.signer}"
    wanted = None if names is None else frozenset(name.encode() for name in names)
    found = []
    for paragraph in _paragraphs(path, hasher):
        name = _PARAGRAPH_FIELDS[b"Package"].search(paragraph)
        if name is None or (wanted is not None and name.group(1) not in wanted):
            continue
        fields = {key: pattern.search(paragraph) for key, pattern in _PARAGRAPH_FIELDS.items()}
        values = [match.group(1) for match in fields.values() if match is not None]
        if len(values) == 5 and re.fullmatch(rb"[0-9a-f]{64}", values[3]) and re.fullmatch(rb"[0-9]{1,12}", values[4]):
            identity = (values[0].decode(), values[1].decode(), values[2].decode())
            found.append((identity, Record(values[3], int(values[4]), source)))
    if hasher.hexdigest().encode() != expected:
        raise _refused("it is another index than the one that its Release was signed for")
    return found


def _paragraphs(path: Path, hasher: hashlib._Hash) -> Iterator[bytes]:
    """Yield the paragraphs of an index, hashing it on the way."""
    rest = b""
    total = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
            total += len(chunk)
            if total > MAX_INDEX_BYTES or len(rest) > _MAX_PARAGRAPH_BYTES:
                raise _refused("it is absurdly large")
            *whole, rest = (rest + chunk).split(b"\n\n")
            yield from whole
    yield rest


def _refused(reason: str) -> MeasurementError:
    return MeasurementError("package archive", reason, "Mend the package sources, or name others in archive_sources")
