# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which services and which reboots follow from which replaced files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.aftermath import look, mapped_files, unit_of

LINE = "7f00-7f01 r-xp 00000000 08:01 42   {path}\n"


def process(proc: Path, pid: int, *paths: str, cgroup: str = "0::/system.slice/nginx.service\n") -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "maps").write_text("".join(LINE.format(path=path) for path in paths))
    (proc / str(pid) / "cgroup").write_text(cgroup)
    (proc / str(pid) / "comm").write_text("nginx\n")


def test_only_who_still_has_the_old_file_is_named(tmp_path: Path) -> None:
    process(tmp_path, 10, "/usr/sbin/nginx (deleted)", "/usr/lib/libz.so.1")
    process(tmp_path, 11, "/usr/sbin/nginx")
    process(tmp_path, 12, "/usr/lib/other.so (deleted)")
    found = look([b"/usr/sbin/nginx", b"/usr/lib/libz.so.1"], tmp_path)
    assert found.restart == [{"unit": "nginx.service", "processes": ["nginx (10)"], "files": ["/usr/sbin/nginx"]}]
    assert found.reboot == []


def test_first_process_asks_for_a_reboot(tmp_path: Path) -> None:
    process(tmp_path, 1, "/usr/lib/libmount.so.1 (deleted)", cgroup="0::/init.scope\n")
    found = look([b"/usr/lib/libmount.so.1"], tmp_path)
    assert found.restart == []
    assert found.reboot == [{"file": "/usr/lib/libmount.so.1", "reason": "the first process runs it"}]


REBOOTS = [
    (b"/usr/lib/x86_64-linux-gnu/libc.so.6", True),
    (b"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", True),
    (b"/usr/lib/systemd/systemd", True),
    (b"/lib/systemd/systemd", True),
    (b"/usr/bin/dbus-daemon", True),
    (b"/boot/vmlinuz-6.1.0-1-amd64", True),
    (b"/usr/lib/modules/6.1.0-1-amd64/kernel/fs/ext4.ko", True),
    (b"/usr/lib/x86_64-linux-gnu/libcrypt.so.1", False),
    (b"/usr/sbin/sshd", False),
    (b"/usr/share/doc/libc6/copyright", False),
]


@pytest.mark.parametrize(("path", "due"), REBOOTS)
def test_reboot_is_due_for_what_nothing_else_exchanges(tmp_path: Path, path: bytes, due: bool) -> None:
    assert bool(look([path], tmp_path).reboot) == due


COMMANDS = [
    (b"/usr/lib/systemd/system/ssh.service", ["systemctl daemon-reload"]),
    (b"/usr/lib/modules/6.1/ext4.ko", ["update-initramfs -u"]),
    (b"/usr/bin/kmod", ["update-initramfs -u"]),
    (b"/usr/bin/ls", []),
]


@pytest.mark.parametrize(("path", "commands"), COMMANDS)
def test_what_was_made_of_the_old_file_is_made_again(tmp_path: Path, path: bytes, commands: list[str]) -> None:
    assert look([path], tmp_path).commands == commands


UNITS = [
    ("0::/system.slice/ssh.service\n", "ssh.service"),
    ("0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service"),
    ("0::/user.slice/user-0.slice/user@0.service/app.slice/dbus.service\n", "user@0.service"),
    ("1:name=systemd:/system.slice/cron.service\n0::/system.slice/cron.service\n", "cron.service"),
    ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
    ("", ""),
]


@pytest.mark.parametrize(("cgroup", "unit"), UNITS)
def test_unit_of_a_control_group(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup.encode()) == unit


def test_names_with_spaces_are_whole() -> None:
    assert mapped_files(LINE.format(path="/usr/lib/a b.so (deleted)").encode()) == {b"/usr/lib/a b.so": True}


def test_real_process_on_a_replaced_file(tmp_path: Path) -> None:
    program = tmp_path / "sleep"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "60"]) as sleeper:
        try:
            while b"sleep" not in Path(f"/proc/{sleeper.pid}/maps").read_bytes():
                pass
            replacement = tmp_path / "new"
            replacement.write_bytes(b"new")
            replacement.rename(program)
            found = look([os.fsencode(program)])
        finally:
            sleeper.kill()
    assert [entry["processes"] for entry in found.restart] == [[f"sleep ({sleeper.pid})"]]
