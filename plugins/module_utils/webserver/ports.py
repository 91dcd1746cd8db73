# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The TCP sockets that a release wants, and who has them already.

Source of the format: proc_pid_net(5) (the inode is the tenth field), proc_pid_fd(5), cgroups(7).
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.tls.listeners import parse_table
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import sorted_listeners
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

_MAX_TABLE_BYTES = 8 * 1024 * 1024
_INODE_FIELD = 9
_ANY = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Socket:
    """A listening socket and the processes that hold it, each as a name and a number."""

    listener: Listener
    processes: tuple[str, ...]
    ours: bool


@dataclass(frozen=True)
class Demand:
    """What stands against the listeners of a release.

    ``conflicts``: another program has the port. ``moves``: the server itself has it on an address that overlaps, which
    a reload cannot change. ``absent``: no interface of the host has the address.
    """

    conflicts: tuple[tuple[Listener, str], ...] = ()
    moves: tuple[tuple[Listener, Listener], ...] = ()
    absent: tuple[Listener, ...] = ()


def demand(listeners: Iterable[Listener], held: Sequence[Socket]) -> Demand:
    """Return what stands against opening sockets on this host now, without listening on any of them."""
    wanted = sorted_listeners(listeners)
    ours = {each.listener for each in held if each.ours}
    conflicts: list[tuple[Listener, str]] = []
    moves: list[tuple[Listener, Listener]] = []
    absent: list[Listener] = []
    for listener in wanted:
        if listener in ours:
            continue
        fault = _bind(listener)
        if fault == errno.EADDRNOTAVAIL:
            absent.append(listener)
        elif fault == errno.EADDRINUSE:
            in_the_way = [each for each in held if _overlap(each.listener, listener)]
            others = [each for each in in_the_way if not each.ours]
            # One for all addresses that stays takes the connections to this one too: none of its own is needed.
            kept = [each.listener for each in in_the_way if each.listener in wanted and each.listener.address in _ANY]
            if others:
                conflicts.append((listener, ", ".join(others[0].processes) or "a process that cannot be seen"))
            elif in_the_way and not kept:
                moves.append((listener, in_the_way[0].listener))
    return Demand(tuple(conflicts), tuple(moves), tuple(absent))


def _family(listener: Listener) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in listener.address else socket.AF_INET


def _overlap(held: Listener, wanted: Listener) -> bool:
    """Whether two sockets may be in each other's way; one for all IPv6 addresses may take those of IPv4 too."""
    if held.port != wanted.port:
        return False
    if "::" in (held.address, wanted.address):
        return True
    same_family = _family(held) == _family(wanted)
    return same_family and (held.address == wanted.address or "0.0.0.0" in (held.address, wanted.address))


def _bind(listener: Listener) -> int:
    """Return the number of the error that binding an address gives, 0 for none; nothing ever listens there."""
    family = _family(listener)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                attempt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            attempt.bind((listener.address, listener.port))
    except OSError as error:
        return error.errno or 0
    return 0


def open_listeners() -> list[Listener]:
    """Return the listening sockets of this network namespace; one for IPv6 that takes IPv4 as well is there twice."""
    found = set(_listening(Path("/proc")).values())
    both = {Listener("0.0.0.0", each.port) for each in found if each.address == "::"} - found
    return sorted_listeners([*found, *(each for each in both if accepts(each, 1.0))])


def held_sockets(unit: str, proc: Path = Path("/proc")) -> list[Socket]:
    """Return the listening sockets of the host; ``ours`` are those of a process in the unit's control group."""
    inodes = _listening(proc)
    holders: dict[str, list[int]] = {}
    for pid in (int(path.name) for path in proc.iterdir() if path.name.isdecimal()):
        for inode in _sockets(proc / str(pid)):
            if inode in inodes:
                holders.setdefault(inode, []).append(pid)
    return [_socket(listener, holders.get(inode, []), unit, proc) for inode, listener in inodes.items()]


def _socket(listener: Listener, pids: Sequence[int], unit: str, proc: Path) -> Socket:
    names = tuple(f"{_first_line(proc / str(pid) / 'comm') or 'a process'} ({pid})" for pid in sorted(pids)[:1])
    return Socket(listener, names, any(_is_of_unit(proc / str(pid), unit) for pid in pids))


def _listening(proc: Path) -> dict[str, Listener]:
    """Return the listening sockets by inode."""
    found = {}
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), (proc / "net" / table).open("rb") as stream:
            for line in stream.read(_MAX_TABLE_BYTES).decode("ascii", "replace").splitlines():
                for each in parse_table("\n" + line):
                    found[line.split()[_INODE_FIELD]] = Listener(each.address, each.port)
    return found


def _sockets(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _is_of_unit(process: Path, unit: str) -> bool:
    try:
        groups = (process / "cgroup").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(unit in line.split("/") for line in groups)


def _first_line(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def accepts(listener: Listener, timeout_seconds: float) -> bool:
    """Whether connections to a listening socket are taken; loopback stands for every address.

    Where there is no way to connect, the kernel is asked for the socket: with IPv6 switched off by sysctl a server
    opens ``::`` all the same, and one of a pair opens the address that the other host has for now.
    """
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.address, listener.address)
    try:
        with socket.create_connection((address, listener.port), timeout_seconds):
            return True
    except OSError:
        taking = {listener, Listener(_ANY[":" in listener.address], listener.port)}
        return not taking.isdisjoint(_listening(Path("/proc")).values())
