# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What no backend that keeps sessions can see by itself: the lines of ``defaults``, and the memory that all share.

Pure functions. Source: HAProxy's configuration manual, sections 4.2 (``cookie``, ``option persist``) and 5.2
(``backup``, ``non-stick``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import appsession, capacity


def check_together(
    backends: Sequence[Mapping[str, Any]], defaults_extra: Sequence[str], memory_bytes: int
) -> list[str]:
    """Return what a person should know of decided backends as they stand together.

    ``defaults_extra`` are the operator's lines of ``defaults``; ``memory_bytes`` is that of the host, 0 where nobody
    knows. Raises InvalidInputError for defaults by which a backend would not keep its sessions.
    """
    keeping = [backend for backend in backends if backend.get("app_session") is not None]
    lines = _words(defaults_extra)
    for backend in keeping:
        _refuse_sticky_backups(backend, lines)
    return [*_rivals(keeping, lines), *_too_large(keeping, memory_bytes)]


def _words(lines: Sequence[str]) -> list[list[str]]:
    return [line.split() for line in lines if line.strip()]


def _refuse_sticky_backups(backend: Mapping[str, Any], lines: Sequence[Sequence[str]]) -> None:
    default = {word for words in lines if words[0] == "default-server" for word in words}
    if "backup" not in default:
        return
    own = {word for words in _words(backend["extra"]) if words[0] == "default-server" for word in words}
    for server in backend["servers"]:
        words = {*default, *own, *server["parameters"].split()}
        if not words & {"non-stick", "no-backup"}:
            raise InvalidInputError(
                f"haproxy_defaults_extra: default-server backup, for server {server['name']} of the backend"
                f" {backend['name']}",
                "who comes to it while the others are away would be kept there when they are back",
                "Take backup out of the line and write `backup: true` for the server, or add non-stick to the line",
            )


def _rivals(keeping: Sequence[Mapping[str, Any]], lines: Sequence[Sequence[str]]) -> list[str]:
    """Warn about defaults that have a word in where a visitor goes."""
    found = []
    cookies = [words for words in lines if words[0] == "cookie"]
    if keeping and cookies:
        found.append(
            f"haproxy_defaults_extra: `{' '.join(cookies[-1])}` beside app_session. Where they disagree HAProxy follows"
            " this cookie, which knows nothing of the session. Put it into the backends that have no app_session."
        )
    persisting = [backend["name"] for backend in keeping if _persists([*lines, *_words(backend["extra"])])]
    if persisting and _persists(lines):
        found.append(
            f"haproxy_defaults_extra: `option persist` beside app_session ({', '.join(persisting)}) sends visitors to"
            " the server of their session even while it is down. Take the line out, or write `no option persist` into"
            " the extra of these backends."
        )
    return found


def _persists(lines: Sequence[Sequence[str]]) -> bool:
    options = [words for words in lines if words[-2:] == ["option", "persist"]]
    return bool(options) and options[-1][0] != "no"


def _too_large(keeping: Sequence[Mapping[str, Any]], memory_bytes: int) -> list[str]:
    """Warn where all full tables together would take more than half of the host's memory; they grow bit by bit."""
    needed_bytes = sum(capacity.table_bytes(appsession.parse_session(each["app_session"])) for each in keeping)
    if not memory_bytes or needed_bytes <= memory_bytes / 2:
        return []
    names = ", ".join(each["name"] for each in keeping)
    return [
        f"haproxy_backends: the tables of {names} take {needed_bytes // 2**20} MiB when they are full, and the host has"
        f" {memory_bytes // 2**20} MiB. Give it more memory, or state fewer app_session.sessions."
    ]
