# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd says of a unit, and the lock that keeps two runs apart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import MeasurementError
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver import unit as units
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.lock import Lock
from ansible_collections.ringmaster.webops.plugins.module_utils.webserver.server import Output

SHOWN = """\
ActiveState=active
MainPID=451
ActiveEnterTimestampMonotonic=5000000
ExecMainStartTimestampMonotonic=4000000
NeedDaemonReload=no
FragmentPath=/lib/systemd/system/nginx.service
DropInPaths=/etc/systemd/system/nginx.service.d/a.conf /etc/systemd/system/nginx.service.d/b.conf
"""


def test_a_unit_that_runs() -> None:
    assert units.parse("nginx.service", SHOWN, monotonic=65.0, now=1000.0) == units.Unit(
        "nginx.service",
        active=True,
        dead=False,
        main_pid=451,
        active_seconds=60.0,
        main_started_at=939.0,
        needs_daemon_reload=False,
        files=(
            "/lib/systemd/system/nginx.service",
            "/etc/systemd/system/nginx.service.d/a.conf",
            "/etc/systemd/system/nginx.service.d/b.conf",
        ),
    )


@pytest.mark.parametrize(
    ("state", "active", "dead"),
    [
        ("active", True, False),
        ("reloading", True, False),
        ("activating", False, False),
        ("deactivating", False, False),
        ("inactive", False, True),
        ("failed", False, True),
    ],
)
def test_states_of_a_unit(state: str, active: bool, dead: bool) -> None:
    found = units.parse("x", f"ActiveState={state}\n", 1.0, 1.0)
    assert (found.active, found.dead) == (active, dead)


def test_an_answer_without_sense_is_a_unit_that_does_not_run() -> None:
    found = units.parse("x", "nonsense\nMainPID=many\n", 1.0, 1.0)
    assert (found.active, found.main_pid, found.files) == (False, 0, ())


def test_a_host_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "run", lambda *_arguments: Output(127, "", "systemctl: No such file"))
    with pytest.raises(MeasurementError, match="systemctl: No such file"):
        units.ask("nginx.service")


def test_what_a_reload_does_not_apply(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for path, moment in ((old, 100), (new, 300)):
        path.touch()
        os.utime(path, (moment, moment))
    unit = units.Unit("x.service", True, False, 1, 1.0, 200.0, True, (str(old), str(new), "/nonexistent"))
    assert units.restart_required(unit) == [
        f"{new} was changed after x.service was started: systemctl restart x.service",
        "the files of x.service were changed on disk: systemctl daemon-reload",
    ]


def test_a_run_says_how_far_it_is(tmp_path: Path) -> None:
    with Lock("nginx", tmp_path) as lock:
        lock.stage("confirming")
        lock.stage("arming")
        assert (tmp_path / "ringmaster-nginx.lock").read_text() == f"{os.getpid()} arming\n"


def test_a_second_run_waits_and_says_for_whom(tmp_path: Path) -> None:
    with Lock("nginx", tmp_path) as lock:
        lock.stage("writing")
        with pytest.raises(MeasurementError, match=f"{os.getpid()} writing"), Lock("nginx", tmp_path, 0.0):
            pass
    with Lock("nginx", tmp_path, 0.0):
        pass


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("other")
    (tmp_path / "ringmaster-nginx.lock").symlink_to("other")
    with pytest.raises(MeasurementError, match="symbolic"), Lock("nginx", tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_lock_that_somebody_else_has_made_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ringmaster-nginx.lock"
    path.write_text("")
    os.chown(path, 65534, 65534)
    real = os.open

    def protected(where: Path, flags: int, *mode: int) -> int:
        # What the kernel does in /run/lock, with fs.protected_regular as Debian sets it.
        if flags & os.O_CREAT and path.exists():
            raise PermissionError(13, "Permission denied")
        return real(where, flags, *mode)

    monkeypatch.setattr(os, "open", protected)
    with Lock("nginx", tmp_path):
        pass
