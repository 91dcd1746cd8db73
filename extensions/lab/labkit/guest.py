# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a copy of a base tree this one host: name, keys, addresses, and the machine's way to Debian's archive."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from labkit import aptconfig, machine, sources
from labkit.layout import HostPlace
from labkit.model import DOMAIN, Host, Lab

# Loopback of the machine as the gateway passes it on.
_LOOPBACK = "127.0.0.1"
DNS_PORT = 53


@dataclass(frozen=True)
class Surroundings:
    """What the hosts of a lab take over from the machine, in the words that are right inside the lab."""

    sources: dict[str, tuple[sources.Source, ...]]
    settings: tuple[aptconfig.Setting, ...]
    nameservers: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    loopback_services: tuple[tuple[str, int], ...]


def surroundings(lab: Lab, setup: machine.AptSetup, cache: Path) -> Surroundings:
    """Translate the machine's apt configuration and name servers for a lab."""
    services: set[tuple[str, int]] = set()

    def url(text: str) -> str:
        translated, port = aptconfig.seen_from_lab(text, lab.gateway)
        if port:
            services.add((_LOOPBACK, port))
        return translated

    translated_sources = {
        suite: tuple(
            replace(source, uris=tuple(url(uri) for uri in source.uris))
            for source in machine.debian_sources(setup, suite, cache)
        )
        for suite in sorted({host.suite for host in lab.hosts})
    }
    settings = tuple(replace(item, value=url(item.value)) if "://" in item.value else item for item in setup.settings)
    servers = []
    for server in machine.nameservers():
        if aptconfig.is_loopback(server):
            services.add((server, DNS_PORT))
            server = lab.gateway
        servers.append(server)
    return Surroundings(
        translated_sources,
        settings,
        tuple(dict.fromkeys(servers)),
        tuple(machine.local_names(setup)),
        tuple(sorted(services)),
    )


def hosts_file(lab: Lab, names: tuple[tuple[str, str], ...]) -> str:
    """Return the /etc/hosts of every host of the lab (hosts(5)); visitors' name www belongs to the load balancers."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for host in lab.hosts:
        visitors = f" www.{DOMAIN}" if host.group == "loadbalancers" else ""
        lines.append(f"{host.address} {host.fqdn} {host.name}{visitors}")
    lines += [f"{address} {name}" for address, name in names]
    return "\n".join(lines) + "\n"


def _write(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as handle:
        handle.write(text)
        os.fchmod(handle.fileno(), mode)


def _copy(root: Path, path: Path, mode: int) -> None:
    target = root / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    target.chmod(mode)


def write_identity(place: HostPlace, lab: Lab, host: Host, around: Surroundings) -> None:
    """Write everything that is this host's own into its root file system."""
    root = place.root
    _write(root, "/etc/hostname", f"{host.name}\n")
    _write(root, "/etc/hosts", hosts_file(lab, around.names))
    _write(root, "/etc/resolv.conf", "".join(f"nameserver {server}\n" for server in around.nameservers))
    _write(root, "/etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    _write(root, "/etc/ssh/ssh_host_ed25519_key", place.host_key.read_text(), 0o600)
    _write(root, "/etc/ssh/ssh_host_ed25519_key.pub", place.host_key.with_suffix(".pub").read_text())
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    _write(root, "/root/.ssh/authorized_keys", place.lab.private_key.with_suffix(".pub").read_text(), 0o600)
    _write(root, "/etc/systemd/journald.conf.d/lab.conf", "[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\n")
    _write_apt(root, host.suite, around)


def _write_apt(root: Path, suite: str, around: Surroundings) -> None:
    settings = aptconfig.render(around.settings) + 'Acquire::Languages "none";\nAPT::Keep-Downloaded-Packages "true";\n'
    _write(root, "/etc/apt/apt.conf.d/90lab", settings)
    for path in machine.apt_credentials():
        _copy(root, path, 0o600)
    for name in aptconfig.files_named(around.settings):
        if Path(name).is_file() and not (root / name.lstrip("/")).exists():
            _copy(root, Path(name), 0o644)
    mapped = around.sources[suite]
    if not mapped:
        return
    _write(root, "/etc/apt/sources.list.d/debian.sources", sources.render(mapped))
    for source in mapped:
        for word in source.signed_by.split():
            if word.startswith("/") and Path(word).is_file() and not (root / word.lstrip("/")).exists():
                _copy(root, Path(word), 0o644)
