# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the sites of a web server are: as they were asked for -> as the templates of nginx and Apache write them.

Pure functions. The sentences about what cannot be are here, so that both roles say the same; templates only write.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.mozilla import profile_named
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import (
    headers,
    site_certificates,
    upstreams,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RELEASE_DIRECTORIES = {"nginx": "/etc/nginx/ringmaster/current", "apache": "/etc/apache2/ringmaster/current"}
"""Server -> the directory by which a configuration refers to its own files."""
KINDS = {"static": {"root"}, "php_fpm": {"root"}, "reverse_proxy": {"upstream"}, "redirect": {"redirect_to"}}
"""Kind of a site -> the keys that it needs, and other kinds do not have."""
_COMMON_KEYS = frozenset(
    (
        "name",
        "server_names",
        "certificate",
        "kind",
        "tls_profile",
        "hsts_stage",
        "security_headers",
        "locations",
        "extra",
    )
)
_OPTIONAL_KEYS = {"static": {"content"}, "php_fpm": {"content"}, "reverse_proxy": set(), "redirect": {"redirect_code"}}
_LOCATION_KEYS = {"path", "headers", "extra"}
# Labels of a host name; the underscore is no part of one, and yet in use. A wildcard stands at one of the ends.
_SERVER_NAME = re.compile(r"(?:\*\.|\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:\.\*)?")
_SERVER_NAME_MAX = 253
_LOCATION_PATH = re.compile(r"/[^\x00-\x20\x7f\"\\${};]*")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Settings:
    """What holds for all sites of a server: the role's variables, without its prefix."""

    sites: Sequence[Mapping[str, Any]]
    tls_profile: str = "intermediate"
    hsts_stage: str = "observe"
    hsts_include_subdomains: bool = False
    hsts_preload: bool = False
    security_headers: Mapping[str, object] = field(default_factory=dict)
    addresses: Sequence[str] = ("0.0.0.0", "[::]")
    http_port: int = 80
    https_port: int = 443
    certificate_directory: str = "/etc/ssl/ringmaster"


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return the settings in a dictionary; what is not in it has its default, what is unknown here is not looked at."""
    if not isinstance(given, dict) or not isinstance(given.get("sites"), (list, tuple)):
        raise InvalidInputError("settings", "there are no sites in them", "Give a dictionary with the list sites")
    known = {one.name for one in fields(Settings)}
    settings = Settings(**{key: value for key, value in given.items() if key in known})
    if settings.http_port == settings.https_port:
        raise InvalidInputError(
            f"http_port and https_port {settings.http_port}", "one port cannot be both", "Give one of them another"
        )
    return settings


def decide_sites(given: Mapping[str, Any], *, server: str, info: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what the templates and ``webserver_config`` need; its shape is documented with the filter webserver_sites.

    ``given`` are the settings, ``info`` is the result of ``webserver_info``; without it nothing is known of the
    certificates, so HSTS is held back. Raises InvalidInputError for anything that cannot be configured.
    """
    if server not in RELEASE_DIRECTORIES:
        known = ", ".join(RELEASE_DIRECTORIES)
        raise InvalidInputError(f"server {server!r}", "it is not known", f"Choose one of {known}")
    settings = read_settings(given)
    variable = f"{server}_sites"
    _check_uniqueness(variable, settings.sites)
    listeners = _listeners(variable, settings)
    decided = [_site(variable, site, settings, server, info) for site in settings.sites]
    profile = _socket_profile(variable, decided, settings) if server == "nginx" else settings.tls_profile
    result = _collected(decided, settings, listeners)
    if info is None:
        result["warnings"] = []
    else:
        result["warnings"] += _foreign_protocols(server, info)
    result.update(tls_profile=profile, listeners=listeners)
    _keep_request_headers_apart(result, server)
    return _with_nginx_headers(result) if server == "nginx" else result


@dataclass(frozen=True)
class _Decided:
    """A site for the templates, and what it contributes to the rest."""

    site: dict[str, Any]
    certificates: site_certificates.Served
    certificate_paths: list[str]
    warnings: list[str]


def _where(variable: str, site: Mapping[str, Any]) -> str:
    return f"{variable}, entry {site.get('name', '(without a name)')}"


def _check_uniqueness(variable: str, sites: Sequence[Mapping[str, Any]]) -> None:
    """Refuse sites that cannot be told apart: by their own name, and by those that visitors ask for."""
    seen: set[str] = set()
    for site in sites:
        where = _where(variable, site)
        name = site.get("name")
        if not isinstance(name, str) or not site_certificates.NAME_PATTERN.fullmatch(name) or name in seen:
            raise InvalidInputError(
                where,
                "a site needs a name of its own, of letters, digits, dots, dashes and underscores",
                "Correct the entry",
            )
        seen.add(name)
    owners: dict[str, str] = {}
    for site in sites:
        for server_name in server_names(_where(variable, site), site.get("server_names")):
            other = owners.setdefault(server_name.lower(), site["name"])
            if other != site["name"]:
                raise InvalidInputError(
                    _where(variable, site), f"the site {other} has the server name {server_name} too", "Keep it in one"
                )


def server_names(where: str, given: object) -> list[str]:
    """Return the names of a site, each once; ``.example.org`` stands for ``example.org`` and all names below it.

    Raises InvalidInputError for what is no name, and for no name at all.
    """
    if not isinstance(given, (list, tuple)) or not given:
        raise InvalidInputError(f"{where}: server_names {given!r}", "a site needs one at least", "Name one")
    names: dict[str, str] = {}
    for name in given:
        if not isinstance(name, str) or len(name) > _SERVER_NAME_MAX or not _SERVER_NAME.fullmatch(name):
            raise InvalidInputError(
                f"{where}: server name {name!r}", "this is no host name (* at either end is fine)", "Correct it"
            )
        for one in (name[1:], f"*{name}") if name.startswith(".") else (name,):
            names.setdefault(one.lower(), one)
    return list(names.values())


def _site(
    variable: str, site: Mapping[str, Any], settings: Settings, server: str, info: Mapping[str, Any] | None
) -> _Decided:
    where = _where(variable, site)
    kind = _checked_kind(where, site)
    names = server_names(where, site["server_names"])
    wanted = site_certificates.references(where, site.get("certificate"), settings.certificate_directory)
    known = {} if info is None else info["certificates"]
    certificates = site_certificates.served(where, wanted, known, RELEASE_DIRECTORIES[server])
    hsts, warnings = _hsts(where, site, settings, certificates, names)
    security_headers = (settings.security_headers, site.get("security_headers") or {})
    decided = {
        "name": site["name"],
        "kind": kind,
        "server_names": names,
        "primary_name": _host_for(names),
        "certificates": certificates.certificates,
        "tls_profile": profile_named(site.get("tls_profile", settings.tls_profile)).name,
        "hsts": hsts,
        "headers": headers.merged_headers(where, *security_headers),
        "stapling": bool(certificates.facts) and all(one["ocsp_responder"] for one in certificates.facts),
        **_answers(where, kind, site),
        "locations": _locations(where, site.get("locations") or [], security_headers),
        "extra": list(site.get("extra") or []),
    }
    return _Decided(decided, certificates, [one.path for one in wanted], warnings)


def _hsts(
    where: str,
    site: Mapping[str, Any],
    settings: Settings,
    certificates: site_certificates.Served,
    names: Sequence[str],
) -> tuple[str, list[str]]:
    """Return the value of Strict-Transport-Security for a site, and a warning where it is held back."""
    value, held_back = headers.transport_security(
        site.get("hsts_stage", settings.hsts_stage),
        include_subdomains=settings.hsts_include_subdomains,
        preload=settings.hsts_preload,
        obstacles=headers.trust_obstacles(certificates.facts, names) if certificates.facts else ["no certificate yet"],
    )
    warning = f"{where}: Strict-Transport-Security is held back, because browsers would lock the site: {held_back}."
    return value, [warning] if held_back else []


def _answers(where: str, kind: str, site: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a site answers with, by its kind; what is not of its kind is empty."""
    answers: dict[str, Any] = {"root": "", "upstream": None, "redirect": None}
    if kind == "reverse_proxy":
        answers["upstream"] = upstreams.upstream(where, site["upstream"])
    elif kind == "redirect":
        answers["redirect"] = upstreams.redirect(where, site["redirect_to"], site.get("redirect_code", 308))
    else:
        answers["root"] = site_certificates.absolute_path(where, "root", site["root"])
    return answers


def _checked_kind(where: str, site: Mapping[str, Any]) -> str:
    """Return the kind of a site, or say which of its keys is missing or belongs to another kind."""
    kind = site.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidInputError(f"{where}: kind {kind!r}", "it is not known", f"Choose one of {', '.join(KINDS)}")
    for key in sorted(KINDS[kind] - set(site)):
        raise InvalidInputError(where, f"a site of the kind {kind} needs {key}", f"Add {key}")
    for key in sorted(set(site) - _COMMON_KEYS - _OPTIONAL_KEYS[kind] - KINDS[kind]):
        raise InvalidInputError(f"{where}: {key}", f"a site of the kind {kind} has no such key", "Take it out")
    return kind


def _locations(
    where: str, given: Sequence[Mapping[str, Any]], security_headers: Sequence[Mapping[str, object]]
) -> list[dict[str, Any]]:
    locations: dict[str, dict[str, Any]] = {}
    for one in given:
        location = _location(where, one, security_headers)
        if locations.setdefault(location["path"], location) is not location:
            raise InvalidInputError(f"{where}: location {location['path']}", "there are two of it", "Make them one")
    return list(locations.values())


def _location(where: str, given: Mapping[str, Any], security_headers: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    path = given.get("path")
    if not isinstance(path, str) or not _LOCATION_PATH.fullmatch(path):
        raise InvalidInputError(
            f"{where}: location {path!r}",
            "this is no path, which begins with / and has no spaces, quotes and braces",
            "Correct it; raw lines can do more",
        )
    for key in sorted(set(given) - _LOCATION_KEYS):
        raise InvalidInputError(f"{where}: location {path}: {key}", "a location has no such key", "Take it out")
    own = headers.merged_headers(f"{where}: location {path}", *security_headers, given.get("headers") or {})
    return {"path": path, "headers": own, "extra": list(given.get("extra") or [])}


def _host_for(names: Sequence[str]) -> str:
    """Return a host name that the site answers for: the first without a wildcard, or one that a wildcard covers."""
    concrete = [name for name in names if "*" not in name]
    if concrete:
        return concrete[0]
    return names[0].replace("*.", "www.", 1) if names[0].startswith("*.") else names[0].replace(".*", ".invalid")


def _listeners(variable: str, settings: Settings) -> list[dict[str, Any]]:
    """Return every socket, with addresses as the kernel writes them."""
    listeners = []
    for given in settings.addresses:
        try:
            # Without the zone that ipaddress would take: whatever stands behind a percent sign.
            address = str(ipaddress.ip_address(given.strip("[]").replace("%", "no zone")))
        except ValueError as error:
            raise InvalidInputError(
                f"{variable.replace('_sites', '_addresses')}: {given!r}",
                "this is no address",
                "Use addresses of the host, IPv6 in brackets, or 0.0.0.0 and [::] for all",
            ) from error
        listeners += [{"address": address, "port": port} for port in (settings.http_port, settings.https_port)]
    if not listeners:
        raise InvalidInputError(f"{variable.replace('_sites', '_addresses')} []", "nobody could connect", "Name one")
    return listeners


def _socket_profile(variable: str, decided: Sequence[_Decided], settings: Settings) -> str:
    """Return the TLS profile of nginx's sockets, or say which sites disagree.

    The default server of a socket decides protocols and groups for every site on it (ngx_http_ssl_module, before
    1.29.2 without exception), and all sites share all sockets.
    """
    first: dict[str, str] = {}
    for one in decided:
        first.setdefault(one.site["tls_profile"], one.site["name"])
    if len(first) > 1:
        (profile, site), (other_profile, other_site) = list(first.items())[:2]
        raise InvalidInputError(
            f"{variable}: tls_profile of {site} is {profile}, of {other_site} {other_profile}",
            "they share a socket, for which nginx has one policy only",
            "Give them the same, or serve one of them from another host",
        )
    return next(iter(first), settings.tls_profile)


def _collected(
    decided: Sequence[_Decided], settings: Settings, listeners: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Put together what the sites contribute: files once each, names, endpoints to measure, warnings."""
    files = {one["path"]: one for site in decided for one in site.certificates.files}
    address = listeners[0]["address"]
    return {
        "sites": [one.site for one in decided],
        "files": list(files.values()),
        "endpoints": [
            {
                "server_name": one.site["primary_name"],
                "address": _WILDCARDS.get(address, address),
                "port": settings.https_port,
                "certificates": [each["release_path"] or each["fullchain"] for each in one.certificates.certificates],
            }
            for one in decided
        ],
        "names": sorted({name.lower() for one in decided for name in one.site["server_names"]}),
        "certificate_paths": sorted({path for one in decided for path in one.certificate_paths}),
        "missing_certificates": sorted({path for one in decided for path in one.certificates.missing}),
        "warnings": [warning for one in decided for warning in one.warnings],
    }


def _foreign_protocols(server: str, info: Mapping[str, Any]) -> list[str]:
    """Say where somebody else's configuration sets TLS protocols: nginx adds them up, and Apache's last one wins."""
    found = info.get("foreign_tls_protocols") or []
    places = ", ".join(f"{one['file']}:{one['line']} ({one['value']})" for one in found)
    effect = "nginx adds them to ours" if server == "nginx" else "they may replace ours"
    return [f"TLS protocols are set by somebody else too: {places}. {effect}; remove these lines."] if found else []


def _keep_request_headers_apart(result: dict[str, Any], server: str) -> None:
    """Move what applications are told beside the visitor's request into files that only root reads.

    A value may be a secret, such as the password of an application, so no template has it: ``header_names`` of an
    upstream are lower case, and ``headers_file`` is to be included, empty where there is none.
    """
    for site in result["sites"]:
        if not site["upstream"]:
            continue
        given = site["upstream"].pop("headers")
        path = f"request-headers/{site['name']}.conf"
        site["upstream"].update(
            header_names=[header["name"].lower() for header in given],
            headers_file=f"{RELEASE_DIRECTORIES[server]}/{path}" if given else "",
        )
        if given:
            content = headers.request_header_lines(server, given)
            result["files"].append({"path": path, "content": content, "mode": "0600", "sensitive": True})


def _with_nginx_headers(result: dict[str, Any]) -> dict[str, Any]:
    """Add what nginx needs because a ``location`` with headers of its own loses all others.

    The headers of a site, and of each of its locations, are a file of the release that the ``server`` or ``location``
    includes. Each value of HSTS has a variable that is empty over http.
    """
    values = list(dict.fromkeys(site["hsts"] for site in result["sites"] if site["hsts"]))
    variables = {value: f"$ringmaster_hsts_{number}" for number, value in enumerate(values, 1)}
    result["hsts_variables"] = [{"name": name, "value": value} for value, name in variables.items()]
    for site in result["sites"]:
        parts = [(site, f"headers/{site['name']}/site.conf")]
        parts += [
            (location, f"headers/{site['name']}/location-{number}.conf")
            for number, location in enumerate(site["locations"], 1)
        ]
        for part, path in parts:
            part["headers_file"] = f"{RELEASE_DIRECTORIES['nginx']}/{path}"
            content = headers.nginx_header_lines(part["headers"], variables.get(site["hsts"], ""))
            result["files"].append({"path": path, "content": content, "mode": "0644"})
    return result
