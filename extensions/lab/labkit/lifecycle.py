# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings labs up, takes them down, and removes what killed runs have left."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labkit import (
    addresses,
    aptcache,
    base,
    cgroups,
    disk,
    guest,
    inventory,
    machine,
    network,
    processes,
    registry,
    supervisor,
)
from labkit.commands import run
from labkit.errors import LabError
from labkit.layout import PREFIX, RUN_DIRECTORY, Clone, HostPlace, Place
from labkit.model import DEFAULT_HOSTS, Host, HostSpec, Lab, parse_hosts, place_hosts, read_record, write_record
from labkit.progress import Step, say

READY_SECONDS = 120.0
SUPERVISOR_END_SECONDS = 10.0


def draft(place: Place, specs: Sequence[HostSpec], requested_network: str | None) -> Lab:
    """Return the lab as `up` would make it: what exists keeps its network and addresses. Raises LabError."""
    present = read_record(place.record)
    others = registry.networks_in_use(place.tag)
    if present and (any_running(place, present) or present.network not in others):
        if requested_network and requested_network != present.network:
            raise LabError(f"{requested_network}: lab {place.name} exists with {present.network}; take it down first")
        mine = network.in_use_by(place.tag)
        addresses.choose_network({**_without(network.in_use(), mine), **others}, present.network)
        return Lab(place.name, present.network, place_hosts(present.network, specs, present.hosts))
    chosen = addresses.choose_network({**network.in_use(), **others, **_resolvers()}, requested_network)
    return Lab(place.name, chosen, place_hosts(chosen, specs))


def _without(networks: dict[str, str], mine: set[str]) -> dict[str, str]:
    return {cidr: user for cidr, user in networks.items() if cidr not in mine}


def _resolvers() -> dict[str, str]:
    return {f"{server}/32": "name server" for server in machine.nameservers()}


def is_running(place: HostPlace) -> bool:
    """Whether the host has a living supervisor."""
    return processes.recorded(place.process_record) is not None


def any_running(place: Place, lab: Lab) -> bool:
    """Whether any host of the lab runs."""
    return any(is_running(place.host(host.name)) for host in lab.hosts)


def specs_of(place: Place, texts: Sequence[str]) -> list[HostSpec]:
    """Return what was asked for; without words what the lab has, or the default hosts."""
    if texts:
        return parse_hosts(texts)
    present = read_record(place.record)
    if present:
        return [HostSpec(host.name, host.suite, host.group) for host in present.hosts]
    return parse_hosts(DEFAULT_HOSTS)


def up(place: Place, texts: Sequence[str], requested_network: str | None = None) -> Lab:
    """Bring a lab up; what runs already stays as it is. Raises LabError, and then tells how each host stands."""
    machine.require_root()
    machine.require_programs()
    specs = specs_of(place, texts)
    setup = machine.apt_setup()
    with registry.lock(place.tag):
        base.ensure_all(place.clone, {spec.suite for spec in specs}, setup)
        with registry.lock():
            lab = draft(place, specs, requested_network)
            registry.enter(place, lab.network)
            former = read_record(place.record)
            write_record(place.record, lab)
            registry.ensure_forwarding()
        around = guest.surroundings(lab, setup, place.clone.bases)
        _write_access(place, lab)
        network.ensure_bridge(place, lab)
        network.ensure_nat(place, lab, around.loopback_services)
        _start_missing(place, lab)
        if former and former.hosts != lab.hosts:
            _tell_hosts(place, lab, around)
        base.prune(place.clone, _bases_in_use(place.clone))
    return lab


def _start_missing(place: Place, lab: Lab) -> None:
    missing = [host for host in lab.hosts if not is_running(place.host(host.name))]
    for host in lab.hosts:
        if host not in missing:
            say(f"{host.name} ({host.suite}, {host.address}) runs already")
    with ThreadPoolExecutor(max_workers=max(1, len(missing))) as pool:
        waiting = [pool.submit(_start, place, lab, host) for host in missing]
        failures = [str(error) for future in waiting if (error := future.exception()) is not None]
    if failures:
        raise LabError("\n".join(failures))


def _start(place: Place, lab: Lab, host: Host) -> None:
    here = place.host(host.name)
    with Step(f"starting {host.name} ({host.suite}, {host.address})"):
        cgroups.kill(cgroups.group(here.machine))
        network.ensure_host(here, lab, host)
        here.console_log.unlink(missing_ok=True)
        with here.supervisor_log.open("wb") as log:
            process = subprocess.Popen(
                supervisor.command(here),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                umask=0o022,
            )
        _wait_ready(here, process)


def _wait_ready(here: HostPlace, process: subprocess.Popen[bytes]) -> None:
    """Wait until systemd has started everything and a login by ssh succeeds. Raises LabError with what was seen."""
    deadline = time.monotonic() + READY_SECONDS
    probe = [*ssh_command(here.lab, here.name), "systemctl is-system-running --wait; true"]
    reason = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LabError(f"{here.name}: its supervisor ended with status {process.returncode}\n{_tails(here)}")
        result = run(probe, check=False, timeout_seconds=READY_SECONDS)
        if result.returncode == 0:
            if result.stdout.strip() != "running":
                say(f"{here.name}: systemd reports {result.stdout.strip() or 'nothing'} (systemctl --failed tells why)")
            return
        reason = result.stderr.strip() or reason
        time.sleep(0.2)
    raise LabError(f"{here.name}: no login by ssh within {READY_SECONDS:.0f} s ({reason})\n{_tails(here)}")


def _tails(here: HostPlace, lines: int = 25) -> str:
    parts = []
    for path in (here.supervisor_log, here.console_log):
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- end of {path}", *text]))
    return "\n".join(parts)


def _tell_hosts(place: Place, lab: Lab, around: guest.Surroundings) -> None:
    """Hosts that ran already learn the names of those that came."""
    text = guest.hosts_file(lab, around.names)
    for host in lab.hosts:
        run([*ssh_command(place, host.name), "cat > /etc/hosts"], stdin=text)


def ssh_command(place: Place, host: str) -> list[str]:
    """Return the command that logs in to a host of the lab."""
    return ["ssh", "-F", str(place.ssh_config), host]


def _write_access(place: Place, lab: Lab) -> None:
    """Keys, and the files that say how to reach the hosts."""
    place.control_sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    _ensure_key(place.private_key, f"lab-{place.name}")
    keys = {}
    for host in lab.hosts:
        here = place.host(host.name)
        here.directory.mkdir(parents=True, exist_ok=True)
        _ensure_key(here.host_key, host.fqdn)
        keys[host.name] = here.host_key.with_suffix(".pub").read_text()
    place.known_hosts.write_text(inventory.known_hosts(lab, keys))
    place.ssh_config.write_text(inventory.ssh_config(place, lab))
    place.inventory.write_text(inventory.ansible_inventory(place, lab))


def _ensure_key(path: Path, comment: str) -> None:
    if not path.with_suffix(".pub").is_file():
        path.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])


def down(place: Place) -> None:
    """Remove a lab: its processes, network and directory. Nothing to do when there is none."""
    machine.require_root()
    with registry.lock(place.tag):
        _close_connections(place.control_sockets)
        directories = sorted((place.directory / "hosts").glob("*"))
        with ThreadPoolExecutor(max_workers=max(1, len(directories))) as pool:
            list(pool.map(lambda path: _stop(place.host(path.name)), directories))
        _end_processes(place.tag)
        network.remove(place.tag)
        for directory in directories:
            _keep_packages(place, directory.name)
        base.remove_tree(place.directory)
        with registry.lock():
            registry.leave(place.tag)
        shutil.rmtree(place.control_sockets, ignore_errors=True)


def _stop(here: HostPlace) -> None:
    pid = processes.recorded(here.process_record)
    if pid is not None:
        processes.end(pid, SUPERVISOR_END_SECONDS)
    cgroups.kill(cgroups.group(here.machine))


def _keep_packages(place: Place, name: str) -> None:
    lab = read_record(place.record)
    suites = {host.name: host.suite for host in lab.hosts} if lab else {}
    if name in suites:
        aptcache.harvest(place.host(name).upper, place.clone.apt_cache(suites[name]))


def _end_processes(prefix: str) -> None:
    """End processes that no record leads to: by control group, then by their arguments."""
    for path in cgroups.all_groups(prefix):
        cgroups.kill(path)
    for pid in processes.with_argument(f"--machine={prefix}"):
        processes.end(pid, SUPERVISOR_END_SECONDS)
    cgroups.remove_empty(cgroups.unified_root() / cgroups.PARENT)


def _close_connections(directory: Path) -> None:
    """End ssh's waiting master connections (ControlPersist), which would else outlive the lab by a minute."""
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            run(["ssh", "-o", f"ControlPath={path}", "-O", "exit", "lab"], check=False, timeout_seconds=10)
    for pid in processes.with_argument(f"ssh: {directory}/"):
        processes.end(pid, 2.0)


def labs_of(clone: Clone) -> Iterator[Place]:
    """Return the labs of a clone that have a directory."""
    for path in sorted(clone.labs.glob("*")):
        if path.is_dir():
            yield clone.place(path.name)


def down_all(clone: Clone) -> int:
    """Take all labs of a clone down, recorded ones without a directory too; returns how many there were."""
    places = {place.name: place for place in labs_of(clone)}
    for entry in registry.entries():
        if entry.clone == str(clone.root):
            places.setdefault(entry.name, clone.place(entry.name))
    for place in places.values():
        with Step(f"taking lab {place.name} down"):
            down(place)
    return len(places)


def clean(clone: Clone) -> None:
    """Take all labs down and remove what killed runs left of this clone, or of clones that are gone."""
    machine.require_root()
    down_all(clone)
    with registry.lock():
        _sweep(clone.prefix)
        for entry in registry.entries():
            if entry.tag.startswith(PREFIX) and not Path(entry.clone).is_dir():
                say(f"lab {entry.name}: its clone {entry.clone} is gone, so it goes too")
                _sweep(entry.tag)
                registry.leave(entry.tag)
        registry.restore_machine_when_last()
    for leftover in clone.bases.glob(".new-*"):
        base.remove_tree(leftover)
    registry.remove_directory()
    with contextlib.suppress(OSError):
        supervisor.NSPAWN_RUN_DIRECTORY.rmdir()


def _sweep(prefix: str) -> None:
    _end_processes(prefix)
    network.remove(prefix)
    for path in RUN_DIRECTORY.glob(f"{prefix}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".json":
            path.unlink(missing_ok=True)


def distclean(clone: Clone) -> None:
    """`clean`, and the base trees and downloaded packages too."""
    clean(clone)
    with Step("removing base trees and downloaded packages"):
        base.remove_tree(clone.bases)
        base.remove_tree(clone.apt_caches)


def _bases_in_use(clone: Clone) -> set[str]:
    """Return the names of the base trees under the disks of this clone's hosts."""
    labs = [(place, read_record(place.record)) for place in labs_of(clone)]
    found = {disk.base_of(place.host(host.name)) for place, lab in labs if lab for host in lab.hosts}
    return {name for name in found if name}
