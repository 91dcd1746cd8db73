# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A shadow is the host as far as a server can tell, and the host never learns of it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError, WebopsError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import namespaces
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.shadow import (
    Limits,
    ShadowUnavailableError,
    run_in_shadow,
)

ROOT = Path(__file__).resolve().parents[5]
UNSHARE = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "true"]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(UNSHARE, check=False, capture_output=True).returncode != 0,
    reason="this process may not make namespaces",
)


def refusal(attempt: Callable[[], Any]) -> str:
    """Return the name of the error number that an attempt fails with, or what came of it."""
    try:
        return f"done: {attempt()}"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def processes_with(marker: str) -> list[int]:
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if marker.encode() in command.read_bytes() and int(command.parent.name) != os.getpid():
                found.append(int(command.parent.name))
    return found


def comes_true(condition: Callable[[], object], attempts: int = 1000) -> bool:
    for _attempt in range(attempts):
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(name="marker")
def seconds_that_nobody_else_sleeps() -> Iterator[str]:
    marker = f"86400.{os.getpid()}{time.monotonic_ns()}"
    yield marker
    for process in processes_with(marker):
        os.kill(process, signal.SIGKILL)


def test_what_is_written_is_seen_inside_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("host")
    places = [Path("/etc"), Path("/var/lib"), Path("/var/log"), Path("/run"), Path("/tmp"), Path("/dev/shm"), tmp_path]
    files = [place / f"shadow-{os.getpid()}" for place in places]

    def work() -> dict[str, Any]:
        for file in files:
            file.write_text("shadow")
        (tmp_path / "kept").write_text("shadow")
        return {"inside": [file.read_text() for file in [*files, tmp_path / "kept"]]}

    assert run_in_shadow(work) == {"inside": ["shadow"] * 8}
    assert [file for file in files if file.exists()] == []
    assert (tmp_path / "kept").read_text() == "host"


def test_nothing_is_mounted_or_made_on_the_host() -> None:
    def host() -> list[Any]:
        listings = [sorted(path.iterdir()) for path in map(Path, ("/", "/run", "/mnt", "/media", "/srv"))]
        return [Path("/proc/self/mountinfo").read_bytes(), *listings]

    before = host()
    run_in_shadow(dict)
    assert host() == before


def test_no_child_is_left() -> None:
    run_in_shadow(dict)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_own_errors_come_through_as_they_are() -> None:
    def work() -> dict[str, Any]:
        raise InvalidInputError("value", "reason", "Remedy")

    with pytest.raises(InvalidInputError) as caught:
        run_in_shadow(work)
    assert (caught.value.value, caught.value.reason, caught.value.remedy) == ("value", "reason", "Remedy")


def test_an_error_that_only_the_shadow_knows_is_still_one_of_ours() -> None:
    def work() -> dict[str, Any]:
        raise type("LateError", (WebopsError,), {})("value", "reason", "Remedy")

    with pytest.raises(WebopsError, match=r"^value: reason\. Remedy$"):
        run_in_shadow(work)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: {"x": 1 // 0}, "ZeroDivisionError"),
        (lambda: {"x": Path("/missing").read_text()}, "FileNotFoundError"),
        (lambda: {"x": b"bytes"}, "not JSON serializable"),
        (lambda: sys.exit(3), "SystemExit"),
    ],
)
def test_a_fault_of_the_work_is_not_one_of_the_shadow(work: Callable[[], dict[str, Any]], words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        run_in_shadow(work)


@pytest.mark.parametrize(("size", "fits"), [(30 * 1024 * 1024, True), (40 * 1024 * 1024, False)])
def test_a_result_is_bounded(size: int, fits: bool) -> None:
    if fits:
        assert len(run_in_shadow(lambda: {"x": "y" * size})["x"]) == size
    else:
        with pytest.raises(ShadowUnavailableError, match="larger than"):
            run_in_shadow(lambda: {"x": "y" * size})


def test_time_is_limited_and_nothing_runs_on(marker: str) -> None:
    def work() -> dict[str, Any]:
        subprocess.Popen(["setsid", "sleep", marker])
        return {"x": subprocess.call(["sleep", marker])}

    with pytest.raises(ShadowUnavailableError, match="did not end within 1 seconds"):
        run_in_shadow(work, limits=Limits(wall_seconds=1))
    assert processes_with(marker) == []


def test_what_the_work_leaves_running_is_ended(marker: str) -> None:
    def work() -> dict[str, Any]:
        subprocess.Popen(["setsid", "sleep", marker])
        if os.fork() == 0:
            # It holds the result's pipe open.
            time.sleep(1000)
        return {"seen": len(processes_with(marker))}

    assert run_in_shadow(work) == {"seen": 1}
    assert processes_with(marker) == []


def test_memory_is_limited(marker: str) -> None:
    def work() -> dict[str, Any]:
        subprocess.Popen(["sleep", marker])
        kept = []
        # Slowly: what takes all at once meets the limit of the kernel first, as an error of its own.
        for _attempt in range(4096):
            kept.append(bytearray(os.urandom(1024)) * 1024)
            time.sleep(0.02)
        return {"x": len(kept)}

    with pytest.raises(ShadowUnavailableError, match=r"more than 67108864 bytes of memory"):
        run_in_shadow(work, limits=Limits(memory_bytes=64 * 1024 * 1024))
    assert processes_with(marker) == []


def test_what_is_written_is_limited(tmp_path: Path) -> None:
    def work() -> dict[str, Any]:
        with (tmp_path / "large").open("wb") as file:
            return {"refusal": refusal(lambda: [file.write(bytes(1024 * 1024)) for _attempt in range(64)])}

    assert run_in_shadow(work, limits=Limits(memory_bytes=32 * 1024 * 1024)) == {"refusal": "ENOSPC"}


def test_cpu_time_is_limited() -> None:
    def work() -> dict[str, Any]:
        while True:
            pass

    with pytest.raises(ShadowUnavailableError, match="more than 1 seconds of CPU time"):
        run_in_shadow(work, limits=Limits(cpu_seconds=1))


def killed_parent(marker: str) -> subprocess.Popen[bytes]:
    script = f"""
        import subprocess
        from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.shadow import run_in_shadow
        run_in_shadow(lambda: subprocess.call(["setsid", "sleep", "{marker}"]))
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=environment)


@pytest.mark.parametrize("victim", ["caller", "supervisor"])
def test_kill_minus_nine_leaves_nothing(marker: str, victim: str) -> None:
    mounts = Path("/proc/self/mountinfo").read_bytes()
    caller = killed_parent(marker)
    # Caller, supervisor, first process and worker have it in their command line too.
    assert comes_true(lambda: len(processes_with(marker)) == 5)
    os.kill(caller.pid if victim == "caller" else sorted(processes_with(marker))[1], signal.SIGKILL)
    caller.wait(60)

    assert comes_true(lambda: not processes_with(marker))
    assert Path("/proc/self/mountinfo").read_bytes() == mounts


@pytest.mark.parametrize("address", ["198.51.100.7", "127.0.0.1", "2001:db8::7"])
def test_a_server_binds_and_answers_on_any_address(address: str) -> None:
    def work() -> dict[str, Any]:
        with socket.create_server((address, 443), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
            return {"peer": socket.create_connection((address, 443), 5).getpeername()[0]}

    assert run_in_shadow(work) == {"peer": address}


@pytest.mark.parametrize("address", ["1.1.1.1", "127.0.0.1", "2606:4700:4700::1111"])
def test_nothing_outside_is_reached(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def attempt() -> str:
            with socket.create_connection((address, port), 5):
                return "connected"

        assert run_in_shadow(lambda: {"refusal": refusal(attempt)}) == {"refusal": "ECONNREFUSED"}


def test_names_are_resolved_from_what_was_given() -> None:
    def work() -> dict[str, Any]:
        found = socket.getaddrinfo("backend.example", 80, type=socket.SOCK_STREAM)
        return {"addresses": sorted(str(one[4][0]) for one in found)}

    hosts = {"backend.example": ["192.0.2.1", "2001:db8::1"]}
    before = Path("/etc/hosts").read_bytes()
    assert run_in_shadow(work, hosts=hosts) == {"addresses": ["192.0.2.1", "2001:db8::1"]}
    assert Path("/etc/hosts").read_bytes() == before


def test_sockets_of_the_host_are_out_of_reach_and_in_no_servers_way(tmp_path: Path) -> None:
    path, abstract = str(tmp_path / "s"), f"\0webops-{os.getpid()}"

    def connection(address: str) -> str:
        with socket.socket(socket.AF_UNIX) as client:
            return refusal(lambda: client.connect(address))

    def work() -> dict[str, Any]:
        refused = [connection(path), connection(abstract)]
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            return {"refused": refused, "own": connection(path)}

    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        for server, address in ((one, path), (other, abstract)):
            server.bind(address)
            server.listen()
        assert [connection(path), connection(abstract)] == ["done: None"] * 2
        assert run_in_shadow(work) == {"refused": ["ENOENT", "ECONNREFUSED"], "own": "done: None"}
        assert connection(path) == "done: None"


def test_a_live_log_is_empty_and_can_be_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(bytes(48 * 1024 * 1024))
    log.chmod(0o640)

    def work() -> dict[str, Any]:
        mode = log.stat().st_mode & 0o777
        with log.open("ab") as file:
            file.write(b"line")
        return {"size": log.stat().st_size, "mode": mode}

    with log.open("ab"):
        assert run_in_shadow(work, limits=Limits(memory_bytes=64 * 1024 * 1024)) == {"size": 4, "mode": 0o640}
    assert log.stat().st_size == 48 * 1024 * 1024


@pytest.mark.parametrize(
    ("attempt", "errors"),
    [
        (lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0)), {"EPERM"}),
        # Opened, not written: if it were permitted, it would be the machine's.
        (lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY), {"EROFS"}),
        (lambda: os.open("/proc/sysrq-trigger", os.O_WRONLY), {"EROFS", "ENOENT"}),
        (lambda: Path("/sys/kernel/shadow").mkdir(), {"EROFS"}),
        (lambda: Path("/dev/log").stat(), {"ENOENT"}),
        (lambda: next(Path("/dev").glob("[svnx]*d[a-z]"), None), {"done: None"}),
        (lambda: os.open("/dev/tty", os.O_RDWR), {"ENXIO", "ENOENT"}),
        (lambda: socket.sethostname("x"), {"EPERM"}),
        (lambda: namespaces.mount("tmpfs", "/mnt", "tmpfs"), {"EPERM"}),
        (lambda: namespaces.unshare(namespaces.CLONE_NEWNS), {"EPERM"}),
        (
            lambda: [path for path in Path("/run").rglob("*") if not path.is_dir() and not path.is_symlink()],
            {"done: []"},
        ),
        (
            lambda: [path for path in Path("/var/log").rglob("*") if path.is_file() and not path.is_symlink()],
            {"done: []"},
        ),
        (lambda: sorted(int(path.name) for path in Path("/proc").glob("[0-9]*")), {"done: [1, 2]"}),
        # The first process is in the same tree; whether it lets itself be looked at depends on which of both is first.
        (lambda: Path("/proc/1/root/proc/self/oom_score_adj").read_text(), {"done: 1000\n", "EACCES"}),
        (lambda: Path("/dev/null").write_text("x"), {"done: 1"}),
    ],
)
def test_the_shadow_gives_no_hold_on_the_host(attempt: Callable[[], Any], errors: set[str]) -> None:
    assert run_in_shadow(lambda: {"refusal": refusal(attempt)})["refusal"] in errors


def test_directories_of_run_keep_owner_and_mode() -> None:
    places = [path for path in [Path("/run"), *Path("/run").rglob("*")] if path.is_dir() and not path.is_symlink()]

    def facts() -> dict[str, Any]:
        return {str(path): [path.stat().st_mode, path.stat().st_uid, path.stat().st_gid] for path in places}

    assert run_in_shadow(facts) == facts()


def test_an_unpermitted_shadow_says_which_call_was_refused() -> None:
    script = """
        from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import namespaces, shadow
        namespaces.keep_capabilities()
        try:
            shadow.run_in_shadow(dict)
        except shadow.ShadowUnavailableError as error:
            print(error)
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert said.startswith(
        "Shadow start: unshare: Operation not permitted (the process may not do that: it is not root"
    )


def test_other_mounts_vanish_likewise_or_are_read_only(tmp_path: Path) -> None:
    names = ["plain", "with:colon,comma and space", "frozen", "file"]
    for name in names[:3]:
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    script = f"""
        import errno, json, subprocess
        from pathlib import Path
        from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import namespaces, shadow
        top, names = Path({str(tmp_path)!r}), {names!r}
        for name in names[:3]:
            namespaces.mount("tmpfs", top / name, "tmpfs", data="mode=0751")
            (top / name / "kept").write_text("host")
        namespaces.mount("tmpfs", top / "plain", "tmpfs", data="mode=0751")
        (top / "plain" / "kept").write_text("upper")
        namespaces.mount(None, top / "frozen", flags=namespaces.MS_REMOUNT | namespaces.MS_RDONLY)
        namespaces.mount("/etc/hostname", top / "file", flags=namespaces.MS_BIND)
        def attempt(path):
            before = path.read_text()
            try:
                path.write_text("shadow")
            except OSError as error:
                return errno.errorcode[error.errno]
            return before + " " + path.read_text() + oct(path.parent.stat().st_mode & 0o777)
        def work():
            return {{name: attempt(top / name / "kept") for name in names[:3]}} | {{"file": attempt(top / "file")}}
        inside = shadow.run_in_shadow(work)
        print(json.dumps([inside, [(top / name / "kept").read_text() for name in names[:3]]]))
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    command = ["unshare", "--mount", sys.executable, "-c", textwrap.dedent(script)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert said.strip() == (
        '[{"plain": "upper shadow0o751", "with:colon,comma and space": "host shadow0o751", "frozen": "EROFS", '
        '"file": "EROFS"}, ["upper", "host", "host"]]'
    )


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_a_real_server_starts_with_its_real_addresses(tmp_path: Path) -> None:
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "global\n  stats socket /run/haproxy-shadow.sock\n  chroot /var/lib/haproxy\n  user haproxy\n  daemon\n"
        "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n"
        "frontend f\n  bind 198.51.100.7:80\n  http-request return status 204\n"
    )

    def work() -> dict[str, Any]:
        done = subprocess.run(["haproxy", "-f", str(configuration)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return {"refused": done.stderr}
        with socket.create_connection(("198.51.100.7", 80), 5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return {"answer": client.recv(100).decode()}

    assert run_in_shadow(work)["answer"].startswith("HTTP/1.1 204")
