# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is served now and would not be any more: names and listeners, others' and our own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.findings import Findings, named
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener

KEEP, REPLACE = "keep", "replace"
# What a configuration writes where a site has no name.
_NO_NAMES = ("", "_")


def serves(names: Iterable[str], wanted: str) -> bool:
    """Whether one of the names, perhaps with a leading wildcard as the servers know it, is for a name."""
    lower = wanted.lower()
    return any(_covers(name.lower(), lower) for name in names)


def _covers(name: str, wanted: str) -> bool:
    if name.startswith("*."):
        return name == wanted or wanted.endswith(name[1:])
    if name.startswith("."):
        return wanted in (name, name[1:]) or wanted.endswith(name)
    return name == wanted


def vanishing_names(before: Iterable[str], after: Sequence[str]) -> list[str]:
    """Return the names that were served and would not be any more, each once, in their order."""
    return [name for name in dict.fromkeys(before) if name not in _NO_NAMES and not serves(after, name)]


def vanishing_listeners(before: Iterable[Listener], after: Sequence[Listener]) -> list[str]:
    """Return the sockets that were open and would not be any more, as ``address:port``."""
    return [
        _socket_name(each) for each in dict.fromkeys(before) if not any(_takes_over(other, each) for other in after)
    ]


def _takes_over(other: Listener, listener: Listener) -> bool:
    """Whether a socket gets all that another got: the same address, or every address of its family."""
    if other.port != listener.port:
        return False
    if other.address == listener.address:
        return True
    try:
        wide, narrow = ipaddress.ip_address(other.address), ipaddress.ip_address(listener.address)
    except ValueError:
        return False
    return wide.is_unspecified and wide.version == narrow.version


def _socket_name(listener: Listener) -> str:
    return f"[{listener.address}]:{listener.port}" if ":" in listener.address else f"{listener.address}:{listener.port}"


def judge_foreign(
    foreign: Sequence[Mapping[str, Any]],
    take_over: str,
    names: Sequence[str],
    listeners: Sequence[Listener],
    removed: Sequence[str],
    can_keep: bool = True,
) -> Findings:
    """Judge the sites that somebody else configured and that are served now.

    ``foreign`` are the facts of the host: ``file``, ``names``, ``listeners`` of each. Nothing of them may vanish unless
    ``take_over`` is ``replace`` and ``removed`` names it. ``can_keep``: whether the server can serve them beside ours.
    """
    if not foreign:
        return Findings()
    files = named(str(site["file"]) for site in foreign)
    served = _foreign_names(foreign)
    if take_over == KEEP and can_keep:
        twice = [name for name in served if name in names]
        warning = (
            f"{named(twice)}: also defined in {files}, which is kept. Remove it there, or set take_over to replace"
        )
        return Findings(warnings=(warning,) if twice else ())
    if take_over != REPLACE:
        reason = f"{named(served) or 'a site without a name'}: served now by {files}, which is not ours"
        keep = "keep, which leaves it as it is, or to " if can_keep else ""
        remedy = f"Set take_over to {keep}replace"
        return Findings((f"{reason}. {remedy}",))
    sockets = [Listener(str(each["address"]), int(each["port"])) for site in foreign for each in site["listeners"]]
    gone = [*vanishing_names(served, names), *vanishing_listeners(sockets, listeners)]
    unasked = [each for each in gone if each not in removed]
    if not unasked:
        return Findings()
    remedy = "Serve it, or name it in removed_names"
    return Findings((f"{named(unasked)}: served now by {files}, and would vanish. {remedy}",))


def foreign_removed(foreign: Sequence[Mapping[str, Any]], take_over: str, names: Sequence[str]) -> list[str]:
    """Return the names of somebody else's sites that vanish."""
    return vanishing_names(_foreign_names(foreign), names) if take_over == REPLACE else []


def _foreign_names(foreign: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(str(name) for site in foreign for name in site["names"])
    return [name for name in names if name not in _NO_NAMES]


def judge_own(previous: Sequence[str], names: Sequence[str], removed: Sequence[str]) -> Findings:
    """Judge the names of our own live release: some may go without a question, all of them at once may not."""
    gone = vanishing_names(previous, names)
    if not gone or len(gone) < len(vanishing_names(previous, ())) or all(name in removed for name in gone):
        return Findings()
    reason = f"{named(gone)}: every name that is served now would vanish"
    return Findings((f"{reason}. Check the list of sites, or name them in removed_names",))
