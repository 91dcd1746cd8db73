# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host names that nginx resolves when it starts, and without which it does not.

Source: nginx's manual, ngx_http_proxy_module and its likes, ngx_http_upstream_module, ngx_core_module. What holds a
variable is resolved later, with every request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx_syntax import Statement, parse

_PASS = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass", "auth_http", "listen")
# Every argument is a host, or an option with "=".
_HOSTS = ("resolver", "set_real_ip_from")
_LOGS = ("error_log", "access_log")
_SYSLOG = re.compile(r"syslog:(?:[^,]*,)*?server=([^,]+)")
# What is in these is no directive.
_TABLES = ("map", "geo", "types", "split_clients", "charset_map")
_SCHEME = re.compile(r"^[a-z]+://")
# A label of RFC 1123 2.1, and the underscore that names inside a site often have.
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?")


def host_names(texts: Iterable[str]) -> set[str]:
    """Return the names in configuration texts that are none of an ``upstream`` block, in lower case."""
    statements = [pair for text in texts for pair in _walk(parse(text), "")]
    groups = {each.arguments[0].lower() for _parent, each in statements if each.name == "upstream" and each.arguments}
    hosts = {host for parent, statement in statements for host in map(_host, _addresses(statement, parent))}
    return hosts - groups - {""}


def _walk(statements: Iterable[Statement], parent: str) -> Iterator[tuple[str, Statement]]:
    """Give each statement, with the name of the block it is in."""
    for statement in statements:
        yield parent, statement
        if statement.name not in _TABLES:
            yield from _walk(statement.content or (), statement.name)


def _addresses(statement: Statement, parent: str) -> tuple[str, ...]:
    """Return the arguments of a directive that may name a host."""
    if statement.name in _PASS or (statement.name == "server" and parent == "upstream"):
        return statement.arguments[:1]
    if statement.name in _HOSTS:
        return tuple(argument for argument in statement.arguments if "=" not in argument)
    if statement.name in _LOGS:
        return tuple(match.group(1) for match in map(_SYSLOG.match, statement.arguments) if match)
    return ()


def _host(address: str) -> str:
    """Return the host name of ``[scheme://]host[:port][/path]``; empty where it is none, or known only later."""
    rest = _SCHEME.sub("", address.lower())
    if "$" in rest or rest.startswith("unix:"):
        return ""
    host = rest.partition("/")[0].partition(":")[0]
    return host if _NAME.fullmatch(host) and not host.replace(".", "").replace("-", "").isdecimal() else ""
