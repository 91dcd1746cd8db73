# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The system calls, each in a process of its own that they may change."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import namespaces

UNSHARE = ["unshare", "--mount", "--net", "true"]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(UNSHARE, check=False, capture_output=True).returncode != 0,
    reason="this process may not make namespaces",
)


def in_a_process(task: Callable[[], str]) -> str:
    """Run something in a child; return its text, or the name of the error number that it failed with."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                answer = task()
            except OSError as error:
                answer = errno.errorcode[error.errno or 0]
            os.write(writing, answer.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return answer


def capabilities() -> set[str]:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return {found for name in ("Prm", "Eff", "Bnd") for found in re.findall(rf"Cap{name}:\s*(\w+)", status)}


def test_only_kept_capabilities_remain_also_after_exec() -> None:
    def task() -> str:
        namespaces.keep_capabilities(frozenset({namespaces.KEPT_CAPABILITIES["CAP_KILL"]}))
        return " ".join(sorted(capabilities()))

    assert in_a_process(task) == f"{1 << 5:016x}"


def test_without_the_capability_a_mount_is_refused() -> None:
    def task() -> str:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.keep_capabilities()
        namespaces.mount("tmpfs", "/mnt", "tmpfs")
        return "mounted"

    assert in_a_process(task) == "EPERM"


@pytest.mark.parametrize("address", ["127.0.0.1", "198.51.100.7", "10.9.8.7", "::1", "2001:db8::7"])
def test_every_address_is_local(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def task() -> str:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        families = namespaces.make_every_address_local()
        if family == socket.AF_INET6 and families == ["IPv4"]:
            return "no IPv6"
        with socket.socket(family) as server:
            server.bind((address, 443))
            server.listen()
            with socket.create_connection((address, 443), 5) as client:
                return str(client.getpeername()[0])

    assert in_a_process(task) in (address, "no IPv6" if family == socket.AF_INET6 else address)


def test_a_network_that_is_in_use_is_refused() -> None:
    def task() -> str:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        namespaces.make_every_address_local()
        return str(namespaces.make_every_address_local())

    assert in_a_process(task) == "EBUSY"


def test_a_read_only_bind_cannot_be_written(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()

    def task() -> str:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.mount(None, "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
        namespaces.bind_read_only(source, target)
        (target / "file").touch()
        return "written"

    assert in_a_process(task) == "EROFS"


def test_an_error_names_the_call() -> None:
    with pytest.raises(OSError, match="mount nonsense on /nowhere"):
        namespaces.mount("none", "/nowhere", "nonsense")
