# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep each visitor with their session: what the application's cookie looks like -> lines for the HAProxy that runs.

HAProxy 1.5 had ``appsession`` for this; since 1.6 it is stick tables and rules. This is the entry to the parts:
``session`` is the model, ``classic`` the old line, ``rules`` the new ones, ``legacy`` whole old configurations, and
``capacity`` what a table takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import classic, rules, session
from ansible_collections.ringmaster.webops.plugins.module_utils.sticky.session import AppSession, refuse_unless

# Where appsession ends, and where everything begins that the rules are made of.
_RULES_ALONE = (1, 6)
_RULES_COMPLETE = (2, 2)
# HAProxy's manual, section 4: names of proxies.
_PROXY_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


def parse_session(given: object, *, failover: str | None = None, classic_defaults: bool = False) -> AppSession:
    """Read HAProxy 1.5's line, or the mapping that :func:`session.from_mapping` describes.

    ``failover`` overrides what is given or, for a line, ``return``. ``classic_defaults`` has a mapping mean what a line
    means where it says nothing. Raises InvalidInputError for whatever is wrong with either.
    """
    if isinstance(given, Mapping):
        return session.from_mapping(given, failover=failover, classic=classic_defaults)
    found = classic.parse(given)
    if failover is None or failover == found.failover:
        return found
    said: dict[str, Any] = session.as_mapping(found)
    # With another failover the line says nothing of these two.
    kept = {key: value for key, value in said.items() if key not in ("hash_keys", "ignore_ids")}
    return session.from_mapping(kept, failover=failover, classic=True)


def backend_lines(
    given: object,
    *,
    haproxy_version: str,
    backend: str,
    failover: str | None = None,
    peers: str | None = None,
    holds: bool = False,
) -> list[str]:
    """Return the lines that keep sessions, in order, without indentation, to stand in ``backend`` before its servers.

    ``given`` and ``failover`` are as in :func:`parse_session`. From 2.2 on the backend's own stick table carries the
    backend's name, and ``peers`` names the section that hands the table on to the next process at a reload; without it
    a reload forgets every session. ``holds`` is whether HAProxy has loaded the role's ``hold.lua``, for which there are
    rules then. Below 1.6 it is the line itself, whatever these two say.

    Raises InvalidInputError for what the version cannot do (from 1.6 to 2.1 that is all) and for names that are none.
    """
    version = _version(haproxy_version)
    found = parse_session(given, failover=failover, classic_defaults=version < _RULES_ALONE)
    table = _proxy_name(backend, "backend")
    section = _proxy_name(peers, "peers") if peers else None
    if version < _RULES_ALONE:
        return classic.render(found)
    _refuse_incomplete_rules(found, version, haproxy_version)
    return rules.render(found, table=table, peers=section, holds=holds)


def _refuse_incomplete_rules(found: AppSession, version: tuple[int, int], said: str) -> None:
    """Refuse the versions that have no appsession any more and not yet what the rules need, and say what that is."""
    needs_quotes = found.prefix or found.mode != "none"
    lacking = [
        (needs_quotes, (2, 2), "quotes within arguments, for prefix and mode (2.2)"),
        (found.hash_keys, (2, 1), "digests, for hash_keys (2.1)"),
        (True, (2, 0), "names of servers in the table, which keep sessions when servers are re-ordered (2.0)"),
        (True, (2, 2), "localpeer, which keeps the table over a reload (2.2)"),
    ]
    named = [what for applies, since, what in lacking if applies and version < since]
    refuse_unless(
        version >= _RULES_COMPLETE, f"haproxy_version {said!r}",
        f"appsession is gone since 1.6, and what keeps sessions in its place needs 2.2 or newer; it lacks"
        f" {'; '.join(named)}",
        "Upgrade HAProxy; Debian 11 and newer have it",
    )  # fmt: skip


def _proxy_name(name: object, what: str) -> str:
    """Return the name of a section of HAProxy's configuration if it is one."""
    if not isinstance(name, str) or not _PROXY_NAME.fullmatch(name):
        raise InvalidInputError(
            f"{what} {name!r}",
            "a name in HAProxy is made of letters, digits and -_.:",
            "Rename it",
        )
    return name


def _version(version: object) -> tuple[int, int]:
    """Return the version's first two numbers."""
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,4})(?![0-9])", version) if isinstance(version, str) else None
    if found is None:
        raise InvalidInputError(
            f"haproxy_version {version!r}",
            "this is not a version",
            "Give the number that `haproxy -v` prints, in quotes, such as '3.0.11'",
        )
    return int(found.group(1)), int(found.group(2))
