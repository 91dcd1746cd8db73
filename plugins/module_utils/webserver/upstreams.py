# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where requests go that a site does not answer itself: to an application behind it, or to another address.

Pure functions: no name is resolved and nothing is connected to.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.headers import request_headers
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.site_certificates import absolute_path

if TYPE_CHECKING:
    from collections.abc import Mapping

DISTRIBUTION_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
"""The authorities that Debian's package ca-certificates trusts."""
REDIRECT_CODES = (301, 302, 303, 307, 308)
_KEYS = {"url", "tls_verify", "tls_server_name", "ca_file", "headers"}
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
# The characters of a URI (RFC 3986, section 2), without the dollar sign, which begins a variable of nginx.
_URL = re.compile(r"https?://[A-Za-z0-9\[][A-Za-z0-9._~:/?#\[\]@!&'()*+,;=%-]*")


def upstream(where: str, given: object) -> dict[str, Any]:
    """Return the application behind a site, flat for the templates.

    Keys: ``url`` (scheme, host and port, or ``unix:/path``, without a path behind it), ``tls``, ``tls_verify``,
    ``tls_server_name`` (what is sent as SNI and must be in the certificate), ``ca_file``, ``headers`` (of the request,
    ``{name, value}``; an empty value removes one). Raises InvalidInputError for what cannot be connected to.
    """
    if not isinstance(given, dict) or not isinstance(given.get("url"), str) or set(given) - _KEYS:
        # Its headers may be secret, so only its keys are shown.
        shown = ", ".join(map(str, given)) if isinstance(given, dict) else repr(given)
        raise InvalidInputError(
            f"{where}: upstream ({shown})",
            "it must be a dictionary with url, and perhaps tls_verify, tls_server_name, ca_file and headers",
            "Correct the entry",
        )
    headers = request_headers(where, given.get("headers") or {})
    plain = {"tls": False, "tls_verify": False, "tls_server_name": "", "ca_file": "", "headers": headers}
    url = given["url"]
    if url.startswith("unix:"):
        return {"url": f"unix:{absolute_path(where, 'upstream url', url[len('unix:') :])}", **plain}
    scheme, host, address = _parts(where, url)
    if scheme == "http":
        return {"url": f"http://{address}", **plain}
    return {"url": f"https://{address}", "headers": headers, **_verification(where, url, host, given)}


def _parts(where: str, url: str) -> tuple[str, str, str]:
    """Return scheme, host, and host with port of an upstream's URL."""
    subject = f"{where}: upstream url {url!r}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInputError(subject, str(error), "Correct it") from error
    is_address = _is_address(host)
    if parts.scheme not in ("http", "https") or not (is_address or _HOST_NAME.fullmatch(host)):
        raise InvalidInputError(
            subject, "this is no URL of an application", "Write it like https://app.example.org:8443 or unix:/run/app"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise InvalidInputError(
            subject,
            "there is more in it than a scheme, a host and a port",
            "Leave the rest out; the path that the visitor asked for is passed on as it is",
        )
    written = f"[{host}]" if ":" in host else host
    return parts.scheme, host, written if port is None else f"{written}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    # A zone, for which ipaddress takes whatever stands behind the percent sign.
    return "%" not in host


def _verification(where: str, url: str, host: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return how TLS to an upstream is verified: always, unless that is switched off."""
    is_verified = given.get("tls_verify", True)
    server_name = given.get("tls_server_name") or ("" if _is_address(host) else host)
    if not isinstance(server_name, str) or not (_HOST_NAME.fullmatch(server_name) or not server_name):
        raise InvalidInputError(f"{where}: tls_server_name {server_name!r}", "this is no host name", "Correct it")
    if is_verified and not server_name:
        raise InvalidInputError(
            f"{where}: upstream url {url!r}",
            "an address has no name that its certificate could be checked against",
            "Set tls_server_name, or tls_verify to false",
        )
    ca_file = absolute_path(where, "ca_file", given.get("ca_file") or DISTRIBUTION_CA_FILE)
    return {
        "tls": True,
        "tls_verify": bool(is_verified),
        "tls_server_name": server_name,
        "ca_file": ca_file if is_verified else "",
    }


def redirect(where: str, target: object, code: object) -> dict[str, Any]:
    """Return where a site sends its visitors: ``url``, ``code``, and ``keeps_path``.

    A target without a path gets what the visitor asked for behind it. Raises InvalidInputError for what is no URL.
    """
    try:
        parts = urlsplit(target) if isinstance(target, str) and _URL.fullmatch(target) else None
    except ValueError:
        parts = None
    if parts is None:
        raise InvalidInputError(
            f"{where}: redirect_to {target!r}", "this is no URL", "Write it like https://www.example.org"
        )
    if code not in REDIRECT_CODES:
        raise InvalidInputError(
            f"{where}: redirect_code {code!r}",
            "this is no status of a redirect",
            f"Use one of {', '.join(str(known) for known in REDIRECT_CODES)}",
        )
    return {"url": target, "code": code, "keeps_path": not (parts.path or parts.query or parts.fragment)}
