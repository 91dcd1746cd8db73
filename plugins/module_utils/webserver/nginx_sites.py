# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an nginx configuration serves: the names and sockets of its servers, and the TLS protocols it asks for.

Source: nginx's manual, ``listen`` and ``server_name`` in ngx_http_core_module, ngx_stream_core_module,
ngx_mail_core_module.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx_syntax import Statement, blocks
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, Site

_KINDS = ("http", "stream", "mail")
_DEFAULT_PORT = 80
_EVERY_ADDRESS = ("0.0.0.0", "::")
_PORTS = re.compile(r"(?:(.*):)?(\d{1,5})(?:-(\d{1,5}))?")
# With one of these a socket is opened even where another one of the same port takes every address.
_OWN_SOCKET = re.compile(
    r"(bind|deferred|reuseport|(backlog|rcvbuf|sndbuf|setfib|fastopen|accept_filter|ipv6only|so_keepalive)=.*)"
)
_PROTOCOL_COMMANDS = ("protocol", "minprotocol", "maxprotocol")


@dataclass(frozen=True)
class _Listen:
    """One socket of one ``listen``; ``own``: it is opened whatever else is."""

    listener: Listener
    own: bool


def sites(statements: Iterable[Statement]) -> list[Site]:
    """Return the servers of a configuration, in its order; unix sockets are left out."""
    found = []
    statements = list(statements)
    for kind in _KINDS:
        servers = [(server, _listens(server, kind)) for server in blocks(statements, kind, "server")]
        every = {listen.listener for _server, listens in servers for listen in listens}
        for server, listens in servers:
            sockets = dict.fromkeys(_opened(listen, every) for listen in listens)
            found.append(Site(server.file, tuple(_names(server)), tuple(sockets)))
    return found


def tls_protocols(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Give the directives that set the TLS protocols of servers."""
    for statement in statements:
        first = statement.arguments[0].lower() if statement.arguments else ""
        if statement.name == "ssl_protocols" or (statement.name == "ssl_conf_command" and first in _PROTOCOL_COMMANDS):
            yield statement
        yield from tls_protocols(statement.content or ())


def _names(server: Statement) -> Iterator[str]:
    """Give the names that a server answers to, each once; ``_`` stands for none."""
    seen = {"", "_"}
    for name in _arguments(server, "server_name"):
        name = socket.gethostname() if name == "$hostname" else name
        if not name.startswith("~"):
            name = name.lower()
        if name not in seen:
            seen.add(name)
            yield name


def _arguments(server: Statement, name: str) -> Iterator[str]:
    for statement in server.content or ():
        if statement.name == name:
            yield from statement.arguments


def _listens(server: Statement, kind: str) -> list[_Listen]:
    """Return the sockets of a server; one of ``http`` without any has the default one."""
    lines = [each.arguments for each in server.content or () if each.name == "listen" and each.arguments]
    if not lines and kind == "http":
        return [_Listen(Listener(_EVERY_ADDRESS[0], _DEFAULT_PORT), False)]
    return [
        _Listen(listener, any(map(_OWN_SOCKET.fullmatch, options)))
        for where, *options in lines
        for listener in listeners(where)
    ]


def listeners(where: str) -> list[Listener]:
    """Return the sockets that the first argument of ``listen`` means; none for a unix socket."""
    if where.startswith("unix:"):
        return []
    ports = _PORTS.fullmatch(where)
    if ports is None:
        host, first, last = where, _DEFAULT_PORT, _DEFAULT_PORT
    else:
        host, first = ports.group(1) or "*", int(ports.group(2))
        last = int(ports.group(3) or first)
    wanted = range(max(first, 1), min(last, 65535) + 1)
    return [Listener(address, port) for address in _addresses(host) for port in wanted]


def _addresses(host: str) -> list[str]:
    """Return the addresses of a host as the kernel writes them; the server resolves a name when it starts."""
    if host == "*":
        return [_EVERY_ADDRESS[0]]
    try:
        return [str(ipaddress.ip_address(host.strip("[]")))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_kind, address in found))


def _opened(listen: _Listen, every: set[Listener]) -> Listener:
    """Return the socket that is really opened: where one takes every address, nginx needs no other of that port."""
    listener = listen.listener
    wide = Listener(_EVERY_ADDRESS[":" in listener.address], listener.port)
    return wide if wide in every and not listen.own else listener
