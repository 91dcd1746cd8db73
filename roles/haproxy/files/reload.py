# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Get HAProxy ready for a reload that loses neither a session nor what its servers were told.

`prepare` waits until the worker has learnt every session from the one before it, because only then it teaches its own
successor, and writes the states of the servers where the next worker reads them, without what the configuration says of
a server: the worker would believe the old port, address and TLS. `forget` is for a start: what was written before an
old reload is no longer so.

Ends with the status 1 and a sentence where that is not possible; a reload goes on without it. Source: HAProxy's
management guide, "show peers" and "show servers state"; the flags are those of src/peers.c, the same from 2.2 to 3.2.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from pathlib import Path

RUNTIME_SOCKET = "/run/haproxy/admin.sock"
CONFIGURATION = "/etc/haproxy/haproxy.cfg"
STATES = "/var/lib/ringmaster-haproxy/server-state"
# A file without states. HAProxy warns where there is none, and where it has no version.
NO_STATES = b"1\n# be_id be_name srv_id srv_name\n"
# HAProxy waits 5 seconds for its own predecessor, and 5 for its peers, and then goes on with what it has.
PATIENCE_SECONDS = 15.0
PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 5.0
MAXIMUM_BYTES = 64 * 1024 * 1024
# Both bits are set when there is nothing left to learn: from the predecessor (1), from the peers (2).
LEARNT = 0x3
SECTION = re.compile(rb"\bflags=0x([0-9a-f]{1,8}) resync_timeout=")
# Words of a line of states (management guide, "show servers state"). What comes after the first 20 is about TLS, checks
# and agents, and optional.
BACKEND, SERVER, ADDRESS, FQDN, PORT = 1, 3, 4, 17, 18
WORDS = 20
PORT_OF_ADDRESS = re.compile(rb":(\d{1,5})$")


class NoAnswerError(Exception):
    """HAProxy did not answer, or not with what was asked for."""


def ask(command: str) -> bytes:
    """Return what HAProxy answers at its runtime socket."""
    parts: list[bytes] = []
    deadline = time.monotonic() + ANSWER_SECONDS
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(RUNTIME_SOCKET)
            connection.sendall(command.encode() + b"\n")
            while part := connection.recv(65536):
                parts.append(part)
                if time.monotonic() > deadline or sum(map(len, parts)) > MAXIMUM_BYTES:
                    raise NoAnswerError(f"{RUNTIME_SOCKET}: the answer to {command!r} does not end")
    except OSError as error:
        raise NoAnswerError(f"{RUNTIME_SOCKET}: {error}") from error
    return b"".join(parts)


def wait_until_in_step() -> None:
    """Wait until there is nothing left to learn, for as long as that can take."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        sections = SECTION.findall(ask("show peers"))
        if not sections:
            raise NoAnswerError(f"{RUNTIME_SOCKET}: it does not tell how far its peers are")
        if all(int(flags, 16) & LEARNT == LEARNT for flags in sections):
            return
        if time.monotonic() > deadline:
            raise NoAnswerError(f"the session tables were not in step after {PATIENCE_SECONDS:.0f} seconds")
        time.sleep(PAUSE_SECONDS)


def save_states() -> None:
    """Write the states of the servers for the next worker, or none, because older ones are no longer so."""
    try:
        states = ask("show servers state").strip()
        if not states.startswith(b"1\n# "):
            raise NoAnswerError(f"{RUNTIME_SOCKET}: it does not tell the states of the servers")
        write_states(for_next_worker(states, configured_ports(Path(CONFIGURATION).read_bytes())))
    except (NoAnswerError, OSError):
        forget()
        raise


def configured_ports(configuration: bytes) -> dict[tuple[bytes, bytes], bytes]:
    """Return the port of each server of each section, 0 where it has none."""
    ports: dict[tuple[bytes, bytes], bytes] = {}
    section = b""
    for words in map(bytes.split, configuration.splitlines()):
        if words[:1] in ([b"backend"], [b"listen"]):
            section = words[1] if len(words) > 1 else b""
        elif words[:1] == [b"server"] and len(words) > 2:
            found = PORT_OF_ADDRESS.search(words[2])
            ports[section, words[1]] = found[1] if found else b"0"
    return ports


def for_next_worker(states: bytes, ports: dict[tuple[bytes, bytes], bytes]) -> bytes:
    """Return the states of the servers that are still configured, with the port that is configured now."""
    version, header, *lines = states.splitlines()
    kept = [version, header]
    for words in map(bytes.split, lines):
        if len(words) >= WORDS and (words[BACKEND], words[SERVER]) in ports:
            words[ADDRESS] = words[FQDN] = b"-"
            words[PORT] = ports[words[BACKEND], words[SERVER]]
            kept.append(b" ".join(words[:WORDS]))
    return b"\n".join(kept) + b"\n"


def forget() -> None:
    """Have the next worker begin without states, and without the file where there is no room for one."""
    Path(STATES).unlink(missing_ok=True)
    write_states(NO_STATES)


def write_states(states: bytes) -> None:
    """Put a whole file in place of the one there was."""
    new = Path(f"{STATES}.new")
    new.write_bytes(states)
    new.replace(STATES)


def main(arguments: list[str]) -> int:
    """Do what the one argument says."""
    if arguments == ["forget"]:
        forget()
        return 0
    problems = []
    for step in (wait_until_in_step, save_states):
        try:
            step()
        except (NoAnswerError, OSError) as error:
            problems.append(str(error))
    if problems:
        sys.stderr.write("; ".join(problems) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
