# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nginx is, serves and says: texts in tables, and what only a running nginx can answer with a running nginx."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.tls.listeners import read_listeners
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import nginx as nginx_module
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx import Nginx
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.nginx_syntax import Statement, read
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Listener, Site, run

from .....peers import servers as peers

PATIENCE_SECONDS = 20.0


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Return a place for a configuration."""
    directory = tmp_path / "etc"
    directory.mkdir()
    return directory


def serve(etc: Path, text: str, file: str = "nginx.conf") -> Nginx:
    (etc / file).parent.mkdir(parents=True, exist_ok=True)
    (etc / file).write_text(text)
    return Nginx(directory=str(etc))


# --- what it is

VERSION_122 = (
    "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.8 7 Feb 2023 (running with OpenSSL 3.0.19 1 Jan 2026)\n"
)
VERSION_126 = "nginx version: nginx/1.26.3 (Ubuntu)\nbuilt with OpenSSL 3.5.7 9 Jun 2026\n"
ARGUMENTS = (
    "configure arguments: --with-cc-opt='-g -O2' --modules-path={} --with-http_ssl_module --with-stream "
    "--with-mail=dynamic --with-http_perl_module=dynamic --add-dynamic-module=/build/x\n"
)


def answering(directory: Path, answer: str) -> str:
    """Return a program that gives an answer, whatever it is asked."""
    path = directory / "program"
    path.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{answer}END\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("answer", "version", "openssl"), [(VERSION_122, "1.22.1", "3.0.19"), (VERSION_126, "1.26.3", "3.5.7")]
)
def test_the_library_that_runs_counts(tmp_path: Path, answer: str, version: str, openssl: str) -> None:
    found = Nginx(program=answering(tmp_path, answer)).capabilities()
    assert found is not None
    assert (found.version, found.openssl_version) == (version, openssl)


def test_parts_that_are_compiled_in_and_parts_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "ngx_http_brotli_filter_module.so").touch()
    found = Nginx(program=answering(tmp_path, VERSION_126 + ARGUMENTS.format(tmp_path / "modules"))).capabilities()
    assert found is not None
    assert found.modules == ("http_brotli_filter_module", "http_ssl_module", "stream_module")


@pytest.mark.parametrize("answer", ["", "nginx version: nginx/1.26.3\n", "built with OpenSSL 3.5.7\n", "\0\377"])
def test_an_answer_without_sense_is_an_error(tmp_path: Path, answer: str) -> None:
    with pytest.raises(MeasurementError, match="does not name"):
        Nginx(program=answering(tmp_path, answer)).capabilities()


def test_a_host_without_it_says_so(tmp_path: Path) -> None:
    nothing = Nginx(directory=str(tmp_path), program=str(tmp_path / "absent"))
    assert nothing.capabilities() is None
    assert (nothing.sites(), nothing.tls_protocol_lines(), nothing.errors_since(0.0)) == ([], [], [])
    assert nothing.serving_since(os.getpid()) is None


# --- what it serves


def every(port: int) -> Listener:
    return Listener("0.0.0.0", port)


@pytest.mark.parametrize(
    ("text", "names", "listeners"),
    [
        ("http { server { } }", (), (every(80),)),
        ("http { server { listen 8080; server_name A.example.com; } }", ("a.example.com",), (every(8080),)),
        ("http { server { listen *:81 default_server; server_name _ ''; } }", (), (every(81),)),
        ("http { server { listen 192.0.2.7; listen [2001:DB8::1]; } }", (), ("192.0.2.7:80", "2001:db8::1:80")),
        ("http { server { listen [::]:443 ssl ipv6only=off; } }", (), (":::443",)),
        ("http { server { listen unix:/run/x.sock; } }", (), ()),
        ("http { server { listen 127.0.0.1:90-92; } }", (), ("127.0.0.1:90", "127.0.0.1:91", "127.0.0.1:92")),
        ("http { server { server_name .a.org *.b.org ~^c\\d; } }", (".a.org", "*.b.org", "~^c\\d"), (every(80),)),
        ("stream { server { listen 127.0.0.1:25; } }", (), ("127.0.0.1:25",)),
        ("stream { server { proxy_pass x; } }", (), ()),
        ("mail { server { listen 143; server_name m.example.com; } }", ("m.example.com",), (every(143),)),
        ("http { server { listen 1; listen 1; server_name a a; } }", ("a",), (every(1),)),
    ],
)
def test_sites(etc: Path, text: str, names: tuple[str, ...], listeners: tuple[Listener | str, ...]) -> None:
    expected = tuple(
        each if isinstance(each, Listener) else Listener(each.rpartition(":")[0], int(each.rpartition(":")[2]))
        for each in listeners
    )
    assert serve(etc, text).sites() == [Site(f"{etc}/nginx.conf", names, expected)]


@pytest.mark.parametrize("where", ["99999", "70000-80000", "[:::1]:80", "none.invalid:80"])
def test_a_listener_that_cannot_be_has_no_socket(etc: Path, where: str) -> None:
    assert serve(etc, f"http {{ server {{ listen {where}; }} }}").sites()[0].listeners == ()


def test_the_name_of_the_host(etc: Path) -> None:
    assert serve(etc, "http { server { server_name $hostname; } }").sites()[0].names == (socket.gethostname().lower(),)


def test_what_a_package_brought_is_left_out(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_module, "is_pristine", lambda path: path.endswith("/default"))
    for name in ("default", "mine"):
        serve(etc, f"server {{ server_name {name}; }}", f"sites-enabled/{name}")
    assert [site.names for site in serve(etc, "http { include sites-enabled/*; }").sites()] == [("mine",)]


def test_a_release_is_read_through_its_link(etc: Path) -> None:
    serve(etc, "http { server { server_name ours; } }", "ringmaster/releases/0123456789abcdef/nginx.conf")
    (etc / "ringmaster" / "current").symlink_to("releases/0123456789abcdef")
    nginx = Nginx(directory=str(etc))
    assert nginx.entry_content is not None
    Path(nginx.entry_path).write_bytes(nginx.entry_content)
    assert [(site.file, site.names) for site in nginx.sites()] == [(f"{etc}/ringmaster/current/nginx.conf", ("ours",))]


def test_what_was_there_before_us_is_still_the_entry_files(etc: Path) -> None:
    text = "http { ssl_protocols TLSv1; server { server_name theirs; } }"
    serve(etc, text, "ringmaster/releases/original/nginx.conf")
    (etc / "ringmaster" / "current").symlink_to("releases/original")
    nginx = serve(etc, "include ringmaster/current/nginx.conf;")
    assert [site.file for site in nginx.sites()] == [nginx.entry_path]
    assert [line.file for line in nginx.tls_protocol_lines()] == [nginx.entry_path]


def test_foreign_protocols_are_told_with_their_line(etc: Path) -> None:
    serve(etc, "server {\n\n ssl_protocols TLSv1.2 'TLSv1.3';\n}", "conf.d/a.conf")
    serve(etc, "ssl_protocols TLSv1.2;", "ringmaster/current/tls.conf")
    nginx = serve(
        etc,
        "http {\n ssl_protocols TLSv1;\n proxy_ssl_protocols TLSv1.3; ssl_conf_command Options Foo;\n"
        "ssl_conf_command MinProtocol TLSv1; include conf.d/*; include ringmaster/current/*; }",
    )
    assert [(Path(line.file).name, line.line, line.value) for line in nginx.tls_protocol_lines()] == [
        ("nginx.conf", 2, "ssl_protocols TLSv1"),
        ("nginx.conf", 4, "ssl_conf_command MinProtocol TLSv1"),
        ("a.conf", 3, "ssl_protocols TLSv1.2 TLSv1.3"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proxy_pass http://app.example.com:8080/x;", {"app.example.com"}),
        ("proxy_pass https://App.example.com;", {"app.example.com"}),
        ("proxy_pass http://127.0.0.1:80; proxy_pass http://[::1]:80;", set()),
        ("proxy_pass http://$host; proxy_pass http://a$b; proxy_pass http://a/$request_uri;", set()),
        ("proxy_pass http://unix:/run/a.sock:/b; fastcgi_pass unix:/run/php.sock;", set()),
        (
            "upstream Back { server a.example.com weight=2; server b:81; } proxy_pass http://back;",
            {"a.example.com", "b"},
        ),
        ("upstream b { server unix:/x; server 192.0.2.1; server 192.0.2.2:80; }", set()),
        (
            "fastcgi_pass php:9000; uwsgi_pass suwsgi://u; scgi_pass s:1; grpc_pass grpcs://g:2; memcached_pass m:3;",
            {"php", "u", "s", "g", "m"},
        ),
        ("stream { server { listen 1; proxy_pass db.example.com:3306; } }", {"db.example.com"}),
        ("resolver dns.example.com 192.0.2.53 valid=5s;", {"dns.example.com"}),
        ("listen 80; listen 90-95; listen *:80; listen www.example.com:80;", {"www.example.com"}),
        (
            "error_log syslog:server=log.example.com:514,tag=x; access_log syslog:facility=local7,server=log2 main;",
            {"log.example.com", "log2"},
        ),
        (
            "set_real_ip_from 10.0.0.0/8; set_real_ip_from proxy.example.com; set_real_ip_from unix:;",
            {"proxy.example.com"},
        ),
        ("map $a $b { proxy_pass http://no; } server { server_name no; }", set()),
        ("# proxy_pass http://no;\nadd_header X 'proxy_pass http://no';", set()),
        ("proxy_pass 'http://a b'; proxy_pass \"http://a\n192.0.2.1 evil\"; proxy_pass;", set()),
        ("location / { proxy_pass http://unclosed", set()),
        ("location / { proxy_pass http://closed; ", {"closed"}),
    ],
)
def test_the_hosts_that_are_resolved_at_the_start(text: str, expected: set[str]) -> None:
    assert Nginx().upstream_names([text]) == expected


def test_a_group_may_be_in_another_file() -> None:
    texts = ["proxy_pass http://back; proxy_pass http://other;", "upstream back { server a; }"]
    assert Nginx().upstream_names(texts) == {"a", "other"}


# --- what it says


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            'nginx: [emerg] unknown directive "x" in /a:1\nnginx: configuration file /a test failed\n',
            '[emerg] unknown directive "x" in /a:1',
        ),
        (
            "2026/11/28 14:20:38 [notice] 1#1: start\n2026/11/28 14:20:38 [emerg] 12#12: bind() failed",
            "[emerg] bind() failed",
        ),
        ("2026/11/28 14:20:38 [alert] 12#12: *7 worker exited", "[alert] worker exited"),
        ("nginx: [warn] a\nnginx: [emerg] b\nnginx: [emerg] b\nnginx: [alert] c", "[emerg] b\n[alert] c"),
        ("  something else\n", "something else"),
        ("", ""),
    ],
)
def test_the_lines_that_matter(output: str, expected: str) -> None:
    assert Nginx().explanation(output) == expected


def test_errors_of_the_log_since_a_moment(etc: Path) -> None:
    def stamp(moment: float) -> str:
        return time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(moment))

    moment = 1_700_000_000.5
    (etc / "error.log").write_text(
        f"{stamp(moment - 1)} [emerg] 1#1: before\n{stamp(moment)} [emerg] 1#1: at\n"
        f"{stamp(moment + 1)} [error] 1#1: another level\n{stamp(moment + 60)} [emerg] 1#1: *5 after\n"
        f"{stamp(moment + 61)} [emerg] 1#1: *6 after\n9999 no date [emerg]\n"
    )
    text = f"error_log {etc}/error.log; error_log stderr; error_log syslog:server=127.0.0.1; error_log;"
    assert serve(etc, text).errors_since(moment) == ["[emerg] at", "[emerg] after"]


def test_only_the_end_of_a_log_is_read(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_module, "_LOG_TAIL_BYTES", 60)
    (etc / "error.log").write_text("2030/01/01 00:00:00 [emerg] 1#1: one\n2030/01/01 00:00:00 [emerg] 1#1: two\n")
    assert serve(etc, f"error_log {etc}/error.log;").errors_since(0.0) == ["[emerg] two"]


# --- the real one


@pytest.fixture
def program() -> str:
    try:
        return peers.program("nginx")
    except peers.MissingProgramError:
        pytest.skip("the program nginx is not installed")


@pytest.fixture
def start(program: str, etc: Path) -> Iterator[Callable[[str], tuple[Nginx, int]]]:
    """Return a function that starts nginx with what is in ``http`` and returns it with the number of its master."""
    with contextlib.ExitStack() as stack:

        def start_it(http: str) -> tuple[Nginx, int]:
            nginx = Nginx(str(etc), program)
            write(nginx, http)
            process = subprocess.Popen(
                [program, "-e", f"{etc}/error.log", "-c", nginx.entry_path, "-g", "daemon off;"],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            until(lambda: nginx.serving_since(process.pid))
            return nginx, process.pid

        yield start_it


def write(nginx: Nginx, http: str) -> None:
    home = nginx.directory
    temporary = " ".join(
        f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    Path(nginx.entry_path).write_text(
        f"{user} worker_processes 1; pid {home}/pid; error_log {home}/error.log; events {{ }}\n"
        f"http {{ access_log off; {temporary} {http} }}\n"
    )


def until(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_the_real_binary_tells_what_it_is(program: str) -> None:
    found = Nginx(program=program).capabilities()
    assert found is not None
    assert found.version[0].isdigit()
    assert found.openssl_version[0].isdigit()
    assert "http_ssl_module" in found.modules


def test_the_files_are_those_that_nginx_reads(program: str, etc: Path) -> None:
    for name in ("parts/b", "parts/a", "parts/.hidden", "c.d/x"):
        serve(etc, f"map $host $for_{name[-1]} {{ default 1; }}", name)
    nginx = Nginx(str(etc), program)
    write(nginx, "include parts/*; include c.*/*; include parts/absent*;")
    dumped = run([program, "-T", "-e", f"{etc}/log", "-c", nginx.entry_path])
    assert dumped.status == 0, dumped.stderr
    marks = [line for line in dumped.stdout.splitlines() if line.startswith("# configuration file ")]
    theirs = [mark[len("# configuration file ") : -1] for mark in marks]

    def files(statements: list[Statement]) -> Iterator[str]:
        for statement in statements:
            yield statement.file
            yield from files(statement.content or [])

    ours = list(dict.fromkeys(files(read(nginx.entry_path))))
    assert ours == theirs
    assert len(ours) == 4


def test_the_sockets_are_those_of_the_kernel(start: Callable[[str], tuple[Nginx, int]], etc: Path) -> None:
    ports = [free_port() for _one in range(5)]
    nginx, _pid = start(
        f"server {{ listen {ports[0]}; listen 127.0.0.1:{ports[1]}; }}\n"
        f"server {{ listen 127.0.0.1:{ports[0]}; listen localhost:{ports[2]}; listen unix:{etc}/socket; }}\n"
        f"server {{ listen 127.0.0.1:{ports[3]} backlog=5; listen 127.0.0.2:{ports[3]}; }}\n"
        f"server {{ listen {ports[4]} reuseport; listen 127.0.0.1:{ports[4]} reuseport; }}\n"
    )
    ours = {(each.address, each.port) for site in nginx.sites() for each in site.listeners}
    kernel = {(each.address, each.port) for each in read_listeners() if each.port in ports}
    assert ours == kernel
    assert ("0.0.0.0", ports[0]) in ours


def test_workers_that_leave_do_not_count(start: Callable[[str], tuple[Nginx, int]]) -> None:
    port = free_port()
    nginx, pid = start(f"server {{ listen 127.0.0.1:{port}; }}")
    first = nginx.serving_since(pid)
    assert first is not None
    with socket.create_connection(("127.0.0.1", port)) as held:
        held.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.1)
        reloaded = time.time()
        os.kill(pid, signal.SIGHUP)
        until(lambda: (nginx.serving_since(pid) or 0.0) >= reloaded - 0.02)
        assert len(nginx_module.processes.children(pid)) == 2
    assert nginx.errors_since(reloaded) == []


def test_a_reload_that_is_refused_is_told_and_changes_nothing(start: Callable[[str], tuple[Nginx, int]]) -> None:
    port = free_port()
    nginx, pid = start(f"server {{ listen 127.0.0.1:{port}; }}")
    before = nginx.serving_since(pid)
    moment = time.time()
    write(nginx, f"server {{ listen {port}; }}")
    os.kill(pid, signal.SIGHUP)
    until(lambda: any("bind() to 0.0.0.0" in line for line in nginx.errors_since(moment)))
    assert all(line.startswith("[emerg] ") for line in nginx.errors_since(moment))
    after = nginx.serving_since(pid)
    assert after is not None
    assert before is not None
    assert abs(after - before) < 0.01


def test_its_own_test_says_what_is_wrong(program: str, etc: Path) -> None:
    nginx = Nginx(str(etc), program)
    write(nginx, "server { nonsense 1; }")
    refused = run(nginx.test_argv(nginx.entry_path))
    assert refused.status != 0
    assert '[emerg] unknown directive "nonsense"' in nginx.explanation(refused.stderr)
