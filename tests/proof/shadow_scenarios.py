# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What test_shadow.py does on a lab host, as a program there: `shadow_scenarios.py NAME` prints its result as JSON."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.shadow import (
    Limits,
    ShadowUnavailableError,
    run_in_shadow,
)

NGINX = """
pid /run/nginx-proof.pid;
error_log syslog:server=unix:/dev/log;
events {}
http {
    access_log /var/log/nginx/proof.log;
    proxy_cache_path /var/cache/proof levels=1:2 keys_zone=proof:1m;
    server { listen 127.0.0.1:8081; location / { return 200 "from the upstream\\n"; } }
    server {
        listen 198.51.100.7:80;
        listen 80;
        listen unix:/var/lib/proof.sock;
        location / { proxy_pass http://127.0.0.1:8081; proxy_cache proof; proxy_cache_valid 200 1h; }
    }
}
"""

APACHE = """
Include /etc/apache2/apache2.conf
ErrorLog "|/usr/bin/rotatelogs /var/log/apache2/proof-error.log 86400"
MDCertificateAuthority https://acme.ringmaster.test/directory
MDCertificateAgreement accepted
MDContactEmail hostmaster@ringmaster.test
MDomain proof.ringmaster.test
<VirtualHost *:80>
    ServerName proof.ringmaster.test
    CustomLog "|/usr/bin/rotatelogs /var/log/apache2/proof-access.log 86400" combined
</VirtualHost>
<VirtualHost *:443>
    ServerName proof.ringmaster.test
    SSLEngine on
</VirtualHost>
"""

HAPROXY = """
global
    daemon
    log /dev/log local0
    log 127.0.0.1:514 local0
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    stats socket /run/haproxy/admin.sock level admin
    server-state-file /var/lib/haproxy/state
defaults
    mode http
    log global
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend proof
    bind 198.51.100.7:80
    default_backend nobody
backend nobody
    option httpchk GET /
    server one 192.0.2.1:80 check inter 100ms
    server two backend.ringmaster.test:80 check inter 100ms
"""


def tree(top: str) -> dict[str, str]:
    """Return a digest of everything below a directory: kind, mode, owner, times and content."""
    found = {}
    for path in Path(top).rglob("*"):
        if path.suffix == ".deb":
            # The lab's hosts share them by links, which other hosts make and remove.
            continue
        status = path.lstat()
        facts = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = hashlib.sha256(repr(facts).encode() + content).hexdigest()
    return found


def output(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def processes() -> list[str]:
    """Return the host's processes but this one, and what it runs to look."""
    lines = output("ps", "-eo", "pid=,lstart=,args=").splitlines()
    own = (str(os.getpid()), *map(str, children()))
    return [line for line in lines if line.split()[0] not in own and "ps -eo" not in line]


def children() -> list[int]:
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(word) for word in task.read_text().split()] if task.exists() else []


def host() -> dict[str, Any]:
    """Return what a shadow must not change."""
    return {
        **tree("/etc"),
        **tree("/var"),
        "names": sorted(
            str(path) for top in ("/", "/run", "/run/lock", "/tmp", "/srv") for path in Path(top).iterdir()
        ),
        "mounts": Path("/proc/1/mountinfo").read_text(),
        "listening": sorted(output("ss", "-Hlntuxp").splitlines()),
        "processes": processes(),
        "units": output("systemctl", "list-units", "--all", "--no-legend", "ringmaster-*"),
        "failed": output("systemctl", "list-units", "--failed", "--no-legend"),
    }


def compared(act: Callable[[], Any]) -> dict[str, Any]:
    """Return what an act saw, and which of the host's facts it changed."""
    before = host()
    seen = act()
    after: dict[str, Any] = {}
    # The last unit takes systemd a moment to forget.
    for _attempt in range(20):
        after = host()
        if after == before:
            break
        time.sleep(0.1)
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return {"seen": seen, "changed": {key: [before.get(key), after.get(key)] for key in keys}}


def written(content: str, name: str) -> str:
    path = Path("/etc") / name
    path.write_text(content)
    return str(path)


def started(*command: str) -> None:
    # To a file, because a server in the background may keep its output open.
    said = Path("/tmp/said")
    with said.open("wb") as file:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    if done.returncode != 0:
        raise RuntimeError(said.read_text())


def answer(address: str) -> str:
    for _attempt in range(100):
        with contextlib.suppress(OSError), socket.create_connection((address, 80), 5) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: proof.ringmaster.test\r\n\r\n")
            return client.makefile().readline().strip()
        time.sleep(0.05)
    return "no answer"


def appears(pattern: str) -> bool:
    """Wait for a file that matches and is not empty."""
    for _attempt in range(100):
        if any(path.is_file() and path.stat().st_size for path in Path("/").glob(pattern)):
            return True
        time.sleep(0.05)
    return False


def start_nginx() -> None:
    started("nginx", "-c", written(NGINX, "nginx-proof.conf"))


def in_nginx() -> dict[str, Any]:
    start_nginx()
    return {
        "answers": [answer("198.51.100.7"), answer("127.0.0.1")],
        "cache": appears("var/cache/proof/**/*"),
        "log": appears("var/log/nginx/proof.log"),
    }


def in_apache() -> dict[str, Any]:
    started("apache2ctl", "-f", written(APACHE, "apache2-proof.conf"))
    return {
        "answers": [answer("198.51.100.7")],
        "access log": appears("var/log/apache2/proof-access.log.*"),
        "error log": appears("var/log/apache2/proof-error.log.*"),
        "store": appears("etc/apache2/md/**/*"),
    }


def in_haproxy() -> dict[str, Any]:
    started("haproxy", "-f", written(HAPROXY, "haproxy-proof.cfg"))
    with socket.socket(socket.AF_UNIX) as control:
        control.connect("/run/haproxy/admin.sock")
        control.sendall(b"show servers state nobody\n")
        state = control.makefile().read()
    return {"answers": [answer("198.51.100.7")], "resolved": "192.0.2.9" in state}


def unavailable(work: Callable[[], dict[str, Any]], limits: Limits) -> str:
    try:
        return f"done: {run_in_shadow(work, limits=limits)}"
    except ShadowUnavailableError as error:
        return error.reason


def hang() -> dict[str, Any]:
    start_nginx()
    time.sleep(1000)
    return {}


def hog() -> dict[str, Any]:
    start_nginx()
    kept = []
    for _attempt in range(4):
        if os.fork() == 0:
            break
    while True:
        kept.append(os.urandom(1024) * 1024)


def kill() -> str:
    """Kill, in the middle, a process that runs a server in a shadow; tell how many processes the server had."""
    caller = os.fork()
    if caller == 0:
        run_in_shadow(hang)
        os._exit(0)
    count = 0
    for _attempt in range(200):
        count = output("ps", "-eo", "args=").count("nginx-proof.conf")
        if count:
            break
        time.sleep(0.05)
    scope = "ringmaster-shadow" in output("systemctl", "list-units", "--no-legend", "ringmaster-*")
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    return f"masters: {count}, in a scope: {scope}"


def refusal(attempt: Callable[[], Any]) -> str:
    try:
        return f"done: {attempt()}"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def tcp(address: str, port: int) -> str:
    with socket.create_connection((address, port), 5):
        return "connected"


def unix(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        return "connected"


def reach() -> dict[str, Any]:
    disk = Path("/").stat().st_dev
    return {
        "internet": refusal(lambda: tcp("1.1.1.1", 443)),
        "live server": refusal(lambda: tcp("127.0.0.1", 80)),
        "ssh": refusal(lambda: tcp("127.0.0.1", 22)),
        "systemd": refusal(lambda: unix("/run/systemd/private")),
        "message bus": refusal(lambda: unix("/run/dbus/system_bus_socket")),
        "journal": refusal(lambda: unix("/run/systemd/journal/socket")),
        "log": refusal(lambda: unix("/dev/log")),
        "file": refusal(lambda: Path("/etc/escaped").write_text("x")),
        "root of process 1": refusal(lambda: Path("/proc/1/root/etc/escaped").write_text("x")),
        "kernel setting": refusal(lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)),
        "cgroup": refusal(lambda: Path("/sys/fs/cgroup/escaped").mkdir()),
        "disk": refusal(lambda: os.mknod("/root/disk", 0o60600, disk)),
        "mount": subprocess.run(["mount", "-t", "tmpfs", "x", "/mnt"], check=False, capture_output=True).returncode
        != 0,
        "service": subprocess.run(["systemctl", "stop", "nginx"], check=False, capture_output=True).returncode != 0,
    }


SCENARIOS: dict[str, Callable[[], Any]] = {
    "nginx": lambda: run_in_shadow(in_nginx),
    "apache": lambda: run_in_shadow(in_apache, hosts={"acme.ringmaster.test": ["192.0.2.8"]}),
    "haproxy": lambda: run_in_shadow(in_haproxy, hosts={"backend.ringmaster.test": ["192.0.2.9"]}),
    "deadline": lambda: unavailable(hang, Limits(wall_seconds=5)),
    "kill": kill,
    "memory": lambda: unavailable(hog, Limits()),
    "reach": lambda: run_in_shadow(reach),
}

if __name__ == "__main__":
    print(json.dumps(compared(SCENARIOS[sys.argv[1]])))
