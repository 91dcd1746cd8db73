# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The peers of an HAProxy: who hands its session tables to whom, and by what they know each other.

Pure functions. Source: HAProxy's configuration manual, section 3.5 (``peers``). That a ``server`` line of 2.2 wants
certificate and key in one file was measured.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.site_certificates import NAME_PATTERN

_RELEASE_DIRECTORY = "/etc/haproxy/ringmaster/current"
_PAIR, _AUTHORITY = "peers/peer.pem", "peers/ca.pem"
_LOOPBACK = "127.0.0.1"
_EVERY_IPV4 = "*"
# No public authority signs for this top-level domain: it is reserved for private use.
_OWN_DOMAIN = "peers.haproxy.internal"


@dataclass(frozen=True)
class Peers:
    """The section, for the template and for ``webserver_config``.

    ``tls`` is what both sides of a connection say; empty without TLS. ``servers`` are the members, each with ``name``,
    ``address`` (None for the host itself) and ``parameters`` (of its line). ``own`` is for the certificate that the
    role makes: ``name`` in it, and on the control node ``authority``, ``host`` and ``directory``, and ``pair`` with
    certificate and key; empty where the role makes none.
    """

    name: str
    address: str
    port: int
    tls: str
    servers: list[dict[str, Any]]
    own: dict[str, str] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return what the template needs, and ``own``."""
        keys = ("name", "address", "port", "tls", "servers", "own")
        return {key: getattr(self, key) for key in keys}


def decide_peers(given: Mapping[str, Any], own_name: str, addresses: Mapping[str, str]) -> Peers:
    """Return the peers of the host ``own_name``.

    ``given`` is the role's variable; ``addresses`` are those of all load balancers of the group by name, the host's own
    among them, or nothing where it is alone. An empty address is the host's name. The protocol has no authentication of
    its own, so it is spoken over TLS, with certificates on both sides, unless everything stays on loopback. A host
    that is known by a name listens on every address, because the name may be that of a router in front of it.

    Raises InvalidInputError for what cannot be, or would let strangers in unasked.
    """
    _check(given, [own_name, *addresses])
    members = {name: _plain(name, address or name) for name, address in addresses.items()} if len(addresses) > 1 else {}
    address = _plain(own_name, given.get("address") or _own_address(members.get(own_name, _LOOPBACK)))
    is_local = all(map(_is_loopback, [address, *members.values()]))
    if members and not is_local and _is_loopback(address):
        raise InvalidInputError(
            f"haproxy_peers.address {address}",
            f"{', '.join(name for name in members if name != own_name)} cannot reach {own_name} there",
            "Leave it out, or give the address by which the load balancers reach each other",
        )
    _refuse_shared_address(members)
    uses_tls = given["tls"] if given.get("tls") is not None else not is_local
    name, port = str(given.get("name", "ringmaster")), int(given.get("port", 1023))
    warnings = [] if uses_tls or is_local else [_PLAIN.format(address=address, port=port)]
    warnings += _about_names(members, own_name, listens_everywhere=address == _EVERY_IPV4 and not given.get("address"))
    servers = _servers(given, own_name, members or {own_name: address}, uses_tls=uses_tls)
    if not uses_tls:
        return Peers(name, address, port, "", servers, warnings=warnings)
    own = {} if given.get("certificate") else _own_files(given, own_name)
    pair, authority = own.get("pair", given.get("certificate")), own.get("authority", given.get("ca_file"))
    files = [
        {"path": _PAIR, "src": pair, "mode": "0600", "sensitive": True},
        {"path": _AUTHORITY, "src": authority, "mode": "0644"},
    ]
    return Peers(name, address, port, _TLS, servers, own, files, warnings)


def _servers(
    given: Mapping[str, Any], own_name: str, members: Mapping[str, str], *, uses_tls: bool
) -> list[dict[str, Any]]:
    """Return the lines of the members; that of the host itself has no address, because it has a ``bind``."""
    return [
        {
            "name": member,
            "address": None if member == own_name else where,
            "parameters": f" verifyhost {_expected_name(given, member)}" if uses_tls and member != own_name else "",
        }
        for member, where in members.items()
    ]


_TLS = (
    f"ssl crt {_RELEASE_DIRECTORY}/{_PAIR} ca-file {_RELEASE_DIRECTORY}/{_AUTHORITY} verify required"
    " ssl-min-ver TLSv1.3"
)
_PLAIN = (
    "haproxy_peers.tls false: whoever reaches {address} port {port} can read and write the session table. Let a packet"
    " filter admit the other load balancers alone."
)


_NAMED = (
    "haproxy_peers: {names} are known by name. HAProxy asks for the address of a peer once, when it starts or reloads,"
    " and does not start while nobody can tell. Name a variable with addresses: haproxy_peers.address_variable."
)
_EVERYWHERE = (
    "haproxy_peers: {own} is known by name, so its peer listens on every IPv4 address. Give haproxy_peers.address: an"
    " address of the host, or `::` for every one of IPv6 and IPv4."
)


def _check(given: Mapping[str, Any], names: Iterable[str]) -> None:
    if given.get("tls") not in (None, True, False):
        raise InvalidInputError(
            f"haproxy_peers.tls {given['tls']!r}", "this is neither true nor false", "Use one of them"
        )
    inventory = (("inventory name", name) for name in names)
    for what, name in (("haproxy_peers.name", given.get("name", "ringmaster")), *inventory):
        if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
            raise InvalidInputError(
                f"{what} {name!r}",
                "HAProxy's names are made of letters, digits, dots, dashes and underscores",
                "Rename it",
            )
    if bool(given.get("certificate")) != bool(given.get("ca_file")):
        raise InvalidInputError(
            f"haproxy_peers with {'certificate' if given.get('certificate') else 'ca_file'} alone",
            "peers show their own certificate, and verify those of the others",
            "Give certificate and ca_file, or neither, and the role makes both",
        )


def _refuse_shared_address(members: Mapping[str, str]) -> None:
    """Raise InvalidInputError where two load balancers have one address, as behind a port forwarding of SSH."""
    owners: dict[str, str] = {}
    for name, address in members.items():
        other = owners.setdefault(address, name)
        if other != name:
            raise InvalidInputError(
                f"the load balancers {other} and {name}",
                f"both have the address {address}, so that one would be its own peer",
                "Name a variable with the address by which the others reach it: haproxy_peers.address_variable",
            )


def _about_names(members: Mapping[str, str], own_name: str, *, listens_everywhere: bool) -> list[str]:
    """Warn about members that are known by a name, which somebody must resolve."""
    named = [where for name, where in members.items() if name != own_name and _address(where) is None]
    warnings = [_NAMED.format(names=", ".join(named))] if named else []
    return [*warnings, _EVERYWHERE.format(own=own_name)] if listens_everywhere else warnings


def _plain(member: str, address: str) -> str:
    """Return an address without brackets, or a name; raise InvalidInputError for anything else."""
    found = _address(address)
    if found is None and address != _EVERY_IPV4 and not NAME_PATTERN.fullmatch(address):
        raise InvalidInputError(
            f"haproxy_peers: address {address!r} of {member}",
            "this is neither an address nor a name",
            "Write it without a port: that is haproxy_peers.port",
        )
    return str(found or address)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is, with brackets or without; None where it is a name."""
    try:
        return ipaddress.ip_address(text[1:-1] if text[:1] + text[-1:] == "[]" else text)
    except ValueError:
        return None


def _own_address(address: str) -> str:
    """Return where the host listens that the others know by this address."""
    if _address(address) is not None:
        return address
    return _LOOPBACK if address == "localhost" else _EVERY_IPV4


def _is_loopback(address: str) -> bool:
    found = _address(address)
    return address == "localhost" if found is None else found.is_loopback


def _expected_name(given: Mapping[str, Any], member: str) -> str:
    """Return the name that a peer's certificate must have."""
    if not given.get("certificate"):
        return _own_name(member)
    return str(given.get("server_name") or "{name}").replace("{name}", member)


def _own_name(member: str) -> str:
    """Return the name in a certificate that the role makes: one label, whatever the inventory calls the host."""
    return f"{re.sub('[^a-z0-9-]', '-', member.lower()).strip('-') or 'peer'}.{_OWN_DOMAIN}"


def _own_files(given: Mapping[str, Any], own_name: str) -> dict[str, str]:
    directory = str(given.get("ca_directory") or "haproxy_peers")
    host = f"{directory}/hosts/{own_name}"
    return {
        "name": _own_name(own_name),
        "authority": f"{directory}/ca.pem",
        "host": host,
        "directory": f"{host}/peer",
        "pair": f"{host}/peer/peer.pem",
    }
