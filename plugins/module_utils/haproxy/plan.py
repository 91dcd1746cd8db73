# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done with a server, decided for all its backends before anything changes.

Pure functions: nothing is asked and nothing is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.servers import NAME, READY, Server

EVERY_BACKEND = "*"
_MAX_WEIGHT = 256
_WEIGHT = re.compile(r"([0-9]{1,5})(%?)")
_MAX_LISTED = 30


@dataclass(frozen=True)
class Request:
    """What is asked for.

    ``state`` is one of STATES, or None to leave it. ``weight`` is a number up to 256, or a percentage of the initial
    one (``50%``), or None to leave it. ``minimum_up`` is how many usable servers a backend must keep.
    """

    backend: str
    server: str
    state: str | None
    weight: str | None
    minimum_up: int


@dataclass(frozen=True)
class Step:
    """What is to become of one server of one backend."""

    server: Server
    state: str
    weight: int

    @property
    def changes_state(self) -> bool:
        """Tell whether somebody set another state."""
        return self.state != self.server.state

    @property
    def changes_weight(self) -> bool:
        """Tell whether it has another weight."""
        return self.weight != self.server.weight

    @property
    def is_change(self) -> bool:
        """Tell whether there is anything to do."""
        return self.changes_state or self.changes_weight

    @property
    def takes_out(self) -> bool:
        """Tell whether new visitors go elsewhere after it."""
        return self.state != READY or self.weight == 0

    def seen_from(self, now: Server) -> Step:
        """Return what is left to do with the server as it is now; a weight that is not to change stays."""
        return Step(now, self.state, self.weight if self.changes_weight else now.weight)

    def undone_from(self, now: Server) -> Step:
        """Return the way back from what the server is now; a weight that was not to change stays."""
        return Step(now, self.server.state, self.server.weight if self.changes_weight else now.weight)


def make(servers: Sequence[Server], request: Request) -> list[Step]:
    """Return one step for each backend that has the server, changes or not.

    Raises InvalidInputError for a backend or server that is not there, for what the server it tracks does not let
    happen, and where a backend would keep fewer usable servers than ``minimum_up``, with all backends in one text.
    """
    steps = [
        Step(server, request.state or server.state, _weight(server, request.weight))
        for server in _targets(servers, request.backend, request.server)
    ]
    _refuse_followers(steps)
    _refuse_too_few(servers, steps, request.minimum_up)
    return steps


def _targets(servers: Sequence[Server], backend: str, name: str) -> list[Server]:
    candidates = [each for each in servers if backend in (EVERY_BACKEND, each.backend)]
    if not candidates:
        there = _listed(dict.fromkeys(each.backend for each in servers))
        raise InvalidInputError(
            f"the backend {backend!r}", f"HAProxy has servers in these: {there}", "Name one of them"
        )
    found = [each for each in candidates if each.name == name]
    if not found or not NAME.fullmatch(name):
        there = _listed(each.label for each in candidates)
        raise InvalidInputError(f"the server {name!r}", f"HAProxy has these servers: {there}", "Name one of them")
    return found


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _MAX_LISTED} more" if len(known) > _MAX_LISTED else ""
    return (", ".join(known[:_MAX_LISTED]) or "none") + more


def _weight(server: Server, text: str | None) -> int:
    """Return what HAProxy makes of a weight: percentages are of the initial one, rounded down, 256 at the most."""
    if text is None:
        return server.weight
    found = _WEIGHT.fullmatch(text)
    if not found or (not found[2] and int(found[1]) > _MAX_WEIGHT):
        raise InvalidInputError(
            f"the weight {text!r}",
            "it is neither a number from 0 to 256 nor a percentage",
            "Give for instance 10, or 50%",
        )
    given = int(found[1])
    if not found[2]:
        return given
    weight = min(server.initial_weight * given // 100, _MAX_WEIGHT)
    if given and not weight:
        raise InvalidInputError(
            f"the weight {text} of {server.label}",
            f"of its initial weight {server.initial_weight} that is 0, which keeps new visitors away",
            "Give a number, or configure larger weights for all servers",
        )
    return weight


def _refuse_followers(steps: Sequence[Step]) -> None:
    made_ready = {step.server.label for step in steps if step.state == READY}
    for step in steps:
        server = step.server
        if step.state == READY and server.follows_one_that_is_out and server.tracked not in made_ready:
            raise InvalidInputError(
                server.label,
                f"it cannot be made ready, because it tracks {server.tracked or 'a server'}, which is out",
                "Make the tracked server ready",
            )


def _refuse_too_few(servers: Sequence[Server], steps: Sequence[Step], minimum_up: int) -> None:
    out = {step.server.label for step in steps if step.takes_out}
    # Followers take over the state, and keep their own weight.
    out |= _with_followers({step.server.label for step in steps if step.state != READY}, servers)
    refusals = [
        refusal
        for backend in dict.fromkeys(each.backend for each in servers)
        for refusal in _refusal([each for each in servers if each.backend == backend], out, minimum_up)
    ]
    if refusals:
        raise InvalidInputError(
            f"minimum_up is {minimum_up}",
            "; ".join(refusals),
            "Make others usable first, or lower minimum_up",
        )


def _with_followers(labels: set[str], servers: Sequence[Server]) -> set[str]:
    """Return these labels and those of all that track them, and so on."""
    found = set(labels)
    while True:
        more = {each.label for each in servers if each.tracked in found} - found
        if not more:
            return found
        found |= more


def _refusal(servers: Sequence[Server], out: set[str], minimum_up: int) -> list[str]:
    """Return why a backend cannot do without those that are to go out, in no or one sentence.

    Backup servers get visitors only where no other server is usable, and are often no more than an apology: they count
    only where that is so already. What is not usable now can be taken out, since nobody is worse off.
    """
    usable = [each for each in servers if each.is_usable and not each.is_backup]
    usable = usable or [each for each in servers if each.is_usable]
    left = [each.name for each in usable if each.label not in out]
    if len(left) == len(usable) or len(left) >= minimum_up:
        return []
    going = ", ".join(each.name for each in usable if each.label in out)
    others = [
        f"{each.name} is {each.hindrance or 'a backup'}"
        for each in servers
        if each.name not in left and each.label not in out
    ]
    sentence = f"{servers[0].backend} would keep {len(left)} usable without {going} ({_listed(left)})"
    return [f"{sentence}, as {_listed(others)}" if others else sentence]
