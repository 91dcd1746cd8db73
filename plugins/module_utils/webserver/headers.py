# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which headers an answer carries: security headers as asked for, Strict-Transport-Security as the certificate allows.

Pure functions. What a header means is not judged here, only whether it can stand in a configuration at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.names import name_matches
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.policy import hsts_header

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Less than a token of RFC 9110, section 5.6.2: some of its characters begin a comment, a variable or a text in quotes.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# RFC 9110, section 5.5.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TRANSPORT_SECURITY = "strict-transport-security"
_FORGET = "max-age=0"


def merged_headers(where: str, *layers: Mapping[str, object]) -> list[dict[str, str]]:
    """Return the headers of several layers as ``{name, value}``, in order; a later layer wins, an empty value removes.

    Names are compared without case (RFC 9110, section 5.1). ``where`` names the entry for the message. Raises
    InvalidInputError for what cannot be a header, and for Strict-Transport-Security, which has variables of its own.
    """
    merged: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in layer.items():
            if name.lower() == _TRANSPORT_SECURITY:
                raise InvalidInputError(
                    f"{where}: header {name}",
                    "it is sent in stages, and held back while a certificate is not trusted",
                    "Set the stage with hsts_stage instead",
                )
            merged[name.lower()] = _checked(where, name, value)
    return [{"name": name, "value": value} for name, value in merged.values() if value]


def request_headers(where: str, given: Mapping[str, object]) -> list[dict[str, str]]:
    """Return headers of a request that is passed on as ``{name, value}``; an empty value removes one.

    Raises InvalidInputError for what cannot be a header.
    """
    return [{"name": name, "value": _checked(where, name, value)[1]} for name, value in given.items()]


def _checked(where: str, name: str, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInputError(f"{where}: header {name!r}", "this is not the name of a header", "Correct it")
    text = "" if value is None else str(value)
    if _CONTROL.search(text):
        raise InvalidInputError(f"{where}: header {name}", "its value has a line break in it", "Write it in one line")
    return name, text


def nginx_header_lines(headers: Sequence[Mapping[str, str]], hsts_variable: str) -> str:
    """Return nginx's directives for headers and HSTS, one a line, as a file that a ``server`` or ``location`` includes.

    ``hsts_variable`` is the nginx variable that holds the value of HSTS over https and nothing over http; empty where
    no HSTS is sent. ``always`` puts the headers on errors too. A ``$`` in a value begins a variable of nginx.
    """
    lines = [f'add_header {header["name"]} "{_nginx_quoted(header["value"])}" always;' for header in headers]
    if hsts_variable:
        lines.insert(0, f"add_header Strict-Transport-Security {hsts_variable} always;")
    return "".join(f"{line}\n" for line in lines)


def request_header_lines(server: str, headers: Sequence[Mapping[str, str]]) -> str:
    """Return the directives of ``nginx`` or ``apache`` that set headers of a request, or remove those without a value.

    nginx passes no header on that has no value. A ``$`` in a value begins a variable of nginx.
    """
    write = _nginx_request_header if server == "nginx" else _apache_request_header
    return "".join(f"{write(header['name'], header['value'])}\n" for header in headers)


def _nginx_request_header(name: str, value: str) -> str:
    return f'proxy_set_header {name} "{_nginx_quoted(value)}";'


def _apache_request_header(name: str, value: str) -> str:
    """Return a directive of mod_headers, for which a percent sign begins a variable."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'RequestHeader set {name} "{quoted}"' if value else f"RequestHeader unset {name}"


def _nginx_quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def transport_security(
    stage: str, *, include_subdomains: bool, preload: bool, obstacles: Sequence[str]
) -> tuple[str, str | None]:
    """Return the value of Strict-Transport-Security, and why it is held back (None where it is not).

    A browser that has seen the header refuses a host with a certificate that it does not trust, and lets nobody click
    that away (RFC 6797, section 12.1). So nothing is sent (the value is empty) while there are obstacles. To forget the
    policy harms nobody: ``disabled`` is always sent.
    """
    value = hsts_header(stage, include_subdomains=include_subdomains, preload=preload)
    if value == _FORGET or not obstacles:
        return value, None
    return "", "; ".join(obstacles)


def trust_obstacles(certificates: Sequence[Mapping[str, Any]], server_names: Sequence[str]) -> list[str]:
    """Return why browsers would not trust a site: each untrusted certificate, each name that one does not cover.

    ``certificates`` are those of ``webserver_info`` (``fullchain``, ``trusted``, ``reason``, ``names``).
    """
    obstacles = []
    for certificate in certificates:
        if not certificate["trusted"]:
            reason = certificate.get("reason") or "the reason is not known"
            obstacles.append(f"{certificate['fullchain']} is not trusted ({reason})")
            continue
        uncovered = [name for name in server_names if not _is_covered(name, certificate["names"])]
        if uncovered:
            obstacles.append(f"{certificate['fullchain']} is not for {', '.join(uncovered)}")
    return obstacles


def _is_covered(server_name: str, names: Sequence[str]) -> bool:
    """Whether a certificate's names cover a server name, itself perhaps with a wildcard."""
    if server_name.endswith("*"):
        # The name of no one host: whichever a visitor means, no certificate can be asked about it.
        return True
    if server_name.startswith("*."):
        return server_name.lower() in (name.lower() for name in names)
    return name_matches(server_name, names, names)
