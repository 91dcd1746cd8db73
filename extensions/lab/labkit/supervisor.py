# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that keeps one host alive: mounts its root where nobody else sees it, boots it, boots it again.

It holds a mount namespace of its own: when it ends, however it ends, the kernel ends systemd-nspawn (death signal), the
host's processes end with their first one (pid_namespaces(7)), and the mounts vanish with the last of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from labkit import aptcache, cgroups, disk, machine, processes, syscalls
from labkit.layout import HostPlace
from labkit.model import Host, read_record

REBOOT_STATUS = 133  # systemd-nspawn(1): with --keep-unit a reboot inside ends nspawn with this status
HARVEST_SECONDS = 5.0
NSPAWN_RUN_DIRECTORY = Path("/run/systemd/nspawn")


def command(place: HostPlace) -> list[str]:
    """How a supervisor is started; the argument --machine is how a left over one is found."""
    program = Path(__file__).parent.parent / "lab.py"
    return [sys.executable, str(program), "_supervise", place.lab.name, place.name, f"--machine={place.machine}"]


def _nspawn_command(place: HostPlace, host: Host) -> list[str]:
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--settings=no",
        "--register=no",
        "--keep-unit",
        "--directory=root",
        f"--machine={place.machine}",
        f"--hostname={host.name}",
        f"--network-namespace-path=/run/netns/{place.machine}",
        "--capability=CAP_NET_ADMIN",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
    ]


class Supervisor:
    """Boots one host again and again until told to stop."""

    def __init__(self, place: HostPlace, host: Host) -> None:
        """Name the host."""
        self._place = place
        self._host = host
        self._stopping = False
        self._child: subprocess.Popen[bytes] | None = None
        self._harvested = threading.Event()

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler: end the host at once, as a pulled plug does."""
        self._stopping = True
        if self._child:
            self._child.kill()

    def run(self) -> int:
        """Boot the host until it halts or is stopped; returns the last status of nspawn."""
        harvester = threading.Thread(target=self._harvest, daemon=True)
        harvester.start()
        status = REBOOT_STATUS
        while status == REBOOT_STATUS and not self._stopping:
            status = self._boot()
        self._harvested.set()
        harvester.join()
        return status

    def _boot(self) -> int:
        group = cgroups.group(self._place.machine) / "machine"
        cgroups.remove_empty(group)

        def in_child() -> None:
            syscalls.die_with_parent(signal.SIGKILL)
            cgroups.enter(group)

        environment = {
            "PATH": machine.SYSTEM_PATH,
            "LC_ALL": "C.UTF-8",
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            # As with --private-network: /proc/sys/net is the host's to write, /sys/class/net shows its interfaces.
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        }
        with self._place.console_log.open("ab") as console:
            self._child = subprocess.Popen(
                _nspawn_command(self._place, self._host),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                preexec_fn=in_child,
                env=environment,
            )
        if self._stopping:
            self._child.kill()
        return self._child.wait()

    def _harvest(self) -> None:
        cache = self._place.lab.clone.apt_cache(self._host.suite)
        ended = False
        while not ended:
            ended = self._harvested.wait(HARVEST_SECONDS)
            aptcache.harvest(self._place.upper, cache)


def main(place: HostPlace) -> int:
    """Run the supervisor of a host in this process."""
    lab = read_record(place.lab.record)
    if lab is None:
        print(f"{place.lab.record}: not readable", file=sys.stderr)
        return 1
    host = lab.host(place.name)
    os.chdir(place.directory)
    cgroups.enter(cgroups.group(place.machine) / "control")
    processes.record(place.process_record)
    supervisor = Supervisor(place, host)
    signal.signal(signal.SIGTERM, supervisor.stop)
    NSPAWN_RUN_DIRECTORY.mkdir(parents=True, exist_ok=True)
    try:
        syscalls.enter_new_mount_namespace()
        syscalls.mount("tmpfs", str(NSPAWN_RUN_DIRECTORY), "tmpfs", 0, "mode=755")
        disk.prepare(place, lab, host)
    except OSError as error:
        print(f"{place.name}: its disk cannot be prepared: {error}", file=sys.stderr)
        return 1
    status = supervisor.run()
    place.process_record.unlink(missing_ok=True)
    return status
