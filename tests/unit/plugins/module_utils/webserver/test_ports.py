# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has a port, and whether a release can have it: with real sockets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import ports
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.ports import Demand, Socket, demand
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

ANY, ANY6, LOCAL = "0.0.0.0", "::", "127.0.0.1"


class Listening:
    """Sockets that listen until the test ends."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def on(self, address: str, port: int = 0, dual_stack: bool = False) -> int:
        """Listen, and return the port."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        self.sockets.append(listening)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        listening.bind((address, port))
        listening.listen()
        return int(listening.getsockname()[1])


@pytest.fixture
def listening() -> Iterator[Listening]:
    """Return what listens."""
    found = Listening()
    yield found
    for each in found.sockets:
        each.close()


def held(address: str, port: int, ours: bool) -> Socket:
    """Return a socket that somebody has."""
    return Socket(Listener(address, port), ("other (7)",), ours)


@pytest.mark.parametrize(
    ("there", "wanted"), [(LOCAL, LOCAL), (LOCAL, ANY), (ANY, LOCAL), (ANY, ANY), ("::1", ANY6), (ANY6, "::1")]
)
def test_a_port_that_another_program_has(listening: Listening, there: str, wanted: str) -> None:
    port = listening.on(there)
    assert demand([Listener(wanted, port)], [held(there, port, False)]) == Demand(
        conflicts=((Listener(wanted, port), "other (7)"),)
    )


@pytest.mark.parametrize(("there", "wanted"), [(LOCAL, ANY), (ANY, LOCAL)])
def test_a_socket_of_our_own_that_would_have_to_move(listening: Listening, there: str, wanted: str) -> None:
    port = listening.on(there)
    assert demand([Listener(wanted, port)], [held(there, port, True)]) == Demand(
        moves=((Listener(wanted, port), Listener(there, port)),)
    )


def test_sockets_of_our_own_that_stay(listening: Listening) -> None:
    port = listening.on(ANY)
    ours = [held(ANY, port, True)]
    assert demand([Listener(ANY, port)], ours) == Demand()
    # nginx needs no socket of its own for an address where it has one for all of them.
    assert demand([Listener(ANY, port), Listener(LOCAL, port)], ours) == Demand()


def test_a_socket_for_one_address_does_not_stand_for_all(listening: Listening) -> None:
    port = listening.on(LOCAL)
    found = demand([Listener(ANY, port), Listener(LOCAL, port)], [held(LOCAL, port, True)])
    assert found == Demand(moves=((Listener(ANY, port), Listener(LOCAL, port)),))


def test_a_socket_for_both_families_is_no_conflict_with_itself(listening: Listening) -> None:
    port = listening.on(ANY6, dual_stack=True)
    assert demand([Listener(ANY, port), Listener(ANY6, port)], [held(ANY6, port, True)]) == Demand()


def test_a_free_port_and_the_other_family(listening: Listening) -> None:
    port = listening.on(ANY6)
    assert demand([Listener(ANY, port)], [held(ANY6, port, False)]) == Demand()


def test_an_address_that_the_host_does_not_have() -> None:
    assert demand([Listener("192.0.2.7", 443)], []) == Demand(absent=(Listener("192.0.2.7", 443),))


def test_a_holder_that_cannot_be_seen(listening: Listening) -> None:
    port = listening.on(ANY)
    unseen = Socket(Listener(ANY, port), (), False)
    assert demand([Listener(ANY, port)], [unseen]).conflicts[0][1] == "a process that cannot be seen"


def test_who_holds_a_socket(listening: Listening) -> None:
    port = listening.on(LOCAL)
    (found,) = [each for each in ports.held_sockets("nginx.service") if each.listener.port == port]
    name = Path("/proc/self/comm").read_text().strip()
    assert found == Socket(Listener(LOCAL, port), (f"{name} ({os.getpid()})",), False)


@pytest.mark.parametrize(
    ("group", "ours"),
    [
        ("0::/system.slice/nginx.service", True),
        ("1:name=systemd:/system.slice/nginx.service/child", True),
        ("0::/system.slice/nginx.service.d", False),
        ("0::/user.slice", False),
    ],
)
def test_which_processes_are_of_the_unit(tmp_path: Path, group: str, ours: bool) -> None:
    (tmp_path / "cgroup").write_text(f"2:cpu:/\n{group}\n")
    assert ports._is_of_unit(tmp_path, "nginx.service") is ours


@pytest.mark.parametrize("dual_stack", [True, False])
def test_what_is_open_for_both_families_is_told_twice(listening: Listening, dual_stack: bool) -> None:
    port = listening.on(ANY6, dual_stack=dual_stack)
    found = {each.address for each in ports.open_listeners() if each.port == port}
    assert found == ({ANY, ANY6} if dual_stack else {ANY6})


@pytest.mark.parametrize("address", [LOCAL, ANY])
def test_whether_something_accepts(listening: Listening, address: str) -> None:
    port = listening.on(address)
    assert ports.accepts(Listener(address, port), 5.0)
    listening.sockets[0].close()
    assert not ports.accepts(Listener(address, port), 5.0)


@pytest.mark.parametrize(
    "error", [OSError(errno.EADDRNOTAVAIL, "no ::1"), TimeoutError("the host that has it is down")]
)
def test_without_a_way_to_connect_the_kernel_says_what_is_open(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def no_address(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(ports.socket, "create_connection", no_address)
    port = listening.on(ANY6)
    assert ports.accepts(Listener(ANY6, port), 5.0)
    assert ports.accepts(Listener("2001:db8::7", port), 5.0)
    assert not ports.accepts(Listener(ANY, port), 5.0)
    listening.sockets[0].close()
    assert not ports.accepts(Listener(ANY6, port), 5.0)
