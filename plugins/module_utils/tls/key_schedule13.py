# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key schedule of TLS 1.3: from what both sides share to the secrets of each stage (RFC 8446 7.1, 4.4)."""

from __future__ import annotations

import hashlib
import hmac

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import primitives

_MESSAGE_HASH = 254


class Transcript:
    """The messages of a handshake so far (RFC 8446 4.4.1)."""

    def __init__(self) -> None:
        """Begin before the first message."""
        self._messages = b""

    def __len__(self) -> int:
        """How many bytes the messages have."""
        return len(self._messages)

    def add(self, message: bytes) -> None:
        """Add a message with its header."""
        self._messages += message

    def digest(self, hash_name: str, beginning_of_next: bytes = b"") -> bytes:
        """Return the hash of all messages, and of a part of one that follows them."""
        return hashlib.new(hash_name, self._messages + beginning_of_next).digest()

    def fold(self, hash_name: str) -> None:
        """Put a hash in the place of the messages: a HelloRetryRequest replaces the first hello."""
        digest = self.digest(hash_name)
        self._messages = bytes([_MESSAGE_HASH, 0, 0, len(digest)]) + digest


class KeySchedule:
    """The secrets of one handshake, stage after stage; ``psk`` is that of the session to resume, if there is one."""

    def __init__(self, hash_name: str, psk: bytes = b"") -> None:
        """Begin with the early secret."""
        self._hash = hash_name
        self._zeros = bytes(hashlib.new(hash_name).digest_size)
        self._secret = primitives.hkdf_extract(self._zeros, psk or self._zeros, hash_name)

    def binder(self, digest: bytes) -> bytes:
        """Return the proof of knowing the ``psk``, for the digest of a hello up to its binders; at the first stage."""
        key = self._derive("res binder", hashlib.new(self._hash).digest())
        return finished(key, digest, self._hash)

    def handshake_secrets(self, shared_secret: bytes, digest: bytes) -> tuple[bytes, bytes]:
        """Go on to the handshake; return the traffic secrets of client and server (digest up to ServerHello)."""
        self._advance(shared_secret)
        return self._derive("c hs traffic", digest), self._derive("s hs traffic", digest)

    def application_secrets(self, digest: bytes) -> tuple[bytes, bytes]:
        """Go on to application data; return the traffic secrets of client and server (digest up to its Finished)."""
        self._advance(self._zeros)
        return self._derive("c ap traffic", digest), self._derive("s ap traffic", digest)

    def resumption_secret(self, digest: bytes) -> bytes:
        """Return what tickets make their keys of (digest up to the client's Finished); at the last stage."""
        return self._derive("res master", digest)

    def _advance(self, key_material: bytes) -> None:
        salt = self._derive("derived", hashlib.new(self._hash).digest())
        self._secret = primitives.hkdf_extract(salt, key_material, self._hash)

    def _derive(self, label: str, digest: bytes) -> bytes:
        return primitives.hkdf_expand_label(self._secret, label, digest, len(self._zeros), self._hash)


def finished(traffic_secret: bytes, digest: bytes, hash_name: str) -> bytes:
    """Return the content of a Finished, or of a binder (RFC 8446 4.4.4)."""
    key = primitives.hkdf_expand_label(traffic_secret, "finished", b"", len(traffic_secret), hash_name)
    return hmac.new(key, digest, hash_name).digest()


def ticket_psk(resumption_secret: bytes, nonce: bytes, hash_name: str) -> bytes:
    """Return the key that belongs to a ticket (RFC 8446 4.6.1)."""
    return primitives.hkdf_expand_label(resumption_secret, "resumption", nonce, len(resumption_secret), hash_name)
