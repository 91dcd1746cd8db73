# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task of ``webserver_config`` asks for: read what was given, or say in a sentence why it cannot be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

DEFAULT_PORT = 443
LOOPBACK = "127.0.0.1"
_ENDPOINT_KEYS = ("server_name", "port", "address", "name", "certificates")
_LISTENER_KEYS = ("address", "port")


@dataclass(frozen=True)
class Endpoint:
    """A TLS endpoint that is measured: the name to ask for, the port, and the address to connect to.

    ``certificates`` are the paths of the chains that it serves, as the facts of the host name them.
    """

    server_name: str
    port: int = DEFAULT_PORT
    address: str = LOOPBACK
    certificates: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What results call it."""
        return f"{self.server_name}:{self.port}"


@dataclass(frozen=True)
class Request:
    """What is asked for. ``release`` is the release to go back to, ``None`` where a new one is given."""

    server: str
    names: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    minimum_grade: str = "A"
    take_over: str = "refuse"
    removed_names: tuple[str, ...] = ()
    shadow_required: bool = False
    release: str | None = None

    def serving(self, said: Mapping[str, Any]) -> Request:
        """Return the request with the names, listeners and endpoints that a release on the host has."""
        return dataclasses.replace(
            self,
            names=read_names(said.get("names"), "names"),
            listeners=read_listeners(said.get("listeners")),
            endpoints=read_endpoints(said.get("endpoints")),
        )


def read_names(given: object, option: str) -> tuple[str, ...]:
    """Return a list of names. Raises InvalidInputError for anything else."""
    names = [] if given is None else given
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InvalidInputError(option, "it is no list of names", "Give a list of host names")
    return tuple(str(name) for name in names)


def read_listeners(given: object) -> tuple[Listener, ...]:
    """Return the sockets that a release opens. Raises InvalidInputError where they are none."""
    return tuple(
        Listener(_text(entry, "address", where), _port(entry, where))
        for where, entry in _entries(given, "listeners", _LISTENER_KEYS)
    )


def read_endpoints(given: object) -> tuple[Endpoint, ...]:
    """Return the endpoints that are measured. Raises InvalidInputError where they are none, or one is there twice."""
    found: list[Endpoint] = []
    for where, entry in _entries(given, "endpoints", _ENDPOINT_KEYS):
        endpoint = Endpoint(
            _text(entry, "server_name", where),
            _port(entry, where),
            _text({"address": LOOPBACK, **_given(entry)}, "address", where),
            read_names(entry.get("certificates"), f"{where}: certificates"),
        )
        if any((endpoint.key, endpoint.address) == (other.key, other.address) for other in found):
            raise InvalidInputError(where, f"{endpoint.key} is there twice", "Name each endpoint once")
        found.append(endpoint)
    return tuple(found)


def _entries(given: object, option: str, keys: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the entries of a list of dictionaries, each with what a sentence calls it."""
    entries = [] if given is None else given
    if not isinstance(entries, list):
        raise InvalidInputError(option, "it is no list", f"Give a list of dictionaries of {', '.join(keys)}")
    named = [(f"{option}[{place}]", entry) for place, entry in enumerate(entries)]
    for where, entry in named:
        if not isinstance(entry, Mapping):
            raise InvalidInputError(where, "it is no dictionary", f"Give a dictionary of {', '.join(keys)}")
        unknown = sorted(str(key) for key in entry if key not in keys)
        if unknown:
            raise InvalidInputError(where, f"unknown key {', '.join(unknown)}", f"The keys are {', '.join(keys)}")
    return named


def _given(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None}


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(where, f"its {key} is missing or no text", f"Give {key}")
    return str(value)


def _port(entry: Mapping[str, Any], where: str) -> int:
    text = str(_given(entry).get("port", DEFAULT_PORT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise InvalidInputError(where, f"the port {text!r} is none", "A port is a number from 1 to 65535")
    return int(text)
