# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scans of one address with several kinds of real server behind it: what one refuses, another may have."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.tls import scan

if TYPE_CHECKING:
    from tests.unit.plugins.module_utils.tls.conftest import Servers

SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
SUPPORTED_VERSIONS = b"\x00\x2b\x00\x03"


def balanced(servers: Servers, choose: Callable[[bytes], int]) -> int:
    """Start a proxy that gives each connection to the port that is chosen by the hello; return its own port."""

    def handler(connection: socket.socket, _number: int) -> None:
        port = choose(connection.recv(16384, socket.MSG_PEEK))
        with socket.create_connection(("127.0.0.1", port), timeout=5) as other:
            pump = threading.Thread(target=copy, args=(connection, other), daemon=True)
            pump.start()
            copy(other, connection)
            pump.join(5)

    return servers.stub(handler).port


def copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(16384):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def offers(hello: bytes, suite: int) -> bool:
    """Whether a hello with a TLS record around it has the cipher suite."""
    begin = 44 + hello[43]
    end = begin + 2 + int.from_bytes(hello[begin : begin + 2], "big")
    return suite in struct.unpack(f"!{(end - begin) // 2 - 1}H", hello[begin + 2 : end]) if hello[0] == 0x16 else False


def facts_of(port: int) -> dict[str, Any]:
    (facts,) = scan.scan_targets([f"127.0.0.1:{port}"], scan.Options(vulnerability_tests="none"))
    return facts


def statuses(facts: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["status"] for entry in facts["protocols"]}


@pytest.fixture
def modern(servers: Servers) -> int:
    return servers.openssl("-cipher", SUITES)


def test_a_promise_of_tls13_makes_its_refusal_doubtful(servers: Servers, modern: int) -> None:
    old = servers.openssl("-cipher", SUITES, "-tls1_2")
    facts = facts_of(balanced(servers, lambda hello: old if SUPPORTED_VERSIONS in hello else modern))
    assert set(statuses(facts).items()) >= {("TLSv1.3", "not_tested"), ("TLSv1.2", "offered")}
    assert "not_offered" not in statuses(facts).values()


@pytest.mark.parametrize(
    "versions",
    [("-tls1_3",), ("-no_tls1_2", "-no_tls1_3", "-cipher", "ALL:@SECLEVEL=0")],
    ids=["alert protocol_version", "an older version"],
)
def test_a_list_that_ends_with_a_refusal_of_the_version_has_a_gap(servers: Servers, versions: tuple[str, ...]) -> None:
    ordered = servers.openssl("-serverpref", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384")
    other = servers.openssl(*versions)

    def choose(hello: bytes) -> int:
        """Leave the other server all hellos of TLS 1.2 without the suite that the first one likes best."""
        return ordered if SUPPORTED_VERSIONS in hello or offers(hello, 0xC02F) else other

    facts = facts_of(balanced(servers, choose))
    assert [entry["id"] for entry in facts["cipher_suites"]["TLSv1.2"]] == ["0xC02F"]
    assert {"cipher_suites.TLSv1.2", "protocols.SSLv3"} <= {entry["fact"] for entry in facts["not_tested"]}


def test_one_kind_of_server_is_believed(servers: Servers, modern: int) -> None:
    facts = facts_of(balanced(servers, lambda _hello: modern))
    assert "not_tested" not in statuses(facts).values()
    assert not {entry["fact"].partition(".")[0] for entry in facts["not_tested"]} & {"protocols", "cipher_suites"}
