# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release that a task asks for: made of files, or one that the host has; and what stands against its sockets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.ports import Demand, demand, held_sockets
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import (
    Facts,
    Release,
    compose,
    is_intact,
    read_release,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.state import State, resolve_name
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.transport import collect

if TYPE_CHECKING:
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, Server
    from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout

# It opens every socket so that another process may open it too, and so moves one without a gap.
_MOVES_SOCKETS = ("haproxy",)


@dataclass(frozen=True)
class Wanted:
    """What a task asks for: files with their facts, or the name of a ``release`` that the host has.

    ``expected`` is the release that an earlier step made of the same; files of the host may have changed since.
    """

    files: tuple[Mapping[str, Any], ...] = ()
    archive: str | None = None
    facts: Facts = field(default_factory=Facts)
    release: str | None = None
    expected: str | None = None
    allow_restart: bool = False


def wanted_release(layout: Layout, state: State, wanted: Wanted) -> Release:
    """Return the release that is asked for. Raises InvalidInputError, or MeasurementError where it cannot be read."""
    if wanted.release is None:
        release = compose(collect(wanted.files, wanted.archive), wanted.facts)
    else:
        release = read_release(layout.release(resolve_name(layout, state, wanted.release)))
    if not is_intact(release):
        raise InvalidInputError(
            f"release {release.name}", "its files on the host are not what they were", "Go back to another release"
        )
    if wanted.expected not in (None, release.name):
        raise InvalidInputError(
            f"release {release.name}",
            f"it is not the release {wanted.expected} that was tested: a file of the host has changed in between",
            "Run again",
        )
    return release


def socket_demand(server: Server, listeners: Iterable[Listener]) -> Demand:
    """Return what stands against the sockets of a release on this host."""
    found = demand(listeners, held_sockets(server.unit))
    return Demand(found.conflicts, (), found.absent) if server.name in _MOVES_SOCKETS else found


def socket_refusal(server: Server, found: Demand, allow_restart: bool) -> str | None:
    """Say why the sockets cannot be had by a reload; None where they can, or where it is another program's fault."""
    if found.absent:
        address, port = found.absent[0].address, found.absent[0].port
        return (
            f"{address} port {port}: no interface of this host has that address. "
            "Correct the address, or set net.ipv4.ip_nonlocal_bind where another host may have it at times"
        )
    if found.moves and not allow_restart:
        (new, old), *_others = found.moves
        return (
            f"{new.address} port {new.port}: {server.name} itself listens on {old.address} port {old.port}, and a "
            "reload cannot move that socket. Name it in listeners and set allow_restart to true to restart it, or keep "
            "the address"
        )
    return None
