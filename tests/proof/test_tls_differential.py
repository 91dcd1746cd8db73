# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of real server, scanned by this library and by sslyze: the same protocols, cipher suites and groups.

Where the two differ on purpose, :data:`DIFFERENCES` says so with the reason; any other difference fails. The table
of all servers is printed and written to ``build/tls-differential.md``.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers import servers as kinds
from peers import sslyze
from peers.servers import Servers

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import scan

REPORT = ROOT / "build/tls-differential.md"
_ALL_OLD = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
_INTERMEDIATE_APACHE = (
    f"SSLProtocol -all +TLSv1.2 +TLSv1.3\nSSLCipherSuite {kinds.INTERMEDIATE_CIPHERS}\nSSLHonorCipherOrder off\n"
    f"SSLOpenSSLConfCmd Curves {kinds.INTERMEDIATE_GROUPS}\nSSLSessionTickets off"
)
_INTERMEDIATE_HAPROXY = (
    f"ssl-min-ver TLSv1.2 prefer-client-ciphers no-tls-tickets ciphers {kinds.INTERMEDIATE_CIPHERS} "
    f"curves {kinds.INTERMEDIATE_GROUPS}"
)

SERVERS: dict[str, Callable[[Servers], int]] = {
    "OpenSSL, as it comes": lambda servers: servers.openssl(),
    "OpenSSL, RSA and ECDSA, everything from TLS 1.0 on": lambda servers: servers.openssl(
        "-cipher", _ALL_OLD, certificates=(servers.rsa, servers.ecdsa)
    ),
    "OpenSSL, the server's order": lambda servers: servers.openssl("-serverpref", "-cipher", "ALL:@SECLEVEL=0"),
    "OpenSSL, TLS 1.0 alone": lambda servers: servers.openssl("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
    "OpenSSL, TLS 1.1 alone": lambda servers: servers.openssl("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
    "OpenSSL, DHE alone": lambda servers: servers.openssl("-tls1_2", "-cipher", "kDHE+aRSA:@SECLEVEL=0"),
    "OpenSSL, RSA key exchange alone": lambda servers: servers.openssl("-tls1_2", "-cipher", "kRSA"),
    "OpenSSL, anonymous and NULL": lambda servers: servers.openssl("-no_tls1_3", "-cipher", "aNULL:eNULL:@SECLEVEL=0"),
    "OpenSSL, ECDSA": lambda servers: servers.openssl(certificates=(servers.ecdsa,)),
    "OpenSSL, TLS 1.3 alone, CCM too": lambda servers: servers.openssl(
        "-tls1_3",
        "-ciphersuites",
        "TLS_AES_128_CCM_8_SHA256:TLS_AES_128_CCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384",
    ),
    "OpenSSL, P-521 and P-384 alone": lambda servers: servers.openssl("-groups", "P-521:P-384"),
    "OpenSSL, a client certificate wanted": lambda servers: servers.openssl("-Verify", "1"),
    "nginx, Mozilla intermediate": lambda servers: servers.nginx(kinds.nginx_intermediate()),
    "nginx, as it comes": lambda servers: servers.nginx(""),
    "nginx, TLS 1.0 on, the server's order": lambda servers: servers.nginx(
        "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0; ssl_prefer_server_ciphers on;"
    ),
    "Apache, Mozilla intermediate": lambda servers: servers.apache(_INTERMEDIATE_APACHE),
    "Apache, TLS 1.0 on": lambda servers: servers.apache(
        "SSLProtocol all\nSSLCipherSuite ALL:@SECLEVEL=0\nSSLHonorCipherOrder on"
    ),
    "HAProxy, Mozilla intermediate": lambda servers: servers.haproxy(_INTERMEDIATE_HAPROXY),
    "HAProxy, RSA alone": lambda servers: servers.haproxy("", ("rsa",)),
    "HAProxy, as it comes": lambda servers: servers.haproxy(""),
    "HAProxy, TLS 1.0 on": lambda servers: servers.haproxy("ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0"),
    "GnuTLS, as it comes": lambda servers: servers.gnutls("NORMAL"),
    "GnuTLS, 3DES and RC4 too, the server's order": lambda servers: servers.gnutls(
        "NORMAL:+VERS-ALL:+3DES-CBC:+ARCFOUR-128:+ARCFOUR-128:+MD5:%SERVER_PRECEDENCE"
    ),
    "GnuTLS, TLS 1.3 alone": lambda servers: servers.gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.3"),
    "Python ssl, as it comes": lambda servers: servers.python(),
    "tlslite-ng, SSL 3.0 to TLS 1.2, RC4 and 3DES": lambda servers: servers.tlslite(
        "3.0", "3.3", "rc4,3des,aes128,aes256,aes128gcm", "rsa,dhe_rsa,ecdhe_rsa"
    ),
    "tlslite-ng, SSL 3.0 alone": lambda servers: servers.tlslite("3.0", "3.0", "rc4,3des,aes128", "rsa,dhe_rsa"),
    "tlslite-ng, TLS 1.3": lambda servers: servers.tlslite(
        "3.3", "3.4", "aes128gcm,aes256gcm,chacha20-poly1305,aes128ccm", "ecdhe_rsa"
    ),
    "Java, as it comes": lambda servers: servers.java(),
    "Java, everything from TLS 1.0 on": lambda servers: servers.java("TLSv1,TLSv1.1,TLSv1.2,TLSv1.3"),
}


@dataclass(frozen=True)
class Difference:
    """What this library finds and sslyze does not, on purpose.

    ``server`` and ``item`` are regular expressions for the whole of a server's name and of an item, "fact: name";
    ``asked`` is whether sslyze asked for it and got no for an answer. What sslyze alone finds is always a fault.
    """

    server: str
    item: str
    asked: bool
    reason: str

    def explains(self, server: str, item: str, asked: bool) -> bool:
        """Whether this is the reason for an item that this library alone has."""
        return asked == self.asked and all(map(re.fullmatch, (self.server, self.item), (server, item)))


_NOT_ITS_LIST = "sslyze does not ask for it: it knows a fixed list of "
DIFFERENCES = (
    Difference(".*", r"groups: (ffdhe\d+|brainpoolp\d+r1tls13)", False, _NOT_ITS_LIST + "curves"),
    Difference(
        ".*", r"cipher_suites\.TLSv1\.2: TLS_DH_anon_WITH_CAMELLIA_.*_SHA256", False, _NOT_ITS_LIST + "cipher suites"
    ),
    Difference(
        "OpenSSL, anonymous and NULL", "groups: .*", False, "sslyze asks with suites that are signed: none here"
    ),
    Difference(
        "tlslite-ng, TLS 1.3", r"groups: brainpoolp\d+r1", True, "sslyze asks in TLS 1.3 alone, which does not have it"
    ),
)


@dataclass
class Facts:
    """What a scanner says of one server, as items "fact: name"."""

    items: set[str] = field(default_factory=set)

    def count(self, fact: str) -> int:
        """Return how many items a fact has."""
        return sum(item.startswith(fact) for item in self.items)


@dataclass
class Row:
    """One line of the table."""

    server: str
    ours: Facts
    theirs: Facts
    explained: list[str]
    unexplained: list[str]

    def cells(self) -> list[str]:
        """Return the line's cells."""
        protocols = sorted(item.partition(": ")[2] for item in self.ours.items if item.startswith("protocols"))
        counts = [f"{self.ours.count(fact)} / {self.theirs.count(fact)}" for fact in ("cipher_suites", "groups")]
        verdict = "; ".join(self.unexplained + self.explained) or "same"
        return [self.server, " ".join(protocols), *counts, verdict]


def ours(port: int) -> tuple[Facts, list[str]]:
    """Scan with this library; the second value is what it could not measure of what is compared."""
    result: dict[str, Any] = scan.scan_targets([f"localhost:{port}"], scan.Options(timeout_seconds=10.0))[0]
    assert result["reachable"], result["error"]
    items = {f"protocols: {entry['name']}" for entry in result["protocols"] if entry["status"] == "offered"}
    for protocol, suites in result["cipher_suites"].items():
        items |= {f"cipher_suites.{protocol}: {suite['name']}" for suite in suites}
    items |= {f"groups: {group['name'].lower()}" for group in result["groups"]}
    gaps = [f"{entry['fact']}: {entry['reason']}" for entry in result["not_tested"]]
    return Facts(items), [gap for gap in gaps if gap.startswith(("protocols", "cipher_suites", "groups."))]


def theirs(port: int) -> tuple[Facts, set[str]]:
    """Scan with sslyze; the second value are all items that it asked for."""
    found = sslyze.scan([f"localhost:{port}"], sslyze.LISTS, 120)[0]
    assert found.failures == {}
    items = {f"protocols: {name}" for name in found.protocols}
    asked = {f"protocols: {name}" for name in found.suites_asked}
    for protocol, suites in found.suites.items():
        items |= {f"cipher_suites.{protocol}: {name}" for name in suites}
        asked |= {f"cipher_suites.{protocol}: {name}" for name in found.suites_asked[protocol]}
    items |= {f"groups: {name.lower()}" for name in found.groups}
    asked |= {f"groups: {name.lower()}" for name in found.groups_asked}
    return Facts(items), asked


def compare(server: str, mine: Facts, other: Facts, asked: set[str]) -> Row:
    """Sort the items that only one side has into those with a reason and those without."""
    row = Row(server, mine, other, [], [f"UNEXPLAINED: only sslyze has {item}" for item in other.items - mine.items])
    reasons: dict[str, list[str]] = {}
    for item in sorted(mine.items - other.items):
        entry = next((each for each in DIFFERENCES if each.explains(server, item, item in asked)), None)
        if entry is None:
            row.unexplained.append(f"UNEXPLAINED: only ours has {item}")
        else:
            reasons.setdefault(entry.reason, []).append(item.partition(": ")[2])
    row.explained = [f"only ours has {', '.join(items)} ({reason})" for reason, items in reasons.items()]
    row.unexplained.sort()
    return row


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory() as directory, Servers(Path(directory)) as started:
        yield started


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    head = ["server", "protocols", "cipher suites (ours / sslyze)", "groups (ours / sslyze)", "verdict"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("".join(f"| {' | '.join(cells)} |\n" for cells in lines), encoding="utf-8")


@pytest.mark.skipif(not sslyze.PROGRAM.exists(), reason="sslyze is not installed; make proof installs it")
@pytest.mark.parametrize("server", SERVERS)
def test_both_find_the_same(
    server: str, servers: Servers, table: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        port = SERVERS[server](servers)
    except kinds.MissingProgramError as missing:
        pytest.skip(f"{missing} is not installed")

    mine, gaps = ours(port)
    other, asked = theirs(port)
    row = compare(server, mine, other, asked)
    table.append(row)
    with capsys.disabled():
        print("\n" + " | ".join(row.cells()))

    assert row.unexplained == []
    assert gaps == []
