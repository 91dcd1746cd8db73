# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of listeners in /proc, as real kernels print them."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.listeners import (
    Listener,
    parse_table,
    probe_listeners,
    read_listeners,
    tls_targets,
)

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   111        0 23456 1 0000000000000000 100
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21843 1 0000000000000000 100
   2: 0F02000A:0016 0202000A:C3A2 01 00000000:00000000 02:000A7DA4 00000000     0        0 26032 2 0000000000000000 20
   3: 0100007F:01BB 00000000:0000 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0000000000000000
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   3: B80D0120000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""


def test_ipv4_listeners_only() -> None:
    assert parse_table(TCP, "little") == [Listener("127.0.0.1", 3306), Listener("0.0.0.0", 22)]


def test_ipv6_addresses() -> None:
    assert parse_table(TCP6, "little") == [
        Listener("::", 443),
        Listener("::1", 631),
        Listener("127.0.0.1", 8080),
        Listener("2001:db8::1", 80),
    ]


def test_words_of_a_big_endian_host() -> None:
    table = "header\n 0: 7F000001:0016 00000000:0000 0A\n"
    assert parse_table(table, "big") == [Listener("127.0.0.1", 22)]


@pytest.mark.parametrize("line", ["", "0:", " 0: zz:0016 x 0A", " 0: 0100007F:16 x 0A", " 0: 0100007F x 0A"])
def test_what_does_not_parse_is_left_out(line: str) -> None:
    assert parse_table(f"header\n{line}\n", "little") == []


def test_a_socket_on_every_address_is_asked_on_loopback() -> None:
    assert Listener("0.0.0.0", 1).endpoint.address == "127.0.0.1"
    assert Listener("::", 1).endpoint.address == "::1"


def test_without_proc_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="neither tcp nor tcp6"):
        read_listeners(tmp_path)


def test_own_listener_is_found_and_is_not_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-test\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        listener = Listener("127.0.0.1", port)
        assert listener in read_listeners()
        (entry,) = probe_listeners([listener], 5, 1)
        thread.join()
    assert entry["tls"] is False
    assert "SSH" in str(entry["reason"])


FOUND: list[dict[str, object]] = [
    {"address": "0.0.0.0", "port": 443, "tls": True, "reason": ""},
    {"address": "::", "port": 443, "tls": True, "reason": ""},
    {"address": "127.0.0.1", "port": 8443, "tls": True, "reason": ""},
    {"address": "192.0.2.7", "port": 9443, "tls": True, "reason": ""},
    {"address": "2001:db8::7", "port": 9443, "tls": True, "reason": ""},
    {"address": "0.0.0.0", "port": 80, "tls": False, "reason": ""},
    {"address": "0.0.0.0", "port": 22, "tls": None, "reason": ""},
]


@pytest.mark.parametrize(
    ("reached_as", "targets"),
    [
        (None, ["127.0.0.1:443", "[::1]:443", "127.0.0.1:8443", "192.0.2.7:9443", "[2001:db8::7]:9443"]),
        ("web1.example", ["web1.example:443", "192.0.2.7:9443", "[2001:db8::7]:9443"]),
        ("2001:db8::7", ["[2001:db8::7]:443", "192.0.2.7:9443", "[2001:db8::7]:9443"]),
    ],
)
def test_targets_of_a_scanner(reached_as: str | None, targets: list[str]) -> None:
    assert tls_targets(FOUND, reached_as) == targets
