# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away Debian hosts for the demo and the tests: `lab.py up NAME`, `lab.py down NAME`. See README.md beside it."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from labkit import lifecycle, machine, plan, registry, supervisor
from labkit.errors import LabError
from labkit.layout import Clone, Place
from labkit.model import read_record

Command = Callable[[argparse.Namespace, Clone], int]


def _up(options: argparse.Namespace, clone: Clone) -> int:
    place = clone.place(options.name)
    lab = lifecycle.up(place, options.host, options.network)
    print(f"lab {lab.name} is up: {', '.join(f'{host.name} {host.address}' for host in lab.hosts)}")
    print(f"inventory: {place.inventory}")
    print(f"log in:    {shlex.join(lifecycle.ssh_command(place, lab.hosts[0].name))}")
    return 0


def _down(options: argparse.Namespace, clone: Clone) -> int:
    if options.all:
        lifecycle.down_all(clone)
    elif options.name:
        lifecycle.down(clone.place(options.name))
    else:
        raise LabError("down: no lab named; give a NAME, or --all for all labs of this clone")
    return 0


def _list(_options: argparse.Namespace, clone: Clone) -> int:
    for place in lifecycle.labs_of(clone):
        lab = read_record(place.record)
        for host in lab.hosts if lab else ():
            state = "running" if lifecycle.is_running(place.host(host.name)) else "stopped"
            print(f"{place.name}\t{host.name}\t{host.suite}\t{host.address}\t{state}")
    for entry in registry.entries():
        if entry.clone != str(clone.root):
            print(f"{entry.name}\t(of {entry.clone})\t\t{entry.network}")
    return 0


def _plan(options: argparse.Namespace, clone: Clone) -> int:
    print(plan.describe(clone.place(options.name), options.host, options.network))
    return 0


def _ssh(options: argparse.Namespace, clone: Clone) -> int:
    place: Place = clone.place(options.name)
    lab = read_record(place.record)
    if lab is None:
        raise LabError(f"{options.name}: no such lab; `lab.py list` names them, `lab.py up {options.name}` makes it")
    lab.host(options.host)
    return subprocess.call([*lifecycle.ssh_command(place, options.host), *options.command])


def _packages(_options: argparse.Namespace, _clone: Clone) -> int:
    for package in machine.missing_packages():
        print(package)
    return 0


def _clean(_options: argparse.Namespace, clone: Clone) -> int:
    lifecycle.clean(clone)
    return 0


def _distclean(_options: argparse.Namespace, clone: Clone) -> int:
    lifecycle.distclean(clone)
    return 0


def _supervise(options: argparse.Namespace, clone: Clone) -> int:
    return supervisor.main(clone.place(options.name).host(options.host))


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="lab.py", description=__doc__)
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    for name, run, text in (
        ("up", _up, "bring a lab up; what runs already stays"),
        ("plan", _plan, "say what `up` will do to this machine, and do nothing"),
    ):
        command = add(name, run, text)
        command.add_argument("name", metavar="NAME")
        command.add_argument(
            "--host",
            action="append",
            default=[],
            metavar="HOST=SUITE[:GROUP]",
            help="a host (default: lb1, web1, web2)",
        )
        command.add_argument("--network", metavar="CIDR", help="the lab's network, a private /24 (default: a free one)")
    command = add("down", _down, "remove a lab and everything it made on this machine")
    command.add_argument("name", metavar="NAME", nargs="?")
    command.add_argument("--all", action="store_true", help="all labs of this clone")
    add("list", _list, "the labs of this machine")
    command = add("ssh", _ssh, "log in to a host, or run a command there")
    command.add_argument("name", metavar="NAME")
    command.add_argument("host", metavar="HOST")
    command.add_argument("command", metavar="...", nargs=argparse.REMAINDER)
    add("packages", _packages, "the Debian packages that the lab needs and this machine lacks, one a line")
    add("clean", _clean, "take all labs of this clone down and remove what killed runs left; base trees stay")
    add("distclean", _distclean, "clean, and remove base trees and downloaded packages")
    command = commands.add_parser("_supervise")
    command.set_defaults(run=_supervise)
    command.add_argument("name")
    command.add_argument("host")
    command.add_argument("--machine")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(arguments)
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{machine.SYSTEM_PATH}"
    clone = Clone(Path(__file__).resolve().parent.parent.parent)
    try:
        return int(options.run(options, clone))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `lab.py clean` removes what was begun", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
