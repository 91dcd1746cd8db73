# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy's configuration file -> lines of words, and what some of them say.

Whether a configuration is right is for ``haproxy -c``: here nothing is complained of, and what cannot be read is left
out. Source: HAProxy's configuration manual, sections 2 (format, quoting), 4.2 (``bind``), 5.2 (``server``) and 11
(address formats).
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

_SECTIONS = frozenset(
    (
        *(
            "acme",
            "backend",
            "cache",
            "crt-store",
            "defaults",
            "fcgi-app",
            "frontend",
            "global",
            "http-errors",
            "listen",
        ),
        *("log-forward", "log-profile", "mailers", "peers", "program", "resolvers", "ring", "traces", "userlist"),
    )
)
# A transport or a family may stand in front of an address; only TCP is a visitor's way to a site.
_PREFIX = re.compile(r"(?P<families>[a-z0-9]+(?:\+[a-z0-9]+)*)@(?P<rest>.*)", re.DOTALL)
_TCP_FAMILIES = frozenset(("stream", "ipv4", "ipv6", "tcp", "tcp4", "tcp6", "mptcp", "mptcp4", "mptcp6"))
_DATAGRAM_FAMILIES = frozenset(("dgram", "udp", "udp4", "udp6", "quic4", "quic6"))
_PORTS = re.compile(r"(?P<host>.*):(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?", re.DOTALL)
_HOST_NAME = re.compile(r"(?=[0-9.]*[A-Za-z_-])[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_MAX_PORT = 65535
_MAX_LISTENERS = 10000
# What a `log` line names that is no address.
_LOG_WORDS = frozenset(("global", "stdout", "stderr"))
# At which word of a line an address that is resolved at the start stands.
_ADDRESS_PLACES = {"bind": 1, "log": 1, "server": 2, "peer": 2, "mailer": 2, "server-template": 3}
_PROTOCOL_WORD = re.compile(r"(?:no|force)-(?:sslv3|tlsv1[0-3])")
_PROTOCOL_LIMITS = ("ssl-min-ver", "ssl-max-ver")


@dataclass(frozen=True)
class Line:
    """One line that is not empty: the kind of section that it is in or begins, its number, its words."""

    section: str
    number: int
    words: tuple[str, ...]


def parse(text: str) -> list[Line]:
    """Return the lines of a configuration."""
    section = ""
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        words = _words(raw)
        if words:
            section = words[0] if words[0] in _SECTIONS else section
            found.append(Line(section, number, tuple(words)))
    return found


def _words(raw: str) -> list[str]:
    try:
        return shlex.split(raw, comments=True)
    except ValueError:  # a quote that does not end: HAProxy refuses the line
        return raw.split()


def listeners(lines: Iterable[Line]) -> list[Listener]:
    """Return the TCP sockets that frontends and listens open, each once; of very many the first ones."""
    binds = (line for line in lines if line.section in ("frontend", "listen") and line.words[0] == "bind")
    addresses = (address for line in binds for text in line.words[1:2] for address in text.split(","))
    sockets = (socket for address in addresses for socket in _sockets(address))
    return list(dict.fromkeys(itertools.islice(sockets, _MAX_LISTENERS)))


def _sockets(text: str) -> Iterator[Listener]:
    families, rest = _split_prefix(text)
    ports = _PORTS.fullmatch(rest)
    if ports is None or not _TCP_FAMILIES.issuperset(families):
        return
    host = _host(rest)
    if host in ("", "*"):
        host = "::" if any(family.endswith("6") for family in families) else "0.0.0.0"
    first = int(ports["first"])
    for port in range(first, min(int(ports["last"] or first), _MAX_PORT) + 1):
        yield Listener(host, port)


def _split_prefix(text: str) -> tuple[tuple[str, ...], str]:
    found = _PREFIX.fullmatch(text)
    return ((), text) if found is None else (tuple(found["families"].split("+")), found["rest"])


def _host(text: str) -> str:
    """Return the host of ``host:port``, an IP address in its usual form."""
    ports = _PORTS.fullmatch(text)
    host = (ports["host"] if ports else text).strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def resolved_names(lines: Iterable[Line]) -> set[str]:
    """Return the host names that HAProxy asks the system's resolver for when it starts.

    A server is not asked for where ``init-addr``, its own or that of a ``default-server`` line, is without ``libc``.
    """
    default_methods: dict[str, str] = {}
    found: set[str] = set()
    for line in lines:
        keyword, *rest = line.words
        if keyword in _SECTIONS:
            default_methods[keyword] = "" if keyword == "defaults" else default_methods.get("defaults", "")
        elif keyword == "default-server":
            default_methods[line.section] = _init_addr(rest) or default_methods.get(line.section, "")
        elif keyword in _ADDRESS_PLACES:
            methods = _init_addr(rest) or default_methods.get(line.section, "") or "libc"
            if not keyword.startswith("server") or "libc" in methods.split(","):
                place = _ADDRESS_PLACES[keyword]
                found.update(name for text in line.words[place : place + 1] for name in _names(text))
    return found - _LOG_WORDS


def _init_addr(words: Sequence[str]) -> str:
    return words[words.index("init-addr") + 1] if "init-addr" in words[:-1] else ""


def _names(text: str) -> set[str]:
    """Return the host names in a list of addresses."""
    split = [_split_prefix(address) for address in text.split(",")]
    hosts = [_host(rest) for families, rest in split if (_TCP_FAMILIES | _DATAGRAM_FAMILIES).issuperset(families)]
    return {host for host in hosts if _HOST_NAME.fullmatch(host)}


def tls_protocols(lines: Iterable[Line]) -> list[tuple[int, str]]:
    """Return which TLS protocols visitors may speak, wherever it is said: the number of a line, and its words on it."""
    found = []
    for line in lines:
        if line.words[0] in ("bind", "ssl-default-bind-options"):
            said = _protocol_words(line.words)
            found.extend([(line.number, " ".join(said))] if said else [])
    return found


def _protocol_words(words: Sequence[str]) -> list[str]:
    limits = [[word, value] for word, value in zip(words, words[1:]) if word in _PROTOCOL_LIMITS]
    return [*itertools.chain.from_iterable(limits), *(word for word in words if _PROTOCOL_WORD.fullmatch(word))]
