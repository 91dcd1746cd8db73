# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and numbers of TLS: versions, cipher suites, named groups, signature schemes, alerts, extensions.

The source is the IANA registry "Transport Layer Security (TLS) Parameters", and the numbers that servers are known to
use without being registered (the 56-bit export suites, the first ChaCha20 drafts, the FIPS suites). What a suite is
made of is read from its name, so that a name and its properties cannot disagree.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import cipher_suite_names

SSL2 = 0x0002
SSL3 = 0x0300
TLS10 = 0x0301
TLS11 = 0x0302
TLS12 = 0x0303
TLS13 = 0x0304

VERSION_NAMES: dict[int, str] = {
    SSL2: "SSLv2",
    SSL3: "SSLv3",
    TLS10: "TLSv1.0",
    TLS11: "TLSv1.1",
    TLS12: "TLSv1.2",
    TLS13: "TLSv1.3",
}

# "This is a retry with a lower version" (RFC 7507): no cipher suite, though it stands among them.
FALLBACK_SCSV = 0x5600

CIPHER_SUITE_NAMES: dict[int, str] = cipher_suite_names.NAMES

# Every suite that TLS 1.3 can negotiate: RFC 8446, 8998 (SM4), 9150 (integrity only), 9367 (GOST), the AEGIS draft.
TLS13_CIPHER_SUITES: tuple[int, ...] = (
    0x1302,
    0x1301,
    0x1304,
    0x1305,
    0x1306,
    0x1307,
    0x00C6,
    0x00C7,
    0xC0B4,
    0xC0B5,
    0xC103,
    0xC104,
    0xC105,
    0xC106,
    # ChaCha20 last: a server may promote it for a client that puts it first, which would hide its own order.
    0x1303,
)

# (bits, pattern) of the encryption part of a name; the first that fits decides.
_ENCRYPTION_BITS: tuple[tuple[int, str], ...] = (
    (0, r"^NULL"),
    (56, r"^(RC4|RC2_CBC)_56"),
    (40, r"_40|DES40"),
    (112, r"^3DES"),
    (56, r"^DES_CBC"),
    (128, r"_128|^IDEA|^SEED|^SM4"),
    (256, r"_256|^CHACHA20|^28147|^KUZNYECHIK|^MAGMA"),
)
_AEAD = re.compile(r"_(GCM|CCM|CCM_8|MGM_[LS])$|^CHACHA20_POLY1305$|^AEGIS")
_MAC = re.compile(r"_(NULL|MD5|SHA|SHA1|SHA256|SHA384|SHA512|SM3|IMIT|OMAC|GOSTR3411)$")


@dataclass(frozen=True)
class CipherSuite:
    """One cipher suite and what its name says about it.

    ``key_exchange`` is ``RSA``, ``DHE``, ``ECDHE``, ``DH``, ``ECDH``, ``PSK``, ``SRP``, ``KRB5``, ... or ``any`` where
    TLS 1.3 negotiates it apart from the suite; ``authentication`` is ``RSA``, ``ECDSA``, ``DSS``, ``PSK``, ``anon``,
    ... or ``any``. ``bits`` is the strength of the encryption (3DES counts 112). ``mac`` is the hash of a suite that
    authenticates records with HMAC, ``AEAD`` otherwise.
    """

    id: int
    name: str
    key_exchange: str
    authentication: str
    encryption: str
    bits: int
    mac: str
    export: bool

    @property
    def aead(self) -> bool:
        """Whether encryption and integrity are one operation (RFC 5116)."""
        return self.mac == "AEAD"

    @property
    def forward_secrecy(self) -> bool:
        """Whether a key stolen later cannot open what was recorded."""
        return self.key_exchange in ("ECDHE", "DHE", "any")

    @property
    def cbc(self) -> bool:
        """Whether the records are encrypted in CBC mode."""
        return "_CBC" in self.encryption

    @property
    def hash_name(self) -> str:
        """The hash of the PRF in TLS 1.2 (RFC 5246 5, RFC 5289 3.1), of the key schedule in TLS 1.3 (RFC 8446 B.4)."""
        return "sha384" if self.name.endswith("SHA384") else "sha256"

    def as_dict(self) -> dict[str, object]:
        """Return the suite as it stands in a result."""
        return {
            "name": self.name,
            "id": f"0x{self.id:04X}",
            "key_exchange": self.key_exchange,
            "authentication": self.authentication,
            "encryption": self.encryption,
            "bits": self.bits,
            "mac": self.mac,
            "forward_secrecy": self.forward_secrecy,
        }


@functools.lru_cache(maxsize=1024)
def cipher_suite(number: int) -> CipherSuite:
    """Return the suite of a number; one that is not known is named after its number and counts as 0 bits."""
    name = CIPHER_SUITE_NAMES.get(number)
    if name is None:
        return CipherSuite(number, f"UNKNOWN_0x{number:04X}", "unknown", "unknown", "unknown", 0, "unknown", False)
    left, separator, right = name[len("TLS_") :].partition("_WITH_")
    if not separator:
        left, right = "any", left
    encryption, mac = _split_encryption(right)
    key_exchange, authentication = _split_key_exchange(re.sub(r"_EXPORT(1024)?|_FIPS", "", left))
    return CipherSuite(
        id=number,
        name=name,
        key_exchange=key_exchange,
        authentication=authentication,
        encryption=encryption,
        bits=_encryption_bits(encryption, "EXPORT1024" in left),
        mac=mac,
        export="EXPORT" in left,
    )


def _split_encryption(text: str) -> tuple[str, str]:
    """Split ``AES_128_GCM_SHA256`` into the encryption and what protects the integrity of a record."""
    text = text.replace("_DRAFT", "")
    if text in ("SHA256_SHA256", "SHA384_SHA384"):
        return "NULL", text.partition("_")[0]
    found = _MAC.search(text)
    encryption, mac = (text[: found.start()], found.group(1)) if found else (text, "none")
    return (encryption, "AEAD") if _AEAD.search(encryption) else (encryption, mac)


def _split_key_exchange(text: str) -> tuple[str, str]:
    """Split ``ECDHE_RSA`` into the key exchange and the authentication."""
    if text in ("any", "NULL", "KRB5", "ECCPWD"):
        return text, text
    if text.startswith("GOST"):
        return "GOST", "GOST"
    if text.startswith("SRP_SHA"):
        return "SRP", text[len("SRP_SHA_") :] or "SRP"
    if text in ("RSA", "PSK"):
        return text, text
    if text == "PSK_DHE":  # how the registry spells the two suites of RFC 6655
        return "DHE", "PSK"
    key_exchange, _separator, authentication = text.partition("_")
    # Anonymous suites are ephemeral; IANA names them DH_anon and ECDH_anon.
    return (f"{key_exchange}E" if authentication == "anon" else key_exchange), authentication


def _encryption_bits(encryption: str, export_1024: bool) -> int:
    if export_1024:
        return 56
    return next((bits for bits, pattern in _ENCRYPTION_BITS if re.search(pattern, encryption)), 0)


@dataclass(frozen=True)
class NamedGroup:
    """One named group; ``rsa_equivalent_bits`` counts the classical part alone (the hybrid's curve)."""

    id: int
    name: str
    rsa_equivalent_bits: int
    post_quantum: bool = False

    def as_dict(self) -> dict[str, object]:
        """Return the group as it stands in a result."""
        return {
            "name": self.name,
            "id": f"0x{self.id:04X}",
            "post_quantum": self.post_quantum,
            "rsa_equivalent_bits": self.rsa_equivalent_bits,
        }


# RSA equivalents by NIST SP 800-57 part 1, table 2 (the sizes between its rows count as the row below).
_GROUPS: tuple[NamedGroup, ...] = (
    NamedGroup(0x0001, "sect163k1", 1024),
    NamedGroup(0x0002, "sect163r1", 1024),
    NamedGroup(0x0003, "sect163r2", 1024),
    NamedGroup(0x0004, "sect193r1", 1536),
    NamedGroup(0x0005, "sect193r2", 1536),
    NamedGroup(0x0006, "sect233k1", 2048),
    NamedGroup(0x0007, "sect233r1", 2048),
    NamedGroup(0x0008, "sect239k1", 2048),
    NamedGroup(0x0009, "sect283k1", 3072),
    NamedGroup(0x000A, "sect283r1", 3072),
    NamedGroup(0x000B, "sect409k1", 7680),
    NamedGroup(0x000C, "sect409r1", 7680),
    NamedGroup(0x000D, "sect571k1", 15360),
    NamedGroup(0x000E, "sect571r1", 15360),
    NamedGroup(0x000F, "secp160k1", 1024),
    NamedGroup(0x0010, "secp160r1", 1024),
    NamedGroup(0x0011, "secp160r2", 1024),
    NamedGroup(0x0012, "secp192k1", 1536),
    NamedGroup(0x0013, "secp192r1", 1536),
    NamedGroup(0x0014, "secp224k1", 2048),
    NamedGroup(0x0015, "secp224r1", 2048),
    NamedGroup(0x0016, "secp256k1", 3072),
    NamedGroup(0x0017, "secp256r1", 3072),
    NamedGroup(0x0018, "secp384r1", 7680),
    NamedGroup(0x0019, "secp521r1", 15360),
    NamedGroup(0x001A, "brainpoolP256r1", 3072),
    NamedGroup(0x001B, "brainpoolP384r1", 7680),
    NamedGroup(0x001C, "brainpoolP512r1", 15360),
    NamedGroup(0x001D, "x25519", 3072),
    NamedGroup(0x001E, "x448", 7680),
    NamedGroup(0x001F, "brainpoolP256r1tls13", 3072),
    NamedGroup(0x0020, "brainpoolP384r1tls13", 7680),
    NamedGroup(0x0021, "brainpoolP512r1tls13", 15360),
    NamedGroup(0x0022, "GC256A", 3072),
    NamedGroup(0x0023, "GC256B", 3072),
    NamedGroup(0x0024, "GC256C", 3072),
    NamedGroup(0x0025, "GC256D", 3072),
    NamedGroup(0x0026, "GC512A", 15360),
    NamedGroup(0x0027, "GC512B", 15360),
    NamedGroup(0x0028, "GC512C", 15360),
    NamedGroup(0x0029, "curveSM2", 3072),
    NamedGroup(0x0100, "ffdhe2048", 2048),
    NamedGroup(0x0101, "ffdhe3072", 3072),
    NamedGroup(0x0102, "ffdhe4096", 4096),
    NamedGroup(0x0103, "ffdhe6144", 6144),
    NamedGroup(0x0104, "ffdhe8192", 8192),
    NamedGroup(0x0200, "MLKEM512", 3072, True),
    NamedGroup(0x0201, "MLKEM768", 7680, True),
    NamedGroup(0x0202, "MLKEM1024", 15360, True),
    NamedGroup(0x11EB, "SecP256r1MLKEM768", 3072, True),
    NamedGroup(0x11EC, "X25519MLKEM768", 3072, True),
    NamedGroup(0x11ED, "SecP384r1MLKEM1024", 7680, True),
    NamedGroup(0x11EE, "curveSM2MLKEM768", 3072, True),
    NamedGroup(0x6399, "X25519Kyber768Draft00", 3072, True),
)
GROUPS: dict[int, NamedGroup] = {group.id: group for group in _GROUPS}

# What TLS 1.3 may use (RFC 8446 4.2.7 and later registrations), the commonest first.
TLS13_GROUPS: tuple[int, ...] = (
    0x11EC,
    0x001D,
    0x0017,
    0x0018,
    0x0019,
    0x001E,
    0x11EB,
    0x11ED,
    0x11EE,
    0x6399,
    0x0200,
    0x0201,
    0x0202,
    0x001F,
    0x0020,
    0x0021,
    0x0022,
    0x0023,
    0x0024,
    0x0025,
    0x0026,
    0x0027,
    0x0028,
    0x0029,
    0x0100,
    0x0101,
    0x0102,
    0x0103,
    0x0104,
)

# The finite field groups, which TLS 1.2 negotiates too (RFC 7919).
FFDHE_GROUPS: tuple[int, ...] = (0x0100, 0x0101, 0x0102, 0x0103, 0x0104)

# The curves that TLS 1.2 and older may use. The rare come first: a server that follows the client's order then shows at
# once whether it takes any of them. Without a finite field group beside them a server shows the parameters of its own.
TLS12_GROUPS: tuple[int, ...] = (
    *range(0x0001, 0x0017),
    0x001A,
    0x001B,
    0x001C,
    *range(0x0022, 0x002A),
    0x001E,
    0x0019,
    0x0018,
    0x0017,
    0x001D,
)


def named_group(number: int) -> NamedGroup:
    """Return the group of a number; one that is not known is named after it and counts as 0 bits."""
    return GROUPS.get(number, NamedGroup(number, f"unknown_0x{number:04X}", 0))


SIGNATURE_SCHEMES: dict[int, str] = {
    0x0403: "ecdsa_secp256r1_sha256",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
    0x0401: "rsa_pkcs1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0904: "mldsa44",
    0x0905: "mldsa65",
    0x0906: "mldsa87",
    0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
    0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
    0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
    0x0402: "dsa_sha256",
    0x0303: "ecdsa_sha224",
    0x0301: "rsa_pkcs1_sha224",
    0x0302: "dsa_sha224",
    0x0203: "ecdsa_sha1",
    0x0201: "rsa_pkcs1_sha1",
    0x0202: "dsa_sha1",
    0x0101: "rsa_md5",
}
RSA_SIGNATURE_SCHEMES: tuple[int, ...] = tuple(n for n, name in SIGNATURE_SCHEMES.items() if name.startswith("rsa_"))
ECDSA_SIGNATURE_SCHEMES: tuple[int, ...] = tuple(n for n, name in SIGNATURE_SCHEMES.items() if name.startswith("ecdsa"))

ALERTS: dict[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
    121: "ech_required",
}

EXTENSIONS: dict[int, str] = {
    0: "server_name",
    5: "status_request",
    10: "supported_groups",
    11: "ec_point_formats",
    13: "signature_algorithms",
    15: "heartbeat",
    16: "application_layer_protocol_negotiation",
    18: "signed_certificate_timestamp",
    21: "padding",
    22: "encrypt_then_mac",
    23: "extended_master_secret",
    35: "session_ticket",
    41: "pre_shared_key",
    43: "supported_versions",
    44: "cookie",
    51: "key_share",
    65281: "renegotiation_info",
}


def alert_name(number: int) -> str:
    """Return the name of an alert description (RFC 8446 6)."""
    return ALERTS.get(number, f"alert_{number}")


def extension_name(number: int) -> str:
    """Return the name of an extension type."""
    return EXTENSIONS.get(number, f"extension_{number}")


@functools.cache
def suites_for_version(version: int) -> tuple[int, ...]:
    """Return the suites that a version up to TLS 1.2 can negotiate, the commonest first.

    Suites with an AEAD or a SHA-2 MAC exist from TLS 1.2 on (RFC 5246 7.4.3), so older versions are not asked for them.
    Elliptic curves exist from TLS 1.0 on (RFC 8422), but servers are known that use them in SSL 3.0 too.
    """
    suites = [cipher_suite(n) for n in CIPHER_SUITE_NAMES if n not in TLS13_CIPHER_SUITES and n != 0]
    if version < TLS12:
        suites = [suite for suite in suites if suite.mac in ("MD5", "SHA", "SHA1", "IMIT", "GOSTR3411")]
    if version < TLS10:
        suites = [suite for suite in suites if not suite.key_exchange.startswith(("PSK", "SRP"))]
    return tuple(suite.id for suite in sorted(suites, key=_rarity))


def _rarity(suite: CipherSuite) -> tuple[int, int, int, int]:
    """Sort key: what servers really accept comes first, so that one hello finds it."""
    ciphers = ("AES_", "CHACHA20", "CAMELLIA", "3DES", "RC4", "ARIA", "SEED", "DES")
    cipher = next((place for place, name in enumerate(ciphers) if suite.encryption.startswith(name)), len(ciphers))
    key_exchanges = {"ECDHE": 0, "DHE": 1, "RSA": 2}
    usual = suite.key_exchange in key_exchanges and suite.authentication in ("RSA", "ECDSA")
    odd = not usual or suite.export or suite.name.endswith("_DRAFT")
    # ChaCha20 after everything else of its kind, for the reason given at TLS13_CIPHER_SUITES.
    return int(odd), cipher, key_exchanges.get(suite.key_exchange, 3), suite.id


def strength_of_curve_bits(bits: int) -> int:
    """Return the RSA equivalent of an elliptic curve's size (NIST SP 800-57 part 1, table 2)."""
    table: tuple[tuple[int, int], ...] = ((512, 15360), (384, 7680), (255, 3072), (224, 2048), (192, 1536), (160, 1024))
    return next((equivalent for size, equivalent in table if bits >= size), 512)


def suite_by_name(name: str) -> CipherSuite | None:
    """Return the suite of an IANA name, or ``None``."""
    number = _NUMBERS.get(name)
    return None if number is None else cipher_suite(number)


_NUMBERS: dict[str, int] = {name: number for number, name in CIPHER_SUITE_NAMES.items()}
