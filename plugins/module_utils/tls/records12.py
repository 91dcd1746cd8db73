# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record layer of TLS 1.0 to 1.2 over a connected socket: protected records out and in, malformed ones on request.

Sources: RFC 2246 and RFC 5246 6.2.3 (stream and CBC records), RFC 5288 3 (GCM), RFC 6655 3 (CCM), RFC 7905 2
(ChaCha20), RFC 7366 3 (encrypt-then-MAC).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import aead, primitives, probe, registry, wire
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.deadline import seconds_left

# Everything that one connection may send to us, however politely.
MAX_CONNECTION_BYTES = 1024 * 1024

_MAC_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}
_MAC_BYTES = {"MD5": 16, "SHA": 20, "SHA256": 32, "SHA384": 48}


class ConnectionEndedError(MeasurementError):
    """The other side stopped talking as hoped: ``kind`` is one of :mod:`probe`'s, ``alert`` the number of an alert."""

    def __init__(self, kind: str, detail: str, alert: int | None = None) -> None:
        """Say how it ended."""
        super().__init__("the connection", detail, "Look for the reason in the server's log")
        self.kind = kind
        self.alert = alert


@dataclass(frozen=True)
class Record:
    """One record in plain text."""

    content: int
    body: bytes


def can_protect(suite: registry.CipherSuite) -> bool:
    """Whether this record layer has the suite's encryption and MAC; the drafts of ChaCha20 had another nonce."""
    known = suite.encryption in primitives.KEY_BYTES and (suite.aead or suite.mac in _MAC_HASHES)
    return known and not suite.name.endswith("_DRAFT")


class Protection(Protocol):
    """One direction of a connection: it seals or opens records in their order."""

    def seal(self, content: int, plaintext: bytes) -> bytes:
        """Return the body of a record."""

    def open(self, content: int, body: bytes) -> bytes:
        """Return the plaintext of a record's body; raises :class:`wire.DecodeError` when it is not authentic."""


class _Sequence:
    """The number of the next record, and what of a record is authenticated beside its plaintext."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._number = 0

    def take(self) -> bytes:
        number, self._number = self._number, self._number + 1
        return struct.pack("!Q", number)

    def associated(self, number: bytes, content: int, length: int) -> bytes:
        return number + struct.pack("!BHH", content, self._version, length)


class AeadProtection:
    """Records of an AEAD suite; the nonce of GCM and CCM has 8 explicit bytes, that of ChaCha20 none."""

    def __init__(self, suite: registry.CipherSuite, version: int, key: bytes, fixed_iv: bytes) -> None:
        """Begin with record 0."""
        self._encryption = suite.encryption
        self._key = key
        self._fixed_iv = fixed_iv
        self._sequence = _Sequence(version)
        self._explicit_bytes = 0 if suite.encryption.startswith("CHACHA20") else 8
        self._tag_bytes = primitives.tag_bytes(suite.encryption)

    def seal(self, content: int, plaintext: bytes) -> bytes:
        """Return explicit nonce, ciphertext and tag."""
        number = self._sequence.take()
        explicit = number[: self._explicit_bytes]
        associated = self._sequence.associated(number, content, len(plaintext))
        nonce = self._nonce(number, explicit)
        return explicit + primitives.aead_encrypt(self._encryption, self._key, nonce, plaintext, associated)

    def open(self, content: int, body: bytes) -> bytes:
        """Return the plaintext; raises :class:`wire.DecodeError` for a wrong tag."""
        number = self._sequence.take()
        explicit, sealed = body[: self._explicit_bytes], body[self._explicit_bytes :]
        length = len(sealed) - self._tag_bytes
        if length < 0:
            raise wire.DecodeError("an encrypted record is shorter than its tag")
        associated = self._sequence.associated(number, content, length)
        nonce = self._nonce(number, explicit)
        return primitives.aead_decrypt(self._encryption, self._key, nonce, sealed, associated)

    def _nonce(self, number: bytes, explicit: bytes) -> bytes:
        if explicit:
            return self._fixed_iv + explicit
        return aead.xor(self._fixed_iv, number.rjust(len(self._fixed_iv), b"\x00"))


class StreamProtection:
    """Records of an RC4 suite."""

    def __init__(self, suite: registry.CipherSuite, version: int, key: bytes, mac_key: bytes) -> None:
        """Begin with record 0."""
        self._cipher = primitives.rc4(key)
        self._mac = _Mac(suite, version, mac_key)

    def seal(self, content: int, plaintext: bytes) -> bytes:
        """Return the encrypted plaintext and MAC."""
        return self._cipher.crypt(plaintext + self._mac.next(content, plaintext))

    def open(self, content: int, body: bytes) -> bytes:
        """Return the plaintext; raises :class:`wire.DecodeError` for a wrong MAC."""
        return self._mac.check(content, self._cipher.crypt(body))


class _Mac:
    """HMAC over records in their order (RFC 5246 6.2.3.1)."""

    def __init__(self, suite: registry.CipherSuite, version: int, key: bytes) -> None:
        self._hash = _MAC_HASHES[suite.mac]
        self._key = key
        self._sequence = _Sequence(version)
        self.size_bytes = _MAC_BYTES[suite.mac]

    def next(self, content: int, data: bytes) -> bytes:
        number = self._sequence.take()
        return primitives.mac(self._key, self._sequence.associated(number, content, len(data)) + data, self._hash)

    def check(self, content: int, authenticated: bytes) -> bytes:
        """Return the data before a right MAC."""
        place = len(authenticated) - self.size_bytes
        if place < 0:
            raise wire.DecodeError("an encrypted record is shorter than its MAC")
        data, mac = authenticated[:place], authenticated[place:]
        if self.next(content, data) != mac:
            raise wire.DecodeError("an encrypted record has a wrong MAC")
        return data


class CbcProtection:
    """Records of a CBC suite; :meth:`mac` and :meth:`encrypt` are for records that the caller builds by hand."""

    def __init__(
        self,
        suite: registry.CipherSuite,
        version: int,
        key: bytes,
        mac_key: bytes,
        first_iv: bytes,
        encrypt_then_mac: bool,
    ) -> None:
        """Begin with record 0; ``first_iv`` is used by TLS 1.0 alone, which chains the records."""
        self.block_bytes = _block_bytes(suite)
        self._encryption = suite.encryption
        self._key = key
        self._mac = _Mac(suite, version, mac_key)
        self._chained_iv = first_iv if version == registry.TLS10 else None
        self._encrypt_then_mac = encrypt_then_mac

    @property
    def mac_bytes(self) -> int:
        """The size of the MAC."""
        return self._mac.size_bytes

    def mac(self, content: int, data: bytes) -> bytes:
        """Return the MAC of the next record, which then counts as sent."""
        return self._mac.next(content, data)

    def pad(self, data: bytes) -> bytes:
        """Return data with the shortest right padding (RFC 5246 6.2.3.2)."""
        count = self.block_bytes - len(data) % self.block_bytes
        return data + bytes([count - 1]) * count

    def encrypt(self, padded: bytes) -> bytes:
        """Return IV (from TLS 1.1 on) and ciphertext of whole blocks, whatever they hold."""
        if self._chained_iv is None:
            iv = os.urandom(self.block_bytes)
            return iv + primitives.cbc_encrypt(self._encryption, self._key, iv, padded)
        ciphertext = primitives.cbc_encrypt(self._encryption, self._key, self._chained_iv, padded)
        self._chained_iv = ciphertext[-self.block_bytes :]
        return ciphertext

    def seal(self, content: int, plaintext: bytes) -> bytes:
        """Return a right record."""
        if self._encrypt_then_mac:
            ciphertext = self.encrypt(self.pad(plaintext))
            return ciphertext + self._mac.next(content, ciphertext)
        return self.encrypt(self.pad(plaintext + self._mac.next(content, plaintext)))

    def open(self, content: int, body: bytes) -> bytes:
        """Return the plaintext; raises :class:`wire.DecodeError` for what is no right record."""
        if self._encrypt_then_mac:
            return self._unpad(self._decrypt(self._mac.check(content, body)))
        return self._mac.check(content, self._unpad(self._decrypt(body)))

    def _decrypt(self, body: bytes) -> bytes:
        iv = self._chained_iv
        if iv is None:
            iv, body = body[: self.block_bytes], body[self.block_bytes :]
        else:
            self._chained_iv = body[-self.block_bytes :]
        if not body or len(body) % self.block_bytes or len(iv) != self.block_bytes:
            raise wire.DecodeError("an encrypted record is not made of whole blocks")
        return primitives.cbc_decrypt(self._encryption, self._key, iv, body)

    @staticmethod
    def _unpad(padded: bytes) -> bytes:
        count = padded[-1] + 1
        if padded[-count:] != bytes([padded[-1]]) * count:
            raise wire.DecodeError("an encrypted record has wrong padding")
        return padded[:-count]


def _block_bytes(suite: registry.CipherSuite) -> int:
    return 8 if suite.encryption.startswith("3DES") else 16


def key_sizes(suite: registry.CipherSuite) -> tuple[int, int, int]:
    """Return how many bytes MAC key, key and IV of one direction take from the key block (RFC 5246 6.3)."""
    key = primitives.KEY_BYTES[suite.encryption]
    if suite.aead:
        return 0, key, 12 if suite.encryption.startswith("CHACHA20") else 4
    return _MAC_BYTES[suite.mac], key, _block_bytes(suite) if suite.cbc else 0


def protection(
    suite: registry.CipherSuite, version: int, mac_key: bytes, key: bytes, iv: bytes, encrypt_then_mac: bool
) -> Protection:
    """Return the protection of one direction with its keys."""
    if suite.aead:
        return AeadProtection(suite, version, key, iv)
    if suite.cbc:
        return CbcProtection(suite, version, key, mac_key, iv, encrypt_then_mac)
    return StreamProtection(suite, version, key, mac_key)


class Records:
    """The records of one connection; ``writing`` and ``reading`` are ``None`` while a direction is in clear."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Talk over ``sock`` until ``deadline`` (of :func:`time.monotonic`)."""
        self.deadline = deadline
        self.version = registry.TLS10
        self.writing: Protection | None = None
        self.reading: Protection | None = None
        self._sock = sock
        self._received = b""
        self._total = 0

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Wait no longer than this within the block, and never beyond the deadline."""
        deadline = self.deadline
        self.deadline = min(deadline, time.monotonic() + seconds)
        try:
            yield
        finally:
            self.deadline = deadline

    def send(self, content: int, plaintext: bytes) -> None:
        """Send one right record."""
        self.send_raw(content, plaintext if self.writing is None else self.writing.seal(content, plaintext))

    def send_raw(self, content: int, body: bytes) -> None:
        """Send one record with exactly this body; raises :class:`ConnectionEndedError` when it cannot be sent."""
        try:
            self._sock.settimeout(seconds_left(self.deadline))
            self._sock.sendall(wire.record(content, self.version, body))
        except socket.timeout:
            raise ConnectionEndedError(probe.TIMEOUT, "nothing more could be sent in time") from None
        except OSError as error:
            raise ConnectionEndedError(probe.RESET, f"it broke: {error.strerror or error}") from None

    def receive(self) -> Record:
        """Return the next record, opened.

        Raises :class:`ConnectionEndedError` when there is none, :class:`wire.DecodeError` for what is no right record.
        """
        content, version, length = struct.unpack("!BHH", self._take(5, "no answer came in time"))
        if version >> 8 != 3 or content not in (20, 21, 22, 23, 24):
            raise wire.NotTlsError(struct.pack("!BHH", content, version, length) + self._received)
        if length > wire.MAX_RECORD_BYTES:
            raise wire.DecodeError(f"a record of {length} bytes is longer than TLS allows")
        body = self._take(length, "a record was not completed in time")
        return Record(content, body if self.reading is None else self.reading.open(content, body))

    def _take(self, count: int, late: str) -> bytes:
        while len(self._received) < count:
            try:
                self._sock.settimeout(seconds_left(self.deadline))
                data = self._sock.recv(16384)
            except socket.timeout:
                raise ConnectionEndedError(probe.TIMEOUT, late) from None
            except OSError as error:
                raise ConnectionEndedError(probe.RESET, f"it broke: {error.strerror or error}") from None
            if not data:
                raise ConnectionEndedError(probe.CLOSED, "it was closed")
            self._total += len(data)
            if self._total > MAX_CONNECTION_BYTES:
                raise wire.DecodeError(f"the server sent more than {MAX_CONNECTION_BYTES} bytes")
            self._received += data
        taken, self._received = self._received[:count], self._received[count:]
        return taken
