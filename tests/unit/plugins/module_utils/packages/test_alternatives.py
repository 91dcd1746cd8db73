# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alternatives system: its database, the links that follow from it, and what they lead to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.packages.alternatives import (
    Choice,
    Group,
    check,
    parse,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

if TYPE_CHECKING:
    from .....peers.dpkg_system import System

PAGER = b"""auto
/usr/bin/pager
pager.1.gz
/usr/share/man/man1/pager.1.gz

/bin/more
50
/usr/share/man/man1/more.1.gz
/usr/bin/less
77


"""


def test_a_group_is_read() -> None:
    choices = (Choice(b"/bin/more", 50, (b"/usr/share/man/man1/more.1.gz",)), Choice(b"/usr/bin/less", 77, (b"",)))
    slaves = ((b"pager.1.gz", b"/usr/share/man/man1/pager.1.gz"),)
    assert parse(b"pager", PAGER) == (Group(b"pager", True, b"/usr/bin/pager", slaves, choices), "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (PAGER[:-1], "truncated"),
        (PAGER[:-20], "truncated"),
        (PAGER[:60], "truncated"),
        (PAGER.replace(b"auto", b"\0\0\0\0"), "line 1 contains NUL"),
        (PAGER.replace(b"auto", b"automatic"), "line 1 is neither"),
        (PAGER.replace(b"/usr/bin/pager", b"usr/bin/pager"), "line 2 is not an absolute path"),
        (PAGER.replace(b"pager.1.gz\n", b"a/pager\n", 1), "line 3 is not the name"),
        (PAGER.replace(b"50", b"fifty"), "line 7 is not a priority"),
        (PAGER.replace(b"/bin/more\n", b"bin/more\n"), "line 6 is not an absolute path"),
        (PAGER.replace(b"/bin/more\n50\n/usr/share/man/man1/more.1.gz\n/usr/bin/less\n77\n\n", b""), "not an absolute"),
        (PAGER + b"more\n", "behind the end"),
    ],
)
def test_what_is_wrong_with_a_database_file_is_named(data: bytes, words: str) -> None:
    group, complaint = parse(b"pager", data)
    assert group is None
    assert words in complaint


@pytest.fixture
def pager(empty_system: System) -> System:
    """Two pagers, of which the real tool has made an alternative."""
    tool = shutil.which("update-alternatives", path="/usr/bin:/usr/sbin:/bin")
    if tool is None:
        pytest.skip("update-alternatives, which makes the database that these tests read, is not installed")
    system = empty_system
    for name in ("less", "more"):
        system.install(name, {f"/usr/bin/{name}": name.encode(), f"/usr/share/man/man1/{name}.1.gz": b"manual"})
    for path in ("/etc/alternatives", "/var/lib/dpkg/alternatives"):
        system.path(path).mkdir(parents=True)
    for name, priority in (("more", 50), ("less", 77)):
        choose(system, "--install", "/usr/bin/pager", "pager", f"/usr/bin/{name}", priority, name)
    return system


def choose(system: System, *arguments: object) -> None:
    """Run update-alternatives on a root; the last argument of --install names the manual page of its slave."""
    words = [str(argument) for argument in arguments]
    if words[0] == "--install":
        manual = f"/usr/share/man/man1/{words.pop()}.1.gz"
        words += ["--slave", "/usr/share/man/man1/pager.1.gz", "pager.1.gz", manual]
    command = ["update-alternatives", "--root", str(system.root), "--log", "/dev/null", "--quiet", *words]
    subprocess.run(command, check=True, capture_output=True)


def classes(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["class"], finding["path"]) for finding in result["findings"]]


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def test_links_that_are_right_give_no_finding_and_are_counted(pager: System) -> None:
    result = pager.check()
    assert (result["summary"]["verdict"], result["coverage"]["gaps"]) == ("consistent", [])
    entries = check(Tree(str(pager.root))).entries
    targets = {entry.path: entry.recorded.target for entry in entries if entry.recorded is not None}
    assert targets == {
        b"/usr/bin/pager": b"/etc/alternatives/pager",
        b"/etc/alternatives/pager": b"/usr/bin/less",
        b"/usr/share/man/man1/pager.1.gz": b"/etc/alternatives/pager.1.gz",
        b"/etc/alternatives/pager.1.gz": b"/usr/share/man/man1/less.1.gz",
    }


def to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


LINKS = ["/usr/bin/pager", "/etc/alternatives/pager", "/etc/alternatives/pager.1.gz"]


@pytest.mark.parametrize("path", LINKS)
@pytest.mark.parametrize(
    ("damage", "category"),
    [
        (Path.unlink, "missing"),
        (lambda path: relink(path, "/usr/bin/more"), "target_changed"),
        (to_directory, "type_changed"),
    ],
)
def test_a_damaged_link_is_found(pager: System, path: str, damage: Callable[[Path], object], category: str) -> None:
    damage(pager.path(path))
    result = pager.check()
    assert classes(result) == [(category, path)]
    assert result["findings"][0]["packages"] == ["alternatives"]


def test_the_administrators_choice_is_right_in_manual_mode_only(pager: System) -> None:
    choose(pager, "--set", "pager", "/usr/bin/more")
    assert pager.check()["summary"]["verdict"] == "consistent"
    database = pager.root / "var/lib/dpkg/alternatives/pager"
    database.write_bytes(database.read_bytes().replace(b"manual", b"auto"))
    assert classes(pager.check()) == [
        ("target_changed", "/etc/alternatives/pager"),
        ("target_changed", "/etc/alternatives/pager.1.gz"),
    ]


def test_in_manual_mode_a_link_to_what_is_not_registered_is_found(pager: System) -> None:
    choose(pager, "--set", "pager", "/usr/bin/more")
    relink(pager.path("/etc/alternatives/pager"), "/usr/bin/most")
    assert ("target_changed", "/etc/alternatives/pager") in classes(pager.check())


def test_among_equal_priorities_either_is_right(pager: System) -> None:
    database = pager.root / "var/lib/dpkg/alternatives/pager"
    database.write_bytes(database.read_bytes().replace(b"77", b"50"))
    for name in ("more", "less"):
        relink(pager.path("/etc/alternatives/pager"), f"/usr/bin/{name}")
        relink(pager.path("/etc/alternatives/pager.1.gz"), f"/usr/share/man/man1/{name}.1.gz")
        assert pager.check()["summary"]["verdict"] == "consistent"


def test_a_relative_link_to_the_same_place_is_as_good(pager: System) -> None:
    relink(pager.path("/usr/bin/pager"), "../../etc/alternatives/pager")
    assert pager.check()["summary"]["verdict"] == "consistent"


def test_a_missing_target_of_no_package_is_found(pager: System) -> None:
    pager.path("/opt").mkdir()
    for path in ("/opt/own", "/usr/share/man/man1/own.1.gz"):
        pager.path(path).write_bytes(b"")
    choose(pager, "--install", "/usr/bin/pager", "pager", "/opt/own", 99, "own")
    assert pager.check()["summary"]["verdict"] == "consistent"
    pager.path("/opt/own").unlink()
    assert classes(pager.check()) == [("missing", "/opt/own")]


def test_a_manual_page_that_is_left_out_has_no_link(pager: System) -> None:
    pager.path("/etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    pager.path("/etc/dpkg/dpkg.cfg.d/excludes").write_text("path-exclude=/usr/share/man/*\n")
    shutil.rmtree(pager.path("/usr/share/man/man1"))
    pager.path("/etc/alternatives/pager.1.gz").unlink()
    assert pager.check()["summary"]["verdict"] == "consistent"


@pytest.mark.parametrize("content", [b"", bytes(64), PAGER[:40], b"rubbish\n"])
def test_a_damaged_database_file_is_a_problem_and_its_links_are_a_gap(pager: System, content: bytes) -> None:
    (pager.root / "var/lib/dpkg/alternatives/pager").write_bytes(content)
    result = pager.check()
    assert [problem["file"] for problem in result["database_problems"]] == ["/var/lib/dpkg/alternatives/pager"]
    assert [(gap["reason"], gap["files"]) for gap in result["coverage"]["gaps"]] == [("unregistered_alternative", 2)]
    assert result["findings"] == []


def test_a_lost_database_file_leaves_links_that_nothing_registers(pager: System) -> None:
    (pager.root / "var/lib/dpkg/alternatives/pager").unlink()
    result = pager.check()
    assert [gap["reason"] for gap in result["coverage"]["gaps"]] == ["unregistered_alternative"]
    assert result["summary"]["verdict"] == "incomplete"


def test_alternatives_are_left_out_when_single_packages_are_asked_for(pager: System) -> None:
    pager.path("/usr/bin/pager").unlink()
    assert pager.check(packages=("less",))["findings"] == []


def test_links_never_lead_out_of_the_root(pager: System) -> None:
    relink(pager.path("/etc/alternatives/pager"), "../../../../../../../../../../usr/bin/less")
    assert pager.check()["summary"]["verdict"] == "consistent"
    outside = pager.base / "outside"
    pager.path("/etc/alternatives").rename(outside)
    pager.path("/etc/alternatives").symlink_to(f"../../../../../../../../../..{outside}")
    assert [category for category, _path in classes(pager.check())] == ["missing", "missing"]
