# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HAProxy is to do: as it was asked for -> as the template writes it, and what is to be measured.

Backends and peers are decided in files of their own; frontends are here.

Pure functions; the sentences about what cannot be are here. Source: HAProxy's configuration manual, sections 2.2
(quoting), 4.2 (``http-after-response``), 5.1 (``bind``), 8.2.6 (a ``%`` in a log format is written twice).
"""

from __future__ import annotations

import ipaddress
import itertools
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import access_log, headers, policy
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_backends import (
    Backend,
    Surroundings,
    decide_backend,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_peers import Peers, decide_peers
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_preflight import check_together
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_reloads import Needs, reload_needs
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.site_certificates import NAME_PATTERN

RELEASE_DIRECTORY = "/etc/haproxy/ringmaster/current"
_CERTIFICATE_DIRECTORY = "certificates"
_LOOPBACKS = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
# What needs no quotes (section 2.2).
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_.+@:,/-]*")
# A name of a certificate (perhaps with a wildcard), or an address.
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]+")
_PREFERS_CLIENTS = "prefer-client-ciphers"
# The oldest HAProxy that knows every word of the JSON log (`host_only` came with 2.5, `log-format-sd` with 1.7).
_JSON_LOG_MINIMUM = (2, 6)
# Ends the JSON within a record: it is the one character that no value holds unescaped and no header of syslog has.
_JSON_END = "\t"


@dataclass(frozen=True)
class Settings:
    """What holds for all frontends: the role's variables, without its prefix.

    ``load_balancers`` are the addresses of the group that the host is in, by name; ``host`` is the host's own name.
    ``host_variables`` has the variables of each host of the inventory, which servers of a group get their address from.
    """

    frontends: Sequence[Mapping[str, Any]]
    backends: Sequence[Mapping[str, Any]] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    host_variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    own_listeners: Sequence[Mapping[str, Any]] = ()
    host: str = "localhost"
    load_balancers: Mapping[str, str] = field(default_factory=dict)
    peers: Mapping[str, Any] = field(default_factory=dict)
    rate_limits: Mapping[str, Any] = field(default_factory=dict)
    global_extra: Sequence[str] = ()
    defaults_extra: Sequence[str] = ()
    memory_bytes: int = 0
    tls_profile: str = "intermediate"
    hsts_stage: str = "observe"
    hsts_include_subdomains: bool = False
    hsts_preload: bool = False
    security_headers: Mapping[str, object] = field(default_factory=dict)
    certificate_directory: str = "/etc/ssl/ringmaster"
    json_access_log: bool = True
    anonymise_clients: bool = False


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return the settings in a dictionary; what is not in it has its default, what is unknown here is not looked at."""
    known = {one.name for one in fields(Settings)}
    return Settings(**{key: value for key, value in given.items() if key in known})


def decide_frontends(given: Mapping[str, Any], *, info: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what the template and ``webserver_config`` need; documented with the filter haproxy_frontends.

    ``given`` are the settings, ``info`` is the result of ``webserver_info``: without it only ``certificate_paths`` is
    of use. Raises InvalidInputError for anything that cannot be configured.
    """
    settings = read_settings(given)
    _check_names("haproxy_backends", settings.backends)
    _check_names("haproxy_frontends", settings.frontends)
    peers = decide_peers(settings.peers, settings.host, settings.load_balancers)
    needs = reload_needs(RELEASE_DIRECTORY, settings.backends, settings.global_extra, info)
    around = Surroundings(
        settings.groups,
        peers.name,
        settings.rate_limits,
        settings.defaults_extra,
        info["version"] if info is not None else None,
        bool(needs.files),
    )
    backends = [decide_backend(backend, around) for backend in settings.backends]
    headers.transport_security(
        settings.hsts_stage,
        include_subdomains=settings.hsts_include_subdomains,
        preload=settings.hsts_preload,
        obstacles=(),
    )
    decided = [_frontend(frontend, settings, info) for frontend in settings.frontends]
    result = _collected(decided, backends, peers, settings, needs)
    if info is not None:
        result["global_lines"] = [*_global_lines(settings, decided, info), *needs.lines]
        _add_known_names(result["frontends"], decided)
    return result


# --- what cannot be


def _check_names(variable: str, entries: Iterable[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name) or name in seen:
            raise InvalidInputError(
                f"{variable}, entry {name!r}",
                "it needs a name of its own, of letters, digits, dots, dashes and underscores",
                "Correct the entry",
            )
        seen.add(name)


def _check_frontend(where: str, frontend: Mapping[str, Any], backends: Sequence[Mapping[str, Any]]) -> None:
    if not frontend.get("binds"):
        raise InvalidInputError(where, "nobody could connect", "Give it a bind at least")
    known = [backend["name"] for backend in backends]
    wanted = [choice["backend"] for choice in frontend.get("use_backends") or ()]
    for name in [*wanted, *([frontend["default_backend"]] if frontend.get("default_backend") else [])]:
        if name not in known:
            raise InvalidInputError(
                f"{where}: backend {name}",
                f"haproxy_backends defines {', '.join(known) or 'none'}",
                "Define it there, or correct the name",
            )


# --- frontends


@dataclass(frozen=True)
class _Certificate:
    """One that a bind names: ``path`` is what ``webserver_info`` is asked about, ``facts`` what it said."""

    path: str
    files: list[dict[str, Any]]
    crt_paths: list[str]
    release_paths: list[str]
    facts: list[Mapping[str, Any]]

    @property
    def names(self) -> list[str]:
        """The names it is for, as visitors may ask for them; a file may also say what can be no host's."""
        every = dict.fromkeys(str(name).lower() for one in self.facts for name in one["names"] or ())
        return [name for name in every if _HOST.fullmatch(name)]


@dataclass(frozen=True)
class _Frontend:
    """A frontend for the template, and what it contributes to the rest."""

    written: dict[str, Any]
    binds: list[tuple[Mapping[str, Any], list[_Certificate]]]
    profiles: list[str]
    warnings: list[str]

    @property
    def certificates(self) -> list[_Certificate]:
        return [certificate for _bind, certificates in self.binds for certificate in certificates]


def _frontend(frontend: Mapping[str, Any], settings: Settings, info: Mapping[str, Any] | None) -> _Frontend:
    where = f"haproxy_frontends, entry {frontend['name']}"
    _check_frontend(where, frontend, settings.backends)
    binds = [(bind, _certificates(where, bind, settings, info)) for bind in frontend["binds"]]
    tls_binds = [bind for bind, _certificates in binds if bind.get("tls")]
    profiles = [bind.get("tls_profile", settings.tls_profile) for bind in tls_binds]
    hsts, warnings = _hsts(where, binds, settings)
    written = {
        **frontend,
        "has_tls": bool(tls_binds),
        "binds": [_bind_words(bind, certificates, settings, info) for bind, certificates in binds],
        "hsts": hsts,
        "headers": [
            {"name": one["name"], "value": quoted(one["value"])}
            for one in headers.merged_headers(where, settings.security_headers, frontend.get("security_headers") or {})
        ],
        "json_log": _json_log(bool(tls_binds), settings, info),
    }
    return _Frontend(written, binds, profiles, warnings)


def quoted(value: str) -> str:
    """Return a value as one word of HAProxy's in which nothing is expanded: no variable, no log format."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("%", "%%")
    return f'"{escaped}"'


def _certificates(
    where: str, bind: Mapping[str, Any], settings: Settings, info: Mapping[str, Any] | None
) -> list[_Certificate]:
    if not bind.get("tls"):
        return []
    if not bind.get("certificates"):
        raise InvalidInputError(f"{where}: bind {bind['port']}", "TLS needs a certificate", "Name it in certificates")
    return [_certificate(where, str(name), settings, info) for name in bind["certificates"]]


def _certificate(where: str, name: str, settings: Settings, info: Mapping[str, Any] | None) -> _Certificate:
    is_path = name.startswith("/")
    if not is_path and not NAME_PATTERN.fullmatch(name):
        raise InvalidInputError(
            f"{where}: certificate {name!r}", "it is neither the name of a certificate nor a path", "Correct it"
        )
    path = _plain_path(where, name) if is_path else posixpath.join(settings.certificate_directory, name)
    facts = [one for one in (info or {}).get("certificates", {}).get(path, ()) if one["exists"]]
    if is_path:
        return _Certificate(path, [], [path], [], facts)
    files, release_paths = [], []
    for one in facts:
        release_path = f"{_CERTIFICATE_DIRECTORY}/{name}{_key_suffix(one['fullchain'])}.pem"
        release_paths.append(release_path)
        # HAProxy looks for the key of www.pem in www.pem.key.
        files.append({"path": release_path, "remote_src": one["fullchain"], "mode": "0644"})
        key = {"path": f"{release_path}.key", "remote_src": one["private_key"], "mode": "0600", "sensitive": True}
        files.append(key)
    crt_paths = [posixpath.join(RELEASE_DIRECTORY, each) for each in release_paths]
    return _Certificate(path, files, crt_paths, release_paths, facts)


def _plain_path(where: str, path: str) -> str:
    """Return the path of a certificate that can stand on a ``bind`` line as it is."""
    if not _PLAIN_PATH.fullmatch(path):
        raise InvalidInputError(
            f"{where}: certificate {path!r}",
            "a path can only have letters, digits and the characters _ . - + @ : , /",
            "Give the file another name, or a link to it",
        )
    return path


def _key_suffix(fullchain: str) -> str:
    """Return ``.rsa`` for ``fullchain.rsa.pem``, and nothing for ``fullchain.pem``."""
    stem = posixpath.basename(fullchain).rpartition(".pem")[0]
    return stem[stem.index(".") :] if "." in stem else ""


def _hsts(
    where: str, binds: Sequence[tuple[Mapping[str, Any], list[_Certificate]]], settings: Settings
) -> tuple[str, list[str]]:
    """Return the value of Strict-Transport-Security, and a warning where it is held back."""
    certificates = [one for _bind, several in binds for one in several]
    if not certificates:
        return "", []
    obstacles = [reason for one in certificates for reason in headers.trust_obstacles(one.facts, [])]
    obstacles += [f"{one.path} is not there yet" for one in certificates if not one.facts]
    value, held_back = headers.transport_security(
        settings.hsts_stage,
        include_subdomains=settings.hsts_include_subdomains,
        preload=settings.hsts_preload,
        obstacles=list(dict.fromkeys(obstacles)),
    )
    warning = f"{where}: Strict-Transport-Security is held back, because browsers would lock the site: {held_back}."
    return value, [warning] if held_back else []


# --- lines


def socket_word(address: str, port: int) -> str:
    """Return an address and a port as HAProxy reads them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _bind_words(
    bind: Mapping[str, Any],
    certificates: Sequence[_Certificate],
    settings: Settings,
    info: Mapping[str, Any] | None,
) -> str:
    """Return what follows on ``bind``."""
    words = [socket_word(bind.get("address", "*"), bind["port"])]
    if bind.get("tls"):
        words += ["ssl", *(f"crt {path}" for one in certificates for path in one.crt_paths)]
        words.append(f"alpn {','.join(bind.get('alpn', ['h2', 'http/1.1']))}")
        words += ["strict-sni"] if bind.get("strict_sni", True) else []
        profile = bind.get("tls_profile", settings.tls_profile)
        words += _profile_words(profile, info) if info is not None and profile != settings.tls_profile else []
    return " ".join([*words, *([bind["extra"]] if bind.get("extra") else [])])


def _profile_lines(profile: str, info: Mapping[str, Any], side: str = "bind") -> list[str]:
    return policy.tls_directives(
        profile, server="haproxy", side=side, server_version=info["version"], openssl_version=info["openssl_version"]
    )


def _profile_words(profile: str, info: Mapping[str, Any]) -> list[str]:
    """Return the parameters of a ``bind`` line that mean what the lines of ``global`` mean."""
    words = []
    for line in _profile_lines(profile, info):
        keyword, value = line.split(" ", 1)
        parameter = keyword.replace("ssl-default-bind-", "")
        words.append(value if parameter == "options" else f"{parameter} {value}")
    return words


def _global_lines(settings: Settings, decided: Sequence[_Frontend], info: Mapping[str, Any]) -> list[str]:
    """Return the lines of ``global`` about TLS.

    A ``bind`` line cannot take back ``prefer-client-ciphers``. So where some profile wants the server's preference, the
    default does without, for all: clients get one of the same good suites either way.
    """
    lines = _profile_lines(settings.tls_profile, info)
    others = {profile for one in decided for profile in one.profiles} - {settings.tls_profile}
    if any(_PREFERS_CLIENTS not in " ".join(_profile_lines(profile, info)) for profile in sorted(others)):
        lines = [line.replace(f"{_PREFERS_CLIENTS} ", "") for line in lines]
    return [*lines, *_profile_lines(settings.tls_profile, info, "server")]


def _json_log(tls: bool, settings: Settings, info: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the rules and the line of the JSON log, or None where there is none.

    A frontend has one ``log-format`` for all its targets, which stays that of the usual log. The JSON is the structured
    data of the syslog record (RFC 5424), which only targets of that format get.
    """
    if info is None or not settings.json_access_log or _is_older(info, _JSON_LOG_MINIMUM):
        return None
    described = access_log.haproxy_format(info["version"], tls=tls, anonymise_clients=settings.anonymise_clients)
    text = described.log_format.replace("log-format '", "log-format-sd '", 1)
    return {"rules": described.rules, "line": f"{text[:-1]}{_JSON_END}'"}


def _is_older(info: Mapping[str, Any], minimum: tuple[int, int]) -> bool:
    return policy.parse_version(info["version"], "haproxy") < minimum


# --- servers


def _addressed(backend: Mapping[str, Any], host_variables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a backend with an address for each server: its own, that of the host in the inventory, or its name."""
    variable = (backend.get("server") or {}).get("address_variable", "ansible_host")
    servers = [
        {**one, "address": one["address"] or host_variables.get(one["name"], {}).get(variable) or one["name"]}
        for one in backend["servers"]
    ]
    return {**backend, "servers": servers}


# --- together


def _add_known_names(written: Sequence[dict[str, Any]], decided: Sequence[_Frontend]) -> None:
    """Give each frontend the names that it answers for; none where they are not all known, or any is welcome.

    What only redirects to https answers for the names that https has.
    """
    everywhere = [certificate for one in decided for certificate in one.certificates]
    for frontend, one in zip(written, decided):
        is_open = any(bind.get("tls") and not bind.get("strict_sni", True) for bind, _certificates in one.binds)
        redirects = bool(frontend.get("redirect_to_https"))
        certificates = one.certificates or (everywhere if redirects else [])
        names = list(dict.fromkeys(name for each in certificates for name in each.names))
        are_known = all(each.names for each in certificates) and (frontend["has_tls"] or redirects)
        frontend["known_names"] = [] if is_open or not are_known else [_match_words(name) for name in names]


def _match_words(name: str) -> str:
    """Return HAProxy's condition for a name of a certificate; a wildcard is for one label (RFC 6125, section 6.4.3)."""
    if not name.startswith("*."):
        return f"-m str {name}"
    label = name[1:].replace(".", "\\.")
    return f"-m reg ^[^.]+{label}$"


def _collected(
    decided: Sequence[_Frontend], backends: Sequence[Backend], peers: Peers, settings: Settings, needs: Needs
) -> dict[str, Any]:
    certificates = [certificate for one in decided for certificate in one.certificates]
    files = {file["path"]: file for one in certificates for file in one.files}
    binds = [bind for one in decided for bind, _certificates in one.binds]
    sockets = [*binds, *settings.own_listeners, {"address": peers.address, "port": peers.port}]
    listeners = [_listener(bind.get("address", "*"), bind["port"]) for bind in sockets]
    together = check_together([one.written for one in backends], settings.defaults_extra, settings.memory_bytes)
    own = [*(one.warnings for one in decided), *(one.warnings for one in backends), peers.warnings, needs.warnings]
    return {
        "frontends": [one.written for one in decided],
        "backends": [_addressed(one.written, settings.host_variables) for one in backends],
        "peers": peers.as_dict(),
        "files": [*files.values(), *peers.files, *needs.files],
        "listeners": [dict(pair) for pair in dict.fromkeys(tuple(one.items()) for one in listeners)],
        "endpoints": _endpoints(decided),
        "names": sorted({name for one in certificates for name in one.names}),
        "certificate_paths": sorted({one.path for one in certificates}),
        "missing_certificates": sorted({one.path for one in certificates if not one.facts}),
        "referred_certificates": _referred(certificates),
        "warnings": list(dict.fromkeys(itertools.chain(*own, together))),
    }


def _referred(certificates: Sequence[_Certificate]) -> list[dict[str, str]]:
    """Return the certificates that are no part of a release, each once: a changed digest is a changed configuration."""
    digests = {one.path: str(facts["sha256"]) for one in certificates if not one.files for facts in one.facts}
    return [{"path": path, "sha256": digest} for path, digest in sorted(digests.items())]


def _listener(address: str, port: int) -> dict[str, Any]:
    """Return a socket, with its address as the kernel writes it."""
    if address == "*":
        return {"address": "0.0.0.0", "port": port}
    try:
        return {"address": str(ipaddress.ip_address(address.strip("[]"))), "port": port}
    except ValueError:
        return {"address": address, "port": port}


def _endpoints(decided: Sequence[_Frontend]) -> list[dict[str, Any]]:
    """Return one endpoint for each certificate of each socket, by a name that the certificate is for."""
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for bind, certificates in (pair for one in decided for pair in one.binds):
        address = bind.get("address", "*")
        for certificate in (one for one in certificates if one.names):
            concrete = [name for name in certificate.names if not name.startswith("*.")]
            name = concrete[0] if concrete else certificate.names[0].replace("*.", "www.", 1)
            endpoint = {
                "server_name": name,
                "port": bind["port"],
                "address": _LOOPBACKS.get(address, address),
                "certificates": certificate.release_paths,
            }
            found.setdefault((name, bind["port"], endpoint["address"]), endpoint)
    return list(found.values())
