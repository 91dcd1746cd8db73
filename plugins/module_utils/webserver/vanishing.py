# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is served now and would not be any more: names and listeners, others' and our own.

Names are the same whatever their case (RFC 4343).
"""

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
    return [name for name in _each_once(before) if not serves(after, name)]


def _each_once(names: Iterable[str]) -> list[str]:
    """Return the names as they were first written, without what stands for none."""
    written: dict[str, str] = {}
    for name in names:
        written.setdefault(name.lower(), name)
    return [name for lower, name in written.items() if lower not in _NO_NAMES]


def _not_in(listed: Iterable[str], names: Iterable[str]) -> list[str]:
    lower = {name.lower() for name in listed}
    return [name for name in names if name.lower() not in lower]


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
    kept_directories: Sequence[str],
) -> Findings:
    """Judge the sites that somebody else configured and that are served now.

    ``foreign`` are the facts of the host: ``file``, ``names``, ``listeners`` of each. Nothing of them may vanish unless
    ``take_over`` is ``replace`` and ``removed`` names it. ``kept_directories`` are those that the server goes on
    reading with ``keep``; none where it cannot serve others beside ours. A site from elsewhere is not kept by it.
    """
    if not foreign:
        return Findings()
    if take_over == KEEP and kept_directories:
        kept, others = _parted(foreign, kept_directories)
        return _defined_twice(kept, names) + _judge_replaced(others, names, listeners, removed)
    if take_over != REPLACE:
        files, served = _files(foreign), _foreign_names(foreign)
        reason = f"{named(served) or 'a site without a name'}: served now by {files}, which is not ours"
        keep = "keep, which leaves it as it is, or to " if kept_directories else ""
        remedy = f"Set take_over to {keep}replace"
        return Findings((f"{reason}. {remedy}",))
    return _judge_replaced(foreign, names, listeners, removed)


def _files(foreign: Sequence[Mapping[str, Any]]) -> str:
    return named(str(site["file"]) for site in foreign)


def _defined_twice(kept: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Findings:
    lower = {name.lower() for name in names}
    twice = [name for name in _foreign_names(kept) if name.lower() in lower]
    if not twice:
        return Findings()
    remedy = "Remove it there, or set take_over to replace"
    return Findings(warnings=(f"{named(twice)}: also defined in {_files(kept)}, which is kept. {remedy}",))


def _judge_replaced(
    foreign: Sequence[Mapping[str, Any]], names: Sequence[str], listeners: Sequence[Listener], removed: Sequence[str]
) -> Findings:
    """Judge the sites that will not be read any more."""
    sockets = [Listener(str(each["address"]), int(each["port"])) for site in foreign for each in site["listeners"]]
    gone = [*vanishing_names(_foreign_names(foreign), names), *vanishing_listeners(sockets, listeners)]
    unasked = _not_in(removed, gone)
    if not unasked:
        return Findings()
    remedy = "Serve it, or name it in removed_names"
    return Findings((f"{named(unasked)}: served now by {_files(foreign)}, and would vanish. {remedy}",))


def _parted(
    foreign: Sequence[Mapping[str, Any]], directories: Sequence[str]
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the sites in some directories, and the others."""
    kept = [site for site in foreign if str(site["file"]).startswith(tuple(directories))]
    return kept, [site for site in foreign if site not in kept]


def foreign_removed(
    foreign: Sequence[Mapping[str, Any]], take_over: str, names: Sequence[str], kept_directories: Sequence[str]
) -> list[str]:
    """Return the names of somebody else's sites that vanish."""
    if take_over == KEEP:
        foreign = _parted(foreign, kept_directories)[1]
    return vanishing_names(_foreign_names(foreign), names) if take_over in (KEEP, REPLACE) else []


def _foreign_names(foreign: Sequence[Mapping[str, Any]]) -> list[str]:
    return _each_once(str(name) for site in foreign for name in site["names"])


def judge_own(previous: Sequence[str], names: Sequence[str], removed: Sequence[str]) -> Findings:
    """Judge the names of our own live release: some may go without a question, all of them at once may not."""
    gone = vanishing_names(previous, names)
    if not gone or len(gone) < len(vanishing_names(previous, ())) or not _not_in(removed, gone):
        return Findings()
    reason = f"{named(gone)}: every name that is served now would vanish"
    return Findings((f"{reason}. Check the list of sites, or name them in removed_names",))
