# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record what real servers answer to this library's hellos, and write it to corpus.txt.

Usage: .venv/bin/python tests/fuzz/record.py
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from peers.servers import Servers

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import hellos, registry
from fuzz import corpus

_HEADER = """\
# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What real servers answered to one hello: a name, and the bytes in base64. Written by tests/fuzz/record.py.
"""
_SERVERS: dict[str, Callable[[Servers], int]] = {
    "openssl-ecdsa": lambda servers: servers.openssl(
        "-Verify", "1", "-alpn", "h2", *_stapled(servers), *_timestamps(servers), certificates=(servers.ecdsa,)
    ),
    "openssl-rsa": lambda servers: servers.openssl("-cipher", "DHE:kRSA:@SECLEVEL=0"),
    "openssl-anonymous": lambda servers: servers.openssl("-no_tls1_3", "-cipher", "aNULL:@SECLEVEL=0"),
    "gnutls": lambda servers: servers.gnutls("NORMAL"),
    "tlslite": lambda servers: servers.tlslite("3.0", "3.3", "rc4,3des,aes128", "rsa,ecdhe_rsa"),
}


def _stapled(servers: Servers) -> tuple[str, str]:
    """Return the options for a stapled OCSP response."""
    leaf, issuer = x509.load_pem_x509_certificates(Path(servers.ecdsa.chain).read_bytes())
    key = serialization.load_pem_private_key(servers.issuer.private_key_pem.bytes(), None)
    since, until = (datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc) for year in (2025, 2100))
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(leaf, issuer, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, since, until, None, None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    path = servers.path("ocsp.der")
    path.write_bytes(response.public_bytes(serialization.Encoding.DER))
    return ("-status_file", str(path))


def _timestamps(servers: Servers) -> tuple[str, str]:
    """Return the options for a list of certificate timestamps, one of them of a version to come (RFC 6962 3.3)."""
    timestamp = b"\x00" + bytes(range(32)) + b"\x00\x00\x01\x99\x00\x00\x00\x00" + b"\x00\x00" + b"\x04\x03\x00\x02ab"
    entries = b"".join(len(each).to_bytes(2, "big") + each for each in (timestamp, b"\x01later"))
    content = len(entries).to_bytes(2, "big") + entries
    encoded = base64.b64encode(b"\x00\x12" + len(content).to_bytes(2, "big") + content).decode()
    path = servers.path("timestamps.pem")
    path.write_text(f"-----BEGIN SERVERINFO FOR CT-----\n{encoded}\n-----END SERVERINFO FOR CT-----\n")
    return ("-serverinfo", str(path))


def questions() -> Iterator[tuple[str, bytes]]:
    """Return hellos of every kind, by name."""
    for version in (registry.TLS12, registry.TLS10, registry.SSL3):
        suites = registry.suites_for_version(version)
        name = registry.VERSION_NAMES[version]
        yield name, hellos.up_to_tls12("localhost", version, suites, protocols=hellos.ALPN_PROTOCOLS)
    for name, shared in (("TLSv1.3", ()), ("TLSv1.3-shared", (0x001D,))):
        suites, groups = registry.TLS13_CIPHER_SUITES, registry.TLS13_GROUPS
        yield name, hellos.tls13("localhost", suites, groups, shared=shared)


def answer(port: int, hello: bytes) -> bytes:
    """Return what a server says to a hello until it waits for more."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as sock, contextlib.suppress(OSError):
        sock.sendall(hello)
        sock.settimeout(0.5)
        while data := sock.recv(65536):
            received += data
    return received


def record() -> dict[str, bytes]:
    """Return what the servers answer."""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory, Servers(Path(directory)) as servers:
        authority = x509.load_pem_x509_certificate(servers.ca.cert_pem.bytes())
        found[corpus.AUTHORITY] = authority.public_bytes(serialization.Encoding.DER)
        for server, start in _SERVERS.items():
            port = start(servers)
            for question, hello in questions():
                found[f"{server}-{question}"] = answer(port, hello)
    return {name: data for name, data in found.items() if data}


if __name__ == "__main__":
    rows = [f"{name} {base64.b64encode(data).decode()}\n" for name, data in record().items()]
    corpus.PATH.write_text(_HEADER + "".join(rows), encoding="ascii")
