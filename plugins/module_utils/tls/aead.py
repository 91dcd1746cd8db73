# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encryption that authenticates: GCM and CCM of AES, and ChaCha20-Poly1305. Not constant time: see :mod:`primitives`.

Each of the three modes is a pair of functions (key, nonce, text, associated data, size of the tag): ``seal_*`` returns
ciphertext and tag, ``open_*`` plaintext and the tag that there should be.

Sources: SP 800-38D (GCM), SP 800-38C and RFC 3610 (CCM), RFC 8439 2.8 (ChaCha20-Poly1305).
"""

from __future__ import annotations

import functools
import struct

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import aes, chacha20

Sealed = tuple[bytes, bytes]


def xor(left: bytes, right: bytes) -> bytes:
    """Return two texts of the same length added bit by bit."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def _counter_stream(key: bytes, prefix: bytes, first: int, count: int) -> bytes:
    """Return the encrypted counter blocks that begin with ``prefix`` (SP 800-38A 6.5)."""
    counter_bytes = aes.BLOCK_BYTES - len(prefix)
    counters = b"".join([prefix + number.to_bytes(counter_bytes, "big") for number in range(first, first + count)])
    return aes.encrypt_blocks(key, counters)


def _block_count(text: bytes) -> int:
    return -(-len(text) // aes.BLOCK_BYTES)


def _whole_blocks(text: bytes) -> bytes:
    return text + bytes(-len(text) % aes.BLOCK_BYTES)


# --- GCM


def seal_gcm(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes, tag_bytes: int) -> Sealed:
    """Encrypt (SP 800-38D 7.1); the nonce has 12 bytes."""
    mask, stream = _gcm_stream(key, nonce, plaintext)
    ciphertext = xor(plaintext, stream)
    return ciphertext, _gcm_tag(key, mask, ciphertext, associated)[:tag_bytes]


def open_gcm(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes, tag_bytes: int) -> Sealed:
    """Decrypt (SP 800-38D 7.2); the nonce has 12 bytes."""
    mask, stream = _gcm_stream(key, nonce, ciphertext)
    return xor(ciphertext, stream), _gcm_tag(key, mask, ciphertext, associated)[:tag_bytes]


def _gcm_stream(key: bytes, nonce: bytes, text: bytes) -> tuple[bytes, bytes]:
    """Return what masks the tag, and what masks the text."""
    blocks = _counter_stream(key, nonce, 1, 1 + _block_count(text))
    return blocks[: aes.BLOCK_BYTES], blocks[aes.BLOCK_BYTES : aes.BLOCK_BYTES + len(text)]


def _gcm_tag(key: bytes, mask: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    lengths = struct.pack("!QQ", 8 * len(associated), 8 * len(ciphertext))
    return xor(_ghash(key, _whole_blocks(associated) + _whole_blocks(ciphertext) + lengths), mask)


def _times_x(value: int) -> int:
    """Multiply by x in GF(2^128), whose bits go from the left to the right (SP 800-38D 6.3)."""
    return value >> 1 ^ (0xE1 << 120 if value & 1 else 0)


def _eight_times_x(value: int) -> int:
    for _bit in range(8):
        value = _times_x(value)
    return value


_REDUCTION = tuple(_eight_times_x(byte) for byte in range(256))


@functools.lru_cache(maxsize=64)
def _byte_products(key: bytes) -> tuple[int, ...]:
    """Return the hash key of an AES key multiplied by each byte."""
    products = [0] * 256
    power = int.from_bytes(aes.encrypt_blocks(key, bytes(16)), "big")
    bit = 0x80
    while bit:
        for higher in range(0, 256, 2 * bit):
            products[higher | bit] = products[higher] ^ power
        power = _times_x(power)
        bit >>= 1
    return tuple(products)


def _ghash(key: bytes, blocks: bytes) -> bytes:
    """Return GHASH of whole blocks (SP 800-38D 6.4)."""
    products = _byte_products(key)
    value = 0
    for place in range(0, len(blocks), aes.BLOCK_BYTES):
        value ^= int.from_bytes(blocks[place : place + aes.BLOCK_BYTES], "big")
        product = 0
        for byte in value.to_bytes(16, "little"):
            product = product >> 8 ^ _REDUCTION[product & 0xFF] ^ products[byte]
        value = product
    return value.to_bytes(16, "big")


# --- CCM


def seal_ccm(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes, tag_bytes: int) -> Sealed:
    """Encrypt (SP 800-38C 6.1)."""
    mask, stream = _ccm_stream(key, nonce, plaintext)
    tag = _ccm_mac(key, nonce, plaintext, associated, tag_bytes)
    return xor(plaintext, stream), xor(tag, mask[:tag_bytes])


def open_ccm(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes, tag_bytes: int) -> Sealed:
    """Decrypt (SP 800-38C 6.2)."""
    mask, stream = _ccm_stream(key, nonce, ciphertext)
    plaintext = xor(ciphertext, stream)
    tag = _ccm_mac(key, nonce, plaintext, associated, tag_bytes)
    return plaintext, xor(tag, mask[:tag_bytes])


def _ccm_stream(key: bytes, nonce: bytes, text: bytes) -> tuple[bytes, bytes]:
    """Return what masks the tag, and what masks the text."""
    prefix = bytes([14 - len(nonce)]) + nonce
    blocks = _counter_stream(key, prefix, 0, 1 + _block_count(text))
    return blocks[: aes.BLOCK_BYTES], blocks[aes.BLOCK_BYTES : aes.BLOCK_BYTES + len(text)]


def _ccm_mac(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes, tag_bytes: int) -> bytes:
    """Return the CBC-MAC; associated data are shorter than 65280 bytes (SP 800-38C A.2)."""
    length_bytes = 15 - len(nonce)
    flags = (0x40 if associated else 0) | (tag_bytes - 2) // 2 << 3 | length_bytes - 1
    blocks = bytes([flags]) + nonce + len(plaintext).to_bytes(length_bytes, "big")
    if associated:
        blocks += _whole_blocks(struct.pack("!H", len(associated)) + associated)
    blocks += _whole_blocks(plaintext)
    mac = bytes(aes.BLOCK_BYTES)
    for place in range(0, len(blocks), aes.BLOCK_BYTES):
        mac = aes.encrypt_blocks(key, xor(mac, blocks[place : place + aes.BLOCK_BYTES]))
    return mac[:tag_bytes]


# --- ChaCha20-Poly1305


def seal_chacha20(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes, tag_bytes: int) -> Sealed:
    """Encrypt (RFC 8439 2.8)."""
    one_time_key, stream = _chacha20_stream(key, nonce, plaintext)
    ciphertext = xor(plaintext, stream)
    return ciphertext, _chacha20_tag(one_time_key, ciphertext, associated)[:tag_bytes]


def open_chacha20(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes, tag_bytes: int) -> Sealed:
    """Decrypt (RFC 8439 2.8)."""
    one_time_key, stream = _chacha20_stream(key, nonce, ciphertext)
    return xor(ciphertext, stream), _chacha20_tag(one_time_key, ciphertext, associated)[:tag_bytes]


def _chacha20_stream(key: bytes, nonce: bytes, text: bytes) -> tuple[bytes, bytes]:
    """Return the key of the tag, which is the first half of block 0, and what masks the text, from block 1 on."""
    stream = chacha20.keystream(key, 0, nonce, 64 + len(text))
    return stream[:32], stream[64:]


def _chacha20_tag(one_time_key: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    lengths = struct.pack("<QQ", len(associated), len(ciphertext))
    return chacha20.poly1305(one_time_key, _whole_blocks(associated) + _whole_blocks(ciphertext) + lengths)
