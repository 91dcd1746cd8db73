# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with systemd and a web server, as far as the switch of a release touches them; files are real."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import (
    activate,
    measure,
    serving,
    unit,
    way_back,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.release import Facts
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import (
    Capabilities,
    Directive,
    Output,
    Site,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.stage import Layout
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.wanted import Wanted

ENTRY = b"include /etc/nginx/ringmaster/current/nginx.conf;\n"
STOCK = b"stock\n"
KEEP = 5
ENDPOINT = {"server_name": "a.test", "port": 443}
WAY_BACK = "ringmaster-nginx-way-back.timer"


class Killed(BaseException):
    """The run is killed: nothing may catch it."""


@dataclass
class SimulatedServer:
    """A server that takes any configuration, but what its text says it does not.

    ``emerg``: logs an error and keeps the old one. ``keeps``: says nothing and keeps it. ``dies``: ends.
    ``complains``: takes it, and logs an error.
    ``unreadable``: its reload fails.
    """

    host: SimulatedHost
    name: str = "nginx"
    unit: str = "nginx.service"
    directory: str = "/etc/nginx"
    entry_path: str = "/etc/nginx/nginx.conf"
    main_file: str = "nginx.conf"
    entry_content: bytes | None = ENTRY

    def capabilities(self) -> Capabilities | None:
        return Capabilities("1.26.3", "3.5.7", ())

    def test_argv(self, entry_path: str) -> list[str]:
        return ["grep", "-q", "good", entry_path]

    def start_argv(self) -> list[str]:
        return ["true"]

    def explanation(self, output: str) -> str:
        return output.strip()

    def upstream_names(self, texts: Iterable[str]) -> set[str]:
        return {word for text in texts for word in text.split() if word.endswith(".invalid")}

    def sites(self) -> list[Site]:
        return self.host.sites

    def tls_protocol_lines(self) -> list[Directive]:
        return []

    def serving_since(self, _main_pid: int) -> float | None:
        return self.host.since if self.host.active else None

    def errors_since(self, _moment: float) -> list[str]:
        return self.host.errors


@dataclass
class SimulatedHost:
    """What systemd and the server's processes are at the moment; ``served`` is the text that they run with."""

    root: Path
    active: bool = True
    since: float = 1000.0
    served: str = STOCK.decode()
    errors: list[str] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    timers: dict[str, Sequence[str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    dying: bool = False

    def layout(self) -> Layout:
        return Layout(SimulatedServer(self), self.root)

    def run(self, argv: Sequence[str], _timeout_seconds: float = 30) -> Output:
        words = list(argv)
        if words[0] == "systemd-run":
            self.timers[WAY_BACK] = words[words.index("/bin/sh") :]
            return Output(0, "", "")
        verb, name = words[1], words[-1]
        if verb == "show":
            state = "active" if self.active else "inactive"
            return Output(0, f"ActiveState={state}\nMainPID={int(self.active)}\n", "")
        if verb == "is-active":
            return Output(0, "active" if name in self.timers else "inactive", "")
        if name == WAY_BACK and verb == "stop":
            self.timers.pop(name, None)
            return Output(0, "", "")
        self.told.append(verb)
        return self._obey(verb)

    def _obey(self, verb: str) -> Output:
        if verb == "stop":
            self.active = False
        if verb not in ("reload", "restart", "start"):
            return Output(0, "", "")
        text = self.configuration()
        if "unreadable" in text:
            return Output(1, "", "nginx.service: reload failed")
        if "emerg" in text or "complains" in text:
            self.errors.append("[emerg] no such thing")
        if "emerg" in text:
            return Output(0, "", "")
        if self.dying:
            self.active, self.dying = False, False
        elif "dies" in text:
            self.active = False
        elif "keeps" not in text:
            self.served, self.active, self.since = text, True, self.since + 10
        return Output(0, "", "")

    def configuration(self) -> str:
        """What a server that starts now would read."""
        entry = self.root / "etc/nginx/nginx.conf"
        if entry.read_bytes() == ENTRY:
            entry = self.root / "etc/nginx/ringmaster/current/nginx.conf"
        return entry.read_text()


def install(host: SimulatedHost) -> None:
    """Put what the server's package brings on a host."""
    (host.root / "etc/nginx").mkdir(parents=True)
    (host.root / "etc/tmpfiles.d").mkdir()
    (host.root / "etc/nginx/nginx.conf").write_bytes(STOCK)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedHost:
    """Return a host with a server as its package brought it, and a clock that does not wait."""
    simulated = SimulatedHost(tmp_path / "root")
    install(simulated)
    monkeypatch.setattr(unit, "run", simulated.run)
    monkeypatch.setattr(way_back, "run", simulated.run)
    monkeypatch.setattr(serving, "CONFIRM_SECONDS", 0.0)
    monkeypatch.setattr(measure, "scan_endpoints", lambda endpoints: [dict(each) for each in endpoints])
    return simulated


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """Return a lock of this test alone, held."""
    return Lock("test", tmp_path).__enter__()


@pytest.fixture
def layout(host: SimulatedHost) -> Layout:
    """Return the places of a host that serves what its package brought."""
    return host.layout()


def wanted(tmp_path: Path, text: str, names: tuple[str, ...] = ("a.test",)) -> Wanted:
    """Return a release whose main file has a text."""
    source = tmp_path / "source"
    source.write_text(text)
    return Wanted(({"path": "nginx.conf", "remote_src": str(source)},), None, Facts(names, (), (ENDPOINT,)))


def deploy(layout: Layout, lock: Lock, tmp_path: Path, text: str) -> str:
    """Deploy a text, and return the release."""
    done = activate.switch(layout, wanted(tmp_path, text), 120, lock)
    assert done["refused"] is None
    return str(activate.confirm(layout, KEEP, lock)["release"])


def boot_files(host: SimulatedHost) -> list[str]:
    """Return the files that systemd-tmpfiles reads when the host boots."""
    return [path.name for path in (host.root / "etc/tmpfiles.d").glob("*.conf")]


def tree(directory: Path) -> dict[str, tuple[int, str]]:
    """Return the mode and the content of everything below a directory."""
    found = {}
    for path in sorted(directory.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(directory))] = (path.lstat().st_mode & 0o7777, content)
    return found
