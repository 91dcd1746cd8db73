# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of a running HAProxy: what was set, what they are, and how many sessions they have.

Source: HAProxy's management guide, sections 9.1 "CSV format", 9.3 "show servers state", "show stat". The bits were
measured with 2.2, 2.6 and 3.0.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.haproxy.runtime import RuntimeSocket, printable

READY, DRAIN, MAINTENANCE = "ready", "drain", "maintenance"
STATES = (READY, DRAIN, MAINTENANCE)

# srv_admin_state. 0x04 and 0x40 only remember that the configuration disabled it, or who set its name.
_FORCED_MAINTENANCE = 0x01
_INHERITED_MAINTENANCE = 0x02
_FORCED_DRAIN = 0x08
_INHERITED_DRAIN = 0x10
_UNRESOLVED = 0x20
_INHERITED = _INHERITED_MAINTENANCE | _INHERITED_DRAIN
_STOPPED = _FORCED_MAINTENANCE | _INHERITED_MAINTENANCE | _UNRESOLVED
_DRAINED = _FORCED_DRAIN | _INHERITED_DRAIN
# srv_op_state: stopped, starting (slowly), running, stopping (its health check wants no new visitors).
_STARTING, _RUNNING, _STOPPING = 1, 2, 3
_AGENT_ENABLED = 0x04

NAME = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
"""What HAProxy has as names of backends and servers (configuration manual, section 4)."""

_LABEL = re.compile(rf"{NAME.pattern}/{NAME.pattern}")
_MAX_SERVERS = 20_000


@dataclass(frozen=True)
class Server:
    """One server of one backend at one moment.

    ``admin`` and ``operational`` are HAProxy's srv_admin_state and srv_op_state. ``weight`` is the one that is set now,
    ``initial_weight`` that of the configuration. ``open_sessions`` counts those that it serves and those that wait for
    it. ``tracked`` is the server that it follows (``backend/name``), empty for none. ``is_checked`` is false from the
    end of its maintenance to its first health check, in which time HAProxy takes it for up; where one failure is enough
    (``fall 1``), HAProxy does not let that be seen.
    """

    backend: str
    name: str
    identifier: int
    address: str
    admin: int
    operational: int
    weight: int
    initial_weight: int
    open_sessions: int
    status: str
    check: str
    is_checked: bool
    is_backup: bool
    tracked: str
    has_agent: bool

    @property
    def label(self) -> str:
        """Return how HAProxy's commands name it."""
        return f"{self.backend}/{self.name}"

    @property
    def state(self) -> str:
        """Return what somebody has set, one of STATES; not what it inherits, nor whether it is up."""
        if self.admin & _FORCED_MAINTENANCE:
            return MAINTENANCE
        return DRAIN if self.admin & _FORCED_DRAIN else READY

    @property
    def is_running(self) -> bool:
        """Tell whether it is up, be it in drain or of weight 0."""
        return not self.admin & _STOPPED and self.operational in (_STARTING, _RUNNING)

    @property
    def is_usable(self) -> bool:
        """Tell whether it gets new visitors, as far as it depends on the server."""
        return self.is_running and not self.admin & _DRAINED and self.weight > 0

    @property
    def follows_one_that_is_out(self) -> bool:
        """Tell whether it is in maintenance or drain because the server that it tracks is."""
        return bool(self.admin & _INHERITED)

    @property
    def hindrance(self) -> str:
        """Return why it gets no new visitors, empty where it does."""
        if self.admin & _FORCED_MAINTENANCE:
            return "in maintenance"
        if self.admin & _INHERITED:
            return f"out because {self.tracked or 'the server that it tracks'} is"
        if self.admin & _UNRESOLVED:
            return "without an address, because its name is not resolved"
        if not self.is_running:
            return self._down
        if self.admin & _FORCED_DRAIN:
            return "in drain"
        return "" if self.weight else "of weight 0"

    @property
    def _down(self) -> str:
        if self.operational == _STOPPING:
            return "stopping, because its health check says so"
        return f"DOWN ({self.check})" if self.check else "DOWN"


def read_servers(runtime: RuntimeSocket) -> list[Server]:
    """Ask for every server, in HAProxy's order; raises MeasurementError for an answer that is none."""
    states = _states(_whole(runtime, "show servers state"))
    stats = _stats(_whole(runtime, "show stat -1 4 -1"))
    # The state of a server without statistics is one of the master's own.
    try:
        return [_server(state, stats[key]) for key, state in states.items() if key in stats]
    except (KeyError, ValueError) as error:
        reason = f"a column is missing or no number ({printable(str(error))})"
        raise _nonsense("show servers state", reason) from error


def _whole(runtime: RuntimeSocket, command: str) -> str:
    """Return an answer that ends with an empty line, as whole ones do: servers that are cut off would not be missed."""
    answer = runtime.ask(command)
    if answer.startswith(("1\n", "# ")) and not answer.endswith("\n\n"):
        raise MeasurementError(f"'{command}' of HAProxy", "the answer breaks off", "Run again when HAProxy is not busy")
    return answer


def _states(answer: str) -> dict[tuple[str, str], Mapping[str, str]]:
    """Read the table, whose second line names the columns after a ``#``."""
    command = "show servers state"
    lines = answer.splitlines()
    if len(lines) < 2 or lines[0].strip() != "1" or not lines[1].startswith("# "):
        raise _nonsense(command, f"the answer begins with: {printable(answer)}")
    header = lines[1][2:].split()
    return _rows(command, header, (line.split() for line in lines[2:] if line.strip()), ("be_name", "srv_name"))


def _stats(answer: str) -> dict[tuple[str, str], Mapping[str, str]]:
    """Read the CSV, whose first line names the columns after a ``#``; texts in it may go over several lines."""
    command = "show stat"
    if not answer[2:].strip() or not answer.startswith("# "):
        raise _nonsense(command, f"the answer begins with: {printable(answer)}")
    try:
        header, *rows = csv.reader(io.StringIO(answer[2:], newline=""))
    except csv.Error as error:
        raise _nonsense(command, f"the answer is no CSV ({error})") from error
    return _rows(command, header, filter(None, rows), ("pxname", "svname"))


def _rows(
    command: str, header: list[str], rows: Iterable[list[str]], keys: tuple[str, str]
) -> dict[tuple[str, str], Mapping[str, str]]:
    """Return the rows by backend and server, which are the columns ``keys``."""
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for row in rows:
        columns = dict(zip(header, row))
        names = (columns.get(keys[0], ""), columns.get(keys[1], ""))
        if not all(NAME.fullmatch(name) for name in names):
            raise _nonsense(command, f"a line names no server: {printable(' '.join(row))}")
        if len(found) >= _MAX_SERVERS:
            raise _nonsense(command, f"there are more than {_MAX_SERVERS} servers")
        found[names] = columns
    return found


def _server(state: Mapping[str, str], stat: Mapping[str, str]) -> Server:
    """Join both views of a server; raises ValueError and KeyError for what is missing."""
    return Server(
        backend=state["be_name"],
        name=state["srv_name"],
        identifier=int(state["srv_id"]),
        address=f"{state['srv_addr']}:{state['srv_port']}",
        admin=int(state["srv_admin_state"]),
        operational=int(state["srv_op_state"]),
        weight=int(state["srv_uweight"]),
        initial_weight=int(state["srv_iweight"]),
        open_sessions=int(stat["scur"]) + int(stat["qcur"] or 0),
        status=printable(stat["status"]),
        check=printable(" ".join(filter(None, (stat.get("check_status"), stat.get("last_chk"))))),
        is_checked=_is_checked(stat),
        is_backup=stat["bck"] == "1",
        tracked=stat["tracked"] if _LABEL.fullmatch(stat["tracked"]) else "",
        has_agent=bool(int(state["srv_agent_state"]) & _AGENT_ENABLED),
    )


def _is_checked(stat: Mapping[str, str]) -> bool:
    """Tell whether the last health check was a good one: only then the health is the highest that there is."""
    rise, fall, health = (stat.get(column, "") for column in ("check_rise", "check_fall", "check_health"))
    return not health or int(health) >= int(rise) + int(fall) - 1


def _nonsense(command: str, reason: str) -> MeasurementError:
    return MeasurementError(f"'{command}' of HAProxy", reason, "Give the path of HAProxy's 'stats socket'")
