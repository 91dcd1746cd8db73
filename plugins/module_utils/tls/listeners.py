# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This host's TCP listeners, and which of them speak TLS.

Source of the format: proc_pid_net(5), ``/proc/net/tcp`` and ``tcp6``: addresses are 32 bit words in the byte order of
the host, ports are hexadecimal, state ``0A`` is LISTEN.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls import hellos, probe

_LISTEN = "0A"
_MAX_TABLE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Listener:
    """One listening socket: the address it is bound to and its port."""

    address: str
    port: int

    @property
    def endpoint(self) -> probe.Endpoint:
        """Where to connect: loopback for a socket that listens on every address."""
        address = ipaddress.ip_address(self.address)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        return probe.Endpoint(int(family), str(address), self.port)


def parse_table(text: str, byte_order: str = sys.byteorder) -> list[Listener]:
    """Return the listeners of a ``/proc/net/tcp`` or ``tcp6`` table; lines that do not parse are left out."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] != _LISTEN:
            continue
        words, _colon, port = fields[1].partition(":")
        address = _address(words, byte_order)
        if address is not None and len(port) == 4:
            found.append(Listener(address, int(port, 16)))
    return found


def _address(words: str, byte_order: str) -> str | None:
    try:
        raw = bytes.fromhex(words)
        if byte_order == "little":
            raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
        address = ipaddress.ip_address(raw)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def read_listeners(proc: Path = Path("/proc/net")) -> list[Listener]:
    """Return this host's TCP listeners, by port; raises :class:`MeasurementError` where the kernel shows none."""
    found: list[Listener] = []
    tables = 0
    for name in ("tcp", "tcp6"):
        try:
            with (proc / name).open("rb") as stream:
                table = stream.read(_MAX_TABLE_BYTES).decode("ascii", errors="replace")
        except OSError:
            continue  # a kernel without IPv6 has no tcp6
        tables += 1
        found += parse_table(table)
    if not tables:
        raise MeasurementError(str(proc), "neither tcp nor tcp6 can be read there", "Run on Linux with /proc mounted")
    return sorted(set(found), key=lambda listener: (listener.port, ipaddress.ip_address(listener.address).packed))


def probe_listeners(listeners: list[Listener], timeout_seconds: float, concurrency: int) -> list[dict[str, object]]:
    """Send one hello to each listener; ``tls`` is ``None`` where the answer does not tell, and ``reason`` says why."""

    def one(listener: Listener) -> dict[str, object]:
        outcome = probe.ask(listener.endpoint, hellos.any_version(), timeout_seconds)
        tls = {probe.ANSWER: True, probe.ALERT: True, probe.NOT_TLS: False, probe.MALFORMED: False}.get(outcome.kind)
        reason = "it answered with a ServerHello" if outcome.kind == probe.ANSWER else outcome.detail
        return {"address": listener.address, "port": listener.port, "tls": tls, "reason": reason}

    with ThreadPoolExecutor(max_workers=max(1, concurrency)) as pool:
        return list(pool.map(one, listeners))


def tls_targets(found: list[dict[str, object]], reached_as: str | None) -> list[str]:
    """Return the listeners that speak TLS (as :func:`probe_listeners` found them) as targets of a scan, each once.

    ``reached_as`` is the name or address by which the scanner reaches this host: it stands for listeners on every
    address, and those on loopback, which the scanner cannot reach, are left out. ``None``: the scanner is this host.
    """
    targets = []
    for entry in found:
        listener = Listener(str(entry["address"]), int(str(entry["port"])))
        address = ipaddress.ip_address(listener.address)
        if entry["tls"] is not True or (reached_as is not None and address.is_loopback):
            continue
        host = reached_as if reached_as is not None and address.is_unspecified else listener.endpoint.address
        targets.append(f"[{host}]:{listener.port}" if ":" in host else f"{host}:{listener.port}")
    return list(dict.fromkeys(targets))
