# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Portage's database, sound and damaged. The samples are made from the format's description, not by Portage."""

from __future__ import annotations

import bz2
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ringmaster.webops.plugins.module_utils.errors import InvalidInputError
from ansible_collections.ringmaster.webops.plugins.module_utils.packages import portage
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.check import Options, check
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.manifest import (
    CONFFILE,
    DIRECTORY,
    FIFO,
    FILE,
    SYMLINK,
    Manifest,
    Recorded,
)
from ansible_collections.ringmaster.webops.plugins.module_utils.packages.tree import Tree

from .....peers.portage_system import MOMENT, PortageSystem

BASH = "app-shells/bash-5.1_p16-r2"


@pytest.fixture
def gentoo(tmp_path: Path) -> PortageSystem:
    """A root with two packages in which nothing is wrong."""
    system = PortageSystem(tmp_path)
    system.install(
        BASH,
        {"/bin/bash": b"bash" * 2000, "/etc/bash/bashrc": b"PS1=\n", "/usr/share/doc/bash/a b": b"odd"},
        links=(("/bin/sh", "bash"),),
        directories=("/var/lib/bash/state",),
    )
    system.install("net-libs/lib+x-1.2", {"/usr/lib/libx.so.1": b"x"}, algorithm="sha1")
    return system


def read(system: PortageSystem, wanted: re.Pattern[str] | None = None) -> Manifest:
    return portage.read_manifest(Tree(str(system.root)), wanted)


def result_of(system: PortageSystem, conffiles: str = "report") -> dict[str, Any]:
    return check(Options(root=str(system.root), jobs=1, conffiles=conffiles))


def classes(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["class"], finding["path"]) for finding in result["findings"]]


def test_a_sound_system_is_consistent_and_covered_completely(gentoo: PortageSystem) -> None:
    result = result_of(gentoo)
    assert (result["summary"]["verdict"], result["findings"], result["coverage"]["gaps"]) == ("consistent", [], [])
    assert result["coverage"]["packages"] == {"installed": 2, "verified": 2, "not_verified": 0}
    assert result["coverage"]["not_recorded"] == ["mode", "owner", "group", "size"]


def test_entries_hold_what_the_database_records(gentoo: PortageSystem) -> None:
    entries = {entry.path: entry for entry in read(gentoo).entries}
    assert entries[b"/bin/bash"].kind == FILE
    assert entries[b"/bin/bash"].recorded == Recorded(modified=MOMENT)
    assert len(entries[b"/usr/lib/libx.so.1"].digest or b"") == 40
    assert entries[b"/etc/bash/bashrc"].kind == CONFFILE
    assert entries[b"/bin/sh"].kind == SYMLINK
    assert entries[b"/bin/sh"].recorded == Recorded(target=b"bash", modified=MOMENT)
    assert entries[b"/var/lib/bash/state"].kind == DIRECTORY
    assert entries[b"/usr"].packages == [BASH, "net-libs/lib+x-1.2"]


def rewrite(path: Path, content: bytes) -> None:
    """Change a content as a disk would: nothing else of the file changes."""
    path.write_bytes(content)
    os.utime(path, (MOMENT, MOMENT))


def to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("dash")


def to_file(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"")


def to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("/bin/bash", lambda path: rewrite(path, bytes(8000)), "content_changed"),
    ("/usr/lib/libx.so.1", lambda path: rewrite(path, b"y"), "content_changed"),
    ("/usr/share/doc/bash/a b", Path.unlink, "missing"),
    ("/etc/bash/bashrc", lambda path: path.write_bytes(b"PS1=x\n"), "config_changed"),
    ("/etc/bash/bashrc", Path.unlink, "config_missing"),
    ("/bin/sh", Path.unlink, "missing"),
    ("/bin/sh", to_link, "target_changed"),
    ("/bin/sh", to_file, "type_changed"),
    ("/var/lib/bash/state", Path.rmdir, "missing"),
]


@pytest.mark.parametrize(("path", "damage", "category"), DAMAGE)
def test_damage_is_found_with_its_class(
    gentoo: PortageSystem, path: str, damage: Callable[[Path], object], category: str
) -> None:
    damage(gentoo.path(path))
    assert classes(result_of(gentoo)) == [(category, path)]


def test_a_content_that_changed_without_its_time_shows_both_times(gentoo: PortageSystem) -> None:
    rewrite(gentoo.path("/bin/bash"), bytes(8000))
    finding = result_of(gentoo)["findings"][0]
    assert finding["expected"]["modified"] == finding["actual"]["modified"] == "2023-11-14T22:13:20Z"


def test_a_file_whose_time_alone_differs_is_sound(gentoo: PortageSystem) -> None:
    gentoo.path("/bin/bash").touch()
    assert result_of(gentoo)["summary"]["verdict"] == "consistent"


# The database itself


DATABASE_DAMAGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("CONTENTS", Path.unlink, "does not exist"),
    ("CONTENTS", lambda path: path.write_bytes(b""), "it is empty, but the package has 8008 bytes"),
    ("CONTENTS", lambda path: path.write_bytes(path.read_bytes()[:-5]), "truncated"),
    ("CONTENTS", lambda path: path.write_bytes(path.read_bytes().replace(b" /etc/bash\n", b" \0etc/bash\n")), "NUL"),
    ("CONTENTS", lambda path: path.write_bytes(b"garbage\n" * 9), "is not an entry"),
    ("CONTENTS", to_directory, "cannot be read"),
    ("CATEGORY", lambda path: path.write_bytes(b"app-misc\n"), "'app-misc' and not 'app-shells'"),
    ("PF", lambda path: path.write_bytes(b"bash-5.0\n"), "'bash-5.0' and not"),
    ("PF", lambda path: path.write_bytes(bytes(20)), "not one line of text"),
    ("SLOT", Path.unlink, "does not exist"),
    ("SLOT", lambda path: path.write_bytes(b""), "not one line of text"),
    ("COUNTER", lambda path: path.write_bytes(b"12x\n"), "no number"),
    ("repository", Path.unlink, "does not exist"),
    ("environment.bz2", Path.unlink, "does not exist"),
    ("environment.bz2", lambda path: path.write_bytes(path.read_bytes()[:-3]), "truncated"),
    ("environment.bz2", lambda path: os.truncate(path, 0), "truncated"),
    ("environment.bz2", lambda path: path.write_bytes(bytes(64)), "cannot be unpacked"),
    ("environment.bz2", to_fifo, "cannot be read"),
]


@pytest.mark.parametrize(("file", "damage", "words"), DATABASE_DAMAGE)
def test_a_damaged_database_is_unsound_and_the_rest_is_still_verified(
    gentoo: PortageSystem, file: str, damage: Callable[[Path], object], words: str
) -> None:
    damage(gentoo.database / BASH / file)
    gentoo.path("/usr/lib/libx.so.1").unlink()
    result = result_of(gentoo)
    assert result["summary"]["verdict"] == "database_unsound"
    assert [problem["file"] for problem in result["database_problems"]] == [f"/var/db/pkg/{BASH}/{file}"]
    assert words in result["database_problems"][0]["problem"]
    assert ("missing", "/usr/lib/libx.so.1") in classes(result)


def test_a_package_without_contents_is_counted_as_not_verified(gentoo: PortageSystem) -> None:
    (gentoo.database / BASH / "CONTENTS").unlink()
    result = result_of(gentoo)
    assert [gap["reason"] for gap in result["coverage"]["gaps"]] == ["no_file_list"]
    assert result["coverage"]["packages"]["not_verified"] == 1


def test_contents_that_lost_lines_at_a_line_boundary_are_told_by_the_programs_of_the_package(
    gentoo: PortageSystem,
) -> None:
    directory = gentoo.database / BASH
    (directory / "NEEDED.ELF.2").write_bytes(b"X86_64;/bin/bash;;;libc.so.6;x86_64\n")
    assert result_of(gentoo)["summary"]["verdict"] == "consistent"
    lines = (directory / "CONTENTS").read_bytes().splitlines(keepends=True)
    (directory / "CONTENTS").write_bytes(b"".join(line for line in lines if b" /bin/bash " not in line))
    problems = result_of(gentoo)["database_problems"]
    assert [problem["problem"] for problem in problems] == [
        "1 of the paths in NEEDED.ELF.2 are not in it, /bin/bash first"
    ]


def test_a_program_that_was_masked_is_in_no_contents_and_not_on_disk(gentoo: PortageSystem) -> None:
    (gentoo.database / BASH / "NEEDED.ELF.2").write_bytes(b"X86_64;/usr/lib/debug/bash;;;libc.so.6;x86_64\n")
    assert result_of(gentoo)["summary"]["verdict"] == "consistent"


def test_a_package_without_files_is_sound(gentoo: PortageSystem) -> None:
    gentoo.install("virtual/libc-1", {})
    assert result_of(gentoo)["summary"]["verdict"] == "consistent"


def test_a_directory_that_is_no_package_is_a_problem(gentoo: PortageSystem) -> None:
    (gentoo.database / "app-shells" / "b").mkdir()
    (gentoo.database / "#123").mkdir()
    (gentoo.database / "app-shells" / ".bash.portage_lockfile").write_bytes(b"")
    problems = [problem["file"] for problem in result_of(gentoo)["database_problems"]]
    assert problems == ["/var/db/pkg/#123", "/var/db/pkg/app-shells/b"]


def test_a_merge_that_broke_off_is_a_broken_package(gentoo: PortageSystem) -> None:
    (gentoo.database / "app-shells" / "-MERGING-dash-0.5").mkdir()
    result = result_of(gentoo)
    assert classes(result) == [("package_broken", "/var/db/pkg")]
    assert result["findings"][0]["packages"] == ["app-shells/dash-0.5"]


def test_a_database_without_any_package_is_never_consistent(gentoo: PortageSystem) -> None:
    shutil.rmtree(gentoo.database)
    (gentoo.database / "app-shells").mkdir(parents=True)
    assert [problem["problem"] for problem in result_of(gentoo)["database_problems"]] == [
        "it holds no installed package"
    ]


def test_a_root_without_the_database_is_refused(tmp_path: Path) -> None:
    assert not portage.present(Tree(str(tmp_path)))
    with pytest.raises(InvalidInputError, match="no Portage database"):
        portage.read_manifest(Tree(str(tmp_path)))


# Kinds of entries


def test_a_device_is_a_gap_and_a_fifo_is_verified(gentoo: PortageSystem) -> None:
    gentoo.install("sys-apps/dev-1", {}, more=("dev /dev/null", "fif /run/initctl"))
    gentoo.path("/run").mkdir()
    os.mkfifo(gentoo.path("/run/initctl"))
    manifest = read(gentoo)
    assert [(gap.reason, gap.example) for gap in manifest.gaps] == [("device_unknown", "/dev/null")]
    assert [entry.kind for entry in manifest.entries if entry.path == b"/run/initctl"] == [FIFO]
    gentoo.path("/run/initctl").unlink()
    assert classes(result_of(gentoo)) == [("missing", "/run/initctl")]


def test_the_same_file_in_several_packages_is_one_entry(gentoo: PortageSystem) -> None:
    gentoo.install("app-shells/bash-4.4", {"/usr/share/doc/bash/a b": b"odd"})
    entry = next(entry for entry in read(gentoo).entries if entry.path == b"/usr/share/doc/bash/a b")
    assert (entry.packages, entry.other_digests) == (["app-shells/bash-4.4", BASH], ())
    gentoo.install("app-shells/dash-4.4", {"/usr/share/doc/bash/a b": b"other"})
    assert classes(result_of(gentoo)) == [("ownership_conflict", "/usr/share/doc/bash/a b")]


def test_packages_that_disagree_about_a_type_are_a_gap_and_no_finding(gentoo: PortageSystem) -> None:
    gentoo.install("sys-apps/layout-1", {}, links=(("/lib", "usr/lib"),))
    gentoo.install("sys-apps/old-1", {}, more=("dir /lib",))
    result = result_of(gentoo)
    assert result["findings"] == []
    assert [(gap["reason"], gap["examples"]) for gap in result["coverage"]["gaps"]] == [
        ("ownership_conflict", ["/lib"])
    ]


# Configuration


@pytest.mark.parametrize(
    ("files", "path", "protected"),
    [
        ({}, "/etc/bash/bashrc", True),
        ({}, "/bin/bash", False),
        ({"/etc/env.d/50bash": 'CONFIG_PROTECT_MASK="/etc/bash"'}, "/etc/bash/bashrc", False),
        ({"/etc/env.d/50bash": 'CONFIG_PROTECT="/usr/share/doc/bash"'}, "/usr/share/doc/bash/a b", True),
        ({"/etc/env.d/50bash.bak": 'CONFIG_PROTECT="/bin"'}, "/bin/bash", False),
        ({"/etc/portage/make.conf": 'CONFIG_PROTECT="/bin/bash"'}, "/bin/bash", True),
        ({"/etc/portage/make.conf": 'CONFIG_PROTECT="/bin/ba"'}, "/bin/bash", False),
        ({"/etc/portage/make.conf/1": 'A="/bin"', "/etc/portage/make.conf/2": "CONFIG_PROTECT=$A"}, "/bin/bash", True),
        ({"/etc/make.conf": "source /etc/x", "/etc/x": "CONFIG_PROTECT=/bin"}, "/bin/bash", True),
        ({"/usr/share/portage/config/make.globals": 'CONFIG_PROTECT="/opt"'}, "/etc/bash/bashrc", False),
        (
            {"/etc/env.d/50bash": 'CONFIG_PROTECT="/bin"', "/etc/make.conf": 'CONFIG_PROTECT="-/bin /opt"'},
            "/bin/bash",
            False,
        ),
    ],
)
def test_pitfall_49_protected_files_are_conffiles(
    gentoo: PortageSystem, files: dict[str, str], path: str, protected: bool
) -> None:
    configure(gentoo, files)
    entry = next(entry for entry in read(gentoo).entries if entry.path == path.encode())
    assert (entry.kind == CONFFILE) is protected


def configure(system: PortageSystem, files: dict[str, str]) -> None:
    for name, content in files.items():
        system.path(name).parent.mkdir(parents=True, exist_ok=True)
        system.path(name).write_text(content + "\n")


@pytest.mark.parametrize("content", ['INSTALL_MASK="/usr/share/doc *.la"', 'FEATURES="nodoc"'])
def test_pitfall_49_what_is_masked_may_be_absent_but_is_verified_when_present(
    gentoo: PortageSystem, content: str
) -> None:
    configure(gentoo, {"/etc/portage/make.conf": content})
    gentoo.path("/usr/share/doc/bash/a b").write_bytes(b"changed")
    assert classes(result_of(gentoo)) == [("content_changed", "/usr/share/doc/bash/a b")]
    shutil.rmtree(gentoo.path("/usr/share/doc"))
    assert result_of(gentoo)["summary"]["verdict"] == "consistent"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("if true; then", "not read to its end: line 1"),
        ('CONFIG_PROTECT="$(cat /etc/protect)"', "sets CONFIG_PROTECT to"),
        ("source $(ls)", "only a shell could tell"),
        ("source etc/x", "only a shell could tell"),
        ("source /etc/\0x", "only a shell could tell"),
    ],
)
def test_pitfall_49_configuration_that_only_a_shell_can_read_is_a_gap(
    gentoo: PortageSystem, content: str, words: str
) -> None:
    configure(gentoo, {"/etc/portage/make.conf": content})
    gaps = read(gentoo).gaps
    assert [(gap.reason, gap.example) for gap in gaps] == [("configuration_unknown", "/etc/portage/make.conf")]
    assert words in gaps[0].detail


def test_configuration_that_sources_itself_comes_to_an_end(gentoo: PortageSystem) -> None:
    configure(gentoo, {"/etc/portage/make.conf": "source /etc/portage/make.conf"})
    assert ["too many files" in gap.detail for gap in read(gentoo).gaps] == [True]


# Options


@pytest.mark.parametrize("name", ["bash", "app-shells/bash", BASH])
def test_a_package_is_asked_for_by_any_of_its_names(gentoo: PortageSystem, name: str) -> None:
    manifest = read(gentoo, re.compile(re.escape(name) + r"\Z"))
    assert [gap.packages for gap in manifest.gaps] == [("net-libs/lib+x-1.2",)]
    assert b"/bin/bash" in {entry.path for entry in manifest.entries}


def test_protected_files_can_be_ignored_and_are_counted(gentoo: PortageSystem) -> None:
    gentoo.path("/etc/bash/bashrc").unlink()
    result = result_of(gentoo, conffiles="ignore")
    assert result["findings"] == []
    assert [(gap["reason"], gap["files"]) for gap in result["coverage"]["gaps"]] == [("conffiles_ignored", 1)]


def test_names_that_are_not_utf8_are_verified(gentoo: PortageSystem) -> None:
    gentoo.install("app-misc/odd-1", {"/opt/odd\udce9 -> x": b"1"})
    assert result_of(gentoo)["summary"]["verdict"] == "consistent"
    gentoo.path("/opt/odd\udce9 -> x").write_bytes(b"2")
    assert [category for category, _path in classes(result_of(gentoo))] == ["content_changed"]


def test_an_environment_may_be_packed_in_several_streams(gentoo: PortageSystem) -> None:
    packed = bz2.compress(b"declare -x A=1\n")
    (gentoo.database / BASH / "environment.bz2").write_bytes(packed * 3)
    assert result_of(gentoo)["summary"]["verdict"] == "consistent"
