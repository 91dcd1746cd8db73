# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A runtime socket that answers as HAProxy does, for what a real one does not do on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import Server

STATE_HEADER = (
    "# be_name srv_name srv_id srv_addr srv_port srv_op_state srv_admin_state srv_uweight srv_iweight srv_agent_state"
)
STAT_HEADER = "# pxname,svname,scur,qcur,status,bck,tracked,check_status,last_chk,check_rise,check_fall,check_health,"
FLAGS = {"ready": 0, "drain": 8, "maint": 1}

RUNNING = Server(
    backend="app",
    name="s1",
    identifier=1,
    address="192.0.2.1:80",
    admin=0,
    operational=2,
    weight=10,
    initial_weight=10,
    open_sessions=0,
    status="UP",
    check="L4OK",
    is_checked=True,
    is_backup=False,
    tracked="",
    has_agent=False,
)


def server(name: str, backend: str = "app", /, **changes: object) -> Server:
    return replace(RUNNING, name=name, backend=backend, **changes)  # type: ignore[arg-type]


def states(servers: list[Server]) -> str:
    rows = [
        f"{each.backend} {each.name} {each.identifier} {each.address.replace(':', ' ')} {each.operational}"
        f" {each.admin} {each.weight} {each.initial_weight} {4 if each.has_agent else 0}"
        for each in servers
    ]
    return "\n".join(["1", STATE_HEADER, *rows, "", ""])


def stats(servers: list[Server]) -> str:
    rows = [
        f"{each.backend},{each.name},{each.open_sessions},0,{each.status},{int(each.is_backup)},{each.tracked},"
        f'{each.check},"as, ""said""\nby it",2,3,{4 if each.is_checked else 2},'
        for each in servers
    ]
    return "\n".join([STAT_HEADER, *rows, "", ""])


@dataclass
class Simulated:
    """HAProxy with these servers; ``reply`` may answer a command in its place, or return None."""

    servers: list[Server]
    reply: Callable[[str], str | None] = lambda _command: None
    level: str = "admin"

    def __post_init__(self) -> None:
        self.orders: list[str] = []

    def answer(self, command: str) -> str:
        said = self.reply(command)
        if said is not None:
            return said
        if command.startswith("set server "):
            self.orders.append(command)
            return self._set(*command.split()[2:])
        answers = {"show cli level": f"{self.level}\n\n", "show servers state": states(self.servers)}
        return answers.get(command) or (stats(self.servers) if command.startswith("show stat") else "No such table\n")

    def _set(self, label: str, what: str, value: str) -> str:
        self.servers = [_changed(each, what, value) if each.label == label else each for each in self.servers]
        return "\n"


def _changed(server: Server, what: str, value: str) -> Server:
    if what == "weight":
        return replace(server, weight=int(value))
    return replace(server, admin=server.admin & ~9 | FLAGS[value])


@contextmanager
def listening(directory: Path, answer: Callable[[str], bytes]) -> Iterator[str]:
    """Serve one command a connection on a socket in ``directory``, and yield its path."""
    path = directory / "admin.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return
                with connection:
                    said = answer(connection.recv(4096).decode().strip())
                    try:
                        connection.sendall(said)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield str(path)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
