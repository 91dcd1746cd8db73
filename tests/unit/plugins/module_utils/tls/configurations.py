# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the acceptance cases have in common: real servers as they want them, what is said of these, and certificates.

Among those are keys and certificates that no sound program makes any more. They are for this machine, and for a name
that is not ASCII, and valid at :data:`issued.NOW`.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import assess, certificate, scan

from .....peers import servers as peers
from .issued import CA, NOW, Issued

Key = Union[ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey]
Start = Callable[[peers.Servers], int]
Result = dict[str, Any]

LONG = "max-age=63072000"
IDN = "xn--bcher-kva.example"  # bücher.example
_ADDRESSES = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
NAMES = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName(IDN), *_ADDRESSES])
RULES = assess.Rules()
ROOT = Issued("root", extensions=[(CA, True)])


# --- results


def measure(port: int, anchors: Sequence[str], name: str | None = "localhost", **options: float) -> Result:
    """Scan a port of this machine and return the result."""
    target = {"host": "127.0.0.1", "port": port, "server_name": name}
    (facts,) = scan.scan_targets([target], scan.Options(**options))
    return judge(facts, anchors)


def assessed(
    facts: Mapping[str, Any], anchors: certificate.Anchors, now: datetime.datetime, rules: assess.Rules = RULES
) -> Result:
    """Return the result of one endpoint."""
    found: Any = assess.assess([facts], anchors, now, rules)
    (result,) = found["results"]
    return dict(result)


def judge(facts: Mapping[str, Any], anchors: Sequence[str], now: datetime.datetime = NOW) -> Result:
    """Return the result of one endpoint with these authorities, in PEM."""
    return assessed(facts, certificate.Anchors(anchors), now)


def trusted(real: peers.Servers) -> list[str]:
    """Return the authorities of all servers."""
    return [real.ca.cert_pem.bytes().decode("ascii"), ROOT.pem]


def rules(result: Result) -> set[str]:
    """Return what limits the grade."""
    return {entry["rule"] for entry in [*result["caps"], *result["warnings"]]}


def suites(result: Result, protocol: str) -> list[str]:
    """Return the names of the accepted cipher suites."""
    return [entry["name"] for entry in result["cipher_suites"][protocol]]


# --- servers


def site(
    hsts: str = LONG,
    protocols: str = "TLSv1.2 TLSv1.3",
    ciphers: str = peers.INTERMEDIATE_CIPHERS,
    groups: str = peers.INTERMEDIATE_GROUPS,
    more: str = "",
) -> Start:
    """Start nginx as Mozilla's intermediate profile wants it, with both kinds of certificates and these changes."""
    header = f"add_header Strict-Transport-Security '{hsts}' always;" if hsts else ""
    directives = f"ssl_protocols {protocols}; ssl_ciphers {ciphers}; ssl_ecdh_curve {groups}; ssl_session_tickets off;"
    return lambda real: real.nginx(f"{directives}\n{header}\n{more}")


def openssl(*options: str) -> Start:
    """Start ``openssl s_server`` with these options."""
    return lambda real: real.openssl(*options)


def tlslite(lowest: str, highest: str, ciphers: str, key_exchanges: str = "rsa,ecdhe_rsa") -> Start:
    """Start tlslite-ng with these versions, ciphers in its order of preference, and key exchanges."""
    return lambda real: real.tlslite(lowest, highest, ciphers, key_exchanges)


def gnutls(ciphers: str) -> Start:
    """Start ``gnutls-serv`` with TLS 1.2 and these ciphers in its own order."""
    priorities = (
        f"NONE:+VERS-TLS1.2:{ciphers}:+MAC-ALL:+ECDHE-RSA:+GROUP-SECP256R1:+SIGN-ALL:+CTYPE-ALL:%SERVER_PRECEDENCE"
    )
    return lambda real: real.gnutls(priorities)


def with_certificate(issued: Callable[[], Issued], start: Start) -> Start:
    """Start with one certificate alone."""

    def started(real: peers.Servers) -> int:
        real.rsa = real.ecdsa = written(real, issued())
        return start(real)

    return started


def with_key(key: Callable[[], Key], start: Start) -> Start:
    """Start with one certificate alone, for this key."""
    return with_certificate(lambda: leaf(key=key()), start)


def with_parameters(bits: int, start: Callable[[str], Start]) -> Start:
    """Start with DH parameters of the server's own; their prime is quickly made and none that anybody should use."""

    def started(real: peers.Servers) -> int:
        path = real.path("dh.pem")
        path.write_bytes(printed("dhparam", "-dsaparam", str(bits)))
        return start(str(path))(real)

    return started


# --- certificates


def leaf(
    issuer: Issued | None = ROOT,
    key: Key | None = None,
    from_days: int = -10,
    to_days: int = 80,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """Return a certificate for this machine; without an issuer it is signed by itself."""
    return Issued("localhost", issuer, [(NAMES, False), *more], from_days, to_days, key or p256())


def written(real: peers.Servers, issued: Issued) -> peers.Certificate:
    """Write a certificate and its key as the servers read them."""
    chain, key = real.path("chain.pem"), real.path("key.pem")
    chain.write_text(issued.pem, encoding="ascii")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(issued.key.private_bytes(*form))
    return dataclasses.replace(real.rsa, chain=str(chain), key=str(key))


def p256() -> ec.EllipticCurvePrivateKey:
    """Return a key of the curve P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """Return an RSA key of a size that only the program openssl still makes."""
    key = serialization.load_pem_private_key(printed("genrsa", str(bits)), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def with_exponent_1(issuer: Issued) -> bytes:
    """Return the DER of an RSA certificate with the public exponent 1, which no library makes, rightly signed."""
    good = leaf(issuer, rsa_key(2048)).certificate
    public = good.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    modulus = public.public_numbers().n.to_bytes(257, "big")
    key = _der(0x30, _der(0x02, modulus) + _der(0x02, b"\x01"))
    rsa_encryption = _der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    sha256_with_rsa = _der(0x30, bytes.fromhex("06092a864886f70d01010b0500"))
    crafted = _der(0x30, rsa_encryption + _der(0x03, b"\x00" + key))
    body = good.tbs_certificate_bytes[4:].replace(public.public_bytes(*form), crafted)
    signature = issuer.key.sign(_der(0x30, body), padding.PKCS1v15(), hashes.SHA256())
    return _der(0x30, _der(0x30, body) + sha256_with_rsa + _der(0x03, b"\x00" + signature))


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def printed(*arguments: str) -> bytes:
    """Return what the program openssl prints."""
    return subprocess.run([peers.program("openssl"), *arguments], capture_output=True, check=True).stdout
