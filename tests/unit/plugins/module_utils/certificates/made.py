# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pairs of files as the role makes them, signed on the spot."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from ansible_collections.ringmaster.webops.plugins.module_utils.certificates.pair import Trusted
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.certificate import Anchors

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(eq=False)
class Made:
    """A certificate for names, or of an authority where there are none; signed by its issuer, or by itself."""

    names: tuple[str, ...] = ()
    issuer: Made | None = None
    days: int = 60
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(default_factory=new_key)
    common_name: str = "authority"

    def __post_init__(self) -> None:
        issuer = self.issuer or self
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (*self.names, self.common_name)[0])])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 30 * DAY)
            .not_valid_after(NOW + self.days * DAY)
            .add_extension(x509.BasicConstraints(ca=not self.names, path_length=None), critical=True)
        )
        if self.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general, self.names))), False)
        self.pem = builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def key_pem(self, encryption: KeySerializationEncryption | None = None) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())

    def write(self, directory: Path, suffix: str = "") -> tuple[Path, Path]:
        """Write the pair, by the names that the role gives it."""
        directory.mkdir(parents=True, exist_ok=True)
        fullchain, private_key = directory / f"fullchain{suffix}.pem", directory / f"privkey{suffix}.pem"
        fullchain.write_bytes(self.pem)
        private_key.write_bytes(self.key_pem())
        return fullchain, private_key


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


LOCKED = BestAvailableEncryption(b"secret")
PUBLIC_CA = Made(common_name="public authority")
OWN_CA = Made(common_name="own authority")
TRUSTED = Trusted(Anchors([PUBLIC_CA.pem.decode()]), Anchors([OWN_CA.pem.decode()]))
