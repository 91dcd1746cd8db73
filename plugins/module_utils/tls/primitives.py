# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cryptography of our own handshakes, by the names that cipher suites and named groups have.

**It measures and protects nothing.** A managed node has the standard library alone, and one way of computing everywhere
is worth more than a fast one somewhere. Nothing here takes constant time, private keys are no longer than they must be,
and all keys stay in memory: the scanner has no secret, sends nothing that is one, and forgets each connection. Use none
of it where anything must stay secret.

Sources: RFC 2246 5 and RFC 5246 5 (PRF), RFC 5869 and RFC 8446 7.1 (HKDF), SP 800-38A 6.2 (CBC); what is computed in
other files has its sources there.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    aead,
    aes,
    des,
    elliptic,
    finite_field,
    key_shares,
    wire,
)

_AEADS = {
    "AES_128_GCM": (aead.seal_gcm, aead.open_gcm, 16),
    "AES_256_GCM": (aead.seal_gcm, aead.open_gcm, 16),
    "AES_128_CCM": (aead.seal_ccm, aead.open_ccm, 16),
    "AES_256_CCM": (aead.seal_ccm, aead.open_ccm, 16),
    "AES_128_CCM_8": (aead.seal_ccm, aead.open_ccm, 8),
    "AES_256_CCM_8": (aead.seal_ccm, aead.open_ccm, 8),
    "CHACHA20_POLY1305": (aead.seal_chacha20, aead.open_chacha20, 16),
}
# What a record of TLS can be encrypted with, and how long its key is.
KEY_BYTES = {
    "AES_128_CBC": 16,
    "AES_256_CBC": 32,
    "3DES_EDE_CBC": 24,
    "RC4_128": 16,
    "AES_128_GCM": 16,
    "AES_256_GCM": 32,
    "AES_128_CCM": 16,
    "AES_256_CCM": 32,
    "AES_128_CCM_8": 16,
    "AES_256_CCM_8": 32,
    "CHACHA20_POLY1305": 32,
}
_GROUPS = {**elliptic.CURVES, **finite_field.FIELDS}
_PRIVATE_BYTES = 16


# --- records


def tag_bytes(encryption: str) -> int:
    """Return the size of the tag that an AEAD puts behind its ciphertext."""
    return _AEADS[encryption][2]


def aead_encrypt(encryption: str, key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Return ciphertext and tag; ``encryption`` is that of a cipher suite, such as ``AES_128_GCM``."""
    seal, _open, tag_size = _AEADS[encryption]
    ciphertext, tag = seal(key, nonce, plaintext, associated, tag_size)
    return ciphertext + tag


def aead_decrypt(encryption: str, key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Return the plaintext of ciphertext and tag; raises :class:`wire.DecodeError` when they are not authentic."""
    _seal, open_, tag_size = _AEADS[encryption]
    if len(sealed) < tag_size:
        raise wire.DecodeError("an encrypted record is shorter than its tag")
    plaintext, tag = open_(key, nonce, sealed[:-tag_size], associated, tag_size)
    if tag != sealed[-tag_size:]:
        raise wire.DecodeError("an encrypted record has a wrong tag")
    return plaintext


def cbc_encrypt(encryption: str, key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """Return whole blocks encrypted; ``encryption`` is ``AES_128_CBC``, ``AES_256_CBC`` or ``3DES_EDE_CBC``."""
    encrypt = des.encrypt_block if encryption == "3DES_EDE_CBC" else aes.encrypt_blocks
    size = len(iv)
    blocks = [iv]
    for place in range(0, len(plaintext), size):
        blocks.append(encrypt(key, aead.xor(plaintext[place : place + size], blocks[-1])))
    return b"".join(blocks[1:])


def cbc_decrypt(encryption: str, key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Return whole blocks decrypted."""
    if encryption == "3DES_EDE_CBC":
        size = des.BLOCK_BYTES
        places = range(0, len(ciphertext), size)
        decrypted = b"".join([des.decrypt_block(key, ciphertext[place : place + size]) for place in places])
    else:
        decrypted = aes.decrypt_blocks(key, ciphertext)
    return aead.xor(decrypted, (iv + ciphertext)[: len(ciphertext)])


class _Rc4:
    """The state of one direction of a connection."""

    def __init__(self, key: bytes) -> None:
        self._state = list(range(256))
        self._i = self._j = 0
        state, j = self._state, 0
        for i in range(256):
            j = (j + state[i] + key[i % len(key)]) & 0xFF
            state[i], state[j] = state[j], state[i]

    def crypt(self, data: bytes) -> bytes:
        """Return the next data encrypted or decrypted."""
        state, i, j = self._state, self._i, self._j
        stream = bytearray()
        for _byte in data:
            i = (i + 1) & 0xFF
            j = (j + state[i]) & 0xFF
            state[i], state[j] = state[j], state[i]
            stream.append(state[(state[i] + state[j]) & 0xFF])
        self._i, self._j = i, j
        return aead.xor(data, bytes(stream))


def rc4(key: bytes) -> _Rc4:
    """Return an RC4 stream, whose ``crypt(data)`` goes on where it stopped."""
    return _Rc4(key)


# --- key exchange


def _private() -> int:
    # Short, because there is nothing that it would have to protect; odd, to be none of the degenerate ones.
    return int.from_bytes(os.urandom(_PRIVATE_BYTES), "big") | 1


def generate_share(group: int) -> tuple[int, bytes]:
    """Return a private key and the public value that belongs to it, as TLS sends it.

    ``group`` is one of X25519, X448, P-256, P-384, P-521, ffdhe2048, ffdhe3072 and ffdhe4096.
    """
    private = _private()
    return private, _GROUPS[group].multiply(private, key_shares.public_value(group) or b"")


def shared_secret(group: int, private: int, public: bytes) -> bytes:
    """Return the secret of both sides; raises :class:`wire.DecodeError` for a public value that is not in the group."""
    return _GROUPS[group].shared_secret(private, public)


def dh(prime: int, generator: int, public: int) -> tuple[bytes, bytes]:
    """Return our public value and the shared secret, both as long as the prime, of parameters that a server chose."""
    private = _private()
    size = (prime.bit_length() + 7) // 8
    ours, secret = pow(generator, private, prime), pow(public, private, prime)
    return ours.to_bytes(size, "big"), secret.to_bytes(size, "big")


def nonzero_bytes(count: int) -> bytes:
    """Return random bytes of which none is 0, as padding for RSA wants them (RFC 8017 7.2.1)."""
    return bytes(1 + byte % 255 for byte in os.urandom(count))


def rsa_encrypt_block(modulus: int, exponent: int, block: bytes) -> bytes:
    """Return a block, padding and all, as it is encrypted to an RSA key; it is as long as the modulus."""
    return pow(int.from_bytes(block, "big"), exponent, modulus).to_bytes((modulus.bit_length() + 7) // 8, "big")


# --- hashes and key derivation


def digest(data: bytes, hash_name: str) -> bytes:
    """Return a digest; MD5 and SHA-1 too where the system keeps them from protecting anything (FIPS 140)."""
    return hashlib.new(hash_name, data, usedforsecurity=False).digest()


def mac(key: bytes, data: bytes, hash_name: str) -> bytes:
    """Return the HMAC of data (RFC 2104), with the hashes that :func:`digest` has."""
    return hmac.new(key, data, functools.partial(hashlib.new, hash_name, usedforsecurity=False)).digest()


def _expand(secret: bytes, seed: bytes, size: int, hash_name: str) -> bytes:
    """Return ``P_hash`` (RFC 5246 5)."""
    result, link = b"", seed
    while len(result) < size:
        link = mac(secret, link, hash_name)
        result += mac(secret, link + seed, hash_name)
    return result[:size]


def prf_tls10(secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """Return ``size`` bytes of the PRF of TLS 1.0 and 1.1 (RFC 2246 5)."""
    half = (len(secret) + 1) // 2
    md5 = _expand(secret[:half], label + seed, size, "md5")
    return aead.xor(md5, _expand(secret[-half:], label + seed, size, "sha1"))


def prf_tls12(secret: bytes, label: bytes, seed: bytes, size: int, hash_name: str) -> bytes:
    """Return ``size`` bytes of the PRF of TLS 1.2 with a suite's hash (RFC 5246 5)."""
    return _expand(secret, label + seed, size, hash_name)


def hkdf_extract(salt: bytes, key_material: bytes, hash_name: str) -> bytes:
    """Return a pseudorandom key (RFC 5869 2.2)."""
    return mac(salt, key_material, hash_name)


def hkdf_expand_label(secret: bytes, label: str, context: bytes, size: int, hash_name: str) -> bytes:
    """Return ``size`` bytes for a label of TLS 1.3 (RFC 8446 7.1)."""
    name = b"tls13 " + label.encode("ascii")
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + bytes([len(context)]) + context
    result, link, number = b"", b"", 1
    while len(result) < size:
        link = mac(secret, link + info + bytes([number]), hash_name)
        result, number = result + link, number + 1
    return result[:size]
