# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dpkg's status file against its own past: what no honest history explains is a problem, everything else is none."""

from __future__ import annotations

import gzip
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages import dpkg
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

if TYPE_CHECKING:
    from .....peers.dpkg_system import System

#: Long ago, when everything was installed.
THEN = 1_700_000_000
DAY = 86400
NAMES = ("alpha", "beta", "delta", "gamma")


def problems(system: System) -> list[tuple[str, str]]:
    found = dpkg.read_manifest(Tree(str(system.root))).problems
    return [(problem.file, problem.problem) for problem in found]


def date(path: Path, moment: float) -> None:
    os.utime(path, (moment, moment))


@pytest.fixture
def aged(system: System) -> System:
    """Four packages that were installed one after the other; the status file was last written a day later, twice."""
    for name in ("gamma", "delta"):
        system.install(name, {f"/usr/share/{name}/file": name.encode()})
    for number, name in enumerate(NAMES):
        date(system.info / f"{name}.list", THEN + 60 * number)
    date(system.info / "format", THEN - 60)
    old = system.root / "var/lib/dpkg/status-old"
    old.write_bytes(system.status.read_bytes())
    date(old, THEN + DAY)
    date(system.status, THEN + 2 * DAY)
    return system


def change(system: System, before: str, after: str) -> None:
    """Change the status file and nothing else, its time neither."""
    moment = system.status.stat().st_mtime
    text = system.status.read_text()
    assert before in text
    system.status.write_text(text.replace(before, after, 1))
    date(system.status, moment)


# The status file of before


def test_a_sound_past_is_no_problem(aged: System) -> None:
    assert problems(aged) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("Version: 1.0", "Version: 1.2", "for alpha has version 1.2, that of /var/lib/dpkg/status-old 1.0"),
        ("Architecture: all", "Architecture: amd64", "differ in field architecture"),
        ("Description: a test", "Description: a tesu", "differ in field description"),
        ("Maintainer: Nobody <nobody@example.org>\n", "", "differ in field maintainer"),
        ("/etc/alpha.conf 1", "/etc/alpha.conf 2", "differ in the digest of a conffile"),
    ],
)
def test_what_changed_without_being_unpacked_is_a_problem(aged: System, before: str, after: str, words: str) -> None:
    if "conffile" in words:
        line = next(line for line in aged.status.read_text().splitlines() if line.startswith(" /etc/alpha.conf "))
        digit = "0" if line[-1] != "0" else "1"
        before, after = line, line[:-1] + digit
    change(aged, before, after)
    found = problems(aged)
    assert [file for file, _problem in found] == ["/var/lib/dpkg/status"]
    assert words in found[0][1]


def test_a_package_that_was_unpacked_meanwhile_may_differ(aged: System) -> None:
    change(aged, "Version: 1.0", "Version: 1.2")
    date(aged.info / "alpha.list", THEN + DAY + 60)
    assert problems(aged) == []


def test_a_root_whose_times_are_those_of_a_copy_gives_no_alarm(aged: System) -> None:
    change(aged, "Version: 1.0", "Version: 1.2")
    now = time.time()
    for number, path in enumerate([*sorted(aged.info.iterdir()), aged.root / "var/lib/dpkg/status-old", aged.status]):
        date(path, now + number / 100)
    assert problems(aged) == []


@pytest.mark.parametrize(
    ("file", "moment"),
    [
        ("status-old", THEN + 3 * DAY),  # The clock was ahead when it was written.
        ("info/alpha.list", 60),  # It had not been set yet when the package was unpacked.
    ],
)
def test_clocks_that_jump_give_no_alarm(aged: System, file: str, moment: int) -> None:
    change(aged, "Version: 1.0", "Version: 1.2")
    date(aged.root / "var/lib/dpkg" / file, moment)
    assert problems(aged) == []


def test_states_and_triggers_may_change_at_any_time(aged: System) -> None:
    change(aged, "install ok installed", "hold ok installed")
    change(aged, "Description: a test", "Triggers-Pending: x\nConfig-Version: 1\nDescription: a test")
    assert problems(aged) == []


def test_a_release_of_dpkg_that_writes_every_paragraph_in_its_own_way_gives_no_alarm(system: System) -> None:
    for number in range(8):
        system.install(f"more{number}", {f"/usr/share/more{number}": b""})
    old = system.root / "var/lib/dpkg/status-old"
    old.write_bytes(system.status.read_bytes().replace(b"Description: a test", b"Description: A test"))
    for path in system.info.iterdir():
        date(path, THEN)
    date(old, THEN + DAY)
    assert problems(system) == []


def test_a_previous_status_file_with_zeroed_blocks_is_named(aged: System) -> None:
    old = aged.root / "var/lib/dpkg/status-old"
    with old.open("r+b") as stream:
        stream.seek(100)
        stream.write(bytes(64))
    date(old, THEN + DAY)
    assert problems(aged) == [("/var/lib/dpkg/status-old", "it contains NUL bytes")]


def test_a_root_without_previous_status_file_is_sound(aged: System) -> None:
    (aged.root / "var/lib/dpkg/status-old").unlink()
    change(aged, "Version: 1.0", "Version: 1.2")
    assert problems(aged) == []


# The log


def lines(zone_seconds: int = 3600, version: str = "1.0", names: tuple[str, ...] = NAMES) -> str:
    """Return what dpkg logs when it installs packages, a minute each, in a time zone."""
    text = ""
    for number, name in enumerate(names):
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(THEN + 60 * number + zone_seconds))
        text += f"{moment} install {name}:all <none> {version}\n"
        for state in ("half-installed", "unpacked", "half-configured", "installed"):
            text += f"{moment} status {state} {name}:all {version}\n"
    return text


@pytest.fixture
def logged(aged: System) -> System:
    """The same system with its log, and without the other witness."""
    (aged.root / "var/lib/dpkg/status-old").unlink()
    log = aged.path("/var/log/dpkg.log")
    log.parent.mkdir(parents=True)
    log.write_text(lines())
    return aged


@pytest.mark.parametrize("zone_seconds", [-9 * 3600, 0, 3600, 20700])
def test_a_version_that_went_back_is_told_by_the_log(logged: System, zone_seconds: int) -> None:
    logged.path("/var/log/dpkg.log").write_text(lines(zone_seconds))
    assert problems(logged) == []
    change(logged, "Version: 1.0", "Version: 0.9")
    found = problems(logged)
    assert [file for file, _problem in found] == ["/var/lib/dpkg/status"]
    assert "has version 0.9, but /var/log/dpkg.log says that version 1.0 was unpacked" in found[0][1]


def test_rotated_logs_are_read_too(logged: System) -> None:
    change(logged, "Version: 1.0", "Version: 0.9")
    log = logged.path("/var/log/dpkg.log")
    log.with_name("dpkg.log.2.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.write_bytes(b"")
    assert len(problems(logged)) == 1


def test_a_log_that_was_rotated_away_is_no_problem(logged: System) -> None:
    change(logged, "Version: 1.0", "Version: 0.9")
    logged.path("/var/log/dpkg.log").unlink()
    assert problems(logged) == []


@pytest.mark.parametrize(
    "content", [b"", bytes(4096), os.urandom(4096), b"2026-99-99 99:99:99 status unpacked a b\n" * 9]
)
def test_a_damaged_log_is_no_problem_of_the_database(logged: System, content: bytes) -> None:
    logged.path("/var/log/dpkg.log").write_bytes(content)
    logged.path("/var/log/dpkg.log.1.gz").write_bytes(gzip.compress(b"x" * 999)[:-9])
    logged.path("/var/log/dpkg.log.2.gz").write_bytes(content)
    assert problems(logged) == []


def test_pitfall_55_lines_for_another_root_give_no_alarm(logged: System) -> None:
    log = logged.path("/var/log/dpkg.log")
    log.write_text(log.read_text() + lines(7 * DAY, "3.0"))
    assert problems(logged) == []


def test_a_log_of_the_machine_that_an_image_was_made_on_gives_no_alarm(logged: System) -> None:
    logged.path("/var/log/dpkg.log").write_text(lines(version="0.5"))
    assert problems(logged) == []
    logged.path("/var/log/dpkg.log").write_text(lines(-30 * DAY, "0.5"))
    assert problems(logged) == []


def test_a_package_that_was_removed_and_is_there_again_gives_no_alarm(logged: System) -> None:
    log = logged.path("/var/log/dpkg.log")
    log.write_text(log.read_text() + "2023-11-16 00:00:00 status not-installed alpha:all <none>\n")
    change(logged, "Version: 1.0", "Version: 0.9")
    assert problems(logged) == []


def test_the_real_log_of_dpkg_agrees_with_what_dpkg_has_written(empty_system: System) -> None:
    system = empty_system
    log = system.path("/var/log/dpkg.log")
    log.parent.mkdir(parents=True)
    for name in NAMES:
        package = system.build(name, {f"/usr/share/{name}": name.encode()})
        system.dpkg(f"--log={log}", "--install", package)
    assert problems(system) == []
    change(system, "Version: 1.0", "Version: 1.1")
    assert "says that version 1.0 was unpacked" in problems(system)[0][1]


COPYRIGHT = "/usr/share/doc/eps/copyright"


@pytest.fixture
def copied(system: System) -> System:
    """A system with a package eps, and the daily copy of its status file."""
    system.install("eps", {COPYRIGHT: b"eps\n", "/usr/share/eps": b"eps\n"})
    copy = system.path("/var/backups/dpkg.status.0")
    copy.parent.mkdir(parents=True)
    copy.write_bytes(system.status.read_bytes())
    return system


def lose(system: System, name: str) -> None:
    """Lose all that the database has of a package, as when a directory is again what it was last month."""
    text = system.status.read_text()
    begin = text.index(f"Package: {name}\n")
    system.status.write_text(text[:begin] + text[text.index("\n\n", begin) + 2 :])
    for path in system.info.glob(f"{name}.*"):
        path.unlink()


def lost(system: System) -> list[tuple[str, str]]:
    return [problem for problem in problems(system) if "/var/backups" in problem[1]]


def test_a_package_that_the_database_lost_altogether_is_told_by_the_daily_copy(copied: System) -> None:
    assert lost(copied) == []
    lose(copied, "eps")

    (problem,) = lost(copied)

    assert problem == (
        "/var/lib/dpkg/status",
        "it has no paragraph for package eps, but /var/backups/dpkg.status.0 has one, "
        "and /usr/share/doc/eps/copyright is there",
    )
    gaps = dpkg.read_manifest(Tree(str(copied.root))).gaps
    assert [(gap.reason, gap.packages) for gap in gaps] == [("no_status", ("eps",))]


def test_a_package_of_which_info_files_are_left_is_told_once(copied: System) -> None:
    lists = (copied.info / "eps.list").read_bytes()
    lose(copied, "eps")
    (copied.info / "eps.list").write_bytes(lists)

    assert len(problems(copied)) == 1
    assert lost(copied) == []


@pytest.mark.parametrize("command", ["--remove", "--purge"])
def test_a_package_that_was_removed_is_not_lost(copied: System, command: str) -> None:
    copied.dpkg(command, "eps")

    assert problems(copied) == []


def test_what_the_log_says_was_removed_is_not_lost_whatever_is_left(copied: System) -> None:
    log = copied.path("/var/log/dpkg.log")
    log.parent.mkdir(parents=True)
    lines = ("installed eps:all 1.0", "config-files eps:all 1.0", "not-installed eps:all <none>")
    log.write_text("".join(f"2026-11-01 10:00:00 status {line}\n" for line in lines[:1]))
    lose(copied, "eps")
    assert len(lost(copied)) == 1

    log.write_text("".join(f"2026-11-01 10:00:00 status {line}\n" for line in lines))

    assert lost(copied) == []


@pytest.mark.parametrize("wanted", [None, "alpha", "zeta"])
def test_what_another_package_has_now_is_not_lost(copied: System, wanted: str | None) -> None:
    lose(copied, "eps")
    copied.install("zeta", {COPYRIGHT: b"eps\n"})

    found = dpkg.read_manifest(Tree(str(copied.root)), re.compile(wanted) if wanted else None).problems

    assert found == []


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"Package: eps\n", b"\xff\n\n"])
def test_a_damaged_copy_is_no_problem_of_the_database(copied: System, content: bytes) -> None:
    copied.path("/var/backups/dpkg.status.0").write_bytes(content)
    lose(copied, "eps")

    assert problems(copied) == []
