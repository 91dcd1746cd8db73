# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which services and which reboots follow from which replaced files."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import aftermath, mounts
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.aftermath import (
    INTERPRETED,
    MAPPED,
    NOT_SEEN,
    STARTED,
    UNIT,
    look,
    mapped_files,
    unit_of,
)

LINE = "7f00-7f01 r-xp 00000000 08:01 42   {path}\n"


def process(
    proc: Path,
    pid: int,
    *paths: str,
    cgroup: str = "0::/system.slice/nginx.service\n",
    words: tuple[str, ...] = (),
    program: str = "/usr/sbin/nginx",
) -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cmdline").write_text("\0".join(words))
    (proc / str(pid) / "exe").symlink_to(program)
    (proc / str(pid) / "maps").write_text("".join(LINE.format(path=path) for path in paths))
    (proc / str(pid) / "cgroup").write_text(cgroup)
    (proc / str(pid) / "comm").write_text("nginx\n")


def test_only_who_still_has_the_old_file_is_named(tmp_path: Path) -> None:
    process(tmp_path, 10, "/usr/sbin/nginx (deleted)", "/usr/lib/libz.so.1")
    process(tmp_path, 11, "/usr/sbin/nginx")
    process(tmp_path, 12, "/usr/lib/other.so (deleted)")
    found = look([b"/usr/sbin/nginx", b"/usr/lib/libz.so.1"], tmp_path, tmp_path)
    assert found.restart == [
        {"unit": "nginx.service", "processes": ["nginx (10)"], "files": ["/usr/sbin/nginx"], "reasons": [MAPPED]}
    ]
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


UPDATE = "update-initramfs -u -k all"
RELOAD = "systemctl daemon-reload"
COMMANDS = [
    ("/usr/lib/systemd/system/ssh.service", [RELOAD]),
    ("/etc/init.d/ssh", [RELOAD]),
    ("/usr/lib/modules/6.1/ext4.ko", [UPDATE]),
    ("/usr/bin/kmod", [UPDATE]),
    ("/usr/sbin/lvm", [UPDATE]),
    ("/usr/sbin/dmsetup", [UPDATE]),
    ("/usr/sbin/cryptsetup", [UPDATE]),
    ("/usr/sbin/mdadm", [UPDATE]),
    ("/usr/bin/busybox", [UPDATE]),
    ("/usr/bin/udevadm", [UPDATE]),
    ("/usr/lib/udev/rules.d/60-block.rules", [UPDATE]),
    ("/usr/lib/dracut/modules.d/90lvm/module-setup.sh", [UPDATE]),
    ("/usr/sbin/e2fsck", [UPDATE]),
    ("/usr/sbin/fsck.ext4", [UPDATE]),
    ("/usr/lib/x86_64-linux-gnu/libc.so.6", [UPDATE]),
    ("/usr/lib/x86_64-linux-gnu/libdevmapper.so.1.02.1", [UPDATE]),
    ("/usr/lib/x86_64-linux-gnu/libcryptsetup.so.12.9.0", [UPDATE]),
    ("/etc/crypttab", [UPDATE]),
    ("/usr/lib/x86_64-linux-gnu/libcurl.so.4", []),
    ("/usr/bin/ls", []),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system that starts with an initramfs."""
    for name in ("boot/initrd.img-6.1.0-1-amd64", "usr/sbin/update-initramfs"):
        (tmp_path / "root" / name).parent.mkdir(parents=True)
        (tmp_path / "root" / name).touch()
    return tmp_path / "root"


@pytest.mark.parametrize(("path", "commands"), COMMANDS)
def test_what_was_made_of_the_old_file_is_made_again(
    tmp_path: Path, root: Path, path: str, commands: list[str]
) -> None:
    found = look([path.encode()], tmp_path, root).commands
    assert [each["command"] for each in found] == commands
    assert [each["files"] for each in found] == [[path]] * len(commands)
    assert all(each["reason"] for each in found)


def test_initramfs_is_made_again_by_what_makes_it_here(tmp_path: Path, root: Path) -> None:
    (root / "usr/sbin/update-initramfs").unlink()
    assert [each["command"] for each in look([b"/usr/sbin/lvm"], tmp_path, root).commands] == [
        "dracut --force --regenerate-all"
    ]
    (root / "boot/initrd.img-6.1.0-1-amd64").unlink()
    assert look([b"/usr/sbin/lvm"], tmp_path, root).commands == []


def test_labels_are_set_anew_where_selinux_is_in_use(tmp_path: Path, root: Path) -> None:
    replaced = [b"/usr/bin/a", b"/usr/bin/b", b"/with space/c"]
    assert look(replaced, tmp_path, root).commands == []
    (root / "sys/fs/selinux").mkdir(parents=True)
    (root / "sys/fs/selinux/enforce").write_text("1")
    (command,) = look(replaced, tmp_path, root).commands
    assert (command["command"], command["files"]) == (
        "restorecon /usr/bin/a /usr/bin/b '/with space/c'",
        ["/usr/bin/a", "/usr/bin/b", "/with space/c"],
    )
    (command,) = look([b"/usr/bin/%d" % number for number in range(100)], tmp_path, root).commands
    assert command["command"] == "restorecon -R /usr/bin"


SCRIPT = b"/usr/bin/fail2ban-server"
MODULE = b"/usr/lib/python3/dist-packages/fail2ban/server.py"
PYTHON = "/usr/bin/python3.11"
STARTS = {
    # name: (words, program, what was replaced, the reason)
    "script": (("/usr/bin/python3", SCRIPT.decode(), "-x"), PYTHON, SCRIPT, STARTED),
    "script by another name": (("/bin/sh", "/usr/bin/link"), "/usr/bin/dash", SCRIPT, STARTED),
    "module of its interpreter": (("/usr/bin/python3", "-m", "fail2ban"), PYTHON, MODULE, INTERPRETED),
    "perl module": (("starman",), "/usr/bin/perl", b"/usr/share/perl5/Plack.pm", INTERPRETED),
    "module of another interpreter": (("/usr/bin/perl",), "/usr/bin/perl", MODULE, None),
    "path that it reads": (("/usr/sbin/nginx", "-c", "/srv/script"), "/usr/sbin/nginx", b"/srv/script", None),
    "other script": (("/usr/bin/python3", "/usr/bin/other"), PYTHON, SCRIPT, None),
}


@pytest.mark.parametrize(("words", "program", "path", "reason"), STARTS.values(), ids=STARTS.keys())
def test_service_of_a_script_is_named(
    tmp_path: Path, root: Path, words: tuple[str, ...], program: str, path: bytes, reason: str | None
) -> None:
    (root / "usr/bin").mkdir()
    (root / "usr/bin/fail2ban-server").touch()
    (root / "usr/bin/link").symlink_to("fail2ban-server")
    process(tmp_path / "proc", 10, words=words, program=program, cgroup="0::/system.slice/it.service\n")
    found = look([path], tmp_path / "proc", root).restart
    assert [(each["unit"], each["reasons"]) for each in found] == ([("it.service", [reason])] if reason else [])


def test_interpreter_of_a_session_is_nobodys_service(tmp_path: Path, root: Path) -> None:
    process(tmp_path / "proc", 10, program=PYTHON, cgroup="0::/user.slice/session-1.scope\n")
    assert look([MODULE], tmp_path / "proc", root).restart == []


def test_repair_itself_is_no_service_that_runs_an_interpreter(tmp_path: Path, root: Path) -> None:
    """As on a host where the sessions of SSH belong to its service."""
    parent = os.getppid()
    for pid in (os.getpid(), parent):
        process(tmp_path / "proc", pid, program=PYTHON, cgroup="0::/system.slice/ssh.service\n")
    (tmp_path / "proc" / str(os.getpid()) / "status").write_text(f"Name:\tpython3\nPPid:\t{parent}\n")
    assert look([MODULE], tmp_path / "proc", root).restart == []


OWN = "lib/systemd/system/it.service"
UNIT_TEXTS = {
    # name: (file of the unit, its text, what was replaced, whether that concerns the unit)
    "the unit itself": ("usr/lib/systemd/system/it.service", "", "/usr/lib/systemd/system/it.service", True),
    "a drop-in": ("etc/systemd/system/it.service.d/a.conf", "", "/etc/systemd/system/it.service.d/a.conf", True),
    "script that it starts with": (OWN, "ExecStart=-/usr/bin/it --x\n", "/usr/bin/it", True),
    "script before that": (OWN, 'ExecStartPre=/bin/sh -c "/usr/bin/it"', "/usr/bin/it", True),
    "over two lines": (OWN, "ExecStart=/bin/sh \\\n /usr/bin/it\n", "/usr/bin/it", True),
    "environment": (OWN, "EnvironmentFile=-/etc/default/it\n", "/etc/default/it", True),
    "SysV script": (
        "run/systemd/generator.late/it.service",
        "ExecStart=/etc/init.d/it start\n",
        "/etc/init.d/it",
        True,
    ),
    "script that stops it": (OWN, "ExecStopPost=/usr/bin/it\n", "/usr/bin/it", False),
    "another's unit": ("lib/systemd/system/other.service", "ExecStart=/usr/bin/it\n", "/usr/bin/it", False),
}


@pytest.mark.parametrize(("name", "content", "path", "named"), UNIT_TEXTS.values(), ids=UNIT_TEXTS.keys())
def test_service_is_named_when_its_unit_was_replaced(
    tmp_path: Path, root: Path, name: str, content: str, path: str, named: bool
) -> None:
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text(f"[Service]\n{content}")
    process(tmp_path / "proc", 10, cgroup="0::/system.slice/it.service\n")
    found = look([path.encode()], tmp_path / "proc", root).restart
    assert [(each["unit"], each["reasons"]) for each in found] == ([("it.service", [UNIT])] if named else [])


def test_instance_has_the_unit_of_its_template(tmp_path: Path, root: Path) -> None:
    unit = root / "usr/lib/systemd/system/it@.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/bin/it %i\n")
    process(tmp_path / "proc", 10, cgroup="0::/system.slice/system-it.slice/it@one.service\n")
    assert [each["unit"] for each in look([b"/usr/bin/it"], tmp_path / "proc", root).restart] == ["it@one.service"]


def test_program_that_runs_already_as_the_new_one_needs_no_restart(tmp_path: Path, root: Path) -> None:
    unit = root / "usr/lib/systemd/system/nginx.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/sbin/nginx\n")
    process(tmp_path / "proc", 10, "/usr/sbin/nginx", words=("/usr/sbin/nginx",))
    assert look([b"/usr/sbin/nginx"], tmp_path / "proc", root).restart == []


REMOTE = b"30 1 0:40 / %s/usr/dead rw - nfs4 server:/ rw\n"


@pytest.fixture
def dead(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """A place in the system the server of which does not answer: whoever asks for it gets an error here."""
    (root / "usr/dead").mkdir()
    place = os.fsencode(root / "usr/dead")
    (tmp_path / "mountinfo").write_bytes(REMOTE % os.fsencode(root))
    monkeypatch.setattr(mounts, "MOUNTINFO", str(tmp_path / "mountinfo"))
    real = {name: getattr(os, name) for name in ("lstat", "stat", "open", "readlink")}

    def guard(name: str) -> None:
        def asked(path: object, *arguments: object, **options: object) -> object:
            given = b"" if isinstance(path, int) else os.fsencode(str(path) if isinstance(path, Path) else path)  # type: ignore[arg-type]
            assert given != b"dead" and not (given + b"/").startswith(place + b"/"), f"{name} of {given!r}"
            return real[name](path, *arguments, **options)

        monkeypatch.setattr(os, name, asked)

    for name in real:
        guard(name)
    yield place
    monkeypatch.undo()


def test_what_may_never_answer_is_not_touched(tmp_path: Path, root: Path, dead: bytes) -> None:
    """Neither by the words of a command line nor by those of a unit, nor by the links and directories of units."""
    del dead
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "it.service").write_text("[Service]\nExecStart=/usr/dead/it /usr/bin/it\n")
    (units / "linked.service").symlink_to("/usr/dead/linked.service")
    (units / "it.service.d").symlink_to("/usr/dead/drop-ins")
    (root / "usr/link").symlink_to("dead")
    for number, unit in ((10, "it"), (11, "linked")):
        words = ("/usr/dead/a", "/usr/link/b", "/usr/bin/it")
        process(tmp_path / "proc", number, words=words, cgroup=f"0::/system.slice/{unit}.service\n")
    found = look([b"/usr/bin/it", b"/usr/dead/a"], tmp_path / "proc", root).restart
    assert [(each["unit"], each["files"], each["reasons"]) for each in found] == [
        ("it.service", ["/usr/bin/it"], [STARTED, UNIT]),
        ("linked.service", ["/usr/bin/it"], [STARTED]),
    ]


WORDS = {
    # name: (words before the one that is looked for, whether that is found)
    "few": (("x",) * 63, True),
    "many": (("x",) * 64, False),
    "much": (("x" * 65536,), False),
}


@pytest.mark.parametrize(("before", "found"), WORDS.values(), ids=WORDS.keys())
def test_no_more_of_a_command_line_is_looked_at_than_is_reasonable(
    tmp_path: Path, root: Path, before: tuple[str, ...], found: bool
) -> None:
    process(tmp_path / "proc", 10, words=(*before, "/usr/bin/it"))
    assert bool(look([b"/usr/bin/it"], tmp_path / "proc", root).restart) == found


def test_word_that_was_cut_off_is_no_path(tmp_path: Path, root: Path) -> None:
    process(tmp_path / "proc", 10, words=("x" * (65536 - len("/usr/bin/it") - 1), "/usr/bin/it-is-another"))
    assert look([b"/usr/bin/it"], tmp_path / "proc", root).restart == []


def test_word_that_is_too_long_for_a_path_is_none(tmp_path: Path, root: Path) -> None:
    for pid, times in ((10, 500), (11, 1000)):
        process(tmp_path / "proc", pid, words=("/usr/bin" + "/../bin" * times + "/it",))
    found = look([b"/usr/bin/it"], tmp_path / "proc", root).restart
    assert [each["processes"] for each in found] == [["nginx (10)"]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths of which the kernel was asked whether they are links."""
    real = os.lstat
    paths: list[bytes] = []

    def lstat(path: bytes) -> os.stat_result:
        paths.append(path)
        return real(path)

    monkeypatch.setattr(os, "lstat", lstat)
    return paths


def test_links_that_lead_on_and_on_are_followed_for_a_while_only(
    tmp_path: Path, root: Path, asked: list[bytes]
) -> None:
    """What is below /opt is not always the administrator's, and a link can add thousands of components to a path."""
    (root / "opt").mkdir()
    for number in range(39):
        detour = f"/{number}" * 600 + "/.." * 600
        (root / f"opt/{number}").symlink_to(f"/opt/{number + 1}{detour}")
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/system/it.service").write_text("[Service]\nExecStart=/usr/bin/it\n")
    process(tmp_path / "proc", 10, words=("/opt/0", "/opt/1"), cgroup="0::/system.slice/it.service\n")
    process(tmp_path / "proc", 11, words=("/usr/bin/it",))
    found = look([b"/usr/bin/it"], tmp_path / "proc", root).restart
    assert [(each["unit"], each["reasons"]) for each in found] == [("it.service", [UNIT]), ("nginx.service", [STARTED])]
    assert len(asked) < 5000


def test_link_makes_no_path_longer_than_paths_are(tmp_path: Path, root: Path, asked: list[bytes]) -> None:
    (root / "opt").mkdir()
    (root / "opt/it").symlink_to("/opt" + "/a" * 1500)
    process(tmp_path / "proc", 10, words=("/opt/it" + "/b" * 2000,))
    assert look([b"/usr/bin/it"], tmp_path / "proc", root).restart == []
    assert 2000 < max(map(len, asked)) <= len(os.fsencode(root)) + 4096


def state(proc: Path, pid: int, letter: str, flags: int = 0) -> None:
    (proc / str(pid) / "stat").write_text(f"{pid} (a) b) {letter} 1 {pid} {pid} 0 -1 {flags} 0 0\n")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; none lasts."""
    made: list[float] = []
    monkeypatch.setattr(aftermath, "time", SimpleNamespace(sleep=made.append, monotonic=time.monotonic))
    return made


def test_process_that_waits_for_a_disk_is_left_alone_and_named(tmp_path: Path, pauses: list[float]) -> None:
    for pid in (10, 11):
        process(tmp_path, pid, "/usr/sbin/nginx (deleted)")
    state(tmp_path, 10, "D")
    state(tmp_path, 11, "S")
    found = look([b"/usr/sbin/nginx"], tmp_path, tmp_path).restart
    assert [(each["unit"], each["processes"], each["reasons"]) for each in found] == [
        ("nginx.service", ["nginx (11)"], [MAPPED]),
        ("", ["nginx (10)"], [f"{NOT_SEEN} (1 in all)"]),
    ]
    assert len(pauses) == 5


def test_process_that_waited_for_a_moment_is_looked_at(
    tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    process(tmp_path, 10, "/usr/sbin/nginx (deleted)")
    state(tmp_path, 10, "D")

    def sleep(duration: float) -> None:
        pauses.append(duration)
        if len(pauses) == 3:
            state(tmp_path, 10, "S")

    monkeypatch.setattr(aftermath, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    assert [each["reasons"] for each in look([b"/usr/sbin/nginx"], tmp_path, tmp_path).restart] == [[MAPPED]]
    assert len(pauses) == 3


def test_thread_of_the_kernel_may_wait(tmp_path: Path, pauses: list[float]) -> None:
    process(tmp_path, 10)
    state(tmp_path, 10, "D", flags=0x00208040)
    assert look([b"/usr/sbin/nginx"], tmp_path, tmp_path).restart == []
    assert len(pauses) == 1


def test_process_that_cannot_be_read_in_time_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aftermath, "_MAX_PROCESS_SECONDS", 0.2)
    process(tmp_path, 10)
    process(tmp_path, 11, "/usr/sbin/nginx (deleted)")
    (tmp_path / "10/maps").unlink()
    os.mkfifo(tmp_path / "10/maps")
    try:
        found = look([b"/usr/sbin/nginx"], tmp_path, tmp_path).restart
    finally:
        os.close(os.open(tmp_path / "10/maps", os.O_RDWR))  # The reader that was left behind ends.
    assert [(each["unit"], each["processes"]) for each in found] == [
        ("nginx.service", ["nginx (11)"]),
        ("", ["nginx (10)"]),
    ]


def test_what_there_is_no_time_for_is_named(
    tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "_MAX_SECONDS", -1.0)
    for pid in range(10, 20):
        process(tmp_path, pid, "/usr/sbin/nginx (deleted)")
    (found,) = look([b"/usr/sbin/nginx"], tmp_path, tmp_path).restart
    assert found["processes"] == [f"nginx ({pid})" for pid in range(10, 15)]
    assert found["reasons"] == [f"{NOT_SEEN} (10 in all)"]
    assert pauses


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
