# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates made on the spot, for the tests of what reads and judges them."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from hypothesis import strategies as st

from .conftest import installed

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
SAN = x509.SubjectAlternativeName([x509.DNSName("www.example.com"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))])
CA = x509.BasicConstraints(ca=True, path_length=None)
SHA256_WITH_RSA = bytes.fromhex("2a864886f70d01010b")


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def access(method: x509.ObjectIdentifier, address: str) -> x509.AuthorityInformationAccess:
    location = x509.UniformResourceIdentifier(address)
    return x509.AuthorityInformationAccess([x509.AccessDescription(method, location)])


FETCH = access(AuthorityInformationAccessOID.CA_ISSUERS, "http://ca.example/middle.der")


@dataclass(eq=False)
class Issued:
    """A certificate and its key."""

    common_name: str
    issuer: Issued | None = None
    extensions: list[tuple[x509.ExtensionType, bool]] = field(default_factory=list)
    from_days: int = -10
    to_days: int = 80
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        issuer = self.issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(self.common_name))
            .issuer_name(name(issuer.common_name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + self.from_days * DAY)
            .not_valid_after(NOW + self.to_days * DAY)
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def with_algorithm(self, oid: str) -> Issued:
        """Put the name of another algorithm, of the same length, into a certificate that is signed with SHA-256."""
        self.certificate = x509.load_der_x509_certificate(self.der.replace(SHA256_WITH_RSA, bytes.fromhex(oid)))
        return self


ROOT = Issued("root", extensions=[(CA, True)])
MIDDLE = Issued("middle", ROOT, [(CA, True)])
LEAF = Issued("leaf", MIDDLE, [(SAN, False)])
RSA_KEY = rsa.generate_private_key(65537, 2048)


def openssl(directory: Path, *arguments: str) -> bytes:
    """Run the program openssl in a directory; return what it prints."""
    done = subprocess.run([installed("openssl"), *arguments], cwd=directory, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class RealAuthority:
    """An authority that the program openssl makes and signs with; its certificates are valid now."""

    def __init__(self, directory: Path, digest: str = "sha256") -> None:
        self.directory = directory
        self._openssl("req", "-x509", *self._new_key("ca"), "-subj", "/CN=ca", "-days", "30", f"-{digest}")
        self._openssl("req", *self._new_key("leaf"), "-subj", "/CN=leaf", "-out", "leaf.csr")

    @staticmethod
    def _new_key(stem: str) -> list[str]:
        return ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{stem}.key", "-out", f"{stem}.pem"]

    def _openssl(self, *arguments: str) -> bytes:
        return openssl(self.directory, *arguments)

    @property
    def pem(self) -> str:
        return (self.directory / "ca.pem").read_text()

    def issue(self, digest: str = "sha256", days: int = 10, **extensions: str) -> bytes:
        """Return a leaf for localhost in DER; ``extensions`` as openssl's configuration writes them."""
        written = {"subjectAltName": "DNS:localhost", **extensions}
        (self.directory / "leaf.cnf").write_text("".join(f"{key}={value}\n" for key, value in written.items()))
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", f"-{digest}", "-days", str(days)]
        self._openssl("x509", "-req", "-in", "leaf.csr", *signing, "-extfile", "leaf.cnf", "-out", "leaf.pem")
        return ssl.PEM_cert_to_DER_cert((self.directory / "leaf.pem").read_text())

    def respond(self, status: str = "V", *signer: str) -> bytes:
        """Return an OCSP response about the last leaf: ``V`` for valid, ``R`` for revoked, as ``openssl ca`` has it."""
        serial = self._openssl("x509", "-in", "leaf.pem", "-noout", "-serial").decode().strip().partition("=")[2]
        revoked = "260101000000Z,keyCompromise" if status == "R" else ""
        row = f"{status}\t991231000000Z\t{revoked}\t{serial}\tunknown\t/CN=leaf\n"
        (self.directory / "index.txt").write_text(row)
        who = signer or ("-rsigner", "ca.pem", "-rkey", "ca.key")
        request = ("-issuer", "ca.pem", "-cert", "leaf.pem", "-no_nonce", "-reqout", "request.der")
        self._openssl("ocsp", *request)
        answer = ("-reqin", "request.der", "-respout", "response.der", "-ndays", "3")
        self._openssl("ocsp", "-index", "index.txt", "-CA", "ca.pem", *who, *answer)
        return (self.directory / "response.der").read_bytes()


def mutated(*originals: bytes) -> st.SearchStrategy[bytes]:
    """Return a strategy for damaged copies: some bytes changed, some cut off or added at the end."""
    edits = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4)

    def damage(original: bytes, changes: list[tuple[int, int]], cut: int, tail: bytes) -> bytes:
        damaged = bytearray(original)
        for place, value in changes:
            damaged[place % len(damaged)] = value
        return bytes(damaged[: len(damaged) - cut]) + tail

    cuts = st.one_of(st.just(0), st.integers(0, 64))
    tails = st.one_of(st.just(b""), st.binary(max_size=8))
    return st.builds(damage, st.sampled_from(originals), edits, cuts, tails)
