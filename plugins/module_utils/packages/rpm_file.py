# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An .rpm, which may come from anybody: what is in it, with the digest of each file, and single files out of it.

Format (rpm's manual, "Package format"): a lead, of which only the magic number means anything, the signature header,
the header, the payload. The header is what is signed. It holds the digests of all files, so that it vouches for the
rest; nothing covers the signature header, and only what proves itself is taken from it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import shutil
import stat
import struct
import time
from collections.abc import Generator, Iterator
from typing import NamedTuple

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import commands, rpm_payload
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb import NO_NUMBER, Member
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.deb_container import (
    DebError,
    Reader,
    decode,
    stored,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    FILE,
    SYMLINK,
    algorithm,
    text,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_header import (
    MAX_INDEX_ENTRIES,
    DamagedHeaderError,
    Header,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_package import (
    CONFIG,
    DIGEST_DIGITS,
    GHOST,
    KINDS,
    Package,
    PackagedFile,
    digest_algorithm,
    read_package,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.rpm_payload import Entry, Listed, RpmError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import MAX_PATH_BYTES, READ_FLAGS

#: How long one package may take to read, and how much may be in it.
READ_SECONDS = 900.0
MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_PAYLOAD_BYTES = 64 * 1024**3

_LEAD = bytes.fromhex("edabeedb")
_LEAD_BYTES = 96
_HEADER_MAGIC = bytes.fromhex("8eade80100000000")
_COUNTS = struct.Struct(">II")
_ENTRY_BYTES = 16
_SIGNATURE_ALIGNMENT = 8

#: Tags of the signature header: signatures over the header alone, in binary and (rpm 6) in base64.
_BINARY_SIGNATURES, _TEXT_SIGNATURES = (268, 267), 278
_SCRIPTS = (1023, 1024, 1152)
_PAYLOAD_FORMAT, _PAYLOAD_COMPRESSOR = 1124, 1125
_PAYLOAD_DIGEST, _PAYLOAD_DIGEST_ALGORITHM, _UNCOMPRESSED_DIGEST = 5092, 5093, 5097
_SHA256 = 8

_SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "lzma": ".lzma"}
_GZIP_MAGIC = b"\x1f\x8b"
#: As much as xz and lzma may ask for.
_ZSTD = ("zstd", "-dcq", "--memory=256MB")
#: rpm's own program, which always has the library; from rpm 4.20 on it writes an archive of its own of the same files.
_RPM2CPIO = ("rpm2cpio", "-")


class Contents(NamedTuple):
    """Everything in an .rpm.

    ``members`` are its files but for ghosts and the root itself; a regular file whose content the header has no digest
    of is left out, since nothing vouches for it. ``conffiles`` are the regular ones among them that are configuration,
    ``scripts`` the texts of %pre, %post and %posttrans, ``capabilities`` the text form by path, where a file has some.
    ``signatures`` are OpenPGP signatures that claim to be over `Header.region` of ``header``; nobody has verified them.
    """

    package: Package
    header: Header
    members: dict[bytes, Member]
    conffiles: tuple[bytes, ...]
    scripts: tuple[bytes, ...]
    capabilities: dict[bytes, str]
    signatures: tuple[bytes, ...]


def read(path: str) -> Contents:
    """Read an .rpm from its beginning to its end. Raises `RpmError` for whatever is wrong with it, `OSError`.

    All digests that it has are verified: of the header, the payload and each file. No signature is: see
    ``rpm_signature.py``. Memory grows with the header and the number of paths, not with the size of files.
    """
    with _opened(path) as package:
        package.verify_payload()
        digests = _Digests(package)
        for entry, content in package.entries():
            digests.take(entry, content)
        return _contents(package, digests.finish())


def read_header(path: str) -> Header:
    """Return the header of an .rpm, which its own digests cover, without looking at the payload. Raises as `read`."""
    with _opened(path) as package:
        return package.header


def copy(path: str, member: Member, descriptor: int) -> None:
    """Write the content of one regular file of the .rpm at ``path`` to a descriptor, verifying it on the way.

    Raises `RpmError` when the .rpm does not have it, or has another content than when ``member`` was read, after which
    what was written is worthless; `OSError` when it cannot be written.
    """
    with _opened(path) as package:
        wanted = package.listed.numbers.get(member.path)
        if wanted is None or member.sha256 is None:
            raise RpmError(f"it has no regular file {text(member.path)}")
        found = None
        for entry, content in package.entries():
            if package.listed.first(entry.number) == package.listed.first(wanted) and entry.size == member.size:
                found = _write(content, descriptor)
                break
        if found != member.sha256:
            raise RpmError(f"{text(member.path)} in it is not what it was when it was verified")


def _write(content: Iterator[memoryview], descriptor: int) -> bytes:
    """Write what comes; return its SHA-256 in hexadecimal."""
    hasher = hashlib.sha256()
    for piece in content:
        hasher.update(piece)
        left = piece
        while left:
            left = left[os.write(descriptor, left) :]
    return hasher.hexdigest().encode()


@contextlib.contextmanager
def _opened(path: str) -> Iterator[_Package]:
    """Open an .rpm and read its headers; whatever turns out to be wrong with it is an `RpmError`."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        with contextlib.closing(_Package(descriptor)) as package:
            yield package
    except DebError as error:
        raise RpmError(str(error)) from error
    except DamagedHeaderError as error:
        raise RpmError(f"its header is damaged: {error.reason}") from error
    finally:
        os.close(descriptor)


class _Package:
    """An open .rpm: its two headers, and where its payload lies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._deadline = time.monotonic() + READ_SECONDS
        self._readers: list[Reader] = []
        status = os.fstat(descriptor)
        self._end = status.st_size
        if not stat.S_ISREG(status.st_mode) or os.pread(descriptor, len(_LEAD), 0) != _LEAD:
            raise RpmError("it is no .rpm")
        self.signatures, position = self._read_header(_LEAD_BYTES)
        self.header, self._offset = self._read_header(position + -position % _SIGNATURE_ALIGNMENT)
        if not self.header.is_whole():
            raise RpmError("its header holds what is not in its immutable region, and which no signature covers")
        self.header.verify(self.signatures)
        self.listed = Listed(self.header)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    def _read_header(self, position: int) -> tuple[Header, int]:
        """Read a header; return it and where it ends."""
        start = os.pread(self._descriptor, len(_HEADER_MAGIC) + _COUNTS.size, position)
        if len(start) < len(_HEADER_MAGIC) + _COUNTS.size:
            raise RpmError("it is truncated")
        if not start.startswith(_HEADER_MAGIC):
            raise RpmError(f"it has no header at byte {position}")
        index_entries, data_bytes = _COUNTS.unpack_from(start, len(_HEADER_MAGIC))
        size = _COUNTS.size + index_entries * _ENTRY_BYTES + data_bytes
        position += len(_HEADER_MAGIC)
        if index_entries > MAX_INDEX_ENTRIES or size > MAX_HEADER_BYTES:
            raise RpmError("its header is absurdly large")
        if size > self._end - position:
            raise RpmError("it is truncated")
        header = Header(os.pread(self._descriptor, size, position))
        if header.most_elements() > rpm_payload.MAX_FILES:
            raise RpmError(f"its header holds more than {rpm_payload.MAX_FILES} of something")
        return header, position + size

    # Payload

    def verify_payload(self) -> None:
        """Compare the payload with its digest in the header, before anything decompresses it."""
        expected = self._payload_digest(_PAYLOAD_DIGEST)
        if expected is None:
            return
        hasher = hashlib.new(algorithm(expected), usedforsecurity=False)
        try:
            for piece in stored(self._descriptor, self._offset, self._end - self._offset):
                hasher.update(piece)
                if time.monotonic() > self._deadline:
                    raise RpmError("it takes too long to read")
        except EOFError as error:
            raise RpmError(str(error)) from error
        if hasher.hexdigest().encode() != expected:
            raise RpmError("its payload does not match the digest in its header")

    def entries(self) -> Generator[tuple[Entry, Iterator[memoryview]], None, None]:
        """Yield the entries of the payload, with their content. Verifies its digest at the end."""
        hasher = None
        chunks, is_as_packed = self._decompressed()
        expected = self._payload_digest(_UNCOMPRESSED_DIGEST)
        if expected is not None and is_as_packed:
            hasher = hashlib.new(algorithm(expected), usedforsecurity=False)
            chunks = _hashed(chunks, hasher)
        reader = Reader(chunks, self._end - self._offset, self._deadline, MAX_PAYLOAD_BYTES)
        self._readers.append(reader)
        yield from rpm_payload.entries(reader, self.listed)
        if hasher is not None and hasher.hexdigest().encode() != expected:
            raise RpmError("its payload, decompressed, does not match the digest in its header")

    def _payload_digest(self, tag: int) -> bytes | None:
        found = self.header.strings(tag)
        if not found:
            return None
        number = self.header.number(_PAYLOAD_DIGEST_ALGORITHM)
        if len(found[0]) != DIGEST_DIGITS.get(_SHA256 if number is None else number):
            raise RpmError("the digest of its payload is of an unknown kind")
        return found[0]

    def _decompressed(self) -> tuple[Generator[bytes, None, None], bool]:
        """Return the decompressed payload, and whether it is the very one that was packed."""
        if self.header.strings(_PAYLOAD_FORMAT) != [b"cpio"]:
            raise RpmError("its payload is no cpio archive")
        name = self.header.text(_PAYLOAD_COMPRESSOR)
        if name is None and os.pread(self._descriptor, len(_GZIP_MAGIC), self._offset) == _GZIP_MAGIC:
            name = "gzip"  # What is meant where nothing is said, but for what is not compressed at all.
        if name == "zstd":
            return self._decompressed_by_program()
        payload = stored(self._descriptor, self._offset, self._end - self._offset)
        if name is None:
            return payload, True
        if name not in _SUFFIXES:
            raise RpmError(f"its payload has an unknown compression ({name[:40]!r})")
        return decode(payload, _SUFFIXES[name]), True

    def _decompressed_by_program(self) -> tuple[Generator[bytes, None, None], bool]:
        """Let zstd decompress the payload, or rpm2cpio, which takes the whole package."""
        has_zstd = shutil.which(_ZSTD[0], path=commands.PATH) is not None
        os.lseek(self._descriptor, self._offset if has_zstd else 0, os.SEEK_SET)
        return commands.stream(_ZSTD if has_zstd else _RPM2CPIO, self._deadline, self._descriptor), has_zstd


def _hashed(chunks: Generator[bytes, None, None], hasher: hashlib._Hash) -> Generator[bytes, None, None]:
    """Hash what goes by."""
    try:
        for chunk in chunks:
            hasher.update(chunk)
            yield chunk
    finally:
        chunks.close()


class _Digests:
    """The payload compared with the header on its way, and the SHA-256 of each file by its number."""

    def __init__(self, package: _Package) -> None:
        self._listed = package.listed
        self._digits = DIGEST_DIGITS.get(digest_algorithm(package.header))
        self._seen: set[int] = set()
        self._sha256: dict[int, bytes] = {}

    def take(self, entry: Entry, content: Iterator[memoryview]) -> None:
        """Verify one entry."""
        file = self._listed.files[entry.number]
        label = text(file.path[:200])
        if entry.number in self._seen:
            raise RpmError(f"its payload holds {label} twice")
        self._seen.add(entry.number)
        if not self._listed.is_packaged(entry.number):
            if entry.size >= MAX_PATH_BYTES and not file.flags & GHOST:
                raise RpmError(f"its payload holds content for {label}, which is no regular file")
        elif entry.size == file.size:
            self._sha256[self._listed.first(entry.number)] = self._hash(file, content)
        elif entry.size or not self._listed.is_linked(entry.number):
            raise RpmError(f"its payload holds {label} in another size than its header says")

    def finish(self) -> dict[int, bytes]:
        """Return the digests by the first number of each file. Raises `RpmError` when the payload lacks one."""
        for number, file in enumerate(self._listed.files):
            has_content = number in self._seen and self._listed.first(number) in self._sha256
            if self._listed.is_packaged(number) and not has_content:
                raise RpmError(f"its payload lacks {text(file.path[:200])}")
        return self._sha256

    def _hash(self, file: PackagedFile, content: Iterator[memoryview]) -> bytes:
        if file.digest and self._digits is None:
            raise RpmError("the digests of its files are of an unknown kind")
        sha256 = hashlib.sha256()
        other = hashlib.new(algorithm(file.digest), usedforsecurity=False) if file.digest else sha256
        for piece in content:
            sha256.update(piece)
            if other is not sha256:
                other.update(piece)
        if file.digest and other.hexdigest().encode() != file.digest:
            raise RpmError(f"{text(file.path[:200])} in it does not match the digest in its header")
        return sha256.hexdigest().encode()


def _contents(package: _Package, digests: dict[int, bytes]) -> Contents:
    header, listed = package.header, package.listed
    members: dict[bytes, Member] = {}
    for number, file in enumerate(listed.files):
        is_covered = bool(file.digest) or not listed.is_packaged(number)
        if not file.flags & GHOST and file.path != b"/" and is_covered:
            first = listed.first(number)
            linked_to = None if first == number else listed.files[first].path
            members[file.path] = _member(file, linked_to, digests.get(first))
    files = [file for file in listed.files if file.path in members]
    conffiles = tuple(file.path for file in files if file.flags & CONFIG and members[file.path].kind == FILE)
    scripts = tuple(script for tag in _SCRIPTS for script in header.strings(tag))
    capabilities = {file.path: file.capabilities for file in files if file.capabilities}
    signatures = _signatures(package.signatures)
    return Contents(read_package(header), header, members, conffiles, scripts, capabilities, signatures)


def _member(file: PackagedFile, linked_to: bytes | None, sha256: bytes | None) -> Member:
    """Return what the header says of a file."""
    kind = KINDS.get(stat.S_IFMT(file.mode))
    if kind is None:
        raise RpmError(f"its file {text(file.path[:200])} has a type that rpm does not unpack")
    if kind == SYMLINK and not 0 < len(file.target) < MAX_PATH_BYTES:
        raise RpmError("a symbolic link in it leads nowhere, or has too long a target")
    is_device = kind in (CHARACTER_DEVICE, BLOCK_DEVICE)
    return Member(
        path=file.path,
        kind=kind,
        mode=stat.S_IMODE(file.mode),
        uid=NO_NUMBER,
        gid=NO_NUMBER,
        owner=file.owner,
        group=file.group,
        size=file.size if kind == FILE else 0,
        modified=file.modified,
        target=file.target if kind == SYMLINK else None,
        linked_to=linked_to,
        # The header has 16 bits for a device: the major and the minor number.
        device=os.makedev(file.device >> 8, file.device & 0xFF) if is_device else None,
        sha256=sha256 if kind == FILE else None,
    )


def decode_base64(value: bytes) -> bytes:
    """Decode base64 in lines of any length, as rpm writes it. Raises `binascii.Error`."""
    return base64.b64decode(b"".join(value.split()), validate=True)


def _signatures(header: Header) -> tuple[bytes, ...]:
    found = [header.binary(tag) for tag in _BINARY_SIGNATURES]
    try:
        found += [decode_base64(value) for value in header.strings(_TEXT_SIGNATURES)]
    except binascii.Error as error:
        raise RpmError("a signature of it is no base64") from error
    return tuple(signature for signature in found if signature)
