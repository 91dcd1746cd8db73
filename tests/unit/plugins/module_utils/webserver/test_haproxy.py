# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy as the other parts ask it: a real one where it is installed, files and recorded words otherwise."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import haproxy, haproxy_syntax
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import (
    Capabilities,
    Listener,
    Output,
    run,
)

PROGRAM = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
needs_haproxy = pytest.mark.skipif(PROGRAM is None, reason="haproxy is not installed: apt-get install haproxy")

# What HAProxy says where a reload finds a port taken (2.6 of Debian 12, shortened).
REFUSED = """\
[NOTICE]   (366) : Reloading HAProxy
[WARNING]  (395) : Paused frontend a.
[NOTICE]   (366) : haproxy version is 2.6.12-1+deb12u4
[ALERT]    (366) : Binding [/etc/haproxy/haproxy.cfg:15] for frontend a: cannot bind socket (Address already in use)
[ALERT]    (366) : [/usr/sbin/haproxy.main()] Some protocols failed to start their listeners! Exiting.
[WARNING]  (366) : Loading failure!
[WARNING]  (395) : Resumed frontend a.
"""
# What it says while a configuration is in use.
IN_USE = """\
[NOTICE]   (366) : New worker (395) forked
[NOTICE]   (366) : Loading success.
[ALERT]    (395) : backend 'app' has no server available!
[ALERT]    (395) : sendmsg()/writev() failed in logger #2: No such file or directory (errno=2)
"""


def program_saying(directory: Path, text: str) -> str:
    """Make a program that prints a text, whatever it is asked."""
    (directory / "said").write_text(text)
    program = directory / "haproxy"
    program.write_text(f"#!/bin/sh\ncat {directory}/said\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


# --- what it is


@needs_haproxy
def test_the_binary_says_what_it_is() -> None:
    found = haproxy.HAProxy(str(PROGRAM)).capabilities()
    assert found is not None
    assert found.version[0].isdigit()
    assert found.openssl_version[0].isdigit()
    assert {"OPENSSL", "prometheus-exporter"} <= set(found.modules)


@pytest.mark.parametrize(
    ("said", "version", "openssl", "modules"),
    [
        (
            "HA-Proxy version 2.2.9-2+deb11u6 2023/12/14 - https://haproxy.org/\n"
            "Feature list : +EPOLL -KQUEUE +LUA\nRunning on OpenSSL version : OpenSSL 1.1.1w  11 Sep 2023\n"
            "Available services : none\n",
            *("2.2.9", "1.1.1w", ("EPOLL", "LUA", "none")),
        ),
        (
            "HAProxy version 3.0.11-1+deb13u5 2026/11/18 - https://haproxy.org/\n"
            "Built with OpenSSL version : OpenSSL 3.5.7 9 Jun 2026\n"
            "Running on OpenSSL version : OpenSSL 3.5.9 29 Sep 2026\n"
            "Available services : prometheus-exporter\n",
            *("3.0.11", "3.5.9", ("prometheus-exporter",)),
        ),
    ],
)
def test_words_of_other_versions(
    tmp_path: Path, said: str, version: str, openssl: str, modules: tuple[str, ...]
) -> None:
    found = haproxy.HAProxy(program_saying(tmp_path, said)).capabilities()
    assert found == Capabilities(version, openssl, modules)


def test_a_host_without_it() -> None:
    assert haproxy.HAProxy("/nonexistent/haproxy").capabilities() is None


def test_a_binary_that_is_something_else_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="which version"):
        haproxy.HAProxy(program_saying(tmp_path, "hello\n")).capabilities()


# --- testing and starting


@needs_haproxy
def test_its_own_test_names_each_mistake(tmp_path: Path) -> None:
    entry = tmp_path / "haproxy.cfg"
    entry.write_text("frontend x\n    bind 127.0.0.1:99999\n    no-such-keyword\n")
    server = haproxy.HAProxy(str(PROGRAM), str(tmp_path / "none"))
    output = run(server.test_argv(str(entry)))
    lines = server.explanation(output.stdout + output.stderr).splitlines()
    assert output.status != 0
    assert len(lines) == 2
    assert "99999" in lines[0]
    assert "no-such-keyword" in lines[1]


def test_an_output_without_alerts_is_its_own_explanation() -> None:
    assert haproxy.HAProxy().explanation("cannot execute\n") == "cannot execute"


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ("", []),
        ('#EXTRAOPTS="-m 16"\n', []),
        ('EXTRAOPTS="-de -m 16"\n', ["-de", "-m", "16"]),
        ('CONFIG="/etc/haproxy/haproxy.cfg"\nEXTRAOPTS=-de\n', ["-de"]),
        ('EXTRAOPTS="-de\n', []),
    ],
)
def test_the_administrators_options_are_used(tmp_path: Path, settings: str, options: list[str]) -> None:
    (tmp_path / "default").write_text(settings)
    server = haproxy.HAProxy(settings_path=str(tmp_path / "default"))
    assert server.test_argv("/x.cfg") == ["/usr/sbin/haproxy", "-c", "-f", "/x.cfg", *options]
    assert server.start_argv()[1:5] == ["-W", "-D", "-f", "/etc/haproxy/haproxy.cfg"]


def test_a_unit_that_reads_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "default").write_text("CONFIG=/srv/lb.cfg\n")
    with pytest.raises(InvalidInputError, match=r"/srv/lb\.cfg"):
        haproxy.HAProxy(settings_path=str(tmp_path / "default")).test_argv("/x.cfg")


# --- what it serves


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[str], haproxy.HAProxy]:
    def write(text: str) -> haproxy.HAProxy:
        server = haproxy.HAProxy()
        server.entry_path = str(tmp_path / "haproxy.cfg")
        Path(server.entry_path).write_text(text)
        return server

    return write


def test_a_file_with_sockets_is_a_site_without_names(configured: Callable[[str], haproxy.HAProxy]) -> None:
    (site,) = configured("frontend a\n  bind *:80\nlisten b\n  bind 127.0.0.1:81 ssl crt /x\n").sites()
    assert site.names == ()
    assert site.listeners == (Listener("0.0.0.0", 80), Listener("127.0.0.1", 81))


def test_a_file_without_sockets_serves_nobody(configured: Callable[[str], haproxy.HAProxy]) -> None:
    assert configured("global\n  daemon\n").sites() == []


def test_a_file_that_is_not_there_serves_nobody(configured: Callable[[str], haproxy.HAProxy]) -> None:
    server = configured("")
    Path(server.entry_path).unlink()
    assert server.sites() == []


def test_a_file_that_is_none_is_said(configured: Callable[[str], haproxy.HAProxy]) -> None:
    server = configured("")
    Path(server.entry_path).unlink()
    os.mkfifo(server.entry_path)
    with pytest.raises(MeasurementError, match="cannot be read"):
        server.sites()


def test_protocols_are_found_with_their_lines(configured: Callable[[str], haproxy.HAProxy]) -> None:
    text = (
        "global\n  ssl-default-bind-options no-tls-tickets ssl-min-ver TLSv1.0\n"
        "frontend a\n  bind :443 ssl crt /x force-tlsv12 no-tlsv13\nbackend b\n  server s 192.0.2.1:443 ssl no-tlsv13\n"
    )
    found = [(one.line, one.value) for one in configured(text).tls_protocol_lines()]
    assert found == [(2, "ssl-min-ver TLSv1.0"), (4, "force-tlsv12 no-tlsv13")]


# --- in use


@contextlib.contextmanager
def running(configuration: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a master with its worker in the foreground."""
    with log.open("wb") as stream:
        master = subprocess.Popen([str(PROGRAM), "-W", "-f", str(configuration)], stdout=stream, stderr=stream)
    with master:
        try:
            yield master
        finally:
            master.terminate()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@needs_haproxy
def test_a_reload_makes_a_newer_worker_and_a_failed_one_makes_none(tmp_path: Path) -> None:
    configuration, log, port = tmp_path / "haproxy.cfg", tmp_path / "log", free_port()
    text = f"defaults\n  mode http\n  timeout client 1s\nfrontend a\n  bind 127.0.0.1:{port}\n"
    configuration.write_text(text)
    server = haproxy.HAProxy(str(PROGRAM))
    with running(configuration, log) as master, socket.create_server(("127.0.0.1", 0)) as taken:
        wait_for(lambda: server.serving_since(master.pid))
        first = server.serving_since(master.pid)
        assert first is not None
        time.sleep(0.1)
        master.send_signal(signal.SIGUSR2)
        # The same start, asked for twice, may differ by the rounding of the clocks.
        wait_for(lambda: (server.serving_since(master.pid) or 0) > first + 0.05)
        second = server.serving_since(master.pid)
        configuration.write_text(f"{text}  bind 127.0.0.1:{taken.getsockname()[1]}\n")
        # A signal that comes before the master is done with the last one is lost.
        wait_for(lambda: master.send_signal(signal.SIGUSR2) or time.sleep(1) or "cannot bind" in log.read_text())
        assert server.serving_since(master.pid) == pytest.approx(second, abs=0.005)


def test_nothing_serves_without_a_worker() -> None:
    assert haproxy.HAProxy().serving_since(os.getpid()) is None


@pytest.mark.parametrize(
    ("journal", "errors"),
    [
        (
            REFUSED,
            ["Binding [/etc/haproxy/haproxy.cfg:15] for frontend a: cannot bind socket (Address already in use)"],
        ),
        (IN_USE, []),
        (
            IN_USE + REFUSED,
            ["Binding [/etc/haproxy/haproxy.cfg:15] for frontend a: cannot bind socket (Address already in use)"],
        ),
        ("", []),
        ('192.0.2.1:1 "GET /[ALERT] (1) : Loading failure! HTTP/1.1"\n', []),
    ],
    ids=["a refused configuration", "alerts of workers in use", "both", "silence", "what a visitor asked for"],
)
def test_only_a_refused_configuration_is_an_error(
    monkeypatch: pytest.MonkeyPatch, journal: str, errors: list[str]
) -> None:
    asked = []

    def journalctl(argv: list[str]) -> Output:
        asked.append(argv)
        return Output(0, journal, "")

    monkeypatch.setattr(haproxy, "run", journalctl)
    assert haproxy.HAProxy().errors_since(1795875650.25) == errors
    assert "--since=@1795875650.250000" in asked[0]


# --- the file


@pytest.mark.parametrize(
    ("bind", "sockets"),
    [
        ("*:80", [("0.0.0.0", 80)]),
        (":80", [("0.0.0.0", 80)]),
        ("192.0.2.1:80,[2001:DB8:0::1]:81", [("192.0.2.1", 80), ("2001:db8::1", 81)]),
        (":::443 v4v6", [("::", 443)]),
        ("ipv6@:443", [("::", 443)]),
        ("ipv4@lb.example.org:443", [("lb.example.org", 443)]),
        ("10.0.0.1:8080-8082", [("10.0.0.1", 8080), ("10.0.0.1", 8081), ("10.0.0.1", 8082)]),
        ('"*:80" # not *:81', [("0.0.0.0", 80)]),
        ("*:80 ssl crt 'a b'", [("0.0.0.0", 80)]),
        ("unix@/run/x.sock", []),
        ("/run/x.sock", []),
        ("abns@name", []),
        ("fd@3", []),
        ("quic4@:443 ssl crt /x", []),
        ('"${PORT}"', []),
        ("*:99999", []),
    ],
)
def test_sockets_of_a_bind(bind: str, sockets: list[tuple[str, int]]) -> None:
    lines = haproxy_syntax.parse(f"frontend a\n  bind {bind}\n")
    assert haproxy_syntax.listeners(lines) == [Listener(*each) for each in sockets]


def test_binds_of_other_sections_are_for_nobody() -> None:
    assert haproxy_syntax.listeners(haproxy_syntax.parse("peers p\n  bind :1023\nfrontend a\n")) == []


def test_many_ports_are_cut_off() -> None:
    text = "frontend a\n" + "  bind *:1-65535\n" * 3
    assert len(haproxy_syntax.listeners(haproxy_syntax.parse(text))) == 10000


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("backend b\n  server s app.example.org:443 ssl verifyhost www.example.org", {"app.example.org"}),
        ("backend b\n  server s app:80\n  server t 192.0.2.1:80\n  server u [::1]:80\n  server v unix@/run/x", {"app"}),
        ("backend b\n  server-template s 1-3 app.example.org:80 check", {"app.example.org"}),
        ("backend b\n  server s app:80 init-addr none resolvers dns", set()),
        ("backend b\n  server s app:80 init-addr last,libc,none", {"app"}),
        ("backend b\n  default-server init-addr none\n  server s app:80", set()),
        ("defaults\n  default-server init-addr last\nbackend b\n  server s app:80", set()),
        ("defaults\n  default-server init-addr last\ndefaults\nbackend b\n  server s app:80", {"app"}),
        ("peers p\n  peer lb2 lb2.example.org:1024", {"lb2.example.org"}),
        ("global\n  log loghost:514 local0\n  log /dev/log local0\n  log stdout format raw local0", {"loghost"}),
        ("global\n  log udp@syslog.example.org:514 local0\n  log ring@buffer local0", {"syslog.example.org"}),
        ("frontend f\n  log global\n  bind lb.example.org:443", {"lb.example.org"}),
        ("backend b\n  server s", set()),
        ("backend b\n  server s app:80 init-addr", {"app"}),
        ("", set()),
    ],
)
def test_names_that_are_resolved_at_the_start(lines: str, names: set[str]) -> None:
    assert haproxy.HAProxy().upstream_names([lines]) == names
