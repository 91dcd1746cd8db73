# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HAProxy's backends are: as they were asked for -> as the template writes them, and whether sessions are kept.

Pure functions; the sentences about what cannot be are here. Source: HAProxy's configuration manual, sections 4.2
(``cookie``, ``option persist``, ``stick-table``) and 5.2 (``server``: ``backup``, ``non-stick``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import appsession, capacity
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.rules import tags
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import AppSession
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.upstreams import DISTRIBUTION_CA_FILE


@dataclass(frozen=True)
class Surroundings:
    """What a backend stands in.

    ``groups`` are those of the inventory; ``peers`` is the name of the section that hands tables on; ``rate_limits``
    and ``defaults_extra`` are the role's variables; ``haproxy_version`` is None while the host has not been asked;
    ``holds`` is whether that HAProxy loads ``hold.lua``, which is among the role's files.
    """

    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    peers: str = "ringmaster"
    rate_limits: Mapping[str, Any] = field(default_factory=dict)
    defaults_extra: Sequence[str] = ()
    haproxy_version: str | None = None
    holds: bool = False


@dataclass(frozen=True)
class Backend:
    """A backend for the template, and what a person should know about it."""

    written: dict[str, Any]
    warnings: list[str]


def decide_backend(backend: Mapping[str, Any], around: Surroundings) -> Backend:
    """Return a backend as it was given, with ``session_lines``, and with ``servers`` for the template.

    Each of ``servers`` has ``name``, ``address`` (None where it is a variable of the host with that name), ``port`` and
    ``parameters``. ``session_lines`` are empty while HAProxy's version is not known; they come after ``acls``, the ACLs
    among the lines in ``extra``, because conditions of the session may name them. Raises InvalidInputError for what
    cannot be configured, and for what would not keep the sessions that it is to keep.
    """
    where = f"haproxy_backends, entry {backend['name']}"
    _check_servers(where, backend, around.groups)
    keeps_sessions = backend.get("app_session") is not None
    servers = [_server(one, keeps_sessions) for one in _given_servers(backend, around.groups)]
    lines, warnings = _session(where, backend, around) if keeps_sessions else ([], [])
    extra = list(backend.get("extra") or ())
    acls = [line for line in extra if line.split()[:1] == ["acl"]]
    others = [line for line in extra if line not in acls]
    return Backend({**backend, "servers": servers, "acls": acls, "session_lines": lines, "extra": others}, warnings)


# --- servers


def _check_servers(where: str, backend: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> None:
    group = backend.get("servers_group")
    if group is not None and group not in groups:
        raise InvalidInputError(f"{where}: servers_group {group}", "the inventory has no such group", "Correct it")
    if group is not None and "server" not in backend:
        raise InvalidInputError(where, "servers_group needs server, which says at least the port", "Add server")
    names = [server["name"] for server in _given_servers(backend, groups)]
    if not names or len(set(names)) < len(names):
        raise InvalidInputError(
            f"{where}: servers {', '.join(names) or 'none'}",
            "it needs one at least, each with a name of its own",
            "Correct servers or servers_group",
        )


def _given_servers(backend: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Iterator[Mapping[str, Any]]:
    """Yield the servers, those of the group first; these have no address of their own."""
    group = backend.get("servers_group")
    for host in groups[group] if group is not None else ():
        yield {**backend["server"], "name": host, "address": None}
    yield from backend.get("servers") or ()


def _server(server: Mapping[str, Any], keeps_sessions: bool) -> dict[str, Any]:
    words = ["check"]
    if server.get("tls") is not None:
        words += _tls_words(server["name"], server["tls"])
    if server.get("weight") is not None:
        words.append(f"weight {server['weight']}")
    if server.get("backup"):
        # Who came to it while the others were away must not be kept there when they are back.
        words += ["backup", *(["non-stick"] if keeps_sessions else [])]
    if server.get("extra"):
        words.append(server["extra"])
    address, port = server.get("address"), server.get("port")
    return {"name": server["name"], "address": address, "port": port, "parameters": " ".join(words)}


def _tls_words(server: str, tls: Mapping[str, Any]) -> list[str]:
    name = str(tls.get("server_name") or "{name}").replace("{name}", server)
    verification = f"verify required ca-file {tls.get('ca_file') or DISTRIBUTION_CA_FILE} verifyhost {name}"
    return [
        "ssl",
        verification if tls.get("verify", True) else "verify none",
        f"sni str({name})",
        f"alpn {','.join(tls.get('alpn') or ['http/1.1'])}",
        f"check-ssl check-sni {name}",
    ]


# --- sessions


def _session(where: str, backend: Mapping[str, Any], around: Surroundings) -> tuple[list[str], list[str]]:
    """Return the lines that keep sessions, and warnings; refuse what would not keep them."""
    _refuse_other_modes(where, backend, around.defaults_extra)
    _refuse_a_second_table(where, backend)
    _refuse_sticky_backups(where, backend, around.groups)
    session = appsession.parse_session(backend["app_session"])
    # What limits request_learn is known here alone.
    usual = [f"{where}: {said.rstrip('.')}." for said in capacity.warnings(replace(session, request_learn=False))]
    warnings = [
        *_rivals(where, backend),
        *_unseated(where, session, around),
        *usual,
    ]
    if around.haproxy_version is None:
        return [], warnings
    lines = appsession.backend_lines(
        backend["app_session"],
        haproxy_version=around.haproxy_version,
        backend=backend["name"],
        peers=around.peers,
        holds=around.holds,
    )
    return [*lines, *_limit_lines(backend["name"], session, around)], warnings


def _lines(backend: Mapping[str, Any]) -> list[list[str]]:
    """Return the words of the lines that were written by hand."""
    return [line.split() for line in backend.get("extra") or () if line.strip()]


def _refuse_other_modes(where: str, backend: Mapping[str, Any], defaults_extra: Sequence[str]) -> None:
    defaults = [line.split() for line in defaults_extra]
    modes = [words[1] for words in (*defaults, *_lines(backend)) if words[:1] == ["mode"] and len(words) > 1]
    if modes and modes[-1] != "http":
        raise InvalidInputError(
            f"{where}: app_session with mode {modes[-1]}",
            "HAProxy sees cookies in mode http only",
            f"Take the line `mode {modes[-1]}` out, or app_session",
        )


def _refuse_a_second_table(where: str, backend: Mapping[str, Any]) -> None:
    if any(words[0] == "stick-table" for words in _lines(backend)):
        raise InvalidInputError(
            f"{where}: app_session with a line stick-table",
            "a backend has one table, and app_session brings it",
            "Put the other table into a backend of its own, and name that in its rules",
        )


def _refuse_sticky_backups(where: str, backend: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> None:
    defaults = {word for words in _lines(backend) if words[0] == "default-server" for word in words}
    for server in _given_servers(backend, groups):
        words = {*defaults, *str(server.get("extra") or "").split()}
        if "backup" in words and "non-stick" not in words:
            raise InvalidInputError(
                f"{where}: server {server['name']} is a backup without non-stick",
                "who comes to it while the others are away would be kept there when they are back",
                "Write `backup: true` for the server, or add non-stick to its extra",
            )


def _rivals(where: str, backend: Mapping[str, Any]) -> list[str]:
    """Warn about lines that have a word in where a visitor goes."""
    found = []
    for words in _lines(backend):
        if words[0] == "cookie":
            found.append(
                f"{where}: `{' '.join(words)}` beside app_session. Where they disagree HAProxy follows this"
                " cookie, which knows nothing of the session. Take one of them out."
            )
        if words[:2] == ["option", "persist"]:
            found.append(
                f"{where}: `option persist` beside app_session sends visitors to the server of their session even while"
                " it is down. Take the line out."
            )
    return found


def _unseated(where: str, session: AppSession, around: Surroundings) -> list[str]:
    if not session.request_learn or _limit(around):
        return []
    return [
        f"{where}: app_session.request_learn learns whatever id a visitor sends, so that one visitor who invents ids"
        " can fill the table and unseat the sessions of all others. Leave it out (ids are learnt from the application's"
        " answers, and survive reloads), or set haproxy_rate_limits.new_session_ids_per_minute, such as 60."
    ]


def _limit(around: Surroundings) -> int:
    return int(around.rate_limits.get("new_session_ids_per_minute") or 0)


def _limit_lines(name: str, session: AppSession, around: Surroundings) -> list[str]:
    """Return the rules that refuse an address that comes with too many ids that nobody knows.

    The address is tracked by the frontend (counter 2). What is refused is not learnt.
    """
    if not session.request_learn or not _limit(around):
        return []
    lines = []
    for sent in (f"txn.{tag}" for tag in tags(session)):
        is_new = f"{{ var({sent}) -m found }} !{{ var({sent}),in_table({name}) }}"
        if session.ignored_conditions:
            is_new += " !sid_off"
        lines += [
            f"http-request sc-inc-gpc0(2) if {is_new}",
            f"http-request deny deny_status 429 if {is_new} {{ sc_gpc0_rate(2) gt {_limit(around)} }}",
        ]
    return lines
