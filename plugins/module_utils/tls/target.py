# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to scan: read a target as a person writes it, and find its addresses."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import starttls as dialogues
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.probe import Endpoint

DEFAULT_PORT = 443
_PLAIN_HTTP_PORT = 80
# Sharp s, final sigma, the two joiners (RFC 5894 7.2): Python's codec is the older one, browsers use the newer.
_DISPUTED = frozenset("\u00df\u03c2\u200c\u200d")
_A_LABEL = "Write the name as it stands in the DNS, with xn-- labels"
TARGET_KEYS = ("host", "port", "server_name", "starttls", "http_port", "name")
_FORMS = f"Write host, host:port, [v6]:port, or a dictionary of {', '.join(TARGET_KEYS)}"


class ResolveError(InvalidInputError):
    """A host name has no address."""


@dataclass(frozen=True)
class Target:
    """One endpoint to scan.

    ``server_name`` is what the hello asks for (RFC 6066), in ASCII, and ``None`` for an address, which has no name;
    ``name`` is what the result calls the target; ``starttls`` is the protocol that TLS is asked for in (a key of
    :data:`starttls.PROTOCOLS`), ``None`` where TLS begins with the first byte. ``http_port`` is where the same site
    answers in clear, ``None`` where it is not known to.
    """

    host: str
    port: int
    server_name: str | None
    name: str
    starttls: str | None = None
    http_port: int | None = None

    @property
    def reference_name(self) -> str:
        """The name or address that the certificate must be for."""
        return self.server_name or self.host

    def as_dict(self) -> dict[str, object]:
        """Return the target as it stands in a result."""
        return {
            "name": self.name,
            "host": self.host,
            "port": self.port,
            "server_name": self.server_name,
            "starttls": self.starttls,
            "http_port": self.http_port,
        }


def parse_target(value: object) -> Target:
    """Read a target: ``host``, ``host:port``, ``[v6]:port``, or a mapping of :data:`TARGET_KEYS`.

    Raises :class:`InvalidInputError` that names the value, the reason and the remedy.
    """
    if isinstance(value, Mapping):
        return _from_mapping(value)
    if not isinstance(value, str):
        raise InvalidInputError(f"target {value!r}", f"it is a {type(value).__name__}", _FORMS)
    host, port = split_host_port(value.strip())
    return _target(host, _port(port, value), None, None, value)


def _from_mapping(value: Mapping[object, object]) -> Target:
    unknown = sorted(str(key) for key in value if key not in TARGET_KEYS)
    if unknown:
        raise InvalidInputError(
            f"target {dict(value)!r}",
            f"unknown option {', '.join(unknown)}",
            f"The options of a target are {', '.join(TARGET_KEYS)}",
        )
    host = value.get("host")
    if not isinstance(host, str) or not host.strip():
        raise InvalidInputError(f"target {dict(value)!r}", "it has no host", _FORMS)
    port = value.get("port")
    name = value.get("name")
    server_name = value.get("server_name")
    starttls = _starttls(value.get("starttls"), value)
    http_port = value.get("http_port")
    return _target(
        host.strip().strip("[]"),
        _default_port(starttls, value) if port is None else _port(port, value),
        None if server_name is None else str(server_name),
        None if name is None else str(name),
        value,
        starttls,
        None if http_port is None else _port(http_port, value),
    )


def _starttls(protocol: object, given: object) -> str | None:
    if protocol is None:
        return None
    if not isinstance(protocol, str) or protocol not in dialogues.PROTOCOLS:
        raise InvalidInputError(
            f"target {given!r}",
            f"starttls {protocol!r} is no known protocol",
            f"The protocols are {', '.join(dialogues.PROTOCOLS)}",
        )
    return protocol


def _default_port(starttls: str | None, given: object) -> int:
    port = DEFAULT_PORT if starttls is None else dialogues.PROTOCOLS[starttls].default_port
    if port is None:
        raise InvalidInputError(f"target {given!r}", f"{starttls} has no port of its own", "Write the port")
    return port


def split_host_port(text: str) -> tuple[str, object]:
    """Split ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``; the port is still as it was written."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidInputError(f"target {text!r}", "the bracket around the IPv6 address is not closed", _FORMS)
        return host, rest[1:] if rest else DEFAULT_PORT
    if text.count(":") > 1:  # an IPv6 address without brackets has no port
        return text, DEFAULT_PORT
    host, colon, port = text.partition(":")
    return host, port if colon else DEFAULT_PORT


def _target(
    host: str,
    port: int,
    server_name: str | None,
    name: str | None,
    given: object,
    starttls: str | None = None,
    http_port: int | None = None,
) -> Target:
    if "//" in host:
        raise InvalidInputError(f"target {given!r}", "it is a URL", _FORMS)
    if is_address(host):
        sni = None
    else:
        host = host.rstrip(".")
        sni = to_ascii(host, given)
    if server_name:
        sni = to_ascii(server_name.rstrip("."), given)
    label = name or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    if http_port is None and port == DEFAULT_PORT and starttls is None:
        http_port = _PLAIN_HTTP_PORT
    return Target(host=host, port=port, server_name=sni, name=label, starttls=starttls, http_port=http_port)


def _port(port: object, given: object) -> int:
    text = str(port)
    if text.startswith("//"):
        raise InvalidInputError(f"target {given!r}", "it is a URL", _FORMS)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise InvalidInputError(f"target {given!r}", f"the port {text!r} is none", "A port is a number from 1 to 65535")
    return int(text)


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def to_ascii(host: str, given: object) -> str:
    """Return a host name in the form that goes into DNS, a hello and a certificate (RFC 5890)."""
    labels = host.split(".")
    if _DISPUTED & set(host.lower()):
        raise InvalidInputError(
            f"target {given!r}", f"{host!r} has a letter that the IDNA of 2003 and of 2008 encode differently", _A_LABEL
        )
    try:
        encoded = ".".join(
            label if label.isascii() else label.lower().encode("idna").decode("ascii") for label in labels
        )
    except UnicodeError as error:
        raise InvalidInputError(f"target {given!r}", f"{host!r} is no host name ({error})", _FORMS) from error
    bad = not encoded or len(encoded) > 253 or any(not 0 < len(label) <= 63 for label in encoded.split("."))
    if bad or not all(character.isalnum() or character in "-_." for character in encoded):
        raise InvalidInputError(f"target {given!r}", f"{host!r} is no host name", _FORMS)
    return encoded.lower()


def resolve(target: Target, timeout_seconds: float) -> list[Endpoint]:
    """Return the addresses of a target, in the resolver's order; raises :class:`ResolveError`.

    The system's resolver knows no time limit, so it works in a thread of its own that is left behind when it is late.
    """
    host = target.host if is_address(target.host) else to_ascii(target.host, target.host)
    said = target.reference_name if target.starttls else ""
    found: list[Endpoint] = []
    failure: list[str] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failure.append(getattr(error, "strerror", None) or str(error))
            return
        for family, _kind, _protocol, _canonical, address in answers:
            endpoint = Endpoint(int(family), str(address[0]), target.port, target.starttls, said)
            if endpoint not in found:
                found.append(endpoint)

    worker = threading.Thread(target=look_up, daemon=True)
    worker.start()
    worker.join(timeout_seconds)
    if failure:
        raise ResolveError(target.host, f"the name does not resolve ({failure[0]})", "Check its spelling and the DNS")
    if worker.is_alive() or not found:
        raise ResolveError(
            target.host,
            f"the name was not resolved within {timeout_seconds:g} seconds",
            "Check the resolver of the host that scans, or raise timeout",
        )
    return list(found)
