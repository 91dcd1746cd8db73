# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it costs HAProxy to keep sessions: CPU a request against no stick rules, and the memory of the table.

For each form of the rules, as the role haproxy deploys them with the program `hold.lua`, an HAProxy with one thread
runs on loopback, before the same three servers. All have as many connections open and get the same kind of request,
with a cookie, one at a time a connection, from visitors of whom all have a session in the table. The forms take turns
many times within a round. What counts is the CPU of the HAProxy processes (user and system), not the time that passes;
each is divided by that of `none` in the same round, and the median of the rounds is taken.

`floor` is the least that stick rules can be: one that matches and one that stores, with no condition (which re-binds a
session to whichever server answers last). Most of what it costs is the way through a table that is not in the CPU's
caches.

That is measured twice: with the frontend that the role haproxy deploys (its logs, among them the one in JSON, and its
headers; without TLS), and with one that does nothing at all, of which the rules are the largest share that they can be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from peers import haproxy_process
from peers.session_load import Load, Session, at_home, log_in, request

from ansible_collections.ringmaster.webops.plugins.module_utils.sticky import capacity, session
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.haproxy_backends import (
    Surroundings,
    decide_backend,
)

_CONNECTIONS = 50
_TURNS = 40
# After 5 seconds, hold.lua is not run any more.
_BEGINNING_SECONDS = 6
_CHECKED_SESSIONS = 1000
_COOKIE = {"cookie": "PHPSESSID", "timeout": "3h"}
NONE = "none"
FLOOR = "floor"
_FLOOR_RULES = [
    "stick-table type string len 64 size {size} expire 3h peers ringmaster",
    "stick match req.cook(PHPSESSID)",
    "stick store-response res.cook(PHPSESSID)",
]
_SERVER = {"name": "s1", "address": "127.0.0.1", "port": 80}
#: The rules by form; the forms that the target is for are the plain ones.
FORMS: dict[str, dict[str, Any]] = {
    "first_wins": {**_COOKIE},
    "first_wins, plain ids": {**_COOKIE, "hash_keys": False, "len": 64},
    "rebind": {**_COOKIE, "failover": "rebind"},
    "return": {**_COOKIE, "failover": "return", "len": 64},
    "return, request-learn": {**_COOKIE, "failover": "return", "len": 64, "request_learn": True},
    "return, request-learn, prefix": {
        **_COOKIE, "failover": "return", "len": 64, "request_learn": True, "prefix": True, "mode": "path-parameters",
    },
}  # fmt: skip
#: At most so many times the CPU of no rules, for a plain cookie.
TARGET = 1.05


@dataclass
class Balancer:
    """A running HAProxy with its rules, its sessions, and what they take of its memory."""

    process: haproxy_process.HaproxyProcess
    load: Load
    sessions: list[Session]
    pool_bytes: int
    resident_bytes: int


def described(form: str, count: int) -> session.AppSession:
    """Return the session of a form, stated for so many of them."""
    return session.from_mapping({**FORMS[form], "sessions": count})


def rules(form: str, count: int) -> list[str]:
    """Return the lines of a form."""
    if form == NONE:
        return []
    if form == FLOOR:
        return [line.format(size=2 * count) for line in _FLOOR_RULES]
    given = {"name": "app", "app_session": {**FORMS[form], "sessions": count}, "servers": [_SERVER]}
    decided = decide_backend(given, Surroundings(haproxy_version=haproxy_process.version(), holds=True))
    return list(decided.written["session_lines"])


def role_frontend(directory: Path, log: Path) -> list[str]:
    """Return the lines of the frontend that the role deploys, which logs to a socket at ``log``."""
    role, result, given = ROOT / "roles/haproxy", directory / "role.cfg", directory / "role.json"
    asked = {
        "installed": True, "version": haproxy_process.version(), "openssl_version": "3.0.0",
        "modules": ["prometheus-exporter"], "certificates": {},
    }  # fmt: skip
    frontend = {"name": "site", "binds": [{"port": 80}], "default_backend": "app"}
    backend = {"name": "app", "servers": [_SERVER]}
    variables = {"__haproxy_asked": asked, "haproxy_frontends": [frontend], "haproxy_backends": [backend]}
    given.write_text(json.dumps(variables), encoding="utf-8")
    task = json.dumps({"src": f"{role}/templates/haproxy.cfg.j2", "dest": str(result), "lstrip_blocks": True})
    files = (f"-e@{file}" for file in (role / "defaults/main.yml", role / "vars/main.yml", given))
    command = [
        str(Path(sys.executable).with_name("ansible")), "localhost",
        "--module-name=ansible.builtin.template", f"--args={task}", *files,
    ]  # fmt: skip
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(directory),
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120, env={**os.environ, **settings})
    section = result.read_text(encoding="utf-8").partition("\nfrontend site\n")[2].partition("\n\n")[0]
    lines = [line.strip() for line in section.splitlines()]
    kept = [line for line in lines if not line.startswith(("bind ", "default_backend ", "#"))]
    return [f"log {log} local0", *(line.replace("/dev/ringmaster-access", str(log)) for line in kept)]


@contextlib.contextmanager
def log_socket(directory: Path) -> Iterator[Path]:
    """Read, and forget, what HAProxy logs to a socket; yield its path."""
    path = directory / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(path))

        def drain() -> None:
            while end.recv(65536) != b"end":
                pass

        thread = threading.Thread(target=drain, daemon=True)
        thread.start()
        yield path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.sendto(b"end", str(path))
        thread.join()


def start(
    stack: contextlib.ExitStack, directory: Path, form: str, count: int, servers: dict[str, int], frontend: list[str]
) -> Balancer:
    """Start an HAProxy and log so many sessions in."""
    file = "".join(letter if letter.isalnum() else "-" for letter in form)
    process = stack.enter_context(
        haproxy_process.sticky(directory, file, rules(form, count), servers, frontend=frontend)
    )
    load = stack.enter_context(Load(process.port, _CONNECTIONS))
    for _head in load.answers([request()] * _CONNECTIONS * 20, 10):
        pass
    pools, resident = process.pool_bytes(), process.resident_bytes()
    sessions = log_in(load, count)
    return Balancer(process, load, sessions, process.pool_bytes() - pools, process.resident_bytes() - resident)


def cpu_us(balancer: Balancer, count: int) -> float:
    """Return the CPU, in microseconds, of so many requests of random sessions."""
    asked = [request(session=each.session) for each in random.choices(balancer.sessions, k=count)]
    before = balancer.process.cpu_seconds()
    for _head in balancer.load.answers(asked, 1):
        pass
    return (balancer.process.cpu_seconds() - before) * 1e6


def measure(balancers: dict[str, Balancer], rounds: int, requests: int) -> dict[str, list[float]]:
    """Return, for each form, the CPU a request in microseconds, of each round."""
    taken: dict[str, list[float]] = {form: [] for form in balancers}
    for _round in range(rounds):
        sums = dict.fromkeys(balancers, 0.0)
        for _turn in range(_TURNS):
            for form, balancer in balancers.items():
                sums[form] += cpu_us(balancer, requests // _TURNS)
        for form, total in sums.items():
            taken[form].append(total / requests)
    return taken


def print_memory(balancers: dict[str, Balancer], count: int) -> None:
    """Print what the tables take, and what the library says that they take."""
    print(f"{'':32}{'entries':>10}{'pools':>12}{'process':>12}{'predicted':>12}{'process is':>12}")
    for form, balancer in balancers.items():
        if form not in FORMS:
            continue
        entries = balancer.process.entries("app")
        predicted = entries * capacity.entry_bytes(described(form, count))
        sizes = "".join(
            f"{size / 2**20:8.1f} MiB" for size in (balancer.pool_bytes, balancer.resident_bytes, predicted)
        )
        print(f"{form:32}{entries:10}{sizes}{balancer.resident_bytes / predicted:11.2f}x")


def print_cpu(taken: dict[str, list[float]]) -> None:
    """Print the CPU a request, and its ratio to no rules."""
    print(f"\n{'':32}{'CPU a request':>15}{'more':>12}{'median':>9}   {'of the rounds':24} target")
    none = statistics.median(taken[NONE])
    for form, values in taken.items():
        ratios = [value / without for value, without in zip(values, taken[NONE])]
        median = statistics.median(ratios)
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        target = verdict(median) if form in FORMS and "prefix" not in form else ""
        taken_us = statistics.median(values)
        print(f"{form:32}{taken_us:12.1f} us{taken_us - none:9.1f} us{median:8.3f}x   {spread:24} {target}")


def verdict(ratio: float) -> str:
    """Return what to say of a ratio."""
    return f"at most {TARGET:g}: {'met' if ratio <= TARGET else 'NOT MET'}"


def compare(forms: Sequence[str], sessions: int, rounds: int, requests: int, *, is_bare: bool) -> None:
    """Start an HAProxy for each form, and print both tables."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(haproxy_process.application(directory))
        log = stack.enter_context(log_socket(directory))
        frontend = [] if is_bare else role_frontend(directory, log)
        balancers = {form: start(stack, directory, form, sessions, servers, frontend) for form in (NONE, FLOOR, *forms)}
        time.sleep(_BEGINNING_SECONDS)
        print(f"\n{'A frontend that does nothing' if is_bare else 'The frontend that the role deploys'}\n")
        print_memory(balancers, sessions)
        for form in forms:
            some = random.sample(balancers[form].sessions, k=min(_CHECKED_SESSIONS, sessions))
            kept = at_home(balancers[form].load, some)
            assert kept == len(some), f"{form}: {kept} of {len(some)} sessions are at home"
        print_cpu(measure(balancers, rounds, requests))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=40_000, help="for each form in each round")
    parser.add_argument("--form", choices=FORMS, action="append", help="only this form, or these")
    arguments = parser.parse_args()
    if shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin") is None:
        print("HAProxy is not installed, so there is nothing to measure")
        return
    print(
        f"HAProxy {haproxy_process.version()}; each table has {arguments.sessions} live sessions;"
        f" {arguments.rounds} rounds of {arguments.requests} requests for each form, {_CONNECTIONS} connections each"
    )
    for is_bare in (False, True):
        forms = arguments.form or list(FORMS)
        compare(forms, arguments.sessions, arguments.rounds, arguments.requests, is_bare=is_bare)


if __name__ == "__main__":
    main()
