# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cryptography of our own handshakes: published vectors first, then other implementations over random inputs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tlslite import mathtls

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import (
    aead,
    aes,
    chacha20,
    des,
    dh_primes,
    finite_field,
    primitives,
    wire,
)

LENGTHS = (*range(34), 47, 48, 49, 255, 256, 257, 1000, 16384)
CURVES: dict[int, ec.EllipticCurve] = {0x0017: ec.SECP256R1(), 0x0018: ec.SECP384R1(), 0x0019: ec.SECP521R1()}
ids = {"ids": lambda value: value if isinstance(value, str) and len(value) < 24 else None}


def unhex(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


# --- block ciphers


@pytest.mark.parametrize(
    ("key_bytes", "ciphertext"),
    [(16, "69c4e0d86a7b0430d8cdb78070b4c55a"), (32, "8ea2b7ca516745bfeafc49904b496089")],
)
def test_fips_197_appendix_c(key_bytes: int, ciphertext: str) -> None:
    key, plaintext = bytes(range(key_bytes)), unhex("00112233445566778899aabbccddeeff")
    assert aes.encrypt_blocks(key, plaintext).hex() == ciphertext
    assert aes.decrypt_blocks(key, unhex(ciphertext)) == plaintext


def test_sp_800_67_appendix_b() -> None:
    key = unhex("0123456789abcdef 23456789abcdef01 456789abcdef0123")
    pairs = [
        ("5468652071756663", "a826fd8ce53b855f"),
        ("6b2062726f776e20", "cce21c8112256fe6"),
        ("666f78206a756d70", "68d5c05dd9b6b900"),
    ]
    for plaintext, ciphertext in pairs:
        assert des.encrypt_block(key, unhex(plaintext)).hex() == ciphertext
        assert des.decrypt_block(key, unhex(ciphertext)).hex() == plaintext


SP_800_38A = unhex(
    "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710"
)


@pytest.mark.parametrize(
    ("encryption", "key", "ciphertext"),
    [
        (
            "AES_128_CBC",
            "2b7e151628aed2a6abf7158809cf4f3c",
            "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2"
            "73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7",
        ),
        (
            "AES_256_CBC",
            "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d"
            "39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
    ],
    **ids,
)
def test_sp_800_38a_f2(encryption: str, key: str, ciphertext: str) -> None:
    iv = bytes(range(16))
    assert primitives.cbc_encrypt(encryption, unhex(key), iv, SP_800_38A) == unhex(ciphertext)
    assert primitives.cbc_decrypt(encryption, unhex(key), iv, unhex(ciphertext)) == SP_800_38A


@pytest.mark.parametrize(
    ("encryption", "algorithm", "key_bytes"),
    [("AES_128_CBC", algorithms.AES, 16), ("AES_256_CBC", algorithms.AES, 32), ("3DES_EDE_CBC", TripleDES, 24)],
    **ids,
)
def test_cbc_is_what_others_compute(
    encryption: str, algorithm: Callable[[bytes], algorithms.AES], key_bytes: int
) -> None:
    source = random.Random(encryption)
    for blocks in (0, 1, 2, 3, 5, 31, 32, 33, 128):
        key = source.randbytes(key_bytes)
        iv = source.randbytes(algorithm(key).block_size // 8)
        plaintext = source.randbytes(blocks * len(iv))
        encryptor = Cipher(algorithm(key), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(plaintext) + encryptor.finalize()
        assert primitives.cbc_encrypt(encryption, key, iv, plaintext) == ciphertext
        assert primitives.cbc_decrypt(encryption, key, iv, ciphertext) == plaintext


# --- authenticated encryption


GCM_PLAINTEXT = """d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525
    b16aedf5aa0de657ba637b39"""
GCM_ASSOCIATED = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
SUNSCREEN = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it"
    b"."
)


@pytest.mark.parametrize(
    ("encryption", "key", "nonce", "associated", "plaintext", "sealed"),
    [
        # The GCM specification (McGrew and Viega), test cases 1, 2, 4 and 16.
        ("AES_128_GCM", "00" * 16, "00" * 12, "", "", "58e2fccefa7e3061367f1d57a4e7455a"),
        (
            "AES_128_GCM",
            "00" * 16,
            "00" * 12,
            "",
            "00" * 16,
            "0388dace60b6a392f328c2b971b2fe78 ab6e47d42cec13bdf53a67b21257bddf",
        ),
        (
            "AES_128_GCM",
            "feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            GCM_ASSOCIATED,
            GCM_PLAINTEXT,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05"
            "1ba30b396a0aac973d58e091 5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            "AES_256_GCM",
            "feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            GCM_ASSOCIATED,
            GCM_PLAINTEXT,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
            "c5f61e6393ba7a0abcc9f662 76fc6ece0f4e1768cddf8853bb2d551b",
        ),
        # SP 800-38C, example 3.
        (
            "AES_128_CCM_8",
            "404142434445464748494a4b4c4d4e4f",
            "101112131415161718191a1b",
            "000102030405060708090a0b0c0d0e0f10111213",
            "202122232425262728292a2b2c2d2e2f3031323334353637",
            "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5 484392fbc1b09951",
        ),
        # RFC 3610 8, packet vector 1.
        (
            "AES_128_CCM_8",
            "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
            "00000003020100a0a1a2a3a4a5",
            "0001020304050607",
            "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
            "588c979a61c663d2f066d0c2c0f989806d5f6b61dac384 17e8d12cfdf926e0",
        ),
        # RFC 8439 2.8.2.
        (
            "CHACHA20_POLY1305",
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            SUNSCREEN.hex(),
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
            "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b6116 1ae10b594f09e26a7e902ecbd0600691",
        ),
    ],
    **ids,
)
def test_published_aead(encryption: str, key: str, nonce: str, associated: str, plaintext: str, sealed: str) -> None:
    rest = unhex(key), unhex(nonce), unhex(plaintext), unhex(associated)
    assert primitives.aead_encrypt(encryption, *rest) == unhex(sealed)
    assert primitives.aead_decrypt(encryption, unhex(key), unhex(nonce), unhex(sealed), unhex(associated)) == rest[2]


def test_sp_800_38c_example_1() -> None:
    key, nonce = unhex("404142434445464748494a4b4c4d4e4f"), unhex("10111213141516")
    ciphertext, tag = aead.seal_ccm(key, nonce, unhex("20212223"), bytes(range(8)), 4)
    assert (ciphertext.hex(), tag.hex()) == ("7162015b", "4dac255d")


def test_rfc_8439_2_3_2_and_2_5_2() -> None:
    block = chacha20.keystream(bytes(range(32)), 1, unhex("000000090000004a00000000"), 64)
    assert block.hex() == (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )
    key = unhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    assert chacha20.poly1305(key, b"Cryptographic Forum Research Group").hex() == "a8061dc1305136c6c22b8baf0c0127a9"


AEADS: list[tuple[str, int, Callable[[bytes], AESGCM | AESCCM | ChaCha20Poly1305]]] = [
    ("AES_128_GCM", 16, AESGCM),
    ("AES_256_GCM", 32, AESGCM),
    ("AES_128_CCM", 16, AESCCM),
    ("AES_256_CCM", 32, AESCCM),
    ("AES_128_CCM_8", 16, lambda key: AESCCM(key, 8)),
    ("AES_256_CCM_8", 32, lambda key: AESCCM(key, 8)),
    ("CHACHA20_POLY1305", 32, ChaCha20Poly1305),
]


@pytest.mark.parametrize(("encryption", "key_bytes", "other"), AEADS, **ids)
def test_aead_is_what_others_compute(
    encryption: str, key_bytes: int, other: Callable[[bytes], AESGCM | AESCCM | ChaCha20Poly1305]
) -> None:
    source = random.Random(encryption)
    for length in LENGTHS:
        key, nonce, plaintext = source.randbytes(key_bytes), source.randbytes(12), source.randbytes(length)
        associated = source.randbytes(source.choice((0, 5, 13, 16, 17)))
        sealed = other(key).encrypt(nonce, plaintext, associated)
        assert primitives.aead_encrypt(encryption, key, nonce, plaintext, associated) == sealed
        assert primitives.aead_decrypt(encryption, key, nonce, sealed, associated) == plaintext


@pytest.mark.parametrize(("encryption", "key_bytes", "_other"), AEADS, **ids)
def test_what_is_not_authentic_is_refused(encryption: str, key_bytes: int, _other: object) -> None:
    key, nonce = bytes(key_bytes), bytes(12)
    sealed = primitives.aead_encrypt(encryption, key, nonce, b"some text", b"associated")
    changed = [
        (bytes([sealed[0] ^ 1]) + sealed[1:], b"associated"),
        (sealed[:-1] + bytes([sealed[-1] ^ 128]), b"associated"),
    ]
    for text, associated in [*changed, (sealed, b"Associated"), (sealed[1:], b"associated"), (b"short", b"associated")]:
        with pytest.raises(wire.DecodeError):
            primitives.aead_decrypt(encryption, key, nonce, text, associated)


# --- RC4


def test_rfc_6229() -> None:
    stream = primitives.rc4(bytes(range(1, 17))).crypt(bytes(32))
    assert stream.hex() == "9ac7cc9a609d1ef7b2932899cde41b975248c4959014126a6e8a84f11d1a9e1c"


def test_rc4_goes_on_where_it_stopped() -> None:
    source = random.Random(4)
    key, parts = source.randbytes(16), [source.randbytes(length) for length in (0, 1, 300, 5, 1000)]
    stream = primitives.rc4(key)
    encryptor = Cipher(ARC4(key), None).encryptor()
    assert [stream.crypt(part) for part in parts] == [encryptor.update(part) for part in parts]


# --- key exchange


def x25519_scalar(text: str) -> int:
    """RFC 7748 5, decodeScalar25519."""
    return int.from_bytes(unhex(text), "little") & ~7 & (1 << 255) - 1 | 1 << 254


def x448_scalar(text: str) -> int:
    """RFC 7748 5, decodeScalar448."""
    return int.from_bytes(unhex(text), "little") & ~3 | 1 << 447


@pytest.mark.parametrize(
    ("group", "private", "public", "secret"),
    [
        (
            0x001D,
            x25519_scalar("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            0x001D,
            x25519_scalar("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
        (
            0x001D,
            x25519_scalar("09" + "00" * 31),
            "09" + "00" * 31,
            "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
        ),
        (
            0x001E,
            x448_scalar(
                "3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121"
                "700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3"
            ),
            "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9"
            "814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086",
            "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239f"
            "e14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f",
        ),
        # RFC 5903 8.1 to 8.3: the initiator's key, the responder's public value, their common x.
        (
            0x0017,
            0xC88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433,
            "04 d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
        ),
        (
            0x0018,
            0x099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194,
            "04 e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571"
            "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
            "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746",
        ),
        (
            0x0019,
            int(
                "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777f595"
                "7b2639bab072462f68c27a57382d4a52",
                16,
            ),
            "04 00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6c291"
            "2d4ef2d0433ced2b6171640012d9460f"
            "015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae49cb"
            "57091f4732296579ab44fcd17f0fc56a",
            "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06b3c7"
            "15a3a8cc3151f2bee417996d19f3ddea",
        ),
    ],
)
def test_published_shared_secrets(group: int, private: int, public: str, secret: str) -> None:
    assert primitives.shared_secret(group, private, unhex(public)) == unhex(secret)


@pytest.mark.parametrize(("group", "curve"), CURVES.items(), ids=[curve.name for curve in CURVES.values()])
def test_curves_agree_with_others(group: int, curve: ec.EllipticCurve) -> None:
    for _time in range(8):
        theirs = ec.generate_private_key(curve)
        public = theirs.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        private, ours = primitives.generate_share(group)
        secret = theirs.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, ours))
        assert primitives.shared_secret(group, private, public) == secret
        # A private key of full length, whose public value is theirs.
        full = theirs.private_numbers().private_value
        other = ec.generate_private_key(curve)
        public = other.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert primitives.shared_secret(group, full, public) == theirs.exchange(ec.ECDH(), other.public_key())


def test_montgomery_curves_agree_with_others() -> None:
    for _time in range(8):
        theirs_25519, theirs_448 = x25519.X25519PrivateKey.generate(), x448.X448PrivateKey.generate()
        private, ours = primitives.generate_share(0x001D)
        secret = theirs_25519.exchange(x25519.X25519PublicKey.from_public_bytes(ours))
        assert primitives.shared_secret(0x001D, private, theirs_25519.public_key().public_bytes_raw()) == secret
        private, ours = primitives.generate_share(0x001E)
        secret = theirs_448.exchange(x448.X448PublicKey.from_public_bytes(ours))
        assert primitives.shared_secret(0x001E, private, theirs_448.public_key().public_bytes_raw()) == secret


@pytest.mark.parametrize(("group", "curve"), CURVES.items(), ids=[curve.name for curve in CURVES.values()])
def test_small_multiples_meet_the_special_cases_of_addition(group: int, curve: ec.EllipticCurve) -> None:
    generator = ec.derive_private_key(1, curve).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    for scalar in (*range(1, 40), curve.group_order - 1):
        numbers = ec.derive_private_key(scalar, curve).public_key().public_numbers()
        secret = primitives.shared_secret(group, scalar, generator)
        assert int.from_bytes(secret, "big") == numbers.x
    with pytest.raises(wire.DecodeError, match="infinity"):
        primitives.shared_secret(group, curve.group_order, generator)


@pytest.mark.parametrize("group", [0x0017, 0x0018, 0x0019, 0x001D, 0x001E, 0x0100, 0x0101, 0x0102])
def test_two_shares_lead_to_one_secret(group: int) -> None:
    (one, public_one), (two, public_two) = primitives.generate_share(group), primitives.generate_share(group)
    assert public_one != public_two
    assert primitives.shared_secret(group, one, public_two) == primitives.shared_secret(group, two, public_one)


P256 = unhex(
    "04 d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
    "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"
)


@pytest.mark.parametrize(
    ("group", "public"),
    [
        (0x0017, P256[:-1] + b"\xac"),
        (0x0017, b"\x04" + bytes(64)),
        (0x0017, b"\x04" + b"\xff" * 64),
        (0x0017, b"\x03" + P256[1:33]),
        (0x0017, b"\x00"),
        (0x0017, b""),
        (0x0018, P256),
        (0x001D, b""),
        (0x001D, bytes(32)),
        (0x001D, b"\x01" + bytes(31)),
        (0x001D, b"\x09" + bytes(30)),
        (0x001D, b"\x09" + bytes(32)),
        (0x001E, bytes(56)),
        (0x001E, b"\x05"),
        (0x0100, bytes(256)),
        (0x0100, bytes(255) + b"\x01"),
        (0x0100, b"\x02"),
        (0x0100, b"\x02" + bytes(256)),
        (0x0100, b"\xff" * 256),
        (0x0100, (finite_field.FIELDS[0x0100].prime - 1).to_bytes(256, "big")),
    ],
)
def test_a_public_value_that_is_none_is_refused(group: int, public: bytes) -> None:
    # A point of low order vanishes only with a private key that the cofactor divides, as RFC 7748 makes them.
    with pytest.raises(wire.DecodeError):
        primitives.shared_secret(group, 8 * primitives.generate_share(group)[0], public)


def test_a_coordinate_beyond_the_prime_is_refused() -> None:
    """It is the same point modulo the prime, and not how that point is written (SP 800-56A 5.6.2.3.3)."""
    prime = 2**521 - 1
    generator = ec.derive_private_key(1, ec.SECP521R1()).public_key().public_numbers()
    for x, y in ((generator.x + prime, generator.y), (generator.x, generator.y + prime)):
        with pytest.raises(wire.DecodeError, match="no point"):
            primitives.shared_secret(0x0019, 5, b"\x04" + x.to_bytes(66, "big") + y.to_bytes(66, "big"))


@pytest.mark.parametrize(("group", "name"), [(0x0100, "ffdhe2048"), (0x0101, "ffdhe3072"), (0x0102, "ffdhe4096")])
def test_the_primes_of_rfc_7919(group: int, name: str) -> None:
    prime = finite_field.FIELDS[group].prime
    encoded = prime.to_bytes((prime.bit_length() + 7) // 8, "big")
    assert dh_primes.name_of(hashlib.sha256(encoded).hexdigest()) == f"RFC 7919 {name}"


def test_a_share_is_as_long_as_its_prime_with_leading_zeros() -> None:
    prime, field = finite_field.FIELDS[0x0100].prime, finite_field.FIELDS[0x0100]
    share = field.multiply(1, (7).to_bytes(256, "big"))
    assert share == bytes(255) + b"\x07"
    ours, secret = primitives.dh(prime, 2, 1)
    assert (len(ours), secret) == (256, bytes(255) + b"\x01")
    ours, secret = primitives.dh(23, 5, 1)
    assert (len(ours), secret) == (1, b"\x01")


def test_dh_agrees_with_the_other_side() -> None:
    prime = finite_field.FIELDS[0x0100].prime
    private = random.Random(7).getrandbits(256)
    ours, secret = primitives.dh(prime, 2, pow(2, private, prime))
    assert secret == pow(int.from_bytes(ours, "big"), private, prime).to_bytes(256, "big")


def test_an_rsa_block_is_decrypted_by_the_private_key() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private, public = key.private_numbers(), key.public_key().public_numbers()
    block = b"\x00\x02" + b"\xaa" * 77 + b"\x00" + bytes(48)
    encrypted = primitives.rsa_encrypt_block(public.n, public.e, block)
    assert len(encrypted) == 128
    assert pow(int.from_bytes(encrypted, "big"), private.d, public.n) == int.from_bytes(block, "big")
    assert primitives.rsa_encrypt_block(public.n, public.e, bytes(127) + b"\x01") == bytes(127) + b"\x01"


# --- key derivation


def test_the_prf_of_tls_1_2_as_published() -> None:
    """The vector for SHA-256 that was sent to the TLS working group's list (2008)."""
    secret, seed = unhex("9bbe436ba940f017b17652849a71db35"), unhex("a0ba9f936cda311827a6f796ffd5198c")
    assert primitives.prf_tls12(secret, b"test label", seed, 100, "sha256") == unhex(
        """e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077d
        ef17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"""
    )


def test_the_prfs_are_what_others_compute() -> None:
    source = random.Random(12)
    for secret_bytes in (0, 1, 2, 31, 32, 47, 48, 49, 129):
        secret, seed, size = source.randbytes(secret_bytes), source.randbytes(64), source.choice((12, 48, 104, 136))
        assert primitives.prf_tls10(secret, b"label", seed, size) == mathtls.PRF(secret, b"label", seed, size)
        assert primitives.prf_tls12(secret, b"l", seed, size, "sha256") == mathtls.PRF_1_2(secret, b"l", seed, size)
        sha384 = mathtls.PRF_1_2_SHA384(secret, b"l", seed, size)
        assert primitives.prf_tls12(secret, b"l", seed, size, "sha384") == sha384


def test_the_key_schedule_of_rfc_8448_3() -> None:
    early = primitives.hkdf_extract(b"", bytes(32), "sha256")
    assert early.hex() == "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"
    derived = primitives.hkdf_expand_label(early, "derived", hashlib.sha256().digest(), 32, "sha256")
    assert derived.hex() == "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba"
    shared = unhex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d")
    handshake = primitives.hkdf_extract(derived, shared, "sha256")
    assert handshake.hex() == "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac"
    traffic = unhex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
    assert primitives.hkdf_expand_label(traffic, "key", b"", 16, "sha256").hex() == "3fce516009c21727d0f2e4e86ee403bc"
    assert primitives.hkdf_expand_label(traffic, "iv", b"", 12, "sha256").hex() == "5d313eb2671276ee13000b30"


def test_expansion_beyond_one_digest() -> None:
    info = b"\x00\x64\x0atls13 test\x03abc"
    expected = HKDFExpand(SHA384(), 100, info).derive(bytes(48))
    assert primitives.hkdf_expand_label(bytes(48), "test", b"abc", 100, "sha384") == expected
